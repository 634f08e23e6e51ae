"""What follows from what a robot asked and told: settled steps, episodes, and what was lost."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transreward.streams.journal import ABORT, ACT, OPEN, RESET, STEP, Book, Event, Journal, packed, unpacked
from transreward.types import BrokenRun, Spaces

SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))


def at(x):
    return np.array([x, -x], np.float32)


def act(x, who="source", robot=0):
    return Event(ACT, robot, 1.0, who, at(x), np.zeros(1, np.float32))


def step(x, reward=1.0, terminated=False, truncated=False, robot=0):
    return Event(STEP, robot, 2.0, "", at(x), np.full(1, 0.5, np.float32), reward, terminated, truncated)


def book(*events, granted=100, robots=1):
    found = Book(robots, granted)
    for event in events:
        found.apply(event)
    return found


def rows(found, robot=0):
    return [(r.obs[0], r.next_obs[0], r.terminated, r.truncated, r.ended) for r in found.rows[robot]]


def test_a_step_is_settled_once_it_is_known_what_followed():
    found = book(act(0), step(1))
    assert not found.rows[0] and found.robots[0].settled == 0
    found.apply(act(1))
    assert not found.rows[0] and found.robots[0].settled == 0  # an operator may still end its episode there
    found.apply(step(2))
    assert rows(found) == [(0, 1, False, False, False)] and found.robots[0].settled == 1
    assert found.rows[0][0].action == 0.5  # as executed


def test_an_episode_is_over_and_its_return_known():
    found = book(act(0), step(1, 2.0), act(1), step(2, 3.0, terminated=True), act(7, "auto"))
    assert rows(found) == [(0, 1, False, False, False), (1, 2, True, False, True)]
    assert found.robots[0].episodes == [("source", 5.0, 2)]
    assert [r.began for r in found.rows[0]] == [True, False] and found.robots[0].who == "auto"


def test_a_step_of_which_nothing_was_told_is_counted_and_cuts_the_episode():
    found = book(act(0), step(1), act(1), act(2), step(3, terminated=True))
    one = found.robots[0]
    assert (one.acts, one.lost, one.settled) == (3, 1, 3)
    assert rows(found) == [(0, 1, False, True, False), (2, 3, True, False, True)]
    assert found.rows[0][1].began and one.episodes == [("source", 1.0, 3)]  # of the second alone


def test_an_action_that_is_asked_for_elsewhere_begins_an_episode():
    found = book(act(0), step(1), act(5), step(6, truncated=True))
    assert rows(found) == [(0, 1, False, True, False), (5, 6, False, True, True)]
    assert found.robots[0].lost == 0 and found.robots[0].episodes == [("source", 1.0, 2)]


def test_an_operator_ends_an_episode():
    found = book(act(0), step(1, 4.0), Event(ABORT, text="too close"), act(9))
    assert rows(found) == [(0, 1, True, False, True)]
    assert found.robots[0].episodes == [("source", 4.0, 1)] and found.robots[0].aborted == 1
    found = book(act(0), step(1, 4.0), act(1), Event(ABORT), act(9))  # while the robot moves
    assert rows(found) == [(0, 1, True, False, True)] and found.robots[0].lost == 1
    assert found.robots[0].episodes == [("source", 4.0, 2)] and found.robots[0].settled == 2
    found = book(act(0), Event(ABORT))  # before anything was told
    assert not found.rows[0] and (found.robots[0].lost, found.robots[0].aborted) == (1, 1)


def test_a_reset_is_counted_apart():
    found = book(act(0), step(1), Event(RESET, obs=at(3), steps=40), act(3))
    assert rows(found) == [(0, 1, False, True, False)]
    assert (found.robots[0].resets, found.acts, found.robots[0].episodes) == (40, 2, [])


def test_the_last_granted_step_needs_no_other_behind_it():
    found = book(act(0), step(1), act(1), step(2), granted=2)
    assert rows(found)[-1] == (1, 2, False, True, False) and found.robots[0].settled == 2


def test_who_comes_back_goes_on_where_it_was():
    """But for what was asked for, of which nothing will be told."""
    found = book(act(0), step(1), Event(OPEN), act(1), Event(OPEN), act(1), step(2, truncated=True))
    assert rows(found) == [(0, 1, False, True, False), (1, 2, False, True, True)]
    assert found.robots[0].lost == 1


def test_an_episode_of_several_is_nobodys():
    found = book(act(0), step(1), act(1, "auto"), step(2, terminated=True))
    assert found.robots[0].episodes == [] and found.rows[0][-1].who == ""


def test_robots_do_not_mix():
    found = book(act(0), act(5, robot=1), step(6, robot=1, terminated=True), step(1), act(1), step(2), robots=2)
    assert rows(found, 0) == [(0, 1, False, False, False)] and rows(found, 1) == [(5, 6, True, False, True)]
    assert found.acts == 3


def opened(path, robots=1, writes=True):
    return closing(Journal(path, robots, SPACES, 100, writes=writes))


def written(path, steps):
    """The bytes of a journal of so many steps."""
    with opened(path) as one:
        for i in range(steps):
            one.write(act(i))
            one.write(step(i + 1))
    return path.read_bytes()


def test_another_process_reads_what_was_written(tmp_path):
    path = tmp_path / "steps"
    with opened(path) as one, opened(path, writes=False) as other:
        for event in (act(0), step(1), act(1)):
            one.write(event)
        one.flush()
        assert other.catch_up() == 3 and other.book.acts == 2
        np.testing.assert_array_equal(other.book.robots[0].last.next_obs, at(1))
    with opened(path) as again:
        assert (again.book.acts, again.book.robots[0].lost) == (2, 1)


@given(cut=st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_a_journal_that_was_cut_goes_on(tmp_path_factory, cut):
    """Wherever: whole records are kept, the rest is cut off, and more is appended behind them."""
    path = tmp_path_factory.mktemp("cut") / "steps"
    whole = written(path, 3)
    path.write_bytes(whole[: max(len(whole) - cut, 0)])
    with opened(path) as again:
        before = again.book.acts
        again.write(act(9))
    with opened(path) as last:
        assert last.book.acts == before + 1


def test_a_damaged_record_is_said(tmp_path):
    path = tmp_path / "steps"
    content = bytearray(written(path, 3))
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(BrokenRun, match="damaged after 3 steps"):
        opened(path, writes=False)
    with pytest.warns(UserWarning, match="damaged after 3 steps: the rest is lost"), opened(path) as again:
        assert again.book.acts == 3
    with pytest.raises(BrokenRun, match="is of other robots"):
        opened(path, robots=2)


numbers = st.floats(-1e6, 1e6, width=32)


@given(
    kind=st.sampled_from([ACT, STEP, RESET, ABORT]), text=st.text(max_size=30), x=st.tuples(numbers, numbers),
    action=numbers, reward=numbers, over=st.tuples(st.booleans(), st.booleans()), steps=st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_events_come_back(kind, text, x, action, reward, over, steps):
    obs = None if kind == ABORT else np.array(x, np.float32)
    moved = np.array([action], np.float32) if kind in (ACT, STEP) else None
    event = Event(kind, 0, 3.5, text, obs, moved, reward, *over, steps)
    found = unpacked(kind, packed(event), SPACES)
    for a, b in zip(event, found, strict=True):
        np.testing.assert_array_equal(a, b)
