"""State discriminator (SRPO, FOOD, GAIfO): does this step lead where the target's steps lead?

Logistic regression of two classes on states, or on pairs of them, or on whole steps. With equal weight of the classes
the logit is log p_positive(x) - log p_negative(x), in nats, and the score is that logit.

    GAIfO  (Torabi et al. 2018, arXiv:1807.06158)  inputs = "state_next", x = (s, s')
    FOOD   (Daoudi et al. 2024, arXiv:2312.15474)  inputs = "state" or "step", x = s' or (s, a, s')
    SRPO   (Xue et al. 2023, arXiv:2306.03552)     inputs = "state", x = s', and top < 1

With top = 1 the target's steps are positive and the source's negative. With top < 1 the classes are not the domains:
positive is the share `top` of each domain's steps that leads to the states of highest value, and negative is the rest.
What differs from the papers: s' where they have s; SRPO's share is taken in each domain by itself; the logit unchanged.
Unlike DARC's score it means to say where the policy goes: it imitates, and does not ask how the body moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import softplus

from transreward.gaps.features import follow, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

INPUTS = ("state", "state_next", "step")
Value = Callable[[Array], Array]  # [n, obs] -> [n]


class DiscriminatorState(NamedTuple):
    """One seed's discriminator."""

    network: Layers
    optimiser: Any
    scale: Normaliser  # over the inputs; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class State(Gap):
    """Settings of the state discriminator."""

    inputs: str = "state"  # "state" is s', "state_next" is (s, s'), "step" is (s, a, s')
    top: float = 1.0  # below 1: the share of each domain's steps, by the value of s', that are the positives (SRPO)
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 256  # steps of each domain per update
    noise: float = 0.1  # std of the noise on the standardised inputs while training
    weight_decay: float = 1e-4  # of AdamW
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "state"
    offers_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"log_ratio": {"top": 1}}

    def __post_init__(self) -> None:
        require_settings(self)
        if self.inputs not in INPUTS:
            raise RequestError(f"gap.inputs must be {', '.join(INPUTS[:-1])} or {INPUTS[-1]}, not {self.inputs}")
        if self.top != 1 and not 1 <= self.top * self.batch <= self.batch - 1:
            raise RequestError(f"gap.top must be 1, or leave a step of gap.batch on either side, not {self.top}")

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The learner's value ranks the steps, where they are ranked."""
        return ("value",) if self.top < 1 else ()

    @property
    def offers(self) -> tuple[str, ...]:  # type: ignore[override]
        """A log-ratio of the domains, and not of good and bad states, by top."""
        return ("score", "log_ratio") if self.top == 1 else ("score",)

    def init(self, key: Key, spaces: Spaces) -> DiscriminatorState:
        """A fresh network for one seed; it starts at logit 0, 'cannot tell'."""
        size = {"state": spaces.obs, "state_next": 2 * spaces.obs, "step": 2 * spaces.obs + spaces.action}[self.inputs]
        network = mlp_init(key, (size, *self.hidden, 1), last_scale=0.0)
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        return DiscriminatorState(network, self._optimiser().init(network), Normaliser.start(size), *bounds)

    def update(
        self, state: DiscriminatorState, batches: Pair[Transition], key: Key, value: Value | None = None, **extra: Any
    ) -> tuple[DiscriminatorState, Metrics]:
        """One step of logistic regression on a batch of each domain."""
        raw = jnp.concatenate(batches.map(lambda t: self._rows(state, t)))
        scale = follow(state.scale, raw, self.standardise)
        noisy = scale(raw) + self.noise * jax.random.normal(key, raw.shape)
        positive = self._positive(batches, value)

        def loss(network: Layers) -> Array:
            return _cross_entropy(mlp(network, noisy)[..., 0], positive)

        loss_now, grads = jax.value_and_grad(loss)(state.network)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.network)
        network = optax.apply_updates(state.network, step)
        return state._replace(network=network, optimiser=optimiser, scale=scale), {"gap_loss": loss_now}

    def score(self, state: DiscriminatorState, batch: Transition, **extra: Any) -> Array:
        """log p_positive - log p_negative in nats, [batch]; above 0 = more like the target, or a state of value."""
        return mlp(state.network, state.scale(self._rows(state, batch)))[..., 0]

    def evaluate(
        self, state: DiscriminatorState, batches: Pair[Transition], value: Value | None = None, **extra: Any
    ) -> Metrics:
        """On steps kept from training: cross-entropy (log 2 = 0.69 says that it cannot tell) and share told apart."""
        logits = jnp.concatenate(batches.map(lambda t: self.score(state, t)))
        positive = self._positive(batches, value)
        right = _balanced(logits > 0, logits < 0, positive)
        return {"gap_held_out_loss": _cross_entropy(logits, positive), "gap_accuracy": right}

    def _rows(self, state: DiscriminatorState, t: Transition) -> Array:
        """What the discriminator sees, raw."""
        if self.inputs == "state":
            return t.next_obs
        if self.inputs == "state_next":  # the change says the same as s' and is not drowned by the spread of s
            return jnp.concatenate([t.obs, t.next_obs - t.obs], axis=-1)
        return step_rows(t, state.low, state.high)

    def _positive(self, batches: Pair[Transition], value: Value | None) -> Array:
        """The positive class, [source and target batch] bool."""
        if self.top == 1:
            return jnp.concatenate(
                [jnp.zeros(batches.source.reward.shape, bool), jnp.ones(batches.target.reward.shape, bool)]
            )
        if value is None:
            raise RequestError("gap.top below 1 needs a learner with a value function")

        def best(t: Transition) -> Array:  # nothing follows an end, so its value is 0
            worth = jnp.where(t.terminated.astype(bool), 0.0, value(t.next_obs))
            rank = jnp.argsort(jnp.argsort(worth))
            return rank >= worth.shape[0] - round(self.top * worth.shape[0])

        return jnp.concatenate(batches.map(best))

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)


def _cross_entropy(logits: Array, positive: Array) -> Array:
    """From logits."""
    return _balanced(softplus(-logits), softplus(logits), positive)


def _balanced(if_positive: Array, if_negative: Array, positive: Array) -> Array:
    """Half the mean over the positives and half that over the negatives: uneven classes then do not move the logit."""
    return (jnp.mean(if_positive, where=positive) + jnp.mean(if_negative, where=~positive)) / 2
