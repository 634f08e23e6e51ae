"""What is done with a gap: a use turns scores into rewards and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import jax.numpy as jnp

from transreward.types import (
    Adjusted,
    Array,
    Key,
    Metrics,
    Pair,
    Spaces,
    State,
    Transition,
)


class Gap(Protocol):
    """An estimator of how unlike the target a source step is. Settings are frozen; the state is a separate pytree."""

    name: ClassVar[str]

    @property
    def batch(self) -> int:
        """Steps of each domain per update."""
        ...

    def init(self, key: Key, spaces: Spaces) -> Any:
        """State for one seed."""
        ...

    def update(self, state: Any, batches: Pair[Transition], key: Key) -> tuple[Any, Metrics]:
        """One training step on a batch of each domain."""
        ...

    def score(self, state: Any, batch: Transition) -> Array:
        """[batch]; larger = more like the target's dynamics."""
        ...

    def evaluate(self, state: Any, batches: Pair[Transition]) -> Metrics:
        """Quality on steps kept from training."""
        ...


class Compensation(Protocol):
    """A use over a gap, or a wrapper over a compensation."""

    def init(self, key: Key, spaces: Spaces) -> Any:
        """State for one seed."""
        ...

    def update(self, state: Any, batches: Pair[Transition], key: Key) -> tuple[Any, Metrics]:
        """Learn from a batch of each domain."""
        ...

    def adjust(self, state: Any, batches: Pair[Transition]) -> Pair[Adjusted]:
        """What the learner sees in place of the raw rewards of these steps."""
        ...

    def evaluate(self, state: Any, batches: Pair[Transition]) -> Metrics:
        """Quality of the gap on steps kept from training."""
        ...


def untouched(t: Transition) -> Adjusted:
    """Raw reward, full weight."""
    return Adjusted(t.reward, jnp.ones_like(t.reward))


@dataclass(frozen=True)
class Unchanged:
    """No compensation: the plain learner."""

    def init(self, key: Key, spaces: Spaces) -> State:
        """Nothing to keep."""
        return ()

    def update(self, state: State, batches: Pair[Transition], key: Key) -> tuple[State, Metrics]:
        """Nothing to learn."""
        return state, {}

    def adjust(self, state: State, batches: Pair[Transition]) -> Pair[Adjusted]:
        """Raw rewards."""
        return batches.map(untouched)

    def evaluate(self, state: State, batches: Pair[Transition]) -> Metrics:
        """Nothing to judge."""
        return {}


@dataclass(frozen=True)
class Penalty:
    """Source reward r + score; target rewards stay raw.

    A negative score is a penalty on what the target cannot do, a positive one a bonus. Its strength (lambda) is the
    wrapper `Times`, so that it can come after the scaling.
    """

    gap: Gap

    def init(self, key: Key, spaces: Spaces) -> State:
        """The gap's state."""
        return self.gap.init(key, spaces)

    def update(self, state: State, batches: Pair[Transition], key: Key) -> tuple[State, Metrics]:
        """Train the gap."""
        return self.gap.update(state, batches, key)

    def adjust(self, state: State, batches: Pair[Transition]) -> Pair[Adjusted]:
        """Add the score to the source's rewards."""
        plain = batches.map(untouched)
        reward = batches.source.reward + self.gap.score(state, batches.source)
        return plain._replace(source=plain.source._replace(reward=reward))

    def evaluate(self, state: State, batches: Pair[Transition]) -> Metrics:
        """The gap's own judgement."""
        return self.gap.evaluate(state, batches)
