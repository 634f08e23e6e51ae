"""Writing a log: HDF5 in D4RL's keys, npz, CSV, Parquet, a folder of LeRobot (v3) or of Minari."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from transreward.domains.logs import clock, folders, hdf5, named, table
from transreward.domains.logs.columns import require_package
from transreward.domains.logs.folders import LONGEST, Columns
from transreward.domains.logs.log import Log
from transreward.interruption import unwritable, whole
from transreward.types import UNKNOWN, Entry, RequestError

FOLDERS = ("lerobot", "minari")  # kinds that are folders, written as kind:PATH


def write(log: Log, to: str, rate: float | None = None, columns: Columns | None = None) -> Path:
    """Write a log where `to` says: a file that ends in .hdf5, .npz, .csv or .parquet; lerobot:FOLDER or minari:FOLDER.

    `rate` are control steps a second, where the log does not say them; LeRobot's format needs them. `columns` have the
    names and bounds of its numbers.
    Raises RequestError as `require_writable` does, and where the disk is full; nothing is left there then.
    """
    kind, path = require_writable(to)
    rate, log = log.rate or rate, without_pauses(log)
    if kind == "lerobot" and rate is None:
        raise RequestError("LeRobot's format needs the control rate, in Hz: give `rate=50`")
    try:
        WRITERS[kind](log, path, rate, columns or numbered(log))
    except OSError as error:
        said = " ".join(str(error.strerror or error).split())
        raise RequestError(f"{path} cannot be written: {said}") from None
    return path


def without_pauses(log: Log) -> Log:
    """The log; without times where its robot paused within an episode, as that of a session may: whoever reads it would
    take the pause for steps that are missing, and leave out the one before it."""
    if log.time is None:
        return log
    apart = clock.spacing(log.time, log.episode)
    paused = apart.size > 0 and apart.max() > clock.LATE * clock.usual([apart], None)
    return replace(log, time=None) if paused else log


def numbered(log: Log) -> Columns:
    """The columns of a log by the names that its file gave, or by their numbers."""
    names = log.names or tuple([str(i) for i in range(x.shape[1])] for x in (log.obs, log.action))
    return [Entry(name, UNKNOWN) for name in names[0]], [Entry(name, UNKNOWN) for name in names[1]]


def require_writable(to: str) -> tuple[str, Path]:
    """The kind and place that `to` says. Raises RequestError for another ending, a place that is taken, in no folder or
    not to be written to, and where a package is missing."""
    scheme, colon, rest = to.partition(":")
    path, kind = Path(to), Path(to).suffix.lower().lstrip(".")
    if colon and scheme in FOLDERS:
        path, kind = Path(rest).expanduser(), scheme  # which a shell does at the beginning of a word alone
    kind = {"h5": "hdf5", "tsv": "csv"}.get(kind, kind)
    if kind not in WRITERS:
        raise RequestError(f"{to}: end it in {', '.join(f'.{k}' for k in WRITERS if k not in FOLDERS)}, or write "
                           f"{' or '.join(f'{k}:FOLDER' for k in FOLDERS)}")  # fmt: skip
    if kind in NEEDS:
        require_package(NEEDS[kind])
    if kind == "minari":
        folders.require_version(path)
    if path.exists():
        raise RequestError(f"{path} is there already: name another place")
    if kind not in FOLDERS and (says := table.beside(path)).exists():  # it would be read with it
        raise RequestError(f"{says} says what the columns of {path} would be: name another place")
    if not path.parent.exists():
        raise RequestError(f"there is no folder {path.parent}")
    if error := unwritable(path):
        raise RequestError(f"{path} cannot be written: {error.strerror}")
    return kind, path


def _arrays(log: Log, rate: float | None, columns: Columns) -> dict[str, np.ndarray]:
    """In D4RL's words."""
    told = {} if rate is None else {clock.RATE: np.array(rate)}
    told |= named.kept(*([entry.name for entry in side] for side in columns))
    return {
        "observations": log.obs.astype(np.float32),
        "actions": log.action.astype(np.float32),
        **({"rewards": log.reward.astype(np.float32)} if log.rewarded else {}),
        "next_observations": log.next_obs.astype(np.float32),
        "terminals": log.terminated,
        "timeouts": log.truncated,
        **({"times": log.time} if log.time is not None else {}),
        **told,
    }


def _npz(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **_arrays(log, rate, columns))  # type: ignore[arg-type]


def _hdf5(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    with whole(path) as partial, hdf5.made(partial) as file:
        for name, x in _arrays(log, rate, columns).items():
            file.create_dataset(name, data=x, **({"compression": "gzip"} if x.ndim else {}))


def _columns(log: Log, columns: Columns, rate: float | None) -> dict[str, np.ndarray]:
    """A column for each number, as `table.by_name` reads them."""
    found: dict[str, np.ndarray] = {"episode": log.episode}
    if log.time is not None or rate is not None:
        found["time"] = log.frames / (rate or 1.0) if log.time is None else log.time
    for part, x, side in (("obs", log.obs, 0), ("action", log.action, 1), ("next_obs", log.next_obs, 0)):
        found |= {f"{part}.{entry.name}": x[:, i] for i, entry in enumerate(columns[side])}
    found |= {"reward": log.reward} if log.rewarded else {}
    return found | {"terminated": log.terminated.astype(int), "truncated": log.truncated.astype(int)}


def _csv(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    found = _columns(log, columns, rate)
    with whole(path) as partial, partial.open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        rows.writerow(found)
        rows.writerows(zip(*(x.tolist() for x in found.values()), strict=True))


def _parquet(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with whole(path) as partial:
        pq.write_table(pa.table(_columns(log, columns, rate)), partial, row_group_size=LONGEST)


def _lerobot(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    assert rate is not None
    folders.lerobot(log, path, rate, columns)


WRITERS: dict[str, Callable[[Log, Path, float | None, Columns], None]] = {
    "hdf5": _hdf5, "npz": _npz, "csv": _csv, "parquet": _parquet, "lerobot": _lerobot, "minari": folders.minari,
}  # fmt: skip
NEEDS = {"hdf5": "h5py", "minari": "h5py", "parquet": "pyarrow", "lerobot": "pyarrow"}
