"""Potential: both domains' rewards are shaped by the source agent's value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from transreward.feed import Feed
from transreward.gates.chain import Gate
from transreward.gates.transforms import Fade, Strength, Transform
from transreward.types import Pair, RequestError, Transition
from transreward.uses.use import Change, Use, require_fade, require_start, require_strength


@dataclass(frozen=True)
class Potential(Use):
    """gamma Phi(s') - Phi(s) on both sides, with Phi the source agent's value and Phi = 0 where the task ended.

    It changes no optimal policy (Ng, Harada and Russell 1999, theorem 1), also where its strength moves between updates
    (Devlin and Kudenko 2012): both terms of an update see one potential. Truncation is no end: Phi(s') counts there.

    With a `horizon` of H control steps the learner discounts by (1 - 1 / H) gamma instead, and Phi stands for what is
    beyond (SGFT, Yin et al. 2025; HuRL, Cheng et al. 2021). From the source agent, whose critics hold Phi already,
    gamma / H * Phi(s') is paid: the same up to Phi(s), which no action changes, and so that a Q of the source that is
    right stays right.
    """

    strength: float = 1.0  # lambda, in units of the source's reward: 1 = the potential is the source agent's value
    fade: float = 0.0  # share of the transfer over which it falls to nothing; 0 = it stays
    horizon: int = 0  # control steps; 0 = all that the learner's discount sees
    start: Literal["source", "nothing", "ceiling"] = "nothing"  # nothing: from scratch; source: from the source agent

    name = "potential"
    both = True
    of = "value"
    needs = ("source_value",)
    feed = Feed(1.0)

    def __post_init__(self) -> None:
        require_strength(self.strength)
        require_fade(self.fade)
        if self.horizon < 0 or self.horizon == 1:
            raise RequestError(f"use.horizon must be at least 2 control steps, or 0 for all, not {self.horizon}")
        require_start(self.start)
        if self.horizon and (self.fade or not self.strength):
            raise RequestError(
                "use.horizon leaves what is beyond it to the potential, which has to stay: use.fade must be 0, and "
                "use.strength above 0"
            )
        if self.start == "source" and not self.horizon:
            raise RequestError(
                "use.start=source needs use.horizon: a source agent's critics hold all of its value already, to which "
                "a potential without a horizon would add it once more"
            )

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Annealed, times lambda."""
        return Fade(self.fade), Strength(self.strength)

    def change(self, gap: None, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """F of both domains' steps."""
        value, discount = extra["source_value"], extra["discount"]
        gamma = discount / self.sight if self.horizon else discount

        def shaped(t: Transition) -> Change:
            after = jnp.where(t.terminated.astype(bool), 0.0, value(t.next_obs))
            delta = (gamma - discount) * after if self.start == "source" else gamma * after - value(t.obs)
            return Change(delta, jnp.ones_like(t.reward))

        return batches.map(shaped)
