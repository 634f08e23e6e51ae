"""How a command ends on Ctrl-C, SIGTERM or SIGHUP: at once, with nothing half-written and with its state on disk.

Python would raise KeyboardInterrupt wherever it happens to be, in a library's callback too, which may swallow it, and
would then take the interpreter down while the threads of XLA and MuJoCo compute, which crashes. So a command ends its
process itself. Everything in a run directory is whole at all times, but for the files that are being written: what
writes one says here how that is undone, or lets the interruption wait until it has ended. A second signal waits for
nothing.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PARENT = "TRANSREWARD_PARENT"  # the process with which this one is to end, by its number in this variable
PATIENCE = 0.5  # seconds that native code may take to come back to Python, where an interruption is tidiest

_undo: list[Callable[[], str | None]] = []
_ending = threading.Lock()
_writing = threading.RLock()
_inside: list[int] = []  # the thread that is in `unbroken`, once for each level
_late: list[int] = []  # the signal that came to it there
_enders: list[int] = []  # the thread that ends the process


@contextmanager
def undone(undo: Callable[[], str | None]) -> Iterator[None]:
    """If the command is interrupted inside, `undo` is called, and what it returns is part of the last message."""
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, moved there once all is written; removed on an error or an interruption."""
    partial = path.with_name(path.name + ".part")

    def remove() -> None:
        partial.unlink(missing_ok=True)

    with undone(remove):
        try:
            yield partial
            os.replace(partial, path)
        finally:
            remove()


def unwritable(path: Path, makes: bool = False) -> OSError | None:
    """Why `whole` could not write at `path`, asked before what is to be written is made; None where it could. Whether
    that is so is tried, since permissions say too much to root and too little of a file system that is read-only.

    `makes`: the folders above that are missing will be made. Nothing is left.
    """
    folder = path.parent
    while makes and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return OSError(error.errno, error.strerror)  # without the name of the file that was tried


@contextmanager
def unbroken() -> Iterator[None]:
    """An interruption waits for the end of what is inside, which takes a moment."""
    with _writing:
        _inside.append(threading.get_ident())
        try:
            yield
        finally:
            _inside.pop()
    if _late and not _inside:
        _end(_late.pop())


def arm() -> Callable[[], None]:
    """From here on each of SIGNALS ends the process with 128 and its number, also inside native code that is slow to
    return. Returns what takes that back.

    Signals that the process was started to ignore stay ignored; outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is _end:
        return lambda: None  # it is so already
    before = {number: signal.getsignal(number) for number in SIGNALS}
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    woken = signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(receiver,), daemon=True).start()
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _end)

    def back() -> None:
        for number, kept in before.items():
            signal.signal(number, kept)
        signal.set_wakeup_fd(woken)
        os.close(sender)  # which ends the thread

    return back


def with_parent() -> None:
    """End as by SIGTERM once the process of PARENT, which started this one, is gone: it may have been killed."""
    parent = os.environ.pop(PARENT, "")  # it is not meant for what this process starts
    if parent.isdecimal():
        threading.Thread(target=_orphaned, args=(int(parent),), daemon=True).start()


def _orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def ends_at_once() -> Iterator[None]:
    """`arm` inside, and not after it."""
    back = arm()
    try:
        yield
    finally:
        back()


def _wait(receiver: int) -> None:
    """The same from a thread, for the main one may be in a compilation: a signal's number arrives here at once."""
    ended = False
    with open(receiver, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if signal.getsignal(number[0]) is not _end:
                continue
            if ended:  # the second
                _leave(128 + number[0])
            ended = True
            threading.Thread(target=_end_soon, args=(number[0],), daemon=True).start()


def _end_soon(number: int) -> None:
    """Unless the main thread does it."""
    time.sleep(PATIENCE)
    end("interrupted", 128 + number)


def end(why: str, code: int) -> None:
    """End the process from another thread than the one that hangs: undo, say why and what is kept. It returns where the
    process is ending already."""
    with _writing:
        if _ending.acquire(blocking=False):
            _undo_all(why, code)


def _end(number: int, frame: object = None) -> None:
    """Undo, say what is kept, and end; later, where something is written that must be whole."""
    thread = threading.get_ident()
    if thread in _inside:
        _late.append(number)
        return
    if thread in _enders:  # what is undone may write something whole, and is not to wait for itself
        return
    if _ending.acquire(blocking=False):
        _undo_all("interrupted", 128 + number)
    while True:  # the other thread is at it, and ends the process
        time.sleep(1)


def _undo_all(why: str, code: int) -> NoReturn:
    _enders.append(threading.get_ident())
    said = []
    for undo in reversed(_undo):
        with suppress(Exception):
            said.append(undo())
    flush = threading.Thread(target=sys.stdout.flush, daemon=True)  # a full pipe would hold it for ever
    flush.start()
    flush.join(PATIENCE)
    message = f"transreward: {'; '.join([why, *filter(None, said)])}\n"
    with suppress(OSError):
        os.write(2, message.encode())
    _leave(code)


def _leave(code: int) -> NoReturn:
    with suppress(OSError, ValueError):
        if sys.stdout.isatty():
            os.write(1, b"\x1b[?25h")  # the cursor, which a live view hides
    os._exit(code)
