"""Robots whose base moves freely: quadrupeds, humanoids.

They are paid for the velocity along the world's x axis, for not falling, and for little power. An observation shows
all of the state but the place on the floor:

    height of the base (m); up x, y, z: the world's up in the base's frame, and north x, y, z: the world's x axis there;
    velocity forward, left, up of the base in its frame (m/s); turning x, y, z of it (rad/s);
    then the position of every joint, and their velocities.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.files.model import EFFORT, Model, about, add_floor, floor, near_pose
from transreward.domains.names import Entry
from transreward.domains.robot import (
    Robot,
    Rows,
    View,
    columns,
    forward,
    posed,
    power,
    sideways,
    survive,
)
from transreward.domains.shifts.kinds import Spec
from transreward.types import Array

SERVOS = 0.5  # rad or m
UPRIGHT = 0.5  # cosine of the tilt beyond which a robot has fallen
BASE = 13  # columns before those of joints


def robot(model: Model) -> Robot | None:
    """The row of a robot that moves freely; None for another."""
    if not model.free:
        return None
    joint = model.joints_of(model.base)[0]
    at, of = int(model.now.jnt_qposadr[joint]), int(model.now.jnt_dofadr[joint])
    pose = model.data().qpos
    x, y, height = pose[at : at + 3].tolist()
    ground = floor(model, height)
    name = model.now.body(model.base).name
    return model.row(
        "walk forward without falling",
        1000,
        prepare=partial(_prepare, model),
        observe=partial(observe, at, of),
        show=partial(show, at, of, model.pose),
        invert=partial(invert, at, of),
        healthy=partial(standing, at, ground + model.said.fallen * (height - ground), upward(pose[at + 3 : at + 7])),
        position=partial(_along, at),
        side=partial(_along, at + 1),
        begins=(at, x, y),
        terms={"forward": forward(1.0), "survive": survive(1.0), "power": power(EFFORT)},
        more={"sideways": sideways(1.0)},
        draw=about(model),
        view=View(2.2 * float(model.now.stat.extent), height, -15, 90, name or None),
    )


def _prepare(model: Model, spec: Spec) -> None:
    model.ready(spec)
    near_pose(model, spec, model.said.servos or SERVOS)
    add_floor(model, spec)


def _along(column: int, s: Rows) -> Array:
    return s.qpos[:, column]


def upward(q: np.ndarray) -> tuple[float, ...]:
    """What of the base is up in a robot that stands, in its frame, [3]: its z axis, or what is up in the pose, whose
    quaternion [4] is given, where that axis is not."""
    up = rotation(q[None])[0, 2].tolist()
    return tuple(up) if up[2] <= UPRIGHT else (0.0, 0.0, 1.0)


def standing(at: int, lowest: float, upward: tuple[float, ...], s: Rows) -> Array:
    """Whether the base is high and upright enough, [n] bool."""
    w, x, y, z = s.qpos[:, at + 3 : at + 7].T
    rows = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)  # the world's up in the base's frame
    return (s.qpos[:, at + 2] > lowest) & (sum(u * row for u, row in zip(upward, rows, strict=True)) > UPRIGHT)


def observe(at: int, of: int, s: Rows) -> Array:
    """See the module, [n, 13 + joints]."""
    turn = rotation(s.qpos[:, at + 3 : at + 7])
    speed = np.einsum("nij,ni->nj", turn, s.qvel[:, of : of + 3])  # from the world's frame to the base's
    joints = np.delete(s.qpos, slice(at, at + 7), axis=1), np.delete(s.qvel, slice(of, of + 6), axis=1)
    return columns(s.qpos[:, at + 2 : at + 3], turn[:, 2], turn[:, 0], speed, s.qvel[:, of + 3 : of + 6], *joints)


def show(at: int, of: int, pose: str, model: Any) -> list[Entry]:
    """The entries of `observe`."""
    rest = posed(model, pose)
    unit = [Entry(f"{what} {axis}", "1", "", -1.0, 1.0) for what in ("up", "north") for axis in "xyz"]
    speed = [Entry(f"velocity {way}", "m/s") for way in ("forward", "left", "up")]
    turning = [Entry(f"turning {axis}", "rad/s") for axis in "xyz"]
    joints = [*without(names.positions(model, rest=rest), at, 7), *without(names.velocities(model), of, 6)]
    return [Entry("height", "m", rest=float(rest[at + 2])), *unit, *speed, *turning, *joints]


def invert(at: int, of: int, obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    """The inverse of `observe`, at the place (0, 0)."""
    n, up, north = len(obs), obs[:, 1:4], obs[:, 4:7]
    turn = np.stack([north, np.cross(up, north), up], axis=1)
    base = columns(np.zeros((n, 2)), obs[:, :1], quaternion(turn))
    speed = np.einsum("nij,nj->ni", turn, obs[:, 7:10])
    positions, velocities = obs[:, BASE : BASE + nq - 7], obs[:, BASE + nq - 7 : BASE + nq - 7 + nv - 6]
    qpos = columns(positions[:, :at], base, positions[:, at:])
    return qpos, columns(velocities[:, :of], speed, obs[:, 10:13], velocities[:, of:])


def without(entries: list[Entry], at: int, many: int) -> list[Entry]:
    """The entries but for `many` of them from `at`."""
    return [*entries[:at], *entries[at + many :]]


def rotation(q: Array) -> Array:
    """Rotation matrices [n, 3, 3] of unit quaternions [n, 4], from the base's frame to the world's."""
    w, x, y, z = q.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def quaternion(turn: Array) -> Array:
    """Unit quaternions [n, 4] of rotation matrices [n, 3, 3]; w is not negative."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(turn).as_quat(canonical=True).T
    return np.stack([w, x, y, z], axis=1)
