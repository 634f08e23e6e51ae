"""Two legs in a plane: walk forward without falling."""

from __future__ import annotations

import numpy as np

from transreward.domains.robot import Robot, Rows, View, control, forward, of_state, show_state, state, survive, uniform
from transreward.types import Array


def healthy(s: Rows) -> Array:
    z, angle = s.qpos[:, 1], s.qpos[:, 2]
    return (z > 0.8) & (z < 2.0) & (np.abs(angle) < 1.0)


ROBOT = Robot(
    "walker2d",
    "two legs in a plane: walk forward without falling",
    "Walker2d-v5",
    "walker2d_v5.xml",
    frame_skip=4,
    observe=state(skip=1, clip=10),
    show=show_state(skip=1, clip=10),
    invert=of_state(skip=1),
    clip=10,
    terms={"forward": forward(1), "survive": survive(1), "control": control(1e-3)},
    draw=uniform(5e-3),
    healthy=healthy,
    view=View(3.2, 0.8),
)
