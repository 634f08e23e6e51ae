"""Over several pairs: scores by hand, seeds drawn within pairs, every pair counts alike."""

from __future__ import annotations

import numpy as np
import pytest

from transreward.evaluation.across import improvement_across, iqm_across, normalised, profile


def test_scores_run_from_the_lowest_mean_to_the_highest():
    found = normalised({"a": np.array([0.0, 2.0]), "b": np.array([-3.0, -1.0]), "c": np.array([-1.0, 1.0])})
    assert found is not None
    assert {name: one.tolist() for name, one in found.items()} == {
        "a": [pytest.approx(2 / 3), pytest.approx(4 / 3)],
        "b": [pytest.approx(-1 / 3), pytest.approx(1 / 3)],
        "c": [pytest.approx(1 / 3), pytest.approx(1.0)],
    }
    assert normalised({"a": np.ones(3)}) is None and normalised({"a": np.ones(3), "b": np.ones(2)}) is None


def test_the_mean_of_the_middle_half_and_an_interval_that_mixes_no_pairs():
    """Two pairs without spread of their own: drawn within pairs the mean is always the same."""
    apart = {"p": np.zeros(4), "q": np.ones(4)}
    assert iqm_across(apart) == (0.5, [0.5, 0.5])
    assert iqm_across({"p": np.array([0.0, 0.0, 1.0, 9.0]), "q": np.array([1.0, 1.0, 1.0, 1.0])})[0] == 1.0
    assert iqm_across({"p": np.array([0.5])}) == (0.5, None)


def test_improvement_is_a_mean_over_the_pairs_that_both_have():
    one = {"p": np.array([1.0, 2.0]), "q": np.array([0.0, 0.0]), "r": np.array([9.0, 9.0])}
    over = {"p": np.array([0.0, 0.0]), "q": np.array([0.0, 1.0])}
    found = improvement_across(one, over)
    assert found is not None and found[0] == pytest.approx((1.0 + 0.25) / 2)
    assert found[1] is not None and found[1][0] <= found[0] <= found[1][1]
    assert improvement_across(one, {"s": np.ones(2)}) is None


def test_a_profile_counts_pairs_alike():
    levels, above = profile({"p": np.array([0.0]), "q": np.array([1.0, 2.0, 3.0, 4.0])})
    assert levels == [0, 1, 2, 3, 4] and above == pytest.approx([0.5, 0.375, 0.25, 0.125, 0])
