"""Clip, centre, scale, ramp, fade, times (lambda) and keep: wrappers over any compensation.

Each sees what the compensation inside it changed in the rewards of its side, delta = adjusted - raw, and changes that.
Weights pass through, and so do the other side's rewards but for ramp, fade and times, which only multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import jax.numpy as jnp

from transreward.compensations.uses import Compensation, faded
from transreward.types import (
    Adjusted,
    Array,
    Key,
    Metrics,
    Pair,
    RequestError,
    Spaces,
    Transition,
)

MEMORY = 0.99  # share of the old value in the running moments, per update


class Wrapped(NamedTuple):
    """State of a wrapper and of what it wraps."""

    inner: Any
    own: Any


class Moments(NamedTuple):
    """Running mean and variance; an honest average at first, exponentially forgetting later. A mean of squares would
    lose a spread below a thousandth of the mean in float32."""

    mean: Array
    var: Array
    count: Array

    @staticmethod
    def start() -> Moments:
        return Moments(*jnp.zeros(3))

    def see(self, x: Array) -> Moments:
        rate = jnp.maximum(1.0 - MEMORY, 1.0 / (self.count + 1.0))
        delta = x.mean() - self.mean
        var = (1.0 - rate) * (self.var + rate * delta**2) + rate * x.var()
        return Moments(self.mean + rate * delta, var, self.count + 1.0)

    @property
    def std(self) -> Array:
        return jnp.sqrt(self.var)


@dataclass(frozen=True)
class Wrapper:
    """Abstract: a wrapper gives `start`, `follow` and `change`; this one changes nothing."""

    inner: Compensation
    both: ClassVar[bool] = False  # whether it changes what was done to the other side's rewards, too
    hooks: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.inner.hooks:
            raise RequestError(
                f"'{type(self).__name__}' changes what is added to rewards, and '{type(self.inner).__name__}' adds "
                f"nothing to them: set its own strength and fade"
            )

    @property
    def side(self) -> str:
        """The inside's."""
        return self.inner.side

    def init(self, key: Key, spaces: Spaces) -> Wrapped:
        """State of both for one seed."""
        return Wrapped(self.inner.init(key, spaces), self.start())

    def update(self, state: Wrapped, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Wrapped, Metrics]:
        """Update the inside, then follow what it does."""
        inner, metrics = self.inner.update(state.inner, batches, key, **extra)
        adjusted = self.inner.adjust(inner, batches, **extra)
        delta = getattr(adjusted, self.side).reward - getattr(batches, self.side).reward
        return Wrapped(inner, self.follow(state.own, delta, batches.source.reward)), metrics

    def judge(self, state: Wrapped, held_out: Metrics) -> Wrapped:
        """The inside's."""
        return state._replace(inner=self.inner.judge(state.inner, held_out))

    def adjust(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Raw reward + changed delta."""
        adjusted = self.inner.adjust(state.inner, batches, **extra)
        changed = Pair(
            *(
                a._replace(reward=t.reward + self.change(state.own, a.reward - t.reward))
                for a, t in zip(adjusted, batches, strict=True)
            )
        )
        return changed if self.both else adjusted._replace(**{self.side: getattr(changed, self.side)})

    def evaluate(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement."""
        return self.inner.evaluate(state.inner, batches, **extra)

    def start(self) -> Any:
        """Own state at the beginning."""
        return ()

    def follow(self, own: Any, delta: Array, reward: Array) -> Any:
        """Own state after a batch; `reward` is the source's, which is always there."""
        return own

    def change(self, own: Any, delta: Array) -> Array:
        """The new delta, [batch]."""
        return delta


@final
@dataclass(frozen=True)
class Clip(Wrapper):
    """delta within +-limit; first in the chain, so in the gap's own units (nats for a classifier)."""

    limit: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.limit > 0:
            raise RequestError(f"gate.clip must be above 0, not {self.limit}")

    def change(self, own: Any, delta: Array) -> Array:
        """Clipped."""
        return jnp.clip(delta, -self.limit, self.limit)


@final
@dataclass(frozen=True)
class Centre(Wrapper):
    """delta minus its running mean, so that it pays neither for living longer nor for dying sooner."""

    def start(self) -> Moments:
        """No mean yet."""
        return Moments.start()

    def follow(self, own: Moments, delta: Array, reward: Array) -> Moments:
        """Follow the mean."""
        return own.see(delta)

    def change(self, own: Moments, delta: Array) -> Array:
        """Centred."""
        return delta - own.mean


@final
@dataclass(frozen=True)
class Scale(Wrapper):
    """delta in units of the reward's own spread: divided by its running std, or by `floor` where that is larger,
    and multiplied by the running std of the source's reward. The floor keeps the noise of a gap that sees no shift
    small."""

    floor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.floor > 0:
            raise RequestError(f"gate.scale_floor must be above 0, not {self.floor}")

    def start(self) -> dict[str, Moments]:
        """No spreads yet."""
        return {"delta": Moments.start(), "reward": Moments.start()}

    def follow(self, own: dict[str, Moments], delta: Array, reward: Array) -> dict[str, Moments]:
        """Follow both spreads."""
        return {"delta": own["delta"].see(delta), "reward": own["reward"].see(reward)}

    def change(self, own: dict[str, Moments], delta: Array) -> Array:
        """Scaled."""
        return delta * own["reward"].std / jnp.maximum(own["delta"].std, self.floor)


@dataclass(frozen=True)
class OverTime(Wrapper):
    """Abstract: delta times a `size` that depends on the share of the transfer that is over."""

    both: ClassVar[bool] = True

    def adjust(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Multiplied by one size for all steps of a batch."""
        size, adjusted = self.size(extra), self.inner.adjust(state.inner, batches, **extra)
        return Pair(
            *(
                a._replace(reward=t.reward + size * (a.reward - t.reward))
                for a, t in zip(adjusted, batches, strict=True)
            )
        )

    def size(self, extra: dict[str, Any]) -> Array | float:
        """In [0, 1]."""
        return 1.0


@final
@dataclass(frozen=True)
class Ramp(OverTime):
    """delta grows linearly from nothing to its full size over the share `over` of the transfer, so that the critics'
    goals do not jump; 0 = it counts fully at once."""

    over: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.over <= 1:
            before = ": earlier versions counted a gap's updates here, so write gate.ramp=0.1 in place of 1000"
            raise RequestError(
                f"gate.ramp is a share of the transfer, so it must be in [0, 1], not {self.over:g}"
                f"{before if self.over > 1 else ''}"
            )

    def size(self, extra: dict[str, Any]) -> Array | float:
        """Ramped."""
        return jnp.minimum(extra["done"] / self.over, 1.0) if self.over else 1.0


@final
@dataclass(frozen=True)
class Fade(OverTime):
    """delta falls linearly from its full size to nothing over the share `over` of the transfer."""

    over: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.over <= 1:
            raise RequestError(f"use.fade must be in [0, 1], not {self.over}")

    def size(self, extra: dict[str, Any]) -> Array | float:
        """Faded."""
        return faded(self.over, extra["done"])


@final
@dataclass(frozen=True)
class Times(Wrapper):
    """strength * delta: the lambda of r + lambda * delta. 0 gives the base learner bit for bit."""

    strength: float = 1.0
    both: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strength >= 0:
            raise RequestError(f"use.strength must not be negative, not {self.strength}")

    def adjust(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Without strength the raw reward itself: raw + 0 * delta would compile to other roundings elsewhere."""
        adjusted = super().adjust(state, batches, **extra)
        if self.strength:
            return adjusted
        return Pair(*(a._replace(reward=t.reward) for a, t in zip(adjusted, batches, strict=True)))

    def change(self, own: Any, delta: Array) -> Array:
        """Multiplied."""
        return self.strength * delta


@final
@dataclass(frozen=True)
class Keep(Wrapper):
    """Target reward keep * raw + delta; outermost. The inside never sees the target's reward, and with keep = 0 nobody
    does: not even its rounding is left, as it would be in (raw + delta) - raw."""

    keep: float = 0.0

    def update(self, state: Wrapped, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Wrapped, Metrics]:
        """The inside's."""
        inner, metrics = self.inner.update(state.inner, _unpaid(batches), key, **extra)
        return state._replace(inner=inner), metrics

    def adjust(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """What the inside pays, on top of what is kept."""
        adjusted = self.inner.adjust(state.inner, _unpaid(batches), **extra)
        if not self.keep:
            return adjusted
        reward = self.keep * batches.target.reward + adjusted.target.reward
        return adjusted._replace(target=adjusted.target._replace(reward=reward))


def _unpaid(batches: Pair[Transition]) -> Pair[Transition]:
    """The same steps, the target's without reward."""
    return batches._replace(target=batches.target._replace(reward=jnp.zeros_like(batches.target.reward)))
