"""Claims on a folder that several machines share, without a server: who works on what, and that nobody else does.

A claim on NAME is a file NAME.N, N = 1, 2, ..., which its holder alone writes, a beat at a time. It is made by a hard
link (or, where there are none, by O_EXCL), which of all processes that try succeeds for one, on POSIX file systems and
on NFS alike. Whoever made the highest N has it, until it says that it has ended, or has stopped to beat: then whoever
makes N + 1 has it. So stealing is one atomic step, a file is never removed, and a directory listing that a file system
still has from before can mislead nobody. Clocks are not compared: a beat is late by the clock of the process that waits
for it. On one machine a holder whose process is gone is known at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from transreward import plain
from transreward.types import RequestError

BEAT = 5.0  # seconds between a holder's beats
STALE = 60.0  # seconds without a beat after which a claim is taken over
HELD, FREE, DONE, FAILED = "held", "free", "done", "failed"  # what a claim says of its holder's work
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)  # of a directory, as on NFS


class Note(NamedTuple):
    """What a claim's file says."""

    number: int
    token: str  # of this claim alone
    host: str
    machine: str  # on which process numbers mean the same
    pid: int
    beat: int
    state: str
    why: str = ""  # it failed
    at: float = 0.0  # when this was written, in seconds since 1970 by the holder's clock
    about: dict[str, Any] = {}  # noqa: RUF012  what else the holder says

    @property
    def holder(self) -> str:
        """Who has it, in words."""
        return f"{self.host}, process {self.pid}"

    @property
    def gone(self) -> bool:
        """True if its holder was a process of this machine, and is none now."""
        return self.machine == machine() and not _runs(self.pid)

    @property
    def fresh(self) -> bool:
        """True if it is held, by the clocks: for what is only shown."""
        return self.state == HELD and not self.gone and abs(time.time() - self.at) < STALE


KINDS = (int, str, str, str, int, int, str, str, float, dict)  # of a note's fields


class Claims:
    """The claims in a folder, as one process sees them over time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, int] = {}  # the highest number that was seen
        self._seen: dict[str, tuple[str, int, float]] = {}  # token, beat, and when it was first seen

    def newest(self, name: str) -> Note | None:
        """The claim that counts; None if there never was one. Raises OSError."""
        number = self._known.get(name, 0)
        while (self.folder / f"{name}.{number + 1}").exists():
            number += 1
        self._known[name] = number
        return self._read(name, number) if number else None

    def taken(self, name: str) -> Note | None:
        """Who has it now; None: it may be taken. Raises OSError."""
        note = self.newest(name)
        return note if note is not None and note.state == HELD and not self._stale(name, note) else None

    def failed(self, names: Iterable[str]) -> set[str]:
        """The tokens of the claims on these that say now that their work failed. Raises OSError."""
        there = {path.name.rpartition(".")[0] for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        notes = [self.newest(name) for name in names if name in there]  # a look at each of thousands takes a while
        return {note.token for note in notes if note is not None and note.state == FAILED}

    def take(self, name: str, about: dict[str, Any] | None = None) -> Claim | None:
        """Take it; None if somebody else has it, or was quicker. Raises OSError."""
        if self.taken(name) is not None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        note = Note(
            self._known.get(name, 0) + 1, uuid.uuid4().hex, socket.gethostname(), machine(), os.getpid(), 0, HELD
        )
        note = note._replace(at=time.time(), about=about or {})
        place = self.folder / f"{name}.{note.number}"
        return Claim(place, note) if _made(place, _text(note)) else None

    def _read(self, name: str, number: int) -> Note:
        """What is not readable, as it may be for a moment, is held by somebody who does not beat."""
        with suppress(OSError, ValueError, TypeError):
            note = Note(**{**plain.parsed(plain.content(self.folder / f"{name}.{number}")), "number": number})
            if all(isinstance(value, kind) for value, kind in zip(note, KINDS, strict=True)):
                return note._replace(host=plain.shown(note.host), why=plain.shown(note.why))
        return Note(number, "", "an unknown machine", "", 0, 0, HELD)

    def _stale(self, name: str, note: Note) -> bool:
        token, beat, since = self._seen.get(name, ("", -1, 0.0))
        if (note.token, note.beat) != (token, beat):
            since = time.monotonic()
            self._seen[name] = note.token, note.beat, since
        return note.gone or time.monotonic() - since >= STALE


class Claim:
    """What this process holds. It beats in a thread of its own until it is released."""

    def __init__(self, place: Path, note: Note) -> None:
        self.place, self.note = place, note
        self._next = place.with_name(f"{place.name.rpartition('.')[0]}.{note.number + 1}")
        self._writing, self._over = threading.Lock(), threading.Event()
        threading.Thread(target=self._beats, daemon=True).start()

    @property
    def lost(self) -> bool:
        """True if somebody took it over: this process, or its machine, stood still for too long."""
        return self._next.exists()

    def release(self, state: str = FREE, why: str = "") -> None:
        """Give it up, and say how its work ended."""
        self._over.set()
        self._write(state=state, why=why)

    def _beats(self) -> None:
        while not self._over.wait(BEAT):
            self._write(beat=self.note.beat + 1)

    def _write(self, **changed: Any) -> None:
        """Replace the file: nobody else writes it. A disk that is full makes the claim stale, and no more."""
        with self._writing, suppress(OSError):
            if self.note.state == HELD:
                self.note = self.note._replace(**changed, at=time.time())
                partial = self.place.with_name(f".{self.note.token}")
                partial.write_text(_text(self.note))
                os.replace(partial, self.place)


def _text(note: Note) -> str:
    return json.dumps(note._asdict())


def _made(place: Path, text: str) -> bool:
    """Make a file that is not there, whole at once; False if it is there."""
    partial = place.with_name(f".{uuid.uuid4().hex}")
    partial.write_text(text)
    try:
        os.link(partial, place)
        return True
    except FileExistsError:
        return os.stat(partial).st_nlink == 2  # NFS may have lost the answer to a link that was made, and asked again
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    finally:
        partial.unlink(missing_ok=True)
    try:
        with place.open("x") as file:
            file.write(text)
        return True
    except FileExistsError:
        return False


def machine() -> str:
    """What names this machine's processes: its boot, and the namespace that they are numbered in; else its name."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino}"
    return socket.gethostname()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    with suppress(OSError, IndexError):  # killed, and not yet waited for
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return True


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock a run directory for this process during the body. Raises RequestError if another process has it.

    Where a file system locks no directories, as NFS, the body goes on without: what shares a folder there has claims.
    """
    place = os.open(directory, os.O_RDONLY)  # the lock ends with the process, even if it is killed
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(f"the run in {directory} goes on in another process: wait for it, or end it") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
    finally:
        os.close(place)
