"""Bridges, which show a robot in other columns than its own: one file each, and their table."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from transreward.bridges.bridge import Bridge, Crossing, Side, require_sound
from transreward.bridges.given import Given
from transreward.bridges.kinematic import clone, doubts, kinematic
from transreward.bridges.learned import LEARNED, Learned
from transreward.bridges.match import NAMED, Matched, Parts, named
from transreward.bridges.mirrored import MIRRORED
from transreward.bridges.turned import turned
from transreward.types import OWN_MODULE, RequestError, nearest

BRIDGES: dict[str, Bridge] = {
    "mirrored": MIRRORED,
    "turned90": turned(1),
    "turned180": turned(2),
    "turned270": turned(3),
    NAMED: Matched(NAMED, named),
    "kinematic": Matched("kinematic", kinematic, doubts),
}


def shuffled(other: Side, parts: Parts) -> Parts:
    """Each part has the counterpart of another one: a control, since what still helps is not the map. Raises
    RequestError for a single part, which would keep its own."""
    names = list(parts)
    if len(names) == 1:
        raise RequestError(
            f"only '{names[0]}' of {other.name} has a counterpart, so nothing can be shuffled: leave it out"
        )
    order = np.random.default_rng(0).permutation(len(names))
    return {names[i]: parts[names[j]] for i, j in zip(order, np.roll(order, 1), strict=True)}


OPTIONS: dict[str, Callable[[Side, Parts], Parts]] = {"clone": clone, "shuffled": shuffled}


Between = Matched | Given | Learned


def between(how: str, brought: Callable[[str], Between | None] = lambda how: None) -> Between:
    """The bridge between unlike robots that a text names, such as named or clone(named). Raises RequestError.

    `brought` finds those that a user brings, which stand in no table.
    """
    option = re.fullmatch(r"(\w+)\((.+)\)", how)
    if option and option[1] != LEARNED:
        if option[1] not in OPTIONS:
            raise nearest(option[1], OPTIONS, "option of a bridge", otherwise=OWN_MODULE)
        change, inner = OPTIONS[option[1]], between(option[2], brought)
        return Matched(how, lambda own, other: change(other, inner.match(own, other)), inner.doubts)
    if given := brought(how):
        return given
    able = {name: bridge for name, bridge in BRIDGES.items() if isinstance(bridge, Matched)}
    if how == LEARNED:
        raise RequestError(
            "the bridge 'learned' is found in steps of the target: name their file, such as learned(steps.npz)"
        )
    if how not in able:
        raise nearest(how, able, "bridge", otherwise=OWN_MODULE)
    return able[how]


def views(robot: str) -> tuple[str, ...]:
    """The names of the views of a robot of the table, as in `robot@view`."""
    return tuple(name for name, bridge in BRIDGES.items() if robot in bridge.robots)


def is_view(how: str) -> bool:
    """Whether a bridge shows a robot by itself, `robot@view`, and leads to no other one."""
    return how in BRIDGES and bool(BRIDGES[how].robots)


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
