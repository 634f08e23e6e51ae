"""A human body on its back: stand up."""

from __future__ import annotations

from transreward.domains.domain import Success
from transreward.domains.robot import STOOD, Robot, Rows, contact, control, survive
from transreward.domains.robots.humanoid import SHARED
from transreward.types import Array


def height(s: Rows) -> Array:
    return s.qpos[:, 2] / s.timestep


HIGH = 1.0  # m, below which a humanoid that walks has fallen
TIMESTEP = 0.003  # s, of its model


ROBOT = Robot(
    "humanoid_standup",
    "a human body on its back: stand up",
    "HumanoidStandup-v5",
    "humanoidstandup.xml",
    terms={
        "height": height,
        "control": control(0.1),
        "contact": contact(5e-7, cost=10),
        "survive": survive(1),
    },
    success=(Success(STOOD, "", "height", lambda mean, last: (last >= HIGH / TIMESTEP).astype(float)),),
    **SHARED,
)
