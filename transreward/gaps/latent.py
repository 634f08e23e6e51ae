"""Latent dynamics (PAR; Lyu et al. 2024, arXiv:2405.15369): how wrong is the target's model about this step?

An encoder f and a predictor g learn on target steps alone; a source step is scored by how far its successor's encoding
is from the one that they expect in the target:

    loss  = mean over steps and latent dimensions of (g(f(s), a) - stop_gradient(f(s')))^2
    score = -(mean over latent dimensions of (g(f(s), a) - f(s'))^2), of slow averages of f and g

Both as in the authors' code, where f ends in z / mean|z| so that the encoding cannot shrink to nothing.
What differs: the inputs are standardised; `guard` keeps the encoding from using only a few of its dimensions, which
z / mean|z| does not prevent (VICReg, Bardes et al. 2022, arXiv:2105.04906); and `excess` adds e(s, a), the error that
the target's own steps are expected to make, so that a target with noise does not look like a gap. e is learned on a
share of the target's steps that f and g never learn from, for the error on steps they were fitted to is too small.
Which steps these are is told by the bits of the step itself: it falls on the same side each time it is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from transreward.gaps.features import follow
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import LOG_2, Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

OWN_MEAN_WEIGHT = 0.05  # of a batch in the running mean of the target's own error


class LatentState(NamedTuple):
    """One seed's encoder and predictor."""

    nets: dict[str, Layers]  # "encoder" f, "predictor" g and, with `excess`, "own", the shape of e
    averaged: dict[str, Layers]  # their slow averages, which score
    optimiser: Any
    own_mean: Array  # []: running mean of the target's own error on steps held back, the scale of e
    inputs: Normaliser  # over [s, a] of both domains; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Latent(Gap):
    """Settings of the latent dynamics model."""

    latent: int = 64  # dimensions of the encoding
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 256  # steps of each domain per update; the source's serve the standardisation alone
    guard: float = 0.01  # weight of VICReg's guard against collapse; 0 = the authors' form
    average: float = 0.005  # weight of the newest networks in their slow average
    excess: bool = True  # take off the error that the target's own steps are expected to make
    held_back: float = 0.2  # with `excess`: share of target steps that the expected error is learned on
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "latent"
    noise_floor = 0.05  # score spread below which it is noise

    def __post_init__(self) -> None:
        require_settings(self)
        if self.latent < 2:
            raise RequestError(f"gap.latent must be at least 2, not {self.latent}: one dimension always encodes to +-1")
        if not 0 < self.average <= 1:
            raise RequestError(f"gap.average must be above 0 and at most 1, not {self.average}")
        if not 0 < self.held_back < 1:
            raise RequestError(f"gap.held_back must be between 0 and 1, not {self.held_back}")

    def init(self, key: Key, spaces: Spaces) -> LatentState:
        """Fresh networks for one seed; the expected error starts at 1, about what an untrained predictor makes."""
        sizes = {
            "encoder": (spaces.obs, *self.hidden, self.latent),
            "predictor": (self.latent + spaces.action, *self.hidden, self.latent),
        }
        keys = jax.random.split(key, 3)
        nets = {name: mlp_init(k, size) for k, (name, size) in zip(keys[:2], sizes.items(), strict=True)}
        if self.excess:
            nets["own"] = mlp_init(keys[2], (spaces.obs + spaces.action, *self.hidden, 1), last_scale=0.0)
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        inputs = Normaliser.start(spaces.obs + spaces.action)
        averaged = jax.tree.map(jnp.copy, nets)  # copies: a state may be donated, and no buffer can be given twice
        optimiser = optax.adam(self.learning_rate).init(nets)
        return LatentState(nets, averaged, optimiser, jnp.ones((), jnp.float32), inputs, *bounds)

    def update(self, state: LatentState, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Any, Metrics]:
        """One step on a batch of target steps."""
        seen = jnp.concatenate(batches.map(lambda t: _inputs(state, t)))
        state, t = state._replace(inputs=follow(state.inputs, seen, self.standardise)), batches.target
        back = self._held_back(t)
        own = _error(state.averaged, state, t)  # of the networks that score
        moved = state.own_mean + OWN_MEAN_WEIGHT * (_mean(own, back) - state.own_mean)
        state = state._replace(own_mean=jnp.where(jnp.any(back > 0), moved, state.own_mean))

        def loss(nets: dict[str, Layers]) -> tuple[Array, Array]:
            predicting = _mean(_error(nets, state, t), 1.0 - back)
            total = predicting + self.guard * _collapse(_encoding(nets["encoder"], state, t.obs), 1.0 - back)
            if self.excess:  # least where the expected error is the mean of `own` given (s, a)
                expected = _expected(nets, state, t)
                total += _mean(own / expected + jnp.log(expected), back)
            return total, predicting

        (_, predicting), grads = jax.value_and_grad(loss, has_aux=True)(state.nets)
        step, optimiser = optax.adam(self.learning_rate).update(grads, state.optimiser)
        nets = optax.apply_updates(state.nets, step)
        averaged = optax.incremental_update(nets, state.averaged, self.average)
        return state._replace(nets=nets, averaged=averaged, optimiser=optimiser), {"gap_loss": predicting}

    def score(self, state: LatentState, batch: Transition, **extra: Any) -> Array:
        """Expected minus actual squared error in the latent, [batch]; without `excess`, minus the actual one."""
        error = _error(state.averaged, state, batch)
        return _expected(state.averaged, state, batch) - error if self.excess else -error

    def evaluate(self, state: LatentState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training.

        `gap_latent_spread` (std of the encoding across steps, the root mean square over its dimensions) and
        `gap_latent_rank` (participation ratio: about how many directions it uses) fall to 0 and 1 if it collapses.
        `gap_target_score` is the mean score of the target's own steps; with `excess` it is about 0.
        """
        z = _encoding(state.averaged["encoder"], state, batches.target.next_obs)
        covariance = jnp.cov(z, rowvar=False)
        total = jnp.trace(covariance)
        return {
            "gap_held_out_loss": jnp.mean(_error(state.averaged, state, batches.target)),
            "gap_target_score": jnp.mean(self.score(state, batches.target)),
            "gap_latent_spread": jnp.sqrt(total / self.latent),
            "gap_latent_rank": total**2 / jnp.maximum(jnp.sum(covariance**2), 1e-30),
        }

    def _held_back(self, t: Transition) -> Array:
        """[batch], 1 where a step is kept from f and g: a share of the hashes of (s, a), by MurmurHash3's finaliser."""
        if not self.excess:
            return jnp.zeros_like(t.reward)
        rows = jnp.concatenate([t.obs, t.action], axis=-1).astype(jnp.float32)
        odd = 2 * np.arange(rows.shape[-1], dtype=np.uint32) + 1
        h = jnp.sum(jax.lax.bitcast_convert_type(rows, jnp.uint32) * (odd * np.uint32(2654435761)), axis=-1)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            h = (h ^ (h >> shift)) * np.uint32(factor)
        return (h < np.uint32(self.held_back * 2**32)).astype(jnp.float32)


def _inputs(state: LatentState, t: Transition) -> Array:
    """[s, a]; the action as executed."""
    return jnp.concatenate([t.obs, jnp.clip(t.action, state.low, state.high)], axis=-1)


def _encoding(encoder: Layers, state: LatentState, obs: Array) -> Array:
    """f(s), [..., latent], of mean absolute value 1."""
    action = jnp.zeros((*obs.shape[:-1], state.low.shape[-1]))
    x = state.inputs(jnp.concatenate([obs, action], axis=-1))[..., : obs.shape[-1]]
    z = mlp(encoder, x, jax.nn.elu)
    return z / jnp.maximum(jnp.mean(jnp.abs(z), axis=-1, keepdims=True), 1e-8)


def _error(nets: dict[str, Layers], state: LatentState, t: Transition) -> Array:
    """(g(f(s), a) - f(s'))^2, mean over the latent's dimensions, [batch]; no gradient through f(s')."""
    action = state.inputs(_inputs(state, t))[..., t.obs.shape[-1] :]
    goal = jax.lax.stop_gradient(_encoding(nets["encoder"], state, t.next_obs))
    latent_and_action = jnp.concatenate([_encoding(nets["encoder"], state, t.obs), action], axis=-1)
    return jnp.mean((mlp(nets["predictor"], latent_and_action, jax.nn.elu) - goal) ** 2, axis=-1)


def _expected(nets: dict[str, Layers], state: LatentState, t: Transition) -> Array:
    """e(s, a), the error that a target step is expected to make, [batch]; linear in the head where it is large."""
    head = mlp(nets["own"], state.inputs(_inputs(state, t)), jax.nn.elu)[..., 0]
    return state.own_mean * jax.nn.softplus(head) / LOG_2 + 1e-12


def _collapse(z: Array, weight: Array) -> Array:
    """How far the encoding z [batch, latent] is from unit spread in every dimension and none in common (VICReg)."""
    centred = weight[:, None] * (z - _mean(z.T, weight))
    covariance = centred.T @ centred / jnp.maximum(jnp.sum(weight) - 1.0, 1.0)
    variance = jnp.diagonal(covariance)
    in_common = (jnp.sum(covariance**2) - jnp.sum(variance**2)) / z.shape[-1]
    return jnp.mean(jax.nn.relu(1.0 - jnp.sqrt(variance + 1e-4))) + in_common


def _mean(x: Array, weight: Array) -> Array:
    """Weighted mean over the last axis, the batch; 0 where nothing has weight."""
    return jnp.sum(weight * x, axis=-1) / jnp.maximum(jnp.sum(weight), 1.0)
