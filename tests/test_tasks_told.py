"""One agent for several tasks: `universal` over a family whose robots have tasks of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.domains.ids import domain
from transreward.engine.informing import first_told
from transreward.plan.compile import compile
from transreward.request.resolve import resolve
from transreward.request.told import STEPS, at_once
from transreward.runs.source_agent import SourceAgent
from transreward.types import RequestError

LEARNERS = {name: tr.learner(name, **settings) for name, settings in bits.LEARNERS.items()}
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
HOPPERS = "hopper~hopper+backward~hopper+stand"
OWN = "hopper+tests.domains.made:upright"


def config(target="hopper+backward", source=HOPPERS, method="universal", settings=None, **more):
    request = {**bits.REQUEST, "target_steps": 2000, "learner": LEARNERS["sac"], "source_run": None, **more}
    return resolve(source, target, method, settings=SETTINGS | (settings or {}), controls=(), **request)


def test_a_known_task_takes_no_target_step():
    found = config()
    known = at_once(found, found.method)
    assert known.weights == [-1.0, 0.0]
    assert known.said == "the policy is told that hopper+backward pays forward -1, still 0"
    assert first_told(found, found.method).tolist() == [[-1.0, -1.0, 1.0]] * 2
    (track,) = compile(found).tracks
    assert [stage.budget for stage in track.stages] == [(0, 0)] and found.method.ground is None
    assert found.of_agent(found.method).domains.source.name == f"{HOPPERS}@informed=0.2"


def test_an_unseen_task_is_told_if_the_family_spans_it():
    ahead = config("ant+direction(degrees=30)", "ant~ant+direction(degrees=90)~ant+backward")
    known = at_once(ahead, ahead.method)
    assert known.weights == pytest.approx([np.sqrt(0.75), 0.5]) and "between no tasks of the family" in known.said
    half = at_once(two := config("hopper+terms(forward=0.5)"), two.method)
    assert half.said == "the policy is told that hopper+terms(forward=0.5) pays forward 0.5, still 0"
    fast = at_once(two := config("hopper+terms(forward=2)"), two.method)
    assert fast.weights == [2.0, 0.0] and "forward 2 is outside the family's -1..1" in fast.said
    assert first_told(two, two.method).tolist() == [[1.0, -1.0, 1.0]] * 2


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("hopper+hop(speed=1)", {}, "pays speed(1), which no task of the family does"),
        ("hopper+terms(control=0)", {}, "pays 0 times control, and all tasks of the family 1 times"),
        (OWN, {}, "pays upright, which no task of the family does"),
        ("hopper+backward", {"randomise.infer": True}, "is taken for one whose task nobody knows"),
    ],
)
def test_what_no_id_tells_the_first_rewards_do(target, settings, said):
    found = config(target, settings=settings)
    known = at_once(found, found.method)
    assert known.weights is None and f"{target} {said}" in known.said and "\n" not in known.said
    assert not first_told(found, found.method).any() and found.method.ground.steps == STEPS
    assert compile(found).tracks[0].stages[0].budget.target >= STEPS
    assert config(target, settings={**settings, "ground.steps": 100}).method.ground.steps == 100


def test_where_physics_differ_too_they_are_looked_for():
    found = config("hopper+stand:gravity=1.5", "hopper~hopper+stand:gravity=2~hopper+backward:gravity=0.5")
    assert found.method.ground.steps == 500 and at_once(found, found.method).weights == [0.0, 1.0]
    assert first_told(found, found.method).tolist() == [[0.0, 1.0, 1.0, 0.0, 0.0]] * 2
    trained = config(method="universal_identified")
    assert trained.method.ground is not None and trained.method.ground.steps == 500


def test_a_family_of_one_task_is_told_as_before():
    found = config("hopper:gravity=1.5", "hopper:gravity=0.5..2")
    assert at_once(found, found.method) is None and first_told(found, found.method).tolist() == [[0.0, 0.0]] * 2


def test_what_is_refused():
    with pytest.raises(RequestError, match="is a family of robots"):
        config(method="identified")
    with pytest.raises(RequestError, match="has other physics in every episode: name one robot of the family"):
        config(method="paired_branched", target="hopper:gravity=2")


def transferred(target, settings=None, **more):
    lines = []
    result = tr.transfer(
        HOPPERS, target, "universal", learner=more.pop("learner", LEARNERS["sac"]),
        settings={**SETTINGS, **(settings or {})}, watch=lambda progress: lines.extend(progress.said),
        **{**bits.REQUEST, **more},
    )  # fmt: skip
    return result, lines


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("name", LEARNERS)
def test_one_agent_serves_every_task(name, tmp_path):
    """It is taken up from an earlier run and told another task; what is delivered is a plain policy that was told."""
    first, lines = transferred("hopper+backward", learner=LEARNERS[name], out=tmp_path / "run")
    assert first.steps == (640, 0) and any("hopper+backward pays forward -1, still 0" in line for line in lines)
    assert first.policy(0)(np.zeros(11)).shape == (3,)
    family = domain(f"{HOPPERS}@informed=0.2")
    agent = SourceAgent.load(tmp_path / "run", family, LEARNERS[name], [4, 5])
    for target, told in (("hopper+backward", [-1.0, 0.0]), ("hopper+stand", [0.0, 1.0])):
        again, _ = transferred(target, learner=LEARNERS[name], source_run=tmp_path / "run")
        agents = agent.given(domain("hopper").spaces, np.tile(family.told(told, None), (2, 1))).agents
        assert all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (agents, again.agents)), strict=True))
    assert tr.load(tmp_path / "run").policy(1)(np.ones(11)) == pytest.approx(first.policy(1)(np.ones(11)))


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_an_unknown_task_is_told_by_its_rewards(tmp_path):
    settings = {"randomise.infer": True, "ground.steps": 400}
    result, lines = transferred("hopper+backward:gravity=0.8", settings, target_steps=600, out=tmp_path / "run")
    assert any("the policy is told that its task pays forward -1" in line for line in lines), lines
    found = json.loads((tmp_path / "run" / "identification.json").read_text())
    assert found["told"][0]["forward"] == pytest.approx(-1.0, abs=0.05)
    assert found["task"][0]["enough"] and found["task"][0]["explained"] > 0.98
    assert set(result.delivered) <= {"source", "universal"} and 0 < result.steps.target <= 600
    _, lines = transferred(OWN, {"ground.steps": 400}, target_steps=600)
    assert sum("the policy is told nothing of its task" in line for line in lines) == 2, lines


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    class Stop(Exception):
        pass

    def watch(progress):
        if progress.phase == "source" and progress.done > 0.5:
            raise Stop

    whole, _ = transferred("hopper+stand", out=tmp_path / "whole")
    with pytest.raises(Stop):
        tr.transfer(
            HOPPERS, "hopper+stand", "universal", learner=LEARNERS["sac"], settings=SETTINGS, out=tmp_path / "run",
            watch=watch, **bits.REQUEST,
        )  # fmt: skip
    again = tr.resume(tmp_path / "run")
    assert all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (whole.agents, again.agents)), strict=True))
    assert np.array_equal(whole.returns.target, again.returns.target)
