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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward.feed import LOOKED_AT
from transreward.gaps.gap import Gap
from transreward.gaps.reward import By
from transreward.gates.chain import NATS, Chain, Gate
from transreward.gates.transforms import Fade, Strength, Transform
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition
from transreward.uses.action_value import ActionValue
from transreward.uses.blend import Blend
from transreward.uses.compensation import Compensation, CompensationState, added
from transreward.uses.imitation import Imitation
from transreward.uses.use import Change, Use, paid, require_fade

Phi = Callable[[Array, Array], Array]  # (obs [n, obs], action [n, action]) -> [n], in units of the raw reward


class DpbaState(NamedTuple):
    """What is turned into a potential, and the potential."""

    inner: CompensationState
    potential: Any


@dataclass(frozen=True)
class Dpba(Use):
    """Turns what a blend (or an imitation) adds to the target's rewards into a learned potential, annealed:
    gamma Phi(s', a') - Phi(s, a) in its place, with a' what the learner would do in s' now, and Phi = 0 where the task
    ended and before anything is learned."""

    strength: float = 0.5  # lambda, in [0, 1]: of the compensation that is turned
    by: By = "fixed"  # of a blend, what its k in [0, 1] is set by; fixed = 1
    fade: float = 0.5  # share of the transfer over which it falls to nothing; 0 = it stays
    hidden: tuple[int, ...] = (64, 64)  # of the potential
    learning_rate: float = 3e-3  # of the potential, which has to learn faster than the critics

    name = "dpba"
    side = "target"
    wants = ("source_reward", "log_ratio")
    needs = ("act", "discount")
    cotrains = True
    feed = LOOKED_AT

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"use.strength of dpba must be in [0, 1], not {self.strength}")
        require_fade(self.fade)
        _ = self.potential, Blend(by=self.by)  # their settings check themselves

    @property
    def potential(self) -> ActionValue:
        """The learned value."""
        return ActionValue(self.hidden, self.learning_rate)

    def inner(self, gap: Gap) -> Compensation:
        """What is turned: an imitation of a gap that has a log-ratio, else a blend; at lambda = 1, for that is
        `strength`'s."""
        imitates = "log_ratio" in gap.offers
        use = Imitation(keep=1.0) if imitates else Blend(1.0, self.by)
        return Compensation(gap, use, Chain(use.transforms(NATS if imitates else None)))

    def require(self, gap: Gap | None) -> None:
        """Raise RequestError for a gap that nothing can be made of, and for a setting of a blend where none is made."""
        super().require(gap)
        if gap is not None and "log_ratio" in gap.offers and self.by != "fixed":
            raise RequestError(f"use.by is of a blend, which '{gap.name}' is not made into: leave it out")
        if gap is not None and "log_ratio" not in gap.offers:
            Blend(by=self.by).require(gap)

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """Annealed, times lambda."""
        return Fade(self.fade), Strength(self.strength)

    def init(self, gap: Any, key: Key, spaces: Spaces) -> DpbaState:
        """The inside's state, and a potential of nothing."""
        inner_key, key = jax.random.split(key)
        return DpbaState(self.inner(gap).init(inner_key, spaces), self.potential.init(key, spaces))

    def update(
        self, gap: Any, state: DpbaState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[DpbaState, Metrics]:
        """One step of the inside, and one of temporal differences on what it then adds."""
        inside, t = self.inner(gap), batches.target
        inner, metrics = inside.update(state.inner, batches, key, **extra)
        goal = _after(partial(self.potential.slow, state.potential), t, extra) - added(inside, inner, batches, extra)
        potential, loss = self.potential.update(state.potential, t.obs, t.action, goal)
        return DpbaState(inner, potential), {**metrics, "potential_loss": loss}

    def evaluate(self, gap: Any, state: DpbaState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The inside's judgement, and `potential_error`: the root of the mean square of F - R in units of that of R, on
        steps kept from training; 1 = nothing is learned, 0 = F is R."""
        inside = self.inner(gap)
        due = added(inside, state.inner, batches, extra)
        apart = jnp.mean((self._paid(state.potential, batches.target, extra) - due) ** 2)
        error = jnp.sqrt(apart / (jnp.mean(due**2) + 1e-8))
        return {**inside.evaluate(state.inner, batches, **extra), "potential_error": error}

    def judge(self, gap: Any, state: DpbaState, held_out: Metrics) -> DpbaState:
        """The inside's."""
        return state._replace(inner=self.inner(gap).judge(state.inner, held_out))

    def change(self, gap: Any, state: DpbaState, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """F of the target's steps."""
        return paid(batches, "target", self._paid(state.potential, batches.target, extra))

    def _paid(self, own: Any, t: Transition, extra: dict[str, Any]) -> Array:
        """F, [batch]."""
        return learned_shaping(partial(self.potential.phi, own), t, extra)


def learned_shaping(phi: Phi, t: Transition, extra: dict[str, Any]) -> Array:
    """gamma Phi(s', a') - Phi(s, a), [batch]; both ends of the steps are asked at once, which is cheaper."""
    obs = jnp.concatenate([t.next_obs, t.obs])
    action = jnp.concatenate([extra["act"](t.next_obs), t.action])
    after, before = jnp.split(phi(obs, action), 2)
    return _alive(after, t, extra) - before


def _after(phi: Phi, t: Transition, extra: dict[str, Any]) -> Array:
    """gamma Phi(s', a'), [batch]."""
    return _alive(phi(t.next_obs, extra["act"](t.next_obs)), t, extra)


def _alive(after: Array, t: Transition, extra: dict[str, Any]) -> Array:
    """gamma times what follows, [batch]; only an end of the task makes it 0, not one of the clock."""
    return extra["discount"] * jnp.where(t.terminated.astype(bool), 0.0, after)
