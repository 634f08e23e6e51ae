"""Transforms change the source's delta as they say, and nothing else."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.gaps.gap import Gap
from transreward.gates.chain import Chain
from transreward.gates.transforms import Centre, Clip, Fade, Keep, Moments, Ramp, Scale, Strength
from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses.advice import Advice
from transreward.uses.compensation import Compensation
from transreward.uses.cup import Cup
from transreward.uses.gpi import Gpi
from transreward.uses.kickstart import Kickstart
from transreward.uses.penalty import Penalty
from transreward.uses.use import UNCHANGED

SPACES = Spaces(1, 1, -np.ones(1), np.ones(1))


@dataclass(frozen=True)
class FirstObs(Gap):
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


def gated(*transforms):
    """A penalty through these transforms alone."""
    return Compensation(FirstObs(), Penalty(), Chain(transforms))


PLAIN = Compensation(None, UNCHANGED)


@pytest.mark.parametrize(
    "compensation",
    [PLAIN, *(gated(*t) for t in ((), (Clip(),), (Centre(),), (Scale(),), (Ramp(0.0),), (Strength(3.0),)))],
    ids=lambda c: str(c.gate.transforms),
)
def test_target_rewards_stay_raw_and_weights_one(compensation):
    adjusted = after(compensation, BOTH, 3)
    assert np.array_equal(adjusted.target.reward, TARGET.reward)
    assert np.array_equal(adjusted.source.weight, np.ones(5)) and np.array_equal(adjusted.target.weight, np.ones(5))
    assert adjusted.source.reward.shape == (5,)


def delta(compensation, updates=1, **extra):
    return np.asarray(after(compensation, BOTH, updates, **extra).source.reward - SOURCE.reward)


def test_penalty_adds_the_score():
    assert np.allclose(delta(gated()), [-4, -2, 0, 2, 14])


def test_clip():
    assert np.allclose(delta(gated(Clip(3.0))), [-3, -2, 0, 2, 3])


def test_centre_has_mean_zero():
    assert np.allclose(delta(gated(Centre()), 5), np.array([-4, -2, 0, 2, 14]) - 2.0, atol=1e-5)


def test_scale_brings_the_spread_to_the_rewards():
    assert delta(gated(Scale()), 5).std() == pytest.approx(float(np.std(SOURCE.reward)), rel=1e-4)


def test_scale_does_not_blow_up_a_gap_that_sees_nothing():
    quiet = Pair(batch(np.asarray(SOURCE.obs[:, 0]) * 1e-3, SOURCE.reward), TARGET)
    adjusted = after(gated(Scale(floor=1.0)), quiet, 5)
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
    sizes = [delta(gated(Ramp(0.4)), 1, done=jnp.float32(done))[-1] for done in (0.0, 0.1, 0.2, 0.4, 0.9)]
    assert np.allclose(sizes, [0.0, 3.5, 7.0, 14.0, 14.0])
    assert np.allclose(delta(gated(Ramp(0.0)), 1)[-1], 14.0)


def test_times_zero_gives_the_raw_rewards_bit_for_bit():
    odd = batch(np.random.default_rng(0).normal(size=64) * 1e3, np.random.default_rng(1).normal(size=64))
    adjusted = after(gated(Clip(), Centre(), Scale(), Ramp(), Strength(0.0)), Pair(odd, odd), 3, done=jnp.float32(0.05))
    assert np.array_equal(adjusted.source.reward, odd.reward)


def test_the_gaps_judgement_comes_through():
    chain = gated(Clip(), Centre(), Scale(), Ramp(0.0), Strength(1.0))
    state = chain.init(jax.random.key(0), SPACES)
    assert chain.evaluate(state, BOTH)["gap_held_out_loss"] == 0.5
    assert chain.update(state, BOTH, jax.random.key(0))[1]["gap_loss"] == 1.0


EXTRA = {"source_act": lambda obs: obs, "done": jnp.float32(0.25)}


def said(use, *transforms):
    """What the learner is told of actions, [2, n]: through the transforms, and without."""
    obs, action = jnp.zeros((3, 1)), jnp.linspace(-1, 1, 3)[:, None]
    found = []
    for chain in (Chain(transforms), Chain()):
        compensation = Compensation(WORTH if use.wants else None, use, chain)
        shaping = compensation.shape(compensation.init(jax.random.key(0), SPACES), **EXTRA)
        (say,) = (f for f in shaping if f is not None)
        found.append(np.asarray(say(obs, action)))
    return found


class Worth(FirstObs):
    """A gap that says what the source policy would earn: the action."""

    offers = ("policy_worth",)

    def worth(self, state, obs, action):
        return action[..., 0]


WORTH = Worth()


@pytest.mark.parametrize("use", [Advice(1.0, 0.5, 0.0), Kickstart(1.0, 0.0)])
def test_what_multiplies_also_multiplies_what_is_said_of_actions(use):
    changed, plain = said(use, Ramp(0.5), Fade(1.0), Strength(4.0))
    np.testing.assert_allclose(changed, 0.5 * 0.75 * 4.0 * plain, rtol=1e-6)
    assert np.abs(plain).max() > 0


def test_what_multiplies_also_multiplies_how_much_guides_draw():
    compensation = Compensation(None, Cup(), Chain((Ramp(0.5), Fade(1.0), Strength(4.0))))
    acts = {"source_acts": lambda obs: obs[None]}
    guides = compensation.shape(compensation.init(jax.random.key(0), SPACES), **EXTRA, **acts).guides
    own, theirs = jnp.asarray([1e3, 1e3]), jnp.asarray([[1e3 + 2.0, 1e3 - 2.0]])
    assert guides is not None
    np.testing.assert_allclose(guides.weigh(own, theirs), [[0.5 * 0.75 * 4.0 * 2.0, 0.0]], rtol=1e-6)


def test_a_floor_counts_in_full_until_nothing_is_left_of_it():
    for over, expected in ((0.0, [-1, 0, 1]), (0.3, [-1, 0, 1]), (0.25, [-np.inf] * 3), (0.1, [-np.inf] * 3)):
        np.testing.assert_array_equal(said(Gpi(), Fade(over))[0], expected)


@pytest.mark.parametrize("use", [Advice(1.0, 0.5, 0.0), Kickstart(1.0, 0.0), Gpi(0.0)], ids=lambda use: use.name)
def test_without_strength_nothing_is_said_of_actions(use):
    compensation = Compensation(WORTH if use.wants else None, use, Chain((Fade(0.5), Strength(0.0))))
    assert not any(compensation.shape(compensation.init(jax.random.key(0), SPACES), **EXTRA))


@pytest.mark.parametrize("transform", [Clip(), Centre(), Scale(), Keep()])
@pytest.mark.parametrize("use", [Advice(), Kickstart(), Gpi()], ids=lambda use: use.name)
def test_what_is_said_of_actions_is_not_lost_in_a_gate(use, transform):
    with pytest.raises(RequestError, match=f"'{use.name}' adds nothing to them: only a ramp, a fade and a strength"):
        Compensation(WORTH if use.wants else None, use, Chain((Ramp(), transform, Strength())))


def test_a_gate_is_a_flat_tuple_of_states():
    state = gated(Clip(), Centre(), Scale(), Ramp(0.0), Strength(1.0)).init(jax.random.key(0), SPACES)
    assert [type(own).__name__ for own in state.gate] == ["tuple", "Moments", "dict", "tuple", "tuple"]


@pytest.mark.parametrize(
    "wrong", [lambda: Clip(0.0), lambda: Ramp(1.5), lambda: Fade(1.5), lambda: Strength(-1.0), lambda: Scale(0.0)]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RequestError):
        wrong()
