"""Reward models: what would one domain have paid for this step of the other?

An ensemble r_hat(s, a, s') is fitted to one domain's rewards by least squares, and asked about steps of either. The
score is r_hat - r: what that domain would have paid beyond what the step did earn, in units of the raw reward. An
answer is held within the rewards that were seen, since nothing is known of what lies beyond. How far it is to be
believed at a step is `likeness`: by how near the step is to those that were seen, by how much the members differ there
beside how much the rewards vary, or both.

`MeanReward` knows the two domains' mean rewards alone: the constant that a reward transfer comes down to where it looks
at no step. It is there as a baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jax.nn import silu

from transreward.gaps.features import follow, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

Of = Literal["source", "target"]
By = Literal["fixed", "similarity", "variance", "both"]


class RewardState(NamedTuple):
    """One seed's reward model."""

    members: Layers  # with a leading axis of members
    optimiser: Any
    inputs: Normaliser  # over [s, a, s' - s] of the domain that is modelled; frozen after `standardise` updates
    rewards: Normaliser  # of that domain, [1]; frozen with it
    least: Array  # [], of the rewards seen
    most: Array  # []
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Reward(Gap):
    """Settings of the reward model."""

    of: Of = "source"  # whose rewards it learns
    members: int = 3  # networks that learn the same and differ in their start and their steps
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 64  # steps per update
    weight_decay: float = 1e-4  # of AdamW
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "reward"
    offers_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "source_reward": {"of": "source"},
        "target_reward": {"of": "target"},
    }
    pace = 0.5  # a reward is no moving target: the model need not cost what a critic does

    def __post_init__(self) -> None:
        require_settings(self)
        if self.of not in get_args(Of):
            raise RequestError(f"gap.of must be source or target, not '{self.of}'")

    @property
    def offers(self) -> tuple[str, ...]:  # type: ignore[override]
        """Whose reward it says."""
        return "score", f"{self.of}_reward"

    def init(self, key: Key, spaces: Spaces) -> RewardState:
        """Fresh members for one seed."""
        sizes = (2 * spaces.obs + spaces.action, *self.hidden, 1)
        members = jax.vmap(lambda k: mlp_init(k, sizes))(jax.random.split(key, self.members))
        scales = Normaliser.start(sizes[0]), Normaliser.start(1)
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        seen = jnp.asarray(jnp.inf, jnp.float32), jnp.asarray(-jnp.inf, jnp.float32)
        return RewardState(members, self._optimiser().init(members), *scales, *seen, *bounds)

    def update(
        self, state: RewardState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[RewardState, Metrics]:
        """One step of least squares; each member sees its own rows, drawn with replacement from the batch."""
        t = getattr(batches, self.of)
        rows, reward = step_rows(t, state.low, state.high), t.reward[:, None]
        state = state._replace(
            inputs=follow(state.inputs, rows, self.standardise),
            rewards=follow(state.rewards, reward, self.standardise),
            least=jnp.minimum(state.least, reward.min()),
            most=jnp.maximum(state.most, reward.max()),
        )
        drawn = jax.random.randint(key, (self.members, len(rows)), 0, len(rows))
        x, y = state.inputs(rows)[drawn], state.rewards.scaled(reward)[drawn]

        def loss(members: Layers) -> Array:
            return jnp.mean((jax.vmap(lambda member, x: mlp(member, x, silu))(members, x) - y) ** 2)

        value, grads = jax.value_and_grad(loss)(state.members)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.members)
        state = state._replace(members=optax.apply_updates(state.members, step), optimiser=optimiser)
        return state, {"gap_loss": value}

    def predict(self, state: RewardState, t: Transition) -> Array:
        """What each member says that the domain pays, [members, batch], in units of the raw reward, within those
        seen."""
        return jnp.clip(self._answers(state, t), state.least, state.most)

    def score(self, state: RewardState, batch: Transition, **extra: Any) -> Array:
        """r_hat - r, [batch], in units of the raw reward."""
        return self.predict(state, batch).mean(axis=0) - batch.reward

    def careful(self, state: RewardState, batch: Transition, pessimism: float) -> Array:
        """The members' mean less `pessimism` times their standard deviation, [batch], within the rewards seen."""
        answers = self.predict(state, batch)
        return jnp.clip(answers.mean(axis=0) - pessimism * answers.std(axis=0), state.least, state.most)

    def likeness(self, state: RewardState, batch: Transition, by: By) -> Array:
        """How far r_hat is to be believed, [batch] in [0, 1].

        similarity  exp(-max(d - 1, 0) / 2), d the mean square of the step's entries in the seen ones' spreads
        variance    v / (v + u), v the variance of the rewards seen, u that of the members' answers, here unbounded
        """
        found = jnp.ones_like(batch.reward)
        if by in ("similarity", "both"):
            d = jnp.mean(state.inputs.scaled(step_rows(batch, state.low, state.high)) ** 2, axis=-1)
            found *= jnp.exp(-jnp.maximum(d - 1.0, 0.0) / 2.0)
        if by in ("variance", "both"):
            v = state.rewards.var[0] + 1e-8
            found *= v / (v + self._answers(state, batch).var(axis=0))  # at the bounds all members would agree
        return found

    def evaluate(self, state: RewardState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training, shares of the variance explained: `gap_explained` of the rewards that it models,
        `gap_explained_other` of the other domain's, which is near 1 where both pay alike. 1 = all, 0 = their mean."""
        other = batches.target if self.of == "source" else batches.source
        own = getattr(batches, self.of)
        return {"gap_explained": self._explained(state, own), "gap_explained_other": self._explained(state, other)}

    def _answers(self, state: RewardState, t: Transition) -> Array:
        """The members' answers before they are bounded, [members, batch]."""
        x = state.inputs(step_rows(t, state.low, state.high))
        return state.rewards.restored(jax.vmap(lambda member: mlp(member, x, silu))(state.members))[..., 0]

    def _explained(self, state: RewardState, t: Transition) -> Array:
        left = jnp.mean((self.predict(state, t).mean(axis=0) - t.reward) ** 2)
        return 1.0 - left / (jnp.var(t.reward) + 1e-8)

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class MeanReward(Gap):
    """The difference of the two domains' mean rewards, the same at every step: a baseline."""

    batch: int = 256  # steps of each domain per update

    name = "mean_reward"
    offers = ("score", "source_reward")
    alike = True

    def __post_init__(self) -> None:
        require_settings(self)

    def init(self, key: Key, spaces: Spaces) -> Pair[Normaliser]:
        """No reward seen."""
        return Pair(Normaliser.start(1), Normaliser.start(1))

    def update(
        self, state: Pair[Normaliser], batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[Pair[Normaliser], Metrics]:
        """Follow both means."""
        state = Pair(*(scale.see(t.reward[:, None]) for scale, t in zip(state, batches, strict=True)))
        return state, {"gap_loss": jnp.abs(state.source.mean[0] - state.target.mean[0])}

    def score(self, state: Pair[Normaliser], batch: Transition, **extra: Any) -> Array:
        """mean r_S - mean r_T, [batch]."""
        return jnp.full_like(batch.reward, state.source.mean[0] - state.target.mean[0])

    def likeness(self, state: Pair[Normaliser], batch: Transition, by: By) -> Array:
        """1: a constant is as true here as there."""
        return jnp.ones_like(batch.reward)

    def evaluate(self, state: Pair[Normaliser], batches: Pair[Transition], **extra: Any) -> Metrics:
        """Nothing that could be wrong."""
        return {}
