"""Steps of a target that is not simulated here are on disk before they are learned from, and survive a kill."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.streams.log import StepLog
from transreward.types import BrokenRun, Steps, Transition

# A robot that counts what it does itself; in its n-th step of all (0: never) the process is killed.
ROBOT = r"""
import os, signal, sys
import gymnasium
last = int(sys.argv[3])
odometer = open("odometer", "ab", buffering=0)
class Robot(gymnasium.Wrapper):
    def step(self, action):
        odometer.write(b".")
        if odometer.tell() == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)
def robot():
    return Robot(gymnasium.make("Pendulum-v1", max_episode_steps=20, g=5.0))
"""
PROGRAM = r"""
import os, sys, warnings
import jax
import transreward as tr
from transreward.engine import checkpoint
jax.config.update("jax_disable_most_optimizations", True)
warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
learner, out = sys.argv[1], sys.argv[2]
checkpoint.EVERY = 0.0 if learner == "sac" else 60.0
settings = {
    "sac": dict(hidden=(4,), robots=4, batch=16, random_steps=16, steps_per_update=4.0, target_updates_per_step=0.25),
    "ppo": dict(hidden=(4,), robots=4, rollout_steps=16, minibatches=2, epochs=1, target_rollout=24),
}[learner]
loop = dict(eval_target="training", final_episodes=1, eval_episodes=1, evaluations=2, source_evaluations=1, aligned=0.0)
if os.path.exists(out):
    result = tr.resume(out)
else:
    result = tr.transfer(
        "gym:Pendulum-v1", "lent:robot", "fine_tune", learner=tr.learner(learner, **settings), source_steps=320,
        target_steps=96, seeds=2, out=out, settings={f"loop.{name}": value for name, value in loop.items()},
    )
print(result.steps.target)
"""


def go(place, learner, last=0):
    root = str(Path(tr.__file__).parents[1])
    command = [sys.executable, "-c", PROGRAM, learner, "run", str(last)]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root}
    )
    assert done.returncode == (-signal.SIGKILL if last else 0), done.stderr[-3000:]
    return done


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["sac", "ppo"])
def test_a_kill_in_a_step_loses_that_step_alone(learner, tmp_path):
    """SAC goes on from the round before; PPO from the checkpoint before its first target step."""
    (tmp_path / "lent.py").write_text(ROBOT)
    go(tmp_path, learner, 101)
    assert (tmp_path / "odometer").stat().st_size == 101
    assert list((tmp_path / "run").glob("state/*/*.log"))
    done = go(tmp_path, learner)
    assert "come from the log; 1 more were in flight: counted, and not learned from" in done.stderr
    assert done.stdout == "96\n"
    # two seeds' robots: in the step that was cut the second had not moved yet
    assert (tmp_path / "odometer").stat().st_size == 2 * 96 - 1
    assert not list((tmp_path / "run").glob("state/*/*.log"))
    assert json.loads((tmp_path / "run" / "result.json").read_text())["target_steps"] == 96


def steps(n, value=0.0):
    rows = np.full((2, n, 1), value, np.float32)
    wide = np.full((2, n, 1, 3), value, np.float32)
    terms, domain = np.zeros((2, n, 1, 0), np.float32), np.zeros((2, n, 1), np.int32)
    return Steps(Transition(wide, wide[..., :1].copy(), rows, wide + 1, rows.copy(), rows.copy()), terms, domain)


@pytest.fixture
def log(tmp_path):
    """The place of a log that was left in the third step of a round of five."""
    log = StepLog(tmp_path / "state" / "a.log")
    assert not log.steps and not log.anew
    log.begin(0, 5)
    for i in range(2):
        log.append(i, steps(1, float(i)), 0)
    log.close()
    return tmp_path / "state" / "a.log"


def opened(path):
    log = StepLog(path)
    log.close()
    return log


def test_what_a_log_gives_back(log):
    found, out = opened(log), steps(2)
    assert list(found.steps) == [0, 1, 2] and found.steps[2] is None and found.behind(1) == (1, 1)
    assert found.anew == {2, 3}  # neither the lost step nor the next one follows what is there
    found.put(1, out, 1)
    assert np.array_equal(out.transition.next_obs[:, 1], steps(1, 1.0).transition.next_obs[:, 0])
    assert not out.transition.obs[:, 0].any()
    assert (opened(log).steps, opened(log).anew) == (found.steps, found.anew)  # nothing more is lost


def test_a_step_of_another_size_is_another_runs(log):
    found = opened(log)
    found.steps[1] = found.steps[1][:-4]
    with pytest.raises(
        BrokenRun, match=r"a\.log is another run's: its control step 1 has \d+ bytes, and this run's \d+"
    ):
        found.put(1, steps(2), 1)


def test_nothing_is_lost_between_rounds(log):
    again = StepLog(log)
    again.begin(3, 5)
    for i in (3, 4):
        again.append(i, steps(1), 0)
    again.commit()
    again.close()
    assert opened(log).behind(3) == (2, 0) and opened(log).anew == {2, 3, 5}


def test_a_record_that_was_cut_is_a_step_in_flight(log):
    log.write_bytes(log.read_bytes()[:-3])
    found = opened(log)
    assert list(found.steps) == [0, 1] and found.steps[1] is None


def test_a_flipped_bit_is_said(log):
    content = bytearray(log.read_bytes())
    content[-1] ^= 1
    log.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged after control step 1"):
        assert opened(log).steps[1] is None


def test_a_disk_that_takes_a_part_of_a_record_hides_none_behind_it(tmp_path):
    """It says nothing of it, and there may be room again at the next step."""
    log = StepLog(tmp_path / "a.log")
    log.begin(0, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 10, hard))
    try:
        with pytest.raises(OSError, match="took a part of it"):
            log.append(0, steps(1), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for i in range(3):
        log.append(i, steps(1), 0)
    log.close()
    assert opened(tmp_path / "a.log").behind(0) == (3, 0)
