"""The latent gap against the loss done by hand, and on linear-Gaussian dynamics, where the true difference is known."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import evaluate, fit, keeps_its_promises, score
from linear_gaussian import SOURCE, STD, TARGET, steps

from transreward.gaps.latent import Latent, _collapse, _error
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

QUIET = 0.1
ROWS = 20_000
GAP = Latent(latent=16, hidden=(32, 32), batch=128)
PAPERS = Latent(latent=16, hidden=(32, 32), batch=128, average=0.5, excess=False, guard=0.0)
update = jax.jit(lambda gap, *args: gap.update(*args), static_argnums=0)
error = jax.jit(lambda state, t: _error(state.averaged, state, t))


def loud_where_positive(action):
    """Noise of std 0.8 where the action is positive, 0.3 elsewhere."""
    return np.where(action > 0, 0.8, 0.3)


@lru_cache
def trained(gap, std, rows=ROWS):
    """Its state where both domains are the target, each of `rows` steps: it learns from no other."""
    data = Pair(*(steps(i, rows, TARGET, std=std) for i in range(2)))
    again = jax.tree.map(lambda x: jnp.tile(x, (ROWS // rows, *[1] * (x.ndim - 1))), data)
    return fit(gap, again, 2500)


# -- by hand ---------------------------------------------------------------------------------------------------------


def by_hand(state, nets, t, goal_of):
    """(g(f(s), a) - f(s'))^2 of each step in float64, f(s') being that of the encoder `goal_of`."""
    mean, var = (np.asarray(x, np.float64) for x in (state.inputs.mean, state.inputs.var))

    def standardise(x, columns):
        return np.clip((np.asarray(x, np.float64) - mean[columns]) / np.sqrt(var[columns] + 1e-8), -10, 10)

    def forward(layers, x):
        *hidden, last = [{name: np.asarray(v, np.float64) for name, v in layer.items()} for layer in layers]
        for layer in hidden:
            x = x @ layer["w"] + layer["b"]
            x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        return x @ last["w"] + last["b"]

    def encode(encoder, obs):
        z = forward(encoder, standardise(obs, slice(0, 2)))
        return z / np.abs(z).mean(axis=1, keepdims=True)

    z = encode(nets["encoder"], t.obs)
    action = standardise(np.clip(t.action, -5, 5), slice(2, 3))
    predicted = forward(nets["predictor"], np.concatenate([z, action], axis=1))
    return ((predicted - encode(goal_of, t.next_obs)) ** 2).mean(axis=1)


def test_loss_and_score_are_the_papers():
    batches = Pair(steps(0, 128, SOURCE), steps(1, 128, TARGET))
    before = trained(PAPERS, QUIET)
    after, metrics = update(PAPERS, before, batches, jax.random.key(2))
    expected = by_hand(after, before.nets, batches.target, before.nets["encoder"])
    assert metrics["gap_loss"] == pytest.approx(expected.mean(), rel=1e-4)
    t = steps(2, 16, SOURCE)
    expected = -by_hand(after, after.averaged, t, after.averaged["encoder"])
    np.testing.assert_allclose(score(PAPERS, after, t), expected, rtol=1e-3)
    halfway = jax.tree.map(lambda new, old: (new + old) / 2, after.nets, before.averaged)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), after.averaged, halfway)


def test_the_encoding_of_the_successor_is_not_learned_from():
    """The slope along a direction of the encoder is the finite difference with f(s') held where it was."""
    t = steps(1, 128, TARGET)
    state = trained(PAPERS, QUIET)
    rng, encoder = np.random.default_rng(3), state.nets["encoder"]
    ahead = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), encoder)

    @jax.jit
    def slope(state, ahead):
        def loss(encoder):
            return jnp.mean(_error({**state.nets, "encoder": encoder}, state, t))

        return jax.jvp(loss, (state.nets["encoder"],), (ahead,))[1]

    def by_differences(held):
        ends = []
        for by in (1e-6, -1e-6):
            moved = jax.tree.map(lambda x, d, by=by: np.asarray(x, np.float64) + by * np.asarray(d), encoder, ahead)
            ends.append(by_hand(state, {**state.nets, "encoder": moved}, t, encoder if held else moved).mean())
        return (ends[0] - ends[1]) / 2e-6

    found = float(slope(state, ahead))
    assert found == pytest.approx(by_differences(held=True), rel=1e-2)
    assert found != pytest.approx(by_differences(held=False), rel=1e-1)


# -- what it measures ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_larger_the_shift_the_lower_the_score():
    state = trained(GAP, QUIET)
    shifts = [tuple(np.array(TARGET) + k * (np.array(SOURCE) - np.array(TARGET))) for k in (0, 0.25, 0.5, 1, 2, 4)]
    means = [float(score(GAP, state, steps(5, ROWS, effect, std=QUIET)).mean()) for effect in shifts]
    assert np.all(np.diff(means) < 0)
    unshifted = float(error(state, steps(5, ROWS, TARGET, std=QUIET)).mean())
    assert abs(means[0]) < 0.2 * unshifted and means[3] < -3 * unshifted


@pytest.mark.slow
def test_noise_without_a_shift_is_no_gap_where_the_excess_counts():
    """Nor is noise that depends on the action, which no single number to take off would make up for."""
    t = steps(6, ROWS, TARGET, std=loud_where_positive)
    loud = np.asarray(t.action[:, 0] > 0)
    plain, state = (trained(gap, loud_where_positive) for gap in (PAPERS, GAP))
    plain_score, excess, expected = map(np.asarray, (score(PAPERS, plain, t), score(GAP, state, t), error(state, t)))
    assert plain_score[loud].mean() < 3 * plain_score[~loud].mean() < 0
    for part in (loud, ~loud):
        assert abs(excess[part].mean()) < 0.25 * expected[part].mean()


@pytest.mark.slow
def test_the_expected_error_is_not_that_of_the_steps_learned_from():
    """Of a few steps learned by heart: the error on them is too small, the expected one is right."""
    state = trained(GAP, STD, rows=200)
    learned, fresh = steps(1, 200, TARGET), steps(7, ROWS, TARGET)
    by_heart = np.asarray(GAP._held_back(learned)) == 0
    true = float(error(state, fresh).mean())
    assert float(error(state, learned)[by_heart].mean()) < 0.7 * true
    assert abs(float(score(GAP, state, fresh).mean())) < 0.2 * true


@pytest.mark.slow
def test_only_the_target_teaches():
    """The source's steps serve the standardisation, which here is over."""
    state, target = trained(GAP, QUIET), steps(1, 128, TARGET)
    sources = steps(2, 128, SOURCE), steps(3, 128, SOURCE, mean=9.0)
    one, other = (update(GAP, state, Pair(source, target), jax.random.key(1))[0] for source in sources)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
    assert not np.array_equal(one.nets["encoder"][0]["w"], state.nets["encoder"][0]["w"])


def test_steps_held_back_are_a_share_and_teach_only_the_expected_error():
    t, state = steps(0, ROWS, TARGET), trained(GAP, QUIET)
    back = np.asarray(GAP._held_back(t))
    assert back.mean() == pytest.approx(GAP.held_back, abs=0.01)
    assert np.array_equal(GAP._held_back(jax.tree.map(lambda x: x[::-1], t)), back[::-1])
    state = state._replace(optimiser=jax.tree.map(jnp.zeros_like, state.optimiser))  # Adam's momentum would move all
    only = jax.tree.map(lambda x: x[back == 1][:128], t)
    after, _ = update(GAP, state, Pair(only, only), jax.random.key(1))
    moved = state.own_mean + 0.05 * (error(state, only).mean() - state.own_mean)
    assert float(after.own_mean) == pytest.approx(float(moved), rel=1e-4)
    first = {name: (state.nets[name][0]["w"], after.nets[name][0]["w"]) for name in state.nets}
    assert {name for name, (old, new) in first.items() if not np.array_equal(old, new)} == {"own"}


# -- collapse --------------------------------------------------------------------------------------------------------


def test_the_guard_keeps_more_of_the_encoding():
    t = steps(8, ROWS, TARGET, std=QUIET)
    guarded, bare = (evaluate(gap, trained(gap, QUIET), Pair(t, t)) for gap in (GAP, PAPERS))
    assert guarded["gap_latent_rank"] > 1.1 * bare["gap_latent_rank"]
    assert guarded["gap_latent_spread"] > 0.15


def test_the_guard_is_vicregs():
    z = np.random.default_rng(0).normal(size=(40, 5)) @ np.random.default_rng(1).normal(0, 0.5, (5, 5))
    counted = np.arange(40) % 3 > 0
    cov = np.cov(z[counted], rowvar=False)
    variance = np.maximum(0, 1 - np.sqrt(np.diag(cov) + 1e-4)).mean()
    covariance = sum(cov[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    assert variance > 0 and _collapse(z, jnp.asarray(counted, jnp.float32)) == pytest.approx(variance + covariance)


def test_a_collapse_shows():
    state, t = trained(GAP, QUIET), steps(8, ROWS, TARGET, std=QUIET)
    *hidden, last = state.averaged["encoder"]
    one_direction = {"w": last["w"].at[:, 1:].set(0.0), "b": jnp.ones_like(last["b"]).at[0].set(0.0)}
    constant = {"w": jnp.zeros_like(last["w"]), "b": jnp.ones_like(last["b"])}
    seen = []
    for layer in (last, one_direction, constant):
        broken = state._replace(averaged={**state.averaged, "encoder": [*hidden, layer]})
        seen.append(evaluate(GAP, broken, Pair(t, t)))
    assert seen[1]["gap_latent_rank"] < 1.5 < seen[0]["gap_latent_rank"]
    assert seen[2]["gap_latent_spread"] < 1e-3 < seen[0]["gap_latent_spread"]


# -- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_contract():
    keeps_its_promises(Latent(latent=4, hidden=(8,), batch=32))
    assert Latent.needs == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": ()},
        {"hidden": (0,)},
        {"latent": 1},
        {"average": 0.0},
        {"average": 1.5},
        {"guard": -1.0},
        {"held_back": 0.0},
        {"held_back": 1.0},
        {"batch": 0},
        {"standardise": 0},
        {"learning_rate": 0.0},
    ],
)
def test_bad_settings(settings):
    with pytest.raises(RequestError, match=rf"gap\.{next(iter(settings))}"):
        Latent(**settings)
