"""Bridges, which show a robot in other columns than its own: one file each, and their table."""

from __future__ import annotations

from transreward.bridges.bridge import Bridge, Crossing, Side, require_sound
from transreward.bridges.mirrored import MIRRORED
from transreward.bridges.turned import turned
from transreward.types import OWN_MODULE, RequestError, nearest

BRIDGES: dict[str, Bridge] = {
    "mirrored": MIRRORED,
    "turned90": turned(1),
    "turned180": turned(2),
    "turned270": turned(3),
}


def views(robot: str) -> tuple[str, ...]:
    """The names of the views of a robot of the table, as in `robot@view`."""
    return tuple(name for name, bridge in BRIDGES.items() if robot in bridge.robots)


def view(robot: Side, name: str) -> Crossing:
    """The crossing from the robot's own columns to those of `robot@name`.

    Raises RequestError if it has no such view, or the bridge fails `require_sound`.
    """
    row = robot.robot.name
    known = views(row)
    if not known:
        able = ", ".join(f"{one}@{other}" for other, bridge in BRIDGES.items() for one in bridge.robots)
        raise RequestError(f"'{row}' has no view; there are {able}{OWN_MODULE}")
    if name not in known:
        raise nearest(name, known, f"view of {row}", otherwise=OWN_MODULE)
    return require_sound(name, BRIDGES[name].across(robot))
