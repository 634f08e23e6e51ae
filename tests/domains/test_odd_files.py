"""Robots from files that have what most have not: ball joints, things that lie about, several motors on a joint,
several controls of a motor, motors with a state, and keyframes of a robot that is then made larger."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import transreward as tr
from tests.domains.robots_in_files import URDF
from transreward.domains.shifts.rules import inputs
from transreward.types import RequestError

ARM = """<mujoco><option timestep="0.01"/><worldbody>
<geom type="plane" size="2 2 1"/>
<body name="upper" pos="0 0 1"><joint name="hombro ñ" axis="0 1 0" damping="0.5"/>
  <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
  <body name="lower" pos=".3 0 0"><joint name="wrist" {wrist}/>
    <geom type="capsule" fromto="0 0 0 .2 0 0" size=".03"/><site name="tip" pos=".2 0 0"/></body></body>
{more}
</worldbody><actuator>{motors}</actuator></mujoco>"""
HINGE, BALL = 'axis="0 1 0" damping="0.3"', 'type="ball" damping="0.3"'
CUBE = '<body name="cube" pos="1 0 .1"><freejoint name="cube"/><geom type="box" size=".1 .1 .1"/></body>'
MOTOR = '<motor joint="hombro ñ" ctrlrange="-1 1"/>'

TABLE = """<mujoco><option timestep="0.005"/><worldbody>
<geom type="plane" size="5 5 1"/>
<body name="trunk" pos="0 0 1"><freejoint/><geom type="box" size=".3 .1 .05" mass="3"/>
  <body name="a" pos=".2 0 0"><joint name="a" axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03"/></body>
  <body name="b" pos="-.2 0 0"><joint name="b" axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03"/></body>
</body></worldbody>
<actuator>{motors}</actuator>
<keyframe><key name="home" qpos="0 0 .33 1 0 0 0 0 0"/></keyframe></mujoco>"""


@pytest.fixture
def made(tmp_path):
    """Puts a robot into a file of a folder whose name has more than letters, with what is said beside it, and returns
    its id."""

    def make(xml, said="", **parts):
        folder = tmp_path / "a robot ü"
        folder.mkdir()
        (folder / "it.xml").write_text(xml.format(**parts), encoding="utf-8")
        if said:
            (folder / "it.yaml").write_text(said, encoding="utf-8")
        return f"mjcf:{folder / 'it.xml'}"

    return make


def test_what_turns_on_a_ball_or_lies_free_begins_in_the_pose(made):
    arm = tr.domain(made(ARM, wrist=BALL, more=CUBE, motors=MOTOR))
    qpos = arm.simulate(8, 0, 1).qpos
    assert np.ptp(qpos[:, 0]) > 0.01  # a joint
    np.testing.assert_array_equal(qpos[:, 1:5], np.tile([1.0, 0, 0, 0], (8, 1)))
    np.testing.assert_array_equal(qpos[:, 5:12], np.tile([1.0, 0, 0.1, 1, 0, 0, 0], (8, 1)))


def test_the_first_keyframe_may_have_no_name(made):
    motors = "".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")
    robot = tr.domain(made(TABLE.replace('name="home" ', ""), motors=motors))
    assert robot.robot.posed(robot.model)[2] == 0.33
    np.testing.assert_array_equal(robot.simulate(2, 0, 1).qpos[:, 2], 0.33)


def test_a_last_link_without_a_name_is_said(made):
    xml = ARM.replace('<body name="lower"', "<body").replace('<site name="tip" pos=".2 0 0"/>', "")
    with pytest.raises(RequestError, match="name that body, or a site in it, or say another `tip`"):
        tr.domain(made(xml, wrist=HINGE, more="", motors=MOTOR))


def test_a_tip_in_a_frame_of_its_link_is_where_the_frame_puts_it(made):
    """The body that is compared with the goal was elsewhere than the site from which goals are drawn."""
    framed = '<frame pos=".1 0 0" euler="0 90 0"><site name="tip" pos=".2 0 0"/></frame>'
    arm = tr.domain(made(ARM.replace('<site name="tip" pos=".2 0 0"/>', framed), wrist=HINGE, more="", motors=MOTOR))
    data = mujoco.MjData(arm.model)
    mujoco.mj_forward(arm.model, data)
    np.testing.assert_allclose(data.body("reach_tip").xpos, data.site("tip").xpos, atol=1e-12)


@pytest.mark.parametrize("gear", [1, -2])
def test_goals_are_where_servos_can_be_told_to_go(made, gear):
    servo = f'<position joint="hombro ñ" kp="9" gear="{gear}" ctrlrange="-2 1"/>'
    id = made(ARM.replace("{wrist}", 'axis="0 1 0" range="0 0.001"'), more="", motors=servo)
    for said, low, high in (("", *sorted((-2 / gear, 1 / gear))), ("(servos=0.2)", -0.2, 0.2)):
        x, z = tr.domain(id + said).robot.goals[:, [0, 2]].T
        turned = np.arctan2(1 - z, x)
        assert max(low, -0.9) - 0.002 < turned.min() and turned.max() < min(high, 0.9) + 0.002
        assert np.ptp(turned) > 0.8 * (min(high, 0.9) - max(low, -0.9))  # all of it


def test_goals_are_where_joints_go_that_follow_others(made):
    """A wrist that an equality turns against the shoulder, so that the last link keeps its direction."""
    tied = '</actuator><equality><joint joint1="wrist" joint2="hombro ñ" polycoef="0 -1 0 0 0"/></equality>'
    arm = tr.domain(made(ARM.replace("</actuator>", tied), wrist=HINGE, more="", motors=MOTOR))
    goals = arm.robot.goals[:, [0, 2]] - [0.2, 1]
    np.testing.assert_allclose(np.linalg.norm(goals, axis=1), 0.3)


def test_limits_are_of_all_motors_of_a_joint(made):
    motors = '<motor joint="hombro ñ"/><motor joint="hombro ñ" gear="2"/><motor name="w" joint="wrist"/>'
    arm = tr.domain(made(ARM, "limits: {hombro ñ: [-1, 2], w: [-3, 3]}", wrist=HINGE, more="", motors=motors))
    np.testing.assert_array_equal(arm.spaces.high, [2, 2, 3])


def test_the_limits_of_a_servo_hold_beside_what_is_near_its_pose(made):
    servos = "".join(f'<position name="{n}" joint="{n}" kp="9" ctrlrange="-2 2"/>' for n in "ab")
    robot = tr.domain(made(TABLE, "limits: {a: [-0.1, 0.3]}", motors=servos))
    np.testing.assert_allclose([robot.spaces.low, robot.spaces.high], [[-0.1, -0.5], [0.3, 0.5]])


def test_a_servo_on_a_ball_joint_is_held_near_its_turn_in_the_pose(made):
    """Which is a rotation vector's share of its axis, and no number of the quaternion."""
    xml = TABLE.replace('<joint name="a" axis="0 1 0"/>', '<joint name="a" type="ball"/>')
    xml = xml.replace("1 0 0 0 0 0", "1 0 0 0 0.995004165 0 0.099833417 0 0")  # by 0.2 rad about y
    servos = [f'<position joint="a" kp="9" gear="{axis}" ctrlrange="-2 2"/>' for axis in ("1 0 0", "0 2 0")]
    robot = tr.domain(made(xml, motors="".join(servos) + '<position joint="b" kp="9" ctrlrange="-2 2"/>'))
    np.testing.assert_allclose(robot.spaces.centre, [0, 0.4, 0], atol=1e-6)
    np.testing.assert_allclose(robot.spaces.half_width, [0.5, 1, 0.5], atol=1e-6)


def test_a_servo_of_velocity_keeps_its_range(made):
    motors = '<intvelocity joint="a" kp="9" kv="1" ctrlrange="-3 3" actrange="-1 1"/>'
    robot = tr.domain(made(TABLE, motors=motors + '<position joint="b" kp="9" ctrlrange="-2 2"/>'))
    np.testing.assert_allclose(robot.spaces.high, [3, 0.5])


def test_servos_of_a_planar_robot_stay_as_near_the_pose_as_is_said(made):
    xml = TABLE.replace("<freejoint/>", '<joint name="x" type="slide" axis="1 0 0"/>').replace(".33 1 0 0 0 0 0", "")
    id = made(xml.replace('0 0 "/>', '0 0.2 0"/>'), motors='<position joint="a" kp="9" ctrlrange="-2 2"/>')
    assert [tr.domain(id + said).spaces.high[0] for said in ("", "(servos=0.25)")] == pytest.approx([2, 0.45])


def test_a_goal_counts_from_where_the_robot_begins(made):
    """And not from the world's origin, nor is it the place of what lies before the robot in its file."""
    xml = TABLE.replace('<body name="trunk"', CUBE + '<body name="trunk"')
    xml = xml.replace('qpos="0 0', 'qpos="1 0 .1 1 0 0 0 3 -2')
    motors = "".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")
    robot = tr.domain(f"{made(xml, motors=motors)}+goal(x=0.6,y=0.8)")
    walk, other = robot.simulate(3, 0, 1), robot.simulate(3, 1, 1)
    np.testing.assert_array_equal(walk.obs[:, :2], 0)
    for _ in range(3):
        walk.step(np.ones((3, 2)))
    apart = np.linalg.norm(walk.qpos[:, 7:9] - [3.6, -1.2], axis=1)
    np.testing.assert_allclose(walk.terms["near"], 5 / (1 + apart))
    assert other.put(walk.obs).all()
    np.testing.assert_allclose(other.qpos, walk.qpos, atol=1e-9)


def test_who_has_fallen_is_told_from_the_floor_on(made):
    """Which need not be at height 0: a robot whose file begins it there had fallen before it took a step."""
    motors = "".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")
    xml = TABLE.replace('size="5 5 1"', 'size="5 5 1" pos="0 0 -.33"').replace('qpos="0 0 .33', 'qpos="0 0 0')
    low = tr.domain(made(xml, motors=motors)).simulate(3, 0, 1)
    qpos = low.qpos
    qpos[:, 2] = -0.16, -0.17, 0
    low.set_physics(qpos, low.qvel)
    assert low.robot.healthy(low._rows).tolist() == [True, False, True]


def test_a_base_may_have_another_axis_up(made):
    """As models have that were drawn with y up: a robot had fallen before it took a step."""
    motors = "".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")
    robot = tr.domain(made(TABLE.replace(".33 1 0", ".33 .6 .8"), motors=motors))
    walk = robot.simulate(3, 0, 1)
    qpos = walk.qpos
    for row, degrees in enumerate((0, 50, 70)):  # from the pose, about the world's x axis
        half, zero = np.radians(degrees) / 2, np.zeros(4)
        mujoco.mju_mulQuat(zero, np.array([np.cos(half), np.sin(half), 0, 0]), qpos[row, 3:7].copy())
        qpos[row, 3:7] = zero
    walk.set_physics(qpos, walk.qvel)
    assert walk.robot.healthy(walk._rows).tolist() == [True, True, False]


@pytest.mark.parametrize(("said", "xml"), [("tip=trunk", TABLE), ("tip=no such", TABLE), ("fallen=0.3", ARM)])
def test_what_is_said_of_another_kind_of_robot_is_refused(made, said, xml):
    id = made(xml, wrist=HINGE, more="", motors=(MOTOR if xml is ARM else MOTOR.replace("hombro ñ", "a")))
    with pytest.raises(RequestError, match=rf"`{said.partition('=')[0]}` is for robots with .* base.*: leave it out"):
        tr.domain(f"{id}({said})")


def test_a_control_rate_that_physics_cannot_have_is_refused(made):
    id = made(ARM, wrist=HINGE, more="", motors=MOTOR)
    assert tr.domain(f"{id}(control_rate=100)").control_rate == 100
    with pytest.raises(RequestError, match=r"faster than its physics, which has a step of 0.01 s: say at most 100"):
        tr.domain(f"{id}(control_rate=200)")
    assert tr.domain(f"{id}(control_rate=33.3)").control_rate == pytest.approx(100 / 3)
    with pytest.raises(RequestError, match=r"no whole number of physics steps, which are 0.01 s: say 50 or 33.33, or"):
        tr.domain(f"{id}(control_rate=40)")


def test_the_base_of_what_motors_push_at_sites_is_what_they_push(made):
    """And not the pad on which a drone stands, since that is the first body of the file."""
    thrust = '<motor site="{}" gear="0 0 1 0 0 0" ctrlrange="0 9"/>'
    xml = """<mujoco><worldbody><body name="pad"><geom type="box" size=".5 .5 .01"/></body>
    <body name="drone" pos="0 0 .2"><freejoint/><geom size=".1" mass="1"/><site name="a" pos=".1 0 0"/>
    <site name="b" pos="-.1 0 0"/></body></worldbody><actuator>{motors}</actuator></mujoco>"""
    drone = tr.domain(made(xml, motors=thrust.format("a") + thrust.format("b")))
    assert drone.entries[0].name == "height" and drone.spaces.obs == 13


def test_joints_of_one_name_in_a_urdf_are_refused(tmp_path):
    """MuJoCo leaves the second one without a name, and it had no motor."""
    (tmp_path / "arm.urdf").write_text(URDF.replace('name="elbow"', 'name="shoulder"'))
    with pytest.raises(RequestError, match="the joint of 'tool' has no name of its own"):
        tr.domain(f"urdf:{tmp_path / 'arm.urdf'}")


def test_a_joint_that_mimics_another_has_no_motor(tmp_path):
    mimic = '<mimic joint="shoulder" multiplier="-1"/></joint>\n</robot>'
    (tmp_path / "arm.urdf").write_text(URDF.replace("</joint>\n</robot>", mimic))
    arm = tr.domain(f"urdf:{tmp_path / 'arm.urdf'}")
    assert [entry.name for entry in arm.action_entries] == ["shoulder"]


def test_a_base_may_be_fixed_to_the_body_that_moves_freely(made):
    """It was taken for an arm whose base is fixed to the world."""
    trunk = '<body name="frame" pos="0 0 1"><freejoint/><body name="trunk">'
    xml = TABLE.replace('<body name="trunk" pos="0 0 1"><freejoint/>', trunk).replace(
        "</worldbody>", "</body></worldbody>"
    )
    motors = "".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")
    assert tr.domain(f"{made(xml, motors=motors)}(base=trunk)").entries[0].name == "height"


@pytest.mark.parametrize(("half", "floors"), [(3, 0), (0.5, 1)])
def test_a_wide_box_is_a_floor(made, half, floors):
    """On which a robot stands, and no other is added at height 0. Of a small one only the name is kept."""
    box = f'<geom name="floor" type="box" size="{half} {half} .1" pos="0 0 -.6"/>'
    xml = TABLE.replace('<geom type="plane" size="5 5 1"/>', box).replace('qpos="0 0 .33', 'qpos="0 0 -.17')
    robot = tr.domain(made(xml, motors="".join(f'<motor joint="{n}" ctrlrange="-1 1"/>' for n in "ab")))
    assert (robot.model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)).sum() == floors
    walk = robot.simulate(2, 0, 1)
    assert floors or walk.robot.healthy(walk._rows).all()


def test_limits_come_before_a_range_that_is_inherited(made):
    motors = '<position name="w" joint="wrist" kp="9" inheritrange="1"/>' + MOTOR
    arm = tr.domain(made(ARM, "limits: {w: [-0.1, 0.3]}", wrist='range="-60 60"', more="", motors=motors))
    np.testing.assert_allclose([arm.spaces.low[0], arm.spaces.high[0]], [-0.1, 0.3])


def test_a_motor_may_have_several_controls(made):
    """So that the limits of those behind it, and the joint that a rule reads, are found by another number."""
    several = '<pid name="p" joint="a" kp="3" input="pos ff" posrange="-1 1" ffrange="-5 5"/>'
    servos = '<position joint="b" kp="9" ctrlrange="-2 2"/><position joint="b" kp="9" ctrlrange="-.3 2"/>'
    robot = tr.domain(made(TABLE, motors=several + servos))
    np.testing.assert_allclose(robot.spaces.low, [-1, -5, -0.5, -0.3])
    none = np.zeros((1, 4))
    seen = inputs(robot.model, none, none, np.arange(9.0)[None], np.arange(8.0)[None])
    assert seen[2:, 0].tolist() == [[7, 7, 8, 8], [6, 6, 7, 7]]


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_robot_of_another_size_stands_on_the_ground_in_its_keyframe(made, factor):
    motors = '<motor joint="a" ctrlrange="-1 1"/><motor joint="b" ctrlrange="-1 1"/>'
    robot = tr.domain(f"{made(TABLE, motors=motors)}:size={factor}")
    data = mujoco.MjData(robot.model)
    data.qpos[:] = robot.robot.posed(robot.model)
    assert data.qpos[2] == pytest.approx(0.33 * factor)
    mujoco.mj_forward(robot.model, data)
    assert all(contact.dist > -1e-6 for contact in data.contact)


def test_nothing_is_identified_of_motors_with_a_state(made):
    """Which no observation shows: a filter was begun anew in every step, and gravity x 0.5 told as x 0.6."""
    lag = '<general joint="hombro ñ" ctrlrange="-1 1" dyntype="filterexact" dynprm="0.1" gainprm="4"/>'
    id = made(ARM, wrist=HINGE, more="", motors=lag)
    with pytest.raises(RequestError, match="actuators with a state of their own"):
        tr.identify(id, f"{id}:gravity=0.5", target_steps=300)
