"""Can the one do what the other does? Support in both directions, from probes of the same states."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transreward.preflight.steps import Probes
from transreward.types import Pair, Spaces

ROUNDS = 200  # of projected gradient


class Reach(NamedTuple):
    """How near one domain comes to another's steps by the action that serves it best. All [n, k], in spreads: root mean
    square over the entries that move."""

    gap: np.ndarray  # with the same action
    left: np.ndarray  # with the best one


def answers(probes: Probes, spaces: Spaces) -> Pair[np.ndarray]:
    """How each domain's change answers to the action at each state, [n, action, obs] in spreads per half box: the
    slopes of a least-squares fit to the actions tried there."""
    action = (probes.action - spaces.centre) / spaces.half_width
    centred = action - action.mean(axis=1, keepdims=True)
    solve = np.linalg.pinv(centred)  # [n, action, k]
    return probes.change.map(lambda change: solve @ (change / probes.spread))


def reach(probes: Probes, spaces: Spaces) -> Pair[Reach]:
    """(whether the target can do what the source does, and the reverse)."""
    slopes = answers(probes, spaces)
    action = (probes.action - spaces.centre) / spaces.half_width
    apart = (probes.change.source - probes.change.target) / probes.spread
    moving = max(int(np.isfinite(probes.spread).sum()), 1)

    def one(apart: np.ndarray, slopes: np.ndarray) -> Reach:
        left = apart - moves(apart, slopes, action) @ slopes
        return Reach(*(np.sqrt((x**2).sum(axis=-1) / moving) for x in (apart, left)))

    return Pair(one(apart, slopes.target), one(-apart, slopes.source))


def moves(apart: np.ndarray, slopes: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The change of `action` [n, k, action] (in [-1, 1]) that brings `slopes` [n, action, obs] nearest to `apart`
    [n, k, obs] and stays in the box: accelerated projected gradient on a least-squares problem."""
    square = slopes @ slopes.transpose(0, 2, 1)  # [n, action, action]
    wanted = apart @ slopes.transpose(0, 2, 1)  # [n, k, action]
    rate = 1.0 / np.maximum(np.linalg.norm(square, axis=(1, 2)), 1e-12)[:, None, None]
    low, high = -1.0 - action, 1.0 - action
    x = ahead = np.zeros_like(action)
    momentum = 1.0
    for _ in range(ROUNDS):
        new = np.clip(ahead + rate * (wanted - ahead @ square), low, high)
        grown = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead, x, momentum = new + (momentum - 1.0) / grown * (new - x), new, grown
    return x
