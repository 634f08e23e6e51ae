"""The benchmarks' targets outside the fitted family are the package's robots, but for their effect."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.domains.domain import control_rate, table_robot
from transreward.domains.names import action_entries, entries

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks import outside

NOTHING = {  # what makes a target -> the robot, and the size of the effect at which there is none
    outside.falling_torque: ("halfcheetah", math.inf),
    outside.lag: ("halfcheetah", 0.0),
    outside.weak_one_way: ("walker2d", 1.0),
    outside.bumpy: ("hopper", 0.0),
    outside.gusts: ("halfcheetah", 0.0),
}


def walked(domain, seeds=(3,), n=2, steps=120):
    """Columns of the steps of random actions, and what is seen after each, of each row."""
    simulation, rng = domain.simulate(n, list(seeds), 1), np.random.default_rng(0)
    low, high = domain.spaces.low, domain.spaces.high
    for _ in range(steps):
        t = simulation.step(np.tile(rng.uniform(low, high), (n, 1)))
        yield (*t, simulation.obs, *simulation.terms.values())


def test_all_are_tested():
    assert set(NOTHING) == set(outside.TARGETS)


@pytest.mark.parametrize("make", outside.TARGETS)
def test_without_effect_a_target_is_the_robot_bit_for_bit(make):
    robot, nothing = NOTHING[make]
    plain = tr.domain(robot)
    for made, own in zip(walked(make(nothing)), walked(plain), strict=True):
        assert all(map(np.array_equal, made, own))


@pytest.mark.parametrize("make", outside.TARGETS)
def test_a_target_is_its_id_and_shows_its_steps_alone(make):
    robot, _ = NOTHING[make]
    target, plain = tr.domain(f"benchmarks.outside:{make.__name__}"), tr.domain(robot)
    assert target.name == f"benchmarks.outside:{make.__name__}"
    for asked in (entries, action_entries, control_rate):
        assert asked(target) == asked(plain)
    assert (target.reward_terms, target.episode_steps) == (plain.reward_terms, plain.episode_steps)
    assert table_robot(target) is None
    assert tr.measure(plain, target).relative > 0.01


@pytest.mark.parametrize("make", outside.TARGETS)
def test_a_row_of_a_target_depends_on_its_seed_alone_and_goes_on_from_its_state(make):
    alone, beside = (list(walked(make(), seeds, len(seeds))) for seeds in ((3,), (3, 4)))
    for a, b in zip(alone, beside, strict=True):
        assert all(np.array_equal(x, y[:1]) for x, y in zip(a, b, strict=True))
    first, other = (make().simulate(2, [3], 1) for _ in range(2))
    action = np.full((2, first.domain.spaces.action), 0.3)
    for _ in range(7):
        first.step(action)
    other.set_state(first.get_state())
    for _ in range(60):
        assert all(map(np.array_equal, first.step(action), other.step(action)))
