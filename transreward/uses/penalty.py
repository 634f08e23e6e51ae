"""Penalty and bonus: the source's steps are paid for looking like the target's (DARC, PAR, SRPO, FOOD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.gaps.gap import Gap
from transreward.gates.chain import Gate
from transreward.gates.transforms import Strength, Transform
from transreward.types import Pair, Transition
from transreward.uses.use import Change, Use, paid, require_strength, score


@dataclass(frozen=True)
class Penalty(Use):
    """Source reward r + lambda * score: a penalty where the score is negative, a bonus where it is positive. Target
    rewards stay raw."""

    strength: float = 2.0  # lambda; after scaling, in units of the reward's own spread

    name = "penalty"
    wants = ("score",)

    def __post_init__(self) -> None:
        require_strength(self.strength)

    def gate(self, gap: Gap | None) -> Gate:
        """That of a gap whose score may have another unit than nats, or another noise."""
        return Gate(scale_floor=gap.noise_floor) if gap else Gate()

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """The gate's, then lambda, so that it comes after the scaling."""
        return (*(gate.transforms if gate else ()), Strength(self.strength))

    def change(self, gap: Gap, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """The score of the source's steps."""
        return paid(batches, "source", score(gap, state, batches.source, extra))
