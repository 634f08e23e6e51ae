"""SAC: the n-step fold and the losses against NumPy, and that it learns."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward import replay as rp
from transreward.learners.batch import Batch, draw, fold
from transreward.learners.sac import SAC
from transreward.types import Adjusted, Pair, Peer, RequestError, Shaping, Spaces, Steps, Transition

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(2, 1, -2 * np.ones(1), 2 * np.ones(1))


def raw(t):
    return Adjusted(t.reward, jnp.ones_like(t.reward))


def plain(batches):
    return batches.map(raw)


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
    weight = rng.random((n, 3))
    of_target = jnp.arange(n) < 9
    batch = fold(state, t, jnp.asarray(reward), jnp.asarray(weight), of_target, sac.discount)
    assert np.array_equal(batch.of_target, of_target) and np.array_equal(batch.step.next_obs, t.next_obs[:, 0])
    np.testing.assert_allclose(batch.weight, weight[:, 0], rtol=1e-6)  # a window counts as its first step does
    for i in range(n):
        total, k = 0.0, 0
        for k in range(3):
            total += 0.9**k * reward[i, k]
            if terminated[i, k] or truncated[i, k]:
                break
        assert batch.target_reward[i] == pytest.approx(total, abs=1e-5)
        assert np.allclose(batch.next_obs[i], next_obs[i, k], atol=1e-4)
        assert batch.discount[i] == pytest.approx(0.0 if terminated[i, k] else 0.9 ** (k + 1), abs=1e-6)


SMALL = SAC(hidden=(3,), learning_rate=0.01, target_entropy=-0.5, polyak=0.25, alpha_start=0.3)


@pytest.fixture(scope="module")
def small():
    """A state of random networks, a batch of 8 steps, and noise."""
    rng = np.random.default_rng(26)  # with it each critic is the lower one of some rows
    state = SMALL.init(jax.random.key(0), SPACES)
    networks = (state.actor, state.critics, state.slow_critics)
    actor, critics, slow = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), networks)
    obs, action, reward, next_obs, discount, weight, noise = (
        jnp.asarray(rng.uniform(-1, 1, size), jnp.float32) for size in [(8, 2), (8, 1), 8, (8, 2), 8, 8, (8, 1)]
    )
    step = Transition(obs, action, reward, next_obs, jnp.zeros(8), jnp.zeros(8))
    batch = Batch(obs, action, reward, next_obs, jnp.abs(discount), jnp.abs(weight), step, next_obs, jnp.arange(8) > 4)
    return state._replace(actor=actor, critics=critics, slow_critics=slow), batch, noise


def dense(layers, x):
    """A network of one hidden layer in NumPy; `layers` may have a leading axis of networks."""
    first, last = ({k: np.asarray(v, np.float64) for k, v in layer.items()} for layer in layers)
    x = np.maximum(x @ first["w"] + first["b"][..., None, :], 0)
    return x @ last["w"] + last["b"][..., None, :]


def drawn(actor, obs, noise):
    """Actions of the squashed normal and their log density, by its definition."""
    mean, raw = np.split(dense(actor, obs), 2, axis=-1)
    std = np.exp(-5 + 7 * (np.tanh(raw) + 1) / 2)
    action = np.tanh(mean + std * noise)
    density = np.exp(-(noise**2) / 2) / (std * np.sqrt(2 * np.pi)) / (1 - action**2)
    return action, np.log(density).sum(axis=-1)


def q_values(critics, obs, action):
    found = dense(critics, np.concatenate([obs, action], axis=-1))[..., 0]
    assert len(set(found.argmin(axis=0))) == 2  # or min and max could not be told from one critic alone
    return found


def test_the_critics_target_is_the_lower_slow_critic_plus_entropy(small):
    state, b, noise = small
    action, log_prob = drawn(state.actor, b.next_obs, noise)
    soft = q_values(state.slow_critics, b.next_obs, action).min(axis=0) - 0.3 * log_prob
    found = jax.jit(SMALL.critic_target)(state, state.slow_critics, b, noise)
    np.testing.assert_allclose(found, b.target_reward + b.discount * soft, rtol=1e-4)


def test_the_actors_loss_is_its_cost_in_entropy_less_the_lower_critic(small):
    state, b, noise = small
    action, log_prob = drawn(state.actor, b.obs, noise)
    expected = np.mean(0.3 * log_prob - q_values(state.critics, b.obs, action).min(axis=0))
    found, mean_log_prob = jax.jit(SMALL.actor_loss)(state.actor, state, state.critics, b, noise)
    assert found == pytest.approx(expected, rel=1e-4) and mean_log_prob == pytest.approx(log_prob.mean(), rel=1e-4)


def test_the_value_of_actions_is_the_lower_critics_in_the_domains_units(small):
    state, b, _ = small
    found = jax.jit(SMALL.q)(state, b.obs, 2 * b.action)
    np.testing.assert_allclose(found, q_values(state.critics, b.obs, b.action).min(axis=0), rtol=1e-4)


def says(obs, action):
    """Another agent's critic, of actions within +-2."""
    return 1.5 * obs[..., 0] - obs[..., 1] + 0.5 * action[..., 0] ** 2


def test_a_peers_share_is_what_both_critics_errors_say(small):
    state, b, noise = small
    after, _ = drawn(state.actor, b.next_obs, noise)
    own = q_values(state.critics, b.obs, b.action).min(axis=0)
    own -= b.target_reward + b.discount * q_values(state.critics, b.next_obs, after).min(axis=0)
    its = says(b.obs, 2 * b.action) - b.target_reward - b.discount * says(b.next_obs, 2 * after)
    own, its = np.abs(own).mean(), np.abs(its).mean()
    weighed = jax.jit(lambda most: SMALL.weighed(state, b, noise, Peer(says, most))[1])
    for most in (1.0, 0.5):
        metrics = weighed(most)
        assert metrics["own_error"] == pytest.approx(own, rel=1e-4)
        assert metrics["source_error"] == pytest.approx(its, rel=1e-4)
        assert metrics["source_share"] == pytest.approx(most * own / (own + its), rel=1e-4)


def test_a_peer_that_is_right_has_all_and_one_that_is_absurd_nothing(small):
    state, b, noise = small
    after, _ = drawn(state.actor, b.next_obs, noise)
    right = b._replace(target_reward=says(b.obs, 2 * b.action) - b.discount * says(b.next_obs, 2 * after))
    peer, metrics = SMALL.weighed(state, right, noise, Peer(says))
    assert peer.share == pytest.approx(1.0, abs=1e-5) and metrics["source_error"] < 1e-5
    peer, metrics = SMALL.weighed(state, b, noise, Peer(lambda obs, action: 1e12 * says(obs, action)))
    assert 0 <= peer.share < 1e-10 and metrics["source_error"] > 1e10


def test_the_actor_follows_both_critics_by_the_peers_share(small):
    state, b, noise = small
    action, log_prob = drawn(state.actor, b.obs, noise)
    own = q_values(state.critics, b.obs, action).min(axis=0)
    for share in (0.0, 0.3, 1.0):
        expected = np.mean(0.3 * log_prob - (1 - share) * own - share * np.asarray(says(b.obs, 2 * action)))
        shaping = Shaping(peer=Peer(says, share))
        found, _ = SMALL.actor_loss(state.actor, state, state.critics, b, noise, shaping)
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_critics_never_learn_from_a_peer(small):
    """Nor does the temperature, in its first step; the share is of the critics before they learn from the batch."""
    state, b, noise = small
    key = jax.random.key(3)
    (plain, alone), (mixed, metrics) = (
        jax.jit(lambda state, peer=peer: SMALL._update(state, b, key, Shaping(peer=peer)))(state)
        for peer in (None, Peer(says))
    )
    noise = [jax.random.normal(k, b.action.shape) for k in jax.random.split(key, 4)[:2]]
    peer, told = SMALL.weighed(state, b, noise[0], Peer(says))
    np.testing.assert_allclose([metrics[name] for name in told], list(told.values()), rtol=1e-5)
    assert metrics.keys() - alone.keys() == told.keys()
    for part in ("critics", "slow_critics", "log_alpha"):
        for one, other in zip(*(jax.tree.leaves(getattr(s, part)) for s in (plain, mixed)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    followed = SMALL.actor_loss(state.actor, state, plain.critics, b, noise[1], Shaping(peer=peer))[0]
    assert metrics["actor_loss"] == pytest.approx(float(followed), rel=1e-4)
    assert abs(metrics["actor_loss"] - alone["actor_loss"]) > 0.01


def test_the_critics_loss_is_weighted(small):
    state, b, noise = small
    q = q_values(state.critics, b.obs, b.action)
    found, mean = jax.jit(SMALL.critic_loss)(state.critics, state, b, noise[:, 0])
    expected = np.sum(np.mean(np.asarray(b.weight) * (q - np.asarray(noise[:, 0])) ** 2, axis=1)) / 2
    assert found == pytest.approx(expected, rel=1e-4) and mean == pytest.approx(q.mean(), rel=1e-3)


def test_the_temperature_rises_while_the_entropy_is_below_its_target(small):
    for log_prob, way in ((0.6, 1.0), (0.4, -1.0)):  # the entropy is -log_prob, and its target -0.5
        loss = [SMALL.temperature_loss(jnp.float32(x), small[0], jnp.float32(log_prob)) for x in (2.0, 3.0)]
        assert np.sign(loss[0] - loss[1]) == way and loss[0] == pytest.approx(-2.0 * (log_prob - 0.5), rel=1e-5)


def test_an_update_bootstraps_from_the_slow_critics_and_moves_them_by_polyak(small):
    """Critics that say the same everywhere: 1 and 2 the fresh ones, 5 and 7 the slow ones; and hardly a temperature,
    which rises, for no policy has an entropy of 100. Adam's first step is its rate."""
    state, b, _ = small

    def saying(*values):
        return [jax.tree.map(jnp.zeros_like, state.critics[0]),
                {"w": jnp.zeros((2, 3, 1)), "b": jnp.asarray(values)[:, None]}]  # fmt: skip

    state = state._replace(critics=saying(1.0, 2.0), slow_critics=saying(5.0, 7.0), log_alpha=jnp.float32(-50.0))
    update = jax.jit(replace(SMALL, target_entropy=100.0)._update)
    after, metrics = jax.tree.map(np.asarray, update(state, b, jax.random.key(3)))
    weight, target = np.asarray(b.weight), np.asarray(b.target_reward + 5.0 * b.discount)
    expected = sum(np.mean(weight * (q - target) ** 2) / 2 for q in (1.0, 2.0))
    assert metrics["critic_loss"] == pytest.approx(expected, rel=1e-5)
    fresh = np.array([1.0, 2.0]) - 0.01 * np.sign([np.mean(weight * (q - target)) for q in (1.0, 2.0)])
    np.testing.assert_allclose(after.critics[-1]["b"][:, 0], fresh, rtol=1e-5)
    np.testing.assert_allclose(after.slow_critics[-1]["b"][:, 0], 0.75 * np.array([5.0, 7.0]) + 0.25 * fresh, rtol=1e-5)
    assert after.log_alpha == pytest.approx(-50.0 + 0.01)


def test_the_actor_and_the_temperature_have_a_rate_of_their_own(small):
    """Adam's first step is its rate."""
    state, b, _ = small
    sac = replace(SMALL, actor_rate=1e-4)
    after, _ = jax.jit(sac._update)(state, b, jax.random.key(3))

    def moved(name):
        pairs = zip(jax.tree.leaves(getattr(after, name)), jax.tree.leaves(getattr(state, name)), strict=True)
        return max(float(jnp.abs(a - b).max()) for a, b in pairs)

    assert moved("critics") == pytest.approx(0.01, rel=1e-2)
    assert moved("actor") == pytest.approx(1e-4, rel=1e-2) and moved("log_alpha") == pytest.approx(1e-4, rel=1e-2)


def point_mass(policy, steps, robots, seed=0):
    """x' = x + 0.1 a, reward -x^2: steps [1, steps, robots], episodes of 20 steps that are truncated."""
    rng = np.random.default_rng(seed)
    x, taken = rng.uniform(-1, 1, (robots, 1)), []
    for i in range(steps):
        obs = np.concatenate([x, x * 0], axis=1).astype(np.float32)
        action = np.asarray(policy(obs, i))
        y = x + 0.1 * np.clip(action, -2, 2)
        ended = np.full(robots, i % 20 == 19)
        after = np.concatenate([y, y * 0], axis=1)
        taken.append(Transition(obs, action, -(y[:, 0] ** 2), after, np.zeros(robots), ended))
        x = rng.uniform(-1, 1, (robots, 1)) if ended[0] else y
    t = Transition(*(np.stack(column)[None] for column in zip(*taken, strict=True)))
    return Steps(t, np.empty((*t.reward.shape, 0)), np.zeros(t.reward.shape, int))


@pytest.fixture(scope="module")
def random_data():
    rng = np.random.default_rng(1)
    return rp.of(point_mass(lambda obs, i: rng.uniform(-2, 2, (len(obs), 1)), 100, 16), SPACES)


def one_seed(replay):
    return replace(replay, data=replay.data[0])


def improve(sac, data, adjust=plain, updates=600, share=0.0, seed=0):
    state = sac.init(jax.random.key(seed), SPACES)
    one = data.map(lambda r: None if r is None else one_seed(r))
    state = sac.see(state, rp.in_order(data.source).transition.obs[0])
    run = jax.jit(lambda s, d, k: sac.improve(s, rp.windows(d, share, SPACES), adjust, Shaping(), k, updates=updates))
    return run(state, one, jax.random.key(seed + 1))


@pytest.mark.parametrize("n_step", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_it_learns_to_hold_a_point_mass(random_data, n_step):
    sac = SAC(hidden=(32, 32), n_step=n_step, batch=128, learning_rate=3e-3, discount=0.9)
    state, metrics = improve(sac, Pair(random_data, None))
    x = jnp.linspace(-0.8, 0.8, 9)
    action = sac.act(state, jnp.stack([x, x * 0], axis=1), None)[:, 0]
    assert np.corrcoef(x, action)[0, 1] < -0.9
    assert np.abs(action).max() <= 2.0
    assert np.isfinite(float(metrics["critic_loss"]))


@pytest.mark.parametrize(("settings", "done", "moves"), [
    ({"policy_delay": 2}, 0.0, 4), ({"policy_delay": 8}, 0.0, 1), ({"actor_wait": 0.2}, 0.1, 0),
    ({"actor_wait": 0.2, "policy_delay": 4}, 0.2, 2),
])  # fmt: skip
def test_the_actor_moves_less_often_than_the_critics_or_waits(random_data, settings, done, moves):
    """While it waits not a bit of the policy changes, and the critics learn."""
    sac = SAC(hidden=(4,), batch=16, burst=8, **settings)
    before, data = sac.init(jax.random.key(0), SPACES), Pair(one_seed(random_data), None)
    sample = rp.windows(data, 0.0, SPACES)
    run = jax.jit(lambda s, done: sac.improve(s, sample, plain, Shaping(), jax.random.key(1), updates=8, done=done))
    after, metrics = run(before, done)
    actor, critics, temperature = (int(optimiser[0].count) for optimiser in after.optimisers)
    assert (actor, critics, temperature) == (moves, 8, moves)
    still = jax.tree.all(jax.tree.map(np.array_equal, before.actor, after.actor))
    assert still == (moves == 0) and (after.log_alpha == before.log_alpha) == (moves == 0)
    assert not np.array_equal(before.critics[0]["w"], after.critics[0]["w"])
    assert (metrics["actor_loss"] != 0) == (moves > 0)


def test_rows_of_weight_zero_do_not_train_the_critic(random_data):
    def poisoned(batches):
        bad = batches.source.obs[:, 0] > 0
        reward = jnp.where(bad, 1e3, batches.source.reward)
        return Pair(Adjusted(reward, jnp.where(bad, 0.0, 1.0)), raw(batches.target))

    _, metrics = improve(SAC(hidden=(16, 16), batch=64), Pair(random_data, None), poisoned, updates=50)
    assert float(metrics["critic_loss"]) < 10.0


@pytest.mark.parametrize(("share", "reward"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)])
def test_the_share_of_target_steps_in_a_batch(random_data, share, reward):

    def paid(reward):
        def pay(steps):
            return steps._replace(transition=steps.transition._replace(reward=np.full_like(steps.domain, reward)))

        return one_seed(rp.changed(random_data, pay))

    sac = SAC(batch=64)
    data = Pair(paid(1.0), paid(3.0))
    state = sac.init(jax.random.key(0), SPACES)
    batch = draw(state, rp.windows(data, share, SPACES), plain, jax.random.key(1), sac.batch, sac.n_step, sac.discount)
    assert float(batch.target_reward.mean()) == reward
    assert batch.obs.shape == (64, 2)


def test_a_share_of_target_steps_that_moves_is_one_program(random_data):
    """And each side's steps are compensated among their own kind, a whole batch of them."""

    def paid(batches):
        assert batches.source.reward.shape == batches.target.reward.shape == (64 * 2,)
        return Pair(
            *(Adjusted(jnp.full_like(t.reward, 10.0 * i), jnp.ones_like(t.reward)) for i, t in enumerate(batches))
        )

    sac = SAC(batch=64, n_step=2, discount=0.0)
    data, compiled = Pair(one_seed(random_data), one_seed(random_data)), []
    state = sac.init(jax.random.key(0), SPACES)

    @jax.jit
    def rewards(share):
        compiled.append(share)
        sample = rp.windows(data, share, SPACES)
        return draw(state, sample, paid, jax.random.key(1), sac.batch, sac.n_step, sac.discount).target_reward

    for share, of_target in ((0.0, 0), (0.25, 16), (0.501, 32), (1.0, 64)):
        assert rewards(jnp.float32(share)).tolist() == [0.0] * (64 - of_target) + [10.0] * of_target
    assert len(compiled) == 1


@pytest.mark.slow
def test_seeds_under_vmap_are_the_seeds_alone(random_data):
    sac = SAC(hidden=(16, 16), batch=32)
    keys = jax.random.split(jax.random.key(3), 2)

    def run(key):
        data = Pair(one_seed(random_data), None)
        state = sac.init(key, SPACES)
        return sac.improve(state, rp.windows(data, 0.0, SPACES), plain, Shaping(), key, updates=5)[0].actor

    together = jax.vmap(run)(keys)
    for i, key in enumerate(keys):
        for a, b in zip(jax.tree.leaves(run(key)), jax.tree.leaves(together), strict=True):
            assert np.allclose(a, b[i], atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0}, {"learning_rate": 0.0}, {"discount": 1.0}, {"n_step": 0}, {"steps_per_update": -1.0},
        {"actor_rate": -1e-5}, {"policy_delay": 0}, {"policy_delay": 3, "burst": 32}, {"actor_wait": 1.0},
        {"warmup_share": 1.0}, {"polyak": 0.0}, {"polyak": 1.01},
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RequestError):
        SAC(**wrong)
