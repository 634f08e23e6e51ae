"""Domain classifier (DARC; Eysenbach et al. 2021, arXiv:2006.13916): how much more likely is this step in the target?

Two heads tell source from target, one from (s, a), one from (s, a, s'). In the residual form of the authors' code the
second is `sas_logit = sa_logit + extra_logit`, so that the four-log formula of the paper (section 4.2)

    log p(T|s,a,s') - log p(S|s,a,s') - log p(T|s,a) + log p(S|s,a)  ~  log p_T(s'|s,a) - log p_S(s'|s,a)

is `extra_logit` itself, in nats: no softmax, no logarithm, no epsilon.
What differs from the paper: the successor enters as the standardised change s' - s, where a shift in the dynamics is
largest; inputs are standardised before the noise, so that one noise level means the same on every robot; the (s, a)
head learns from its own loss alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import softplus

from transreward.gaps.features import follow, split, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, Spaces, Transition

Losses = Callable[[dict[str, Layers]], tuple[Array, Array]]  # of the heads: (sum of both losses, that of the second)


class ClassifierState(NamedTuple):
    """One seed's classifier."""

    heads: dict[str, Layers]  # "sa" and "extra"
    optimiser: Any
    inputs: Normaliser  # over [s, a, s' - s]; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Classifier(Gap):
    """Settings of the domain classifier."""

    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 256  # steps of each domain per update
    noise: float = 0.1  # std of the noise on the standardised inputs while training; smooths the log-ratio
    weight_decay: float = 1e-4  # of AdamW
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "classifier"
    offers = ("score", "log_ratio")

    def __post_init__(self) -> None:
        require_settings(self)

    def init(self, key: Key, spaces: Spaces, outputs: int = 1) -> ClassifierState:
        """Fresh heads for one seed, each with so many logits; all start at 0, 'cannot tell'."""
        sa_key, extra_key = jax.random.split(key)
        sa, sas = spaces.obs + spaces.action, 2 * spaces.obs + spaces.action
        heads = {
            "sa": mlp_init(sa_key, (sa, *self.hidden, outputs), last_scale=0.0),
            "extra": mlp_init(extra_key, (sas, *self.hidden, outputs), last_scale=0.0),
        }
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        return ClassifierState(heads, self._optimiser().init(heads), Normaliser.start(sas), *bounds)

    def update(
        self, state: ClassifierState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[ClassifierState, Metrics]:
        """One step of logistic regression on a batch of each domain; label 1 = target."""
        raw = batches.map(lambda t: step_rows(t, state.low, state.high))
        inputs = follow(state.inputs, jnp.concatenate(raw), self.standardise)
        noise = self.noise * jax.random.normal(key, raw.source.shape)  # one draw for both domains: it costs as much as
        noisy = raw.map(lambda x: inputs(x) + noise)  # the networks, and each row's is as random either way

        def total(heads: dict[str, Layers]) -> tuple[Array, Array]:
            sa, sas = logits(heads, noisy, state.low.shape[-1])
            return self.loss(sa) + self.loss(sas), self.loss(sas)

        state, sas_loss = self.descended(state._replace(inputs=inputs), total)
        return state, {"gap_loss": sas_loss}

    def descended(self, state: ClassifierState, total: Losses) -> tuple[ClassifierState, Array]:
        """One step down the gradient of `total`, and the second head's loss before it."""
        (_, sas_loss), grads = jax.value_and_grad(total, has_aux=True)(state.heads)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.heads)
        return state._replace(heads=optax.apply_updates(state.heads, step), optimiser=optimiser), sas_loss

    def score(self, state: ClassifierState, batch: Transition, **extra: Any) -> Array:
        """log p_T(s'|s,a) - log p_S(s'|s,a) in nats, [batch]; above 0 = more like the target."""
        return mlp(state.heads["extra"], standardised(state, batch))[..., 0]

    def evaluate(self, state: ClassifierState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training: cross-entropy (log 2 = 0.69 says that it cannot tell) and share told apart."""
        rows = batches.map(lambda t: standardised(state, t))
        sa, sas = logits(state.heads, rows, state.low.shape[-1])
        right = (jnp.mean(sas.target > 0) + jnp.mean(sas.source < 0)) / 2
        return {
            "gap_held_out_loss": cross_entropy(sas),
            "gap_sa_held_out_loss": cross_entropy(sa),
            "gap_accuracy": right,
        }

    def loss(self, answers: Pair[Array]) -> Array:
        """Of one head, from its logits."""
        return cross_entropy(answers)

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)


def standardised(state: ClassifierState, t: Transition) -> Array:
    """Standardised [s, a, s' - s]."""
    return state.inputs(step_rows(t, state.low, state.high))


def logits(heads: dict[str, Layers], x: Pair[Array], action: int) -> tuple[Pair[Array], Pair[Array]]:
    """(s, a) and (s, a, s') logits of both batches; the extra head is a residual on a fixed (s, a) head."""
    sa = x.map(lambda rows: mlp(heads["sa"], split(rows, action)[0])[..., 0])
    extra = x.map(lambda rows: mlp(heads["extra"], rows)[..., 0])
    return sa, Pair(*(jax.lax.stop_gradient(a) + e for a, e in zip(sa, extra, strict=True)))


def cross_entropy(logits: Pair[Array]) -> Array:
    """Mean over both domains, from logits."""
    return (jnp.mean(softplus(logits.source)) + jnp.mean(softplus(-logits.target))) / 2
