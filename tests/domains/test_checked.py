"""Domains that a user wrote: what their simulations return is copied and checked, never broadcast."""

from __future__ import annotations

import pickle
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from gymnasium.spaces import Box

from transreward.domains.checked import CheckedDomain
from transreward.domains.domain import Kept, Modelled, Tried, control_rate, invertible, stored_terms, table_robot
from transreward.domains.ids import domain
from transreward.domains.names import Entry, action_names, entry_names
from transreward.types import BrokenRun, RequestError, Spaces, Transition


class Lab:
    """Points on a line, as a domain and its simulation in one; `answer` changes what a step returns."""

    name, reward_terms, episode_steps = "lab:points", ("near",), 50

    def __init__(self, answer=lambda t: t, low=-1.0, **given):
        self.spaces, self.answer = Spaces(1, 1, np.array([low]), np.array([1.0])), answer
        vars(self).update(given)

    def simulate(self, n, seed, threads=0):
        self.obs = np.random.default_rng(seed).uniform(-1, 1, (n, 1))
        return self

    def step(self, action):
        before = self.obs.copy()
        self.obs += 0.1 * action  # the same memory in every step
        action[:] = 9.0
        self.terms = {"near": -np.abs(self.obs[:, 0])}
        nothing = np.zeros(len(before), int)
        return self.answer(Transition(before, action, self.terms["near"], self.obs, nothing, nothing))


def test_a_users_simulation_may_use_its_arrays_again():
    simulation, action = domain(Lab()).simulate(3, 0), np.full((3, 1), 0.5)
    taken = [simulation.step(action) for _ in range(3)]
    assert (action == 0.5).all()
    for i, t in enumerate(taken):
        assert np.allclose(t.next_obs - t.obs, 0.05) and t.terminated.dtype == bool
        assert i == 0 or np.array_equal(t.obs, taken[i - 1].next_obs)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda t: t._replace(next_obs=t.next_obs[:, 0]), r"next_obs .* of shape \(3, 1\), not of shape \(3,\)"),
        (lambda t: t._replace(obs=t.obs[:1]), r"obs of step.* of shape \(3, 1\), not of shape \(1, 1\)"),
        (lambda t: t._replace(reward=t.reward[:, None]), r"reward .* of shape \(3,\), not of shape \(3, 1\)"),
        (lambda t: t._replace(reward=None), r"'lab:points': reward of step\(action\) must be .*, not None"),
        (lambda t: t._replace(terminated=False), r"terminated of step.* must be .* \(3,\), not of shape \(\)"),
        (lambda t: t._replace(truncated=t.truncated + 2), "truncated of step.* must be true or false, .*, not 2"),
        (lambda t: t[:5], r"step\(action\) must return \(obs, action, reward, .*\), not 5 values"),
        (lambda t: t._replace(reward=t.reward - 1), "'lab:points': simulation.terms must add up to the reward of step"),
        (lambda t: sys.exit(0), r"'lab:points': step\(action\) failed: SystemExit: 0"),
        (lambda t: 1 / 0, r"'lab:points': step\(action\) failed: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_a_wrong_step_is_one_line(answer, message):
    with pytest.raises(RequestError, match=message) as caught:
        domain(Lab(answer)).simulate(3, 0).step(np.zeros((3, 1)))
    assert "\n" not in str(caught.value)


def test_what_is_not_finite_or_wrong_later_is_a_broken_run():
    with pytest.raises(BrokenRun, match=r"lab:points, control step 0, row 0: .*: next_obs\[0\] is nan"):
        domain(Lab(lambda t: t._replace(next_obs=t.next_obs * np.nan))).simulate(2, 0).step(np.zeros((2, 1)))
    answers = iter([lambda t: t, lambda t: t._replace(reward=0.0)])
    simulation = domain(Lab(lambda t: next(answers)(t))).simulate(2, 0)
    simulation.step(np.zeros((2, 1)))
    with pytest.raises(BrokenRun, match=r"lab:points, control step 1: reward .* not of shape \(\)"):
        simulation.step(np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 1.0}, r"'lab:points': its action action\[0\] goes from 1 to 1"),
        ({"low": -1e30}, r"unbounded action box: action\[0\] goes from -1e\+30"),
        ({"episode_steps": None}, "episode_steps is a whole number above 0, not None"),
        ({"episode_steps": True}, "episode_steps is a whole number above 0, not True"),
        ({"reward_terms": "near"}, "reward_terms must be a tuple of names, not 'near'"),
        ({"name": None}, "a Lab must have the id that makes it again as its name, not None"),
        ({"entries": ("place",)}, r"'lab:points': entries must be 1 of names.Entry, one a column, not \('place',\)"),
        ({"action_entries": (Entry("a", "1"),) * 2}, "'lab:points': action_entries must be 1 of names.Entry"),
    ],
)
def test_a_wrong_domain_is_one_line(given, message):
    with pytest.raises(RequestError, match=message):
        domain(Lab(**given))


@pytest.mark.parametrize("spaces", [None, (1, 1), Box(-1, 1, (1,))])
def test_spaces_are_spaces(spaces):
    lab = Lab()
    lab.spaces = spaces
    with pytest.raises(RequestError, match=f"'lab:points': spaces must be Spaces.*, not a {type(spaces).__name__}"):
        domain(lab)


def test_terms_are_those_that_were_named():
    with pytest.raises(RequestError, match=r"'lab:points': simulation.terms must have far, not near"):
        domain(Lab(reward_terms=("far",))).simulate(2, 0).step(np.zeros((2, 1)))


def test_the_packages_own_are_left_alone():
    hopper = domain("hopper")
    assert domain(hopper) is hopper and isinstance(domain(Lab()), CheckedDomain)


class Rail(Lab):
    """One that can be put where it was seen, pays for stored steps, and draws itself."""

    invertible, control_rate, stored_terms, entries = True, 20.0, ("place",), (Entry("place", "m"),)

    def put(self, obs):
        self.obs = np.array(obs)
        return np.ones(len(obs), int)

    def ended(self, obs):
        self.put(obs)
        return self.obs[:, 0] > 1

    def pay(self, obs, action, next_obs, stored):
        return -np.abs(stored[:, 0])

    stored = property(lambda self: self.obs.copy())
    storing = False

    def drawn(self):
        return self

    def pictures(self):
        return [np.zeros((2, 2, 3), np.uint8)] * len(self.obs)


def test_what_a_users_domain_may_do_beside_simulating():
    rail, plain = domain(Rail()), domain(Lab())
    assert (invertible(rail), control_rate(rail), stored_terms(rail)) == (True, 20.0, ("place",))
    assert entry_names(rail) == ("place",) and action_names(rail) == ("action[0]",)
    simulation, seen = rail.simulate(2, 0), np.array([[0.5], [2.0]])
    assert simulation.put(seen).tolist() == [True, True] and simulation.ended(seen).tolist() == [False, True]
    simulation.storing = True
    t = simulation.step(np.zeros((2, 1)))
    assert np.array_equal(rail.pay(*t[:2], t.next_obs, simulation.stored), t.reward)
    assert len(rail.drawn().simulate(2, 0).pictures()) == 2
    assert (invertible(plain), control_rate(plain), stored_terms(plain)) == (False, None, ())
    assert entry_names(plain) == ("obs[0]",) and table_robot(plain) is table_robot(rail) is None
    with pytest.raises(RequestError, match="no video: nothing draws 'lab:points'"):
        plain.drawn()
    assert plain.untried() is plain and plain.model_names == {}
    again = pickle.loads(pickle.dumps(domain(Rail(answer=None))))
    assert again.simulate(2, 0).put(seen).all() and again.name == "lab:points"


class Bench(Lab):
    """A real robot, of which there is one."""

    model_names, log = {"joint": ("hip",)}, ()

    @contextmanager
    def kept(self):
        self.log += ("kept",)
        yield

    def close(self):
        self.log += ("closed",)

    def untried(self):
        self.log += ("untried",)
        return self


def test_a_users_robot_that_exists_once_is_kept_and_closed():
    """It was neither: a run made a new simulation of it for every evaluation, and left it as it was at the end."""
    bench = Bench()
    found = domain(bench)
    assert isinstance(found, Kept) and isinstance(found, Modelled) and found.model_names == bench.model_names
    with found.kept():
        found.close()
    assert isinstance(found, Tried) and found.untried().name == bench.name
    assert bench.log == ("kept", "closed", "untried")
    with domain(Lab()).kept():  # type: ignore[attr-defined]  # of one that cannot, nothing is asked
        domain(Lab()).close()  # type: ignore[attr-defined]
