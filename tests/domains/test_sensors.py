"""Sensors change what is seen and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from transreward.domains.difference import measure
from transreward.domains.ids import domain
from transreward.domains.mujoco import spread_of
from transreward.domains.robots import ROBOTS
from transreward.types import RequestError

BLURRED = "hopper:sensor_noise=0.1,sensor_delay=2,sensor_bias(rootz position)=0.5"


def walks(ids, steps=80, n=6):
    """Simulations of several domains with the same actions, and their transitions."""
    simulations = [domain(id).simulate(n, seed=3, threads=1) for id in ids]
    rng, found = np.random.default_rng(0), [[] for _ in ids]
    for _ in range(steps):
        action = rng.uniform(-1, 1, (n, simulations[0].domain.spaces.action))
        for simulation, steps_of in zip(simulations, found, strict=True):
            steps_of.append(simulation.step(action))
    return simulations, found


@pytest.mark.parametrize("shifts", ["sensor_noise=0.1", "sensor_bias=-0.3", "sensor_delay=3", BLURRED[7:]])
def test_the_true_state_decides_all_but_what_is_seen(shifts):
    (plain, shifted), (true, seen) = walks(["hopper", f"hopper:{shifts}"])
    assert any(t.terminated.any() for t in true)
    for a, b in zip(true, seen, strict=True):
        assert all(np.array_equal(getattr(a, what), getattr(b, what)) for what in ("reward", "terminated", "truncated"))
        assert not np.array_equal(a.next_obs, b.next_obs)
    assert all(np.array_equal(plain.terms[name], shifted.terms[name]) for name in plain.terms)
    assert np.array_equal(plain.qpos, shifted.qpos)


def test_noise_and_bias_are_shares_of_the_spread():
    (_, shifted), (true, seen) = walks(
        ["reacher", "reacher:sensor_noise=0.2,sensor_bias(fingertip - target x)=0.5"], n=40
    )
    spread = spread_of(domain("reacher"))
    off = np.concatenate([b.next_obs - a.next_obs for a, b in zip(true, seen, strict=True)]) / np.maximum(spread, 1e-12)
    moves = spread > 0
    assert np.allclose(off[:, moves].std(axis=0), 0.2, rtol=0.05)
    names = [entry.name for entry in shifted.domain.entries]
    assert np.allclose(off[:, moves].mean(axis=0), 0.5 * (np.array(names)[moves] == "fingertip - target x"), atol=0.02)
    starts = np.concatenate([b.obs - a.obs for a, b in zip(true, seen, strict=True)]) / np.maximum(spread, 1e-12)
    assert np.allclose(starts[:, moves].std(axis=0), 0.2, rtol=0.05)


def test_the_spread_is_that_of_random_actions_without_shifts():
    walk, seen = domain("hopper").simulate(8, seed=0, threads=1), []
    rng, spaces = np.random.default_rng(0), walk.domain.spaces
    for _ in range(256):
        seen.append(walk.step(rng.uniform(spaces.low, spaces.high, (8, spaces.action))).next_obs)
    assert np.array_equal(spread_of(domain("hopper:gravity=0.5")), np.concatenate(seen).std(axis=0))
    assert len(spread_of(domain("reacher"))) == 10


def test_an_observation_comes_late_and_an_episode_starts_with_its_first():
    _, (true, late) = walks(["hopper", "hopper:sensor_delay=2"])
    row, ends = 0, [i for i, t in enumerate(true) if t.terminated[0]]
    assert len(ends) > 1
    began = ends[0] + 1
    for i in range(began, ends[1] + 1):
        seen = true[i - 2].next_obs[row] if i >= began + 2 else true[began].obs[row]
        assert np.array_equal(late[i].next_obs[row], seen)


def test_a_state_carries_what_sensors_remember():
    simulation = domain(BLURRED).simulate(3, seed=0, threads=1)
    other = domain(BLURRED).simulate(3, seed=7, threads=1)
    actions = np.random.default_rng(0).uniform(-1, 1, (140, 3, 3))
    for action in actions[:70]:
        simulation.step(action)
    other.set_state(simulation.get_state())
    for action in actions[70:]:
        a, b = simulation.step(action), other.step(action)
        assert np.array_equal(a.next_obs, b.next_obs) and np.array_equal(a.obs, b.obs)


def test_threads_and_other_rows_have_no_effect():
    one, two = (domain(BLURRED).simulate(4, seed=[0, 5], threads=threads) for threads in (1, 2))
    alone = domain(BLURRED).simulate(2, seed=5, threads=1)
    for action in np.random.default_rng(0).uniform(-1, 1, (70, 4, 3)):
        a, b, c = one.step(action), two.step(action), alone.step(action[2:])
        assert np.array_equal(a.next_obs, b.next_obs) and np.array_equal(a.next_obs[2:], c.next_obs)


def test_what_shows_the_state():
    assert not domain("hopper:sensor_noise=0.1").invertible and not domain("hopper:sensor_delay=1").invertible
    biased = domain("hopper:sensor_bias=0.4")
    assert biased.invertible
    walk, put = (biased.simulate(2, seed=seed, threads=1) for seed in (0, 1))
    for action in np.random.default_rng(0).uniform(-1, 1, (9, 2, 3)):
        t = walk.step(action)
    known = put.put(t.next_obs)
    assert known.all() and np.allclose(put.qpos[:, 1:], walk.qpos[:, 1:]) and np.allclose(put.obs, t.next_obs)


def test_other_shifts_show_through_equal_sensors():
    late = domain("hopper:sensor_delay=2")
    assert measure(late, late, n=64).null
    for shifts in ("sensor_delay=2,gear=0.5", "sensor_delay=3"):
        assert not measure(late, domain(f"hopper:{shifts}"), n=64).null


def test_entries_are_called_by_name():
    with pytest.raises(RequestError, match="unknown entry of hopper 'rootz': did you mean"):
        domain("hopper:sensor_bias(rootz)=1")
    assert domain("reacher:sensor_bias(sin(joint0))=1").physics.sensor_bias.sum() == 1
    assert domain("hopper:sensor_noise(*velocity)=0.3,sensor_noise=0.4").physics.sensor_noise.max() == 0.5


def test_columns_without_names_are_shifted_together(monkeypatch):
    monkeypatch.setitem(ROBOTS, "unnamed", replace(ROBOTS["hopper"], name="unnamed", show=None))
    (_, _), (true, seen) = walks(["unnamed", "unnamed:sensor_bias=0.5,sensor_noise=0.1"], steps=3)
    assert ((seen[0].obs - true[0].obs) != 0).all()
    with pytest.raises(RequestError, match="the columns of unnamed have no names that a pattern could match"):
        domain("unnamed:sensor_bias(obs*)=0.5")


def test_a_turned_robot_has_the_sensors_of_the_plain_one():
    plain, turned = (domain(f"ant{view}:sensor_noise=0.1").simulate(2, 0, 1) for view in ("", "@turned180"))
    assert np.array_equal(np.sort(np.abs(plain.obs)), np.sort(np.abs(turned.obs)))
