"""Confidence in a return over seeds, and in one method being better than another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
from scipy.special import stdtrit  # Student's t: `scipy.stats` takes half a second to import


class Summary(TypedDict):
    """A return as result.json holds it."""

    mean: float
    ci95: list[float] | None  # [low, high], or None with one seed
    per_seed: list[float]
    episodes: int


class RobustSummary(Summary):
    """A return as comparison.json holds it."""

    iqm: float
    iqm_ci95: list[float] | None  # of the bootstrap


class Difference(TypedDict):
    """Mean return of one method minus that of another, with its interval."""

    mean: float
    interval: list[float] | None  # [low, high], or None where a method has one seed
    level: float  # confidence of the interval
    paired: bool  # seed by seed


class Improvement(TypedDict):
    """Probability of improvement of one method over another."""

    probability: float
    ci95: list[float] | None  # of the bootstrap


def summary(returns: np.ndarray) -> Summary:
    """Mean and 95% interval over seeds of returns [seeds, episodes].

    The interval is Student's t on the seeds' means: seeds are the independent units, episodes of one policy are not,
    and with few seeds a bootstrap of them is far too narrow.
    """
    per_seed = returns.mean(axis=1)
    return Summary(
        mean=float(per_seed.mean()), ci95=interval(per_seed), per_seed=per_seed.tolist(), episodes=returns.shape[1]
    )


def known(returns: np.ndarray) -> Summary | None:
    """`summary`, or None if nothing was evaluated."""
    return summary(returns) if returns.size else None


def interval(per_seed: np.ndarray) -> list[float] | None:
    """Student's t 95% interval of the mean of [seeds]; None with one seed."""
    if len(per_seed) < 2:
        return None
    half = float(stdtrit(len(per_seed) - 1, 0.975) * per_seed.std(ddof=1) / np.sqrt(len(per_seed)))
    return [float(per_seed.mean()) - half, float(per_seed.mean()) + half]


# -- between methods -----------------------------------------------------------------------------------------------
# As Agarwal et al. 2021 (arXiv:2108.13264) ask for, with one run's score = the mean return of one seed.


def robust_summary(returns: np.ndarray) -> RobustSummary:
    """`summary` of returns [seeds, episodes], and their interquartile mean with its bootstrap interval."""
    per_seed = returns.mean(axis=1)
    return RobustSummary(**summary(returns), iqm=float(iqm(per_seed)), iqm_ci95=bootstrap_interval(iqm, per_seed))


def improvement(returns: np.ndarray, over: np.ndarray) -> Improvement:
    """Probability that a seed of `returns` beats a seed of `over`; both [seeds, episodes]."""
    samples = returns.mean(axis=1), over.mean(axis=1)
    found = float(probability_of_improvement(*samples))
    return Improvement(probability=found, ci95=bootstrap_interval(probability_of_improvement, *samples))


def difference(per_seed: np.ndarray, over: np.ndarray, paired: bool = False, level: float = 0.95) -> Difference:
    """Mean of [n] less mean of [m], with Student's t interval of it.

    `paired`: entries i of both share a source agent, so the interval is that of their n = m differences. Otherwise it
    is Welch's, which assumes neither equal variances nor equal numbers (Welch 1947). `level` is the interval's
    confidence; see `joint`.
    """
    x, y = np.asarray(per_seed, float), np.asarray(over, float)
    mean = float(x.mean() - y.mean())
    if min(len(x), len(y)) < 2:
        return Difference(mean=mean, interval=None, level=level, paired=paired)
    if paired:
        apart = x - y
        error, freedom = apart.std(ddof=1) / np.sqrt(len(apart)), len(apart) - 1.0
    else:
        parts = np.array([x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)])
        error = np.sqrt(parts.sum())
        shares = parts / parts.sum() if error else np.array([1.0, 0.0])  # without variance the width is 0 anyway
        freedom = 1 / (shares**2 / (np.array([len(x), len(y)]) - 1)).sum()
    half = float(stdtrit(freedom, 0.5 + level / 2) * error)
    return Difference(mean=mean, interval=[mean - half, mean + half], level=level, paired=paired)


def joint(n: int) -> float:
    """The confidence level of each of n intervals at which all hold jointly with 95% (Bonferroni)."""
    return 1 - 0.05 / max(n, 1)


def iqm(per_seed: np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean: without the lowest and the highest quarter, rounded down to whole seeds.

    From four seeds on, a single outlier does not move it; with fewer it is the plain mean.
    """
    from scipy import stats

    return np.asarray(stats.trim_mean(per_seed, 0.25, axis))


def probability_of_improvement(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """P(X > Y) + P(X = Y) / 2: the share of all pairs of seeds of [..., n] and [..., m] that X wins.

    It is Mann and Whitney's U over n m. It says how often X is better, not by how much.
    """
    x, y = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    return np.heaviside(x[..., :, None] - y[..., None, :], 0.5).mean(axis=(-2, -1))


def bootstrap_interval(statistic: Callable[..., np.ndarray], *samples: np.ndarray) -> list[float] | None:
    """Percentile bootstrap 95% interval of a statistic of samples [seeds]; None where one has a single seed.

    Each method's seeds are resampled separately (stratified). The draws are the same in every call, so that the same
    returns have the same interval. With few seeds it is too narrow, since it never leaves the observed range.
    """
    from scipy import stats

    if min(len(sample) for sample in samples) < 2:
        return None
    found = stats.bootstrap(
        samples, statistic, n_resamples=9_999, batch=1_000, vectorized=True, axis=-1, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return [float(found.low), float(found.high)]
