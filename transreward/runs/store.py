"""A run directory: config.json, metrics.jsonl, policy.safetensors, result.json, and source/ with the source agent.

Everything is safetensors or JSON; nothing is pickled. Files are written atomically, under a temporary name first.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from transreward import plain
from transreward.claims import locked
from transreward.interruption import undone, unwritable, whole
from transreward.runs.packages import installed
from transreward.runs.places import journal_of
from transreward.runs.schema import damaged
from transreward.types import BrokenRun, RequestError, Spaces

SCHEMA = 1
IDENTIFICATION = "identification.json"  # what differs physically, in a run directory where it was looked for
ADOPTED = "adopted.json"  # of which file a source agent was made, where another library trained it
STUDY = "study.json"  # what many runs of one plan lie in
FALLBACK = "fallback.json"  # who acted in the target and who was delivered, where there were candidates
MOST = 2**36  # bytes of arrays that are read from one file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # the disk is full or fails, whatever the request
OPENING = ("config.json", "provenance.json")  # all that a run directory holds until there is something to keep
RECORDED = ("transreward", "jax", "jaxlib", "optax", "mujoco", "gymnasium", "numpy", "scipy")


def cache() -> Path | None:
    """The directory in which compiled programs are kept between runs; None if $TRANSREWARD_CACHE is empty."""
    usual = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "transreward")
    place = os.environ.get("TRANSREWARD_CACHE", usual)
    return Path(place) if place else None


def versions() -> dict[str, str]:
    """Versions of the installed packages that a result depends on."""
    return installed(RECORDED)


def begun_by(directory: Path) -> dict[str, Any]:
    """The command and the time that a run in this directory was begun with; nothing where that is not known. Whatever
    goes on with it, `resume` or the learner of a session, was not what asked for it."""
    file = directory / "provenance.json"
    found = read_json(file) if file.exists() else {}
    return {key: found[key] for key in ("command", "started") if key in found}


def provenance() -> dict[str, Any]:
    """Where a result comes from: the command, the local time, and the machine's processor, cores and devices."""
    script, *arguments = sys.argv or [""]
    cli = Path(script).name in ("transreward", "__main__.py")
    return {
        "command": plain.shown(shlex.join([*(["transreward"] if cli else ["python", Path(script).name]), *arguments])),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "device": ", ".join(dict.fromkeys(d.device_kind for d in jax.devices())),
        },
    }


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


class Taken(RequestError):
    """The directory of a run already exists; another process may have made it a moment ago."""


def claim(directory: Path) -> Path:
    """Make the run directory. Raises `Taken` if it holds a run or anything else, RequestError if it cannot be made."""
    with making(directory):
        vacant(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.json").open("x").close()  # if two processes start at once, only one succeeds
    return directory


@contextmanager
def making(directory: Path) -> Iterator[None]:
    """Within it a run directory is made: raise `Taken` where another process was first, RequestError where that
    fails."""
    try:
        yield
    except FileExistsError:
        raise in_use(directory) from None
    except (OSError, ValueError) as error:  # ValueError: the path contains a zero byte
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"`out` {directory} cannot be made: {getattr(error, 'strerror', error)}") from None


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """`claim` a directory for the body. If an error or interruption comes before anything but `OPENING` is written, the
    directory is removed again, with the folders above it that were made for it."""
    new = [place for place in (directory, *directory.parents) if not place.exists()]
    claim(directory)

    def leave() -> None:
        if any(path.name not in OPENING for path in directory.iterdir()):
            return
        for name in OPENING:
            (directory / name).unlink(missing_ok=True)
        for place in new:
            place.rmdir()  # fails if another run is below it

    with undone(leave), locked(directory):
        try:
            yield
        except BaseException:
            with suppress(OSError):
                leave()
            raise


def vacant(directory: Path) -> None:
    """Raise `Taken` unless `directory` can become a run directory. Changes nothing."""
    if directory.is_file():
        raise Taken(f"`out` '{directory}' is a file: name a directory")
    held = {path.name for path in directory.iterdir()} if directory.is_dir() else set()  # at one moment
    if "config.json" in held:
        raise in_use(directory)
    if held:
        raise Taken(f"`out` '{directory}' is not empty: name another directory")


def in_use(directory: Path) -> Taken:
    """The error for a directory that another run has."""
    if journal_of(directory).is_file():  # steps that a robot took, which nothing brings back
        return Taken(f"`out` '{directory}' holds a session and the steps of its robot: name another directory")
    return Taken(f"`out` '{directory}' already holds a run: name another directory, or remove it first")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically. Raises ValueError for NaN, and as `write_text`."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Indented JSON, as in every file. Raises ValueError for NaN."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file atomically. Raises BrokenRun if the disk is full or fails, else RequestError if it cannot be
    written."""
    try:
        with whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritten(path, error) from None


def require_writable(path: Path, makes: bool = False) -> None:
    """Raise as `write_text` does where no file can be written at `path`, before what is to be written is made; `makes`:
    the folders above that are missing will be made."""
    if error := unwritable(path, makes):
        raise unwritten(path, error)


def unwritten(path: Path, error: OSError) -> RequestError | BrokenRun:
    """The error for a file that cannot be written: BrokenRun if the disk is full or fails, else RequestError."""
    place = error.filename.removesuffix(".part") if isinstance(error.filename, str) else path  # see `whole`
    return (BrokenRun if error.errno in FULL else RequestError)(f"{place} cannot be written: {error.strerror}")


def lines(rows: list[dict[str, Any]]) -> str:
    """The rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def append_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append rows as JSON lines: all of them or, if the process is ended, none."""
    with path.open("ab", buffering=0) as file:
        file.write(lines(rows).encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a run directory.

    Raises RequestError if the file is missing, is not a JSON object, has another schema, or lacks a key.
    """
    try:
        value = plain.parsed(plain.content(path))
    except (FileNotFoundError, NotADirectoryError):
        if (path.parent / ADOPTED).is_file():
            raise RequestError(
                f"{path.parent} holds a source agent that was made of a policy's file, and no run: a transfer takes it "
                f"by `source_run={str(path.parent)!r}`"
            ) from None
        if (path.parent / STUDY).is_file():
            raise RequestError(
                f"{path.parent} holds a study, and no run: 'transreward study report "
                f"{shlex.quote(str(path.parent))}' is about all of its runs, which lie in {path.parent / 'runs'}"
            ) from None
        raise RequestError(f"{path.parent} is not a run directory: it has no {path.name}") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RequestError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    require_schema(path, value)
    if damage := damaged(path.name, value):
        raise RequestError(f"{path.parent} cannot be read: its {path.name} {damage}")
    return value


def require_schema(path: Path, value: dict[str, Any]) -> None:
    """Raise RequestError if the file was written in another format (`schema`)."""
    schema = value.get("schema", SCHEMA)
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise RequestError(
            f"{path} has schema {schema!r}, and this version of transreward reads {SCHEMA}: install the version that "
            f"wrote it, or a newer one"
        )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; empty if there is no file.

    Lines that are incomplete, are not objects, or lack a key are left out with a warning. Raises RequestError if the
    file cannot be read.
    """
    try:
        lines = plain.content(path, plain.LINES).rstrip().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RequestError(f"{path} cannot be read: {error}") from None
    rows, wrong = [], []
    for number, line in enumerate(lines if lines != [b""] else (), 1):
        try:
            row = plain.parsed(line[: plain.TEXT])
            why = damaged(path.name, row) if isinstance(row, dict) else "is no JSON object"
        except ValueError:
            why = "was cut short" if number == len(lines) else "is no JSON object"
        if why:
            wrong.append(f"line {number} {why}")
        else:
            rows.append(row)
    if wrong:
        more = f", and so are {len(wrong) - 1} others" if len(wrong) > 1 else ""
        warnings.warn(f"{path}: {wrong[0]} and is left out{more}; {len(rows)} of {len(lines)} are read", stacklevel=2)
    return rows


def read_rows(place: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl. Warns as `read_lines` does, and if a finished run has none."""
    rows, done = read_lines(place / "metrics.jsonl"), place / "result.json"
    if not rows and done.exists() and (read_json(done).get("updates") or not (place / "metrics.jsonl").exists()):
        warnings.warn(f"{place} holds no metrics.jsonl with rows: it is read without its evaluations", stacklevel=2)
    return rows


def partner(k: int) -> str:
    """The folder, in a run directory of co-training, of the agent that learned in the k-th source."""
    return f"partner-{k + 1}" if k else "partner"


def controls(place: Path, config: dict[str, Any], files: Sequence[str]) -> list[Path]:
    """The run directories of the controls that have one of these files. Warns if a finished run lacks a control's."""
    found = sorted(p for p in (place / "controls").glob("*") if any((p / file).exists() for file in files))
    lost = [name for name in config.get("controls", ()) if name not in [p.name for p in found]]
    if lost and (place / "result.json").exists():
        warnings.warn(f"{place} holds no controls/{lost[0]}: it is read without {', '.join(lost)}", stacklevel=2)
    return found


def save_tree(path: Path, tree: Any) -> None:
    """Write a pytree of arrays to a safetensors file, each leaf under its path in the tree. Raises as `write_text`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    with whole(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # the umask's permissions; safetensors would let only the owner read
        try:
            save_file({jax.tree_util.keystr(k): np.asarray(leaf, order="C") for k, leaf in leaves}, partial)
        except SafetensorError as error:  # carries the text of an OSError
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from None
        partial.chmod(mode)


def load_arrays(path: Path, most: int = MOST) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, by their paths in the tree such as "['data']".

    Raises RequestError if the file is missing or damaged, or holds more than `most` bytes.
    """

    def fits(shapes: dict[str, tuple[int, ...]]) -> bool:
        size = sum(8 * prod(shape) for shape in shapes.values())
        if size > most:
            raise ValueError(f"it holds {size:,} bytes, and at most {most:,} are read")
        return True

    return _arrays(path, fits) or {}


def _arrays(path: Path, fits: Callable[[dict[str, tuple[int, ...]]], bool]) -> dict[str, np.ndarray] | None:
    try:
        return plain.arrays(path, fits)
    except FileNotFoundError:
        raise RequestError(f"{path.parent} has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is damaged: {error}") from None


def load_tree(path: Path, like: Any) -> Any:
    """A pytree with the structure, shapes and kinds of number of `like`. Raises RequestError if the file holds anything
    else."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {jax.tree_util.keystr(k): (np.shape(leaf), jax.numpy.result_type(leaf).kind) for k, leaf in leaves}
    stored = _arrays(path, lambda shapes: shapes == {name: shape for name, (shape, _) in wanted.items()})
    if stored is None or any(stored[name].dtype.kind != kind for name, (_, kind) in wanted.items()):
        raise RequestError(f"{path} was written with another robot, learner or number of seeds, or by another version")
    return jax.tree_util.tree_unflatten(structure, [jax.numpy.asarray(stored[name]) for name in wanted])


def confined(directory: Path) -> None:
    """Raise RequestError if anything in a run directory, before it is written to, is a link that leads out of it, or
    neither a file nor a directory."""
    for path in directory.rglob("*"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise RequestError(f"{path} is no file: remove it")
        if path.is_symlink() and not path.resolve().is_relative_to(directory.resolve()):
            raise RequestError(f"{path} leads out of the run directory: put the file itself there")


def shapes_of(part: Any, spaces: Spaces, keys: Any) -> Any:
    """Shapes and dtypes of the state of a learner or compensation, [seeds, ...], without computing it."""
    return jax.eval_shape(lambda k: jax.vmap(lambda one: part.init(one, spaces))(k), keys)
