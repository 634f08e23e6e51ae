"""The simulation's promises: exact states, seeds apart, threads without effect, broken runs named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.types import BrokenRun


def rollout(simulation, steps, seed=0):
    """Everything that `steps` of random actions give, as one list of arrays."""
    spaces = simulation.domain.spaces
    rng, out = np.random.default_rng(seed), []
    for _ in range(steps):
        step = simulation.step(rng.uniform(spaces.low, spaces.high, (len(simulation.obs), spaces.action)))
        out += [*step, simulation.obs.copy()]
    return out


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("id", ["hopper", "ant", "humanoid", "halfcheetah:noise=0.1,delay=2", "reacher"])
def test_a_saved_simulation_continues_bit_for_bit(id):
    source = domain(id)
    simulation = source.simulate(3, seed=1, threads=1)
    rollout(simulation, 37)
    state = simulation.get_state()
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in state.values())
    expected = rollout(simulation, 70, seed=2)
    other = source.simulate(3, seed=9, threads=1)
    rollout(other, 5)
    other.set_state(state)
    assert same(expected, rollout(other, 70, seed=2))
    simulation.set_state(state)
    assert same(expected, rollout(simulation, 70, seed=2))


@pytest.mark.parametrize("id", ["hopper", "ant:noise=0.1"])
def test_threads_have_no_effect(id):
    one, two = (rollout(domain(id).simulate(6, seed=0, threads=threads), 60) for threads in (1, 2))
    assert same(one, two)


@pytest.mark.parametrize("id", ["walker2d", "walker2d:noise=0.2"])
def test_a_seeds_robots_do_not_depend_on_the_seeds_beside_them(id):
    source = domain(id)
    together, alone = source.simulate(6, seed=[0, 1], threads=1), source.simulate(3, seed=1, threads=1)
    rng = np.random.default_rng(0)
    for _ in range(80):
        action = rng.uniform(-1, 1, (6, 6))
        a, b = together.step(action), alone.step(action[3:])
        assert same([x[3:] for x in a], b)
        assert np.array_equal(together.obs[3:], alone.obs)
    assert not np.array_equal(together.obs[:3], together.obs[3:])
    with pytest.raises(ValueError, match="do not divide"):
        source.simulate(5, seed=[0, 1])


def test_next_obs_is_the_true_successor_at_ends():
    simulation = domain("hopper").simulate(4, seed=0, threads=1)
    ends = 0
    for action in np.random.default_rng(0).uniform(-1, 1, (100, 4, 3)):
        before = simulation.obs
        step = simulation.step(action)
        assert np.array_equal(step.obs, before)
        ended = step.terminated | step.truncated
        assert np.array_equal(simulation.obs[~ended], step.next_obs[~ended])
        assert (np.abs(simulation.obs[ended][:, 0] - 1.25) < 0.01).all()  # standing again
        fallen = step.next_obs[step.terminated]  # as Gymnasium has it: too low, or leaning too far
        assert ((fallen[:, 0] <= 0.7) | (np.abs(fallen[:, 1]) >= 0.2)).all()
        assert (simulation.clock[ended] == 0).all()
        ends += ended.sum()
    assert ends


@pytest.mark.parametrize("id", ["hopper", "ant"])
def test_a_transition_is_not_changed_by_what_follows(id):
    """Steps, resets and being put elsewhere; the measurement of a shift keeps transitions across all of these."""
    place = domain(id)
    simulation, rng = place.simulate(2, seed=0, threads=1), np.random.default_rng(0)
    start = simulation.qpos, simulation.qvel
    kept = []
    for i in range(60):
        step = simulation.step(rng.uniform(-1, 1, (2, place.spaces.action)))
        kept.append((step, [x.copy() for x in step]))
        if i % 20 == 10:
            simulation.set_physics(*start)
        elif i % 20 == 15:
            simulation.set_state(simulation.get_state())
    for step, copies in kept:
        assert all(np.array_equal(x, y) for x, y in zip(step, copies, strict=True))


def test_set_physics_needs_no_hidden_state():
    source = domain("ant")
    walk, a, b = (source.simulate(3, seed=seed, threads=1) for seed in (0, 1, 2))
    rollout(walk, 30)
    rollout(a, 12)
    for simulation in (a, b):
        simulation.set_physics(walk.qpos, walk.qvel)
    assert np.array_equal(a.qpos, walk.qpos)
    assert same(rollout(a, 1), rollout(b, 1))


def test_terminated_and_truncated_together():
    """As Gymnasium's time limit: a fall on the last step is both."""
    simulation = domain("hopper").simulate(1, seed=0, threads=1)
    rng, step = np.random.default_rng(0), None
    while step is None or not step.terminated[0]:
        state = simulation.get_state()
        action = rng.uniform(-1, 1, (1, 3))
        step = simulation.step(action)
    simulation.set_state(state)
    simulation.clock[:] = 999
    step = simulation.step(action)
    assert step.terminated[0]
    assert step.truncated[0]


def test_a_broken_simulation_names_domain_step_and_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes MUJOCO_LOG.TXT
    source = domain("ant")
    simulation = source.simulate(3, seed=0, threads=1)
    simulation.step(np.zeros((3, 8)))
    action = np.zeros((3, 8))
    action[1, 2] = np.nan
    with pytest.raises(BrokenRun, match="ant, control step 1, row 1: an action is not finite"):
        simulation.step(action)
    qvel = simulation.qvel
    qvel[2] = 1e12  # MuJoCo would reset such a robot silently
    simulation.set_physics(simulation.qpos, qvel)
    with pytest.raises(BrokenRun, match="control step 1, row 2: MuJoCo") as caught:
        simulation.step(np.zeros((3, 8)))
    assert caught.value.row == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_domain_keeps_its_contract_and_can_be_pickled():
    source = domain("halfcheetah:mass(torso)=2,delay=1")
    assert isinstance(source, Domain)
    again = pickle.loads(pickle.dumps(source))
    assert again.name == source.name
    assert same(*(rollout(d.simulate(2, seed=0, threads=1), 5) for d in (source, again)))
    assert source.reward_terms == ("forward", "control")
