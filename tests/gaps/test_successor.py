"""Successor features are the source policy's own, exactly, and say what it is worth under any weighing of the terms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.gaps.successor import Successor
from transreward.gates.chain import Chain
from transreward.networks import Normaliser
from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses.compensation import Compensation, CompensationState
from transreward.uses.gpi import Gpi

pytestmark = pytest.mark.usefixtures("hurry")

STATES, ACTIONS, TERMS, GAMMA = 4, 2, 2, 0.8
SPACES = Spaces(STATES, ACTIONS, -np.ones(ACTIONS), np.ones(ACTIONS))
RNG = np.random.default_rng(0)
NEXT = RNG.integers(STATES - 1, size=(STATES, ACTIONS))  # a deterministic table; state 3 is where nothing leads
NEXT[2, 1], ENDS = 3, np.array([False, False, False, True])
PAID = RNG.normal(size=(STATES, ACTIONS, TERMS))  # the terms of each step
POLICY = np.array([0, 1, 1, 0])
GAP = Successor(members=2, hidden=(64,), learning_rate=3e-3, batch=64, terms=TERMS)
ONE, ACT = np.eye(STATES, dtype=np.float32), np.eye(ACTIONS, dtype=np.float32)


def batch(key, weights, bias):
    """Random steps of the table and their terms; the reward is a weighing of these."""
    s, a = jax.random.randint(key, (2, 64), 0, jnp.array([[STATES - 1], [ACTIONS]]))
    n, terms = jnp.asarray(NEXT)[s, a], jnp.asarray(PAID, jnp.float32)[s, a]
    reward, zero = terms @ jnp.asarray(weights, jnp.float32) + bias, jnp.zeros(64)
    ends = jnp.asarray(ENDS, jnp.float32)[n]
    return Transition(jnp.asarray(ONE)[s], jnp.asarray(ACT)[a], reward, jnp.asarray(ONE)[n], ends, zero), terms


def source_act(obs):
    return jnp.asarray(ACT[POLICY])[obs.argmax(axis=-1)]


@pytest.fixture(scope="module")
def trained():
    """The source pays for nothing that matters here; the target pays 2 x term 0 - term 1 + 0.5."""

    def update(state, key):
        one, two = jax.random.split(key)
        (source, its), (target, others) = batch(one, [0.0, 0.0], 0.0), batch(two, [2.0, -1.0], 0.5)
        return GAP.update(
            state, Pair(source, target), key, source_act=source_act, discount=GAMMA, terms=Pair(its, others)
        )

    state = jax.jit(lambda key: jax.lax.scan(update, GAP.init(key, SPACES), jax.random.split(key, 6000))[0])(
        jax.random.key(1)
    )
    return GAP.judge(state, {})


def exact(reward, policy=POLICY):
    """Q of a policy for a reward of each step, [states, actions, ...], by solving its equation."""
    rows, follow = np.arange(STATES), np.zeros((STATES, STATES))
    follow[rows, NEXT[rows, policy]] = ~ENDS[NEXT[rows, policy]]
    v = np.linalg.solve(np.eye(STATES) - GAMMA * follow, reward[rows, policy])
    return reward + GAMMA * np.where(ENDS[NEXT], 0, 1).reshape(STATES, ACTIONS, *[1] * (reward.ndim - 2)) * v[NEXT]


def everywhere(answer):
    """[states, actions, ...] of an answer to all state-action pairs."""
    s, a = np.divmod(np.arange(STATES * ACTIONS), ACTIONS)
    found = np.asarray(answer(jnp.asarray(ONE[s]), jnp.asarray(ACT[a])))
    return found.reshape(STATES, ACTIONS, *found.shape[1:])


def test_they_are_the_policys_own(trained):
    phi = np.asarray(GAP.features(trained, jnp.asarray(PAID, jnp.float32)))
    assert phi.shape == (STATES, ACTIONS, 1 + 2 * TERMS) and (phi[..., 0] == 1).all()
    found = everywhere(lambda obs, action: GAP.psi(trained, obs, action).mean(axis=0))
    np.testing.assert_allclose(found[:3], exact(phi)[:3], atol=0.05)


def test_they_reproduce_the_value_in_another_task(trained):
    """2 x term 0 - term 1 + 0.5, which psi never saw."""
    found = everywhere(lambda obs, action: GAP.worth(trained, obs, action))
    np.testing.assert_allclose(found[:3], exact(2 * PAID[..., 0] - PAID[..., 1] + 0.5)[:3], atol=0.1)


def test_terms_far_beyond_the_first_are_told_in_full_and_keep_the_weighing_right(trained):
    """One step in a hundred has a term of 80 spreads, its square 6,400; the rest is found beside it all the same."""
    unit = Normaliser(jnp.zeros(2), jnp.ones(2), jnp.float32(1e9))
    terms = np.random.default_rng(1).normal(size=(4000, 2)).astype(np.float32)
    terms[::100, 0] = 80.0
    state = trained._replace(terms=unit)
    phi = np.asarray(GAP.features(state, jnp.asarray(terms)), np.float64)
    np.testing.assert_allclose(phi, np.concatenate([np.ones((4000, 1)), terms, terms**2], axis=1), rtol=1e-5)
    weights = np.array([0.5, 2.0, -1.0, 0.0, 0.3])
    square = phi.T @ phi / 4000
    moments = {"square": jnp.asarray(square, jnp.float32), "product": jnp.asarray(square @ weights, jnp.float32)}
    state = GAP.judge(state._replace(**moments), {})
    np.testing.assert_allclose(state.weights, weights, atol=0.03)


def test_the_task_is_found_in_its_rewards(trained):
    target, terms = batch(jax.random.key(9), [2.0, -1.0], 0.5)
    assert GAP.evaluate(trained, Pair(target, target), terms=Pair(terms, terms))["gap_explained"] > 0.999
    other, _ = batch(jax.random.key(9), [-2.0, 1.0], 0.5)
    assert GAP.evaluate(trained, Pair(target, other), terms=Pair(terms, terms))["gap_explained"] < 0


def test_it_is_never_worth_more_than_the_rewards_seen_could_come_to(trained):
    bound = trained._replace(weights=trained.weights * 100)
    found = everywhere(lambda obs, action: GAP.worth(bound, obs, action))
    assert found.max() == pytest.approx(float(trained.most) / (1 - GAMMA), rel=1e-5)
    assert found.min() == pytest.approx(float(trained.least) / (1 - GAMMA), rel=1e-5)


def test_the_best_of_two_policies_values_is_no_worse_than_either(trained):
    """Barreto et al. 2017, theorem 1: of the source policy's worth, as it was learned, and another policy's value."""
    reward, rows = 2 * PAID[..., 0] - PAID[..., 1] + 0.5, np.arange(STATES - 1)
    worth = everywhere(lambda obs, action: GAP.worth(trained, obs, action))
    better = 0
    for other in np.ndindex(*[ACTIONS] * (STATES - 1)):
        own = np.array([*other, 0])
        q = exact(reward, own)
        best = np.maximum(worth, q).argmax(axis=1)
        found = exact(reward, best)[rows, best[:-1]]
        for policy in (POLICY, own):
            returns = exact(reward, policy)[rows, policy[:-1]]
            assert (found >= returns - 0.2).all()  # twice how far worth is from the truth
            better += (found > returns + 0.2).any()
    assert better > 4


@pytest.mark.parametrize(("fade", "done", "asked"), [(0.5, 0.2, True), (0.5, 0.5, False), (0.0, 0.9, True)])
def test_the_source_policy_is_asked_for_a_while(trained, fade, done, asked):
    obs, action = jnp.asarray(ONE[:2]), jnp.asarray(ACT[:2])
    use = Gpi(fade)
    compensation = Compensation(GAP, use, Chain(use.transforms(None)))
    floor = compensation.shape(CompensationState(trained, ()), done=jnp.float32(done)).floor
    found = floor(obs, action)
    assert np.array_equal(found, GAP.worth(trained, obs, action) if asked else np.full(2, -np.inf))


def test_bad_settings():
    with pytest.raises(RequestError, match=r"gap\.terms"):
        Successor(terms=-1)
    with pytest.raises(RequestError, match=r"gap\.members"):
        Successor(members=0)
