"""`transreward serve`: a session for robots in other processes, over TCP or a Unix socket."""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from transreward.domains.users import in_one_line
from transreward.session.asked import listed
from transreward.session.protocol import LONGEST, VERSION, Gone, address, receive, send
from transreward.session.session import Session
from transreward.types import BrokenRun, RequestError

TOKEN = "token"  # a file of the session's folder
HELLO = 5.0  # seconds in which a client has to say who it is
PATIENCE = 10.0  # seconds in which the rest of a message has to come
CLIENTS = 64
PAUSE = 0.5  # seconds after a client that could not be taken, as where too many files are open
CLOSED = (errno.EBADF, errno.EINVAL)  # of a listener
LEAVING = 1.0  # seconds that a robot who comes back waits for itself to have left
SILENT = 10.0  # seconds without a word, after which another client may be this robot
# A machine that does not answer is given up after 11 s, not after the two hours of most systems. macOS names less.
PROBED = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}  # seconds, seconds, and how often
LINE = 500  # characters of an error
EPISODES = 1_000  # that a status lists, the latest


class Server:
    """Clients of one session, each in a thread of its own, so that a slow one delays no other."""

    def __init__(self, listener: socket.socket, session: Session, token: str, said: Callable[[str], None]) -> None:
        """`listener` from `listening`; `said` is called with what happens, a line each."""
        self.listener, self.session, self.token, self.said = listener, session, token, said
        self._taken: dict[int, _Line] = {}  # robot -> the client that is it
        self._clients, self._lock = 0, threading.Condition()

    def serve(self) -> None:
        """Answer until the process ends."""
        while True:
            try:
                connection, where = self.listener.accept()
            except OSError as error:
                if error.errno in CLOSED:
                    return
                self.said(f"a client cannot be taken, and the others go on: {error.strerror or error}")
                time.sleep(PAUSE)
                continue
            threading.Thread(target=self._client, args=(connection, str(where) or "a client"), daemon=True).start()

    def _client(self, connection: socket.socket, where: str) -> None:
        line = _Line(connection)
        with connection:
            _prepared(connection)
            with self._lock:
                self._clients += 1
            try:
                robot = self._greeted(line)
                self.said(f"{where} is robot {robot}")
                while (asked := receive(connection, PATIENCE)) is not None:
                    with line:
                        send(connection, self._answer(asked, robot))
                self.said(f"{where}, robot {robot}, has left")
            except (OSError, RequestError) as error:  # Gone is an OSError
                with suppress(OSError):
                    send(connection, {"ok": False, "error": str(error)})
                self.said(f"{where}: {error}")
            finally:
                with self._lock:
                    self._clients -= 1
                    self._leave(line)

    def _leave(self, line: _Line) -> None:
        if self._taken.get(line.robot) is line:
            del self._taken[line.robot]
            self._lock.notify_all()

    def _take(self, robot: int, line: _Line) -> None:
        """Have a client be a robot. One that is just leaving is waited for, and one gives way that was long silent, or
        hung up while it was answered: a robot whose cable was pulled, or whose program was ended in `improve`, has to
        be able to come back. Raises RequestError for another that is there.
        """
        with self._lock:
            self._lock.wait_for(lambda: robot not in self._taken, LEAVING)
            other = self._taken.get(robot)
            gone = other is not None and other.hung_up()
            if other is not None and not gone and other.silent < SILENT:
                raise RequestError(
                    f"robot {robot} is already connected (last heard {other.silent:.1f} s ago): close that client "
                    f"first, or wait until it has been silent for {SILENT:g} s"
                )
            if other is not None:
                how = "hung up" if gone else f"was silent for {other.silent:.0f} s"
                self.said(f"robot {robot} {how}, and another client takes its place")
                with suppress(OSError):
                    other.connection.shutdown(socket.SHUT_RDWR)
            self._taken[robot], line.robot = line, robot

    def _greeted(self, line: _Line) -> int:
        """Which robot a client is. Raises RequestError for one that may not be any, Gone for one that does not say."""
        connection = line.connection
        if self._clients > CLIENTS:
            raise RequestError(f"{CLIENTS} clients are connected, and no more are answered")
        timer = threading.Timer(HELLO, _deafen, (connection,))
        timer.start()
        try:
            asked = receive(connection, HELLO)
        finally:
            timer.cancel()
        if asked is None:
            raise Gone(f"nothing was said for {HELLO:g} s")
        if asked.get("do") != "hello":
            raise RequestError("the first message must be hello, with the token")
        told = str(asked.get("token", "")).encode(errors="replace")  # half a surrogate is no text
        if not hmac.compare_digest(told, self.token.encode()):
            raise RequestError("wrong token")
        if asked.get("protocol", VERSION) != VERSION:
            raise RequestError(f"this server speaks version {VERSION} of the protocol, not {asked['protocol']!r:.20}")
        spaces, robots, robot = self.session.spaces, self.session.robots, asked.get("robot", 0)
        if isinstance(robot, bool) or not isinstance(robot, int) or not 0 <= robot < robots:
            raise RequestError(f"robot {robot!r} is not there: this session has {listed(robots)}")
        self._take(robot, line)
        about = {"obs": spaces.obs, "low": spaces.low.tolist(), "high": spaces.high.tolist()}
        send(connection, {"ok": True, "protocol": VERSION, "action": spaces.action, **about, "left": self.session.left})
        return robot

    def _answer(self, asked: dict[str, Any], robot: int) -> dict[str, Any]:
        do = asked.pop("do", None)
        if not isinstance(do, str) or do not in CALLS:
            return {"ok": False, "error": f"unknown request {do!r}: there are {', '.join(CALLS)}"}
        needed, others, call = CALLS[do]
        if unknown := set(asked) - {*needed, *others}:
            takes = ", ".join((*needed, *others)) or "nothing"
            return {"ok": False, "error": f"{do} does not take '{min(unknown)}', but {takes}"}
        if missing := [key for key in needed if key not in asked]:
            return {"ok": False, "error": f"{do} needs '{missing[0]}'"}
        try:
            return {"ok": True, **call(self.session, robot, asked)}
        except (RequestError, BrokenRun) as error:
            return {"ok": False, "error": str(error)[:LINE]}
        except Exception as error:  # whatever it sent, the session goes on
            return {"ok": False, "error": f"{do} failed: {in_one_line(error)}"}


class _Line:
    """A client's connection. Within `with` it is being answered, which may take long."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.robot = connection, -1
        self._spoke, self._answered = time.monotonic(), False

    def __enter__(self) -> None:
        self._answered = True

    def __exit__(self, *error: object) -> None:
        self._spoke, self._answered = time.monotonic(), False

    @property
    def silent(self) -> float:
        """Seconds since it was answered last; 0 while it is."""
        return 0.0 if self._answered else time.monotonic() - self._spoke

    def hung_up(self) -> bool:
        """Whether its client has closed the connection, which nobody reads while it is being answered."""
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        try:
            return bool(waiting.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


def _prepared(connection: socket.socket) -> None:
    """Send at once, and find out when the other machine is gone."""
    if connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBED.items():
        if name in vars(socket):
            connection.setsockopt(socket.IPPROTO_TCP, vars(socket)[name], value)


def _deafen(connection: socket.socket) -> None:
    """Have a client's silence end what waits for it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def _status(session: Session, robot: int, a: dict[str, Any]) -> dict[str, Any]:
    found = session.status
    return {"status": {**found, "episodes": found["episodes"][-EPISODES:]}}  # a message has an end


def _tell(session: Session, robot: int, a: dict[str, Any]) -> dict[str, Any]:
    over = a.get("terminated", False), a.get("truncated", False)
    session.tell(a["obs"], a.get("action"), a.get("reward"), a["next_obs"], *over, robot=robot)
    return {"left": session.left}


def _improve(session: Session, robot: int, a: dict[str, Any]) -> dict[str, Any]:
    seconds = a["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST:
        raise RequestError(f"seconds must be from 0 to {LONGEST:g}, not {seconds!r}")
    return {"done": session.improve(seconds)}


def _nothing(result: None) -> dict[str, Any]:
    return {}


# what a client may ask for -> keys that it must have, others that it takes, and (session, robot, keys) -> the answer
CALLS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Session, int, dict[str, Any]], dict[str, Any]]]] = {
    "act": (("obs",), (), lambda s, robot, a: {"action": s.act(a["obs"], robot).tolist()}),
    "tell": (("obs", "next_obs"), ("action", "reward", "terminated", "truncated"), _tell),
    "reset": (("obs",), ("steps",), lambda s, robot, a: _nothing(s.reset(a["obs"], robot, steps=a.get("steps", 0)))),
    "abort": ((), ("why",), lambda s, robot, a: _nothing(s.abort(str(a.get("why", "")), robot))),
    "improve": (("seconds",), (), _improve),
    "save": ((), (), lambda s, robot, a: _nothing(s.save())),
    "status": ((), (), _status),
}


def listening(where: str) -> socket.socket:
    """A socket that listens at an address. Raises RequestError where it cannot, such as for a port in use."""
    found = address(where)
    family = socket.AF_UNIX if isinstance(found, str) else socket.AF_INET6 if ":" in found[0] else socket.AF_INET
    listener = socket.socket(family)
    if isinstance(found, str):
        _forget(found)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        before = os.umask(0o177)  # a Unix socket is its owner's
        try:
            listener.bind(found)
        finally:
            os.umask(before)
        listener.listen()
    except OSError as error:
        listener.close()
        raise RequestError(f"nothing can listen at {where}: {error.strerror or error}") from None
    return listener


def _forget(path: str) -> None:
    """Remove the socket of a server that is gone."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # any other error says nothing of who listens
            Path(path).unlink(missing_ok=True)


def token_in(folder: Path, given: Path | None) -> tuple[str, Path]:
    """The secret, and the file that holds it: the given one, or one of the session that is made when there is none."""
    path = folder / TOKEN if given is None else given
    if given is None and not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return require_token(path), path


def require_token(path: Path) -> str:
    """The secret in a file. Raises RequestError where there is none, or too short a one."""
    if not path.is_file():
        raise RequestError(f"there is no file {path} with a token")
    token = path.read_text(errors="replace").strip()
    if len(token) < 8:
        raise RequestError(f"the token in {path} is shorter than 8 characters")
    return token
