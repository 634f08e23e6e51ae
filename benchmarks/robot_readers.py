"""The readers of a real target: a session's journal and messages, logs in columns, policies of other libraries."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import transreward as tr
from transreward.domains import logs
from transreward.domains.asked import Asked
from transreward.policies.foreign import read
from transreward.policies.inert import pickled, torch_file
from transreward.session.protocol import Gone, receive
from transreward.session.told import FOLDER, JOURNAL, told
from transreward.streams.journal import ABORT, ACT, OPEN, RESET, STEP, Event, Journal, packed
from transreward.streams.log import record as written
from transreward.types import RequestError, Spaces

POLICIES = Path(__file__).parents[1] / "tests" / "data" / "policies"
SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))
TEXT = [
    b"obs.hip,obs[1],action,reward,episode,time\n1,2,0.5,1,0,0.02\n2,3,0.5,1,0,0.04\n3,4,0.1,0,1,0.06\n4,5,0,1,1,0.08\n",
    b"observation_0;action_0;terminated\n1;2;0\n2;3;1\n",
]
BESIDE = [b"observation: [{column: hip, factor: 0.5, offset: 1}, knee]\naction: [u]\nreward: r\ntime: t\nrate: 50\n"]
ROBOT = [
    b"observation: [{name: hip, unit: rad, low: -1, high: 1}, speed]\naction: [{name: u, low: -1, high: 1}]\n"
    b"control_rate: 50\nepisode_steps: 200\n"
]
MESSAGES = [
    b'\x00\x00\x00\x25{"do": "act", "obs": [0.1, -2.5e3, 4]}',
    b'\x00\x00\x00\x02{}\x00\x00\x00\x0d{"a": [null]}',
]


def journal_seeds() -> list[bytes]:
    """A journal of all kinds of events."""
    obs, action = np.ones(2, np.float32), np.zeros(1, np.float32)
    events = [
        Event(ACT, 0, 1.0, "source", obs, action), Event(STEP, 0, 1.1, "", obs, action, 0.5, False, True),
        Event(RESET, 0, 1.2, "", obs, steps=4), Event(ACT, 0, 1.3, "auto", obs, action), Event(ABORT, 0, 1.4, "hand"),
    ]  # fmt: skip
    opened = written(OPEN, 0, b"\1\0\0\0\2\0\0\0\1\0\0\0")
    return [opened + b"".join(written(e.kind, i, packed(e)) for i, e in enumerate(events))]


def journal(content: bytes, scratch: Path) -> Any:
    """Read, mended, and read again."""
    path = scratch / "steps"
    for writes in (False, True):
        path.write_bytes(content)
        with contextlib.closing(Journal(path, 1, SPACES, 100, writes=writes)) as found:
            assert found.book.acts >= found.book.robots[0].settled >= 0


def journal_as_log(content: bytes, scratch: Path) -> Any:
    """Read by `transreward data`, which knows nothing else of the session."""
    (scratch / FOLDER).mkdir(exist_ok=True)
    (scratch / FOLDER / JOURNAL).write_bytes(content)
    found = told(scratch, 25.0)
    assert len(found.log) <= found.acts


def message(content: bytes, scratch: Path) -> Any:
    """From a client that sends this and leaves."""
    one, other = socket.socketpair()
    with one, other:
        one.sendall(content[:100_000])
        one.close()
        while receive(other, 1.0) is not None:
            pass


def file_of(name: str, text: Callable[[Path], Any], beside: dict[str, bytes] | None = None) -> Any:
    """Reading a file of that name."""

    def within(content: bytes, scratch: Path) -> Any:
        for other, what in (beside or {}).items():
            (scratch / other).write_bytes(what)
        path = scratch / name
        path.write_bytes(content)
        return text(scratch / "log.csv" if name == "log.yaml" else path)

    return within


def policy(*names: str) -> Callable[[], list[bytes]]:
    """The kept files of these names."""
    return lambda: [(POLICIES / name).read_bytes() for name in names]


def asked(path: Path) -> Any:
    """A robot's own columns."""
    return Asked(str(path), None)


ERRORS = (RequestError, tr.BrokenRun)
COLUMNS = {"log.csv": b"hip,knee,u,r,t\n1,2,0,1,0.1\n2,3,0,1,0.2\n3,4,0,1,0.3\n"}
ROWS: dict[str, tuple[Any, ...]] = {
    "journal": (journal_seeds, journal, ("streams/journal.py", "streams/log.py"), "bytes", ERRORS),
    "journal, as a log": (
        journal_seeds, journal_as_log, ("session/told.py", "streams/journal.py", "streams/log.py"), "bytes"
    ),
    "message": (lambda: MESSAGES, message, ("session/protocol.py",), "bytes", (Gone,)),
    "robot.yaml": (lambda: ROBOT, file_of("robot.yaml", asked), ("domains/asked.py",), "yaml"),
    "log, text": (lambda: TEXT, file_of("a.csv", logs.read), ("domains/logs/text.py", "domains/logs/table.py"), "text"),
    "log, file beside it": (
        lambda: BESIDE, file_of("log.yaml", logs.read, COLUMNS), ("domains/logs/table.py",), "yaml"
    ),
    "policy, weights": (
        policy("cleanrl_sac.pt", "rsl_rl.pt", "cleanrl_ppo.cleanrl_model"), file_of("a.pt", read),
        ("policies/inert.py", "policies/foreign.py"), "bytes",
    ),
    "policy, zip": (policy("sb3_ppo.zip", "sb3_sac.zip"), file_of("a.zip", read), ("policies/foreign.py",), "bytes"),
    "policy, pickle": (
        policy("normalised/vecnormalize.pkl"), lambda x, _: pickled(x), ("policies/inert.py",), "bytes", (ValueError,),
    ),
    "policy, tensors": (
        policy("cleanrl_ppo.cleanrl_model"), lambda x, _: torch_file(x), ("policies/inert.py",), "bytes", (ValueError,),
    ),
}  # fmt: skip
