"""Jobs on a cluster: what dies with a node goes on elsewhere, and what dies with driver and head is taken up.

Needs the extras ray and slurm, which the tests' environment does not have: pip install 'transreward[ray,slurm]'.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from study.test_plan import PLAN
from study.test_run import plan_file, refused

import transreward as tr
from transreward.study.jobs import jobs_of
from transreward.study.plan import parsed
from transreward.workers.contract import Asked
from transreward.workers.slurm import opened

METHODS = ["zero_shot", "fine_tune", "mix", "target_only"]
# In place of `transreward`, on every node: notes when it begins and ends, and waits while there is a file hold.
STUB = """
import os, sys, time
words, parent = sys.argv[1:], os.getppid()
out = words[words.index("--out") + 1] if "--out" in words else words[1]
def note(what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {os.path.basename(out)}\\n")
note("began")
os.makedirs(out, exist_ok=True)
while os.path.exists("hold"):
    time.sleep(0.05)
    if os.getppid() != parent:
        sys.exit(1)
open(os.path.join(out, "result.json"), "w").write("{}")
note("ended")
"""
SITE = """
import sys
from transreward.workers import attempt
attempt.PROGRAM = (sys.executable, "-S", {stub!r})
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Jobs are the stub wherever they run; returns what they noted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stub.py").write_text(STUB)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE.format(stub=str(tmp_path / "stub.py")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(Path(tr.__file__).parents[1])]))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    return lambda: [line.split() for line in Path("notes").read_text().splitlines()] if Path("notes").exists() else []


def study(*words):
    """A driver; its report is left out, for these jobs leave nothing for it."""
    code = "from transreward.cli import study, main; import sys; study.report = print; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, "study", "plan.yaml", "--out", "out", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(true, seconds=120.0):
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.1)
    assert true()


@pytest.fixture
def cluster():
    """Begins a cluster of as many nodes of one core, beside a head that runs nothing."""
    utils = pytest.importorskip("ray.cluster_utils", reason="needs Ray: pip install 'transreward[ray]'")
    there = []

    def begin(nodes):
        there.append(utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}))
        return there[-1], [there[-1].add_node(num_cpus=1) for _ in range(nodes)]

    yield begin
    for one in there:
        one.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's
def test_a_node_and_then_driver_and_head_die_and_no_job_is_lost_or_run_twice(stub, cluster):
    file = plan_file(methods=METHODS)
    every = [job.place.name for job in jobs_of(parsed({**PLAN, "methods": METHODS}), Path("out"))]
    Path("hold").touch()
    ray, nodes = cluster(2)
    words = ("--ray", ray.address, "--memory", "0.2")
    first = study(*words)
    wait_for(lambda: len(stub()) == 2)
    ray.remove_node(nodes[0], allow_graceful=False)
    ray.add_node(num_cpus=1)
    wait_for(lambda: len(stub()) == 3)  # the one that died with it, on another node
    assert stub()[2] in stub()[:2]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    ray.shutdown()
    Path("hold").unlink()
    ray, _ = cluster(2)
    again = study("--ray", ray.address, "--memory", "0.2")
    said = again.communicate(timeout=200)[0]
    assert again.returncode == 0 and file, said
    assert Counter(name for what, name in stub() if what == "ended") == dict.fromkeys(every, 1)


@pytest.mark.slow
def test_slurm_by_submitit_s_local_executor(stub):
    """There is no Slurm in the tests; its script is submitit's."""
    pytest.importorskip("submitit", reason="needs submitit: pip install 'transreward[slurm]'")
    plan_file(methods=METHODS)
    one = study("--slurm", "cluster=local,timeout_min=5")
    said = one.communicate(timeout=200)[0]
    assert one.returncode == 0 and "6 of 6 done" in said, said
    assert Counter(what for what, _ in stub()) == {"began": 6, "ended": 6}


@pytest.mark.parametrize(
    ("module", "words", "why"),
    [
        ("ray", ["--ray", "local"], "pip install 'transreward[ray]'"),
        ("submitit", ["--slurm"], "pip install 'transreward[slurm]'"),
    ],
)
def test_an_extra_that_is_missing_is_named(stub, capsys, monkeypatch, module, words, why):
    monkeypatch.setitem(sys.modules, module, None)
    assert why in refused(capsys, plan_file(methods=METHODS), *words)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--ray", "local", "--slurm"], "jobs run in one place"),
        (["--slurm", "partition"], "write K=V, such as partition=long"),
        (["--ray", "local", "--cores", "0"], "a job needs some of both"),
        (["--ray", "127.0.0.1:9"], "the Ray cluster 127.0.0.1:9 cannot be reached"),
        (["--ray", "nowhere"], "write HOST:PORT, local or auto"),
    ],
    ids=str,
)
def test_a_cluster_that_is_asked_for_wrongly(stub, capsys, words, why):
    if words[0] == "--ray" and why.startswith(("the Ray", "write HOST")):
        pytest.importorskip("ray", reason="needs Ray: pip install 'transreward[ray]'")
    assert why in refused(capsys, plan_file(methods=METHODS), *words)
    assert not Path("runs").exists()


class Executor:
    """In place of submitit's, which asserts the types of what it is asked for."""

    def __init__(self, **_):
        self.asked = {}

    def update_parameters(self, **asked):
        self.asked = asked
        for name, kind in (("timeout_min", int), ("mem_gb", (int, float))):
            assert isinstance(asked[name], kind), f'Parameter "{name}" expected type {kind}'


@pytest.fixture
def submitit(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Executor))


@pytest.mark.parametrize("wrong", ["timeout_min=long", "mem_gb=much"])
def test_what_slurm_cannot_be_asked_for_is_refused_in_one_line(stub, capsys, submitit, wrong):
    said = refused(capsys, plan_file(methods=METHODS), "--slurm", f"cluster=local,{wrong}")
    assert "Slurm cannot be asked so: Parameter" in said and not Path("runs").exists()


def test_numbers_reach_slurm_as_numbers(submitit):
    queue = opened(Asked(more={"cluster": "local", "mem_gb": "1.5", "timeout_min": "600", "slurm_account": "a"}))
    asked = queue.make(Path()).asked
    assert (asked["mem_gb"], asked["timeout_min"], asked["slurm_account"]) == (1.5, 600, "a")


def test_a_machine_with_other_versions_runs_nothing(stub, monkeypatch):
    from transreward.study.run import task_of
    from transreward.workers import attempt

    (job,) = jobs_of(parsed({**PLAN, "methods": ["oracle"]}), Path("out"))[-1:]
    monkeypatch.setattr(attempt, "versions", lambda: {"python": "3.12", "jax": "1"})
    found = attempt.whole(task_of(job), 1, "")
    assert found.state == "refused" and "jax 1 and not" in found.why and not stub()
