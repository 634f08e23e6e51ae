"""A log of steps that cannot be taken again: each is on disk before the learner uses it.

It serves targets that are not simulated here: a Gymnasium environment, or a domain of a user's own. A record is
written for each control step as it is taken, and so survives the process; those of a round are flushed to the disk at
its end. After a kill, the steps since the last checkpoint are read from the log instead of taken by the robots. The
step that was in flight is counted but not learned from.
"""

from __future__ import annotations

import errno
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transreward.types import BrokenRun, Steps

HEAD = struct.Struct("<cQII")  # kind, number of the control step, bytes that follow, checksum
BEGIN, STEP, LOST, ANEW = b"b", b"s", b"l", b"n"  # a round begins; a step taken; a step in flight; new episodes begin

DAMAGED = b""  # of no record
RECORD, COUNTED = 2**26, 2**53  # bounds of a record's bytes, and of the numbers of steps


class StepLog:
    """The control steps of one walk, numbered from 0; each is one step of every robot."""

    def __init__(self, path: Path) -> None:
        """Read what is there up to the first incomplete or damaged record, and cut off the rest."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.steps: dict[int, bytes | None] = {}  # taken by earlier processes; None: it was in flight
        self.anew: set[int] = set()  # where new episodes began, since another process took over the robots
        self._file = path.open("a+b", buffering=0)
        with path.open("rb") as file:
            self._take_up(file, path)

    def _take_up(self, file: BinaryIO, path: Path) -> None:
        at, number, until = 0, 0, 0  # offset of the record, number of the next step, end of its round
        whole = os.fstat(file.fileno()).st_size
        for end, kind, place, payload in records(file, (BEGIN, STEP, LOST, ANEW)):
            if kind == DAMAGED or (kind == BEGIN and int.from_bytes(payload[:9], "little") >= COUNTED):
                warnings.warn(f"{path} is damaged after control step {number}: the rest is lost", stacklevel=3)
                break
            at = end
            number = place + (kind in (STEP, LOST))
            if kind == BEGIN:
                until = int.from_bytes(payload[:9], "little")
            elif kind == ANEW:
                self.anew.add(place)
                until = place  # nothing is about to be taken
            else:
                self.steps[place] = payload if kind == STEP else None
                self.anew |= {place} if kind == LOST else set()
        self._file.truncate(at)
        if number < until:
            self._write(LOST, number)
            self.anew.add(number)
            self.steps[number], number = None, number + 1
        if whole:
            self._write(ANEW, number)
            self.anew.add(number)

    def behind(self, number: int) -> tuple[int, int]:
        """(control steps in the log from `number` on, those of them that were in flight)."""
        found = [step for place, step in self.steps.items() if place >= number]
        return len(found) - found.count(None), found.count(None)

    def begin(self, number: int, until: int) -> None:
        """Record that the steps from `number` up to, but not including, `until` are about to be taken."""
        self._write(BEGIN, number, until.to_bytes(8, "little"))

    def append(self, number: int, steps: Steps, i: int) -> None:
        """Record that the i-th of `steps` [seeds, steps, robots] was taken, as control step `number`."""
        self._write(STEP, number, b"".join(column[:, i].tobytes() for column in _columns(steps)))

    def put(self, number: int, steps: Steps, i: int) -> None:
        """Write the logged control step `number` into the i-th of `steps`. Raises BrokenRun if its size differs."""
        row = self.steps[number]
        assert row is not None
        wanted = sum(column[:, i].nbytes for column in _columns(steps))
        if len(row) != wanted:
            raise BrokenRun(
                f"{self.path} is another run's: its control step {number} has {len(row)} bytes, and this run's {wanted}"
            )
        flat, at = np.frombuffer(row, np.float32), 0
        for column in _columns(steps):
            size = column[:, i].size
            column[:, i] = flat[at : at + size].reshape(column[:, i].shape)
            at += size

    def commit(self) -> None:
        """Flush all records to the disk (fsync)."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        append(self._file, record(kind, number, payload))


def record(kind: bytes, number: int, payload: bytes = b"") -> bytes:
    """A record as it is written, with its checksum."""
    return HEAD.pack(kind, number, len(payload), _checksum(kind, number, payload)) + payload


def append(file: Any, content: bytes) -> None:
    """Append all of it to an unbuffered file, or nothing: a part of a record would hide all behind it. Raises OSError,
    also where the disk takes only a part."""
    at = os.fstat(file.fileno()).st_size
    try:
        if file.write(content) < len(content):
            raise OSError(errno.ENOSPC, "the disk took a part of it")
    except OSError:
        file.truncate(at)
        raise


def records(file: BinaryIO, kinds: Sequence[bytes]) -> Iterator[tuple[int, bytes, int, bytes]]:
    """(offset behind it, kind, number, payload) of each whole record from where the file is, up to one that was cut.
    The first that is damaged has the kind DAMAGED and is the last."""
    at, whole = file.tell(), os.fstat(file.fileno()).st_size
    while at + HEAD.size <= whole:
        kind, number, size, checksum = HEAD.unpack(file.read(HEAD.size))
        wrong = size > RECORD or number >= COUNTED or kind not in kinds
        if not wrong and at + HEAD.size + size > whole:  # it was cut
            return
        payload = b"" if wrong else file.read(size)
        if wrong or checksum != _checksum(kind, number, payload):
            yield at, DAMAGED, 0, b""
            return
        at += HEAD.size + size
        yield at, kind, number, payload


def _columns(steps: Steps) -> tuple[np.ndarray, ...]:
    return *(np.asarray(x) for x in steps.transition), np.asarray(steps.terms)


def _checksum(kind: bytes, number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind + number.to_bytes(8, "little")))
