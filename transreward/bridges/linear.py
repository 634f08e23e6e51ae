"""Linear bridges: maps given by a matrix, and symmetries, which reorder columns and flip the signs of some.

A symmetry is a bridge from a robot to itself: mirrored or rotated, it is the same robot doing something else.

    halfcheetah@mirrored   ant@turned90

An ant that walks forward is, rotated by a quarter turn, an ant that walks to the left. So if the target's task is the
source's in another direction, the rotated source has the target's reward: its agent already knows the target's task,
and comparisons between the domains are made between corresponding situations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from transreward.bridges.bridge import Bridge, Columns, Crossing, Map, Maps, Side, beyond
from transreward.types import Array, Entry, RequestError, Spaces, nearest

SINGULAR = 1e-9  # what counts as 0 beside a block's largest singular value

Rename = Callable[[str], tuple[str, float]]  # a shown column -> the robot's column that it shows, and its sign


@dataclass(frozen=True, eq=False)
class Linear:
    """x -> matrix x + fill."""

    matrix: np.ndarray  # [to, from]
    fill: np.ndarray  # [to]

    def __call__(self, x: Array) -> Array:
        """[..., from] -> [..., to]."""
        return x @ self.matrix.T + self.fill


class Ways(NamedTuple):
    """A map of columns, and the way back."""

    there: Linear
    back: Linear


@dataclass(frozen=True, eq=False)
class Reordered:
    """Columns in another order, some with the opposite sign; exact to the bit."""

    order: np.ndarray  # [columns] int
    sign: np.ndarray  # [columns] of +-1

    def __call__(self, x: Array) -> Array:
        """[..., columns] -> [..., columns]."""
        return x[..., self.order] * self.sign

    @property
    def matrix(self) -> np.ndarray:
        """See `Map`."""
        return np.eye(len(self.order))[self.order] * self.sign[:, None]

    @property
    def fill(self) -> np.ndarray:
        """See `Map`: zeros, since every column shows one."""
        return np.zeros(len(self.order))

    def after(self, first: Reordered) -> Reordered:
        """The composition: first `first`, then this."""
        return Reordered(first.order[self.order], first.sign[self.order] * self.sign)


@dataclass(frozen=True)
class Symmetry(Bridge):
    """A robot mirrored or rotated: one operation, which renames its parts, applied several times."""

    name: str
    of: dict[str, Rename]  # robot of the table -> the operation
    times: int = 1  # how often it is applied
    whole: int = 2  # order of the symmetry: applied so often, it is the identity

    own_columns = True

    @property
    def robots(self) -> tuple[str, ...]:
        """See `Bridge`."""
        return tuple(self.of)

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """See `Bridge`. Shown columns have the robot's own names, with unit and range of the column that each shows.

        Raises RequestError if the robot has action noise or a learned rule of its motors.
        """
        if robot.physics.noise.any() or robot.physics.motors is not None:
            what = "the rule of its motors" if robot.physics.motors is not None else "the noise on its actions"
            raise RequestError(f"{robot.name} cannot be seen {self.name}: {what} would not be")
        own, rename = Columns.of(robot), self.of[robot.robot.name]
        there = _turned(own, rename, self.times)
        back = _turned(own, rename, self.whole - self.times)  # not the inverse order: two terms may show one
        return Crossing(Maps(*there), Maps(*back), own, _shown(own, *there[:2]))


def _turned(own: Columns, rename: Rename, times: int) -> tuple[Reordered, Reordered, Reordered]:
    """The maps of observations, actions and stored terms after `times` operations."""
    obs, action = ([e.name for e in entries] for entries in (own.entries, own.action_entries))
    return (
        reordering(obs, rename, times),
        reordering(action, rename, times),
        reordering(own.stored_terms, rename, times),
    )


def reordering(columns: Sequence[str], rename: Rename, times: int = 1) -> Reordered:
    """The map of columns with these names after `times` operations. Raises RequestError for an unknown column."""
    shown = [rename(name) for name in columns]
    for name, (other, _) in zip(columns, shown, strict=True):
        if other not in columns:
            raise nearest(other, columns, f"column, which is to show in the place of '{name}':")
    order = np.array([columns.index(name) for name, _ in shown], int)
    once = found = Reordered(order, np.array([sign for _, sign in shown], np.float32))
    for _ in range(times - 1):
        found = once.after(found)
    return found


def _shown(own: Columns, obs: Reordered, action: Reordered) -> Columns:
    bounds = np.sort([action(own.spaces.low), action(own.spaces.high)], axis=0) + 0.0  # no -0
    spaces = Spaces(own.spaces.obs, own.spaces.action, *bounds)
    return Columns(spaces, _named(own.entries, obs), _named(own.action_entries, action), own.stored_terms)


def _named(entries: tuple[Entry, ...], there: Reordered) -> tuple[Entry, ...]:
    shown = []
    for entry, i, sign in zip(entries, there.order, there.sign, strict=True):
        low, high = sorted((float(sign) * entries[i].low, float(sign) * entries[i].high))
        shown.append(replace(entries[i], name=entry.name, part=entry.part, low=low, high=high))
    return tuple(shown)


# -- bridges to another robot, by matrices -------------------------------------------------------------------------


def inverse(there: Linear) -> Linear:
    """The way back: the inverse of what is one to one, else the pseudo-inverse. A column that nothing shows is 0."""
    back = np.zeros(there.matrix.T.shape)
    for rows, columns in blocks(there.matrix):
        block = there.matrix[np.ix_(rows, columns)]
        line = 1 in block.shape  # of which this is the pseudo-inverse, to the bit where its entries are +-1
        found = block.T / (block**2).sum() if line else np.linalg.pinv(block, rcond=SINGULAR)
        back[np.ix_(columns, rows)] = found
    return Linear(back, -back @ there.fill + 0.0)  # no -0


def blocks(matrix: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Rows and columns of the smallest parts of a matrix that share none of them; those of zeros are in no part."""
    found, left = [], set(np.flatnonzero(matrix.any(axis=1)).tolist())
    while left:
        rows, more = np.zeros(len(matrix), bool), {min(left)}
        while more:
            rows[list(more)] = True
            columns = matrix[rows].any(axis=0)
            more = set(np.flatnonzero(matrix[:, columns].any(axis=1) & ~rows).tolist())
        left -= set(np.flatnonzero(rows).tolist())
        found.append((np.flatnonzero(rows).tolist(), np.flatnonzero(columns).tolist()))
    return found


def in_units(shares: Linear, of: Spaces, to: Spaces) -> Linear:
    """A map of actions in shares of half of each box, from its middle, as one in the actions' own units."""
    matrix = shares.matrix * to.half_width[:, None] / of.half_width
    return Linear(matrix, to.centre + to.half_width * shares.fill - matrix @ of.centre)


def in_shares(units: Map, of: Spaces, to: Spaces) -> Linear:
    """The reverse of `in_units`."""
    middle = units.matrix @ of.centre + units.fill
    return Linear(units.matrix * of.half_width / to.half_width[:, None], (middle - to.centre) / to.half_width)


def joined(
    own: Columns, shown: Columns, obs: Ways, action: Ways, lost: tuple[str, ...], held: tuple[str, ...] = ()
) -> Crossing:
    """The crossing to another robot by maps of observations, and of actions in shares of their boxes (`in_units`)."""
    act, back = in_units(action.there, own.spaces, shown.spaces), in_units(action.back, shown.spaces, own.spaces)
    far = beyond(back, shown.spaces, own.spaces)
    clipped = tuple(entry.name for entry, x in zip(own.action_entries, far, strict=True) if x)
    maps = Maps(obs.there, act, _nothing(own, shown)), Maps(obs.back, back, _nothing(shown, own))
    return Crossing(*maps, own, shown, lost, clipped, held)


def _nothing(here: Columns, there: Columns) -> Linear:
    """Stored terms are of one robot's reward, and cross to none."""
    return Linear(np.zeros((len(there.stored_terms), len(here.stored_terms))), np.zeros(len(there.stored_terms)))
