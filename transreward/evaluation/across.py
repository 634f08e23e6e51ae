"""Methods compared over several pairs: scores that can be averaged, and what is known of them.

As Agarwal et al. 2021 (arXiv:2108.13264): a run is a seed on a pair, and the bootstrap draws seeds within each pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from transreward.evaluation.statistics import bootstrap_interval, iqm, probability_of_improvement

Scores = Mapping[str, np.ndarray]  # by pair, each [seeds]


def normalised(returns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The raw returns of the methods on one pair, each [seeds], on a scale on which the lowest of their means is 0 and
    the highest is 1; single seeds may lie outside. None where these are equal, or there is one method alone."""
    means = [float(per_seed.mean()) for per_seed in returns.values()]
    if len(means) < 2 or max(means) <= min(means):
        return None
    return {name: (per_seed - min(means)) / (max(means) - min(means)) for name, per_seed in returns.items()}


def iqm_across(scores: Scores) -> tuple[float, list[float] | None]:
    """Interquartile mean over all runs, and its 95% interval (None where a pair has one seed)."""
    samples = list(scores.values())
    return float(_iqm(*samples)), bootstrap_interval(_iqm, *samples)


def _iqm(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
    return iqm(np.concatenate(samples, axis=axis), axis)


def improvement_across(one: Scores, over: Scores, interval: bool = True) -> tuple[float, list[float] | None] | None:
    """The probability that a run of the one beats a run of the other on the same pair, as a mean over the pairs that
    both have, and its 95% interval. None where they share no pair."""
    pairs = [pair for pair in one if pair in over]
    if not pairs:
        return None
    samples = [one[pair] for pair in pairs] + [over[pair] for pair in pairs]
    return float(_improvement(*samples)), bootstrap_interval(_improvement, *samples) if interval else None


def _improvement(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
    half = len(samples) // 2
    found = [probability_of_improvement(x, y, axis) for x, y in zip(samples[:half], samples[half:], strict=True)]
    return np.mean(found, axis=0)


def profile(scores: Scores) -> tuple[list[float], list[float]]:
    """Levels [n], ascending, and the share of runs above each of them; every pair counts alike."""
    levels = np.concatenate(list(scores.values()))
    weights = np.concatenate([np.full(len(one), 1 / len(one) / len(scores)) for one in scores.values()])
    order = np.argsort(levels)
    return levels[order].tolist(), np.clip(1 - np.cumsum(weights[order]), 0, 1).tolist()


def mean_across(scores: Sequence[np.ndarray]) -> float:
    """The mean over pairs of the means over seeds."""
    return float(np.mean([one.mean() for one in scores]))
