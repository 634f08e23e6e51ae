"""Shifts of the body plan: parts that are left out, other numbers of legs and links."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from transreward.domains.changes import changes
from transreward.domains.difference import one_body, require_difference
from transreward.domains.ids import domain
from transreward.domains.names import action_names, entry_names
from transreward.domains.robots import ROBOTS
from transreward.preflight.identify import identify
from transreward.types import RequestError

PLANS = [(row.name, what, n) for row in ROBOTS.values() for what, p in row.plans.items() for n in (p.fewest, p.most)]
USUAL = ["halfcheetah:legs=2", "ant:legs=4", "swimmer:links=3", "reacher:links=2"]
FURTHEST = {"halfcheetah": (2, 4), "ant": (2, 8), "swimmer": (2, 12), "reacher": (2, 6)}


def model(id):
    return domain(id).model


def place(id, geom, qpos=None):
    """Where a geom is, m, in a state, or in the one that the model begins in."""
    one = model(id)
    data = mujoco.MjData(one)
    data.qpos[:] = one.qpos0 if qpos is None else qpos
    mujoco.mj_kinematics(one, data)
    return data.geom(geom).xpos.copy()


def test_the_table_says_how_many():
    assert {row.name: (p.fewest, p.most) for row in ROBOTS.values() for p in row.plans.values()} == FURTHEST


@pytest.mark.parametrize(("robot", "what", "n"), PLANS)
def test_each_plan_steps_is_named_and_is_put_back(robot, what, n):
    one = domain(f"{robot}:{what}={n}")
    assert len(set(entry_names(one))) == one.spaces.obs
    assert len(set(action_names(one))) == one.spaces.action == one.model.nu
    walk, rng = one.simulate(3, 0, 1), np.random.default_rng(0)
    for _ in range(5):
        t = walk.step(rng.uniform(-1, 1, (3, one.spaces.action)))
    walk.put(t.next_obs)
    shown = [k for k, name in enumerate(entry_names(one)) if "external" not in name and "- target" not in name]
    assert np.allclose(walk.obs[:, shown], t.next_obs[:, shown], atol=1e-9)


@pytest.mark.parametrize("id", USUAL)
def test_its_own_number_changes_nothing(id):
    robot = id.partition(":")[0]
    assert entry_names(domain(id)) == entry_names(domain(robot))
    assert changes(domain(robot), domain(id)) == []
    with pytest.raises(RequestError, match="changes nothing"):
        require_difference(domain(robot), domain(id))


def test_a_second_leg_is_as_the_first():
    plain, three = model("halfcheetah"), model("halfcheetah:legs=3")
    share = sum(plain.body(name).mass[0] for name in ("bthigh", "bshin", "bfoot")) / plain.body_mass.sum()
    assert np.isclose(three.body_mass.sum(), plain.body_mass.sum() * (1 + share))
    for part in ("bthigh", "bshin", "bfoot"):
        first, second = (three.joint(f"{part}{more}") for more in ("", "2"))
        assert np.array_equal(first.range, second.range) and first.stiffness[0] == second.stiffness[0]
        assert three.body(f"{part}2").mass[0] == three.body(part).mass[0]
        assert three.actuator(f"{part}2").gear[0] == plain.actuator(part).gear[0]
    assert model("halfcheetah:legs=4").joint("fthigh2").stiffness == plain.joint("fthigh").stiffness


def test_a_leg_added_and_taken_away_again_is_the_robot():
    plain, again = model("halfcheetah"), model("halfcheetah:legs=3,without=bthigh2")
    for name in ("body_mass", "body_inertia", "jnt_range", "dof_damping", "actuator_gear", "dof_invweight0"):
        assert np.allclose(getattr(plain, name), getattr(again, name), rtol=1e-9)


@pytest.mark.parametrize(("leg", "degrees"), [(5, -90), (6, 90), (7, 180), (8, 0)])
def test_an_ants_further_legs_point_between_the_four(leg, degrees):
    first, added = (place("ant:legs=8", name) for name in ("left_ankle_geom", f"{leg}_ankle_geom"))
    size, at = np.linalg.norm(first[:2]), math.radians(degrees)
    assert np.allclose(added[:2], [size * math.cos(at), size * math.sin(at)])
    qpos = model("ant:legs=8").qpos0.copy()
    for k in (1, leg):
        qpos[model("ant:legs=8").joint(f"ankle_{k}").qposadr[0]] = 1.0
    assert np.isclose(
        place("ant:legs=8", f"{leg}_ankle_geom", qpos)[2], place("ant:legs=8", "left_ankle_geom", qpos)[2]
    )


def test_an_ant_with_fewer_legs_keeps_the_first():
    assert [n for n in action_names(domain("ant")) if n in action_names(domain("ant:legs=3"))] == [
        "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3",
    ]  # fmt: skip
    assert np.array_equal(model("ant:legs=3").body_mass, model("ant:without=right_back_leg").body_mass)


@pytest.mark.parametrize("n", range(2, 7))
def test_an_arm_of_more_links_reaches_as_far(n):
    id = f"reacher:links={n}"
    qpos = np.zeros(model(id).nq)
    assert np.allclose(place(id, "fingertip", qpos)[:2], [0.21, 0])
    assert action_names(domain(id)) == tuple(f"joint{k}" for k in range(n))
    qpos[n - 1] = np.pi / 2  # the last joint, 0.1 / (n - 1) m and the tip's 0.01 m before the end
    assert np.allclose(place(id, "fingertip", qpos)[:2], [0.2 - 0.1 / (n - 1), 0.1 / (n - 1) + 0.01])


def test_a_swimmer_grows_by_links_of_the_same_length():
    lengths = [np.ptp([place(id, k)[0] for k in range(1, model(id).ngeom)]) for id in ("swimmer", "swimmer:links=6")]
    assert np.allclose(lengths, [2, 5])  # from the middle of the first link to that of the last
    longer = model("swimmer:links=6")
    assert np.allclose(longer.body_mass[1:], longer.body_mass[1])
    assert action_names(domain("swimmer:links=6")) == tuple(f"motor{k}_rot" for k in range(1, 6))
    assert action_names(domain("swimmer:links=2")) == ("motor1_rot",)


def test_what_is_left_out_takes_along_what_hangs_on_it():
    plain, without = domain("halfcheetah"), domain("halfcheetah:without=fshin")
    assert [n for n in action_names(plain) if n not in action_names(without)] == ["fshin", "ffoot"]
    assert [n for n in entry_names(plain) if n not in entry_names(without)] == [
        f"{part} {what}" for what in ("angle", "velocity") for part in ("fshin", "ffoot")
    ]
    assert entry_names(domain("humanoid:without=right_thigh")) != entry_names(domain("humanoid"))
    assert np.array_equal(model("halfcheetah:without=f*").body_mass, model("halfcheetah:without=fthigh").body_mass)
    assert [(c.element, c.source, c.target) for c in changes(plain, without)] == [
        ("fshin", "there", "none"),
        ("ffoot", "there", "none"),
    ]


def test_other_shifts_may_name_a_new_part_wherever_they_stand():
    for id in ("halfcheetah:legs=3,gear(bthigh2)=0.5", "halfcheetah:gear(bthigh2)=0.5,legs=3"):
        assert model(id).actuator("bthigh2").gear[0] == 60 and domain(id).name == id


def test_robots_of_other_parts_are_other_bodies():
    assert one_body(domain("ant:legs=5"), domain("ant:legs=5,gravity=0.5"))
    assert not one_body(domain("ant:legs=5"), domain("ant"))
    assert not require_difference(domain("halfcheetah:legs=3"), domain("halfcheetah:legs=3,gear(bfoot2)=0.5")).null
    with pytest.raises(RequestError, match="unlike robots need a bridge"):
        require_difference(domain("halfcheetah"), domain("halfcheetah:legs=3"))
    with pytest.raises(RequestError, match="'links=3' of swimmer changes nothing: leave it out"):
        require_difference(domain("swimmer"), domain("swimmer:links=3,viscosity=0.5"))


def test_a_family_has_the_same_parts():
    one = domain("halfcheetah:legs=3,gravity=0.5..2")
    assert one.spaces.action == 9 and one.simulate(2, 0, 1).obs.shape == (2, 23)
    with pytest.raises(RequestError, match="its variants have different parts"):
        domain("halfcheetah:legs=3|gravity=2")


def test_sensors_of_a_new_part_have_a_spread():
    walk = domain("halfcheetah:legs=3,sensor_noise=0.1").simulate(2, 0, 1)
    assert walk.obs.shape == (2, 23) and np.isfinite(walk.obs).all()


REFUSED = {
    "halfcheetah:legs=5": "'legs=5': halfcheetah can have 2 to 4 legs",
    "halfcheetah:legs=2.5": "must be a whole number from 1 to 8",
    "halfcheetah:legs=2..3": "not a number that could have a range",
    "hopper:legs=2": "hopper has no number of legs that could be another; halfcheetah, ant have",
    "ant:links=2": "ant has no number of links that could be another; reacher, swimmer have",
    "halfcheetah:without=torso": "would leave out torso, on which all else hangs: name parts of it",
    "halfcheetah:without=[bf]thigh": "takes no action",
    "halfcheetah:without=nose": "unknown body of halfcheetah 'nose'",
    "reacher:without=fingertip": "no body fingertip, whose place its task or observation reads: leave it in",
    "halfcheetah@mirrored:legs=3": "has other parts than halfcheetah .legs=3., so it has no views: leave @mirrored out",
}


@pytest.mark.parametrize("id", REFUSED)
def test_refused(id):
    with pytest.raises(RequestError, match=REFUSED[id]):
        domain(id)


@pytest.mark.slow
def test_what_differs_is_identified_on_a_robot_of_other_parts():
    found = identify("halfcheetah:legs=3", "halfcheetah:legs=3,gear(bthigh2)=0.5", target_steps=500)
    assert found.id == "halfcheetah:legs=3,gear(bthigh2)=0.5" and found.explained > 0.999
