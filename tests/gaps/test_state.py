"""The state discriminator against the closed form: all that it sees is jointly Gaussian in both domains."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, log_normal, score, start, step
from linear_gaussian import SOURCE, STD, TARGET, A, steps

from transreward.gaps.state import State
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

ROWS = 100_000
SEEN = {"state": [3, 4], "state_next": [0, 1, 3, 4], "step": [0, 1, 2, 3, 4]}  # columns of (s, a, s')
MEANS = Pair(-0.2, 0.2)


@lru_cache
def trained(inputs="state", domains=(SOURCE, TARGET), means=tuple(MEANS)):
    gap = State(inputs=inputs, noise=0.0, weight_decay=0.0)
    data = Pair(*(steps(i, ROWS, e, m) for i, (e, m) in enumerate(zip(domains, means, strict=True))))
    return gap, fit(gap, data, 2500)


def log_density(x, effect, mean, columns):
    """Of those columns of (s, a, s') where s' = A s + effect a + e."""
    to_next = np.hstack([A, np.array(effect)[:, None]])
    sa_mean, sa_cov = np.array([mean, mean, -mean]), np.diag([1.0, 1.0, 0.7**2])
    whole = np.vstack([np.eye(3), to_next])
    cov = whole @ sa_cov @ whole.T
    cov[3:, 3:] += STD**2 * np.eye(2)
    return log_normal(x[:, columns], (whole @ sa_mean)[columns], cov[np.ix_(columns, columns)])


def log_ratio(t, inputs):
    x = np.hstack([t.obs, t.action, t.next_obs])
    source, target = (log_density(x, e, m, SEEN[inputs]) for e, m in zip((SOURCE, TARGET), MEANS, strict=True))
    return target - source


@pytest.mark.parametrize("inputs", list(SEEN))
def test_score_is_the_log_ratio_of_the_densities(inputs):
    gap, state = trained(inputs)
    for seed, effect, mean in ((5, SOURCE, MEANS.source), (6, TARGET, MEANS.target), (7, SOURCE, 0.0)):
        t = steps(seed, 4000, effect, mean)
        scored, exact = np.asarray(score(gap, state, t)), log_ratio(t, inputs)
        assert np.corrcoef(scored, exact)[0, 1] > 0.9
        assert abs((scored - exact).mean()) < 0.1


def test_swapping_the_domains_turns_the_sign():
    gap, state = trained()
    _, swapped = trained(domains=(TARGET, SOURCE), means=(MEANS.target, MEANS.source))
    t = steps(8, 4000, SOURCE)
    there, back = np.asarray(score(gap, state, t)), np.asarray(gap.score(swapped, t))
    assert np.corrcoef(there, -back)[0, 1] > 0.95
    assert abs((there + back).mean()) < 0.1


def test_identical_domains_no_preference():
    gap, state = trained(domains=(SOURCE, SOURCE), means=(0.0, 0.0))
    t = Pair(steps(9, 4000, SOURCE), steps(10, 4000, SOURCE))
    scored = np.asarray(score(gap, state, t.source))
    assert abs(scored.mean()) < 0.02 and np.abs(scored).mean() < 0.1
    assert evaluate(gap, state, t)["gap_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_the_loss_by_hand():
    gap = State(hidden=(5,), batch=6, noise=0.0)
    state, _ = start(gap)
    rng = np.random.default_rng(0)
    network = jax.tree.map(lambda x: rng.normal(0, 1, x.shape).astype(np.float32), state.network)
    batches = Pair(steps(1, 6, SOURCE), steps(2, 6, TARGET))
    _, metrics = step(gap, state._replace(network=network), batches)
    x = np.vstack([batches.source.next_obs, batches.target.next_obs]).astype(np.float64)
    x = (x - x.mean(0)) / x.std(0)
    z = (np.maximum(x @ network[0]["w"] + network[0]["b"], 0) @ network[1]["w"] + network[1]["b"])[:, 0]
    chance = 1 / (1 + np.exp(-z))  # of the target
    assert metrics["gap_loss"] == pytest.approx(-np.mean(np.log(np.r_[1 - chance[:6], chance[6:]])), rel=1e-3)


# -- SRPO: the positives are states of high value, whichever domain they come from -------------------------------------


def first(obs):
    """A state's value: its first number."""
    return obs[..., 0]


def test_top_takes_the_best_of_each_domain():
    gap, batches = State(top=0.25), Pair(steps(1, 8, SOURCE), steps(2, 8, TARGET))
    low = batches.target._replace(next_obs=batches.target.next_obs - 100.0)
    positive = np.asarray(gap._positive(Pair(batches.source, low), first))
    assert positive[:8].sum() == positive[8:].sum() == 2  # also where the target is worse throughout
    for t, taken in ((batches.source, positive[:8]), (low, positive[8:])):
        value = np.asarray(first(t.next_obs))
        assert value[taken].min() > value[~taken].max()


def test_after_an_end_the_value_is_zero():
    t = steps(1, 4, SOURCE)
    t = t._replace(next_obs=jnp.asarray([[9.0, 0], [-1, 0], [-2, 0], [-3, 0]]), terminated=jnp.asarray([0, 0, 0, 1.0]))
    positive = np.asarray(State(top=0.5, batch=4)._positive(Pair(t, t), first))
    assert positive[:4].tolist() == [True, False, False, True]


def test_with_top_the_score_knows_values_and_no_domains():
    gap = State(top=0.4, noise=0.3)
    data = Pair(steps(1, ROWS, (0.3, 1.0), 0.0), steps(2, ROWS, (0.3, -1.0), 0.0))
    state = fit(gap, data, 800, value=first)
    held_out = Pair(steps(3, 4000, (0.3, 1.0)), steps(4, 4000, (0.3, -1.0)))
    quality = evaluate(gap, state, held_out, value=first)
    assert quality["gap_accuracy"] > 0.9
    scored = held_out.map(lambda t: np.asarray(score(gap, state, t)))
    assert np.corrcoef(scored.target, first(held_out.target.next_obs))[0, 1] > 0.8
    assert abs(scored.source.mean() - scored.target.mean()) < 0.3


def test_top_asks_for_the_value():
    assert State().needs == () and State(top=0.5).needs == ("value",)
    gap, batches = State(top=0.5), Pair(steps(1, 8, SOURCE), steps(2, 8, TARGET))
    with pytest.raises(RequestError, match="value"):
        start(gap, batches)


def test_promises():
    keeps_its_promises(State(hidden=(8,), batch=32, top=0.5, inputs="step"), value=first)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": "action"},
        {"hidden": ()},
        {"noise": -0.1},
        {"weight_decay": -1.0},
        {"batch": 0},
        {"standardise": 0},
        {"learning_rate": 0.0},
        {"top": 0.0},
        {"top": 1.5},
        {"top": 0.001},
    ],
)
def test_bad_settings(wrong):
    with pytest.raises(RequestError, match=f"gap.{next(iter(wrong))}"):
        State(**wrong)
