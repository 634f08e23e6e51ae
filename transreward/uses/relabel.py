"""Relabel: the source's steps are paid the target's reward (CDS; Yu et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.feed import Feed
from transreward.types import Pair, RequestError, Transition
from transreward.uses.use import Change, Use, paid, unchanged


@dataclass(frozen=True)
class Relabel(Use):
    """Source reward: what a model of the target's reward says of the step, less `pessimism` times how far its members
    are apart there; target rewards stay raw. Where the target's reward can be computed there is no gap, and the stored
    rewards are the target's already."""

    pessimism: float = 1.0  # how many of the members' standard deviations a model's answer is lowered by

    name = "relabel"
    wants = ("target_reward",)
    relabels = True
    start = "nothing"
    feed = Feed(0.5, "replay")

    def __post_init__(self) -> None:
        if not self.pessimism >= 0:
            raise RequestError(f"use.pessimism must not be negative, not {self.pessimism}")

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """The difference to what the target would pay the source's steps; the gap has `careful`."""
        if gap is None:
            return batches.map(unchanged)
        source = batches.source
        return paid(batches, "source", gap.careful(state, source, self.pessimism) - source.reward)
