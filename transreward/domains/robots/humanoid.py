"""A human body: walk forward without falling."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.robot import (
    Robot,
    Rows,
    View,
    columns,
    contact,
    control,
    forward,
    in_halves,
    of_state,
    show_state,
    sideways,
    survive,
    uniform,
)
from transreward.types import Array


def healthy(s: Rows) -> Array:
    return (s.qpos[:, 2] > 1.0) & (s.qpos[:, 2] < 2.0)


def position(s: Rows, axis: int = 0) -> Array:
    return np.einsum("nb,nbj->nj", s.body_mass, s.xipos)[:, axis] / s.body_mass.sum(axis=1)


def side(s: Rows) -> Array:
    return position(s, 1)


def observe(s: Rows) -> Array:
    inertia, velocity, force = (x[:, 1:].reshape(len(x), -1) for x in (s.cinert, s.cvel, s.cfrc_ext))
    return columns(s.qpos[:, 2:], s.qvel, inertia, velocity, s.qfrc_actuator[:, 6:], force)


def show(model: Any) -> list[Entry]:
    bodies = [*names.inertias(model), *names.body_velocities(model)]
    forces = names.forces(model, "actuator", skip=6)
    return [*show_state(skip=2)(model), *bodies, *forces, *names.contacts(model)]


def shown(obs: Array, nq: int, nv: int) -> dict[str, Array]:
    bodies = (obs.shape[1] - (nq - 2) - nv - (nv - 6)) // (10 + 6 + 6)
    forces = obs[:, -6 * bodies :].reshape(len(obs), bodies, 6)
    return {"cfrc_ext": np.concatenate([np.zeros_like(forces[:, :1]), forces], axis=1)}


SHARED: dict[str, Any] = {
    "frame_skip": 5,
    "observe": observe,
    "show": show,
    "invert": of_state(skip=2),
    "shown": shown,
    "draw": uniform(0.01),
    "fields": ("cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos"),
    "position": position,
    "view": View(3.6, 0.8),
}


ROBOT = Robot(
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
    healthy=healthy,
    side=side,
    more={"sideways": sideways(1.25)},
    total=in_halves,
    **SHARED,
)
