"""Commanded actions among a domain's columns: what they are, and that a delayed robot then shows its state."""

import numpy as np
import pytest

from transreward.domains.bridged import crossings, plain, plain_id, view_of
from transreward.domains.domain import invertible
from transreward.domains.history import history_of, with_history
from transreward.domains.ids import domain
from transreward.request.resolve import pair_of
from transreward.types import RequestError, Spaces, Transition

ROWS = 3


class Line:
    """A point that moves by its action, in a box that does not contain 0; an episode has four steps."""

    name = "lab:line"
    spaces = Spaces(1, 1, np.array([0.5], np.float32), np.array([2], np.float32))
    reward_terms = ("position",)
    episode_steps = 4

    def simulate(self, n, seed, threads=0):
        return OnLine(n)


class OnLine:
    def __init__(self, n):
        self.obs, self.clock, self.terms = np.zeros((n, 1)), 0, {}

    def step(self, action):
        before, self.clock = self.obs, self.clock + 1
        after = before + np.clip(action, 0.5, 2)
        over = np.full(len(after), self.clock % 4 == 0)
        self.obs, self.terms = np.zeros_like(after) if over[0] else after, {"position": after[:, 0]}
        return Transition(before, action, after[:, 0], after, np.zeros(len(after), bool), over)


def walked(found, steps, seed=0):
    """Transitions and the clipped actions that were commanded."""
    simulation, rng, taken, sent = found.simulate(ROWS, seed), np.random.default_rng(1), [], []
    low, high = found.spaces.low.astype(float), found.spaces.high.astype(float)
    for _ in range(steps):
        obs, action = simulation.obs.copy(), rng.uniform(1.2 * low - 0.1, 1.2 * high, (ROWS, len(low)))
        taken.append(simulation.step(action))
        sent.append(action.clip(low, high))
        assert np.array_equal(taken[-1].obs, obs)
    return simulation, taken, sent


@pytest.mark.parametrize(
    "id", ["hopper@history=2", "halfcheetah@mirrored:delay=1@history=2", "gym:Pendulum-v1@history=2"]
)
def test_the_further_columns_are_the_commanded_actions_and_nothing_else_changes(id):
    found = domain(id)
    width, start = plain(found).spaces.obs, np.clip(0.0, found.spaces.low, found.spaces.high)
    _, taken, sent = walked(found, 40)
    _, bare, _ = walked(domain(id.removesuffix("@history=2")), 40)
    clock = np.zeros(ROWS, int)
    for k, (t, without) in enumerate(zip(taken, bare, strict=True)):
        for name in ("reward", "terminated", "truncated"):
            assert np.array_equal(getattr(t, name), getattr(without, name))
        for name in ("obs", "next_obs"):
            assert np.array_equal(getattr(t, name)[:, :width], getattr(without, name))
        for row in range(ROWS):
            last = [sent[k - i][row] if clock[row] >= i else start for i in (1, 2)]
            assert np.array_equal(t.obs[row, width:], np.concatenate(last))
            assert np.array_equal(t.next_obs[row, width:], np.concatenate([sent[k][row], last[0]]))
        clock = np.where(t.terminated | t.truncated, 0, clock + 1)


def test_names_and_ranges_of_the_columns():
    found = domain("halfcheetah:delay=2@history=2")
    assert found.name == "halfcheetah:delay=2@history=2" and found.spaces.obs == 17 + 2 * 6
    (*_, newest), oldest = [e.name for e in found.entries[:18]], found.entries[-1]
    assert newest == "action -1 bthigh" and oldest.name == "action -2 ffoot" and (oldest.low, oldest.high) == (-1, 1)
    assert domain("gym:Pendulum-v1@history=1").entries[-1].name == "action -1 [0]"


def test_a_users_domain_starts_with_what_is_nearest_to_zero():
    found = with_history(domain(Line()), 2)
    simulation = found.simulate(ROWS, 0)
    seen = [simulation.obs[0].tolist()]
    for action in (1.0, 9.0, 1.5, 1.25):
        t = simulation.step(np.full((ROWS, 1), action))
        seen.append(simulation.obs[0].tolist())
    assert seen == [[0, 0.5, 0.5], [1, 1, 0.5], [3, 2, 1], [4.5, 1.5, 2], [0, 0.5, 0.5]]
    assert t.next_obs[0].tolist() == [5.75, 1.25, 1.5] and t.truncated.all()


@pytest.mark.parametrize("id", ["halfcheetah:delay=2@history=3", "halfcheetah@mirrored:delay=2@history=2"])
def test_a_delayed_robot_shows_its_state(id):
    """Put where its observation was made it does the same next, since the actions on their way are there again."""
    found = domain(id)
    assert found.invertible and not plain(found).invertible
    simulation, *_ = walked(found, 20)
    twin, rng = found.simulate(ROWS, 9), np.random.default_rng(2)
    assert twin.put(simulation.obs).all()
    for _ in range(4):
        action = rng.uniform(-1, 1, (ROWS, 6))
        a, b = simulation.step(action), twin.step(action)
        assert np.allclose(a.next_obs, b.next_obs, atol=1e-8) and np.allclose(a.reward, b.reward, atol=1e-8)


@pytest.mark.parametrize(
    "id", ["hopper:delay=2@history=1", "hopper:sensor_delay=1@history=2", "hopper:delay=0..2@history=3"]
)
def test_what_still_hides_the_state(id):
    assert not invertible(domain(id))


def test_its_state_continues_to_the_bit():
    found = domain("hopper:delay=1@history=2")
    simulation, *_ = walked(found, 15)
    again, action = found.simulate(ROWS, 5), np.full((ROWS, 3), 0.5)
    again.set_state(simulation.get_state())
    for _ in range(20):
        assert all(map(np.array_equal, simulation.step(action), again.step(action)))


def test_a_diverged_robot_ends_where_it_was():
    found = domain("hopper@history=1")
    simulation = found.simulate(2, 0)
    simulation.sparing = True
    simulation.step(np.full((2, 3), 0.5))
    simulation.plain._qvel[0] = 1e30
    t = simulation.step(np.ones((2, 3)))
    assert list(simulation.diverged) == [0] and np.array_equal(t.next_obs[0], t.obs[0])
    assert np.array_equal(simulation.obs[0, -3:], np.zeros(3)) and np.array_equal(simulation.obs[1, -3:], np.ones(3))


def test_a_crossing_takes_the_actions_along():
    one, other = domain("halfcheetah@history=2"), domain("halfcheetah@mirrored@history=2")
    (crossing,) = crossings(one, other)
    simulation, taken, _ = walked(one, 5)
    there = crossing.there.transition(taken[-1])
    assert np.array_equal(there.next_obs[:, 17:23], crossing.there.action(simulation.obs[:, 17:23]))
    assert np.allclose(crossing.back.obs(there.obs), taken[-1].obs)
    assert [e.name for e in crossing.shown.entries] == [e.name for e in other.entries]
    assert view_of(other.name) == "mirrored"
    assert view_of(one.name) is None and plain_id(other.name) == one.name and plain_id(one.name) == one.name


def test_the_setting_is_of_both_domains_and_written_in_their_ids():
    pair, shift = pair_of("halfcheetah", "halfcheetah+backward:delay=1", {"loop.history": "2"})
    assert pair.map(history_of) == (2, 2) and shift is not None
    assert [d.name for d in pair] == ["halfcheetah@mirrored@history=2", "halfcheetah+backward:delay=1@history=2"]
    again, _ = pair_of(pair.source.name, pair.target.name, {"loop.history": 2, "loop.symmetry": "none"})
    assert [d.name for d in again] == [d.name for d in pair]


@pytest.mark.parametrize(
    ("source", "target", "settings", "words"),
    [
        (
            "hopper@history=1",
            "hopper:delay=1",
            {"loop.history": 2},
            "shows the last 1 commanded actions already, not 2",
        ),
        ("hopper", "hopper:delay=1", {"loop.history": 101}, "can show the last 1 to 100 commanded actions, not 101"),
        ("hopper", "hopper:delay=1", {"loop.history": "two"}, "loop.history must be a whole number"),
        ("hopper@history=1", "hopper:delay=1", {}, "14 observations"),
    ],
)
def test_refused(source, target, settings, words):
    with pytest.raises(RequestError, match=words):
        pair_of(source, target, settings)
