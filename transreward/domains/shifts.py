"""Shifts: changes of a robot's physics, made on its `MjSpec` before the model is compiled, or on its actions."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from transreward.domains.actuators import distinct
from transreward.domains.contacts import pairs, parameters, touching
from transreward.domains.robot import Robot
from transreward.types import RequestError, nearest

if TYPE_CHECKING:
    import mujoco

FEEDFORWARD = 4  # of mujoco.mjtCtrlInput

Spec = Any  # mujoco.MjSpec; its elements have no useful types
Elements = list[Any]


@dataclass(frozen=True)
class Shift:
    """One change, `name=value` or `name(pattern)=value`; its text is canonical and parses to itself."""

    name: str
    value: float | int | str
    pattern: str | None = None

    def __str__(self) -> str:
        value = repr(self.value).removesuffix(".0") if isinstance(self.value, float) else self.value
        return f"{self.name}={value}" if self.pattern is None else f"{self.name}({self.pattern})={value}"


def _gravity(spec: Spec, chosen: Elements, factor: float) -> None:
    spec.option.gravity = spec.option.gravity * factor


def _friction(spec: Spec, chosen: Elements, factor: float) -> None:
    """Scale the friction of every contact that a chosen geom takes part in, and of no other.

    MuJoCo makes a contact's friction of both geoms: the larger, or that of the geom of higher priority. So all geoms
    are scaled where all are chosen; where some are, their contacts become explicit pairs, the same but for friction.
    """
    names = {geom.name for geom in chosen if geom.name}
    for pair in spec.pairs:
        if {pair.geomname1, pair.geomname2} & names:
            pair.friction = pair.friction * factor
    if len(chosen) == len(spec.geoms):
        for element in (*spec.geoms, *spec.flexes):
            element.friction = element.friction * factor
        return
    model, rows = spec.compile(), {geom.id for geom in chosen}
    geoms, explicit = {geom.id: geom for geom in spec.geoms}, pairs(model)
    for both in touching(model):
        if rows & set(both) and both not in explicit:
            for geom in (geoms[i] for i in both):  # a pair goes by names
                geom.name = geom.name or f"{geom.parent.name} (geom {geom.id})"
            a, b = (geoms[i].name for i in both)
            pair = spec.add_pair(geomname1=a, geomname2=b, **parameters(model, *both))
            pair.friction = pair.friction * factor


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
                    f"the shift 'mass' cannot scale {_label(body, 'body')} by {factor:g}: the model's boundmass or "
                    f"boundinertia keeps it at {after.body_mass[body.id]:g} kg; choose other bodies or a larger factor"
                )


def _scale(attribute: str) -> Callable[[Spec, Elements, float], None]:
    """Of joints, with what their actuators add to it."""

    def edit(spec: Spec, joints: Elements, factor: float) -> None:
        names = {joint.name for joint in joints if joint.name}
        driving = [a for a in spec.actuators if a.target in names and _kind(a.trntype) in ("JOINT", "JOINTINPARENT")]
        for element in (*joints, *driving):
            setattr(element, attribute, getattr(element, attribute) * factor)

    return edit


def _range(spec: Spec, joints: Elements, factor: float) -> None:
    """About a joint's `ref`, where it is at rest, if its range has it, so that an end stop there stays; about the
    middle otherwise.

    Raises:
        RequestError: none of the joints has a range.
    """
    limited = spec.compile().jnt_limited
    if not any(limited[joint.id] for joint in joints):
        names = ", ".join(_label(joint, "joint") for joint in joints)
        raise RequestError(f"the shift 'range' of {names} changes nothing: no limits are set there; name another joint")
    for joint in joints:
        if limited[joint.id]:
            low, high = joint.range
            ref = joint.ref if _kind(joint.type) in ("HINGE", "SLIDE") else 0.0
            fixed = ref if low <= ref <= high else (low + high) / 2
            joint.range = [fixed + factor * (low - fixed), fixed + factor * (high - fixed)]


def _gear(spec: Spec, actuators: Elements, factor: float) -> None:
    """Scale every force that an actuator makes, its limits too, and nothing else: a servo keeps its set point.

    The gear of a plain motor does that. It is also how positions, velocities and rotor inertia are passed on, so where
    those matter gain and bias are scaled.

    Raises:
        RequestError: an actuator whose force no parameter scales.
    """
    for actuator in actuators:
        plain = (_kind(actuator.gaintype), _kind(actuator.biastype)) == ("FIXED", "NONE")
        carries = any(actuator.damping) or actuator.armature or _kind(actuator.trntype) == "BODY"
        if plain and not carries and not actuator.plugin.active:
            actuator.gear = actuator.gear * factor
        elif _scalable(actuator):
            _scale_force(actuator, factor)
            actuator.forcerange = actuator.forcerange * factor
        else:
            raise RequestError(
                f"the shift 'gear' cannot scale the actuator {_label(actuator, 'actuator')}, whose force is made by a "
                f"plugin, a callback or a feedforward: name others, as in gear(name)={factor:g}"
            )


def _scalable(actuator: Any) -> bool:
    feedforward = _kind(actuator.gaintype) in ("PID", "DCMOTOR") and actuator.ctrlspec & FEEDFORWARD
    return not (feedforward or actuator.plugin.active or "USER" in (_kind(actuator.gaintype), _kind(actuator.biastype)))


def _scale_force(actuator: Any, factor: float) -> None:
    """The force before its limits, at equal controls, positions and velocities."""
    gain, bias, dynamics = (np.ones(len(x)) for x in (actuator.gainprm, actuator.biasprm, actuator.dynprm))
    if _kind(actuator.gaintype) == "DCMOTOR":
        # current by the resistance, the controller's gains and what rate is allowed to it; heat, so that it warms as
        # before; cogging and friction
        gain[0], gain[4:7], dynamics[1] = 1 / factor, factor, factor
        dynamics[2], dynamics[3] = 1 / factor, factor
        bias[[0, 3, 4]], dynamics[5:7] = factor, factor
    else:
        of = {"MUSCLE": slice(2, 3)}  # the peak force, which stands for both its active and its passive force
        gain[of.get(_kind(actuator.gaintype), slice(None))] = factor
        bias[of.get(_kind(actuator.biastype), slice(None))] = factor
    actuator.gainprm, actuator.biasprm = actuator.gainprm * gain, actuator.biasprm * bias
    actuator.dynprm = actuator.dynprm * dynamics


def _broken(spec: Spec, actuators: Elements, value: str) -> None:
    for actuator in actuators:
        if _scalable(actuator) and _kind(actuator.gaintype) not in ("DCMOTOR", "PID"):
            _scale_force(actuator, 0.0)
        else:  # passes nothing on
            actuator.gear = actuator.gear * 0


def _kind(of: Any) -> str:
    """FIXED of mjGAIN_FIXED, and so on."""
    return of.name.partition("_")[2]


@dataclass(frozen=True)
class Kind:
    """One row of the table of shifts."""

    name: str
    doc: str
    element: str = ""  # what its pattern matches: joint, body, geom, actuator, or nothing
    edit: Callable[[Spec, Elements, Any], None] | None = None  # None: it acts on the actions
    low: float = 0.0  # smallest value
    above: bool = False  # the smallest value itself is not allowed
    high: float = 1000.0
    value: str = "factor"  # factor, std, steps, or pattern (the value is an element's name)
    words: tuple[str, ...] = ()  # what others call it

    @property
    def usage(self) -> str:
        """How it is written, for people."""
        if self.value == "pattern":
            return f"{self.name}=<{self.element}>"
        whole, part = f"{self.name}=<{self.value}>", f"{self.name}(<{self.element}>)=<{self.value}>"
        return f"{whole} or {part}" if self.element else whole

    @property
    def range(self) -> str:
        """Valid values, for people."""
        if self.value == "pattern":
            return f"a name or a pattern such as hip_* of {self.element}s"
        number = "a whole number" if self.value == "steps" else "a number"
        return f"{number} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"


POWER = ("strength", "torque", "power", "force", "motor", "gain")
OBSERVED = ("sensor", "obs", "observation", "measurement")  # words for what no shift changes

SHIFTS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("gravity", "scales gravity", "", _gravity),
        Kind("friction", "scales the friction of contacts, both sides of each pair", "geom", _friction),
        Kind("mass", "scales mass and inertia", "body", _mass, above=True, words=("weight", "payload", "inertia")),
        Kind("damping", "scales the damping of joints", "joint", _scale("damping")),
        Kind("armature", "scales the rotor inertia of joints", "joint", _scale("armature")),
        Kind("range", "scales how far joints move, about their rest", "joint", _range, above=True),
        Kind("gear", "scales the strength of actuators", "actuator", _gear, above=True, words=POWER),
        Kind("broken", "an actuator makes no force", "actuator", _broken, value="pattern", words=("dead", "failure")),
        Kind("noise", "Gaussian noise on the actions, in their units", "actuator", value="std"),
        Kind("delay", "actions act this many control steps later", value="steps", high=100, words=("latency", "lag")),
    )
}


def parse(text: str) -> list[Shift]:
    """`shift[,shift...]` to shifts; commas inside parentheses do not split.

    Raises:
        RequestError: a malformed or unknown shift, a value out of range, the same shift twice.
    """
    shifts = [_parse_one(part) for part in re.split(r",(?![^()]*\))", text)]
    seen = set()
    for shift in shifts:
        key = (shift.name, shift.value if SHIFTS[shift.name].value == "pattern" else shift.pattern)
        if key in seen:
            raise RequestError(f"the shift '{shift}' comes twice in '{text}': give each once")
        seen.add(key)
    return shifts


def _parse_one(text: str) -> Shift:
    match = re.fullmatch(r"(\w+)(?:\(([^()]+)\))?(?:=(.*))?", text)
    if match is None:
        raise RequestError(f"malformed shift '{text}': write name=value or name(pattern)=value, such as gravity=0.5")
    name, pattern, value = match.groups()
    kind = SHIFTS.get(name)
    if kind is None:
        raise _unknown(name)
    if not value:
        raise RequestError(f"the shift '{text}' has no value: write {kind.usage}")
    if pattern and (not kind.element or kind.value == "pattern"):
        raise RequestError(f"the shift '{name}' takes no (pattern): write {kind.usage}")
    return Shift(name, _value(kind, value), pattern)


def _unknown(name: str) -> RequestError:
    if name.lower().split("_")[0].rstrip("s") in (word.rstrip("s") for word in OBSERVED):
        return RequestError(
            f"unknown shift '{name}': no shift changes what is observed; noise is Gaussian noise on the actions, and "
            f"delay makes actions act later"
        )
    return nearest(name, SHIFTS, "shift", {word: kind.name for kind in SHIFTS.values() for word in kind.words})


def _value(kind: Kind, text: str) -> float | int | str:
    if kind.value == "pattern":
        return text
    try:
        value = int(text) if kind.value == "steps" else float(text)
    except ValueError:
        value = math.nan
    if not kind.low <= value <= kind.high or (kind.above and value == kind.low):
        raise RequestError(f"'{kind.name}={text}': the value must be {kind.range}")
    return value


def _label(element: Any, kind: str) -> str:
    """The name an element goes by; one without a name goes by its target's, its joint's or its body's."""
    if element.name:
        return element.name
    if kind == "actuator":
        return element.target
    inside = [*element.joints, *element.geoms] if kind == "body" else [element.parent]
    return next((other.name for other in inside if other.name), f"{kind}{element.id}")


def _choose(spec: Spec, kind: Kind, pattern: str | None, robot: str) -> Elements:
    """The elements that a pattern names or matches: shell-style, case-sensitive; None matches all."""
    if not kind.element:
        return []
    known = {"joint": spec.joints, "body": spec.bodies[1:], "geom": spec.geoms, "actuator": spec.actuators}
    elements = known[kind.element]
    labels = names = [_label(element, kind.element) for element in elements]
    if kind.element == "actuator":  # of those that share a target, each has its own name, and that of all
        names = distinct([element.name for element in elements], labels)
    rows = zip(elements, labels, names, strict=True)
    chosen = [
        e
        for e, *known in rows
        if pattern is None or any(name == pattern or fnmatchcase(name, pattern) for name in known)
    ]
    if not chosen:
        raise nearest(str(pattern), dict.fromkeys(names), f"{kind.element} of {robot}")
    return chosen


def build(robot: Robot, shifts: Sequence[Shift] = ()) -> tuple[mujoco.MjModel, np.ndarray, int]:
    """The robot's compiled model with its shifts, the noise's std [actuators] and the delay in control steps.

    Raises:
        RequestError: a pattern that matches nothing, or a model that does not compile.
    """
    import mujoco

    try:
        spec = mujoco.MjSpec.from_file(str(robot.path))
        noise, delay = np.zeros(len(spec.actuators)), 0
        _derive(spec)
        # half-cheetah's `settotalmass` would undo a change of masses: it is scaled by what the change does without it
        total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
        before = _total_mass(spec) if total > 0 else 1.0
        for shift in shifts:
            kind = SHIFTS[shift.name]
            pattern = str(shift.value) if kind.value == "pattern" else shift.pattern
            chosen = _choose(spec, kind, pattern, robot.name)
            if kind.edit is not None:
                kind.edit(spec, chosen, shift.value)
            elif shift.name == "noise":
                rows = [actuator.id for actuator in chosen]
                noise[rows] = np.hypot(noise[rows], float(shift.value))
            else:
                delay = int(shift.value)
        if total > 0:
            spec.compiler.settotalmass = total * (_total_mass(spec) / before)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that `settotalmass` is deprecated
            model = spec.compile()
    except RequestError:
        raise
    except ValueError as error:
        text, shifted = " ".join(str(error).split()), f" with {','.join(map(str, shifts))}" if shifts else ""
        raise RequestError(f"{robot.name}{shifted} does not compile: {text}") from error
    return model, np.repeat(noise, model.actuator_ctrlnum), delay


def _derive(spec: Spec) -> None:
    """Write down what the compiler derives from masses and ranges, so that a shift of those leaves it alone: damping
    and stiffness given as a ratio, the strength and lengths of muscles, control ranges taken over from a joint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that `settotalmass` is deprecated
        model = spec.compile()
    for joint in spec.joints:
        if (joint.springdamper > 0).all():
            joint.stiffness = [model.jnt_stiffness[joint.id], *joint.stiffness[1:]]
            joint.damping = [model.dof_damping[model.jnt_dofadr[joint.id]], *joint.damping[1:]]
            joint.springdamper = [0, 0]
    for actuator in spec.actuators:
        i, out = actuator.id, model.actuator_outadr[actuator.id]
        actuator.biasprm = model.actuator_biasprm[i]
        if "MUSCLE" in (_kind(actuator.gaintype), _kind(actuator.biastype)):
            actuator.lengthrange = model.actuator_lengthrange[out]
            for name in ("gainprm", "biasprm"):
                values = np.array(getattr(actuator, name))
                if values[2] < 0:
                    values[2] = values[3] / max(1e-15, model.actuator_acc0[out])
                setattr(actuator, name, values)
        if actuator.inheritrange > 0:
            actuator.ctrlrange = model.actuator_ctrlrange[model.actuator_ctrladr[i]]
            actuator.actrange, actuator.inheritrange = model.actuator_actrange[i], 0


def _total_mass(spec: Spec) -> float:
    return spec.compile().body_mass.sum()
