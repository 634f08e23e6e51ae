"""A robot's outline in a pose, as lines in the plane of its camera."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from transreward.domains.domain import TableRobot
from transreward.tree import ON_JOINT

SIDE = (90.0, -12.0)  # azimuth and elevation in degrees, of a robot without a view of its own
Bone = tuple[float, float, float, float, float]  # from, to, and half the width, in m


def joints(robot: TableRobot) -> tuple[str, ...]:
    """The joints that a motor moves, by name."""
    model = robot.model
    moved = [j for j in _acted(model) if j >= 0]
    return tuple(dict.fromkeys(model.joint(j).name for j in moved if model.joint(j).name))


def _acted(model: Any) -> list[int]:
    """The joint on which each actuator acts; -1 of one that acts on a tendon, site or body."""
    kinds = zip(model.actuator_trnid[:, 0].tolist(), model.actuator_trntype.tolist(), strict=True)
    return [joint if kind in ON_JOINT else -1 for joint, kind in kinds]


def angles(robot: TableRobot, qpos: np.ndarray) -> np.ndarray:
    """Positions of these joints, [n, joints], from physics states [n, nq]."""
    return qpos[:, [int(robot.model.joint(name).qposadr[0]) for name in joints(robot)]]


def drawn(robot: TableRobot, qpos: np.ndarray) -> dict[str, Any]:
    """A pose [nq] as JSON: `bones`, what moves, from and to and half its width; `joints`, where each is. In m from the
    robot's middle to the right and up."""
    import mujoco

    model, data = robot.model, mujoco.MjData(robot.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    plane = _plane(robot)
    moving = _moving(model)
    middle = np.mean([data.geom_xpos[g] for g in moving], axis=0) if moving else np.zeros(3)
    middle[2] = 0.0
    places = {name: (data.xanchor[model.joint(name).id] - middle) @ plane.T for name in joints(robot)}
    bones = [_bone(model, data, g, plane, middle) for g in moving]
    return {
        "bones": [[round(float(x), 4) for x in bone] for bone in bones],
        "joints": {name: [round(float(x), 4) for x in place] for name, place in places.items()},
    }


def elements(robot: TableRobot) -> list[set[str]]:
    """Of each bone of `drawn`, the names of what it belongs to: its geom, its body, the body's joints, their motors and
    its sites. Of a geom that is not called anything, its body's."""
    model, found = robot.model, []
    on = _acted(model)
    for geom in _moving(model):
        body = int(model.geom_bodyid[geom])
        own = {model.geom(geom).name, model.body(body).name}
        carried = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) == body]
        own |= {model.joint(j).name for j in carried}
        own |= {model.actuator(a).name for a, joint in enumerate(on) if joint in carried}
        own |= {model.site(s).name for s in range(model.nsite) if int(model.site_bodyid[s]) == body}
        found.append(own - {""})
    return found


def numbered(robot: TableRobot, numbers: Mapping[str, int]) -> list[int | None]:
    """Of each bone of `drawn`, the number of the joint that moves its body, of several joints that of the first; None
    where that has none."""
    model, of = robot.model, {}
    for joint in reversed(range(model.njnt)):
        if (number := numbers.get(joint_name(model, joint))) is not None:
            of[int(model.body_weldid[model.jnt_bodyid[joint]])] = number
    return [of.get(int(model.body_weldid[model.geom_bodyid[geom]])) for geom in _moving(model)]


def joint_name(model: Any, joint: int) -> str:
    """As it is called, or by its place."""
    return model.joint(joint).name or f"joint {joint}"


def _moving(model: Any) -> list[int]:
    """The geoms that are not scenery."""
    return [g for g in range(model.ngeom) if model.body_weldid[model.geom_bodyid[g]] > 0]


def _plane(robot: TableRobot) -> np.ndarray:
    """Right and up of the camera, [2, 3]."""
    view = robot.robot.view
    azimuth, elevation = np.radians(SIDE if view is None else (view.azimuth, view.elevation))
    forward = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(right, forward)])


def _bone(model: Any, data: Any, geom: int, plane: np.ndarray, middle: np.ndarray) -> Bone:
    """A geom as a line: along its longest side, as wide as the next."""
    import mujoco

    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    turned, at = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom] - middle
    if kind in (mujoco.mjtGeom.mjGEOM_CAPSULE.value, mujoco.mjtGeom.mjGEOM_CYLINDER.value):
        half, wide = turned[:, 2] * size[1], size[0]
    elif kind in (mujoco.mjtGeom.mjGEOM_BOX.value, mujoco.mjtGeom.mjGEOM_ELLIPSOID.value):
        longest = int(np.argmax(size))
        half, wide = turned[:, longest] * size[longest], float(np.sort(size)[1])
    else:
        half, wide = np.zeros(3), min(float(model.geom_rbound[geom]), float(size[0]) or float(model.geom_rbound[geom]))
    return (*((at - half) @ plane.T), *((at + half) @ plane.T), wide)  # type: ignore[return-value]
