"""Generalised policy improvement: Q(s, a) is the larger of the learner's and the source policy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.feed import LOOKED_AT
from transreward.gates.chain import Gate
from transreward.gates.transforms import Fade, Transform
from transreward.types import Shaping
from transreward.uses.use import Use, require_fade


@dataclass(frozen=True)
class Gpi(Use):
    """Q(s, a) = max(the learner's, the source policy's) in the critics' targets and for the actor (generalised policy
    improvement; Barreto et al. 2017, theorem 1). Rewards stay raw."""

    fade: float = 0.5  # share of the transfer after which the critics are left alone; 0 = never

    name = "gpi"
    side = "target"
    pays = False
    shapes = True
    wants = ("policy_worth",)
    relative = "is asked by a learner's critics and leaves rewards raw"
    start = "nothing"
    feed = LOOKED_AT

    def __post_init__(self) -> None:
        require_fade(self.fade)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Asked until the fade is over."""
        return (Fade(self.fade),)

    def shape(self, gap: Any, state: Any, **extra: Any) -> Shaping:
        """What the source policy would earn after actions; the gap has `worth`."""
        return Shaping(floor=lambda obs, action: gap.worth(state, obs, action))
