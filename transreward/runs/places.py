"""Where a run that has not ended keeps what goes on with it, in its directory."""

from __future__ import annotations

import shlex
from pathlib import Path

SESSION, STATE = "session", "state"  # folders: of a robot that asks, of a checkpoint
REQUEST = "request.json"  # in either: what `transfer` would be asked for
JOURNAL = "steps.journal"  # in the session's: what its robots took


def journal_of(directory: Path) -> Path:
    """The journal of the session in a directory; there is none where no session was begun."""
    return directory / SESSION / JOURNAL


def request_of(directory: Path, folder: str) -> Path:
    """The request that the session or the checkpoint in a directory goes on with."""
    return directory / folder / REQUEST


def goes_on(directory: Path) -> str:
    """What goes on with the session in a directory, in words."""
    place = str(directory)
    return f"tr.Session.resume({place!r}) goes on with it, and so does 'transreward serve {shlex.quote(place)}'"
