"""Progress of a study: one line per job and, on a terminal, the running jobs and the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from transreward import plain
from transreward.study.jobs import Job
from transreward.study.run import Running

COLOURS = {"done": "green", "failed": "red", "running": "cyan"}


class View:
    """Shows a study on the terminal; see `study.run.Watch`."""

    def __init__(self, jobs: Sequence[Job], at_once: int = 1) -> None:
        self.console = Console(markup=False, emoji=False)
        self.whole, self.at_once = len(jobs), at_once
        self.before = self.ready = sum(job.done for job in jobs)  # done before this command
        self.failed, self.seconds = 0, 0.0
        self.live = (
            Live(console=self.console, refresh_per_second=2, transient=True) if self.console.is_terminal else None
        )

    def __enter__(self) -> Self:
        already = f", {self.ready} of them done" if self.ready else ""
        self.console.print(f"{self.whole} jobs{already}", highlight=False)
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self.live:
            self.live.stop()

    def began(self, going: Sequence[Running]) -> None:
        """Print a line, except on a terminal, where running jobs are shown anyway."""
        if not self.live:
            self._say("running", going[-1].job, "")

    def ended(self, job: Job, seconds: float, why: str) -> None:
        """Print the job's final line."""
        self.failed += bool(why)
        self.ready += not why
        self.seconds += 0.0 if why else seconds
        self._say("failed" if why else "done", job, f": {why}" if why else f", {clock(seconds)}")

    def elsewhere(self, job: Job, why: str) -> None:
        """Print the final line of another driver's job."""
        self.failed += bool(why)
        self.ready += not why
        self.before += not why  # it says nothing of the time that is left here
        self._say("failed" if why else "done", job, f", by another study: {why}" if why else ", by another study")

    def look(self, going: Sequence[Running]) -> None:
        """Show the running jobs, and how much is left."""
        if self.live:
            now = time.monotonic()
            lines = [
                Text.assemble(("running ", COLOURS["running"]), f"{g.job.name}, {clock(now - g.began)}{so_far(g.job)}")
                for g in going
            ]
            self.live.update(Group(*lines, Text(self._count(), style="bold")))

    def _say(self, state: str, job: Job, more: str) -> None:
        line = Text.assemble((f"{state:8}", COLOURS[state]), job.name, more)
        if not self.live:
            line.append(f" ({self._count()})")
        self.console.print(line, soft_wrap=True)

    def _count(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.ready} of {self.whole} done{failed}{self._left()}"

    def _left(self) -> str:
        """The time left, from the mean time of the jobs that ended."""
        ended, left = self.ready - self.before, self.whole - self.ready - self.failed
        return f", about {clock(left * self.seconds / ended / self.at_once)} left" if ended and left else ""


def so_far(job: Job) -> str:
    """The steps of a job's run, from the last line of metrics.jsonl; empty before the first."""
    own = job.place / "metrics.jsonl"
    try:
        row = plain.parsed(plain.tail(own).rstrip().rpartition(b"\n")[2])
        side = "target" if row["target_steps"] else "source"
        budget = job.request.get(f"{side}_steps")
        return f", {row[f'{side}_steps']:,}{f' of {budget:,}' if budget else ''} {side} steps"
    except (OSError, ValueError, KeyError, TypeError):  # there is no file yet, or a line is being written
        return ""


def clock(seconds: float) -> str:
    """Seconds as 0:42, 12:05 or 3:04:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
