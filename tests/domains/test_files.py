"""Robots from files: found, described, put back, shifted, refused."""

from __future__ import annotations

import os
import pickle
import re

import mujoco
import numpy as np
import pytest

import transreward as tr
from tests.domains import robots_in_files as files
from transreward.domains import difference
from transreward.domains.across import split
from transreward.domains.changes import changes
from transreward.domains.domain import successes
from transreward.domains.files import inside, tips
from transreward.types import RequestError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("menagerie")
    names = files.menagerie(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MENAGERIE_ROOT", str(folder))
        yield names


def walk(domain, steps=20, rows=4, seed=0):
    """The simulation after random steps about the middle of the box."""
    simulation, rng, spaces = domain.simulate(rows, seed, 1), np.random.default_rng(seed), domain.spaces
    for _ in range(steps):
        action = spaces.centre + 0.3 * spaces.half_width * rng.uniform(-1, 1, (rows, spaces.action))
        simulation.step(action)
    return simulation


def require_put_back(domain, error=1e-6):
    """From an observation alone a robot goes on as before."""
    one, other = walk(domain), domain.simulate(4, 1, 1)
    assert other.put(one.obs).all()
    for simulation in (one, other):
        simulation.clock[:] = 0
    action = np.tile(domain.spaces.centre, (4, 1))
    first, second = one.step(action), other.step(action)
    np.testing.assert_allclose(first.next_obs, second.next_obs, atol=error)
    np.testing.assert_allclose(first.reward, second.reward, atol=error)


def test_an_arm(tmp_path):
    arm = tr.domain(files.arm(tmp_path))
    assert [entry.name for entry in arm.entries] == [
        "shoulder angle", "elbow angle", "shoulder velocity", "elbow velocity",
        "goal x", "goal y", "goal z", "tip to goal x", "tip to goal y", "tip to goal z",
    ]  # fmt: skip
    assert (arm.control_rate, arm.episode_steps) == (50.0, 200)
    assert arm.spaces.low.tolist() == [-1.5, -2.0]
    require_put_back(arm)
    simulation = walk(arm)
    goals = simulation.obs[:, 4:7].copy()
    simulation.step(np.zeros((4, 2)))
    np.testing.assert_array_equal(simulation.obs[:, 4:7], goals)  # it stays, whatever gravity does
    assert len(np.unique(goals, axis=0)) == 4
    distance = np.linalg.norm(simulation.obs[:, 7:10], axis=1)
    np.testing.assert_allclose(simulation.terms["reach"], -distance)


def test_a_tip_reaches_its_goals(tmp_path):
    """What is drawn can be reached: the planar arm's goals are in its plane and no farther than it is long."""
    goals = tr.domain(files.arm(tmp_path)).robot.goals
    assert np.abs(goals[:, 1]).max() < 1e-9
    assert np.linalg.norm(goals - [0, 0, 0.1], axis=1).max() <= 0.6 + 1e-9


def test_a_goal_of_ones_own(tmp_path):
    id = files.arm(tmp_path)
    one = tr.domain(f"{id}+reach(x=0.3,y=0,z=0.4)")
    np.testing.assert_allclose(one.simulate(3, 0, 1).obs[:, 4:7], [[0.3, 0, 0.4]] * 3)
    with pytest.raises(RequestError, match="does not reach"):
        tr.domain(f"{id}+reach(x=3,y=0,z=0.4)")
    with pytest.raises(RequestError, match=r"\+reach is what .* does anyway: leave it out, or fix its goal, reach\(x="):
        tr.domain(f"{id}+reach")


def test_a_robot_that_walks(tmp_path):
    crawler = tr.domain(files.crawler(tmp_path))
    names = [entry.name for entry in crawler.entries]
    assert names[:10] == [
        "height", "up x", "up y", "up z", "north x", "north y", "north z", "velocity forward", "velocity left",
        "velocity up",
    ]  # fmt: skip
    assert names[13:] == [f"{leg} {what}" for what in ("angle", "velocity") for leg, _, _ in files.LEGS]
    np.testing.assert_allclose(crawler.spaces.centre, [0.2, -0.2, 0.2, -0.2])  # targets are near the pose
    np.testing.assert_allclose(crawler.spaces.half_width, 0.5)
    assert {one.label for one in successes(crawler)} == {"fallen"}
    require_put_back(crawler)
    lowest = [walk(crawler, steps).qpos[:, 2].min() for steps in (5, 40)]
    assert min(lowest) > 0.1  # a floor was added


def test_velocities_are_in_the_frame_of_the_base(tmp_path):
    """A base that is turned by a quarter to the left and moves along the world's x axis moves to its right."""
    crawler = tr.domain(files.crawler(tmp_path))
    simulation = crawler.simulate(1, 0, 1)
    qpos, qvel = simulation.qpos, np.zeros_like(simulation.qvel)
    qpos[0, 3:7], qvel[0, 0] = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], 2.0
    simulation.set_physics(qpos, qvel)
    np.testing.assert_allclose(simulation.obs[0, 1:10], [0, 0, 1, 0, -1, 0, 0, -2, 0], atol=1e-12)


def test_tasks_and_what_they_say(tmp_path):
    id = files.crawler(tmp_path)
    walking = tr.domain(f"{id}+walk(speed=0.5)")
    assert {one.label for one in successes(walking)} == {"tracking error (m/s)", "fallen"}
    assert set(tr.domain(f"{id}+direction(degrees=90)").reward_terms) == {"sideways", "survive", "power"}
    placed = tr.domain(f"{id}+goal(x=2,y=0)")
    require_put_back(placed)
    assert "reached" in {one.label for one in successes(placed)}
    with pytest.raises(RequestError, match="has no task 'reach'"):
        tr.domain(f"{id}+reach(x=1,y=0,z=0)")
    with pytest.raises(RequestError, match="has no task 'walk'"):
        tr.domain(f"{files.arm(tmp_path)}+walk(speed=1)")


@pytest.mark.parametrize(
    "shift", ["gravity=0.5", "payload(lower)=1", "damping(elbow)=2", "delay=2", "sensor_noise=0.01"]
)
def test_shifts_act(tmp_path, shift):
    id = files.arm(tmp_path)
    plain, shifted = (walk(tr.domain(x)).obs for x in (id, f"{id}:{shift}"))
    assert np.abs(plain - shifted).max() > 1e-4


def test_parts_that_are_left_out(tmp_path):
    """Keyframes and columns go with them."""
    short = tr.domain(f"{files.crawler(tmp_path)}:without=hind_left")
    assert (short.spaces.obs, short.spaces.action) == (13 + 6, 3)
    require_put_back(short)
    np.testing.assert_allclose(short.simulate(1, 0, 1).qpos[0, 7:], [0.2, -0.2, -0.2], atol=0.06)


def test_an_id_survives(tmp_path):
    id = f"{files.crawler(tmp_path)}+walk(speed=0.5):payload=1"
    made = tr.domain(id)
    assert made.name == id
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.simulate(2, 0, 1).obs, made.simulate(2, 0, 1).obs)


def test_a_file_that_changed_is_another_robot(tmp_path):
    id = files.arm(tmp_path)
    before = tr.domain(id).model.body("lower").mass[0]
    (tmp_path / "arm.xml").write_text(files.ARM.format(mass=3))
    os.utime(tmp_path / "arm.xml", (0, 0))
    assert (before, tr.domain(id).model.body("lower").mass[0]) == (1, 3)


def test_what_is_said_beside_a_file(tmp_path):
    id = files.arm(tmp_path)
    (tmp_path / "arm.yaml").write_text("{control_rate: 20, episode_steps: 30, tip: lower, limits: {elb*: [-1, 1]}}")
    arm = tr.domain(id)
    assert (arm.control_rate, arm.episode_steps) == (20.0, 30)
    np.testing.assert_allclose(arm.spaces.high, [1.5, 1.0])
    low = np.linalg.norm(arm.robot.goals - [0, 0, 0.1], axis=1)
    np.testing.assert_allclose(low, 0.3)  # where the lower link begins


def test_what_is_said_in_an_id(tmp_path):
    """It comes before what is said beside the file, and stays in the id."""
    id = f"{files.arm(tmp_path)}(tip=lower,control_rate=20)"
    (tmp_path / "arm.yaml").write_text("{control_rate: 25, episode_steps: 30}")
    arm = tr.domain(f"{id}+reach(x=0.1,y=0,z=0.35):payload=0.5")
    assert (arm.control_rate, arm.episode_steps) == (20.0, 30)
    np.testing.assert_allclose(np.linalg.norm(arm.robot.goals - [0, 0, 0.1], axis=1), 0.3)
    assert arm.robot.doc == "arm: bring lower to a goal" and arm.name.startswith(id)
    assert tr.domain(arm.name).name == arm.name
    assert tr.bridge(id, f"{id}:mass=2").said()
    assert split(f"{id}@named({id}:mass=2)") == (id, "named", f"{id}:mass=2")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tip=lowr", "did you mean lower"), ("tip", "malformed domain id"), ("rate=3", "unknown key 'rate'"),
        ("control_rate=nan", "control_rate must be a number"), ("limits=3", "limits must be a mapping"),
        ("tip=lower,", "unknown key ''"), ("fallen=1.2", "fallen is a share of the height in the pose, below 1"),
        ("control_rate=x", "control_rate must be a number from 0, not 'x'"),
    ],
)  # fmt: skip
def test_refused_in_an_id(tmp_path, said, words):
    with pytest.raises(RequestError, match=re.escape(words)) as caught:
        tr.domain(f"{files.arm(tmp_path)}({said})")
    assert "\n" not in str(caught.value)


def test_a_urdf(tmp_path):
    """Whose motors are as strong as the efforts of its joints."""
    (tmp_path / "arm.urdf").write_text(files.URDF)
    arm = tr.domain(f"urdf:{tmp_path / 'arm.urdf'}")
    assert [(e.name, e.unit) for e in arm.action_entries] == [("shoulder", "1 N m"), ("elbow", "1 N m")]
    np.testing.assert_array_equal(arm.spaces.high, [20, 10])
    require_put_back(arm)


def test_a_planar_robot(tmp_path):
    """Gymnasium's half-cheetah from its file: it is paid for its speed, and does not see where it is."""
    (tmp_path / "cheetah.xml").write_text(tr.domain("halfcheetah").robot.path.read_text())
    made = tr.domain(f"mjcf:{tmp_path / 'cheetah.xml'}")
    assert (made.spaces.obs, made.spaces.action) == (17, 6)
    assert [e.name for e in made.entries] == [e.name for e in tr.domain("halfcheetah").entries]
    simulation = made.simulate(1, 0, 1)
    simulation.set_physics(simulation.qpos, np.eye(9)[:1] * 3.0)
    simulation.step(np.zeros((1, 6)))
    assert simulation.terms["forward"][0] > 1
    require_put_back(made)


BARE = "<mujoco><worldbody>{}</worldbody></mujoco>"
JOINT = '<body name="b"><joint name="j"/><geom size="0.1" pos="0 0 1"/></body>'
WRONG = {
    "no such mesh": (
        '<mujoco><asset><mesh name="m" file="gone.stl"/></asset><worldbody><geom type="mesh" mesh="m"/></worldbody>'
        "</mujoco>",
        {}, "gone.stl",
    ),
    "no such include": ('<mujoco><include file="gone.xml"/></mujoco>', {}, "gone.xml"),
    "no xml": ("<mujoco><world", {}, "cannot be read"),
    "no joint": (BARE.format('<geom size="1"/>'), {}, "has no actuator"),
    "no actuator": (BARE.format(JOINT), {}, "has no actuator, so nothing acts on it"),
    "no limits": (
        BARE.format(JOINT).replace("</mujoco>", '<actuator><motor joint="j"/></actuator></mujoco>'),
        {}, "give its actuator a ctrlrange",
    ),
    "no such tip": (None, {"tip": "griper"}, "did you mean gripper?"),
    "no such pose": (None, {"pose": "home"}, "keyframe"),
    "no such base": (None, {"base": "trunk"}, "body"),
    "no such key": (None, {"rate": 50}, "unknown key 'rate'"),
    "no such actuator": (None, {"limits": {"wrist": [0, 1]}}, "wrist"),
    "reversed limits": (None, {"limits": {"elbow": [1, 0]}}, "must be [low, high]"),
    "a rate of nothing": (None, {"control_rate": 0}, "control_rate must be above 0"),
    "a tip that does not move": (None, {"tip": "base"}, "does not move"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_refused_in_one_line(tmp_path, what):
    text, said, words = WRONG[what]
    (tmp_path / "arm.xml").write_text(text or files.ARM.format(mass=1))
    if said:
        (tmp_path / "arm.yaml").write_text(repr(said))
    with pytest.raises(RequestError, match=re.escape(words)) as caught:
        tr.domain(f"mjcf:{tmp_path / 'arm.xml'}").simulate(1, 0, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("mjcf:gone.xml", "there is no file gone.xml"),
        ("mjcf:", "nothing follows the colon"),
        ("mjcf:arm.txt", "write mjcf:path.xml"),
        ("menagerie:unitree_go3", "did you mean unitree_go"),
        ("menagerie:unitree_go1/scen", "did you mean scene?"),
        ("menagerie:franka_fr3", "MENAGERIE_ROOT"),
    ],
)
def test_ids_that_name_no_file(root, id, words):
    with pytest.raises(RequestError, match=re.escape(words)):
        tr.domain(id)


def test_a_robot_of_menagerie(root):
    made = tr.domain("menagerie:unitree_go1")
    assert (made.spaces.obs, made.spaces.action) == (37, 12)
    np.testing.assert_allclose(made.spaces.centre[:3], [0, 0.9, -1.8], atol=1e-6)
    require_put_back(made, 1e-3)  # contacts begin from where the solver was


def test_robots_of_two_makers_are_matched(root):
    """Unitree's and Google's dogs share no name, and their axes point in other ways."""
    crossed = tr.bridge("menagerie:unitree_go1", "menagerie:google_barkour_vb", "kinematic")
    table = dict(line.split(maxsplit=1) for line in crossed.table().splitlines()[1:13])
    ends = {"front": "F", "hind": "R"}, {"left": "L", "right": "R"}
    kinds = {"abduction": "hip", "hip": "thigh", "knee": "calf"}
    for theirs, ours in table.items():
        kind, end, side = theirs.split("_")
        assert ours.strip(" -") == f"{ends[0][end]}{ends[1][side]}_{kinds[kind]}"
    there = crossed.crossing.there.obs
    rest = np.array([entry.rest for entry in crossed.crossing.own.entries])
    np.testing.assert_allclose(there(rest), [entry.rest for entry in crossed.entries], atol=1e-12)


@pytest.mark.long
@pytest.mark.slow
def test_every_robot_of_menagerie_that_is_here(root):
    assert len(root) == 14
    for name in root:
        made = tr.domain(f"menagerie:{name}")
        names = [entry.name for entry in made.entries]
        assert len({*names}) == len(names) == made.spaces.obs, name
        simulation = walk(made)
        assert np.isfinite(simulation.obs).all(), name
        other = made.simulate(4, 1, 1)
        assert other.put(simulation.obs).all(), name
        tips = [i for i, entry in enumerate(names) if not entry.startswith("tip to goal")]  # which are a substep behind
        np.testing.assert_allclose(other.obs[:, tips], simulation.obs[:, tips], atol=1e-9, err_msg=name)


def test_a_heavier_arm_from_two_files_is_identified(tmp_path):
    light, heavy = files.arm(tmp_path), files.arm(tmp_path, "heavy.xml", 2.0)
    found = tr.identify(light, heavy, target_steps=400)
    (shift,) = tr.domain(found.id).shifts
    assert (shift.name, shift.pattern) == ("mass", "lower")
    assert shift.value == pytest.approx(2.0, rel=0.02)


def test_robots_of_two_files_with_the_same_joints_share_their_states(tmp_path):
    """As versions of one robot do, so that every step of a measure counts. Joints in another order are other states."""
    light, heavy = (tr.domain(files.arm(tmp_path, f"{i}.xml", mass)) for i, mass in enumerate((1.0, 2.0)))
    measured = difference.measure(light, heavy, n=64)
    assert (measured.share, measured.states) == (1.0, 64)
    assert not difference.relabels(light, heavy)  # each file has its own tip
    text = (tmp_path / "1.xml").read_text().replace('"shoulder"', '"arm"').replace('"elbow"', '"shoulder"')
    (tmp_path / "2.xml").write_text(text.replace('"arm"', '"elbow"'))
    assert not difference.one_body(light, tr.domain(f"mjcf:{tmp_path / '2.xml'}"))


def test_a_tool_at_the_tip_is_identified_as_such(tmp_path):
    """It moves the link's centre of mass, which neither its mass nor a payload there would."""
    plain = files.arm(tmp_path)
    site, tool = '<site name="gripper"', '<geom size="0.03" pos="0 0 0.3" mass="0.5" contype="0" conaffinity="0"/>'
    (tmp_path / "tool.xml").write_text((tmp_path / "arm.xml").read_text().replace(site, tool + site))
    found = tr.identify(plain, f"mjcf:{tmp_path / 'tool.xml'}", target_steps=400)
    (shift,) = tr.domain(found.id).shifts
    assert (shift.name, shift.pattern) == ("payload", "gripper")
    assert shift.value == pytest.approx(0.5, rel=0.02)
    told = changes(tr.domain(plain), tr.domain(f"mjcf:{tmp_path / 'tool.xml'}"))
    assert [(c.what, c.element) for c in told] == [
        ("mass (kg)", "lower"), ("inertia (kg m²)", "lower"), ("centre of mass in it (m)", "lower"),
        ("geom", "lower (geom 2)"),
    ]  # fmt: skip
    assert told[-1][2:] == ("none", "there")


def test_a_part_that_the_task_added_is_none_of_the_robot(tmp_path):
    with pytest.raises(RequestError, match=r"unknown body or site of .* there are: (?!.*reach_)"):
        tr.domain(f"{files.arm(tmp_path)}:payload(xyz)=1")


def test_mujoco_reads_what_was_added(tmp_path):
    """A goal without weight or contact, and a tip at its site."""
    model = tr.domain(files.arm(tmp_path)).model
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.body("reach_tip").xpos, data.site("gripper").xpos)
    assert not data.ncon and abs(data.qacc[-3:]).max() < 1e-9


# a base that is fixed to the world, which meets what hangs on it; a foot in the floor, which is as it should be
JAMMED = """
<mujoco>
  <worldbody>
    <geom type="plane" size="0 0 0.1"/>
    <body name="base">
      <geom type="cylinder" size="0.07 0.1" pos="0 0 0.09"/>
      <body name="turret" pos="0 0 0.2">
        <joint name="yaw" axis="0 0 1"/>
        <geom name="plate" type="cylinder" size="0.05 0.04"/>
        <site name="tip" pos="0.2 0 0"/>
      </body>
    </body>
  </worldbody>
  {apart}
  <actuator><motor joint="yaw" gear="6" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


def test_parts_that_lie_inside_each_other_are_said(tmp_path):
    file, other = tmp_path / "jammed.xml", tmp_path / "apart.xml"
    file.write_text(JAMMED.format(apart=""))
    other.write_text(JAMMED.format(apart='<contact><exclude body1="base" body2="turret"/></contact>'))
    jammed, apart = (tr.domain(f"mjcf:{place}") for place in (file, other))
    (pair,) = inside.inside(jammed)
    assert sorted(pair.names) == ["base", "plate"] and pair.depth == pytest.approx(0.03, rel=0.05)
    (sentence,) = inside.said(jammed, tr.domain(f"mjcf:{file}:gravity=0.5"))
    assert "base and plate by 30 mm" in sentence and '<exclude body1="base" body2="turret"/>' in sentence
    assert inside.said(apart, tr.domain("halfcheetah"), tr.domain("gym:Pendulum-v1")) == ()


JIB = """<mujoco><worldbody><body name="boom"><joint name="lift" axis="0 1 0" range="-60 60"/>
<geom type="capsule" fromto="0 0 0 0.3 0 0" size="0.02"/><body name="jib" pos="0.3 0 0">
<joint name="fold" axis="0 1 0" range="-90 90"/><geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.02"/>{more}
</body></body></worldbody><actuator><motor joint="lift" ctrlrange="-1 1" gear="9"/>
<motor joint="fold" ctrlrange="-1 1" gear="5"/></actuator></mujoco>"""
LOAD = '<geom type="sphere" size="0.04" mass="0.9" pos="0.2 0 0"/>'


@pytest.mark.parametrize(("site", "told"), [("", 1), ('<site name="hook" pos="0.21 0 0"/>', 0)])
def test_arms_that_reach_with_different_points_are_said(tmp_path, site, told):
    """The centre of mass of a link moves with what it carries; the only site of the last link stays."""
    for name, more in (("arm", site), ("heavy", site + LOAD)):
        (tmp_path / f"{name}.xml").write_text(JIB.format(more=more))
    arm, heavy = (tr.domain(f"mjcf:{tmp_path / name}.xml") for name in ("arm", "heavy"))
    said = tips.remarks(arm, heavy, tr.domain("halfcheetah"))
    assert len(said) == told and all("heavy.xml" in one and "tip=jib" in one for one in said)
    assert tips.said(arm, tr.domain(f"{arm.name}:payload(jib)=1")) == tips.agreed(arm) == ()
    wanted = tuple(f"{one.name}(tip=jib)" for one in (arm, heavy)) if told else ()
    assert tips.agreed(arm, heavy) == wanted
    if site:
        np.testing.assert_allclose(arm.model.body("reach_tip").pos, [0.21, 0, 0])


@pytest.mark.parametrize(
    ("first", "other"),
    [("", LOAD), ('<site name="a"/>', '<site name="b" pos="0.2 0 0"/>'), ("", '<site name="imu2"/>')],
)
def test_the_tip_that_is_proposed_is_one_that_both_arms_have(tmp_path, first, other):
    """It was the first site of the one, wherever that is, so that the next command was refused."""
    sensed = JIB.replace('<body name="jib"', '<site name="imu"/><body name="jib"')
    for name, more in (("first", first), ("other", other)):
        (tmp_path / f"{name}.xml").write_text(sensed.format(more=more))
    agreed = tips.agreed(*(tr.domain(f"mjcf:{tmp_path / name}.xml") for name in ("first", "other")))
    assert [id.partition("(")[2] for id in agreed] == ["tip=jib)"] * 2
    assert not tips.agreed(*map(tr.domain, agreed))


@pytest.mark.parametrize("wrong", [0.5, 200.7])
def test_a_robot_that_asks_counts_whole_steps_and_says_yes_or_no(tmp_path, wrong):
    """Half a step was none, in an episode of no steps."""
    told = {"observation": ["hip"], "action": [{"name": "u", "low": -1, "high": 1}], "episode_steps": wrong}
    (tmp_path / "robot.yaml").write_text(repr(told))
    with pytest.raises(RequestError, match=f"episode_steps must be a whole number, not {wrong}"):
        tr.domain(f"asked:{tmp_path / 'robot.yaml'}")
    (tmp_path / "robot.yaml").write_text(repr({**told, "episode_steps": 200.0}))
    assert tr.domain(f"asked:{tmp_path / 'robot.yaml'}").episode_steps == 200
    with pytest.raises(RequestError, match="soft of u must be true or false, not 'no'"):  # which counted as yes
        (tmp_path / "robot.yaml").write_text(repr({**told, "action": [{**told["action"][0], "soft": "no"}]}))
        tr.domain(f"asked:{tmp_path / 'robot.yaml'}")
