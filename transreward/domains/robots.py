"""The eleven MuJoCo robots of Gymnasium v5: what each observes, earns and starts from, as functions on arrays.

A robot's functions read one `Rows`: n robots side by side. The numbers equal Gymnasium's bit for bit, so the order
of additions and the choice of functions below is Gymnasium's, also where another would be shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from importlib.util import find_spec
from operator import add
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.users import whole
from transreward.types import Array, RequestError


class Rows(SimpleNamespace):
    """n robots of one model after a step or a reset; every array has n rows.

    `qpos` [n, nq] and `qvel` [n, nv], the robot's derived `fields` and the positions of its `bodies` [n, 3] are
    MuJoCo's, so derived ones are one substep behind `qpos`, as they are in Gymnasium. After a step there are also
    `obs` and `next_obs` [n, obs], `action` [n, nu], `velocity` [n] (of the robot's `position`, m/s), `sideways` [n]
    (of its `side`, where a term is called so) and `healthy` [n]. `model` is the compiled model, `dt` a control step's
    seconds.
    """

    STEP = frozenset(("obs", "next_obs", "action", "velocity", "sideways", "healthy"))  # what only a step fills in

    def take(self, rows: Array) -> Rows:
        """Copies of some rows."""
        return Rows(**{k: v[rows] if isinstance(v, np.ndarray) else v for k, v in vars(self).items()})

    def without_step(self) -> Rows:
        """Itself, less what a step left there: the robot was put somewhere else."""
        for name in self.STEP:
            vars(self).pop(name, None)
        return self


Term = Callable[[Rows], Array]  # a signed contribution to the reward, [n]
Draw = Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]
Show = Callable[[Any], list[Entry]]  # the compiled model -> what each column of an observation is
Invert = Callable[[Array, int, int], tuple[Array, Array]]  # (obs [n, obs], nq, nv) -> qpos, qvel


# Terms: each of these makes one, so that a task is a composition of named terms.


def forward(weight: float) -> Term:
    return lambda s: weight * s.velocity


def sideways(weight: float) -> Term:
    return lambda s: weight * s.sideways


def survive(weight: float) -> Term:
    return lambda s: weight * s.healthy


def control(weight: float) -> Term:
    return lambda s: -(weight * np.square(s.action).sum(axis=1))


def contact(weight: float, force: float = np.inf, cost: float = np.inf) -> Term:
    """External forces above `force` count as `force`, and the whole at most `cost`."""

    def term(s: Rows) -> Array:
        forces = s.cfrc_ext if force == np.inf else s.cfrc_ext.clip(-force, force)
        return -np.minimum(weight * np.square(forces).reshape(len(forces), -1).sum(axis=1), cost)

    return term


def distance(a: str, b: str, weight: float) -> Term:
    """The distance between two bodies."""

    def term(s: Rows) -> Array:
        apart = getattr(s, a) - getattr(s, b)
        return -np.sqrt(np.vecdot(apart, apart)) * weight  # the same dot product as np.linalg.norm of one vector

    return term


def _height(s: Rows) -> Array:
    return s.qpos[:, 2] / s.model.opt.timestep


def _square(x: Array) -> Array:
    """`x**2` as one NumPy scalar at a time has it: libm's pow, which is not always x * x."""
    return np.array([v**2 for v in x.tolist()])


def _tip_distance(s: Rows) -> Array:
    x, y = s.site_xpos[:, 0, 0], s.site_xpos[:, 0, 2]
    return -(0.01 * _square(x) + _square(y - 2))


def _pole_velocity(s: Rows) -> Array:
    return -(1e-3 * _square(s.qvel[:, 1]) + 5e-3 * _square(s.qvel[:, 2]))


def in_order(terms: Sequence[Array]) -> Array:
    return reduce(add, terms)


def _in_halves(terms: Sequence[Array]) -> Array:
    """(rewards) + (costs), two of each: Gymnasium's order for ant and humanoid."""
    return (terms[0] + terms[1]) + (terms[2] + terms[3])


# Where the forward velocity is measured.


def _root(s: Rows) -> Array:
    return s.qpos[:, 0]


def _torso(s: Rows) -> Array:
    return s.torso[:, 0]


def _torso_side(s: Rows) -> Array:
    return s.torso[:, 1]


def _mass_centre(s: Rows, axis: int = 0) -> Array:
    mass = s.model.body_mass
    return np.einsum("b,nbj->nj", mass, s.xipos)[:, axis] / mass.sum()


def _mass_centre_side(s: Rows) -> Array:
    return _mass_centre(s, 1)


# Healthy: the task goes on.


def _always(s: Rows) -> Array:
    return np.ones(len(s.qpos), bool)


def _inverted_pendulum_healthy(s: Rows) -> Array:
    return np.abs(s.qpos[:, 1]) <= 0.2


def _inverted_double_pendulum_healthy(s: Rows) -> Array:
    return s.site_xpos[:, 0, 2] > 1


def _hopper_healthy(s: Rows) -> Array:
    z, angle = s.qpos[:, 1], s.qpos[:, 2]
    small = (np.abs(s.qpos[:, 2:]) < 100).all(axis=1) & (np.abs(s.qvel) < 100).all(axis=1)
    return small & (z > 0.7) & (np.abs(angle) < 0.2)


def _walker2d_healthy(s: Rows) -> Array:
    z, angle = s.qpos[:, 1], s.qpos[:, 2]
    return (z > 0.8) & (z < 2.0) & (np.abs(angle) < 1.0)


def _ant_healthy(s: Rows) -> Array:
    return (s.qpos[:, 2] >= 0.2) & (s.qpos[:, 2] <= 1.0)


def _humanoid_healthy(s: Rows) -> Array:
    return (s.qpos[:, 2] > 1.0) & (s.qpos[:, 2] < 2.0)


# Observations.


def _columns(*parts: Array) -> Array:
    return np.concatenate(parts, axis=1)


def _state(skip: int, clip: float = np.inf) -> Callable[[Rows], Array]:
    """Positions but for the first `skip`, and velocities within `clip`."""

    def observe(s: Rows) -> Array:
        return _columns(s.qpos[:, skip:], s.qvel if clip == np.inf else s.qvel.clip(-clip, clip))

    return observe


def _observe_inverted_double_pendulum(s: Rows) -> Array:
    angles = s.qpos[:, 1:]
    force = s.qfrc_constraint[:, :1].clip(-10, 10)
    return _columns(s.qpos[:, :1], np.sin(angles), np.cos(angles), s.qvel.clip(-10, 10), force)


def _observe_reacher(s: Rows) -> Array:
    angles = s.qpos[:, :2]
    return _columns(np.cos(angles), np.sin(angles), s.qpos[:, 2:], s.qvel[:, :2], (s.fingertip - s.target)[:, :2])


def _observe_pusher(s: Rows) -> Array:
    return _columns(s.qpos[:, :7], s.qvel[:, :7], s.tips_arm, s.object, s.goal)


def _observe_ant(s: Rows) -> Array:
    return _columns(s.qpos[:, 2:], s.qvel, s.cfrc_ext[:, 1:].clip(-1, 1).reshape(len(s.qpos), -1))


def _observe_humanoid(s: Rows) -> Array:
    inertia, velocity, force = (x[:, 1:].reshape(len(x), -1) for x in (s.cinert, s.cvel, s.cfrc_ext))
    return _columns(s.qpos[:, 2:], s.qvel, inertia, velocity, s.qfrc_actuator[:, 6:], force)


# What each column of them is.


def _show_state(skip: int, clip: float = np.inf) -> Show:
    return lambda model: [*names.positions(model, skip), *names.velocities(model, clip)]


def _show_inverted_double_pendulum(model: Any) -> list[Entry]:
    cart, *angles = names.positions(model)
    turned = [*names.function("sin", angles), *names.function("cos", angles)]
    return [cart, *turned, *names.velocities(model, 10), *names.forces(model, "constraint", clip=10)[:1]]


def _show_reacher(model: Any) -> list[Entry]:
    positions = names.positions(model)
    angles, goal = positions[:2], positions[2:]
    turned = [*names.function("cos", angles), *names.function("sin", angles)]
    return [*turned, *goal, *names.velocities(model)[:2], *names.place("fingertip - target", "xy")]


def _show_pusher(model: Any) -> list[Entry]:
    places = [entry for body in ("tips_arm", "object", "goal") for entry in names.place(body)]
    return [*names.positions(model)[:7], *names.velocities(model)[:7], *places]


def _show_ant(model: Any) -> list[Entry]:
    return [*_show_state(skip=2)(model), *names.contacts(model, clip=1)]


def _show_humanoid(model: Any) -> list[Entry]:
    bodies = [*names.inertias(model), *names.body_velocities(model)]
    forces = names.forces(model, "actuator", skip=6)
    return [*_show_state(skip=2)(model), *bodies, *forces, *names.contacts(model)]


# From an observation back to the state that shows it. Where the robot stands in the plane is not observed, unless its
# task is a goal there, and does not matter else: every other task is the same everywhere.


def of_state(skip: int) -> Invert:
    """The inverse of `_state(skip)`, whatever follows in the observation."""

    def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
        place = np.zeros((len(obs), skip))
        return _columns(place, obs[:, : nq - skip]), obs[:, nq - skip : nq - skip + nv]

    return invert


def _invert_inverted_double_pendulum(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    return _columns(obs[:, :1], np.arctan2(obs[:, 1:3], obs[:, 3:5])), obs[:, 5:8]


def _invert_reacher(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    angles = np.arctan2(obs[:, 2:4], obs[:, :2])
    return _columns(angles, obs[:, 4:6]), _columns(obs[:, 6:8], np.zeros((len(obs), 2)))


# Reset draws for one robot: (generator, the model's qpos, qvel) -> (qpos, qvel).


def _uniform(scale: float) -> Draw:
    def draw(rng, qpos, qvel):
        return qpos + rng.uniform(-scale, scale, qpos.size), qvel + rng.uniform(-scale, scale, qvel.size)

    return draw


def _gaussian(scale: float) -> Draw:
    """Gaussian in the velocities alone."""

    def draw(rng, qpos, qvel):
        return qpos + rng.uniform(-scale, scale, qpos.size), qvel + scale * rng.standard_normal(qvel.size)

    return draw


def _draw_reacher(rng, qpos, qvel):
    qpos = rng.uniform(-0.1, 0.1, qpos.size) + qpos
    while True:
        goal = rng.uniform(-0.2, 0.2, 2)
        if np.linalg.norm(goal) < 0.2:
            break
    qvel = qvel + rng.uniform(-0.005, 0.005, qvel.size)
    qpos[-2:], qvel[-2:] = goal, 0
    return qpos, qvel


def _draw_pusher(rng, qpos, qvel):
    while True:
        cylinder = np.concatenate([rng.uniform(-0.3, 0, 1), rng.uniform(-0.2, 0.2, 1)])
        if np.linalg.norm(cylinder) > 0.17:
            break
    qpos, qvel = qpos.copy(), qvel + rng.uniform(-0.005, 0.005, qvel.size)
    qpos[-4:-2], qpos[-2:], qvel[-4:] = cylinder, 0, 0
    return qpos, qvel


@dataclass(frozen=True)
class View:
    """From where a robot is looked at. It is followed along the floor, not up and down, so that a hop is seen."""

    distance: float = 4.0  # m
    height: float = 0.6  # m above the floor, of the middle of the picture
    elevation: float = -12.0  # degrees, below 0 = from above
    azimuth: float = 90.0  # degrees, 90 = from its right
    follow: str | None = "torso"  # the body that stays in the middle; None = the camera stands


@dataclass(frozen=True)
class Robot:
    """One row of the table: a body with its own task; `tasks.py` makes others of it.

    Raises RequestError for terms that are no functions by name, and numbers of steps that are none.
    """

    name: str
    doc: str
    gym_id: str
    xml: str  # a file of the gymnasium package
    frame_skip: int  # MuJoCo steps a control step
    observe: Callable[[Rows], Array]  # [n, obs]
    terms: dict[str, Term]  # in the order in which `total` adds them
    draw: Draw
    invert: Invert | None = None  # the state that an observation shows; None = it does not show all of it
    clip: float = np.inf  # velocities are observed within +-clip, so that one at the clip is not known
    healthy: Callable[[Rows], Array] = _always  # [n] bool; not healthy = terminated
    position: Callable[[Rows], Array] = _root  # [n], m
    side: Callable[[Rows], Array] | None = None  # [n], m: to the left, where the robot moves in a plane
    more: dict[str, Term] = field(default_factory=dict)  # terms that its own task does not have
    fields: tuple[str, ...] = ()  # derived MjData fields that the functions read
    bodies: tuple[str, ...] = ()  # bodies whose positions they read, by name
    total: Callable[[Sequence[Array]], Array] = in_order
    show: Show | None = None  # the observation's entries, as many as there are columns; None = they are numbered
    placed: bool = False  # whether it observes where it stands in the plane, in front of all else
    view: View | None = None  # None = MuJoCo's own camera, which stands
    episode_steps: int = 1000

    def __post_init__(self) -> None:
        for what in ("frame_skip", "episode_steps"):
            whole(f"'{self.name}': {what}", getattr(self, what))
        if not isinstance(self.terms, dict) or not self.terms:
            raise RequestError(f"'{self.name}': terms must be a dict of names and their functions, at least one")
        # stored steps are told by these names, and speeds judged by the velocity
        taken = {"obs", "next_obs", "action", *(("velocity",) if "forward" in self.terms else ())}
        for name in sorted(taken & {*self.terms, *self.more}):
            raise RequestError(f"'{self.name}': a term cannot be called '{name}', which names a part of every step")

    @property
    def path(self) -> Path:
        """The model's file, found without importing gymnasium."""
        spec = find_spec("gymnasium")
        if spec is None or spec.origin is None:
            raise RequestError("the package gymnasium is missing: pip install gymnasium")
        return Path(spec.origin).parent / "envs" / "mujoco" / "assets" / self.xml


_humanoid: dict[str, Any] = {
    "frame_skip": 5,
    "observe": _observe_humanoid,
    "show": _show_humanoid,
    "invert": of_state(skip=2),
    "draw": _uniform(0.01),
    "fields": ("cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos"),
    "position": _mass_centre,
    "view": View(3.6, 0.8),
}

_TABLE = [
    Robot(
        "inverted_pendulum",
        "a pole on a cart: keep it upright",
        "InvertedPendulum-v5",
        "inverted_pendulum.xml",
        frame_skip=2,
        observe=_state(skip=0),
        show=_show_state(skip=0),
        invert=of_state(skip=0),
        terms={"survive": survive(1)},
        draw=_uniform(0.01),
        healthy=_inverted_pendulum_healthy,
        view=View(2.2, 0.25, follow=None),
    ),
    Robot(
        "inverted_double_pendulum",
        "two poles on a cart: keep them upright",
        "InvertedDoublePendulum-v5",
        "inverted_double_pendulum.xml",
        frame_skip=5,
        observe=_observe_inverted_double_pendulum,
        show=_show_inverted_double_pendulum,
        invert=_invert_inverted_double_pendulum,
        clip=10,
        terms={"survive": survive(10), "distance": _tip_distance, "velocity": _pole_velocity},
        draw=_gaussian(0.1),
        healthy=_inverted_double_pendulum_healthy,
        fields=("site_xpos", "qfrc_constraint"),
        view=View(3.0, 0.55, follow=None),
    ),
    Robot(
        "reacher",
        "a two-joint arm: bring the fingertip to the target",
        "Reacher-v5",
        "reacher.xml",
        frame_skip=2,
        observe=_observe_reacher,
        show=_show_reacher,
        invert=_invert_reacher,
        terms={"distance": distance("fingertip", "target", 1), "control": control(1)},
        draw=_draw_reacher,
        bodies=("fingertip", "target"),
        episode_steps=50,
        view=View(0.85, 0.0, -75, follow=None),
    ),
    Robot(
        "pusher",
        "a seven-joint arm: push the cylinder to the goal",
        "Pusher-v5",
        "pusher_v5.xml",
        frame_skip=5,
        observe=_observe_pusher,
        show=_show_pusher,
        terms={
            "distance": distance("object", "goal", 1),
            "control": control(0.1),
            "near": distance("object", "tips_arm", 0.5),
        },
        draw=_draw_pusher,
        bodies=("tips_arm", "object", "goal"),
        episode_steps=100,
        view=View(2.7, -0.1, -35, 160, follow=None),
    ),
    Robot(
        "swimmer",
        "three links in a viscous fluid: swim forward",
        "Swimmer-v5",
        "swimmer.xml",
        frame_skip=4,
        observe=_state(skip=2),
        show=_show_state(skip=2),
        invert=of_state(skip=2),
        terms={"forward": forward(1), "control": control(1e-4)},
        draw=_uniform(0.1),
        view=View(5.0, 0.0, -50),
    ),
    Robot(
        "hopper",
        "one leg in a plane: hop forward without falling",
        "Hopper-v5",
        "hopper.xml",
        frame_skip=4,
        observe=_state(skip=1, clip=10),
        show=_show_state(skip=1, clip=10),
        invert=of_state(skip=1),
        clip=10,
        terms={"forward": forward(1), "survive": survive(1), "control": control(1e-3)},
        draw=_uniform(5e-3),
        healthy=_hopper_healthy,
        view=View(2.9, 0.8),
    ),
    Robot(
        "walker2d",
        "two legs in a plane: walk forward without falling",
        "Walker2d-v5",
        "walker2d_v5.xml",
        frame_skip=4,
        observe=_state(skip=1, clip=10),
        show=_show_state(skip=1, clip=10),
        invert=of_state(skip=1),
        clip=10,
        terms={"forward": forward(1), "survive": survive(1), "control": control(1e-3)},
        draw=_uniform(5e-3),
        healthy=_walker2d_healthy,
        view=View(3.2, 0.8),
    ),
    Robot(
        "halfcheetah",
        "half a cheetah in a plane: run forward",
        "HalfCheetah-v5",
        "half_cheetah.xml",
        frame_skip=5,
        observe=_state(skip=1),
        show=_show_state(skip=1),
        invert=of_state(skip=1),
        terms={"forward": forward(1), "control": control(0.1)},
        draw=_gaussian(0.1),
        view=View(2.9, 0.45),
    ),
    Robot(
        "ant",
        "four legs: walk forward without flipping",
        "Ant-v5",
        "ant.xml",
        frame_skip=5,
        observe=_observe_ant,
        show=_show_ant,
        invert=of_state(skip=2),
        terms={
            "forward": forward(1),
            "survive": survive(1),
            "control": control(0.5),
            "contact": contact(5e-4, force=1),
        },
        draw=_gaussian(0.1),
        healthy=_ant_healthy,
        position=_torso,
        side=_torso_side,
        more={"sideways": sideways(1)},
        fields=("cfrc_ext",),
        bodies=("torso",),
        total=_in_halves,
        view=View(4.2, 0.4, -25),
    ),
    Robot(
        "humanoid",
        "a human body: walk forward without falling",
        "Humanoid-v5",
        "humanoid.xml",
        terms={
            "forward": forward(1.25),
            "survive": survive(5),
            "control": control(0.1),
            "contact": contact(5e-7, cost=10),
        },
        healthy=_humanoid_healthy,
        side=_mass_centre_side,
        more={"sideways": sideways(1.25)},
        total=_in_halves,
        **_humanoid,
    ),
    Robot(
        "humanoid_standup",
        "a human body on its back: stand up",
        "HumanoidStandup-v5",
        "humanoidstandup.xml",
        terms={
            "height": _height,
            "control": control(0.1),
            "contact": contact(5e-7, cost=10),
            "survive": survive(1),
        },
        **_humanoid,
    ),
]
ROBOTS: dict[str, Robot] = {robot.name: robot for robot in _TABLE}
