"""A study fills its holes, takes up what was stopped, goes on past what fails, and ends with all that it started."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from study.test_plan import PAIR, PLAN, TARGETS

import transreward as tr
from transreward import cli
from transreward.request.resolve import resolve
from transreward.runs import store
from transreward.runs.result import Result
from transreward.study import run as module
from transreward.study.folder import read
from transreward.study.jobs import jobs_of
from transreward.study.plan import parsed, read_plan
from transreward.workers import attempt, worker
from transreward.workers.contract import Asked

# In place of `transreward`: notes when it begins and ends and on which cores, and leaves a result. A method called
# fail fails, what waits ends when it is told to, and those that are to meet go on once so many have begun.
STUB = """
import os, signal, sys, time
words = sys.argv[1:]
out = words[words.index("--out") + 1] if "--out" in words else words[1]
def note(what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {words[0]} {os.path.basename(out)} {sorted(os.sched_getaffinity(0))} {os.getpid()}\\n")
note("began")
os.makedirs(out, exist_ok=True)
print("some line")
if os.path.basename(out) in os.environ.get("FAIL", "").split():
    sys.exit("transreward: it went wrong")
if os.path.basename(out) in os.environ.get("WAIT", "").split():
    time.sleep(60)
until = time.monotonic() + 60
while open(os.environ["NOTES"]).read().count("began ") < int(os.environ.get("MEET", 0)) and time.monotonic() < until:
    time.sleep(0.01)
time.sleep(0.05)
open(os.path.join(out, "result.json"), "w").write("{}")
note("ended")
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Jobs are no transfers but the stub; returns what it has noted: what, word, directory, cores, process."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(attempt, "PROGRAM", (sys.executable, "-S", str(tmp_path / "stub.py")))
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "AGAIN", 0.01)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))

    def notes():
        text = Path("notes").read_text() if Path("notes").exists() else ""
        return [re.fullmatch(r"(\w+) (\w+) (\S+) (\[.*\]) (\d+)", line).groups() for line in text.splitlines()]

    return notes


class Told:
    """Keeps what a watch is told."""

    def __init__(self):
        self.over = {}

    def began(self, going):
        pass

    def ended(self, job, seconds, why):
        self.over[job.place.name] = why

    def elsewhere(self, job, why):
        self.over[job.place.name] = f"elsewhere {why}"

    def look(self, going):
        pass


def run(jobs, at_once, told=None):
    """Jobs as processes of this machine."""
    return module.run(jobs, worker("here", Asked(at_once)), told or Told())


@pytest.fixture(scope="module")
def jobs():
    """Two source agents and five jobs, of a plan that is checked once."""
    return jobs_of(parsed({**PLAN, "methods": ["zero_shot", "fine_tune", "mix", "darc", "target_only"]}), Path("out"))


def names(jobs):
    return {job.method or f"agent {job.request['source_steps']}": job.place.name for job in jobs}


def test_every_job_runs_once_and_a_source_agent_before_those_that_take_it_up(stub, jobs):
    assert run(jobs, 1) == {}
    began = [name for what, _, name, _, _ in stub() if what == "began"]
    assert began == [job.place.name for job in jobs]
    assert run(jobs, 1) == {} and len(stub()) == 2 * len(jobs)  # all are done


def test_holes_are_filled(stub, jobs):
    run(jobs, 1)
    hole, before = jobs[3], len(stub())
    shutil.rmtree(hole.place)
    run(jobs, 1)
    assert [name for _, _, name, _, _ in stub()[before:]] == [hole.place.name] * 2


def test_what_was_stopped_goes_on_from_its_checkpoint(stub, jobs):
    """And begins anew where it came to none; what holds something else is left to it."""
    run(jobs[:1], 1)
    resumes, anew = jobs[1], jobs[2]
    (resumes.place / "state").mkdir(parents=True)
    (resumes.place / "state" / "request.json").write_text("{}")
    anew.place.mkdir()
    (anew.place / "config.json").write_text("{}")
    run(jobs[:3], 1)
    words = {name: word for _, word, name, _, _ in stub()}
    assert (words[resumes.place.name], words[anew.place.name]) == ("resume", "transfer")
    assert not (anew.place / "config.json").exists()


def test_a_job_that_fails_does_not_stop_the_others(stub, jobs, monkeypatch):
    """But for those that need its source agent; what it said is kept, and it is run again the next time."""
    called, told = names(jobs), Told()
    monkeypatch.setenv("FAIL", f"{called['agent 384']} {called['fine_tune']}")
    failed = run(jobs, 2, told)
    why = {place.name: text for place, text in failed.items()}
    assert why == {
        called["agent 384"]: "it went wrong", called["fine_tune"]: "it went wrong",
        called["mix"]: "its source agent failed", called["darc"]: "its source agent failed",
    }  # fmt: skip
    assert {name for name, text in told.over.items() if not text} == {
        called[name] for name in ("agent 640", "zero_shot", "target_only")
    }
    assert (Path("out/logs") / f"{called['fine_tune']}.txt").read_text().splitlines()[0] == "some line"
    monkeypatch.setenv("FAIL", "")
    assert run(jobs, 2) == {} and all(job.done for job in jobs)


def test_who_starts_from_another_s_findings_waits_for_it_and_does_without_what_failed(stub, monkeypatch):
    asked = {"methods": ["identified"], "source_steps": 5000, "target_steps": 300, "share": True}
    agent, *found = jobs_of(parsed({**PLAN, **asked, "pairs": TARGETS}), Path("out"))
    monkeypatch.setenv("FAIL", found[0].place.name)
    assert list(run([agent, *found], 3)) == [found[0].place]
    assert [name for what, _, name, _, _ in stub() if what == "began"] == [job.place.name for job in (agent, *found)]
    assert module.task_of(found[2]).words[-1] == f"ground.known={found[1].place}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot be held to some cores")
def test_jobs_side_by_side_have_cores_of_their_own(stub, jobs, monkeypatch):
    monkeypatch.setenv("MEET", "2")
    cores = len(os.sched_getaffinity(0))
    run(jobs, 2)
    running, most = set(), 0
    for what, _, name, _, _ in stub():
        running ^= {name}
        most = max(most, len(running))
        assert (name in running) == (what == "began")
    assert most == 2
    ended = {own for what, _, _, own, _ in stub() if what == "ended"}  # at its begin it may not be told yet
    assert all(len(json.loads(own)) == max(cores // 2, 1) for own in ended)
    beside = attempt.environment(1, attempt.threads(), os.environ)
    # as many threads of XLA as without the others, on which its bits depend
    assert (beside["OMP_NUM_THREADS"], beside["NPROC"]) == ("1", os.environ.get("NPROC", str(cores)))


def test_a_run_that_is_another_process_s_is_not_touched(stub, jobs, monkeypatch):
    job = jobs[0]
    job.place.mkdir(parents=True)
    (job.place / "config.json").write_text("{}")
    held = os.open(job.place, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    failed = run(jobs[:1], 1)
    os.close(held)
    assert "goes on in another process" in failed[job.place] and (job.place / "config.json").exists()


# -- the command ---------------------------------------------------------------------------------------------------


def plan_file(**changed):
    Path("plan.yaml").write_text(yaml.safe_dump({**PLAN, "methods": ["zero_shot", "fine_tune"], **changed}))
    return "plan.yaml"


def jobs_in(file, out):
    return jobs_of(read_plan(Path(file)), Path(out))


def refused(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        cli.main(["study", *words])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and len(said.splitlines()) == 1
    return said


def test_a_dry_run_prints_commands_and_leaves_nothing(stub, capsys, monkeypatch):
    cli.main(["study", plan_file(), "--dry-run"])
    text = capsys.readouterr().out
    *lines, last = text.splitlines()
    assert last == "# 3 jobs: 0 done, 3 to run" and all(line.startswith("transreward transfer inv") for line in lines)
    assert len(lines) == 3 and not Path("runs").exists() and not stub()
    for line in lines:
        cli.parser().parse_args(line.split()[1:])
    with monkeypatch.context() as patched:
        patched.setattr(sys.stdout, "isatty", lambda: True)
        cli.main(["study", plan_file(), "--dry-run"])
        folded = capsys.readouterr().out
    assert folded.replace(" \\\n   ", "") == text and max(map(len, folded.splitlines())) <= 80
    for words in (["--out", "there", "plan.yaml"], ["--jobs", "2", "plan.yaml", "--out", "there"]):
        cli.main(["study", *words, "--dry-run"])  # an option may stand first
        assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_part_of_a_plan_is_run_with_the_source_agents_that_it_needs(stub, capsys):
    cli.main(["study", plan_file(), "--methods", "fine_tune", "--pairs", PAIR[1], "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "--method fine_tune" in lines[1]
    assert "unknown method of the plan 'fine_tun': did you mean fine_tune?" in refused(
        capsys, "plan.yaml", "--methods", "fine_tun"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere.yaml"], "cannot read nowhere.yaml"),
        (["report"], "name the study's directory"),
        ([], "name a plan: transreward study FILE"),
        (["report", "nowhere", "--out", "a.tex"], "nowhere is not a study's directory"),
        (["report", "nowhere", "--jobs", "2"], "--jobs is for running a plan"),
        (["report", "nowhere", "--figure", "map"], "--figure is for a figure, such as --out scores.pdf: leave it out"),
        (["plan.yaml", "--figure", "map"], "--figure is for `transreward study report DIR`"),
        (["plan.yaml", "--out", "a", "b", "c"], "--out a b c: a study has one directory"),
        (["report", "nowhere"], "nowhere is not a study's directory: it has no study.json"),
        (["plan.yaml", "another.yaml"], "one plan at a time: leave another.yaml out"),
        (["plan.yaml", "--jobs", "0"], "at least one job runs at a time"),
        (["plan.yaml", "--cores", "2"], "--cores is of a job on a cluster (--ray, --slurm)"),
        (["report", "nowhere", "--memory", "2"], "--memory is for running a plan"),
        (["plan.yaml", "--pairs", ","], "--pairs names none: leave it out for all of the plan's"),
        (["plan.yaml", "--out", "full"], "--out full is not empty and holds no study"),
        (["plan.yaml", "--out", "plan.yaml"], "--out plan.yaml cannot be made"),
    ],
    ids=str,
)
def test_a_wrong_command_is_refused(stub, capsys, words, why):
    plan_file()
    Path("full").mkdir()
    Path("full/something").write_text("")
    assert why in refused(capsys, *words)
    assert not stub() and not Path("runs").exists()


def test_it_ends_with_1_and_the_list_of_what_failed(stub, capsys, monkeypatch):
    file = plan_file()
    (tuned,) = [job for job in jobs_in(file, "out") if job.method == "fine_tune"]
    monkeypatch.setenv("FAIL", tuned.place.name)
    monkeypatch.setattr(cli.study, "report", lambda out: None)
    with pytest.raises(SystemExit) as caught:
        cli.main(["study", file, "--out", "out"])
    first, second = str(caught.value.code).splitlines()
    assert first == "transreward: 1 of 3 jobs failed"
    assert second.startswith(f"  {PAIR[1]}, fine_tune: it went wrong (out/logs/")
    assert "failed  inverted_pendulum:gravity=2, fine_tune: it went wrong" in capsys.readouterr().out


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from transreward.workers import attempt
attempt.PROGRAM = (sys.executable, "-S", "stub.py")
from transreward.__main__ import main
sys.argv = ["transreward", "study", "plan.yaml", "--jobs", "2"]
main()
"""


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_ends_all_jobs(stub, monkeypatch, number):
    file = plan_file(methods=["target_only", "oracle"])
    waiting = [job.place.name for job in jobs_in(file, "runs/plan")]
    environment = {**os.environ, "PYTHONPATH": str(Path(tr.__file__).parents[1]), "WAIT": " ".join(waiting)}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(stub()) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert read(Path("runs/plan"))[0]
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == (
        "transreward: interrupted; 2 jobs were ended, to go on from a checkpoint where there is one; the same command "
        "goes on with the study"
    )
    for _, _, _, _, pid in stub():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


# -- the report ----------------------------------------------------------------------------------------------------


def finished(job, returns, pair=PAIR):
    """A job's run directory with made-up returns [seeds]."""
    r = {key: job.request.get(key) for key in ("learner", "source_steps", "target_steps", "seeds", "seed", "settings")}
    config = resolve(*pair, job.request["method"], **r, controls=(), source_run=None)
    made = np.array(returns)[:, None]
    steps = tr.Pair(640, 0 if job.method == "zero_shot" else 128)
    result = Result(
        config.as_json(config.method) | {"source_run": str(job.agent.place) if job.agent else None}, config.learner,
        {}, tr.Pair(made, made), made, steps, "budget", 2.0, evaluation_steps=tr.Pair(5, 7), updates=12,
    )  # fmt: skip
    job.place.mkdir(parents=True)
    result.write(job.place)


@pytest.fixture
def half_done(stub, capsys, monkeypatch):
    """A study of which one job failed, one was stopped, and one has not begun."""
    plan = {**PLAN, "seeds": 3, "methods": [
        "zero_shot", "fine_tune", "target_only", {"method": "darc", "pairs": "*"}, "mix", "par", "oracle",
        {"method": "fine_tune", "seed": 3, "seeds": 2},
    ]}  # fmt: skip
    found = jobs_of(parsed(plan), Path("out"))
    agents = [job.place.name for job in found if not job.method]
    called = names(found)
    from transreward.study import folder

    Path("out").mkdir()
    folder.put(Path("out/study.json"), folder.content(Path("out"), found))
    for job in found:
        if job.method in ("zero_shot", "fine_tune", "darc", "target_only"):
            level = {"zero_shot": 10, "fine_tune": 20, "darc": 90, "target_only": 5}[job.method]
            finished(job, [level, level + 1, level + 2][: job.request["seeds"]])
    (mix,) = [job for job in found if job.method == "mix"]
    mix.log.parent.mkdir()
    mix.log.write_text("some line\ntransreward: it went wrong\n\nexit 2\n")
    (par,) = [job for job in found if job.method == "par"]
    par.place.mkdir()
    assert agents and called
    return found


def test_a_study_that_is_half_done_is_reported(half_done, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cli.main(["study", "report", "out"])
    said = capsys.readouterr().out
    rows = {line.split()[0]: line for line in said.splitlines() if line.split()}
    assert "91.0 ± 2.48" in rows["darc"] and "+80.0 ± 2.27" in rows["darc"] and "It helped." in rows["darc"]
    assert rows["fine_tune"].split()[1] == "5" and rows["fine_tune"].rstrip().endswith("done")  # both runs' seeds
    assert rows["mix"].rstrip().endswith("failed: it went wrong")
    assert rows["par"].rstrip().endswith("stopped") and rows["oracle"].rstrip().endswith("to do")
    page = Path("out/report.html").read_text()
    assert page.count("<iframe") == 1 and "failed: it went wrong" in page
    assert not re.search(r"(src|href)=\"?(?!data:)\w", page.replace("srcdoc", ""))  # it needs no network
    assert Path("out/table.md").read_text().count("\n| ") == 8


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("some line\ntransreward: it went wrong\n\nexit 2\n", "it went wrong"),
        ("fine_tune  1,000 of 5,000 a seed\n\nexit -9\n", "killed by signal 9"),  # said of what it did, not of its end
        ("\nexit 3\n", "exit code 3"),
        ("fine_tune  1,000 of 5,000 a seed\n", ""),
    ],
    ids=["said", "killed", "silent", "going on"],
)
def test_why_a_job_failed_is_what_it_said_last_or_what_killed_it(tmp_path, text, why):
    (tmp_path / "log").write_text(text)
    assert attempt.failure(tmp_path / "log") == why


def test_a_damaged_study_is_refused_in_one_line(half_done, capsys):
    whole = store.read_json(Path("out/study.json"))
    for changed in (
        {"jobs": 3}, {"jobs": [3]}, {"jobs": [{}]}, {"jobs": [{**whole["jobs"][0], "directory": "../elsewhere"}]},
        {"jobs": [{**whole["jobs"][0], "request": {}}]},
    ):  # fmt: skip
        Path("out/study.json").write_text(json.dumps({**whole, **changed}))
        assert "study.json is damaged" in refused(capsys, "report", "out")


# -- whole -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.slow
def test_a_cell_that_was_killed_and_resumed_equals_the_uninterrupted_one(tmp_path, monkeypatch):
    """A real study: its run is removed, made again and killed once it has a checkpoint, and the study run again."""
    monkeypatch.chdir(tmp_path)
    root = str(Path(tr.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    Path("often.py").write_text("from transreward.engine import checkpoint\ncheckpoint.EVERY = 0.0\n")
    file = plan_file(methods=["fine_tune"], imports=["often"])
    command = [sys.executable, "-m", "transreward", "study", file, "--jobs", "2", "--out", "out"]

    def study():
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    first = study()
    assert "2 of 2 done" in first.communicate()[0] and first.returncode == 0
    _, job = jobs_in(file, "out")
    whole = Path(shutil.move(job.place, "whole"))
    second = study()
    while len(list(job.place.glob("state/fine_tune/*.json"))) < 2 and second.poll() is None:
        time.sleep(0.005)
    os.kill(process_of(job), signal.SIGKILL)
    assert "killed by signal 9" in second.communicate()[0] and second.returncode == 1
    third = study()
    assert "2 of 2 done" in third.communicate()[0] and third.returncode == 0
    for name in ("policy.safetensors", "returns.safetensors"):
        assert (job.place / name).read_bytes() == (whole / name).read_bytes()


def process_of(job):
    """The number of the process that runs a job."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = place.read_bytes().split(b"\0")
            if b"transfer" in words and str(job.place).encode() in words:
                return int(place.parent.name)
    raise AssertionError("no process has it")
