"""What an observation's entries are called: as many as there are, no two alike, and each moves with what it names."""

from __future__ import annotations

from contextlib import nullcontext

import gymnasium
import numpy as np
import pytest

from transreward.domains.difference import require_fit
from transreward.domains.gym import GymDomain
from transreward.domains.ids import domain
from transreward.domains.names import action_entries, action_names, entries, entry_names
from transreward.domains.robots import ROBOTS
from transreward.types import RequestError

every_robot = pytest.mark.parametrize("robot", ROBOTS)


@every_robot
def test_as_many_as_there_are_and_no_two_alike(robot):
    d = domain(robot)
    assert len(set(entry_names(d))) == d.spaces.obs == len(entries(d))
    assert len(set(action_names(d))) == d.spaces.action
    assert {entry.unit for entry in entries(d)} <= {"1", "m", "rad", "m/s", "rad/s", "N", "N m", "kg", "kg m", "kg m^2"}


@every_robot
def test_a_joint_moves_the_entries_that_bear_its_name(robot):
    """Turn each hinge by itself, then move it: what changes of positions and velocities is named after it."""
    d = domain(robot)
    model, shown = d.model, entries(d)
    hinges = [model.joint(i) for i in range(model.njnt) if model.jnt_type[i] == 3]
    hinges = [joint for joint in hinges if joint.name in {entry.part for entry in shown}]
    simulation = d.simulate(2 * len(hinges) + 1, 0, 1)
    qpos, qvel = np.tile(model.qpos0, (2 * len(hinges) + 1, 1)), np.zeros((2 * len(hinges) + 1, model.nv))
    qpos[:, [int(joint.qposadr[0]) for joint in hinges]] += 0.2
    for i, joint in enumerate(hinges):
        qpos[1 + 2 * i, joint.qposadr] += 0.1
        qvel[2 + 2 * i, joint.dofadr] = 0.5
    simulation.set_physics(qpos, qvel)
    changed = np.abs(simulation.obs - simulation.obs[0]) > 1e-6
    joints = {model.joint(i).name for i in range(model.njnt)}
    for i, joint in enumerate(hinges):
        for row, units in ((1 + 2 * i, ("rad", "1")), (2 + 2 * i, ("rad/s",))):
            moved = {e.part for e, yes in zip(shown, changed[row], strict=True) if yes and e.unit in units}
            assert moved & joints == {joint.name}


@every_robot
def test_observations_stay_in_hard_ranges(robot):
    d = domain(robot)
    shown, rng = entries(d), np.random.default_rng(0)
    simulation = d.simulate(8, 0, 1)
    seen = [simulation.step(rng.uniform(d.spaces.low, d.spaces.high, (8, d.spaces.action))).next_obs for _ in range(30)]
    for entry, x in zip(shown, np.concatenate(seen).T, strict=True):
        slack = 1e-9 if not entry.soft else np.inf
        assert x.min() >= entry.low - slack and x.max() <= entry.high + slack, entry


def test_names_are_the_models():
    hopper = domain("hopper")
    assert entry_names(hopper)[:3] == ("rootz position", "rooty angle", "thigh_joint angle")
    assert entry_names(hopper)[-1] == "foot_joint velocity"
    knee = entries(hopper)[3]
    assert (knee.unit, knee.part, knee.soft) == ("rad", "leg_joint", True)
    assert np.isclose([knee.low, knee.high], np.radians([-150, 0])).all()
    assert action_names(hopper) == ("thigh_joint", "leg_joint", "foot_joint")
    assert (action_entries(hopper)[0].low, action_entries(hopper)[0].high) == (-1, 1)


def test_a_shifted_range_is_seen():
    (wide, narrow) = (entries(domain(id))[4] for id in ("hopper", "hopper:range=0.5"))
    assert np.isclose(narrow.high - narrow.low, 0.5 * (wide.high - wide.low))


def test_what_says_nothing_is_numbered():
    pendulum = domain("gym:Pendulum-v1")
    assert entry_names(pendulum) == ("obs[0]", "obs[1]", "obs[2]") and action_names(pendulum) == ("action[0]",)
    assert entries(pendulum)[2].high == 8 and entries(pendulum)[2].unit == "unknown"
    assert action_entries(pendulum)[0].low == -2


class Modelled(GymDomain):
    """A pendulum whose model would have these joints and actuators."""

    def __init__(self, **names):
        super().__init__("gym:Pendulum-v1", lambda: gymnasium.make("Pendulum-v1"))
        self.model_names = names


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"joint": ("root", "thigh")}, {"joint": ("root", "hip")}, r"joint 'thigh' and 'hip'\)"),
        ({"actuator": ("a", "b", "c")}, {"actuator": ("d", "b", "e")}, r"actuator 'a' and 'd' and 1 more\)"),
        ({"joint": ("root", "thigh")}, {"joint": ("root", "thigh", "load")}, None),
        ({"joint": ("root",)}, {}, None),
        ({}, {}, None),
    ],
)
def test_numbered_columns_of_models_with_other_parts_are_told_apart(one, other, why):
    with nullcontext() if why is None else pytest.raises(RequestError, match=f"that mean other things .{why}"):
        require_fit(Modelled(**one), Modelled(**other))


def test_two_robots_of_gymnasium_with_equal_spaces_are_told_apart():
    with pytest.raises(RequestError, match=r"that mean other things .joint 'bthigh' and 'thigh_joint'"):
        require_fit(domain("gym:HalfCheetah-v5"), domain("gym:Walker2d-v5"))
    require_fit(domain("gym:HalfCheetah-v5"), domain("gym:HalfCheetah-v5"))
