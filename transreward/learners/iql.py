"""Implicit Q-learning (Kostrikov et al. 2022, arXiv:2110.06169): the best of what the steps show, and no action beyond.

V is an upper expectile of the slow critics over the actions that were taken, equation (5); the critics learn from V,
equation (6); the policy imitates each action by exp(temperature * advantage), equation (7). All three take a step at
once, from the same parameters. What differs from the paper: rewards are divided by their mean size, in place of the
range of the data's returns, which a stream of steps does not tell; and a step's weight is its critics' alone, since
that is what methods of unlike dynamics weigh (IGDF, OTDF), while a step of weight 0 counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from transreward.learners.batch import Batch
from transreward.learners.offline import Offline, OfflineState, counted, q_values, weighted
from transreward.networks import blended, mlp
from transreward.types import Array, Key, Metrics, RequestError, Shaping

MOST = 100.0  # that an action counts for


@dataclass(frozen=True)
class IQL(Offline):
    """Implicit Q-learning: offline, asks about no action that was not taken."""

    expectile: float = 0.7  # of the critics, which the value learns
    temperature: float = 3.0  # of the advantage, by which actions are imitated
    polyak: float = 0.005  # share of the fresh critics in each step of the slow ones

    name = "iql"
    takes_advice = True
    asks = ("critics", "value")
    follow = ("critics",)
    ends_still = True  # its rate is annealed to 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.expectile < 1:
            raise RequestError(f"offline.expectile must be in (0, 1), not {self.expectile}")
        if not self.temperature >= 0:
            raise RequestError(f"offline.temperature must not be negative, not {self.temperature}")
        if not 0 < self.polyak <= 1:
            raise RequestError(f"offline.polyak must be in (0, 1], not {self.polyak}")

    def value(self, state: OfflineState, obs: Array) -> Array:
        """See `Learner`."""
        return mlp(state.params["value"], state.normaliser(obs))[..., 0] * jnp.maximum(state.unit, 1e-8)

    def q(self, state: OfflineState, obs: Array, action: Array) -> Array:
        """See `Learner`: min over the critics."""
        return self.least(state, obs, action)

    def losses(
        self, params: dict[str, Any], state: OfflineState, batch: Batch, shaping: Shaping
    ) -> tuple[Array, Metrics]:
        """Of value, critics and actor, in all and by name."""
        slow = q_values(state.slow["critics"], batch.obs, batch.action).min(axis=0)
        advantage = slow - mlp(params["value"], batch.obs)[..., 0]
        steep = jnp.where(advantage > 0, self.expectile, 1.0 - self.expectile)
        value = counted(batch, steep * advantage**2)

        follows = mlp(jax.lax.stop_gradient(params["value"]), batch.next_obs)[..., 0]
        target = batch.target_reward / state.unit + batch.discount * follows
        q = q_values(params["critics"], batch.obs, batch.action)
        critics = weighted(batch, jnp.sum((q - target) ** 2, axis=0))

        share = jnp.minimum(jnp.exp(self.temperature * jax.lax.stop_gradient(advantage)), MOST)
        actor = counted(batch, -share * self.log_prob(params["actor"], batch))
        if shaping.draw is not None:
            mode = self.executed(state, self.policy(params["actor"], batch.obs)[0])
            actor += counted(batch, shaping.draw(batch.step.obs, mode))
        told = {"value_loss": value, "critic_loss": critics, "actor_loss": actor, "q": q.mean() * state.unit}
        return value + critics + actor, told

    def update(
        self, state: OfflineState, batch: Batch, key: Key, shaping: Shaping, turn: Array
    ) -> tuple[OfflineState, Metrics]:
        """One step of value, critics and actor."""
        (_, told), grads = jax.value_and_grad(self.losses, has_aux=True)(state.params, state, batch, shaping)
        state = self.stepped(state, grads)
        slow = blended(state.slow["critics"], state.params["critics"], self.polyak)
        return state._replace(slow={"critics": slow}), told

    def _optimiser(self, name: str) -> optax.GradientTransformation:
        if name == "actor":
            return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.updates))
        return super()._optimiser(name)
