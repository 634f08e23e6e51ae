"""Wrappers change the source's delta as they say, and nothing else."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.compensations.uses import Advice, Gpi, Kickstart, Penalty, Unchanged
from transreward.compensations.wrappers import Centre, Clip, Fade, Moments, Ramp, Scale, Times
from transreward.types import Pair, RequestError, Spaces, Transition

SPACES = Spaces(1, 1, -np.ones(1), np.ones(1))


@dataclass(frozen=True)
class FirstObs:
    """A gap whose score is the observation."""

    def init(self, key, spaces):
        return ()

    def update(self, state, batches, key):
        return state, {"gap_loss": jnp.asarray(1.0)}

    def score(self, state, batch):
        return batch.obs[:, 0]

    def evaluate(self, state, batches):
        return {"gap_held_out_loss": jnp.asarray(0.5)}


def batch(scores, rewards):
    x, r = jnp.asarray(scores, jnp.float32), jnp.asarray(rewards, jnp.float32)
    return Transition(x[:, None], x[:, None] * 0, r, x[:, None], r * 0, r * 0)


def after(compensation, batches, updates, **extra):
    state = compensation.init(jax.random.key(0), SPACES)
    for _ in range(updates):
        state, _ = compensation.update(state, batches, jax.random.key(0), **extra)
    return compensation.adjust(state, batches, **extra)


SOURCE = batch([-4.0, -2.0, 0.0, 2.0, 14.0], [1.0, 2.0, 3.0, 4.0, 5.0])
TARGET = batch([7.0, 8.0, 9.0, 9.0, 9.0], [10.0, 20.0, 30.0, 40.0, 50.0])
BOTH = Pair(SOURCE, TARGET)
PENALTY = Penalty(FirstObs())


@pytest.mark.parametrize(
    "compensation",
    [Unchanged(), PENALTY, Clip(PENALTY), Centre(PENALTY), Scale(PENALTY), Ramp(PENALTY, 0.0), Times(PENALTY, 3.0)],
    ids=lambda c: type(c).__name__,
)
def test_target_rewards_stay_raw_and_weights_one(compensation):
    adjusted = after(compensation, BOTH, 3)
    assert np.array_equal(adjusted.target.reward, TARGET.reward)
    assert np.array_equal(adjusted.source.weight, np.ones(5)) and np.array_equal(adjusted.target.weight, np.ones(5))
    assert adjusted.source.reward.shape == (5,)


def delta(compensation, updates=1, **extra):
    return np.asarray(after(compensation, BOTH, updates, **extra).source.reward - SOURCE.reward)


def test_penalty_adds_the_score():
    assert np.allclose(delta(PENALTY), [-4, -2, 0, 2, 14])


def test_clip():
    assert np.allclose(delta(Clip(PENALTY, 3.0)), [-3, -2, 0, 2, 3])


def test_centre_has_mean_zero():
    assert np.allclose(delta(Centre(PENALTY), 5), np.array([-4, -2, 0, 2, 14]) - 2.0, atol=1e-5)


def test_scale_brings_the_spread_to_the_rewards():
    assert delta(Scale(PENALTY), 5).std() == pytest.approx(float(np.std(SOURCE.reward)), rel=1e-4)


def test_scale_does_not_blow_up_a_gap_that_sees_nothing():
    quiet = Pair(batch(np.asarray(SOURCE.obs[:, 0]) * 1e-3, SOURCE.reward), TARGET)
    adjusted = after(Scale(PENALTY, floor=1.0), quiet, 5)
    assert np.abs(adjusted.source.reward - SOURCE.reward).max() < 0.05


@pytest.mark.parametrize(("mean", "spread"), [(1_000.0, 0.1), (-1e4, 1.0), (1e5, 0.5), (0.0, 1e-3)])
def test_running_moments_keep_a_spread_far_below_the_mean(mean, spread):
    rng, moments = np.random.default_rng(0), Moments.start()
    for _ in range(300):
        moments = moments.see(jnp.asarray(rng.normal(mean, spread, 64), jnp.float32))
    assert float(moments.mean) == pytest.approx(mean, abs=0.05 * spread + 1e-6 * abs(mean))
    assert float(moments.std) == pytest.approx(spread, rel=0.05)
    for i in range(600):  # a spread between batches counts as one within them
        moments = moments.see(jnp.full(64, mean + (2 if i % 2 else -2) * spread, jnp.float32))
    assert float(moments.std) == pytest.approx(2 * spread, rel=0.05)


def test_ramp_grows_to_full_size():
    """Over its share of the transfer, however few updates the gap has had by then."""
    sizes = [delta(Ramp(PENALTY, 0.4), 1, done=jnp.float32(done))[-1] for done in (0.0, 0.1, 0.2, 0.4, 0.9)]
    assert np.allclose(sizes, [0.0, 3.5, 7.0, 14.0, 14.0])
    assert np.allclose(delta(Ramp(PENALTY, 0.0), 1)[-1], 14.0)


def test_times_zero_gives_the_raw_rewards_bit_for_bit():
    odd = batch(np.random.default_rng(0).normal(size=64) * 1e3, np.random.default_rng(1).normal(size=64))
    adjusted = after(Times(Ramp(Scale(Centre(Clip(PENALTY)))), 0.0), Pair(odd, odd), 3, done=jnp.float32(0.05))
    assert np.array_equal(adjusted.source.reward, odd.reward)


def test_the_gaps_judgement_comes_through():
    chain = Times(Ramp(Scale(Centre(Clip(PENALTY))), 0.0), 1.0)
    state = chain.init(jax.random.key(0), SPACES)
    assert chain.evaluate(state, BOTH)["gap_held_out_loss"] == 0.5
    assert chain.update(state, BOTH, jax.random.key(0))[1]["gap_loss"] == 1.0


@pytest.mark.parametrize("wrap", [Times, Fade, Clip, Centre, lambda inner: Times(Fade(inner))])
@pytest.mark.parametrize("use", [Advice(1.0, 0.0, 0.5), Kickstart(1.0, 0.0), Gpi(FirstObs(), 0.0)])
def test_what_a_use_says_of_actions_is_not_lost_in_a_wrapper(use, wrap):
    with pytest.raises(RequestError, match=f"'{type(use).__name__}' adds nothing to them: set its own strength"):
        wrap(use)


@pytest.mark.parametrize(
    "wrong",
    [lambda: Clip(PENALTY, 0.0), lambda: Ramp(PENALTY, 1.5), lambda: Times(PENALTY, -1.0), lambda: Scale(PENALTY, 0.0)],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RequestError):
        wrong()
