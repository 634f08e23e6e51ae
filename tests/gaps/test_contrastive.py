"""The contrastive score against the closed form of its optimum on linear-Gaussian dynamics."""

from functools import lru_cache

import jax
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, log_normal, score, start, step
from linear_gaussian import SOURCE, STD, TARGET, A, steps

from transreward.gaps.contrastive import Contrastive
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

ROWS = 50_000


@lru_cache
def trained(loss="logistic", domains=(SOURCE, TARGET), means=(-0.2, 0.2)):
    gap = Contrastive(loss=loss, noise=0.0, weight_decay=0.0, batch=128, learning_rate=5e-4)
    data = Pair(*(steps(i, ROWS, e, m) for i, (e, m) in enumerate(zip(domains, means, strict=True))))
    return gap, fit(gap, data, 2000)


def optimum(t, target=TARGET, source=SOURCE, mean=-0.2):
    """log p_T(s' - s | s, a) - log p_S(s' - s), the second over all the source's steps, in nats."""
    change, effect = np.asarray(t.next_obs - t.obs), np.array(source)[:, None]
    expected = np.asarray(t.obs) @ (A - np.eye(2)).T + np.asarray(t.action) * np.array(target)
    where = (A - np.eye(2)) @ [mean, mean] + effect[:, 0] * -mean
    spread = (A - np.eye(2)) @ (A - np.eye(2)).T + 0.7**2 * effect @ effect.T + STD**2 * np.eye(2)
    own = log_normal(change - expected, np.zeros(2), STD**2 * np.eye(2))
    return own - log_normal(change, where, spread)


def test_score_is_the_optimum_of_its_loss():
    gap, state = trained()
    for seed, effect, mean in ((5, SOURCE, -0.2), (6, TARGET, 0.2)):
        t = steps(seed, 4000, effect, mean)
        scored, exact = np.asarray(score(gap, state, t)), optimum(t)
        assert np.corrcoef(scored, exact)[0, 1] > 0.95
        assert abs((scored - exact).mean()) < 0.1 and (scored - exact).std() < 0.3


def test_infonce_finds_it_up_to_a_constant_of_each_state_and_action():
    gap, state = trained("infonce")
    t = steps(5, 4000, TARGET, 0.2)
    other = t._replace(next_obs=t.obs + np.roll(t.next_obs - t.obs, 1, axis=0))  # another successor of the same (s, a)
    scored = np.asarray(score(gap, state, t) - score(gap, state, other))
    exact = optimum(t) - optimum(other)
    assert np.corrcoef(scored, exact)[0, 1] > 0.95
    assert abs((scored - exact).mean()) < 0.1


def test_it_prefers_the_target_and_the_swap_prefers_the_other():
    source, target = steps(7, 4000, SOURCE), steps(8, 4000, TARGET)
    gap, state = trained()
    margin = evaluate(gap, state, Pair(source, target))["gap_margin"]
    assert margin > 0.15 and margin == pytest.approx(optimum(target).mean() - optimum(source).mean(), abs=0.06)
    gap, state = trained(domains=(TARGET, SOURCE), means=(0.2, -0.2))
    assert evaluate(gap, state, Pair(source, target))["gap_margin"] < -0.1


@pytest.mark.slow
def test_identical_domains_no_preference():
    gap, state = trained(domains=(SOURCE, SOURCE), means=(0.0, 0.0))
    margin = evaluate(gap, state, Pair(steps(9, 8000, SOURCE), steps(10, 8000, SOURCE)))["gap_margin"]
    assert abs(margin) < 0.03


@pytest.mark.parametrize("loss", ["logistic", "infonce"])
def test_loss_by_hand(loss):
    gap = Contrastive(loss=loss, hidden=(5,), width=3, batch=6, noise=0.0)
    state, _ = start(gap)
    rng = np.random.default_rng(0)
    encoders = jax.tree.map(lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), state.encoders)
    batches = Pair(steps(1, 6, SOURCE), steps(2, 6, TARGET))
    _, metrics = step(gap, state._replace(encoders=encoders), batches)

    rows = batches.map(lambda t: np.hstack([t.obs, t.action, t.next_obs - t.obs]).astype(np.float64))
    both = np.vstack(rows)
    rows = rows.map(lambda x: (x - both.mean(0)) / both.std(0))

    def code(layers, x):
        return np.maximum(x @ layers[0]["w"] + layers[0]["b"], 0) @ layers[1]["w"] + layers[1]["b"]

    terms = []
    for i in range(6):
        sa = code(encoders["sa"], rows.target[i, :3])
        own = sa @ code(encoders["next"], rows.target[i, 3:])
        others = np.array([sa @ code(encoders["next"], row[3:]) for row in rows.source])
        if loss == "logistic":
            terms.append((np.log1p(np.exp(-own)) + np.log1p(np.exp(others)).mean()) / 2)
        else:
            terms.append(-np.log(np.exp(own) / (np.exp(own) + np.exp(others).sum())))
    assert metrics["gap_loss"] == pytest.approx(np.mean(terms), rel=1e-3)


def test_a_fresh_one_scores_nothing():
    gap, data = Contrastive(hidden=(5,), width=3, batch=6, noise=0.0), Pair(steps(0, 6, SOURCE), steps(1, 6, TARGET))
    state, _ = start(gap)
    assert not score(gap, state, data.source).any()
    assert step(gap, state, data)[1]["gap_loss"] == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.slow
def test_promises():
    keeps_its_promises(Contrastive(hidden=(8,), batch=32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": ()},
        {"hidden": (0,)},
        {"width": 0},
        {"loss": "softmax"},
        {"noise": -0.1},
        {"weight_decay": -1.0},
        {"batch": 0},
        {"standardise": 0},
        {"learning_rate": 0.0},
    ],
)
def test_bad_settings(wrong):
    with pytest.raises(RequestError, match=f"gap.{next(iter(wrong))}"):
        Contrastive(**wrong)
