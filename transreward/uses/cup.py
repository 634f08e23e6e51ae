"""Cup: the actor is drawn to the best of the sources' policies, where the learner's critics like it better (CUP)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from transreward.gates.chain import Gate
from transreward.gates.transforms import Strength, Transform
from transreward.types import Array, Guides, RequestError, Shaping
from transreward.uses.source_policy import OfSourcePolicy, distance
from transreward.uses.use import require_start, require_strength


@dataclass(frozen=True)
class Cup(OfSourcePolicy):
    """In each state the sources' policy whose action the learner's critics value most is the guide, and the actor pays
    beta * d for its own action's distance from the guide's, with beta = lambda * min(A, limit * |V|). V is what the
    critics say of the actor's own action, A = Q(s, the guide's) - V; where A <= 0 nothing draws (critic-guided policy
    reuse; Zhang et al. 2022, arXiv:2210.08153).

    d is the mean square of the distance in `width`s of half the box, halved: up to a constant the cross-entropy between
    the learner's policy and a normal of that width around the guide's action. Rewards and critics stay raw.
    """

    strength: float = 30.0  # lambda, the paper's beta_1
    limit: float = 0.003  # most of A that counts, as a share of |V|: the paper's beta_2
    width: float = 0.5  # of what counts as the guide's action, in halves of the action box
    start: Literal["source", "nothing", "ceiling"] = "source"  # source: from the source agent; nothing: from scratch

    name = "cup"
    relative = "draws a learner's actor and leaves rewards raw"
    needs = ("source_acts",)

    def __post_init__(self) -> None:
        require_strength(self.strength)
        for field in ("limit", "width"):
            if not getattr(self, field) > 0:
                raise RequestError(f"use.{field} must be above 0, not {getattr(self, field)}")
        require_start(self.start)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """lambda."""
        return (Strength(self.strength),)

    def shape(self, gap: None, state: Array, **extra: Any) -> Shaping:
        """All sources' policies, and how much each draws."""

        def apart(action: Array, theirs: Array) -> Array:
            return 0.5 * distance(self.width * state, action, theirs)

        return Shaping(guides=Guides(extra["source_acts"], self.weigh, apart))

    def weigh(self, own: Array, theirs: Array) -> Array:
        """beta / lambda of each policy, [guides, n], by the values of the learner's own actions [n] and of theirs
        [guides, n]: of the best min(A, limit * |V|), at least 0; of the others 0."""
        guide = jax.nn.one_hot(theirs.argmax(axis=0), len(theirs), axis=0)
        return guide * jnp.clip(theirs - own, 0.0, self.limit * jnp.abs(own))
