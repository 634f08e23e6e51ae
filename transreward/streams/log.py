"""A log of steps that cannot be taken again: each is on disk before the learner uses it.

It serves targets that are not simulated here: a Gymnasium environment, or a domain of a user's own. A record is
written for each control step as it is taken, and so survives the process; those of a round are flushed to the disk at
its end. After a kill, the steps since the last checkpoint are read from the log instead of taken by the robots. The
step that was in flight is counted but not learned from.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from transreward.types import BrokenRun, Steps

HEAD = struct.Struct("<cQII")  # kind, number of the control step, bytes that follow, checksum
BEGIN, STEP, LOST, ANEW = b"b", b"s", b"l", b"n"  # a round begins; a step taken; a step in flight; new episodes begin

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
        while at + HEAD.size <= whole:
            kind, place, size, checksum = HEAD.unpack(file.read(HEAD.size))
            wrong = size > RECORD or place >= COUNTED or kind not in (BEGIN, STEP, LOST, ANEW)
            if not wrong and at + HEAD.size + size > whole:  # it was cut
                break
            payload = b"" if wrong else file.read(size)
            end = int.from_bytes(payload[:9], "little") if kind == BEGIN else 0
            if wrong or end >= COUNTED or checksum != _checksum(kind, place, payload):
                warnings.warn(f"{path} is damaged after control step {number}: the rest is lost", stacklevel=3)
                break
            at += HEAD.size + size
            number = place + (kind in (STEP, LOST))
            if kind == BEGIN:
                until = end
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
        self._file.write(HEAD.pack(kind, number, len(payload), _checksum(kind, number, payload)) + payload)


def _columns(steps: Steps) -> tuple[np.ndarray, ...]:
    return *(np.asarray(x) for x in steps.transition), np.asarray(steps.terms)


def _checksum(kind: bytes, number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind + number.to_bytes(8, "little")))
