"""The words of a plan: streams of steps, stages, and how a stage is cut into rounds. All of it is data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from transreward.methods import Method
from transreward.streams.stream import Stream
from transreward.types import Pair


class Schedule(NamedTuple):
    """How a stage is cut into rounds, so that all of its budget is spent."""

    total: int  # up to the horizon, which what is annealed refers to
    warm: int  # the first, which only gather steps
    controls: Pair[int]  # control steps of the whole stage
    rollout: Pair[int]  # an on-policy learner's, in every round but a longer last one; 0 = spread evenly
    updates: int  # of the learner per round after the warm ones
    gap_updates: int  # the same of the gap
    beyond: int = 0  # rounds after `total`, of a run that goes on behind its horizon

    @property
    def rounds(self) -> int:
        """Of the stage in all."""
        return self.total + self.beyond

    def steps(self, index: int) -> Pair[int]:
        """Control steps of a round. Rounds beyond `total` go on at the same pace."""
        after, before = self.before(index + 1), self.before(index)
        return Pair(after.source - before.source, after.target - before.target)

    def extended(self, target: int) -> Schedule:
        """The schedule with as many rounds more as `target` control steps of the target in all suffice for."""
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
        """Control steps of a domain before a round; where they are spread, the first round has one in any case."""
        if not rollout:
            return -(-controls * index // self.total)
        beyond = max(index - self.total, 0) * rollout
        return (controls if index >= self.total else index * rollout) + beyond


@dataclass(frozen=True)
class Stage:
    """A stretch of a run in which a learner is trained on the same streams. It begins where `after` ended."""

    name: str  # of no other stage in the plan; a path below the run's directory
    phase: str  # source, teacher, transfer or cotrain; of what breaks the budget `types.CEILING`
    method: Method
    after: str | None  # the stage whose state is taken up; None: from nothing
    streams: tuple[Stream, ...]  # in the order in which they have their turn in a round
    budget: Pair[int]  # steps per seed to take in each account, at most
    schedule: Schedule
    target_share: float  # of the target's steps in what trains the learner
    from_nothing: bool  # the policy is fresh: it acts at random first
    evaluations: int
    guided: bool = False  # the source agent is asked: to act, or for its value
    draws: str = ""  # a word of `draws.PURPOSES`, where not the seeds' own random streams are used

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, if the stage has one."""
        return next((stream for stream in self.streams if stream.name == name), None)


@dataclass(frozen=True)
class Track:
    """The stages of one method, in order; the last one's policy is the method's."""

    method: Method
    stages: tuple[Stage, ...]
    partner: Stage | None = None  # the stage of the source's agent that learns beside the last one
    agent: str | None = None  # the stage whose end is the source agent, evaluated as zero-shot


class Plan(NamedTuple):
    """All that a request will do: stages of source agents, and tracks of methods, in the order in which they run."""

    agents: dict[str, Stage]
    tracks: tuple[Track, ...]
