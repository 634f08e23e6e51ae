"""Clip, centre, scale, ramp, fade, strength (lambda) and keep: what a gate does to delta, what a use adds to rewards.

A transform is a frozen dataclass of settings; its own state is a separate pytree. Those that multiply, and no others,
also act on what a use tells the learner of actions (`Shaping`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import jax.numpy as jnp

from transreward.types import Array, RequestError

MEMORY = 0.99  # share of the old value in the running moments, per update
Extra = dict[str, Any]  # what a compensation is told beside a batch; see `wanted` in gaps/gap.py


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


class Transform:
    """The contract of a transform, with defaults that change nothing."""

    multiplies: bool = False  # whether it is `size` times delta, whatever delta is

    @property
    def off(self) -> bool:
        """Whether it leaves nothing of delta, so that the rewards are to be the raw ones themselves."""
        return False

    def start(self) -> Any:
        """Own state at the beginning."""
        return ()

    def follow(self, own: Any, delta: Array, reward: Array) -> Any:
        """Own state after a batch; `reward` is the source's, which is always there."""
        return own

    def change(self, own: Any, delta: Array, extra: Extra) -> Array:
        """The new delta, [batch]."""
        return delta

    def size(self, extra: Extra) -> Array | float:
        """What delta is multiplied by, at least 0, where it `multiplies`."""
        raise NotImplementedError

    def raw(self, reward: Array) -> Array:
        """What is left of the raw reward, [batch]."""
        return reward


@final
@dataclass(frozen=True)
class Clip(Transform):
    """delta within +-limit; first in the chain, so in the gap's own units (nats for a classifier)."""

    limit: float = 10.0

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise RequestError(f"gate.clip must be above 0, not {self.limit}")

    def change(self, own: Any, delta: Array, extra: Extra) -> Array:
        """The clipped delta, [batch]."""
        return jnp.clip(delta, -self.limit, self.limit)


@final
@dataclass(frozen=True)
class Centre(Transform):
    """delta minus its running mean, so that it pays neither for living longer nor for dying sooner."""

    def start(self) -> Moments:
        """No delta seen."""
        return Moments.start()

    def follow(self, own: Moments, delta: Array, reward: Array) -> Moments:
        """The moments with this batch's delta."""
        return own.see(delta)

    def change(self, own: Moments, delta: Array, extra: Extra) -> Array:
        """delta - its running mean, [batch]."""
        return delta - own.mean


@final
@dataclass(frozen=True)
class Scale(Transform):
    """delta in units of the reward's own spread: divided by its running std, or by `floor` where that is larger,
    and multiplied by the running std of the source's reward. The floor keeps the noise of a gap that sees no shift
    small."""

    floor: float = 1.0

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise RequestError(f"gate.scale_floor must be above 0, not {self.floor}")

    def start(self) -> dict[str, Moments]:
        """No delta and no reward seen."""
        return {"delta": Moments.start(), "reward": Moments.start()}

    def follow(self, own: dict[str, Moments], delta: Array, reward: Array) -> dict[str, Moments]:
        """The moments with this batch's delta and the source's rewards."""
        return {"delta": own["delta"].see(delta), "reward": own["reward"].see(reward)}

    def change(self, own: dict[str, Moments], delta: Array, extra: Extra) -> Array:
        """delta with the spread of the source's reward, [batch]."""
        return delta * own["reward"].std / jnp.maximum(own["delta"].std, self.floor)


class Multiply(Transform):
    """Abstract: delta times a `size`."""

    multiplies = True

    def change(self, own: Any, delta: Array, extra: Extra) -> Array:
        """size * delta, [batch]."""
        return self.size(extra) * delta


@final
@dataclass(frozen=True)
class Ramp(Multiply):
    """delta grows linearly from zero to its full size over the share `over` of the transfer, so that the critics'
    targets do not jump; 0 = it counts fully at once."""

    over: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.over <= 1:
            before = ": earlier versions counted a gap's updates here, so write gate.ramp=0.1 in place of 1000"
            raise RequestError(
                f"gate.ramp is a share of the transfer, so it must be in [0, 1], not {self.over:g}"
                f"{before if self.over > 1 else ''}"
            )

    def size(self, extra: Extra) -> Array | float:
        """In [0, 1], rising."""
        return jnp.minimum(extra["done"] / self.over, 1.0) if self.over else 1.0


@final
@dataclass(frozen=True)
class Fade(Multiply):
    """delta is annealed: it falls linearly from its full size to nothing over the share `over` of the transfer; 0 = it
    stays."""

    over: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.over <= 1:
            raise RequestError(f"use.fade must be in [0, 1], not {self.over}")

    def size(self, extra: Extra) -> Array | float:
        """In [0, 1], falling."""
        return jnp.maximum(1.0 - extra["done"] / self.over, 0.0) if self.over else 1.0


@final
@dataclass(frozen=True)
class Strength(Multiply):
    """The lambda of r + lambda * delta. 0 gives the base learner bit for bit."""

    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise RequestError(f"use.strength must not be negative, not {self.strength}")

    @property
    def off(self) -> bool:
        """With lambda = 0: raw + 0 * delta would compile to other roundings elsewhere."""
        return not self.strength

    def size(self, extra: Extra) -> Array | float:
        """lambda."""
        return self.strength


@final
@dataclass(frozen=True)
class Keep(Transform):
    """keep * raw + delta. With keep = 0 nothing sees the raw reward, also where it is not a number."""

    keep: float = 0.0

    def raw(self, reward: Array) -> Array:
        """keep * reward, [batch]."""
        return self.keep * reward if self.keep else jnp.zeros_like(reward)
