"""The ensembles against closed forms: the log-ratio of linear-Gaussian dynamics, and densities done by hand."""

from functools import lru_cache

import jax
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, score
from linear_gaussian import SOURCE, SPACES, TARGET, log_ratio, steps
from scipy.special import logsumexp
from scipy.stats import norm

from transreward.gaps.ensemble import Ensemble
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

RATIO = Ensemble(members=3, hidden=(32,), noise=0.0, weight_decay=0.0)
VALUE = Ensemble(form="value", members=5, hidden=(32,), noise=0.0, weight_decay=0.0)
SLOPE = np.array([2.0, -1.0])
update = jax.jit(lambda gap, *args: gap.update(*args), static_argnums=0)


def value(obs):
    """A state's value, linear in it, [n]."""
    return obs @ SLOPE.astype(np.float32) + 3.0


@jax.jit
def value_score(state, t):
    """The score of form "value" with that value."""
    return VALUE.score(state, t, value=value)


@lru_cache
def trained(gap=RATIO, effects=(SOURCE, TARGET), means=(-0.4, 0.4)):
    """Its state after training on steps of two domains whose policies visit other states and take other actions."""
    return fit(gap, Pair(*(steps(i, 50_000, e, m) for i, (e, m) in enumerate(zip(effects, means, strict=True)))), 1500)


# -- by hand ---------------------------------------------------------------------------------------------------------


def by_hand(gap, state, members, t):
    """Mean and std of each member's s' - s, in the units of the state, [members, n, obs], in float64."""
    mean, unit = np.asarray(state.inputs.mean, np.float64), np.sqrt(np.asarray(state.inputs.var, np.float64) + 1e-8)
    sa = np.concatenate([t.obs, np.clip(t.action, -5, 5)], axis=1)
    x = np.clip((sa - mean[:3]) / unit[:3], -10, 10)
    low, high = 2 * np.log(gap.std_floor), 2 * np.log(gap.std_ceiling)
    means, stds = [], []
    for i in range(gap.members):
        *hidden, last = [{name: np.asarray(v[i], np.float64) for name, v in layer.items()} for layer in members]
        h = x
        for layer in hidden:
            h = h @ layer["w"] + layer["b"]
            h = h / (1 + np.exp(-h))
        out = h @ last["w"] + last["b"]
        log_var = high - np.log1p(np.exp(high - out[:, 2:]))
        log_var = low + np.log1p(np.exp(log_var - low))
        means.append(out[:, :2] * unit[3:] + mean[3:])
        stds.append(np.exp(log_var / 2) * unit[3:])
    return np.array(means), np.array(stds)


@pytest.mark.slow
def test_likelihoods_by_hand():
    """The score is the ratio of two mixtures; the loss is minus the members' mean log density."""
    state, t = trained(), steps(3, 64, SOURCE)
    t = t._replace(next_obs=t.next_obs.at[:4].add(25.0))  # more than ten spreads away: as unlikely as that is
    change = np.asarray(t.next_obs - t.obs, np.float64)
    unit = np.sqrt(np.asarray(state.inputs.var, np.float64)[3:] + 1e-8)
    log_p = []
    for members in state.members:
        mean, std = by_hand(RATIO, state, members, t)
        log_p.append(norm.logpdf(change, mean, std).sum(axis=-1))
    expected = logsumexp(log_p[1], axis=0) - logsumexp(log_p[0], axis=0)
    np.testing.assert_allclose(score(RATIO, state, t), expected, rtol=1e-3, atol=1e-4)
    loss = -np.mean(log_p) - np.log(unit).sum()  # per unit of the standardised change
    assert evaluate(RATIO, state, Pair(t, t))["gap_held_out_loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
def test_likelihood_of_the_value_by_hand():
    """VGDF, equations 5 and 6: the Gaussian of the values that the target's members expect."""
    state, t = trained(VALUE), steps(3, 1000, SOURCE)
    mean, std = by_hand(VALUE, state, state.members.target, t)
    draw = std * np.asarray(state.noise)[:, None]
    expected = np.concatenate([t.obs + mean + draw, t.obs + mean - draw]) @ SLOPE + 3.0
    exact = norm.logpdf(np.asarray(t.next_obs) @ SLOPE + 3.0, expected.mean(axis=0), expected.std(axis=0, ddof=1))
    np.testing.assert_allclose(value_score(state, t), exact, rtol=1e-3, atol=1e-3)


# -- likelihood ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_score_is_the_log_ratio_of_the_dynamics_with_unequal_marginals():
    for mean, effect in ((-0.4, SOURCE), (0.4, TARGET), (0.0, SOURCE)):
        t = steps(5, 4000, effect, mean)
        found, exact = np.asarray(score(RATIO, trained(), t)), log_ratio(t)
        assert np.corrcoef(found, exact)[0, 1] > 0.95
        assert abs((found - exact).mean()) < 0.1 and np.abs(found - exact).mean() < 0.15


def test_swapping_the_domains_turns_the_sign():
    """Also of the rounding: both ensembles start from the same weights and draw the same rows."""
    there = back = jax.jit(lambda: RATIO.init(jax.random.key(0), SPACES))()
    t = steps(6, 256, SOURCE)
    assert np.array_equal(score(RATIO, there, t), np.zeros(256))
    for i in range(30):
        batches = Pair(steps(10 + i, 256, SOURCE, -0.4), steps(50 + i, 256, TARGET, 0.4))
        there, _ = update(RATIO, there, batches, jax.random.key(i))
        back, _ = update(RATIO, back, Pair(*batches[::-1]), jax.random.key(i))
    forward = np.asarray(score(RATIO, there, t))
    assert np.abs(forward).max() > 0.1
    np.testing.assert_allclose(forward, -np.asarray(score(RATIO, back, t)), atol=1e-3)


def test_identical_domains_score_about_zero_whatever_the_policies_visit():
    state = trained(effects=(SOURCE, SOURCE))
    t = steps(7, 4000, SOURCE)
    found = np.asarray(score(RATIO, state, t))
    assert abs(found.mean()) < 0.02 and np.abs(found).mean() < 0.1
    assert evaluate(RATIO, state, Pair(t, t))["gap_accuracy"] == pytest.approx(0.5, abs=1e-6)


def test_a_difference_below_the_floor_is_none():
    """The same networks with other bounds."""
    state, t = trained(), steps(8, 4000, SOURCE)
    blurred = Ensemble(members=3, hidden=(32,), noise=0.0, weight_decay=0.0, std_floor=1.0)
    sharp, soft = (np.abs(np.asarray(score(gap, state, t))).mean() for gap in (RATIO, blurred))
    assert soft < 0.6 * sharp
    far = 100 * jax.random.normal(jax.random.key(0), (3, 50, 3))
    stds = np.exp(RATIO._predict(state.members.target, far)[1])
    assert RATIO.std_floor * 0.99 < stds.min() < stds.max() < RATIO.std_ceiling * 1.01


@pytest.mark.slow
def test_noise_blurs_the_ratio():
    """Trained with noise of the change's own spread, the ratio is that of the blurred dynamics: nearer to 0."""
    blurred = Ensemble(members=3, hidden=(32,), noise=1.0, weight_decay=0.0)
    t = steps(8, 4000, SOURCE)
    sharp, soft = (np.abs(np.asarray(score(gap, trained(gap), t))).mean() for gap in (RATIO, blurred))
    assert soft < 0.6 * sharp


# -- value -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_farther_the_value_the_lower_the_score():
    state, t = trained(VALUE), steps(9, 1000, TARGET)
    expected = np.asarray(VALUE._values(state, t, {"value": value})[1].mean(axis=0))
    away = SLOPE / (SLOPE @ SLOPE)  # along it, the value rises by 1 a unit
    at_expected = t.next_obs + ((expected - value(t.next_obs))[:, None] * away).astype(np.float32)
    for side in (1, -1):
        moved = (t._replace(next_obs=at_expected + side * by * away) for by in (0.0, 0.5, 1.0, 2.0, 4.0))
        assert np.all(np.diff([value_score(state, x) for x in moved], axis=0) < 0)  # for every step


@pytest.mark.slow
def test_only_the_value_counts():
    """A successor elsewhere that is worth the same scores the same: not how the body moves but what it costs."""
    state, t = trained(VALUE), steps(9, 1000, TARGET)
    sideways = np.array([SLOPE[1], -SLOPE[0]], np.float32)
    moved = t._replace(next_obs=t.next_obs + 5 * sideways)
    before, after = (value_score(state, x) for x in (t, moved))
    np.testing.assert_allclose(before, after, rtol=1e-3, atol=1e-3)


def test_a_shift_that_costs_value_scores_below_the_target():
    state = trained(VALUE)
    target, source = (np.asarray(value_score(state, steps(4, 1000, e))) for e in (TARGET, SOURCE))
    assert source.mean() < target.mean() - 0.1


def test_value_error_says_whether_the_std_is_right():
    state, t = trained(VALUE), steps(9, 4000, TARGET, 0.4)
    sound, cocksure = (
        evaluate(VALUE, s, Pair(t, t), value=value)["gap_value_error"]
        for s in (state, state._replace(noise=state.noise / 10))
    )
    assert 0.5 < sound < 2.0 and cocksure > 3 * sound


def test_value_needs_the_value():
    assert VALUE.needs == ("value",) and RATIO.needs == ()
    assert trained(VALUE).members.source is None
    with pytest.raises(RequestError, match="value"):
        VALUE.score(trained(VALUE), steps(0, 4, SOURCE))


# -- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("form", ["likelihood", "value"])
def test_contract(form):
    extra = {"value": value} if form == "value" else {}
    keeps_its_promises(Ensemble(form=form, members=2, hidden=(8,), batch=32), **extra)


@pytest.mark.parametrize(
    "settings",
    [
        {"form": "liklihood"},
        {"hidden": ()},
        {"hidden": (0,)},
        {"std_floor": 0.0},
        {"std_ceiling": 0.05},
        {"noise": -1.0},
        {"weight_decay": -1.0},
        {"members": 0},
        {"batch": 0},
        {"standardise": 0},
        {"learning_rate": 0.0},
    ],
)
def test_bad_settings(settings):
    with pytest.raises(RequestError, match=rf"gap\.{next(iter(settings))}"):
        Ensemble(**settings)
