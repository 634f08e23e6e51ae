"""Tasks: rewards composed of named terms.

    halfcheetah+backward   hopper+stand   ant+direction(degrees=90)   walker2d+walk(speed=1)+terms(control=0)

A robot's own task is its row of `ROBOTS`. A task changes which terms are paid and with which weight. The robot, its
physics, termination and observations stay, except that a goal in the plane adds the position to the observation.
Several tasks are applied in order. A user's own reward is a function, `halfcheetah+package.module:function`.
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

from transreward.domains import robots
from transreward.domains.domain import Success
from transreward.domains.names import Entry, positions
from transreward.domains.robot import Robot, Rows, Term, Weighted, in_order
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
    """The robot with its reward terms multiplied by `weights` (default 1; 0 removes a term) and with `new` terms.

    A weight for a term in `Robot.more` adds that term.

    Raises:
        RequestError: a new term has the name of one of the robot's own, a term is not paid any more, or none is left.
    """
    for name in (name for name, weight in weights.items() if weight and name not in {**robot.terms, **robot.more}):
        raise RequestError(f"a task before it pays for no '{name}' of {robot.name} any more: leave one of the two out")
    for name in new.keys() & {**robots.row(robot.name).terms, **robots.row(robot.name).more}.keys():
        raise RequestError(f"a task of {robot.name} cannot pay for '{name}', which its own task has: rename that term")
    terms = {}
    more = {k: robot.more[k] for k in weights if k in robot.more and k not in robot.terms}  # else it is weighed already
    for name, term in {**robot.terms, **more, **new}.items():
        weight = weights.get(name, 1.0)
        if weight:
            terms[name] = term if weight == 1 else Weighted(weight, term)
    if not terms:
        raise RequestError(f"no reward term of {robot.name} is left: keep one above or below 0")
    told = tuple(one for one in robot.success if all(x in new or weights.get(x, 1.0) == 1 for x in one.terms))
    return replace(robot, terms=terms, total=in_order, success=told)


def told_by(robot: Robot, *success: Success) -> Robot:
    """The robot, of whose task these numbers say whether it is done."""
    return replace(robot, success=success)


def _mean(mean: Array, last: Array) -> Array:
    return -mean


@dataclass(frozen=True)
class Wanted:
    """A term of a task with numbers of its own; two are the same where these and what is paid for them are."""

    paid: Callable[..., Array]  # (rows, *numbers) -> [n]
    numbers: tuple[float, ...] = ()

    def __call__(self, s: Rows) -> Array:
        return self.paid(s, *self.numbers)


@dataclass(frozen=True)
class Users:
    """A user's function as a term; two are the same where they are one function."""

    name: str
    reward: Reward

    def __call__(self, s: Rows) -> Array:
        given = (read_only(x) for x in (s.obs, s.action, s.next_obs))
        return numbers(f"the reward '{self.name}'", self.reward(*given), (len(s.obs),))


def _backward(robot: Robot, values: Values) -> Robot:
    return weigh(robot, {"forward": -1.0})


def _speed(robot: Robot, values: Values) -> Robot:
    paid = weigh(robot, {"forward": 0.0}, speed=Wanted(_tracked, (values["speed"],)))
    return told_by(paid, Success("tracking error", "m/s", "speed", _mean))


def _tracked(s: Rows, speed: float) -> Array:
    return -np.abs(s.velocity - speed)


def _stand(robot: Robot, values: Values) -> Robot:
    paid = weigh(robot, {"forward": 0.0}, still=Wanted(_still))
    return told_by(paid, Success("tracking error", "m/s", "still", _mean))


def _still(s: Rows) -> Array:
    return -np.abs(s.velocity)


def _direction(robot: Robot, values: Values) -> Robot:
    angle = math.radians(values["degrees"])
    along, aside = (round(x, 12) for x in (math.cos(angle), math.sin(angle)))  # exactly 0 at quarter turns
    return weigh(robot, {"forward": along, "sideways": aside})


def _goal(robot: Robot, values: Values) -> Robot:
    goal = np.array([values["x"], values["y"]])
    if robot.side is not None:  # it moves in the plane
        paid = weigh(placed(robot), {"forward": 0.0}, near=Wanted(_near, (values["x"], values["y"])))
        return told_by(paid, Success("reached", "", "near", lambda mean, last: last >= NEAR / (1.0 + WITHIN)))
    if not np.linalg.norm(goal) < REACH:
        raise RequestError(f"the goal of {robot.name} must be nearer than {REACH} m to its shoulder, not {goal}")

    return _with_goal(robot, goal)


def _with_goal(robot: Robot, goal: Array) -> Robot:
    """The robot whose last positions, which hold its goal, are always this one."""

    def draw(rng, qpos, qvel):
        qpos, qvel = robot.draw(rng, qpos, qvel)
        qpos[-len(goal) :] = goal
        return qpos, qvel

    return replace(robot, draw=draw)


def _reach(robot: Robot, values: Values) -> Robot:
    goal, goals = np.array([values[axis] for axis in "xyz"]), robot.goals
    assert goals is not None
    middle = goals.mean(axis=0)
    if np.linalg.norm(goal - middle) > np.linalg.norm(goals - middle, axis=1).max():
        low, high = goals.min(axis=0).round(2).tolist(), goals.max(axis=0).round(2).tolist()
        raise RequestError(f"{robot.name} does not reach {goal.tolist()}: goals are from {low} to {high}")

    return _with_goal(robot, goal)


def _sparse_goal(robot: Robot, values: Values) -> Robot:
    paid = weigh(placed(robot), {"forward": 0.0}, arrived=Wanted(_arrived, (values["x"], values["y"])))
    return told_by(paid, Success("reached", "", "arrived", lambda mean, last: last > 0))


def _near(s: Rows, *goal: float) -> Array:
    return NEAR / (1.0 + _apart(s, goal))


def _arrived(s: Rows, *goal: float) -> Array:
    return NEAR * (_apart(s, goal) <= WITHIN)


def _apart(s: Rows, goal: tuple[float, ...]) -> Array:
    """Distance [n] from the goal to the robot's observed position, m."""
    return np.linalg.norm(s.next_obs[:, :2] - np.array(goal), axis=1)


def placed(robot: Robot) -> Robot:
    """The robot with its position (x, y) in the plane, from where it begins, as the first two columns of the
    observation."""
    if robot.placed:
        return robot
    observe, show = robot.observe, robot.show
    place, begin = slice(robot.begins[0], robot.begins[0] + 2), np.array(robot.begins[1:])

    def show_place(model: Any) -> list[Entry]:
        return [*positions(model)[place], *(show(model) if show else ())]

    def observe_place(s: Rows) -> Array:
        return np.concatenate([s.qpos[:, place] - begin, observe(s)], axis=1)

    def invert_place(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
        qpos, qvel = robot.invert(obs[:, 2:], nq, nv)  # type: ignore[misc]
        here = obs[:, :2] + begin
        return np.concatenate([qpos[:, : place.start], here, qpos[:, place.stop :]], axis=1), qvel

    def shown_place(obs: Array, nq: int, nv: int) -> dict[str, Array]:
        return robot.shown(obs[:, 2:], nq, nv)  # type: ignore[misc]

    seen = {"invert": robot.invert and invert_place, "shown": robot.shown and shown_place}
    return replace(robot, observe=observe_place, show=show_place, placed=True, **seen)


def _terms(robot: Robot, values: Values) -> Robot:
    for name, weight in values.items():
        known = {**robot.terms, **robot.more}
        if name not in known:
            raise nearest(name, known, f"reward term of {robot.name}")
        if weight == 1 and name in robot.terms:
            raise RequestError(f"terms({name}=1) changes nothing: the number multiplies the term, leave it out")
    return weigh(robot, values)


NEAR = 5.0  # reward per step at a goal in the plane, about what walking fast earns
WITHIN = 0.5  # m, radius of a sparse goal
REACH = 0.2  # m, radius within which reacher's own task draws its goals
ANY = "any term"


@dataclass(frozen=True)
class Kind:
    """One row of the table of tasks."""

    name: str
    doc: str
    compose: Callable[[Robot, Values], Robot]
    values: dict[str, float | None]  # parameter -> default; None = required
    needs: tuple[str, ...] = ("forward",)  # one of these suffices: a term of the robot's task or `more`, a robot, ANY

    @property
    def usage(self) -> str:
        """How it is written in an id, for messages."""
        shown = ",".join(f"{key}=<{'factor' if key == ANY else 'number'}>" for key in self.values)
        shown = shown.replace(ANY, "<term>")
        return f"{self.name}({shown})" if shown else self.name

    def suits(self, robot: Robot) -> bool:
        """True if the robot can have this task."""
        return any(n in (ANY, robot.name) or n in {**robot.terms, **robot.more} for n in self.needs)


TASKS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("backward", "reward for the backward velocity", _backward, {}),
        Kind("run", "keep a forward speed in m/s (default 3): reward -|difference|", _speed, {"speed": 3.0}),
        Kind("walk", "the same with a default of 1 m/s", _speed, {"speed": 1.0}),
        Kind("hop", "another name of walk, for one leg", _speed, {"speed": 1.0}),
        Kind("stand", "stay in place: reward -|speed|", _stand, {}),
        Kind(
            "direction",
            "reward for the velocity in a direction, 90 = left",
            _direction,
            {"degrees": None},
            ("sideways",),
        ),
        Kind(
            "goal",
            "walk to (x, y), in m from the start: reward 5 / (1 + distance); for reacher: fix the goal, in m from its "
            "shoulder",
            _goal,
            {"x": None, "y": None},
            ("reacher", "sideways"),
        ),
        Kind(
            "sparse_goal",
            "walk to (x, y): reward 5 within 0.5 m of it, else 0",
            _sparse_goal,
            {"x": None, "y": None},
            ("sideways",),
        ),
        Kind(
            "reach",
            "bring the tip to (x, y, z), in m in the world's frame: reward -distance",
            _reach,
            {"x": None, "y": None, "z": None},
            ("reach",),
        ),
        Kind("terms", "multiply terms of the robot's own reward; 0 removes one", _terms, {ANY: None}, (ANY,)),
    )
}
OWN = dict(TASKS)  # the package's own rows; see `robots.OWN`


def is_own(task: Task) -> bool:
    """True if the task is the package's own, and neither a user's function nor a row that replaced one."""
    return task.name in OWN and TASKS[task.name] is OWN[task.name]


# -- ids -----------------------------------------------------------------------------------------------------------

NAME = r"[A-Za-z_]\w*"
FUNCTION = rf"{NAME}(?:\.{NAME})*:{NAME}(?![\w(=])"  # stand:gravity=2 is a task and a shift, not a function
ONE = rf"{FUNCTION}|{NAME}(?:\([^()]*\))?"


def split(id: str) -> tuple[list[str], str]:
    """Split `[+task...][:rest]` into the texts of the tasks, and the rest with its colon.

    Raises:
        RequestError: what follows a plus is not written as a task.
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
    """The task of a robot that `text` names: `name`, `name(key=value,...)` or `package.module:function`.

    Raises:
        RequestError: the task or a parameter is unknown or missing, a value is not a number, or the robot cannot have
            the task.
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
    pairs = [_value(kind, part) for part in inside.split(",")] if inside else []
    given = dict(pairs)
    if len(given) < len(pairs):  # of which the last one alone would count
        raise RequestError(f"the task '{text}' has a parameter twice: give each once")
    known = given if ANY in kind.values else kind.values
    for key in given:
        if key not in known:
            raise nearest(key, known, f"parameter of task '{name}'")
    values = {key: given.get(key, default) for key, default in known.items()}
    missing = [key for key, value in values.items() if value is None]
    if missing and not given and name in robot.terms:
        raise RequestError(f"+{name} is what {robot.name} does anyway: leave it out, or fix its goal, {kind.usage}")
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
    """The robot with the tasks applied in order.

    Raises:
        RequestError: the robot does not have a term, a goal is out of reach, or a function cannot be imported.
    """
    for task in tasks:
        if ":" in task.name:
            robot = _with_function(robot, task.name)
        else:
            robot = TASKS[task.name].compose(robot, dict(task.values))
    return robot


# -- stored steps, for which any task of the robot can compute its reward -------------------------------------------


def ingredients(robot: Robot) -> dict[str, Term]:
    """The terms to store with a step so that any task of the robot can compute its reward: those of its own task and of
    `more`, and the forward velocity. `robot` is a row of the table, without tasks."""
    velocity: dict[str, Term] = {"velocity": lambda s: s.velocity} if "forward" in robot.terms else {}
    return {**velocity, **robot.terms, **robot.more}


def pay(robot: Robot, tasks: Sequence[Task], obs: Array, action: Array, next_obs: Array, told: Array) -> Array:
    """The reward [n] of the robot with these tasks for stored steps.

    `obs` and `next_obs` [n, obs]; `action` [n, nu] as executed; `told` [n, ingredients] as stored. The tasks are
    composed as in a simulation, but over terms that return the stored values.
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
    """The robot with a user's function as its only reward term."""
    return replace(robot, terms={name.partition(":")[2]: Users(name, load(name))}, total=in_order, success=())


def load(name: str) -> Reward:
    """The function that `package.module:function` names.

    Raises:
        RequestError: it cannot be imported, or does not take (obs, action, next_obs).
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
