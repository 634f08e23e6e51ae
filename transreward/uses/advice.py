"""Advice: a potential over state and action around the source policy's actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.gates.chain import Gate
from transreward.gates.transforms import Fade, Strength, Transform
from transreward.types import Array, RequestError, Shaping
from transreward.uses.source_policy import OfSourcePolicy
from transreward.uses.use import require_fade, require_strength


@dataclass(frozen=True)
class Advice(OfSourcePolicy):
    """A potential over state and action: lambda * exp(-d / 2), with d the mean square of the action's distance from the
    source policy's, in `width`s of half the box. It is the likelihood of the action beside that of the source policy's
    own, for a normal of that width around it: in [0, lambda].

    Rewards stay raw. With F = gamma Phi(s', a') - Phi(s, a), a' the action that follows, Q becomes Q - Phi, so one has
    to act by Q + Phi (look-ahead advice; Wiewiora, Cottrell and Elkan 2003). Both are had at once where the learner
    adds `advise` to what its critics say, and so they learn Q - Phi: F then needs no reward of its own.
    """

    strength: float = 1.0  # lambda, in units of the target's reward: what the source policy's own action is worth more
    width: float = 0.5  # of what counts as the source policy's action, in halves of the action box
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays

    name = "advice"
    relative = "advises a learner's critics and leaves rewards raw"

    def __post_init__(self) -> None:
        require_strength(self.strength)
        if not self.width > 0:
            raise RequestError(f"use.width must be above 0, not {self.width}")
        require_fade(self.fade)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Annealed, times lambda."""
        return Fade(self.fade), Strength(self.strength)

    def shape(self, gap: None, state: Array, **extra: Any) -> Shaping:
        """Phi / lambda of actions, in units of the raw reward."""

        def advise(obs: Array, action: Array) -> Array:
            return jnp.exp(-0.5 * self.apart(self.width * state, obs, action, extra))

        return Shaping(advise=advise)
