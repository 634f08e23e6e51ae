"""What a robot that asks was told and told back, in a file that is only appended to; and what follows from it.

The one who answers the robot writes (`Journal`), the learner reads, and both keep the same `Book`: whose episode it is,
which steps are whole, which were lost. An action that was handed out counts as a step of the robot, whether the robot
told what came of it or not. A step is settled once it is known what followed it: the next one was told, which began
where it led, or its episode ended.
"""

from __future__ import annotations

import fcntl
import os
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transreward.fallback import Episode
from transreward.streams.log import DAMAGED, append, record, records
from transreward.types import BrokenRun, RequestError, Spaces

OPEN, ACT, STEP, RESET, ABORT = b"O", b"A", b"S", b"R", b"X"
KINDS = (OPEN, ACT, STEP, RESET, ABORT)
SIZES = struct.Struct("<III")  # robots, columns of an observation, columns of an action
AT = struct.Struct("<Id")  # robot, seconds since 1970
PAID = struct.Struct("<fBB")  # reward, terminated, truncated
COUNT = struct.Struct("<I")


class Event(NamedTuple):
    """One record: who asked, was told, or told what."""

    kind: bytes
    robot: int = 0
    at: float = 0.0  # seconds since 1970
    text: str = ""  # of an action, who acts; of an abort, why
    obs: np.ndarray | None = None  # of a step, where it led
    action: np.ndarray | None = None  # of a step, what was executed
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    steps: int = 0  # of a reset, that it took


class Row(NamedTuple):
    """A settled step of a robot."""

    obs: np.ndarray
    action: np.ndarray
    reward: float
    next_obs: np.ndarray
    terminated: bool
    truncated: bool
    who: str  # whose episode it is
    ended: bool  # whether its episode ended with it, and nothing of the episode was lost
    total: float  # of the rewards of its episode so far
    began: bool  # whether its episode began with it
    taken: int  # steps of all robots when it was taken


@dataclass
class Robot:
    """What is known of one robot."""

    acts: int = 0  # actions that were handed out
    lost: int = 0  # of those, what came of them was not told
    resets: int = 0  # steps of its resets
    aborted: int = 0
    clock: int = 0  # steps of its episode so far
    total: float = 0.0  # rewards of its episode so far
    who: str = ""
    actor: str = ""  # who acted last, also where several did in its episode
    whole: bool = True  # nothing of its episode was lost
    asked: tuple[np.ndarray, np.ndarray, int] | None = None  # (obs, action, number) of which nothing was told yet
    last: Row | None = None  # told, and not yet settled
    did: np.ndarray | None = None  # its latest action, as far as it is known; None: none, or it was put back
    episodes: list[Episode] = field(default_factory=list)  # that are over, at steps of all robots

    @property
    def settled(self) -> int:
        """Actions of which it is known what came of them."""
        return self.acts - (self.asked is not None) - (self.last is not None)


class Book:
    """What follows from the events of a journal, in their order. `rows` are the settled steps of each robot."""

    def __init__(self, robots: int, granted: int) -> None:
        """`granted`: actions of each robot, of which the last is settled when it is told."""
        self.granted = granted
        self.robots = [Robot() for _ in range(robots)]
        self.rows: list[list[Row]] = [[] for _ in range(robots)]

    @property
    def acts(self) -> int:
        """Actions handed out to all robots."""
        return sum(one.acts for one in self.robots)

    @property
    def episodes(self) -> list[Episode]:
        """Those of all robots, as they ended."""
        return sorted((e for one in self.robots for e in one.episodes), key=lambda e: e.at)

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == OPEN:
            for i in range(len(self.robots)):
                self._lose(i)
            return
        {ACT: self._act, STEP: self._step, RESET: self._reset, ABORT: self._abort}[event.kind](event)

    def end(self) -> None:
        """Nothing more is told: what is open is settled, and what was asked for is lost."""
        for i in range(len(self.robots)):
            self._lose(i)
            self._settle(i, truncated=True)

    def follows(self, i: int, obs: np.ndarray) -> bool:
        """Whether a robot's next action, asked for at `obs`, goes on with the step before."""
        last = self.robots[i].last
        return last is not None and np.array_equal(last.next_obs, obs)

    def _act(self, event: Event) -> None:
        one, i = self.robots[event.robot], event.robot
        assert event.obs is not None and event.action is not None
        self._lose(i)
        if one.last is not None and not self.follows(i, event.obs):
            self._settle(i, truncated=True)
            self._anew(i)
        if not one.clock:
            one.who = event.text
        elif one.who != event.text:
            one.who = ""  # several
        one.actor = event.text
        one.acts += 1
        one.asked, one.did = (event.obs, event.action, self.acts), event.action

    def _step(self, event: Event) -> None:
        one, i = self.robots[event.robot], event.robot
        assert one.asked is not None and event.obs is not None and event.action is not None
        self._settle(i)
        obs, _, number = one.asked
        one.did = event.action
        one.asked, one.clock, one.total = None, one.clock + 1, one.total + event.reward
        ended = event.terminated or event.truncated
        one.last = Row(
            obs, event.action, event.reward, event.obs, event.terminated, event.truncated, one.who, ended and one.whole,
            one.total, one.clock == 1, number,
        )  # fmt: skip
        if ended:
            self._settle(i)
            self._anew(i, ended=True)
        elif one.acts == self.granted:
            self._settle(i, truncated=True)

    def _reset(self, event: Event) -> None:
        one, i = self.robots[event.robot], event.robot
        self._lose(i)
        self._settle(i, truncated=True)
        self._anew(i)
        one.resets, one.did = one.resets + event.steps, None

    def _abort(self, event: Event) -> None:
        one, i = self.robots[event.robot], event.robot
        one.aborted += one.clock > 0 or one.asked is not None  # there is an episode to end
        if one.asked is not None:  # a stop comes where the robot moves: the return up to there counts
            one.asked, one.lost = None, one.lost + 1
        if one.last is not None:  # the operator ended the episode, and no value follows
            one.last = one.last._replace(terminated=True, ended=one.whole)
            self._settle(i)
        self._anew(i, ended=one.clock > 0)

    def _lose(self, i: int) -> None:
        """Nothing more will be told of what was asked for, if anything was."""
        one = self.robots[i]
        if one.asked is not None:
            one.asked, one.lost, one.whole = None, one.lost + 1, False
            self._settle(i, truncated=True)
            self._anew(i)

    def _settle(self, i: int, truncated: bool = False) -> None:
        one = self.robots[i]
        if one.last is not None:
            self.rows[i].append(one.last._replace(truncated=True) if truncated else one.last)
            one.last = None

    def _anew(self, i: int, ended: bool = False) -> None:
        """A new episode begins; of the one before the return is kept if it `ended` and nothing of it was lost."""
        one = self.robots[i]
        if ended and one.whole and one.who:
            one.episodes.append(Episode(one.who, one.total, self.acts))
        one.clock, one.total, one.who, one.whole = 0, 0.0, "", True


class Journal:
    """The file, and the book that follows from it. One process writes; others only `catch_up`."""

    def __init__(self, path: Path, robots: int, spaces: Spaces, granted: int, *, writes: bool) -> None:
        """Read what is there. Who writes cuts off a record that is not whole, and notes that it has come.

        Raises RequestError where another process writes, BrokenRun for another session's file, or a damaged one that is
        only read.
        """
        self.path, self.spaces, self.book = path, spaces, Book(robots, granted)
        self._sizes = SIZES.pack(robots, spaces.obs, spaces.action)
        self._at = 0
        self._file = path.open("a+b" if writes else "rb", buffering=0)
        if writes:
            self._lock()
        try:
            self.catch_up(mend=writes)
        except BrokenRun:
            self.close()
            raise
        if writes:
            self._file.truncate(self._at)
            self.write(Event(OPEN))

    def _lock(self) -> None:
        """Raise RequestError where another process writes. The lock ends with the process, even if it is killed."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise RequestError(f"another process answers the robot of {self.path}: wait for it, or end it") from None

    def write(self, event: Event) -> None:
        """Append an event. It is on the disk once somebody has called `flush`, and survives this process at once.

        Raises RequestError, and keeps nothing of it, where the disk is full or the file cannot grow.
        """
        payload = self._sizes if event.kind == OPEN else packed(event)
        whole = record(event.kind, self.book.acts, payload)
        try:
            append(self._file, whole)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}; make room, and go on") from None
        self._at += len(whole)
        self.book.apply(event)

    def catch_up(self, mend: bool = False) -> int:
        """Take in what was appended since. Returns the number of events. Raises BrokenRun for a damaged record, unless
        all from there on is to be cut off (`mend`)."""
        found = 0
        self._file.seek(self._at)
        for end, kind, _, payload in records(self._file, KINDS):
            if kind == DAMAGED:
                if not mend:
                    raise BrokenRun(f"{self.path} is damaged after {self.book.acts} steps")
                warnings.warn(f"{self.path} is damaged after {self.book.acts} steps: the rest is lost", stacklevel=3)
                break
            if kind == OPEN and payload != self._sizes:
                raise BrokenRun(f"{self.path} is of other robots: it has {SIZES.unpack(payload[: SIZES.size])}")
            try:
                event = Event(OPEN) if kind == OPEN else unpacked(kind, payload, self.spaces)
                self.book.apply(event)
            except (struct.error, ValueError, IndexError, AssertionError) as error:
                raise BrokenRun(f"{self.path} is damaged after {self.book.acts} steps") from error
            self._at, found = end, found + 1
        return found

    def flush(self) -> None:
        """Have on the disk what was written (fsync). Raises RequestError where the disk is full or fails."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}; make room, and go on") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def packed(event: Event) -> bytes:
    """An event as the bytes of a record."""
    text = event.text.encode(errors="replace")  # half a surrogate is no reason to lose an abort
    arrays = [np.asarray(x, np.float32).tobytes() for x in (event.obs, event.action) if x is not None]
    paid = PAID.pack(event.reward, event.terminated, event.truncated)
    about = AT.pack(event.robot, event.at) + paid + COUNT.pack(event.steps) + COUNT.pack(len(text))
    return b"".join((about, text, *arrays))


def unpacked(kind: bytes, payload: bytes, spaces: Spaces) -> Event:
    """The event of a record. Raises ValueError or struct.error for bytes that are none."""
    robot, at = AT.unpack_from(payload)
    reward, terminated, truncated = PAID.unpack_from(payload, AT.size)
    steps, length = (COUNT.unpack_from(payload, AT.size + PAID.size + i * COUNT.size)[0] for i in (0, 1))
    begin = AT.size + PAID.size + 2 * COUNT.size
    text, numbers = payload[begin : begin + length].decode(), np.frombuffer(payload[begin + length :], np.float32)
    sizes = {ABORT: 0, RESET: spaces.obs}.get(kind, spaces.obs + spaces.action)
    if len(numbers) != sizes:
        raise ValueError(f"{len(numbers)} numbers, not {sizes}")
    obs = numbers[: spaces.obs].copy() if kind != ABORT else None
    action = numbers[spaces.obs :].copy() if kind in (ACT, STEP) else None
    return Event(kind, robot, at, text, obs, action, reward, bool(terminated), bool(truncated), steps)
