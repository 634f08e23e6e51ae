"""Which joint of one robot is which of another by where it is, since makers share no names.

A driven joint is told by the place of its chain's first joint on the trunk, each axis in units of the widest; by how
many driven joints come before it in the chain; and by its axis, in the pose in which the model begins. Joints are
assigned so that all together are as alike as can be (Hungarian method).
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from transreward.bridges.bridge import Side
from transreward.bridges.match import Parts
from transreward.tree import above, driven
from transreward.types import RequestError

DEEPER = 1.5  # what it costs to be at another depth of the chain, in units of place and of 1 - |cosine| of axes
MOST = 1.5  # joints that cost as much are not alike
EQUAL = 1e-6  # costs that are no further apart are the same


class Limb(NamedTuple):
    """A driven joint."""

    place: np.ndarray  # [3], of its chain's first joint from the trunk, in units of the widest
    depth: int
    axis: np.ndarray  # [3]


def kinematic(own: Side, other: Side) -> Parts:
    """Parts that are at the same place, as deep in their chain, and turn about the same axis or the opposite one."""
    ours, theirs = limbs(own), limbs(other)
    names = list(ours), list(theirs)
    pairs = [(names[0][i], names[1][j]) for i, j in _assigned(_costs(ours, theirs)).items()]
    return {there: (here, _sign(ours[here], theirs[there])) for here, there in pairs}


def doubts(own: Side, other: Side) -> list[tuple[str, str]]:
    """Pairs of parts of one of the robots that could change places: all would be as alike as they are."""
    ours, theirs = limbs(own), limbs(other)
    cost, names = _costs(ours, theirs), (list(ours), list(theirs))
    found = _assigned(cost)
    swaps = [(names[1][a], names[1][b]) for a, b in _swaps(cost.T, {j: i for i, j in found.items()})]
    left = [(a, b) for a, b in _swaps(cost, found) if a not in found or b not in found]  # the rest are the same swaps
    return swaps + [(names[0][a], names[0][b]) for a, b in left]


def _costs(ours: Mapping[str, Limb], theirs: Mapping[str, Limb]) -> np.ndarray:
    """How unlike each of ours is to each of theirs, [ours, theirs]."""
    return np.array([[_apart(a, b) for b in theirs.values()] for a in ours.values()]).reshape(len(ours), len(theirs))


def _assigned(cost: np.ndarray) -> dict[int, int]:
    """Row -> its column, where the two are alike."""
    from scipy.optimize import linear_sum_assignment  # which takes a while to import

    return {i: j for i, j in zip(*(x.tolist() for x in linear_sum_assignment(cost)), strict=True) if cost[i, j] < MOST}


def _swaps(cost: np.ndarray, found: Mapping[int, int]) -> list[tuple[int, int]]:
    """Rows, at least one of which has a column, that could have each other's at the same cost."""

    def costs(row: int, of: int) -> float:
        return float(cost[row, found[of]]) if of in found else 0.0

    return [
        (a, b)
        for a, b in combinations(range(len(cost)), 2)
        if (a in found or b in found)
        and max(costs(a, b), costs(b, a)) < MOST
        and abs(costs(a, b) + costs(b, a) - costs(a, a) - costs(b, b)) < EQUAL
    ]


def clone(other: Side, parts: Parts) -> Parts:
    """Parts of the other robot without a counterpart do as the one that is most like them."""
    theirs = limbs(other)
    found = dict(parts)
    for name in [name for name in theirs if name not in parts]:
        limb = theirs[name]
        if alike := [known for known in parts if known in theirs and theirs[known].depth == limb.depth]:
            twin = min(alike, key=lambda known: _apart(theirs[known], limb))
            here, sign = parts[twin]
            found[name] = (here, sign * _sign(theirs[twin], limb))
    return found


def limbs(side: Side) -> Mapping[str, Limb]:
    """The driven joints of a robot, by name. Raises RequestError for one without a model."""
    if side.physics is None:
        raise RequestError(f"'{side.name}' shows no model in which its joints could be placed: use the bridge 'named'")
    return _limbs(side.physics.model, side.robot.posed(side.physics.model))


def _limbs(model: Any, pose: np.ndarray) -> dict[str, Limb]:
    import mujoco

    data = mujoco.MjData(model)
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    joints = driven(model)
    chains = {j: _chain(model, j, joints) for j in joints}
    places = {j: data.xanchor[chains[j][0]] - data.xpos[model.body_rootid[model.jnt_bodyid[j]]] for j in joints}
    widest = np.maximum(np.abs(np.array(list(places.values())).reshape(-1, 3)).max(axis=0, initial=0), 1e-6)
    return {
        model.joint(j).name or f"joint {j}": Limb(places[j] / widest, len(chains[j]) - 1, data.xaxis[j].copy())
        for j in joints
    }


def _chain(model: Any, joint: int, joints: list[int]) -> list[int]:
    """Those of these joints from the trunk to a joint, with it."""
    bodies = above(model, int(model.jnt_bodyid[joint]))
    return [j for j in joints if model.jnt_bodyid[j] in bodies and j <= joint]


def _apart(a: Limb, b: Limb) -> float:
    return float(np.linalg.norm(a.place - b.place) + DEEPER * (a.depth != b.depth) + 1 - abs(a.axis @ b.axis))


def _sign(a: Limb, b: Limb) -> float:
    return -1.0 if a.axis @ b.axis < 0 else 1.0
