"""What a file calls the columns of its observations and actions, kept as one more array beside the others: its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transreward import plain

NAMES = "column_names"  # of the array
PARTS = ("obs", "action")
SHOWN = 60  # characters of a name
Names = tuple[tuple[str, ...], tuple[str, ...]]  # of an observation's columns, and of an action's


def kept(obs: Sequence[str], action: Sequence[str]) -> dict[str, np.ndarray]:
    """The array, by its name; nothing where two columns have one name, or numbers stand for names."""
    if any(len(set(side)) < len(side) for side in (obs, action)) or list(obs) == [str(i) for i in range(len(obs))]:
        return {}
    text = json.dumps(dict(zip(PARTS, (list(obs), list(action)), strict=True)))
    return {NAMES: np.frombuffer(text.encode(), np.uint8)}


def told(arrays: Mapping[str, Any], obs: int, action: int) -> Names | None:
    """The names among arrays by name, of so many columns; None where there are none, or they are no such names."""
    x = np.asarray(arrays.get(NAMES, ()))
    if x.dtype != np.uint8 or x.ndim != 1 or x.size > plain.TEXT:
        return None
    try:
        said = plain.parsed(x.tobytes())
        sides = [[_shown(name) for name in said[part]] for part in PARTS]
    except (ValueError, TypeError, KeyError):
        return None
    if [len(side) for side in sides] != [obs, action] or any(len(set(side)) < len(side) for side in sides):
        return None
    return tuple(sides[0]), tuple(sides[1])


def _shown(name: Any) -> str:
    """A name that a stranger gave, without what a terminal would obey. Raises TypeError for one that is no text."""
    if not isinstance(name, str) or not name:
        raise TypeError
    return name[:SHOWN] if name.isprintable() else ascii(name[:SHOWN])[1:-1]
