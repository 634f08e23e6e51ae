"""Checkpoints: the state of a stage at the end of a round, from which it resumes to the same bits.

`DIR/state/STAGE/` holds `NUMBER.json`, `NUMBER.safetensors` and, for each buffer, a file of rows that is appended to
and never rewritten. Rows are flushed first and the JSON last, so a checkpoint that has its JSON is complete; the last
two are kept. Hashes are checked on reading, and if a checkpoint is damaged the previous one is used. Nothing is
pickled. The state of the latest round is held in memory until it is written, so it can be saved at any interruption.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward import plain
from transreward.engine.programs import copied
from transreward.engine.state import Run
from transreward.interruption import unbroken, whole
from transreward.replay import Replay, cut
from transreward.runs import store
from transreward.runs.places import REQUEST, STATE
from transreward.runs.schema import COUNT, NUMBER, TEXTS, damaged, fits
from transreward.types import BrokenRun, RequestError

SCHEMA = 2
EVERY = 60.0  # seconds between checkpoints
KEPT = 2
WIDEST = 2**130  # bound of whole numbers, large enough for the states of random generators
COUNTERS = {  # with their types for `schema.fits`; the rows of the log are those of metrics.jsonl
    "index": COUNT, "rounds": COUNT, "updates": COUNT, "refitted": COUNT, "stopped": str | None, "learned": bool | None,
    "peaks": list | None, "spent": {str: COUNT}, "stored": {str: COUNT}, "log": list,
}  # fmt: skip
BESIDE = {"rows": {str: dict}, "streams": {str: dict}, "metrics": TEXTS, "seconds": NUMBER}
TREES = ("agents", "compensation", "judged", "peak", "mixture", "scales")


class Damaged(RequestError):
    """A checkpoint that is damaged or incomplete."""


class Checkpoints:
    """The checkpoints of one stage, or of two that run side by side and are saved together. Without a directory nothing
    is saved."""

    def __init__(self, directory: Path | None, request: dict[str, Any] | None = None) -> None:
        self.directory, self.request, self.latest, self.number = directory, request, time.monotonic(), 0
        self.rows: dict[str, Rows] = {}
        self.held: tuple[dict[str, Any], list[dict[str, Any]]] | None = None  # the latest state, until it is written
        self.earlier = 0.0  # seconds that earlier processes were at this stage, up to the state that was restored

    def hold(self, *runs: Run) -> None:
        """Hold a copy of the state at the end of a round, and write it if the last checkpoint is `EVERY` s old."""
        if self.directory is None:
            return
        with unbroken():
            trees, states = {}, []
            for i, run in enumerate(runs):
                trees[str(i)], state = taken(run)
                for name, stored in run.state.stored.items():
                    self._rows(i, name).hold(run.state.buffers[name], stored)
                states.append(state)
            self.held = trees, states
        if not 0 <= time.monotonic() - self.latest < EVERY:  # a clock may be set back
            self.write()

    def write(self) -> None:
        """Write the held state unless it is already written."""
        if self.directory is None:
            return
        with unbroken():
            if self.held is None:
                return
            trees, states = self.held
            self.directory.mkdir(parents=True, exist_ok=True)
            if self.request is not None:
                store.write_json(self.directory.parent / REQUEST, self.request)
                self.request = None
            for i, state in enumerate(states):
                state["rows"] = {name: self._rows(i, name).append() for name in state["stored"]}
            self.number += 1
            place = self.directory / f"{self.number}.safetensors"
            store.save_tree(place, trees)
            flush(place)
            about = json.dumps({"versions": store.versions(), "arrays": digest(place), "runs": states})
            hashed = {"schema": SCHEMA, "sha256": hashlib.sha256(about.encode()).hexdigest(), "about": about}
            with whole(place.with_suffix(".json")) as partial:
                partial.write_text(json.dumps(hashed))
                flush(partial)
            self.tidy()
            self.latest, self.held = time.monotonic(), None

    def last_words(self) -> str | None:
        """`write` while an interruption ends the process. Returns a message if that fails, else None."""
        try:
            self.write()
        except (OSError, BrokenRun, RequestError) as error:
            return f"no checkpoint could be written ({error})"
        return None

    @contextmanager
    def logging(self, *runs: Run) -> Iterator[bool]:
        """`restore` the runs and yield whether there was a checkpoint. Inside the context, steps of a target that is
        not simulated are logged to disk before the learner uses them; the first state is saved, for the log to start
        from."""
        logs = []
        if self.directory is not None:
            takers = [(f"{i}-{name}", taker) for i, run in enumerate(runs) for name, taker in run.takers.items()]
            opened = [taker.open_log(self.directory / f"{name}.log") for name, taker in takers]
            logs = [log for log in opened if log is not None]
        try:
            restored = self.restore(*runs)
            if logs and not restored:
                self.hold(*runs)
                self.write()
            yield restored
        finally:
            for log in logs:
                log.close()

    def restore(self, *runs: Run) -> bool:
        """Put runs that are about to begin into the newest intact state. False if there is none."""
        if self.directory is None:
            return False
        numbers = self._numbers()[::-1]
        for number in numbers:
            try:
                about, arrays = self._read(number)
                if len(about["runs"]) != len(runs):
                    raise Damaged(f"{self.directory} holds the state of {len(about['runs'])} runs, not of {len(runs)}")
                parts = enumerate(zip(runs, about["runs"], strict=True))
                buffers = [self._buffers(i, run, state) for i, (run, state) in parts]
            except Damaged as error:
                last = number == numbers[-1]
                instead = "from the start of this part: there is no other" if last else "from the checkpoint before"
                warnings.warn(f"{error}: going on {instead}", stacklevel=2)
                self.rows.clear()
                continue
            try:
                for i, (run, state, found) in enumerate(zip(runs, about["runs"], buffers, strict=True)):
                    run.state.buffers |= found
                    put(run, f"['{i}']", arrays, state)
                    self._cut(i, run)
            except Exception as error:  # intact, but of another run
                raise RequestError(
                    f"{self.directory / f'{number}.json'} is not a state of this run: {' '.join(str(error).split())}"
                ) from error
            self.number, self.earlier = numbers[0], about["runs"][-1]["seconds"]
            return True
        return False

    def _cut(self, i: int, run: Run) -> None:
        """If new episodes begin, mark the newest stored step as truncated: no stored step follows it."""
        for name, taker in run.takers.items():
            if taker.broken and run.state.stored.get(name):
                run.state.buffers[name] = cut(run.state.buffers[name])
                self._rows(i, name).hash = None  # begins another file, with the changed step

    def _rows(self, i: int, name: str) -> Rows:
        assert self.directory is not None
        return self.rows.setdefault(f"{i}-{name}", Rows(self.directory, f"{i}-{name}"))

    def told(self) -> dict[str, Any] | None:
        """What the newest checkpoint says beside its arrays; None if there is none. Raises Damaged."""
        numbers = self._numbers()
        return self._about(numbers[-1]) if numbers else None

    def _about(self, number: int) -> dict[str, Any]:
        assert self.directory is not None
        place = self.directory / f"{number}.safetensors"
        try:
            hashed = plain.parsed(plain.content(place.with_suffix(".json"), plain.LINES), most=10)
            if hashed["schema"] != SCHEMA:
                raise ValueError(f"it has schema {hashed['schema']}, and this version reads {SCHEMA}")
            about = plain.parsed(str(hashed["about"]), WIDEST, plain.LINES)
            if hashlib.sha256(str(hashed["about"]).encode()).hexdigest() != hashed["sha256"]:
                raise ValueError("its hash does not match")
            require_states(about["runs"])
            return about
        except (OSError, ValueError, KeyError, TypeError) as error:  # RequestError is a ValueError
            raise Damaged(f"{place} is damaged ({' '.join(str(error).split())})") from None

    def _read(self, number: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        assert self.directory is not None
        about, place = self._about(number), self.directory / f"{number}.safetensors"
        try:
            if digest(place) != about["arrays"]:
                raise ValueError("its hash does not match")
            return about, store.load_arrays(place)
        except (OSError, ValueError, KeyError, TypeError) as error:  # RequestError is a ValueError
            raise Damaged(f"{place} is damaged ({' '.join(str(error).split())})") from None

    def _buffers(self, i: int, run: Run, state: dict[str, Any]) -> dict[str, Replay]:
        assert self.directory is not None
        found = {}
        try:
            for name, about in dict(state["rows"]).items():
                rows = self.rows[f"{i}-{name}"] = Rows(self.directory, f"{i}-{name}")
                found[name] = rows.read(about, run.state.buffers[name], state["stored"][name])
        except Damaged:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{self.directory} names rows that this run does not have ({error})") from None
        return found

    def tidy(self, kept: int = KEPT) -> None:
        """Remove all but the newest, and the rows that none of these names."""
        assert self.directory is not None
        numbers = self._numbers()
        for number in numbers[:-kept]:
            for kind in ("json", "safetensors"):  # the JSON first: without it the arrays are ignored
                (self.directory / f"{number}.{kind}").unlink(missing_ok=True)
        files = set(self.directory.glob("*.rows"))
        if len(files) > len(self.rows):
            files -= {*self._named(numbers[-kept:])}
            for file in files:
                file.unlink()

    def _numbers(self) -> list[int]:
        """The numbers of the checkpoints on disk, oldest first. Files with other names are ignored."""
        assert self.directory is not None
        names = (p.stem for p in self.directory.glob("*.json"))
        return sorted(int(name) for name in names if re.fullmatch("[1-9][0-9]{0,14}", name))

    def _named(self, numbers: list[int]) -> Iterator[Path]:
        """The files of rows that these checkpoints refer to."""
        for number in numbers:
            with suppress(Damaged):
                for i, state in enumerate(self._about(number)["runs"]):
                    for name, about in state["rows"].items():
                        yield self._rows(i, name).file(about.get("generation"))


NOWHERE = Checkpoints(None)


def settle(directory: Path) -> None:
    """Keep only the last state of each stage of a finished run, from which it can go on with more target steps."""
    for place in (directory / STATE).iterdir():
        if place.is_dir():
            Checkpoints(place).tidy(kept=1)
            for log in place.glob("*.log"):  # the state contains all logged steps
                log.unlink()


class Rows:
    """The control steps of one buffer, oldest first, in a file that is only appended to. A new generation of the file
    is begun when it has outgrown the buffer or lacks steps of it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        self.generation, self.first, self.end = 0, 0, 0  # control steps from the buffer's start
        self.hash: Any = None
        self.pending: list[np.ndarray] = []  # held, but not yet in the file
        self.begun = False  # whether the file of this generation exists

    def file(self, generation: int) -> Path:
        """The path of a generation."""
        return self.directory / f"{self.name}-{generation}.rows"

    def hold(self, buffer: Replay, stored: int) -> None:
        """Hold the control steps that are new since the last call; `stored` have been given to the buffer in total."""
        capacity = buffer.data.shape[1]
        oldest = max(stored - capacity, 0)
        if self.hash is None or self.end < oldest or oldest - self.first > capacity:
            self.generation, self.first, self.end = self.generation + 1, oldest, oldest
            self.hash, self.pending, self.begun = hashlib.sha256(), [], False
            places = np.arange(oldest, stored) % capacity
            self.pending = [np.ascontiguousarray(np.asarray(buffer.data)[:, places].swapaxes(0, 1))]
        elif self.end < stored:
            self.pending.append(np.asarray(_rows_at(buffer.data, np.arange(self.end, stored) % capacity)))
        self.end = stored

    def append(self) -> dict[str, Any]:
        """Append what is held and describe the file, for `read`. If writing fails, the file is as before."""
        content = b"".join(rows.tobytes() for rows in self.pending)
        with self.file(self.generation).open("r+b" if self.begun else "wb", buffering=0) as file:
            end, left = file.seek(0, os.SEEK_END), memoryview(content)
            try:
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        self.hash.update(content)
        self.pending, self.begun = [], True
        return {"generation": self.generation, "first": self.first, "sha256": self.hash.hexdigest()}

    def read(self, about: dict[str, Any], like: Replay, stored: int) -> Replay:
        """The buffer, of the shape of `like`, as it was saved; later rows are cut off the file. Raises Damaged."""
        self.generation, self.first, self.end = (int(n) for n in (about["generation"], about["first"], stored))
        self.pending, self.begun, path = [], True, self.file(self.generation)
        seeds, capacity, *shape = like.data.shape
        size = 4 * seeds * int(np.prod(shape))
        try:
            with path.open("r+b") as file:
                held = size * (stored - self.first)
                if not max(stored - capacity, 0) >= self.first >= 0 or held > path.stat().st_size:
                    raise ValueError("it does not hold the steps of the checkpoint")
                content = file.read(held)
                self.hash = hashlib.sha256(content)
                if self.hash.hexdigest() != about["sha256"]:
                    raise ValueError("its hash does not match")
                file.truncate(len(content))
        except (OSError, ValueError) as error:
            raise Damaged(f"{path} is damaged ({error})") from None
        rows = np.frombuffer(content, np.float32).reshape(-1, seeds, *shape)
        kept = np.arange(max(stored - capacity, 0), stored)
        data = np.zeros(like.data.shape, np.float32)
        data[:, kept % capacity] = rows[kept - self.first].swapaxes(0, 1)
        count = [jnp.asarray(n, jnp.int32) for n in (stored % capacity, len(kept))]
        return replace(like, data=jnp.asarray(data), position=count[0], size=count[1])


@jax.jit
def _rows_at(data: Any, places: Any) -> Any:
    """Control steps of a buffer, [places, seeds, robots, features]."""
    return data[:, places].swapaxes(0, 1)


def require_states(states: Any) -> None:
    """Raise ValueError unless `states` is a list of numbers as `taken` returns them, each with its rows."""
    if not fits(states, [dict]):
        raise ValueError("it holds no states")
    for state in states:
        for name, kind in (COUNTERS | BESIDE).items():
            if not fits(state.get(name), kind):
                raise ValueError(f"it has no '{name}', or one of another type")
        if not all(isinstance(row, dict) and not damaged("metrics.jsonl", row) for row in state["log"]):
            raise ValueError("its 'log' does not hold rows of metrics.jsonl")


def taken(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of a run: a copy of its arrays, and numbers that JSON stores exactly."""
    state = run.state
    streams = {name: taker.state() for name, taker in run.takers.items()}
    tree = {name: getattr(state, name) for name in TREES} | {
        "compensation": copied(state.compensation),  # its next update donates these buffers
        "keys": jax.random.key_data(state.keys),
        "metrics": dict(state.metrics),
        "streams": {name: arrays for name, (arrays, _) in streams.items()},
    }
    numbers = {name: copy.copy(getattr(state, name)) for name in COUNTERS} | {
        "metrics": list(state.metrics),
        "streams": {name: told for name, (_, told) in streams.items()},
        "seconds": time.perf_counter() - run.began,
    }
    return tree, numbers


def put(run: Run, at: str, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
    """Put a run into a state; `at` is the prefix of its names among `arrays`."""
    state = run.state
    for name in COUNTERS:
        setattr(state, name, numbers.get(name))
    run.ledger.spent = state.spent
    for name in TREES:
        like = state.agents if name in ("judged", "peak") else getattr(state, name)
        setattr(state, name, tree_of(arrays, f"{at}['{name}']", like))
    state.keys = jax.random.wrap_key_data(jnp.asarray(arrays[f"{at}['keys']"]))
    state.metrics = {name: jnp.asarray(arrays[f"{at}['metrics']['{name}']"]) for name in numbers["metrics"]}
    for name, taker in run.takers.items():
        found = below(arrays, f"{at}['streams']['{name}']")
        for key, like in taker.state()[0].items():
            require_like(f"'{key}' of {name}", found.get(key), like)
        taker.restore(found, numbers["streams"][name])
    run.began = time.perf_counter() - numbers["seconds"]


def tree_of(arrays: dict[str, np.ndarray], at: str, like: Any) -> Any:
    """A pytree of the structure of `like`; None if `like` has leaves and none is stored.

    Raises ValueError if a shape differs from that of `like`.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [at + jax.tree_util.keystr(path) for path, _ in leaves]
    if names and not any(name in arrays for name in names):
        return None
    for name, (_, leaf) in zip(names, leaves, strict=True):
        require_like(name, arrays.get(name), leaf)
    return jax.tree_util.tree_unflatten(structure, [jnp.asarray(arrays[name]) for name in names])


def require_like(name: str, found: np.ndarray | None, like: Any) -> None:
    """Raise ValueError unless `found` has the shape and the kind of numbers of `like`."""
    wanted = f"{jnp.result_type(like).kind} of shape {np.shape(like)}"
    if found is None or f"{found.dtype.kind} of shape {found.shape}" != wanted:
        seen = "missing" if found is None else f"{found.dtype.kind} of shape {found.shape}"
        raise ValueError(f"{name} is {seen}, and should be {wanted}")


def below(arrays: dict[str, np.ndarray], at: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `at`, by the rest of their names."""
    return {name[len(at) + 2 : -2]: x for name, x in arrays.items() if name.startswith(f"{at}['")}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Flush a file to the disk (fsync)."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
