"""The learner's process, as the one who answers the robot sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.users import in_one_line
from transreward.types import BrokenRun, RequestError

LOG = "learner.log"  # in the session's folder: whatever its process prints
PATIENCE = 60.0  # seconds that it may take to write a checkpoint when the session is closed


class LearnerProcess:
    """Started at once. What it says arrives in a thread."""

    def __init__(self, out: Path, folder: Path, told: Callable[[dict[str, Any]], None]) -> None:
        """`told` is called with its progress, its warnings and its end, in another thread."""
        self.waiting: int | None = None  # steps of each robot that it waits for, while it learns nothing
        self.version = 0  # of the policies that it published last
        self.failed: str | None = None
        self.over = False
        self.reported = False  # whether it has learned anything
        self.closing = False  # its end is asked for
        self._told, self._news = told, threading.Condition()
        self._letting = 0  # how many let it learn
        self._ended = False  # nothing will be heard any more
        self._log = (folder / LOG).open("ab")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "transreward.session.learner"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment,
            encoding="utf-8", errors="replace", start_new_session=True,  # Ctrl-C is the session's, which then ends it
        )  # fmt: skip
        self._send({"out": str(out.resolve())})
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def allow(self, learning: bool) -> None:
        """Let it learn, or not any more; while several have let it, it learns until the last of them does not."""
        with self._news:
            self._letting += 1 if learning else -1
            self._send({"do": "learn" if self._letting > 0 else "pause"})

    @contextmanager
    def learning(self, goes_on: bool) -> Iterator[None]:
        """Let it learn inside; `goes_on`: and from then on."""
        self.allow(True)
        try:
            yield
        finally:
            if not goes_on:
                self.allow(False)

    def wait(self, until: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until something is so, it ended, or the time is up. Returns whether it is so. Raises RequestError for
        seconds that are none."""
        if seconds is not None and (not isinstance(seconds, (int, float, np.number)) or not seconds >= 0):
            raise RequestError(f"`seconds` must be a number from 0, or None: as long as it takes, not {seconds!r}")
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._news:
            while not until() and self.alive:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._news.wait(0.5 if left is None else min(left, 0.5))
        return until()

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return not self.over and self.failed is None and not self._ended

    def require(self) -> None:
        """Raise BrokenRun if it failed, with what it said."""
        if self.failed is not None:
            raise BrokenRun(f"the learner of this session ended: {self.failed}")

    def close(self) -> None:
        """Let it write a checkpoint and end, which is no failure."""
        with self._news:
            self.closing = True
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        for file in (self._process.stdout, self._log):
            assert file is not None
            file.close()

    def _send(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it has ended, which `_listen` finds out
            print(json.dumps(what), file=self._process.stdin, flush=True)

    def _listen(self) -> None:
        """Whatever comes, who waits for it is told that no more will."""
        why = "nobody hears it any more"
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if (said := _said(line)) is not None:
                    self._hear(said)
            why = f"its process ended with {self._process.wait()}; see {self._log.name}"
        except Exception as error:
            why = f"what it said was not taken in: {in_one_line(error)}"
            self._process.terminate()  # it would stop where the pipe is full
        finally:
            with self._news:
                self._ended = True
                if not (self.over or self.failed or self.closing):
                    self.failed = why
                self._news.notify_all()

    def _hear(self, said: dict[str, Any]) -> None:
        event = said.pop("event")
        with self._news:
            if event == "waiting":
                self.waiting = said["settled"]
            elif event == "acting":
                self.version = said["version"]
            elif event == "failed":
                self.failed = said["text"]
            elif event == "over":
                self.over = True
            self.reported |= event == "progress"
            self._news.notify_all()
        if event in ("progress", "warning", "over") or (event == "failed" and self.version):  # before, nobody acts
            self._told({"event": event, **said})


def _said(line: str) -> dict[str, Any] | None:
    """What a line says; None for a half one, as of a process that was killed while it wrote."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None
