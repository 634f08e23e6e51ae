"""Robots whose base slides along the world's x axis on a joint that nothing drives, as planar walkers do.

They are paid for the velocity along it, and for little power. An observation shows all positions but those of slides in
the plane of the floor, and all velocities.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.files.model import EFFORT, Model, about, add_floor, near_pose
from transreward.domains.names import Entry
from transreward.domains.robot import Robot, Rows, View, columns, forward, posed, power
from transreward.domains.shifts.kinds import Spec
from transreward.types import Array

ALONG = 0.99  # cosine of the largest angle between a slide's axis and the world's


def robot(model: Model) -> Robot | None:
    """The row of a robot on rails; None for another."""
    m, axes = model.now, model.data().xaxis
    along = [j for j in model.slides if abs(axes[j, 0]) > ALONG]
    if not along:
        return None
    hidden = tuple(sorted(int(m.jnt_qposadr[j]) for j in model.slides if abs(axes[j, 2]) < 1 - ALONG))
    at, sign = int(m.jnt_qposadr[along[0]]), float(np.sign(axes[along[0], 0]))
    return model.row(
        "run forward",
        1000,
        prepare=partial(_prepare, model),
        observe=partial(observe, hidden),
        show=partial(show, hidden, model.pose),
        invert=partial(invert, hidden),
        position=partial(_place, at, sign),
        terms={"forward": forward(1.0), "power": power(EFFORT)},
        draw=about(model),
        view=View(3.0 * float(m.stat.extent), 0.5 * float(m.stat.extent), follow=m.body(model.base).name or None),
    )


def _prepare(model: Model, spec: Spec) -> None:
    model.ready(spec)
    near_pose(model, spec, model.said.servos)
    add_floor(model, spec)


def _place(at: int, sign: float, s: Rows) -> Array:
    return sign * s.qpos[:, at]


def observe(hidden: tuple[int, ...], s: Rows) -> Array:
    """See the module, [n, nq - hidden + nv]."""
    return columns(np.delete(s.qpos, hidden, axis=1), s.qvel)


def show(hidden: tuple[int, ...], pose: str, model: Any) -> list[Entry]:
    """The entries of `observe`."""
    positions = names.positions(model, rest=posed(model, pose))
    return [*(entry for i, entry in enumerate(positions) if i not in hidden), *names.velocities(model)]


def invert(hidden: tuple[int, ...], obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    """The inverse of `observe`, with 0 for what is hidden."""
    seen = [i for i in range(nq) if i not in hidden]
    qpos = np.zeros((len(obs), nq))
    qpos[:, seen] = obs[:, : len(seen)]
    return qpos, obs[:, len(seen) : len(seen) + nv]
