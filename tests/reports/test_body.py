"""The compensation on the body: where the answer is known it is found, and where nothing is known nothing is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.domains.ids import domain
from transreward.domains.names import entries
from transreward.evaluation.returns import SEED
from transreward.reports.anatomy import gait, measured, outline
from transreward.reports.anatomy.parts import FILE, foremost, grouped, paid
from transreward.reports.page import write_report
from transreward.runs import store
from transreward.types import RequestError

RUNS = Path(__file__).parents[1] / "data" / "runs" / "1"
STEPS = 60


class Walk:
    """A run of random actions, as far as `measured` walks it."""

    def __init__(self, source, target):
        self.config = {"source": source, "target": target, "seed": 0, "seeds": 1}
        self.eval_target = "simulated"

    def policy(self, seed):
        rng, spaces = np.random.default_rng(seed), tr.domain(self.config["source"]).spaces
        return lambda obs: rng.uniform(spaces.low, spaces.high, (len(obs), spaces.action))


def exchanged(target, delta, monkeypatch, source="halfcheetah"):
    """What each joint is paid by delta(next states, the target's), over steps of random actions."""
    monkeypatch.setattr(measured, "STEPS", STEPS)
    run = Walk(source, target)
    pair = measured._pair(run)
    steps, outcomes, qpos = measured._walk(*pair, run, 0)
    groups = grouped(entries(pair[0]), outline.joints(pair[0]))
    return paid(lambda t: delta(t.next_obs, outcomes), steps, outcomes, groups), pair[0], qpos


def far(ours, theirs):
    """Charges a step for how far its next state is from the target's, in spreads."""
    return -np.linalg.norm((ours - theirs) / theirs.std(axis=0), axis=1).astype(float)


@pytest.mark.parametrize("joint", ["bthigh", "fshin"])
def test_a_broken_joint_is_charged_most(joint, monkeypatch):
    one, _, _ = exchanged(f"halfcheetah:broken={joint}", far, monkeypatch)
    assert one.told and foremost([one, one]) == joint
    sizes = {name: np.abs(values).mean() for name, values in one.parts.items()}
    assert sizes[joint] > 0.6 * sum(sizes.values())


def test_a_compensation_of_one_joint_pays_no_other(monkeypatch):
    one, _, _ = exchanged("halfcheetah:gravity=0.5", lambda ours, theirs: -np.abs(ours - theirs)[:, 12], monkeypatch)
    assert {name for name, values in one.parts.items() if np.abs(values).max() > 0} == {"bshin"}
    np.testing.assert_allclose(one.parts["bshin"], one.whole)


@pytest.mark.parametrize("delta", [lambda ours, theirs: -far(ours, theirs), lambda ours, _: np.ones(len(ours))])
def test_nothing_is_claimed_of_one_that_does_not_charge_the_difference(delta, monkeypatch):
    one, _, _ = exchanged("halfcheetah:broken=bthigh", delta, monkeypatch)
    assert not one.told and foremost([one]) == ""


def test_nothing_is_claimed_where_the_seeds_disagree(monkeypatch):
    two = [exchanged(f"halfcheetah:broken={joint}", far, monkeypatch)[0] for joint in ("bthigh", "fshin")]
    assert foremost(two) == "" and foremost([]) == ""


def test_the_target_starts_where_the_source_is(monkeypatch):
    """Between versions that differ in nothing that these steps meet, every next state is the source's own."""
    monkeypatch.setattr(measured, "STEPS", STEPS)
    run = Walk("reacher", "reacher")
    pair = measured._pair(run)
    steps, outcomes, _ = measured._walk(*pair, run, 0)
    np.testing.assert_allclose(steps.next_obs, outcomes, atol=1e-5)
    assert len(steps.reward) == 50 and SEED > 0


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("halfcheetah", "hopper", "not one body"),
        ("halfcheetah", "halfcheetah:delay=2", "delays, noise"),
        ("halfcheetah@mirrored", "halfcheetah:gravity=2", "another view"),
    ],
)
def test_where_it_cannot_be_said_the_reason_is(source, target, why):
    with pytest.raises(RequestError, match=why):
        measured._pair(Walk(source, target))


def test_phases_of_a_gait_are_even_and_noise_has_none():
    time = np.arange(200)
    angles = np.stack([np.sin(2 * np.pi * time / 8.5), np.cos(2 * np.pi * time / 8.5), np.zeros(200)], axis=1)
    found = gait.phase(angles)
    assert found is not None
    steps = np.diff(found[10:-10]) % 1.0
    turned = np.minimum(steps, 1 - steps)
    np.testing.assert_allclose(turned, 1 / 8.5, atol=0.01)
    assert gait.phase(np.random.default_rng(0).normal(size=(200, 3))) is None
    assert gait.phase(np.zeros((200, 3))) is None and gait.phase(angles[:10]) is None


def test_an_outline_has_a_place_for_each_joint():
    robot = measured._pair(Walk("halfcheetah", "halfcheetah:gravity=2"))[0]
    pose = outline.drawn(robot, robot.robot.posed(robot.model))
    assert [*pose["joints"]] == ["bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"]
    assert len(pose["bones"]) == 8 and pose["joints"]["bthigh"][0] < 0 < pose["joints"]["fthigh"][0]  # it looks right
    assert json.loads(json.dumps(pose)) == pose


def test_a_motor_of_a_tendon_belongs_to_no_joint_of_its_number(tmp_path):
    """Where a finger's tendon was weaker the page coloured the first link of the arm."""
    (tmp_path / "arm.xml").write_text(
        '<mujoco><worldbody><body name="upper"><joint name="a"/><geom size=".1"/><body name="lower" pos="0 0 1">'
        '<joint name="b"/><geom size=".1"/></body></body></worldbody><tendon><fixed name="t">'
        '<joint joint="b" coef="1"/></fixed></tendon>'
        '<actuator><motor name="pull" tendon="t" ctrlrange="-1 1"/></actuator></mujoco>'
    )
    robot = domain(f"mjcf:{tmp_path / 'arm.xml'}")
    assert outline.elements(robot)[:2] == [{"upper", "a"}, {"lower", "b"}] and outline.joints(robot) == ()


# -- on the page ---------------------------------------------------------------------------------------------------


def section(place: Path) -> str:
    return write_report([place]).read_text().partition("<h3>On the body</h3>")[2].partition("</section>")[0]


@pytest.fixture
def place(tmp_path):
    return Path(shutil.copytree(RUNS / "transfer-ppo", tmp_path / "run"))


def test_the_page_draws_what_was_found_and_names_no_joint_otherwise(place, monkeypatch):
    one, robot, qpos = exchanged("halfcheetah:broken=bthigh", far, monkeypatch)
    pose = {**outline.drawn(robot, qpos[-1]), "paid": {k: float(v.mean()) for k, v in one.parts.items()}, "steps": 5}
    found = {"steps": STEPS, "foremost": "bthigh", "seeds": [measured._mean(0, one)], "cycle": [pose] * 8}
    store.write_json(place / FILE, found)
    text = section(place)
    assert "The joint bthigh is charged most in every seed" in text and "Through the gait" in text
    assert text.count('class="bone"') == 2 * 8 * 8 and "part 8: bthigh" in text
    for changed, said in (
        ({"foremost": "", "cycle": []}, "none is named and no body drawn"),
        ({"foremost": "", "cycle": [], "seeds": [{**found["seeds"][0], "told": False}]}, "so no joint is named"),
        ({"cycle": []}, "No gait was found"),
    ):
        store.write_json(place / FILE, found | changed)
        text = section(place)
        assert said in text and 'class="bone"' not in text
    store.write_json(place / FILE, {"why": "the source is seen in another view of its robot"})
    assert "cannot be said: the source is seen in another view of its robot." in section(place)


def test_it_is_measured_once_and_only_where_rewards_are_changed(place):
    stored = (place / "compensation.safetensors").exists()
    measured.keep(place)
    assert (place / FILE).exists() == stored
    if stored:
        found = store.read_json(place / FILE)
        assert "why" in found or {"seeds", "foremost", "cycle", "steps"} == {*found}
        before = (place / FILE).stat().st_mtime_ns
        measured.keep(place)
        assert (place / FILE).stat().st_mtime_ns == before
        assert section(place)


def test_a_run_that_may_be_read_alone_has_a_page_elsewhere(tmp_path, monkeypatch):
    """Of a colleague's, or on a medium that is read-only."""
    shutil.copytree(RUNS / "transfer-ppo", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "compensation.safetensors").exists()
    monkeypatch.setattr(measured, "unwritable", lambda path: OSError(30, "Read-only file system"))
    with pytest.warns(UserWarning, match=r"body.json cannot be written \(Read-only file system\), so the page"):
        written = write_report([tmp_path / "theirs"], tmp_path / "mine.html", first=measured.keep)
    assert "The compensation" in written.read_text() and not (tmp_path / "theirs" / FILE).exists()
