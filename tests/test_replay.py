"""The replay's ring, windows and held-out part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transreward import replay as rp
from transreward.types import Spaces, Transition

SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))


def rows(first, steps, seeds=2, robots=3):
    """Rows whose every feature holds the number of its control step."""
    numbers = np.arange(first, first + steps, dtype=np.float32)
    return np.broadcast_to(numbers[None, :, None, None], (seeds, steps, robots, rp.features(SPACES))).copy()


def one_seed(replay):
    return replay._replace(data=replay.data[0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_newest_steps_are_kept_in_order(chunks):
    replay, first = rp.empty(SPACES, 2, 10, 3), 0
    for steps in chunks:
        replay, first = rp.add(replay, rows(first, steps)), first + steps
    kept = np.asarray(rp.in_order(replay))[0, :, 0, 0]
    assert kept.tolist() == list(range(max(first - 10, 0), first))


def test_the_newest_share_of_a_closed_ring():
    replay = rp.add(rp.add(rp.empty(SPACES, 2, 10, 3), rows(0, 8)), rows(8, 6))
    for share, first in ((1.0, 4), (0.3, 11), (1e-3, 13)):
        kept = rp.newest(replay, share)
        assert np.asarray(rp.in_order(kept))[0, :, 0, 0].tolist() == list(range(first, 14))
        assert int(kept.size) == kept.data.shape[1] == 14 - first


def test_windows_are_consecutive_also_across_the_ring():
    replay = rp.add(rp.add(rp.empty(SPACES, 2, 10, 3), rows(0, 8)), rows(8, 6))
    windows = np.asarray(rp.sample_windows(one_seed(replay), jax.random.key(0), 500, 3, SPACES).reward)
    assert (np.diff(windows, axis=1) == 1).all()
    assert windows.min() == 4 and windows.max() == 13  # steps 0 to 3 gave way


@pytest.mark.parametrize("length", [1, 3, 5])
def test_windows_never_run_on_from_the_last_step_of_other_robots(length):
    """Nor past what is stored: a run ends where a replay was taken up, and at the newest step."""
    old = rp.add(rp.empty(SPACES, 2, 10, 3), rows(0, 14))
    new = rp.add(rp.cut(rp.with_room(rp.in_order(old), 15), SPACES), 100 * (rows(0, 4) + 1))
    for replay in (new, rp.add(rp.empty(SPACES, 2, 15, 3), rows(2, 2))):
        t = rp.sample_windows(one_seed(replay), jax.random.key(0), 500, length, SPACES)
        seen = np.asarray(t.reward)
        for row, ended in zip(seen, np.asarray(t.truncated) == 1, strict=True):
            whole = row[: np.argmax(ended) + 1 if ended.any() else length]
            assert (whole > 0).all() and len(set(whole >= 100)) == 1


@pytest.mark.parametrize(("capacity", "steps"), [(400, 400), (400, 6), (400, 23), (400, 59), (70, 70), (70, 110)])
def test_each_step_is_either_trained_on_or_held_out_and_all_are_reached(capacity, steps):
    """Also the newest, few of them, and all of a ring that has closed, whose size no block divides."""
    replay = rp.add(rp.empty(SPACES, 2, capacity, 3), rows(0, min(steps, 60)))
    for first in range(60, steps, 10):
        replay = rp.add(replay, rows(first, min(10, steps - first)))
    train, held_out = (
        set(np.asarray(rp.sample(one_seed(replay), jax.random.key(1), 6000, part))[:, 0])
        for part in ("train", "held_out")
    )
    assert not train & held_out and train | held_out == set(range(max(steps - capacity, 0), steps))
    assert train and len(held_out) == sum(i % 50 in range(5, 10) for i in range(min(steps, capacity)))


def test_a_step_stays_on_its_side_as_more_are_stored():
    replay, before = rp.empty(SPACES, 2, 120, 3), set()
    for first in range(0, 120, 7):
        replay = rp.add(replay, rows(first, min(7, 120 - first)))
        drawn = rp.sample(one_seed(replay), jax.random.key(1), 3000, "held_out" if first else "train")
        held_out = set(np.asarray(drawn)[:, 0]) if first else set()
        assert before <= held_out
        before = held_out


def test_below_six_steps_nothing_can_be_held_out():
    replay = one_seed(rp.add(rp.empty(SPACES, 2, 400, 3), rows(0, 5)))
    for part in ("train", "held_out"):
        assert set(np.asarray(rp.sample(replay, jax.random.key(1), 300, part))[:, 0]) == set(range(5))


def test_pack_and_unpack():
    rng = np.random.default_rng(0)
    t = Transition(
        rng.normal(size=(5, 2)),
        rng.normal(size=(5, 1)),
        rng.normal(size=5),
        rng.normal(size=(5, 2)),
        np.arange(5) > 2,
        np.arange(5) < 1,
    )
    back = rp.unpack(rp.pack(Transition(*map(jnp.asarray, t))), SPACES)
    assert all(np.allclose(a, b) for a, b in zip(t, back, strict=True))


def test_with_room_goes_on_where_the_old_one_ended():
    old = rp.add(rp.empty(SPACES, 2, 10, 3), rows(0, 14))
    new = rp.add(rp.with_room(rp.in_order(old), 15), rows(14, 5))
    assert np.asarray(rp.in_order(new))[1, :, 2, 0].tolist() == list(range(4, 19))


def test_a_million_half_cheetah_steps_cost_little_more_than_their_raw_size():
    raw = 17 + 17 + 6 + 1  # obs, next_obs, action, reward
    assert rp.features(Spaces(17, 6, -np.ones(6), np.ones(6))) <= 1.15 * raw
