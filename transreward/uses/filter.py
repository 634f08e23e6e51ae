"""Filter: only the source's steps that score best train the learner (VGDF; Xu et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.gaps.gap import Gap
from transreward.types import Pair, RequestError, Transition
from transreward.uses.use import Change, Use, score, weighted

GOLDEN = (5**0.5 - 1) / 2  # whose multiples fill [0, 1) evenly, also each k-th of them


@dataclass(frozen=True)
class Filter(Use):
    """Only the `keep` of the source's steps that score best in the batch count; and a share `floor` anyway.

    The floor keeps some of everything, so that the critic is not left without any step of a region that the gap judges
    wrongly. Steps kept count 1, as in VGDF (Xu et al. 2023), so a filtered batch has less to say.
    """

    keep: float = 0.5  # share of a batch's source steps
    floor: float = 0.1  # share kept whatever they score; 0 = none

    name = "filter"
    pays = False
    wants = ("score",)
    relative = "keeps the best of a batch, so that a step alone has no place in it, and leaves rewards raw"

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise RequestError(f"use.keep must be in (0, 1], not {self.keep}")
        if not 0 <= self.floor <= 1:
            raise RequestError(f"use.floor must be in [0, 1], not {self.floor}")

    def change(self, gap: Gap, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of 1 or 0 of the source's steps."""
        found = score(gap, state, batches.source, extra)
        kept = found >= jnp.quantile(found, 1.0 - self.keep)
        if self.floor:  # every k-th row would be whole windows or robots where k divides their number
            kept |= jnp.arange(len(found)) * GOLDEN % 1.0 < self.floor
        return weighted(batches, kept.astype(found.dtype))
