"""Evaluations on their way out: the numbers of metrics.jsonl, under its names, in files that others read."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from events import events

from transreward.cli import main
from transreward.runs.sinks import SINKS, Log, numbers
from transreward.types import BrokenRun, RequestError

ROWS = [
    {
        "method": "darc", "phase": "transfer", "step": 120, "source_steps": 100, "target_steps": 20, "seed": seed,
        "target_return": seed - 2.5, "source_terms": {"survive": 3.0}, "twin": "simulator",
    }
    for seed in (4, 5)
]  # fmt: skip
FAKE = """
calls = []

class Run:
    def log(self, metrics):
        calls.append(("log", metrics))
    def define_metric(self, name, step_metric):
        calls.append(("axis", name, step_metric))
    def finish(self, exit_code=None):
        calls.append(("finish", exit_code))

def init(**settings):
    calls.append(("init", settings))
    return Run()
"""


@pytest.fixture
def fake(request, tmp_path, monkeypatch):
    """A module that takes the place of a package."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{request.param}.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.delitem(sys.modules, request.param, raising=False)
    yield request.param
    sys.modules.pop(request.param, None)


def test_the_numbers_of_a_row():
    assert dict(numbers(ROWS[0])) == {
        "source_steps": 100.0, "target_steps": 20.0, "target_return": 1.5, "source_terms/survive": 3.0
    }  # fmt: skip


def test_tensorboard_reads_back_what_was_evaluated(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    log = Log(("tensorboard",), tmp_path)
    assert not list(tmp_path.iterdir())  # nothing before there is something to say
    log.write(ROWS)
    place = tmp_path / "tensorboard" / "darc"
    assert events(place / "seed4")["target_return", 120] == 1.5  # on disk before the run has ended
    log.write([{**row, "step": 240, "target_return": 9.0} for row in ROWS])
    log.close()
    assert sorted(path.name for path in place.iterdir()) == ["seed4", "seed5"]
    found = events(place / "seed5")
    assert (found["target_return", 120], found["target_return", 240]) == (2.5, 9.0)
    assert found["source_terms/survive", 240] == 3.0
    assert {step for _, step in found} == {120, 240} and ("seed", 120) not in found


@pytest.mark.parametrize("fake", ["wandb", "trackio"], indirect=True)
def test_trackers_get_one_run_with_every_seed_against_its_own_steps(fake, tmp_path):
    out = tmp_path / "first"
    log = Log((fake,), out)
    log.write(ROWS)
    log.write([])
    log.close()
    first, *calls, last = sys.modules[fake].calls  # type: ignore[attr-defined]
    assert first[0] == "init" and first[1]["name"] == "first" and first[1]["project"] == "transreward"
    assert last == ("finish", 0 if fake == "wandb" else None)
    logged = [call[1] for call in calls if call[0] == "log"]
    assert [row.get("darc/seed5/target_return") for row in logged] == [None, 2.5]
    assert logged[1]["darc/seed5/step"] == 120 and logged[0]["darc/seed4/source_terms/survive"] == 3.0
    axes = [call[1:] for call in calls if call[0] == "axis"]
    assert axes == ([(f"darc/seed{s}/*", f"darc/seed{s}/step") for s in (4, 5)] if fake == "wandb" else [])


@pytest.mark.parametrize("fake", ["wandb", "trackio"], indirect=True)
def test_trackers_hear_how_a_run_ended(fake, tmp_path):
    """Once each, also where it broke."""
    for end in (None, BrokenRun("a loss is not finite"), KeyboardInterrupt()):
        log = Log((fake,), tmp_path / "out")
        with contextlib.suppress(BrokenRun, KeyboardInterrupt), log.closing():
            log.write(ROWS)
            if end:
                raise end
        log.close()
    ends = [call[1] for call in sys.modules[fake].calls if call[0] == "finish"]  # type: ignore[attr-defined]
    assert ends == ([0, 1, 1] if fake == "wandb" else [None] * 3)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("fake", ["wandb", "trackio"], indirect=True)
def test_trackers_hear_of_an_interruption(fake, name, tmp_path):
    """Even where it came inside of the package, which is then not to be waited for without end."""
    code = (
        "import signal, sys, threading\nfrom pathlib import Path\nfrom transreward.interruption import ends_at_once\n"
        f"from transreward.runs import sinks\nsys.path.insert(0, {str(tmp_path / 'modules')!r})\n"
        f"log = sinks.Log(({fake!r},), 'out')\nlog.write([{ROWS[0]!r}])\n"
        "run = log.sinks[0].run\nrun.finish = lambda exit_code=None: (print('finish', exit_code, flush=True), "
        "threading.Event().wait())\nsinks.PATIENCE = 0.1\n"
        f"with ends_at_once(), log.closing():\n signal.raise_signal(signal.{name})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=20)
    assert done.stdout == f"finish {1 if fake == 'wandb' else None}\n", done.stderr
    assert done.returncode == 128 + getattr(signal, name) and done.stderr == "transreward: interrupted\n"


def test_rows_are_written_before_they_are_shown(tmp_path):
    log, order = Log(("tensorboard",), tmp_path), []
    log.write = lambda rows: order.append(("written", rows))  # type: ignore[method-assign]
    log.beside(lambda progress: order.append(("shown", progress.rows)))(SimpleNamespace(rows=ROWS))
    assert order == [("written", ROWS), ("shown", ROWS)]

    def watch(progress):
        pass

    assert Log((), None).beside(watch) is watch  # no cost where nothing is logged


@pytest.mark.parametrize("name", SINKS)
def test_a_missing_package_is_one_line_and_nothing_is_written(name, tmp_path, monkeypatch, capsys):
    """Also where a directory has the package's name, as the one has that wandb leaves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SINKS, name, SINKS[name]._replace(package="left_by_it"))
    (tmp_path / "left_by_it").mkdir()
    with pytest.raises(SystemExit) as left:
        main(["transfer", "inverted_pendulum", "inverted_pendulum:gravity=2", "--log", name, "--out", "run"])
    assert left.value.code == 2 and not (tmp_path / "run").exists()
    error = capsys.readouterr().err
    assert f"needs the package left_by_it: pip install 'transreward[{name}]'" in error and error.count("\n") == 1


def test_what_cannot_be_logged_is_refused():
    with pytest.raises(RequestError, match="unknown log 'tensorbord': did you mean tensorboard"):
        Log(("tensorbord",), "run")
    if pytest.importorskip("tensorboardX", reason="tensorboardX is not installed"):
        with pytest.raises(RequestError, match="name one with out"):
            Log("tensorboard", None)
