"""A log as a person reads it: how long, how good, which columns move and which do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from transreward.domains.logs.log import Log, fitting

CONSTANT = 1e-9  # of a column's largest number
ENDS = 1e-6  # of a column's range, within which it is at an end
SATURATED = 0.05  # share of the steps at one end of its range


@dataclass(frozen=True)
class Column:
    """One number of an observation or action, over all steps."""

    name: str
    least: float
    mean: float
    most: float
    spread: float  # standard deviation
    constant: bool
    saturated: float  # share of the steps at the ends of its range; 0 of an observation


@dataclass(frozen=True)
class Summary:
    """What can be said of a log by itself."""

    source: str
    steps: int
    lengths: np.ndarray  # [episodes]
    returns: np.ndarray | None  # [episodes], raw; None without rewards
    terminated: int  # episodes
    dropped: int
    columns: tuple[Column, ...]
    robots: tuple[str, ...]  # of the table, with as many columns

    def as_json(self) -> dict[str, object]:
        """The same as plain data."""
        returns = None if self.returns is None else self.returns.tolist()
        return {
            "source": self.source,
            "steps": self.steps,
            "lengths": self.lengths.tolist(),
            "returns": returns,
            "terminated": self.terminated,
            "dropped": self.dropped,
            "columns": [vars(column) for column in self.columns],
            "robots": list(self.robots),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        episodes = len(self.lengths)
        yield f"{self.source}: {_many(self.steps, 'step')} in {_many(episodes, 'episode')}"
        yield f"lengths   {_range(self.lengths)}"
        yield f"returns   {'no rewards were recorded' if self.returns is None else _range(self.returns)}"
        yield f"ends      {self.terminated:,} terminated, {episodes - self.terminated:,} cut off"
        if self.dropped:
            yield f"left out  {_many(self.dropped, 'step')} without a successor"
        yield f"fits      {', '.join(self.robots) or 'no robot of the table'}"
        yield ""
        yield from self._table()

    def _table(self) -> Iterator[str]:
        width = max(len("column"), *(len(column.name) for column in self.columns))
        yield f"{'column':<{width}} {'least':>10} {'mean':>10} {'most':>10} {'spread':>10}"
        for c in self.columns:
            numbers = " ".join(f"{x:>10.4g}" for x in (c.least, c.mean, c.most, c.spread))
            note = "  constant" if c.constant else ""
            note = f"  at its ends in {c.saturated:.0%} of the steps" if c.saturated > SATURATED else note
            yield f"{c.name:<{width}} {numbers}{note}"


def summary(log: Log, names: tuple[Sequence[str], Sequence[str]] | None = None) -> Summary:
    """Of a log, whose observations and actions have these names, or numbers."""
    sizes = log.obs.shape[1], log.action.shape[1]
    known = names or ([f"obs[{i}]" for i in range(sizes[0])], [f"action[{i}]" for i in range(sizes[1])])
    columns = [_column(name, x, False) for name, x in zip(known[0], log.obs.T, strict=True)]
    columns += [_column(name, x, True) for name, x in zip(known[1], log.action.T, strict=True)]
    ends = np.flatnonzero(log.terminated | log.truncated)
    return Summary(
        source=log.source,
        steps=len(log),
        lengths=np.bincount(log.episode),
        returns=np.bincount(log.episode, log.reward) if log.rewarded else None,
        terminated=int(log.terminated[ends].sum()),
        dropped=log.dropped,
        columns=tuple(columns),
        robots=tuple(fitting(*sizes)),
    )


def _column(name: str, x: np.ndarray, acts: bool) -> Column:
    least, most = float(x.min()), float(x.max())
    constant = most - least <= CONSTANT * max(abs(least), abs(most), 1e-300)
    near = ENDS * (most - least)
    share = float(((x <= least + near) | (x >= most - near)).mean()) if acts and not constant else 0.0
    return Column(name, least, float(x.mean()), most, float(x.std()), constant, share)


def _range(x: np.ndarray) -> str:
    if len(x) == 1:
        return f"{x[0]:,.6g}"
    return f"{x.min():,.6g} to {x.max():,.6g}, mean {x.mean():,.6g}"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
