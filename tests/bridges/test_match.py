"""Bridges between unlike robots: what matches, that agents and steps cross exactly, and runs over them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from crossed import SMALL, agents_of, require_maps, require_plain_steps, require_taken_up
from quick import robots

import transreward as tr
from transreward import replay as rp
from transreward.bridges import between
from transreward.bridges.bridge import Columns
from transreward.bridges.match import _rest, columns
from transreward.domains.across import Across, split
from transreward.domains.robots import ROBOTS
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.runs.source_agent import SourceAgent
from transreward.types import Entry, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

LEARNERS = [SAC(hidden=(8, 8)), PPO(hidden=(8, 8))]
CROSSED = [
    "halfcheetah@named(halfcheetah:legs=3)", "halfcheetah@clone(named)(halfcheetah:legs=3)",
    "halfcheetah:gravity=0.5@named(halfcheetah:without=ffoot)", "halfcheetah@shuffled(named)(halfcheetah:legs=3)",
    "halfcheetah@kinematic(walker2d)", "reacher@named(reacher:links=3)", "ant@clone(kinematic)(ant:legs=5)",
    "hopper@history=2@named(walker2d@history=2)",
]  # fmt: skip
LEGS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")


def moves(id):
    """The motors of the target, each with the source's motor that it does as, and the sign."""
    one = tr.domain(id)
    own = [entry.name for entry in one.crossing.own.action_entries]
    rows = zip(one.action_entries, np.sign(one.crossing.there.action.matrix), strict=True)
    return {entry.name: (own[int(np.abs(row).argmax())], row.sum()) for entry, row in rows if row.any()}


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A half-cheetah from another maker: its legs in another order, under other names, about the opposite axes."""
    text = Path(ROBOTS["halfcheetah"].path).read_text()
    hind, fore = text.index('<body name="bthigh"'), text.index('<body name="fthigh"')
    end = text.index("</worldbody>") - len("    </body>\n  ")
    text = text[:hind] + text[fore:end] + text[hind:fore] + text[end:]
    for k, name in enumerate(LEGS):
        text = re.sub(rf'(joint axis="0 )1( 0"[^>]*name="{name}"[^>]*range=")(\S+) (\S+)"',
                      lambda m: f'{m[1]}-1{m[2]}{-float(m[4])} {-float(m[3])}"', text)  # fmt: skip
        text = text.replace(f'"{name}"', f'"part{5 - k}"')
    (tmp_path / "strange.xml").write_text(text)
    row = replace(ROBOTS["halfcheetah"], name="strange", xml=str(tmp_path / "strange.xml"), gym_id="", plans={})
    monkeypatch.setitem(ROBOTS, "strange", row)


@pytest.mark.parametrize("id", CROSSED)
def test_steps_are_the_plain_robots_in_other_columns(id):
    found = tr.domain(id)
    assert isinstance(found, Across) and found.name == id
    assert found.spaces == found.other.spaces and len(found.entries) == found.spaces.obs
    require_maps(found.crossing)
    require_plain_steps(found.plain, found, found.crossing)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)
@pytest.mark.parametrize("id", [CROSSED[1], CROSSED[2], CROSSED[4]])
def test_an_agent_crosses_exactly(id, learner):
    found = tr.domain(id)
    require_taken_up(learner, found.plain, found.crossing)


def test_what_the_bridges_match():
    same = {name: (name, 1) for name in LEGS}
    assert moves(CROSSED[0]) == same
    assert moves(CROSSED[1]) == same | {f"{name}2": (name, 1) for name in LEGS[:3]}
    assert moves("halfcheetah@named(halfcheetah:without=fshin)") == {name: same[name] for name in LEGS[:4]}
    walker = ("thigh_joint", "leg_joint", "foot_joint", "thigh_left_joint", "leg_left_joint", "foot_left_joint")
    assert moves(CROSSED[4]) == {name: (leg, -1) for name, leg in zip(walker, LEGS, strict=True)}
    for legs in (3, 5):
        assert moves(f"ant@kinematic(ant:legs={legs})") == moves(f"ant@named(ant:legs={legs})")
    odd = moves(CROSSED[3])
    assert odd.keys() == same.keys() and all(name != own for name, (own, _) in odd.items())
    assert sorted(own for own, _ in odd.values()) == sorted(LEGS)


def test_a_robot_is_found_in_itself_permuted_and_mirrored(strange):
    assert moves("halfcheetah@kinematic(strange)") == {f"part{5 - k}": (name, -1) for k, name in enumerate(LEGS)}
    found, rng = tr.domain("halfcheetah@kinematic(strange)"), np.random.default_rng(0)
    assert not found.crossing.lost
    here, there = found.simulate(4, 0, 1), tr.domain("strange").simulate(4, 0, 1)
    for _ in range(30):
        there.put(here.obs)
        action = rng.uniform(-1, 1, (4, 6))
        t, u = here.step(action), there.step(action)
        np.testing.assert_allclose(t.next_obs, u.next_obs, atol=1e-8)
        np.testing.assert_allclose(t.reward, u.reward, atol=1e-8)


@pytest.mark.parametrize("motor", ["motor", "position"])
def test_a_motor_with_a_negative_gear_is_told_the_opposite(tmp_path, motor):
    """It was told the same, and pushed its joint the other way."""
    body = '<body name="{0}" pos="0 0 .3"><joint name="{0}" axis="0 1 0"/><geom size=".02" pos="0 0 .1"/>'
    act = f'<{motor} joint="{{}}" gear="{{}}" ctrlrange="-1 1"/>'
    text = "<mujoco><worldbody>{}{}</body></body>{}</worldbody><actuator>{}{}</actuator></mujoco>"
    ids = []
    for name, gear, more in (("a", 5, ""), ("b", -5, body.format("z") + "</body>")):
        moved = act.format("x", gear), act.format("y", 4)
        (tmp_path / f"{name}.xml").write_text(text.format(body.format("x"), body.format("y"), more, *moved))
        ids.append(f"mjcf:{tmp_path / name}.xml")
    crossed = tr.bridge(*ids)
    np.testing.assert_array_equal(crossed.shares.matrix, [[-1, 0], [0, 1]])


def test_the_force_of_a_motor_changes_its_sign_with_the_axis():
    knees = {"right_knee": ("left_knee", -1.0)}
    humanoid = Columns.of(tr.domain("humanoid"))
    names = [entry.name for entry in humanoid.entries]
    signs = {names[one.column]: one.sign for one in columns(humanoid, humanoid, knees) if "knee" in names[one.column]}
    assert signs == {f"right_knee {what}": -1 for what in ("angle", "velocity", "actuator force")}


def test_commanded_actions_cross_as_the_motors_do():
    """In shares and with the sign; those of other strength were unseen."""
    found, n = tr.domain("halfcheetah:gear(bthigh)=0.5@history=2@kinematic(walker2d@history=2)").crossing, 6
    for maps in (found.there, found.back):
        np.testing.assert_array_equal(maps.obs.matrix[17:, 17:], np.kron(np.eye(2), maps.action.matrix))
        assert not maps.obs.matrix[:17, 17:].any() and not maps.obs.matrix[17:, :17].any()
    assert np.abs(found.there.action.matrix).sum() == n and (found.there.action.matrix <= 0).all()
    found = tr.domain("halfcheetah@history=2@named(halfcheetah:without=ffoot@history=2)").crossing
    assert {"ffoot", "action -1 ffoot", "action -2 ffoot"} <= {*found.lost} and "action -1 fshin" not in found.lost


def test_unseen_columns_rest_and_have_their_units_variance():
    found, learner = tr.domain(CROSSED[0]), LEARNERS[0]
    names = [entry.name for entry in found.entries]
    new = [names.index(name) for name in names if "2 " in name]
    begins = found.other.simulate(64, 0).obs.mean(axis=0)
    walk = found.simulate(2, 0, 1)
    np.testing.assert_array_equal(walk.obs[:, new], np.tile(begins[new], (2, 1)))
    agent = SourceAgent("halfcheetah", learner, agents_of(learner, found.plain), None, None, 1, [0, 1], [])
    var, old = (np.asarray(one.agents.normaliser.var) for one in (agent.across(found), agent))
    turning = [i for i, entry in enumerate(found.plain.entries) if entry.unit == "rad/s"]
    np.testing.assert_allclose(var[:, names.index("bshin2 velocity")], old[:, turning].mean(axis=1), rtol=1e-6)


def test_stored_steps_cross_with_their_agent_and_leave_their_terms():
    found, learner = tr.domain(CROSSED[0]), LEARNERS[0]
    steps = robots(found.plain, [0, 1], 3, 1, terms=2).collect(None, None, None, 4)
    stored = rp.of(steps, found.plain.spaces)
    agent = SourceAgent("halfcheetah", learner, agents_of(learner, found.plain), stored, None, 12, [0, 1], [])
    crossed = agent.across(found)
    t, there = rp.in_order(crossed.replay), found.crossing.there
    assert crossed.source == found.name and t.terms.shape[-1] == 0
    np.testing.assert_allclose(t.transition.obs, there.obs(steps.transition.obs), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(t.transition.reward, steps.transition.reward)
    assert crossed.across(found) is crossed and agent.across(found.plain) is agent


@pytest.mark.slow
def test_a_run_crosses_by_itself_and_goes_on_from_an_earlier_agent(tmp_path):
    first = tr.transfer("halfcheetah", "halfcheetah:legs=3", "fine_tune", controls=["zero_shot"], **SMALL,
                        out=tmp_path / "first")  # fmt: skip
    assert first.config["source"] == CROSSED[0] and first.config["target"] == "halfcheetah:legs=3"
    assert SourceAgent.about(tmp_path / "first")["source"] == "halfcheetah"
    assert first.policy(seed=0)(np.zeros(23)).shape == (9,)
    again = tr.transfer("halfcheetah", "halfcheetah:legs=3", "zero_shot", source_run=tmp_path / "first",
                        **{k: v for k, v in SMALL.items() if k != "learner"})  # fmt: skip
    np.testing.assert_array_equal(again.target_return, first.controls["zero_shot"].target_return)
    loaded = tr.load(tmp_path / "first")
    for one, other in zip(jax.tree.leaves(loaded.agents), jax.tree.leaves(first.agents), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_source_agents_critic_is_followed_across():
    found = tr.transfer("halfcheetah", "halfcheetah:legs=3", "qavatar", controls=[], **SMALL)
    row = found.log[-1]
    assert found.config["source"] == CROSSED[0] and row["method"] == "qavatar"
    assert 0 < row["source_share"] < 1 and row["own_error"] > 0 and row["source_error"] > 0


@pytest.mark.long
@pytest.mark.slow
def test_the_default_method_and_stored_steps_cross_too():
    with pytest.warns(UserWarning, match="across a bridge 'auto' does as 'fine_tune' does"):
        found = tr.transfer("halfcheetah", "halfcheetah:without=ffoot", controls=["mix", "rlpd"], **SMALL)
    assert found.delivered and set(found.controls) == {"mix", "rlpd"}


REFUSED = [
    (("hopper", "halfcheetah"), {}, "unlike robots need a bridge"),
    (("hopper", "halfcheetah"), {"bridge": "named"}, "the bridge 'named': no motor of hopper"),
    (("halfcheetah", "halfcheetah:legs=3"), {"bridge": "none"}, "unlike robots need a bridge"),
    (("halfcheetah", "halfcheetah:legs=3"), {"bridge": "nmed"}, "did you mean named?"),
    (("halfcheetah", "halfcheetah:legs=3"), {"bridge": "twin(named)"}, "there are: clone, shuffled"),
    (("halfcheetah", "halfcheetah:legs=3"), {"bridge": "mirrored"}, "write 'halfcheetah@mirrored', and name"),
    (("halfcheetah", "gym:Pendulum-v1"), {"bridge": "kinematic"}, "shows no model in which its joints could be placed"),
    *(
        (("halfcheetah", "halfcheetah:legs=3"), {"method": name}, f"'{name}' needs one body")
        for name in ("vgdf", "paired", "identified", "relabel", "darail")
    ),
    (("halfcheetah", "halfcheetah:legs=3"), {"method": "reward_gap", "cotrain": True}, "which unlike robots cannot"),
]


@pytest.mark.parametrize(("pair", "asked", "words"), REFUSED)
def test_refused(pair, asked, words):
    with pytest.raises(RequestError, match=re.escape(words)):
        tr.transfer(*pair, asked.pop("method", "fine_tune"), **asked)


@pytest.mark.parametrize(
    ("id", "parts"),
    [
        ("a:b(c*)=2@named(d:e(f)=1)", ("a:b(c*)=2", "named", "d:e(f)=1")),
        ("a@history=2@shuffled(clone(named))(b@named(c))", ("a@history=2", "shuffled(clone(named))", "b@named(c)")),
        ("a@turned90+direction(degrees=45)", None),
        ("a@turned90:mass(torso)=2", None),
    ],
)
def test_ids_with_a_bridge(id, parts):
    assert split(id) == parts


def test_a_bridge_leads_to_another_robot():
    with pytest.raises(RequestError, match="leads to another robot: name that"):
        between("named").across(tr.domain("hopper"))


def test_one_part_cannot_be_shuffled():
    """It would keep its counterpart, and the control would be the map itself."""
    with pytest.raises(RequestError, match=r"only 'slider' of inverted_pendulum:gravity=0\.5 has"):
        tr.domain("inverted_pendulum@shuffled(named)(inverted_pendulum:gravity=0.5)")


@pytest.mark.parametrize("part", ["joint0", "n", "angle", "a+b"])
def test_a_columns_name_without_its_part(part):
    """Whatever the part is called: sin(n) has another n."""
    names = f"{part} angle", f"sin({part})", part, f"{part} external force x"
    assert [_rest(Entry(name, "1", part)) for name in names] == [" angle", "sin()", "", " external force x"]
    assert _rest(Entry("knee_motor", "N m", "knee")) == "_motor"


def test_robots_of_the_table_are_seen_from_where_they_begin():
    """A walker's height, 1.25 m at first, is a half-cheetah's 0."""
    crossing = tr.domain("halfcheetah@kinematic(walker2d)").crossing
    (height,) = (i for i, e in enumerate(crossing.own.entries) if e.name == "rootz position")
    at = np.zeros((1, crossing.shown.spaces.obs))
    at[0, [e.name for e in crossing.shown.entries].index("rootz position")] = 1.35
    assert crossing.back.obs(at)[0, height] == pytest.approx(0.1)
