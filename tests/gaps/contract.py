"""What every gap promises the loop that trains it, and training compiled once for all data of a size."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from linear_gaussian import SOURCE, SPACES, TARGET, steps

from transreward.types import Pair


@partial(jax.jit, static_argnums=(0, 2), static_argnames="value")
def fit(gap, data, updates, **extra):
    """The gap's state after training on random rows of `data`, a Pair of transitions."""

    def update(state, key):
        pick = [jax.random.randint(k, (gap.batch,), 0, len(data.source.reward)) for k in jax.random.split(key)]
        batches = Pair(*(jax.tree.map(lambda x, p=p: x[p], d) for d, p in zip(data, pick, strict=True)))
        return gap.update(state, batches, key, **extra)

    keys = jax.random.split(jax.random.key(2), updates)
    return jax.lax.scan(update, gap.init(jax.random.key(1), SPACES), keys)[0]


@partial(jax.jit, static_argnums=0)
def start(gap, *updates):
    """The gap's state after these updates, one Pair of batches each, and the last one's metrics."""
    key = jax.random.key(0)
    state, metrics = gap.init(key, SPACES), {}
    for batches in updates:
        state, metrics = gap.update(state, batches, key)
    return state, metrics


@partial(jax.jit, static_argnums=0)
def step(gap, state, batches):
    """One update, compiled."""
    return gap.update(state, batches, jax.random.key(0))


@partial(jax.jit, static_argnums=0)
def score(gap, state, batch):
    """The gap's score, compiled."""
    return gap.score(state, batch)


@partial(jax.jit, static_argnums=0, static_argnames="value")
def evaluate(gap, state, batches, **extra):
    """The gap's judgement, compiled."""
    return gap.evaluate(state, batches, **extra)


def log_normal(x, mean, cov):
    """Log density of a normal with full covariance, [n, d] -> [n]."""
    white = np.linalg.solve(np.linalg.cholesky(cov), (x - mean).T)
    return -0.5 * (white**2).sum(0) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1]


def counts_the_action_as_executed(score, state, t):
    """The action counts, and beyond the box it counts as the box's edge."""
    inside, outside, other = (score(state, t._replace(action=t.action * 0 + by)) for by in (5.0, 50.0, -5.0))
    assert np.array_equal(inside, outside) and not np.array_equal(inside, other)


def keeps_its_promises(gap, paid=None, acts=True, **extra):
    """Two seeds under vmap are the two alone, nothing is compiled twice, unknown extras are let pass, and the action
    counts as executed, where it `acts`. `paid`: the reward of a transition, where it is to be another than nothing."""
    data = [Pair(steps(i, gap.batch, SOURCE), steps(i + 9, gap.batch, TARGET)) for i in range(2)]
    if paid is not None:
        data = [pair.map(lambda t: t._replace(reward=paid(t))) for pair in data]
    traces = []

    def update(state, batches, key):
        traces.append("update")
        return gap.update(state, batches, key, unknown=None, **extra)

    def score(state, batch):
        return gap.score(state, batch, unknown=None, **extra)

    keys, init = jax.random.split(jax.random.key(3)), jax.jit(lambda key: gap.init(key, SPACES))
    assert not [leaf for leaf in jax.tree.leaves(init(keys[0])) if leaf.weak_type]
    one, several = jax.jit(update), jax.jit(jax.vmap(update))

    alone = []
    for key, batches in zip(keys, data, strict=True):
        state = init(key)
        for _ in range(3):
            state, metrics = one(state, batches, key)
        alone.append((state, metrics, jax.jit(score)(state, batches.source)))
    assert traces.count("update") == 1

    both = jax.tree.map(lambda *rows: jnp.stack(rows), *data)
    state = jax.tree.map(lambda *rows: jnp.stack(rows), *(init(key) for key in keys))
    for _ in range(3):
        state, metrics = several(state, both, keys)
    assert traces.count("update") == 2
    together = state, metrics, jax.jit(jax.vmap(score))(state, both.source)
    for seed in range(2):
        for a, b in zip(jax.tree.leaves(alone[seed]), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(a, b[seed], rtol=2e-3, atol=2e-5)
    assert all(np.shape(value) == () for value in alone[0][1].values())
    if acts:
        counts_the_action_as_executed(jax.jit(score), alone[0][0], data[0].source)
    held_out = evaluate(gap, alone[0][0], data[0], unknown=None, **extra)
    assert all(np.shape(value) == () and np.isfinite(value) for value in held_out.values())
