"""A pole on a cart: keep it upright."""

from __future__ import annotations

import numpy as np

from transreward.domains.robot import Robot, Rows, View, of_state, show_state, state, survive, uniform
from transreward.types import Array


def healthy(s: Rows) -> Array:
    return np.abs(s.qpos[:, 1]) <= 0.2


ROBOT = Robot(
    "inverted_pendulum",
    "a pole on a cart: keep it upright",
    "InvertedPendulum-v5",
    "inverted_pendulum.xml",
    frame_skip=2,
    observe=state(skip=0),
    show=show_state(skip=0),
    invert=of_state(skip=0),
    terms={"survive": survive(1)},
    draw=uniform(0.01),
    healthy=healthy,
    view=View(2.2, 0.25, follow=None),
)
