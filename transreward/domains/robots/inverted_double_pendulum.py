"""Two poles on a cart: keep them upright."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.robot import Robot, Rows, View, columns, gaussian, survive
from transreward.types import Array


def _square(x: Array) -> Array:
    """`x**2` as one NumPy scalar at a time has it: libm's pow, which is not always x * x."""
    return np.array([v**2 for v in x.tolist()])


def tip_distance(s: Rows) -> Array:
    x, y = s.site_xpos[:, 0, 0], s.site_xpos[:, 0, 2]
    return -(0.01 * _square(x) + _square(y - 2))


def pole_velocity(s: Rows) -> Array:
    return -(1e-3 * _square(s.qvel[:, 1]) + 5e-3 * _square(s.qvel[:, 2]))


def healthy(s: Rows) -> Array:
    return s.site_xpos[:, 0, 2] > 1


def observe(s: Rows) -> Array:
    angles = s.qpos[:, 1:]
    force = s.qfrc_constraint[:, :1].clip(-10, 10)
    return columns(s.qpos[:, :1], np.sin(angles), np.cos(angles), s.qvel.clip(-10, 10), force)


def show(model: Any) -> list[Entry]:
    cart, *angles = names.positions(model)
    turned = [*names.function("sin", angles), *names.function("cos", angles)]
    return [cart, *turned, *names.velocities(model, 10), *names.forces(model, "constraint", clip=10)[:1]]


def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    return columns(obs[:, :1], np.arctan2(obs[:, 1:3], obs[:, 3:5])), obs[:, 5:8]


ROBOT = Robot(
    "inverted_double_pendulum",
    "two poles on a cart: keep them upright",
    "InvertedDoublePendulum-v5",
    "inverted_double_pendulum.xml",
    frame_skip=5,
    observe=observe,
    show=show,
    invert=invert,
    clip=10,
    terms={"survive": survive(10), "distance": tip_distance, "velocity": pole_velocity},
    draw=gaussian(0.1),
    healthy=healthy,
    fields=("site_xpos", "qfrc_constraint"),
    view=View(3.0, 0.55, follow=None),
)
