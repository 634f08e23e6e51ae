"""Tasks: what a robot is paid for, as a composition of named reward terms.

    halfcheetah+backward   hopper+stand   ant+direction(degrees=90)   walker2d+walk(speed=1)+terms(control=0)

A robot's own task is its row of `ROBOTS`. A task changes which of the terms are paid, and how much; the body, when
an episode ends and the physics stay, and what is observed, but for a goal in the plane. Several follow one another,
each changing what the one before it left. A user's own reward is a function, `halfcheetah+package.module:function`.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from transreward.domains.names import Entry, positions
from transreward.domains.robot import Robot, Rows, Term, in_order, of_state
from transreward.domains.robots import ROBOTS
from transreward.domains.users import in_one_line, look_beside_user, no_such, numbers, read_only
from transreward.types import Array, RequestError, nearest

Values = dict[str, float]
Reward = Callable[[Array, Array, Array], Array]  # (obs [n, obs], action [n, action], next_obs [n, obs]) -> [n]


@dataclass(frozen=True)
class Task:
    """One task, `name` or `name(key=value,...)`; its text is canonical and parses to itself."""

    name: str
    values: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        inside = ",".join(f"{key}={repr(value).removesuffix('.0')}" for key, value in self.values)
        return f"{self.name}({inside})" if inside else self.name


def weigh(robot: Robot, weights: Values, **new: Term) -> Robot:
    """The robot paid for its terms times `weights` (0 takes one away, 1 where none is given), and for `new` ones.

    Terms that its own task does not have (`Robot.more`) come in with a weight.
    """
    for name in new.keys() & {**ROBOTS[robot.name].terms, **ROBOTS[robot.name].more}.keys():
        raise RequestError(f"a task of {robot.name} cannot pay for '{name}', which its own task has: rename that term")
    terms = {}
    for name, term in {**robot.terms, **{k: robot.more[k] for k in weights if k in robot.more}, **new}.items():
        weight = weights.get(name, 1.0)
        if weight:
            terms[name] = term if weight == 1 else _times(weight, term)
    if not terms:
        raise RequestError(f"no reward term of {robot.name} is left: keep one above or below 0")
    return replace(robot, terms=terms, total=in_order)


def _times(weight: float, term: Term) -> Term:
    return lambda s: weight * term(s)


def _backward(robot: Robot, values: Values) -> Robot:
    return weigh(robot, {"forward": -1.0})


def _speed(robot: Robot, values: Values) -> Robot:
    def speed(s: Rows) -> Array:
        return -np.abs(s.velocity - values["speed"])

    return weigh(robot, {"forward": 0.0}, speed=speed)


def _stand(robot: Robot, values: Values) -> Robot:
    return weigh(robot, {"forward": 0.0}, still=lambda s: -np.abs(s.velocity))


def _direction(robot: Robot, values: Values) -> Robot:
    angle = math.radians(values["degrees"])
    along, aside = (round(x, 12) for x in (math.cos(angle), math.sin(angle)))  # a quarter turn leaves exactly nothing
    return weigh(robot, {"forward": along, "sideways": aside})


def _goal(robot: Robot, values: Values) -> Robot:
    goal = np.array([values["x"], values["y"]])
    if robot.side is not None:  # it walks there
        return weigh(placed(robot), {"forward": 0.0}, near=lambda s: NEAR / (1.0 + _apart(s, goal)))
    if not np.linalg.norm(goal) < REACH:
        raise RequestError(f"the goal of {robot.name} must be nearer than {REACH} m to its shoulder, not {goal}")

    def draw(rng, qpos, qvel):
        qpos, qvel = robot.draw(rng, qpos, qvel)
        qpos[-2:] = goal
        return qpos, qvel

    return replace(robot, draw=draw)


def _sparse_goal(robot: Robot, values: Values) -> Robot:
    goal = np.array([values["x"], values["y"]])
    return weigh(placed(robot), {"forward": 0.0}, arrived=lambda s: NEAR * (_apart(s, goal) <= WITHIN))


def _apart(s: Rows, goal: Array) -> Array:
    """From the goal to where the robot observes itself, m."""
    return np.linalg.norm(s.next_obs[:, :2] - goal, axis=1)


def placed(robot: Robot) -> Robot:
    """The robot, observing also where it stands in the plane, in front of all else."""
    if robot.placed:
        return robot
    observe, show = robot.observe, robot.show

    def show_place(model: Any) -> list[Entry]:
        return [*positions(model)[:2], *(show(model) if show else ())]

    def observe_place(s: Rows) -> Array:
        return np.concatenate([s.qpos[:, :2], observe(s)], axis=1)

    return replace(robot, observe=observe_place, show=show_place, invert=robot.invert and of_state(skip=0), placed=True)


def _terms(robot: Robot, values: Values) -> Robot:
    for name, weight in values.items():
        known = {**robot.terms, **robot.more}
        if name not in known:
            raise nearest(name, known, f"reward term of {robot.name}")
        if weight == 1 and name in robot.terms:
            raise RequestError(f"terms({name}=1) changes nothing: the number multiplies the term, leave it away")
    return weigh(robot, values)


NEAR = 5.0  # paid a step at a goal of one that walks there: what a fast walk ahead earns
WITHIN = 0.5  # m from a sparse goal is there
REACH = 0.2  # m, within which reacher's own task draws its goals
ANY = "any term"


@dataclass(frozen=True)
class Kind:
    """One row of the table of tasks."""

    name: str
    doc: str
    compose: Callable[[Robot, Values], Robot]
    values: dict[str, float | None]  # parameter -> default; None = it must be given
    needs: tuple[str, ...] = ("forward",)  # any of these: a term of the robot's own task or `more`, a robot, ANY

    @property
    def usage(self) -> str:
        """How it is written, for people."""
        shown = ",".join(f"{key}=<{'factor' if key == ANY else 'number'}>" for key in self.values)
        shown = shown.replace(ANY, "<term>")
        return f"{self.name}({shown})" if shown else self.name

    def suits(self, robot: Robot) -> bool:
        """Whether the robot can have it."""
        return any(n in (ANY, robot.name) or n in {**robot.terms, **robot.more} for n in self.needs)


TASKS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("backward", "pays the velocity backward", _backward, {}),
        Kind("run", "keeps a forward speed in m/s, 3 by default: pays minus the difference", _speed, {"speed": 3.0}),
        Kind("walk", "the same, 1 m/s by default", _speed, {"speed": 1.0}),
        Kind("hop", "walk by its name for one leg", _speed, {"speed": 1.0}),
        Kind("stand", "stays where it is: pays minus the speed", _stand, {}),
        Kind("direction", "pays the velocity in a direction, 90 = left", _direction, {"degrees": None}, ("sideways",)),
        Kind(
            "goal",
            "goes to a place, in m from the start: the nearer, the more it pays; reacher: its goal, from the shoulder",
            _goal,
            {"x": None, "y": None},
            ("reacher", "sideways"),
        ),
        Kind(
            "sparse_goal",
            "the same, but pays only within 0.5 m of the place",
            _sparse_goal,
            {"x": None, "y": None},
            ("sideways",),
        ),
        Kind("terms", "multiplies terms of the robot's own reward; 0 removes one", _terms, {ANY: None}, (ANY,)),
    )
}
OWN = dict(TASKS)  # as the package has them; see `robots.OWN`


def is_own(task: Task) -> bool:
    """Whether it is the package's, and not one that a user wrote or put in the place of one."""
    return task.name in OWN and TASKS[task.name] is OWN[task.name]


# -- ids -----------------------------------------------------------------------------------------------------------

NAME = r"[A-Za-z_]\w*"
FUNCTION = rf"{NAME}(?:\.{NAME})*:{NAME}(?![\w(=])"  # not followed by what makes it a shift, as in stand:gravity=2
ONE = rf"{FUNCTION}|{NAME}(?:\([^()]*\))?"


def split(id: str) -> tuple[list[str], str]:
    """The tasks' texts in `[+task...][:rest]`, and the rest with its colon.

    Raises:
        RequestError: what follows a plus is no task.
    """
    texts = []
    while id.startswith("+"):
        known = re.match(rf"\+({'|'.join(TASKS)})(?![\w.])(\([^()]*\))?", id)
        match = known or re.match(rf"\+({ONE})", id)
        if match is None:
            raise RequestError(f"malformed task '{id}': write +name or +name(key=value), such as +run(speed=3)")
        texts.append(match[0][1:])
        id = id[match.end() :]
    return texts, id


def parse(text: str, robot: Robot) -> Task:
    """One task of a robot.

    Raises:
        RequestError: an unknown task or parameter, a value that is no number, or a robot that cannot have it.
    """
    if ":" in text:
        return Task(text)
    match = re.fullmatch(rf"({NAME})(?:\(([^()]*)\))?", text)
    if match is None:
        raise RequestError(f"malformed task '{text}': write name or name(key=value), such as run(speed=3)")
    name, inside = match.groups()
    if name not in TASKS:
        raise nearest(name, [k for k, kind in TASKS.items() if kind.suits(robot)], f"task of {robot.name}")
    kind = TASKS[name]
    if not kind.suits(robot):
        able = ", ".join(k for k, other in TASKS.items() if other.suits(robot))
        raise RequestError(
            f"'{robot.name}' has no task '{name}', which needs {' or '.join(kind.needs)}; it has: {able}"
        )
    given = dict(_value(kind, part) for part in inside.split(",")) if inside else {}
    known = given if ANY in kind.values else kind.values
    for key in given:
        if key not in known:
            raise nearest(key, known, f"parameter of task '{name}'")
    values = {key: given.get(key, default) for key, default in known.items()}
    missing = [key for key, value in values.items() if value is None]
    if missing or (ANY in kind.values and not given):
        raise RequestError(f"the task '{text}' lacks {' and '.join(missing) or 'a term'}: write {kind.usage}")
    return Task(name, tuple((key, float(value)) for key, value in values.items() if value is not None))


def _value(kind: Kind, text: str) -> tuple[str, float]:
    key, equals, number = (part.strip() for part in text.partition("="))
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not math.isfinite(value):
        raise RequestError(f"'{text}' in task '{kind.name}' is no key=number: write {kind.usage}")
    return key, value


def with_tasks(robot: Robot, tasks: Sequence[Task]) -> Robot:
    """The robot with its reward changed by each task in turn.

    Raises:
        RequestError: a term that the robot has not, a goal out of reach, a function that cannot be imported.
    """
    for task in tasks:
        if ":" in task.name:
            robot = _with_function(robot, task.name)
        else:
            robot = TASKS[task.name].compose(robot, dict(task.values))
    return robot


# -- steps that every task of a robot can be paid for ---------------------------------------------------------------


def ingredients(robot: Robot) -> dict[str, Term]:
    """What a step has to tell so that any task of the robot can be paid for it: each of the terms that its own task and
    `more` name, and the velocity that speeds are judged by. `robot` is a row of the table, before any task."""
    velocity: dict[str, Term] = {"velocity": lambda s: s.velocity} if "forward" in robot.terms else {}
    return {**velocity, **robot.terms, **robot.more}


def pay(robot: Robot, tasks: Sequence[Task], obs: Array, action: Array, next_obs: Array, told: Array) -> Array:
    """What the robot with these tasks is paid for steps [n] of which `told` [n, ingredients] was stored, [n].

    `action` is what acted. The tasks are composed as ever, over terms that read what was stored: so whatever a task
    does with the robot's terms, it does here.
    """
    names = ingredients(robot)
    s = Rows(obs=obs, action=action, next_obs=next_obs, **dict(zip(names, told.T, strict=True)))
    terms, more = ({name: _stored(name) for name in known} for known in (robot.terms, robot.more))
    paid = with_tasks(replace(robot, terms=terms, more=more), tasks)
    return paid.total([term(s) for term in paid.terms.values()])


def _stored(name: str) -> Term:
    return lambda s: getattr(s, name)


# -- a user's own reward -------------------------------------------------------------------------------------------


def _with_function(robot: Robot, name: str) -> Robot:
    """The robot paid by a function alone."""
    reward = load(name)

    def term(s: Rows) -> Array:
        given = (read_only(x) for x in (s.obs, s.action, s.next_obs))
        return numbers(f"the reward '{name}'", reward(*given), (len(s.obs),))

    return replace(robot, terms={name.partition(":")[2]: term}, total=in_order)


def load(name: str) -> Reward:
    """The function that `package.module:function` names.

    Raises:
        RequestError: there is none, or it does not take (obs, action, next_obs).
    """
    module, _, function = name.partition(":")
    look_beside_user()
    try:
        made = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise RequestError(f"the reward '{name}' cannot be imported: {in_one_line(error)}") from error
    if not callable(getattr(made, function, None)):
        raise no_such(made, function, f"reward function of {module}")
    reward = getattr(made, function)
    try:
        inspect.signature(reward).bind(None, None, None)
    except (TypeError, ValueError):
        raise RequestError(f"the reward '{name}' must take (obs, action, next_obs), each an array [n, ...]") from None
    return reward
