"""Robots whose base is fixed: arms, hands, whatever else reaches.

They are paid for a small distance from the tip to a goal, which each episode draws from where the tip can be, and for
little power. An observation shows the position of every joint and their velocities, then the goal (m, in the world's
frame) and the vector from the tip to it.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import mujoco
import numpy as np

from transreward.domains import names
from transreward.domains.domain import Success
from transreward.domains.files.model import EFFORT, Model, Tip, about, near_pose, servos
from transreward.domains.names import BALL, FREE, Entry
from transreward.domains.robot import Draw, Robot, Rows, View, columns, nearer, posed, power
from transreward.domains.shifts.kinds import ADDED, Spec
from transreward.tree import ON_JOINT
from transreward.types import Array, RequestError

TIP, GOAL = ADDED
GOALS = 500  # of which an episode draws one
SHARE = 0.6  # of the way from the pose to a joint's limit, up to which a goal may take it
TURN = 1.5  # rad, from the pose, where a joint has no limit
REACHED = 0.05  # m, to the goal at the end of an episode
CLEAR = 0.05  # m above the lowest that a goal may be


def robot(model: Model) -> Robot:
    """The row of a robot whose base is fixed."""
    tip = model.tip()
    goals = reachable(model, tip)
    return model.row(
        f"bring {tip.name} to a goal",
        200,
        prepare=partial(_prepare, model, tip),
        observe=observe,
        show=partial(show, model.pose),
        invert=invert,
        shown=shown,
        terms={"reach": _reach, "power": power(EFFORT)},
        bodies=(TIP, GOAL),
        draw=begin(about(model), goals),
        goals=goals,
        success=(Success("reached", "", "reach", nearer(REACHED)),),
        view=View(2.0 * float(model.now.stat.extent), float(goals[:, 2].mean()), -20, 120, follow=None),
    )


def _prepare(model: Model, tip: Tip, spec: Spec) -> None:
    model.ready(spec)
    near_pose(model, spec, model.said.servos)
    _mark_tip(model, spec, tip)
    _add_goal(spec)


def _mark_tip(model: Model, spec: Spec, tip: Tip) -> None:
    """A body at the tip: where bodies are is what a robot's functions read. A site may be in a frame of its body, so
    that only the compiled model says where in the body it is."""
    if tip.kind == "site":
        at = model.now.site_pos[model.now.site(tip.name).id]
        spec.site(tip.name).parent.add_body(name=TIP, pos=at)
    else:
        spec.body(tip.name).add_body(name=TIP, pos=tip.at)


def _add_goal(spec: Spec) -> None:
    """A ball that touches nothing and stays where an episode puts it, on three slides, so that a state holds it."""
    goal = spec.worldbody.add_body(name=GOAL, gravcomp=1)
    for axis, along in zip("xyz", np.eye(3).tolist(), strict=True):
        goal.add_joint(name=f"goal {axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=along)
    goal.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[0.02, 0, 0],
        mass=1e-3,
        contype=0,
        conaffinity=0,
        rgba=[0.9, 0.2, 0.2, 1],
    )
    for key in spec.keys:
        for part in ("qpos", "qvel"):
            if len(known := getattr(key, part)):
                setattr(key, part, np.append(known, np.zeros(3)))


def reachable(model: Model, tip: Tip) -> np.ndarray:
    """Where the tip is when hinges and slides are anywhere on part of their way from the pose to a limit, and no
    further than their servos can be told to go, [GOALS, 3].

    Raises RequestError if it is always at one place.
    """
    m, data, rng = model.now, model.data(), np.random.default_rng(0)
    home, found = data.qpos.copy(), np.zeros((GOALS, 3))
    told = servos(model)
    free = [j for j in range(m.njnt) if m.jnt_type[j] not in (FREE, BALL)]
    joints = {int(m.jnt_qposadr[j]): _way(model, j, home, told) for j in free}
    for goal in found:
        data.qpos[:] = home
        for at, (low, high) in joints.items():
            data.qpos[at] += SHARE * (rng.uniform(low, high) - home[at])
        _couple(m, data.qpos)
        mujoco.mj_kinematics(m, data)
        goal[:] = tip.of(data)
    high = found[found[:, 2] > found[:, 2].min() + CLEAR * np.ptp(found[:, 2])]
    if not np.ptp(found, axis=0).any():
        raise RequestError(f"'{model.name}': {tip.name} does not move, so it reaches nothing: say another `tip`")
    return high if len(high) else found


def _way(model: Model, joint: int, home: np.ndarray, known: Mapping[int, tuple[float, float]]) -> tuple[float, float]:
    """The ends of a hinge's or slide's way, of which a goal takes SHARE: its limits, or nearer where the servo that
    drives it alone, of those `known`, can be told no more."""
    m, at = model.now, float(home[model.now.jnt_qposadr[joint]])
    low, high = m.jnt_range[joint].tolist() if m.jnt_limited[joint] else (at - TURN, at + TURN)
    driving = [i for i in range(m.nactuator) if m.actuator_trntype[i] in ON_JOINT and m.actuator_trnid[i, 0] == joint]
    if len(driving) != 1 or driving[0] not in known:
        return low, high
    (i,), (told, gear) = driving, known[driving[0]]
    least, most = (x - told for x in m.actuator_ctrlrange[m.actuator_ctrladr[i]].tolist())
    if model.said.servos:
        least, most = max(least, -model.said.servos * gear), min(most, model.said.servos * gear)
    if m.actuator_gear[m.actuator_outadr[i], 0] < 0:
        least, most = -most, -least
    near, far = (at + x / gear / SHARE for x in (least, most))
    near, far = max(low, near), min(high, far)
    return (near, far) if near < far else (low, high)


def _couple(m: Any, qpos: np.ndarray) -> None:
    """Put joints where equality constraints have them follow others, in the model's order."""
    for i in np.flatnonzero((m.eq_type == mujoco.mjtEq.mjEQ_JOINT) & m.eq_active0.astype(bool)).tolist():
        joint, of = int(m.eq_obj1id[i]), int(m.eq_obj2id[i])
        at = m.jnt_qposadr[joint]
        moved = qpos[m.jnt_qposadr[of]] - m.qpos0[m.jnt_qposadr[of]] if of >= 0 else 0.0
        qpos[at] = m.qpos0[at] + np.polynomial.polynomial.polyval(moved, m.eq_data[i, :5])


def _reach(s: Rows) -> Array:
    return -np.linalg.norm(getattr(s, TIP) - getattr(s, GOAL), axis=1)


def begin(joints: Draw, goals: np.ndarray) -> Draw:
    """As `joints` begin, and with one of the goals, which stays."""

    def draw(rng: np.random.Generator, qpos: Array, qvel: Array) -> tuple[Array, Array]:
        qpos, qvel = joints(rng, qpos, qvel)
        qpos[-3:], qvel[-3:] = goals[rng.integers(len(goals))], 0
        return qpos, qvel

    return draw


def observe(s: Rows) -> Array:
    """See the module, [n, nq + nv]."""
    return columns(s.qpos[:, :-3], s.qvel[:, :-3], s.qpos[:, -3:], getattr(s, GOAL) - getattr(s, TIP))


def show(pose: str, model: Any) -> list[Entry]:
    """The entries of `observe`."""
    joints = names.positions(model, rest=posed(model, pose))[:-3]
    goal = [Entry(f"goal {axis}", "m") for axis in "xyz"]
    to = [Entry(f"tip to goal {axis}", "m") for axis in "xyz"]
    return [*joints, *names.velocities(model)[:-3], *goal, *to]


def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    """The inverse of `observe`: the goal is at rest."""
    joints, goal = nq - 3 + nv - 3, np.zeros((len(obs), 3))
    return columns(obs[:, : nq - 3], obs[:, joints : joints + 3]), columns(obs[:, nq - 3 : joints], goal)


def shown(obs: Array, nq: int, nv: int) -> dict[str, Array]:
    """The tip and the goal, as far as they are apart."""
    apart = obs[:, -3:]
    return {TIP: np.zeros_like(apart), GOAL: apart}
