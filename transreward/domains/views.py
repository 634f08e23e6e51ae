"""The view of the source that a transfer chooses by itself: if the target's task is the source's in another direction,
the one whose reward agrees best with the target's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transreward.bridges import BRIDGES, views
from transreward.bridges.bridge import Crossing
from transreward.domains.bridged import Bridged, plain
from transreward.domains.difference import relabels, same_task
from transreward.domains.domain import Domain
from transreward.domains.history import history_of, with_history, without_history
from transreward.domains.paid import pays_by_row
from transreward.domains.shifts import SHIFTS
from transreward.types import Pair, RequestError

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain

ROWS, STEPS = 16, 128  # robots and random steps from which `likeness` is computed
# A view is chosen if its correlation exceeds the plain robot's by CLEARLY and is at least AT_ALL; or if only the view
# reaches EXACTLY, since most of the two rewards may be terms that no view changes.
CLEARLY, AT_ALL, EXACTLY = 0.1, 0.5, 0.9999


def viewed(pair: Pair[Domain]) -> Pair[Domain]:
    """The pair, with the source in the view whose reward agrees best with the target's if both are one robot with
    different tasks.

    Unchanged if the user named a view, if the source has several tasks, and if it has action noise or a shift of single
    parts or of one side: mirrored, others would be shifted.
    """
    source, target = map(without_history, pair)
    if plain(source) is not source or not relabels(source, target) or same_task(source, target):
        return pair
    robot: MujocoDomain = source  # type: ignore[assignment]  # a robot of the table, without a view
    if pays_by_row(robot.robot) or any(shift.pattern or SHIFTS[shift.name].sided for shift in robot.shifts):
        return pair
    known = own_views(robot)
    if not known:
        return pair
    try:
        name, _ = best_view(robot, target, known)  # type: ignore[arg-type]
    except RequestError:  # the user's reward failed on observations in another view
        return pair
    if name is None:
        return pair
    return pair._replace(source=with_history(Bridged(robot, name), history_of(pair.source)))


def own_views(source: MujocoDomain) -> dict[str, Crossing]:
    """Name -> crossing of the views that have the robot's own columns, so that any policy of the robot can act there.

    Raises RequestError if the bridge of one fails.
    """
    names = [name for name in views(source.robot.name) if BRIDGES[name].own_columns]
    return {name: Bridged(source, name).crossing for name in names}


def likeness(source: MujocoDomain, target: MujocoDomain, known: dict[str, Crossing]) -> dict[str | None, float]:
    """Correlation, in [-1, 1], between the source's reward and the target's for the same random steps of the source,
    seen in each `known` view and, under None, in the source's own columns. 0 if a reward is constant."""
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
    """The `known` view to choose, None = the source unchanged; and all of `likeness`."""
    found = likeness(source, target, known)
    best = max(found, key=lambda name: found[name])
    clearly = found[best] >= AT_ALL and found[best] > found[None] + CLEARLY
    exactly = found[best] >= EXACTLY > found[None]
    return (best if clearly or exactly else None), found
