"""The comparison with the nearest target steps: shifts of known size, and what must not count as one."""

from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, score, start
from linear_gaussian import SOURCE, TARGET, A, steps

from transreward.gaps.neighbours import Neighbours
from transreward.networks import Normaliser
from transreward.types import Pair, RequestError


@lru_cache
def trained(source=SOURCE, target=TARGET, mean=0.0, std=0.2, **settings):
    gap = Neighbours(**settings)
    data = Pair(steps(1, 20_000, source, mean, std), steps(2, 20_000, target, 0.0, std))
    return gap, fit(gap, data, 20)


def test_score_by_hand():
    gap = Neighbours(memory=32, batch=32, k=4, reach=0.7)
    batches = Pair(steps(1, 32, SOURCE), steps(2, 32, TARGET))
    state, _ = start(gap, batches)
    rows = batches.map(lambda t: np.hstack([t.obs, t.action, t.next_obs - t.obs]).astype(np.float64))
    both = np.vstack(rows)
    rows = rows.map(lambda x: (x - both.mean(0)) / both.std(0))
    expected, far = [], 0
    for row in rows.source:
        near = rows.target[np.argsort(((rows.target[:, :3] - row[:3]) ** 2).sum(1))[:4]]
        error, usual = (row - near.mean(0)) ** 2, 1.25 * near.var(0, ddof=1)
        outside = error[:3].sum() > 0.7**2 * usual[:3].sum()
        far += outside
        expected.append(0.0 if outside else -(error[3:] - usual[3:]).mean())
    assert 3 < far < 29
    assert np.allclose(score(gap, state, batches.source), expected, atol=1e-4)
    assert evaluate(gap, state, batches)["gap_abstained"] == pytest.approx(far / 32)


def test_a_change_off_by_d_scores_minus_d_squared():
    gap, state = trained(target=SOURCE)
    t = steps(3, 4000, SOURCE, 0.0, 0.2)
    like = score(gap, state, t)
    for d in (0.5, 1.0, 2.0):
        off = score(gap, state, t._replace(next_obs=t.next_obs + jnp.asarray([d, 0.0])))
        trusted = np.asarray(like) != 0
        exact = -(d**2) / float(state.scale.var[3]) / 2  # a mean over two dimensions
        assert float((off - like)[trusted].mean()) == pytest.approx(exact, rel=0.05)


def test_a_larger_shift_scores_less():
    scores = []
    for size in (0.0, 0.25, 0.5, 1.0, 2.0):
        effect = (SOURCE[0], SOURCE[1] + size)
        gap, state = trained(source=effect, target=SOURCE)
        scores.append(float(score(gap, state, steps(3, 4000, effect, 0.0, 0.2)).mean()))
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 5
    assert scores[0] - scores[-1] > 0.8


def test_identical_domains_no_preference():
    gap, state = trained(target=SOURCE)
    held_out = Pair(steps(3, 4000, SOURCE, 0.0, 0.2), steps(4, 4000, SOURCE, 0.0, 0.2))
    quality = evaluate(gap, state, held_out)
    assert abs(quality["gap_margin"]) < 0.02
    assert abs(score(gap, state, held_out.source).mean()) < 0.05
    assert quality["gap_abstained"] < 0.1


def test_noise_of_the_target_is_no_gap():
    """Noise that differs from place to place: a plain distance would penalise the noisy place in both domains."""

    std: Any = lambda action: 0.05 + 0.8 * (action > 0)  # noqa: E731
    gap, state = trained(target=SOURCE, std=std)
    t = steps(3, 4000, SOURCE, 0.0, std)
    scored, noisy = np.asarray(score(gap, state, t)), np.asarray(t.action[:, 0] > 0.3)
    assert abs(scored[noisy].mean()) < 0.1


def test_where_the_policy_goes_is_no_gap():
    """The same dynamics from other (s, a): the distance in (s, a, s') would call it a shift, this does not."""
    gap, state = trained(target=SOURCE, mean=1.0)
    moved, real = steps(3, 4000, SOURCE, 1.0, 0.2), steps(3, 4000, (0.5, 1.0), 1.0, 0.2)
    here, there = (float(score(gap, state, t).mean()) for t in (moved, real))
    assert abs(here) < 0.05 < 0.3 < -there

    def distance(t):
        rows = state.scale(jnp.hstack([t.obs, t.action, t.next_obs - t.obs]))
        known = state.scale(state.memory.rows)
        return float(jnp.min(jnp.linalg.norm(rows[:500, None] - known, axis=-1), axis=1).mean())

    assert distance(moved) > 1.5 * distance(steps(4, 4000, SOURCE, 0.0, 0.2))


def test_far_from_all_target_steps_it_has_no_opinion():
    gap, state = trained()
    t = steps(3, 16, SOURCE, 0.0, 0.2)
    far = t._replace(obs=t.obs + 8.0, next_obs=(t.obs + 8.0) @ A.T)
    assert np.array_equal(score(gap, state, far), np.zeros(16))
    bold, state = trained(reach=1e3)
    assert np.all(np.asarray(score(bold, state, far)) < 0)


def test_a_change_beyond_ten_spreads_is_compared_in_full():
    """All of the memory changed by 20 spreads from the same state, the step by 40."""
    gap, t = Neighbours(memory=8, batch=8, k=4, reach=1e9), steps(3, 8, SOURCE)
    state, _ = start(gap, Pair(t, t))
    same = jnp.broadcast_to(jnp.asarray([0.0, 0.0, 0.0, 20.0, 20.0]), (8, 5)) + 1e-3 * jnp.arange(8.0)[:, None]
    state = state._replace(
        memory=state.memory._replace(rows=same), scale=Normaliser(jnp.zeros(5), jnp.ones(5), jnp.float32(1e6))
    )
    found = score(gap, state, t._replace(obs=0 * t.obs, action=0 * t.action, next_obs=40.0 + 0 * t.obs))
    assert np.allclose(found, -400.0, rtol=1e-2)


def test_fewer_than_k_steps_are_not_enough():
    gap, t = Neighbours(memory=8, batch=2, k=4), steps(3, 8, SOURCE)
    seen = [Pair(steps(i, 2, SOURCE), steps(9 + i, 2, TARGET)) for i in range(2)]
    scores = [score(gap, start(gap, *seen[:n])[0], t) for n in range(3)]
    assert not scores[0].any() and not scores[1].any() and scores[2].any()


def test_promises():
    keeps_its_promises(Neighbours(memory=64, batch=32, reach=1e3))  # at the box's edge it has an opinion


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"standardise": 0}, {"memory": 32}, {"k": 1}, {"k": 2000}, {"reach": 0.0}]
)
def test_bad_settings(wrong):
    with pytest.raises(RequestError, match=f"gap.{next(iter(wrong))}"):
        Neighbours(**wrong)
