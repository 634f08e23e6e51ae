"""What a plan's `search` asks for: a method, settings with the values that they may have, pairs set aside for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transreward.study.plan import Plan, Row, count, known_keys, meant, shown, word, words
from transreward.types import RequestError, nearest

SEARCH = ("method", "settings", "trials", "pairs", "seed")
RANGE = ("low", "high", "log")
TRIALS = 1_000  # at most


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole where both are."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """True if its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that stand for all."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    ends: tuple[Any, ...]


@dataclass(frozen=True)
class Search:
    """A search over a method's settings."""

    row: Row  # the method, as it is in the plan
    settings: dict[str, Range | Choices]
    trials: int  # the first is the method as it is
    pairs: tuple[str, ...]  # on which it is judged, and on which nothing is reported
    seed: int


def search_of(plan: Plan) -> Search:
    """The plan's search. Raises RequestError with one line that says where the error is."""
    text = plan.search
    if text is None:
        raise RequestError("the plan has no 'search': say there which settings of which method, and on which pairs")
    known_keys(text, SEARCH, "'search'")
    rows, names = {row.name: row for row in plan.methods}, [pair.name for pair in plan.pairs]
    method = word(text, "method", "'search'")
    if method not in rows:
        raise nearest(method, list(rows), "method of 'search'")
    patterns = words(text, "pairs", "names of pairs")
    for pattern in patterns:
        if not any(meant(pattern, name) for name in names):
            raise nearest(pattern, names, "pair of 'search'")
    aside = tuple(name for name in names if any(meant(pattern, name) for pattern in patterns))
    if not aside or len(aside) == len(names):
        raise RequestError("'pairs' of 'search' must be some of the plan's, and leave others to report on")
    settings = text.get("settings")
    if not isinstance(settings, dict) or not settings:
        raise RequestError(
            "'settings' of 'search' must be a mapping such as {use.strength: {low: 0.5, high: 8, log: true}}, not "
            f"{shown(settings)}"
        )
    found = {str(path): values(value, f"{path} of 'search'") for path, value in settings.items()}
    trials = count(text.get("trials"), "'trials' of 'search'", 2)
    if trials > TRIALS:
        raise RequestError(f"'trials' of 'search' must be at most {TRIALS:,}, not {trials:,}")
    return Search(rows[method], found, trials, aside, count(text.get("seed", 0), "'seed' of 'search'", 0))


def values(text: Any, where: str) -> Range | Choices:
    """A range or a list. Raises RequestError."""
    if isinstance(text, list):
        if len(text) < 2 or not all(isinstance(x, str | bool | int | float) for x in text):
            raise RequestError(f"{where} must have two or more plain values to choose from")
        return Choices(tuple(text))
    if not isinstance(text, Mapping):
        raise RequestError(f"{where} must be a list, or a range such as {{low: 0.5, high: 8}}, not {shown(text)}")
    known_keys(text, RANGE, where)
    low, high = (number(text.get(end), where) for end in ("low", "high"))
    log = text.get("log", False)
    if not isinstance(log, bool) or not low < high or (log and low <= 0):
        raise RequestError(f"{where} must rise from 'low' to 'high', and be above 0 where 'log' is true")
    return Range(low, high, log)


def number(value: Any, where: str) -> float:
    """An end of a range. Raises RequestError."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RequestError(f"{where} must have numbers as 'low' and 'high', not {shown(value)}")
    return value
