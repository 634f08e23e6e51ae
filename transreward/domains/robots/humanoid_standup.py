"""A human body on its back: stand up."""

from __future__ import annotations

from transreward.domains.robot import Robot, Rows, contact, control, survive
from transreward.domains.robots.humanoid import SHARED
from transreward.types import Array


def height(s: Rows) -> Array:
    return s.qpos[:, 2] / s.timestep


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
    **SHARED,
)
