"""Conservative: how source steps count, and how the critics are pressed, against NumPy and on a bandit."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_uses import FirstObs, adjust, over, steps

import transreward as tr
from transreward.learners.sac import SAC
from transreward.types import Adjusted, Drawn, Pair, RequestError, Shaping, Shared, Spaces, Transition
from transreward.uses.compensation import Compensation
from transreward.uses.conservative import Conservative, pressed

pytestmark = pytest.mark.usefixtures("hurry")
SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))


@dataclass(frozen=True)
class ByPlace(FirstObs):
    """A gap whose score is minus the successor's second column."""

    offers = ("score", "log_ratio")

    def score(self, state, batch):
        return -batch.next_obs[..., 1]


def test_source_steps_count_as_far_as_the_target_would_take_them():
    scores = np.array([-20.0, -1.0, 0.0, 3.0])
    found = adjust(over(FirstObs(), Conservative()), steps(scores))
    np.testing.assert_allclose(found.source.weight, [1e-5, np.exp(-1), 1, 1], rtol=1e-5)
    assert np.array_equal(found.target.weight, np.ones(4)) and np.array_equal(found.source.reward, np.ones(4))


def test_what_presses_a_critic_is_the_papers():
    rng = np.random.default_rng(0)
    q, u, of_target = rng.normal(size=9) * 5, rng.uniform(0.1, 10, 9), np.arange(9) % 3 == 0
    share = u[~of_target] / u[~of_target].sum()
    wanted = np.log((share * np.exp(q[~of_target])).sum()) - q[of_target].mean()
    value, slope = jax.value_and_grad(pressed)(jnp.asarray(q), jnp.asarray(u), jnp.asarray(of_target))
    assert value == pytest.approx(wanted, rel=1e-5)
    down = share * np.exp(q[~of_target])
    np.testing.assert_allclose(slope[~of_target], down / down.sum(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slope[of_target], -1 / 3, rtol=1e-5)


@pytest.mark.parametrize("of_target", [np.ones(4, bool), np.zeros(4, bool)])
def test_a_batch_of_one_domain_presses_nothing(of_target):
    value, slope = jax.value_and_grad(pressed)(jnp.arange(4.0), jnp.ones(4), jnp.asarray(of_target))
    assert value == 0 and np.array_equal(slope, np.zeros(4))


def seen(compensation, spread):
    """The compensation's state once it has seen a target whose second column spreads so far."""
    obs = jnp.stack([jnp.zeros(400), spread * jnp.asarray(np.random.default_rng(1).normal(size=400))], axis=-1)
    t = Transition(obs, jnp.zeros((400, 1)), jnp.zeros(400), obs, jnp.zeros(400), jnp.zeros(400))
    state = compensation.init(jax.random.key(0), SPACES)
    return compensation.update(state, Pair(t, t), jax.random.key(1))[0]


def rows(place):
    """Steps whose successors' second columns are `place`."""
    obs = jnp.stack([jnp.zeros(len(place)), jnp.asarray(place, jnp.float32)], axis=-1)
    zeros = jnp.zeros(len(place))
    return Transition(obs, zeros[:, None], zeros, obs, zeros, zeros)


def test_steps_are_pressed_by_how_far_the_target_is_from_them_around_their_successors():
    compensation = Compensation(ByPlace(), Conservative(strength=0.4, draws=2000, divergence=5.0))
    press = compensation.shape(seen(compensation, 0.5)).press
    q, of_target = jnp.asarray([0.0, 1.0, 2.0, 7.0]), jnp.asarray([False, False, False, True])
    u = np.array([1.0, 3.0, 5.0])  # the third is held; noise around a place has mean 0
    wanted = 0.1 * (np.log((u / u.sum() * np.exp([0.0, 1.0, 2.0])).sum()) - 7.0)
    assert float(press(rows([1.0, 3.0, 50.0, 2.0]), q, of_target)) == pytest.approx(wanted, abs=0.01)
    few = Compensation(ByPlace(), Conservative(strength=0.4, draws=1))  # one draw is off by what the target spreads
    near, far = (float(few.shape(seen(few, s)).press(rows([3.0] * 4), q, of_target)) for s in (1e-3, 2.0))
    even = 0.1 * (np.log(np.exp([0.0, 1.0, 2.0]).mean()) - 7.0)
    assert near == pytest.approx(even, abs=1e-4) and abs(far - even) > 0.01


def test_nothing_is_pressed_at_strength_0_and_unlike_bodies_are_compared_by_what_they_share():
    none = Compensation(ByPlace(), Conservative(strength=0.0))
    assert none.shape(seen(none, 1.0)) == Shaping()
    blind = Compensation(ByPlace(), Conservative(), shared=Shared((0,), (0,)))
    state, of_target = seen(blind, 1e-3), jnp.arange(4) > 1
    found = [float(blind.shape(state).press(rows(p), jnp.arange(4.0), of_target)) for p in ([1, 9, 0, 0], [9, 1, 0, 0])]
    assert found[0] == found[1]


@pytest.mark.slow
def test_critics_learn_to_think_less_of_steps_that_the_target_would_not_take():
    """A bandit that pays 0: source steps at action 0.5, target steps at action -0.5."""
    learner = SAC(hidden=(16,), batch=32, learning_rate=3e-3, discount=0.0)
    compensation = Compensation(ByPlace(), Conservative(strength=2.0))
    press = compensation.shape(seen(compensation, 1e-3)).press

    def some(action, key):
        noise = 0.1 * jax.random.normal(key, (16, 1, 1))
        obs = jnp.ones((16, 1, 2))
        return Transition(obs, action + noise, *(jnp.zeros((16, 1)),), obs, jnp.zeros((16, 1)), jnp.ones((16, 1)))

    def sample(key, n, length):
        return Drawn(Pair(*(some(a, k) for a, k in zip((0.5, -0.5), jax.random.split(key), strict=True))))

    def adjust(batches):
        return batches.map(lambda t: Adjusted(t.reward, jnp.ones_like(t.reward)))

    def trained(shaping):
        state = learner.init(jax.random.key(0), SPACES)
        run = jax.jit(lambda s, k: learner.improve(s, sample, adjust, shaping, k, updates=400)[0])
        state = run(state, jax.random.key(1))
        ask = jnp.ones((2, 2)), jnp.asarray([[0.5], [-0.5]])
        return np.asarray(learner.q(state, *ask))

    plain, found = trained(Shaping()), trained(Shaping(press=press))
    assert np.all(np.abs(plain) < 0.1)
    # the least of the loss (q_S^2 + q_T^2) / 4 + strength / 4 * (q_S - q_T)
    np.testing.assert_allclose(found, [-1.0, 1.0], atol=0.2)


@pytest.mark.parametrize(
    "settings", [{"strength": -1.0}, {"low": 0.0}, {"low": 1.0}, {"divergence": 0.0}, {"draws": 0}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RequestError, match=f"use.{next(iter(settings))}"):
        Conservative(**settings)


def test_the_cell_is_the_row():
    row, cell = tr.method("h2o"), tr.method("conservative(classifier)")
    assert (row.gap, row.use, row.feed, row.start, row.gate) == (cell.gap, cell.use, cell.feed, cell.start, cell.gate)
