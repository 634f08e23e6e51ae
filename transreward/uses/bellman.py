"""Bellman correction: the source's rewards are corrected by what the difference changes in the critic's targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.types import Pair, Transition
from transreward.uses.trust import Trust
from transreward.uses.use import Change


@dataclass(frozen=True)
class Bellman(Trust):
    """Source reward r + d_r(s, a) + gamma [V(s' + d_s(s, a)) - V(s')], with V the learner's value and d the gap's
    difference: the critic's target is then what the target's physics would give. Weighted as `Trust`.
    """

    name = "bellman"
    pays = True
    corrects = False
    relative = ""

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Corrections of the source's rewards, and weights of both domains' steps; the gap has `differences`."""
        source, target = super().change(gap, state, batches, **extra)
        d = gap.differences(state, batches.source, source_model=extra.get("source_model")).mean(axis=0)
        d = d * self.part(gap, state, batches.source, extra)[:, None]
        delta = gap.effect(d, batches.source, extra["value"], extra["discount"])
        return Pair(source._replace(delta=delta), target)
