"""How fast the steps of a log were taken, and where some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from transreward.types import RequestError

RATE = "rate"  # the name of an array of one number, or a key of the file beside a log: control steps a second
MOST = 1e9  # Hz
LATE = 1.5  # of the usual time between two steps: after more than that, steps are missing
APART = 0.05  # two rates that differ by a larger share are not the same: clocks drift, and loops run a little late
DIGITS = 4  # of a rate that is told from times


def required(rate: Any) -> float:
    """A rate that somebody says. Raises RequestError for what is none."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < MOST:
        raise RequestError(f"rate must be control steps a second, not {rate!r}")
    return float(rate)


def said(arrays: Mapping[str, Any]) -> float | None:
    """The rate among arrays by name: an array of one number. Another array of that name is something else."""
    x = np.asarray(arrays[RATE]) if RATE in arrays else np.zeros(0)
    return required(float(x.reshape(()))) if x.size == 1 and x.dtype.kind in "iuf" else None


def usual(found: Iterable[np.ndarray], rate: float | None) -> float:
    """The usual seconds between two steps, by those `found` between rows, or by the rate that is said; infinite where
    neither is known.

    Raises:
        RequestError: they contradict one another.
    """
    apart = np.concatenate([*found, np.zeros(0)])
    apart = apart[apart > 0]  # where time begins anew, an episode does
    if not apart.size:
        return np.inf if rate is None else 1 / rate
    middle = float(np.median(apart))
    if rate is not None and differ(1 / middle, rate):
        raise RequestError(f"its times are {middle:.4g} s apart, and its rate is said to be {rate:g} Hz (times are in "
                           f"s): correct one of them")  # fmt: skip
    return middle


def missing(time: np.ndarray, ended: np.ndarray, told: np.ndarray, usual: float) -> np.ndarray:
    """How many seconds are missing behind each step, [n]; 0 where the next came in time, and where an episode is `told`
    to have ended. `ended`: it is over, be it because the next row does not go on from where the step led.

    Raises:
        RequestError: time runs backwards within an episode.
    """
    apart, within, late = np.diff(time), ~ended[:-1], np.diff(time) > LATE * usual
    if (within & (apart <= 0)).any():
        at = int(np.flatnonzero(within & (apart <= 0))[0])
        raise RequestError(f"its time does not go on from row {at} to the next: sort the rows, or say their episode")
    return np.append(np.where(late & ~told[:-1], apart - usual, 0.0), 0.0)


def rate_of(time: np.ndarray, episode: np.ndarray) -> float | None:
    """Control steps a second, by the times of steps within episodes, which have no gaps; None without two in a row."""
    apart = spacing(time, episode)
    return float(f"{1 / apart.mean():.{DIGITS}g}") if apart.size else None


def spacing(time: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """Seconds between two steps of an episode that follow one another."""
    return np.diff(time)[np.diff(episode) == 0]


def differ(a: float, b: float) -> bool:
    """Whether two rates are not the same."""
    return abs(a - b) > APART * min(a, b)
