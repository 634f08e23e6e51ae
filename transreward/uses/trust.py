"""Trust: the source's steps count as far as the difference that corrected them is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.types import Array, Pair, RequestError, Transition
from transreward.uses.use import Change, Use


@dataclass(frozen=True)
class Trust(Use):
    """Source steps count as far as a gap of differences is trusted at each; what they lose, the target's steps gain.

    Where nothing is trusted the learner is left with the target's steps alone, which is fine-tuning.
    """

    strength: float = 1.0  # lambda, in [0, 1]: of the correction, and of the doubt; at 0 source steps count as they are

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of '{self.name}' must be in [0, 1], not {self.strength}")

    name = "trust"
    pays = False
    wants = ("differences",)
    corrects = True
    relative = "weights the steps and leaves rewards raw"

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of both domains' steps; the gap has `trust`."""
        source, target = batches.map(lambda t: jnp.zeros_like(t.reward))
        weight = self.strength * self.whole(gap, state, batches.source, extra) + (1.0 - self.strength)
        share = jnp.ones_like(target)
        if target.size:
            share += (1.0 - weight).sum() / target.size
        return Pair(Change(source, weight), Change(target, share))

    def whole(self, gap: Any, state: Any, steps: Transition, extra: dict[str, Any]) -> Array:
        """How far corrected source steps are to be believed, [batch] in [0, 1]: the gap's trust. In an identified
        simulator the share of the whole shift that is explained: what is gone with the simulator, and of the rest as
        much as the gap is trusted with."""
        trust, explained = gap.trust(state, steps, source_model=extra.get("source_model")), extra.get("explained")
        return trust if explained is None else explained + (1.0 - explained) * trust

    def part(self, gap: Any, state: Any, steps: Transition, extra: dict[str, Any]) -> Array:
        """How much of the difference corrects a source step, [batch]: lambda, since the step's weight follows the
        trust. As far as the steps of an identified simulator count in any case, it is the trust's share of it, so that
        where the rest is noise nothing is added."""
        explained, all_of_it = extra.get("explained"), jnp.full_like(steps.reward, self.strength)
        if explained is None:
            return all_of_it
        trust = gap.trust(state, steps, source_model=extra.get("source_model"))
        return all_of_it * (1.0 - explained * (1.0 - trust))
