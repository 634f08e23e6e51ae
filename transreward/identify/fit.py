"""The fit: which parameters differ between a simulator and the robot that took some steps, and by how much.

Forward selection by held-out loss. Sparsity is the prior: a robot differs in a few things, and a fit of all of them at
once moves each a little. A candidate is tried at a few of its values on few steps, the best of them on more; the best
of those, and those by whose linear effect most of what remains could be explained, are refined with what is chosen
already by Levenberg and Marquardt's method; and what the later ones made needless is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from transreward.domains.shifts.rules import Rule
from transreward.identify.problem import Problem, alike

MOST, SEVERAL = 6, 2  # parameters that are looked for; with how many the other explanation is asked for
NOTHING = 1e-4  # of the loss without any: what is left below it is nearly nothing
ROUNDING = 1e-9  # and what is left below this, of steps without noise that the right parameters explain
ENOUGH = 0.99  # share of what differs that parameters explain: beyond it no rule of the motors is asked for
GAIN, SHARE = 0.1, 0.003  # an addition has to lower the held-out loss by these shares of it and of the first
WORTH, LITTLE = 0.05, 0.002  # a member that is worth less of these is dropped
NEARLY = 0.1  # of the loss without any: one parameter that leaves less may stand for two
SAME = 1e-6  # of the loss without any: two that differ by less explain the same
# Candidates that pass the screening; that are refined; of those by linear gain; and how many are left after the first
# refinement.
SCREENED, TRIED, BY_GAIN, LEFT = 16, 5, 2, 2
BESIDE = (-0.03, -0.01, 0.01, 0.03)  # how far from a value it is looked whether another is better, as the fit moves it
ZOOMS = 4  # each to a third of the last
ONE = 0.999  # cosine of the effects of two that explain the same
ALIKE, PARALLEL = 3, 0.3  # unused parameters that may stand for a chosen one; the least cosine of their effects


class Noise(NamedTuple):
    """Standard deviations with their 95% intervals; 0 where there is none."""

    action: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the actions' units, as the shift `noise`
    sensor: tuple[float, float, float] = (0.0, 0.0, 0.0)  # as a share of each entry's spread


@dataclass(frozen=True)
class Fit:
    """The chosen parameters and their values. Losses are of the held-out steps."""

    values: np.ndarray  # [parameters]
    chosen: tuple[int, ...]
    before: float
    after: float
    spans: dict[int, tuple[float, float]] = field(default_factory=dict)  # chosen parameter -> its 95% interval
    noise: Noise = field(default_factory=Noise)
    motors: Rule | None = None  # a rule of the motors, beside the values


Start = tuple[np.ndarray, list[int]]  # values [parameters], what is chosen
Found = tuple[float, np.ndarray, list[int]]  # held-out loss, and both


def enough(before: float) -> float:
    """The held-out loss at which all is explained, of one that was `before`."""
    return NOTHING * max(before, 1.0)


def select(problem: Problem, rival: Callable[[], float], starts: Sequence[Start] = ()) -> Fit:
    """The parameters that explain what differs, and their values. Several that leave more than `rival()`, the held-out
    loss by another explanation, are not the ones, unless with more of them nearly nothing is left: four that differ at
    once leave much until the last is found. `starts` are what may explain it, or a part of it."""
    values = problem.family.neutral.copy()
    before = problem.held_out(values)
    little = enough(before)
    now = _begun(problem, starts, (before, values, []), little)
    beaten: Found | None = None  # where the other explanation was the better one
    while now[0] > little:
        now = _freed(problem, now)
        if now[0] <= little:
            break
        more = _added(problem, now, little) if len(now[2]) < MOST else now
        if more[0] > now[0] - max(GAIN * now[0], SHARE * before):
            more = _exchanged(problem, now, little)
            if more[0] > (1 - GAIN) * now[0]:  # with as many as before, which need not be worth a share of the first
                more = _otherwise(problem, now, before, little)
                if more[0] > (1 - GAIN) * now[0]:
                    break
            now = more
            continue
        now = _pruned(problem, more, before)
        if beaten is None and len(now[2]) >= SEVERAL and now[0] > little and rival() < now[0]:
            beaten = now
    if beaten is not None and now[0] > (1 - ENOUGH) * before:
        now = beaten
    now = _pruned(problem, now, before, of=now[2]) if len(now[2]) > 1 else now
    now = _settled(problem, now, before)
    now = _whole(problem, _fewer(problem, now, before, little), before)
    return Fit(now[1], tuple(now[2]), before, now[0])


def _begun(problem: Problem, starts: Sequence[Start], now: Found, enough: float) -> Found:
    """From the best of the starts on, without what is worth nothing here, if that explains more than nothing does."""
    if not starts or now[0] <= enough:
        return now
    best = _refined(problem, list(starts), now, enough)
    best = _pruned(problem, best, now[0], of=best[2])
    return best if best[0] < now[0] * (1 - GAIN) else now


def _added(problem: Problem, now: Found, enough: float) -> Found:
    """With the addition after which the held-out loss is least. What does almost the same is tried beside the best."""
    slopes = problem.slopes(now[1], problem.gauge)
    best = _refined(problem, [(start, [*now[2], i]) for i, start in _starts(problem, now, slopes)], now, enough)
    if best is now or best[0] < enough:
        return best
    other = _refined(problem, _alike(problem, best, best[2][-1], slopes[1]), best, enough)
    return min(best, other, key=lambda found: found[0])


def _freed(problem: Problem, now: Found) -> Found:
    """From a little beside where it is, if that is better: a contact that begins or ends there can hold a fit."""
    loss, values, chosen = now
    free = [i for i in chosen if not problem.parameters[i].counts]
    if not free:
        return now
    (low, high), at = problem.bounds(free), problem.at(values, free)
    beside = [(at + step * unit).clip(low, high) for unit in np.eye(len(free)) for step in BESIDE]
    tried = problem.moved(values, free, np.array(beside))
    losses = problem.loss(np.concatenate([values[None], tried]), problem.fine)
    best = int(np.argmin(losses[1:]))
    if losses[1 + best] > (1 - GAIN) * losses[0]:
        return now
    other = _polished(problem, (loss, tried[best], chosen))
    return other if other[0] < loss else now


def _exchanged(problem: Problem, now: Found, enough: float) -> Found:
    """With one of the chosen given up for another, which does almost the same: alone they could not be told apart."""
    _, slopes = problem.slopes(now[1], problem.gauge)
    return _refined(problem, [start for i in now[2] for start in _alike(problem, now, i, slopes)], now, enough)


def _otherwise(problem: Problem, now: Found, before: float, enough: float) -> Found:
    """Begun with another first one, where a single parameter explains nearly all and no second helps: what stands for
    two that differ at once, as a heavier pole for more weight and more mass, keeps both of them out."""
    loss, values, chosen = now
    if len(chosen) != 1 or loss > NEARLY * before:
        return now
    same = alike(problem.slopes(values, problem.gauge)[1])[chosen[0]] > ONE
    nothing = before, problem.family.neutral.copy(), []
    starts = _starts(problem, nothing, problem.slopes(nothing[1], problem.gauge))
    first = [(problem.refine(start, [i], problem.gauge, 3), [i]) for i, start in starts if not same[i]]
    losses = problem.loss(np.stack([start for start, _ in first]), problem.middle, exact=False) if first else []
    best = now
    for k in np.argsort(losses)[:LEFT].tolist():
        best = min(best, _added(problem, (float(losses[k]), *first[k]), enough), key=lambda found: found[0])
        if best[0] <= enough:
            break
    return best


def _settled(problem: Problem, now: Found, before: float) -> Found:
    """Where nearly nothing is left, but more than rounding: from a little beside, and with another in place of one of
    the chosen, if that leaves less. A load is nearly a heavier body, and which of them it is shows in the last digits
    alone."""
    if not now[2] or not ROUNDING * before < now[0] <= enough(before):
        return now
    now = _freed(problem, now)
    if now[0] <= ROUNDING * before:
        return now
    other = _exchanged(problem, now, ROUNDING * before)
    return other if other[0] < (1 - GAIN) * now[0] else now


def _alike(problem: Problem, now: Found, i: int, slopes: np.ndarray) -> list[Start]:
    """Starts in which an unused parameter of nearly the same effect stands for the chosen `i`; `slopes` [residuals,
    parameters]."""
    _, values, chosen = now
    cosines = alike(slopes)[i]
    cosines[chosen] = 0
    neutral, starts = problem.family.neutral, []
    for j in np.argsort(-cosines)[:ALIKE].tolist():
        if cosines[j] < PARALLEL:
            break
        share = float(slopes[:, j] @ slopes[:, i]) / float(slopes[:, j] @ slopes[:, j])
        moved = share * (problem.of(i, values[i]) - problem.of(i, neutral[i]))
        start = values.copy()
        start[i] = neutral[i]
        start = problem.moved(start, [j], np.array([[problem.of(j, float(neutral[j])) + moved]]))[0]
        search = problem.parameters[j].search
        start[j] = start[j].clip(search.low, search.high)
        starts.append((start, [*(k for k in chosen if k != i), j]))
    return starts


def _fewer(problem: Problem, now: Found, before: float, enough: float) -> Found:
    """With fewer, where all is explained and one of three or more stands for what needs no third: more mass and more
    rotor inertia do what weaker motors do."""
    if len(now[2]) < 3 or now[0] > enough:
        return now
    _, slopes = problem.slopes(now[1], problem.gauge)
    for i in now[2]:
        for start, chosen in _alike(problem, now, i, slopes):
            values = problem.refine(start, chosen, problem.middle, 6)
            other = _pruned(problem, (problem.held_out(values), values, chosen), before, of=chosen[:-1])
            if len(other[2]) < len(now[2]) and other[0] < enough:
                return _polished(problem, other)
    return now


def _whole(problem: Problem, now: Found, before: float) -> Found:
    """With the whole robot's parameter for an element's, where it explains as much: the feet are all of a robot that
    touches the ground, and what is named is to hold where the others do, too."""
    whole = {p.kind.name: i for i, p in enumerate(problem.parameters) if p.pattern is None}
    for i in now[2]:
        j = whole.get(problem.parameters[i].kind.name, i)
        if j in now[2]:
            continue
        _, values, chosen = now
        start, neutral = values.copy(), problem.family.neutral
        start[j], start[i] = values[i], neutral[i]
        rest = [j if k == i else k for k in chosen]
        loss = problem.held_out(start)
        if loss < now[0] * (1 + WORTH) + SAME * before:
            now = loss, start, rest
    return now


def _refined(problem: Problem, starts: list[Start], now: Found, enough: float) -> Found:
    """The best of what is refined from `starts`, on all steps; `now` where there is none. All are refined a little, and
    the best of them more."""
    if not starts:
        return now
    first = [problem.refine(start, chosen, problem.gauge, 3) for start, chosen in starts]
    losses = problem.loss(np.stack(first), problem.middle, exact=False)
    found: list[Found] = []
    for k in np.argsort(losses)[:LEFT].tolist():
        values, chosen = problem.refine(first[k], starts[k][1], problem.middle, 6), starts[k][1]
        found.append((problem.held_out(values), values, chosen))
        if found[-1][0] < enough:
            break
    return _polished(problem, min(found, key=lambda one: one[0]))


def _polished(problem: Problem, best: Found) -> Found:
    """Refined on all steps."""
    values = problem.refine(best[1], best[2], problem.fine, 8)
    return problem.held_out(values), values, best[2]


def _starts(problem: Problem, found: Found, slopes: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """Which parameters are refined, and from which values: those of the best trials and those of the largest linear
    gains, as far as these promise at least half of what an addition has to gain."""
    _, values, chosen = found
    unused = [i for i in range(len(problem.parameters)) if i not in chosen]
    trials = [(i, value) for i in unused for value in problem.parameters[i].search.trials]
    tried = np.repeat(values[None], len(trials), axis=0)
    tried[np.arange(len(trials)), [i for i, _ in trials]] = [value for _, value in trials]
    rough = problem.loss(tried, problem.rough, exact=False)
    first = {i: min((k for k, (j, _) in enumerate(trials) if j == i), key=lambda k: rough[k]) for i in unused}
    passed = sorted(unused, key=lambda i: rough[first[i]])[:SCREENED]
    now, *middle = problem.loss(
        np.concatenate([values[None], tried[[first[i] for i in passed]]]), problem.middle, exact=False
    )
    best = [k for k in np.argsort(middle)[:TRIED] if middle[k] < now * (1 - GAIN / 2)]
    starts = [(passed[k], tried[first[passed[k]]]) for k in best]
    gains = _gains(*slopes, chosen)
    for i in sorted(gains, key=lambda i: -gains[i])[:BY_GAIN]:
        if gains[i] > GAIN / 2 and (chosen or i not in [j for j, _ in starts]):
            starts.append((i, values.copy()))
    return [(i, _zoomed(problem, start, i)) for i, start in starts]


def _zoomed(problem: Problem, values: np.ndarray, i: int) -> np.ndarray:
    """With parameter `i` where the loss is least between the neighbouring trials, by ever finer grids. Only for one in
    which the model is not linear, such as a body's size: contacts begin and end with it, and derivatives mislead."""
    parameter = problem.parameters[i]
    if problem.family.linear(parameter):
        return values
    search, at = parameter.search, problem.of(i, values[i])
    grid = [problem.of(i, v) for v in (search.low, parameter.neutral, *search.trials, search.high)]
    low = max((x for x in grid if x < at), default=at)
    high = min((x for x in grid if x > at), default=at)
    for _ in range(ZOOMS):
        points = np.linspace(low, high, 7)
        tried = problem.moved(values, [i], points[1:-1, None])
        best = int(np.argmin(problem.loss(tried, problem.middle, exact=False)))
        low, values, high = points[best], tried[best], points[best + 2]
    return values


def _gains(off: np.ndarray, slopes: np.ndarray, chosen: list[int]) -> dict[int, float]:
    """Unused parameter -> share of the loss that it and the chosen ones would take off if all effects were linear."""
    gains = {}
    for i in range(slopes.shape[1]):
        if i not in chosen and slopes[:, i].any():
            effect = slopes[:, [*chosen, i]]
            best, *_ = np.linalg.lstsq(effect, -off, rcond=1e-8)
            gains[i] = float(1 - ((off + effect @ best) ** 2).sum() / (off @ off))
    return gains


def _pruned(problem: Problem, now: Found, before: float, of: Sequence[int] | None = None) -> Found:
    """Without those (`of` these; all but the latest) that are hardly worth anything beside the others."""
    after, values, chosen = now
    for i in chosen[:-1] if of is None else of:
        rest = [j for j in chosen if j != i]
        without = values.copy()
        without[i] = problem.parameters[i].neutral
        without = problem.refine(without, rest, problem.fine, 6)
        loss = problem.held_out(without)
        if loss < after + max(LITTLE * before, WORTH * after):
            after, values, chosen = loss, without, rest
    return after, values, chosen
