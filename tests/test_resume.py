"""A run that is killed goes on from its last checkpoint to the same bits as the run that never was."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import gymnasium
import kills
import pytest
from kills import bits

import transreward as tr
from transreward import cli
from transreward.domains.users import begun_in, located, made_in
from transreward.engine import checkpoint
from transreward.runs import store
from transreward.transfer import asked_in, over, planned, requested

pytestmark = pytest.mark.usefixtures("hurry")
KILLED, MORE = ("mix-sac", "darc-ppo", "auto-sac"), ("paired_branched-sac", "grounded-sac", "auto-ppo")


def interrupted(name, tmp_path, seed, at=None):
    found = kills.killed(name, seed, tmp_path, at)
    assert not found["differs"], found
    assert (found["rows_twice"], found["states_left"], found["partial_files"]) == (0, 0, 0), found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [*KILLED, *(pytest.param(name, marks=pytest.mark.long) for name in MORE)])
def test_a_killed_run_goes_on_to_the_same_bits(name, tmp_path):
    assert interrupted(name, tmp_path, 0, ("rounds", 5))["resumed"]


OTHERS = ("darail-sac", "cotrain-sac", "controls-ppo", "rlpd-sac", "oracle-ppo", "fine_tune-ppo")
REST = ("gaifo-sac", "jsrl-sac", "relabel-sac", "dpba-sac", "successor-sac", "mix-sac", "vgdf-sac")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [*OTHERS, *(pytest.param(name, marks=pytest.mark.long) for name in REST)])
def test_runs_of_other_kinds_go_on_to_the_same_bits(name, seed, tmp_path):
    interrupted(name, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [("fine_tune-ppo", signal.SIGTERM), ("reward_gap-sac", signal.SIGINT)])
def test_a_signal_writes_the_last_round(name, number, tmp_path):
    """Although a checkpoint was not due."""
    assert interrupted(name, tmp_path, 0, ("rounds", 5, number))["resumed"]


@pytest.mark.slow
@pytest.mark.long
def test_two_hundred_kills(tmp_path):
    """Over all rows and learners; `benchmarks/kills.py` writes the same into its results."""
    names = list(bits.cases())
    found = [interrupted(names[i % len(names)], tmp_path / str(i), i // len(names)) for i in range(200)]
    assert sum(one["resumed"] for one in found) > 100


class Killed(Exception):
    pass


def killing(told, last):
    def watch(progress):
        told.append(progress)
        if len(told) == last:
            raise Killed

    return watch


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The directory of a run that broke off in its first stage, with a checkpoint of each round."""
    out = tmp_path_factory.mktemp("cut") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        with pytest.raises(Killed):
            bits.run(bits.cases()["fine_tune-sac"], out=out, watch=killing([], 6))
    return out


@pytest.fixture
def copied(cut, tmp_path):
    """A copy of it, and the place of its stage's checkpoints."""
    out = Path(shutil.copytree(cut, tmp_path / "run"))
    (place,) = (p for p in (out / "state").iterdir() if p.is_dir())
    return out, place


def begins_at(out):
    told = []
    with pytest.raises(Killed):
        tr.resume(out, watch=killing(told, 1))
    return told[0].steps.source


@pytest.mark.slow
def test_an_interrupted_comparison_goes_on_to_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    learner = tr.learner("sac", **bits.LEARNERS["sac"])
    settings = {f"loop.{name}": value for name, value in bits.LOOP.items()}
    with pytest.raises(Killed):
        tr.compare(
            bits.SOURCE, bits.TARGET, ["fine_tune"], learner=learner, settings=settings, out=tmp_path / "run",
            watch=killing([], 3), **bits.REQUEST,
        )  # fmt: skip
    tr.resume(tmp_path / "run")
    table = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert list(table["methods"]) == ["fine_tune", "zero_shot", "target_only"]
    cli.main(["resume", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert "is finished" in said and "P(row beats column)" in said


def test_a_run_that_wanted_no_bridge_goes_on_without_one():
    """Where one would be chosen, of which the source's id says nothing."""
    asked = planned("ant", "ant+direction(degrees=90)", "fine_tune", bridge="none", source_steps=200_000, learner="ppo")
    again, _ = asked_in(Path("request.json"), requested(asked, "ppo", {}, ()))
    assert again.domains.source.name == asked.domains.source.name == "ant" and again.loop == asked.loop


def test_a_history_across_a_bridge_is_not_shown_twice():
    """Its source's id has the history already, and so has config.json's, by which a run is repeated."""
    asked = planned("halfcheetah", "halfcheetah:legs=3", "fine_tune", settings={"loop.history": 1})
    again, _ = asked_in(Path("request.json"), requested(asked, None, {"loop.history": 1}, ()))
    name = "halfcheetah@history=1@named(halfcheetah:legs=3@history=1)"
    assert again.domains.source.name == asked.domains.source.name == name
    with pytest.raises(tr.RequestError, match="shows the last 1 commanded actions already, not 2"):
        planned(name, "halfcheetah:legs=3@history=1", "fine_tune", settings={"loop.history": 2})


def test_files_are_found_from_another_directory(tmp_path, monkeypatch):
    (tmp_path / "first").mkdir()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert (str(located("first")), made_in()) == ("first", str(tmp_path / "else"))
    with begun_in(str(tmp_path)):
        assert (located("first"), made_in()) == (tmp_path / "first", str(tmp_path))
        assert located("a" * 5000) == tmp_path / ("a" * 5000)
        monkeypatch.chdir(tmp_path)
        assert str(located("first")) == "first"
    with begun_in("/gone"):
        assert str(located("first")) == "first"


@pytest.mark.slow
def test_a_run_of_a_robot_from_a_file_goes_on_from_another_directory(tmp_path, monkeypatch):
    (tmp_path / "at home").mkdir()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "at home")
    shutil.copy(Path(gymnasium.__file__).parent / "envs/mujoco/assets/hopper.xml", "hopper.xml")
    Path("pay.py").write_text("def upright(obs, action, next_obs):\n    return -abs(next_obs[:, 1])\n")
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    asked = {
        "learner": "ppo",
        "seeds": 1,
        "source_steps": 4_000,
        "settings": {"learner.robots": 8, "learner.epochs": 1, "loop.eval_episodes": 1, "loop.final_episodes": 2},
        "controls": (),
        "out": "run",
        "watch": killing([], 3),
    }
    with pytest.raises(Killed):
        tr.transfer("mjcf:hopper.xml+pay:upright", "mjcf:hopper.xml+pay:upright:mass=2", "zero_shot", **asked)
    monkeypatch.chdir(tmp_path / "else")
    sys.modules.pop("pay")
    assert tr.resume(tmp_path / "at home" / "run").config["source"] == "mjcf:hopper.xml+pay:upright"


def test_two_checkpoints_are_kept(copied):
    _, place = copied
    assert {p.suffix for p in place.iterdir()} == {".json", ".safetensors", ".rows"}
    assert len(list(place.glob("*.json"))) == len(list(place.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("kind", ["safetensors", "json"])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(copied, kind, how):
    out, place = copied
    sound = begins_at(out)
    newest = max(place.glob(f"*.{kind}"), key=lambda p: int(p.stem))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content if how == "flipped" else content[: len(content) // 2])
    with pytest.warns(UserWarning, match="going on from the checkpoint before"):
        assert 0 < begins_at(out) < sound


def test_the_only_checkpoint_damaged_begins_its_part_again(copied):
    out, place = copied
    *older, newest = sorted(place.glob("*.json"), key=lambda p: int(p.stem))
    for file in older:
        file.unlink()
    newest.write_text("{")
    with pytest.warns(UserWarning, match="from the start of this part: there is no other"):
        assert begins_at(out) == 0


def test_rows_stay_with_a_checkpoint_whose_arrays_are_damaged(copied):
    """Which rows one names stands in its JSON; its arrays, which may be large, are not read for that."""
    _, place = copied
    for file in place.glob("*.safetensors"):
        file.write_bytes(b"?")
    (rows,) = place.glob("*.rows")
    (place / "0-gone-1.rows").touch()
    checkpoint.Checkpoints(place).tidy()
    assert list(place.glob("*.rows")) == [rows]


def test_rows_behind_a_checkpoint_are_cut_off(copied):
    """They were written before the process ended and belong to no checkpoint."""
    out, place = copied
    sound = begins_at(out)
    (rows,) = place.glob("*.rows")
    size = rows.stat().st_size
    with rows.open("ab") as file:
        file.write(b"\0" * 1000)
    assert begins_at(out) == sound and rows.stat().st_size == size


def test_what_cannot_be_taken_up_is_said(copied, tmp_path):
    with pytest.raises(tr.RequestError, match="is not a run directory"):
        tr.resume(tmp_path)
    out, _ = copied
    control = out / "controls" / "mix"
    control.mkdir(parents=True)
    (control / "config.json").write_bytes((out / "config.json").read_bytes())
    with pytest.raises(tr.RequestError, match=f"is a control, which goes on with its run: resume {out}"):
        tr.resume(control)
    (out / "state" / "request.json").unlink()
    with pytest.raises(tr.RequestError, match="cut short before its first checkpoint"):
        tr.resume(out)


def at(target_steps, horizon, name, out):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "REQUEST", {**bits.REQUEST, "target_steps": target_steps})
        patch.setattr(bits, "LOOP", {**bits.LOOP, "horizon": horizon})
        return bits.run(bits.cases()[name], out=out)


# one that walks in the source, one on stored steps; then branches, a teacher before it, and controls
EXTENDED = ["darc-ppo", "rlpd-sac", "paired_branched-sac", "darail-sac", "controls-sac", "target_only-ppo"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*EXTENDED[:2], *(pytest.param(n, marks=pytest.mark.long) for n in EXTENDED[2:])])
def test_an_extended_run_is_that_of_the_longer_budget(name, tmp_path):
    short = at(96, 0, name, tmp_path / "run")
    longer = tr.resume(tmp_path / "run", target_steps=160)
    assert short.steps.target <= 96 and 128 < longer.steps.target <= 160
    assert bits.hashed(longer) == bits.hashed(at(160, 96, name, tmp_path / "other"))
    assert tr.load(tmp_path / "run").config["loop"]["horizon"] == 96
    with pytest.raises(tr.RequestError, match="is of 160 target steps"):
        tr.resume(tmp_path / "run", target_steps=160)


@pytest.mark.parametrize(("name", "match"), [("zero_shot-ppo", "takes no target steps"), ("cotrain-sac", "each agent")])
def test_what_cannot_be_extended_is_said(name, match):
    with pytest.raises(tr.RequestError, match=match):
        at(160, 96, name, None)


def test_two_processes_do_not_go_on_with_one_run(copied):
    out, _ = copied
    place = os.open(out, os.O_RDONLY)
    fcntl.flock(place, fcntl.LOCK_EX)
    with pytest.raises(tr.RequestError, match="goes on in another process"):
        tr.resume(out)
    os.close(place)


@pytest.mark.parametrize(("reason", "said"), [("aligned", "`loop.aligned=0`"), ("converged", "`loop.converged=0`"),
                                              ("decided", "more `target_steps`"), ("budget", "")])  # fmt: skip
def test_a_run_that_stopped_early_says_what_to_do_in_place_of_going_on(tmp_path, monkeypatch, reason, said):
    """Nothing turns off that candidates are told apart, and more steps of it would teach nobody."""
    (tmp_path / "result.json").touch()
    monkeypatch.setattr(store, "read_json", lambda path: {"stopped": reason})
    assert said in over(tmp_path) and bool(over(tmp_path)) == bool(said)
    assert over(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("reason", "advice"), [("decided", "run it anew with more --target-steps"), ("budget", "N goes on to N of them")]
)
def test_a_finished_run_is_told_one_way_to_go_on(tmp_path, capsys, reason, advice):
    """The next command after its verdict would be another one."""
    run = Path(shutil.copytree(Path(__file__).parent / "data" / "runs" / "1" / "transfer-ppo", tmp_path / "run"))
    result = store.read_json(run / "result.json")
    store.write_json(run / "result.json", result | {"stopped": reason, "source_agent_return": [900.0]})
    cli.main(["resume", str(run)])
    said = capsys.readouterr().out
    (line,) = (line for line in said.splitlines() if "is finished" in line)
    assert advice in line and "next:" not in said
    if reason == "decided":  # and who asks for more of it is told what to type
        more = store.read_json(run / "config.json")["target_steps"] + 1000
        with pytest.raises(SystemExit):
            cli.main(["resume", str(run), "--target-steps", str(more)])
        said = capsys.readouterr().err
        assert re.search(rf"gets its share: transreward transfer .* --target-steps {more}\b", said)
