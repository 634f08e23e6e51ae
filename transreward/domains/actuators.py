"""Names and units of the controls of a MuJoCo model.

A unit is what a control of 1 asks for: a force or torque such as "120 N m" (gain times gear); the set point of a servo,
"rad" or, with a gear of 2, "0.5 rad"; "1" for a muscle's activation; "no effect" if the actuator transmits nothing.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.names import BALL, FREE, SLIDE, Entry
from transreward.tree import BODY, SITE, SLIDER_CRANK, SO3, TENDON, along

# of mujoco.mjtGain, mjtBias, mjtDyn and mjtCtrlInput
FIXED, AFFINE, MUSCLE, DCMOTOR, GEODESIC, PID = range(6)
AFFINE_BIAS = INTEGRATOR = 1
FILTER = 2
INPUTS = {1: "position", 2: "velocity", 4: "feedforward", 8: "voltage"}

NO_EFFECT, UNKNOWN = "no effect", "unknown"
TURN, LINE = ("N m", "rad"), ("N", "m")


def controls(model: Any) -> tuple[Entry, ...]:
    """The name, unit and part of every control, in the order of `ctrl`. An actuator may have several controls."""
    return tuple(
        Entry(f"{name} {which}".strip(), unit, _target(model, i))
        for i, name in enumerate(actuators(model))
        for which, unit in _inputs(model, i)
    )


def actuators(model: Any) -> list[str]:
    """The name of each actuator, all different."""
    rows = range(model.nactuator)
    return distinct([model.actuator(i).name for i in rows], [_target(model, i) for i in rows])


def remembers(model: Any) -> bool:
    """Whether its actuators have a state, such as a muscle's activation. Nothing shows that."""
    import mujoco

    return mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_PHYSICS) > model.nq + model.nv


def distinct(names: list[str], targets: list[str]) -> list[str]:
    """Unique names: an unnamed actuator takes the name of its target, and its number if that name is taken."""
    known = [name or target for name, target in zip(names, targets, strict=True)]
    return [
        label if name or known.count(label) == 1 else f"{label} actuator {i}"
        for i, (name, label) in enumerate(zip(names, known, strict=True))
    ]


def _target(model: Any, i: int) -> str:
    """The joint, tendon, site or body that an actuator acts on."""
    kind, (number, reference) = int(model.actuator_trntype[i]), model.actuator_trnid[i].tolist()
    site = kind in (SITE, SLIDER_CRANK) or (kind == SO3 and reference >= 0)
    what = "site" if site else {TENDON: "tendon", BODY: "body"}.get(kind, "joint")
    return getattr(model, what)(number).name or f"{what} {number}"


def _inputs(model: Any, i: int) -> list[tuple[str, str]]:
    """(suffix, unit) of each control of an actuator; the suffix is empty if there is only one."""
    kind, several = int(model.actuator_gaintype[i]), int(model.actuator_ctrlnum[i]) > 1
    force, length, gear = _transmission(model, i)
    if kind == GEODESIC:
        axes, unit = ("wxyz", "1") if int(model.actuator_ctrlnum[i]) == 4 else ("xyz", "rad")
        return [(axis, unit if model.actuator_gainprm[i, 0] else NO_EFFECT) for axis in axes]
    if kind not in (PID, DCMOTOR):
        return [("", _unit(model, i))]
    units = {
        "position": _set_point(length, gear),
        "velocity": _set_point(f"{length}/s", gear),
        "feedforward": f"{gear:g} {force}",
        "voltage": "V",
    }
    has = [name for bit, name in INPUTS.items() if int(model.actuator_ctrlspec[i]) & bit]
    return [(name if several else "", units[name] if gear else NO_EFFECT) for name in has]


def _unit(model: Any, i: int) -> str:
    """The unit of the control of an actuator that has only one."""
    kind, dynamics = int(model.actuator_gaintype[i]), int(model.actuator_dyntype[i])
    rate = "/s" if dynamics == INTEGRATOR else ""
    force, length, gear = _transmission(model, i)
    gain, by_length, by_velocity = model.actuator_gainprm[i, :3].tolist()
    servo = length and dynamics != FILTER and int(model.actuator_biastype[i]) == AFFINE_BIAS  # a cylinder is filtered
    stiffness, damping = (-model.actuator_biasprm[i, 1:3] if servo else np.zeros(2)).tolist()
    if kind == MUSCLE:
        return "1" if by_velocity else NO_EFFECT  # a muscle keeps its peak force in this entry
    builtin = kind in (FIXED, AFFINE) and model.actuator_plugin[i] < 0
    if not gear or (builtin and not (gain or (kind == AFFINE and (by_length or by_velocity)))):
        return NO_EFFECT
    if not builtin or force == UNKNOWN:
        return UNKNOWN
    if kind == AFFINE:  # the force depends on position, that of a damper on velocity alone
        damper = not (gain or by_length)
        return f"{-by_velocity * gear**2:g} {force} s/{length}" if damper else f"{force}{rate}"
    if stiffness:
        return _set_point(f"{length}{rate}", gear * stiffness / gain)
    if damping == gain:
        return _set_point(f"{length}/s{'^2' if rate else ''}", gear)
    return f"{gain * gear:g} {force}{rate}"


def _set_point(unit: str, gear: float) -> str:
    return unit if gear in (0, 1) else f"{1 / gear:g} {unit}"


def _transmission(model: Any, i: int) -> tuple[str, str, float]:
    """Units of force and of length ("" if it has no length) where an actuator acts, and the size of its gear."""
    kind, number = int(model.actuator_trntype[i]), int(model.actuator_trnid[i, 0])
    gear = model.actuator_gear[model.actuator_outadr[i]]
    if kind == SO3:
        return *TURN, 1.0
    if kind == BODY:
        return "N", "", 1.0  # the gear of adhesion has no effect
    if kind == SLIDER_CRANK:
        return *LINE, float(gear[0])
    if kind == TENDON:
        return *_tendon(model, number), float(gear[0])
    joint = FREE if kind == SITE else int(model.jnt_type[number])
    if joint == BALL:
        return *TURN, float(np.linalg.norm(gear[:3]))
    if joint == FREE:
        push, turn = float(np.linalg.norm(gear[:3])), float(np.linalg.norm(gear[3:]))
        measured = kind == SITE and int(model.actuator_trnid[i, 1]) >= 0  # from a reference site
        force, length = (UNKNOWN, UNKNOWN) if push and turn else TURN if turn else LINE
        return force, length if measured else "", push or turn
    return *(LINE if joint == SLIDE else TURN), float(gear[0])


def _tendon(model: Any, i: int) -> tuple[str, str]:
    """Units of a tendon: a length between sites, or those of the joints of a fixed tendon if all are of one kind."""
    units = {LINE if int(model.jnt_type[joint]) == SLIDE else TURN for joint in along(model, i)} or {LINE}
    return units.pop() if len(units) == 1 else (UNKNOWN, UNKNOWN)
