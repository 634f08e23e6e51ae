"""The source, put where the target was seen: the same step as the simulation's own, and a model where it cannot be."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from quick import compiler, robots
from test_transfer import LEARNERS, SEEDS, SETTINGS, same

import transreward as tr
from transreward import replay as rp
from transreward.domains.domain import invertible
from transreward.domains.robots import ROBOTS
from transreward.networks import Normaliser
from transreward.plan.ledger import Ledger
from transreward.streams.twin import ModelState, Twin, learn_model, model_loss
from transreward.types import Spaces

INVERTIBLE = [name for name, robot in ROBOTS.items() if robot.invert is not None]


def walk(id, steps=12, n=4):
    """Random steps of two seeds' robots, [2, steps, n]."""
    domain = tr.domain(id)
    return domain, walked(domain, steps, n)


def walked(domain, steps, n):
    """The same of a domain."""
    return robots(domain, SEEDS, n, threads=1).collect(None, None, None, steps)


def test_which_robots_show_their_whole_state():
    assert {name for name in ROBOTS if not invertible(tr.domain(name))} == {"pusher"}
    assert not invertible(tr.domain("hopper:delay=1"))  # the actions on their way are not observed
    assert not invertible(tr.domain("gym:Pendulum-v1"))


@pytest.mark.parametrize("name", INVERTIBLE)
def test_a_step_from_a_rebuilt_state_is_the_step_that_was_taken(name):
    """The observation in float32 is all that is known of the state. Humanoid's contacts make most of the rounding; the
    reward of ant and humanoid is measured on a body whose position lags behind."""
    domain, steps = walk(name)
    ledger = Ledger({"source": None})
    twin = Twin(domain, SEEDS, 1, None, ledger.payer("source"))
    taken, again = steps.transition, twin.replay(steps).transition
    known = again.truncated == 0
    assert known.all() or ROBOTS[name].clip < np.inf
    assert np.array_equal(taken.obs, again.obs) and np.array_equal(taken.action, again.action)
    wide, loose = (2e-2, 0.1) if name in ("ant", "humanoid", "humanoid_standup") else (1e-4, 1e-4)
    np.testing.assert_allclose(taken.next_obs[known], again.next_obs[known], atol=wide)
    np.testing.assert_allclose(taken.reward[known], again.reward[known], atol=loose)
    assert np.array_equal(taken.terminated[known], again.terminated[known])
    assert ledger["source"] == taken.reward[0].size
    flat = taken.next_obs.reshape(2, -1, domain.spaces.obs)
    assert np.array_equal(twin.ended(flat), taken.terminated.reshape(2, -1))
    assert ledger["source"] == taken.reward[0].size  # to look costs no step


def test_a_velocity_at_its_clip_is_not_known():
    domain, steps = walk("walker2d", steps=40)
    replayed = Twin(domain, SEEDS, 1, None).replay(steps).transition
    at_clip = (np.abs(steps.transition.obs[..., 8:]) >= 10).any(axis=-1)
    assert at_clip.any() and not at_clip.all()
    assert np.array_equal(replayed.truncated == 1, at_clip)


def test_a_shift_shows_in_the_pairs_and_nowhere_else():
    """Only gravity differs, so what differs after a step is what gravity does: the velocities' own share first."""
    steps = walked(tr.domain("hopper:gravity=0.5"), 12, 4)
    source = tr.domain("hopper")
    taken, again = (x.transition for x in (steps, Twin(source, SEEDS, 1, None).replay(steps)))
    heights = (taken.next_obs - again.next_obs)[..., 6]  # the vertical velocity
    assert np.abs(heights).mean() > 1e-3
    same_domain = walked(source, 12, 4)
    again = Twin(source, SEEDS, 1, None).replay(same_domain).transition
    assert np.abs(same_domain.transition.next_obs - again.next_obs).max() < 1e-4


@pytest.mark.parametrize("length", [1, 3])
def test_branches_start_where_they_are_told_and_are_corrected_step_by_step(length):
    domain, steps = walk("inverted_pendulum", steps=60)
    visited = steps.transition.obs.reshape(2, -1, 4)
    starts = visited[:, : length * 5].reshape(2, length, 5, 4)
    lean = np.array([0, 0.15, 0, 0])  # what the target adds to the angle at each step

    def act(obs, i):
        return np.full((*obs.shape[:2], 1), 0.5 * i)

    def correct(t, i):
        return t._replace(next_obs=t.next_obs + lean, reward=t.reward - 0.25)

    ledger = Ledger({"source": None})
    twin = Twin(domain, SEEDS, 1, None, ledger.payer("source"))
    branches = twin.branch(starts, act, correct).transition
    assert branches.reward.shape == (2, length, 5) and ledger["source"] == 5 * length
    assert np.allclose(branches.obs[:, 0], starts[:, 0]) and (branches.reward[:, 0] == 0.75).all()
    assert np.array_equal(branches.terminated == 1, np.abs(branches.next_obs[..., 1]) > 0.2)
    assert (branches.truncated[:, -1] == 1).all() and (branches.truncated[:, :-1] == 0).all()
    for i in range(length):
        alone = twin.step(branches.obs[:, i], branches.action[:, i])
        assert (branches.action[:, i] == 0.5 * i).all()
        np.testing.assert_allclose(branches.next_obs[:, i] - lean, alone.next_obs, atol=1e-6)
        if i:  # on from where the last step led, or from the next start where that was the end
            ended = branches.terminated[:, i - 1, :, None] == 1
            assert ended.any()
            expected = np.where(ended, starts[:, i], branches.next_obs[:, i - 1])
            assert np.allclose(branches.obs[:, i], expected)


def test_a_model_is_taught_changes_and_rewards_far_beyond_the_first():
    """A net that says nothing errs by the whole of both, in their own units."""
    start, unit = Normaliser.start(3), Normaliser(np.zeros(3), np.full(3, 0.25), np.float32(1e9))
    net = {name: [{"w": np.zeros((n, out)), "b": np.zeros(out)}] for name, n, out in (("step", 3, 3), ("ended", 2, 1))}
    t = rp.no_steps(Spaces(2, 1, -np.ones(1), np.ones(1)), 4).transition
    t = t._replace(next_obs=t.next_obs + np.array([20.0, 0.0], np.float32), reward=t.reward + 50.0)
    expected = ((20 / 0.5) ** 2 + (50 / 0.5) ** 2) / 3 + np.log(2)
    assert model_loss(net, ModelState(net, start, unit), t) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_learned_model_answers_where_no_simulator_can(monkeypatch):
    """Fitted on random steps of a robot whose state is known after all, so that it can be compared with the truth."""
    monkeypatch.setattr("transreward.streams.twin.MODEL_UPDATES", 1_500)
    domain, steps = walk("inverted_pendulum", steps=1500)
    replay = rp.of(steps, domain.spaces)
    model = learn_model(replay, jax.random.split(jax.random.key(0)), domain.spaces)
    fresh = walked(domain, 100, 3)
    answers = [Twin(domain, SEEDS, 1, m).replay(fresh).transition for m in (None, model)]
    change = answers[0].next_obs - answers[0].obs
    error = answers[1].next_obs - answers[0].next_obs
    assert ((error**2).mean(axis=(0, 1, 2)) < 0.02 * (change**2).mean(axis=(0, 1, 2))).all()
    # the reward is 1 or 0 and jumps where the pole falls, which a smooth model blurs
    assert np.abs(answers[1].reward - answers[0].reward).mean() < 0.2
    right = (answers[1].terminated == answers[0].terminated).mean()
    assert right > 0.95 and answers[0].terminated.any()


@pytest.mark.long
@pytest.mark.slow
def test_a_source_that_cannot_be_put_anywhere_is_modelled(tmp_path, monkeypatch):
    """Whole runs, the same pair: with the simulator, and with a model of it from the source agent's steps."""
    monkeypatch.setattr("transreward.streams.twin.MODEL_UPDATES", 50)
    request = {
        "source_steps": 512, "target_steps": 60, "seeds": 2, "seed": SEEDS[0], "learner": LEARNERS["sac"],
        "settings": {**SETTINGS, "feed.branches": 2, "gap.hidden": (4,), "gap.batch": 16, "gap.members": 2},
    }  # fmt: skip
    pair = "inverted_pendulum", "inverted_pendulum:gravity=2"
    with compiler(hurried=True):
        known = tr.transfer(*pair, "paired_branched", **request, out=tmp_path / "known")
        monkeypatch.setattr("transreward.domains.mujoco.MujocoDomain.invertible", False)
        modelled = tr.transfer(*pair, "paired_branched", **request, out=tmp_path / "modelled")
    assert not same(known.agents, modelled.agents)
    assert known.steps == modelled.steps and known.steps.source <= 512 and known.steps.target <= 60
    assert not any("learned model" in text for text in known.warnings)
    assert any("learned model" in text for text in modelled.warnings)
    known.compensation()
    with pytest.raises(tr.RequestError, match="a model of the source, which the run does not keep"):
        modelled.compensation()
