"""Avatar: the actor follows the source agent's critic beside its own, the more the less that one errs (QAvatar)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transreward.feed import Feed
from transreward.gates.chain import Gate
from transreward.gates.transforms import Strength, Transform
from transreward.types import Peer, RequestError, Shaping
from transreward.uses.use import Use


@dataclass(frozen=True)
class Avatar(Use):
    """The actor follows (1 - w) Q + w Q_source with w = lambda * e / (e + e_source), where e and e_source are the mean
    absolute one-step errors of the two critics on the learner's own steps (QAvatar; Chen et al. 2026,
    arXiv:2603.12087). The source agent's critic stays as it is. Rewards stay raw, and the learner's own critics never
    learn from the mixture."""

    strength: float = 1.0  # lambda, in [0, 1]: the most that w may be; at 0 the source agent's critic is not asked

    name = "avatar"
    side = "target"
    pays = False
    shapes = True
    of = "critic"
    needs = ("source_q",)
    relative = "has a learner's actor follow two critics and leaves rewards raw"
    start = "nothing"
    feed = Feed(1.0)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of '{self.name}' must be in [0, 1], not {self.strength}")

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """lambda."""
        return (Strength(self.strength),)

    def shape(self, gap: None, state: Any, **extra: Any) -> Shaping:
        """The source agent's critic."""
        return Shaping(peer=Peer(extra["source_q"]))
