"""The robots: a file each, `NAME.py`, whose `ROBOT` is its row of the table."""

from __future__ import annotations

from importlib import import_module

from transreward.domains.robot import Robot

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
