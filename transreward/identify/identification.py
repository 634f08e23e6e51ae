"""What was identified: in words, as JSON and as an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.files.place import unshifted
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.parameters import DEAD, Parameter, Search
from transreward.domains.shifts import SHIFTS, Shift, together
from transreward.domains.shifts.rules import Rule
from transreward.identify.columns import mistaken
from transreward.identify.evidence import Evidence
from transreward.identify.fit import ENOUGH, Fit
from transreward.identify.late import Late, late
from transreward.identify.problem import Problem, alike
from transreward.runs import store

NOISES = ("noise", "sensor_noise")  # shifts, in the order of `fit.Noise`
LOWERED = 0.02  # by which share what is found has to lower the error ten steps ahead
ROUNDING = 1e-9  # spreads: where ten steps ahead no more is wrong, before and now, they do not tell
AHEAD = 10  # control steps
STARTS = 200  # from which these are simulated
WORST = 5.0  # spreads: an error beyond counts as this, since one fall would outweigh all else
SHOWN = 0.02  # of an entry's change: what remains below it is not told
UNSEEN = 1e-3  # of an entry's change: an effect below it is not seen
ALIKE = 0.98  # cosine of two effects from which they cannot be told apart
SMALL = 0.001  # an error below it is told as that
ROWS = 5  # numbers of steps that are told


@dataclass(frozen=True)
class Named:
    """One parameter that differs, with its 95% interval."""

    parameter: Parameter
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return self.words()

    def words(self, span: bool = True) -> str:
        """With its interval, or without."""
        kind, pattern = self.parameter.kind, self.parameter.pattern
        what = kind.name if pattern is None else f"{kind.name} of {pattern}"
        if kind.name == "gear" and self.value < DEAD:
            return f"motor {pattern} dead" if pattern else "all motors dead"
        if kind.random:
            whose = "actions" if kind.name == "noise" else "sensors"
            return f"noise of {whose} {self.value:.3g} ({self.low:.3g} to {self.high:.3g})"
        if self.parameter.counts:
            return f"{what} {self.value:g} control step{'s' if self.value != 1 else ''}"
        digits = 3 if f"{self.value:.3g}" != f"{self.parameter.neutral:.3g}" else 6
        shown = [f"{x:.{digits}g}" for x in (self.value, self.low, self.high)]
        interval = f" ({shown[1]} to {shown[2]})" if span and shown[1] != shown[2] else ""
        return f"{what} {'x ' if self.parameter.scales else ''}{shown[0]}{self._unit}{interval}"

    @property
    def _unit(self) -> str:
        return "" if self.parameter.scales else f" {self.parameter.kind.value}"

    def as_json(self) -> dict[str, Any]:
        """An entry of `parameters`."""
        p = self.parameter
        found = {"name": p.kind.name, "pattern": p.pattern, "value": self.value, "low": self.low, "high": self.high}
        return found | {"source": p.neutral, "unit": "factor" if p.scales else p.kind.value}


@dataclass(frozen=True)
class Identification:
    """What differs between a simulator and the robot that took some steps."""

    source: str  # id
    named: tuple[Named, ...]
    explained: float  # share of what differs in the next state, on held-out steps
    one_step_error: tuple[
        float, float
    ]  # before and after, root mean square in spreads of each entry's change, held out
    ten_step_error: tuple[float, float]  # the same ten steps ahead, in spreads of each entry; nan: no ten in a row
    target_steps: int
    entries: tuple[tuple[str, float, float], ...]  # entry -> its part of the one-step error, before and after
    alike: tuple[tuple[str, str], ...]  # what was found, and what would have done almost the same
    unseen: tuple[str, ...]  # parameters that these steps cannot show
    left_out: tuple[int, ...]  # numbers of steps that differ far more than the others, and of which nothing is told
    discarded: bool  # what was found does not lower the ten-step error, so nothing is
    mistaken: str | None  # a sentence on columns of the actions that look negated or exchanged
    physics: tuple[Shift, ...]  # all shifts of the source with what was found
    id: str  # of that

    @property
    def motors(self) -> Rule | None:
        """What was learned of them, beside the parameters."""
        return next((s.value for s in self.physics if isinstance(s.value, Rule)), None)

    @property
    def nothing(self) -> bool:
        """Whether nothing was found."""
        return not self.named and self.motors is None

    def keeping(self, file: Path) -> Identification:
        """The same, with what was learned of the motors kept in an npz file; it has to have been."""
        assert self.motors is not None
        kept = self.motors.save(file)
        physics = tuple(replace(s, value=kept) if isinstance(s.value, Rule) else s for s in self.physics)
        return replace(self, physics=physics, id=self.id.replace(str(self.motors), str(kept)))

    def __str__(self) -> str:
        return "\n".join(self.lines())

    @property
    def remains(self) -> tuple[tuple[str, float], ...]:
        """Entries of which a share remains that is told, the largest first."""
        found = [(name, after) for name, _, after in self.entries if after > SHOWN and not self.noisy]
        return tuple(sorted(found, key=lambda one: -one[1]))

    @property
    def noisy(self) -> bool:
        """Whether what no parameter explains is noise."""
        return any(one.parameter.kind.random for one in self.named)

    @property
    def sure(self) -> bool:
        """Whether the intervals can be believed: they take what is left for chance, whatever else differs."""
        return not self.remains or self.explained > ENOUGH

    def lines(self) -> list[str]:
        """In words."""
        if self.nothing:
            return [self._nothing(), *self._rest()]
        steps = f"{self.target_steps:,} steps"
        left = "the rest is noise" if self.noisy else f"nothing left that {steps} can show"
        if self.remains:
            unknown = "" if self.sure or not self.named else ", so that values are given without intervals"
            left = f"no parameter that is looked for explains the rest{unknown}"
        alone = len(self.named) == 1 and self.noisy
        explained = [] if alone else [f"this explains {_percent(self.explained)} of what differs"]
        learned = [] if self.motors is None else ["a rule of what the motors do, learned from these steps"]
        found = [one.words(self.sure) for one in self.named]
        parts = [*found, *learned, *explained, "nothing else differs" if alone else left]
        return ["; ".join(parts), self._errors(), *self._on_their_way(), *self._rest(), f"id: {self.id}"]

    def _nothing(self) -> str:
        if self.discarded:
            return "what was found does not lower the error ten steps ahead, so it is discarded: nothing is identified"
        if not self.remains:
            return f"nothing differs that {self.target_steps:,} steps can show"
        return "what differs is no parameter that is looked for: nothing is identified"

    def _errors(self) -> str:
        before, after = self.ten_step_error
        if isnan(before):
            return "error ten steps ahead: not known, since no ten steps are in a row"
        return f"error ten steps ahead, in spreads of each entry: {_size(before)} before, {_size(after)} now"

    def _on_their_way(self) -> list[str]:
        """What to do about a delay."""
        steps = sum(s.value for s in self.physics if SHIFTS[s.name].late and isinstance(s.value, int))
        if not steps or not any(one.parameter.kind.late for one in self.named):
            return []
        shown = f"the last {steps} commanded actions" if steps > 1 else "the last commanded action"
        return [f"`loop.history={steps}` trains a policy that sees {shown}, without which a delay hides the state"]

    def _rest(self) -> list[str]:
        told = [] if self.mistaken is None else [self.mistaken]
        told += self.untold()
        if self.remains:
            shares = ", ".join(f"{name} ({_percent(share)} of its change)" for name, share in self.remains[:3])
            told.append(f"what remains shows most in {shares}")
        if self.left_out:
            told.append(self._left_out())
        if self.unseen:
            told.append(f"these steps cannot show: {', '.join(self.unseen)}")
        return told

    def untold(self) -> list[str]:
        """What was found, and what would have done almost the same."""
        others: dict[str, list[str]] = {}
        for a, b in self.alike:
            others.setdefault(a, []).append(b)
        return [f"{a} might as well be {' or '.join(b)}: these steps do not tell" for a, b in others.items()]

    def _left_out(self) -> str:
        n = len(self.left_out)
        first = ", ".join(map(str, self.left_out[:ROWS]))
        which = f"number{'s' if n > 1 else ''} {first}{', ...' if n > ROWS else ''}"
        more = "far more than the others, by nothing that is looked for"
        return f"left out: {n} of {self.target_steps:,} steps, which differ {more} ({which}, from 0)"

    def as_json(self) -> dict[str, Any]:
        """The object that `identify --out` writes; docs/identify.md says what each key is."""
        return {
            "schema": store.SCHEMA,
            "versions": store.versions(),
            "source": self.source,
            "parameters": [one.as_json() for one in self.named],
            "motors": None if self.motors is None else str(self.motors),
            "explained": self.explained,
            "one_step_error": list(self.one_step_error),
            "ten_step_error": [None if isnan(x) else x for x in self.ten_step_error],
            "target_steps": self.target_steps,
            "entries": [{"name": name, "before": before, "after": after} for name, before, after in self.entries],
            "remains": dict(self.remains),
            "alike": [list(pair) for pair in self.alike],
            "unseen": list(self.unseen),
            "left_out": list(self.left_out),
            "discarded": self.discarded,
            "mistaken": self.mistaken,
            "id": self.id,
            "words": self.lines(),
        }


def answer(problem: Problem, evidence: Evidence, fit: Fit, odd: np.ndarray, source: MujocoDomain) -> Identification:
    """Of a fit to `evidence`, of which steps that are `odd` (numbers) were left out, from the simulator of `source`."""
    neutral = problem.family.neutral
    error = ahead(problem, neutral, evidence), ahead(problem, fit.values, evidence, fit.motors)
    discarded = bool(fit.chosen or fit.motors) and error[1] >= max((1 - LOWERED) * error[0], ROUNDING)
    values, chosen, rule = (neutral, (), None) if discarded else (fit.values, fit.chosen, fit.motors)
    when = late(problem, values, evidence)
    named = [one for i in chosen for one in _named(problem.parameters[i], float(values[i]), fit.spans[i], when)]
    noise = [Named(_noise(name), *about) for name, about in zip(NOISES, fit.noise, strict=True) if about[0]]
    one_step = [problem.errors(neutral), problem.errors(values, rule)]
    learned = [] if rule is None else [Shift("motors", rule)]
    physics = _told(source, [*(one.parameter.shift(one.value) for one in (*named, *noise)), *learned])
    return Identification(
        source=source.name,
        named=(*named, *noise),
        explained=0.0 if discarded or not fit.before else 1 - fit.after / fit.before,
        one_step_error=(_whole(one_step[0]), _whole(one_step[1])),
        ten_step_error=(error[0], error[0] if discarded else error[1]),
        target_steps=evidence.n,
        entries=tuple(zip(problem.simulator.names, *(x.tolist() for x in one_step), strict=True)),
        alike=(*_alike(problem, values, chosen), *(() if when.told else [("delay", "sensor_delay")])),
        unseen=_unseen(problem),
        left_out=tuple(odd.tolist()),
        discarded=discarded,
        mistaken=mistaken(problem, source) if rule or discarded else None,
        physics=physics,
        id=":".join(filter(None, [unshifted(source.name), ",".join(map(str, physics))])),
    )


def _named(parameter: Parameter, value: float, span: tuple[float, float], when: Late) -> list[Named]:
    """A parameter as it is told: a delay as that of what acts and that of what is seen."""
    if not parameter.counts:
        return [Named(parameter, value, *span)]
    parts = [(parameter, when.acts), (Parameter(SHIFTS["sensor_delay"], None, parameter.search, 0.0), when.sees)]
    return [Named(p, float(steps), float(steps), float(steps)) for p, steps in parts if steps]


def _noise(name: str) -> Parameter:
    return Parameter(SHIFTS[name], None, Search(0, 10, ()), 0.0)


def _told(source: MujocoDomain, found: Sequence[Shift]) -> tuple[Shift, ...]:
    """The shifts of a source with what was found, of which more digits than six say nothing."""
    physics = together(source.shifts, found)
    return tuple(s if s in source.shifts or not isinstance(s.value, float) else _rounded(s, s.value) for s in physics)


def _rounded(shift: Shift, value: float) -> Shift:
    return replace(shift, value=float(f"{value:.6g}"))


def ahead(problem: Problem, values: np.ndarray, evidence: Evidence, rule: Rule | None = None) -> float:
    """The error of `values` [parameters], with a `rule` of the motors, ten steps ahead, root mean square in spreads of
    the entries; nan where no ten steps are consecutive. Of steps that were held out, where ten of these are."""
    simulator = problem.simulator
    (variant,) = problem.family.variants(values[None])
    n, seen = evidence.n, simulator.unbiased(variant, evidence.next_obs)
    good = evidence.known & simulator.shown(evidence.obs)
    last = range(n - AHEAD + 1)
    runs = np.array([evidence.follows[i + 1 : i + AHEAD].all() and good[i] for i in last], bool)
    held = np.array([evidence.held[i : i + AHEAD].all() for i in last], bool)
    starts = np.flatnonzero(runs & held if (runs & held).any() else runs)
    if not len(starts):
        return float("nan")
    starts = starts[:: max(1, len(starts) // STARTS)]
    off = simulator.turned(simulator.rollout(values, evidence, starts, AHEAD, rule) - seen[starts + AHEAD - 1])
    spread = np.maximum(seen.std(axis=0), 1e-6)
    return float(np.sqrt(((off / spread).clip(-WORST, WORST) ** 2).mean()))


def _whole(by_entry: np.ndarray) -> float:
    return float(np.sqrt((by_entry**2).mean()))


def _alike(problem: Problem, values: np.ndarray, chosen: Sequence[int]) -> tuple[tuple[str, str], ...]:
    if not chosen:
        return ()
    cosines = alike(problem.slopes(values, problem.gauge)[1])
    names = [p.name for p in problem.parameters]
    return tuple((names[i], names[j]) for i in chosen for j in np.flatnonzero(cosines[i] > ALIKE) if j not in chosen)


def _unseen(problem: Problem) -> tuple[str, ...]:
    """Parameters of the whole robot, and the payload of its first moving body, whose largest trial changes nothing."""
    size = {
        problem.parameters[i]: np.sqrt((effect**2).mean(axis=0)) / problem.spread
        for i, effect in problem.simulator.effects(problem.middle).items()
    }
    return tuple(_of(p, problem) for p, x in size.items() if not p.counts and x.max() < UNSEEN)


def _of(parameter: Parameter, problem: Problem) -> str:
    """Its name; of one that is of a single body, as a payload is, with that body: another one's may have been found."""
    model = problem.family.model
    if parameter.pattern is not None or parameter.kind.default is None:
        return parameter.name
    first = next(body for body in range(model.nbody) if model.body_jntnum[body])
    return f"{parameter.name}({model.body(first).name})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share < 0.999 else f"{min(100 * share, 100):.1f}%"


def _size(error: float) -> str:
    return f"{error:.2g}" if error >= SMALL else f"below {SMALL:g}"
