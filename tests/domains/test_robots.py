"""Every robot of the table equals Gymnasium's own environment, bit for bit."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS

ROWS, STEPS = 2, 300


@pytest.mark.parametrize("name", ROBOTS)
def test_equals_gymnasium(name, tmp_path, monkeypatch):
    """Observation, reward, terminated and resets, over 300 steps with both kinds of ends."""
    monkeypatch.chdir(tmp_path)  # Gymnasium's half-cheetah leaves a MUJOCO_LOG.TXT
    ours = domain(name)
    simulation = ours.simulate(ROWS, seed=5, threads=1)
    envs = [gymnasium.make(ROBOTS[name].gym_id).unwrapped for _ in range(ROWS)]
    assert np.array_equal(ours.spaces.low, envs[0].action_space.low)
    assert np.array_equal(ours.spaces.high, envs[0].action_space.high)
    assert ours.episode_steps == gymnasium.spec(ROBOTS[name].gym_id).max_episode_steps

    def reset_equals(i):
        return np.array_equal(envs[i].reset()[0], simulation.obs[i])

    for i, env in enumerate(envs):
        env.np_random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, i])))
        assert reset_equals(i)
    simulation.clock[:] = ours.episode_steps - min(130, ours.episode_steps)  # so that the clock runs out in time
    rng, truncations = np.random.default_rng(0), 0
    for _ in range(STEPS):
        action = rng.uniform(ours.spaces.low, ours.spaces.high, (ROWS, ours.spaces.action))
        step = simulation.step(action)
        assert np.allclose(sum(simulation.terms.values()), step.reward, rtol=1e-12, atol=1e-12)
        for i, env in enumerate(envs):
            next_obs, reward, terminated, _, _ = env.step(action[i])
            assert np.array_equal(next_obs, step.next_obs[i])
            assert (reward, terminated) == (step.reward[i], step.terminated[i])
            if step.terminated[i] or step.truncated[i]:
                truncations += step.truncated[i]
                assert reset_equals(i)
    terminates = ROBOTS[name].healthy is not ROBOTS["halfcheetah"].healthy
    assert truncations or terminates


@pytest.mark.parametrize("name", ["hopper", "halfcheetah", "ant"])
def test_the_unedited_model_is_gymnasiums(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours, theirs = domain(name).model, gymnasium.make(ROBOTS[name].gym_id).unwrapped.model
    for field in dir(theirs):
        value = getattr(theirs, field)
        if not field.startswith("_") and isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(ours, field)), field
    assert (ours.stat.meaninertia, ours.stat.meanmass) == (theirs.stat.meaninertia, theirs.stat.meanmass)


def test_actions_are_clipped_and_reported_as_commanded():
    source = domain("halfcheetah")
    a, b = (source.simulate(2, seed=0, threads=1) for _ in range(2))
    far, edge = np.full((2, 6), 7.0), np.ones((2, 6))
    one, two = a.step(far), b.step(edge)
    assert np.array_equal(one.next_obs, two.next_obs)
    assert np.array_equal(one.reward, two.reward)
    assert np.array_equal(one.action, far)


def test_what_a_row_of_ones_own_is_made_of_stands_beside_the_table():
    """Users' modules import it from there."""
    from transreward.domains.robots import ROBOTS, Robot, View, control, survive  # noqa: F401

    assert isinstance(ROBOTS["hopper"], Robot)
