"""Logs of a robot, recorded by others: read from a file, whatever kind of file it is, or from arrays."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.logs import clock, hdf5, minari, named, npz, parquet, text
from transreward.domains.logs.columns import Taken, chosen, damaged, listed, require_shapes, steps
from transreward.domains.logs.log import Log, require_fit
from transreward.domains.users import located
from transreward.types import RequestError, Transition

__all__ = ["FORMATS", "Log", "from_arrays", "read", "require_fit"]

FORMATS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    "hdf5": hdf5.arrays,
    "npz": npz.arrays,
    "text": text.arrays,
    "parquet": parquet.arrays,
    "minari": minari.arrays,
}
TEXTS = (".csv", ".tsv", ".txt")
BLOCKS = (0, 512, 1024, 2048)  # where HDF5's signature may stand, behind what another program keeps in front of it
SIGNS = {  # how a file begins -> what it is
    b"": "empty",
    b"\x93NUMPY": "a single NumPy array",
    b"\x80": "a pickle, which is not opened since it may run code",
    b"\x1f\x8b": "compressed as a whole (gzip): unpack it first",
    b"MATLAB 5": "a MATLAB file older than version 7.3",
    b"{": "JSON",
}


def read(path: str | os.PathLike[str]) -> Log:
    """The steps in a file (HDF5, npz, CSV, Parquet) or a folder (LeRobot's v3, Minari's), with D4RL's or Gymnasium's
    names of arrays, or those that a file beside it gives; see docs/logs.md.

    Nothing in the file is run, and no room is made for more than `columns.MOST` numbers.

    Raises:
        RequestError: the file cannot be read, or what it holds are no steps. One line that says what to do.
    """
    try:
        kind, place = _found(located(os.fspath(path)))
        found = FORMATS[kind](place)
    except RequestError as error:
        raise RequestError(f"log {path}: {error}") from None
    except OSError as error:
        raise RequestError(f"log {path}: it cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise RequestError(f"log {path}: there is not enough memory for it") from None
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds
        raise RequestError(f"log {path}: {damaged(error)}") from None
    return from_arrays(found, str(path))


def from_arrays(arrays: Mapping[str, Any], source: str = "of arrays") -> Log:
    """The steps in arrays by name, such as {"observations": [n, obs], "actions": [n, action], ...}.

    Raises RequestError as `read` does.
    """
    try:
        groups = chosen(arrays)
        said = {group: {part: listed([name]) for part, name in its.items()} for group, its in groups.items()}
        found = {
            group: {part: _array(said[group][part], arrays[name]) for part, name in its.items()}
            for group, its in groups.items()
        }
        for group, its in found.items():
            require_shapes(its, said[group])
        rate = clock.said(arrays)
        usual = clock.usual([_apart(its) for its in found.values() if "time" in its], rate)
        parts = [steps(its, said[group], not group, usual) for group, its in found.items()]
        names = named.told(arrays, parts[0].steps.obs.shape[1], parts[0].steps.action.shape[1])
        return _log(parts, source, "reward" in next(iter(groups.values())), rate, names)
    except RequestError as error:
        raise RequestError(f"log {source}: {error}") from None


def _apart(its: Mapping[str, np.ndarray]) -> np.ndarray:
    """Seconds between two rows of an episode, as far as flags say where one ends: between two of them a robot may stand
    for any time. Those that are finite; `steps` refuses the others."""
    apart, ended = np.diff(np.asarray(its["time"], float).ravel()), np.zeros(len(its["action"]), bool)
    for part in {"terminated", "truncated"} & its.keys():
        ended |= its[part].reshape(-1) != 0
    return apart[~ended[: len(apart)] & np.isfinite(apart)]


def _log(parts: Sequence[Taken], source: str, rewarded: bool, rate: float | None, names: named.Names | None) -> Log:
    """The steps of all groups. Raises RequestError where there are none, or of several widths."""
    widths = {(part.steps.obs.shape[1], part.steps.action.shape[1]) for part in parts}
    if len(widths) > 1:
        (a, b), (c, d) = sorted(widths)[:2]
        raise RequestError(f"its episodes differ: one has {a} observations and {b} actions a step, another {c} and {d}")
    dropped = sum(part.dropped for part in parts)
    together = Transition(*(np.concatenate(column) for column in zip(*(part.steps for part in parts), strict=True)))
    if not len(together.action):
        raise RequestError(
            f"no step is left, for none of its {dropped:,} has a successor: give it next_observations, or longer "
            "episodes"
        )
    times = [part.time for part in parts if part.time is not None]
    time, missing = np.concatenate(times) if times else None, np.concatenate([part.missing for part in parts])
    return Log(
        *together, source=source, dropped=dropped, rewarded=rewarded, rate=rate, time=time, missing=missing,
        names=names, dropped_ends=sum(part.ends for part in parts),
    )  # fmt: skip


def _array(name: str, value: Any) -> np.ndarray:
    try:
        if not np.ma.is_masked(value):
            return np.asarray(value)
    except (TypeError, ValueError):  # rows of unequal length, or an array of a device
        pass
    raise RequestError(f"{name} must be one array without gaps, not a {type(value).__name__}")


def _found(path: Path) -> tuple[str, Path]:
    """The name in `FORMATS`, by how the file begins, and the file. Raises RequestError for what is none of them."""
    try:
        about = os.stat(path)
    except FileNotFoundError:
        raise RequestError("there is no such file") from None
    if stat.S_ISDIR(about.st_mode):
        if parquet.is_lerobot(path):
            return "parquet", path
        if minari.is_minari(path):
            return "minari", path
        raise RequestError("it is a folder, and neither LeRobot's nor Minari's: name the file in it")
    if not stat.S_ISREG(about.st_mode):
        raise RequestError("it is no file")
    with path.open("rb") as file:
        begins = []
        for block in BLOCKS:
            file.seek(block)
            begins.append(file.read(8))
    start = begins[0]
    if b"\x89HDF\r\n\x1a\n" in begins:
        return "hdf5", path
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz", path
    if start[:4] == b"PAR1":
        return "parquet", path
    if path.suffix.lower() in TEXTS and start:
        return "text", path
    what = next((what for sign, what in SIGNS.items() if start.startswith(sign) and (sign or not start)), "")
    what = what or ("text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start) else "of an unknown kind")
    raise RequestError(
        f"it is {what}; write the steps as HDF5 (h5py), npz (numpy.savez), Parquet or text in columns (.csv): see the "
        f"page 'Logs of a robot' of the documentation"
    )
