"""Evaluations: whole first episodes, raw rewards, true successors."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.robot import UPRIGHT
from transreward.domains.robots import ROBOTS
from transreward.evaluation.returns import SEED, evaluate
from transreward.types import BrokenRun, Spaces, Transition

SEEDS, EPISODES = [3, 8], 3


def linear(agents, obs, noise):
    """A policy without a network: [seeds, robots, obs] -> [seeds, robots, action], each seed with its own gain."""
    assert noise is None, "an evaluation does not explore"
    assert obs.dtype == np.float32 and obs.shape[:2] == (len(SEEDS), EPISODES)
    return np.tanh(np.asarray(obs) @ agents).astype(np.float32)


def gains(name):
    spaces = domain(name).spaces
    return np.random.default_rng(0).normal(size=(len(SEEDS), spaces.obs, spaces.action)).astype(np.float32)


@pytest.mark.parametrize("name", ["hopper", "inverted_pendulum"])
def test_it_equals_a_plain_loop_in_gymnasium(name):
    """From the same initial states: the same lengths and returns, but for float32 actions."""
    place, weights = domain(name), gains(name)
    found = evaluate(place, linear, weights, SEEDS, EPISODES)
    start = place.simulate(len(SEEDS) * EPISODES, [SEED + seed for seed in SEEDS])
    env = gymnasium.make(place.robot.gym_id)
    for seed in range(len(SEEDS)):
        for episode in range(EPISODES):
            row = seed * EPISODES + episode
            env.reset(seed=0)
            env.unwrapped.set_state(start.qpos[row], start.qvel[row])
            obs, total, length, ended = start.obs[row], 0.0, 0, False
            while not ended:
                action = np.tanh(obs.astype(np.float32) @ weights[seed]).astype(np.float32)
                obs, reward, terminated, truncated, _ = env.step(action)
                total, length, ended = total + reward, length + 1, terminated or truncated
            assert length == found.lengths[seed, episode]
            assert total == pytest.approx(found.returns[seed, episode], rel=1e-6)
    assert found.lengths.min() > 2
    assert len(set(found.lengths.ravel())) > 1, "the episodes are all alike, so this test sees little"


@pytest.fixture(scope="module")
def hopping():
    return domain("hopper"), evaluate(domain("hopper"), linear, gains("hopper"), SEEDS, EPISODES)


def first_episodes(found):
    """(steps, alive) as [seeds, time, episodes, ...], in the order of time."""
    shape = (len(SEEDS), -1, EPISODES)
    alive = found.alive.reshape(shape)
    return type(found.steps)(
        *(x.reshape(len(SEEDS), alive.shape[1], EPISODES, *x.shape[2:]) for x in found.steps)
    ), alive


def test_only_first_episodes_count(hopping):
    place, found = hopping
    steps, alive = first_episodes(found)
    assert alive.shape[1] == place.episode_steps
    assert np.array_equal(alive.sum(axis=1), found.lengths)
    assert np.allclose((steps.reward * alive).sum(axis=1), found.returns, rtol=1e-5)
    assert found.alive.sum() < found.alive.size, "no robot waited for another, so this test sees nothing"
    for seed, episode in np.ndindex(found.lengths.shape):
        last = found.lengths[seed, episode] - 1
        ended = steps.terminated + steps.truncated
        assert ended[seed, last, episode] and not ended[seed, :last, episode].any()
        assert alive[seed, : last + 1, episode].all() and not alive[seed, last + 1 :, episode].any()


def test_terms_add_up_to_the_return(hopping):
    place, found = hopping
    assert set(found.terms) == set(place.reward_terms)
    assert np.allclose(sum(found.terms.values()), found.returns.mean(axis=1))


def test_successors_are_true(hopping):
    """Within an episode the next observation is the successor; where it ended, the successor is not a reset."""
    _, found = hopping
    steps, _ = first_episodes(found)
    for seed, episode in np.ndindex(found.lengths.shape):
        last = found.lengths[seed, episode] - 1
        assert np.array_equal(steps.obs[seed, 1 : last + 1, episode], steps.next_obs[seed, :last, episode])
        height, angle = steps.next_obs[seed, last, episode, :2]
        assert not steps.terminated[seed, last, episode] or height < 0.7 or abs(angle) > 0.2


def test_episodes_start_alike_at_every_evaluation_and_unlike_training(hopping):
    place, found = hopping
    again = evaluate(place, linear, gains("hopper"), SEEDS, EPISODES, threads=1)
    assert np.array_equal(found.returns, again.returns)
    training = place.simulate(len(SEEDS) * EPISODES, SEEDS).obs.astype(np.float32)
    assert not np.isin(training, first_episodes(found)[0].obs[:, 0]).any()


def test_a_seeds_returns_do_not_depend_on_the_seeds_beside_it(hopping):
    place, found = hopping

    def alone(agents, obs, noise):
        return np.tanh(np.asarray(obs) @ agents).astype(np.float32)

    other = evaluate(place, alone, gains("hopper")[1:], SEEDS[1:], EPISODES)
    assert np.array_equal(other.returns[0], found.returns[1])


def test_a_policy_that_breaks_is_named_with_its_seed():
    def broken(agents, obs, noise):
        action = np.zeros((*obs.shape[:2], 3), np.float32)
        action[1, 2] = np.nan
        return action

    with pytest.raises(BrokenRun, match=r"hopper, control step 0, row 5: .*, seed 8, in an evaluation"):
        evaluate(domain("hopper"), broken, None, SEEDS, EPISODES)


def judged(robot, act=None, **changed):
    """What short episodes of a robot say of its task, mean over those of one seed; its motors rest."""
    made = MujocoDomain(replace(ROBOTS[robot], **changed))
    rest = lambda agents, obs, noise: np.zeros((*obs.shape[:2], made.spaces.action))  # noqa: E731
    found = evaluate(made, act or rest, None, [0], 2, threads=1)
    return {name: float(share[0]) for name, share in found.success.items()}, found


def turned(angle):
    """A half-cheetah begins turned by so much."""
    return lambda rng, qpos, qvel: (qpos + angle * np.eye(len(qpos))[2], qvel)


class Endless:
    """A user's domain that says how long its episodes are, and ends them later: after `real` control steps."""

    name, reward_terms, episode_steps = "lab:endless", ("near",), 5

    def __init__(self, real):
        self.spaces, self.real, self.steps = Spaces(1, 1, np.array([-1.0]), np.array([1.0])), real, 0

    def simulate(self, n, seed, threads=0):
        self.obs, self.terms = np.zeros((n, 1)), {"near": np.zeros(n)}
        return self

    def step(self, action):
        self.steps += 1
        n, never = self.terms["near"], np.zeros(len(self.obs), bool)
        return Transition(self.obs, action, n, self.obs, never, never | (self.steps >= self.real))


@pytest.mark.parametrize("real", [6, 1_000_000])
def test_an_episode_that_outlives_its_domain_s_own_length_is_said(real):
    still = lambda agents, obs, noise: np.zeros((*obs.shape[:-1], 1))  # noqa: E731
    assert evaluate(domain(Endless(5)), still, None, [0], 2).lengths.tolist() == [[5, 5]]
    with pytest.raises(BrokenRun, match=r"lab:endless: an episode goes on after 5 control steps, .*truncate it there"):
        evaluate(domain(Endless(real)), still, None, [0], 2)


def test_a_half_cheetah_on_its_back_is_not_upright():
    for angle, upright in ((0.1, 1.0), (2 * np.pi + 1.2, 1.0), (np.pi, 0.0), (-2.0, 0.0)):
        assert judged("halfcheetah", episode_steps=2, draw=turned(angle))[0] == {"moved": 0.0, "upright": upright}


def test_what_is_read_from_no_column_of_a_domain_is_left_out():
    elsewhere = (UPRIGHT._replace(column="no such column"),)
    assert judged("halfcheetah", episode_steps=2, posture=elsewhere)[0] == {"moved": 0.0}


def test_an_object_at_its_goal_is_pushed_there():
    for away, pushed in ((0.04, 1.0), (0.06, 0.0)):
        where = lambda rng, qpos, qvel, x=away: (np.r_[qpos[:-4], 0.0, x, 0.0, 0.0], qvel)  # noqa: E731
        assert judged("pusher", episode_steps=3, draw=where)[0] == {"pushed": pushed}


def test_who_lies_has_not_stood_up():
    up = lambda rng, qpos, qvel: (qpos + 1.2 * np.eye(len(qpos))[2], qvel)  # noqa: E731
    assert judged("humanoid_standup", episode_steps=2)[0] == {"stood": 0.0}
    assert judged("humanoid_standup", episode_steps=2, draw=up)[0] == {"stood": 1.0}
