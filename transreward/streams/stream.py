"""The contract of a stream: where steps come from, whose they are, and who pays for them.

A plan names its streams as data (`Stream`). A kind of stream is a class over `Taker`, in a file of its own and a line
in the table of this package; the loop asks each for its round's `Steps` and knows no kind.
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
from transreward.streams.guarded import NO_LIMITS, Limits
from transreward.streams.log import StepLog
from transreward.types import Array, Key, Pair, Steps, Transition

# (agents, obs [seeds, robots, obs], noise [seeds, robots, action] or None: the mode) -> [seeds, robots, action]
Act = Callable[[Any, Array, Array | None], Array]


def unpaid(steps: int) -> None:
    """Nobody counts these steps."""


@dataclass(frozen=True)
class Stream:
    """Where steps come from, whose they are, and who pays for them: data of a plan."""

    name: Literal["source", "target", "counterpart", "demonstrations"]  # of its buffer
    kind: str  # of the table of streams
    domain: Literal["source", "target"]  # which one of the request's
    account: Literal["source", "target", "free"]
    robots: int  # side by side, of each seed
    room: int = 0  # control steps that its buffer holds of each robot; 0: nobody reads them
    terms: int = 0  # reward terms stored beside each step
    rewards: Literal["own", "target"] = "own"  # target: repaid as the target's task would pay
    lead: float = 0.0  # until this share of the stage the source policy begins its episodes, ever fewer steps
    newest: float = 1.0  # share of what is stored that is taken up
    per_step: int = 0  # branch: source steps for each target step
    length: int = 0  # branch: control steps of each rollout

    @property
    def place(self) -> int:
        """Of its domain in the request's pair."""
        return Pair._fields.index(self.domain)


@dataclass
class Opening:
    """What a stream may ask when it is opened, at the start of a stage."""

    domains: Pair[Domain]  # the request's
    seeds: list[int]
    threads: int  # of a simulation; 0 = all cores
    payer: Callable[[str], Callable[[int], None]]  # of an account: asked for steps before they are taken
    keys: Key = None  # [seeds]
    whose: str = ""  # whose random streams; "" = those of the stream's own name
    stored: Replay | None = None  # the steps of the source agent's training
    opened: dict[str, Taker] = field(default_factory=dict)  # streams of this stage that were opened before it, by name
    takers: Mapping[str, Taker] | None = None  # of the stage before, where this one follows its teacher's
    buffers: Mapping[str, Replay] = field(default_factory=dict)  # what these left
    limits: Limits = NO_LIMITS  # beyond which robots break a run


@dataclass
class Round:
    """What a stream may ask in a round."""

    steps: int  # control steps of each robot that the schedule has for it
    random: bool  # the policy knows nothing yet: actions are uniform
    done: float  # share of the stage's rounds before this one
    keys: Key  # [seeds], of this round; each stream draws by words of its own
    agents: Any  # the learner's state
    guide: Any  # the source agents' state, where they may act
    act: Act
    noise: Callable[[Key, int, int], np.ndarray]  # (keys, steps, robots) -> [seeds, steps, robots, action], normal
    fresh: Mapping[str, Steps]  # what the streams before it took in this round, by name
    visited: Callable[[str, Key, tuple[int, ...]], np.ndarray]  # (name of a buffer, keys, shape): drawn observations
    correct: Callable[[Transition, Key], Transition]  # source steps [seeds, n] as the target would have taken them


class Taker:
    """What every stream has that is open. The attributes are declared with their defaults."""

    turn: ClassVar[int] = 0  # in a round; later ones look at what earlier ones took
    sees: ClassVar[bool] = True  # the learner's normaliser is shown its steps, as those that the policy walks
    grows: ClassVar[bool] = True  # its buffer takes up what it takes; else all its steps are there from the start

    def __init__(self, stream: Stream, domain: Domain, seeds: list[int], pay: Callable[[int], None] = unpaid) -> None:
        """`pay` is asked for steps per seed before they are taken, and raises where they are not granted."""
        self.stream, self.domain, self.seeds, self.pay = stream, domain, seeds, pay
        self.steps = 0  # taken so far by each seed's robots together
        self.returns: list[list[float]] = [[] for _ in seeds]  # raw, of each seed's finished episodes without a guide
        self.broken = False  # the next step begins new episodes, for the state could not be put back
        self.model: Any = None  # that a compensation asks in place of the source's simulator: see `Asked`

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Taker:
        """Ready for the first round of a stage."""
        domain = opening.domains[stream.place]
        return cls(stream, domain, opening.seeds, opening.payer(stream.account))

    def buffer(self, opening: Opening) -> Replay | None:
        """Room for what it gives, and in it what is there already; None where nobody reads it."""
        stream = self.stream
        if not stream.room:
            return None
        return rp.empty(self.domain.spaces, len(self.seeds), stream.room, stream.robots, stream.terms)

    def take(self, round: Round) -> Steps | None:
        """The steps of a round, [seeds, steps, robots]; None where it has none."""
        return None

    def open_log(self, path: Path) -> StepLog | None:
        """Log its steps from now on, each before it is learned from; None where they can be taken again."""
        return None

    def said(self) -> dict[str, Any]:
        """Of it in each row of metrics, by column."""
        return {}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that its next steps depend on, as arrays and as what JSON keeps to the bit."""
        return {}, {"steps": self.steps, "returns": [list(of_seed) for of_seed in self.returns]}

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.steps, self.returns = numbers["steps"], numbers["returns"]

    # -- its finished episodes, by which a stage is judged ---------------------------------------------------------

    def latest(self, episodes: int) -> np.ndarray:
        """The newest `episodes` of each seed's `returns`, [seeds, n]; fewer where a seed has fewer, for all alike."""
        n = min(episodes, *map(len, self.returns))
        return np.array([r[len(r) - n :] for r in self.returns]).reshape(len(self.returns), n)

    def recent_return(self, window: int) -> np.ndarray:
        """Mean raw return of the last `window` of each seed's `returns`, [seeds]; NaN where there are fewer."""
        return np.array([np.mean(r[-window:]) if len(r) >= window else np.nan for r in self.returns])

    def stalled(self, window: int) -> bool:
        """Whether the last `window` of `returns` were, over all seeds, no better than the `window` before them."""
        if any(len(r) < 2 * window for r in self.returns):
            return False
        late = np.mean([r[-window:] for r in self.returns])
        return bool(late <= np.mean([r[-2 * window : -window] for r in self.returns]))
