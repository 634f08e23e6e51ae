"""A row may say that its source agent is trained in a family of robots around the source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quick import compiler

import transreward as tr
from transreward.domains.ids import domain
from transreward.domains.varied import randomised
from transreward.engine import cache
from transreward.engine.stages import before, chain
from transreward.methods import METHODS
from transreward.plan.compile import EARLIER, compile
from transreward.request.resolve import resolve
from transreward.study.jobs import jobs_of
from transreward.study.plan import read_plan
from transreward.types import RequestError

PENDULUM = "inverted_pendulum", "inverted_pendulum:gravity=2"
RANGES = "gravity=0.8..1.6,mass=0.5..1"
SMALL = {
    "learner.hidden": "4", "learner.robots": 4, "learner.batch": 8, "learner.burst": 8, "learner.random_steps": 16,
    "loop.final_episodes": 2, "loop.eval_episodes": 1, "loop.evaluations": 1, "loop.source_evaluations": 1,
    "loop.threads": 1, "loop.aligned": 0.0, "loop.gap_updates": 0.5,
}  # fmt: skip
REQUEST = {"learner": "sac", "source_steps": 320, "target_steps": 64, "seeds": 2, "seed": 3}


def asked(method="darc", controls=("zero_shot", "randomised"), settings=None, source_run=None):
    return resolve(*PENDULUM, method, controls=controls, settings=settings or {}, source_run=source_run, **REQUEST)


def run(method, controls=(), **more):
    with compiler(hurried=True):
        return tr.transfer(*PENDULUM, method, controls=controls, **REQUEST, **more)


def agent_of(directory):
    """What the source agent of a run was trained in, and its steps."""
    told = json.loads((directory / "source" / "agent.json").read_text())
    return told["source"], told["steps"]


@pytest.mark.slow
def test_its_agent_learns_in_the_family_and_the_others_in_the_source(tmp_path):
    settings = {**SMALL, "randomised.randomise.ranges": RANGES}
    result = run("zero_shot", ("randomised",), settings=settings, out=tmp_path / "run")
    found = result.controls["randomised"]
    assert found.steps == result.steps == (320, 0) and found.evaluation_steps.source > 0
    assert not np.array_equal(found.returns.source, result.returns.source)
    assert found.zero_shot is None and result.zero_shot is not None  # it does not start from the agent of the others
    assert found.config["randomise"] == {"ranges": RANGES} and "randomise" not in result.config
    assert agent_of(tmp_path / "run") == (PENDULUM[0], 320)
    assert tr.load(tmp_path / "run").controls["randomised"].config == found.config

    alone = run("randomised", settings={**SMALL, "randomise.ranges": RANGES}, out=tmp_path / "alone")
    assert all(np.array_equal(x, y) for x, y in zip(alone.returns, found.returns, strict=True))
    assert agent_of(tmp_path / "alone") == (f"inverted_pendulum:{RANGES}", 320)
    with pytest.raises(RequestError, match=f"was trained in 'inverted_pendulum:{RANGES}', not in 'inverted_pendulum'"):
        run("fine_tune", settings=SMALL, source_run=tmp_path / "alone")
    with pytest.raises(RequestError, match="'randomised' trains a source agent of its own, in a family of robots"):
        run("randomised", settings=SMALL, source_run=tmp_path / "run")
    later = run("zero_shot", ("randomised",), settings=settings, source_run=tmp_path / "run")
    for one, other in ((later, result), (later.controls["randomised"], found)):
        assert one.steps == other.steps
        assert all(np.array_equal(x, y) for x, y in zip(one.returns, other.returns, strict=True))


def test_the_plan_has_an_agent_of_each_kind():
    plan = compile(asked())
    names = {track.method.name: track.agent for track in plan.tracks}
    assert names["darc"] != names["zero_shot"] != names["randomised"]
    assert plan.agents[names["zero_shot"]].after == names["darc"]
    assert plan.agents[names["randomised"]].after is None
    assert [plan.agents[names[name]].method.randomise is None for name in ("zero_shot", "randomised")] == [True, False]
    plan = compile(asked(controls=("randomised",)), 200)  # after an agent that was taken up
    names = {track.method.name: track.agent for track in plan.tracks}
    assert names["darc"] == EARLIER and plan.agents[names["randomised"]].after is None
    assert plan.agents[names["randomised"]].budget == (320, 0)


def test_as_a_control_it_is_of_the_methods_family():
    """Which is what it is compared with; a family of its own is said by its name."""

    def family(method, settings):
        (_, control) = asked(method, settings=settings).controls
        return control.randomise.ranges

    assert family("universal", {"randomise.ranges": RANGES}) == RANGES
    own = {"randomise.ranges": RANGES, "randomised.randomise.ranges": "gravity=0.5..2"}
    assert family("universal", own) == "gravity=0.5..2"
    assert family("darc", {}) == METHODS["randomised"].randomise.ranges


def test_kept_agents_of_the_two_kinds_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSREWARD_AGENTS", str(tmp_path))

    def entry(method, **settings):
        config = asked(method, (), settings)
        plan = compile(config)
        stage = before(plan.tracks[0], plan, {})[-1]
        return cache.entry(config.of_agent(stage.method), chain(plan, stage))

    found = [entry("zero_shot"), entry("randomised"), entry("randomised", **{"randomise.ranges": RANGES})]
    assert None not in found and len(set(found)) == 3
    assert entry("randomised") == found[1]


@pytest.mark.parametrize(
    ("source", "ranges", "name"),
    [
        ("hopper:gravity=0.5,delay=1", "gravity=0.5..2", "hopper:gravity=0.25..1,delay=1"),
        ("hopper:delay=2", "delay=0..1", "hopper:delay=0..1"),
        (
            "halfcheetah:broken=bthigh,broken=fthigh",
            "mass=0.5..2",
            "halfcheetah:broken=bthigh,broken=fthigh,mass=0.5..2",
        ),
        (
            "halfcheetah:without=ffoot,without=bfoot",
            "mass=0.5..2",
            "halfcheetah:without=ffoot,without=bfoot,mass=0.5..2",
        ),
        ("ant@turned90:mass(torso)=2", "mass=0.5..2", "ant@turned90:mass(torso)=2,mass=0.5..2"),
        ("hopper+walk(speed=1)", "size=0.9..1.1", "hopper+walk(speed=1):size=0.9..1.1"),
    ],
)
def test_a_family_is_around_the_source(source, ranges, name):
    found = randomised(domain(source), ranges)
    assert found.name == name
    starts = [d.simulate(4, 0, threads=1).obs for d in (found, domain(name))]
    assert np.array_equal(*starts)


def test_what_is_refused():
    with pytest.raises(RequestError, match=r"randomise\.ranges must have a range"):
        asked("randomised", (), {"randomise.ranges": "gravity=2"})
    with pytest.raises(RequestError, match="unknown shift 'weight'"):
        asked(settings={"randomised.randomise.ranges": "weight=1..2"})
    with pytest.raises(RequestError, match="method 'darc' has no randomise"):
        asked(settings={"randomise.ranges": RANGES})
    for source in ("tests.domains.made:short_pendulum", "hopper:gravity=0.5..2"):
        with pytest.raises(RequestError, match="is not a single robot of the table"):
            randomised(domain(source), RANGES)
    with pytest.raises(RequestError, match="'size=16': the value must be"):
        randomised(domain("hopper:size=8"), "size=1..2")


def test_in_a_study_its_job_trains_its_agent(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "pairs: [[inverted_pendulum, inverted_pendulum:gravity=2]]\nmethods: [zero_shot, randomised]\nlearner: sac\n"
        "source_steps: 3200\ntarget_steps: 320\n"
    )
    jobs = jobs_of(read_plan(tmp_path / "plan.yaml"), Path("runs"))
    agents = {job.method: job.agent for job in jobs if job.method}
    assert agents["zero_shot"] is not None and agents["randomised"] is None
