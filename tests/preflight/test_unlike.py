"""The pre-flight of unlike robots: what differs across a bridge, and what a policy earns there."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

import transreward as tr
from transreward import cli
from transreward.cli import transfer as transfer_command
from transreward.domains.across import Across
from transreward.preflight.unlike import (
    CROSS,
    UNCLEAR,
    UNTRIED,
    Tried,
    Unlike,
    decide,
    differs,
    shuffled,
)
from transreward.preflight.verdict import NO_HELP
from transreward.types import RequestError

pytestmark = pytest.mark.usefixtures("hurry")

ARM = "reacher", "reacher:links=3"  # of episodes of 50 steps


@pytest.fixture(scope="module")
def run(tmp_path_factory, hurry):
    """A run whose source agent reaches nothing yet."""
    place = tmp_path_factory.mktemp("arm") / "run"
    small = {f"loop.{name}": 1 for name in ("eval_episodes", "final_episodes", "evaluations", "source_evaluations")}
    learner = tr.learner("sac", hidden=(8,), batch=16, robots=4, random_steps=32)
    tr.transfer(*ARM, "zero_shot", learner=learner, source_steps=320, target_steps=64, seeds=2, seed=3,
                settings={**small, "loop.threads": 1}, out=place)  # fmt: skip
    return place


def test_no_step_is_taken_without_an_agent(capsys):
    found = tr.check("halfcheetah", "walker2d", bridge="kinematic")
    assert isinstance(found, Unlike) and found.target_steps == 0 and found.verdict.verdict == UNTRIED
    assert shlex.split(found.command)[2:] == [
        "halfcheetah", "walker2d", "--bridge", "kinematic", "--method", "fine_tune"
    ]  # fmt: skip
    cli.main(["check", "halfcheetah", "walker2d", "--bridge", "kinematic"])
    said = capsys.readouterr().out
    assert " ".join(found.across.said().split()) in " ".join(said.split())
    assert "to try  transreward check halfcheetah walker2d --bridge kinematic --source-run DIR\n" in said
    assert said.replace(" \\\n   ", "").endswith(f"next    {found.command}\n")
    for part in ("thigh_joint", "leg_joint", "foot_joint"):
        other = part.replace("_", "_left_")
        assert f"{part} with {other}" in " ".join(said.split())


def test_what_differs_across_a_bridge():
    found = {(what, of): (a, b) for what, of, a, b in differs(tr.bridge("halfcheetah", "walker2d", "kinematic"))}
    assert found["strength", "foot_left_joint = ffoot"] == ("30 N m", "100 N m")
    assert found["range", "thigh_joint angle = bthigh angle"] == ("[-1.05, 0.52]", "[-2.62, 0]")  # about its own axis
    assert found["control steps a second", "the robot"] == ("20", "125")
    assert differs(tr.bridge("halfcheetah", "halfcheetah:legs=3")) == []
    boxes = differs(tr.bridge("inverted_pendulum", "inverted_double_pendulum"))
    assert [(c.what, c.source, c.target) for c in boxes if c.what != "control steps a second"] == [
        ("strength", "100 N", "500 N")
    ]


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        (("walker2d", "halfcheetah"), {("bthigh", "fthigh"), ("bshin", "fshin"), ("bfoot", "ffoot")}),
        (("hopper", "walker2d"), {("thigh_joint", "thigh_left_joint"), ("leg_joint", "leg_left_joint"),
                                  ("foot_joint", "foot_left_joint")}),
        (("walker2d", "hopper"), {("thigh_joint", "thigh_left_joint"), ("leg_joint", "leg_left_joint"),
                                  ("foot_joint", "foot_left_joint")}),
        (("halfcheetah", "halfcheetah:legs=3"), set()),
        (("ant", "ant:legs=5"), set()),
    ],
)  # fmt: skip
def test_parts_that_could_change_places_are_found_on_either_side(pair, parts):
    assert set(tr.bridge(*pair, "kinematic").doubts()) == parts
    assert tr.bridge(*pair, "clone(kinematic)").doubts() == tr.bridge(*pair, "kinematic").doubts()


def test_the_source_policy_is_tried_across_the_map_and_a_wrong_one(run, capsys):
    found = tr.check(*ARM, source_run=run)
    assert found.tried is not None and found.tried.shuffled is not None
    assert found.tried.returns.shape == found.tried.shuffled.shape == (10,) and found.target_steps == 1000
    assert not np.array_equal(*found.tried)
    again = tr.check(*ARM, source_run=run, target_steps=300)
    np.testing.assert_array_equal(again.tried.returns, found.tried.returns[:3])
    assert again.target_steps == 300 and found.to_try is None
    words = shlex.split(found.command)
    assert cli.parser().parse_args(words[1:]).run is transfer_command.run
    if found.verdict.verdict != NO_HELP:
        assert words[-6:] == ["--source-run", str(run), "--seeds", "2", "--seed", "3"]
    cli.main(["check", *ARM, "--source-run", str(run), "--target-steps", "300", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["returns"] == again.tried.returns.tolist() and told["target_steps"] == 300


def test_what_cannot_be_tried_says_so(run, tmp_path):
    few = tr.check(*ARM, source_run=run, target_steps=99)
    assert few.target_steps == 0 and few.verdict.verdict == UNTRIED
    assert any("may take 100 target steps, and this check 99" in limit for limit in few.verdict.limits)
    file = tmp_path / "map.json"
    lines = {"observations": {"cos(joint0)": "cos(joint0)"}, "actions": {"joint0": "joint0"}}
    file.write_text(json.dumps(lines))
    assert shuffled(Across(tr.domain(ARM[0]), tr.domain(ARM[1]), str(file))) is None
    file.write_text(json.dumps({"parts": {"joint0": "joint0"}}))
    assert shuffled(Across(tr.domain(ARM[0]), tr.domain(ARM[1]), str(file))) is None  # one part is its own other
    one = tr.check(*ARM, source_run=run, target_steps=100, bridge=str(file))
    assert one.verdict.verdict == UNCLEAR and "no wrong map to compare with" in " ".join(one.verdict.limits)
    with pytest.raises(RequestError, match="was trained in 'reacher', not in 'hopper'"):
        tr.check("hopper", "walker2d", source_run=run)
    with pytest.raises(RequestError, match="logs are of a robot like the source: leave `bridge` out"):
        tr.check("hopper", logs="nowhere.npz", bridge="kinematic")


@pytest.mark.parametrize(
    ("returns", "others", "verdict", "said"),
    [
        ([5.0, 6.0], [1.0, 4.0], CROSS, "5.5 (5 to 6 in 2 episodes) across the bridge, and 2.5 (1 to 4 in 2 episodes)"),
        ([3.0, 6.0], [1.0, 4.0], UNCLEAR, "across the bridge"),
        (
            [1.0],
            [2.0],
            NO_HELP,
            "earns 1 (1 episode) across the bridge, and 2 (1 episode) where its parts",
        ),
        ([1.0], None, UNCLEAR, "earns 1 (1 episode) across the bridge"),
    ],
)
def test_the_verdict(returns, others, verdict, said):
    found = decide(Tried(np.array(returns), None if others is None else np.array(others)))
    assert found.verdict == verdict and said in found.reason
