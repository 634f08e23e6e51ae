"""Whether what the parameters leave is noise, of actions or of sensors, and how large it is.

Noise of actions moves a step only where its motors can: nearly all that remains lies in the span of the actions'
effects, and what it takes to make it depends on nothing. Noise of sensors is the same in every entry, in shares of its
spread, and in a window of any length. What is neither is of the physics, and no parameter of the family.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from transreward.identify.evidence import Evidence
from transreward.identify.fit import Fit, Noise
from transreward.identify.noisy import completed, significant
from transreward.identify.plausible import correlation
from transreward.identify.problem import Problem
from transreward.identify.uncertainty import intervals
from transreward.identify.windows import LENGTH, Shooting, Shot, Windows

NONE = 2e-3  # of an entry's change: what remains below it is no noise
IN_SPAN = 0.9  # share of what remains that noise of actions must explain
RULED = 0.15  # share of it, adjusted, that action and state may explain: more is a rule of the motors, not noise
CHANCE = 2.0  # standard deviations of such a share that chance alone may make
GROWTH = (
    1.15  # of what remains in windows twice as long, for noise of sensors, and in the middle window over a good one
)
QUARTER = 0.674  # standard deviations below the middle: of the first quartile
EVEN, MAYBE = 2.0, 4.0  # third over first quartile of the entries' noise; where parameters are still to be found
RETURNS = -0.1  # first quartile of the entries' rank correlations of two steps in a row, for noise of sensors
TRIFLE = 3e-4  # of an entry's spread: noise of sensors below it is none
LEAST = 20  # windows
EFFICIENCY = 0.37  # share of normal numbers whose squares tell their spread as well as the median distance of all does
NEAR = 3.0  # standard deviations from its bound where an action's noise is not cut off


def settled(problem: Problem, evidence: Evidence, fit: Fit) -> Fit:
    """The fit with its intervals, its noise, and, where that is of the sensors, with values that it does not bias."""
    plain = replace(fit, spans=intervals(problem, fit.values, fit.chosen))
    if problem.errors(fit.values).max() < NONE:
        return plain
    if action := _of_actions(problem, fit.values):
        # several motors tell the same noise, but what biases one may bias the others: they count as the steps at most
        told = min(1.0, EFFICIENCY * len(problem.simulator.low)) * problem.steps.n
        return replace(plain, noise=Noise(action=_about(action, told)))
    windows = Windows(problem, evidence)
    if windows.count < LEAST or not _returning(problem, evidence, fit.values):
        return plain
    shot, chosen = significant(problem, windows, fit.values, fit.chosen)
    if not _even(problem, shot, MAYBE):
        return plain
    shot, chosen = completed(problem, windows, shot, chosen)
    sensor = _of_sensors(problem, evidence, shot)
    if not sensor:
        return plain
    values, noise = shot.values, Noise(sensor=_about(sensor, windows.count))
    spans = {i: shot.spans.get(i, (float(values[i]), float(values[i]))) for i in chosen}
    return Fit(values, tuple(chosen), fit.before, problem.held_out(values), spans, noise)


def _about(noise: float, n: float) -> tuple[float, float, float]:
    """A standard deviation told from `n` independent numbers, with its 95% interval."""
    half = 1.96 / (2 * n) ** 0.5
    return noise, noise * (1 - half), noise * (1 + half)


def _returning(problem: Problem, evidence: Evidence, values: np.ndarray) -> bool:
    """Whether what one step leaves tends to be the opposite of what the step before left, as where the observation
    between them is wrong; what is missing in the physics tends to stay."""
    off = problem.simulator.differences(values[None], evidence)[0]
    good = evidence.known & problem.simulator.shown(evidence.obs)
    then = np.flatnonzero(evidence.follows[1:] & good[1:] & good[:-1])
    return bool(np.quantile([correlation(x[then], x[then + 1]) for x in off.T], 0.25) < RETURNS)


def _of_sensors(problem: Problem, evidence: Evidence, shot: Shot) -> float:
    """Noise of the sensors as a share of each entry's spread; 0 = what remains is something else."""
    longer, unit = Windows(problem, evidence, 2 * LENGTH), problem.simulator.unit_noise(problem.steps.obs)
    if longer.count < 2 or not _even(problem, shot, EVEN):
        return 0.0
    off = [shot.off / unit, Shooting(longer, ()).run(shot.values).off / unit]
    best = [_size(x, -QUARTER) for x in off]
    middle = _size(off[0], 0.0)
    return middle if best[1] < GROWTH * best[0] and middle < GROWTH * best[0] else 0.0


def _even(problem: Problem, shot: Shot, most: float) -> bool:
    """Whether windows leave much the same in all entries, in shares of their spread, and no trifle."""
    low, middle, high = np.percentile(shot.noise / problem.simulator.unit_noise(problem.steps.obs), (25, 50, 75))
    return bool(high < most * low and middle > TRIFLE)


def _size(off: np.ndarray, quantile: float) -> float:
    """Standard deviation of noise that leaves `off` [windows, length + 1, entries] where the first states are fitted:
    that of the window at a normal `quantile`, since in some a contact goes another way. Of a chi-squared as Wilson and
    Hilferty (1931) have it."""
    free = (off.shape[1] - 1) * off.shape[2]
    found = float(np.quantile((off**2).sum(axis=(1, 2)), ndtr(quantile))) / free
    return (found / (1 - 2 / (9 * free) + quantile * (2 / (9 * free)) ** 0.5) ** 3) ** 0.5


def _of_actions(problem: Problem, values: np.ndarray) -> float:
    """Noise of the actions in their units; 0 = what remains is something else."""
    rows, simulator = problem.steps, problem.simulator
    (variant,), low, high = problem.family.variants(values[None]), simulator.low, simulator.high
    late = rows.commanded[variant.delay : variant.delay + 2]  # what arrives, of which noise is cut off, and before it
    half, action = (high - low) / 2, late[0].clip(low, high)
    off, slopes = problem.by_commands(values, rows)
    even = 1 / (problem.weight * problem.spread)  # each entry by its own spread, whatever a fit has to explain of it
    off, effects = off * even, slopes * even[:, None] / half
    taken = np.stack([np.linalg.lstsq(effect, -x, rcond=1e-8)[0] for effect, x in zip(effects, off, strict=True)])
    left = off + np.einsum("nej,nj->ne", effects, taken)
    if 1 - (left**2).sum() / (off**2).sum() < IN_SPAN:
        return 0.0
    sizes = []
    for j, noise in enumerate(_spread(taken)):
        inside = np.abs(action[:, j] - (low + high)[j] / 2) < half[j] - NEAR * noise
        inside = inside if inside.sum() > 50 else np.ones(rows.n, bool)
        seen = np.column_stack([np.ones(rows.n), late[:, :, j].T, simulator.seen(rows.obs)])[inside]
        if _ruled(taken[inside, j], seen) > RULED:
            return 0.0
        sizes.append(_spread(taken[inside, j]))
    return float(np.sqrt(np.mean(np.square(sizes))))


def _spread(x: np.ndarray) -> np.ndarray:
    """Standard deviation of normal numbers [n, ...], by their median distance from the median: at a joint's stop a
    command does next to nothing, and what it would have taken is far too much."""
    return np.median(np.abs(x - np.median(x, axis=0)), axis=0) / QUARTER


def _ruled(y: np.ndarray, x: np.ndarray) -> float:
    """Share of the variance of `y` [n] that is linear in `x` [n, columns], adjusted for their number, and less what
    chance may add to it: `CHANCE` standard deviations of the share of normal numbers."""
    n, rank = len(y), np.linalg.matrix_rank(x)
    if n - rank < 10:
        return 0.0
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    share = 1 - (left @ left) / (n - rank) / max(y.var(ddof=1), 1e-300)
    return float(share - CHANCE * np.sqrt(2 * rank) / (n - rank))
