"""The replay's ring, windows and held-out part."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from transreward import replay as rp
from transreward.types import Spaces, Steps, Transition

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))


def taken(first, steps, seeds=2, robots=3):
    """Steps whose every number is that of its control step."""
    number = np.broadcast_to(np.arange(first, first + steps)[:, None], (seeds, steps, robots))
    wide = [np.repeat(number[..., None], n, axis=-1) for n in (2, 1, 2)]
    return Steps(Transition(*wide[:2], number, wide[2], number, number), np.empty((*number.shape, 0)), number)


def one_seed(replay):
    return replace(replay, data=replay.data[0])


def numbers(steps):
    """Of control steps, by the reward that they have."""
    return np.asarray(steps.transition.reward)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_newest_steps_are_kept_in_order(chunks):
    replay, first = rp.empty(SPACES, 2, 10, 3), 0
    for steps in chunks:
        replay, first = rp.add(replay, taken(first, steps)), first + steps
    kept = numbers(rp.in_order(replay))[0, :, 0]
    assert kept.tolist() == list(range(max(first - 10, 0), first))


def test_the_newest_share_of_a_closed_ring():
    replay = rp.add(rp.add(rp.empty(SPACES, 2, 10, 3), taken(0, 8)), taken(8, 6))
    for share, first in ((1.0, 4), (0.3, 11), (1e-3, 13)):
        kept = rp.newest(replay, share)
        assert numbers(rp.in_order(kept))[0, :, 0].tolist() == list(range(first, 14))
        assert int(kept.size) == kept.capacity == 14 - first


def test_windows_are_consecutive_also_across_the_ring():
    replay = rp.add(rp.add(rp.empty(SPACES, 2, 10, 3), taken(0, 8)), taken(8, 6))
    windows = np.asarray(rp.sample_windows(one_seed(replay), jax.random.key(0), 500, 3).reward)
    assert (np.diff(windows, axis=1) == 1).all()
    assert windows.min() == 4 and windows.max() == 13  # steps 0 to 3 gave way


@pytest.mark.parametrize("length", [1, 3, 5])
def test_windows_never_run_on_from_the_last_step_of_other_robots(length):
    """Nor past what is stored: a run ends where a replay was taken up, and at the newest step."""
    old = rp.add(rp.empty(SPACES, 2, 10, 3), taken(0, 14))
    new = rp.add(rp.cut(rp.with_room(old, 15)), jax.tree.map(lambda x: 100 * (x + 1), taken(0, 4)))
    for replay in (new, rp.add(rp.empty(SPACES, 2, 15, 3), taken(2, 2))):
        t = rp.sample_windows(one_seed(replay), jax.random.key(0), 500, length)
        seen = np.asarray(t.reward)
        for row, ended in zip(seen, np.asarray(t.truncated) == 1, strict=True):
            whole = row[: np.argmax(ended) + 1 if ended.any() else length]
            assert (whole > 0).all() and len(set(whole >= 100)) == 1


@pytest.mark.parametrize(("capacity", "steps"), [(400, 400), (400, 6), (400, 23), (400, 59), (70, 70), (70, 110)])
def test_each_step_is_either_trained_on_or_held_out_and_all_are_reached(capacity, steps):
    """Also the newest, few of them, and all of a ring that has closed, whose size no block divides."""
    replay = rp.add(rp.empty(SPACES, 2, capacity, 3), taken(0, min(steps, 60)))
    for first in range(60, steps, 10):
        replay = rp.add(replay, taken(first, min(10, steps - first)))
    train, held_out = (
        set(numbers(rp.sample(one_seed(replay), jax.random.key(1), 6000, part))) for part in ("train", "held_out")
    )
    assert not train & held_out and train | held_out == set(range(max(steps - capacity, 0), steps))
    assert train and len(held_out) == sum(i % 50 in range(5, 10) for i in range(min(steps, capacity)))


def test_a_step_stays_on_its_side_as_more_are_stored():
    replay, before = rp.empty(SPACES, 2, 120, 3), set()
    for first in range(0, 120, 7):
        replay = rp.add(replay, taken(first, min(7, 120 - first)))
        drawn = rp.sample(one_seed(replay), jax.random.key(1), 3000, "held_out" if first else "train")
        held_out = set(numbers(drawn)) if first else set()
        assert before <= held_out
        before = held_out


def test_below_six_steps_nothing_can_be_held_out():
    replay = one_seed(rp.add(rp.empty(SPACES, 2, 400, 3), taken(0, 5)))
    for part in ("train", "held_out"):
        assert set(numbers(rp.sample(replay, jax.random.key(1), 300, part))) == set(range(5))


def test_what_is_stored_comes_back_as_it_was():
    """Every part of a step, its terms and whose it is among them."""
    rng, shape = np.random.default_rng(0), (2, 4, 3)
    t = Transition(
        rng.normal(size=(*shape, 2)),
        rng.normal(size=(*shape, 1)),
        rng.normal(size=shape),
        rng.normal(size=(*shape, 2)),
        rng.random(shape) < 0.5,
        rng.random(shape) < 0.5,
    )
    steps = Steps(t, rng.normal(size=(*shape, 5)), rng.integers(0, 9, shape))
    replay = rp.add(rp.empty(SPACES, 2, 6, 3, terms=5), steps)
    again = rp.saved_rows(np.asarray(rp.rows_to_save(replay)), SPACES, 5)
    for back in (rp.in_order(replay), rp.in_order(rp.of(steps, SPACES)), rp.in_order(again)):
        assert jax.tree.all(jax.tree.map(np.allclose, steps._replace(domain=back.domain), back))
    assert np.array_equal(rp.in_order(replay).domain, steps.domain) and back.domain.dtype == np.int32
    drawn = rp.sample(one_seed(replay), jax.random.key(0), 200)
    assert set(np.asarray(drawn.domain)) == set(steps.domain[0].ravel())
    older = rp.saved_rows(np.asarray(rp.rows_to_save(replay))[..., :-5], SPACES, 5)
    assert np.isnan(rp.in_order(older).terms).all() and np.allclose(rp.in_order(older).transition.obs, t.obs)


def test_what_is_changed_is_what_is_stored():
    replay = rp.changed(rp.add(rp.empty(SPACES, 2, 10, 3), taken(1, 4)), lambda s: s._replace(domain=s.domain + 7))
    assert rp.in_order(replay).domain[1, :, 2].tolist() == [8, 9, 10, 11]
    assert numbers(rp.in_order(replay))[1, :, 2].tolist() == [1, 2, 3, 4]


def test_with_room_goes_on_where_the_old_one_ended():
    old = rp.add(rp.empty(SPACES, 2, 10, 3), taken(0, 14))
    new = rp.add(rp.with_room(old, 15), taken(14, 5))
    assert numbers(rp.in_order(new))[1, :, 2].tolist() == list(range(4, 19))


def test_a_million_half_cheetah_steps_cost_little_more_than_their_raw_size():
    raw = 17 + 17 + 6 + 1  # obs, next_obs, action, reward
    assert rp.empty(Spaces(17, 6, -np.ones(6), np.ones(6)), 1, 1, 1).data.size <= 1.15 * raw


ROBOTS, WEIGHTS = 7, (0.7, 0.25, 0.05)  # of three sources, which have 3, 2 and 2 of the robots


def of_robots(seeds=1, robots=ROBOTS):
    """A replay whose steps are numbered by their robot, of one seed."""
    steps = taken(0, 60, seeds, robots)
    number = np.broadcast_to(np.arange(robots, dtype=float), (seeds, 60, robots))
    steps = steps._replace(transition=steps.transition._replace(reward=number))
    return rp.of(steps, SPACES)


@pytest.mark.parametrize("part", ["all", "train", "held_out", "windows"])
def test_steps_of_each_source_are_drawn_by_its_weight(part):
    """And those of its robots equally often."""
    replay, n = rp.weighted(one_seed(of_robots()), jnp.array(WEIGHTS)), 20_000
    if part == "windows":
        drawn = np.asarray(rp.sample_windows(replay, jax.random.key(0), n, 2).reward)
        assert (drawn[:, 0] == drawn[:, 1]).all()
        drawn = drawn[:, 0]
    else:
        drawn = numbers(rp.sample(replay, jax.random.key(0), n, part))
    counts = np.bincount(drawn.astype(int), minlength=ROBOTS)
    expected = np.array([WEIGHTS[i % 3] / (3, 2, 2)[i % 3] for i in range(ROBOTS)]) * n
    assert chisquare(counts, expected).pvalue > 1e-3


def test_all_the_weight_of_one_source_draws_no_step_of_another():
    for k in range(3):
        replay = rp.weighted(one_seed(of_robots()), jnp.eye(3)[k])
        assert {int(x) % 3 for x in numbers(rp.sample(replay, jax.random.key(k), 20_000))} == {k}


@pytest.mark.parametrize(("robots", "sources"), [(8, 2), (8, 4), (6, 3), (12, 3), (10, 5)])
def test_equal_weights_draw_the_steps_that_none_draw(robots, sources):
    """To the bit, by `sample`, where all sources have as many robots."""
    replay = one_seed(of_robots(robots=robots))
    weighted = rp.weighted(replay, jnp.full(sources, 1 / sources))
    for part in ("all", "train", "held_out"):
        same, own = (rp.sample(r, jax.random.key(1), 4096, part) for r in (replay, weighted))
        assert jax.tree.all(jax.tree.map(np.array_equal, same, own))


def test_each_seed_has_weights_of_its_own():
    replay = rp.weighted(of_robots(seeds=2), jnp.eye(3)[:2])
    draw = jax.vmap(lambda r, key: rp.sample(r, key, 500), in_axes=(replay.axes, 0))
    drawn = numbers(draw(replay, jax.random.split(jax.random.key(0))))
    assert [{int(x) % 3 for x in of_seed} for of_seed in drawn] == [{0}, {1}]
