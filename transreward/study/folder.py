"""A study's directory: study.json with its jobs, plan.yaml, and below it agents/, runs/, logs/ and claims/."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from transreward.claims import Claim, Claims, machine
from transreward.runs import schema, store
from transreward.runs.schema import fits
from transreward.study.jobs import CLAIMS, Job
from transreward.types import RequestError
from transreward.workers.versions import apart, versions

DRIVER = "driver"  # before the name of a process's claim to take part
FILE, PLAN = store.STUDY, "plan.yaml"
KEYS = {"pair": str, "method": str, "request": dict, "directory": str}
ASKED = schema.KEYS["request.json"] | {"learner": str}  # what is null stands at its default
NAME = 255  # bytes of a name that a file system takes
NEEDED = ("source", "target", "method", "settings")


@contextmanager
def joined(out: Path, plan: str, jobs: Sequence[Job]) -> Iterator[None]:
    """Take part in the study in a directory during the body: with others that have the same plan and versions. Makes
    it, with its plan and its jobs, if there is none.

    Raises RequestError if it holds anything but a study, or is used by others with another plan or other versions.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / FILE).exists() and not (out / CLAIMS).exists():
        raise RequestError(f"`out` {out} is not empty and holds no study: name another directory")
    whole = content(out, jobs)
    about = {"plan": hashlib.sha256(whole.encode()).hexdigest(), "versions": versions()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        own = Claims(out / CLAIMS).take(f"{DRIVER}-{uuid.uuid4().hex}", about)
    except OSError as error:
        raise RequestError(f"`out` {out} cannot be made: {error.strerror}") from None
    assert own is not None  # nobody else knows its name
    try:
        require_alike(out, own, about)
        begin(out, plan, whole)
        yield
    finally:
        own.release()
        with suppress(OSError):
            own.place.unlink()


def require_alike(out: Path, own: Claim, about: Mapping[str, Any]) -> None:
    """Raise RequestError if a driver that is at work has another plan or other versions. Looks at nothing but
    differences, for which it may have to wait until it knows whether the other is still there."""
    claims = Claims(out / CLAIMS)
    for place in (out / CLAIMS).glob(f"{DRIVER}-*.1"):
        name, first = place.name.removesuffix(".1"), None
        while place != own.place and (note := claims.taken(name)) is not None and note.token:
            wrong = apart(about["versions"], checked_versions(note.about), f"{note.holder}, which runs this study,")
            if not wrong and note.about.get("plan") == about["plan"]:
                break
            first = note.beat if first is None else first
            if note.machine == machine() or note.beat != first:  # it is there
                other = (
                    f"`out` {out} is used by {note.holder} with another plan: wait for it, or name another directory"
                )
                raise RequestError(wrong or other)
            time.sleep(1.0)


def checked_versions(about: Mapping[str, Any]) -> dict[str, str]:
    """The versions that another driver wrote down."""
    found = about.get("versions")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def begin(out: Path, plan: str, whole: str) -> None:
    """Write the plan and its jobs into the study's directory. Others may be writing the same."""
    put(out / PLAN, plan)
    put(out / FILE, whole)


def put(path: Path, text: str) -> None:
    """Write a file that other drivers may be writing, too. Raises as `store.write_text`."""
    own = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        store.write_text(own, text)
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def content(out: Path, jobs: Sequence[Job]) -> str:
    """study.json: all jobs."""
    entries = [
        {
            "pair": job.pair,
            "method": job.method,
            "directory": place_in(out, job),
            "agent": job.agent and place_in(out, job.agent),
            **({"known": [place_in(out, one) for one in job.known]} if job.known else {}),
            "request": job.request,
        }
        for job in jobs
    ]
    return store.json_text({"schema": store.SCHEMA, "jobs": entries})


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
    claims = Claims(out / CLAIMS)
    return list(jobs.values()), {job.place for job in jobs.values() if not job.done and at_work(claims, job)}


def at_work(claims: Claims, job: Job) -> bool:
    """True if a process has the job, as far as the clocks tell."""
    note = claims.newest(job.place.name)
    return note is not None and note.fresh


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
    if not isinstance(agent, str | None) or not fits(entry.get("known", []), schema.TEXTS):
        return None
    earlier = tuple(known[name] for name in entry.get("known", ()) if name in known)
    return Job(entry["pair"], entry["method"], request, out / place, known.get(agent) if agent else None, earlier)
