"""Noise of actions and of sensors, told apart from physics, and parameters that it does not bias."""

from __future__ import annotations

import numpy as np
import pytest

import transreward as tr
from transreward.identify.evidence import evidence
from transreward.identify.identified import identifiable, posed
from transreward.identify.noise import EFFICIENCY, QUARTER, _about, _of_actions, _ruled, _size, _spread


def test_what_is_linear_is_no_noise():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(400), rng.standard_normal((400, 20))])
    assert abs(_ruled(rng.standard_normal(400), x)) < 0.1
    assert _ruled(x[:, 1] + 0.1 * rng.standard_normal(400), x) > 0.95


def test_an_interval_of_what_a_median_tells_holds_the_truth():
    """In 95 of 100 cases; counted as squares are, it would be 77."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        _, low, high = _about(float(_spread(rng.standard_normal(400))), EFFICIENCY * 400)
        held += low <= 1 <= high
    assert 930 < held < 970


@pytest.mark.slow
def test_noise_of_actions_is_found():
    found = tr.identify("halfcheetah", "halfcheetah:noise=0.2")
    (noise,) = found.named
    assert noise.parameter.name == "noise" and noise.value == pytest.approx(0.2, rel=0.1)
    assert noise.low < 0.2 < noise.high and not found.remains and "nothing else differs" in str(found)
    assert tr.domain(found.id).name == found.id


def test_noise_of_actions_is_in_their_own_units():
    """As the shift has it: a cart that is pushed by up to 3 is no other than one by up to 1."""
    found = tr.identify("inverted_pendulum", "inverted_pendulum:noise=0.3", target_steps=300)
    (noise,) = found.named
    assert noise.value == pytest.approx(0.3, rel=0.2) and noise.low < 0.3 < noise.high


@pytest.mark.parametrize("delay", [1, 2])
def test_noise_of_late_actions_is_told_from_those_that_arrive(delay):
    """At the ends of its range a command has half of its noise cut off, and it is the late one that has."""
    rng, target = np.random.default_rng(0), tr.domain(f"halfcheetah:delay={delay},noise=0.3")
    simulation, rows = target.simulate(1, 0, 1), []
    for step in range(500):
        action = (2 * rng.standard_normal((1, target.spaces.action))).clip(-1, 1)
        t = simulation.step(action)
        rows.append((t.obs[0].copy(), action[0], t.next_obs[0].copy(), t.reward[0], step == 0))
    obs, action, after, reward, begins = map(np.array, zip(*rows, strict=True))
    problem = posed(identifiable("halfcheetah"), evidence(obs, action, after, reward, begins))
    values = np.array([float(delay) if p.counts else p.neutral for p in problem.parameters])
    assert _of_actions(problem, values) == pytest.approx(0.3, rel=0.15)


def test_windows_that_went_another_way_do_not_make_noise_larger():
    off = np.random.default_rng(0).standard_normal((300, 5, 11))
    off[:, 0] = 0  # the fitted first states
    off[:40] *= 20
    assert _size(off, 0.0) == pytest.approx(1, rel=0.03)
    assert _size(off, -QUARTER) == pytest.approx(1, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("robot", "shift", "value"),
    [
        ("halfcheetah", "gravity=0.5", 0.5),
        pytest.param("halfcheetah", "mass(torso)=2", 2.0, marks=pytest.mark.long),
        pytest.param("hopper", "damping=3", 3.0, marks=pytest.mark.long),  # of which single steps show nothing
    ],
)
def test_sensor_noise_does_not_bias_what_is_found(robot, shift, value):
    found = tr.identify(robot, f"{robot}:{shift},sensor_noise=0.01")
    physical, noise = found.named
    assert f"{physical.parameter.name}={physical.value:.0f}".startswith(shift.partition("=")[0])
    assert physical.value == pytest.approx(value, rel=0.02)
    assert physical.low < value < physical.high
    assert noise.parameter.name == "sensor_noise" and noise.value == pytest.approx(0.01, rel=0.1)


def test_a_few_commands_that_do_nothing_do_not_make_noise_larger():
    x = 0.1 * np.random.default_rng(0).standard_normal((4_000, 2))
    x[::50] *= 1e4
    assert _spread(x) == pytest.approx([0.1, 0.1], rel=0.1) and _spread(np.zeros((5, 2))).tolist() == [0, 0]
