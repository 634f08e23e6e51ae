"""Select: only the source's steps that score best count, by their score, and the actor is held to what the target's
steps did (IGDF, Wen et al. 2024; OTDF, Lyu et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import logsumexp

from transreward.gaps.gap import Gap
from transreward.networks import Layers, Normaliser, mlp, mlp_init, normal_log_prob
from transreward.types import Array, Key, Metrics, Pair, RequestError, Shaping, Spaces, Transition
from transreward.uses.use import Change, Use, score, wanted, weighted

HIDDEN, RATE, KL = (256, 256), 1e-3, 0.5  # of the autoencoder
SPREAD, DRAWS = 0.1**0.5, 10  # of an action around what is decoded; latent draws that a likelihood is the mean over
LOG_STD_LOW, LOG_STD_HIGH = -4.0, 2.0


class Support(NamedTuple):
    """A conditional variational autoencoder of the target's actions, for one seed."""

    encoder: Layers  # [obs + action] -> [2 * latent]
    decoder: Layers  # [obs + latent] -> [action], before tanh
    optimiser: Any
    normaliser: Normaliser  # of the target's observations
    centre: Array  # [action]
    half_width: Array  # [action]


class SelectState(NamedTuple):
    """What is learned for one seed."""

    gap: Any
    support: Any  # a `Support`, or () without one


@dataclass(frozen=True)
class Select(Use):
    """The `keep` of the source's steps that score best in the batch count, each exp(z) with z in [-1, 0] the score on
    the batch's own range (OTDF, section 4.2; IGDF's weight is exp of a cosine). With a `support`, an action costs the
    actor that much times -log of its likelihood under an autoencoder of the target's (OTDF, equation 10)."""

    keep: float = 0.25  # share of a batch's source steps
    support: float = 0.0  # of the likelihood's logarithm in the actor's loss; 0 = none

    name = "select"
    pays = False
    wants = ("score",)
    relative = "keeps the best of a batch and weights them against one another, and leaves rewards raw"

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise RequestError(f"use.keep must be in (0, 1], not {self.keep}")
        if not self.support >= 0:
            raise RequestError(f"use.support must not be negative, not {self.support}")

    @property
    def shapes(self) -> bool:
        """Whether it has a `support`."""
        return self.support > 0

    def init(self, gap: Gap | None, key: Key, spaces: Spaces) -> SelectState:
        """The gap's state, and an autoencoder that has seen nothing."""
        gap_key, *keys = jax.random.split(key, 3)
        return SelectState(super().init(gap, gap_key, spaces), _fresh(Pair(*keys), spaces) if self.support else ())

    def update(
        self, gap: Gap | None, state: SelectState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[SelectState, Metrics]:
        """Train the gap, and the autoencoder on the target's steps."""
        gap_key, own_key = jax.random.split(key)
        found, metrics = super().update(gap, state.gap, batches, gap_key, **extra)
        if not self.support:
            return SelectState(found, ()), metrics
        support, loss = _learned(state.support, batches.target, own_key)
        return SelectState(found, support), {**metrics, "support_loss": loss}

    def evaluate(self, gap: Any, state: SelectState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement."""
        return gap.evaluate(state.gap, batches, **wanted(gap, extra))

    def judge(self, gap: Any, state: SelectState, held_out: Metrics) -> SelectState:
        """See `Use`."""
        return state._replace(gap=gap.judge(state.gap, held_out))

    def change(self, gap: Gap, state: SelectState, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of the source's steps."""
        found = score(gap, state.gap, batches.source, extra)
        best, worst = found.max(), found.min()
        size = jnp.exp((found - best) / jnp.maximum(best - worst, 1e-8))
        return weighted(batches, jnp.where(found >= jnp.quantile(found, 1.0 - self.keep), size, 0.0))

    def shape(self, gap: Any, state: SelectState, **extra: Any) -> Shaping:
        """What an action costs the actor."""
        if not self.support:
            return Shaping()
        return Shaping(draw=lambda obs, action: -self.support * log_likelihood(state.support, obs, action))


def log_likelihood(support: Support, obs: Array, action: Array) -> Array:
    """Of actions [n, action] in the domain's units at obs [n, obs], [n]: by the mean over latents that encode them,
    always the same draws."""
    obs, action = support.normaliser(obs), (action - support.centre) / support.half_width
    mean, log_std = _encoded(support.encoder, obs, action)
    noise = jax.random.normal(jax.random.key(0), (DRAWS, *mean.shape))

    def of(noise: Array) -> Array:
        decoded = _decoded(support.decoder, obs, mean + noise * jnp.exp(log_std))
        return normal_log_prob(action, decoded, jnp.full(action.shape[-1], jnp.log(SPREAD)))

    return logsumexp(jax.vmap(of)(noise), axis=0) - jnp.log(DRAWS)


def _fresh(keys: Pair[Key], spaces: Spaces) -> Support:
    latent = 2 * spaces.action
    encoder = mlp_init(keys.source, (spaces.obs + spaces.action, *HIDDEN, 2 * latent))
    decoder = mlp_init(keys.target, (spaces.obs + latent, *HIDDEN, spaces.action))
    box = jnp.asarray(spaces.centre), jnp.asarray(spaces.half_width)
    return Support(encoder, decoder, optax.adam(RATE).init((encoder, decoder)), Normaliser.start(spaces.obs), *box)


def _learned(support: Support, t: Transition, key: Key) -> tuple[Support, Array]:
    """A step of the autoencoder, and its loss."""
    support = support._replace(normaliser=support.normaliser.see(t.obs))
    obs, action = support.normaliser(t.obs), (t.action - support.centre) / support.half_width

    def loss(networks: tuple[Layers, Layers]) -> Array:
        mean, log_std = _encoded(networks[0], obs, action)
        decoded = _decoded(networks[1], obs, mean + jax.random.normal(key, mean.shape) * jnp.exp(log_std))
        far = -0.5 * (1 + 2 * log_std - mean**2 - jnp.exp(2 * log_std))
        return jnp.mean((decoded - action) ** 2) + KL * jnp.mean(far)

    networks = support.encoder, support.decoder
    found, grads = jax.value_and_grad(loss)(networks)
    step, optimiser = optax.adam(RATE).update(grads, support.optimiser)
    after: Any = optax.apply_updates(networks, step)
    encoder, decoder = after
    return support._replace(encoder=encoder, decoder=decoder, optimiser=optimiser), found


def _encoded(encoder: Layers, obs: Array, action: Array) -> tuple[Array, Array]:
    mean, log_std = jnp.split(mlp(encoder, jnp.concatenate([obs, action], axis=-1)), 2, axis=-1)
    return mean, jnp.clip(log_std, LOG_STD_LOW, LOG_STD_HIGH)


def _decoded(decoder: Layers, obs: Array, latent: Array) -> Array:
    return jnp.tanh(mlp(decoder, jnp.concatenate([obs, latent], axis=-1)))
