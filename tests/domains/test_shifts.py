"""Each shift does what its row says, where it should, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest

from transreward.domains.difference import measure, require_difference, require_fit
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS
from transreward.types import RequestError


def one_step(id, of, action=0.3, steps=1):
    """Next observations of domain `id` from states that random actions reach in the robot `of`."""
    walk, there = domain(of).simulate(4, seed=0, threads=1), domain(id).simulate(4, seed=0, threads=1)
    rng, out = np.random.default_rng(0), []
    shape = (4, there.domain.spaces.action)
    for _ in range(40):
        there.set_physics(walk.qpos, walk.qvel)
        for _ in range(steps):
            step = there.step(np.broadcast_to(action, shape))
        out.append(step.next_obs)
        walk.step(rng.uniform(-1, 1, shape))
    return np.array(out)


def test_gravity():
    assert np.allclose(domain("hopper:gravity=0.5").model.opt.gravity, [0, 0, -9.81 / 2])


def test_mass_survives_settotalmass():
    plain, heavy = domain("halfcheetah").model, domain("halfcheetah:mass=2").model
    assert heavy.body_mass.sum() == 2 * plain.body_mass.sum()
    assert np.allclose(heavy.body_inertia, 2 * plain.body_inertia, rtol=1e-12)
    torso = domain("halfcheetah:mass(torso)=2").model
    ratio = torso.body_mass[1:] / plain.body_mass[1:]
    assert np.allclose(ratio, [2, 1, 1, 1, 1, 1, 1], rtol=1e-12)
    assert not np.allclose(torso.dof_invweight0, plain.dof_invweight0)  # derived constants follow


def test_an_unnamed_body_goes_by_its_joint():
    plain, heavy = domain("ant").model, domain("ant:mass(ankle_1)=3").model
    changed = np.flatnonzero(plain.body_mass != heavy.body_mass)
    assert changed.tolist() == [plain.joint("ankle_1").bodyid[0]]


@pytest.mark.parametrize(
    ("shift", "field", "elements"),
    [
        ("damping=2", "dof_damping", None),
        ("damping(hip_*)=2", "dof_damping", [6, 8, 10, 12]),
        ("armature(ankle_2)=2", "dof_armature", [9]),
        ("range(hip_*)=2", "jnt_range", [1, 3, 5, 7]),
        ("gear=2", "actuator_gear", None),
        ("gear(hip_4)=2", "actuator_gear", [0]),
    ],
)
def test_scaled_fields(shift, field, elements):
    plain, shifted = getattr(domain("ant").model, field), getattr(domain(f"ant:{shift}").model, field)
    factor = np.ones(len(plain))
    factor[slice(None) if elements is None else elements] = 2
    assert np.array_equal(shifted, (plain.T * factor).T)


def test_friction_acts_at_the_contact():
    """MuJoCo takes the larger friction of a pair: with one side scaled, 0.1 and 0.5 would be one and the same."""
    plain, half, tenth = (one_step(f"hopper{shift}", "hopper") for shift in ("", ":friction=0.5", ":friction=0.1"))
    assert not np.allclose(plain, half)
    assert not np.allclose(half, tenth)


def test_a_range_keeps_the_rest_or_else_its_middle():
    """The knee's end stop at rest stays where it is; one whose range leaves rest out turns about its middle."""
    knee, ankle = (domain(id).model.joint(name).range for id, name in (
        ("hopper:range(leg_joint)=0.5", "leg_joint"), ("ant:range(ankle_1)=0.5", "ankle_1"),
    ))  # fmt: skip
    assert np.allclose(np.degrees(knee), [-75, 0]) and np.allclose(np.degrees(ankle), [40, 60])


@pytest.mark.parametrize("pattern", ["foot_geom", "foot*"])
def test_friction_of_one_geom_acts_at_its_contact(pattern):
    """Only the foot of the hopper touches the floor while it stands, so scaling its contact is scaling them all."""
    part, whole = (one_step(f"hopper:friction{p}=0.3", "hopper") for p in (f"({pattern})", ""))
    assert np.allclose(part, whole, atol=1e-9)
    plain = one_step("hopper", "hopper")
    assert not np.allclose(plain, part)
    assert np.allclose(plain, one_step("hopper:friction(foot_geom)=1", "hopper"), atol=1e-9)


def test_friction_of_the_floor():
    plain, icy = (one_step(id, "halfcheetah") for id in ("halfcheetah", "halfcheetah:friction(floor)=0.2"))
    assert not np.allclose(plain, icy)
    assert np.allclose(icy, one_step("halfcheetah:friction=0.2", "halfcheetah"), atol=1e-9)


def test_a_broken_actuator_is_one_without_control():
    broken = one_step("halfcheetah:broken=bthigh", "halfcheetah", action=0.3)
    idle = one_step("halfcheetah", "halfcheetah", action=np.array([0, 0.3, 0.3, 0.3, 0.3, 0.3]))
    assert np.array_equal(broken, idle)
    legs = domain("ant:broken=*_1").model
    assert np.flatnonzero(legs.actuator_gainprm[:, 0] == 0).tolist() == [2, 3]
    assert np.array_equal(legs.actuator_gainprm, domain("ant:broken=hip_1,broken=ankle_1").model.actuator_gainprm)


def test_delay_acts_later_and_starts_anew_with_an_episode():
    plain, late = domain("reacher").simulate(2, seed=0), domain("reacher:delay=2").simulate(2, seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (60, 2, 2))
    acted = np.concatenate([np.zeros((2, 2, 2)), actions[:48], np.zeros((2, 2, 2)), actions[50:58]])
    for commanded, acts in zip(actions, acted, strict=True):
        a, b = late.step(commanded), plain.step(acts)
        assert np.array_equal(a.next_obs, b.next_obs)
        assert np.array_equal(a.action, commanded)


def test_noise_has_its_std_and_leaves_resets_alone():
    plain, noisy = (domain(id).simulate(64, seed=0) for id in ("reacher", "reacher:noise(joint0)=0.1"))
    assert np.array_equal(plain.obs, noisy.obs)
    seen = []
    for _ in range(60):  # past the end of an episode and of a block of noise
        noisy.step(np.zeros((64, 2)))
        plain.step(np.zeros((64, 2)))
        seen.append(noisy._rows.action.copy())
    assert np.std(np.array(seen)[..., 0]) == pytest.approx(0.1, rel=0.05)
    assert not np.array(seen)[..., 1].any()
    fresh = noisy.clock == 10
    assert np.array_equal(plain.clock == 10, fresh)


@pytest.mark.parametrize(
    "id",
    [
        "halfcheetah:gravity=1.1",
        "halfcheetah:mass=2",
        "walker2d:friction=0.3",
        "hopper:damping=2",
        "hopper:armature=2",
        "walker2d:range(*foot*)=0.4",
        "hopper:gear(leg*)=0.9",
        "halfcheetah:broken=bthigh",
        "hopper:noise=0.01",
        "hopper:delay=1",
        "inverted_pendulum:gear=0.9",
        "ant:broken=*_1",
    ],
)
def test_real_shifts_are_measured(id):
    source = domain(id.partition(":")[0])
    measured = require_difference(source, domain(id))
    assert measured.obs > 0
    assert measured.relative > 0
    assert 0 < measured.share <= 1
    assert measured.entries[0][1] == measured.relative
    assert f"largest one-step difference {measured.obs:.3g} (in spreads: obs[" in str(measured)
    assert f"{round(measured.share * 1024)} of 1024 steps compared differ" in str(measured)
    assert measured == measure(source, domain(id))


@pytest.mark.parametrize(
    "id", ["hopper:gravity=1", "hopper:noise=0", "hopper:delay=0", "halfcheetah:mass=1", "reacher:friction=2"]
)
def test_null_shifts_are_refused(id):
    robot, _, shift = id.partition(":")
    with pytest.raises(RequestError, match=f"the shift '{shift}'.* changes nothing"):
        require_difference(domain(robot), domain(id))


def test_one_null_shift_among_real_ones_is_refused():
    with pytest.raises(RequestError, match="the shift 'friction=1' of hopper changes nothing"):
        require_difference(domain("hopper"), domain("hopper:gravity=2,friction=1"))


def test_equal_delays_still_show_other_shifts():
    late = domain("hopper:delay=2")
    assert not measure(late, domain("hopper:delay=2,gear=0.5")).null
    assert not measure(late, domain("hopper:delay=3")).null
    assert measure(late, late).null
    assert str(measure(late, late)).startswith("no difference in 1024 steps with the same actions")


@pytest.mark.parametrize(
    ("source", "target"),
    [("hopper", "hopper:gravity=2"), ("hopper:delay=2", "hopper:delay=3"), ("gym:Pendulum-v1", "gym:Pendulum-v1")],
)
def test_a_measure_says_how_many_target_steps_it_took(source, target, monkeypatch):
    pair, counted = (domain(source), domain(target)), []
    pair[1].simulate(2)  # an environment is tried once, for a few steps, whether a seed repeats it
    simulate = pair[1].simulate

    def counting(n, seed):
        simulation = simulate(n, seed)
        step = simulation.step
        simulation.step = lambda action: (counted.append(n), step(action))[1]
        return simulation

    monkeypatch.setattr(pair[1], "simulate", counting)
    assert measure(*pair, n=64).target_steps == sum(counted) >= 64


@pytest.mark.parametrize("id", ["hopper", "gym:Pendulum-v1"])
def test_the_same_domain_twice_is_refused(id):
    with pytest.raises(RequestError, match="are the same"):
        require_difference(domain(id), domain(id))


def test_unlike_robots_need_a_bridge():
    with pytest.raises(RequestError, match=r"bridge; robots that fit walker2d, with any shift: walker2d$"):
        require_fit(domain("walker2d"), domain("hopper"))


def test_columns_of_other_names_are_unlike():
    """17 observations and 6 actions each, of which five mean the same."""
    known = re.escape("mean other things (obs[2] is 'bthigh angle' and 'thigh_joint angle' and 17 more): unlike robots")
    with pytest.raises(RequestError, match=known):
        require_fit(domain("halfcheetah"), domain("walker2d:gravity=2"))
    with pytest.raises(RequestError, match=r"robots that fit halfcheetah@mirrored, with any shift: halfcheetah$"):
        require_fit(domain("halfcheetah@mirrored"), domain("walker2d"))
    require_fit(domain("halfcheetah"), domain("gym:HalfCheetah-v5"))  # whose columns have no names
    require_fit(domain("humanoid"), domain("humanoid_standup"))
    reordered = replaced(domain("halfcheetah"), entries=domain("halfcheetah").entries[::-1])
    with pytest.raises(RequestError, match=re.escape("obs[0] is 'rootz position' and 'ffoot velocity' and 15 more")):
        require_fit(domain("halfcheetah"), reordered)


def replaced(one, **attributes):
    """The same domain, but for what is given."""
    return type("Replaced", (), {"__getattr__": lambda _, name: getattr(one, name), **attributes})()


def test_the_table_of_shifts_explains_itself():
    for kind in SHIFTS.values():
        assert kind.doc and kind.name in kind.usage and kind.range
    assert all(robot.doc for robot in ROBOTS.values())


@pytest.mark.parametrize("shift", ["viscosity=1", "density=1.2", "softness=2", "softness(foot_geom)=2", "gravity=2",
                                   "friction(foot_geom)=2", "payload=1", "size=2", "gear=2"])  # fmt: skip
def test_an_environment_is_told_by_every_shift(shift):
    """By what differs the wrapper knows which of the two domains an environment is."""
    plain, shifted = domain("hopper").traits, domain(f"hopper:{shift}").traits
    assert plain.keys() == shifted.keys() and plain != shifted
