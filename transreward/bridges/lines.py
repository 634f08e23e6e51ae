"""Lines of a map that a user gives: a column of one robot by those of the other, `name`, `-name`, or a sum of some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from transreward.bridges.linear import Linear, in_shares
from transreward.bridges.match import kind
from transreward.types import IN_SI, UNKNOWN, Entry, RequestError, Spaces, nearest

OFFSET = "offset"  # in a sum, beside the names


class Line(NamedTuple):
    """What a column is told to show; motors in shares of half their boxes, from the middle."""

    weights: np.ndarray  # [columns that are read]
    offset: float = 0.0
    held: bool = False  # it shows none of them, and has its offset all the same


class End(NamedTuple):
    """A robot's columns of one kind."""

    robot: str
    entries: Sequence[Entry]
    box: Spaces | None = None  # of motors

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return [entry.name for entry in self.entries]


@dataclass(frozen=True)
class Lines:
    """Reads what columns of `to` are told to show of those of `of`."""

    what: str  # column or motor
    of: End
    to: End

    @property
    def reversed(self) -> Lines:
        """Of the way back."""
        return Lines(self.what, self.to, self.of)

    def read(self, section: Any) -> dict[int, Line]:
        """Column -> its line, of a mapping or a `Linear` in the columns' own units, or None for none.

        Raises RequestError for a line that is wrong.
        """
        if isinstance(section, Linear):
            rows = enumerate(zip(section.matrix, section.fill.tolist(), strict=True))
            return {i: self._sum(i, row, fill) for i, (row, fill) in rows if row.any() or fill}
        found = mapping(f"the {self.what}s of {self.to.robot}", {} if section is None else section)
        places = {name: self._place(name, self.to) for name in found}
        return {i: self._line(i, found[name]) for name, i in places.items()}

    def _line(self, i: int, text: Any) -> Line:
        """What is told of column i."""
        name, weights = self.to.names[i], np.zeros(len(self.of.entries))
        if text is None:
            return Line(weights)
        if isinstance(text, str):
            return self._named(i, text)
        if not isinstance(text, Mapping) or not text:
            raise RequestError(
                f"'{name}' shows a {self.what} of {self.of.robot}, minus one, or a mapping of some to their factors, "
                f"not {text!r:.60}"
            )
        for other, factor in text.items():
            if isinstance(factor, bool) or not isinstance(factor, Real) or not isfinite(factor):
                raise RequestError(f"'{name}': the factor of {other} must be a finite number, not {factor!r}")
            if other != OFFSET:
                weights[self._place(other, self.of)] = factor
        return self._sum(i, weights, float(text.get(OFFSET, 0.0)))

    def _named(self, i: int, text: str) -> Line:
        """A column alone, or minus it."""
        name, sign = signed(text, self.of.names)
        j = self._place(name, self.of)
        one, other = self.to.entries[i], self.of.entries[j]
        units = [kind(entry) if self.to.box else entry.unit for entry in (one, other)]
        if units[0] != units[1] and UNKNOWN not in units:
            factor = sign * between(units[1], units[0])
            raise RequestError(
                f"the {self.what} '{one.name}' is in {units[0]}, and '{other.name}' in {units[1]}: give a factor, such "
                f"as {one.name}: {{{other.name}: {factor:.4g}}}"
            )
        from_rest = 0.0 if self.to.box else one.rest - sign * other.rest  # as in `shown_by`
        return Line(sign * np.eye(len(self.of.entries))[j], from_rest)

    def _sum(self, i: int, weights: np.ndarray, offset: float) -> Line:
        """A sum of columns in their own units."""
        held = not weights.any()
        if self.to.box is None or self.of.box is None:
            return Line(weights, offset, held)
        whole = Linear(np.zeros((len(self.to.entries), len(weights))), np.zeros(len(self.to.entries)))
        whole.matrix[i], whole.fill[i] = weights, offset
        shares = in_shares(whole, self.of.box, self.to.box)
        return Line(shares.matrix[i], float(shares.fill[i]), held)

    def _place(self, name: Any, end: End) -> int:
        if name not in end.names:
            raise nearest(name, end.names, f"{self.what} of {end.robot}")
        return end.names.index(name)


def between(one: str, other: str) -> float:
    """How much one unit is of another; an example where that is not known."""
    told = IN_SI.get(one), IN_SI.get(other)
    return told[0][1] / told[1][1] if told[0] and told[1] and told[0][0] == told[1][0] else 2.0


def signed(text: str, known: Iterable[str]) -> tuple[str, float]:
    """A name, and -1 where a minus stands before it, else 1."""
    return (text[1:].strip(), -1.0) if text.startswith("-") and text not in known else (text, 1.0)


def mapping(what: str, found: Any) -> Mapping[Any, Any]:
    """What is found, if it is a mapping. Raises RequestError for anything else."""
    if not isinstance(found, Mapping):
        raise RequestError(f"{what} must be a mapping of names, not {found!r:.60}")
    return found
