"""`transfer S T1,T2` is a study of a run to each target, in which what the first told is known to the next."""

from __future__ import annotations

import json

import pytest

from transreward import cli
from transreward.cli.targets import plan_of
from transreward.study.plan import parsed

SOURCE = "inverted_pendulum"
TARGETS = [f"{SOURCE}:gear=0.8", f"{SOURCE}:gear=0.8,mass=1.5"]
SMALL = [
    "--learner",
    "ppo",
    "--seeds",
    "1",
    "--source-steps",
    "12000",
    "--target-steps",
    "400",
    "--method",
    "identified",
]
QUICK = ["--set", "loop.eval_episodes=1", "loop.final_episodes=2", "loop.evaluations=1", "ground.steps=300"]


def command(*words, targets=TARGETS):
    cli.main(["transfer", SOURCE, ",".join(targets), *words])


def test_settings_go_to_those_that_have_them():
    """Those of the learner and the loop to all, one that names a control to it, the others to the method."""
    settings = {"loop.aligned": 0, "learner.robots": 4, "ground.steps": 300, "mix.feed.target_share": 0.3}
    text = plan_of({"source": SOURCE, "target": ",".join(TARGETS), "method": "identified", "controls": ["mix"],
                    "settings": settings, "seeds": 2, "learner": None, "out": "runs/x"}, TARGETS)  # fmt: skip
    plan = parsed(text)
    assert [pair.what for pair in plan.pairs] == [{"source": SOURCE, "target": target} for target in TARGETS]
    assert plan.asked == {"settings": {"loop.aligned": 0, "learner.robots": 4}, "seeds": 2, "share": True}
    own = {row.name: row.asked["settings"] for row in plan.methods}
    assert own == {"identified": {"ground.steps": 300}, "mix": {"feed.target_share": 0.3}}


def test_what_would_be_run_is_said(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command(*SMALL, "--controls", "zero_shot", "--dry-run", *QUICK)
    *lines, total = capsys.readouterr().out.splitlines()
    assert total == f"# {len(lines)} jobs: 0 done, {len(lines)} to run" and not list(tmp_path.iterdir())
    first, second = (line for line in lines if "--method identified" in line)
    assert "--out runs/inverted-pendulum-gear-0-8-" in first  # where they would be
    assert "ground.known" not in first and f"ground.known={first.split('--out ')[1].split()[0]}" in second


@pytest.mark.parametrize(
    ("words", "targets", "said"),
    [
        (
            ["--log", "tensorboard"],
            TARGETS,
            "--log is of one target, and these are 2: name one target, or leave it out",
        ),
        (["--source-policy", "a.onnx"], TARGETS, "--source-policy is of one target, and these are 2: make a"),
        (["--out", "a,b", *SMALL], TARGETS, "--out a,b has a comma"),
        (
            [],
            [TARGETS[0], "swimmer"],
            "swimmer, auto: inverted_pendulum has 4 observations, 1 actions and swimmer has 8",
        ),
        ([], [TARGETS[0], TARGETS[0]], f"'{TARGETS[0]}' is named twice among the targets: leave one of them out"),
        (["--source-steps", "3", "--learner", "ppo"], TARGETS, "raise --source-steps to "),
    ],
)
def test_a_wrong_request_leaves_nothing(words, targets, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        command(*words, targets=targets)
    text = capsys.readouterr().err
    assert caught.value.code == 2 and said in text and len(text.splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_one_agent_goes_to_both_and_the_second_knows_what_the_first_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command(*SMALL, "--controls", "none", "--out", "both", *QUICK)
    text = capsys.readouterr().out
    assert "target returns, a row a pair" in text and len(list((tmp_path / "both/agents").iterdir())) == 1
    runs = {json.loads((run / "config.json").read_text())["target"]: run for run in (tmp_path / "both/runs").iterdir()}
    assert set(runs) == set(TARGETS)
    known = [json.loads((runs[t] / "config.json").read_text())["ground"]["known"] for t in TARGETS]
    assert known == [[], [str(runs[TARGETS[0]].relative_to(tmp_path))]]
    command(*SMALL, "--controls", "none", "--out", "both", *QUICK)  # all of it is done
    assert "(0 of" not in capsys.readouterr().out
