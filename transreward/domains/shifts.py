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

from transreward.domains.robots import Robot
from transreward.types import RequestError, nearest

if TYPE_CHECKING:
    import mujoco

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
    """Scale the friction of every contact that a chosen geom takes part in.

    MuJoCo gives a contact the larger friction of its two geoms, so all geoms are scaled where all are chosen. Where
    some are, each gets the scaled friction of its contact and a priority, with which it overrules the other side. A
    chosen geom of the world, such as the floor, stands for whatever touches it.
    """
    for pair in spec.pairs:
        if {pair.geomname1, pair.geomname2} & {g.name for g in chosen}:
            pair.friction = pair.friction * factor
    if len(chosen) < len(spec.geoms):
        partners = {g.id: [other for other in spec.geoms if _touch(g, other)] for g in spec.geoms}
        static = [g for g in chosen if g.parent.id == 0]
        moving = {g.id: g for s in static for g in partners[s.id]} | {g.id: g for g in chosen if g not in static}
        chosen = list(moving.values())
        # both computed before either is written: the chosen may touch one another
        contacts = [
            (
                np.max([other.friction for other in (g, *partners[g.id])], axis=0),
                max(other.condim for other in (g, *partners[g.id])),
            )
            for g in chosen
        ]
        for geom, (friction, condim) in zip(chosen, contacts, strict=True):
            geom.friction, geom.condim, geom.priority = friction, condim, 1
    for geom in chosen:
        geom.friction = geom.friction * factor


def _touch(a: Any, b: Any) -> bool:
    masks = (a.contype & b.conaffinity) or (b.contype & a.conaffinity)
    return bool(masks) and a.parent.id != b.parent.id


def _mass(spec: Spec, bodies: Elements, factor: float) -> None:
    """Mass and inertia together, as if the density changed."""
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


def _scale(attribute: str) -> Callable[[Spec, Elements, float], None]:
    def edit(spec: Spec, chosen: Elements, factor: float) -> None:
        for element in chosen:
            setattr(element, attribute, getattr(element, attribute) * factor)

    return edit


def _range(spec: Spec, joints: Elements, factor: float) -> None:
    """About the rest, 0, where a joint may be at rest, so that its end stop there stays; about the middle otherwise."""
    for joint in joints:
        low, high = joint.range
        fixed = 0.0 if low <= 0 <= high else (low + high) / 2
        joint.range = [fixed + factor * (low - fixed), fixed + factor * (high - fixed)]


def _broken(spec: Spec, actuators: Elements, value: str) -> None:
    for actuator in actuators:
        actuator.gainprm = actuator.gainprm * 0
        actuator.biasprm = actuator.biasprm * 0


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
        Kind("range", "scales how far joints turn, about their rest", "joint", _range, above=True),
        Kind("gear", "scales the strength of actuators", "actuator", _scale("gear"), above=True, words=POWER),
        Kind("broken", "an actuator's torque is dead", "actuator", _broken, value="pattern", words=("dead", "failure")),
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
    """The name an element goes by; one without a name goes by its joint's or its body's."""
    if element.name:
        return element.name
    if kind == "actuator":
        return element.target
    inside = [*element.joints, *element.geoms] if kind == "body" else [element.parent]
    return next((other.name for other in inside if other.name), f"{kind}{element.id}")


def _choose(spec: Spec, kind: Kind, pattern: str | None, robot: str) -> Elements:
    """The elements that a pattern matches: shell-style, case-sensitive; None matches all."""
    if not kind.element:
        return []
    known = {"joint": spec.joints, "body": spec.bodies[1:], "geom": spec.geoms, "actuator": spec.actuators}
    elements = known[kind.element]
    labels = [_label(element, kind.element) for element in elements]
    chosen = [e for e, label in zip(elements, labels, strict=True) if pattern is None or fnmatchcase(label, pattern)]
    if not chosen:
        raise nearest(str(pattern), dict.fromkeys(labels), f"{kind.element} of {robot}")
    return chosen


def build(robot: Robot, shifts: Sequence[Shift] = ()) -> tuple[mujoco.MjModel, np.ndarray, int]:
    """The robot's compiled model with its shifts, the noise's std [actuators] and the delay in control steps.

    Raises:
        RequestError: a pattern that matches nothing, or a model that does not compile.
    """
    import mujoco

    spec = mujoco.MjSpec.from_file(str(robot.path))
    # half-cheetah's `settotalmass` would undo a change of masses: it is scaled by what the change does without it
    total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
    before = _total_mass(spec)
    noise, delay = np.zeros(len(spec.actuators)), 0
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
    try:
        if total > 0:
            spec.compiler.settotalmass = total * (_total_mass(spec) / before)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that `settotalmass` is deprecated
            model = spec.compile()
    except ValueError as error:
        text = " ".join(str(error).split())
        raise RequestError(f"{robot.name} with {','.join(map(str, shifts))} does not compile: {text}") from error
    return model, noise, delay


def _total_mass(spec: Spec) -> float:
    return spec.compile().body_mass.sum()
