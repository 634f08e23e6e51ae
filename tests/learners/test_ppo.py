"""PPO: its estimates against plain NumPy, its contract, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.learners.ppo import PPO, Samples, _shuffled, gae
from transreward.types import Adjusted, RequestError, Spaces, Transition

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(3, 2, np.array([-1.0, 0.0], np.float32), np.array([1.0, 4.0], np.float32))
SMALL = PPO(robots=4, rollout_steps=16, epochs=2, minibatches=4, hidden=(8,))
ONE_STEP = replace(SMALL, epochs=1, minibatches=1, discount=0.9, initial_log_std=-0.5)


def plain(rows):
    """The raw reward, every row counting fully."""
    return Adjusted(rows.reward, jnp.ones_like(rows.reward))


def rollout(seed=0, steps=SMALL.rollout_steps, robots=SMALL.robots):
    """Random rows in which episodes end both ways."""
    random = np.random.default_rng(seed)
    normal = lambda *shape: random.standard_normal((steps, robots, *shape)).astype(np.float32)  # noqa: E731
    ends = random.random((steps, robots))
    return Transition(normal(3), normal(2), normal(), normal(3), ends < 0.1, ends > 0.9)


@partial(jax.jit, static_argnums=0)
def learn(learner, state, data, key):
    return learner.learn(state, data, plain, key)


@partial(jax.jit, static_argnums=0)
def act(learner, state, obs, key):
    noise = None if key is None else jax.random.normal(key, (*obs.shape[:-1], state.centre.shape[0]))
    return learner.act(state, obs, noise)


def seeds_of(learner, n, spaces=SPACES):
    return jax.vmap(lambda k: learner.init(k, spaces))(jax.random.split(jax.random.key(0), n))


def assert_close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def parameters_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


# -- advantages ---------------------------------------------------------------------------------------------------


def slow_gae(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    """The definition, written as sums: lambda-weighted errors up to the end of the episode or the rollout."""
    steps, robots = reward.shape
    out = np.zeros_like(reward)
    for robot in range(robots):
        for start in range(steps):
            for t in range(start, steps):
                follows = 0.0 if terminated[t, robot] else next_value[t, robot]
                error = reward[t, robot] + discount * follows - value[t, robot]
                out[start, robot] += (discount * gae_lambda) ** (t - start) * error
                if terminated[t, robot] or truncated[t, robot]:
                    break
    return out


def test_gae_is_its_definition():
    random = np.random.default_rng(1)
    reward, value, next_value = random.standard_normal((3, 40, 5))
    terminated, truncated = random.random((2, 40, 5)) < 0.08
    assert (terminated[:-1].any(), truncated[:-1].any()) == (True, True)
    arrays = (reward, value, next_value, terminated, truncated)
    np.testing.assert_allclose(gae(*arrays, 0.97, 0.9), slow_gae(*arrays, 0.97, 0.9), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("end", "advantage"), [("none", 16.0), ("truncated", 11.0), ("terminated", 1.0)])
def test_the_successors_value_counts_unless_the_task_ended(end, advantage):
    # Two steps with discount and lambda 1: rewards 1 and 1, values 0, successors worth 10 and 4. The first error is
    # 1 + 10 unless the task ended there, and the second, 1 + 4, belongs to it unless the episode did.
    reward, value, next_value = np.ones((2, 1)), np.zeros((2, 1)), np.array([[10.0], [4.0]])
    terminated, truncated = (np.array([[end == name], [False]]) for name in ("terminated", "truncated"))
    assert gae(reward, value, next_value, terminated, truncated, 1.0, 1.0)[0, 0] == advantage


def test_improve_bootstraps_where_the_clock_ended_the_episode_and_not_where_the_task_did():
    # The successor's observation may matter to learning only if its value counts.
    state, key = SMALL.init(jax.random.key(0), SPACES), jax.random.key(1)
    for field, matters in (("terminated", False), ("truncated", True)):
        data = rollout()._replace(terminated=np.zeros((16, 4), bool), truncated=np.zeros((16, 4), bool))
        getattr(data, field)[7, 2] = True
        elsewhere = data.next_obs.copy()
        elsewhere[7, 2] += 1.0
        before, _ = learn(SMALL, state, data, key)
        after, _ = learn(SMALL, state, data._replace(next_obs=elsewhere), key)
        assert parameters_equal(before, after) != matters


# -- the losses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [64, 1000])
def test_every_epoch_sees_every_sample_in_a_new_order(n):
    first, second = (np.asarray(_shuffled(jax.random.key(i), n)) for i in range(2))
    np.testing.assert_array_equal(np.sort(first), np.arange(n))
    assert abs(np.corrcoef(first, np.arange(n))[0, 1]) < 0.3
    assert (first != second).mean() > 0.9


def test_a_rollout_that_its_minibatches_do_not_divide_is_learned_from():
    """As the last of a budget may be: of each epoch fewer samples than there are minibatches are left over."""
    data = rollout(steps=SMALL.rollout_steps + 1, robots=1)
    assert len(data.reward) % SMALL.minibatches
    state = SMALL.init(jax.random.key(0), SPACES)
    after, metrics = learn(SMALL, state, data, jax.random.key(1))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after, metrics)))
    assert not parameters_equal(state, after)


def test_the_surrogate_is_clipped_only_where_it_would_gain():
    # Schulman et al. 2017, figure 1, at ratios 1/2 and 2: the lesser of r A and clip(r) A
    networks = ONE_STEP.init(jax.random.key(0), SPACES).networks
    obs, action = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
    ratio, advantage = np.array([0.5, 2.0, 0.5, 2.0]), np.array([1.0, 1.0, -1.0, -1.0])
    log_prob = -2 * (0.9189385 - 0.5) - np.log(ratio)  # the mean at 0 has density (sqrt(2 pi) std)^-2
    samples = Samples(obs, action, log_prob, advantage, np.zeros(4), np.ones(4))
    _, metrics = ONE_STEP.loss(networks, samples)
    assert metrics["policy_loss"] == pytest.approx(-np.mean([0.5, 1.2, -0.8, -2.0]), abs=1e-3)
    assert metrics["clip_fraction"] == 1


def test_the_critic_learns_the_return():
    # every step ends its task and pays 3 or 5, told by the observation's sign
    learner = replace(SMALL, learning_rate=2e-2, normalise_reward=False, max_grad_norm=10.0)
    state, data = learner.init(jax.random.key(0), SPACES), rollout()
    data = data._replace(reward=4 + np.sign(data.obs[..., 0]), terminated=np.ones_like(data.terminated))
    for i in range(40):
        own = data._replace(action=act(learner, state, data.obs, jax.random.key(i)))
        state, _ = learn(learner, state, own, jax.random.key(i))
    np.testing.assert_allclose(learner.value(state, data.obs).mean(), data.reward.mean(), atol=0.3)


# -- compensation -------------------------------------------------------------------------------------------------


def test_rows_of_weight_zero_do_not_move_the_update():
    learner = replace(SMALL, normalise_reward=False)
    state, key = learner.init(jax.random.key(0), SPACES), jax.random.key(1)
    counts = np.broadcast_to(np.array([1, 1, 0, 1], np.float32), (16, 4)).ravel()  # the third robot is out

    @jax.jit
    def improve(data, weight):
        return learner.learn(state, data, lambda rows: Adjusted(rows.reward, weight), key)[0].networks

    data = rollout()
    reward, action = data.reward.copy(), data.action.copy()
    reward[:, 2] += 3.0
    action[:, 2] *= -2.0
    changed = data._replace(reward=reward, action=action)
    assert_close(improve(data, counts), improve(changed, counts), atol=1e-6)
    assert not parameters_equal(improve(data, np.ones(64)), improve(changed, np.ones(64)))
    assert not parameters_equal(improve(data, counts), improve(data, np.ones(64)))
    nothing = improve(data, np.zeros(64))
    assert parameters_equal(nothing, state.networks)


def test_the_adjusted_reward_replaces_the_raw_one():
    state, key, data = SMALL.init(jax.random.key(0), SPACES), jax.random.key(1), rollout()
    paid = np.random.default_rng(3).standard_normal(data.reward.shape).astype(np.float32)

    @jax.jit
    def improve(reward, paid):
        adjust = lambda rows: Adjusted(rows.reward + paid.ravel(), jnp.ones_like(rows.reward))  # noqa: E731
        return SMALL.learn(state, data._replace(reward=reward), adjust, key)[0]

    assert_close(improve(data.reward, paid), improve(data.reward + paid, 0 * paid), rtol=1e-5, atol=1e-6)
    assert not parameters_equal(improve(data.reward, paid), improve(data.reward, 0 * paid))


# -- the contract -------------------------------------------------------------------------------------------------


TRACES = []


@jax.jit
def learn_together(states, data, keys):
    TRACES.append("once for each compilation")
    return jax.vmap(partial(SMALL.learn, adjust=plain))(states, data, key=keys)


def test_two_seeds_together_are_two_runs():
    states, keys = seeds_of(SMALL, 2), jax.random.split(jax.random.key(7), 2)
    data = jax.tree.map(lambda *x: np.stack(x), rollout(0), rollout(1))
    together, metrics = learn_together(states, data, keys)
    for i in range(2):
        one = jax.tree.map(lambda x, i=i: x[i], (states, data, keys))
        alone, alone_metrics = learn(SMALL, *one)
        assert_close(jax.tree.map(lambda x, i=i: x[i], together), alone, rtol=1e-3, atol=1e-5)
        assert_close(jax.tree.map(lambda x, i=i: x[i], metrics), alone_metrics, rtol=1e-3, atol=1e-4)


def test_improve_is_compiled_once():
    states = seeds_of(SMALL, 2)
    for i in range(3):
        data = jax.tree.map(lambda *x: np.stack(x), rollout(i), rollout(i + 10))
        states, _ = learn_together(states, data, jax.random.split(jax.random.key(i), 2))
    assert len(TRACES) == 1


def test_acting_in_the_units_of_the_box():
    state = SMALL.init(jax.random.key(0), SPACES)
    state = state._replace(networks=state.networks._replace(log_std=jnp.array([0.5, -0.5])))
    obs = np.random.default_rng(0).standard_normal((20_000, 3)).astype(np.float32)
    draw = act(SMALL, state, obs, jax.random.key(1))
    np.testing.assert_allclose(draw.mean(0), SPACES.centre, atol=0.1)
    np.testing.assert_allclose(draw.std(0), SPACES.half_width * np.exp([0.5, -0.5]), rtol=0.03)
    assert (draw > SPACES.high).any() and (draw < SPACES.low).any()  # the simulation clips, not the policy

    networks = state.networks._replace(policy=jax.tree.map(lambda x: x * 1e3, state.networks.policy))
    mode = act(SMALL, state._replace(networks=networks), obs, None)
    assert mode.shape == (20_000, 2)
    assert (mode >= SPACES.low).all() and (mode <= SPACES.high).all()
    np.testing.assert_allclose(np.abs(mode - SPACES.centre).max(0), SPACES.half_width)


def test_the_first_ratio_is_one():
    """The density of the draws is taken exactly: by the policy and the standardisation that acted, in unit actions."""
    state = ONE_STEP.init(jax.random.key(0), SPACES)
    large = jax.tree.map(lambda x: 50 * x, state.networks.policy)  # so that the mean depends on the observation
    state = state._replace(networks=state.networks._replace(policy=large))
    seen = state.normaliser.see(rollout(5).obs * 2 + 1)._replace(count=jnp.float32(1e9))
    data = rollout()
    data = data._replace(action=np.asarray(act(ONE_STEP, state._replace(normaliser=seen), data.obs, jax.random.key(2))))
    _, metrics = learn(ONE_STEP, state._replace(normaliser=seen), data, jax.random.key(1))
    assert abs(metrics["kl"]) < 1e-5
    assert metrics["clip_fraction"] == 0
    assert metrics["policy_loss"] == pytest.approx(0, abs=1e-4)  # the advantages have mean 0
    # Where the standardisation moves in this very rollout, the ratio starts from the one that acted.
    data = data._replace(action=np.asarray(act(ONE_STEP, state, data.obs, jax.random.key(2))))
    _, metrics = learn(ONE_STEP, state, data, jax.random.key(1))
    assert metrics["kl"] > 1e-3


def test_rewards_are_scaled_by_the_spread_of_the_discounted_return():
    state, data = ONE_STEP.init(jax.random.key(0), SPACES), rollout()
    data = data._replace(reward=5 * data.reward)
    totals, total = [], np.zeros(SMALL.robots)
    ended = np.asarray(data.terminated | data.truncated)
    for t in range(SMALL.rollout_steps):
        total = 0.9 * total + data.reward[t]
        totals.append(total)
        total = np.where(ended[t], 0, total)
    after, metrics = learn(ONE_STEP, state, data, jax.random.key(1))
    assert metrics["reward_scale"] == pytest.approx(np.std(totals), rel=1e-3)
    # the critic's answer is in the reward's own units again
    bare = replace(ONE_STEP, normalise_reward=False).value(after, data.obs)
    np.testing.assert_allclose(ONE_STEP.value(after, data.obs), bare * metrics["reward_scale"], rtol=1e-4)


def test_a_large_reward_counts_in_full():
    """The first loss of a critic that says nothing is the mean square of the returns: 50 a step, each the last."""
    learner, data = replace(ONE_STEP, normalise_reward=False), rollout()
    state = learner.init(jax.random.key(0), SPACES)
    state = state._replace(networks=jax.tree.map(jnp.zeros_like, state.networks))
    data = data._replace(reward=0 * data.reward + 50.0, terminated=np.ones_like(data.terminated))
    _, metrics = learn(learner, state, data, jax.random.key(1))
    assert metrics["value_loss"] == pytest.approx(2500.0, rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"robots": 0}, {"rollout_steps": 0}, {"epochs": 0}, {"minibatches": 7}, {"learning_rate": 0.0},
        {"discount": 1.01}, {"gae_lambda": -0.1}, {"clip": 0.0}, {"entropy_weight": -1.0}, {"value_weight": -1.0},
        {"max_grad_norm": 0.0}, {"hidden": ()}, {"hidden": (64, 0)}, {"learning_rate": float("nan")},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(RequestError, match=next(iter(wrong))):
        PPO(**wrong)


# -- learning -----------------------------------------------------------------------------------------------------


class Point:
    """A mass on a line that is to rest at 0: obs (place, speed), action the force in [-2, 6] of which 2 is rest."""

    spaces = Spaces(2, 1, np.array([-2.0], np.float32), np.array([6.0], np.float32))

    def __init__(self, n, seed):
        self.random, self.obs, self.clock = np.random.default_rng(seed), np.zeros((n, 2)), 0
        self.reset()

    def reset(self):
        self.obs, self.clock = self.random.uniform(-1, 1, self.obs.shape), 0

    def step(self, action):
        obs, force = self.obs, np.clip(action[:, 0], -2, 6) - 2
        speed = obs[:, 1] + 0.1 * force
        self.obs = next_obs = np.stack([obs[:, 0] + 0.1 * speed, speed], axis=1)
        self.clock += 1
        late = np.full(len(obs), self.clock == 40)
        if late.all():
            self.reset()
        reward = -(next_obs[:, 0] ** 2) - 0.1 * next_obs[:, 1] ** 2
        return Transition(obs, action, reward, next_obs, np.zeros_like(late), late)


def test_it_learns_to_bring_a_mass_to_rest():
    learner = PPO(robots=16, rollout_steps=80, minibatches=4, epochs=8, learning_rate=2e-3, hidden=(32,))
    key, robots = jax.random.key(0), Point(16, 0)
    state, returns = learner.init(key, robots.spaces), []
    for i in range(25):
        rows, key = [], jax.random.fold_in(key, i)
        for t in range(80):
            rows.append(robots.step(np.asarray(act(learner, state, robots.obs, jax.random.fold_in(key, t)))))
        data = Transition(*(np.stack(x) for x in zip(*rows, strict=True)))
        state, _ = learn(learner, state, data, key)
        returns.append(data.reward.mean())
    trial, total = Point(200, 1), 0.0
    for _ in range(40):
        total += trial.step(np.asarray(act(learner, state, trial.obs, None))).reward.mean()
    assert total > -4.5, returns  # standing still in place: about -40; the best linear controller: about -2.9
