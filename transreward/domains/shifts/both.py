"""A robot's shifts with those that were found of another, relative to it."""

from __future__ import annotations

from collections.abc import Sequence

from transreward.domains.shifts.kinds import Shift
from transreward.domains.shifts.table import SHIFTS


def together(own: Sequence[Shift], found: Sequence[Shift]) -> tuple[Shift, ...]:
    """The shifts of a robot with more of them. What it has already is multiplied, added to or set, where it stands:
    masses that are scaled before a payload is added are so afterwards, too.

    Noise is found as all that there is, so it takes the place of the robot's own of every part.
    """
    random = {s.name for s in found if SHIFTS[s.name].random}
    shifts = {slot(s): s for s in own if s.name not in random}
    for s in found:
        key, value = slot(s), s.value
        before = shifts[key].value if key in shifts and not SHIFTS[s.name].sets else None
        if isinstance(value, float | int) and isinstance(before, float | int):
            value = before * value if SHIFTS[s.name].neutral == 1.0 else before + value
        shifts[key] = Shift(s.name, value, s.pattern)
    return tuple(shifts.values())


def slot(shift: Shift) -> tuple[str, str | None, str]:
    """What two shifts of a robot may not share; of a broken motor, or a part left out, which one it is."""
    return shift.name, shift.pattern, shift.value if isinstance(shift.value, str) else ""
