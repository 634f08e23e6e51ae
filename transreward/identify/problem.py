"""What a fit minimises: what variants of a simulator do otherwise than the robot did, and how that is made small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mujoco import minimize

from transreward.domains.parameters import Parameter
from transreward.domains.shifts.rules import Rule, share
from transreward.identify.evidence import Evidence
from transreward.identify.simulator import Simulator

# Steps on which candidates are screened; on which derivatives are taken and candidates first refined; on which the best
# of these are; and those that are chosen.
ROUGH, GAUGE, MIDDLE, FINE = 32, 80, 250, 1000
FLOOR = 0.02  # of an entry's change: errors below it weigh no more
EPS = 1e-4  # of the finite differences
STEP = 0.02  # of those by a command, of half an action's range
RIDGE = 1e-8


class Problem:
    """Residuals of variants on the steps of `evidence`, weighted by what is to be explained of each entry.

    Steps of which the state or an action is not known are left out.
    """

    def __init__(self, simulator: Simulator, evidence: Evidence, seed: int = 0):
        self.simulator, self.family = simulator, simulator.family
        self.parameters: tuple[Parameter, ...] = self.family.parameters
        self.usable = evidence.known & simulator.shown(evidence.obs)
        self.steps = evidence.take(self.usable)
        order = np.random.default_rng(seed).permutation(np.flatnonzero(~self.steps.held))
        self.fine = self.steps.take(order[:FINE])
        self.middle, self.gauge, self.rough = (self.steps.take(order[:n]) for n in (MIDDLE, GAUGE, ROUGH))
        self.held = self.steps.take(self.steps.held)
        change = simulator.seen(self.steps.next_obs) - simulator.seen(self.steps.obs)
        off = simulator.differences(self.family.neutral[None], self.fine)[0]
        self.spread = np.maximum(change.std(axis=0), 1e-6)
        self.spread_of_states = np.maximum(simulator.seen(self.steps.obs).std(axis=0), 1e-6)
        self.weight = 1 / np.maximum(np.sqrt((off**2).mean(axis=0)), FLOOR * self.spread)

    def residuals(self, values: np.ndarray, rows: Evidence, exact: bool = True) -> np.ndarray:
        """[m, n, entries] of `values` [m, parameters]; `exact` as in `Family.variants`."""
        return self.simulator.differences(values, rows, exact) * self.weight

    def loss(self, values: np.ndarray, rows: Evidence, exact: bool = True) -> np.ndarray:
        """Mean squared residual, [m]."""
        return (self.residuals(values, rows, exact) ** 2).mean(axis=(1, 2))

    def held_out(self, values: np.ndarray) -> float:
        """The loss of `values` [parameters] on the held-out steps."""
        return float(self.loss(values[None], self.held)[0])

    def errors(self, values: np.ndarray, rule: Rule | None = None) -> np.ndarray:
        """Root mean square error of a held-out step, in spreads of each entry's change, [entries]; with a `rule` of the
        motors."""
        off = self.simulator.differences(values[None], self.obeyed(values, self.held, rule))[0]
        return np.sqrt((off**2).mean(axis=0)) / self.spread

    def obeyed(self, values: np.ndarray, rows: Evidence, rule: Rule | None) -> Evidence:
        """The steps as if what the rule adds had been commanded, in the variant that has `values` [parameters]."""
        if rule is None:
            return rows
        (variant,) = self.family.variants(values[None])
        return self.simulator.moved(variant, rows, rule(self.simulator.inputs(variant, rows)))

    def by_commands(self, values: np.ndarray, rows: Evidence) -> tuple[np.ndarray, np.ndarray]:
        """Residuals [n, entries] of `values` [parameters], and their derivatives by each command, [n, entries, motors],
        in half the action's range."""
        (variant,) = self.family.variants(values[None])
        (off,) = self.residuals(values[None], rows)
        slopes = np.empty((*off.shape, len(self.simulator.low)))
        command = share(rows.commanded[variant.delay], *self.simulator.box)
        for j in range(slopes.shape[-1]):
            step = np.zeros_like(command)
            step[:, j] = np.where(command[:, j] + STEP > 1, -STEP, STEP)
            (near,) = self.residuals(values[None], self.simulator.moved(variant, rows, step))
            slopes[..., j] = (near - off) / step[:, [j]]
        return off, slopes

    def refine(self, values: np.ndarray, chosen: list[int], rows: Evidence, iterations: int) -> np.ndarray:
        """Values [parameters] whose chosen ones fit `rows` best, from `values` on; delays stay."""
        free = [i for i in chosen if not self.parameters[i].counts]
        if not free:
            return values
        low, high = self.bounds(free)
        start, neutral = self.at(values, free).clip(low, high), self.at(self.family.neutral, free)
        scale = 1 / np.sqrt(rows.n * len(self.weight))

        def residual(x: np.ndarray) -> np.ndarray:
            x = x.reshape(len(free), -1)
            found = self.residuals(self.moved(values, free, x.T), rows).reshape(x.shape[1], -1).T * scale
            return np.concatenate([found, np.sqrt(RIDGE) * (x - neutral[:, None])])

        x, _ = minimize.least_squares(
            start,
            residual,
            (low, high),
            eps=EPS,
            max_iter=iterations,
            xtol=1e-5,
            verbose=0,
            x_scale="jac",
            mu_min=0.01,
            mu_factor=4.0,  # of columns of length 1: from none to much in a few rejected steps
        )
        return self.moved(values, free, x.reshape(1, -1))[0]

    def of(self, i: int, value: float) -> float:
        """A value as the fit moves it: its logarithm where the parameter says so."""
        search = self.parameters[i].search
        return float(np.log(max(value, search.low))) if search.log else float(value)

    def at(self, values: np.ndarray, free: Sequence[int]) -> np.ndarray:
        """The `free` of `values` [parameters] as the fit moves them, [free]."""
        return np.array([self.of(i, values[i]) for i in free])

    def bounds(self, free: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Between which the fit moves them, [free] each."""
        searched = [(i, self.parameters[i].search) for i in free]
        return np.array([self.of(i, s.low) for i, s in searched]), np.array([self.of(i, s.high) for i, s in searched])

    def moved(self, values: np.ndarray, free: list[int], x: np.ndarray) -> np.ndarray:
        """`values` [parameters] with `free` as the fit moved them, x [m, free] -> [m, parameters]."""
        out = np.repeat(values[None], len(x), axis=0)
        for k, i in enumerate(free):
            out[:, i] = np.exp(x[:, k]) if self.parameters[i].search.log else x[:, k]
        return out

    def slopes(
        self, values: np.ndarray, rows: Evidence, of: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals at `values`, flat, and their derivatives by the parameters (`of` these alone), [residuals,
        parameters]; 0 by the others, and by those that no derivative moves."""
        wanted = range(len(self.parameters)) if of is None else of
        free = [i for i in wanted if not self.parameters[i].counts]
        at, (_, high) = self.at(values, free), self.bounds(free)
        if not free:
            return self.residuals(values[None], rows).ravel(), np.zeros((0, len(self.parameters)))
        step = np.where(at + 100 * EPS <= high, 100 * EPS, -100 * EPS)
        near = [self.moved(values, [i], at[k : k + 1, None] + step[k]) for k, i in enumerate(free)]
        found = self.residuals(np.concatenate([values[None], *near]), rows, exact=False)
        flat = found.reshape(len(found), -1)
        slopes = np.zeros((flat.shape[1], len(self.parameters)))
        slopes[:, free] = ((flat[1:] - flat[0]) / step[:, None]).T
        return flat[0], slopes


def alike(slopes: np.ndarray) -> np.ndarray:
    """Cosines, without their sign, of the effects of parameters, of which `slopes` [residuals, parameters] are the
    derivatives, [parameters, parameters]; 0 of what has none."""
    unit = slopes / np.maximum(np.sqrt((slopes**2).sum(axis=0)), 1e-300)
    return np.abs(unit.T @ unit)
