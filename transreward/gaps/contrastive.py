"""Contrastive score (IGDF; Wen et al. 2024, arXiv:2405.06192): does this s' go with this (s, a), as in the target?

Two encoders, one of (s, a) and one of the successor, and their inner product h(s, a, s'). Positives are the target's
own steps; negatives are the same target (s, a) beside successors of the source. At its optimum

    h = log p_T(s' | s, a) - log p_S(s')  (+ c(s, a) with loss = "infonce")

where p_S(s') is how often the source makes that successor at all.
What differs from the paper: the default loss is the logistic one of the authors' code, with both sides weighing the
same, because InfoNCE leaves c(s, a) free and a score must compare steps; the score is h itself, not the cosine of the
two codes; the successor enters as the standardised change s' - s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import logsumexp, softplus

from transreward.gaps.features import follow, split, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

LOSSES = ("logistic", "infonce")


class ContrastiveState(NamedTuple):
    """One seed's encoders."""

    encoders: dict[str, Layers]  # "sa" and "next"
    optimiser: Any
    scale: Normaliser  # over [s, a, s' - s]; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Contrastive(Gap):
    """Settings of the contrastive score."""

    hidden: tuple[int, ...] = (64, 64)  # of each encoder
    width: int = 16  # of the codes whose inner product is the score
    loss: str = "logistic"  # "logistic" (the authors' code) or "infonce" (the paper's text)
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = (
        256  # steps of each domain per update; all of the source's successors are negatives of each target step
    )
    noise: float = 0.1  # std of the noise on the standardised inputs while training
    weight_decay: float = 1e-4  # of AdamW
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "contrastive"

    def __post_init__(self) -> None:
        require_settings(self)
        if self.loss not in LOSSES:
            raise RequestError(f"gap.loss must be {' or '.join(LOSSES)}, not {self.loss}")

    def init(self, key: Key, spaces: Spaces) -> ContrastiveState:
        """Fresh encoders for one seed; the code of (s, a) starts at 0, so every score does."""
        sa_key, next_key = jax.random.split(key)
        encoders = {
            "sa": mlp_init(sa_key, (spaces.obs + spaces.action, *self.hidden, self.width), last_scale=0.0),
            "next": mlp_init(next_key, (spaces.obs, *self.hidden, self.width)),
        }
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        scale = Normaliser.start(2 * spaces.obs + spaces.action)
        return ContrastiveState(encoders, self._optimiser().init(encoders), scale, *bounds)

    def update(
        self, state: ContrastiveState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[ContrastiveState, Metrics]:
        """One step on a batch of each domain."""
        raw = batches.map(lambda t: step_rows(t, state.low, state.high))
        scale = follow(state.scale, jnp.concatenate(raw), self.standardise)
        noisy = Pair(
            *(
                scale(x) + self.noise * jax.random.normal(k, x.shape)
                for x, k in zip(raw, jax.random.split(key), strict=True)
            )
        )
        loss, grads = jax.value_and_grad(lambda e: self._loss(e, noisy, state.low.shape[-1]))(state.encoders)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.encoders)
        encoders = optax.apply_updates(state.encoders, step)
        return state._replace(encoders=encoders, optimiser=optimiser, scale=scale), {"gap_loss": loss}

    def score(self, state: ContrastiveState, batch: Transition, **extra: Any) -> Array:
        """h(s, a, s') in nats, [batch]; larger = the target would rather make this successor of this (s, a)."""
        sa, next_ = _codes(state.encoders, self._rows(state, batch), state.low.shape[-1])
        return jnp.sum(sa * next_, axis=-1)

    def evaluate(self, state: ContrastiveState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training: the loss, and how much higher the target's own steps score than the source's."""
        loss = self._loss(state.encoders, batches.map(lambda t: self._rows(state, t)), state.low.shape[-1])
        mean = batches.map(lambda t: jnp.mean(self.score(state, t)))
        return {"gap_held_out_loss": loss, "gap_margin": mean.target - mean.source}

    def _loss(self, encoders: dict[str, Layers], rows: Pair[Array], action: int) -> Array:
        """log 2 (logistic) or log(1 + batch) (infonce) says that it cannot tell."""
        sa, own = _codes(encoders, rows.target, action)
        _, other = _codes(encoders, rows.source, action)
        positive = jnp.sum(sa * own, axis=-1)  # [batch]
        negative = sa @ other.T  # [batch, batch], a row per target (s, a)
        if self.loss == "logistic":
            return (jnp.mean(softplus(-positive)) + jnp.mean(softplus(negative))) / 2
        return jnp.mean(logsumexp(jnp.concatenate([positive[:, None], negative], axis=1), axis=1) - positive)

    def _rows(self, state: ContrastiveState, t: Transition) -> Array:
        return state.scale(step_rows(t, state.low, state.high))

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)


def _codes(encoders: dict[str, Layers], rows: Array, action: int) -> tuple[Array, Array]:
    """The codes of (s, a) and of the change, each [..., width]."""
    sa, change = split(rows, action)
    return mlp(encoders["sa"], sa), mlp(encoders["next"], change)
