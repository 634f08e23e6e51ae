"""Reward models find a reward that is known, keep to what was seen, and say where they are not to be believed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, score, start, step
from linear_gaussian import SOURCE, TARGET, steps

from transreward.gaps.reward import MeanReward, Reward
from transreward.networks import Normaliser
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

GAP = Reward(members=3, hidden=(32,))


def pay(t):
    """A reward of s, a and s'."""
    return t.obs[:, 0] - 0.5 * t.action[:, 0] + 0.3 * t.next_obs[:, 1] ** 2


def paid(seed, n, effect, more=0.0):
    t = steps(seed, n, effect)
    return t._replace(reward=pay(t) + more)


@pytest.fixture(scope="module")
def trained():
    """A model of the source's reward; the target pays 2 more."""
    return fit(GAP, Pair(paid(0, 20_000, SOURCE), paid(1, 20_000, TARGET, 2.0)), 1500)


def test_it_says_what_the_source_would_have_paid(trained):
    t = paid(5, 2000, TARGET, 2.0)
    found = np.asarray(score(GAP, trained, t))
    assert abs(np.median(found) + 2.0) < 0.1 and np.quantile(abs(found + 2.0), 0.9) < 0.4
    held_out = evaluate(GAP, trained, Pair(paid(6, 2000, SOURCE), t))
    assert held_out["gap_explained"] > 0.95
    exact = 1 - np.mean((found) ** 2) / np.var(np.asarray(t.reward))
    assert held_out["gap_explained_other"] == pytest.approx(exact, abs=1e-3)


def test_it_may_be_the_targets():
    gap = Reward(of="target", members=2, hidden=(32,))
    state = fit(gap, Pair(paid(0, 20_000, SOURCE), paid(1, 20_000, TARGET, 2.0)), 1000)
    assert abs(np.median(np.asarray(score(gap, state, paid(5, 2000, SOURCE)))) - 2.0) < 0.15


def test_a_reward_far_beyond_the_first_is_what_is_learned(trained):
    """Members that say nothing err by the whole of it, in units of the spread that the first rewards had."""
    first = Normaliser(jnp.zeros(1), jnp.full(1, 0.0625), jnp.float32(1e9))
    silent = trained._replace(members=jax.tree.map(jnp.zeros_like, trained.members), rewards=first)
    t = paid(3, GAP.batch, SOURCE)._replace(reward=jnp.full(GAP.batch, 6.0))
    _, metrics = step(GAP, silent, Pair(t, t))
    assert metrics["gap_loss"] == pytest.approx((6 / 0.25) ** 2, rel=1e-5)


def test_care_lowers_an_answer_by_how_far_the_members_are_apart(trained):
    t = paid(5, 200, TARGET)
    t = t._replace(obs=2 * t.obs)  # where they are not sure
    answers = np.asarray(GAP.predict(trained, t))
    expected = np.clip(answers.mean(axis=0) - 2.0 * answers.std(axis=0), trained.least, trained.most)
    found = np.asarray(GAP.careful(trained, t, 2.0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert (found <= answers.mean(axis=0) + 1e-5).all() and found.mean() < answers.mean() - 0.05
    np.testing.assert_allclose(GAP.careful(trained, t, 0.0), answers.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_an_answer_stays_within_the_rewards_seen(trained):
    far = paid(7, 500, SOURCE)
    far = far._replace(obs=far.obs * 50, next_obs=far.next_obs * 50)
    answers = np.asarray(GAP.predict(trained, far))
    assert answers.shape == (3, 500)
    assert answers.min() == pytest.approx(float(trained.least)) and answers.max() == pytest.approx(float(trained.most))


def test_likeness_by_hand(trained):
    near, t = paid(8, 300, SOURCE), paid(8, 300, SOURCE)
    t = t._replace(obs=t.obs + 8.0, next_obs=t.next_obs + 8.0)
    rows = np.concatenate([t.obs, t.action, t.next_obs - t.obs], axis=1)
    d = np.mean(((rows - trained.inputs.mean) / np.sqrt(trained.inputs.var)) ** 2, axis=1)
    similar = np.exp(-np.maximum(d - 1, 0) / 2)
    v = float(trained.rewards.var[0])
    sure = v / (v + np.asarray(GAP._answers(trained, t)).var(axis=0))
    known = {"fixed": np.ones(300), "similarity": similar, "variance": sure, "both": similar * sure}
    for by, expected in known.items():
        np.testing.assert_allclose(GAP.likeness(trained, t, by), expected, rtol=1e-4, atol=1e-6)
    one = near._replace(next_obs=near.next_obs.at[:, 0].add(20 * float(trained.inputs.var[3]) ** 0.5))  # of five
    assert GAP.likeness(trained, one, "similarity").max() < 1e-6
    for by in ("similarity", "variance"):
        assert GAP.likeness(trained, near, by).mean() > GAP.likeness(trained, t, by).mean() + 0.01


def test_a_constant_knows_the_means_alone():
    gap = MeanReward()
    state, metrics = start(gap, *[Pair(paid(i, 256, SOURCE), paid(i + 9, 256, TARGET, 2.0)) for i in range(3)])
    expected = np.mean([np.mean(paid(i, 256, SOURCE).reward) - np.mean(paid(i + 9, 256, TARGET, 2.0).reward)
                        for i in range(3)])  # fmt: skip
    t = paid(3, 10, TARGET)
    np.testing.assert_allclose(score(gap, state, t), np.full(10, expected), rtol=1e-3)
    assert metrics["gap_loss"] == pytest.approx(abs(expected), rel=1e-3)
    np.testing.assert_array_equal(gap.likeness(state, t, "both"), np.ones(10))


@pytest.mark.parametrize("gap", [Reward(members=2, hidden=(8,)), MeanReward()], ids=lambda gap: gap.name)
def test_contract(gap):
    keeps_its_promises(gap, paid=pay, acts=gap.name == "reward")


@pytest.mark.parametrize("settings", [{"of": "both"}, {"members": 0}, {"hidden": ()}, {"learning_rate": 0.0}], ids=str)
def test_bad_settings(settings):
    with pytest.raises(RequestError, match=f"gap.{next(iter(settings))}"):
        Reward(**settings)


def test_no_reward_seen_is_no_number_that_breaks_a_run():
    """Rewards that never change leave nothing to explain, and the model finite."""
    t = steps(0, 256, SOURCE)
    state, metrics = start(GAP, Pair(t, t), Pair(t, t))
    assert np.isfinite(metrics["gap_loss"])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((score(GAP, state, t), GAP.likeness(state, t, "both"))))
    assert jnp.isfinite(evaluate(GAP, state, Pair(t, t))["gap_explained"])
