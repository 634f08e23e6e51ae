"""Tasks as jobs of Slurm, through submitit, which keeps their scripts, arguments and output below logs/slurm/."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transreward.types import RequestError
from transreward.workers import contract
from transreward.workers.attempt import threads, whole
from transreward.workers.contract import Asked, Outcome, Task

CLUSTER = "cluster"  # of the words of `more`: slurm, or submitit's own local and debug, which need no Slurm
AT_ONCE = 100  # jobs in the queue
MINUTES = "timeout_min"
LOOK = 1.0  # seconds between looks at a job's files


class Queue:
    """`contract.Worker`."""

    def __init__(self, make: Callable[[Path], Any], asked: Asked) -> None:
        self.make, self.asked = make, asked
        self.executor: Any = None  # it makes its folder, which nobody wants before there is a job

    def room(self) -> int:
        return self.asked.at_once or AT_ONCE

    def start(self, task: Task) -> Submitted:
        try:
            self.executor = self.executor or self.make(self.asked.folder / "slurm")
            return Submitted(self.executor.submit(whole, task, self.asked.cores, threads()))
        except Exception as error:  # submitit's own, and those of what it calls
            raise RequestError(f"Slurm took no job: {' '.join(str(error).split())[:200]}") from None

    def close(self) -> None:
        pass


class Submitted:
    """`contract.Going`: a job that is in the queue, or running."""

    def __init__(self, job: Any) -> None:
        self.job, self.began, self.looked = job, time.monotonic(), 0.0
        self.outcome: Outcome | None = None

    def over(self) -> Outcome | None:
        if self.outcome is None and time.monotonic() - self.looked >= LOOK:
            self.looked = time.monotonic()
            if self.job.done():
                self.outcome = self._found()
        return self.outcome

    def _found(self) -> Outcome:
        try:
            return self.job.result()
        except Exception as error:  # it was cancelled, ran out of time, or its node is gone
            return Outcome(contract.LOST, " ".join(str(error).split())[:200])

    def end(self) -> None:
        self.job.cancel(check=False)

    def kill(self) -> None:
        self.job.cancel(check=False)


def opened(asked: Asked) -> Queue:
    """Slurm's queue. Raises RequestError if submitit is missing, there is no Slurm here, or it is asked for wrongly."""
    try:
        submitit: Any = import_module("submitit")
    except ImportError:
        raise RequestError("Slurm needs submitit: pip install 'transreward[slurm]'") from None
    words = dict(asked.more)
    cluster = words.pop(CLUSTER, "slurm")
    if cluster not in ("slurm", "local", "debug"):
        raise RequestError(f"{CLUSTER} {cluster}: it is slurm, local or debug")
    if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise RequestError("Slurm's sbatch is not on this machine: type the command where jobs are submitted")
    more = {word: number(value) for word, value in words.items()}

    def make(folder: Path) -> Any:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        usual = {"name": "transreward", MINUTES: 24 * 60, "cpus_per_task": asked.cores, "mem_gb": asked.memory}
        executor.update_parameters(**{**usual, **more})
        return executor

    try:
        with TemporaryDirectory() as folder:
            make(Path(folder))
    except (NameError, ValueError, TypeError, AssertionError) as error:  # the last for a value of another type
        raise RequestError(f"Slurm cannot be asked so: {' '.join(str(error).split())}") from None
    return Queue(make, asked)


def number(value: str) -> int | float | str:
    """A word that is one as a number, which submitit asks for: 600, 1.5."""
    if value.isdecimal():
        return int(value)
    return float(value) if re.fullmatch(r"\d+\.\d+", value) else value
