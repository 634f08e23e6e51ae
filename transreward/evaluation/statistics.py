"""How sure a mean over seeds is."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from scipy import stats


class Summary(TypedDict):
    """A return as result.json holds it."""

    mean: float
    ci95: list[float] | None  # [low, high], or None with one seed
    per_seed: list[float]
    episodes: int


def summary(returns: np.ndarray) -> Summary:
    """Mean and 95% interval over seeds of returns [seeds, episodes].

    The interval is Student's t on the seeds' means: seeds are the independent units, episodes of one policy are not,
    and with few seeds a bootstrap of them is far too narrow.
    """
    per_seed = returns.mean(axis=1)
    return Summary(
        mean=float(per_seed.mean()), ci95=interval(per_seed), per_seed=per_seed.tolist(), episodes=returns.shape[1]
    )


def interval(per_seed: np.ndarray) -> list[float] | None:
    """Student's t 95% interval of the mean of [seeds]; None with one seed."""
    if len(per_seed) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(per_seed) - 1) * per_seed.std(ddof=1) / np.sqrt(len(per_seed)))
    return [float(per_seed.mean()) - half, float(per_seed.mean()) + half]
