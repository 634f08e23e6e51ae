"""The readers of a real target: a session's journal and messages, logs in columns, policies of other libraries."""

from __future__ import annotations

import contextlib
import io
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import transreward as tr
from transreward.domains import logs
from transreward.domains.asked import Asked
from transreward.domains.logs.log import Log
from transreward.domains.logs.write import write
from transreward.policies.foreign import read
from transreward.policies.inert import pickled, torch_file
from transreward.runs.places import JOURNAL, SESSION
from transreward.session.protocol import Gone, receive
from transreward.session.told import told
from transreward.streams.journal import ABORT, ACT, OPEN, RESET, STEP, Event, Journal, packed
from transreward.streams.log import record as written
from transreward.types import RequestError, Spaces

POLICIES = Path(__file__).parents[1] / "tests" / "data" / "policies"
SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))
TEXT = [
    b"obs.hip,obs[1],action,reward,episode,time\n1,2,0.5,1,0,0.02\n2,3,0.5,1,0,0.04\n3,4,0.1,0,1,0.06\n4,5,0,1,1,0.08\n",
    b"observation_0;action_0;terminated\n1;2;0\n2;3;1\n",
]
BESIDE = [
    b"observation: [{column: hip, factor: 0.5, offset: 1}, knee]\naction: [u]\nreward: r\ntime: t\nrate: 50\n",
    b"observation: [{column: qpos, unit: deg}, 'qpos[1]']\naction: [u]\nreward: r\ntime: {column: t, unit: ms}\n",
    b"observation: [qpos]\naction: [/ctrl]\nepisodes: demo_*\n",
]
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
    (scratch / SESSION).mkdir(exist_ok=True)
    (scratch / SESSION / JOURNAL).write_bytes(content)
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
        return text(path)

    return within


def logs_beside(path: Path) -> None:
    """A log of columns and one of arrays, by the file that stands beside both."""
    with contextlib.suppress(RequestError):
        logs.read(path.with_suffix(".csv"))
    logs.read(path.with_suffix(".npz"))


def some_arrays() -> bytes:
    """An npz file of two episodes, in arrays and in groups."""
    x, file = np.arange(12.0).reshape(6, 2), io.BytesIO()
    groups = {f"demo_{i}/{name}": x[:, : 2 - j] for i in range(2) for j, name in enumerate(("qpos", "ctrl"))}
    np.savez(file, qpos=x, u=x[:, 0], r=x[:, 1], t=np.arange(6) / 10, **groups)  # type: ignore[arg-type]
    return file.getvalue()


def small_log() -> Log:
    """Six steps in two episodes, one of which fell."""
    obs, action = np.arange(14, dtype=np.float32).reshape(7, 2), np.linspace(-1, 1, 6, dtype=np.float32)[:, None]
    ends = np.array([0, 0, 1, 0, 0, 1], bool)
    fell = ends & (np.arange(6) == 2)
    return Log(obs[:-1], action, action[:, 0], obs[1:] + ends[:, None], fell, ends & ~fell, source="made", rate=50.0)


def log_files(to: str, name: str) -> tuple[Callable[[], list[bytes]], Any]:
    """What is written where `to` says: its file `name` as the seed, and reading it with that file changed."""

    def made(scratch: Path) -> Path:
        kind, colon, rest = to.rpartition(":")
        place = scratch / rest
        if not place.exists():
            write(small_log(), f"{kind}{colon}{place}", 50.0)
        return place

    def within(content: bytes, scratch: Path) -> Any:
        place = made(scratch)
        (place / name if name else place).write_bytes(content)
        return logs.read(place)

    def seeds() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            place = made(Path(folder))
            return [(place / name if name else place).read_bytes()]

    return seeds, within


def graph() -> list[bytes]:
    """A policy as an ONNX graph."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [1, n]) for name, n in (("obs", 2), ("action", 1))]
    weight = helper.make_tensor("w", kind, [2, 1], [0.5, -0.5])
    nodes = [helper.make_node("MatMul", ["obs", "w"], ["u"]), helper.make_node("Tanh", ["u"], ["action"])]
    drawn = helper.make_graph(nodes, "policy", [ends[0]], [ends[1]], [weight])
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return [model.SerializeToString()]


def policy(*names: str) -> Callable[[], list[bytes]]:
    """The kept files of these names."""
    return lambda: [(POLICIES / name).read_bytes() for name in names]


def asked(path: Path) -> Any:
    """A robot's own columns."""
    return Asked(str(path), None)


ERRORS = (RequestError, tr.BrokenRun)
LOGS = {"log.csv": b"hip,knee,u,r,t\n1,2,0,1,0.1\n2,3,0,1,0.2\n3,4,0,1,0.3\n", "log.npz": some_arrays()}
ARRAYS = ("domains/logs/__init__.py", "domains/logs/columns.py", "domains/logs/log.py")
APART = (ERRORS[:1], True)  # h5py and pyarrow read in a process of their own, whose lines are not counted
ROWS: dict[str, tuple[Any, ...]] = {
    "journal": (journal_seeds, journal, ("streams/journal.py", "streams/log.py"), "bytes", ERRORS),
    "journal, as a log": (
        journal_seeds, journal_as_log, ("session/told.py", "streams/journal.py", "streams/log.py"), "bytes"
    ),
    "message": (lambda: MESSAGES, message, ("session/protocol.py",), "bytes", (Gone,)),
    "robot.yaml": (lambda: ROBOT, file_of("robot.yaml", asked), ("domains/asked.py",), "yaml"),
    "log, text": (lambda: TEXT, file_of("a.csv", logs.read), ("domains/logs/text.py", "domains/logs/table.py"), "text"),
    "log, HDF5": (*log_files("a.hdf5", ""), ARRAYS, "bytes", *APART),
    "log, npz": (*log_files("a.npz", ""), ("domains/logs/npz.py", *ARRAYS), "bytes", *APART),
    "log, Parquet": (*log_files("a.parquet", ""), ARRAYS, "bytes", *APART),
    "log, LeRobot's info": (*log_files("lerobot:a", "meta/info.json"), ARRAYS, "json", *APART),
    "log, Minari's metadata": (
        *log_files("minari:a-v0", "data/metadata.json"), ("domains/logs/minari.py", *ARRAYS), "json", *APART
    ),
    "policy, ONNX": (graph, file_of("a.onnx", read), ("policies/foreign.py",), "bytes"),
    "log, file beside it": (
        lambda: BESIDE, file_of("log.yaml", logs_beside, LOGS),
        ("domains/logs/table.py", "domains/logs/mapped.py"), "yaml",
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
