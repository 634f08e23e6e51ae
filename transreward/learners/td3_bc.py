"""TD3+BC (Fujimoto and Gu 2021, arXiv:2106.06860): TD3 whose actor is held to the actions that were taken.

The actor's loss is -Q(s, pi(s)) / mean |Q| * alpha + |pi(s) - a|^2, equation (5), on normalised observations. What
differs from the paper: a step's weight is its critics' alone, and a step of weight 0 counts nowhere, as with `iql`;
rewards are divided by their mean size, which changes neither term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from transreward.learners.batch import Batch
from transreward.learners.offline import Offline, OfflineState, counted, q_values, weighted
from transreward.networks import blended, mlp
from transreward.types import Array, Key, Metrics, RequestError, Shaping


@dataclass(frozen=True)
class TD3BC(Offline):
    """TD3+BC: offline, a deterministic actor between its critic's wish and what was done."""

    alpha: float = 2.5  # weight of the critic's wish
    polyak: float = 0.005  # share of the fresh networks in each step of the slow ones
    policy_delay: int = 2  # updates of the critics per update of the actor; a divisor of burst
    smoothing: float = 0.2  # spread of the noise on the actions that the critics' targets ask about
    smoothing_clip: float = 0.5  # most of that noise
    exploration: float = 0.1  # spread of an action where the policy explores

    name = "td3_bc"
    takes_advice = True
    asks = ("critics",)
    follow = ("actor", "critics")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.alpha >= 0 or not self.smoothing >= 0 or not self.smoothing_clip >= 0 or not self.exploration >= 0:
            raise RequestError("offline.alpha, smoothing, smoothing_clip and exploration must not be negative")
        if self.policy_delay < 1 or self.burst % self.policy_delay:  # else an actor moves more rarely, or never
            raise RequestError(f"offline.policy_delay must divide offline.burst, {self.burst}, not {self.policy_delay}")
        if not 0 < self.polyak <= 1:
            raise RequestError(f"offline.polyak must be in (0, 1], not {self.polyak}")

    def policy(self, actor: Any, obs: Array) -> tuple[Array, Array]:
        """See `Offline`; the spread is a setting."""
        mean = jnp.tanh(mlp(actor["layers"], obs))
        return mean, jnp.full(mean.shape[-1], jnp.log(max(self.exploration, 1e-8)))

    def value(self, state: OfflineState, obs: Array) -> Array:
        """See `Learner`: the lower critic's, of the mode."""
        return self.q(state, obs, self.act(state, obs, None))

    def q(self, state: OfflineState, obs: Array, action: Array) -> Array:
        """See `Learner`: min over the critics."""
        return self.least(state, obs, action)

    def critic_loss(self, critics: Any, state: OfflineState, batch: Batch, noise: Array) -> Array:
        """The weighted square of Q(s, a) - target, summed over both; `noise` [batch, action] is standard normal."""
        spread = jnp.clip(self.smoothing * noise, -self.smoothing_clip, self.smoothing_clip)
        action = jnp.clip(self.policy(state.slow["actor"], batch.next_obs)[0] + spread, -1.0, 1.0)
        follows = q_values(state.slow["critics"], batch.next_obs, action).min(axis=0)
        target = batch.target_reward / state.unit + batch.discount * follows
        q = q_values(critics, batch.obs, batch.action)
        return weighted(batch, jnp.sum((q - target) ** 2, axis=0))

    def actor_loss(self, actor: Any, state: OfflineState, batch: Batch, shaping: Shaping) -> Array:
        """Equation (5), of the first critic."""
        mode = self.policy(actor, batch.obs)[0]
        q = q_values(state.params["critics"], batch.obs, mode)[0]
        size = jax.lax.stop_gradient(jnp.maximum(counted(batch, jnp.abs(q)), 1e-8))
        loss = counted(batch, -self.alpha * q / size + jnp.mean((mode - batch.action) ** 2, axis=-1))
        if shaping.draw is not None:
            loss += counted(batch, shaping.draw(batch.step.obs, self.executed(state, mode)))
        return loss

    def update(
        self, state: OfflineState, batch: Batch, key: Key, shaping: Shaping, turn: Array
    ) -> tuple[OfflineState, Metrics]:
        """One step of the critics, and each `policy_delay`-th time one of the actor and the slow networks."""
        noise = jax.random.normal(key, batch.action.shape)
        loss, grad = jax.value_and_grad(self.critic_loss)(state.params["critics"], state, batch, noise)
        state = self.stepped(state, {"critics": grad})

        def moved(state: OfflineState) -> tuple[OfflineState, Array]:
            actor_loss, grad = jax.value_and_grad(self.actor_loss)(state.params["actor"], state, batch, shaping)
            state = self.stepped(state, {"actor": grad})
            slow = blended(state.slow, {name: state.params[name] for name in self.follow}, self.polyak)
            return state._replace(slow=slow), actor_loss * self.policy_delay  # of which the rest are 0

        moves = (turn + 1) % self.policy_delay == 0
        state, actor_loss = jax.lax.cond(moves, moved, lambda state: (state, jnp.zeros(())), state)
        return state, {"critic_loss": loss, "actor_loss": actor_loss}
