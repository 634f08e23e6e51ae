"""Parts of a robot from a file that lie inside each other where an episode begins, so that contact jams their joint.

It is a usual mistake, since a body that is fixed to the world meets what hangs on it, where MuJoCo lets other parents
and children pass each other; and nothing else shows it, but that the robot hardly moves.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np

from transreward.domains.across import own
from transreward.domains.bridged import plain
from transreward.domains.domain import Domain, TableRobot, table_robot
from transreward.domains.names import FREE

LEAST = 1e-4  # m; parts that touch are often drawn as deep
SHOWN = 4  # pairs that are named
SCENE = (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD))


class Inside(NamedTuple):
    """Two parts that overlap."""

    names: tuple[str, str]  # of their geoms, or of the bodies of those that have none
    bodies: tuple[str, str]
    depth: float  # m


def from_file(domain: Domain) -> TableRobot | None:
    """The robot from a file that a domain is, in its own columns; None for another."""
    robot = table_robot(plain(own(domain)))
    return None if robot is None or robot.robot.file is None else robot


def inside(domain: Domain) -> list[Inside]:
    """The parts of a robot from a file that overlap in the pose in which an episode begins, the deepest first; none of
    another robot. The floor is no part, nor what stands in the world of a robot that moves freely."""
    robot = from_file(domain)
    if robot is None:
        return []
    model = robot.model
    data = mujoco.MjData(model)
    data.qpos[:] = robot.robot.posed(model)
    mujoco.mj_fwdPosition(model, data)
    free, deepest = bool(np.any(model.jnt_type == FREE)), dict[tuple[int, int], float]()
    for (one, other), dist in zip(data.contact.geom.tolist(), data.contact.dist.tolist(), strict=True):
        fixed = [g for g in (one, other) if not model.geom_bodyid[g]]
        if dist <= -LEAST and not any(free or model.geom_type[g] in SCENE for g in fixed):
            deepest[one, other] = max(-dist, deepest.get((one, other), 0.0))
    found = [
        Inside((_name(model, one), _name(model, other)), (_body(model, one), _body(model, other)), depth)
        for (one, other), depth in deepest.items()
    ]
    return sorted(found, key=lambda pair: -pair.depth)


def _body(model: Any, geom: int) -> str:
    return model.body(int(model.geom_bodyid[geom])).name


def _name(model: Any, geom: int) -> str:
    return model.geom(geom).name or _body(model, geom)


def said(*domains: Domain) -> tuple[str, ...]:
    """A sentence for each domain whose robot runs into itself, what it is and what to do; of those that overlap alike
    for the first."""
    known: list[list[Inside]] = []
    told = []
    for domain in domains:
        found = inside(domain)
        if not found or any([one.names for one in found] == [one.names for one in other] for other in known):
            continue
        known.append(found)
        pairs = [f"{' and '.join(one.names)} by {1_000 * one.depth:.3g} mm" for one in found[:SHOWN]]
        more = f", and {len(found) - SHOWN} more pairs" if len(found) > SHOWN else ""
        one, other = found[0].bodies
        told.append(
            f"Parts of '{domain.name}' lie inside each other where an episode begins, and contact may jam the joints "
            f"between them: {', '.join(pairs)}{more}. Unless that is meant, mend their shapes, or let them pass each "
            f'other: by contype and conaffinity, or <contact><exclude body1="{one}" body2="{other}"/></contact>.'
        )
    return tuple(told)
