"""Whether a robot acts late or sees late. Steps in the midst of an episode are the same either way: an observation that
comes d steps late is followed by what the action of d steps before did. Its first steps differ: a robot that sees late
sees no change in them, and one that acts late moves as without a motor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transreward.identify.evidence import Evidence
from transreward.identify.problem import Problem

LITTLE = 0.3  # of the change that is simulated: one below it is none; an error below it is none


class Late(NamedTuple):
    """Control steps of a delay."""

    acts: int
    sees: int
    told: bool  # whether the steps tell the two apart; if not, all of it is of what acts


def late(problem: Problem, values: np.ndarray, evidence: Evidence) -> Late:
    """How the delay among `values` [parameters] is divided, told by the first steps of episodes in `evidence`."""
    delay = next((round(v) for p, v in zip(problem.parameters, values, strict=True) if p.counts), 0)
    starts = [a for a in np.flatnonzero(~evidence.follows) if evidence.follows[a + 1 : a + delay].sum() == delay - 1]
    if not (delay and starts):
        return Late(delay, 0, not delay)
    first = np.array(starts)[:, None] + np.arange(delay)
    simulator, rows = problem.simulator, evidence.take(first.ravel())
    change = simulator.turned(simulator.seen(rows.next_obs) - simulator.seen(rows.obs)) / problem.spread
    off = simulator.differences(values[None], rows)[0] / problem.spread  # what acts is no action
    size = [np.sqrt((x**2).mean(axis=1)).reshape(first.shape) for x in (change, off, off + change)]
    still, alone, moved = (np.median(x, axis=0) for x in size)
    sees = int(np.argmin([*(still < LITTLE * moved), False]))
    acts = delay - sees
    return Late(acts, sees, bool(sees == delay or (alone[sees:] < LITTLE * moved[sees:]).all()))
