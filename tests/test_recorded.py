"""`transfer SOURCE data:FILE`: the target is a log of steps, in which nobody acts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.cli import main
from transreward.domains.logs.recorded import Recorded
from transreward.plan.compile import compile
from transreward.rehearsal import rehearse
from transreward.reports.page import write_report
from transreward.request.resolve import resolve

pytestmark = pytest.mark.usefixtures("hurry")

SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
LEARNER = tr.learner("ppo", **bits.LEARNERS["ppo"])
BUDGETS = {"source_steps": 4_000, "seeds": 2, "seed": 4}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """200 steps of a hopper with half the gravity, at random."""
    simulation, random = tr.domain("hopper:gravity=0.5").simulate(1, 3, 1), np.random.default_rng(0)
    steps = [simulation.step(random.uniform(-1, 1, (1, 3))) for _ in range(200)]
    columns = {name: np.stack([getattr(t, name)[0] for t in steps]) for name in steps[0]._fields}
    file = tmp_path_factory.mktemp("log") / "monday.npz"
    names = {
        "observations": "obs", "actions": "action", "rewards": "reward", "next_observations": "next_obs",
        "terminals": "terminated", "timeouts": "truncated",
    }  # fmt: skip
    np.savez(file, **{name: columns[own] for name, own in names.items()})
    return file


def asked(log, method="auto", **more):
    given = {"learner": LEARNER, "settings": SETTINGS, "controls": (), "source_run": None, "target_steps": None}
    return resolve("hopper", f"data:{log}", method, **{**given, **BUDGETS, **more})


def test_all_its_steps_are_the_evidence_and_nothing_is_evaluated_there(log):
    config = asked(log)
    assert isinstance(config.domains.target, Recorded) and config.target_steps == 200
    assert config.loop.eval_target == "none" and config.method.ground.steps == 200 and config.shift is None
    (track,) = compile(config).tracks
    assert [s.budget.target for s in track.stages] == [200, 0]
    assert asked(log, settings=SETTINGS | {"ground.steps": 120}).target_steps == 120


def test_a_dry_run_counts_the_steps_of_a_log_that_is_learned_from_as_a_whole(log):
    lines = rehearse(asked(log, "darc"))
    (own,) = (line for line in lines if line.startswith("  darc"))
    assert "200 steps of the log" in own and "steps of the log: 200 in each method, and none of a robot" in lines


@pytest.mark.slow
def test_a_policy_is_trained_in_what_the_log_shows(log, tmp_path):
    out = tmp_path / "run"
    result = tr.transfer("hopper", f"data:{log}", learner=LEARNER, settings=SETTINGS, out=out, **BUDGETS)
    assert result.steps.target == 200 and result.evaluation_steps.target == 0
    assert result.returns.target.size == 0
    found = json.loads((out / "identification.json").read_text())
    (one,) = found["parameters"]
    assert one["name"] == "gravity" and one["value"] == pytest.approx(0.5, rel=0.01)
    page = write_report([out]).read_text()
    assert "not tested on the target" in page
    assert tr.load(out).config["target"] == f"data:{log}"


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("fine_tune", {}, "is a log, which takes no step for 'fine_tune': use .*auto"),
        ("auto", {"controls": ("mix",)}, "takes no step for the control 'mix': name others"),
        ("auto", {"target_steps": 300}, "has 200 steps: lower `target_steps` from 300"),
        ("auto", {"target_steps": 20}, "too few to learn anything from"),
        ("auto", {"settings": SETTINGS | {"loop.eval_target": "simulated"}}, "leave loop.eval_target out"),
        ("auto", {"settings": SETTINGS | {"ground.steps": "abc"}}, r"ground\.steps"),
        ("auto", {"settings": SETTINGS | {"loop.history": 2}}, "leave the history of 2 out"),
    ],
)
def test_what_needs_a_target_that_acts_is_refused_in_one_line(log, method, more, said):
    with pytest.raises(tr.RequestError, match=said) as error:
        asked(log, method, **more)
    assert len(str(error.value).splitlines()) == 1


def test_other_columns_and_units_are_refused_before_anything_is_trained(log, tmp_path):
    with pytest.raises(tr.RequestError, match=r"columns|observations"):
        resolve("halfcheetah", f"data:{log}", "auto", learner=LEARNER, settings=SETTINGS, controls=(),
                source_run=None, target_steps=None, **BUDGETS)  # fmt: skip
    columns = dict(np.load(log))
    random = np.random.default_rng(0).permutation(200)
    np.savez(tmp_path / "mixed.npz", **columns | {"next_observations": columns["next_observations"][random]})
    with pytest.raises(tr.RequestError, match=r"steps can be used|tell nothing|no more"):
        asked(tmp_path / "mixed.npz")
    with pytest.raises(tr.RequestError, match="no such file"):
        asked(tmp_path / "none.npz")


@pytest.mark.slow
def test_the_command_asks_for_no_controls_and_its_dry_run_says_what_would_be_done(log, capsys):
    command = ["transfer", "hopper", f"data:{log}", "--source-steps", "100000", "--seeds", "1", "--learner", "ppo"]
    main([*command, "--evaluate", "hopper:gravity=0.5", "--dry-run"])
    said = capsys.readouterr().out
    assert "ppo, 1 seed;" in said and "fine_tune" not in said
    assert "auto-evidence: the log is read, and nobody learns: 200 steps of the log" in said
    assert "steps of the log: 200 in each method, and none of a robot" in said and "robot's time" not in said
    assert "returns in the target are taken in hopper:gravity=0.5" in said
