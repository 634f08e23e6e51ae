"""The lines of a study's table: one method on one pair, from what its runs have left so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from transreward.evaluation.verdict import Outcome
from transreward.runs.record import Record
from transreward.runs.record import read as read_run
from transreward.study.jobs import Job
from transreward.types import CONTROLS, RequestError


@dataclass(frozen=True)
class Line:
    """One method on one pair, with its runs: several if seeds were added later."""

    method: str  # its name in the plan
    jobs: tuple[Job, ...]
    records: tuple[Record, ...]  # of the jobs that have results so far
    state: str  # why it is incomplete, or empty

    @cached_property
    def outcome(self) -> Outcome | None:
        """The outcome over the seeds of all its runs, without those of runs that were not evaluated beside one that
        was: seeds and returns go together. None if there is no run yet."""
        found = [record.outcome for record in self.records]
        if not found:
            return None
        shown = [one for one in found if len(one.per_seed)] or found
        agents, longest = [one.agent for one in found], max(found, key=lambda one: one.target_steps)
        evaluated = [one.evaluation_steps for one in found]
        return replace(
            longest,  # which tells the steps, and why it ended there
            name=self.method,
            per_seed=np.concatenate([one.per_seed for one in shown]),
            seeds=tuple(seed for one in shown for seed in one.seeds),
            evaluation_steps=None if None in evaluated else most(evaluated),
            agent=None if None in agents else " ".join(agent for agent in agents if agent is not None),
            finished=not self.state and all(one.finished for one in found),
        )

    @property
    def control(self) -> bool:
        """True if it is a control."""
        return self.jobs[0].request["method"] in CONTROLS or any(record.control for record in self.records)


def line_of(name: str, jobs: Sequence[Job], running: set[Path]) -> Line:
    """The line of one method on one pair, from what its runs have left so far."""
    records, states = [], []
    for job in jobs:
        state = "" if job.done else "running" if job.place in running else ""
        try:
            if (job.place / "config.json").exists():
                records.append(record_of(job, len(jobs) > 1))
        except RequestError as error:
            state = state or str(error)
        if not job.done:
            failure = f"failed: {job.failure}" if job.failure else ""
            state = state or failure or ("stopped" if job.place.is_dir() else "to do")
        states.append(state)
    return Line(name, tuple(jobs), tuple(records), "; ".join(dict.fromkeys(filter(None, states))))


def record_of(job: Job, several: bool) -> Record:
    """The record of a job's run, under the method's name in the plan."""
    found = read_run(job.place)[0]
    first, last = found.seeds[0], found.seeds[-1]
    return replace(found, label=f"{job.method}, seeds {first} to {last}" if several else job.method)


def most(numbers: Iterable[int | None]) -> int | None:
    """The largest of several runs' counts, which are nearly equal; None if nothing was counted."""
    return max((n for n in numbers if n is not None), default=None)
