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

from transreward.bridges.bridge import Bridge, Columns, Crossing, Maps, Side
from transreward.bridges.linear import Linear
from transreward.types import Entry, RequestError

Parts = Mapping[str, tuple[str, float]]  # a part of the other robot -> the robot's own part, and the sign of its axis
NAMED = "named"
ODD = (" angle", " velocity", " position", "sin()")  # columns of a part that change sign with its axis


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

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """See `Bridge`."""
        if other is None:
            raise RequestError(f"the bridge '{self.name}' leads to another robot: name that, as in @{self.name}(ant)")
        own, shown, parts = Columns.of(robot), Columns.of(other), self.match(robot, other)
        moves = motors(own.action_entries, shown.action_entries, parts)
        if not moves:
            why = "asks for the same: a force is no angle" if parts else "is found"
            raise RequestError(
                f"the bridge '{self.name}': no motor of {robot.name} ({_some(own.action_entries)}) {why} in "
                f"{other.name} ({_some(shown.action_entries)}): give a bridge that does (docs/bridges.md)"
            )
        return crossing(own, shown, columns(own, shown, parts), moves)


def named(own: Side, other: Side) -> Parts:
    """Parts of equal names."""
    ours = {entry.part for entry in own.action_entries}
    return {entry.part: (entry.part, 1.0) for entry in other.action_entries if entry.part in ours}


def columns(own: Columns, shown: Columns, parts: Parts) -> list[Shows]:
    """Which columns of observations show each other."""
    driven = {e.part for e in (*own.action_entries, *shown.action_entries)}
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
    """Which actions command the same; a motor that asks for a force is none that asks for an angle."""
    known = {(e.part, _rest(e), _kind(e)): i for i, e in enumerate(own)}
    found = []
    for column, entry in enumerate(shown):
        part, sign = parts.get(entry.part, ("", 1.0))
        i = known.get((part, _rest(entry), _kind(entry)))
        if i is not None:
            found.append(Shows(column, i, sign))
    return found


def crossing(own: Columns, shown: Columns, obs: Sequence[Shows], action: Sequence[Shows]) -> Crossing:
    """The crossing between columns that show each other. A column that several show is their mean on the way back."""
    a, b = own.spaces, shown.spaces
    lift, see = _both_ways(obs, a.obs, b.obs)
    act, back = _both_ways(action, a.action, b.action)
    act = act * b.half_width[:, None] / a.half_width
    back = back * a.half_width[:, None] / b.half_width
    rests = (np.array([entry.rest for entry in side.entries]) for side in (own, shown))
    lift, see = _from_rest(lift, see, *rests)
    there = Maps(lift, Linear(act, b.centre - act @ a.centre), _nothing(own, shown))
    back = Maps(see, Linear(back, a.centre - back @ b.centre), _nothing(shown, own))
    return Crossing(there, back, own, shown, lost=_lost(own, obs, action))


def _from_rest(lift: np.ndarray, see: np.ndarray, own: np.ndarray, shown: np.ndarray) -> tuple[Linear, Linear]:
    """The maps between columns whose values are counted from where they are at rest: makers put the zero of a joint in
    different places."""
    there = np.where(lift.any(axis=1), shown - lift @ own, 0.0)
    return Linear(lift, there), Linear(see, np.where(see.any(axis=1), own - see @ shown, 0.0))


def _both_ways(shows: Sequence[Shows], own: int, shown: int) -> tuple[np.ndarray, np.ndarray]:
    there, back = np.zeros((shown, own)), np.zeros((own, shown))
    for column, of, sign in shows:
        there[column, of] = back[of, column] = sign
    return there, back / np.maximum(np.abs(back).sum(axis=1, keepdims=True), 1.0)


def _nothing(here: Columns, there: Columns) -> Linear:
    """Stored terms are of one robot's reward, and cross to none."""
    return Linear(np.zeros((len(there.stored_terms), len(here.stored_terms))), np.zeros(len(there.stored_terms)))


def _lost(own: Columns, obs: Sequence[Shows], action: Sequence[Shows]) -> tuple[str, ...]:
    seen, moved = {s.of for s in obs}, {s.of for s in action}
    return (
        *(e.name for i, e in enumerate(own.entries) if i not in seen),
        *(e.name for i, e in enumerate(own.action_entries) if i not in moved),
    )


def _rest(entry: Entry) -> str:
    """A column's name without its part: ` angle`, `sin()`, or nothing for a motor that is called as its joint."""
    return entry.name.replace(entry.part, "", 1) if entry.part and entry.part in entry.name else ""


def _kind(entry: Entry) -> str:
    """A unit without its size: `N m` of `120 N m`."""
    return re.sub(r"^[-+.e\d]+ ", "", entry.unit)


def _some(entries: Sequence[Entry]) -> str:
    names = [entry.name for entry in entries]
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
