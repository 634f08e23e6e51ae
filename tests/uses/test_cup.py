"""Cup: who guides, how much it draws the actor, and what the actor makes of it."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_advice import BANDIT, SPACES, bandit, told

from transreward.learners.batch import Batch
from transreward.methods import METHODS, method
from transreward.types import RequestError, Shaping, Transition
from transreward.uses.cup import Cup

pytestmark = pytest.mark.usefixtures("hurry")


def of(*places):
    """Policies that do the same in all states, one for each place."""
    return lambda obs: jnp.stack([jnp.full((len(obs), 1), place) for place in places])


def guides(use, *places):
    found = told(use, source_acts=of(*places), done=jnp.float32(0.9)).guides
    assert found is not None
    return found


def test_the_best_guide_draws_by_its_lead_up_to_a_share_of_the_value():
    """Rows: the second is best; the first is; its lead is above the limit; nobody is better; as good; no value."""
    own = np.array([10.0, -10.0, 10.0, 10.0, 10.0, 0.0])
    theirs = np.array([[10.1, -9.5, 30.0, 9.0, 10.0, 5.0], [10.4, -9.8, 20.0, 9.9, 10.0, 4.0]])
    expected = np.zeros((2, 6))
    for i, (v, of_guides) in enumerate(zip(own, theirs.T, strict=True)):
        k = int(np.argmax(of_guides))
        expected[k, i] = 30 * min(max(of_guides[k] - v, 0.0), 0.1 * abs(v))  # beta = beta_1 min(A, beta_2 |V|)
    found = guides(Cup(strength=30.0, limit=0.1), -0.5, 0.5).weigh(jnp.asarray(own), jnp.asarray(theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(expected, [[0, 15, 30, 0, 0, 0], [12, 0, 0, 0, 0, 0]], atol=1e-6)


def test_the_distance_is_that_of_a_normal_around_the_guides_action():
    """-log of the likelihood of the action beside that of the guide's own, over the number of its entries."""
    action, width = jnp.asarray([[-0.5], [0.0], [1.0]]), 0.4
    use = guides(Cup(width=width), -0.5, 0.5)
    found = use.apart(action, use.acts(action))
    expected = [0.5 * ((np.asarray(action)[:, 0] - place) / width) ** 2 for place in (-0.5, 0.5)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_tells_of_guides_and_of_nothing_else():
    shaping = told(Cup(), source_acts=of(0.5), done=jnp.float32(0))
    assert shaping._replace(guides=None) == Shaping()
    assert told(Cup(strength=0.0), source_acts=of(0.5)) == Shaping()


def judged_by(slope):
    """A state whose slow critics say 10 + slope * action, one of them 1 less; and a batch of two states."""
    state = BANDIT.init(jax.random.key(1), SPACES)
    up, down = jnp.zeros((2, 2, 32)), jnp.zeros((2, 32, 1))
    up, down = up.at[:, 1, :2].set(jnp.asarray([1.0, -1.0])), down.at[:, :2, 0].set(jnp.asarray([slope, -slope]))
    first, last = ({**layer} for layer in state.slow_critics)
    slow = [{**first, "w": up, "b": 0 * first["b"]}, {**last, "w": down, "b": jnp.asarray([[10.0], [9.0]])}]
    zeros = jnp.zeros((2, 1))
    step = Transition(zeros, zeros, zeros[:, 0], zeros, zeros[:, 0], zeros[:, 0])
    batch = Batch(zeros, zeros, zeros[:, 0], zeros, zeros[:, 0], 1 + zeros[:, 0], step, zeros, zeros[:, 0] > 0)
    return state._replace(slow_critics=slow), batch


@pytest.mark.parametrize(("slope", "guide"), [(2.0, 1), (-2.0, 0)])
def test_the_learners_critics_choose_the_guide(slope, guide):
    """Of two policies at -0.5 and 0.5 the one whose action they like; the actor's own is near 0, worth 10."""
    state, batch = judged_by(slope)
    found, metrics = BANDIT.led(state, batch, guides(Cup(strength=3.0, limit=0.02, width=1.0), -0.5, 0.5))
    assert metrics == {f"guided_{guide}": 1.0, f"guided_{1 - guide}": 0.0, "guided_none": 0.0}
    own = float(BANDIT.act(state, jnp.zeros((1, 1)), None)[0, 0])
    place = (-0.5, 0.5)[guide]
    weight = 3.0 * min(slope * (place - own), 0.02 * (10.0 + slope * own))
    assert found.cost is not None
    action = jnp.asarray([[1.0], [place]])
    expected = [weight * 0.5 * (1.0 - place) ** 2, 0.0]
    np.testing.assert_allclose(found.cost(action), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_nobody_draws_where_the_own_action_is_better():
    state, batch = judged_by(2.0)
    found, metrics = BANDIT.led(state, batch, guides(Cup(), -0.5, -0.9))
    assert metrics == {"guided_0": 0.0, "guided_1": 0.0, "guided_none": 1.0}
    assert found.cost is not None and not np.any(found.cost(jnp.asarray([[1.0], [-1.0]])))
    key = jax.random.key(2)
    actors = [BANDIT._update(state, batch, key, s)[0].actor for s in (Shaping(), Shaping(guides=guides(Cup(), -0.9)))]
    for one, other in zip(*map(jax.tree.leaves, actors), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_an_actor_is_drawn_to_the_guide_and_the_critics_never_are():
    state, batch = judged_by(2.0)
    use = Cup(strength=300.0, limit=1.0)
    noise = jax.random.normal(jax.random.key(3), (2, 1))
    led, _ = BANDIT.led(state, batch, guides(use, 0.5))
    slopes = [
        jax.grad(lambda a, s=s: BANDIT.actor_loss(a, state, state.critics, batch, noise, s)[0])(state.actor)
        for s in (Shaping(), Shaping(guides=led))
    ]
    bias = [-float(slope[-1]["b"][0]) for slope in slopes]  # of the mean: the way that a step goes
    assert bias[1] > max(bias[0], 0.0) + 1.0
    train = bandit(lambda a: -4 * (a - 0.5) ** 2)
    shaping = told(Cup(strength=300.0, limit=0.3), source_acts=of(0.45, -0.9), done=jnp.float32(0))
    (drawn, there), (plain, alone) = train(60, shaping), train(60)
    assert abs(there - 0.45) < abs(alone - 0.45)
    for mine, its in zip(jax.tree.leaves(drawn.critics), jax.tree.leaves(plain.critics), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)  # every step ended: nothing follows the actor


def test_the_row_and_its_cell():
    row = METHODS["cup"]
    assert (row.start, row.off_policy, row.asks_source, row.needs_source_agent) == ("source", True, True, True)
    cell = method("cup(policy)")
    assert (cell.use, cell.feed, cell.start) == (row.use, row.feed, row.start)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": -1.0}, "use.strength must not be negative"),
        ({"limit": 0.0}, "use.limit must be above 0"),
        ({"width": -0.5}, "use.width must be above 0"),
        ({"start": "ceiling"}, "use.start must be source or nothing"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(RequestError, match=message):
        replace(Cup(), **settings)
