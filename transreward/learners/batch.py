"""What an off-policy learner draws to learn from: steps of both domains, compensated as they are drawn, folded into
n-step transitions."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward.learners.learner import Adjust, Sample, joined
from transreward.types import Array, Key, Pair, Transition


class Batch(NamedTuple):
    """n-step transitions, observations normalised, actions in [-1, 1]."""

    obs: Array
    action: Array
    target_reward: Array  # [batch] discounted sum of compensated rewards
    next_obs: Array
    discount: Array  # [batch]: gamma^k, 0 where the task ended
    weight: Array
    step: Transition  # the first of the n, in the domain's units and with its raw reward
    last: Array  # next_obs of the last of them, in the domain's units
    of_target: Array  # [batch], whether it was taken in the target


def draw(state: Any, sample: Sample, adjust: Adjust, key: Key, n: int, n_step: int, discount: float) -> Batch:
    """Draw from both domains, compensate each single step, then fold n steps into one. `state` is an agent's, of which
    `normaliser`, `centre` and `half_width` are read."""
    drawn = sample(key, n, n_step)
    flat = drawn.steps.map(lambda w: jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), w))
    adjusted = adjust(flat).map(lambda a: jax.tree.map(lambda x: x.reshape(-1, n_step), a))
    reward, weight = joined(drawn, adjusted)
    source, target = drawn.steps.map(lambda w: jnp.zeros(len(w.reward), bool))
    of_target = joined(drawn, Pair(source, ~target))
    return fold(state, joined(drawn, drawn.steps), reward, weight, of_target, discount)


def fold(state: Any, w: Transition, reward: Array, weight: Array, of_target: Array, discount: float) -> Batch:
    """n steps [batch, n, ...] into one: stop at the first end of an episode, bootstrap unless the task itself ended
    there."""
    ended = jnp.maximum(w.terminated, w.truncated)
    alive = jnp.concatenate([jnp.ones_like(ended[:, :1]), jnp.cumprod(1.0 - ended, axis=1)[:, :-1]], axis=1)
    discounts = discount ** jnp.arange(ended.shape[1])
    last = alive.sum(axis=1).astype(jnp.int32) - 1
    rows = jnp.arange(last.shape[0])
    return Batch(
        obs=state.normaliser(w.obs[:, 0]),
        action=(w.action[:, 0] - state.centre) / state.half_width,
        target_reward=(reward * alive * discounts).sum(axis=1),
        next_obs=state.normaliser(w.next_obs[rows, last]),
        discount=discount ** (last + 1.0) * (1.0 - w.terminated[rows, last]),
        weight=weight[:, 0],
        step=jax.tree.map(lambda x: x[:, 0], w),
        last=w.next_obs[rows, last],
        of_target=of_target,
    )
