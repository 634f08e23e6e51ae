"""What the offline learners share: they learn from steps that are there, for a number of updates of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import optax

from transreward.learners.batch import Batch, draw
from transreward.learners.learner import Adjust, Learner, Sample, joined
from transreward.networks import Layers, Normaliser, mlp, mlp_init, normal_log_prob
from transreward.types import Array, Key, Metrics, RequestError, Shaping, Spaces

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
MEASURED = 4096  # steps whose rewards say in which unit values are learned


class OfflineState(NamedTuple):
    """All that an agent is, for one seed. Learners without critics or a value have () there."""

    params: dict[str, Any]  # "actor": layers and "log_std" [action]; "critics", stacked; "value"
    slow: dict[str, Any]  # those that follow, by the same names
    optimisers: dict[str, Any]
    normaliser: Normaliser
    unit: Array  # [], of reward in which critics and value compute; 0 = not known yet
    centre: Array  # [action]
    half_width: Array  # [action]


@dataclass(frozen=True)
class Offline(Learner):
    """The settings that all have. The policy is a normal around tanh of a network, with one spread for all states."""

    hidden: tuple[int, ...] = (256, 256)  # widths of the hidden layers
    learning_rate: float = 3e-4  # of the optimiser
    discount: float = 0.99  # of a reward one step later
    batch: int = 256  # steps in an update
    updates: int = 50_000  # gradient updates in all, rounded up to whole bursts
    burst: int = 100  # gradient updates in one dispatch

    offline = True
    robots = 1
    networks = ("hidden",)
    rewarded: ClassVar[bool] = True  # learns from rewards
    asks: ClassVar[tuple[str, ...]] = ()  # networks beside the actor: critics, value
    follow: ClassVar[tuple[str, ...]] = ()  # networks that have a slow copy
    ends_still: ClassVar[bool] = False  # its actor does not move any more after `updates`

    def __post_init__(self) -> None:
        for field in ("batch", "updates", "burst"):
            if getattr(self, field) < 1:
                raise RequestError(f"offline.{field} must be at least 1, not {getattr(self, field)}")
        if not self.learning_rate > 0:
            raise RequestError(f"offline.learning_rate must be above 0, not {self.learning_rate}")
        if not self.hidden or min(self.hidden) < 1:
            raise RequestError(f"offline.hidden must name the layers' widths, at least one, not {self.hidden}")
        if not 0 <= self.discount < 1:
            raise RequestError(f"offline.discount must be in [0, 1), not {self.discount}")

    # -- the contract of a learner -------------------------------------------------------------------------------

    @property
    def from_scratch(self) -> Self:
        """The same."""
        return self

    @property
    def updates_per_round(self) -> int:
        """Gradient updates in one round of the loop."""
        return min(self.burst, self.updates)

    def round_steps(self, in_target: bool) -> int:
        """Steps do not set the number of updates."""
        return 1

    def init(self, key: Key, spaces: Spaces) -> OfflineState:
        """Fresh networks for one seed."""
        actor_key, critic_key, value_key = jax.random.split(key, 3)
        layers = mlp_init(actor_key, (spaces.obs, *self.hidden, spaces.action), last_scale=0.01)
        sizes = (spaces.obs + spaces.action, *self.hidden, 1)
        made = {
            "actor": {"layers": layers, "log_std": jnp.zeros(spaces.action)},
            "critics": jax.vmap(lambda k: mlp_init(k, sizes))(jax.random.split(critic_key, 2)),
            "value": mlp_init(value_key, (spaces.obs, *self.hidden, 1)),
        }
        params = {name: part for name, part in made.items() if name == "actor" or name in self.asks}
        return OfflineState(
            params=params,
            slow={name: jax.tree.map(jnp.copy, params[name]) for name in self.follow},
            optimisers={name: self._optimiser(name).init(part) for name, part in params.items()},
            normaliser=Normaliser.start(spaces.obs),
            unit=jnp.zeros(()),
            centre=jnp.asarray(spaces.centre),
            half_width=jnp.asarray(spaces.half_width),
        )

    def see(self, state: OfflineState, obs: Array) -> OfflineState:
        """Take observations [..., obs] into the normaliser."""
        return state._replace(normaliser=state.normaliser.see(obs))

    def act(self, state: OfflineState, obs: Array, noise: Array | None) -> Array:
        """[..., obs] -> [..., action] in the domain's units: the mode, or a draw within the box."""
        mean, log_std = self.policy(state.params["actor"], state.normaliser(obs))
        unit = mean if noise is None else jnp.clip(mean + noise * jnp.exp(log_std), -1.0, 1.0)
        return self.executed(state, unit)

    def improve(
        self,
        state: OfflineState,
        sample: Sample,
        adjust: Adjust,
        shaping: Shaping,
        key: Key,
        *,
        updates: int,
        done: Array | float = 0.0,
    ) -> tuple[OfflineState, Metrics]:
        """`updates` gradient steps, each on a batch of its own. Of `shaping` what draws the actor counts, where the
        learner says so."""
        if any(part is not None for part in shaping._replace(draw=None)):
            raise RequestError(f"'{self.name}' learns offline, and follows no advice but what draws its actor")
        state = state._replace(unit=jnp.where(state.unit > 0, state.unit, _unit(sample, key)))

        def step(state: OfflineState, now: tuple[Array, Key]) -> tuple[OfflineState, Metrics]:
            turn, key = now
            sample_key, update_key = jax.random.split(key)
            batch = draw(state, sample, adjust, sample_key, self.batch, 1, self.discount)
            return self.update(state, batch, update_key, shaping, turn)

        state, metrics = jax.lax.scan(step, state, (jnp.arange(updates), jax.random.split(key, updates)))
        return state, jax.tree.map(jnp.mean, metrics)

    # -- for subclasses ------------------------------------------------------------------------------------------

    def update(
        self, state: OfflineState, batch: Batch, key: Key, shaping: Shaping, turn: Array
    ) -> tuple[OfflineState, Metrics]:
        """One gradient step, the `turn`-th of its burst."""
        raise NotImplementedError

    def policy(self, actor: Any, obs: Array) -> tuple[Array, Array]:
        """Mean [..., action] in (-1, 1) and the logarithm of the spread [action], at normalised observations."""
        return jnp.tanh(mlp(actor["layers"], obs)), jnp.clip(actor["log_std"], LOG_STD_LOW, LOG_STD_HIGH)

    def log_prob(self, actor: Any, batch: Batch) -> Array:
        """Of the batch's actions, [batch]."""
        return normal_log_prob(batch.action, *self.policy(actor, batch.obs))

    def stepped(self, state: OfflineState, grads: dict[str, Any]) -> OfflineState:
        """The state after a step of these networks."""
        params, optimisers = dict(state.params), dict(state.optimisers)
        for name, gradient in grads.items():
            step, optimisers[name] = self._optimiser(name).update(gradient, optimisers[name])
            params[name] = optax.apply_updates(params[name], step)
        return state._replace(params=params, optimisers=optimisers)

    def executed(self, state: OfflineState, action: Array) -> Array:
        """Actions in [-1, 1] in the domain's units."""
        return state.centre + state.half_width * action

    def least(self, state: OfflineState, obs: Array, action: Array) -> Array:
        """See `Learner.q`, of one with critics: min over them."""
        unit = (action - state.centre) / state.half_width
        found = q_values(state.params["critics"], state.normaliser(obs), unit).min(axis=0)
        return found * jnp.maximum(state.unit, 1e-8)

    def _optimiser(self, name: str) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def q_values(critics: Layers, obs: Array, action: Array) -> Array:
    """Of all critics, [critics, ...]."""
    return jax.vmap(mlp, in_axes=(0, None))(critics, jnp.concatenate([obs, action], axis=-1))[..., 0]


def counted(batch: Batch, losses: Array) -> Array:
    """Mean of losses [batch] over the steps that count at all, []."""
    counts = (batch.weight > 0).astype(losses.dtype)
    return jnp.sum(losses * counts) / jnp.maximum(jnp.sum(counts), 1.0)


def weighted(batch: Batch, losses: Array) -> Array:
    """The same, each by its weight."""
    return jnp.sum(losses * batch.weight) / jnp.maximum(jnp.sum(batch.weight > 0), 1.0)


def _unit(sample: Sample, key: Key) -> Array:
    """Mean size of a reward among the first steps drawn, []: values are learned on a scale on which it is 1, as D4RL's
    users bring returns of every robot to about 1,000."""
    drawn = sample(key, MEASURED, 1)
    found = jnp.mean(jnp.abs(joined(drawn, drawn.steps).reward))
    return jnp.where(found > 0, found, 1.0)
