"""An attempt at a task, on the machine where it runs: claimed, begun or resumed as a process, watched until it ends.

Without JAX, which takes seconds to import: the process of the task needs it, this one does not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from transreward.claims import DONE, FAILED, FREE, Claim, Claims, locked
from transreward.interruption import PARENT
from transreward.plain import shown, tail
from transreward.types import RequestError
from transreward.workers import contract
from transreward.workers.contract import NotNow, Outcome, Task
from transreward.workers.versions import apart, versions

PROGRAM = (sys.executable, "-m", "transreward")
PAUSE = 0.2  # seconds between looks at a process
PATIENCE = 10.0  # seconds for a task to write its checkpoint when it is ended
EXIT = "exit "
# of BLAS; and of XLA, which splits its sums by its number of threads
THREADS, XLA_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "NPROC"


class Attempt:
    """A task's process, and the claim under which it runs. It ends with this process, with a checkpoint."""

    def __init__(self, task: Task, claim: Claim, process: subprocess.Popen[bytes], cores: Sequence[int] = ()) -> None:
        self.task, self.claim, self.process, self.cores, self.began = task, claim, process, cores, time.monotonic()
        self._outcome: Outcome | None = None
        self._ended = False

    def over(self) -> Outcome | None:
        """See `contract.Going`."""
        if self._outcome is None and self.claim.lost:  # it goes on elsewhere, from the last checkpoint
            self.kill()
            self._outcome = Outcome(contract.HELD)
        if self._outcome is None and self.process.poll() is not None:
            ended = self._ended and not self.task.done
            self._outcome = Outcome(contract.LOST) if ended else outcome(self.task, self.process.returncode)
            self.claim.release(*((FREE,) if ended else self._outcome))
        return self._outcome

    def end(self) -> None:
        """Ask it to end."""
        self._ended = True
        self.process.terminate()

    def kill(self) -> None:
        """End it now."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._outcome is None:
            self.claim.release(FREE)

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, *problem: object) -> None:
        """Interrupted: it has PATIENCE."""
        if self.over() is None:
            self.end()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
            if self.over() is None:
                self.kill()


def begin(task: Task, claims: Claims, environment: Mapping[str, str], cores: Sequence[int] = ()) -> Attempt:
    """Claim a task and start its process, on these cores (empty: all), in a process group of its own, which the
    terminal's Ctrl-C does not reach.

    Raises `NotNow` if somebody else has it or is in its run directory, and OSError.
    """
    claim = claims.take(task.name)
    if claim is None:
        raise NotNow(Outcome(contract.HELD))
    try:
        if task.done:  # since it was looked at
            raise NotNow(Outcome(DONE))
        process = _process(task, environment)
        if cores and sys.platform == "linux":
            with suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, cores)  # inherited by its threads, all of which start later
    except BaseException as error:
        claim.release(DONE if isinstance(error, NotNow) and error.outcome.state == DONE else FREE)
        raise
    return Attempt(task, claim, process, cores)


def _process(task: Task, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    base = Path(task.folder)
    log, place, resumes = base / task.log, base / task.place, (base / task.checkpoint).exists()
    log.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        try:
            with locked(place):
                if not resumes and (place / "config.json").exists():  # it was stopped before its first checkpoint
                    shutil.rmtree(place)
        except RequestError as error:
            raise NotNow(Outcome(contract.BUSY, str(error))) from None
    words = ("resume", str(task.place)) if resumes else task.words
    with log.open("wb") as file:
        return subprocess.Popen(
            [*PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=task.folder,
            env={**environment, PARENT: str(os.getpid())}, start_new_session=True,
        )  # fmt: skip


def outcome(task: Task, code: int) -> Outcome:
    """How a task's process ended: done, or failed with the last line of its output, which is kept in its log."""
    if task.done:
        return Outcome(DONE)
    with suppress(OSError), task.log.open("a") as log:
        log.write(f"\n{EXIT}{code}\n")
    return Outcome(FAILED, failure(task.log) or ended(str(code)))


def failure(log: Path) -> str:
    """The last line that a failed command printed, or what killed it; empty if it did not fail, or there is no
    output."""
    try:
        said = shown(tail(log).decode(errors="replace")).splitlines()
    except (OSError, ValueError):  # there is none
        return ""
    if not said or not said[-1].startswith(EXIT):
        return ""
    killed = said[-1].startswith(f"{EXIT}-")  # it could say nothing of it, and its last line is of something else
    last = "" if killed else next((line for line in reversed(said[:-1]) if line.strip()), "")
    return last.removeprefix("transreward: ") or ended(said[-1].removeprefix(EXIT))


def ended(code: str) -> str:
    """How a process ended, by its code."""
    return f"killed by signal {code[1:]}" if code.startswith("-") else f"exit code {code}"


def environment(cores: int, threads: str, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of one of several tasks: BLAS gets one thread per core of the task, and they can share a GPU.

    XLA splits sums by its number of threads, which affects the last bits. So it gets `threads`, as many as the command
    alone on the machine of the study, and the bits do not depend on where and beside what the task runs.
    """
    limits = dict.fromkeys(THREADS, str(max(cores, 1))) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return {**base, **limits, **({XLA_THREADS: threads} if threads else {})}


def threads() -> str:
    """As many as XLA would take here; empty on a system that does not tell."""
    if sys.platform != "linux":
        return ""
    return os.environ.get(XLA_THREADS) or str(len(os.sched_getaffinity(0)))


def whole(task: Task, cores: int, threads: str) -> Outcome:
    """Run a task to its end, on a machine of a cluster. Its claim is that machine's; interrupted, the task ends."""
    if wrong := apart(task.versions, versions(), os.uname().nodename):
        return Outcome(contract.REFUSED, wrong)
    if not Path(task.folder).is_dir():
        return Outcome(contract.REFUSED, f"{os.uname().nodename} has no {task.folder}: its machines must share it")
    os.chdir(task.folder)
    try:
        with begin(task, Claims(task.claims), environment(cores, threads, os.environ)) as attempt:
            while (found := attempt.over()) is None:
                time.sleep(PAUSE)
            return found
    except NotNow as error:
        return error.outcome
    except OSError as error:
        return Outcome(FAILED, str(error))
