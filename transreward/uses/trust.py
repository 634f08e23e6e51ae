"""Trust: the source's steps count as far as the difference that corrected them is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.types import Pair, Transition
from transreward.uses.use import Change, Use


@dataclass(frozen=True)
class Trust(Use):
    """Source steps count as far as a gap of differences is trusted at each; what they lose, the target's steps gain.

    Where nothing is trusted the learner is left with the target's steps alone, which is fine-tuning.
    """

    name = "trust"
    pays = False
    wants = ("differences",)
    corrects = True
    relative = "weights the steps and leaves rewards raw"

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of both domains' steps; the gap has `trust`."""
        source, target = batches.map(lambda t: jnp.zeros_like(t.reward))
        weight = gap.trust(state, batches.source, source_model=extra.get("source_model"))
        share = jnp.ones_like(target)
        if target.size:
            share += (1.0 - weight).sum() / target.size
        return Pair(Change(source, weight), Change(target, share))
