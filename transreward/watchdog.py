"""A limit to how long a call may take that is not ours: nothing else ends one that never returns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from transreward import interruption

TICK = 0.5  # seconds between two looks
_watched: dict[int, tuple[float, str]] = {}  # thread -> until when its call may go on, and what is said past it
_watching = threading.Lock()


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """What is inside has so many seconds, 0 = without end. Past them the process ends with 1: it says `what`, and what
    an interruption says. The clock is one that nobody sets back."""
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
