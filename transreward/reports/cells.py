"""Cells of a page's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transreward.evaluation.statistics import bootstrap_interval, interval, probability_of_improvement
from transreward.evaluation.verdict import ENOUGH, Outcome, number


class Cell(NamedTuple):
    """What is shown, and what it is sorted by."""

    text: str
    value: float | str = ""
    note: str = ""
    tone: str = ""


def counted(n: int | None) -> str:
    """`-` where nobody counted."""
    return "-" if n is None else f"{n:,}"


def fixed(x: float, digits: int = 2) -> str:
    """With so many decimals, a true minus sign as everywhere, and no minus zero."""
    return f"{round(x, digits) + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def mean(per_seed: Sequence[float] | np.ndarray) -> str:
    """Mean and half-width of its 95% interval."""
    if not len(per_seed):
        return "not evaluated"
    bounds, middle = interval(np.array(per_seed)), float(np.mean(per_seed))
    return number(middle) + (f" ± {number(bounds[1] - middle)}" if bounds else "")


def chance(one: Outcome, other: Outcome) -> tuple[str, str]:
    """P(one > other), and its bootstrap interval in brackets where there are seeds enough: of few it is far too narrow,
    and 1.00 to 1.00 where all pairs agree."""
    samples = one.per_seed, other.per_seed
    enough = min(map(len, samples)) >= ENOUGH
    bounds = bootstrap_interval(probability_of_improvement, *samples) if enough else None
    text = f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""
    return f"{float(probability_of_improvement(*samples)):.2f}", text
