"""Which arrays of an HDF5 or npz file make a step, as a file beside it says: `monday.yaml` beside `monday.hdf5`.

observation: [qpos, {column: 'qvel[0]', unit: deg/s}]      # whole arrays, and columns of them
action: [ctrl]
episodes: data/demo_*                                      # groups that hold one episode each; `/`: the file is one
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from transreward.domains.logs import clock, named, table
from transreward.domains.logs.columns import WIDE, in_order, listed, require_room
from transreward.plain import read_mapping
from transreward.types import RequestError

EPISODES = "episodes"
EXAMPLE = "{observation: [qpos, qvel], action: [ctrl], reward: r, episode: trial}"
INDEX = re.compile(r"(.+)\[\d+\]")  # qpos[3]
MOST_COLUMNS = 100_000


class Held(Protocol):
    """What a file holds, by names with a slash between groups."""

    def within(self, group: str) -> Sequence[str]:
        """The names of the arrays and groups in a group that is there, or in the file itself (``""``)."""
        ...

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array of numbers; None where none has this name. Raises RequestError for what is refused."""
        ...

    def read(self, name: str) -> np.ndarray:
        """Its numbers."""
        ...


def arrays(said_in: Path, held: Held, size: int) -> dict[str, np.ndarray]:
    """The arrays of a log, as `columns` names them, of a file of `size` bytes, by what `said_in` says of it.

    Raises RequestError for what it cannot mean, and as `table.arrays` does.
    """
    said = read_mapping(said_in, EXAMPLE)
    try:
        pattern = said.pop(EPISODES, None)
        groups = _groups(pattern, held)
        layouts = {group: _layout(said, held, group) for group in groups}
    except RequestError as error:
        raise RequestError(f"{said_in}: {error}") from None
    shapes = {name: held.shape(name) or () for group, found in layouts.items() for name in _read_of(group, found)}
    require_room(shapes, size)
    out: dict[str, np.ndarray] = {}
    for i, (group, found) in enumerate(layouts.items()):
        made = table.arrays(found, _reader(held, group), _place(group), whole=pattern is None)
        about = {name: made.pop(name) for name in (clock.RATE, named.NAMES) if name in made}
        out |= about | {name if pattern is None else f"episode_{i}/{name}": x for name, x in made.items()}
    return out


def _groups(pattern: Any, held: Held) -> list[str]:
    """The groups whose arrays make steps: the file itself, or those that a pattern names, in order."""
    if pattern is not None and not isinstance(pattern, str):
        raise RequestError(f"{EPISODES} must be a pattern of groups such as demo_*, or / for the file, not {pattern!r}")
    found = [""]
    for piece in (pattern or "").strip("/").split("/"):
        if piece:
            found = [_join(group, name) for group in found for name in held.within(group) if fnmatchcase(name, piece)]
    if not found:
        raise RequestError(f"{EPISODES}: nothing in the log is called {pattern}; it has {listed(held.within(''))}")
    return sorted(found, key=in_order)


def _layout(said: Mapping[str, Any], held: Held, group: str) -> table.Layout:
    """Which columns of a group's arrays are which part of a step. Raises RequestError for arrays that are not there, or
    not of one row a step."""
    names = dict.fromkeys(name for asked in _asked(said) for name in _columns(asked, held, group))
    try:
        found = table.meant(said, list(names) or list(held.within(group)))
        for part, columns in found.parts.items():
            rows = {
                _array(column.name): (held.shape(_join(group, _array(column.name))) or (0,))[0] for column in columns
            }
            if part in WIDE and len(set(rows.values())) > 1:
                told = ", ".join(f"{listed([name])} has {n:,} rows" for name, n in rows.items())
                raise RequestError(f"{told}: those of one part need as many")
    except RequestError as error:
        raise RequestError(f"in {listed([group])}: {error}" if group else str(error)) from None
    return found


def _asked(said: Mapping[str, Any]) -> Iterator[str]:
    """The arrays that a file names, of which `table.meant` looks at the rest."""
    for value in said.values():
        for one in value if isinstance(value, list) else [value]:
            name = one.get("column") if isinstance(one, dict) else one
            if isinstance(name, str):
                yield _array(name)


def _columns(name: str, held: Held, group: str) -> list[str]:
    """An array's columns, `qpos[0]`, ..., or its own name where it has one; nothing where it is not there."""
    shape = held.shape(_join(group, name))
    if shape is None:
        return [one for one in held.within(group) if one != name]  # which may have been meant
    if not 1 <= len(shape) <= 2 or shape[1:] == (0,):
        raise RequestError(f"{listed([name])} has the shape {list(shape)}, where [steps] or [steps, entries] is wanted")
    if shape[1:] in ((), (1,)):
        return [name]
    if shape[1] > MOST_COLUMNS:
        raise RequestError(f"{listed([name])} has {shape[1]:,} columns, and at most {MOST_COLUMNS:,} are read")
    return [f"{name}[{i}]" for i in range(shape[1])]


def _read_of(group: str, found: table.Layout) -> list[str]:
    """The arrays that are read, each once."""
    return list(dict.fromkeys(_join(group, _array(name)) for name in found.names))


def _reader(held: Held, group: str) -> Any:
    """A function from a column's name to its numbers, which reads each array once."""
    read: dict[str, np.ndarray] = {}

    def column(name: str) -> np.ndarray:
        array = _array(name)
        if array not in read:
            x = held.read(_join(group, array))
            read[array] = x.reshape(len(x), -1)
        return read[array][:, 0 if name == array else int(name[len(array) + 1 : -1])]

    return column


def _place(group: str) -> Any:
    return lambda row: f"row {row} of {listed([group])}" if group else f"row {row}"


def _array(column: str) -> str:
    """The array of a column: qpos of qpos[3]."""
    found = INDEX.fullmatch(column)
    return found[1] if found else column


def _join(group: str, name: str) -> str:
    return f"{group}/{name.strip('/')}" if group else name.strip("/")
