"""A compensation turned into a potential over state and action that is learned beside it (DPBA).

Harutyunyan, Devlin, Vrancx and Nowe: Expressing arbitrary reward functions as potential-based advice, AAAI 2015. What
the compensation inside adds to a reward, R, is learned as a value of -R,

    Phi(s, a) <- -R + gamma Phi(s', a'),

and paid as F = gamma Phi(s', a') - Phi(s, a), which is R in expectation once Phi is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp

from transreward.compensations.wrappers import Wrapped, Wrapper
from transreward.types import Adjusted, Array, Key, Metrics, Pair, Spaces, Transition

Phi = Callable[[Array, Array], Array]  # (obs [n, obs], action [n, action]) -> [n], in units of the raw reward


@final
@dataclass(frozen=True)
class Learned(Wrapper):
    """gamma Phi(s', a') - Phi(s, a) in place of the inside's delta, with a' what the learner would do in s' now, and
    Phi = 0 where the task ended and before anything is learned."""

    potential: Any  # with `init`, `phi`, `slow` and `update` of a value over state and action

    def init(self, key: Key, spaces: Spaces) -> Wrapped:
        """The inside's state, and a potential of nothing."""
        inner_key, key = jax.random.split(key)
        return Wrapped(self.inner.init(inner_key, spaces), self.potential.init(key, spaces))

    def update(self, state: Wrapped, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Wrapped, Metrics]:
        """One step of the inside, and one of temporal differences on what it then adds."""
        inner, metrics = self.inner.update(state.inner, batches, key, **extra)
        t = getattr(batches, self.side)
        goal = _after(partial(self.potential.slow, state.own), t, extra) - self._added(inner, batches, extra)
        own, loss = self.potential.update(state.own, t.obs, t.action, goal)
        return Wrapped(inner, own), {**metrics, "potential_loss": loss}

    def adjust(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Raw rewards + F on the inside's side."""
        t = getattr(batches, self.side)
        adjusted = self.inner.adjust(state.inner, batches, **extra)
        paid = t.reward + self._paid(state.own, t, extra)
        return adjusted._replace(**{self.side: getattr(adjusted, self.side)._replace(reward=paid)})

    def evaluate(self, state: Wrapped, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The inside's judgement, and `potential_error`: the root of the mean square of F - R in units of that of R, on
        steps kept from training; 1 = nothing is learned, 0 = F is R."""
        added = self._added(state.inner, batches, extra)
        apart = jnp.mean((self._paid(state.own, getattr(batches, self.side), extra) - added) ** 2)
        error = jnp.sqrt(apart / (jnp.mean(added**2) + 1e-8))
        return {**self.inner.evaluate(state.inner, batches, **extra), "potential_error": error}

    def _paid(self, own: Any, t: Transition, extra: dict[str, Any]) -> Array:
        """F, [batch]; both ends of the steps are asked at once, which is cheaper."""
        obs = jnp.concatenate([t.next_obs, t.obs])
        action = jnp.concatenate([extra["act"](t.next_obs), t.action])
        after, before = jnp.split(self.potential.phi(own, obs, action), 2)
        return _alive(after, t, extra) - before

    def _added(self, inner: Any, batches: Pair[Transition], extra: dict[str, Any]) -> Array:
        """R, [batch]: what the inside adds to the rewards of its side."""
        adjusted = self.inner.adjust(inner, batches, **extra)
        return getattr(adjusted, self.side).reward - getattr(batches, self.side).reward


def _after(phi: Phi, t: Transition, extra: dict[str, Any]) -> Array:
    """gamma Phi(s', a'), [batch]."""
    return _alive(phi(t.next_obs, extra["act"](t.next_obs)), t, extra)


def _alive(after: Array, t: Transition, extra: dict[str, Any]) -> Array:
    """gamma times what follows, [batch]; only an end of the task makes it 0, not one of the clock."""
    return extra["discount"] * jnp.where(t.terminated.astype(bool), 0.0, after)
