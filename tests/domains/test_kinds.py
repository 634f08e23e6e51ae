"""Each kind of shift keeps the contract of the table, and does what a closed form or an edit of the compiled model
says."""

from __future__ import annotations

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from transreward.domains.changes import changes
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS, Physics, acting, applied, build, labels, parse, prepared
from transreward.types import RequestError

VALUES = {  # a value that changes half-cheetah
    "gravity": 0.5, "slope": -4.0, "viscosity": 0.5, "density": 100.0, "friction": 0.5, "softness": 2.0,
    "without": "ffoot", "legs": 3, "mass": 2.0,
    "payload": 1.5, "size": 1.2, "damping": 2.0, "armature": 2.0, "stiffness": 0.5, "frictionloss": 1.0, "range": 0.5,
    "gear": 0.5, "broken": "bthigh", "bias": -0.1, "deadzone": 0.2, "noise": 0.1, "delay": 2, "sensor_noise": 0.1,
    "sensor_bias": -0.1, "sensor_delay": 1,
}  # fmt: skip
KINDS = [kind for kind in SHIFTS.values() if kind.name in VALUES]
each = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def test_each_kind_is_here():
    assert list(VALUES) == list(SHIFTS) or set(SHIFTS) - set(VALUES) <= {
        "motors",
        "links",
        "rest",
    }  # a file; of other robots; of a page of the docs


@each
def test_a_shift_is_an_id_of_itself(kind):
    text = f"{kind.name}={VALUES[kind.name]}".removesuffix(".0")
    assert ",".join(map(str, parse(text))) == text
    assert domain(f"halfcheetah:{text}").name == f"halfcheetah:{text}"


@each
def test_what_it_changes_is_named(kind):
    assert changes(domain("halfcheetah"), domain(f"halfcheetah:{kind.name}={VALUES[kind.name]}"))


@each
def test_the_neutral_value_changes_nothing(kind):
    if kind.neutral is None:
        assert kind.value in ("pattern", "number")
        return
    neutral = f"{kind.name}={int(kind.neutral) if kind.value == 'steps' else kind.neutral}"
    assert changes(domain("halfcheetah"), domain(f"halfcheetah:{neutral}")) == []


@each
def test_values_out_of_range_and_other_words_are_refused_with_what_to_write(kind):
    if kind.value != "pattern":
        for value in (kind.high * 1.5, kind.low - 1, *([kind.low] if kind.above else [])):
            with pytest.raises(RequestError, match=f"the value must be {kind.range}"):
                parse(f"{kind.name}={value:g}")
    for word in kind.words:
        with pytest.raises(RequestError, match=rf"did you mean .*\b{kind.name}\b"):
            parse(f"{word}=1")


def model(id: str):
    return domain(id).model


def arrays(one):
    return {name: getattr(one, name) for name in dir(one) if isinstance(getattr(one, name), np.ndarray)}


def test_a_slope_turns_gravity():
    sin, cos = math.sin(math.radians(10)), math.cos(math.radians(10))
    assert np.allclose(model("hopper:slope=10").opt.gravity, [-9.81 * sin, 0, -9.81 * cos])
    assert np.allclose(model("hopper:slope=-10,gravity=0.5").opt.gravity, [9.81 / 2 * sin, 0, -9.81 / 2 * cos])


def test_the_fluid_is_set():
    thick = model("swimmer:viscosity=0.5,density=1000").opt
    assert (thick.viscosity, thick.density) == (0.5, 1000)


def test_springs_and_dry_friction_of_joints():
    plain, stiff = model("halfcheetah"), model("halfcheetah:stiffness(b*)=0.5,frictionloss=2,frictionloss(ffoot)=1")
    back = np.array([plain.joint(i).name.startswith("b") for i in range(plain.njnt)])
    assert np.array_equal(stiff.jnt_stiffness, plain.jnt_stiffness * np.where(back, 0.5, 1))
    assert stiff.dof_frictionloss.tolist() == [0, 0, 0, 2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize(("id", "body"), [("halfcheetah", "torso"), ("hopper", "foot"), ("ant", "aux_2")])
def test_a_payload_is_a_point_in_the_centre_of_mass(id, body):
    """As if the compiled model were edited, also where the model fixes the total mass."""
    first = body == "torso"
    edited, loaded = model(id), model(f"{id}:payload={1.5}" if first else f"{id}:payload({body})=1.5")
    edited.body_mass[edited.body(body).id] += 1.5
    mujoco.mj_setConst(edited, mujoco.MjData(edited))
    for name, array in arrays(loaded).items():
        assert np.allclose(array, getattr(edited, name), rtol=1e-9, equal_nan=True), name


INERTIAL = """<mujoco><compiler inertiafromgeom="{how}"/><worldbody><body name="a"><freejoint/>
<inertial pos=".1 0 .2" mass="3" diaginertia="1 2 2" axisangle="0 1 0 30"/><geom size=".1"/><site name="s" pos="1 0 0"/>
<body name="b" pos="0 0 -1"><joint axis="0 1 0" pos="0 0 .5"/><inertial pos="0 .1 0" mass="2"
fullinertia="1 2 2 .1 0 0"/><geom type="box" size=".1 .2 .3" pos="0 0 -.5"/></body></body></worldbody></mujoco>"""


@pytest.fixture
def made(tmp_path):
    def compiled(xml: str, shifts: str = "") -> Physics:
        (tmp_path / "made.xml").write_text(xml)
        robot = replace(ROBOTS["reacher"], name="made", xml=str(tmp_path / "made.xml"), show=None)
        return build(robot, parse(shifts) if shifts else ())

    return compiled


@pytest.mark.parametrize("how", ["true", "auto"])
def test_a_payload_wherever_the_inertia_is_from(made, how):
    xml = INERTIAL.format(how=how)
    plain, loaded = made(xml).model, made(xml, "payload=2").model
    assert np.allclose(loaded.body_mass - plain.body_mass, [0, 2, 0])
    for field in ("body_inertia", "body_ipos", "body_iquat"):
        assert np.allclose(getattr(loaded, field), getattr(plain, field)), field


@pytest.mark.parametrize("how", ["true", "auto"])
def test_a_payload_at_a_site_is_a_point_there(made, how):
    """As if a small body were welded to it; a body of the site's name goes before."""
    xml = INERTIAL.format(how=how)
    point = '<body pos="1 0 0"><inertial pos="0 0 0" mass="2" diaginertia="1e-12 1e-12 1e-12"/></body>'
    welded, loaded = (
        made(xml.replace('<body name="b"', point + '<body name="b"')).model,
        made(xml, "payload(s)=2").model,
    )
    moved = []
    for model in (welded, loaded):
        data = mujoco.MjData(model)
        data.qvel[:] = np.arange(1, model.nv + 1)
        mujoco.mj_step(model, data, 200)
        moved.append(data.qpos)
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-9)
    both = made(xml.replace('name="s"', 'name="b"'), "payload(b)=2").model
    assert np.array_equal(both.body_mass, made(xml, "payload(b)=2").model.body_mass)
    with pytest.raises(RequestError, match="unknown body or site of made 'sit'"):
        made(xml, "payload(sit)=2")


@pytest.mark.parametrize("how", ["true", "auto"])
def test_size_scales_mass_by_its_third_power_and_inertia_by_its_fifth(made, how):
    xml = INERTIAL.format(how=how)
    plain, large, part = (made(xml, text).model for text in ("", "size=2", "size(a)=2"))
    assert np.allclose(large.body_mass, 8 * plain.body_mass)
    assert np.allclose(large.body_inertia, 32 * plain.body_inertia)
    for field in ("body_ipos", "geom_size", "geom_pos", "jnt_pos", "site_pos"):
        assert np.allclose(getattr(large, field), 2 * getattr(plain, field)), field
    assert np.allclose(part.body_mass, plain.body_mass * [1, 8, 1])
    assert np.allclose(part.body("b").pos, [0, 0, -2]) and np.allclose(part.jnt_pos, plain.jnt_pos)


@pytest.mark.parametrize("id", ["hopper", "walker2d", "halfcheetah", "ant", "humanoid"])
@pytest.mark.parametrize("shift", ["size=1.3", "size=0.8"])
def test_a_robot_of_another_size_stands_where_it_stood(id, shift):
    def lowest(one):
        data = mujoco.MjData(one)
        mujoco.mj_forward(one, data)
        moving = [g for g in range(one.ngeom) if one.geom_bodyid[g]]
        floor = one.geom("floor").id
        return min(mujoco.mj_geomDistance(one, data, floor, g, 9, None) for g in moving), data.xpos[1, 2]

    plain, other = model(id), model(f"{id}:{shift}")
    (before, height), (after, raised) = lowest(plain), lowest(other)
    assert after == pytest.approx(before, abs=1e-9)
    factor = float(shift.partition("=")[2])
    assert raised - before == pytest.approx(factor * (height - before))
    if id in ("hopper", "walker2d"):
        assert other.qpos0[1] == pytest.approx(raised)  # qpos is its height, as before


def test_a_pendulum_of_twice_the_size_turns_half_as_fast(made):
    xml = """<mujoco><worldbody><body name="a"><joint axis="0 1 0"/><geom type="capsule" size=".05"
    fromto="0 0 0 .1 0 -.8"/></body></worldbody></mujoco>"""
    found = []
    for text in ("", "size=2"):
        one = made(xml, text).model
        data = mujoco.MjData(one)
        mujoco.mj_forward(one, data)
        found.append(data.qacc[0])
    assert found[1] == pytest.approx(found[0] / 2)


def test_the_size_of_a_file_is_not_ours(made):
    xml = """<mujoco><asset><mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset><worldbody><body name="a">
    <freejoint/><geom type="mesh" mesh="m"/></body></worldbody></mujoco>"""
    with pytest.raises(RequestError, match="'size' cannot scale the body a, whose geom is made of a file"):
        made(xml, "size=2")


TOUCHING = """<mujoco><worldbody><geom name="floor" type="plane" size="5 5 .1" solref=".03 1"/>
<body name="a" pos="0 0 .09"><freejoint/><geom name="left" size=".1" solref="{left}" solmix="3"/></body>
<body name="b" pos=".19 0 .09"><freejoint/><geom name="right" size=".1"/></body><body name="c" pos="-.19 0 .09">
<freejoint/><geom name="paired" size=".1" contype="0" conaffinity="0"/></body></worldbody><contact><pair geom1="floor"
geom2="paired" solref=".07 1"/></contact></mujoco>"""


@pytest.mark.parametrize(
    ("named", "chosen"), [("", {0, 1, 2, 3}), ("(floor)", {0}), ("(left)", {1}), ("(paired)", {3}), ("(r*)", {2})]
)
def test_softness_is_that_of_the_contacts_of_a_geom(made, named, chosen):
    def contacts(one):
        data = mujoco.MjData(one)
        mujoco.mj_forward(one, data)
        return {tuple(sorted(c.geom.tolist())): c.solref.copy() for c in data.contact}

    xml = TOUCHING.format(left=".05 1")
    plain, soft = (contacts(made(xml, text).model) for text in ("", f"softness{named}=3"))
    assert plain.keys() == soft.keys() and len(plain) == 4
    for pair, solref in plain.items():
        assert np.allclose(soft[pair], solref * [3 if chosen & set(pair) else 1, 1])


@pytest.mark.parametrize(("named", "where"), [("", "left"), ("(right)", "left on right"), ("(floor)", "floor on left")])
def test_contacts_of_a_stiffness_have_no_softness(made, named, where):
    with pytest.raises(RequestError, match=f"'softness' scales a time constant.*as at {where}: name other geoms"):
        made(TOUCHING.format(left="-500 -9"), f"softness{named}=2")


def test_what_acts():
    low, high = np.array([-1.0, 0.0, -2.0]), np.array([1.0, 4.0, 2.0])
    physics = build(ROBOTS["hopper"])._replace(bias=np.array([0, 0.25, 0.5]), deadzone=np.array([0.2, 0.5, 0]))
    action = np.array([[0.1, 3.5, -2.0], [-0.7, 2.5, 1.5], [0.0, 0.0, 0.0]])
    expected = [[0, 3.0, -1.0], [-0.5, 2.5, 2.0], [0, 1.5, 1.0]]
    assert np.allclose(acting(physics, action, low, high), expected)
    assert np.allclose(acting(physics, action[None], low, high), [expected])


@pytest.mark.parametrize(("shift", "acts"), [
    ("bias(joint0)=0.3", lambda a: np.clip(a + np.array([0.3, 0]), -1, 1)),
    ("deadzone=0.25", lambda a: np.sign(a) * np.maximum(np.abs(a) - 0.25, 0)),
])  # fmt: skip
def test_a_robot_acts_by_what_acts(shift, acts):
    plain, shifted = (domain(id).simulate(2, seed=0, threads=1) for id in ("reacher", f"reacher:{shift}"))
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 2, 2)):
        a, b = plain.step(acts(action)), shifted.step(action)
        assert np.allclose(a.next_obs, b.next_obs, atol=1e-9) and np.array_equal(b.action, action)


def test_a_specification_is_prepared_once_and_shifted_often():
    robot, shifts = ROBOTS["halfcheetah"], parse("mass=2,friction(floor)=0.5,bias(bthigh)=0.1")
    spec = prepared(robot)
    one, other = applied(spec.copy(), robot, shifts), build(robot, shifts)
    for name, array in arrays(other.model).items():
        assert np.array_equal(getattr(one.model, name), array, equal_nan=True), name
    assert np.array_equal(one.bias, other.bias) and one.bias.tolist() == [0.1, 0, 0, 0, 0, 0]
    assert labels(spec, "actuator")[:2] == ["bthigh", "bshin"] and labels(spec, "body")[0] == "torso"
