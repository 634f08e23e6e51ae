"""Select: which steps are kept, how they count, and what the target's actions are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_uses import FirstObs, adjust, over, steps

from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses.compensation import Compensation
from transreward.uses.select import Select, log_likelihood

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.mark.parametrize("keep", [0.25, 0.8, 1.0])
def test_the_best_are_kept_each_by_its_place_in_the_batchs_range(keep):
    scores = np.random.default_rng(0).permutation(100).astype(float)
    found = adjust(over(FirstObs(), Select(keep)), steps(scores))
    weight = np.asarray(found.source.weight)
    assert (weight > 0).sum() == pytest.approx(100 * keep, abs=1)
    kept = weight > 0
    np.testing.assert_allclose(weight[kept], np.exp((scores[kept] - 99) / 99), rtol=1e-5)
    assert scores[kept].min() > np.max(scores[~kept], initial=-1.0)
    assert np.array_equal(found.target.weight, np.ones(100)) and np.array_equal(found.source.reward, np.ones(100))


def test_equal_scores_are_all_kept_in_full():
    assert np.array_equal(adjust(over(FirstObs(), Select(0.5)), steps(np.zeros(8))).source.weight, np.ones(8))


@pytest.mark.slow
def test_an_action_costs_what_makes_it_unlike_the_targets():
    spaces, rng = Spaces(1, 1, np.zeros(1), 4 * np.ones(1)), np.random.default_rng(0)
    compensation = Compensation(FirstObs(), Select(0.5, support=2.0))
    state = compensation.init(jax.random.key(0), spaces)

    def batch(key):  # the target acts 1 + obs in [1, 2], of [0, 4]; the source elsewhere
        obs = jax.random.uniform(key, (64, 1))
        t = Transition(obs, 1.0 + obs, obs[:, 0], obs, jnp.zeros(64), jnp.zeros(64))
        return Pair(t._replace(action=4.0 - obs), t)

    def step(state, key):
        return compensation.update(state, batch(key), key)[0], None

    state, _ = jax.jit(lambda s, keys: jax.lax.scan(step, s, keys))(state, jax.random.split(jax.random.key(1), 800))
    obs = jnp.asarray(rng.uniform(0.1, 0.9, (32, 1)), jnp.float32)
    own, far = (log_likelihood(state.use.support, obs, action) for action in (1.0 + obs, jnp.full((32, 1), 3.9)))
    assert np.all(own > far + 1.0)
    shaping = compensation.shape(state)
    np.testing.assert_allclose(shaping.draw(obs, 1.0 + obs), -2.0 * own, rtol=1e-5)
    assert compensation.shape(compensation.init(jax.random.key(0), spaces)).floor is None
    assert Compensation(FirstObs(), Select()).shape(state).draw is None


@pytest.mark.parametrize("settings", [{"keep": 0.0}, {"keep": 1.5}, {"support": -1.0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RequestError, match=f"use.{next(iter(settings))}"):
        Select(**settings)
