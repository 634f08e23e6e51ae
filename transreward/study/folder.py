"""A study's directory: study.json with its jobs, plan.yaml, and below it agents/, runs/ and logs/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from transreward.runs import schema, store
from transreward.runs.schema import fits
from transreward.study.jobs import Job
from transreward.types import RequestError

FILE, PLAN = "study.json", "plan.yaml"
KEYS = {"pair": str, "method": str, "request": dict, "directory": str}
ASKED = schema.KEYS["request.json"] | {"learner": str}  # what is null stands at its default
NAME = 255  # bytes of a name that a file system takes
NEEDED = ("source", "target", "method", "settings")


@contextmanager
def taken(out: Path) -> Iterator[None]:
    """Lock a study's directory for this process during the body; make it if there is none.

    Raises RequestError if another process has it, or if it holds anything but a study.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / FILE).exists():
        raise RequestError(f"`out` {out} is not empty and holds no study: name another directory")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"`out` {out} cannot be made: {error.strerror}") from None
    with store.locked(out):
        yield


def begin(out: Path, plan: Path, jobs: Sequence[Job]) -> None:
    """Write the plan and its jobs into the study's directory."""
    try:
        store.write_text(out / PLAN, plan.read_text())
    except OSError as error:
        raise RequestError(f"cannot read {plan}: {error.strerror}") from None
    write(out, jobs)


def write(out: Path, jobs: Sequence[Job], running: Sequence[Job] = ()) -> None:
    """Write study.json: all jobs, and which of them are running."""
    entries = [
        {
            "pair": job.pair,
            "method": job.method,
            "directory": place_in(out, job),
            "agent": job.agent and place_in(out, job.agent),
            "request": job.request,
        }
        for job in jobs
    ]
    running_now = [place_in(out, job) for job in running]
    store.write_json(out / FILE, {"schema": store.SCHEMA, "jobs": entries, "running": running_now})


def place_in(out: Path, job: Job) -> str:
    """A job's run directory relative to the study's."""
    return job.place.relative_to(out).as_posix()


def read(out: Path) -> tuple[list[Job], set[Path]]:
    """The jobs of a study, and the run directories of those that are running.

    Raises RequestError if there is no study, or study.json is damaged.
    """
    if not (out / FILE).exists():
        raise RequestError(f"{out} is not a study's directory: it has no {FILE}")
    found = store.read_json(out / FILE)
    jobs: dict[str, Job] = {}
    entries = found.get("jobs")
    for entry in entries if isinstance(entries, list) else [None]:
        job = job_of(out, entry, jobs)
        if job is None:
            raise RequestError(f"{out / FILE} is damaged: run the study again with its plan")
        jobs[place_in(out, job)] = job
    running = [name for name in found.get("running", []) if isinstance(name, str)] if going_on(out) else []
    return list(jobs.values()), {jobs[name].place for name in running if name in jobs}


def job_of(out: Path, entry: Any, known: dict[str, Job]) -> Job | None:
    """The job of an entry of study.json; None if it is damaged, or its path leads out of the study."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in KEYS.items()):
        return None
    place, request = PurePosixPath(entry["directory"]), entry["request"]
    if place.is_absolute() or ".." in place.parts or len(place.parts) != 2 or len(place.name.encode()) > NAME:
        return None
    said = {key: request[key] for key in ASKED if request.get(key) is not None}
    if any(key not in said for key in NEEDED) or not all(fits(value, ASKED[key]) for key, value in said.items()):
        return None
    agent = entry.get("agent")
    if not isinstance(agent, str | None):
        return None
    return Job(entry["pair"], entry["method"], request, out / place, known.get(agent) if agent else None)


def going_on(out: Path) -> bool:
    """True if a process is running the study."""
    try:
        with store.locked(out):
            return False
    except RequestError:
        return True
