"""Weights of several sources against the closed form on linear-Gaussian dynamics: s' = A_k s + B_k a + noise."""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import counts_the_action_as_executed
from linear_gaussian import SPACES

from transreward.gaps.classifier import Classifier
from transreward.gaps.mixture import Mixture
from transreward.types import RequestError, Transition

pytestmark = pytest.mark.usefixtures("hurry")

STD = 0.5  # of the noise on s', in all domains
A, B = np.array([[0.8, 0.2], [-0.2, 0.8]]), np.array([[0.3], [0.5]])
# Of each domain A - A_T and B - B_T; the first source is the target's equal, whose policy is elsewhere.
APART = (
    (np.zeros((2, 2)), np.zeros((2, 1))),
    (np.array([[0.3, 0.0], [0.0, -0.2]]), np.array([[0.4], [0.0]])),
    (np.array([[0.0, 0.5], [-0.3, 0.3]]), np.array([[0.0], [-0.5]])),
)
SAME = APART[0]
MEANS, SPREADS = (0.5, -0.5, 0.0, 0.3), (1.0, 1.2, 0.8, 0.9)  # of every entry of (s, a); the target's are the last
UPDATES, ROWS = 1500, 100_000
MIXTURE = Mixture(3, Classifier(hidden=(64, 64), learning_rate=3e-3, batch=256, noise=0.0, weight_decay=0.0))


def steps(seed, apart, mean, spread, n=ROWS):
    rng = np.random.default_rng(seed)
    obs, action = rng.normal(mean, spread, (n, 2)), rng.normal(mean, spread, (n, 1))
    next_obs = obs @ (A + apart[0]).T + action @ (B + apart[1]).T + rng.normal(0, STD, (n, 2))
    none = np.zeros(n)
    return Transition(*(jnp.asarray(x, jnp.float32) for x in (obs, action, none, next_obs, none, none)))


def domains(order=(0, 1, 2), seed=0):
    """Steps [4, n, ...] of the sources in this order, and of the target."""
    of = [(APART[k], MEANS[k], SPREADS[k]) for k in order] + [(SAME, MEANS[-1], SPREADS[-1])]
    found = [steps(seed + i, *one) for i, one in enumerate(of)]
    return jax.tree.map(lambda *x: jnp.stack(x), *found)


@partial(jax.jit, static_argnums=0)
def fit(mixture, data, held_out):
    def update(state, key):
        row_key, key = jax.random.split(key)
        rows = jax.random.randint(row_key, (4, mixture.classifier.batch), 0, ROWS)
        batch = jax.tree.map(lambda x: jax.vmap(lambda one, at: one[at])(x, rows), data)
        sources, target = (jax.tree.map(lambda x, part=part: x[part], batch) for part in (slice(0, 3), 3))
        return mixture.update(state, sources, target, key), None

    state = mixture.init(jax.random.key(1), SPACES)
    state, _ = jax.lax.scan(update, state, jax.random.split(jax.random.key(2), UPDATES))
    return mixture.judge(state, held_out)


def target(seed=50):
    return steps(seed, SAME, MEANS[-1], SPREADS[-1], 4096)


@lru_cache
def trained(order=(0, 1, 2)):
    return fit(MIXTURE, domains(order), target())


def exact(apart):
    """KL of Gaussians of one covariance, |(A_T - A_k) s + (B_T - B_k) a|^2 / (2 std^2), over the target's (s, a)."""
    both = np.concatenate(apart, axis=1)
    mean, spread = both @ np.full(3, MEANS[-1]), SPREADS[-1]
    return (mean @ mean + spread**2 * np.trace(both @ both.T)) / (2 * STD**2)


DIVERGENCE = np.array([exact(apart) for apart in APART])  # 0, 0.5 and 1.2 nats a step


@pytest.mark.slow
def test_the_log_ratios_are_those_of_the_dynamics():
    """Whatever the policies visit: of source 1, which is the target's equal, nothing."""
    t = target(51)
    found = np.asarray(MIXTURE.log_ratios(trained(), t))
    for k, (a, b) in enumerate(APART):
        errors = [t.next_obs - t.obs @ (A + x * a).T - t.action @ (B + x * b).T for x in (0.0, 1.0)]
        ratio = np.asarray((errors[1] ** 2 - errors[0] ** 2).sum(-1) / (2 * STD**2))
        assert abs((found[:, k] - ratio).mean()) < 0.15
        assert np.sqrt(np.mean((found[:, k] - ratio) ** 2)) < 0.1 + 0.3 * ratio.std()
        assert k == 0 or np.corrcoef(found[:, k], ratio)[0, 1] > 0.95


@pytest.mark.slow
def test_divergences_and_weights_are_those_of_the_closed_form():
    assert DIVERGENCE[0] == 0 and 0.4 < DIVERGENCE[1] < 0.6 and 1.1 < DIVERGENCE[2] < 1.3
    state = trained()
    np.testing.assert_allclose(state.divergence, DIVERGENCE, atol=0.15)
    likely = np.exp(-DIVERGENCE) / np.exp(-DIVERGENCE).sum()
    np.testing.assert_allclose(state.weights, 0.05 / 3 + 0.95 * likely, atol=0.04)
    assert float(state.weights.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_the_order_of_the_sources_is_that_of_their_weights():
    order = (2, 0, 1)
    np.testing.assert_allclose(trained(order).weights, trained().weights[np.array(order)], atol=0.04)
    weights = np.asarray(MIXTURE.weights(DIVERGENCE))
    np.testing.assert_allclose(MIXTURE.weights(DIVERGENCE[list(order)]), weights[list(order)], atol=1e-6)


@pytest.mark.slow
def test_a_source_that_is_like_the_target_gets_nearly_all_the_weight_and_the_others_their_floor():
    sharp = Mixture(3, MIXTURE.classifier, temperature=0.1)
    weights = np.asarray(sharp.weights(trained().divergence))
    assert weights[0] > 0.95 and weights[1:] == pytest.approx(0.05 / 3, abs=0.015) and (weights >= 0.05 / 3).all()
    far = np.asarray(MIXTURE.weights(jnp.array([0.0, 50.0, 1e6])))
    assert far == pytest.approx([1 - 0.1 / 3, 0.05 / 3, 0.05 / 3], abs=1e-6)


def test_a_constant_in_the_divergences_changes_no_weight():
    """So what the classifier learned by heart of the target cancels."""
    np.testing.assert_allclose(MIXTURE.weights(DIVERGENCE + 3), MIXTURE.weights(DIVERGENCE), atol=1e-6)


def test_at_first_all_sources_count_equally():
    state = MIXTURE.init(jax.random.key(0), SPACES)
    assert np.array_equal(state.weights, np.full(3, np.float32(1 / 3)))
    judged = MIXTURE.judge(state, target())
    assert np.array_equal(judged.divergence, np.zeros(3)) and judged.weights == pytest.approx(1 / 3, abs=1e-6)


def test_the_action_counts_as_executed():
    def score(state, t):
        return MIXTURE.log_ratios(state, t)[..., 1]

    counts_the_action_as_executed(score, trained(), jax.tree.map(lambda x: x[:8], target()))


def test_two_seeds_side_by_side_are_the_two_alone():
    mixture = Mixture(3, Classifier(hidden=(8,), batch=16))
    keys, data = jax.random.split(jax.random.key(3)), [domains(seed=9 * i) for i in (1, 2)]
    data = [jax.tree.map(lambda x: x[:, :16], one) for one in data]

    def one(key, data):
        sources, own = (jax.tree.map(lambda x, part=part: x[part], data) for part in (slice(0, 3), 3))
        state = mixture.init(key, SPACES)
        for _ in range(3):
            state = mixture.update(state, sources, own, key)
        return mixture.judge(state, own)

    both = jax.jit(jax.vmap(one))(keys, jax.tree.map(lambda *x: jnp.stack(x), *data))
    for seed in range(2):
        alone = jax.jit(one)(keys[seed], data[seed])
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(both), strict=True):
            np.testing.assert_allclose(a, b[seed], rtol=2e-3, atol=2e-5)
    assert not np.array_equal(both.weights[0], both.weights[1])


@pytest.mark.parametrize("settings", [{"sources": 1}, {"sources": 3, "temperature": 0.0}, {"sources": 3, "floor": 1.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RequestError, match="two sources or more"):
        Mixture(**settings)
