"""A user's own code: found by the name `package.module:thing`, and what it returns taken as numbers of one shape."""

from __future__ import annotations

import importlib
import os
import re
import site
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.types import RequestError, nearest

INSTALLED = tuple(  # where code lies that is not the user's
    os.path.join(place, "")
    for place in (
        Path(__file__).parents[1],
        *site.getsitepackages(),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)


def look_beside_user() -> None:
    """Let imports find what lies in the folder that the user is in."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def import_modules(names: Sequence[str] | str) -> tuple[str, ...]:
    """Import a user's modules, so that the tables have the rows (robots, gaps, methods, learners) that they add.

    Raises RequestError for a name that is no module's, and for a module that cannot be imported.
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
    """Raise RequestError for a module of Python's own: it has nothing of ours, and a file that names one, as it might
    `os:abort`, is none of a run's."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise RequestError(f"cannot import {module}: it is Python's own, and has no robots or rows")


def no_such(module: Any, name: str, kind: str) -> RequestError:
    """The error for a name that an imported module or class does not have, with its callables that come nearest."""
    return nearest(name, [key for key, value in vars(module).items() if callable(value) and key[0] != "_"], kind)


def named(module: str, path: str, kind: str) -> Any:
    """What a module has under `name` or `Class.name`. Whatever importing it raises is passed on.

    Raises RequestError for a name that it does not have.
    """
    require_not_python(module)
    found = importlib.import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise no_such(found, name, f"{kind} of {module}")
        found = getattr(found, name)
    return found


def numbers(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """What a user's code returned, as float64 in memory of its own: the code may use its arrays again.

    Nothing is broadcast; for `shape` () any array of one number is taken.

    Raises:
        RequestError: no numbers, or another shape.
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
    """A whole number above 0. Raises RequestError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise RequestError(f"{what} is a whole number above 0, not {value!r}")
    return int(value)


def truths(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The same as bool, of what is true or false, 0 or 1."""
    found = numbers(what, value, shape)
    if not ((found == 0) | (found == 1)).all():
        raise RequestError(f"{what} must be true or false, or 0 or 1, not {found[(found != 0) & (found != 1)][0]:g}")
    return found.astype(bool)


def unpacked(what: str, found: Any, wanted: tuple[str, ...]) -> tuple[Any, ...]:
    """A tuple that a user's code returned. Raises RequestError for anything but one value of each that is wanted."""
    if isinstance(found, tuple) and len(found) == len(wanted):
        return found
    seen = f"{len(found)} values" if isinstance(found, tuple) else f"a {type(found).__name__}"
    shape = f" of shape {found.shape}" if isinstance(found, np.ndarray) else ""
    raise RequestError(f"{what} must return ({', '.join(wanted)}), not {seen}{shape}")


def read_only(x: Any) -> np.ndarray:
    """The same array for a user's code, which cannot write into it."""
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def in_one_line(error: BaseException) -> str:
    """What a user's code raised, and the line of it that did: the innermost one outside of installed packages."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    raised: BaseException | None = error
    where = ""
    while raised is not None:
        lines = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(raised.__traceback__)]
        theirs = [(file, number) for file, number in lines if os.path.isfile(file) and not file.startswith(INSTALLED)]
        if theirs:
            file, number = theirs[-1]
            where = f" ({file.removeprefix(os.path.join(os.getcwd(), ''))}, line {number})"
        raised = None if theirs[-1:] == lines[-1:] else raised.__cause__  # a library may have raised it anew
    return said + where
