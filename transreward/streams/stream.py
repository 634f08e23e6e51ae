"""The contract of streams: where steps come from, in which domain, and from which account they are paid.

A plan describes its streams as data (`Stream`). A kind of stream is a subclass of `Taker` in a file of its own, with a
line in the table of this package; the loop asks each for its `Steps` of a round and knows no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from transreward import replay as rp
from transreward.domains.domain import Domain
from transreward.replay import Replay
from transreward.streams.choice import Act, Choice
from transreward.streams.guarded import NO_LIMITS, Limits
from transreward.streams.log import StepLog
from transreward.types import Key, Pair, Steps, Transition


def unpaid(steps: int) -> None:
    """For steps that no account pays."""


@dataclass(frozen=True)
class Stream:
    """One stream of a stage, as data of a plan."""

    name: Literal["source", "target", "counterpart", "demonstrations"]  # also of its buffer
    kind: str  # a key of the table of streams
    domain: Literal["source", "target"]  # of the request, in which its steps are taken
    account: Literal["source", "target", "free"]
    robots: int  # per seed, in parallel
    room: int = 0  # control steps per robot that its buffer holds; 0: nothing reads them
    terms: int = 0  # reward terms stored beside each step
    rewards: Literal["own", "target"] = "own"  # target: replaced by the reward of the target's task
    lead: float = 0.0  # the source policy acts first in each episode, annealed to zero over this share of the stage
    deterministic: bool = False  # the policy acts without noise
    acting: tuple[str, ...] = ()  # candidates of which one acts in each episode, see `Choice`; (): the policy acts
    newest: float = 1.0  # share of the stored steps that is used, the newest
    per_step: int = 0  # branch: source steps for each target step
    length: int = 0  # branch: control steps of each rollout

    @property
    def place(self) -> int:
        """Index of its domain in the request's pair."""
        return Pair._fields.index(self.domain)


@dataclass
class Opening:
    """What a stream is given when it is opened, at the start of a stage."""

    domains: Pair[Domain]  # the request's
    seeds: list[int]
    threads: int  # of a simulation; 0 = all cores
    payer: Callable[[str], Callable[[int], None]]  # account -> a function that is asked for steps before they are taken
    keys: Key = None  # [seeds]
    whose: str = ""  # name of the random streams; "" = the stream's own name
    stored: Replay | None = None  # the steps of the source agent's training
    opened: dict[str, Taker] = field(default_factory=dict)  # streams of this stage opened before it, by name
    takers: Mapping[str, Taker] | None = None  # streams of the teacher's stage, if this one follows it
    buffers: Mapping[str, Replay] = field(default_factory=dict)  # the buffers of `takers`
    limits: Limits = NO_LIMITS  # of divergence and waiting; past them the run ends
    twin: Domain | None = None  # what is put into the target's states; None: the source


@dataclass
class Round:
    """What a stream is given in a round."""

    steps: int  # scheduled control steps per robot
    random: bool  # the policy is untrained: actions are uniform
    done: float  # progress in [0, 1]: the share of the stage's rounds before this one
    keys: Key  # [seeds], of this round; each stream derives its own by words
    agents: Any  # the learner's state
    guide: Any  # the source agents' state, if they may act
    candidates: Mapping[str, Any]  # states of further agents that may act, by name
    act: Act
    noise: Callable[[Key, int, int], np.ndarray]  # (keys, steps, robots) -> [seeds, steps, robots, action], normal
    fresh: Mapping[str, Steps]  # steps that earlier streams took in this round, by name
    visited: Callable[[str, Key, tuple[int, ...]], np.ndarray]  # (buffer, keys, shape) -> [seeds, *shape, obs], drawn
    correct: Callable[[Transition, Key], Transition]  # source steps [seeds, n] as the target would have taken them


class Taker:
    """The base class of open streams, with the defaults of all attributes."""

    turn: ClassVar[int] = 0  # order within a round: later streams see what earlier ones took
    sees: ClassVar[bool] = True  # the learner's normaliser is updated with its steps
    grows: ClassVar[bool] = True  # its buffer stores what it takes; False: all its steps are there from the start

    def __init__(self, stream: Stream, domain: Domain, seeds: list[int], pay: Callable[[int], None] = unpaid) -> None:
        """`pay` is called with a number of steps per seed before they are taken, and raises if they are not granted."""
        self.stream, self.domain, self.seeds, self.pay = stream, domain, seeds, pay
        self.steps = 0  # taken so far, per seed, by all its robots
        self.returns: list[list[float]] = [[] for _ in seeds]  # raw returns of each seed's finished, unguided episodes
        self.broken = False  # the next step begins new episodes, since the state could not be restored
        self.choice = Choice(stream.acting, seeds, stream.robots) if stream.acting else None  # of who acts
        self.model: Any = None  # queried by a compensation instead of the source's simulator: see `Asked`

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Taker:
        """The stream, ready for the first round of a stage."""
        domain = opening.domains[stream.place]
        return cls(stream, domain, opening.seeds, opening.payer(stream.account))

    def buffer(self, opening: Opening) -> Replay | None:
        """The replay for its steps, with those that exist already; None if nothing reads it."""
        stream = self.stream
        if not stream.room:
            return None
        return rp.empty(self.domain.spaces, len(self.seeds), stream.room, stream.robots, stream.terms)

    def go_on(self, stream: Stream, pay: Callable[[int], None]) -> None:
        """Continue in the next stage, with the same robots, as its `stream`."""
        self.stream, self.pay = stream, pay
        if self.choice is not None:
            self.choice.acting = stream.acting

    def take(self, round: Round) -> Steps | None:
        """The steps of a round, [seeds, steps, robots, ...], or None. `pay` is called before they are taken."""
        return None

    def open_log(self, path: Path) -> StepLog | None:
        """Log each step from now on, before the learner uses it; None if steps can be taken again."""
        return None

    def said(self) -> dict[str, Any]:
        """Its columns in each row of metrics."""
        return {}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that its next steps depend on: arrays, and values that JSON stores exactly."""
        return {}, {"steps": self.steps, "returns": [list(of_seed) for of_seed in self.returns]}

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self.steps, self.returns = numbers["steps"], numbers["returns"]

    # -- finished episodes, by which stopping is decided -----------------------------------------------------------

    def latest(self, episodes: int) -> np.ndarray:
        """The newest of each seed's `returns`, [seeds, n]; n <= `episodes` is the number that every seed has."""
        n = min(episodes, *map(len, self.returns))
        return np.array([r[len(r) - n :] for r in self.returns]).reshape(len(self.returns), n)

    def recent_return(self, window: int) -> np.ndarray:
        """Mean of the last `window` of each seed's `returns`, [seeds]; NaN for a seed that has fewer."""
        return np.array([np.mean(r[-window:]) if len(r) >= window else np.nan for r in self.returns])

    def stalled(self, window: int) -> bool:
        """True if the mean of the last `window` returns, over all seeds, is no better than that of the `window` before.
        False while a seed has fewer than 2 * `window`."""
        if any(len(r) < 2 * window for r in self.returns):
            return False
        late = np.mean([r[-window:] for r in self.returns])
        return bool(late <= np.mean([r[-2 * window : -window] for r in self.returns]))
