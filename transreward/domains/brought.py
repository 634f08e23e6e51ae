"""Bridges that a user brings: a file, or a function of a module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from transreward.bridges.bridge import Side
from transreward.bridges.given import ACTIONS, BACK, EXAMPLE, OBSERVATIONS, Given
from transreward.bridges.learned import LEARNED, Learned
from transreward.bridges.linear import Linear
from transreward.domains.domain import control_rate
from transreward.domains.logs import read
from transreward.domains.logs.log import require_rate
from transreward.domains.users import import_modules, located, named, numbers, unpacked
from transreward.plain import read_mapping
from transreward.types import RequestError, Transition

WALKERS, WALKED = 20, 20_000  # robots, and their steps in sum, of the source beside a log
FILE = re.compile(r"[\w./-]+\.(yaml|yml|json)")
FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def brought(how: str) -> Given | Learned | None:
    """The bridge that is a file, or `package.module:function`, or learned from a log, `learned(steps.npz)`; None for a
    word, which is a row's name.

    Raises RequestError if there is no such file or function, and for a text that can be neither.
    """
    if FILE.fullmatch(how):
        told = read_mapping(located(how), EXAMPLE)
        return Given(how, lambda own, other: told)
    if found := re.fullmatch(rf"{LEARNED}\(([\w./-]+)\)", how):
        place = located(found[1])
        return learned(how, found[1], place.stat().st_mtime_ns if place.exists() else 0)
    if found := FUNCTION.fullmatch(how):
        import_modules(found[1])
        function = named(found[1], found[2], "bridge")
        return Given(how, lambda own, other: copied(how, function(own, other), own, other))
    if re.search(r"\W", how):
        raise RequestError(
            f"'{how}' is no bridge: name one, or a file that ends in .yaml, .yml or .json (its path may have letters, "
            f"digits and . / _ -), or package.module:function"
        )
    return None


@lru_cache(maxsize=4)
def learned(how: str, file: str, written: int) -> Learned:
    """The bridge that is learned from a log, once for each time that it was written."""
    return Learned(how, lambda own, other: taken(file, own, other))


def taken(file: str, own: Side, other: Side) -> tuple[Transition, Transition]:
    """Steps of both robots: of the one by random actions, of the other those of a log."""
    log, sizes = read(file), (other.spaces.obs, other.spaces.action)
    if (width := (log.obs.shape[1], log.action.shape[1])) != sizes:
        raise RequestError(
            f"{file} has steps of {width[0]} observations and {width[1]} actions, and {other.name} has {sizes[0]} and "
            f"{sizes[1]}: give a log of that robot"
        )
    require_rate(log, f"'{other.name}'", control_rate(other.domain))  # type: ignore[attr-defined]
    return walked(own), log.transition


def walked(own: Side) -> Transition:
    """Steps [n] of the source by random actions."""
    walk, rng = own.domain.simulate(WALKERS, 0, 1), np.random.default_rng(0)  # type: ignore[attr-defined]
    low, high = own.spaces.low, own.spaces.high
    steps = [walk.step(rng.uniform(low, high, (WALKERS, own.spaces.action))) for _ in range(WALKED // WALKERS)]
    return Transition(*(np.concatenate(part) for part in zip(*steps, strict=True)))


def copied(how: str, told: Any, own: Side, other: Side) -> Mapping[str, Any]:
    """What a user's function told, with its matrices as maps of copies of the sizes that they must have."""
    if not isinstance(told, Mapping):
        raise RequestError(f"{how} must return a mapping such as {EXAMPLE}, not a {type(told).__name__}")
    found, ends = _maps(how, told, own, other), told.get(BACK)
    return {**found, BACK: _maps(f"{how}, {BACK},", ends, other, own)} if isinstance(ends, Mapping) else found


def _maps(how: str, told: Mapping[str, Any], of: Side, to: Side) -> dict[str, Any]:
    sizes = {OBSERVATIONS: (to.spaces.obs, of.spaces.obs), ACTIONS: (to.spaces.action, of.spaces.action)}
    found = dict(told)
    for key, size in sizes.items():
        if isinstance(found.get(key), tuple):
            both = unpacked(f"{how}, {key},", found[key], ("matrix", "offset"))
            what = (f"the {word} of {key} that {how} returns" for word in ("matrix", "offset"))
            found[key] = Linear(*(finite(w, x, n) for w, x, n in zip(what, both, (size, size[:1]), strict=True)))
    return found


def finite(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`numbers`, all of them finite. Raises RequestError otherwise."""
    found = numbers(what, value, shape)
    if not np.isfinite(found).all():
        raise RequestError(f"{what} must be finite, not {found[~np.isfinite(found)][0]}")
    return found
