"""The table: every method is a row of choices (gap, use, feed, gate, start), not a file of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from transreward.compensations.learned import Learned
from transreward.compensations.uses import (
    Advice,
    Bellman,
    Blend,
    Compensation,
    Filter,
    Gap,
    Gpi,
    Imitation,
    Kickstart,
    Penalty,
    Potential,
    Relabel,
    Robust,
    Trust,
    Unchanged,
    Weight,
)
from transreward.compensations.wrappers import Centre, Clip, Fade, Keep, Ramp, Scale, Times
from transreward.gaps.classifier import Classifier
from transreward.gaps.contrastive import Contrastive
from transreward.gaps.ensemble import Ensemble
from transreward.gaps.latent import Latent
from transreward.gaps.neighbours import Neighbours
from transreward.gaps.paired import Paired
from transreward.gaps.potential import ActionValue
from transreward.gaps.reward import By, MeanReward, Reward
from transreward.gaps.state import State
from transreward.gaps.successor import Successor
from transreward.gaps.transport import Transport
from transreward.types import OWN_MODULE, RequestError, make, nearest


@dataclass(frozen=True)
class Gate:
    """When a penalty, or an imitation's reward, is trusted: the wrappers, innermost first."""

    clip: float = 10.0  # the gap's score is held within +-clip, in its own units (nats)
    centre: bool = True  # take off the mean, so that it pays neither for living nor for dying
    scale: bool = True  # bring its spread to the reward's own
    scale_floor: float = 1.0  # a score that spreads less than this is taken as noise and not blown up
    ramp: float = 0.1  # share of the transfer after which the compensation counts fully; 0 = at once

    @staticmethod
    def of(gap: Gap) -> Gate:
        """The gate of a gap whose score has another unit than nats, or another noise."""
        return Gate(scale_floor=getattr(gap, "noise_floor", 1.0))

    def around(self, inner: Compensation, strength: float) -> Compensation:
        """The wrappers around a compensation, and its strength."""
        chain: Compensation = Clip(inner, self.clip)
        if self.centre:
            chain = Centre(chain)
        if self.scale:
            chain = Scale(chain, self.scale_floor)
        return Times(Ramp(chain, self.ramp), strength)


# Uses: what is done with the gap, and how strongly.


@dataclass(frozen=True)
class PenaltyUse:
    """Added to the source's rewards: a penalty where it is negative, a bonus where it is positive."""

    strength: float = 2.0  # lambda; after scaling, in units of the reward's own spread

    name: ClassVar[str] = "penalty"
    wants: ClassVar[tuple[str, ...]] = ("score",)

    def over(self, gap: Gap, gate: Gate) -> Compensation:
        """The compensation."""
        return gate.around(Penalty(gap), self.strength)


@dataclass(frozen=True)
class ImitationUse:
    """Pays the target's steps for looking like the source agent's, in place of the target's reward or on top of it."""

    strength: float = 1.0  # lambda; of nats, or with gate.scale in units of the source reward's own spread
    keep: float = 0.0  # share of the target's own reward that stays; 0 = pure imitation, and it need not be known
    form: Literal["logit", "softplus"] = "logit"  # log D - log(1 - D), or -log(1 - D), which is never negative

    name: ClassVar[str] = "imitation"
    wants: ClassVar[tuple[str, ...]] = ("log_ratio",)
    side: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        if not 0 <= self.keep <= 1:
            raise RequestError(f"use.keep must be in [0, 1], not {self.keep}")
        if self.form not in ("logit", "softplus"):
            raise RequestError(f"use.form must be logit or softplus, not {self.form!r}")
        if not self.keep and not self.strength:
            raise RequestError("use.strength and use.keep are both 0, so nothing would pay the learner")

    @property
    def kept(self) -> float:
        """Share of the raw reward that the learner is still paid."""
        return self.keep

    def over(self, gap: Gap, gate: Gate) -> Compensation:
        """The compensation."""
        chain = gate.around(Imitation(gap, self.form), self.strength)
        return chain if self.keep == 1 else Keep(chain, self.keep)


@dataclass(frozen=True)
class BlendUse:
    """Moves the target's rewards towards what the source would have paid: r + lambda k (r_S - r)."""

    strength: float = 0.5  # lambda, in [0, 1]: 1 leaves nothing of the target's own reward where k = 1
    by: By = "fixed"  # what k in [0, 1] is set by; fixed = 1

    name: ClassVar[str] = "blend"
    wants: ClassVar[tuple[str, ...]] = ("source_reward",)
    side: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of a blend must be in [0, 1], not {self.strength}")
        if self.by not in get_args(By):
            raise RequestError(f"use.by must be fixed, similarity, variance or both, not {self.by!r}")

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Blend(gap, self.strength, self.by)


@dataclass(frozen=True)
class DpbaUse:
    """Turns what a blend (or an imitation) adds to the target's rewards into a learned potential, and fades it."""

    strength: float = 0.5  # lambda, in [0, 1]: of the compensation that is turned
    by: By = "fixed"  # of a blend, what its k in [0, 1] is set by; fixed = 1
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays
    hidden: tuple[int, ...] = (64, 64)  # of the potential
    learning_rate: float = 3e-3  # of the potential, which has to learn faster than the critics

    name: ClassVar[str] = "dpba"
    wants: ClassVar[tuple[str, ...]] = ("source_reward", "log_ratio")
    side: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of dpba must be in [0, 1], not {self.strength}")
        require_fade(self)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation. Raises RequestError for a setting of a blend where none is made."""
        if "log_ratio" in offered(gap):
            if self.by != "fixed":
                raise RequestError(f"use.by is of a blend, which '{gap.name}' is not made into: leave it away")
            inner = ImitationUse(keep=1.0).over(gap, NATS)
        else:
            inner = BlendUse(1.0, self.by).over(gap, None)
        chain: Compensation = Learned(inner, ActionValue(self.hidden, self.learning_rate))
        return Times(Fade(chain, self.fade) if self.fade else chain, self.strength)


@dataclass(frozen=True)
class RelabelUse:
    """Pays the source's steps the target's reward: computed where it can be, and then without a gap; else a model's."""

    pessimism: float = 1.0  # how many of the members' standard deviations a model's answer is lowered by

    name: ClassVar[str] = "relabel"
    wants: ClassVar[tuple[str, ...]] = ("target_reward",)

    def __post_init__(self) -> None:
        if not self.pessimism >= 0:
            raise RequestError(f"use.pessimism must not be negative, not {self.pessimism}")

    def over(self, gap: Gap | None, gate: Gate | None) -> Compensation:
        """The compensation; without a gap the stored rewards are the target's already."""
        return Unchanged() if gap is None else Relabel(gap, self.pessimism)


@dataclass(frozen=True)
class WeightUse:
    """Weights the source's steps by exp(score)."""

    low: float = 0.1  # the weight is held within these, before it is divided by its mean
    high: float = 10.0

    name: ClassVar[str] = "weight"
    wants: ClassVar[tuple[str, ...]] = ("score",)

    def __post_init__(self) -> None:
        require_weights(self)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Weight(gap, self.low, self.high)


@dataclass(frozen=True)
class RobustUse:
    """Pays the source's steps their own reward as far as they are the target's, and for the rest an imitation's."""

    strength: float = 1.0  # of the imitation's reward, in nats
    low: float = 0.1  # the weight is held within these, before it is divided by its mean
    high: float = 10.0
    teach: float = 0.5  # share of both transfer budgets that the teacher takes, whose newest steps are imitated
    newest: float = 0.3  # share of the teacher's source steps that is imitated: the last

    name: ClassVar[str] = "robust"
    wants: ClassVar[tuple[str, ...]] = ("log_ratio",)
    needs: ClassVar[tuple[str, ...]] = ("demonstrations",)

    def __post_init__(self) -> None:
        require_weights(self)
        if not 0 < self.teach < 1:
            raise RequestError(f"use.teach must be between 0 and 1, not {self.teach}")
        if not 0 < self.newest <= 1:
            raise RequestError(f"use.newest must be in (0, 1], not {self.newest}")
        require_strength(self)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Robust(gap, State(inputs="state_next"), self.low, self.high, self.strength)


@dataclass(frozen=True)
class FilterUse:
    """Keeps the source's steps that score best."""

    keep: float = 0.5  # share of a batch's source steps
    floor: float = 0.1  # share kept whatever they score; 0 = none

    name: ClassVar[str] = "filter"
    wants: ClassVar[tuple[str, ...]] = ("score",)

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise RequestError(f"use.keep must be in (0, 1], not {self.keep}")
        if not 0 <= self.floor <= 1:
            raise RequestError(f"use.floor must be in [0, 1], not {self.floor}")

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Filter(gap, self.keep, self.floor)


@dataclass(frozen=True)
class PotentialUse:
    """Shapes both domains' rewards by the source agent's value, which changes no optimal policy."""

    strength: float = 1.0  # lambda, in units of the source's reward: 1 = the potential is the source agent's value
    fade: float = 0.0  # share of the transfer over which it falls to nothing; 0 = it stays

    name: ClassVar[str] = "potential"
    wants: ClassVar[tuple[str, ...]] = ()
    of: ClassVar[str] = "value"
    needs: ClassVar[tuple[str, ...]] = ("source_value",)

    def over(self, gap: None, gate: None) -> Compensation:
        """The compensation."""
        return Times(Fade(Potential(), self.fade) if self.fade else Potential(), self.strength)


@dataclass(frozen=True)
class AdviceUse:
    """Advises the target's learner of the source policy's actions, by a potential over state and action."""

    strength: float = 1.0  # lambda, in units of the target's reward: what the source policy's own action is worth more
    width: float = 0.5  # of what counts as the source policy's action, in halves of the action box
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays

    name: ClassVar[str] = "advice"
    wants: ClassVar[tuple[str, ...]] = ()
    of: ClassVar[str] = "policy"
    side: ClassVar[str] = "target"
    needs: ClassVar[tuple[str, ...]] = ("source_act",)

    def __post_init__(self) -> None:
        require_strength(self)
        if not self.width > 0:
            raise RequestError(f"use.width must be above 0, not {self.width}")
        require_fade(self)

    def over(self, gap: None, gate: None) -> Compensation:
        """The compensation."""
        return Advice(self.strength, self.fade, self.width) if self.strength else Unchanged()


@dataclass(frozen=True)
class KickstartUse:
    """Draws the actor of the target's learner to the source policy, annealed."""

    strength: float = 1.0  # lambda, in units of the mean size of Q
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays

    name: ClassVar[str] = "kickstart"
    wants: ClassVar[tuple[str, ...]] = ()
    of: ClassVar[str] = "policy"
    side: ClassVar[str] = "target"
    needs: ClassVar[tuple[str, ...]] = ("source_act",)

    def __post_init__(self) -> None:
        require_strength(self)
        require_fade(self)

    def over(self, gap: None, gate: None) -> Compensation:
        """The compensation."""
        return Kickstart(self.strength, self.fade) if self.strength else Unchanged()


@dataclass(frozen=True)
class GpiUse:
    """Compares the critics' value of an action with what the source policy would earn from there."""

    fade: float = 0.5  # share of the transfer after which the critics are left alone; 0 = never

    name: ClassVar[str] = "gpi"
    wants: ClassVar[tuple[str, ...]] = ("policy_worth",)
    side: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        require_fade(self)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Gpi(gap, self.fade)


@dataclass(frozen=True)
class BellmanUse:
    """Corrects the source's rewards by what the difference changes in the critic's targets."""

    name: ClassVar[str] = "bellman"
    wants: ClassVar[tuple[str, ...]] = ("differences",)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Bellman(gap)


@dataclass(frozen=True)
class TrustUse:
    """Weights the source's steps by how far the difference is trusted, the target's by the rest."""

    name: ClassVar[str] = "trust"
    wants: ClassVar[tuple[str, ...]] = ("differences",)

    def over(self, gap: Gap, gate: Gate | None) -> Compensation:
        """The compensation."""
        return Trust(gap)


def require_weights(use: Any) -> None:
    """Raise RequestError for bounds of a weight that hold nothing."""
    if not 0 < use.low < use.high:
        raise RequestError(f"use.low must be above 0 and below use.high, not {use.low} and {use.high}")


def require_strength(use: Any) -> None:
    """Raise RequestError for a lambda below 0."""
    if not use.strength >= 0:
        raise RequestError(f"use.strength must not be negative, not {use.strength}")


def require_fade(use: Any) -> None:
    """Raise RequestError for what is no share of the transfer."""
    if not 0 <= use.fade <= 1:
        raise RequestError(f"use.fade must be in [0, 1], not {use.fade}")


# what a gap may offer, and which do by which settings; a use `wants` one of these, or nothing: then it has no gap
OFFERS = {
    "score": "a gap that scores how like the target's a step is",
    "log_ratio": "a gap whose score is log p_T - log p_S: classifier, ensemble with gap.form=likelihood, state with "
    "gap.top=1",
    "differences": "a gap that predicts the difference in next state: paired",
    "source_reward": "a gap that says what the source would have paid: reward with gap.of=source, mean_reward",
    "target_reward": "a gap that says what the target pays: reward with gap.of=target",
    "policy_worth": "a gap that says what the source policy would earn: successor",
}


def offered(gap: Any) -> tuple[str, ...]:
    """What a gap offers, of OFFERS; a score alone, unless it says otherwise."""
    return getattr(gap, "offers", ("score",))


def require_offered(use: Any, gap: Any) -> None:
    """Raise RequestError for a gap that has nothing that the use wants."""
    if gap is None:
        if use.wants and use.name != RelabelUse.name:  # which needs none where the target's reward is computed
            raise RequestError(f"'{use.name}' needs {'; or '.join(OFFERS[name] for name in use.wants)}")
    elif not use.wants:
        raise RequestError(f"'{use.name}' is of the source agent's {use.of}, and has no gap, so not {gap.name}")
    elif not set(use.wants) & set(offered(gap)):
        raise RequestError(f"'{use.name}' needs {'; or '.join(OFFERS[name] for name in use.wants)}, not {gap.name}")


USES: dict[str, type] = {
    use.name: use
    for use in (
        PenaltyUse,
        WeightUse,
        FilterUse,
        PotentialUse,
        AdviceUse,
        KickstartUse,
        GpiUse,
        BellmanUse,
        TrustUse,
        ImitationUse,
        RobustUse,
        BlendUse,
        RelabelUse,
        DpbaUse,
    )
}


@dataclass(frozen=True)
class Feed:
    """Whose steps train the learner after the source phase."""

    target_share: float = 0.0  # of every batch: 0 = source steps only, 1 = target steps only
    source: str = "online"  # source steps go on; "replay": those of the source agent's training serve; "branched"
    newest: float = 1.0  # share of the stored source steps that serves: the last, by an agent that knew its job
    guide: float = 0.0  # share of the transfer over which the source policy's lead in each episode shrinks to nothing
    branches: int = 0  # if branched, corrected source steps from states that the target visited, per target step
    branch_length: int = 1  # of these how many follow on one another

    def __post_init__(self) -> None:
        for field in ("target_share", "guide"):
            if not 0 <= getattr(self, field) <= 1:
                raise RequestError(f"feed.{field} must be in [0, 1], not {getattr(self, field)}")
        if self.source not in ("online", "replay", "branched"):
            raise RequestError(f"feed.source must be online, replay or branched, not {self.source!r}")
        if not 0 < self.newest <= 1 or (self.newest < 1 and self.source != "replay"):
            raise RequestError("feed.newest must be in (0, 1], and is not used without feed.source=replay")
        if (self.source == "branched") != (self.branches > 0):
            raise RequestError("feed.branches must be above 0 with feed.source=branched, and is not used without")
        if self.source == "branched" and self.target_share == 1:
            raise RequestError("feed.source=branched feeds nobody with feed.target_share=1")
        if self.branch_length < 1 or (self.branch_length > 1 and self.source != "branched"):
            raise RequestError("feed.branch_length must be at least 1, and is not used without feed.source=branched")

    @property
    def on_policy(self) -> bool:
        """Whether all that trains the learner are steps of one domain that it has just taken itself."""
        return self.target_share in (0, 1) and self.source == "online" and not self.guide

    def __str__(self) -> str:
        if self.target_share in (0, 1):
            source, target = ("replay", "target, shown replay") if self.source == "replay" else ("source", "target")
            return (target if self.target_share else source) + (", guided" if self.guide else "")
        return f"mix {self.target_share:g}" + ("" if self.source == "online" else f" of {self.source}")


NATS = Gate(scale=False)  # an imitation may be all that pays; a source reward without spread would scale it to nothing
DEMONSTRATIONS = Feed(1.0, "replay", newest=0.1)  # own target steps, compared with the source agent's last
LOOKED_AT = Feed(1.0, "replay")  # the same, of all the source agent's steps
# use -> the row whose start, feed, gate and teacher its cells choose; the others start from a source agent, train on
# source steps alone, and only a penalty has a gate
LIKE = {
    "imitation": "gaifo",
    "robust": "darail",
    "blend": "reward_gap",
    "dpba": "dpba",
    "relabel": "relabel",
    "gpi": "successor",
    "potential": "value_potential",
    "advice": "policy_advice",
    "kickstart": "kickstart",
}


@dataclass(frozen=True)
class Method:
    """A row."""

    name: str
    summary: str
    paper: str
    start: Literal["source", "nothing", "oracle"]  # a source agent, nothing, or the target on the source's budget
    feed: Feed | None  # None = no training in the second phase
    gap: Gap | None = None
    use: Any = None  # one of USES
    gate: Gate | None = None
    learner: tuple[tuple[str, Any], ...] = ()  # settings of the learner that belong to the method
    teacher: str | None = None  # the row that takes the first part of the transfer, and is then imitated

    def __post_init__(self) -> None:
        if self.use is not None:
            require_offered(self.use, self.gap)

    @property
    def target_share(self) -> float | None:
        """Of target steps in what trains the learner; None = no training."""
        return self.feed.target_share if self.feed else None

    @property
    def off_policy(self) -> bool:
        """Whether only an off-policy learner takes what feeds it, or what advises it."""
        return self.needs("source_act") or (self.feed is not None and not self.feed.on_policy)

    @property
    def uses_source(self) -> bool:
        """Whether source steps go on feeding the learner or the gap in the transfer phase."""
        feed = self.feed
        return feed is not None and feed.source != "replay" and (feed.target_share < 1 or self.gap is not None)

    @property
    def uses_replay(self) -> bool:
        """Whether the stored steps of the source agent's training feed the learner or the gap."""
        return self.feed is not None and self.feed.source == "replay"

    @property
    def branched(self) -> bool:
        """Whether the source's steps start where the target was."""
        return self.feed is not None and self.feed.source == "branched"

    @property
    def walks(self) -> bool:
        """Whether robots go on walking in the source, in episodes of their own."""
        return self.uses_source and not self.branched

    @property
    def replayed(self) -> int:
        """Source steps taken from states that the target was observed in, per target step."""
        branches = self.feed.branches if self.feed else 0
        return branches + self.needs("counterpart")

    @property
    def parts(self) -> tuple[float, ...]:
        """Shares of the transfer's budgets that its parts take, one after the other."""
        return (self.use.teach, 1.0 - self.use.teach) if self.teacher else (1.0,)

    @property
    def needs_target_reward(self) -> bool:
        """Whether the learner sees the target's rewards."""
        return self.start == "oracle" or (self.feed is not None and self.feed.target_share > 0 and self.kept > 0)

    @property
    def kept(self) -> float:
        """Share of the raw reward that the learner is still paid on the side that the use changes."""
        return getattr(self.use, "kept", 1.0)

    @property
    def side(self) -> str:
        """Whose steps show what the use does, a field of Pair."""
        return getattr(self.use, "side", "source")

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
        return self.needs("source_value") or self.needs("source_act")

    @property
    def relabels(self) -> bool:
        """Whether the source's steps are paid the target's reward: computed without a gap, by its model with one."""
        return self.use is not None and self.use.name == RelabelUse.name

    def stores_terms(self, side: str) -> bool:
        """Whether a step of that side is stored with its reward terms: the source's always, for other tasks."""
        return side == "source" or self.needs("terms")

    def needs(self, extra: str) -> bool:
        """Whether the gap or its use asks for an extra of that name."""
        return any(extra in getattr(part, "needs", ()) for part in (self.gap, self.use))

    def compensation(self) -> Compensation:
        """The gap, its use and the wrappers of the gate as one compensation."""
        return Unchanged() if self.use is None else self.use.over(self.gap, self.gate)


METHODS: dict[str, Method] = {
    row.name: row
    for row in (
        Method(
            "darc",
            "train on source steps that are paid for looking like target steps",
            "Eysenbach et al. 2021, arXiv:2006.13916",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=PenaltyUse(),
            gate=Gate(),
        ),
        Method(
            "sac_iw",
            "train on source steps, each weighted by how much likelier it is in the target",
            "Eysenbach et al. 2021, arXiv:2006.13916, section 5",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=WeightUse(),
        ),
        Method(
            "par",
            "train on both domains' steps, the source's penalised where the target's latent model errs",
            "Lyu et al. 2024, arXiv:2405.15369",
            start="source",
            feed=Feed(0.5),
            gap=Latent(),
            use=PenaltyUse(),
            gate=Gate.of(Latent()),
        ),
        Method(
            "vgdf",
            "train on both domains' steps, of the source's only those whose successor is worth what the target's is",
            "Xu et al. 2023, arXiv:2305.17625",
            start="source",
            feed=Feed(0.5),
            gap=Ensemble(form="value"),
            use=FilterUse(keep=0.25),
        ),
        Method(
            "srpo",
            "train on both domains' steps, paid for leading to states of high value in either",
            "Xue et al. 2023, arXiv:2306.03552",
            start="source",
            feed=Feed(0.5),
            gap=State(top=0.5),
            use=PenaltyUse(),
            gate=Gate(),
        ),
        Method(
            "food",
            "train on source steps that are paid for looking like the target's visits, dynamics or not",
            "Daoudi et al. 2024, arXiv:2312.15474",
            start="source",
            feed=Feed(0.0),
            gap=State(inputs="step"),
            use=PenaltyUse(),
            gate=Gate(),
        ),
        Method(
            "gaifo",
            "train on target steps that are paid for looking like the source agent's, and not by the target",
            "Torabi et al. 2018, arXiv:1807.06158",
            start="source",
            feed=DEMONSTRATIONS,
            gap=State(inputs="state_next"),
            use=ImitationUse(),
            gate=NATS,
        ),
        Method(
            "darail",
            "first darc; then train on source steps, paid for the target's and for looking like darc's last",
            "Guo et al. 2024, arXiv:2411.09891",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=RobustUse(),
            teacher="darc",
        ),
        Method(
            "paired",
            "train on both domains' steps, the source's corrected by what it does differently from the same states",
            "here first; see docs/methods/paired.md",
            start="source",
            feed=Feed(0.5),
            gap=Paired(),
            use=BellmanUse(),
        ),
        Method(
            "paired_branched",
            "train on target steps and on short corrected source steps from the states that the target visits",
            "here first; see docs/methods/paired.md",
            start="source",
            feed=Feed(0.5, "branched", branches=20),
            gap=Paired(),
            use=TrustUse(),
        ),
        Method(
            "reward_gap",
            "train on target steps, their rewards moved towards what the source would have paid",
            "the formula this project began with; see docs/methods/reward_gap.md",
            start="source",
            feed=LOOKED_AT,
            gap=Reward(),
            use=BlendUse(),
        ),
        Method(
            "dpba",
            "reward_gap, turned into a potential over state and action that is learned beside it, annealed",
            "Harutyunyan et al. 2015; see docs/methods/dpba.md",
            start="source",
            feed=LOOKED_AT,
            gap=Reward(),
            use=DpbaUse(),
        ),
        Method(
            "relabel",
            "from nothing, on target steps and as many of the source agent's old ones, paid as the target would",
            "Yu et al. 2021, arXiv:2109.08128; see docs/methods/relabel.md",
            start="nothing",
            feed=Feed(0.5, "replay"),
            gap=Reward(of="target"),
            use=RelabelUse(),
        ),
        Method(
            "mean_gap",
            "train on target steps, their rewards moved by the difference of the domains' mean rewards",
            "baseline; see docs/methods/reward_gap.md",
            start="source",
            feed=LOOKED_AT,
            gap=MeanReward(),
            use=BlendUse(strength=1.0),
        ),
        Method(
            "value_potential",
            "from nothing, on target steps that are shaped by the source agent's value, annealed",
            "Ng et al. 1999; Devlin and Kudenko 2012; see docs/methods/value_potential.md",
            start="nothing",
            feed=Feed(1.0),
            use=PotentialUse(fade=0.5),
        ),
        Method(
            "policy_advice",
            "from nothing, on target steps, advised by a potential of the source policy's actions, annealed",
            "Wiewiora et al. 2003; Brys et al. 2015; see docs/methods/policy_advice.md",
            start="nothing",
            feed=Feed(1.0),
            use=AdviceUse(),
        ),
        Method(
            "successor",
            "from nothing, on target steps; an action is worth at least what the source policy would earn after it",
            "Barreto et al. 2017, arXiv:1606.05312; see docs/methods/successor.md",
            start="nothing",
            feed=LOOKED_AT,
            gap=Successor(),
            use=GpiUse(),
        ),
        Method(
            "mix",
            "train on source and target steps, half and half, as if they were one domain's",
            "control",
            start="source",
            feed=Feed(0.5),
        ),
        Method(
            "rlpd",
            "from nothing, on target steps and as many of the source agent's old ones, with many careful updates",
            "Ball et al. 2023, arXiv:2302.02948",
            start="nothing",
            feed=Feed(0.5, "replay"),
            learner=(("critics", 10), ("subset", 2), ("layer_norm", True), ("target_updates_per_step", 10.0)),
        ),
        Method(
            "jsrl",
            "from nothing, on target episodes that the source policy begins, ever shorter",
            "Uchendu et al. 2023, arXiv:2204.02372",
            start="nothing",
            feed=Feed(1.0, guide=0.5),
        ),
        Method(
            "kickstart",
            "from nothing, on target steps, with an actor that is drawn to the source policy, annealed",
            "Schmitt et al. 2018, arXiv:1803.03835",
            start="nothing",
            feed=Feed(1.0),
            use=KickstartUse(),
        ),
        Method("zero_shot", "the source policy, unchanged", "control", start="source", feed=None),
        Method(
            "fine_tune", "the source agent, trained on with target steps", "control", start="source", feed=Feed(1.0)
        ),
        Method("target_only", "from nothing, on the target budget alone", "control", start="nothing", feed=Feed(1.0)),
        Method(
            "oracle",
            "trained on the target with the source's budget: BREAKS the target budget, a ceiling and not a method",
            "control",
            start="oracle",
            feed=None,
        ),
    )
}

GAPS: dict[str, type] = {
    gap.name: gap
    for gap in (
        Classifier,
        Latent,
        Ensemble,
        Contrastive,
        Transport,
        Neighbours,
        State,
        Paired,
        Reward,
        MeanReward,
        Successor,
    )
}


def method(name: str) -> Method:
    """The row of that name, or the cell that an expression such as `filter(classifier)` says.

    Raises RequestError with the nearest names.
    """
    if name in METHODS:
        return METHODS[name]
    if "(" in name or ")" in name:
        return _cell(name)
    raise nearest(name, METHODS, "method", otherwise=OWN_MODULE)


def _cell(expression: str) -> Method:
    """use(gap): use and gap with their defaults, and the choices of a row of that use; the rest by settings."""
    parsed = re.fullmatch(r"\s*(\w+)\s*\(\s*(\w*)\s*\)\s*", expression)
    if parsed is None:
        raise RequestError(f"'{expression}' does not parse: write use(gap), such as filter(classifier)")
    use_name, gap_name = parsed.groups()
    if use_name not in USES:
        raise nearest(use_name, USES, "use", otherwise=OWN_MODULE)
    name, use = f"{use_name}({gap_name})", make(USES, use_name, "use", {})
    row = METHODS[LIKE[use_name]] if use_name in LIKE else Method(name, "", "", "source", Feed(0.0))
    found = None
    if use.wants:
        found = gap(gap_name)
        if row.gap is not None and row.gap.name == gap_name and not set(use.wants) & set(offered(found)):
            found = row.gap  # with the settings that this use needs
    elif gap_name not in ("", use.of):
        raise RequestError(f"'{name}' is of the source agent's {use.of}, and has no gap: write {use_name}({use.of})")
    gate = Gate.of(found) if found is not None and use_name == "penalty" else row.gate
    about = {"name": name, "summary": f"{use_name} by {gap_name}", "paper": "a cell of the grid"}
    return replace(row, **about, gap=found, use=use, gate=gate)


def cells() -> dict[str, list[str]]:
    """Each use, and what makes a cell with it: gaps, or a part of the source agent."""
    return {name: [of for of in (GAPS if use.wants else (use.of,)) if _works(name, of)] for name, use in USES.items()}


def _works(use: str, of: str) -> bool:
    try:
        method(f"{use}({of})")
    except RequestError:
        return False
    return True


def methods() -> tuple[Method, ...]:
    """The whole table."""
    return tuple(METHODS.values())


def gap(name: str, **settings: Any) -> Gap:
    """A gap by name with its settings. Raises RequestError for an unknown name or setting."""
    return make(GAPS, name, "gap", settings)
