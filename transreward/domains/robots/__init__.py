"""The robots: a file each, `NAME.py`, whose `ROBOT` is its row of the table. What a row of your own is
made of stands beside the table."""

from __future__ import annotations

from importlib import import_module

from transreward.domains.robot import (
    Robot,
    Rows,
    View,
    contact,
    control,
    distance,
    forward,
    in_order,
    of_state,
    sideways,
    survive,
)

__all__ = [
    "NAMES", "OWN", "ROBOTS", "Robot", "Rows", "View", "contact", "control", "distance", "forward", "in_order",
    "of_state", "sideways", "survive",
]  # fmt: skip

NAMES = (
    "inverted_pendulum",
    "inverted_double_pendulum",
    "reacher",
    "pusher",
    "swimmer",
    "hopper",
    "walker2d",
    "halfcheetah",
    "ant",
    "humanoid",
    "humanoid_standup",
)
ROBOTS: dict[str, Robot] = {name: import_module(f"transreward.domains.robots.{name}").ROBOT for name in NAMES}
OWN = dict(ROBOTS)  # as the package has them: a row that a user put there is tried before it is simulated
