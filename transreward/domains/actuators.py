"""What the controls of a model's actuators are called, and in what units they are.

A unit is what a control of 1 asks for: a force such as "120 N m" (gain times gear); the set point of a servo, "rad" or,
where the gear is 2, "0.5 rad"; "1" for a muscle's activation; "no effect" where the actuator passes nothing on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.names import BALL, FREE, SLIDE, Entry

# of mujoco.mjtTrn, mjtGain, mjtBias, mjtDyn, mjtWrap and mjtCtrlInput
SLIDER_CRANK, TENDON, SITE, BODY, SO3 = range(2, 7)
FIXED, AFFINE, MUSCLE, DCMOTOR, GEODESIC, PID = range(6)
AFFINE_BIAS = INTEGRATOR = WRAP_JOINT = 1
FILTER = 2
INPUTS = {1: "position", 2: "velocity", 4: "feedforward", 8: "voltage"}

NO_EFFECT, UNKNOWN = "no effect", "unknown"
TURN, LINE = ("N m", "rad"), ("N", "m")


def controls(model: Any) -> tuple[Entry, ...]:
    """Every control, under the name of its actuator."""
    return tuple(
        Entry(f"{name} {which}".strip(), unit, _target(model, i))
        for i, name in enumerate(actuators(model))
        for which, unit in _inputs(model, i)
    )


def actuators(model: Any) -> list[str]:
    """The names of all actuators."""
    rows = range(model.nactuator)
    return distinct([model.actuator(i).name for i in rows], [_target(model, i) for i in rows])


def distinct(names: list[str], targets: list[str]) -> list[str]:
    """No two alike: an actuator without a name goes by its target's, with its number where that is taken."""
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
    """The controls of an actuator: what tells them apart, if there are several, and their units."""
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
    """Of an actuator with one control."""
    kind, dynamics = int(model.actuator_gaintype[i]), int(model.actuator_dyntype[i])
    rate = "/s" if dynamics == INTEGRATOR else ""
    force, length, gear = _transmission(model, i)
    gain, by_length, by_velocity = model.actuator_gainprm[i, :3].tolist()
    servo = length and dynamics != FILTER and int(model.actuator_biastype[i]) == AFFINE_BIAS  # a cylinder is filtered
    stiffness, damping = (-model.actuator_biasprm[i, 1:3] if servo else np.zeros(2)).tolist()
    if kind == MUSCLE:
        return "1" if by_velocity else NO_EFFECT  # where others have that, a muscle has its peak force
    builtin = kind in (FIXED, AFFINE) and model.actuator_plugin[i] < 0
    if not gear or (builtin and not (gain or (kind == AFFINE and (by_length or by_velocity)))):
        return NO_EFFECT
    if not builtin or force == UNKNOWN:
        return UNKNOWN
    if kind == AFFINE:  # the force depends on where it is; that of a damper on its velocity alone
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
    """Where an actuator acts: the units of force and length ("": it has none), and how much its gear multiplies."""
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
    """A tendon between sites has a length; a fixed one is in the units of its joints, if these are alike."""
    wraps = range(int(model.tendon_adr[i]), int(model.tendon_adr[i] + model.tendon_num[i]))
    joints = [int(model.wrap_objid[w]) for w in wraps if int(model.wrap_type[w]) == WRAP_JOINT]
    units = {LINE if int(model.jnt_type[joint]) == SLIDE else TURN for joint in joints} or {LINE}
    return units.pop() if len(units) == 1 else (UNKNOWN, UNKNOWN)
