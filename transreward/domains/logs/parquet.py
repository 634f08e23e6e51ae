"""Parquet files, and LeRobot's folders of them (v3), read apart by pyarrow: see `apart`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transreward import plain
from transreward.domains.logs import apart, clock, named, table
from transreward.domains.logs.columns import MOST, WIDE, listed
from transreward.types import RequestError

INFO = "meta/info.json"  # of a LeRobot folder
RENAMED = {  # LeRobot's names
    "observation.state": "obs", "observation.next_state": "next_obs", "next.reward": "reward",
    "next.terminated": "terminated", "next.truncated": "truncated",
}  # fmt: skip
FILES = 10_000
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # units of a column of times


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that make a log. Raises RequestError for what is refused, and where pyarrow is missing."""
    return apart.arrays(path, "parquet", "pyarrow")


def convert(path: str, out: str) -> None:
    """Write the arrays that make a log into an npz file. Raises RequestError, and whatever pyarrow raises."""
    import pyarrow.parquet as pq

    place = Path(path)
    files = sorted(place.glob("data/**/*.parquet")) if place.is_dir() else [place]
    if not files or len(files) > FILES:
        raise RequestError(f"it has {len(files):,} files below data/, and from 1 to {FILES:,} are read")
    parts = [_columns(pq, file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        if part.keys() != first.keys():
            odd = sorted(part.keys() ^ first.keys())
            raise RequestError(f"{file.name} and {files[0].name} differ in the columns {listed(odd)}")

    def column(name: str) -> np.ndarray:
        return np.concatenate([_usable(part[name]) for part in parts])

    found = table.layout(list(first), place)
    made = table.arrays(found, column, lambda row: f"row {row}")
    if place.is_dir():
        made |= {name: x for name, x in _about(place).items() if name != clock.RATE or name not in made}
    with zipfile.ZipFile(out, "w") as archive:
        for name, x in made.items():
            apart.write(archive, name, x)


def _about(folder: Path) -> dict[str, np.ndarray]:
    """LeRobot's frames a second, which are control steps, and its names of columns."""
    info = plain.parsed(plain.content(folder / INFO))
    rate, features = info.get("fps"), info.get("features")
    out = {} if rate is None else {clock.RATE: np.array(clock.required(rate))}
    try:
        assert isinstance(features, dict)
        return out | named.kept(features["observation.state"]["names"], features["action"]["names"])
    except (AssertionError, KeyError, TypeError):  # it says none, or as another kind of list
        return out


def _usable(x: np.ndarray | RequestError) -> np.ndarray:
    if isinstance(x, RequestError):
        raise x
    return x


def _columns(pq: Any, file: Path) -> dict[str, np.ndarray | RequestError]:
    """Every column of numbers; one of lists of numbers as `name[0]`, `name[1]`, ... In the place of one that cannot be
    part of a log stands why, for where it is to be one."""
    with pq.ParquetFile(file) as opened:
        rows, found = opened.metadata.num_rows, dict[str, np.ndarray | RequestError]()
        if rows > MOST:
            raise RequestError(f"it says that it holds {rows:,} rows: take fewer steps")
        numbers = 0
        for name in opened.schema_arrow.names:
            for key, x in _flat(RENAMED.get(str(name), str(name)), opened, str(name)):
                numbers += 0 if isinstance(x, RequestError) else x.size
                if numbers > MOST:
                    raise RequestError(f"it holds more than {MOST:,} numbers: take fewer steps")
                found[key] = x
        return found


def _flat(key: str, opened: Any, name: str) -> Iterator[tuple[str, np.ndarray | RequestError]]:
    import pyarrow as pa

    kind = opened.schema_arrow.field(name).type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        column = opened.read(columns=[name]).column(0)
        gaps = RequestError(f"{listed([name])} has {column.null_count:,} rows without a value")
        yield key, gaps if column.null_count else column.cast(pa.int64()).to_numpy() * SECONDS[kind.unit]
        return
    lists = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if lists else kind
    if not (pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner)):
        if key in (*table.EPISODE, *table.TIME) or table.part_of(key) is None:
            # gaps, or where episodes end, would be passed over; of another column whoever names it is told
            yield key, RequestError(f"{listed([name])} holds {kind}, where numbers are wanted")
        return
    column = opened.read(columns=[name]).column(0)
    if column.null_count:
        yield key, RequestError(f"{listed([name])} has {column.null_count:,} rows without a value")
        return
    if not lists:
        yield key, column.to_numpy().astype(float)
        return
    flat = np.concatenate([np.asarray(chunk.flatten()).astype(float) for chunk in column.chunks] or [np.zeros(0)])
    rows = len(column)
    if not rows or flat.size % rows or not all(map(_even, column.chunks)):
        yield key, RequestError(f"{listed([name])} has lists of different lengths")
        return
    if flat.size == rows and table.part_of(key) not in (None, *WIDE):  # a reward or a flag as an array of one
        yield key, flat
        return
    for i, x in enumerate(flat.reshape(rows, -1).T):
        yield f"{key}[{i}]", x


def _even(chunk: Any) -> bool:
    """Whether all lists of a chunk are as long."""
    return len({len(x) for x in chunk}) <= 1


def is_lerobot(path: Path) -> bool:
    """Whether a folder is one of LeRobot's. Raises RequestError for one of another version."""
    if not (path / INFO).is_file():
        return False
    try:
        version = str(plain.parsed(plain.content(path / INFO))["codebase_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"its {INFO} cannot be read: {error}") from None
    if not version.startswith("v3"):
        raise RequestError(f"it is a LeRobot data set of version {version[:20]}, and v3 is read: convert it by lerobot")
    return True
