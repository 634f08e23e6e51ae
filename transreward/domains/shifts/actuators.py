"""Shifts of the forces that actuators make."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.shifts.kinds import Elements, Kind, Spec, label, type_of
from transreward.types import RequestError

FEEDFORWARD = 4  # of mujoco.mjtCtrlInput
POWER = ("strength", "torque", "power", "force", "motor", "gain")


def _gear(spec: Spec, actuators: Elements, factor: float) -> None:
    """Scale every force that an actuator makes, its limits too, and nothing else: a servo keeps its set point.

    The gear of a plain motor does that. It is also how positions, velocities and rotor inertia are passed on, so where
    those matter gain and bias are scaled.

    Raises:
        RequestError: an actuator whose force no parameter scales.
    """
    for actuator in actuators:
        plain = (type_of(actuator.gaintype), type_of(actuator.biastype)) == ("FIXED", "NONE")
        carries = any(actuator.damping) or actuator.armature or type_of(actuator.trntype) == "BODY"
        if plain and not carries and not actuator.plugin.active:
            actuator.gear = actuator.gear * factor
        elif _scalable(actuator):
            _scale_force(actuator, factor)
            actuator.forcerange = actuator.forcerange * factor
        else:
            raise RequestError(
                f"the shift 'gear' cannot scale the actuator {label(actuator, 'actuator')}, whose force is made by a "
                f"plugin, a callback or a feedforward: name others, as in gear(name)={factor:g}"
            )


def _scalable(actuator: Any) -> bool:
    feedforward = type_of(actuator.gaintype) in ("PID", "DCMOTOR") and actuator.ctrlspec & FEEDFORWARD
    called_back = "USER" in (type_of(actuator.gaintype), type_of(actuator.biastype))
    return not (feedforward or actuator.plugin.active or called_back)


def _scale_force(actuator: Any, factor: float) -> None:
    """The force before its limits, at equal controls, positions and velocities."""
    gain, bias, dynamics = (np.ones(len(x)) for x in (actuator.gainprm, actuator.biasprm, actuator.dynprm))
    if type_of(actuator.gaintype) == "DCMOTOR":
        # current by the resistance, the controller's gains and what rate is allowed to it; heat, so that it warms as
        # before; cogging and friction
        gain[0], gain[4:7], dynamics[1] = 1 / factor, factor, factor
        dynamics[2], dynamics[3] = 1 / factor, factor
        bias[[0, 3, 4]], dynamics[5:7] = factor, factor
    else:
        of = {"MUSCLE": slice(2, 3)}  # the peak force, which stands for both its active and its passive force
        gain[of.get(type_of(actuator.gaintype), slice(None))] = factor
        bias[of.get(type_of(actuator.biastype), slice(None))] = factor
    actuator.gainprm, actuator.biasprm = actuator.gainprm * gain, actuator.biasprm * bias
    actuator.dynprm = actuator.dynprm * dynamics


def _broken(spec: Spec, actuators: Elements, value: str) -> None:
    for actuator in actuators:
        if _scalable(actuator) and type_of(actuator.gaintype) not in ("DCMOTOR", "PID"):
            _scale_force(actuator, 0.0)
        else:  # passes nothing on
            actuator.gear = actuator.gear * 0


KINDS = (
    Kind("gear", "scales the strength of actuators", "actuator", _gear, above=True, words=POWER),
    Kind(
        "broken", "an actuator makes no force", "actuator", _broken, value="pattern", words=("dead", "failure"),
        neutral=None, sided=True,
    ),
)  # fmt: skip
