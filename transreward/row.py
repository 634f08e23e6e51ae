"""A row of the table of methods: what is chosen, and what follows from the choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from transreward.feed import Feed
from transreward.gaps.gap import Gap
from transreward.gates.chain import Chain, Gate
from transreward.ground import Ground
from transreward.learners.offline import Offline
from transreward.randomise import Randomise
from transreward.types import RequestError, Shared
from transreward.uses.compensation import Compensation
from transreward.uses.use import UNCHANGED, Use

OF_ITS_ACTIONS = ("source_act", "source_acts", "source_q")  # extras that ask the source agent of actions
OF_SOURCE_AGENT = ("source_value", *OF_ITS_ACTIONS)  # extras that ask it

SECTIONS = ("feed", "gap", "use", "gate", "randomise", "ground", "offline")  # the parts of a row that have settings


@dataclass(frozen=True)
class Method:
    """A row."""

    name: str
    summary: str
    paper: str
    start: Literal["source", "nothing", "ceiling"]  # a source agent; nothing; nothing, on the source's budget
    feed: Feed | None  # None = no training in the second phase
    gap: Gap | None = None
    use: Use | None = None
    gate: Gate | None = None
    learner: tuple[tuple[str, Any], ...] = ()  # settings of the learner that belong to the method
    offline: Offline | None = None  # what learns from the steps, in place of the learner of the source agent
    teacher: str | None = None  # the row that takes the first part of the transfer, and is then imitated
    randomise: Randomise | None = None  # its source agent is trained in this family, not in the source
    fallback: bool = False  # the source policy stays a candidate, as with `loop.fallback`
    in_simulator: tuple[tuple[str, Any], ...] = ()  # its choices instead where no target steps can train the learner
    unlike: str = ""  # row that it is between unlike bodies; "" = none
    no_simulator: tuple[str, ...] = ()  # rows that it is if nothing can be identified: off-policy, on-policy
    variant: str = ""  # which of these it is: in_simulator, or the other row's name
    shared: Shared | None = None  # columns by which its gap compares steps of unlike bodies; None = all
    ground: Ground | None = None  # it is trained on in the simulator identified from its first target steps

    def __post_init__(self) -> None:
        for part, contract in ((self.gap, Gap), (self.use, Use)):
            if part is not None and not isinstance(part, contract):
                raise RequestError(
                    f"'{self.name}': {type(part).__name__} must be a subclass of {contract.__name__} of "
                    f"{contract.__module__}, which declares all that is asked of one"
                )
        if self.use is not None:
            self.use.require(self.gap)

    @property
    def ceiling(self) -> bool:
        """Whether it trains in the target as if it were the source, and so breaks the target's budget."""
        return self.start == "ceiling"

    @property
    def simulated(self) -> Method:
        """The row where no target steps can train the learner."""
        return replace(self, **dict(self.in_simulator), variant="in_simulator") if self.in_simulator else self

    @property
    def target_share(self) -> float | None:
        """Of target steps in what trains the learner; None = no training."""
        return self.feed.target_share if self.feed else None

    @property
    def off_policy(self) -> bool:
        """Whether only an off-policy learner takes what feeds it, or what advises it."""
        if self.in_simulator:
            return False
        return any(map(self.needs, OF_ITS_ACTIONS)) or (self.feed is not None and not self.feed.on_policy)

    @property
    def chooses(self) -> bool:
        """Whether it can choose between the policies of several sources by what they return in the target."""
        return self.start == "source" and self.feed is not None and self.randomise is None

    @property
    def uses_source(self) -> bool:
        """Whether source steps go on feeding the learner or the gap in the transfer phase."""
        feed = self.feed
        return feed is not None and feed.source not in ("replay", "logs") and (feed.of_source or self.gap is not None)

    @property
    def uses_replay(self) -> bool:
        """Whether the stored steps of the source agent's training feed the learner or the gap."""
        return self.feed is not None and self.feed.source == "replay"

    @property
    def uses_logs(self) -> bool:
        """Whether the source's steps are those of a log."""
        return self.feed is not None and self.feed.source == "logs"

    @property
    def branched(self) -> bool:
        """Whether the source's steps start where the target was."""
        return self.feed is not None and self.feed.source == "branched"

    @property
    def walks(self) -> bool:
        """Whether robots go on walking in the source, in episodes of their own."""
        return self.uses_source and (not self.branched or (self.ground is not None and self.ground.walk > 0))

    @property
    def replayed(self) -> int:
        """Source steps taken from states that the target was observed in, per target step."""
        branches = self.feed.branches if self.feed else 0
        return branches + self.needs("counterpart")

    def asked_again(self, steps: int) -> int:
        """Source steps that repeat the target steps which were taken before a stage with a counterpart."""
        return steps * self.needs("counterpart")

    @property
    def parts(self) -> tuple[float, ...]:
        """Shares of the transfer's budgets that its parts take, one after the other."""
        use = self.use or UNCHANGED
        return (use.teach, 1.0 - use.teach) if self.teacher else (1.0,)

    @property
    def needs_target_reward(self) -> bool:
        """Whether the learner sees the target's rewards."""
        if self.offline is not None and not self.offline.rewarded:
            return False
        return self.ceiling or (self.feed is not None and self.feed.target_share > 0 and self.kept > 0)

    @property
    def needs_source_reward(self) -> bool:
        """Whether the learner sees the source's rewards."""
        if (self.offline is not None and not self.offline.rewarded) or self.relabels:
            return False
        return self.feed is not None and self.feed.of_source and (self.side != "source" or self.kept > 0)

    @property
    def kept(self) -> float:
        """Share of the raw reward that the learner is still paid on the side that the use changes."""
        return (self.use or UNCHANGED).kept

    @property
    def side(self) -> str:
        """Whose steps show what the use does, a field of Pair."""
        return (self.use or UNCHANGED).side

    @property
    def needs_source_agent(self) -> bool:
        """Whether a source agent has to be trained first."""
        return self.start == "source" or self.guided or self.uses_replay

    @property
    def guided(self) -> bool:
        """Whether the source agent is asked while the method runs: to act, or for its value."""
        return self.asks_source or (self.feed is not None and self.feed.guide > 0)

    @property
    def asks_source(self) -> bool:
        """Whether the compensation asks the source agent."""
        return any(map(self.needs, OF_SOURCE_AGENT))

    @property
    def compares(self) -> bool:
        """Whether all that its gap and use look at are the steps that they are given."""
        asks = any(part.needs for part in (self.gap, self.use) if part is not None)
        asks |= self.use is not None and self.use.shapes  # which is asked about whole steps
        return self.gap is not None and self.ground is None and not self.relabels and not asks

    @property
    def relabels(self) -> bool:
        """Whether the source's steps are paid the target's reward: computed without a gap, by its model with one."""
        return self.use is not None and self.use.relabels

    def stores_terms(self, side: str) -> bool:
        """Whether a step of that side is stored with its reward terms: the source's always, for other tasks."""
        return side == "source" or self.needs("terms")

    def needs(self, extra: str) -> bool:
        """Whether the gap or its use asks for an extra of that name."""
        return any(extra in part.needs for part in (self.gap, self.use) if part is not None)

    def compensation(self) -> Compensation:
        """The gap, its use and the gate. Raises RequestError for settings that are out of range or do not fit."""
        use = self.use or UNCHANGED
        return Compensation(self.gap, use, Chain(use.transforms(self.gate)), shared=self.shared)
