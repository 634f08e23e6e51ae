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

import numpy as np

from transreward.bridges.bridge import Bridge, Columns, Crossing, Maps, Side
from transreward.types import Array, Entry, RequestError, Spaces, nearest

Rename = Callable[[str], tuple[str, float]]  # a shown column -> the robot's column that it shows, and its sign


@dataclass(frozen=True, eq=False)
class Linear:
    """x -> matrix x + fill."""

    matrix: np.ndarray  # [to, from]
    fill: np.ndarray  # [to]

    def __call__(self, x: Array) -> Array:
        """[..., from] -> [..., to]."""
        return x @ self.matrix.T + self.fill


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
