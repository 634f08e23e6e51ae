"""Rewards that a robot does not tell: computed from what it saw, they are those of its simulator."""

from __future__ import annotations

import numpy as np
import pytest

import transreward as tr
from transreward.domains.observed import Observed
from transreward.types import RequestError

# rms error of a step as a share of the standard deviation of its rewards, at most
EXACT, NEARLY, CONTACTS = 1e-5, 6e-3, 0.08
SHARES = {
    "inverted_pendulum": EXACT, "inverted_double_pendulum": EXACT, "reacher": EXACT, "pusher": EXACT,
    "humanoid_standup": EXACT, "ant+goal(x=2,y=1)": EXACT, "swimmer": NEARLY, "hopper": NEARLY, "humanoid": NEARLY,
    "walker2d": 0.03, "halfcheetah": CONTACTS, "halfcheetah+run(speed=2)": CONTACTS, "halfcheetah@mirrored": CONTACTS,
    "ant": CONTACTS, "halfcheetah@history=2": CONTACTS, "halfcheetah:legs=3": CONTACTS, "hopper:delay=2": NEARLY,
}  # fmt: skip


def steps_of(id, n=60):
    """(obs, action, next_obs) as a robot tells them, in single precision, and the rewards of its simulator."""
    domain = tr.domain(id)
    simulation, rng = domain.simulate(2, 7, 1), np.random.default_rng(7)
    for _ in range(n):
        t = simulation.step(rng.uniform(domain.spaces.low, domain.spaces.high, (2, domain.spaces.action)))
        told = (np.asarray(x, np.float32) for x in (t.obs, t.action, t.next_obs))
        yield from zip(*told, t.reward, strict=True)


@pytest.mark.parametrize("id", SHARES)
def test_computed_rewards_are_those_of_the_simulator(id):
    """On other steps than those that it was judged by, whose error is what it says."""
    one = Observed(tr.domain(id))
    apart, own = np.array([(one(*step) - paid, paid) for *step, paid in steps_of(id)]).T
    assert one.error <= SHARES[id] * one.spread
    assert np.sqrt(np.mean(apart**2)) <= 2 * SHARES[id] * max(np.std(own), one.spread)
    assert ("as exact as" in one.said) == (SHARES[id] == EXACT or one.error < 1e-3)


def test_a_users_function_and_the_commanded_action():
    """What is beyond the box costs what the box allows, and a function of observations is called with them."""
    one = Observed(tr.domain("halfcheetah+tests.domains.test_observed:height"))
    obs, led = np.zeros(17), np.full(17, 0.25)
    assert one(obs, np.full(6, 9.0), led) == 0.25 + 6


def height(obs, action, next_obs):
    return next_obs[:, 0] + np.square(action).sum(axis=1)


@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("halfcheetah:sensor_noise=1", "do not show all that it is paid for"),
        ("halfcheetah+tests.domains.test_observed:broken", "failed"),
        ("gym:Pendulum-v1", "not one of named terms"),
    ],
)
def test_what_is_not_seen_is_not_paid(id, why):
    with pytest.raises(RequestError, match=why) as caught:
        Observed(tr.domain(id))
    assert "tell them" in str(caught.value) and "\n" not in str(caught.value)


def broken(obs, action, next_obs):
    if not np.array_equal(obs, obs.astype(np.float32)):  # only in a simulation
        return next_obs[:, 0]
    return 1 / 0


def test_a_robot_that_came_far_is_paid_for_it():
    """Over an episode the errors of contacts cancel: the return is nearly the distance."""
    one = Observed(tr.domain("halfcheetah+terms(control=0)"))
    pairs = np.array([(one(*step), paid) for *step, paid in steps_of("halfcheetah+terms(control=0)", 200)])
    mine, own = (pairs[i::2] for i in (0, 1))
    for computed, paid in (mine.T, own.T):
        assert abs(computed.mean() - paid.mean()) < 0.02
