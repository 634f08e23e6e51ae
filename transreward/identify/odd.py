"""Steps that differ far more than all others do, and by nothing that a fit can explain: it would follow these few.

In another simulator, or a robot, a landing may come a substep earlier and throw the body elsewhere, by a hundred times
what half the gravity does. Such steps are left out and said to be: least trimmed squares (Rousseeuw 1984), in one turn,
and only where the squares of all steps leave something.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transreward.identify.evidence import Evidence
from transreward.identify.fit import ENOUGH, Fit
from transreward.identify.problem import Problem

FAR = 30.0  # times what the other steps leave on average
LEAST = 0.01  # mean square of what a step leaves, weighted: below it a step is as the simulator foretells it
MOST = 0.02  # of the steps: more of them are no exception, and what differs in them has to be told


def odd(problem: Problem, fit: Fit) -> np.ndarray:
    """Which steps of the evidence are left out, as numbers; none where parameters explain nearly all."""
    both = np.stack([problem.family.neutral, fit.values])
    before, left = (problem.residuals(both, problem.steps) ** 2).mean(axis=2)
    most = int(MOST * len(left))
    usual = np.sort(left)[: len(left) - most].mean()
    far = left > max(FAR * usual, LEAST)
    if left.mean() <= (1 - ENOUGH) * before.mean() or far.sum() > most:
        return np.zeros(0, int)
    return np.flatnonzero(problem.usable)[far]


def without(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """The evidence in which these steps, as numbers, are not known."""
    known = evidence.known.copy()
    known[rows] = False
    return replace(evidence, known=known)
