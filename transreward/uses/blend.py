"""Blend: the target's rewards are moved towards what the source would have paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from transreward.feed import LOOKED_AT
from transreward.gaps.gap import Gap
from transreward.gaps.reward import By
from transreward.gates.chain import Gate
from transreward.gates.transforms import Strength, Transform
from transreward.types import Pair, RequestError, Transition
from transreward.uses.use import Change, Use, paid, score


@dataclass(frozen=True)
class Blend(Use):
    """Target reward r + lambda * k * score, with k in [0, 1] the gap's `likeness` at the step; source rewards stay raw.

    With a model of the source's reward, score = r_S - r, this is (1 - lambda k) r + lambda k r_S: a mean of two tasks'
    rewards, and at lambda k = 1 the source's task alone.
    """

    strength: float = 0.5  # lambda, in [0, 1]: 1 leaves nothing of the target's own reward where k = 1
    by: By = "fixed"  # what k in [0, 1] is set by; fixed = 1

    name = "blend"
    side = "target"
    wants = ("source_reward",)
    cotrains = True
    feed = LOOKED_AT

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of a blend must be in [0, 1], not {self.strength}")
        if self.by not in get_args(By):
            raise RequestError(f"use.by must be fixed, similarity, variance or both, not {self.by!r}")

    def require(self, gap: Gap | None) -> None:
        """Raise RequestError for a gap that does not fit, and for a `by` that would change nothing."""
        super().require(gap)
        if gap is not None and gap.alike and self.by != "fixed":
            raise RequestError(f"use.by tells steps apart, and '{gap.name}' says the same of each: leave it out")

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """lambda."""
        return (Strength(self.strength),)

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """k * score of the target's steps; the gap has `likeness`."""
        target = batches.target
        return paid(batches, "target", gap.likeness(state, target, self.by) * score(gap, state, target, extra))
