"""A plan as data: stages over streams of steps, and the schedule that cuts a stage into rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from transreward.ground import Ground
from transreward.methods import Method
from transreward.streams.stream import Stream
from transreward.types import Pair


class Schedule(NamedTuple):
    """How a stage is cut into rounds so that its whole budget is spent."""

    total: int  # rounds up to the horizon, over which annealing is spread
    warm: int  # first rounds, which only collect steps
    controls: Pair[int]  # control steps of the whole stage, up to the horizon
    rollout: Pair[int]  # control steps per round for an on-policy learner (the last is longer); 0 = spread evenly
    updates: int  # of the learner per round after the warm ones
    gap_updates: int  # of the gap per round after the warm ones
    beyond: int = 0  # rounds after `total`, of a run that goes on beyond its horizon

    @property
    def rounds(self) -> int:
        """All rounds of the stage."""
        return self.total + self.beyond

    def steps(self, index: int) -> Pair[int]:
        """Control steps of a round in each domain. Rounds beyond `total` continue at the same pace."""
        after, before = self.before(index + 1), self.before(index)
        return Pair(after.source - before.source, after.target - before.target)

    def due(self, index: int, times: int) -> bool:
        """Whether one of so many `times`, spread evenly over the rounds up to `total`, is at the end of a round."""
        # as fractions, 1/49 x 49 would be below 1
        return (index + 1) * times // self.total > index * times // self.total

    def extended(self, target: int) -> Schedule:
        """The schedule with as many more rounds as fit into `target` control steps of the target in total."""
        beyond = 0
        while self.controls.target and self.before(self.total + beyond + 1).target <= target:
            beyond += 1
        return self._replace(beyond=beyond)

    def before(self, index: int) -> Pair[int]:
        """Control steps of each domain before a round."""
        return Pair(*(self._before(index, *side) for side in self._sides))

    @property
    def _sides(self) -> Iterable[tuple[int, int]]:
        return zip(self.controls, self.rollout, strict=True)

    def _before(self, index: int, controls: int, rollout: int) -> int:
        """Control steps of a domain before a round. If they are spread evenly, the first round has at least one."""
        if not rollout:
            return -(-controls * index // self.total)
        beyond = max(index - self.total, 0) * rollout
        return (controls if index >= self.total else index * rollout) + beyond


@dataclass(frozen=True)
class Stage:
    """A part of a run in which a learner is trained on the same streams. It starts from the end of `after`."""

    name: str  # unique in the plan; a path below the run's directory
    phase: str  # source, teacher, evidence, walk, trial, transfer or cotrain; `types.CEILING` breaks the budget
    method: Method
    after: str | None  # the stage whose final state it starts from; None: from scratch
    streams: tuple[Stream, ...]  # in the order of their turns in a round
    budget: Pair[int]  # limit of training steps per seed, by account
    schedule: Schedule
    target_share: float  # share of target steps in the learner's training batches, in [0, 1]
    from_nothing: bool  # the policy is fresh and acts at random first
    evaluations: int
    guided: bool = False  # the source agent acts, or its value is used
    anneal: float = 0.0  # share of the stage's rounds over which target_share is reached, from source steps only
    ground: Ground | None = None  # its source is what the target steps of the stage before show, see `engine.grounding`
    candidates: tuple[str, ...] = ()  # whose policies may be delivered: source, earlier stages, itself; (): its own
    gap_first: bool = False  # the gap learns in the warm rounds, and in no other
    draws: str = ""  # a word of `draws.PURPOSES`; "" = the seeds' own random streams

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        return next((stream for stream in self.streams if stream.name == name), None)


@dataclass(frozen=True)
class Track:
    """The stages of one method, in order; the policy of the last one is the result."""

    method: Method
    stages: tuple[Stage, ...]
    partners: tuple[Stage, ...] = ()  # in co-training, the stages in the sources that run beside the last one
    agent: str | None = None  # the stage that trains the source agent, which is evaluated as zero-shot


class Plan(NamedTuple):
    """Everything that a request will do: the stages of source agents and the tracks of methods, in order."""

    agents: dict[str, Stage]
    tracks: tuple[Track, ...]
    others: tuple[Plan, ...] = ()  # of the agents of each further source
