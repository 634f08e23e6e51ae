"""What was identified: in words, as JSON and as an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transreward.domains.parameters import DEAD, Parameter
from transreward.domains.shifts import Shift
from transreward.identify.evidence import Evidence
from transreward.identify.fit import Fit, Problem
from transreward.identify.uncertainty import intervals
from transreward.runs import store

AHEAD = 10  # control steps
STARTS = 200  # from which these are simulated
WORST = 5.0  # spreads: an error beyond counts as this, since one fall would outweigh all else
SHOWN = 0.02  # of an entry's change: what remains below it is not told
UNSEEN = 1e-3  # of an entry's change: an effect below it is not seen
ALIKE = 0.98  # cosine of two effects from which they cannot be told apart


@dataclass(frozen=True)
class Named:
    """One parameter that differs, with its 95% interval."""

    parameter: Parameter
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        kind, pattern = self.parameter.kind, self.parameter.pattern
        what = kind.name if pattern is None else f"{kind.name} of {pattern}"
        if self.parameter.kind.name == "gear" and self.value < DEAD:
            return f"motor {pattern} dead" if pattern else "all motors dead"
        sign = "x " if self.parameter.scales else ""
        if self.parameter.counts:
            return f"{what} {self.value:g} control steps"
        shown = [f"{x:.3g}" for x in (self.value, self.low, self.high)]
        span = f" ({shown[1]} to {shown[2]})" if shown[1] != shown[2] else ""
        return f"{what} {sign}{shown[0]}{span}"


@dataclass(frozen=True)
class Identification:
    """What differs between a simulator and the robot that took some steps."""

    source: str  # id
    named: tuple[Named, ...]
    explained: float  # share of what differs in the next state, on held-out steps
    ten_step_error: tuple[float, float]  # before and after, root mean square in spreads of each entry
    target_steps: int
    remains: tuple[tuple[str, float], ...]  # entry -> root mean square error of a step, as a share of its change
    alike: tuple[tuple[str, str], ...]  # what was found, and what would have done almost the same
    unseen: tuple[str, ...]  # parameters that these steps cannot show
    discarded: bool  # what was found does not lower the ten-step error, so nothing is
    id: str  # of the source with what was found

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """In words."""
        if not self.named:
            return [self._nothing(), *self._rest()]
        left = "nothing left that these steps can show" if not self.remains else "what remains is not of this family"
        parts = [*map(str, self.named), f"this explains {_percent(self.explained)} of what differs", left]
        errors = f"ten steps ahead the error is {self.ten_step_error[1]:.2g} of each entry's spread, not "
        return ["; ".join(parts), f"{errors}{self.ten_step_error[0]:.2g}", *self._rest(), f"id: {self.id}"]

    def _nothing(self) -> str:
        if self.discarded:
            return "what was found does not lower the error ten steps ahead, so it is discarded: nothing is identified"
        if not self.remains:
            return f"nothing differs that {self.target_steps:,} steps can show"
        return "what differs is no parameter of this family: nothing is identified"

    def _rest(self) -> list[str]:
        told = [f"{a} could be {b} as well: these steps do not tell them apart" for a, b in self.alike]
        if self.remains:
            shares = ", ".join(f"{name} ({_percent(share)} of its change)" for name, share in self.remains[:3])
            told.append(f"what remains shows most in {shares}")
        if self.unseen:
            told.append(f"these steps cannot show: {', '.join(self.unseen)}")
        return told

    def as_json(self) -> dict[str, Any]:
        """The object that `identify --out` writes; docs/identify.md says what each key is."""
        parameters = [
            {"name": n.parameter.kind.name, "pattern": n.parameter.pattern}
            | {k: getattr(n, k) for k in ("value", "low", "high")}
            for n in self.named
        ]
        return {
            "schema": store.SCHEMA,
            "versions": store.versions(),
            "source": self.source,
            "parameters": parameters,
            "explained": self.explained,
            "ten_step_error": list(self.ten_step_error),
            "target_steps": self.target_steps,
            "remains": dict(self.remains),
            "alike": [list(pair) for pair in self.alike],
            "unseen": list(self.unseen),
            "id": self.id,
        }


def answer(problem: Problem, fit: Fit, evidence: Evidence, source: str) -> Identification:
    """Of a fit to `evidence`, from the simulator that `source` names."""
    neutral = problem.family.neutral
    error = tuple(ahead(problem, values, evidence) for values in (neutral, fit.values))
    discarded = bool(fit.chosen) and not error[1] < error[0]
    values, chosen = (neutral, ()) if discarded else (fit.values, fit.chosen)
    spans = intervals(problem, values, chosen)
    shifts = problem.family.shifts_of(values)
    return Identification(
        source=source,
        named=tuple(Named(problem.parameters[i], float(values[i]), *spans[i]) for i in chosen),
        explained=0.0 if discarded or not fit.before else 1 - fit.after / fit.before,
        ten_step_error=(error[0], error[0] if discarded else error[1]),
        target_steps=len(evidence.obs),
        remains=_remains(problem, values),
        alike=_alike(problem, values, chosen),
        unseen=_unseen(problem),
        discarded=discarded,
        id=with_shifts(source, shifts),
    )


def with_shifts(source: str, shifts: Sequence[Shift]) -> str:
    """The id of a robot with more shifts."""
    if not shifts:
        return source
    text = ",".join(
        str(Shift(s.name, float(f"{s.value:.6g}") if isinstance(s.value, float) else s.value, s.pattern))
        for s in shifts
    )
    return f"{source}{',' if ':' in source else ':'}{text}"


def ahead(problem: Problem, values: np.ndarray, evidence: Evidence) -> float:
    """The error ten steps ahead, root mean square in spreads of the entries; nan where no ten steps are consecutive."""
    simulator = problem.simulator
    n, seen = len(evidence.obs), simulator.seen(evidence.next_obs)
    good = evidence.known & simulator.shown(evidence.obs)
    runs = np.array([evidence.follows[i + 1 : i + AHEAD].all() and good[i] for i in range(n - AHEAD)], bool)
    starts = np.flatnonzero(runs)
    if not len(starts):
        return float("nan")
    starts = starts[:: max(1, len(starts) // STARTS)]
    off = simulator.rollout(values, evidence, starts, AHEAD) - seen[starts + AHEAD - 1]
    spread = np.maximum(seen.std(axis=0), 1e-6)
    return float(np.sqrt((np.nan_to_num(off / spread, nan=WORST).clip(-WORST, WORST) ** 2).mean()))


def _remains(problem: Problem, values: np.ndarray) -> tuple[tuple[str, float], ...]:
    off = problem.simulator.differences(values[None], problem.held)[0]
    shares = np.sqrt((off**2).mean(axis=0)) / problem.spread
    order = [i for i in np.argsort(-shares).tolist() if shares[i] > SHOWN]
    return tuple((problem.simulator.names[i], float(shares[i])) for i in order)


def _alike(problem: Problem, values: np.ndarray, chosen: Sequence[int]) -> tuple[tuple[str, str], ...]:
    if not chosen:
        return ()
    _, slopes = problem.slopes(values, problem.gauge)
    size = np.maximum(np.sqrt((slopes**2).sum(axis=0)), 1e-300)
    unit = slopes / size
    cosines = np.abs(unit.T @ unit)
    names = [p.name for p in problem.parameters]
    return tuple((names[i], names[j]) for i in chosen for j in np.flatnonzero(cosines[i] > ALIKE) if j not in chosen)


def _unseen(problem: Problem) -> tuple[str, ...]:
    """Parameters of the whole robot whose largest trial changes nothing."""
    wanted = [i for i, p in enumerate(problem.parameters) if p.pattern is None and not p.counts]
    tried = np.repeat(problem.family.neutral[None], len(wanted) + 1, axis=0)
    tried[np.arange(len(wanted)), wanted] = [problem.parameters[i].search.trials[-1] for i in wanted]
    off = problem.simulator.differences(tried, problem.middle, exact=False)
    effect = np.sqrt(((off[:-1] - off[-1]) ** 2).mean(axis=1)) / problem.spread
    return tuple(problem.parameters[i].name for i, e in zip(wanted, effect, strict=True) if e.max() < UNSEEN)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share < 0.999 else f"{min(100 * share, 100):.1f}%"
