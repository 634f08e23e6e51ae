"""Files of other libraries, moved to a changed robot by the command line: what is granted is taken, what is delivered
is no worse than what was brought, and the page says where it came from.

The files are those of test_adopt.py, which these libraries wrote; none of them is needed here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import warnings
from pathlib import Path

import onnx
import pytest
from quick import compiler
from test_adopt import FILES, POLE, tanh_graph

import transreward as tr
from transreward import cli
from transreward.cli import directory
from transreward.policies import adopt as adopting
from transreward.types import RequestError

TARGET = f"{POLE}:gravity=2"
STEPS = 96
TINY = [
    "--target-steps", str(STEPS), "--seeds", "2", "--controls", "none", "--no-video",
    "--set", "loop.evaluations=1", "loop.eval_episodes=1", "loop.final_episodes=4",
]  # fmt: skip
BROUGHT = {  # file -> library
    "sb3_sac.zip": "Stable-Baselines3", "normalised/sb3_ppo.zip": "Stable-Baselines3", "cleanrl_sac.pt": "CleanRL",
    "tanh.onnx": "ONNX",
}  # fmt: skip


SOURCE_STEPS = {"normalised/sb3_ppo.zip": 16_384}  # rounds of PPO are long; else 1024


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with compiler(hurried=True), warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_none(steps):
    """Half of them are the policy's, so what was said was another number, or nothing."""
    asked = {"source": POLE, "target": TARGET, "settings": {}, "source_steps": steps}
    with pytest.raises(RequestError, match=f"^source steps must be a whole number of at least 1, not {steps}$"):
        directory.with_policy({**asked, "source_policy": "missing.zip"}, dict)


@pytest.mark.slow
@pytest.mark.parametrize("name", BROUGHT)
def test_it_is_moved(name, capsys):
    file = FILES / name
    if name == "tanh.onnx":
        onnx.save(tanh_graph(), file := Path("tanh.onnx"))
    budget = ["--source-steps", str(steps := SOURCE_STEPS.get(name, 1024))]
    cli.main(["transfer", POLE, TARGET, "--source-policy", str(file), "--out", "run", *budget, *TINY])

    said = " ".join(capsys.readouterr().out.split())
    assert f"{BROUGHT[name]}: as an agent of " in said and "saved in runs/" in said
    found = tr.load("run")
    assert found.steps.target == STEPS or (found.stopped == "decided" and found.steps.target < STEPS)
    assert found.steps.source <= steps
    not_below_what_was_brought(found)
    page = Path("run/report.html").read_text()
    assert f"{BROUGHT[name]}, {file.name}" in page
    assert hashlib.sha256(file.read_bytes()).hexdigest()[:12] in page
    assert found.provenance["source_policy"]["exact"] == (name != "tanh.onnx")


def not_below_what_was_brought(found):
    """By the episodes that the run paid for: the bound of the lead of who is delivered; and in the final evaluation
    the policy that was brought is the one that was brought."""
    told = found.fallback
    assert told["target_steps"] == found.steps.target
    for k, seed in enumerate(told["seeds"]):
        of = {candidate["name"]: candidate for candidate in seed["candidates"]}
        assert of[seed["delivered"]]["low"] >= of["source"]["mean"]
        assert all(episode["target_steps"] <= found.steps.target for episode in seed["episodes"])
        if seed["delivered"] == "source":
            assert (found.target_return[k] == found.zero_shot[k]).all()


@pytest.mark.slow
def test_the_page_is_true():
    """The lines of policies.md, with a file that Stable-Baselines3 wrote."""
    page = Path(__file__).parents[2] / "docs" / "policies.md"
    (code,) = re.findall(r"```python slow\n(.*?)```", page.read_text(), re.S)
    shutil.copy(FILES / "sb3_sac.zip", "best_model.zip")
    exec(compile(code, str(page), "exec"), space := {})
    assert space["found"].exact and space["result"].steps.target <= 2_000
    not_below_what_was_brought(space["result"])
    assert Path("runs/moved/report.html").exists() and Path("runs/theirs/source/agent.json").exists()


# -- what is wrong costs no adoption, and leaves nothing --------------------------------------------------------------

SAC = str(FILES / "sb3_sac.zip")
WRONG = {
    f"{POLE} {POLE}:gravty=2": "did you mean gravity",
    f"{POLE} {TARGET} --method atuo": "unknown method 'atuo'",
    f"{POLE} {TARGET} --source-run run": "leave --source-run out",
    f"{POLE} {TARGET} --out taken": "is a file",
    "hopper hopper:gravity=2": "maps 4 observations to 1 actions",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_first(words, monkeypatch, capsys):
    monkeypatch.setattr(adopting, "_agent", lambda *_: pytest.fail("a source agent was made"))
    Path("taken").touch()
    with pytest.raises(SystemExit) as ended:
        cli.main(["transfer", *words.split(), "--source-policy", SAC, *([] if "--out" in words else ["--out", "run"])])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and WRONG[words] in line
    assert [path.name for path in Path().iterdir()] == ["taken"]


def test_a_budget_that_the_policys_learner_cannot_use_is_said_first(monkeypatch, capsys):
    monkeypatch.setattr(adopting, "_agent", lambda *_: pytest.fail("a source agent was made"))
    file = str(FILES / "sb3_ppo.zip")
    with pytest.raises(SystemExit) as ended:
        cli.main(["transfer", POLE, TARGET, "--source-policy", file, "--target-steps", "100", "--source-steps", "4000"])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "100 target steps are less than one round of 'ppo'" in line
    assert not list(Path().iterdir())


def test_a_learner_that_cannot_take_the_policy_over_is_said_first(monkeypatch, capsys):
    """After 20,000 steps it was said of a source run in a folder that nobody had named."""
    monkeypatch.setattr(adopting, "_agent", lambda *_: pytest.fail("a source agent was made"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["transfer", POLE, TARGET, "--source-policy", str(SAC), "--learner", "ppo", "--controls", "none"])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "becomes an agent of sac, and ppo cannot take it over: leave --learner out" in line
    assert not list(Path().iterdir())


def test_what_is_refused_later_leaves_no_agent(monkeypatch, capsys):
    """With the agent's learner, say: its rounds are longer than the budget."""

    def made(file, source, out, *, steps, seeds, watch):
        out = Path(out)
        (out / "source").mkdir(parents=True)
        assert steps == 512 and seeds == 2  # the other half is left to the method

    def plan(source_run=None, **_):
        if source_run is not None:
            assert Path(source_run).is_dir()
            raise RequestError("no")

    monkeypatch.setattr(adopting, "adopt", made)
    request = {"source": POLE, "target": TARGET, "settings": {}, "source_policy": SAC, "source_steps": 1024, "seeds": 2}
    with pytest.raises(RequestError, match="no"):
        directory.with_policy(request, plan)
    assert not list(Path("runs").iterdir()) and not capsys.readouterr().out


@pytest.mark.slow
def test_a_dry_run_leaves_no_agent(capsys):
    cli.main(["transfer", POLE, TARGET, "--source-policy", str(SAC), "--source-steps", "1024", *TINY, "--dry-run"])
    told = capsys.readouterr().out
    assert "Stable-Baselines3: as an agent of sac" in told and "nothing was run" in told and "saved in" not in told
    assert not list(Path().iterdir())
