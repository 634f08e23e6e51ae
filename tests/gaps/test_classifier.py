"""The classifier's score against the closed form on linear-Gaussian dynamics."""

from functools import lru_cache

import jax
import numpy as np
import pytest
from contract import counts_the_action_as_executed, fit
from linear_gaussian import SOURCE, SPACES, TARGET, log_ratio, steps

from transreward.gaps.classifier import Classifier
from transreward.types import Pair


@lru_cache
def trained(effects, marginals):
    """A classifier on fresh batches, so that there is nothing to memorise."""
    gap = Classifier(noise=0.0, weight_decay=0.0, batch=512)
    data = Pair(*(steps(i, 200_000, e, m) for i, (e, m) in enumerate(zip(effects, marginals, strict=True))))
    return gap, fit(gap, data, 3000)


@pytest.mark.slow
def test_score_is_the_log_ratio_of_the_dynamics_with_unequal_marginals():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    for mean, effect in ((-0.4, SOURCE), (0.4, TARGET), (0.0, SOURCE)):
        t = steps(5, 4000, effect, mean)
        score, exact = np.asarray(gap.score(state, t)), log_ratio(t)
        assert np.corrcoef(score, exact)[0, 1] > 0.9
        assert abs((score - exact).mean()) < 0.1


@pytest.mark.slow
def test_swapping_the_domains_turns_the_sign():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    _, swapped = trained((TARGET, SOURCE), (0.4, -0.4))
    t = steps(6, 4000, SOURCE)
    there, back = np.asarray(gap.score(state, t)), np.asarray(gap.score(swapped, t))
    assert np.corrcoef(there, -back)[0, 1] > 0.95
    assert abs((there + back).mean()) < 0.1


@pytest.mark.slow
def test_identical_domains_score_about_zero_whatever_the_policies_visit():
    gap, state = trained((SOURCE, SOURCE), (-0.4, 0.4))
    t = steps(7, 4000, SOURCE)
    score = np.asarray(gap.score(state, t))
    assert abs(score.mean()) < 0.02 and np.abs(score).mean() < 0.1
    quality = gap.evaluate(state, Pair(t, t))
    assert quality["gap_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_score_is_the_extra_logit_itself():
    """No softmax anywhere: a constant added to the extra head's last bias adds just that to the score."""
    gap = Classifier()
    state = gap.init(jax.random.key(0), SPACES)
    t = steps(0, 16, SOURCE)
    assert np.array_equal(gap.score(state, t), np.zeros(16))
    extra = state.heads["extra"]
    extra = [*extra[:-1], {**extra[-1], "b": extra[-1]["b"] + 30.0}]
    moved = state._replace(heads={**state.heads, "extra": extra})
    assert np.allclose(gap.score(moved, t), 30.0)


@pytest.mark.slow
def test_the_action_counts_as_executed():
    gap, state = trained((SOURCE, TARGET), (-0.4, 0.4))
    counts_the_action_as_executed(gap.score, state, steps(8, 8, SOURCE))


@pytest.mark.slow
def test_standardisation_is_frozen_after_a_while():
    gap = Classifier(standardise=2, batch=8)
    state = gap.init(jax.random.key(0), SPACES)
    seen = []
    for i, mean in enumerate((0.0, 0.0, 0.0, 100.0)):
        batches = Pair(steps(i, 8, SOURCE, mean), steps(9 + i, 8, TARGET, mean))
        state, _ = gap.update(state, batches, jax.random.key(1))
        seen.append(float(state.inputs.mean[0]))
    assert seen[0] != seen[1] == seen[2] == seen[3]
