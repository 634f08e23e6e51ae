"""The replay: the steps of one domain on the device, packed into one array so that sampling is a single gather.

It takes `Steps` and gives `Steps`; which column holds what is known here alone. Seeds lie along the first axis. The
write position is shared by all seeds, since they step together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from transreward.types import Array, Drawn, Key, Pair, Spaces, Steps, Transition

# Of every 50 places of the ring the 6th to 10th are kept from a gap's training: neighbours in time, so that few of them
# border on what is trained on; early in the block, so that six control steps have both parts; and of fixed places, so
# that a step stays on its side as the ring fills and closes.
HELD_OUT_BLOCK, HELD_OUT_FIRST, HELD_OUT_STEPS = 50, 5, 5


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("data", "position", "size", "shares"),
    meta_fields=("spaces", "terms"),
)
@dataclass(frozen=True, eq=False)
class Replay:
    """A ring of control steps."""

    data: Array  # float32 [seeds, capacity, robots, columns]; inside vmap [capacity, robots, columns]
    position: Array  # int32 []: where the next control step is written
    size: Array  # int32 []: how many control steps are stored
    spaces: Spaces  # of the steps
    terms: int  # that are stored beside each step
    shares: Array | None = None  # [seeds, robots], inside vmap [robots]: of draws that fall on each; None: equal ones

    @property
    def axes(self) -> Replay:
        """How vmap takes it apart, seed by seed."""
        return replace(self, data=0, position=None, size=None, shares=None if self.shares is None else 0)

    @property
    def capacity(self) -> int:
        """The most control steps that it holds."""
        return self.data.shape[-3]


@partial(jax.tree_util.register_dataclass, data_fields=("parts",), meta_fields=())
@dataclass(frozen=True, eq=False)
class Mixed:
    """Replays of several domains as one, of which each gives an equal part of what is drawn; with the terms of steps
    where all have as many."""

    parts: tuple[Replay, ...]

    @property
    def axes(self) -> Mixed:
        """How vmap takes it apart, seed by seed."""
        return Mixed(tuple(one.axes for one in self.parts))


def mixed(parts: Sequence[Replay]) -> Replay | Mixed:
    """Several replays to draw from as from one; a single one as it is."""
    return parts[0] if len(parts) == 1 else Mixed(tuple(parts))


def _columns(spaces: Spaces, terms: int) -> int:
    """Floats of a step: [obs, next_obs, action, reward, terminated, truncated, terms, domain]."""
    return 2 * spaces.obs + spaces.action + 4 + terms


def _pack(steps: Steps) -> np.ndarray:
    """[..., columns] float32, in NumPy."""
    t = steps.transition
    single = [np.asarray(x)[..., None] for x in (t.reward, t.terminated, t.truncated)]
    columns = [t.obs, t.next_obs, t.action, *single, steps.terms, np.asarray(steps.domain)[..., None]]
    return np.concatenate([np.asarray(x, np.float32) for x in columns], axis=-1)


def unpacked(rows: Array, spaces: Spaces) -> Steps:
    """The steps in rows [..., columns] of a replay, the flags as float32 0 or 1."""
    o, flags = spaces.obs, 2 * spaces.obs + spaces.action
    transition = Transition(
        obs=rows[..., :o],
        next_obs=rows[..., o : 2 * o],
        action=rows[..., 2 * o : flags],
        reward=rows[..., flags],
        terminated=rows[..., flags + 1],
        truncated=rows[..., flags + 2],
    )
    return Steps(transition, rows[..., flags + 3 : -1], rows[..., -1].astype(np.int32))


def no_steps(spaces: Spaces, *shape: int) -> Steps:
    """Steps [*shape] of which there are none."""
    return unpacked(jnp.zeros((*shape, _columns(spaces, 0))), spaces)


def empty(spaces: Spaces, seeds: int, capacity: int, robots: int, terms: int = 0) -> Replay:
    """Room for `capacity` control steps of `robots` robots for each seed, and beside each step for so many terms."""
    data = jnp.zeros((seeds, capacity, robots, _columns(spaces, terms)), jnp.float32)
    return Replay(data, jnp.asarray(0, jnp.int32), jnp.asarray(0, jnp.int32), spaces, terms)


def of(steps: Steps, spaces: Spaces) -> Replay:
    """A replay of steps [seeds, control steps, robots], and without room for more."""
    return _full(_pack(steps), spaces)


@partial(jax.jit, donate_argnums=0)
def _write(replay: Replay, rows: Array) -> Replay:
    capacity, steps = replay.capacity, rows.shape[1]
    data = jax.lax.dynamic_update_slice(replay.data, rows, (0, replay.position, 0, 0))
    size = jnp.minimum(replay.size + steps, capacity)
    return replace(replay, data=data, position=(replay.position + steps) % capacity, size=size)


def add(replay: Replay, steps: Steps) -> Replay:
    """Write steps [seeds, control steps, robots] in place, the oldest giving way. `replay` is used up."""
    rows = _pack(steps)[:, -replay.capacity :]
    room = replay.capacity - int(replay.position)
    if rows.shape[1] > room:  # the ring closes: dynamic_update_slice would clamp instead of wrapping
        return _write(_write(replay, rows[:, :room]), rows[:, room:])
    return _write(replay, rows)


def sample(replay: Replay | Mixed, key: Key, n: int, part: str = "all") -> Steps:
    """n steps of one seed; `part` is all, train or held_out (see HELD_OUT_BLOCK).

    Every stored step is in one of the two parts. Below six control steps all are in train, and held_out draws from them
    too.
    """
    if isinstance(replay, Mixed):
        return _of_each(replay, key, n, part)
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
    robot = below(draws[1], replay.data.shape[1]) if replay.shares is None else _falls_on(replay.shares, draws[1])
    return unpacked(replay.data[step, robot], replay.spaces)


def _of_each(replay: Mixed, key: Key, n: int, part: str) -> Steps:
    """n steps, as many from each replay as from another; the first give one more where that does not come out even."""
    count, alike = len(replay.parts), len({one.terms for one in replay.parts}) == 1
    sizes = [n // count + (k < n % count) for k in range(count)]
    drawn = [sample(*one, part) for one in zip(replay.parts, jax.random.split(key, count), sizes, strict=True)]
    drawn = [steps if alike else steps._replace(terms=steps.terms[..., :0]) for steps in drawn]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *drawn)


def sample_windows(replay: Replay, key: Key, n: int, length: int, scale: Array | None = None) -> Transition:
    """n runs of `length` consecutive control steps of one robot, [n, length, ...], of one seed. With a `scale` [tasks]
    rewards are divided by that of each step's task, the last of its terms.

    The newest step counts as truncated: what a run holds behind it, where fewer are stored, is no later step.
    """
    step_key, robot_key = jax.random.split(key)
    capacity, robots = replay.data.shape[:2]
    oldest = (replay.position - replay.size) % capacity
    start = jax.random.randint(step_key, (n, 1), 0, jnp.maximum(replay.size - length + 1, 1))
    place = start + jnp.arange(length)
    if replay.shares is None:
        robot = jax.random.randint(robot_key, (n, 1), 0, robots)
    else:
        robot = _falls_on(replay.shares, jax.random.uniform(robot_key, (n, 1)))
    steps = unpacked(replay.data[(oldest + place) % capacity, robot], replay.spaces)
    windows = steps.transition
    if scale is not None:
        windows = windows._replace(reward=windows.reward / scale[steps.terms[..., -1].astype(np.int32)])
    return windows._replace(truncated=jnp.where(place == replay.size - 1, 1.0, windows.truncated))


def _falls_on(shares: Array, draws: Array) -> Array:
    """The robots [...] that uniform draws [...] in [0, 1) fall on, each on as many as its share. Of equal shares those
    that `sample` draws without any, up to a rounding of their bounds."""
    bounds = jnp.cumsum(shares)
    return jnp.searchsorted(bounds, draws * bounds[-1], side="right", method="compare_all")  # a draw is never 1


def cut(replay: Replay) -> Replay:
    """The replay with its newest control step marked as truncated, before other robots' steps follow: a run of
    consecutive steps ends there."""
    truncated = 2 * replay.spaces.obs + replay.spaces.action + 2
    return replace(replay, data=_cut(replay.data, replay.position, truncated))


@partial(jax.jit, static_argnums=2)
def _cut(data: Array, position: Array, column: int) -> Array:
    return data.at[:, (position - 1) % data.shape[1], :, column].set(1.0)


def written(replay: Replay) -> int:
    """How many control steps it was given in all, so that `position` is where the next goes; at least as many as it
    holds, more are not known."""
    size = int(replay.size)
    return size + int(replay.position) if size == replay.capacity else size


def in_order(replay: Replay) -> Steps:
    """The stored steps, oldest first, [seeds, size, robots], in NumPy."""
    return unpacked(np.asarray(_in_order(replay)), replay.spaces)


def _in_order(replay: Replay) -> Array:
    capacity, size = replay.capacity, int(replay.size)
    first = (int(replay.position) - size) % capacity
    return jnp.roll(replay.data, -first, axis=1)[:, :size] if first else replay.data[:, :size]


def changed(replay: Replay, change: Callable[[Steps], Steps]) -> Replay:
    """The same with all stored steps [seeds, size, robots] as `change` makes them, which asks for no order."""
    data = np.array(replay.data)
    stored = data[:, : int(replay.size)]  # a ring that has not closed is filled from its start
    stored[...] = _pack(change(unpacked(stored, replay.spaces)))
    return replace(replay, data=jnp.asarray(data))  # not NumPy's: each call of a program would copy it


def newest(replay: Replay, share: float) -> Replay:
    """The last `share` of the stored control steps, at least one, without room for more."""
    return with_room(replay, max(round(share * int(replay.size)), 1))


def with_room(replay: Replay, capacity: int) -> Replay:
    """A replay for `capacity` control steps that already holds the newest of another."""
    data = _in_order(replay)[:, -capacity:]
    size = data.shape[1]
    data = jnp.pad(data, ((0, 0), (0, capacity - size), (0, 0), (0, 0)))
    return replace(
        replay, data=data, position=jnp.asarray(size % capacity, jnp.int32), size=jnp.asarray(size, jnp.int32)
    )


def windows(
    replays: Pair[Replay | None], target_share: float | Array, spaces: Spaces, scale: Array | None = None
) -> Callable[..., Drawn]:
    """What a learner samples from two replays of one seed: see `Sample` in learners/learner.py. A `scale` is of the
    source's tasks: see `sample_windows`.

    A share that is only known when the program runs cannot set sizes: then both sides draw a whole batch, of which the
    source's last rows and the target's first are taken.
    """

    def sample(key: Key, n: int, length: int) -> Drawn:
        keys, sizes, first = Pair(*jax.random.split(key)), Pair(n, n), None
        if isinstance(target_share, (int, float)):
            from_target = round(n * target_share)
            sizes = Pair(n - from_target, from_target)
        else:
            first = jnp.round(n * target_share).astype(jnp.int32)

        def draw(replay: Replay | None, key: Key, n: int, scale: Array | None) -> Transition:
            if n == 0 or replay is None:
                return no_steps(spaces, 0, length).transition
            return sample_windows(replay, key, n, length, scale)

        return Drawn(Pair(*map(draw, replays, keys, sizes, Pair(scale, None))), first)

    return sample


def dealt(replays: Sequence[Replay]) -> Replay:
    """One replay of several of equally many robots, whose j-th robot is that of replay j mod K; of the newest control
    steps that all hold, with their terms where all have the same ones."""
    size, alike = min(int(r.size) for r in replays), len({r.terms for r in replays}) == 1
    every = [in_order(r) for r in replays]
    rows = [_pack(x if alike else x._replace(terms=x.terms[..., :0]))[:, -size:] for x in every]
    robots = [rows[j % len(rows)][:, :, j] for j in range(rows[0].shape[2])]
    return _full(np.stack(robots, axis=2), replays[0].spaces)


def weighted(replay: Replay, weights: Array) -> Replay:
    """A replay `dealt` from K others of which robots are drawn so that steps of the k-th come with probability
    weights[..., k]; `weights` [seeds, K], inside vmap [K], sum to 1."""
    others = weights.shape[-1]
    whose = np.arange(replay.data.shape[-2]) % others
    each = weights / np.bincount(whose, minlength=others).astype(np.float32)
    return replace(replay, shares=each[..., whose])


# -- on disk -------------------------------------------------------------------------------------------------------


def rows_to_save(replay: Replay) -> Array:
    """What a file keeps of a replay whose steps are all of the source: rows [seeds, size, robots, floats]."""
    return _in_order(replay)[..., :-1]


def saved_rows(rows: np.ndarray, spaces: Spaces, terms: int) -> Replay:
    """The replay of such rows. Terms that earlier versions did not keep are NaN: nobody knows them."""
    wanted = _columns(spaces, terms) - 1
    rows = np.pad(rows, (*[(0, 0)] * 3, (0, max(wanted - rows.shape[-1], 0))), constant_values=np.nan)
    return _full(np.pad(rows, (*[(0, 0)] * 3, (0, 1))), spaces)


def _full(rows: np.ndarray, spaces: Spaces) -> Replay:
    size, terms = rows.shape[1], rows.shape[-1] - _columns(spaces, 0)
    return Replay(jnp.asarray(rows), jnp.asarray(0, jnp.int32), jnp.asarray(size, jnp.int32), spaces, terms)
