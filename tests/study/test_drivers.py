"""Drivers that share a study's folder run each job once, take over those of a dead one, and say what differs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from study.test_plan import PLAN
from study.test_run import INTERRUPTED, Told, plan_file, refused, run, stub  # noqa: F401
from study.test_run import jobs as jobs

import transreward as tr
from transreward import claims as beats
from transreward import cli
from transreward.claims import FAILED, Claims
from transreward.study import folder, report
from transreward.study import run as module
from transreward.study.jobs import jobs_of
from transreward.study.plan import parsed
from transreward.workers import worker
from transreward.workers.contract import BUSY, LOST, Asked, NotNow, Outcome
from transreward.workers.versions import versions

METHODS = ["zero_shot", "fine_tune", "mix", "darc", "target_only", "par", "oracle", "srpo"]


def driver(**more):
    environment = {**os.environ, "PYTHONPATH": str(Path(tr.__file__).parents[1]), **more}
    # the last word of a study is its report, which these jobs have left nothing for
    code = INTERRUPTED.replace("main()\n", "from transreward.cli import study\nstudy.report = print\nmain()\n")
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_two_drivers_share_the_jobs_and_a_third_takes_over_a_killed_one_s(stub):  # noqa: F811
    """The one that is killed leaves claims, and jobs that go on for a while: the stub does not see its parent end."""
    file = plan_file(methods=METHODS)
    every = jobs_of(parsed({**PLAN, "methods": METHODS}), Path("runs/plan"))
    waiting = [job.place.name for job in every if job.method in ("target_only", "oracle")]
    first = driver(WAIT=" ".join(waiting))
    until = time.monotonic() + 100
    while sum(name in waiting for _, _, name, _, _ in stub()) < 1 and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    for what, _, name, _, pid in stub():  # as a job does whose parent has ended
        if what == "began" and name in waiting:
            os.kill(int(pid), signal.SIGTERM)
    both = [driver(), driver()]
    said = [one.communicate(timeout=100)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    ended = Counter(name for what, _, name, _, _ in stub() if what == "ended")
    assert ended == {job.place.name: 1 for job in every} and len(every) == 10
    assert file and all(f"{len(every)} jobs" in text.splitlines()[0] for text in said)
    claimed = list(Path("runs/plan/claims").iterdir())
    # the driver that was killed is the only one that could not sign off
    assert len([path for path in claimed if path.name.startswith("driver")]) == 1


@pytest.fixture
def another(tmp_path):
    """Another machine's driver, that beats."""

    def begin(out, whole, **changed):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beats, "machine", lambda: "another")
            patch.setattr(beats, "BEAT", 0.05)
            about = {"plan": folder.hashlib.sha256(whole.encode()).hexdigest(), "versions": {**versions(), **changed}}
            return Claims(out / "claims").take("driver-them", about)

    return begin


@pytest.mark.parametrize(
    ("changed", "more", "why"),
    [
        ({"mujoco": "3.9"}, {}, "has mujoco 3.9 and not {mujoco}: install the same versions on all machines"),
        ({}, {"seeds": 7}, "--out runs/plan is used by"),
    ],
    ids=["versions", "plan"],
)
def test_machines_that_differ_are_refused_in_one_line(stub, capsys, another, changed, more, why):  # noqa: F811
    every = jobs_of(parsed({**PLAN, "methods": ["target_only"], **more}), Path("runs/plan"))
    Path("runs/plan").mkdir(parents=True)
    claim = another(Path("runs/plan"), folder.content(Path("runs/plan"), every), **changed)
    said = refused(capsys, plan_file(methods=["target_only"]))
    claim._over.set()
    assert why.format(**versions()) in said and not stub()
    assert not Path("runs/plan/study.json").exists()


def test_a_driver_that_is_gone_stands_in_nobody_s_way(stub, another, monkeypatch):  # noqa: F811
    monkeypatch.setattr(beats, "STALE", 0.5)
    monkeypatch.setattr(cli.study, "report", lambda out: None)
    Path("runs/plan").mkdir(parents=True)
    another(Path("runs/plan"), "", jax="0.1")._over.set()
    cli.main(["study", plan_file(methods=["target_only"])])
    assert len(stub()) == 2


def test_what_failed_elsewhere_meanwhile_is_not_run_again(stub, jobs):  # noqa: F811
    """And what failed before is."""
    before, now = (job for job in jobs if not job.method)
    claims, told = Claims(module.claims_of(now)), Told()
    claims.take(before.place.name).release(FAILED, "long ago")
    time.sleep(0.01)
    other = claims.take(now.place.name)
    told.began = lambda going: other.release(FAILED, "it went wrong")
    failed = run([before, now], 1, told)
    assert told.over == {now.place.name: "elsewhere it went wrong", before.place.name: ""}
    assert failed == {now.place: "it went wrong"}


@pytest.mark.parametrize("wrong", [600, -600], ids=["ahead", "behind"])
def test_whether_it_failed_meanwhile_is_not_told_by_clocks(stub, jobs, monkeypatch, wrong):  # noqa: F811
    """The clock of another machine is ten minutes wrong: what failed before is run again, what fails now is not."""
    before, now = (job for job in jobs if not job.method)
    theirs = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
    monkeypatch.setattr(beats, "time", theirs)
    claims, told = Claims(module.claims_of(now)), Told()
    claims.take(before.place.name).release(FAILED, "long ago")
    other = claims.take(now.place.name)
    told.began = lambda going: other.release(FAILED, "it went wrong")
    run([before, now], 1, told)
    assert told.over == {now.place.name: "elsewhere it went wrong", before.place.name: ""}


def test_a_report_shows_who_runs_what(stub, jobs, monkeypatch):  # noqa: F811
    job = jobs[-1]
    Path("out").mkdir()
    folder.put(Path("out/study.json"), folder.content(Path("out"), jobs))
    claim = Claims(module.claims_of(job)).take(job.place.name)
    line = report.line_of(job.method, [job], folder.read(Path("out"))[1])
    claim.release()
    assert (line.state, folder.read(Path("out"))[1]) == ("running", set())


def test_a_job_ends_with_the_process_that_started_it(tmp_path):
    """Also where that was killed and could not tell it."""
    root = str(Path(tr.__file__).parents[1])
    job = "from transreward.__main__ import arm, with_parent; import time; arm(); with_parent(); "
    job += "print(1, flush=True); time.sleep(60)"
    code = f"""
import os, subprocess, sys
job = subprocess.Popen([sys.executable, "-c", {job!r}], env=dict(os.environ, TRANSREWARD_PARENT=str(os.getpid())),
                       start_new_session=True, stdout=subprocess.PIPE)
job.stdout.readline()
print(job.pid, flush=True)
job.wait()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_folder_is_not_asked_all_the_time_for_what_others_have(stub, jobs, monkeypatch):  # noqa: F811
    """Hundreds of machines wait at the end of a study for the last jobs of some: each look is put off twice as long."""
    monkeypatch.setattr(module, "AGAIN", 1.0)
    now, looks = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    job = next(job for job in jobs if not job.method)
    driver = module.Driver([job], worker("here", Asked(1)), Told())
    monkeypatch.setattr(driver, "_settled", lambda job: looks.append(now[0]) or driver._put_off(job.place) or True)
    for second in range(400):
        now[0] = float(second)
        driver.begin()
    apart = [b - a for a, b in pairwise(looks)]
    assert apart[:6] == [1, 2, 4, 8, 16, 32] and set(apart[6:]) == {60}


def test_a_source_agent_is_looked_at_once_for_all_that_wait_for_it(stub, jobs, monkeypatch):  # noqa: F811
    waiting = [job for job in jobs if job.agent is not None]
    driver, asked = module.Driver(waiting, worker("here", Asked(1)), Told()), []
    monkeypatch.setattr(type(jobs[0]), "done", property(lambda self: asked.append(self.place) or False))
    driver.begin()
    assert sorted(asked) == sorted({job.agent.place for job in waiting}) and len(waiting) > len(asked)


class Cluster:
    """A worker whose tasks end as it is told: at once, where they are not even started, or when they are looked at."""

    def __init__(self, *ends):
        self.ends = list(ends)

    def room(self):
        return 1

    def start(self, task):
        at_once, state = self.ends.pop(0)
        if at_once:
            raise NotNow(Outcome(state, "goes on in another process"))
        return SimpleNamespace(began=0.0, over=lambda: Outcome(state, "goes on in another process"))


@pytest.mark.parametrize(
    ("ends", "fails"),
    [
        ([(True, BUSY), (False, LOST), (True, BUSY)], False),  # it ran in between, so its directory was free
        ([(True, BUSY), (True, BUSY)], True),
        ([(False, BUSY), (False, BUSY)], True),  # as a cluster's, which finds it only where the job is started
    ],
)
def test_a_directory_is_busy_from_when_it_was_not_free(stub, jobs, monkeypatch, ends, fails):  # noqa: F811
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    job = next(job for job in jobs if not job.method)
    driver = module.Driver([job], Cluster(*ends), Told())
    for _ in ends:
        driver.begin()
        driver.gather()
        now[0] += 2 * module.PATIENCE
    assert not driver.worker.ends and (job.place in driver.failed) == fails and (job in driver.waiting) != fails
