"""A rule of the motors, learned where the parameters leave much that motors could have done.

What is missing in a step is asked of the motors: by how much each command would have to be another. The simulator's own
derivatives answer that for all motors and steps at once, so that a rule (`domains.shifts.rules`), which is linear in
its weights, is a ridge regression on what remains of the next states. It is repeated where the rule has led to, since
contacts and limits are not linear. Kin: delta actions (ASAP, arXiv:2502.01143), which are learned by reinforcement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from transreward.domains.shifts.rules import INPUTS, Rule
from transreward.identify.evidence import BLOCK, Evidence
from transreward.identify.fit import ENOUGH, Fit, Noise, enough, select
from transreward.identify.identification import ahead
from transreward.identify.known import Known
from transreward.identify.noise import settled
from transreward.identify.odd import odd, without
from transreward.identify.problem import FINE, Problem
from transreward.identify.uncertainty import intervals

GAIN, SHARE = 0.1, 0.02  # a rule has to lower the held-out loss by these shares of it and of the first
CLEAR = 0.64  # share of the product of it and the error ten steps ahead: if a rule leaves less, noise is not looked for
MIXTURES = 48
TURNS = 5
RIDGES = 10.0 ** np.arange(-5, 1.1, 0.5)  # of the weights, in units of the mean squared residual
PARTS = 4  # of the steps, by which the ridge is chosen
ROWS = 2 * FINE  # steps from which it is learned


class Ruled:
    """What a rule of the motors explains, learned where that is asked first."""

    def __init__(self, problem: Problem, evidence: Evidence, rules: Sequence[Rule] = ()) -> None:
        self.problem, self.evidence, self._rules = problem, evidence, rules
        self._latest: Fit | None = None

    def of(self, evidence: Evidence) -> Ruled:
        """The same of other steps."""
        return Ruled(Problem(self.problem.simulator, evidence), evidence, self._rules)

    @cached_property
    def alone(self) -> Fit:
        """Of a robot whose parameters are all as in the simulator."""
        values = self.problem.family.neutral
        before = self.problem.held_out(values)
        return _with_rule(self.problem, Fit(values, (), before, before), self._rules)

    def loss(self) -> float:
        """On held-out steps, of the rule alone."""
        return self.alone.after

    def beside(self, fit: Fit, clearly: bool) -> Fit:
        """The fit with a rule of the motors, if one explains more on held-out steps and ten steps ahead, `clearly` or
        not: beside the parameters, or instead of them where these only stood for what the motors do."""
        if fit.after <= max((1 - ENOUGH) * fit.before, enough(fit.before)):
            return fit
        most = fit.after - max(GAIN * fit.after, SHARE * fit.before)
        for best in self._others(fit):
            if best.after > most:
                continue
            before, after = (ahead(self.problem, one.values, self.evidence, one.motors) for one in (fit, best))
            if not after >= before and (not clearly or best.after * after < CLEAR * fit.after * before):
                return best
        return fit

    def _others(self, fit: Fit) -> list[Fit]:
        """The rule alone, where what the fit has chosen adds little to it, and both."""
        if not fit.chosen:
            return [self.alone]
        both = self._both(fit)
        return [self.alone, both] if self.alone.after <= (1 + GAIN) * both.after else [both]

    def _both(self, fit: Fit) -> Fit:
        """The fit with the rule that is learned beside its values, once for the same values."""
        if self._latest is None or not np.array_equal(self._latest.values, fit.values):
            self._latest = _with_rule(self.problem, fit, self._rules)
        return replace(self._latest, spans=fit.spans, noise=fit.noise)


class Settled(NamedTuple):
    """A fit, and what it is of."""

    problem: Problem
    evidence: Evidence
    fit: Fit
    odd: np.ndarray  # steps of the evidence that were left out, as numbers


def settled_with_motors(problem: Problem, evidence: Evidence, known: Sequence[Known] = ()) -> Settled:
    """The parameters that differ, with a rule of the motors and noise where these explain the rest; steps that differ
    far more than the others are left out. What is `known` of other robots is tried first."""
    rules = [one.motors for one in known if one.motors is not None]
    starts = [start for one in known if (start := one.start(problem)) is not None]
    ruled = Ruled(problem, evidence, rules)
    fit = select(problem, ruled.loss, starts)
    left_out = odd(problem, fit)
    if len(left_out):
        ruled = ruled.of(without(evidence, left_out))
        fit = select(ruled.problem, ruled.loss, [(fit.values, list(fit.chosen)), *starts])
    return Settled(ruled.problem, ruled.evidence, _with_motors(ruled, fit), left_out)


def _with_motors(ruled: Ruled, fit: Fit) -> Fit:
    """With a rule of the motors, or with noise: what a rule clearly explains is none."""
    problem, evidence = ruled.problem, ruled.evidence
    found = ruled.beside(fit, clearly=True)
    if found.motors is not None:
        return replace(found, spans=intervals(problem, found.values, found.chosen))
    fit = settled(problem, evidence, fit)
    return fit if fit.noise != Noise() else ruled.beside(fit, clearly=False)


def _with_rule(problem: Problem, fit: Fit, known: Sequence[Rule] = ()) -> Fit:
    """The fit with the rule that its training steps show, or with one that is `known`, by the held-out steps."""
    train = problem.steps.take(np.flatnonzero(~problem.steps.held)[:ROWS])
    values, (variant,) = fit.values, problem.family.variants(fit.values[None])
    x = problem.simulator.inputs(variant, train)
    random = np.random.default_rng(0)
    mixing, offset = random.standard_normal((INPUTS, MIXTURES)), random.uniform(-2, 2, MIXTURES)
    weight = np.zeros((x.shape[-1], 1 + INPUTS + MIXTURES))
    rule = Rule(x.mean(axis=1), np.maximum(x.std(axis=1), 1e-6), mixing, offset, weight)
    features, best = rule.features(x), replace(fit, motors=None)
    for other in known:
        after = float(problem.loss(values[None], problem.obeyed(values, problem.held, other))[0])
        if after < best.after:
            best = replace(fit, motors=other, after=after)
    for _ in range(TURNS):
        off, slopes = problem.by_commands(values, problem.simulator.moved(variant, train, rule(x)))
        rest = off - np.einsum("nej,nj->ne", slopes, rule(x))
        rule = replace(rule, weight=_regressed(rest, slopes, features))
        after = float(problem.loss(values[None], problem.obeyed(values, problem.held, rule))[0])
        if after < best.after:
            best = replace(fit, motors=rule, after=after)
    return best


def _regressed(rest: np.ndarray, slopes: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The weights [motors, features] of which the effects, by `slopes` [n, entries, motors], take off most of what
    remains, `rest` [n, entries]; with the ridge that is best on parts left out."""
    n, motors, size = features.shape
    part = np.arange(n) // BLOCK % PARTS
    effects = (slopes[..., None] * features[:, None]).reshape(n, -1, motors * size)
    sums = [_sums(effects[part == k], -rest[part == k]) for k in range(PARTS)]
    whole, to = (np.sum(x, axis=0) for x in zip(*sums, strict=True))
    lost = np.zeros(len(RIDGES))
    for k, (square, product) in enumerate(sums):
        for i, ridge in enumerate(RIDGES):
            weight = _solved(whole - square, to - product, ridge * n * (PARTS - 1) / PARTS)
            lost[i] += ((rest[part == k] + effects[part == k] @ weight) ** 2).sum()
    return _solved(whole, to, RIDGES[int(np.argmin(lost))] * n).reshape(motors, size)


def _sums(effects: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of normal equations."""
    flat = effects.reshape(-1, effects.shape[-1])
    return flat.T @ flat, flat.T @ wanted.ravel()


def _solved(square: np.ndarray, product: np.ndarray, ridge: float) -> np.ndarray:
    return np.linalg.solve(square + ridge * np.eye(len(square)), product)
