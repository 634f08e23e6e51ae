"""The table: every method is a row of choices (gap, use, feed, start), not a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from transreward.compensations.uses import Compensation, Gap, Penalty, Unchanged
from transreward.compensations.wrappers import Centre, Clip, Ramp, Scale, Times
from transreward.gaps.classifier import Classifier
from transreward.types import make, nearest


@dataclass(frozen=True)
class Use:
    """What is done with the gap, and how strongly."""

    strength: float = 2.0  # lambda; after scaling, in units of the reward's own spread


@dataclass(frozen=True)
class Gate:
    """When the compensation is trusted: the wrappers, innermost first."""

    clip: float = 10.0  # the gap's score is held within +-clip, in its own units (nats)
    centre: bool = True  # take off the mean, so that it pays neither for living nor for dying
    scale: bool = True  # bring its spread to the reward's own
    scale_floor: float = 1.0  # a score that spreads less than this is taken as noise and not blown up
    ramp: int = 1_000  # updates of the gap until the compensation counts fully


@dataclass(frozen=True)
class Method:
    """A row. `feed` is the share of target steps in what trains the learner after the source phase."""

    name: str
    summary: str
    paper: str
    start: Literal["source", "nothing", "oracle"]  # a source agent, nothing, or the target on the source's budget
    target_share: float | None  # 0 = source steps only, 1 = target steps only, None = no training in the second phase
    gap: Gap | None = None
    use: Use | None = None
    gate: Gate | None = None

    @property
    def uses_source(self) -> bool:
        """Whether source steps go on feeding the learner or the gap in the transfer phase."""
        return self.target_share is not None and (self.target_share < 1 or self.gap is not None)

    @property
    def feed(self) -> str:
        """In words, for the table."""
        return {None: "-", 0.0: "source", 1.0: "target"}.get(self.target_share, f"mix {self.target_share}")

    def compensation(self) -> Compensation:
        """The gap, its use and the wrappers of the gate as one compensation."""
        if self.gap is None or self.use is None or self.gate is None:
            return Unchanged()
        gate = self.gate
        chain: Compensation = Clip(Penalty(self.gap), gate.clip)
        if gate.centre:
            chain = Centre(chain)
        if gate.scale:
            chain = Scale(chain, gate.scale_floor)
        return Times(Ramp(chain, gate.ramp), self.use.strength)


METHODS: dict[str, Method] = {
    row.name: row
    for row in (
        Method(
            "darc",
            "train on source steps that are paid for looking like target steps",
            "Eysenbach et al. 2021, arXiv:2006.13916",
            start="source",
            target_share=0.0,
            gap=Classifier(),
            use=Use(),
            gate=Gate(),
        ),
        Method("zero_shot", "the source policy as it is", "control", start="source", target_share=None),
        Method(
            "fine_tune", "the source agent, trained on with target steps", "control", start="source", target_share=1.0
        ),
        Method("target_only", "from nothing, on the target budget alone", "control", start="nothing", target_share=1.0),
        Method(
            "oracle",
            "trained on the target with the source's budget: BREAKS the target budget, a ceiling and not a method",
            "control",
            start="oracle",
            target_share=None,
        ),
    )
}


def method(name: str) -> Method:
    """The row of that name. Raises RequestError with the nearest names."""
    if name not in METHODS:
        raise nearest(name, METHODS, "method")
    return METHODS[name]


def methods() -> tuple[Method, ...]:
    """The whole table."""
    return tuple(METHODS.values())


GAPS: dict[str, type] = {"classifier": Classifier}


def gap(name: str, **settings: Any) -> Gap:
    """A gap by name with its settings. Raises RequestError for an unknown name or setting."""
    return make(GAPS, name, "gap", settings)
