"""Name, unit and range of each column of an observation or action, by the model's own names.

Lengths are in m, angles in rad, masses in kg, as in MuJoCo's models; the unit "1" is a pure number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from transreward.domains.domain import ActionsDescribed, Described, Domain, Entry
from transreward.types import UNKNOWN, Spaces

FREE, BALL, SLIDE = range(3)  # of mujoco.mjtJoint; anything else is a hinge


def entries(domain: Domain) -> tuple[Entry, ...]:
    """An entry for each column of an observation, [spaces.obs]; numbered `obs[i]` if the domain does not say."""
    known = domain.entries if isinstance(domain, Described) else ()
    return known or numbered("obs", domain.spaces.obs)


def action_entries(domain: Domain) -> tuple[Entry, ...]:
    """An entry for each column of an action, [spaces.action], with the bounds of the box; numbered `action[i]` if the
    domain does not say."""
    spaces: Spaces = domain.spaces
    known = domain.action_entries if isinstance(domain, ActionsDescribed) else ()
    bounds = zip(known or numbered("action", spaces.action), spaces.low.tolist(), spaces.high.tolist(), strict=True)
    return tuple(replace(entry, low=low, high=high) for entry, low, high in bounds)


def entry_names(domain: Domain) -> tuple[str, ...]:
    """The names of the columns of an observation."""
    return tuple(entry.name for entry in entries(domain))


def action_names(domain: Domain) -> tuple[str, ...]:
    """The names of the columns of an action."""
    return tuple(entry.name for entry in action_entries(domain))


def numbered(what: str, n: int) -> tuple[Entry, ...]:
    """Entries `what[0]`, `what[1]`, ... of unknown unit."""
    return tuple(Entry(f"{what}[{i}]", UNKNOWN) for i in range(n))


# -- entries from a MuJoCo model, each function for one stretch of an observation -----------------------------------


def positions(model: Any, skip: int = 0, rest: np.ndarray | None = None) -> list[Entry]:
    """Entries of `qpos` without the first `skip`, with the limits of joints; `rest` [nq] is where the robot begins."""
    found = [entry for joint in _joints(model) for entry in _position(model, joint)]
    if rest is not None:
        found = [replace(entry, rest=x) for entry, x in zip(found, rest.tolist(), strict=True)]
    return found[skip:]


def velocities(model: Any, clip: float = np.inf) -> list[Entry]:
    """Entries of `qvel`, within +-clip."""
    found = [entry for joint in _joints(model) for entry in _velocity(model, joint)]
    return [replace(entry, low=-clip, high=clip) for entry in found]


def forces(model: Any, what: str, skip: int = 0, clip: float = np.inf) -> list[Entry]:
    """Entries of a generalised force `what`, [nv] without the first `skip`, within +-clip."""
    return [
        Entry(
            f"{entry.name.removesuffix(' velocity')} {what} force",
            {"m/s": "N", "rad/s": "N m"}[entry.unit],
            entry.part,
            -clip,
            clip,
        )
        for entry in velocities(model)[skip:]
    ]


def function(name: str, of: Iterable[Entry]) -> list[Entry]:
    """Entries of `name` (sin or cos) of the angles `of`."""
    return [Entry(f"{name}({entry.part})", "1", entry.part, -1.0, 1.0) for entry in of]


def place(body: str, axes: str = "xyz") -> list[Entry]:
    """Entries of the position of a body, or of the vector between two if `body` is `a - b`."""
    return [Entry(f"{body} {axis}", "m", body.partition(" ")[0]) for axis in axes]


def contacts(model: Any, clip: float = np.inf) -> list[Entry]:
    """Entries of `cfrc_ext` of every body but the world: external torque and force, within +-clip."""
    kinds = (("torque", "N m"), ("force", "N"))
    return [
        Entry(f"{body} external {kind} {axis}", unit, body, -clip, clip)
        for body in _bodies(model)
        for kind, unit in kinds
        for axis in "xyz"
    ]


def inertias(model: Any) -> list[Entry]:
    """Entries of `cinert` of every body but the world: inertia about the robot's centre of mass, first moment, mass."""
    axes = ("xx", "yy", "zz", "xy", "xz", "yz")
    found = []
    for body in _bodies(model):
        found += [Entry(f"{body} inertia {axis}", "kg m^2", body) for axis in axes]
        found += [Entry(f"{body} mass moment {axis}", "kg m", body) for axis in "xyz"]
        found.append(Entry(f"{body} mass", "kg", body))
    return found


def body_velocities(model: Any) -> list[Entry]:
    """Entries of `cvel` of every body but the world: angular and linear velocity."""
    kinds = (("angular velocity", "rad/s"), ("velocity", "m/s"))
    return [
        Entry(f"{body} {kind} {axis}", unit, body) for body in _bodies(model) for kind, unit in kinds for axis in "xyz"
    ]


def _joints(model: Any) -> list[Any]:
    return [model.joint(i) for i in range(model.njnt)]


def _bodies(model: Any) -> list[str]:
    return [model.body(i).name or f"body {i}" for i in range(1, model.nbody)]


def _name(joint: Any) -> str:
    return joint.name or f"joint {joint.id}"


def _position(model: Any, joint: Any) -> list[Entry]:
    name, kind = _name(joint), int(joint.type[0])
    turn = [Entry(f"{name} quaternion {axis}", "1", name, -1.0, 1.0) for axis in "wxyz"]
    if kind == FREE:
        return [Entry(f"{name} {axis}", "m", name) for axis in "xyz"] + turn
    if kind == BALL:
        return turn
    what, unit = ("position", "m") if kind == SLIDE else ("angle", "rad")
    entry = Entry(f"{name} {what}", unit, name)
    if not model.jnt_limited[joint.id]:
        return [entry]
    low, high = model.jnt_range[joint.id].tolist()
    return [replace(entry, low=low, high=high, soft=True)]


def _velocity(model: Any, joint: Any) -> list[Entry]:
    name, kind = _name(joint), int(joint.type[0])
    turn = [Entry(f"{name} angular velocity {axis}", "rad/s", name) for axis in "xyz"]
    if kind == FREE:
        return [Entry(f"{name} velocity {axis}", "m/s", name) for axis in "xyz"] + turn
    if kind == BALL:
        return turn
    return [Entry(f"{name} velocity", "m/s" if kind == SLIDE else "rad/s", name)]
