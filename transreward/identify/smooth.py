"""Parameters and states at once, where observations are noisy.

A one-step residual starts at a noisy observation, and a fit to such residuals is biased (errors in variables): it takes
noise for friction. Here the states are unknown, too: they lie near what was observed, and each follows from the one
before by the simulator (weak-constraint smoothing, as in 4D-Var: Trémolet 2006, Q. J. R. Meteorol. Soc. 132, 2483).
Gauss and Newton's steps are taken in both; the states are a band in the normal equations, and are solved for first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded

from transreward.identify.evidence import Evidence
from transreward.identify.fit import Problem

STEP = 1e-4  # of an entry's spread: finite differences
MODEL = 0.05  # error of a simulated step, as a share of the sensors' noise: what keeps the equations regular
TURNS = 12
SMALL = 1e-4


@dataclass(frozen=True)
class Smoothed:
    """Parameters with their standard errors, and the noise's standard deviation."""

    values: np.ndarray  # [parameters]
    errors: np.ndarray  # [chosen], as the fit moves them
    noise: np.ndarray  # [entries]


class Trajectory:
    """Consecutive states of the evidence: `first` [n] is where a step's state is among them, the next is behind it."""

    def __init__(self, problem: Problem, evidence: Evidence, most: int = 600) -> None:
        simulator = problem.simulator
        good = np.flatnonzero(evidence.known & simulator.shown(evidence.obs) & simulator.shown(evidence.next_obs))[
            :most
        ]
        self.rows = evidence.take(good)
        follows = np.diff(good, prepend=-2) == 1
        follows &= evidence.follows[good]
        self.first = np.cumsum(np.where(follows, 1, 2)) - 2
        self.count = int(self.first[-1]) + 2
        width = len(simulator.entries)
        self.observed = np.empty((self.count, width))
        self.observed[self.first + 1] = simulator.seen(self.rows.next_obs)
        self.observed[self.first] = simulator.seen(self.rows.obs)


def smooth(problem: Problem, evidence: Evidence, values: np.ndarray, chosen: Sequence[int]) -> Smoothed:
    """The chosen parameters from `values` on, with the states that noise hides."""
    free = [i for i in chosen if not problem.parameters[i].counts]
    path = Trajectory(problem, evidence)
    states, width, k = path.observed.copy(), path.observed.shape[1], len(free)
    spread = problem.spread_of_states
    noise = _first_noise(problem, path, values)
    x = np.array([problem.of(i, values[i]) for i in free])
    damping = 1e-3
    cost, parts = None, None
    for turn in range(TURNS):
        if parts is None:
            values = problem.moved(values, free, x[None])[0]
            parts = _linear(problem, path, states, values, free, spread)
        ahead, by_state, by_parameter = parts
        if cost is None:
            cost = _cost(path, states, ahead, noise)
        delta, delta_x, schur = _solve(path, states, ahead, by_state, by_parameter, noise, damping)
        trial_x, trial = x + delta_x, states + delta
        trial_values = problem.moved(values, free, trial_x[None])[0]
        trial_ahead = _simulated(problem, path, trial, trial_values[None])[0]
        new = _cost(path, trial, trial_ahead, noise)
        if new < cost:
            moved = np.abs(delta_x).max(initial=0)
            x, states, damping = trial_x, trial, damping / 5
            values, cost, parts = trial_values, None, None
            noise = np.sqrt(np.maximum(((states - path.observed) ** 2).mean(axis=0), 1e-16)) * _lost(path, width)
            if moved < SMALL and turn > 3:
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    ahead, by_state, by_parameter = _linear(problem, path, states, values, free, spread)
    *_, schur = _solve(path, states, ahead, by_state, by_parameter, noise, 0.0)
    errors = np.sqrt(np.maximum(np.diag(np.linalg.pinv(schur)), 0)) if k else np.zeros(0)
    return Smoothed(values, errors, noise)


def _lost(path: Trajectory, width: int) -> float:
    """What the states' own freedom takes off the residuals."""
    return 1.0


def _first_noise(problem: Problem, path: Trajectory, values: np.ndarray) -> np.ndarray:
    ahead = _simulated(problem, path, path.observed, values[None])[0]
    off = path.observed[path.first + 1] - ahead
    ratio = np.sqrt(np.median((off / problem.spread_of_states) ** 2))
    return np.maximum(ratio * problem.spread_of_states * 0.5, 1e-8)


def _simulated(problem: Problem, path: Trajectory, states: np.ndarray, values: np.ndarray) -> np.ndarray:
    return problem.simulator.ahead(values, states[path.first][None].repeat(len(values), 0), path.rows)


def _linear(
    problem: Problem, path: Trajectory, states: np.ndarray, values: np.ndarray, free: list[int], spread: np.ndarray
) -> Any:
    """The next states, and their derivatives by the states and by the parameters."""
    width, start = states.shape[1], states[path.first]
    moved = np.concatenate([start[None], start[None] + STEP * spread * np.eye(width)[:, None]])
    found = problem.simulator.ahead(values[None].repeat(len(moved), 0), moved, path.rows)
    by_state = (found[1:] - found[0]) / (STEP * spread)[:, None, None]
    at = np.array([problem.of(i, values[i]) for i in free])
    near = (
        np.concatenate([problem.moved(values, [i], at[j : j + 1, None] + 1e-4) for j, i in enumerate(free)])
        if free
        else np.zeros((0, len(values)))
    )
    by_parameter = np.zeros((0, *found[0].shape))
    if free:
        by_parameter = (problem.simulator.ahead(near, start[None].repeat(len(free), 0), path.rows) - found[0]) / 1e-4
    return found[0], by_state.transpose(1, 2, 0), by_parameter.transpose(1, 2, 0)


def _cost(path: Trajectory, states: np.ndarray, ahead: np.ndarray, noise: np.ndarray) -> float:
    seen = (path.observed - states) / noise
    step = (states[path.first + 1] - ahead) / (MODEL * noise)
    return float((seen**2).sum() + (step**2).sum())


def _solve(
    path: Trajectory,
    states: np.ndarray,
    ahead: np.ndarray,
    by_state: np.ndarray,
    by_parameter: np.ndarray,
    noise: np.ndarray,
    damping: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moves of states [count, width] and parameters [k], and the parameters' information [k, k]."""
    (count, width), k = states.shape, by_parameter.shape[2]
    q = MODEL * noise
    band = np.zeros((2 * width, count * width))  # lower form: band[i - j, j]
    right = np.zeros((count * width, 1 + k))
    right[:, 0] = ((path.observed - states) / noise**2).ravel()
    diagonal = np.zeros((count, width, width))
    diagonal[:] = np.diag(1 / noise**2)
    below = np.zeros((count, width, width))
    off = states[path.first + 1] - ahead  # d = s' - f(s, x)
    jacobian = by_state / q[:, None]  # of f, whitened [n, out, in]
    slope = by_parameter / q[:, None]
    white = off / q
    np.add.at(diagonal, path.first, np.einsum("noi,noj->nij", jacobian, jacobian))
    np.add.at(diagonal, path.first + 1, np.diag(1 / q**2))
    below[path.first] = -(by_state / q[None, :, None] ** 2)
    pull = right.reshape(count, width, 1 + k)
    np.add.at(pull[..., 0], path.first, np.einsum("noi,no->ni", jacobian, white))
    np.add.at(pull[..., 0], path.first + 1, -white / q)
    # derivative of d by x is -slope: cross terms of states and parameters
    np.add.at(pull[..., 1:], path.first, np.einsum("noi,nok->nik", jacobian, slope))
    np.add.at(pull[..., 1:], path.first + 1, -slope / q[:, None])
    for i in range(width):
        for j in range(width):
            if i >= j:
                band[i - j, j::width] = diagonal[:, i, j]
            band[width + i - j, j : (count - 1) * width : width] = below[:-1, i, j]
    band[0] *= 1 + damping
    solved = solveh_banded(band, right, lower=True)
    cross = right[:, 1:]
    normal = np.einsum("nok,nol->kl", slope, slope)
    pulled = np.einsum("nok,no->k", slope, white)
    schur = normal - cross.T @ solved[:, 1:]
    delta_x = (
        np.linalg.lstsq(schur + damping * np.diag(np.diag(schur)), pulled - cross.T @ solved[:, 0], rcond=1e-12)[0]
        if k
        else np.zeros(0)
    )
    delta = (solved[:, 0] - solved[:, 1:] @ delta_x).reshape(count, width)
    return delta, delta_x, schur
