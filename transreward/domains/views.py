"""The view in which a source is taken: the one that is asked for, or that a transfer chooses by itself. If the target's
task is the source's in another direction, that is the one whose reward agrees best with the target's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transreward.bridges import BRIDGES, views
from transreward.bridges.bridge import Crossing
from transreward.domains.across import Across
from transreward.domains.bridged import Bridged, plain
from transreward.domains.difference import fits, relabels, same_task
from transreward.domains.domain import Domain, table_robot
from transreward.domains.history import History, history_of, with_history, without_history
from transreward.domains.ids import domain
from transreward.domains.paid import pays_by_row
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS, of_plan
from transreward.types import Pair, RequestError

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain

ROWS, STEPS = 16, 128  # robots and random steps from which `likeness` is computed
# A view is chosen if its correlation exceeds the plain robot's by CLEARLY and is at least AT_ALL; or if only the view
# reaches EXACTLY, since most of the two rewards may be terms that no view changes.
CLEARLY, AT_ALL, EXACTLY = 0.1, 0.5, 0.9999


def seen(pair: Pair[Domain], view_name: str) -> Pair[Domain]:
    """The pair, with the source in that view. Raises RequestError if it has no such view, is in another one, or if a
    policy of it could not act in the target."""
    found, said = without_history(pair.source), f"the bridge '{view_name}' shows one robot in another view"
    if isinstance(found, Bridged) and found.view == view_name:
        return pair
    if isinstance(found, Bridged):
        raise RequestError(f"{said}, and '{found.name}' names its own: leave one of the two out")
    robot = table_robot(found)
    if robot is None:
        raise RequestError(f"{said}, and '{found.name}' is no robot of the table: leave `bridge` out")
    shown = with_history(Bridged(robot, view_name), history_of(pair.source))  # type: ignore[arg-type]
    if not fits(shown, pair.target):
        raise RequestError(
            f"{said}, and '{pair.target.name}' is another robot than {found.name}: write '{shown.name}', and name a "
            f"bridge between unlike robots"
        )
    return pair._replace(source=shown)


def viewed(pair: Pair[Domain]) -> Pair[Domain]:
    """The pair, with the source in the view whose reward agrees best with the target's if both are one robot with
    different tasks.

    Unchanged if the user named a view, if the source has several tasks, and if it has action noise or a shift of single
    parts or of one side: mirrored, others would be shifted. Of a source across a bridge to other parts of the same
    robot, what the target's task pays for the source's own parts is compared.
    """
    if isinstance(pair.source, Across):
        return _beyond(pair, pair.source)
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


def _beyond(pair: Pair[Domain], source: Across) -> Pair[Domain]:
    """The pair, with the source in the view that `viewed` chooses on this side of its bridge."""
    ours, theirs = table_robot(source.plain), table_robot(without_history(pair.target))
    if ours is None or theirs is None or ours.robot.name != theirs.robot.name or of_plan(ours.shifts):
        return pair
    if isinstance(source.plain, History) or ours.robot.name not in ROBOTS:
        return pair
    judge = domain("+".join(map(str, (ours.robot.name, *theirs.tasks))))
    found = viewed(Pair(source.plain, judge)).source
    return pair if found is source.plain else pair._replace(source=Across(found, source.other, source.how))


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
