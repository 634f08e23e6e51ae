"""A session's folder in its run directory: begun whole or not at all, kept, and found again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from transreward.request.config import Config
from transreward.runs import store
from transreward.runs.places import REQUEST, SESSION
from transreward.session.learner import ABOUT
from transreward.session.safety import Safety
from transreward.transfer import asked_in
from transreward.types import RequestError

PART = f"{SESSION}.part"  # where it is made
KEPT = ("robots", "low", "high", "change", "background", "counts", "safety")  # what session.json keeps


def kept(safety: Safety, robots: int, background: bool, counts: Mapping[str, int]) -> dict[str, Any]:
    """What `resume` needs beside the request and the journal, for session.json."""
    limits = {name: None if (x := getattr(safety, name)) is None else x.tolist() for name in ("low", "high", "change")}
    told = {"robots": robots, "background": background, **limits, "counts": dict(counts), "safety": dict(safety.counts)}
    return {"schema": store.SCHEMA, **told}


def begun(out: Path, request: dict[str, Any], about: dict[str, Any]) -> None:
    """Claim a run directory, with the folder of a session in which nobody has acted. It is there whole, or not at all:
    what a process has left that was killed while it made one is removed.

    Raises RequestError as `store.claim` does, and where another process is at it.
    """
    part = out / PART
    with store.making(out):
        if not part.is_dir():
            store.vacant(out)
        out.mkdir(parents=True, exist_ok=True)
        with store.locked(out):
            _forget(out)
            store.vacant(out)
            part.mkdir()  # first, so that it is known whose config.json that is
            try:
                (out / "config.json").open("x").close()
            except FileExistsError:  # a run's that is begun at this moment
                part.rmdir()
                raise
            try:
                store.write_json(out / "provenance.json", store.provenance())
                store.write_json(part / REQUEST, request)
                store.write_json(part / ABOUT, about)
                os.rename(part, out / SESSION)
            except BaseException:
                _forget(out)
                with suppress(OSError):
                    out.rmdir()
                raise


def _forget(out: Path) -> None:
    """Remove what was made of a session's folder, where there is nothing else."""
    config, opening = out / "config.json", [name + end for name in store.OPENING for end in ("", ".part")]
    others = {path.name for path in out.iterdir()} - {PART, *opening}
    if not (out / PART).is_dir() or others or (config.exists() and config.stat().st_size):
        return
    for name in opening:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / PART)  # last: without it nobody would know what the others are


def found(out: Path) -> tuple[Config, dict[str, Any]]:
    """The request of the session in a directory, and what its session.json keeps. Raises RequestError where there is
    none, or a part of one."""
    store.confined(out)
    folder = out / SESSION
    if not folder.is_dir():
        raise RequestError(f"{out} holds no session: open one with tr.Session(..., out=...)")
    if not (folder / ABOUT).exists():
        raise RequestError(f"{folder} has no {ABOUT}, as if it was cut: copy {out} again")
    config, _ = asked_in(folder / REQUEST, store.read_json(folder / REQUEST))
    about = store.read_json(folder / ABOUT)
    for key in KEPT:
        if key not in about:
            raise RequestError(f"{folder / ABOUT} has no '{key}', as if it was cut: copy {out} again")
    return config, about
