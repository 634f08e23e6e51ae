"""A paired gap learns the difference itself, says how far to believe it, and its uses do what that permits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import keeps_its_promises
from linear_gaussian import SPACES, TARGET, steps

from transreward.gaps.paired import Paired
from transreward.networks import mlp
from transreward.types import Pair, RequestError
from transreward.uses.bellman import Bellman
from transreward.uses.compensation import Compensation, CompensationState
from transreward.uses.trust import Trust

pytestmark = pytest.mark.usefixtures("hurry")

GAP = Paired(hidden=(32, 32), members=2, batch=128)
DISCOUNT = 0.9
REWARD = np.array([0.3, -0.2])  # of r_T - r_S by the state


def value(obs):
    """A stand-in for the learner's."""
    return 2.0 * obs[..., 0] - obs[..., 1]


def pairs(seed, n, size=1.0, unknown=0.0):
    """Target steps, and the same as a source takes them: it lacks `size` of the action's effect, and of the reward."""
    t = steps(seed, n, TARGET)
    t = t._replace(reward=jnp.asarray(t.obs @ REWARD, jnp.float32))
    lacks = size * t.action * np.array(TARGET)
    counterpart = t._replace(next_obs=t.next_obs - lacks, reward=(1.0 - size) * t.reward)
    flags = np.random.default_rng(seed).uniform(size=n) < unknown
    return t, counterpart._replace(truncated=jnp.asarray(flags, jnp.float32))


def truth(t, size=1.0):
    """d(s, a), [n, obs + 1]."""
    return size * np.concatenate([t.action * np.array(TARGET), (t.obs @ REWARD)[:, None]], axis=1)


@partial(jax.jit, static_argnums=(0, 3))
def learn(gap, t, counterpart, updates=1500):
    """The gap's state after training on pairs."""
    extra = {"value": value, "discount": DISCOUNT}

    def update(state, key):
        rows = jax.random.randint(key, (gap.batch,), 0, len(t.reward))
        batch, other = (jax.tree.map(lambda x: x[rows], x) for x in (t, counterpart))
        return gap.update(state, Pair(batch, batch), key, counterpart=other, **extra)

    keys = jax.random.split(jax.random.key(2), updates)
    return jax.lax.scan(update, gap.init(jax.random.key(1), SPACES), keys)[0]


def judged(gap, state, t, counterpart):
    return gap.evaluate(state, Pair(t, t), counterpart=counterpart, value=value, discount=DISCOUNT)


def test_it_learns_the_difference_that_is_known_in_closed_form():
    state = learn(GAP, *pairs(0, 2000))
    t, counterpart = pairs(1, 500)
    found = np.asarray(GAP.differences(state, counterpart).mean(axis=0))
    error = np.sqrt(((found - truth(t)) ** 2).mean(axis=0) / (truth(t) ** 2).mean(axis=0))
    assert (error < 0.1).all()
    held_out = judged(GAP, state, t, counterpart)
    assert held_out["gap_explained"] > 0.98 and held_out["gap_value_explained"] > 0.98
    # the share of a sum of squares, once more in NumPy
    alive = DISCOUNT * (1 - np.asarray(t.terminated))

    def worth(d):
        return d[:, -1] + alive * (value(counterpart.next_obs + d[:, :-1]) - value(counterpart.next_obs))

    expected = 1 - ((worth(truth(t)) - worth(found)) ** 2).sum() / (worth(truth(t)) ** 2).sum()
    assert np.isclose(held_out["gap_value_explained"], expected, atol=1e-3)


def test_the_score_falls_with_the_size_of_the_difference():
    scores = []
    for size in (0.25, 0.5, 1.0):
        t, counterpart = pairs(0, 2000, size)
        scores.append(float(GAP.score(learn(GAP, t, counterpart), counterpart).mean()))
    assert 0 > scores[0] > 1.5 * scores[1] > 2 * scores[2]


def test_at_first_it_says_no_difference_and_is_not_trusted():
    state, (t, counterpart) = GAP.init(jax.random.key(0), SPACES), pairs(0, 50)
    assert np.array_equal(GAP.differences(state, counterpart), np.zeros((2, 50, 3)))
    assert np.array_equal(GAP.trust(state, counterpart), np.zeros(50))
    assert np.isclose(judged(GAP, state, t, counterpart)["gap_value_explained"], 0, atol=1e-6)


def test_steps_whose_state_could_not_be_rebuilt_teach_nothing():
    t, counterpart = pairs(0, 2000, unknown=0.5)
    wrong = counterpart.truncated[:, None] * 50.0
    state = learn(GAP, t, counterpart._replace(next_obs=counterpart.next_obs + wrong))
    clean, held_out = learn(GAP, t, counterpart), pairs(1, 500)
    assert judged(GAP, state, *held_out)["gap_explained"] > 0.95
    assert judged(GAP, clean, *held_out)["gap_explained"] > 0.95


def test_the_loss_is_the_mean_square_in_units_of_each_difference():
    """Once more in NumPy, on fixed inputs: of the members that are there before the step."""
    t, counterpart = pairs(0, GAP.batch, unknown=0.2)
    state, key = learn(GAP, t, counterpart, 5), jax.random.key(7)
    _, metrics = GAP.update(state, Pair(t, t), key, counterpart=counterpart)
    d = np.concatenate([t.next_obs - counterpart.next_obs, (t.reward - counterpart.reward)[:, None]], axis=1)
    seen = state.differences.see(d)
    spread = np.sqrt(seen.var + seen.mean**2)
    rows = np.concatenate([t.obs, t.action, counterpart.next_obs - t.obs], axis=1)
    x = np.asarray(state.steps.see(rows)(rows))
    squares, known_rows = 0.0, 0.0
    for member, drawn in enumerate(np.asarray(jax.random.randint(key, (2, GAP.batch), 0, GAP.batch))):
        net = jax.tree.map(lambda w, m=member: w[m], state.members)
        error = ((np.asarray(mlp(net, x[drawn], jax.nn.silu)) - (d / spread)[drawn]) ** 2).mean(axis=1)
        known = 1 - np.asarray(counterpart.truncated)[drawn]
        squares, known_rows = squares + (error * known).sum(), known_rows + known.sum()

    assert np.isclose(metrics["gap_loss"], squares / known_rows, rtol=1e-4)


def test_trust_follows_what_held_out_pairs_say_and_is_lost_where_members_disagree():
    t, counterpart = pairs(0, 2000)
    strict = replace(GAP, tolerance=0.01)
    state = learn(GAP, t, counterpart)
    for _ in range(100):
        state = GAP.judge(state, {"gap_value_explained": jnp.asarray(0.6)})
    assert np.isclose(state.explained, 0.6, atol=1e-3)
    near, far = (
        strict.trust(state, t),
        strict.trust(state, t._replace(obs=20.0 + 0 * t.obs, action=-5.0 + 0 * t.action)),
    )
    assert 0.5 < near.mean() <= 0.6 and far.mean() < 0.3
    lost = state
    for _ in range(100):
        lost = GAP.judge(lost, {"gap_value_explained": jnp.asarray(-3.0)})
    assert np.allclose(strict.trust(lost, t), 0, atol=1e-3)


NOTHING = CompensationState((), ())


@dataclass(frozen=True)
class Exact(Paired):
    """Knows the difference."""

    believed: float = 1.0

    def differences(self, state, batch, source_model=None):
        return jnp.asarray(truth(batch))[None]

    def trust(self, state, batch, source_model=None):
        return jnp.full(len(batch.reward), self.believed)


def test_bellman_gives_the_critic_the_target_that_the_target_would_give():
    """r_S + delta + gamma V(s'_S) = r_T + gamma V(s'_T), also where the task ended."""
    t, source = pairs(0, 64)
    ended = jnp.asarray(np.arange(64) % 4 == 0, jnp.float32)
    t, source = t._replace(terminated=ended), source._replace(terminated=ended)
    seen = Compensation(Exact(), Bellman()).adjust(NOTHING, Pair(source, t), value=value, discount=DISCOUNT)
    alive = DISCOUNT * (1 - ended)
    np.testing.assert_allclose(
        seen.source.reward + alive * value(source.next_obs), t.reward + alive * value(t.next_obs), atol=1e-5
    )
    assert np.array_equal(seen.target.reward, t.reward) and np.array_equal(seen.source.weight, np.ones(64))


def test_a_models_error_in_place_of_the_source_cancels():
    """Counterparts by a model that is wrong by a known amount: from a true source step the difference still leads to
    the target's, in reward and successor, and so does the critic's target."""

    def wrong(t):
        return np.concatenate([0.4 * t.obs[:, :1], 0.5 * t.obs[:, 1:], 0.8 - 0.4 * t.obs[:, :1]], axis=1)

    def by_model(true):
        e = jnp.asarray(wrong(true), jnp.float32)
        return true._replace(next_obs=true.next_obs + e[:, :-1], reward=true.reward + e[:, -1])

    t, counterpart = pairs(0, 2000)
    state = learn(GAP, t, by_model(counterpart))
    t, source = pairs(1, 500)
    said = by_model(source)
    model = lambda obs, action: jnp.concatenate([said.next_obs - obs, said.reward[:, None]], axis=1)  # noqa: E731
    errors = [
        np.sqrt(((np.asarray(GAP.differences(state, source, m).mean(axis=0)) - truth(t)) ** 2).mean(axis=0)
                / (truth(t) ** 2).mean(axis=0))
        for m in (model, None)
    ]  # fmt: skip
    assert (errors[0] < 0.25).all() and (errors[1] > 0.5).all()
    seen = Compensation(GAP, Bellman()).adjust(
        CompensationState(state, ()), Pair(source, t), value=value, discount=DISCOUNT, source_model=model
    )
    found = seen.source.reward + DISCOUNT * value(source.next_obs)
    exact = t.reward + DISCOUNT * value(t.next_obs)
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.15 * np.std(exact)
    assert np.array_equal(seen.source.weight, GAP.trust(state, said))  # the members are asked about the model's step


@pytest.mark.parametrize("believed", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("use", [Trust(), Bellman()])
def test_what_the_source_loses_the_target_gains(use, believed):
    t, source = pairs(0, 64)
    half = jax.tree.map(lambda x: x[:32], t)
    compensation = Compensation(Exact(believed=believed), use)
    seen = compensation.adjust(NOTHING, Pair(source, half), value=value, discount=DISCOUNT)
    assert np.allclose(seen.source.weight, believed)
    assert np.allclose(seen.target.weight, 1 + 2 * (1 - believed))
    none = jax.tree.map(lambda x: x[:0], t)
    alone = compensation.adjust(NOTHING, Pair(source, none), value=value, discount=DISCOUNT)
    assert alone.target.weight.shape == (0,)


def test_contract():
    batch = steps(3, GAP.batch, TARGET)
    keeps_its_promises(GAP, counterpart=batch._replace(reward=batch.reward - 1.0), value=value, discount=DISCOUNT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": ()}, "gap.hidden must name"),
        ({"members": 1}, "gap.members must be at least 2"),
        ({"batch": 0}, "gap.batch"),
        ({"tolerance": 0.0}, "gap.tolerance"),
        ({"weight_decay": -1.0}, "gap.weight_decay"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(RequestError, match=message):
        replace(GAP, **settings)
