"""Kickstart: the actor is drawn to the source policy (Schmitt et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.gates.chain import Gate
from transreward.gates.transforms import Fade, Strength, Transform
from transreward.types import Array, Shaping
from transreward.uses.source_policy import OfSourcePolicy
from transreward.uses.use import require_fade, require_strength


@dataclass(frozen=True)
class Kickstart(OfSourcePolicy):
    """The actor is drawn to the source policy: lambda * d, with d the mean square of the action's distance from the
    source policy's, in halves of the box. Up to a constant it is the cross-entropy between the learner's policy and a
    normal around the source policy's action. Rewards stay raw, and so do the critics."""

    strength: float = 1.0  # lambda, in units of the mean size of Q
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays

    name = "kickstart"
    relative = "draws a learner's actor and leaves rewards raw"

    def __post_init__(self) -> None:
        require_strength(self.strength)
        require_fade(self.fade)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Annealed, times lambda."""
        return Fade(self.fade), Strength(self.strength)

    def shape(self, gap: None, state: Array, **extra: Any) -> Shaping:
        """d of actions."""
        return Shaping(draw=lambda obs, action: self.apart(state, obs, action, extra))
