"""A time limit for calls into code that is not ours: a call that never returns cannot be ended otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from transreward import interruption

TICK = 0.5  # seconds between checks
_watched: dict[int, tuple[float, str]] = {}  # thread -> (deadline of its call, message past it)
_watching = threading.Lock()


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Give the body so many seconds, 0 = no limit. Past them the process ends with exit code 1 and the message `what`,
    followed by that of an interruption. Measured by a monotonic clock."""
    if not seconds:
        yield
        return
    if not _watching.locked():
        _watch()
    thread = threading.get_ident()
    _watched[thread] = time.monotonic() + seconds, what
    try:
        yield
    finally:
        _watched.pop(thread, None)


def _watch() -> None:
    if _watching.acquire(blocking=False):
        threading.Thread(target=_look, daemon=True).start()


def _look() -> None:
    while True:
        time.sleep(TICK)
        for until, what in list(_watched.values()):
            if time.monotonic() > until:
                interruption.end(what, 1)
