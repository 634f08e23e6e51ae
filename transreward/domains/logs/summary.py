"""A log as a person reads it: how long, how good, which columns move and which do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from transreward.domains.logs.clock import spacing
from transreward.domains.logs.log import Log, fitting
from transreward.domains.names import numbered
from transreward.types import UNKNOWN, Entry

CONSTANT = 1e-9  # of a column's largest number
ENDS = 1e-6  # of a column's range, within which it is at an end
SATURATED = 0.05  # share of the steps at one end of its range
UNEVEN = 0.1  # of the usual time between two steps, from which it is said how much they differ

Columns = tuple[Sequence[Entry], Sequence[Entry]]  # of observations, and of actions


@dataclass(frozen=True)
class Column:
    """One number of an observation or action, over all steps."""

    name: str
    least: float
    mean: float
    most: float
    spread: float  # standard deviation
    constant: bool
    saturated: float  # share of the steps at the ends of its box, or without one of its range; 0 of an observation
    unit: str = UNKNOWN
    low: float | None = None  # the bounds that the robot gives it; None: there is none, or it is not known
    high: float | None = None
    acts: bool = False  # whether it is an action's

    @property
    def note(self) -> str:
        """What a person should look at, or nothing."""
        if self.constant:
            return "constant"
        return f"at its ends in {self.saturated:.0%} of the steps" if self.saturated > SATURATED else ""


@dataclass(frozen=True)
class Summary:
    """What can be said of a log by itself."""

    source: str
    steps: int
    lengths: np.ndarray  # [episodes]
    returns: np.ndarray | None  # [episodes], raw; None without rewards
    terminated: np.ndarray  # [episodes] bool
    dropped: int
    dropped_ends: int  # of those, in which the task ended
    spare: int  # rows left out besides, because they fill no step of a log that was made slower
    columns: tuple[Column, ...]
    robots: tuple[str, ...]  # of the table, with as many columns
    rate: float | None  # control steps a second (Hz)
    spacing: tuple[float, float] | None  # the least and most seconds between two steps, by their times
    missing: np.ndarray  # s that are missing behind each episode, [episodes]; 0 where none are
    of: str = ""  # the robot whose columns these are, where it is known

    def as_json(self) -> dict[str, object]:
        """The same as plain data."""
        returns = None if self.returns is None else self.returns.tolist()
        return {
            "source": self.source,
            "steps": self.steps,
            "lengths": self.lengths.tolist(),
            "returns": returns,
            "terminated": int(self.terminated.sum()),
            "dropped": self.dropped,
            "dropped_ends": self.dropped_ends,
            "spare": self.spare,
            "columns": [vars(column) for column in self.columns],
            "robots": list(self.robots),
            "rate": self.rate,
            "spacing": None if self.spacing is None else list(self.spacing),
            "missing": self.missing.tolist(),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        episodes, over = len(self.lengths), int(self.terminated.sum())
        yield f"{self.source}: {_many(self.steps, 'step')} in {_many(episodes, 'episode')}"
        yield f"lengths   {_range(self.lengths)}"
        yield f"returns   {'no rewards were recorded' if self.returns is None else _range(self.returns)}"
        yield f"ends      {over:,} terminated, {episodes - over:,} cut off"
        yield f"rate      {self.pace()}"
        if self.missing.any():
            places = np.flatnonzero(self.missing)
            lost = f"{_many(len(places), 'gap')} in time, {self.missing.sum():.4g} s together"
            yield f"gaps      {lost}; an episode is cut off at each (the first: episode {places[0]})"
        if self.dropped:
            yield f"left out  {_many(self.dropped, 'row')} without a next observation"
        if self.dropped_ends:
            yield f"          the task ended in {self.dropped_ends:,} of them, and in no step here: log next_obs, too"
        if self.spare:
            yield f"left out  {_many(self.spare, 'row')} at the ends of episodes, too few for a step of the slower log"
        as_many = f"as many as {', '.join(self.robots) or 'no robot of the table'}"
        yield f"columns   {f'those of {self.of}' if self.of else as_many}"
        yield ""
        yield from self._table()

    def pace(self) -> str:
        """The control rate in words."""
        if self.rate is None:
            return "not said"
        if self.spacing is None:
            return f"{self.rate:g} Hz"
        low, high = self.spacing
        uneven = high - low > UNEVEN / self.rate
        return f"{self.rate:g} Hz, by its times" + (f", {low:.3g} to {high:.3g} s from step to step" if uneven else "")

    def _table(self) -> Iterator[str]:
        plain = ("1", UNKNOWN)  # and of an action its unit is what 1 does, which says nothing of the numbers
        names = [c.name if c.acts or c.unit in plain else f"{c.name} ({c.unit})" for c in self.columns]
        width = max(len("column"), *map(len, names))
        yield f"{'column':<{width}} {'least':>10} {'mean':>10} {'most':>10} {'spread':>10}"
        for name, c in zip(names, self.columns, strict=True):
            numbers = " ".join(f"{x:>10.4g}" for x in (c.least, c.mean, c.most, c.spread))
            yield f"{name:<{width}} {numbers}  {c.note}".rstrip()


def summary(log: Log, columns: Columns | None = None, of: str = "") -> Summary:
    """Of a log, whose observations and actions have these names, units and bounds, or numbers; `of`: whose they are."""
    sizes = log.obs.shape[1], log.action.shape[1]
    known = columns or (numbered("obs", sizes[0]), numbered("action", sizes[1]))
    if columns is None and log.names is not None:
        known = tuple([Entry(name, UNKNOWN) for name in side] for side in log.names)
    found = [_column(entry, x, False) for entry, x in zip(known[0], log.obs.T, strict=True)]
    found += [_column(entry, x, True) for entry, x in zip(known[1], log.action.T, strict=True)]
    apart = np.zeros(0) if log.time is None else spacing(log.time, log.episode)
    last = np.append(log.begins[1:], len(log)) - 1
    return Summary(
        source=log.source,
        steps=len(log),
        lengths=np.bincount(log.episode),
        returns=np.bincount(log.episode, log.reward) if log.rewarded else None,
        terminated=log.terminated[last],
        dropped=log.dropped,
        dropped_ends=log.dropped_ends,
        spare=log.spare,
        columns=tuple(found),
        robots=tuple(fitting(*sizes)),
        rate=log.rate,
        spacing=(float(apart.min()), float(apart.max())) if apart.size else None,
        missing=np.zeros(len(last)) if log.missing is None else log.missing[last],
        of=of,
    )


def _column(entry: Entry, x: np.ndarray, acts: bool) -> Column:
    least, most = float(x.min()), float(x.max())
    constant = most - least <= CONSTANT * max(abs(least), abs(most), 1e-300)
    low, high = (float(bound) if np.isfinite(bound) else None for bound in (entry.low, entry.high))
    first, last = (least, most) if low is None or high is None else (low, high)
    near = ENDS * (last - first)
    share = float(((x <= first + near) | (x >= last - near)).mean()) if acts and not constant else 0.0
    spread = float(x.std())
    return Column(entry.name, least, float(x.mean()), most, spread, constant, share, entry.unit, low, high, acts)


def _range(x: np.ndarray) -> str:
    if len(x) == 1:
        return f"{x[0]:,.6g}"
    return f"{x.min():,.6g} to {x.max():,.6g}, mean {x.mean():,.6g}"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
