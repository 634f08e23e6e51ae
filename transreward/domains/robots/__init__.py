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
    "is_own", "of_state", "row", "sideways", "survive",
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


def row(name: str) -> Robot:
    """The row of a robot of the table, or that of a robot in a file. Raises RequestError if the file has none."""
    if name in ROBOTS:
        return ROBOTS[name]
    from transreward.domains.files import made  # which needs MuJoCo

    return made.robot(name)


def is_own(robot: Robot) -> bool:
    """True if the row is as the package made it, and no user's function is in it."""
    return robot is OWN.get(robot.name) or (robot.file is not None and robot is row(robot.name))
