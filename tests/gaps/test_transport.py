"""The transport cost against POT, and against shifts of known size."""

import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest
from contract import evaluate, fit, keeps_its_promises, score, start, step
from linear_gaussian import SOURCE, TARGET, steps

from transreward.gaps.transport import Transport, sinkhorn
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")


def test_sinkhorn_is_pots():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (40, 3)), rng.normal(0.5, 1, (60, 3))
    cost = np.asarray(ot.dist(x, y))
    cost /= cost.mean()
    b = np.r_[rng.uniform(0.5, 1.5, 50), np.zeros(10)]  # the last ten are free slots
    b /= b.sum()
    with np.errstate(divide="ignore"):
        log_b = jnp.asarray(np.log(b), jnp.float32)
    epsilon = jnp.asarray(0.1)
    g = sinkhorn(jnp.asarray(cost, jnp.float32), log_b, epsilon, jnp.zeros(60), 300)
    plan = np.asarray(jax.nn.softmax((g - cost) / epsilon + log_b, axis=1)) / 40
    expected = np.asarray(
        ot.sinkhorn(np.full(40, 1 / 40), b[:50], cost[:, :50], 0.1, method="sinkhorn_log", stopThr=1e-12)
    )
    assert np.allclose(plan[:, :50], expected, atol=1e-6) and not plan[:, 50:].any()


@pytest.mark.parametrize("cost", ["cosine", "squared"])
def test_score_is_what_a_row_of_pots_plan_pays(cost):
    gap = Transport(cost=cost, memory=64, batch=64, iterations=300)
    batches = Pair(steps(1, 64, SOURCE), steps(2, 64, TARGET))
    state, metrics = start(gap, batches)
    rows = batches.map(lambda t: np.hstack([t.obs, t.action, t.next_obs - t.obs]).astype(np.float64))
    both = np.vstack(rows)
    rows = rows.map(lambda x: (x - both.mean(0)) / both.std(0))
    metric, size = ("cosine", 1) if cost == "cosine" else ("sqeuclidean", 5)
    costs = np.asarray(ot.dist(*rows, metric=metric)) / size
    plan = np.asarray(ot.sinkhorn([], [], costs, 0.05 * costs.mean(), method="sinkhorn_log", numItermax=5000))
    assert np.allclose(score(gap, state, batches.source), -64 * (plan * costs).sum(1), atol=2e-3)
    assert metrics["gap_loss"] == pytest.approx((plan * costs).sum(), rel=1e-3)
    assert metrics["gap_plan_error"] < 1e-3


@pytest.mark.parametrize("cost", ["cosine", "squared"])
def test_a_larger_shift_scores_less(cost):
    scores = []
    for size in (0.0, 0.5, 1.0, 2.0, 4.0):
        effect = (SOURCE[0], SOURCE[1] + size)
        gap, data = Transport(cost=cost, memory=512), Pair(steps(1, 4000, effect), steps(2, 4000, SOURCE))
        state = fit(gap, data, 8)
        scores.append(float(score(gap, state, steps(3, 1000, effect)).mean()))
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 5
    assert scores[-1] < 1.5 * scores[0]


def test_identical_domains_no_preference():
    gap = Transport()
    state = fit(gap, Pair(steps(1, 4000, SOURCE), steps(2, 4000, SOURCE)), 12)
    quality = evaluate(gap, state, Pair(steps(3, 4000, SOURCE), steps(4, 4000, SOURCE)))
    assert abs(quality["gap_margin"]) < 0.1 * quality["gap_held_out_loss"]


def test_it_prefers_the_target_and_the_swap_prefers_the_other():
    far = (0.5, 2.0)
    for source, target in ((SOURCE, far), (far, SOURCE)):
        gap = Transport()
        state = fit(gap, Pair(steps(1, 4000, source), steps(2, 4000, target)), 12)
        quality = evaluate(gap, state, Pair(steps(3, 1000, source), steps(4, 1000, target)))
        assert quality["gap_margin"] > 0.2 * quality["gap_held_out_loss"]


def test_a_step_scores_the_same_in_any_company():
    gap = Transport()
    state = fit(gap, Pair(steps(1, 4000, SOURCE), steps(2, 4000, TARGET)), 12)
    t = steps(3, 50, SOURCE)
    alone = [score(gap, state, jax.tree.map(lambda x, i=i: x[i : i + 1], t))[0] for i in range(3)]
    assert np.allclose(score(gap, state, t)[:3], alone, rtol=1e-5)


def test_warm_starts_make_few_iterations_enough():
    data, unmet = Pair(steps(1, 4000, SOURCE), steps(2, 4000, TARGET)), []
    for gap in (Transport(iterations=1), Transport()):
        batches = Pair(steps(3, gap.batch, SOURCE), steps(4, gap.batch, TARGET))
        unmet.append(float(step(gap, fit(gap, data, 12), batches)[1]["gap_plan_error"]))
    assert unmet[1] < 0.03 < 0.06 < unmet[0]


def test_the_memory_keeps_the_newest_and_starts_empty():
    gap = Transport(memory=100, batch=40)
    assert np.array_equal(score(gap, start(gap)[0], steps(3, 8, SOURCE)), np.zeros(8))
    seen = [Pair(steps(i, 40, SOURCE), steps(10 + i, 40, TARGET)) for i in range(3)]
    state, _ = start(gap, *seen)
    newest = np.vstack([p.target.obs for p in seen])[-100:]
    assert {tuple(row) for row in np.asarray(state.memory.rows)[:, :2]} == {tuple(row) for row in newest}


def test_promises():
    keeps_its_promises(Transport(memory=64, batch=32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost": "manhattan"},
        {"regularisation": 0.0},
        {"iterations": 0},
        {"batch": 0},
        {"standardise": 0},
        {"memory": 200},
    ],
)
def test_bad_settings(wrong):
    with pytest.raises(RequestError, match=f"gap.{next(iter(wrong))}"):
        Transport(**wrong)
