"""Avatar: what the actor is told of the source agent's critic, and what it makes of it."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import pytest
import test_advice
from test_advice import BANDIT, bandit, told

from transreward.methods import METHODS, method
from transreward.types import RequestError, Shaping
from transreward.uses.avatar import Avatar

pytestmark = pytest.mark.usefixtures("hurry")


def best_at(place, scale=1.0):
    """A critic that likes one action most."""
    return lambda obs, action: -4 * scale * (action[..., 0] - place) ** 2


def test_it_tells_of_the_source_agents_critic_and_of_nothing_else():
    for strength in (1.0, 0.25):
        shaping = told(Avatar(strength), source_q=best_at(0.5), done=jnp.float32(0.9))
        peer = shaping.peer
        assert shaping._replace(peer=None) == Shaping() and peer is not None and float(peer.share) == strength
        assert float(peer.q(jnp.zeros(1), jnp.ones(1))) == -1.0
    assert told(Avatar(0.0), source_q=best_at(0.5)) == Shaping()


def test_an_actor_follows_a_source_critic_that_is_right_where_its_own_know_nothing(monkeypatch):
    slow = replace(BANDIT, learning_rate=1e-6, actor_rate=3e-3)
    monkeypatch.setattr(test_advice, "BANDIT", slow)
    train = bandit(lambda a: -4 * (a + 0.5) ** 2)
    alone, there = (train(150, shaping)[1] for shaping in (Shaping(), told(Avatar(), source_q=best_at(-0.5))))
    assert there < -0.2 < 0.0 < alone


@pytest.mark.slow
def test_a_source_critic_that_errs_loses_its_share_as_the_own_ones_learn():
    """The source's optimum is -0.5, the target's 0.5: the source's critic errs by 4 a step in the mean."""
    train = bandit(lambda a: -4 * (a - 0.5) ** 2)
    state, there = train(1500, told(Avatar(), source_q=best_at(-0.5)))
    assert there == pytest.approx(0.5, abs=0.15)
    assert float(BANDIT.q(state, jnp.zeros((1, 1)), jnp.asarray([[0.5]]))[0]) == pytest.approx(0.0, abs=0.6)


def test_the_row_and_its_cell():
    row = METHODS["qavatar"]
    assert (row.start, row.off_policy, row.asks_source, row.needs_source_agent) == ("nothing", True, True, True)
    cell = method("avatar(critic)")
    assert (cell.use, cell.feed, cell.start) == (row.use, row.feed, row.start)


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_a_share_is_at_most_the_whole(strength):
    with pytest.raises(RequestError, match=r"use.strength of 'avatar' must be in \[0, 1\]"):
        Avatar(strength)
