"""The replay's ring, windows and held-out part."""

import jax
import jax.numpy as jnp
import numpy as np
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
    windows = np.asarray(rp.sample_windows(one_seed(replay), jax.random.key(0), 500, 3))[..., 0]
    assert (np.diff(windows, axis=1) == 1).all()
    assert windows.min() == 4 and windows.max() == 13  # steps 0 to 3 gave way


def test_train_and_held_out_share_no_step():
    replay = one_seed(rp.add(rp.empty(SPACES, 2, 400, 3), rows(0, 400)))
    drawn = {
        part: set(np.asarray(rp.sample(replay, jax.random.key(1), 5000, part))[:, 0]) for part in ("train", "held_out")
    }
    assert not drawn["train"] & drawn["held_out"]
    assert len(drawn["train"]) == 360 and len(drawn["held_out"]) == 40


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
