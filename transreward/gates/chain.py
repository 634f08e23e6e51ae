"""A gate: a flat tuple of transforms with a flat tuple of states, gone through once (in the manner of optax.chain)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from transreward.gates.transforms import Centre, Clip, Extra, Ramp, Scale, Transform
from transreward.types import Array, RequestError, Shaping

States = tuple[Any, ...]  # one of each transform


@dataclass(frozen=True)
class Chain:
    """Transforms of delta, first to last."""

    transforms: tuple[Transform, ...] = ()

    @property
    def off(self) -> bool:
        """Whether nothing is left of delta."""
        return any(t.off for t in self.transforms)

    def start(self) -> States:
        """The states at the beginning."""
        return tuple(t.start() for t in self.transforms)

    def follow(self, states: States, delta: Array, reward: Array, extra: Extra) -> States:
        """The states after a batch: each transform sees the delta [batch] that those before it leave. `reward` is the
        source's, [batch]."""
        after = []
        for transform, own in zip(self.transforms, states, strict=True):
            after.append(transform.follow(own, delta, reward))
            delta = transform.change(after[-1], delta, extra)
        return tuple(after)

    def change(self, states: States, delta: Array, extra: Extra) -> Array:
        """The new delta, [batch]."""
        for transform, own in zip(self.transforms, states, strict=True):
            delta = transform.change(own, delta, extra)
        return delta

    def raw(self, reward: Array) -> Array:
        """What is left of the raw reward, [batch]."""
        for transform in self.transforms:
            reward = transform.raw(reward)
        return reward

    def require_shaping(self, use: str) -> None:
        """Raise RequestError for a transform that would be lost on what a use tells the learner of actions."""
        for transform in self.transforms:
            if not transform.multiplies:
                raise RequestError(
                    f"'{type(transform).__name__}' changes what is added to rewards, and '{use}' adds nothing to them: "
                    f"only a ramp, a fade and a strength act on it"
                )

    def shape(self, shaping: Shaping, extra: Extra) -> Shaping:
        """What is left of advice, of what draws the actor, of a peer's share, of what presses the critics and of what
        guides weigh; a floor counts as long as anything is left of it."""
        if self.off:
            return Shaping()
        size: Any = 1.0
        for transform in self.transforms:
            size = size * transform.size(extra)
        advise, floor, draw, peer, press, guides = shaping
        return Shaping(
            advise and (lambda obs, action: size * advise(obs, action)),
            floor and (lambda obs, action: jnp.where(size > 0, floor(obs, action), -jnp.inf)),
            draw and (lambda obs, action: size * draw(obs, action)),
            peer and peer._replace(share=size * peer.share),
            press and (lambda steps, q, of_target: size * press(steps, q, of_target)),
            guides and guides._replace(weigh=lambda own, theirs: size * guides.weigh(own, theirs)),
        )


@dataclass(frozen=True)
class Gate:
    """When a penalty, or an imitation's reward, is trusted: the settings of its transforms, in their order."""

    clip: float = 10.0  # the gap's score is held within +-clip, in its own units (nats)
    centre: bool = True  # take off the mean, so that it pays neither for living nor for dying
    scale: bool = True  # bring its spread to the reward's own
    scale_floor: float = 1.0  # a score that spreads less than this is taken as noise and not blown up
    ramp: float = 0.1  # share of the transfer after which the compensation counts fully; 0 = at once

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Clip, centre, scale and ramp, as far as they are asked for. Raises RequestError for settings out of range."""
        chosen = (
            Clip(self.clip),
            Centre() if self.centre else None,
            Scale(self.scale_floor) if self.scale else None,
            Ramp(self.ramp),
        )
        return tuple(t for t in chosen if t is not None)


NATS = Gate(scale=False)  # an imitation may be all that pays; a source reward without spread would scale it to nothing
