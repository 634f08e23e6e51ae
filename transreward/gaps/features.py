"""The rows that gaps look at, and their scale: shared by the estimators that standardise their inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from transreward.networks import Normaliser
from transreward.types import Array, Transition


def step_rows(t: Transition, low: Array, high: Array) -> Array:
    """[s, a, s' - s], [..., obs + action + obs]; the action as executed.

    The successor enters as the change: a shift of the dynamics is large beside the spread of s' - s and small beside
    the spread of s'.
    """
    return jnp.concatenate([t.obs, jnp.clip(t.action, low, high), t.next_obs - t.obs], axis=-1)


def split(rows: Array, action: int) -> tuple[Array, Array]:
    """The (s, a) part, [..., obs + action], and the change, [..., obs], of `step_rows`."""
    obs = (rows.shape[-1] - action) // 2
    return rows[..., :-obs], rows[..., -obs:]


def standardised(scale: Normaliser, rows: Array, action: int) -> Array:
    """`step_rows` by their own scale; (s, a) is clipped, the change is not, for it is what is to be predicted."""
    sa, _ = split(scale(rows), action)
    _, change = split(scale.scaled(rows), action)
    return jnp.concatenate([sa, change], axis=-1)


def follow(scale: Normaliser, rows: Array, updates: int) -> Normaliser:
    """Take in rows [n, d] of both domains, unless `updates` batches of n were seen: a scale that moved on would move
    the score of a step with it, and one scale for both domains is what leaves a shift visible."""
    frozen = scale.count >= updates * rows.shape[0]
    return jax.tree.map(lambda old, new: jnp.where(frozen, old, new), scale, scale.see(rows))
