"""The replay: every step of one domain on the device, packed into one array so that sampling is a single gather.

Seeds lie along the first axis. The write position is shared by all seeds, since they step together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transreward.types import Array, Key, Pair, Spaces, Symmetry, Transition

# Of every 50 places of the ring the 6th to 10th are kept from a gap's training: neighbours in time, so that few of them
# border on what is trained on; early in the block, so that six control steps have both parts; and of fixed places, so
# that a step stays on its side as the ring fills and closes.
HELD_OUT_BLOCK, HELD_OUT_FIRST, HELD_OUT_STEPS = 50, 5, 5


class Replay(NamedTuple):
    """A ring of control steps."""

    data: Array  # float32 [seeds, capacity, robots, features]; inside vmap [capacity, robots, features]
    position: Array  # int32 []: where the next control step is written
    size: Array  # int32 []: how many control steps are stored


SEED_AXES = Replay(0, None, None)  # type: ignore[arg-type]  # how vmap takes a Replay apart


def features(spaces: Spaces) -> int:
    """Floats per transition."""
    return 2 * spaces.obs + spaces.action + 3


def pack(t: Transition) -> Array:
    """[..., features] float32."""
    flags = jnp.stack([t.reward, t.terminated, t.truncated], axis=-1)
    return jnp.concatenate([t.obs, t.next_obs, t.action, flags], axis=-1).astype(jnp.float32)


def unpack(rows: Array, spaces: Spaces) -> Transition:
    """The inverse of `pack`, the flags as float32 0 or 1."""
    o, a = spaces.obs, spaces.action
    return Transition(
        obs=rows[..., :o],
        next_obs=rows[..., o : 2 * o],
        action=rows[..., 2 * o : 2 * o + a],
        reward=rows[..., 2 * o + a],
        terminated=rows[..., 2 * o + a + 1],
        truncated=rows[..., 2 * o + a + 2],
    )


def empty(spaces: Spaces, seeds: int, capacity: int, robots: int, more: int = 0) -> Replay:
    """Room for `capacity` control steps of `robots` robots for each seed, and behind each step for `more` floats, which
    `unpack` leaves alone."""
    data = jnp.zeros((seeds, capacity, robots, features(spaces) + more), jnp.float32)
    return Replay(data, jnp.asarray(0, jnp.int32), jnp.asarray(0, jnp.int32))


@partial(jax.jit, donate_argnums=0)
def _write(replay: Replay, rows: Array) -> Replay:
    capacity, steps = replay.data.shape[1], rows.shape[1]
    data = jax.lax.dynamic_update_slice(replay.data, rows, (0, replay.position, 0, 0))
    return Replay(data, (replay.position + steps) % capacity, jnp.minimum(replay.size + steps, capacity))


def add(replay: Replay, rows: Array) -> Replay:
    """Write packed rows [seeds, steps, robots, features] in place, the oldest steps giving way. `replay` is used up."""
    capacity = replay.data.shape[1]
    rows = rows[:, -capacity:]
    room = capacity - int(replay.position)
    if rows.shape[1] > room:  # the ring closes: dynamic_update_slice would clamp instead of wrapping
        return _write(_write(replay, rows[:, :room]), rows[:, room:])
    return _write(replay, rows)


def sample(replay: Replay, key: Key, n: int, part: str = "all") -> Array:
    """n packed transitions [n, features] of one seed; `part` is all, train or held_out (see HELD_OUT_BLOCK).

    Every stored step is in one of the two parts. Below six control steps all are in train, and held_out draws from them
    too.
    """
    draws = jax.random.uniform(key, (2, n))  # one draw for all, in place of three of integers, each of which takes two

    def below(draw: Array, count: Array | int) -> Array:
        return (draw * count).astype(jnp.int32)  # a draw is at most 1 - 2^-23, so never `count` itself

    size = jnp.maximum(replay.size, 1)
    kept = size // HELD_OUT_BLOCK * HELD_OUT_STEPS
    kept += jnp.clip(size % HELD_OUT_BLOCK - HELD_OUT_FIRST, 0, HELD_OUT_STEPS)
    if part == "all":
        step = below(draws[0], size)
    elif part == "train":
        block, place = jnp.divmod(below(draws[0], size - kept), HELD_OUT_BLOCK - HELD_OUT_STEPS)
        step = block * HELD_OUT_BLOCK + place + jnp.where(place < HELD_OUT_FIRST, 0, HELD_OUT_STEPS)
    else:
        block, place = jnp.divmod(below(draws[0], jnp.maximum(kept, 1)), HELD_OUT_STEPS)
        apart = block * HELD_OUT_BLOCK + HELD_OUT_FIRST + place
        step = jnp.where(kept > 0, apart, below(draws[0], size))
    robot = below(draws[1], replay.data.shape[1])
    return replay.data[step, robot]


def sample_windows(replay: Replay, key: Key, n: int, length: int, spaces: Spaces) -> Transition:
    """n runs of `length` consecutive control steps of one robot, [n, length, ...], of one seed.

    The newest step counts as truncated: what a run holds behind it, where fewer are stored, is no later step.
    """
    step_key, robot_key = jax.random.split(key)
    capacity, robots = replay.data.shape[:2]
    oldest = (replay.position - replay.size) % capacity
    start = jax.random.randint(step_key, (n, 1), 0, jnp.maximum(replay.size - length + 1, 1))
    place = start + jnp.arange(length)
    robot = jax.random.randint(robot_key, (n, 1), 0, robots)
    windows = unpack(replay.data[(oldest + place) % capacity, robot], spaces)
    return windows._replace(truncated=jnp.where(place == replay.size - 1, 1.0, windows.truncated))


def cut(replay: Replay, spaces: Spaces) -> Replay:
    """The replay with its newest control step marked as truncated, before other robots' steps follow: a run of
    consecutive steps ends there."""
    newest = (replay.position - 1) % replay.data.shape[1]
    return replay._replace(data=replay.data.at[:, newest, :, features(spaces) - 1].set(1.0))


def in_order(replay: Replay) -> Array:
    """The stored control steps, oldest first, [seeds, size, robots, features]."""
    capacity, size = replay.data.shape[1], int(replay.size)
    first = (int(replay.position) - size) % capacity
    return jnp.roll(replay.data, -first, axis=1)[:, :size] if first else replay.data[:, :size]


def seen(rows: Array, spaces: Spaces, through: Symmetry) -> Array:
    """Packed rows [..., features + stored terms] as they are seen through a symmetry; rewards are what they were."""
    rows, size = np.array(rows), features(spaces)
    change = through.obs.beside(through.obs).beside(through.action)
    rows[..., : size - 3] = change(rows[..., : size - 3])
    if rows.shape[-1] > size:
        rows[..., size:] = through.stored(rows[..., size:])
    return jnp.asarray(rows)  # not NumPy's: each call of a program would copy it


def newest(replay: Replay, share: float) -> Replay:
    """The last `share` of the stored control steps, at least one, without room for more."""
    size = max(round(share * int(replay.size)), 1)
    return with_room(in_order(replay)[:, -size:], size)


def with_room(data: Array, capacity: int) -> Replay:
    """A replay for `capacity` control steps that already holds `data` [seeds, size <= capacity, robots, features]."""
    size = data.shape[1]
    data = jnp.pad(data, ((0, 0), (0, capacity - size), (0, 0), (0, 0)))
    return Replay(data, jnp.asarray(size % capacity, jnp.int32), jnp.asarray(size, jnp.int32))


def windows(replays: Pair[Replay | None], target_share: float, spaces: Spaces) -> Callable[..., Pair[Transition]]:
    """What a learner samples from two replays of one seed: see `Sample` in learners/learner.py."""

    def sample(key: Key, n: int, length: int) -> Pair[Transition]:
        from_target = round(n * target_share)
        sizes, keys = Pair(n - from_target, from_target), Pair(*jax.random.split(key))

        def draw(replay: Replay | None, key: Key, n: int) -> Transition:
            if n == 0 or replay is None:
                return unpack(jnp.zeros((0, length, features(spaces))), spaces)
            return sample_windows(replay, key, n, length, spaces)

        return Pair(*(draw(r, k, n) for r, k, n in zip(replays, keys, sizes, strict=True)))

    return sample


def rollout(rows: Pair[Array | None], spaces: Spaces) -> Callable[..., Pair[Transition]]:
    """The same of an on-policy learner: packed rows [steps, robots, features] of the domain that feeds it."""

    def sample(key: Key, n: int, length: int) -> Pair[Transition]:
        return rows.map(lambda x: unpack(jnp.zeros((0, 0, features(spaces))) if x is None else x, spaces))

    return sample
