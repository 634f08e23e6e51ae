"""What a worker is: something that runs tasks, each a command with a run directory of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from transreward.types import RequestError

LOST, HELD, BUSY, REFUSED = "lost", "held", "busy", "refused"


@dataclass(frozen=True)
class Task:
    """One command, the run directory that it fills, and where it is claimed: all that another machine needs, which
    shares the folder."""

    words: tuple[str, ...]  # arguments of `transreward` that begin it
    place: Path  # its run directory
    checkpoint: Path  # the file without which it cannot be resumed
    log: Path  # of its output
    claims: Path  # the folder of claims
    folder: str  # in which its command is run, and from which relative paths are meant
    versions: dict[str, str]  # that it must meet, see `versions`

    @property
    def name(self) -> str:
        """Its name among the claims."""
        return self.place.name

    @property
    def done(self) -> bool:
        """True if its run is finished."""
        return (self.place / "result.json").exists()


class Outcome(NamedTuple):
    """How a task ended. `lost`: where it ran is gone, and it may be run again; `held`: somebody else runs it; `busy`:
    another process is in its run directory; `refused`: nothing can be run there at all."""

    state: Literal["done", "failed", "lost", "held", "busy", "refused"]
    why: str = ""


class Going(Protocol):
    """A task that was started."""

    began: float  # time.monotonic()

    def over(self) -> Outcome | None:
        """How it ended; None while it goes on. Does not wait."""
        ...

    def end(self) -> None:
        """Ask it to end; it writes a checkpoint first."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


class Worker(Protocol):
    """Runs tasks in some place."""

    def room(self) -> int:
        """How many tasks it takes at once, now."""
        ...

    def start(self, task: Task) -> Going:
        """Begin a task, or resume it from its checkpoint. Raises `NotNow`, OSError, and RequestError."""
        ...

    def close(self) -> None:
        """Let go of what `opened` took."""
        ...


class NotNow(RequestError):
    """A task was not started, for a reason that may pass."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome


@dataclass(frozen=True)
class Asked:
    """What a worker is asked for."""

    at_once: int | None = None  # tasks in parallel; None: the worker's own choice
    address: str = ""  # of a cluster; `local` starts one
    cores: int = 1  # of a task
    memory: float = 4.0  # GiB of a task
    more: dict[str, str] = field(default_factory=dict)  # the scheduler's own words
    folder: Path = Path()  # for what a scheduler writes


def since(began: float) -> float:
    """Seconds."""
    return time.monotonic() - began
