"""Runs the jobs of a study, several in parallel: each is a process with its share of the cores."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transreward.interruption import SIGNALS
from transreward.runs import store
from transreward.study.jobs import EXIT, Job
from transreward.types import RequestError

PROGRAM = (sys.executable, "-m", "transreward")
PAUSE = 0.2  # seconds between checks of the processes
PATIENCE = 10.0  # seconds for a job to write its checkpoint when it is ended
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # of BLAS
XLA_THREADS = "NPROC"


@dataclass(eq=False)
class Going:
    """A running job."""

    job: Job
    process: subprocess.Popen[bytes]
    cores: Sequence[int]
    began: float


class Watch(Protocol):
    """Receives the progress of a study while it runs."""

    def began(self, going: Sequence[Going]) -> None:
        """A job has begun: the last of those that are running."""

    def ended(self, job: Job, seconds: float, why: str) -> None:
        """A job has ended after so many seconds; `why` it failed, or empty."""

    def look(self, going: Sequence[Going]) -> None:
        """Called at every check of the processes."""


class Interrupted(Exception):
    """The study was interrupted by signal `number`; every job was ended."""

    def __init__(self, number: int, jobs: int) -> None:
        self.number, self.jobs = number, jobs


def run(
    jobs: Sequence[Job], at_once: int, watch: Watch, note: Callable[[list[Job]], None] = lambda running: None
) -> dict[Path, str]:
    """Run all jobs that are not done, at most `at_once` in parallel; `note` receives the running ones at each change.

    Returns directory -> why its job failed. If a job fails, the others go on, except for those that need its source
    agent. Raises Interrupted.
    """
    waiting = [job for job in jobs if not job.done]
    going: list[Going] = []
    failed: dict[Path, str] = {}
    slots = shares(at_once)

    def over(job: Job, seconds: float, why: str) -> None:
        if why:
            failed[job.place] = why
        watch.ended(job, seconds, why)

    with signals() as got:
        try:
            while waiting or going:
                before = list(going)
                for job in [job for job in waiting if job.agent is not None and job.agent.place in failed]:
                    waiting.remove(job)
                    over(job, 0.0, "its source agent failed")
                while slots and not got and (job := ready(waiting)) is not None:
                    waiting.remove(job)
                    try:
                        going.append(start(job, slots[-1], at_once))
                    except (OSError, RequestError) as error:
                        over(job, 0.0, str(error))
                    else:
                        slots.pop()
                        watch.began(going)
                for one in [one for one in going if one.process.poll() is not None]:
                    going.remove(one)
                    slots.append(one.cores)
                    over(one.job, time.monotonic() - one.began, outcome(one))
                if got:
                    raise Interrupted(got[0], len(going))
                if going != before:
                    note([one.job for one in going])
                watch.look(going)
                time.sleep(PAUSE if going else 0)
        finally:
            end(going, got)
    return failed


def ready(waiting: Sequence[Job]) -> Job | None:
    """The first waiting job whose source agent exists."""
    return next((job for job in waiting if job.agent is None or job.agent.done), None)


def shares(at_once: int) -> list[Sequence[int]]:
    """The cores of each of the parallel jobs, shared if there are too few. Empty = not restricted: a single job, or a
    system that does not tell."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if at_once == 1 or not cores:
        return [()] * at_once
    return [cores[i % len(cores) :: at_once][: max(len(cores) // at_once, 1)] for i in range(at_once)]


def start(job: Job, cores: Sequence[int], at_once: int) -> Going:
    """Start a job, or resume it from its checkpoint, in a process group of its own, which the terminal's Ctrl-C does
    not reach.

    Raises RequestError if another process has its run.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    words = ["resume", str(job.place)] if job.resumes else job.command()
    if job.place.is_dir():
        with store.locked(job.place):
            if not job.resumes and (job.place / "config.json").exists():  # it was stopped before its first checkpoint
                shutil.rmtree(job.place)
    with job.log.open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, env=environment(cores, at_once), start_new_session=True,
        )  # fmt: skip
    if cores and sys.platform == "linux":
        with suppress(ProcessLookupError):
            os.sched_setaffinity(process.pid, cores)  # inherited by its threads, all of which start later
    return Going(job, process, cores, time.monotonic())


def environment(cores: Sequence[int], at_once: int) -> dict[str, str]:
    """The environment of a job: BLAS gets one thread per core of the job, and several jobs can share a GPU.

    XLA splits sums by its number of threads, which affects the last bits. So it gets as many as for the command alone,
    on the job's cores, and the bits do not depend on the number of parallel jobs.
    """
    if at_once == 1:
        return dict(os.environ)
    limits = dict.fromkeys(THREADS, str(max(len(cores), 1))) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if sys.platform == "linux":
        limits[XLA_THREADS] = os.environ.get(XLA_THREADS) or str(len(os.sched_getaffinity(0)))
    return {**os.environ, **limits}


def outcome(one: Going) -> str:
    """Empty if the job is done, else why not: the last line of its output, which is kept in its log."""
    code = one.process.returncode
    if one.job.done:
        return ""
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    with suppress(OSError), one.job.log.open("a") as log:
        log.write(f"\n{EXIT}{code}\n")
    said = one.job.failure if code > 0 else ""
    return said.removeprefix("transreward: ") or how


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect the numbers of SIGNALS received during the body, instead of their usual effect. Outside the main thread
    nothing is collected."""
    got: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = {n: h for n in SIGNALS if (h := signal.getsignal(n)) is not signal.SIG_IGN} if main else {}
    for number in before:
        signal.signal(number, lambda number, frame: got.append(number))
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(going: Sequence[Going], got: Sequence[int]) -> None:
    """End all jobs. Each has `PATIENCE` to write its checkpoint; a second signal ends the wait."""
    for one in going:
        one.process.terminate()
    until = time.monotonic() + PATIENCE
    while any(one.process.poll() is None for one in going) and time.monotonic() < until and len(got) < 2:
        time.sleep(0.05)
    for one in going:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
