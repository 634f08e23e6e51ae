"""Can one domain do what the other does? Support in both directions, from probes of the same states."""

from __future__ import annotations

import numpy as np

from transreward.preflight.steps import TRIES, Follow, Probes
from transreward.types import Pair, Spaces

ROUNDS = 200  # of projected gradient


def answers(probes: Probes, spaces: Spaces) -> Pair[np.ndarray]:
    """Effect of the action on each domain's change at each state, [n, action, obs] in spreads per half box: the slopes
    of a least-squares fit to the actions tried there."""
    action = (probes.action - spaces.centre) / spaces.half_width
    centred = action - action.mean(axis=1, keepdims=True)
    solve = np.linalg.pinv(centred)  # [n, action, k]
    return probes.change.map(lambda change: solve @ (change / probes.spread))


def reach(probes: Probes, spaces: Spaces) -> Pair[np.ndarray]:
    """How near the target can come, with its best action, to the source's change after the first action at each state,
    and the reverse; [n] in spreads: root mean square over the entries that move."""
    action, moving = (probes.action - spaces.centre) / spaces.half_width, np.isfinite(probes.spread).sum()
    changes = probes.change.map(lambda change: change / probes.spread)

    def missed(wanted: np.ndarray, change: np.ndarray, slopes: np.ndarray, follow: Follow) -> np.ndarray:
        def then(action: np.ndarray) -> np.ndarray:
            return follow(spaces.centre + action * spaces.half_width) / probes.spread

        left = wanted - _nearest(wanted, action, change, slopes, then)
        return np.sqrt((left**2).sum(axis=1) / max(int(moving), 1))

    wanted = Pair(changes.target[:, 0], changes.source[:, 0])
    sides = zip(wanted, changes, answers(probes, spaces), probes.follow, strict=True)
    source, target = (missed(*side) for side in sides)
    return Pair(target, source)


def _nearest(
    wanted: np.ndarray, action: np.ndarray, change: np.ndarray, slopes: np.ndarray, follow: Follow
) -> np.ndarray:
    """The change nearest to `wanted`, [n, obs]: of the actions [n, k, action] that led to `change` [n, k, obs], or of
    TRIES more. Each of these follows the slopes, which are then corrected by its outcome (Broyden 1965): a linear model
    alone is too coarse where an action moves a joint into its stop within a step."""
    rows, first = np.arange(len(wanted)), ((change - wanted[:, None]) ** 2).sum(axis=-1).argmin(axis=1)
    at, got = action[rows, first], change[rows, first]
    for _ in range(TRIES):
        tried = np.clip(at + moves((wanted - got)[:, None], slopes, at[:, None])[:, 0], -1.0, 1.0)
        came, moved = follow(tried), tried - at
        surprise = (came - got - (moved[:, None] @ slopes)[:, 0]) / np.maximum((moved**2).sum(axis=1), 1e-12)[:, None]
        slopes = slopes + moved[:, :, None] * surprise[:, None]
        nearer = (((came - wanted) ** 2).sum(axis=1) < ((got - wanted) ** 2).sum(axis=1))[:, None]
        at, got = np.where(nearer, tried, at), np.where(nearer, came, got)
    return got


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
