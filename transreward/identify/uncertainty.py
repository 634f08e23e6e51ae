"""How certain what was found is: a bootstrap over blocks of consecutive steps.

Gauss and Newton's own covariance takes residuals for independent and the states for exact, and is ten times too small
where observations are noisy. Here blocks of steps are drawn anew, and each draw moves the parameters by one step of
Gauss and Newton from where they are (a one-step bootstrap: Davison and Hinkley 1997, section 2.7).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from transreward.identify.problem import Problem

LENGTH = 20  # steps of a block
DRAWS = 500
LEVEL = 0.95


def intervals(
    problem: Problem, values: np.ndarray, chosen: Sequence[int], seed: int = 0
) -> dict[int, tuple[float, float]]:
    """95% interval of each chosen parameter; what no derivative moves has none."""
    found = {i: (float(values[i]), float(values[i])) for i in chosen}
    free = [i for i in chosen if not problem.parameters[i].counts]
    if not free:
        return found
    rows = problem.steps
    off, slopes = problem.slopes(values, rows, free)
    information, gradient = by_blocks(slopes.reshape(rows.n, -1, slopes.shape[1])[..., free], off.reshape(rows.n, -1))
    half, at = half_width(information, gradient, np.ones(len(gradient)), seed), problem.at(values, free)
    low, high = (problem.moved(values, free, (at + sign * half)[None])[0] for sign in (-1, 1))
    for i in free:
        search = problem.parameters[i].search
        found[i] = max(float(low[i]), search.low), min(float(high[i]), search.high)
    return found


def by_blocks(slopes: np.ndarray, off: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Newton's equations of each block of consecutive steps, for what is `off` [n, entries] and its `slopes`
    [n, entries, free]: information [blocks, free, free] and gradient [blocks, free]."""
    n, count, free = len(off), max(len(off) // LENGTH, 1), slopes.shape[-1]
    block = np.arange(n) * count // n
    information, gradient = np.zeros((count, free, free)), np.zeros((count, free))
    np.add.at(information, block, np.einsum("nei,nej->nij", slopes, slopes))
    np.add.at(gradient, block, np.einsum("nei,ne->ni", slopes, off))
    return information, gradient


def half_width(information: np.ndarray, gradient: np.ndarray, weight: np.ndarray, seed: int = 0) -> np.ndarray:
    """Half of the 95% interval of each parameter, [free], from each block's part of Gauss and Newton's equations:
    `information` [blocks, free, free], `gradient` [blocks, free] and how much the block counts, `weight` [blocks]."""
    n = len(weight)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS) * weight
    moved = [np.linalg.lstsq(np.tensordot(w, information, 1), w @ gradient, rcond=1e-12)[0] for w in draws]
    free = max(n - 1, 1)
    return np.std(moved, axis=0) * np.sqrt(n / free) * stdtrit(free, (1 + LEVEL) / 2)
