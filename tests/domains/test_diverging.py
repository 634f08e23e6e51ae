"""A robot that diverges: refused with its row, or spared, which costs it its episode and the others nothing."""

from __future__ import annotations

import numpy as np
import pytest
from test_checked import Lab
from test_environments import place

from transreward.domains.ids import domain
from transreward.streams.guarded import Guarded, Limits
from transreward.types import BrokenRun


def mujoco(simulation, row):
    """Put a row where MuJoCo finds no way on."""
    qvel = simulation.qvel
    qvel[row] = 1e12
    simulation.set_physics(simulation.qpos, qvel)


def spoiled(t):
    next_obs, reward = t.next_obs.copy(), t.reward.copy()
    next_obs[1], reward[1] = np.nan, np.inf
    return t._replace(next_obs=next_obs, reward=reward)


class Once:
    """The second of the environments sends NaN in its third step, and no other time."""

    steps = 1000

    def __call__(self, obs, *rest):
        Once.steps += 1
        return obs * (np.nan if Once.steps == 3 * 3 - 1 else 1.0), *rest


KINDS = {
    "hopper": lambda: domain("hopper"),
    "halfcheetah@mirrored": lambda: domain("halfcheetah@mirrored"),
    "gym": lambda: place(answer=Once()),
    "checked": lambda: domain(Lab(spoiled)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_robot_that_is_spared_ends_its_episode(kind):
    Once.steps = 1000
    where = KINDS[kind]()
    simulation, action = where.simulate(3, 0, 1), np.full((3, where.spaces.action), 0.1)
    simulation.sparing = True
    Once.steps = 0  # from here on they are counted
    for _ in range(2 if kind == "gym" else 0):
        simulation.step(action)
    if kind.startswith("h"):
        mujoco(simulation, 1)
    t = simulation.step(action)
    assert list(simulation.diverged) == [1] and simulation.diverged[1].row == 1
    assert np.array_equal(t.next_obs[1], t.obs[1]) and t.reward[1] == 0
    assert t.truncated.tolist() == [False, True, False] and not t.terminated.any()
    assert np.isfinite(t.next_obs).all() and np.isfinite(simulation.obs).all()
    assert all(paid[1] == 0 for paid in simulation.terms.values())
    assert np.allclose(sum(simulation.terms.values()), t.reward)
    if kind != "checked":  # whose second robot is broken for good
        assert not np.array_equal(simulation.obs[1], t.obs[1]), "it begins anew"
        again = simulation.step(action)
        assert not simulation.diverged and not again.truncated.any()


def test_the_others_do_not_notice():
    one, other = (domain("hopper").simulate(3, 0, 1) for _ in range(2))
    one.sparing = True
    mujoco(one, 1)
    other.set_physics(other.qpos, other.qvel)
    for _ in range(5):
        a, b = (walk.step(np.full((3, 3), 0.1)) for walk in (one, other))
        for x, y in zip(a, b, strict=True):
            assert np.array_equal(x[[0, 2]], y[[0, 2]])


def test_too_many_end_the_run():
    guarded = Guarded(domain("hopper"), 10, [0], 1, Limits(diverged=0.1))
    mujoco(guarded.simulation, 4)
    action = np.zeros((10, 3))
    with pytest.warns(UserWarning, match=r"row 4: MuJoCo found .*: its episode ends there, and the run goes on$"):
        guarded.step(action)
    mujoco(guarded.simulation, 7)
    with pytest.raises(BrokenRun, match=r"row 7: .*; with this 2 of 11 episodes diverged, and loop.diverged is 0.1$"):
        guarded.step(action)


def test_none_is_spared_unless_that_is_asked_for():
    simulation = domain("hopper").simulate(3, 0, 1)
    mujoco(simulation, 1)
    with pytest.raises(BrokenRun, match="hopper, control step 0, row 1: MuJoCo found the state unstable"):
        simulation.step(np.zeros((3, 3)))
