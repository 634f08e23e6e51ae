"""Runs the jobs of a study in a worker, until each has ended: the one loop over jobs, failures and other drivers.

A driver is a process that runs this loop. Several of them, on machines that share the study's directory, take jobs from
one another by `claims`, and take up what the others' jobs have left."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transreward.claims import FAILED, Claims
from transreward.interruption import SIGNALS
from transreward.study.jobs import CLAIMS, Job
from transreward.types import RequestError
from transreward.workers import contract
from transreward.workers.attempt import PATIENCE, PAUSE
from transreward.workers.contract import Going, NotNow, Outcome, Task, Worker
from transreward.workers.versions import versions

AGAIN = 2.0  # seconds until a job that could not be started is looked at again, twice as many each time up to
RARELY = 60.0  # these: thousands of jobs on hundreds of machines would else keep the folder's server busy with looks
LOSSES = 5  # times that a job may be lost with the machine that it ran on


@dataclass(eq=False)
class Running:
    """A running job."""

    job: Job
    going: Going

    @property
    def began(self) -> float:
        """When, as time.monotonic()."""
        return self.going.began


class Watch(Protocol):
    """Receives the progress of a study while it runs."""

    def began(self, going: Sequence[Running]) -> None:
        """A job has begun: the last of those that are running."""

    def ended(self, job: Job, seconds: float, why: str) -> None:
        """A job has ended after so many seconds; `why` it failed, or empty."""

    def elsewhere(self, job: Job, why: str) -> None:
        """Another driver's job has ended; `why` it failed, or empty."""

    def look(self, going: Sequence[Running]) -> None:
        """Called at every check of the running jobs."""


class Interrupted(Exception):
    """The study was interrupted by signal `number`; every job was ended."""

    def __init__(self, number: int, jobs: int) -> None:
        self.number, self.jobs = number, jobs


class Driver:
    """The jobs of one process's study: those that wait, those that go on in its worker, and how the others ended."""

    def __init__(self, jobs: Sequence[Job], worker: Worker, watch: Watch) -> None:
        self.waiting = [job for job in jobs if not job.done]
        self.worker, self.watch = worker, watch
        self.going: list[Running] = []
        self.failed: dict[Path, str] = {}
        self.claims: dict[Path, Claims] = {}
        self.later: dict[Path, float] = {}  # when it is looked at again
        self.looked: dict[Path, float] = {}  # when a job that others wait for is
        self.waited: dict[Path, float] = {}  # how long that was put off the last time
        self.there: set[Path] = set()  # jobs of which it is known that they are done
        self.next = 0.0  # when there may be something to start
        self.busy: dict[Path, float] = {}  # since when another process has been in its run directory, until it is free
        self.losses: dict[Path, int] = {}
        self.before: set[str] = set()  # claims on what had failed before, which is run again
        names = [job.place.name for job in self.waiting]
        for folder in set(map(claims_of, self.waiting)):
            self.before |= self._claims(folder).failed(names)

    def begin(self) -> None:
        """Start the first jobs that wait and can be run, as many as there is room for."""
        room = self.worker.room() - len(self.going)
        if room <= 0 or self.next > time.monotonic():
            return
        rest = list(self.waiting)
        while rest and room > 0:
            job = rest.pop(0)
            if job.agent is not None and job.agent.place in self.failed:
                self._over(job, "its source agent failed")
            elif not self._ready(job) or not self._due(job.place):
                continue
            elif self._settled(job):  # there are other drivers, which would all go through one list from its start
                random.shuffle(rest)
            else:
                room -= self._started(job)
        if room > 0:
            self.next = time.monotonic() + AGAIN

    def _due(self, place: Path) -> bool:
        return self.later.get(place, 0.0) <= time.monotonic()

    def _put_off(self, place: Path) -> None:
        self.waited[place] = min(2 * self.waited.get(place, AGAIN / 2), RARELY)
        self.later[place] = time.monotonic() + self.waited[place]

    def _ready(self, job: Job) -> bool:
        """True if its source agent is there, and what it starts from has ended, well or not."""
        return all(self._there(one) or (one.method and one.place in self.failed) for one in job.before)

    def _there(self, job: Job) -> bool:
        """True if a job is done, which is looked at once for all that wait for it."""
        if job.place not in self.there and self.looked.get(job.place, 0.0) <= time.monotonic():
            self.looked[job.place] = time.monotonic() + AGAIN
            if job.done:
                self.there.add(job.place)
        return job.place in self.there

    def _settled(self, job: Job) -> bool:
        """True if it cannot be run now: another driver has it or has ended it."""
        if job.done:
            self.waiting.remove(job)
            self.watch.elsewhere(job, "")
            return True
        claims = self._claims(claims_of(job))
        note = claims.newest(job.place.name)
        failed = note is not None and note.state == FAILED and note.token not in self.before
        if note is not None and failed and job.place not in self.losses:
            self.waiting.remove(job)
            self.failed[job.place] = note.why
            self.watch.elsewhere(job, note.why)
            return True
        if claims.taken(job.place.name) is not None:
            self._put_off(job.place)
            return True
        return False

    def _claims(self, folder: Path) -> Claims:
        return self.claims.setdefault(folder, Claims(folder))

    def _started(self, job: Job) -> bool:
        try:
            going = self.worker.start(task_of(job))
        except NotNow as error:
            self._not_now(job, error.outcome)
        except (OSError, RequestError) as error:
            self._over(job, str(error))
        else:
            self.waiting.remove(job)
            self.going.append(Running(job, going))
            self.watch.began(self.going)
            return True
        return False

    def _not_now(self, job: Job, outcome: Outcome) -> None:
        """It waits; what is lost or busy too often fails."""
        self._put_off(job.place)
        if outcome.state == contract.BUSY:
            if time.monotonic() - self.busy.setdefault(job.place, time.monotonic()) >= PATIENCE:
                self._over(job, outcome.why)
        elif outcome.state == contract.LOST:
            self.later.pop(job.place)
            self.losses[job.place] = self.losses.get(job.place, 0) + 1
            if self.losses[job.place] > LOSSES:
                self._over(job, outcome.why or "lost again and again with the machine that it ran on")

    def gather(self) -> None:
        """Take up what has ended. Raises RequestError if the worker can run nothing."""
        for one, outcome in [(one, found) for one in self.going if (found := one.going.over()) is not None]:
            self.going.remove(one)
            self.later.pop(one.job.place, None)
            self.next = 0.0
            if outcome.state == contract.REFUSED:
                raise RequestError(outcome.why)
            if outcome.state != contract.BUSY:  # which a cluster finds only where it is started
                self.busy.pop(one.job.place, None)
            if outcome.state in (contract.LOST, contract.HELD, contract.BUSY):
                self.waiting.insert(0, one.job)
                self._not_now(one.job, outcome)
            else:
                why = "" if one.job.done else outcome.why or "it left no result"
                self._over(one.job, why, contract.since(one.began))

    def _over(self, job: Job, why: str, seconds: float = 0.0) -> None:
        if job in self.waiting:
            self.waiting.remove(job)
        if why:
            self.failed[job.place] = why
        else:
            self.there.add(job.place)
        self.watch.ended(job, seconds, why)

    def end(self, got: Sequence[int]) -> None:
        """End all jobs. Each has `PATIENCE` to write its checkpoint; a second signal ends the wait."""
        for one in self.going:
            one.going.end()
        until = time.monotonic() + PATIENCE
        while any([one.going.over() is None for one in self.going]) and time.monotonic() < until and len(got) < 2:
            time.sleep(0.05)
        for one in self.going:
            if one.going.over() is None:
                one.going.kill()


def run(jobs: Sequence[Job], worker: Worker, watch: Watch) -> dict[Path, str]:
    """Run all jobs that are not done, in a worker.

    Returns directory -> why its job failed. If a job fails, the others go on, except for those that need its source
    agent. Raises Interrupted, and RequestError where the worker can run none of them.
    """
    driver = Driver(jobs, worker, watch)
    with signals() as got:
        try:
            while driver.waiting or driver.going:
                if not got:
                    driver.begin()
                driver.gather()
                if got:
                    raise Interrupted(got[0], len(driver.going))
                watch.look(driver.going)
                time.sleep(PAUSE if driver.going or driver.waiting else 0)
        finally:
            driver.end(got)
    return driver.failed


def claims_of(job: Job) -> Path:
    """The folder of the claims on a study's jobs."""
    return job.place.parent.parent / CLAIMS


def task_of(job: Job) -> Task:
    """What a worker is given."""
    known = (one for one in job.known if one.done)
    return Task(
        tuple(job.command(known)), job.place, job.checkpoint, job.log, claims_of(job), os.getcwd(), versions()
    )  # fmt: skip


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
