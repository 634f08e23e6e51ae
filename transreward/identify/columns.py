"""Whether steps look as if a column of their actions had the other sign, or two were exchanged: a usual mistake of a
log, which a rule of the motors would make up for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from transreward.domains.mujoco import MujocoDomain
from transreward.identify.problem import Problem

SURE = 0.2  # of the loss without it: what a mistake of columns leaves of it at most


def mistaken(problem: Problem, robot: MujocoDomain) -> str | None:
    """A sentence on the columns of the robot's actions that look negated or exchanged; None where none do."""
    rows, neutral = problem.middle, problem.family.neutral[None]
    before = float(problem.loss(neutral, rows)[0])
    found = [
        (float(problem.loss(neutral, replace(rows, commanded=commanded))[0]), said)
        for commanded, said in _others(rows.commanded, [e.name for e in robot.action_entries])
    ]
    left, said = min(found, default=(before, ""))
    if left >= SURE * before:
        return None
    return (
        f"the steps look as if {said} ({1 - left / before:.0%} of what differs is gone then): where that is the log's "
        f"mistake, mend it in the YAML beside the log (factor: -1, or the order of its columns)"
    )


def _others(commanded: np.ndarray, names: list[str]) -> Iterator[tuple[np.ndarray, str]]:
    """Commands [late, n, motors] with one column negated or two exchanged, and the mistake in words."""
    motors = range(commanded.shape[-1])
    for i in motors:
        sign = np.ones(len(motors))
        sign[i] = -1.0
        yield commanded * sign, f"action '{names[i]}' had the other sign"
    for i, j in combinations(motors, 2):
        order = list(motors)
        order[i], order[j] = j, i
        yield commanded[..., order], f"actions '{names[i]}' and '{names[j]}' were exchanged"
