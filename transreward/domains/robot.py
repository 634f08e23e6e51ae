"""The row of the table of robots, and what several robots share: reward terms, observations, resets.

A robot's functions read one `Rows`: n robots side by side. Robots that Gymnasium has too equal its own bit for bit, so
the order of additions and the choice of functions are Gymnasium's, even where another would be shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from importlib.util import find_spec
from math import hypot
from operator import add
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from transreward.domains import names
from transreward.domains.domain import PLUS, Success
from transreward.domains.names import Entry
from transreward.domains.users import in_one_line, numbers, unpacked, whole
from transreward.types import Array, RequestError


class Rows(SimpleNamespace):
    """n robots after a step or a reset; every array has n rows.

    `qpos` [n, nq] and `qvel` [n, nv], the robot's derived `fields` and the positions of its `bodies` [n, 3] are
    MuJoCo's, so derived ones are one substep behind `qpos`, as in Gymnasium. After a step there are also `obs` and
    `next_obs` [n, obs], the executed `action` [n, nu], `velocity` [n] (of the robot's `position`, m/s), `sideways` [n]
    (of its `side`, m/s, if it has one) and `healthy` [n] bool. `body_mass` [n, bodies] is in kg; `timestep` and `dt`
    are the durations of a MuJoCo step and a control step in s. `model` is the compiled model, where all rows have one.
    """

    STEP = frozenset(("obs", "next_obs", "action", "velocity", "sideways", "healthy"))  # set by a step only

    def take(self, rows: Array) -> Rows:
        """Copies of some rows."""
        return Rows(**{k: v[rows] if isinstance(v, np.ndarray) else v for k, v in vars(self).items()})

    def without_step(self) -> Rows:
        """Itself, with the attributes of the latest step removed, for rows that were put into another state."""
        for name in self.STEP:
            vars(self).pop(name, None)
        return self


def went_wrong(what: str, error: BaseException) -> str:
    """What a function of the robot did wrong and what to do about it, in one line."""
    why = str(error) if isinstance(error, RequestError) else f"{what} failed: {in_one_line(error)}"
    if isinstance(error, AttributeError) and isinstance(error.obj, Rows):
        if error.name == "model":
            return f"{what} reads s.model, which rows of several physics do not share: read s.body_mass or s.timestep"
        return f"{what} reads s.{error.name}, which is not there: `fields` and `bodies` name what is read"
    if isinstance(error, ValueError) and "read-only" in why:
        return f"{what} writes into what it is given: let it return arrays of its own"
    return why


def physics_state(what: str, found: Any, qpos: tuple[int, ...], qvel: tuple[int, ...]) -> np.ndarray:
    """A state that a function of a robot returned: qpos and qvel concatenated along the last axis.

    Raises RequestError if `found` is not a pair of numeric arrays of the shapes `qpos` and `qvel`.
    """
    parts = zip(("qpos", "qvel"), unpacked(what, found, ("qpos", "qvel")), (qpos, qvel), strict=True)
    return np.concatenate([numbers(f"{name} of {what}", part, shape) for name, part, shape in parts], axis=-1)


Term = Callable[[Rows], Array]  # a signed contribution to the reward, [n]
Draw = Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]
Show = Callable[[Any], list[Entry]]  # the compiled model -> what each column of an observation is
Invert = Callable[[Array, int, int], tuple[Array, Array]]  # (obs [n, obs], nq, nv) -> qpos, qvel
Shown = Callable[[Array, int, int], dict[str, Array]]  # the same -> fields and positions of bodies, as they were seen


# Functions that make reward terms, from which tasks are composed by name.


@dataclass(frozen=True)
class Along:
    """weight * one of a robot's velocities, by its name in `Rows`."""

    weight: float
    velocity: str

    def __call__(self, s: Rows) -> Array:
        return self.weight * getattr(s, self.velocity)


@dataclass(frozen=True)
class Weighted:
    """A term, multiplied. What tasks are combined of can be read from it: see `weighed`."""

    weight: float
    term: Term

    def __call__(self, s: Rows) -> Array:
        return self.weight * self.term(s)


def forward(weight: float) -> Term:
    return Along(weight, "velocity")


def sideways(weight: float) -> Term:
    return Along(weight, "sideways")


def survive(weight: float) -> Term:
    return lambda s: weight * s.healthy


def power(weight: float) -> Term:
    """-weight * the power of all actuators over the robot's weight, m/s: what it costs to be moved."""

    def term(s: Rows) -> Array:
        watts = np.abs(s.qfrc_actuator * s.qvel).sum(axis=1)
        return -weight * watts / (9.81 * s.body_mass.sum(axis=1))

    return term


def control(weight: float) -> Term:
    return lambda s: -(weight * np.square(s.action).sum(axis=1))


def contact(weight: float, force: float = np.inf, cost: float = np.inf) -> Term:
    """-weight * sum of squared external forces, each clipped to +-force, and at least -cost."""

    def term(s: Rows) -> Array:
        forces = s.cfrc_ext if force == np.inf else s.cfrc_ext.clip(-force, force)
        return -np.minimum(weight * np.square(forces).reshape(len(forces), -1).sum(axis=1), cost)

    return term


def distance(a: str, b: str, weight: float) -> Term:
    """-weight * the distance between two bodies, m."""

    def term(s: Rows) -> Array:
        apart = getattr(s, a) - getattr(s, b)
        return -np.sqrt(np.vecdot(apart, apart)) * weight  # the same dot product as np.linalg.norm of one vector

    return term


def in_order(terms: Sequence[Array]) -> Array:
    return reduce(add, terms)


def in_halves(terms: Sequence[Array]) -> Array:
    """(rewards) + (costs), two of each: Gymnasium's order for ant and humanoid."""
    return (terms[0] + terms[1]) + (terms[2] + terms[3])


# The position whose velocity is the forward velocity, and a task that never terminates.


def nearer(than: float) -> Callable[[Array, Array], Array]:
    """Reads from a term that is -distance whether it was less than so many m at the end."""
    return lambda mean, last: (last > -than).astype(float)


def root(s: Rows) -> Array:
    return s.qpos[:, 0]


def always(s: Rows) -> Array:
    return np.ones(len(s.qpos), bool)


# What says whether a task is done, beside its return.


@dataclass(frozen=True)
class AtLeast:
    """Reads whether the mean of an episode was at least so much."""

    least: float

    def __call__(self, mean: Array, last: Array) -> Array:
        return (mean >= self.least).astype(float)


MOVED, PUSHED, STOOD = "moved", "pushed", "stood"  # names of successes


def moved(terms: Mapping[str, Term], pace: float) -> tuple[Success, ...]:
    """Share of episodes whose mean speed the way that the terms pay for is at least `pace` (m/s); nothing where they
    pay for none."""
    ways = {name: weight for name, term in terms.items() if (weight := _way(term))}
    return (Success(MOVED, "", PLUS.join(ways), AtLeast(pace * hypot(*ways.values()))),) if ways else ()


def _way(term: Term) -> float:
    """What a term pays for each m/s of a velocity; 0 if it pays for none."""
    weight = 1.0
    while isinstance(term, Weighted):
        weight, term = weight * term.weight, term.term
    return weight * term.weight if isinstance(term, Along) else 0.0


FALLEN = Success("fallen", "", "", lambda mean, last: mean)  # share of episodes that were terminated
# share of episodes at whose end the trunk of a robot in a plane is turned by less than a quarter
UPRIGHT = Success("upright", "", "", lambda mean, last: (np.cos(last) > 0).astype(float), "rooty angle")
PACE = 0.5  # m/s, more than twice as fast as a half-cheetah that moves at random


# Observations, their entries, and their inverses. The position in the plane is observed only if the task is a goal
# there: every other task is the same everywhere.


def columns(*parts: Array) -> Array:
    return np.concatenate(parts, axis=1)


def state(skip: int, clip: float = np.inf) -> Callable[[Rows], Array]:
    """Observations of `qpos` without the first `skip`, and of `qvel` clipped to +-clip."""

    def observe(s: Rows) -> Array:
        return columns(s.qpos[:, skip:], s.qvel if clip == np.inf else s.qvel.clip(-clip, clip))

    return observe


def show_state(skip: int, clip: float = np.inf) -> Show:
    return lambda model: [*names.positions(model, skip, rest=np.asarray(model.qpos0)), *names.velocities(model, clip)]


def of_state(skip: int) -> Invert:
    """The inverse of `state(skip)`, with 0 for what was skipped; further columns are ignored."""

    def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
        place = np.zeros((len(obs), skip))
        return columns(place, obs[:, : nq - skip]), obs[:, nq - skip : nq - skip + nv]

    return invert


# Resets of one robot: (generator, the model's qpos, qvel) -> the drawn (qpos, qvel).


def uniform(scale: float) -> Draw:
    def draw(rng, qpos, qvel):
        return qpos + rng.uniform(-scale, scale, qpos.size), qvel + rng.uniform(-scale, scale, qvel.size)

    return draw


def gaussian(scale: float) -> Draw:
    """Positions uniform within +-scale, velocities Gaussian with standard deviation `scale`."""

    def draw(rng, qpos, qvel):
        return qpos + rng.uniform(-scale, scale, qpos.size), qvel + scale * rng.standard_normal(qvel.size)

    return draw


def posed(model: Any, pose: str) -> np.ndarray:
    """The positions of a compiled model in a keyframe, or in the model's own pose if that is empty, [nq], a copy."""
    return np.array(model.key(pose).qpos if pose else model.qpos0)


class Plan(NamedTuple):
    """Of how many equal parts a robot may consist. `build` changes its `MjSpec` so that it has so many."""

    fewest: int
    most: int
    build: Callable[[Any, int], None]


@dataclass(frozen=True)
class View:
    """A camera for videos. It follows the robot along the floor but not up and down, so that a hop is visible."""

    distance: float = 4.0  # m
    height: float = 0.6  # m above the floor, of the middle of the picture
    elevation: float = -12.0  # degrees, below 0 = from above
    azimuth: float = 90.0  # degrees, 90 = from its right
    follow: str | None = "torso"  # the body that stays in the middle; None = a fixed camera


@dataclass(frozen=True)
class Robot:
    """One row of the table: a robot with its own task, which `tasks.py` can change.

    Raises:
        RequestError: `terms` is not a mapping with at least one entry, a term has a reserved name, or `frame_skip` or
            `episode_steps` is not a whole number above 0.
    """

    name: str
    doc: str
    gym_id: str
    xml: str  # a file of the gymnasium package
    frame_skip: int  # MuJoCo steps per control step
    observe: Callable[[Rows], Array]  # [n, obs]
    terms: dict[str, Term]  # in the order in which `total` adds them
    draw: Draw
    invert: Invert | None = None  # from observations to states; None = they do not show all of the state
    clip: float = np.inf  # velocities are observed within +-clip, so one at the clip is not known exactly
    healthy: Callable[[Rows], Array] = always  # [n] bool; not healthy = terminated
    position: Callable[[Rows], Array] = root  # [n], m
    side: Callable[[Rows], Array] | None = None  # [n], m to the left, for robots that move in a plane
    more: dict[str, Term] = field(default_factory=dict)  # terms that its own task does not use
    fields: tuple[str, ...] = ()  # derived MjData fields that the functions read
    bodies: tuple[str, ...] = ()  # bodies whose positions they read, by name
    total: Callable[[Sequence[Array]], Array] = in_order
    show: Show | None = None  # the entries of an observation, one per column; None = they are numbered
    placed: bool = False  # whether its position in the plane is observed, in the first columns
    begins: tuple[int, float, float] = (0, 0.0, 0.0)  # column of `qpos` in which x is, before y; and where it begins, m
    plans: dict[str, Plan] = field(default_factory=dict)  # legs, links: numbers of parts that a shift may set
    view: View | None = None  # None = MuJoCo's own fixed camera
    episode_steps: int = 1000
    file: Path | None = None  # the model's file, if not one of the gymnasium package
    prepare: Callable[[Any], None] | None = None  # changes its `MjSpec` before any shift
    pose: str = ""  # keyframe that `draw` is given; empty = the model's own positions
    shown: Shown | None = None  # what an observation shows of the fields and bodies that its terms read
    success: tuple[Success, ...] = ()  # what says whether its own task is done
    posture: tuple[Success, ...] = ()  # what says how it ended, whatever its task
    pace: float = PACE  # m/s, at which one that cannot fall has moved the way that it is paid for
    goals: np.ndarray | None = field(default=None, compare=False)  # [n, 3] m, where what reaches can be

    def __post_init__(self) -> None:
        for what in ("frame_skip", "episode_steps"):
            whole(f"'{self.name}': {what}", getattr(self, what))
        if not isinstance(self.terms, dict) or not self.terms:
            raise RequestError(f"'{self.name}': terms must be a dict of names and their functions, at least one")
        # names of the attributes that stored steps have; tasks that pay for a speed read the velocity
        taken = {"obs", "next_obs", "action", *(("velocity",) if "forward" in self.terms else ())}
        for name in sorted(taken & {*self.terms, *self.more}):
            raise RequestError(f"'{self.name}': a term cannot be called '{name}', which names a part of every step")

    @property
    def judged(self) -> tuple[Success, ...]:
        """See `Judged`: what its task says; whether it has moved, or, if it can fall, has fallen; how it ended."""
        able = (FALLEN,) if self.healthy is not always else moved(self.terms, self.pace)
        return (*self.success, *able, *self.posture)

    def posed(self, model: Any) -> np.ndarray:
        """The positions of a compiled model in this robot's pose, [nq], a copy."""
        return posed(model, self.pose)

    @property
    def path(self) -> Path:
        """The model's file, found without importing gymnasium. Raises RequestError if gymnasium is not installed."""
        if self.file is not None:
            return self.file
        spec = find_spec("gymnasium")
        if spec is None or spec.origin is None:
            raise RequestError("the package gymnasium is missing: pip install gymnasium")
        return Path(spec.origin).parent / "envs" / "mujoco" / "assets" / self.xml
