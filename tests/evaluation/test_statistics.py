"""How sure a mean over seeds is: Student's t over the seeds, not over their episodes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from transreward.evaluation.statistics import interval, summary


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
