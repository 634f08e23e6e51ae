"""What the gaps share: rows, their scale, and the memory of target steps."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_gaussian import SOURCE, SPACES, steps

from transreward.gaps.features import follow, split, standardised, step_rows
from transreward.gaps.memory import Memory, squared_distances
from transreward.networks import Normaliser


def test_rows_hold_the_state_the_executed_action_and_the_change():
    t = steps(0, 5, SOURCE)
    rows = step_rows(t._replace(action=t.action * 100), SPACES.low, SPACES.high)
    sa, change = split(rows, SPACES.action)
    assert np.array_equal(sa, np.hstack([t.obs, np.clip(t.action * 100, -5, 5)]))
    assert np.array_equal(change, t.next_obs - t.obs)


def test_the_scale_is_frozen_after_a_while():
    scale, seen = Normaliser.start(2), []
    for value in (0.0, 1.0, 100.0, 1000.0):
        scale = follow(scale, jnp.full((8, 2), value), updates=2)
        seen.append(float(scale.mean[0]))
    assert np.allclose(seen, [0.0, 0.5, 0.5, 0.5], atol=1e-4)


def test_what_is_predicted_is_scaled_and_never_clipped():
    rows = np.random.default_rng(0).normal(3.0, 2.0, (4000, 3)).astype(np.float32)
    rows[:, 1] = 7.0  # a column that has not varied keeps its own unit
    scale = Normaliser.start(3)
    for batch in np.split(rows, 10):
        scale = scale.see(batch)
    far = np.array([103.0, 9.0, 3.0], np.float32)
    found = np.asarray(scale.scaled(far))
    expected = [(103 - rows[:, 0].mean()) / rows[:, 0].std(), 2.0, (3 - rows[:, 2].mean()) / rows[:, 2].std()]
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3) and np.abs(scale(far)).max() == 10
    assert np.allclose(scale.restored(found), far, rtol=1e-5)
    wide = np.asarray(standardised(scale, far, action=1))  # of one state and one action: the change is the last column
    assert np.array_equal(wide, [10.0, 10.0, found[2]])
    assert standardised(scale, far[::-1], action=1)[2] > 49


def test_the_memory_is_a_ring():
    memory = Memory.start(5, 1)
    for first in (0, 3):
        assert memory.filled.sum() == first
        memory = memory.put(jnp.arange(first, first + 3.0)[:, None])
    assert memory.filled.all()
    assert np.asarray(memory.rows)[:, 0].tolist() == [5, 1, 2, 3, 4]


def test_squared_distances():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 3, (4, 6)), rng.normal(0, 3, (5, 6))
    assert np.allclose(squared_distances(x, y), ((x[:, None] - y) ** 2).sum(-1), rtol=1e-4)


@pytest.mark.parametrize(("mean", "spread"), [(1_000.0, 0.1), (-1e5, 1.0), (1e5, 0.1), (0.0, 1e-3), (-3.0, 50.0)])
def test_a_spread_far_below_the_mean_is_not_lost(mean, spread):
    """In few batches as in many."""
    rng, scale, seen = np.random.default_rng(0), Normaliser.start(1), []
    for batch in range(20):
        seen.append(rng.normal(mean, spread, (100, 1)).astype(np.float32))
        scale = scale.see(jnp.asarray(seen[-1]))
        if batch in (0, 19):
            whole = np.concatenate(seen).astype(float)
            assert float(scale.mean[0]) == pytest.approx(whole.mean(), rel=3e-7, abs=1e-3 * spread)
            assert float(scale.var[0]) == pytest.approx(whole.var(), rel=0.02)
    constant = Normaliser.start(1)
    for _ in range(20):
        constant = constant.see(jnp.full((7, 1), mean))
    assert constant.var[0] == 0 and constant.unit[0] == 1 and (constant(jnp.full((3, 1), mean)) == 0).all()
