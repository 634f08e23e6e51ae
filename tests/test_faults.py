"""What breaks around a run: it ends in one line, nothing is half-written, and `resume` goes on where it can."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.cli.main import told
from transreward.engine import checkpoint
from transreward.runs import store

pytestmark = pytest.mark.usefixtures("hurry")


# -- an environment of a user's --------------------------------------------------------------------------------------

LAB = '''
import time

import gymnasium
import numpy as np


class Failing(gymnasium.Env):
    """A point; after `life` steps of one environment `fail` says what happens."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    _max_episode_steps = 10

    def __init__(self, drift=0.0, life=-1, fail=None):
        self.drift, self.left, self.fail = drift, life, fail

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.normal()
        return np.array([self.x, 0.0]), {}

    def step(self, action):
        self.left -= 1
        self.x += 0.1 * float(action[0]) + self.drift
        obs = np.array([self.x, 1.0])
        return self.fail(obs) if self.left == 0 else obs, -abs(self.x), False, False, {}


def cable(obs):
    raise OSError("no cable\\nanywhere")


def sound():
    return Failing()


def raising():
    return Failing(0.1, 300, cable)  # longer than the shift is measured


def reshaped():
    return Failing(0.1, 300, lambda obs: obs[:1])


def hanging():
    return Failing(0.1, 300, lambda obs: time.sleep(600))
'''
PPO = {"hidden": (4,), "robots": 4, "rollout_steps": 16, "minibatches": 2, "epochs": 2, "target_rollout": 80}
SETTINGS = {"loop.evaluations": 1, "loop.source_evaluations": 1, "loop.eval_episodes": 1, "loop.final_episodes": 1}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "failing_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("raising", r"step\(\) failed: OSError: no cable anywhere"),
        ("reshaped", r"the observation of step\(\) must be numbers of shape \(2,\), not of shape \(1,\)"),
    ],
)
def test_an_environment_that_fails_ends_the_run_and_resume_goes_on(how, why, lab, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(tr.BrokenRun, match=rf"^failing_lab:{how}, control step 299, row 0: {why}") as caught:
        tr.transfer(
            "failing_lab:sound", f"failing_lab:{how}", "target_only", learner=tr.learner("ppo", **PPO), source_steps=64,
            target_steps=400, seeds=1, settings=SETTINGS, out=out,
        )  # fmt: skip
    said = told(caught.value)
    assert "\n" not in said
    assert said.endswith(f"; target_only had taken 320 target steps a seed; 'transreward resume {out}' goes on from "
                         "its last round")  # fmt: skip
    check_nothing_is_half_written(out)
    with pytest.warns(UserWarning, match="cannot be restored: its robots begin new|come from the log; 1 more were in"):
        assert tr.resume(out).steps.target == 400


HANGS = """
import sys, time
from transreward.interruption import undone
from transreward.watchdog import within
with within(60.0, "this is in time"):
    pass
with undone(lambda: "mix had taken 96 target steps a seed"), within(0.1, "lab:robot has not answered for 0.1 s"):
    time.sleep(60) if sys.argv[1] == "sleep" else [None for _ in iter(int, 1)]
"""


@pytest.mark.parametrize("how", ["sleep", "spin"])
def test_a_call_that_never_ends_ends_the_process(how):
    done = subprocess.run([sys.executable, "-c", HANGS, how], capture_output=True, text=True, check=False, timeout=60)
    said = "transreward: lab:robot has not answered for 0.1 s; mix had taken 96 target steps a seed\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.slow
def test_an_environment_that_hangs_ends_the_run(lab, tmp_path):
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    settings += [f"--set=learner.{k}={','.join(map(str, v)) if k == 'hidden' else v}" for k, v in PPO.items()]
    command = [sys.executable, "-m", "transreward", "transfer", "failing_lab:sound", "failing_lab:hanging"]
    command += ["--method=target_only", "--learner=ppo", "--source-steps=64", "--target-steps=400", "--seeds=1"]
    command += ["--controls=none", "--set=loop.patience=3", f"--out={tmp_path / 'run'}", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("transreward: failing_lab:hanging has not answered for 3 s, which is loop.patience; ")
    assert "target_only had taken 320 target steps a seed" in last and "transreward resume" in last
    check_nothing_is_half_written(tmp_path / "run")


# -- the disk --------------------------------------------------------------------------------------------------------


def check_nothing_is_half_written(out):
    assert not list(out.rglob("*.part"))
    for path in out.rglob("*.json*"):
        for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            json.loads(line)
    for path in out.rglob("*.safetensors"):
        store.load_arrays(path)


class Disk:
    """Counts what is written below a directory, and gives out within the write that is the `last`."""

    def __init__(self, patch, below, last, number=errno.ENOSPC):
        self.written, self.last, self.number = 0, last, number
        plain, save = io.open, store.save_file

        def opened(file, mode="r", *more, **given):
            found = plain(file, mode, *more, **given)
            return Writing(self, found) if below in Path(str(file)).parents and mode not in ("r", "rb") else found

        def saved(arrays, path):
            save(arrays, path)
            if self.full():
                os.truncate(path, os.path.getsize(path) // 2)
                raise store.SafetensorError(f"I/O error: it is full (os error {self.number})")

        patch.setattr(io, "open", opened)
        patch.setattr(store, "save_file", saved)

    def full(self):
        self.written += 1
        return self.written >= self.last


class Writing:
    """A file of such a disk."""

    def __init__(self, disk, file):
        self.disk, self.file = disk, file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        if not self.disk.full():
            return self.file.write(content)
        self.file.write(content[: len(content) // 2])
        raise OSError(self.disk.number, os.strerror(self.disk.number), self.file.name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """How many writes a run takes, and its bits."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        disk = Disk(patch, out, 10**9)
        found = bits.hashed(bits.run(bits.cases()["fine_tune-sac"], out=out))
    return disk.written, found


def breaks_at(write, number, whole, tmp_path):
    """A run on a disk that gives out, and what `resume` makes of it on a sound one."""
    out = tmp_path / f"{write}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        Disk(patch, out, write, number)
        with pytest.raises((tr.BrokenRun, tr.RequestError), match="cannot be written: ") as caught:
            bits.run(bits.cases()["fine_tune-sac"], out=out)
    said = told(caught.value)
    assert "\n" not in said and isinstance(caught.value, tr.BrokenRun) == (number == errno.ENOSPC)
    if not out.exists():
        return
    check_nothing_is_half_written(out)
    if (out / "state" / "request.json").exists():
        assert f"'transreward resume {out}' goes on from its last round" in said
        assert bits.hashed(tr.resume(out)) == whole[1]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_disk_that_is_full_at_some_write(share, whole, tmp_path):
    breaks_at(1 + round(share * (whole[0] - 1)), errno.ENOSPC, whole, tmp_path)


@pytest.mark.slow
def test_a_directory_that_became_read_only(whole, tmp_path):
    breaks_at(whole[0] // 2, errno.EROFS, whole, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", [pytest.param(first, marks=pytest.mark.long) for first in range(4)])
def test_a_disk_that_is_full_at_any_write(first, whole, tmp_path):
    for write in range(1 + first, whole[0] + 1, 27):
        breaks_at(write, errno.ENOSPC, whole, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_000, 20_000])
def test_files_that_may_not_grow(size, tmp_path):
    """The limit that the system sets, in a process of its own."""
    code = (
        "import resource, sys; from transreward.cli.main import main;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}));"
        "main(sys.argv[1:])"
    )
    request = ["transfer", "hopper", "hopper:gravity=0.5", "--method=fine_tune", "--learner=sac", "--controls=none"]
    request += ["--source-steps=640", "--target-steps=96", "--seeds=1", f"--out={tmp_path / 'run'}"]
    request += ["--set=learner.robots=4", "--set=learner.random_steps=16", "--set=loop.final_episodes=1"]
    command = [sys.executable, "-c", code, *request]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1 and "cannot be written: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    if (tmp_path / "run").exists():
        check_nothing_is_half_written(tmp_path / "run")


def test_a_directory_that_cannot_be_written_to_is_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(tr.RequestError, match=r"`out` .* cannot be made: Read-only file system"):
        store.claim(tmp_path / "run")


# -- the clock, and bits that flip -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The place of a stage's checkpoints, of a run that broke off on a machine whose clocks are set back."""
    out, told_of = tmp_path_factory.mktemp("cut") / "run", []

    def watch(progress):
        told_of.append(progress)
        if len(told_of) == 8:
            raise KeyboardInterrupt

    clock = itertools.count(1e9, -1.0)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("time", "monotonic"):
            patch.setattr(checkpoint.time, name, lambda: float(next(clock)))
        with pytest.raises(KeyboardInterrupt):
            bits.run(bits.cases()["fine_tune-sac"], out=out, watch=watch)
    (place,) = (path for path in (out / "state").iterdir() if path.is_dir())
    return place


def test_a_clock_that_is_set_back_costs_no_checkpoint(cut):
    assert len(list(cut.glob("*.json"))) == 2


def test_a_checkpoint_with_any_bit_flipped_is_known(cut, tmp_path):
    place, chance = tmp_path / "stage", random.Random(0)
    place.mkdir()
    newest = max(cut.glob("*.json"), key=lambda path: int(path.stem))
    for path in (newest, newest.with_suffix(".safetensors")):
        (place / path.name).write_bytes(path.read_bytes())
    saved, number = checkpoint.Checkpoints(place), int(newest.stem)
    saved._read(number)
    for path in (place / newest.name, place / newest.with_suffix(".safetensors").name):
        sound = path.read_bytes()
        for at in [0, 7, 8, len(sound) - 1, *(chance.randrange(len(sound)) for _ in range(40))]:
            flipped = bytearray(sound)
            flipped[at] ^= 1 << chance.randrange(8)
            for content in (flipped, sound[:at]):
                path.write_bytes(content)
                with pytest.raises(checkpoint.Damaged, match="is damaged"):
                    saved._read(number)
        path.write_bytes(sound)
