"""In which view of its robot a source is taken: where the target's task is the source's in another direction, in the
one in which the source is paid most like the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transreward.bridges import BRIDGES, views
from transreward.bridges.bridge import Crossing
from transreward.domains.bridged import Bridged, plain
from transreward.domains.difference import relabels, same_task
from transreward.domains.domain import Domain
from transreward.types import Pair, RequestError

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain

ROWS, STEPS = 16, 128  # random steps of the source by which `likeness` judges
# A view is taken where its pay fits (in correlation) by this much better than the robot's as it is, and at all; or fits
# exactly, for most of two rewards may be what both domains pay alike.
CLEARLY, AT_ALL, EXACTLY = 0.1, 0.5, 0.9999


def viewed(pair: Pair[Domain]) -> Pair[Domain]:
    """The pair; of another task of one robot, with the source in the view in which it is paid most like the target.

    A source that the user wrote with a view stays as it is written, and one with a shift of single parts as it is:
    turned, it would be shifted in others.
    """
    source = pair.source
    if plain(source) is not source or not relabels(source, pair.target) or same_task(source, pair.target):
        return pair
    robot: MujocoDomain = source  # type: ignore[assignment]  # of the table, and as it is
    if robot.noise.any() or any(shift.pattern or shift.name == "broken" for shift in robot.shifts):
        return pair
    known = own_views(robot)
    if not known:
        return pair
    try:
        name, _ = best_view(robot, pair.target, known)  # type: ignore[arg-type]
    except RequestError:  # the user's reward failed on observations in another view
        return pair
    return pair if name is None else pair._replace(source=Bridged(robot, name))


def own_views(source: MujocoDomain) -> dict[str, Crossing]:
    """The views that show the robot's own columns again: whatever acts on the robot can act there. Raises RequestError
    for one that fails."""
    names = [name for name in views(source.robot.name) if BRIDGES[name].own_columns]
    return {name: Bridged(source, name).crossing for name in names}


def likeness(source: MujocoDomain, target: MujocoDomain, known: dict[str, Crossing]) -> dict[str | None, float]:
    """How far the target pays, for the source's steps as a view shows them, what the source paid for them: the
    correlation over steps of random actions, in each `known` view of it, and under None for the source as it is."""
    walk, rng, taken = source.simulate(ROWS, 0), np.random.default_rng(0), []
    walk.storing = True
    low, high = source.spaces.low, source.spaces.high
    for _ in range(STEPS):
        t = walk.step(rng.uniform(low, high, (ROWS, source.spaces.action)))
        taken.append((t.obs, t.action, t.next_obs, walk.stored, t.reward))
    obs, action, next_obs, stored, reward = (np.concatenate(parts) for parts in zip(*taken, strict=True))

    def fit(crossing: Crossing | None) -> float:
        if crossing is None:
            paid = target.pay(obs, action, next_obs, stored)
        else:
            there = crossing.there
            paid = target.pay(there.obs(obs), there.action(action), there.obs(next_obs), there.stored(stored))
        alike = np.corrcoef(paid, reward)[0, 1] if paid.std() > 0 and reward.std() > 0 else 0.0
        return float(alike)

    return {None: fit(None), **{name: fit(crossing) for name, crossing in known.items()}}


def best_view(
    source: MujocoDomain, target: MujocoDomain, known: dict[str, Crossing]
) -> tuple[str | None, dict[str | None, float]]:
    """The `known` view in which the source is paid most like the target, None = as it is; and all of `likeness`."""
    found = likeness(source, target, known)
    best = max(found, key=lambda name: found[name])
    clearly = found[best] >= AT_ALL and found[best] > found[None] + CLEARLY
    exactly = found[best] >= EXACTLY > found[None]
    return (best if clearly or exactly else None), found
