"""Which parameters differ where observations are noisy: selection on windows.

In one step noise may hide what four steps show: half the gravity moves a hopper's body by less in a control step than
1% of noise does. So what the fit to single steps missed is looked for again, by how much of what windows leave it would
explain beside their first states: at a few values of the whole robot's parameters, and by the linear gain of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transreward.identify.fit import MOST
from transreward.identify.problem import Problem
from transreward.identify.windows import FAR, Equations, Shooting, Shot, Windows

GAIN = 0.01  # of what windows leave: an addition has to explain as much
SURE = 25.0  # squared standard errors that it has to be from nothing
TRIED = 2  # candidates that are fitted
ENOUGH = 60  # windows of which half show what else differs


def completed(problem: Problem, windows: Windows, shot: Shot, chosen: Sequence[int]) -> tuple[Shot, list[int]]:
    """With what else differs, beside the `chosen` that `shot` is a fit of, or in the place of one of them. It is looked
    for on every other window."""
    some = np.arange(windows.count) % 2 == 0 if windows.count >= ENOUGH else np.ones(windows.count, bool)
    found, kept = _completed(problem, windows.of(some), shot.of(some), list(chosen))
    return (shot, kept) if kept == list(chosen) else significant(problem, windows, found.values, kept)


def _completed(problem: Problem, windows: Windows, shot: Shot, kept: list[int]) -> tuple[Shot, list[int]]:
    while len(kept) < MOST:
        best = _better(problem, windows, shot, _candidates(problem, windows, shot, kept), kept)
        if _left(best[0].off, shot) > (1 - GAIN) * _left(shot.off, shot) or set(best[1]) <= set(kept):
            break
        shot, kept = best
    for i in [i for i in kept if i in shot.spans]:
        rest, values = [k for k in kept if k != i], shot.values.copy()
        values[i] = problem.family.neutral[i]
        starts = _candidates(problem, windows, Shooting(windows, rest).run(values, shot.first), rest)
        best = _better(problem, windows, shot, starts, rest) if starts and starts[0][1] != i else (shot, kept)
        if _left(best[0].off, shot) < (1 - GAIN / 4) * _left(shot.off, shot):
            return best
    return shot, kept


def _better(
    problem: Problem, windows: Windows, shot: Shot, starts: list[tuple[np.ndarray, int]], kept: Sequence[int]
) -> tuple[Shot, list[int]]:
    """The best fit with one more than the `kept`, from `starts`; `shot` where there are none."""
    tried = [significant(problem, windows, values, [*kept, i], shot.first) for values, i in starts]
    return min(tried, key=lambda one: _left(one[0].off, shot), default=(shot, list(kept)))


def significant(
    problem: Problem, windows: Windows, values: np.ndarray, chosen: Sequence[int], first: np.ndarray | None = None
) -> tuple[Shot, list[int]]:
    """A fit to windows from `values` [parameters] and `first` on, without parameters that may as well be neutral, or do
    nothing there."""
    kept, neutral = list(chosen), problem.family.neutral
    while True:
        shot = Shooting(windows, kept).run(values, first)
        idle = [i for i, (low, high) in shot.spans.items() if low <= neutral[i] <= high or low == high]
        if not idle:
            return shot, kept
        kept, values, first = [i for i in kept if i not in idle], shot.values.copy(), shot.first
        values[idle] = neutral[idle]


def _left(off: np.ndarray, shot: Shot) -> float:
    """What windows leave, `off` [windows, ...] in the noise of `shot`; those that went another way count less."""
    cost, usual = (
        np.square(x.reshape(len(x), -1, off.shape[-1]) / shot.noise).mean(axis=(1, 2)) for x in (off, shot.off)
    )
    return float(np.minimum(cost, FAR * np.median(usual)).sum())


def _candidates(problem: Problem, windows: Windows, shot: Shot, chosen: Sequence[int]) -> list[tuple[np.ndarray, int]]:
    """Parameters that may explain more, and values [parameters] to begin with."""
    free = [i for i, p in enumerate(problem.parameters) if not p.counts]
    equations = Shooting(windows, free).linear(shot.values, shot.first, shot.noise)
    enough = GAIN * _left(shot.off, shot)
    found = {i: (gain, shot.values) for i, gain in _gains(equations, free, chosen).items() if gain > enough}
    for i, (gain, start) in _trials(problem, windows, shot, equations, chosen).items():
        if gain > max(enough, found[i][0] if i in found else 0):
            found[i] = gain, start
    best = sorted(found, key=lambda i: -found[i][0])[:TRIED]
    return [(found[i][1], i) for i in best]


def _gains(equations: Equations, free: list[int], chosen: Sequence[int]) -> dict[int, float]:
    """Unused parameter -> what it would take off if all effects were linear, a mean square a window; of those that are
    sure."""
    weight = equations.weight
    *_, information, gradient = equations.solved(weight, np.full(len(weight), 1e-9))
    whole, at = np.tensordot(weight, information, 1), {i: k for k, i in enumerate(free)}
    used, gains = [at[i] for i in chosen if i in at], {}
    for i, k in at.items():
        if i in chosen or not whole[k, k]:
            continue
        share = np.linalg.lstsq(whole[np.ix_(used, used)], whole[used, k], rcond=1e-12)[0]
        pull = weight * (gradient[:, k] - gradient[:, used] @ share)
        rest = whole[k, k] - whole[k, used] @ share
        if rest > 1e-6 * whole[k, k] and pull.sum() ** 2 > SURE * (pull**2).sum():
            gains[i] = float(pull.sum() ** 2 / rest / equations.by_parameter.shape[1])
    return gains


def _trials(
    problem: Problem, windows: Windows, shot: Shot, equations: Equations, chosen: Sequence[int]
) -> dict[int, tuple[float, np.ndarray]]:
    """Unused parameter of the whole robot -> what its best trial takes off, first states linearly moved, and it."""
    whole = [i for i, p in enumerate(problem.parameters) if p.pattern is None and not p.counts and i not in chosen]
    trials = [(i, value) for i in whole for value in problem.parameters[i].search.trials]
    values = np.repeat(shot.values[None], len(trials), axis=0)
    values[np.arange(len(trials)), [i for i, _ in trials]] = [value for _, value in trials]
    path = windows.simulated(values, np.repeat(shot.first[None], len(values), axis=0))
    _, a, _ = equations.scaled()
    inverse = np.linalg.inv(np.einsum("wri,wrj->wij", a, a) + 1e-9 * np.eye(a.shape[2]))
    beside = np.eye(a.shape[1]) - a @ inverse @ a.swapaxes(1, 2)

    def left(off: np.ndarray) -> float:
        rest = np.einsum("wrs,ws->wr", beside, (off / shot.noise).reshape(windows.count, -1))
        return _left(rest.reshape(off.shape) * shot.noise, shot)

    now = left(shot.off)
    found: dict[int, tuple[float, np.ndarray]] = {}
    for (i, _), value, one in zip(trials, values, path, strict=True):
        gain = now - left(problem.simulator.turned(one - windows.observed(value)))
        if i not in found or gain > found[i][0]:
            found[i] = gain, value
    return found
