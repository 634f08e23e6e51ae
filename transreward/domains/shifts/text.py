"""From the text of shifts in an id to shifts."""

from __future__ import annotations

import math
import re

from transreward.domains.shifts.kinds import Kind, Range, Shift
from transreward.domains.shifts.rules import Rule
from transreward.domains.shifts.table import SHIFTS
from transreward.types import RequestError, nearest

NUMBER = r"[-+]?[\d.]+(e[-+]?\d+)?"
PATTERN = r"(?:[^()]|\([^()]*\))+"  # names of entries have parentheses, such as sin(joint0)


def parse(text: str) -> list[Shift]:
    """`shift[,shift...]` to shifts; commas inside parentheses do not split. A value may be a range, `low..high`.

    Raises:
        RequestError: a malformed or unknown shift, a value out of range, the same shift twice.
    """
    shifts = [_parse_one(part) for part in re.split(r",(?![^()]*\))", text)]
    seen = set()
    for shift in shifts:
        key = (shift.name, shift.value if SHIFTS[shift.name].value == "pattern" else shift.pattern)
        if key in seen:
            raise RequestError(f"the shift '{shift}' comes twice in '{text}': give each once")
        seen.add(key)
    return shifts


def _parse_one(text: str) -> Shift:
    match = re.fullmatch(rf"(\w+)(?:\(({PATTERN})\))?(?:=(.*))?", text)
    if match is None:
        raise RequestError(f"malformed shift '{text}': write name=value or name(pattern)=value, such as gravity=0.5")
    name, pattern, value = match.groups()
    kind = SHIFTS.get(name)
    if kind is None:
        raise _unknown(name)
    if not value:
        raise RequestError(f"the shift '{text}' has no value: write {kind.usage}")
    if pattern and (not kind.element or kind.value == "pattern"):
        raise RequestError(f"the shift '{name}' takes no (pattern): write {kind.usage}")
    numbers = kind.neutral is not None or re.fullmatch(rf"{NUMBER}\.\.{NUMBER}", value)
    return Shift(name, _range(kind, value) if ".." in value and numbers else _value(kind, value), pattern)


def _unknown(name: str) -> RequestError:
    return nearest(name, SHIFTS, "shift", {word: kind.name for kind in SHIFTS.values() for word in kind.words})


def _range(kind: Kind, text: str) -> Range:
    """The range that `low..high` is.

    Raises:
        RequestError: of what has no numbers, of one value, upside down, or of a factor from 0.
    """
    if kind.neutral is None:
        raise RequestError(f"'{kind.name}={text}': {kind.name} has {kind.range}, not a number that could have a range")
    first, _, last = text.partition("..")
    low, high = _value(kind, first), _value(kind, last)
    assert isinstance(low, float | int) and isinstance(high, float | int)
    if low == high:
        raise RequestError(f"'{kind.name}={text}' is a range of one value: write {kind.name}={first}")
    if low > high:
        raise RequestError(f"'{kind.name}={text}' is a range upside down: write {kind.name}={last}..{first}")
    factor = kind.neutral == 1.0
    if factor and low == 0:
        raise RequestError(f"'{kind.name}={text}': factors are drawn in their logarithm, so begin the range above 0")
    return Range(low, high, log=factor)


def _value(kind: Kind, text: str) -> float | int | str | Rule:
    if kind.read is not None:
        return kind.read(text)
    if kind.value == "pattern":
        return text
    try:
        value = int(text) if kind.counts else float(text)
    except ValueError:
        value = math.nan
    if not kind.low <= value <= kind.high or (kind.above and value == kind.low):
        raise RequestError(f"'{kind.name}={text}': the value must be {kind.range}{kind.meaning}")
    return value
