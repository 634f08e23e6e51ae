"""Shifts of bodies: how heavy and how large they are."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from transreward.domains.shifts.kinds import Elements, Kind, Spec, label, type_of
from transreward.types import RequestError


def _mass(spec: Spec, bodies: Elements, factor: float) -> None:
    """Mass and inertia together, as if the density changed.

    Raises:
        RequestError: a bound of the compiler would keep a mass from being scaled.
    """
    before = spec.compile()
    for body in bodies:
        body.mass, body.inertia, body.fullinertia = (
            body.mass * factor,
            body.inertia * factor,
            body.fullinertia * factor,
        )
        for geom in body.geoms:
            if math.isnan(geom.mass):  # not given: it comes from the density
                geom.density *= factor
            else:
                geom.mass *= factor
    after = spec.compile()
    for body in bodies:
        for field in ("body_mass", "body_inertia"):
            if not np.allclose(getattr(after, field)[body.id], factor * getattr(before, field)[body.id], rtol=1e-6):
                raise RequestError(
                    f"the shift 'mass' cannot scale {label(body, 'body')} by {factor:g}: the model's boundmass or "
                    f"boundinertia keeps it at {after.body_mass[body.id]:g} kg; choose other bodies or a larger factor"
                )


def _payload(spec: Spec, places: Elements, mass: float) -> None:
    """A point mass in kg at the centre of mass of each body, whose inertia stays as it was, or at each site: that moves
    the centre of mass of its body.

    The bodies' inertia is written down as it is compiled, so a model must not derive it from geoms in any case. It then
    derives that of the other bodies from theirs.
    """
    model, compiler = spec.compile(), spec.compiler
    if type_of(compiler.inertiafromgeom) == "TRUE":
        compiler.inertiafromgeom = type(compiler.inertiafromgeom)(AUTO)
        for body in spec.bodies[1:]:
            if len(body.geoms):
                body.ipos = np.full(3, math.nan)  # not given
    carried = [(p, model.body_ipos[p.id]) if _is_body(p) else (p.parent, model.site_pos[p.id]) for p in places]
    for body, _ in carried:
        i, body.explicitinertial = body.id, True
        body.ipos, body.iquat = model.body_ipos[i], model.body_iquat[i]
        body.ialt.type = type(body.ialt.type)(QUATERNION)
        body.mass, body.inertia, body.fullinertia = model.body_mass[i], model.body_inertia[i], np.full(6, math.nan)
    for body, at in carried:
        _load(body, at, mass)


def _is_body(place: Any) -> bool:
    """Whether it is a body; if not, a site."""
    import mujoco

    return isinstance(place, mujoco.MjsBody)


def _load(body: Any, at: np.ndarray, mass: float) -> None:
    """A point mass in kg at a place of a body, [3] in m in its frame, whose inertia is written down."""
    import mujoco

    away, total = at - body.ipos, body.mass + mass
    if mass and away.any():
        turn, quaternion = np.zeros(9), np.zeros(4)
        mujoco.mju_quat2Mat(turn, body.iquat)
        own = turn.reshape(3, 3) * body.inertia @ turn.reshape(3, 3).T
        both = body.mass * mass / total * (away @ away * np.eye(3) - np.outer(away, away))  # by their reduced mass
        body.inertia, axes = np.linalg.eigh(own + both)
        axes[:, 0] *= np.sign(np.linalg.det(axes))
        mujoco.mju_mat2Quat(quaternion, axes.ravel())
        body.iquat, body.ipos = quaternion, body.ipos + mass / total * away
    body.mass = total


def _first_moving(spec: Spec) -> Elements:
    return [next(body for body in spec.bodies[1:] if len(body.joints))]


def _size(spec: Spec, bodies: Elements, factor: float) -> None:
    """The geoms of the bodies in all dimensions, and where joints, sites, geoms and other bodies sit in them. A robot
    that stands on the ground is lifted by as much as its lowest point sank.

    Raises:
        RequestError: a geom whose size is that of a file.
    """
    before = spec.compile()
    for body in bodies:
        for geom in body.geoms:
            if type_of(geom.type) in FILES:
                raise RequestError(
                    f"the shift 'size' cannot scale the body {label(body, 'body')}, whose geom is made of a file: name "
                    f"others, as in size(name)={factor:g}"
                )
            geom.size, geom.mass = geom.size * factor, geom.mass * factor**3
        if np.isfinite(body.ipos).all():
            body.ipos = body.ipos * factor
        body.mass = body.mass * factor**3
        body.inertia, body.fullinertia = body.inertia * factor**5, body.fullinertia * factor**5
        for inside in (*body.geoms, *body.sites):
            inside.fromto = inside.fromto * factor
        for inside in (*body.geoms, *body.sites, *body.joints, *body.bodies, *body.frames):
            inside.pos = inside.pos * factor
    _lift(spec, before)


def _lift(spec: Spec, before: Any) -> None:
    """Lift each root that can rise by as much as its lowest point is below that of the model `before`: at rest, and in
    each keyframe, in which a robot from a file begins."""
    rests = [_lowest(model, model.qpos0) for model in (before, spec.compile())]
    for root, sank in _sunk(spec, *rests):
        root.pos = root.pos + np.array([0, 0, sank])
        for joint in _rising(root):
            if type_of(joint.type) == "SLIDE" and joint.ref:
                joint.ref += sank * np.sign(joint.axis[2])
    for key in [key for key in spec.keys if len(key.qpos)]:
        after, qpos = spec.compile(), np.array(key.qpos)
        poses = [_lowest(model, qpos) for model in (before, after)]
        for root, sank in _sunk(spec, *poses):
            joint = _rising(root)[0]
            free = type_of(joint.type) == "FREE"
            qpos[after.jnt_qposadr[joint.id] + 2 * free] += sank if free else sank * np.sign(joint.axis[2])
        key.qpos = qpos


def _sunk(spec: Spec, before: dict[int, float], after: dict[int, float]) -> list[tuple[Any, float]]:
    """The roots that can rise and whose lowest points are no longer at the same height, and by how much, m."""
    roots = [(root, before.get(root.id, 0.0) - after.get(root.id, 0.0)) for root in spec.worldbody.bodies]
    return [(root, sank) for root, sank in roots if sank and _rising(root)]


def _rising(root: Any) -> Elements:
    """The joints that move a root up and down."""
    return [j for j in root.joints if type_of(j.type) == "FREE" or _upright(j)]


def _upright(joint: Any) -> bool:
    """Whether it slides up and down."""
    return type_of(joint.type) == "SLIDE" and not any(joint.axis[:2])


def _lowest(model: Any, qpos: np.ndarray) -> dict[int, float]:
    """Root body -> height of the lowest point of the geoms on it where joints are so, m."""
    import mujoco

    data, found = mujoco.MjData(model), {}
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    for i in range(model.ngeom):
        reach = REACH.get(mujoco.mjtGeom(int(model.geom_type[i])).name.partition("_")[2])
        if reach is not None:
            down, root = data.geom_xmat[i, 6:], int(model.body_rootid[model.geom_bodyid[i]])
            found[root] = min(found.get(root, math.inf), data.geom_xpos[i, 2] - reach(down, model.geom_size[i]))
    return found


AUTO, QUATERNION = 2, 0  # of mujoco.mjtInertiaFromGeom and mjtOrientation
FILES = ("MESH", "HFIELD", "SDF")
# How far a geom reaches in a direction, given in its own frame, from its centre, m; a geom of a file has no size.
REACH: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "SPHERE": lambda down, size: size[0],
    "CAPSULE": lambda down, size: size[0] + abs(down[2]) * size[1],
    "CYLINDER": lambda down, size: size[0] * math.hypot(down[0], down[1]) + abs(down[2]) * size[1],
    "ELLIPSOID": lambda down, size: float(np.linalg.norm(down * size)),
    "BOX": lambda down, size: float(np.abs(down) @ size),
}

KINDS = (
    Kind("mass", "scales mass and inertia", "body", _mass, above=True, words=("weight", "inertia")),
    Kind(
        "payload",
        "a load in kg at a site or a body's centre of mass; without a pattern at that of the first moving body",
        "body", _payload, value="kg", words=("load", "carry", "cargo", "backpack"), neutral=0.0,
        default=_first_moving, other="site",
    ),
    Kind(
        "size", "scales bodies in all dimensions, at equal density", "body", _size, above=True, high=10.0,
        words=("length", "scale", "height", "geometry"),
    ),
)  # fmt: skip
