"""A map between unlike robots that a user gives, in a file or by a function, and that is checked line by line.

    parts:                                   # joints that motors drive: the target's, and the source's or minus it
      thigh_joint: -bthigh
    observations:                            # columns: the target's, and what it shows of the source's
      rooty angle: -rooty angle
      foot_joint angle: {bfoot angle: -0.5, bshin angle: -0.5, offset: 0.1}
      rootz position:                        # nothing
    actions: {foot_joint: -bfoot}            # motors, in the same words
    back:                                    # the source's by the target's, where that is not to follow from the above
      observations: {bfoot angle: -foot_joint angle}

`parts` match as those of `Matched` do; lines of `observations` and `actions` stand in the place of what they match. A
name alone asks for the same unit; a column counts from where its robot is at rest, a motor in shares of its box. With
factors all is in the columns' own units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transreward.bridges.bridge import Bridge, Columns, Crossing, Side, led_to, not_returned
from transreward.bridges.linear import Linear, Ways, inverse, joined
from transreward.bridges.lines import End, Line, Lines, mapping, signed
from transreward.bridges.match import Parts, Shows, columns, found_none, kind, motors, shown_by
from transreward.types import RequestError, nearest

EXAMPLE = "{parts: {thigh_joint: -bthigh}} or {observations: {tilt: hinge angle}, actions: {motor: -slide}}"
PARTS, OBSERVATIONS, ACTIONS, BACK = KEYS = ("parts", "observations", "actions", "back")

Told = Mapping[str, Any]  # of KEYS; `observations` and `actions` may be `Linear`, too, in the columns' own units


@dataclass(frozen=True, eq=False)
class Given(Bridge):
    """A bridge to another robot by what `tell` says of the two."""

    name: str
    tell: Callable[[Side, Side], Told]

    def match(self, own: Side, other: Side) -> Parts:
        """Its parts, for what changes those of a bridge. Raises RequestError if it has more than parts."""
        told = self._told(own, other)
        if more := [key for key in KEYS if key != PARTS and told.get(key) is not None]:
            raise self._said(f"only parts can be cloned or shuffled, and it gives {' and '.join(more)}, too")
        return self._checked(lambda: parts_of(told[PARTS], own, other))

    def doubts(self, own: Side, other: Side) -> list[tuple[str, str]]:
        """None: it is told."""
        return []

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """See `Bridge`."""
        other = led_to(self.name, other)
        told = self._told(robot, other)
        return self._checked(lambda: crossing(told, robot, other))

    def _told(self, own: Side, other: Side) -> Told:
        told = self._checked(lambda: keys("it", self.tell(own, other), KEYS))
        if not any(told.get(key) for key in KEYS[:3]):
            raise self._said(f"it maps nothing: write a mapping such as {EXAMPLE}")
        return told

    def _checked(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except RequestError as error:
            raise self._said(error) from None

    def _said(self, what: object) -> RequestError:
        return RequestError(f"the bridge '{self.name}': {what}")


def crossing(told: Told, robot: Side, other: Side) -> Crossing:
    """The crossing that is told. Raises RequestError for what is wrong in it."""
    own, shown = Columns.of(robot), Columns.of(other)
    sees = Lines("column", End(robot.name, own.entries), End(other.name, shown.entries))
    moves = Lines(
        "motor", End(robot.name, own.action_entries, own.spaces), End(other.name, shown.action_entries, shown.spaces)
    )
    parts = {} if told.get(PARTS) is None else parts_of(told[PARTS], robot, other)
    matched = columns(own, shown, parts) if parts else [], motors(own.action_entries, shown.action_entries, parts)
    lines = sees.read(told.get(OBSERVATIONS)), moves.read(told.get(ACTIONS))
    require_use(parts, {*(s.column for s in matched[1]), *lines[1]}, moves)
    back = {} if told.get(BACK) is None else keys(BACK, told[BACK], (OBSERVATIONS, ACTIONS))
    action, unmoved = ways(moves, matched[1], lines[1], back.get(ACTIONS))
    obs, unseen = ways(sees, matched[0], lines[0], back.get(OBSERVATIONS))
    held = tuple(shown.entries[i].name for i, line in lines[0].items() if line.held)
    return joined(own, shown, obs, action, (*unseen, *unmoved), held)


def ways(lines: Lines, matched: Sequence[Shows], there: Mapping[int, Line], back: Any) -> tuple[Ways, tuple[str, ...]]:
    """The map that parts and lines make, and the way back, in which lines of `back` stand in the place of what follows;
    and the names of the robot's own columns that do not come back. Those that could come back must: see
    `require_sound`."""
    own, shown = lines.of.entries, lines.to.entries
    forth = _replaced(shown_by(matched, own, shown, from_rest=lines.to.box is None), there)
    if not forth.matrix.any():
        raise RequestError(found_none(lines.what, (lines.of.robot, own), (lines.to.robot, shown)))
    follows, told = inverse(forth), lines.reversed.read(back)
    found = Ways(forth, _replaced(follows, told))
    left_out = (own[i].name for i, line in told.items() if not line.weights.any())
    names = lines.of.names
    lost = (*not_returned(names, forth, follows), *left_out)
    if wrong := [name for name in not_returned(names, *found) if name not in lost]:
        raise RequestError(f"`back` does not give '{wrong[0]}' as it was: mend its line, or leave it out")
    return found, lost


def parts_of(text: Any, own: Side, other: Side) -> Parts:
    """The parts that a mapping joins. Raises RequestError for one that no motor of its robot drives."""
    ours, theirs = ([entry.part for entry in side.action_entries if entry.part] for side in (own, other))
    found = {}
    for there, here in mapping(PARTS, text).items():
        if there not in theirs:
            raise nearest(there, set(theirs), f"part of {other.name}")
        part, sign = signed(str(here), ours)
        if part not in ours:
            raise nearest(part, set(ours), f"part of {own.name}")
        found[there] = (part, sign)
    return found


def require_use(parts: Parts, moved: set[int], moves: Lines) -> None:
    """Raise RequestError for a part that joins no motor, and of whose motors no line says anything."""
    for there, (here, _) in parts.items():
        if not any(moves.to.entries[i].part == there for i in moved):
            asks = [next(kind(e) for e in end.entries if e.part == part)
                    for end, part in ((moves.to, there), (moves.of, here))]  # fmt: skip
            raise RequestError(
                f"the motor of '{there}' asks for {asks[0]}, and that of '{here}' for {asks[1]}: say in `actions` how "
                f"the one stands for the other"
            )


def keys(what: str, found: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """A mapping with these keys alone. Raises RequestError for anything else."""
    if unknown := [key for key in mapping(what, found) if key not in known]:
        raise nearest(unknown[0], known, "key")
    return found


def _replaced(found: Linear, lines: Mapping[int, Line]) -> Linear:
    weights, fill = found.matrix.copy(), found.fill.copy()
    for i, line in lines.items():
        weights[i], fill[i] = line.weights, line.offset
    return Linear(weights, fill)
