"""Shifts, what they changed, and names: on every kind of actuator, joint and contact, against MuJoCo's own forces."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from transreward.domains.actuators import controls
from transreward.domains.changes import changes
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import build, parse
from transreward.types import RequestError

ARM = """<mujoco><worldbody><geom name="floor" type="plane" size="5 5 .1" pos="0 0 -9"/><site name="base"/>
<body name="arm"><joint name="hip" axis="0 1 0" range="-90 90" {joint}/><geom name="link" size=".1" pos=".3 0 0"/>
<site name="hand" pos=".5 .1 0"/><body name="cart" pos=".5 0 0"><joint name="rail" type="slide" axis="1 0 0"/>
<geom name="box" size=".1"/><site name="tip"/></body></body><body name="foot" pos="3 0 -8.95"><joint name="lift"
type="slide" axis="0 0 1"/><geom name="sole" size=".1" gap="2"/></body><body name="ball" pos="0 2 0"><joint
name="swivel" type="ball" limited="true" range="0 60"/><geom name="bob" size=".1" pos="0 0 -.3"/></body>
</worldbody><tendon><spatial name="cable"><site site="base"/><site site="tip"/></spatial>
<fixed name="pulley"><joint joint="hip" coef="2"/></fixed><fixed name="coupling"><joint joint="hip" coef="1"/>
<joint joint="rail" coef="1"/></fixed></tendon><actuator>{actuators}</actuator></mujoco>"""


@pytest.fixture
def made(tmp_path):
    """Compiles a model with shifts, as a robot of the table is compiled."""

    def compiled(xml: str, shifts: str = ""):
        (tmp_path / "made.xml").write_text(xml)
        robot = replace(ROBOTS["reacher"], name="made", xml=str(tmp_path / "made.xml"))
        return build(robot, parse(shifts) if shifts else ())

    return compiled


def forward(model, seed=0, current=1.0):
    """The forces of a random state under random controls; the last activation is multiplied by `current`."""
    rng, data = np.random.default_rng(seed), mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_integratePos(model, data.qpos, rng.normal(0, 0.3, model.nv), 1.0)
    data.qvel[:], data.act[:] = rng.normal(0, 1, model.nv), rng.uniform(0, 1, model.na)
    data.ctrl[:] = rng.uniform(0, 1, model.nu)
    data.act[-1:] *= current
    mujoco.mj_forward(model, data)
    return data


KINDS = {
    "motor": '<motor name="A" joint="hip" gear="5" ctrlrange="-1 1"/>',
    "limited motor": '<motor name="A" joint="hip" gear="5" ctrlrange="-1 1" forcerange="-.2 .2"/>',
    "motor with a rotor": '<motor name="A" joint="hip" gear="5" armature=".1" damping=".2" ctrlrange="-1 1"/>',
    "position": '<position name="A" joint="hip" kp="30" kv="2" ctrlrange="-1 1"/>',
    "geared position": '<position name="A" joint="rail" kp="30" gear="-3" ctrlrange="-1 1"/>',
    "damping ratio": '<position name="A" joint="hip" kp="30" dampratio="1" ctrlrange="-1 1"/>',
    "filtered position": '<position name="A" joint="hip" kp="30" timeconst=".1" ctrlrange="-1 1"/>',
    "saturated position": '<position name="A" joint="hip" kp="300" forcerange="-2 2" ctrlrange="-1 1"/>',
    "velocity": '<velocity name="A" joint="rail" kv="20" ctrlrange="-1 1"/>',
    "affine": '<general name="A" joint="hip" gainprm="20" biastype="affine" biasprm="3 -10 -2" ctrlrange="-1 1"/>',
    "intvelocity": '<intvelocity name="A" joint="hip" kp="30" kv="1" actrange="-1 1" ctrlrange="-1 1"/>',
    "damper": '<damper name="A" joint="hip" kv="3" ctrlrange="0 1"/>',
    "cylinder": '<cylinder name="A" joint="rail" area="4" bias="1 -2 0" ctrlrange="0 1"/>',
    "muscle": '<muscle name="A" joint="hip" ctrlrange="0 1" lengthrange="-1.5 1.5"/>',
    "muscle of a given force": '<muscle name="A" joint="hip" force="40" ctrlrange="0 1" lengthrange="-1.5 1.5"/>',
    "tendon servo": '<position name="A" tendon="cable" kp="30" gear="2" ctrlrange="0 1"/>',
    "site servo": '<position name="A" site="hand" refsite="base" kp="9" gear="0 0 2 0 0 0" ctrlrange="-1 1"/>',
    "thruster": '<general name="A" site="hand" gear="0 0 3 0 1 0" ctrlrange="-1 1"/>',
    "pid": '<pid name="A" joint="hip" kp="30" kv="2" ki="4" posrange="-1 1" velrange="-1 1"/>',
    "orientation": '<orientation name="A" joint="swivel" kp="30" kv="1" ctrlrange="-1 1"/>',
    "voltage": '<dcmotor name="A" joint="hip" resistance="2" motorconst=".5" cogging=".3 4 0" ctrlrange="-9 9"/>',
    "driven dcmotor": '<dcmotor name="A" joint="hip" resistance="2" motorconst=".5" inductance=".1 0" input="pos vel"'
    ' controller="30 5 1 0 0 12" thermal="1 2 0 .01 20 20" lugre="9 1 .5 .8 .1" ctrlrange="-1 1"/>',
    "adhesion": '<adhesion name="A" body="foot" gain="5" ctrlrange="0 1"/>',
}
kinds = pytest.mark.parametrize("kind", KINDS)
OTHER = '<motor name="B" joint="rail" gear="2" ctrlrange="-1 1"/>'


@kinds
@pytest.mark.parametrize("factor", [0.5, 3])
def test_gear_scales_the_force_and_nothing_else(made, kind, factor):
    xml = ARM.format(joint="", actuators=KINDS[kind])
    current = factor if kind == "driven dcmotor" else 1.0  # the others' activations are set points or filtered controls
    plain, shifted = forward(made(xml)[0]), forward(made(xml, f"gear(A)={factor}")[0], current=current)
    assert np.abs(plain.qfrc_actuator).max() > 1e-3
    assert np.allclose(shifted.qfrc_actuator, factor * plain.qfrc_actuator, rtol=1e-9, atol=1e-12)
    assert np.array_equal(shifted.M, plain.M) and np.array_equal(shifted.qfrc_passive, plain.qfrc_passive)
    assert np.allclose(shifted.act_dot[:-1], plain.act_dot[:-1])
    assert np.allclose(shifted.act_dot[-1:], current * plain.act_dot[-1:])


@kinds
def test_a_broken_actuator_makes_no_force(made, kind):
    xml = ARM.format(joint='stiffness="3"', actuators=KINDS[kind] + OTHER)
    model = made(xml, "broken=A")[0]
    alone = forward(made(xml.replace(KINDS[kind], ""))[0])
    data = forward(model)
    moment = np.zeros(model.nv)
    moment[model.joint("rail").dofadr[0]] = 2 * data.ctrl[-1]
    assert np.array_equal(data.qfrc_actuator, moment)
    assert {e.unit for e in controls(model) if e.name.startswith("A")} == {"no effect"}
    assert np.array_equal(data.qfrc_spring, alone.qfrc_spring) and data.qfrc_spring.any()


@pytest.mark.parametrize("factor", [0.2, 1, 4])
def test_a_weaker_servo_gives_way_and_comes_to_the_same_place_without_a_load(made, factor):
    """At rest kp (u - q) carries the weight: q = u - m g / (factor kp)."""
    xml = """<mujoco><option integrator="implicitfast" timestep=".01"/><worldbody><body gravcomp="{free}">
    <joint name="lift" type="slide" axis="0 0 1"/><geom size=".1" mass="2"/></body></worldbody>
    <actuator><position joint="lift" kp="400" dampratio="1" ctrlrange="-1 1"/></actuator></mujoco>"""
    for free in (0, 1):
        model = made(xml.format(free=free), f"gear={factor}")[0]
        data = mujoco.MjData(model)
        data.ctrl[:] = 0.5
        mujoco.mj_step(model, data, 1500)
        sag = 0 if free else 2 * 9.81 / (factor * 400)
        assert data.qpos[0] == pytest.approx(0.5 - sag, abs=1e-6)


@pytest.mark.parametrize("actuator", [
    '<pid name="A" joint="hip" kp="3" input="pos ff" posrange="-1 1" ffrange="-1 1"/>',
    '<general name="A" joint="hip" gaintype="user" ctrlrange="-1 1"/>',
    '<dcmotor name="A" joint="hip" resistance="1" motorconst="1" input="ff" ctrlrange="-1 1"/>',
])  # fmt: skip
def test_what_no_parameter_weakens_is_refused_and_can_be_broken(made, actuator):
    xml = ARM.format(joint="", actuators=actuator + OTHER)
    with pytest.raises(RequestError, match="the shift 'gear' cannot scale the actuator A"):
        made(xml, "gear=0.5")
    made(xml, "gear(B)=0.5")
    assert not forward(made(xml, "broken=*")[0]).qfrc_actuator.any()


JOINTS = """<mujoco>{compiler}<worldbody><body><joint name="hip" axis="0 1 0" {hip}/><geom size=".1" pos=".3 0 0"/>
<body><joint name="rail" type="slide" axis="1 0 0" {rail}/><geom size=".1"/></body></body></worldbody>
<actuator><position name="servo" joint="hip" kp="9" inheritrange="1"/><muscle joint="rail" ctrlrange="0 1"/>
<intvelocity joint="rail" kp="9" inheritrange=".5" ctrlrange="-1 1"/></actuator></mujoco>"""


@pytest.mark.parametrize(
    ("degrees", "ref", "range", "factor", "expected"),
    [
        (True, 30, (-30, 90), 0.5, (0, 60)),
        (False, 0.5, (-0.5, 1), 0.4, (0.1, 0.7)),
        (True, 40, (40, 100), 0.5, (40, 70)),  # an end stop at rest stays
        (True, 5, (40, 100), 0.5, (55, 85)),  # the middle, where the rest is left out
        (True, 0, (-30, 90), 2, (-60, 180)),
        (False, -0.2, (-0.3, 0), 2, (-0.4, 0.2)),
    ],
)
def test_range_is_about_the_ref_of_the_joint(made, degrees, ref, range, factor, expected):
    compiler = "" if degrees else '<compiler angle="radian"/>'
    limits = f'ref="{ref}" range="{range[0]} {range[1]}"'
    model = made(JOINTS.format(compiler=compiler, hip=limits, rail=limits), f"range={factor}")[0]
    assert np.allclose(model.joint("rail").range, expected)  # a slide's are lengths, whatever angles are in
    assert np.allclose(model.joint("hip").range, np.radians(expected) if degrees else expected)


def test_range_leaves_what_actuators_took_from_a_joint(made):
    """The range of a servo's set point and the lengths of a muscle are the robot's own."""
    xml = JOINTS.format(compiler="", hip='range="-30 90"', rail='range="-1 2"')
    plain, shifted = (made(xml, text)[0] for text in ("", "range=0.5"))
    assert np.allclose(plain.actuator("servo").ctrlrange, np.radians([-30, 90]))
    for field in ("actuator_ctrlrange", "actuator_actrange", "actuator_lengthrange"):
        assert np.array_equal(getattr(plain, field), getattr(shifted, field))


def test_the_cone_of_a_ball_joint(made):
    model = made(ARM.format(joint="", actuators=OTHER), "range(swivel)=0.5")[0]
    assert np.allclose(model.joint("swivel").range, np.radians([0, 30]))


@pytest.mark.parametrize("limits", ['range="-30 90" limited="false"', ""])
def test_a_range_without_limits_is_refused_by_name(made, limits):
    xml = JOINTS.format(compiler="", hip=limits, rail='range="-1 2"').replace(' inheritrange="1"', ' ctrlrange="-1 1"')
    with pytest.raises(RequestError, match="'range' of hip changes nothing: no limits are set"):
        made(xml, "range(hip)=0.5")
    assert np.allclose(made(xml, "range=0.5")[0].joint("rail").range, [-0.5, 1])


def test_mass_leaves_forces_that_the_compiler_derives_of_it(made):
    xml = ARM.format(
        joint='springdamper=".5 1"',
        actuators=KINDS["damping ratio"] + KINDS["muscle"].replace('"A"', '"M"'),
    )
    plain, heavy = (made(xml, text)[0] for text in ("", "mass=4"))
    assert np.allclose(heavy.body_mass, 4 * plain.body_mass)
    assert plain.actuator_biasprm[0, 2] < -1 and plain.joint("hip").stiffness[0] > 1
    for field in ("actuator_gainprm", "actuator_biasprm", "jnt_stiffness", "dof_damping"):
        assert np.array_equal(getattr(plain, field), getattr(heavy, field))
    assert np.allclose(forward(plain).qfrc_actuator, forward(heavy).qfrc_actuator)


@pytest.mark.parametrize("body", [
    '<inertial pos="0 0 0" mass="3" diaginertia="1 2 2"/><geom size=".1"/>', '<geom size=".1" mass="3"/>',
    '<geom size=".1" mass="0"/><geom size=".2" density="50"/>',
    '<inertial pos="0 0 0" mass="3" fullinertia="1 2 2 .1 0 0"/>',
])  # fmt: skip
@pytest.mark.parametrize("total", ["", '<compiler settotalmass="14"/>'])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mass_however_it_is_given(made, body, total):
    xml = f'<mujoco>{total}<worldbody><body name="a"><freejoint/>{body}</body></worldbody></mujoco>'
    plain, heavy = (made(xml, text)[0] for text in ("", "mass=2.5"))
    assert np.allclose(heavy.body_mass, 2.5 * plain.body_mass) and np.allclose(heavy.dof_M0, 2.5 * plain.dof_M0)


def test_what_a_bound_of_the_compiler_keeps_is_refused(made):
    body = '<body name="a"><freejoint/><geom size=".1" mass="1.5"/></body>'
    xml = f'<mujoco><compiler boundmass="1"/><worldbody>{body}</worldbody></mujoco>'
    with pytest.raises(RequestError, match=r"'mass' cannot scale a by 0\.5: "):
        made(xml, "mass=0.5")
    assert made(xml, "mass=0.8")[0].body_mass[1] == pytest.approx(1.2)


def test_what_an_actuator_has_from_its_class(made):
    strong = '<default><default class="strong"><position kp="50" kv="3" inheritrange="1"/></default></default>'
    xml = ARM.format(joint="", actuators='<position class="strong" name="A" joint="hip"/>')
    xml = xml.replace("<worldbody>", f"{strong}<worldbody>", 1)
    plain, weak, narrow, dead = (made(xml, text)[0] for text in ("", "gear=0.5", "range(hip)=0.5", "broken=A"))
    assert (
        np.allclose(forward(weak).qfrc_actuator, 0.5 * forward(plain).qfrc_actuator)
        and forward(plain).qfrc_actuator.any()
    )
    assert np.array_equal(narrow.actuator_ctrlrange, plain.actuator_ctrlrange) and not forward(dead).qfrc_actuator.any()


@pytest.mark.parametrize(("name", "seen"), [("damping", "qfrc_passive"), ("armature", "M")])
def test_what_actuators_add_to_a_joint_is_scaled_with_it(made, name, seen):
    motor = f'<motor name="A" joint="hip" gear="2" {name}="0.5"/>'
    xml = ARM.format(joint=f'{name}="3"', actuators=motor)
    without = forward(made(ARM.format(joint="", actuators=""))[0])
    plain, shifted = (forward(made(xml, text)[0]) for text in ("", f"{name}(hip)=3"))
    added, scaled = (getattr(d, seen) - getattr(without, seen) for d in (plain, shifted))
    assert np.abs(added).max() > 0.5 and np.allclose(scaled, 3 * added)


CONTACTS = """<mujoco><worldbody><geom name="floor" type="plane" size="5 5 .1" friction="{floor}"
priority="{first}"/><body name="a" pos="0 0 .09"><freejoint/><geom name="left" size=".1" friction=".5 .02 .001"
solref=".05 1" condim="4"/></body><body name="b" pos=".19 0 .09"><freejoint/><geom name="right" size=".1"
friction=".7 .01 .004" priority="{second}" solmix="3" margin=".02" gap=".01"/></body>
<body name="c" pos=".38 0 .09"><freejoint/><geom size=".1" friction="1.5 .03 .002" solref="-500 -9"/><geom name="spare"
pos="0 .1 0" size=".1" friction=".2 .01 .001" condim="6"/></body>
<body name="d" pos="-.19 0 .09"><freejoint/><geom name="paired" size=".1" contype="0"
conaffinity="0" friction=".1"/></body>
<body name="e" pos="-.38 0 .09"><freejoint/><geom name="shut" size=".1"/><body><joint axis="0 1 0"/>
<geom name="child" size=".1" pos="0 .05 0"/></body></body></worldbody><contact>
<pair geom1="paired" geom2="floor" friction=".6 .5 .1 .2 .3"/><pair geom1="left" geom2="paired" condim="1"/>
<exclude body1="world" body2="e"/></contact></mujoco>"""
FIELDS = ("dim", "solref", "solimp", "solreffriction", "includemargin", "dist", "pos", "frame")


def contacts(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return {tuple(sorted(c.geom.tolist())): c for c in data.contact}


@pytest.mark.parametrize("pattern", ["floor", "left", "right", "c", "spare", "paired", "shut", "*", "[lr]*", ""])
@pytest.mark.parametrize(
    ("first", "second", "floor"), [(0, 0, "1"), (0, 2, ".4"), (2, 2, ".3 .2"), (1, 0, ".9"), (3, 5, "2")]
)
def test_friction_is_that_of_the_contacts_of_a_geom(made, pattern, first, second, floor):
    xml = CONTACTS.format(floor=floor, first=first, second=second)
    named = f"({pattern})" if pattern else ""
    plain, shifted = (contacts(made(xml, text)[0]) for text in ("", f"friction{named}=0.25"))
    names = ["floor", "left", "right", "c", "spare", "paired", "shut", "child"]
    chosen = {
        "floor": {0}, "left": {1}, "right": {2}, "c": {3}, "spare": {4}, "paired": {5}, "shut": {6}, "[lr]*": {1, 2},
    }.get(pattern, set(range(len(names))))  # fmt: skip
    assert plain.keys() == shifted.keys() and len(plain) >= 8
    for pair, contact in plain.items():
        factor = 0.25 if chosen & set(pair) else 1
        assert np.allclose(shifted[pair].friction, factor * contact.friction, rtol=1e-12), [names[g] for g in pair]
        for field in FIELDS:
            assert np.array_equal(getattr(shifted[pair], field), getattr(contact, field)), field


def test_friction_twice_is_their_product(made):
    xml = CONTACTS.format(floor="1", first=1, second=0)
    plain = contacts(made(xml)[0])
    for text in (
        "friction=0.5,friction(left)=0.5",
        "friction(left)=0.5,friction=0.5",
        "friction(left)=.5,friction(f*)=.5",
    ):
        shifted = contacts(made(xml, text)[0])
        assert np.allclose(shifted[0, 1].friction, 0.25 * plain[0, 1].friction)


def test_noise_is_in_the_units_of_each_control(made):
    """A servo with two inputs has two; a pattern names actuators."""
    wide = '<motor name="B" joint="rail" ctrlrange="-400 100"/>'
    made_of = made(ARM.format(joint="", actuators=KINDS["pid"] + wide), "noise(A)=0.1,noise=0.2")
    assert np.allclose(made_of.noise, [np.hypot(0.1, 0.2)] * 2 + [0.2])


RAD = [("A", "hip", "rad")]
SWIVEL = [(f"A {axis}", "swivel", "rad") for axis in "xyz"]
SERVO = [("A position", "hip", "rad"), ("A velocity", "hip", "rad/s")]


@pytest.mark.parametrize(("actuator", "expected"), [
    ("motor", [("A", "hip", "5 N m")]), ("position", RAD), ("damping ratio", RAD), ("filtered position", RAD),
    ("geared position", [("A", "rail", "-0.333333 m")]), ("velocity", [("A", "rail", "m/s")]),
    ("affine", [("A", "hip", "2 rad")]), ("intvelocity", [("A", "hip", "rad/s")]),
    ("damper", [("A", "hip", "3 N m s/rad")]), ("cylinder", [("A", "rail", "4 N")]), ("muscle", [("A", "hip", "1")]),
    ("tendon servo", [("A", "cable", "0.5 m")]), ("site servo", [("A", "hand", "0.5 m")]),
    ("thruster", [("A", "hand", "unknown")]), ("adhesion", [("A", "foot", "5 N")]),
    ("pid", SERVO), ("driven dcmotor", SERVO), ("voltage", [("A", "hip", "V")]), ("orientation", SWIVEL),
    ('<motor name="A" tendon="pulley" gear="3"/>', [("A", "pulley", "3 N m")]),
    ('<position tendon="pulley"/>', [("pulley", "pulley", "rad")]),
    ('<motor name="A" tendon="coupling"/>', [("A", "coupling", "unknown")]),
    ('<motor joint="swivel" gear="0 3 4"/>', [("swivel", "swivel", "5 N m")]),
    ('<motor site="tip" gear="0 0 2 0 0 0"/>', [("tip", "tip", "2 N")]),
    ('<motor site="tip" gear="0 0 0 0 2 0"/>', [("tip", "tip", "2 N m")]),
    ('<velocity site="tip" refsite="base" gear="0 0 0 0 2 0"/>', [("tip", "tip", "0.5 rad/s")]),
    ('<motor cranksite="tip" slidersite="base" cranklength=".5" gear="3"/>', [("tip", "tip", "3 N")]),
    ('<general joint="rail" dyntype="integrator" gainprm="2"/>', [("rail", "rail", "2 N/s")]),
    ('<motor joint="hip"/><position joint="hip"/>',
     [("hip actuator 0", "hip", "1 N m"), ("hip actuator 1", "hip", "rad")]),
    ('<motor joint="hip"/><motor name="hip" tendon="cable"/>',
     [("hip actuator 0", "hip", "1 N m"), ("hip", "cable", "1 N")]),
])  # fmt: skip
def test_controls_are_called_after_what_they_act_on(made, actuator, expected):
    model = made(ARM.format(joint="", actuators=KINDS.get(actuator, actuator)))[0]
    assert [(entry.name, entry.part, entry.unit) for entry in controls(model)] == expected


def test_actuators_of_one_joint_are_chosen_together_or_one_by_one(made):
    xml = ARM.format(joint="", actuators='<motor joint="hip"/><motor joint="hip"/><motor joint="rail"/>')
    gears = {text: made(xml, f"gear({text})=3")[0].actuator_gear[:, 0].tolist() for text in ("hip", "hip actuator 1")}
    assert gears == {"hip": [3, 3, 1], "hip actuator 1": [1, 3, 1]}


def test_changes_of_tendons_sites_servos_and_single_contacts_are_named(made, monkeypatch):
    monkeypatch.setattr("transreward.domains.changes.table_robot", lambda domain: domain)

    def changed(xml, shifts):
        sides = [
            SimpleNamespace(tasks=(), shifts=(), robot=ROBOTS["reacher"], physics=physics, model=physics.model)
            for physics in (made(xml, text) for text in ("", shifts))
        ]
        return [(c.what, c.element, c.source, c.target) for c in changes(*sides)]

    xml = ARM.format(joint="", actuators='<motor tendon="cable" gear="2"/><motor site="tip" gear="0 0 2 0 0 0"/>')
    assert changed(xml, "gear=3") == [
        ("gear", "cable", "2", "6"),
        ("gear, further axes", "tip", *(f"0, {x}, 0, 0, 0" for x in (2, 6))),
    ]
    xml = ARM.format(joint="", actuators=KINDS["pid"] + KINDS["muscle of a given force"].replace('"A"', '"M"'))
    assert changed(xml, "gear(A)=0.5,noise(A)=0.1") == [
        ("gain", "A", "4", "2"), ("bias by position", "A", "\N{MINUS SIGN}30", "\N{MINUS SIGN}15"),
        ("bias by velocity", "A", "\N{MINUS SIGN}2", "\N{MINUS SIGN}1"),
        ("noise on the action (std)", "A position", "0", "0.1"),
        ("noise on the action (std)", "A velocity", "0", "0.1"),
    ]  # fmt: skip
    assert changed(xml, "broken=M") == [("peak force (N)", "M", "40", "0")]
    electric = xml.replace(KINDS["pid"], KINDS["voltage"])
    assert changed(electric, "gear(A)=0.5") == [("resistance (ohm)", "A", "2", "4")]
    rows = changed(xml, "friction(sole)=0.5")
    assert rows[0] == ("sliding friction of contacts", "floor on sole", "1", "0.5") and len(rows) == 4  # of seven
