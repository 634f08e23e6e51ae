"""Whose steps train the learner of a method."""

from __future__ import annotations

from dataclasses import dataclass

from transreward.types import RequestError


@dataclass(frozen=True)
class Feed:
    """Whose steps train the learner after the source phase."""

    target_share: float = 0.0  # of every batch: 0 = source steps only, 1 = target steps only
    source: str = "online"  # source steps go on; "replay": those of the source agent's training serve; "branched"; or
    # "logs": those of a source of which there is a log, which nobody has to ask for
    newest: float = 1.0  # share of the stored source steps that serves: the last, by an agent that knew its job
    guide: float = 0.0  # share of the transfer over which the source policy's lead in each episode shrinks to nothing
    branches: int = 0  # if branched, corrected source steps from states that the target visited, per target step
    branch_length: int = 1  # of these how many follow on one another
    anneal: float = 0.0  # share of the transfer over which target_share is reached, from source steps only; 0 = at once
    deterministic: bool = False  # the target's steps are taken without noise: what explores are the source's alone

    def __post_init__(self) -> None:
        for field in ("target_share", "anneal", "guide"):
            if not 0 <= getattr(self, field) <= 1:
                raise RequestError(f"feed.{field} must be in [0, 1], not {getattr(self, field)}")
        if self.anneal and not self.target_share:
            raise RequestError("feed.anneal leads from source steps to feed.target_share, which is 0: raise it")
        if self.source not in ("online", "replay", "branched", "logs"):
            raise RequestError(f"feed.source must be online, replay, branched or logs, not {self.source!r}")
        if not 0 < self.newest <= 1 or (self.newest < 1 and self.source != "replay"):
            raise RequestError("feed.newest must be in (0, 1], and is not used without feed.source=replay")
        if (self.source == "branched") != (self.branches > 0):
            raise RequestError("feed.branches must be above 0 with feed.source=branched, and is not used without")
        if self.source == "branched" and not self.of_source:
            raise RequestError("feed.source=branched feeds nobody with feed.target_share=1")
        if self.branch_length < 1 or (self.branch_length > 1 and self.source != "branched"):
            raise RequestError("feed.branch_length must be at least 1, and is not used without feed.source=branched")

    @property
    def of_source(self) -> bool:
        """Whether source steps train the learner."""
        return self.target_share < 1 or self.anneal > 0

    @property
    def on_policy(self) -> bool:
        """Whether all that trains the learner are steps of one domain that it has just taken itself, as it would."""
        one_domain = self.target_share in (0, 1) and self.source == "online" and not self.anneal
        return one_domain and not self.guide and not (self.deterministic and self.target_share)

    def __str__(self) -> str:
        notes = (", guided" if self.guide else "") + (", deterministic" if self.deterministic else "")
        if self.target_share in (0, 1) and not self.anneal:
            source, target = ("replay", "target, shown replay") if self.source == "replay" else ("source", "target")
            return (target if self.target_share else source) + notes
        mixed = f"mix {'annealed to ' if self.anneal else ''}{self.target_share:g}"
        return mixed + ("" if self.source == "online" else f" of {self.source}") + notes


DEMONSTRATIONS = Feed(1.0, "replay", newest=0.1)  # own target steps, compared with the source agent's last
LOOKED_AT = Feed(1.0, "replay")  # the same, of all the source agent's steps
STORED = Feed(0.5, "replay")  # half of each batch, for who learns from steps that are there
