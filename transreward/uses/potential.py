"""Potential: both domains' rewards are shaped by the source agent's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.feed import Feed
from transreward.gates.chain import Gate
from transreward.gates.transforms import Fade, Strength, Transform
from transreward.types import Pair, Transition
from transreward.uses.use import Change, Use, require_fade, require_strength


@dataclass(frozen=True)
class Potential(Use):
    """gamma Phi(s') - Phi(s) on both sides, with Phi the source agent's value and Phi = 0 where the task ended.

    It changes no optimal policy (Ng, Harada and Russell 1999, theorem 1), also where its strength moves between updates
    (Devlin and Kudenko 2012): both terms of an update see one potential. Truncation is no end: Phi(s') counts there.
    """

    strength: float = 1.0  # lambda, in units of the source's reward: 1 = the potential is the source agent's value
    fade: float = 0.0  # share of the transfer over which it falls to nothing; 0 = it stays

    name = "potential"
    both = True
    of = "value"
    needs = ("source_value",)
    start = "nothing"
    feed = Feed(1.0)

    def __post_init__(self) -> None:
        require_strength(self.strength)
        require_fade(self.fade)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Annealed, times lambda."""
        return Fade(self.fade), Strength(self.strength)

    def change(self, gap: None, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """F of both domains' steps."""
        value, discount = extra["source_value"], extra["discount"]

        def shaped(t: Transition) -> Change:
            after = jnp.where(t.terminated.astype(bool), 0.0, value(t.next_obs))
            return Change(discount * after - value(t.obs), jnp.ones_like(t.reward))

        return batches.map(shaped)
