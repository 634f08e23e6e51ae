"""The classifier's score against the closed form on linear-Gaussian dynamics."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.gaps.classifier import Classifier
from transreward.types import Pair, Spaces, Transition

SPACES = Spaces(2, 1, -5 * np.ones(1), 5 * np.ones(1))
A = np.array([[0.9, 0.1], [-0.1, 0.8]])
B = Pair(np.array([0.5, 0.0]), np.array([0.2, 0.6]))
STD = 0.8


def steps(rng, n, effect, mean):
    """s' = A s + B a + e; `mean` moves the state-action marginal, which must not show in the score."""
    obs = rng.normal(mean, 1.0, (n, 2))
    action = rng.normal(-mean, 0.7, (n, 1))
    next_obs = obs @ A.T + action * effect + rng.normal(0, STD, (n, 2))
    none = np.zeros(n)
    return Transition(*(jnp.asarray(x, jnp.float32) for x in (obs, action, none, next_obs, none, none)))


def log_ratio(t):
    """log N(s'; target) - log N(s'; source), exactly."""
    errors = Pair(*(t.next_obs - t.obs @ A.T - t.action * effect for effect in B))
    return np.asarray((errors.source**2 - errors.target**2).sum(-1) / (2 * STD**2))


@lru_cache
def trained(effects, marginals, updates=3000):
    """A classifier on fresh batches, so that there is nothing to memorise."""
    gap = Classifier(noise=0.0, weight_decay=0.0, batch=512)
    rng = np.random.default_rng(0)
    data = Pair(*(steps(rng, 200_000, np.array(e), m) for e, m in zip(effects, marginals, strict=True)))

    def update(state, key):
        rows = jax.random.randint(key, (2, gap.batch), 0, 200_000)
        batches = Pair(*(jax.tree.map(lambda x, r=r: x[r], d) for d, r in zip(data, rows, strict=True)))
        return gap.update(state, batches, key)

    state = gap.init(jax.random.key(1), SPACES)
    state, _ = jax.jit(lambda s, keys: jax.lax.scan(update, s, keys))(
        state, jax.random.split(jax.random.key(2), updates)
    )
    return gap, state


SOURCE, TARGET = (tuple(b) for b in B)


def test_score_is_the_log_ratio_of_the_dynamics_with_unequal_marginals():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    for mean, effect in ((-0.4, B.source), (0.4, B.target), (0.0, B.source)):
        t = steps(np.random.default_rng(5), 4000, effect, mean)
        score, exact = np.asarray(gap.score(state, t)), log_ratio(t)
        assert np.corrcoef(score, exact)[0, 1] > 0.9
        assert abs((score - exact).mean()) < 0.1


def test_swapping_the_domains_turns_the_sign():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    _, swapped = trained((TARGET, SOURCE), (0.4, -0.4))
    t = steps(np.random.default_rng(6), 4000, B.source, 0.0)
    there, back = np.asarray(gap.score(state, t)), np.asarray(gap.score(swapped, t))
    assert np.corrcoef(there, -back)[0, 1] > 0.95
    assert abs((there + back).mean()) < 0.1


def test_identical_domains_score_about_zero_whatever_the_policies_visit():
    gap, state = trained((SOURCE, SOURCE), (-0.4, 0.4))
    t = steps(np.random.default_rng(7), 4000, B.source, 0.0)
    score = np.asarray(gap.score(state, t))
    assert abs(score.mean()) < 0.02 and np.abs(score).mean() < 0.1
    quality = gap.evaluate(state, Pair(t, t))
    assert quality["gap_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_score_is_the_extra_logit_itself():
    """No softmax anywhere: a constant added to the extra head's last bias adds just that to the score."""
    gap = Classifier()
    state = gap.init(jax.random.key(0), SPACES)
    t = steps(np.random.default_rng(0), 16, B.source, 0.0)
    assert np.array_equal(gap.score(state, t), np.zeros(16))
    extra = state.heads["extra"]
    extra = [*extra[:-1], {**extra[-1], "b": extra[-1]["b"] + 30.0}]
    moved = state._replace(heads={**state.heads, "extra": extra})
    assert np.allclose(gap.score(moved, t), 30.0)


def test_the_action_counts_as_executed():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    t = steps(np.random.default_rng(8), 8, B.source, 0.0)
    inside, outside = t._replace(action=t.action * 0 + 5.0), t._replace(action=t.action * 0 + 50.0)
    assert np.array_equal(gap.score(state, inside), gap.score(state, outside))


def test_standardisation_is_frozen_after_a_while():
    gap = Classifier(standardise=2, batch=8)
    state = gap.init(jax.random.key(0), SPACES)
    rng, seen = np.random.default_rng(0), []
    for mean in (0.0, 0.0, 0.0, 100.0):
        batches = Pair(steps(rng, 8, B.source, mean), steps(rng, 8, B.target, mean))
        state, _ = gap.update(state, batches, jax.random.key(1))
        seen.append(float(state.inputs.mean[0]))
    assert seen[0] != seen[1] == seen[2] == seen[3]
