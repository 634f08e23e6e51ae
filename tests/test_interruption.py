"""Ctrl-C and SIGTERM: real processes, each interrupted at a moment that it names itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

import pytest

import transreward as tr
from transreward import interruption

# Says `here` where the named function is called for the n-th time, or a module first imported, and goes on where native
# code follows; what is over too soon to be met on the way is waited in.
AT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this was started with
def at(place, number=1):
    module, _, name = place.partition(":")
    if not name:
        seen = []
        def heard(event, arguments):
            if event == "import" and arguments[0] == module and not seen:
                seen.append(print("here", file=sys.stderr, flush=True))
        return sys.addaudithook(heard)
    from importlib import import_module
    owner, (*path, last) = import_module(module), name.split(".")
    for word in path:
        owner = getattr(owner, word)
    inner, calls = getattr(owner, last), []
    def outer(*given, **named):
        calls.append(last)
        if len(calls) == number:
            print("here", file=sys.stderr, flush=True)
            time.sleep(0 if module in ("transreward.transfer", "transreward.preflight.check") else 60)
        return inner(*given, **named)
    setattr(owner, last, outer)
at(*PLACE)
from transreward.__main__ import main
main()
"""
OWN = ["tests.domains.made:pendulum", "tests.domains.made:short_pendulum"]
SETTINGS = {
    "sac": ["learner.hidden=4", "learner.robots=4", "learner.batch=16", "learner.random_steps=0"],
    "ppo": [
        "learner.hidden=4", "learner.robots=4", "learner.rollout_steps=16", "learner.minibatches=2",
        "learner.epochs=2", "learner.target_rollout=64",
    ],
}  # fmt: skip
LOOP = ["loop.final_episodes=1", "loop.eval_episodes=1", "loop.source_evaluations=4", "loop.evaluations=4"]


def training(learner: str, pair: list[str] = OWN, method: str = "fine_tune") -> list[str]:
    return [
        "transfer", *pair, "--method", method, "--controls", "none", "--seeds", "1", "--learner", learner, "--out",
        "run", "--source-steps", "1280", "--target-steps", "640", "--set", *SETTINGS[learner], *LOOP,
    ]  # fmt: skip


def interrupted(directory: Path, place: tuple, arguments: list[str], number: int = signal.SIGINT) -> str:
    """What a process says that is sent a signal at a place; it ends at once, as the signal's name says."""
    root = str(Path(tr.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TRANSREWARD_CACHE": str(directory / ".cache")}
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", f"PLACE = {place!r}\n{AT}", *arguments], cwd=directory, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    before = list(takewhile(lambda line: line != "here\n", process.stderr))  # all it says, where it ends too early
    process.send_signal(number)
    sent = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - sent < 5
    assert process.returncode == 128 + number, "".join(before) + said
    assert said.startswith("transreward: interrupted") and len(said.splitlines()) == 1
    assert not list(directory.rglob("*.part"))
    return said


MOMENTS = {
    "import": (("jax",), training("sac")),
    "compilation": (("transreward.engine.stages:begin",), training("ppo")),
    "first round of sac": (("transreward.engine.loop:improve",), training("sac")),
    "later round of ppo": (("transreward.engine.loop:improve", 5), training("ppo")),
    "evaluation": (("transreward.engine.loop:refine", 8), training("sac")),
    "target phase": (("transreward.engine.stages:follow",), training("ppo")),
    "check": (("transreward.preflight.check:_measure",), ["check", *OWN]),
}
SLOW = {"compilation", "first round of sac", "evaluation", "target phase", "check"}


@pytest.mark.parametrize("moment", [pytest.param(m, marks=pytest.mark.slow if m in SLOW else ()) for m in MOMENTS])
def test_ctrl_c_ends_a_command_at_once(tmp_path, moment):
    place, arguments = MOMENTS[moment]
    said = interrupted(tmp_path, place, arguments)
    rows = list(tmp_path.rglob("metrics.jsonl"))
    resumable = (tmp_path / "run/state/request.json").exists()
    assert ("of the last evaluation are" in said) == bool(rows)
    assert ("transreward resume run" in said) == resumable
    assert (tmp_path / "run").exists() == bool(rows) or resumable
    if "round" in moment:  # the second half of the n-th has begun, or the n-th after those that only gather steps
        assert newest_round(tmp_path / "run") == place[1] - 1 if "ppo" in moment else not resumable
    for path in rows:
        assert [json.loads(line)["method"] for line in path.read_text().splitlines()]
        assert (path.parent / "policy.safetensors").exists()


def newest_round(run: Path) -> int:
    """Rounds of the stage that the newest checkpoint is of."""
    newest = max(run.glob("state/*/*.json"), key=lambda path: int(path.stem))
    return json.loads(json.loads(newest.read_text())["about"])["runs"][0]["index"]


@pytest.mark.parametrize(
    ("place", "makes", "why"),
    [("file", False, None), ("folder", False, "Is a directory"), ("file/x", False, "Not a directory"),
     ("none/x", False, "No such file"), ("none/x", True, None), ("file/none/x", True, "Not a directory"),
     ("/proc/x", False, "No such file")],
)  # fmt: skip
def test_what_cannot_be_written_is_known_before_it_is_made(tmp_path, place, makes, why):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    found = interruption.unwritable(tmp_path / place, makes)
    assert found is None if why is None else why in str(found) and found.filename is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_write_is_undone(tmp_path):
    """Between the file that was written beside it and its name."""
    interrupted(tmp_path, ("os:replace", 2), training("ppo"), signal.SIGTERM)
    assert not (tmp_path / "run").exists()  # for nothing was worth keeping


@pytest.fixture(scope="module")
def hopper(tmp_path_factory):
    """A finished run of PPO with hopper."""
    place = tmp_path_factory.mktemp("hopper")
    interrupted(place, ("transreward.reports.page:write_reports",), training("ppo", ["hopper", "hopper:gravity=0.5"]))
    return place


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        (("transreward.reports.films.video:_ffmpeg",), ["play", "run", "--seconds", "1", "--out", "film.mp4"]),
        (("transreward.reports.films.panel:Panel.column", 9), ["play", "run", "--seconds", "1", "--out", "film.mp4"]),
        (("transreward.reports.page:page",), ["report", "run", "--out", "page.html"]),
        (("transreward.reports.export:_write",), ["export", "run", "--out", "policy.onnx"]),
        (("os:replace", 2), ["export", "run", "--out", "export/policy.onnx"]),
    ],
    ids=lambda value: value[0],
)
def test_what_shows_a_run_leaves_nothing_half_written(hopper, place, arguments):
    before = sorted(hopper.rglob("*.*"))
    interrupted(hopper, place, arguments)
    assert [p for p in sorted(hopper.rglob("*.*")) if ".cache" not in p.parts] == [
        p for p in before if ".cache" not in p.parts
    ]


def test_a_second_signal_waits_for_nothing():
    code = (
        "import signal, sys, time\nfrom transreward.interruption import ends_at_once, unbroken\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with ends_at_once(), unbroken():\n print('here', file=sys.stderr, flush=True)\n time.sleep(50)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and process.stderr.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):  # the first waits for what is written
        process.wait(timeout=1.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=5)
    assert (process.returncode, said) == (130, "")


def test_what_is_undone_may_write_something_whole():
    """The signal comes in the middle of a checkpoint, and the last words write another."""
    code = (
        "import os, signal, time\nfrom transreward.interruption import arm, unbroken, undone\narm()\n"
        "def save():\n with unbroken():\n  return 'saved'\n"
        "with undone(save), unbroken():\n os.kill(os.getpid(), signal.SIGTERM)\n time.sleep(0.05)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (143, "transreward: interrupted; saved\n")


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_native_code_does_not_hold_an_interruption_up(number):
    """The main thread does not come back to Python."""
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from transreward.interruption import ends_at_once\n"
        "with ends_at_once():\n print('x' * 9, end=''); print('here', file=sys.stderr, flush=True)\n"
        " import ctypes; ctypes.CDLL(None).sleep(50)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and process.stderr.readline() == "here\n"
    process.send_signal(number)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, out, said) == (128 + number, "x" * 9, "transreward: interrupted\n")


@pytest.mark.usefixtures("heard")
def test_outside_a_command_signals_are_pythons():
    from transreward.interruption import ends_at_once

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with ends_at_once():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
