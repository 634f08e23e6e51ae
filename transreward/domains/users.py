"""A user's own code: finding it by `package.module:name`, and checking what it returns."""

from __future__ import annotations

import importlib
import os
import re
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from transreward.types import RequestError, nearest

_BEGUN_IN: ContextVar[str | None] = ContextVar("begun_in", default=None)
INSTALLED = tuple(  # folders of code that is not the user's
    os.path.join(place, "")
    for place in (
        Path(__file__).parents[1],
        *site.getsitepackages(),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)


@contextmanager
def begun_in(directory: str | None) -> Iterator[None]:
    """A request that was made in that directory: what `located` and imports do not find here is looked for there."""
    before = _BEGUN_IN.set(directory)
    try:
        yield
    finally:
        _BEGUN_IN.reset(before)


def made_in() -> str:
    """The directory in which the request was made."""
    return _BEGUN_IN.get() or os.getcwd()


def located(text: str) -> Path:
    """A user's file or folder, relative to the current directory or to the one in which the request was made."""
    path, begun = Path(text).expanduser(), _BEGUN_IN.get()
    if begun is None or os.path.exists(path):  # which takes a path that is too long, too
        return path
    return Path(begun) / path


def look_beside_user() -> None:
    """Let imports find modules in the current directory, then in the one in which the request was made."""
    for place in (made_in(), os.getcwd()):
        if place not in sys.path:
            sys.path.insert(0, place)


def import_modules(names: Sequence[str] | str) -> tuple[str, ...]:
    """Import a user's modules, which add rows (robots, gaps, methods, learners) to the tables. Returns their names.

    Raises:
        RequestError: a name is not a module's, or its module is missing or fails.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    look_beside_user()
    for name in names:
        if not re.fullmatch(r"\w+(\.\w+)*", str(name)) or str(name).endswith(".py"):
            raise RequestError(f"cannot import {name!r}: name a module as Python does, such as lab or package.lab")
        require_not_python(str(name))
        try:
            importlib.import_module(str(name))
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise RequestError(f"the module {name} cannot be imported: {in_one_line(error)}") from error
            where = "start where it lies, or put that folder on PYTHONPATH"
            raise RequestError(f"there is no module {error.name} to import: {where}") from error
        except (Exception, SystemExit) as error:  # a module may raise anything
            raise RequestError(f"the module {name} cannot be imported: {in_one_line(error)}") from error
    return names


def require_not_python(module: str) -> None:
    """Raise RequestError for a module of the standard library: it has no domains, and a config file that names one,
    such as `os:abort`, was not written by a run."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise RequestError(f"cannot import {module}: it is Python's own, and has no robots or rows")


def no_such(module: Any, name: str, kind: str) -> RequestError:
    """The error for a name that a module or class does not have; it suggests the nearest of its callables."""
    return nearest(name, [key for key, value in vars(module).items() if callable(value) and key[0] != "_"], kind)


def named(module: str, path: str, kind: str) -> Any:
    """The object at `path` (`name` or `Class.name`) in a module. Errors in importing it are passed on.

    Raises RequestError if it does not have that name.
    """
    require_not_python(module)
    found = importlib.import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise no_such(found, name, f"{kind} of {module}")
        found = getattr(found, name)
    return found


def numbers(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """What a user's code returned, as a float64 copy, since the code may reuse its arrays.

    Nothing is broadcast; `shape` () accepts any array of one number.

    Raises:
        RequestError: it is not numeric, is masked, or has another shape.
    """
    wanted = f"numbers of shape {shape}" if shape else "one number"
    if np.ma.is_masked(value):
        raise RequestError(f"{what} must be {wanted}, not masked: {np.ma.count_masked(value)} are hidden")
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # rows of unequal length, or an array of a device
        raise RequestError(f"{what} must be {wanted}, not a {type(value).__name__}") from None
    if shape == () and found.size == 1:
        found = found.reshape(())
    if found.dtype.kind not in "biuf":
        seen = f"a {type(value).__name__} of {found.dtype.name}" if found.shape else str(value)
        raise RequestError(f"{what} must be {wanted}, not {seen}")
    if found.shape != shape:
        raise RequestError(f"{what} must be {wanted}, not of shape {found.shape}")
    return np.array(found, float)


def whole(what: str, value: Any) -> int:
    """`value` as an int. Raises RequestError unless it is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise RequestError(f"{what} is a whole number above 0, not {value!r}")
    return int(value)


def truths(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`numbers` as bool. Raises RequestError for anything but true, false, 0 and 1."""
    try:
        found = numbers(what, value, shape)
    except RequestError:
        if shape:
            raise
        raise RequestError(f"{what} must be true or false, or 0 or 1, not {str(value)[:80]}") from None
    if not ((found == 0) | (found == 1)).all():
        raise RequestError(f"{what} must be true or false, or 0 or 1, not {found[(found != 0) & (found != 1)][0]:g}")
    return found.astype(bool)


def unpacked(what: str, found: Any, wanted: tuple[str, ...]) -> tuple[Any, ...]:
    """The tuple that a user's code returned. Raises RequestError unless it is one of as many values as `wanted`."""
    if isinstance(found, tuple) and len(found) == len(wanted):
        return found
    seen = f"{len(found)} values" if isinstance(found, tuple) else f"a {type(found).__name__}"
    shape = f" of shape {found.shape}" if isinstance(found, np.ndarray) else ""
    raise RequestError(f"{what} must return ({', '.join(wanted)}), not {seen}{shape}")


def read_only(x: Any) -> np.ndarray:
    """A read-only view of an array, to hand to a user's code."""
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def in_one_line(error: BaseException) -> str:
    """An error as one line, with file and line of the innermost frame outside of installed packages."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    raised: BaseException | None = error
    where = ""
    while raised is not None:
        lines = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(raised.__traceback__)]
        theirs = [(file, number) for file, number in lines if os.path.isfile(file) and not file.startswith(INSTALLED)]
        if theirs:
            file, number = theirs[-1]
            where = f" ({file.removeprefix(os.path.join(os.getcwd(), ''))}, line {number})"
        raised = None if theirs[-1:] == lines[-1:] else raised.__cause__  # a library may have wrapped the error
    return said + where
