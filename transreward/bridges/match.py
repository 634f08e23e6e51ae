"""Bridges between unlike robots, by which part of the one does what a part of the other does.

A part is a joint that a motor drives. Columns that are of matched parts, or of none and have equal names and units,
show each other, counted from where both robots begin; all others are unseen (the target's) or unshown (the source's).
An action is mapped in shares of its box, about the middle. See `Matched` for what matchers there are, and `OPTIONS` for
what may be done to what one found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from transreward.bridges.bridge import Bridge, Columns, Crossing, Side, led_to, not_returned
from transreward.bridges.linear import Linear, Ways, inverse, joined
from transreward.types import Entry, RequestError

Parts = Mapping[str, tuple[str, float]]  # a part of the other robot -> the robot's own part, and the sign of its axis
NAMED = "named"
ODD = (" angle", " velocity", " position", " actuator force", "sin()")  # columns of a part that turn with its axis


class Shows(NamedTuple):
    """A column that shows `sign` times the robot's own column `of`."""

    column: int
    of: int
    sign: float


@dataclass(frozen=True)
class Matched(Bridge):
    """A bridge to another robot by its matcher: (own, other) -> parts. Raises RequestError if they share nothing."""

    name: str
    match: Callable[[Side, Side], Parts]
    doubts: Callable[[Side, Side], list[tuple[str, str]]] = lambda own, other: []  # see `kinematic.doubts`

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """See `Bridge`."""
        other = led_to(self.name, other)
        own, shown, parts = Columns.of(robot), Columns.of(other), self.match(robot, other)
        moves = motors(own.action_entries, shown.action_entries, parts)
        if not moves:
            pair = (robot.name, own.action_entries), (other.name, shown.action_entries)
            none = found_none("motor", *pair, "asks for the same: a force is no angle" if parts else "is found")
            raise RequestError(f"the bridge '{self.name}': {none}: give a bridge that does, such as a file of your own")
        return crossing(own, shown, columns(own, shown, parts), moves)


def named(own: Side, other: Side) -> Parts:
    """Parts of equal names."""
    ours = {entry.part for entry in own.action_entries if entry.part}
    return {entry.part: (entry.part, 1.0) for entry in other.action_entries if entry.part in ours}


def columns(own: Columns, shown: Columns, parts: Parts) -> list[Shows]:
    """Which columns of observations show each other."""
    driven = {e.part for e in (*own.action_entries, *shown.action_entries) if e.part}
    known = {(e.part, _rest(e)) if e.part in driven else e.name: i for i, e in enumerate(own.entries)}
    found = []
    for column, entry in enumerate(shown.entries):
        part, sign = parts.get(entry.part, ("", 1.0))
        rest = _rest(entry)
        key = (part, rest) if part else None if entry.part in driven else entry.name
        i = known.get(key)  # type: ignore[arg-type]
        if i is not None and own.entries[i].unit == entry.unit:
            found.append(Shows(column, i, sign if part and rest in ODD else 1.0))
    return found


def motors(own: Sequence[Entry], shown: Sequence[Entry], parts: Parts) -> list[Shows]:
    """Which actions command the same: those of matched parts that are called alike beside them, or the only ones of
    theirs, with the signs of axis and gear. A motor that asks for a force is none that asks for an angle."""

    def of(entries: Sequence[Entry], part: str, like: Entry) -> list[int]:
        return [i for i, e in enumerate(entries) if e.part == part and kind(e) == kind(like)]

    found = []
    for column, entry in enumerate(shown):
        if entry.part in parts:
            part, sign = parts[entry.part]
            able = of(own, part, entry)
            alike = [i for i in able if _rest(own[i]) == _rest(entry)]
            alone = able if len(able) == len(of(shown, entry.part, entry)) == 1 else []
            found += [Shows(column, i, sign * _way(own[i]) * _way(entry)) for i in (alike or alone)[:1]]
    return found


def crossing(own: Columns, shown: Columns, obs: Sequence[Shows], action: Sequence[Shows]) -> Crossing:
    """The crossing between columns that show each other. A column that several show is their mean on the way back."""
    sees = shown_by(obs, own.entries, shown.entries, from_rest=True)
    moves = shown_by(action, own.action_entries, shown.action_entries)
    ways = Ways(sees, inverse(sees)), Ways(moves, inverse(moves))
    sides = (own.entries, own.action_entries)
    lost = (name for side, way in zip(sides, ways, strict=True) for name in not_returned([e.name for e in side], *way))
    return joined(own, shown, *ways, tuple(lost))


def shown_by(shows: Sequence[Shows], own: Sequence[Entry], shown: Sequence[Entry], from_rest: bool = False) -> Linear:
    """The map of columns that show each other; observations count from where they are at rest, since makers put the
    zero of a joint in different places."""
    found, rests = np.zeros((len(shown), len(own))), np.zeros(len(shown))
    for column, of, sign in shows:
        found[column, of] = sign
        rests[column] = shown[column].rest - sign * own[of].rest if from_rest else 0.0
    return Linear(found, rests)


def _rest(entry: Entry) -> str:
    """A column's name without its part: ` angle`, `sin()`, or nothing for a motor that is called as its joint."""
    if not entry.part:
        return ""
    part = re.escape(entry.part)
    found = re.search(rf"(?<!\w){part}(?!\w)", entry.name) or re.search(part, entry.name)  # sin(n) has another n
    return entry.name[: found.start()] + entry.name[found.end() :] if found else ""


def _way(entry: Entry) -> float:
    """-1 for a motor that moves its part the other way than it is told: of a negative gear, such as `-120 N m`."""
    return -1.0 if entry.unit.startswith("-") else 1.0


def kind(entry: Entry) -> str:
    """A unit without its size: `N m` of `120 N m`."""
    return re.sub(r"^[-+.e\d]+ ", "", entry.unit)


def found_none(
    what: str, own: tuple[str, Sequence[Entry]], other: tuple[str, Sequence[Entry]], why: str = "is found"
) -> str:
    """That a bridge finds nothing of a robot in another one, each with its name and what it has."""
    return f"no {what} of {own[0]} ({_some(own[1])}) {why} in {other[0]} ({_some(other[1])})"


def _some(entries: Sequence[Entry]) -> str:
    names = [entry.name for entry in entries]
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
