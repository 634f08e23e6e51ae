"""One scale for the rewards of several tasks: what an agent of a family is paid while it is trained.

Of one network that learns several tasks the task of the largest rewards has the largest errors, and so most of the
gradient. Each task's reward is divided by the spread of its discounted returns (as PPO's own normalisation, Engstrom et
al. 2020, but one for each task: BRC, Nauman et al. 2025, arXiv:2505.23150), or by a tenth of the largest return where
that is more (SimbaV2, Lee et al. 2025, arXiv:2502.15280): where each step pays about the same, returns hardly spread.
The spread of returns and not of rewards, since it is the returns that critics learn and advantages are of.

What is stored, evaluated and told stays raw: rewards are divided when they are learned from, by what is known then.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transreward.types import Array, Steps

MOST = 10.0  # in units of the scale: no return is larger
LEAST = 1e-4  # of a scale


class Scales(NamedTuple):
    """The discounted returns of each task, as far as they were seen; float32."""

    total: Array  # [seeds, robots], the discounted return of each robot's episode so far
    count: Array  # [seeds, tasks], steps
    mean: Array  # [seeds, tasks]
    square: Array  # [seeds, tasks], sum of squared distances from the mean
    most: Array  # [seeds, tasks], the largest size

    @staticmethod
    def start(seeds: int, robots: int, tasks: int) -> Scales:
        """Before the first step."""
        return Scales(jnp.zeros((seeds, robots)), *(jnp.zeros((seeds, tasks)) for _ in range(4)))

    @property
    def scale(self) -> Array:
        """[seeds, tasks]: what the rewards of each task are divided by; 1 before its first step."""
        spread = jnp.sqrt(self.square / jnp.maximum(self.count, 1.0))
        return jnp.where(self.count > 0, jnp.maximum(jnp.maximum(spread, self.most / MOST), LEAST), 1.0)


def tasks_in(steps: Steps) -> Any:
    """The task of each step [...], which a family with several stores behind its terms."""
    return steps.terms[..., -1].astype(np.int32)


def seen(scales: Scales, steps: Steps, discount: float) -> Scales:
    """The scales once these steps [seeds, control steps, robots], in the order of time, are known."""
    t = steps.transition
    ended = np.logical_or(t.terminated, t.truncated)
    return _seen(scales, np.asarray(t.reward), ended, tasks_in(steps), np.float32(discount))


def scaled(scales: Scales, steps: Steps) -> Steps:
    """The steps, with the rewards of each task divided by its scale."""
    scale = np.take_along_axis(np.asarray(scales.scale)[:, None], tasks_in(steps).reshape(len(scales.total), 1, -1), 2)
    t = steps.transition
    return steps._replace(transition=t._replace(reward=t.reward / scale.reshape(t.reward.shape)))


@jax.jit
@partial(jax.vmap, in_axes=(0, 0, 0, 0, None))
def _seen(scales: Scales, reward: Array, ended: Array, task: Array, discount: Array) -> Scales:
    def step(total: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        paid, over = at
        total = discount * total + paid
        return jnp.where(over, 0.0, total), total

    total, returns = jax.lax.scan(step, scales.total, (reward, ended))
    mine = (task[..., None] == jnp.arange(scales.count.shape[0])).astype(jnp.float32)  # [steps, robots, tasks]
    fresh = mine.sum(axis=(0, 1))
    mean = (mine * returns[..., None]).sum(axis=(0, 1)) / jnp.maximum(fresh, 1.0)
    square = (mine * (returns[..., None] - mean) ** 2).sum(axis=(0, 1))
    count = scales.count + fresh
    apart, share = mean - scales.mean, fresh / jnp.maximum(count, 1.0)  # Chan et al. 1979
    return Scales(
        total,
        count,
        scales.mean + share * apart,
        scales.square + square + apart**2 * scales.count * share,
        jnp.maximum(scales.most, (mine * jnp.abs(returns)[..., None]).max(axis=(0, 1))),
    )
