"""What a compensation pays or charges for what one joint did, by exchanging that joint's part of the next state.

A source step (s, a, s') is paid delta(s, a, s'). The target, put into s and given a, comes to another next state. A
joint is paid delta(s, a, s') - delta(s, a, s' with this joint's columns from the target): below 0 the step was charged
because the joint did not move as in the target. Nothing is said where the target's next state as a whole is not paid
more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from transreward.domains.domain import Entry
from transreward.types import UNKNOWN, Transition

Delta = Callable[[Transition], np.ndarray]  # steps [n, ...] -> what each is paid beside its reward, [n]
FILE = "body.json"  # of a run directory
LEAST = 1e-6  # of a reward: what is smaller is rounding


class Paid(NamedTuple):
    """What was paid, for each step: of everything that the target would have done otherwise, and of each joint."""

    whole: np.ndarray  # [n]
    parts: dict[str, np.ndarray]  # name -> [n]

    @property
    def told(self) -> bool:
        """True if the source's outcomes are charged against the target's, on average: else the compensation does not
        know this difference, and which joint it looks at means nothing."""
        return float(self.whole.mean()) < -LEAST


def grouped(entries: Sequence[Entry], joints: Sequence[str]) -> dict[str, np.ndarray]:
    """Joint -> its columns of an observation; those of no joint are the last group, `the rest`."""
    parts = [entry.part if entry.unit != UNKNOWN and entry.part in joints else "" for entry in entries]
    found = {name: np.flatnonzero([part == name for part in parts]) for name in joints if name in parts}
    rest = np.flatnonzero([part == "" for part in parts])
    return found | ({"the rest": rest} if len(rest) else {})


def paid(delta: Delta, steps: Transition, outcomes: np.ndarray, groups: dict[str, np.ndarray]) -> Paid:
    """What each joint was paid in these source steps [n, ...]; `outcomes` [n, obs]: the target's next states."""
    own = delta(steps)

    def over(columns: np.ndarray) -> np.ndarray:
        exchanged = np.array(steps.next_obs)
        exchanged[:, columns] = outcomes[:, columns]
        return own - delta(steps._replace(next_obs=exchanged))

    return Paid(over(np.arange(outcomes.shape[1])), {name: over(columns) for name, columns in groups.items()})


def foremost(seeds: Sequence[Paid]) -> str:
    """The joint that is paid or charged most, on average, in every seed; empty where they do not agree, or where the
    compensation of a seed does not tell the outcomes apart."""
    if not seeds or not all(one.told for one in seeds):
        return ""
    first = {max(one.parts, key=lambda name: float(np.abs(one.parts[name]).mean())) for one in seeds}
    return first.pop() if len(first) == 1 else ""
