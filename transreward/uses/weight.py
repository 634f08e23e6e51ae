"""Weight: the source's steps count by how much likelier they are in the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.gaps.gap import Gap
from transreward.types import Array, Pair, Transition
from transreward.uses.use import Change, Use, require_weights, score, weighted


@dataclass(frozen=True)
class Weight(Use):
    """Source steps count exp(score), held within [low, high] and then divided by their mean in the batch.

    Importance weights of the dynamics where the score is a log-ratio (DARC's baseline; Eysenbach et al. 2021, section
    5). Self-normalised, so that the weights do not change the size of the learner's steps.
    """

    low: float = 0.1  # the weight is held between this and `high`, before it is divided by its mean
    high: float = 10.0  # the upper of the two bounds

    name = "weight"
    pays = False
    wants = ("score",)
    relative = "weights the steps of a batch against one another and leaves rewards raw"

    def __post_init__(self) -> None:
        require_weights(self.low, self.high)

    def change(self, gap: Gap, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of the source's steps."""
        return weighted(batches, held_weight(score(gap, state, batches.source, extra), self.low, self.high))


def held(score: Array, low: float, high: float) -> Array:
    """The score whose exp is held within [low, high], [batch]."""
    return jnp.clip(score, jnp.log(low), jnp.log(high))


def held_weight(score: Array, low: float, high: float) -> Array:
    """exp(score) held within [low, high] and divided by its mean, [batch]."""
    weight = jnp.exp(held(score, low, high))
    return weight / jnp.maximum(weight.mean(), 1e-8)
