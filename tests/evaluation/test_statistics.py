"""How sure a return over seeds is, by the seeds and not by their episodes, and how sure one method's lead is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from transreward.evaluation.statistics import (
    bootstrap_interval,
    improvement,
    interval,
    iqm,
    probability_of_improvement,
    robust_summary,
    summary,
)


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_the_interval_is_the_one_of_a_t_test(seeds):
    means = np.random.default_rng(seeds).normal(1000, 50, seeds)
    theirs = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert interval(means) == pytest.approx([theirs.low, theirs.high])


def test_a_case_by_hand():
    """Means 1, 2, 3: spread 1, standard error 1 / sqrt(3), and t = 4.302653 with two degrees of freedom."""
    assert interval(np.array([1.0, 2.0, 3.0])) == pytest.approx([2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5])


def test_one_seed_has_no_interval():
    assert interval(np.array([5.0])) is None
    assert summary(np.array([[4.0, 6.0]])) == {"mean": 5.0, "ci95": None, "per_seed": [5.0], "episodes": 2}


def test_more_episodes_of_the_same_policies_do_not_narrow_it():
    returns = np.array([[1.0, 3.0], [4.0, 6.0]])
    once, often = summary(returns), summary(np.tile(returns, 50))
    assert once["ci95"] == often["ci95"]
    assert (once["episodes"], often["episodes"]) == (2, 100)
    assert (once["mean"], once["per_seed"]) == (3.5, [2.0, 5.0])


def test_a_summary_is_json():
    """Plain floats, no NumPy scalars."""
    found = summary(np.ones((3, 2), np.float32))
    assert [type(x) for x in (found["mean"], found["per_seed"][0], *(found["ci95"] or ()))] == [float] * 4


# -- between methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_seed", "by_hand"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 6.0], 3.0),  # a quarter of three is no whole seed: the plain mean
        ([100.0, 2.0, 4.0, -100.0], 3.0),
        ([1.0, 2.0, 3.0, 4.0, 90.0], 3.0),
        ([9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1000.0], 3.5),
    ],
)
def test_the_interquartile_mean_by_hand(per_seed, by_hand):
    assert iqm(np.array(per_seed)) == by_hand


@pytest.mark.parametrize("seeds", [4, 8, 12, 40])
def test_the_interquartile_mean_is_the_mean_of_the_middle_half(seeds):
    """Where a quarter is a whole number of seeds: by sorting, and by SciPy's mean within the quarters' bounds."""
    x = np.random.default_rng(seeds).normal(size=(3, seeds))
    quarter = seeds // 4
    assert iqm(x) == pytest.approx(np.sort(x)[:, quarter:-quarter].mean(axis=1))
    assert iqm(x[0]) == pytest.approx(stats.tmean(x[0], (np.sort(x[0])[quarter], np.sort(x[0])[-quarter - 1])))


def brute_force(x, y):
    return np.mean([(a > b) + (a == b) / 2 for a in x for b in y])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 3), (5, 8)])
def test_probability_of_improvement_counts_pairs(sizes, ties):
    rng = np.random.default_rng(sum(sizes))
    x, y = (rng.integers(0, 3, n).astype(float) if ties else rng.normal(size=n) for n in sizes)
    found = probability_of_improvement(x, y)
    assert found == pytest.approx(brute_force(x, y))
    assert found == pytest.approx(stats.mannwhitneyu(x, y, method="exact").statistic / (len(x) * len(y)))
    assert found + probability_of_improvement(y, x) == pytest.approx(1)


def test_probability_of_improvement_at_its_ends():
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])
    assert probability_of_improvement(high, low) == 1
    assert probability_of_improvement(low, high) == 0
    assert probability_of_improvement(low, low) == 0.5


def test_the_bootstrap_of_a_mean_is_the_known_one():
    """With many seeds it agrees with the normal approximation, and its draws are the same every time."""
    x = np.random.default_rng(0).normal(10, 2, 400)
    half = stats.norm.ppf(0.975) * x.std() / np.sqrt(len(x))
    found = bootstrap_interval(np.mean, x)
    assert found == pytest.approx([x.mean() - half, x.mean() + half], abs=0.02)
    assert found == bootstrap_interval(np.mean, x)


def test_the_bootstrap_covers_the_truth():
    """P(X > Y) of two normals one spread apart is the normal distribution at 1 / sqrt(2)."""
    truth, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        low, high = bootstrap_interval(probability_of_improvement, rng.normal(1, 1, 20), rng.normal(0, 1, 20)) or (1, 0)
        hits += low <= truth <= high
    assert hits >= 34  # of an exact interval 38 are expected


def test_the_bootstrap_draws_each_methods_seeds_apart():
    """Drawn as pairs, the difference of a sample and itself would not vary at all."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    low, high = bootstrap_interval(lambda a, b, axis: a.mean(axis) - b.mean(axis), x, x) or (0, 0)
    assert low < 0 < high


def test_three_seeds_have_a_narrow_bootstrap():
    """Why the table says to go by Student's t: here it is not half as wide."""
    x = np.array([1.0, 2.0, 3.0])
    boot, student = bootstrap_interval(iqm, x), interval(x)
    assert boot == [1.0, 3.0]
    assert student is not None and student[1] - student[0] > 2 * (boot[1] - boot[0])


def test_one_seed_has_no_bootstrap():
    one, three = np.array([[4.0, 6.0]]), np.array([[1.0], [2.0], [9.0]])
    assert robust_summary(one) == {**summary(one), "iqm": 5.0, "iqm_ci95": None}
    assert improvement(one, three) == {"probability": pytest.approx(2 / 3), "ci95": None}
    assert improvement(one, one) == {"probability": 0.5, "ci95": None}


def test_equal_returns_have_an_interval_of_no_width():
    same = np.ones((3, 2))
    assert robust_summary(same)["iqm_ci95"] == [1.0, 1.0]
    assert improvement(same, same) == {"probability": 0.5, "ci95": [0.5, 0.5]}


def test_what_comparison_json_holds_is_json():
    """Plain floats, no NumPy scalars."""
    returns = np.arange(6, dtype=np.float32).reshape(3, 2)
    mine, lead = robust_summary(returns), improvement(returns, returns + 1)
    numbers = (mine["iqm"], *(mine["iqm_ci95"] or ()), lead["probability"], *(lead["ci95"] or ()))
    assert [type(x) for x in numbers] == [float] * 6
