"""Several sources of one target: which is nearest, within one budget."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest

import transreward as tr
from transreward import cli
from transreward.preflight.forecast import Forecast
from transreward.preflight.rank import ORDER, Ranking, ranked
from transreward.preflight.show import show
from transreward.preflight.unlike import VERDICTS as UNLIKE
from transreward.preflight.verdict import COMPENSATE, NO_HELP, SAME, TRANSFER, VERDICTS

pytestmark = pytest.mark.usefixtures("hurry", "unasked")

TARGET = "halfcheetah:gravity=1.2"
FAR, NEAR, OTHER_TASK, NOISE = (
    "halfcheetah",
    "halfcheetah:gravity=1.25",
    "halfcheetah+backward",
    "halfcheetah:noise=1",
)
LEGS = "halfcheetah:legs=3"


@pytest.fixture(scope="module")
def found(hurry, unasked) -> Ranking:
    return tr.check([NOISE, OTHER_TASK, FAR, LEGS, NEAR], TARGET, target_steps=1500)


def test_the_nearest_comes_first_and_what_does_not_help_last(found):
    assert found.sources == [NEAR, FAR, OTHER_TASK, LEGS, NOISE]
    verdicts = [one.verdict.verdict for one in found.checks]
    assert verdicts[:2] == [TRANSFER, COMPENSATE] and verdicts[3:] == ["not tried", NO_HELP]
    near, far = (one.figures.gap for one in found.checks[:2])
    assert 0 < 3 * near < far


def test_what_a_policy_would_return_counts_more_than_how_near_it_is(found, capsys):
    near, far, *others = found.checks
    told = [replace(near, forecast=Forecast(9.0, 100.0)), replace(far, forecast=Forecast(8.0, 250.0)), *others]
    again = ranked(told, (), True)
    assert again.sources == [FAR, NEAR, *found.sources[2:]] and again.foreseen and not found.foreseen
    assert again.command == far.command
    show(again)
    assert "forecast" in (shown := capsys.readouterr().out) and "250" in shown


def test_every_verdict_has_a_place():
    assert set(ORDER) == {*VERDICTS, *UNLIKE}


def test_all_together_take_no_more_than_the_steps(found):
    each = [one.target_steps for one in found.checks]
    assert found.target_steps == sum(each) <= 1500 and max(each) <= 300 and min(each) == 0  # unlike robots take none


def test_the_command_begins_in_all_that_may_help_the_nearest_first(found):
    words = shlex.split(found.command)
    assert words[:2] == ["transreward", "transfer"] and words[3:] == [TARGET]
    assert words[2] == ",".join([NEAR, FAR, OTHER_TASK, LEGS])


def test_a_source_that_is_the_target_is_enough():
    found = tr.check("hopper,hopper:gravity=0.5", "hopper:gravity=0.5", target_steps=1200)
    assert [one.verdict.verdict for one in found.checks] == [SAME, COMPENSATE]
    assert found.command == found.checks[0].command


def test_one_that_may_help_is_named_alone():
    found = tr.check(["hopper", "hopper:noise=1"], "hopper:gravity=0.5", target_steps=1200)
    assert found.sources[0] == "hopper" and found.command == found.checks[0].command


def test_the_command_names_the_bridge_that_was_asked_for():
    found = tr.check("walker2d,halfcheetah", "hopper", bridge="kinematic")
    assert found.command == "transreward transfer walker2d,halfcheetah hopper --bridge kinematic"


def test_the_command_names_once_what_a_transfer_sees_alike():
    """A transfer sees both in the mirror, and refuses a source that is named twice."""
    found = tr.check("halfcheetah,halfcheetah@mirrored,halfcheetah:gravity=2", OTHER_TASK, target_steps=900)
    asked = shlex.split(found.command)[2].split(",")
    assert len(found.checks) == 3 and len(asked) == 2 and "halfcheetah:gravity=2" in asked


def test_a_limit_of_some_says_of_which(found, capsys):
    show(found)
    lines = capsys.readouterr().out.splitlines()
    which = found.sources.index(LEGS) + 1
    assert any(line.startswith(f"{which}  Name an earlier run of the source to let its policy act") for line in lines)


def test_what_is_no_domain_is_refused():
    with pytest.raises(tr.RequestError, match="malformed domain id 1"):
        tr.check([1, 2], "hopper")  # pyright: ignore[reportArgumentType]


def test_a_log_is_asked_for_nothing(tmp_path):
    walk, rng = tr.domain("inverted_pendulum:gravity=2").simulate(1, 0), np.random.default_rng(0)
    taken = [walk.step(rng.uniform(-0.5, 0.5, (1, 1))) for _ in range(400)]
    kept = {"observations": "obs", "actions": "action", "rewards": "reward", "next_observations": "next_obs"}
    kept |= {"terminals": "terminated"}
    columns = {name: np.concatenate([getattr(t, own) for t in taken]) for name, own in kept.items()}
    np.savez(tmp_path / "robot.npz", **columns, timeouts=np.zeros(400, bool))
    found = tr.check(["inverted_pendulum", "inverted_pendulum:gravity=1.9"], f"data:{tmp_path}/robot.npz")
    assert found.sources == ["inverted_pendulum:gravity=1.9", "inverted_pendulum"]
    assert found.target_steps == 0 and found.command == found.checks[0].command


def test_people_and_programs_can_read_it(found, monkeypatch, capsys):
    monkeypatch.setattr("transreward.preflight.check.check", lambda *_, **__: found)
    cli.main(["check", f"{NEAR},{FAR}", TARGET])
    shown = capsys.readouterr().out
    assert all(source in shown for source in found.sources)
    assert max(map(len, shown.splitlines()[:-3])) <= 80  # the words of the command are as long as they are
    assert shown.index(NEAR) < shown.index(NOISE)
    cli.main(["check", f"{NEAR},{FAR}", TARGET, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (
        told == json.loads(json.dumps(found.as_json()))
        and told["sources"] == found.sources
        and len(told["checks"]) == 5
    )


@pytest.mark.parametrize(
    ("sources", "more", "said"),
    [
        ("hopper,hopper", [], "'hopper' is named twice among the sources"),
        ("hopper,gym:Pendulum-v1", [], "unlike robots need a bridge"),
        ("hopper,hopper:gravity=2", ["--target-steps", "300"], "each of 2 sources gets an equal part"),
        (
            "hopper,hopper:gravity=2",
            ["--target-steps", "470"],
            "each of 2 sources gets an equal part",
        ),  # after measuring
        ("hopper,hopper:gravity=2", ["--source-run", "run"], "sources are 2, and --source-run names 1"),
        ("hopper,hopper:gravity=2", ["--picture", "a.png"], "--picture draws one pair"),
    ],
)
def test_what_is_refused_before_a_step(sources, more, said, capsys, monkeypatch):
    monkeypatch.setattr("transreward.preflight.check._check", lambda *_, **__: pytest.fail("a step was taken"))
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", sources, "hopper:gravity=0.5", *more])
    assert caught.value.code == 2 and said in capsys.readouterr().err
