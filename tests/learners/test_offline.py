"""Learners of steps that are there: losses against NumPy, what they learn where the best is known, and weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward import replay as rp
from transreward.learners import LEARNERS
from transreward.learners.batch import Batch
from transreward.learners.bc import BC
from transreward.learners.iql import IQL
from transreward.learners.td3_bc import TD3BC
from transreward.types import Adjusted, Pair, RequestError, Shaping, Spaces, Steps, Transition

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(2, 1, np.zeros(1), 4 * np.ones(1))
KINDS = [IQL, TD3BC, BC]
NONE = Shaping()


def dense(layers, x):
    """A network of one hidden layer in NumPy; `layers` may have a leading axis of networks."""
    first, last = ({k: np.asarray(v, np.float64) for k, v in layer.items()} for layer in layers)
    x = np.maximum(x @ first["w"] + first["b"][..., None, :], 0)
    return x @ last["w"] + last["b"][..., None, :]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def made(request):
    """A learner, a state of random networks with rewards of size 2, and a batch of 8 steps, one of weight 0."""
    rng, learner = np.random.default_rng(1), request.param(hidden=(3,), batch=8)
    state = learner.init(jax.random.key(0), SPACES)

    def drawn(tree):
        return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), tree)

    state = state._replace(params=drawn(state.params), slow=drawn(state.slow), unit=jnp.asarray(2.0))
    obs, action, reward, next_obs, discount, weight = (
        jnp.asarray(rng.uniform(-0.9, 0.9, size), jnp.float32) for size in [(8, 2), (8, 1), 8, (8, 2), 8, 8]
    )
    weight = jnp.abs(weight).at[3].set(0.0)
    step = Transition(obs, action, reward, next_obs, jnp.zeros(8), jnp.zeros(8))
    return (
        learner,
        state,
        Batch(obs, action, reward, next_obs, jnp.abs(discount), weight, step, next_obs, jnp.zeros(8, bool)),
    )


def q(critics, obs, action):
    return dense(critics, np.concatenate([obs, action], axis=-1))[..., 0]


def log_density(actor, b):
    mean, std = np.tanh(dense(actor["layers"], b.obs)), np.exp(np.asarray(actor["log_std"], np.float64))
    return np.log(np.exp(-(((b.action - mean) / std) ** 2) / 2) / std / np.sqrt(2 * np.pi)).sum(axis=-1)


@pytest.mark.parametrize("made", [IQL], indirect=True)
def test_iqls_losses_are_the_papers(made):
    learner, state, b = made
    batch, b = b, jax.tree.map(np.asarray, b)
    params, counts = state.params, np.asarray(b.weight) > 0
    value = dense(params["value"], b.obs)[..., 0]
    advantage = q(state.slow["critics"], b.obs, b.action).min(axis=0) - value
    expectile = np.abs(0.7 - (advantage < 0)) * advantage**2
    target = b.target_reward / 2.0 + b.discount * dense(params["value"], b.next_obs)[..., 0]
    critics = ((q(params["critics"], b.obs, b.action) - target) ** 2).sum(axis=0) * b.weight
    actor = np.minimum(np.exp(3.0 * advantage), 100.0) * -log_density(params["actor"], b)
    total, told = learner.losses(params, state, batch, NONE)
    assert told["value_loss"] == pytest.approx(expectile[counts].mean(), rel=1e-4)
    assert told["critic_loss"] == pytest.approx(critics.sum() / counts.sum(), rel=1e-4)
    assert told["actor_loss"] == pytest.approx(actor[counts].mean(), rel=1e-4)
    drawn, _ = learner.losses(params, state, batch, Shaping(draw=lambda obs, action: 3.0 * action[..., 0]))
    mode = 2.0 + 2.0 * np.tanh(dense(params["actor"]["layers"], b.obs))[..., 0]  # of the box [0, 4]
    assert drawn - total == pytest.approx(3.0 * mode[counts].mean(), rel=1e-3)


@pytest.mark.parametrize("made", [TD3BC], indirect=True)
def test_td3_bcs_losses_are_the_papers(made):
    learner, state, b = made
    batch, b = b, jax.tree.map(np.asarray, b)
    counts, noise = np.asarray(b.weight) > 0, np.linspace(-4, 4, 8)[:, None]
    follows = np.tanh(dense(state.slow["actor"]["layers"], b.next_obs)) + np.clip(0.2 * noise, -0.5, 0.5)
    worth = q(state.slow["critics"], b.next_obs, np.clip(follows, -1, 1)).min(axis=0)
    target = b.target_reward / 2.0 + b.discount * worth
    expected = ((q(state.params["critics"], b.obs, b.action) - target) ** 2).sum(axis=0) * b.weight
    found = learner.critic_loss(state.params["critics"], state, batch, jnp.asarray(noise, jnp.float32))
    assert found == pytest.approx(expected.sum() / counts.sum(), rel=1e-4)
    mode = np.tanh(dense(state.params["actor"]["layers"], b.obs))
    first = q(state.params["critics"], b.obs, mode)[0]
    expected = -2.5 * first / np.abs(first)[counts].mean() + ((mode - b.action) ** 2).mean(axis=-1)
    found = learner.actor_loss(state.params["actor"], state, batch, NONE)
    assert found == pytest.approx(expected[counts].mean(), rel=1e-4)


def test_a_step_of_weight_0_counts_nowhere(made):
    learner, state, b = made
    other = jax.tree.map(lambda x: x.at[3].set(jnp.asarray(0.5, x.dtype)), b._replace(weight=jnp.zeros(8)))._replace(
        weight=b.weight
    )
    found = [learner.update(state, batch, jax.random.key(2), NONE, jnp.asarray(1))[0].params for batch in (b, other)]
    for one, another in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, another, atol=1e-6)


def bandit(seed=0, n=4000):
    """Steps of one state, whose reward is largest at the action 3 of [0, 4] and which were taken around 2."""
    rng = np.random.default_rng(seed)
    action = np.clip(rng.normal(2.0, 0.7, (n, 1)), 0, 4)
    reward, obs = 10.0 - 10.0 * np.abs(action[:, 0] - 3.0), np.zeros((n, 2))
    t = Transition(*(x[None, :, None].astype(np.float32) for x in (obs, action, reward, obs, np.ones(n), np.zeros(n))))
    return rp.of(Steps(t, np.empty((1, n, 1, 0), np.float32), np.zeros((1, n, 1), np.int32)), SPACES)


def learned(learner, data, weights=None, updates=600):
    one = replace(data, data=data.data[0])

    def adjust(batches):
        def paid(t):
            weight = jnp.ones_like(t.reward) if weights is None else weights(t)
            return Adjusted(t.reward, weight)

        return batches.map(paid)

    def improve(state, key):
        sample = rp.windows(Pair(one, None), 0.0, SPACES)
        return learner.improve(state, sample, adjust, NONE, key, updates=updates)

    return jax.jit(improve)(learner.init(jax.random.key(0), SPACES), jax.random.key(1))


@pytest.mark.slow
def test_the_best_of_the_actions_taken_is_found_and_cloning_takes_their_mean():
    learners = [kind(hidden=(32,), learning_rate=3e-3, batch=128, updates=600) for kind in KINDS]
    modes, states = {}, {}
    for learner in learners:
        states[learner.name], metrics = learned(learner, bandit())
        assert all(np.isfinite(x) for x in metrics.values())
        modes[learner.name] = float(learner.act(states[learner.name], jnp.zeros((1, 2)), None)[0, 0])
    assert modes["bc"] == pytest.approx(2.0, abs=0.15)
    assert 2.4 < modes["iql"] < 3.3 and 2.3 < modes["td3_bc"] < 3.3
    for learner in learners[:2]:  # values are in units of the raw reward
        obs, action = jnp.zeros((2, 2)), jnp.asarray([[3.0], [2.0]])
        np.testing.assert_allclose(learner.q(states[learner.name], obs, action), [10.0, 0.0], atol=3.0)
    assert 0.0 < float(learners[0].value(states["iql"], jnp.zeros(2))) < 9.0  # above the mean, which is -1


def test_weights_choose_what_is_imitated():
    learner = BC(hidden=(8,), learning_rate=3e-3, batch=128, updates=600)
    state, _ = learned(learner, bandit(), lambda t: (t.action[..., 0] < 1.5).astype(jnp.float32))
    assert float(learner.act(state, jnp.zeros((1, 2)), None)[0, 0]) < 1.5


def test_actions_stay_in_the_box_and_noise_moves_them(made):
    learner, state, _ = made
    obs, noise = np.random.default_rng(0).normal(size=(2, 50, 1))
    obs = jnp.asarray(np.repeat(obs, 2, axis=-1), jnp.float32)
    still, moved = learner.act(state, obs, None), learner.act(state, obs, jnp.asarray(3 * noise, jnp.float32))
    assert np.all((moved >= 0) & (moved <= 4)) and not np.allclose(still, moved)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["batch", "updates", "burst", "learning_rate", "hidden", "discount"])
def test_settings_out_of_range_are_refused(kind, field):
    value = {"hidden": (), "discount": 1.0}.get(field, 0)
    with pytest.raises(RequestError, match=f"offline.{field}"):
        kind(**{field: value})


def test_the_actor_moves_as_often_as_the_delay_says():
    """In bursts of one update it never did."""
    for burst, delay in ((1, 2), (100, 3)):
        with pytest.raises(RequestError, match=f"offline.policy_delay must divide offline.burst, {burst}, not {delay}"):
            TD3BC(burst=burst, policy_delay=delay)
    state, _ = learned(TD3BC(hidden=(3,), batch=4, burst=6, policy_delay=3, updates=6), bandit(), updates=6)
    assert [int(state.optimisers[name][0].count) for name in ("critics", "actor")] == [6, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_advice_that_it_would_not_follow_is_refused(kind):
    assert LEARNERS[kind.name] is kind and kind.offline
    learner = kind(hidden=(3,))
    with pytest.raises(RequestError, match="follows no advice"):
        learner.improve(
            learner.init(jax.random.key(0), SPACES), None, None, Shaping(floor=lambda s, a: s), None, updates=1
        )
