"""One leg in a plane: hop forward without falling."""

from __future__ import annotations

import numpy as np

from transreward.domains.robot import Robot, Rows, View, control, forward, of_state, show_state, state, survive, uniform
from transreward.types import Array


def healthy(s: Rows) -> Array:
    z, angle = s.qpos[:, 1], s.qpos[:, 2]
    small = (np.abs(s.qpos[:, 2:]) < 100).all(axis=1) & (np.abs(s.qvel) < 100).all(axis=1)
    return small & (z > 0.7) & (np.abs(angle) < 0.2)


ROBOT = Robot(
    "hopper",
    "one leg in a plane: hop forward without falling",
    "Hopper-v5",
    "hopper.xml",
    frame_skip=4,
    observe=state(skip=1, clip=10),
    show=show_state(skip=1, clip=10),
    invert=of_state(skip=1),
    clip=10,
    terms={"forward": forward(1), "survive": survive(1), "control": control(1e-3)},
    draw=uniform(5e-3),
    healthy=healthy,
    view=View(2.9, 0.8),
)
