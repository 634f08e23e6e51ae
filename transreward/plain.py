"""Reading files that a stranger may have written: bounded before anything is allocated, and nothing but plain data."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from transreward.types import RequestError

TEXT = 16 * 2**20  # bytes of a JSON or YAML file, and of a line of one
LINES = 256 * 2**20  # bytes of a file of lines
DEEP = 32  # levels of what such a file holds
MANY = 1_000_000  # values in it, those behind YAML's aliases counted each time
ALIASES = 100  # in a YAML file
LARGEST = 2**63  # what a whole number stays below
DIGITS = 50  # of a number
EXPONENT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$")  # a number as YAML 1.2 and JSON have it
# Control characters, which would act on a terminal, and halves of what UTF-8 writes whole.
NOT_SHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def content(path: Path, most: int = TEXT) -> bytes:
    """What a file holds. Raises OSError, and ValueError for what is no file, or larger than `most` bytes."""
    with opened(path) as (file, size):
        if size > most:
            raise ValueError(f"it has {size:,} bytes, and at most {most:,} are read")
        return file.read(most)


def tail(path: Path, most: int = 65_536) -> bytes:
    """The last bytes of a file, in which its last lines are looked for. Raises OSError, and ValueError for no file."""
    with opened(path) as (file, size):
        file.seek(max(size - most, 0))
        return file.read(most)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A file to read, and its bytes. Raises OSError, and ValueError for what is no file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # a pipe is not waited for
        about = os.fstat(file.fileno())
        if stat.S_ISDIR(about.st_mode):
            raise ValueError("it is a directory")
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no file")
        yield file, about.st_size


def read_mapping(path: Path, example: str) -> dict[str, Any]:
    """The mapping in a JSON or YAML file. Raises RequestError, with the example, if the file holds none."""
    text = _read(path)
    if not isinstance(text, dict):
        raise RequestError(f"{path} must hold a mapping such as {example}")
    return {str(key): value for key, value in text.items()}


def _read(path: Path) -> Any:
    try:
        text = content(path).decode()
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"cannot read {path}: it is not text") from None
    except ValueError as error:
        raise RequestError(f"cannot read {path}: {error}") from None
    try:
        return parsed(text) if path.suffix == ".json" else parsed_yaml(text)
    except ValueError as error:
        raise RequestError(f"{path} does not parse: {' '.join(str(error).split())}") from None


def parsed(text: str | bytes, largest: int = LARGEST, most: int = MANY) -> Any:
    """JSON as plain data, see `require_plain`; whole numbers stay below `largest`. Raises ValueError for all else."""

    def whole(digits: str) -> int:
        return _within(int(digits) if len(digits) <= DIGITS else largest, largest)

    try:
        value = json.loads(text, parse_int=whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEP} levels deep") from None
    require_plain(value, largest, most)
    return value


def parsed_yaml(text: str) -> Any:
    """YAML as plain data, see `require_plain`. Raises ValueError for all else."""
    import yaml

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: Any) -> None:  # where merged mappings would double from line to line
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
            if twice := next((key for key in keys if keys.count(key) > 1), None):
                raise ValueError(f"it has the key '{twice}' twice in one mapping")
            super().flatten_mapping(node)
            if len(node.value) > MANY // ALIASES:
                raise ValueError("its mappings merge into too many keys")

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))  # else 1e-3 is a text
    try:
        depth = aliases = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            aliases += isinstance(event, yaml.AliasEvent)
            if depth > DEEP:
                raise ValueError(f"it is nested more than {DEEP} levels deep")
            if aliases > ALIASES:
                raise ValueError(f"it has more than {ALIASES} aliases")
        value = yaml.load(text, Loader=Loader)
    except Exception as error:  # PyYAML raises many kinds
        raise ValueError(" ".join(str(error).split())) from None
    require_plain(value)
    return value


def require_plain(value: Any, largest: int = LARGEST, most: int = MANY) -> None:
    """Raise ValueError for what is not plain data: mappings with keys of text, lists, finite numbers, text that can be
    shown; not too deep, and not too much of it."""
    left = [most]

    def look(x: Any, depth: int) -> None:
        left[0] -= 1
        if depth > DEEP:
            raise ValueError(f"it is nested more than {DEEP} levels deep")
        if left[0] < 0:
            raise ValueError(f"it holds more than {most:,} values")
        if isinstance(x, dict):
            for key, inside in x.items():
                look(key, depth)
                look(inside, depth + 1)
        elif isinstance(x, list):
            for inside in x:
                look(inside, depth + 1)
        elif isinstance(x, str):
            if NOT_SHOWN.search(x):
                raise ValueError(f"it holds text that cannot be shown: {x[:40]!a}")
        elif isinstance(x, bool) or x is None:
            pass
        elif isinstance(x, int):
            _within(x, largest)
        elif not isinstance(x, float):
            raise ValueError(f"it holds a {type(x).__name__}")
        elif not isfinite(x):
            raise ValueError(f"{x} is no number")

    look(value, 0)


def shown(text: str) -> str:
    """The text, with what cannot be shown as its number."""
    return NOT_SHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def arrays(path: Path, fits: Callable[[dict[str, tuple[int, ...]]], bool]) -> dict[str, np.ndarray] | None:
    """The arrays of a safetensors file, by name, where `fits` says of their shapes that they are wanted: nothing is
    allocated before. None where it does not.

    Raises OSError, and ValueError for what is no such file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is no file")
    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if not fits(shapes):
                return None
            found = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, TypeError, KeyError, MemoryError) as error:
        raise ValueError(str(error) or "there is no memory for it") from None
    if strange := [name for name, x in found.items() if x.dtype.kind not in "biuf" or x.dtype.isbuiltin != 1]:
        raise ValueError(f"{strange[0][:40]!r} holds numbers that NumPy does not have")
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueError(f"{digits[:DIGITS]} is no number")
    return value


def _within(value: int, largest: int) -> int:
    if not -largest < value < largest:
        raise ValueError("it holds a whole number that is too large")
    return value
