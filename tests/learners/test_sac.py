"""SAC: the n-step fold against a slow reference, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward import replay as rp
from transreward.compensations.uses import untouched
from transreward.learners.sac import SAC
from transreward.types import Adjusted, Pair, RequestError, Spaces, Transition

SPACES = Spaces(2, 1, -2 * np.ones(1), 2 * np.ones(1))


def plain(batches):
    return batches.map(untouched)


def test_fold_stops_at_ends_and_bootstraps_at_truncation_only():
    sac = SAC(n_step=3, discount=0.9)
    state = sac.init(jax.random.key(0), SPACES)
    rng = np.random.default_rng(0)
    n = 64
    terminated, truncated = rng.random((n, 3)) < 0.3, rng.random((n, 3)) < 0.3
    reward = rng.normal(size=(n, 3))
    obs, next_obs = rng.normal(size=(2, n, 3, 2)) * 0.1
    t = Transition(
        *(jnp.asarray(x, jnp.float32) for x in (obs, np.zeros((n, 3, 1)), reward, next_obs, terminated, truncated))
    )
    batch = sac._fold(state, t, jnp.asarray(reward), jnp.ones((n, 3)))
    for i in range(n):
        total, k = 0.0, 0
        for k in range(3):
            total += 0.9**k * reward[i, k]
            if terminated[i, k] or truncated[i, k]:
                break
        assert batch.target_reward[i] == pytest.approx(total, abs=1e-5)
        assert np.allclose(batch.next_obs[i], next_obs[i, k], atol=1e-4)
        assert batch.discount[i] == pytest.approx(0.0 if terminated[i, k] else 0.9 ** (k + 1), abs=1e-6)


def point_mass(policy, steps, robots, seed=0):
    """x' = x + 0.1 a, reward -x^2: [1, steps, robots, features], episodes of 20 steps that are truncated."""
    rng = np.random.default_rng(seed)
    x, rows = rng.uniform(-1, 1, (robots, 1)), []
    for i in range(steps):
        obs = np.concatenate([x, x * 0], axis=1).astype(np.float32)
        action = np.asarray(policy(obs, i))
        y = x + 0.1 * np.clip(action, -2, 2)
        ended = np.full(robots, i % 20 == 19)
        after = np.concatenate([y, y * 0], axis=1)
        t = Transition(obs, action, -(y[:, 0] ** 2), after, np.zeros(robots), ended)
        rows.append(rp.pack(Transition(*map(jnp.asarray, t))))
        x = rng.uniform(-1, 1, (robots, 1)) if ended[0] else y
    return jnp.stack(rows)[None]


@pytest.fixture(scope="module")
def random_data():
    rng = np.random.default_rng(1)
    rows = point_mass(lambda obs, i: rng.uniform(-2, 2, (len(obs), 1)), 100, 16)
    return rp.add(rp.empty(SPACES, 1, 100, 16), rows)


def improve(sac, data, adjust=plain, updates=600, share=0.0, seed=0):
    state = sac.init(jax.random.key(seed), SPACES)
    one = jax.tree.map(lambda x: x, data.map(lambda r: None if r is None else r._replace(data=r.data[0])))
    state = sac.see(state, one.source.data[..., :2])
    run = jax.jit(lambda s, d, k: sac.improve(s, d, adjust, k, updates=updates, target_share=share, spaces=SPACES))
    return run(state, one, jax.random.key(seed + 1))


@pytest.mark.parametrize("n_step", [1, 3])
def test_it_learns_to_hold_a_point_mass(random_data, n_step):
    sac = SAC(hidden=(32, 32), n_step=n_step, batch=128, learning_rate=3e-3, discount=0.9)
    state, metrics = improve(sac, Pair(random_data, None))
    x = jnp.linspace(-0.8, 0.8, 9)
    action = sac.act(state, jnp.stack([x, x * 0], axis=1), None)[:, 0]
    assert np.corrcoef(x, action)[0, 1] < -0.9
    assert np.abs(action).max() <= 2.0
    assert np.isfinite(float(metrics["critic_loss"]))


def test_rows_of_weight_zero_do_not_train_the_critic(random_data):
    def poisoned(batches):
        bad = batches.source.obs[:, 0] > 0
        reward = jnp.where(bad, 1e3, batches.source.reward)
        return Pair(Adjusted(reward, jnp.where(bad, 0.0, 1.0)), untouched(batches.target))

    _, metrics = improve(SAC(hidden=(16, 16), batch=64), Pair(random_data, None), poisoned, updates=50)
    assert float(metrics["critic_loss"]) < 10.0


@pytest.mark.parametrize(("share", "reward"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)])
def test_the_share_of_target_steps_in_a_batch(random_data, share, reward):
    ones, threes = (random_data._replace(data=random_data.data.at[..., -3].set(r)) for r in (1.0, 3.0))
    sac = SAC(batch=64)
    data = Pair(ones, threes).map(lambda r: r._replace(data=r.data[0]))
    state = sac.init(jax.random.key(0), SPACES)
    batch = sac._sample(state, data, plain, jax.random.key(1), share, SPACES)
    assert float(batch.target_reward.mean()) == reward
    assert batch.obs.shape == (64, 2)


def test_seeds_under_vmap_are_the_seeds_alone(random_data):
    sac = SAC(hidden=(16, 16), batch=32)
    keys = jax.random.split(jax.random.key(3), 2)

    def run(key):
        data = Pair(random_data._replace(data=random_data.data[0]), None)
        state = sac.init(key, SPACES)
        return sac.improve(state, data, plain, key, updates=5, target_share=0.0, spaces=SPACES)[0].actor

    together = jax.vmap(run)(keys)
    for i, key in enumerate(keys):
        for a, b in zip(jax.tree.leaves(run(key)), jax.tree.leaves(together), strict=True):
            assert np.allclose(a, b[i], atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"learning_rate": 0.0}, {"discount": 1.0}, {"n_step": 0}, {"steps_per_update": -1.0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RequestError):
        SAC(**wrong)
