"""The messages between a session and a robot in another process or language: docs/robot.md.

A message is a JSON object in UTF-8 behind its length in bytes, four of them, the most significant first. A client
sends a request and reads the answer, `{"ok": true, ...}` or `{"ok": false, "error": "one line"}`, before its next one.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from transreward.types import RequestError

VERSION = 1
MOST = 2**20  # bytes of a message
LONGEST = 3600.0  # seconds of `improve`
REASON = 1_000  # characters of why an episode was aborted
LENGTH = struct.Struct(">I")


class Gone(ConnectionError, RequestError):
    """The other side is gone, or sent what is no message; nothing more can be read."""


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message. Raises OSError."""
    content = json.dumps(message, allow_nan=False).encode()
    connection.sendall(LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket, patience: float | None = None, due: bool = False) -> dict[str, Any] | None:
    """The next message; None where the other side has ended between two. The rest of one that has begun has to come
    within `patience` seconds, and so has its first byte if it is `due`, as an answer is.

    Raises Gone, with why, for half a message, one that is too long, and what is no JSON object.
    """
    connection.settimeout(patience if due else None)
    head = _exactly(connection, LENGTH.size, patience)
    if not head:
        return None
    length = LENGTH.unpack(head)[0]
    if length > MOST:
        raise Gone(f"a message of {length:,} bytes was announced, and at most {MOST:,} are read")
    content = _exactly(connection, length, patience, begun=True)
    try:
        found = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Gone(f"what was sent is no JSON: {' '.join(str(error).split())[:100]}") from None
    if not isinstance(found, dict):
        raise Gone(f"a message must be a JSON object, not a {type(found).__name__}")
    return found


def _exactly(connection: socket.socket, size: int, patience: float | None, begun: bool = False) -> bytes:
    """So many bytes; none where the other side has ended before the first."""
    parts, left = [], size
    while left:
        if parts or begun:
            connection.settimeout(patience)
        try:
            part = connection.recv(min(left, 65_536))
        except TimeoutError:
            some = "half a message came, and nothing more" if parts or begun else "no answer came"
            raise Gone(f"{some} for {patience:g} s") from None
        if not part:
            if parts or begun:
                raise Gone("half a message came")
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def address(text: str) -> tuple[str, int] | str:
    """`host:port`, or the path of a Unix socket. Raises RequestError."""
    host, colon, port = text.rpartition(":")
    if not colon or "/" in text:
        return text
    if not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise RequestError(f"'{text}' is no address: write host:port, such as 127.0.0.1:5555, or the path of a socket")
    return host.strip("[]"), int(port)


def connected(text: str, timeout: float) -> socket.socket:
    """A connection to an address. Raises Gone, with why, where nobody answers there."""
    found = address(text)
    try:
        if isinstance(found, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            connection.connect(found)
            return connection
        connection = socket.create_connection(found, timeout)
    except (ConnectionRefusedError, FileNotFoundError):
        raise Gone(f"nothing listens at {text}: is 'transreward serve' running?") from None
    except OSError as error:  # such as a host that nobody knows, or that does not answer
        raise Gone(f"{text} cannot be reached: {error.strerror or error}") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
