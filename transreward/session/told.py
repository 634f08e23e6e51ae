"""The steps that a session's robots took, as a log: read from its journal, however the session ended."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transreward import plain
from transreward.domains.logs.clock import DIGITS, differ
from transreward.domains.logs.log import Log
from transreward.runs.places import REQUEST, goes_on, journal_of
from transreward.streams.journal import ACT, KINDS, OPEN, SIZES, Book, Event, unpacked
from transreward.streams.log import DAMAGED, records
from transreward.types import RequestError, Spaces

MOST_ROBOTS = 10_000


@dataclass(frozen=True)
class Told:
    """What is in a session's journal."""

    log: Log  # robot after robot, each in the order of time
    robots: int
    acts: int  # actions handed out, which count as steps
    lost: int  # of those, nothing was told
    resets: int  # steps of resets
    aborted: int  # episodes that an operator ended
    pace: float | None  # actions a second that were asked for, where that is not the log's rate

    def __str__(self) -> str:
        said = f"session   {self.acts:,} actions handed out"
        said += f" to {self.robots} robots" if self.robots > 1 else ""
        said += f", of {self.lost:,} nothing was told" if self.lost else ""
        said += f"; {self.resets:,} steps of resets" if self.resets else ""
        said += f"; {self.aborted:,} episode{'s' * (self.aborted > 1)} ended by hand" if self.aborted else ""
        if self.pace is not None:
            said += f"\n          they were asked for {self.pace:g} times a second, which is not the robot's rate"
        return said


def told(directory: Path, rate: float | None = None) -> Told:
    """What the robots of a session told, also where it was killed or goes on in another process. A record that was cut
    is left out; behind one that is damaged nothing is read, which is warned of. `rate` is the robot's, in Hz: where
    actions were not asked for at that rate, as those of a simulated robot are not, the log has no times.

    Raises:
        RequestError: there is no step, or the file is none of a session's.
    """
    path = journal_of(directory)
    try:
        book, times = _read(path)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from None
    book.end()
    rows = [row for one in book.rows for row in one]
    if not rows:
        raise RequestError(f"{directory}: its robot has told nothing yet, so there is no step")
    last = np.cumsum([len(one) for one in book.rows if one]) - 1
    terminated = np.array([row.terminated for row in rows])
    truncated = np.array([row.truncated for row in rows])
    truncated[last] |= ~terminated[last]
    obs, action, reward, led = (np.array([row[i] for row in rows]) for i in range(4))
    time = np.array([times[row.taken] for row in rows]) - times[rows[0].taken]
    apart = np.diff(time)[~(terminated | truncated)[:-1]]
    runs = not (apart <= 0).any()
    if not runs:
        warnings.warn(f"the clock of {directory} was set back or stood still: its steps have no times", stacklevel=2)
    usual = float(f"{1 / np.median(apart):.{DIGITS}g}") if runs and apart.size else None  # also where the robot paused
    pace = usual if usual is not None and rate is not None and differ(usual, rate) else None
    times = time if runs and pace is None else None
    log = Log(obs, action, reward, led, terminated, truncated, source=str(directory), rate=rate or usual, time=times)
    lost, resets, aborted = (sum(x) for x in zip(*((r.lost, r.resets, r.aborted) for r in book.robots), strict=True))
    return Told(log, len(book.robots), book.acts, lost, resets, aborted, pace)


def require_no_session(directory: Path) -> None:
    """Raise RequestError for the directory of a session, with what goes on with it: the robot's steps are in there, and
    a script that opens a session is started again wherever it stopped."""
    path = journal_of(directory)
    if not path.parent.is_dir():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its end is damaged is said when it goes on
        try:
            asked = plain.parsed(plain.content(path.with_name(REQUEST)))
            steps = f" with {_read(path)[0].acts:,} of {asked['target_steps']:,} steps"
        except (RequestError, LookupError, TypeError, ValueError, OSError):  # it was killed while it began
            steps = ""
    raise RequestError(
        f"{directory} holds a session{steps}: {goes_on(directory)}; another session needs another directory"
    )


def _read(path: Path) -> tuple[Book, dict[int, float]]:
    """The book of a journal, and when each action was asked for: its number among all -> seconds since 1970."""
    book, spaces, times = None, Spaces(0, 0, np.zeros(0), np.zeros(0)), dict[int, float]()
    with path.open("rb") as file:
        for _, kind, _, payload in records(file, KINDS):
            try:
                if kind == DAMAGED:
                    raise ValueError
                if book is None:
                    book, spaces = _opened(kind, payload)
                event = Event(OPEN) if kind == OPEN else unpacked(kind, payload, spaces)
                book.apply(event)
            except (struct.error, ValueError, IndexError, AssertionError):
                if book is None:
                    raise RequestError(f"{path} is damaged, or no journal of a session") from None
                warnings.warn(f"{path} is damaged after {book.acts:,} steps: the rest is left out", stacklevel=3)
                break
            if event.kind == ACT:
                times[book.acts] = event.at
    if book is None:
        raise RequestError(f"{path} holds nothing yet")
    return book, times


def _opened(kind: bytes, payload: bytes) -> tuple[Book, Spaces]:
    """The book and the sizes that a journal's first record tells. Raises ValueError or struct.error for another one."""
    robots, obs, action = SIZES.unpack(payload)
    if kind != OPEN or not 0 < robots <= MOST_ROBOTS or not obs or not action:
        raise ValueError
    return Book(robots, 2**53), Spaces(obs, action, np.full(action, -np.inf), np.full(action, np.inf))
