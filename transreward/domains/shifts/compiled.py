"""From a robot and its shifts to its physics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from transreward.domains.robot import Robot
from transreward.domains.shifts.elements import called, every, labels, matching, meant
from transreward.domains.shifts.kinds import Elements, Kind, Physics, Shift, Spec, label, type_of
from transreward.domains.shifts.rules import Rule
from transreward.domains.shifts.table import SHIFTS
from transreward.types import RequestError


def build(robot: Robot, shifts: Sequence[Shift] = ()) -> Physics:
    """The robot with its shifts.

    Raises:
        RequestError: a pattern that matches nothing, a shift that cannot be, or a model that does not compile.
    """
    return applied(prepared(robot, shifts), robot, shifts)


def prepared(robot: Robot, shifts: Sequence[Shift] = ()) -> Spec:
    """The robot's `MjSpec`, to be copied and given to `applied`: it has the parts that it has with `shifts`, and what
    the compiler would derive from what other shifts change is written down.

    Raises:
        RequestError: a pattern that matches nothing, parts that the robot cannot have or be without, or a model that
            does not compile.
    """
    import mujoco

    plan = of_plan(shifts)
    with _compiling(robot, plan):
        spec = mujoco.MjSpec.from_file(str(robot.path))  # pyright: ignore[reportAttributeAccessIssue]
        if robot.prepare is not None:
            robot.prepare(spec)
        _edited(spec, robot, plan)
        _write_down(spec)
    return spec


def of_plan(shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    """Those that say which parts there are."""
    return tuple(shift for shift in shifts if SHIFTS[shift.name].first)


def applied(spec: Spec, robot: Robot, shifts: Sequence[Shift] = ()) -> Physics:
    """The robot with its shifts, made on the specification that is `prepared` for them, which is changed.

    Raises:
        RequestError: a pattern that matches nothing, a shift that cannot be, or a model that does not compile.
    """
    with _compiling(robot, shifts):
        _edited(spec, robot, [shift for shift in shifts if not SHIFTS[shift.name].first])
        model = _compiled(spec)
        _require_whole(model, robot, shifts)
    return Physics(model, **_told(spec, model, robot, shifts))


def _edited(spec: Spec, robot: Robot, shifts: Sequence[Shift]) -> None:
    """Make the shifts that change the model, in their order."""
    # half-cheetah's `settotalmass` would undo a change of masses: it is scaled by what the change does without it
    total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
    scaled = total > 0 and any(SHIFTS[shift.name].weighs for shift in shifts)  # what takes a compilation each is not
    before = _total_mass(spec) if scaled else 1.0
    for shift in shifts:
        kind, value = SHIFTS[shift.name], shift.value
        if kind.planned:
            _planned(robot, shift)(spec, value)
        elif kind.edit is not None:
            if kind.value == "kg" and scaled:  # which will be scaled with all masses
                value *= before / total
            kind.edit(spec, _chosen(spec, kind, shift, robot.name), value)
    spec.compiler.settotalmass = total * (_total_mass(spec) / before) if scaled else total


def _planned(robot: Robot, shift: Shift) -> Callable[[Spec, Any], None]:
    """How a robot comes to have another number of parts. Raises RequestError if its row does not say, or not for so
    many."""
    plan = robot.plans.get(shift.name)
    if plan is None:
        from transreward.domains.robots import ROBOTS  # whose rows need shifts

        able = ", ".join(name for name, row in ROBOTS.items() if shift.name in row.plans)
        raise RequestError(f"'{shift}': {robot.name} has no number of {shift.name} that could be another; {able} have")
    if not plan.fewest <= shift.value <= plan.most:  # type: ignore[operator]
        raise RequestError(f"'{shift}': {robot.name} can have {plan.fewest} to {plan.most} {shift.name}")
    return plan.build


def _require_whole(model: Any, robot: Robot, shifts: Sequence[Shift]) -> None:
    """Raise RequestError for a model without a body whose place the robot's functions read."""
    names = {model.body(i).name for i in range(model.nbody)}
    lost = [name for name in robot.bodies if name not in names]
    if lost and of_plan(shifts):  # a row that names what its model never had is another matter, said elsewhere
        said = f"{robot.name} with {','.join(map(str, shifts))}"
        raise RequestError(f"{said} has no body {lost[0]}, whose place its task or observation reads: leave it in")


def _told(spec: Spec, model: Any, robot: Robot, shifts: Sequence[Shift]) -> dict[str, Any]:
    """What changes no model: the value of every such kind.

    Raises RequestError for a rule of other motors."""
    actuators = labels(spec, "actuator")
    entries = seen_names(robot, model)
    rows = {"actuator": len(actuators), "entry": len(entries) or 1}
    kinds = {name: kind for name, kind in SHIFTS.items() if not kind.of_model}
    told: dict[str, Any] = {name: np.zeros(rows[k.element]) if k.element else 0 for name, k in kinds.items()}
    told |= {name: None for name, kind in kinds.items() if kind.read is not None}
    for shift in shifts:
        if shift.name not in kinds:
            continue
        kind, value = kinds[shift.name], told[shift.name]
        if kind.read is not None:
            told[shift.name] = _of_as_many(shift, model.nu)
            continue
        if not kind.element:
            told[shift.name] = int(kind.combine(value, shift.value))
            continue
        if kind.element == "entry" and shift.pattern is not None and not entries:
            raise RequestError(
                f"'{shift}': the columns of {robot.name} have no names that a pattern could match (its row has no "
                f"`show`): write {shift.name}={shift.value} for all"
            )
        names = [(name,) for name in entries] if kind.element == "entry" else called(spec, kind.element)
        at = slice(None) if shift.pattern is None else matching(names, shift.pattern, kind.element, robot.name)
        value[at] = kind.combine(value[at], shift.value)
    for name, kind in kinds.items():
        if kind.element == "actuator":  # which may have several controls
            told[name] = np.repeat(told[name], model.actuator_ctrlnum)
    return told


def _of_as_many(shift: Shift, motors: int) -> Any:
    """The rule that a shift is. Raises RequestError if it is one of other motors."""
    assert isinstance(shift.value, Rule)
    if len(shift.value.weight) != motors:
        raise RequestError(f"'{shift}' is of {len(shift.value.weight)} motors, and the robot has {motors}")
    return shift.value


def seen_names(robot: Robot, model: Any) -> list[str]:
    """The names of the entries of a robot's observations; empty if its row does not say."""
    return [entry.name for entry in robot.show(model)] if robot.show else []


def _chosen(spec: Spec, kind: Kind, shift: Shift, robot: str) -> Elements:
    """The elements that a shift changes."""
    if not kind.element:
        return []
    pattern = str(shift.value) if kind.value == "pattern" else shift.pattern
    if pattern is None and kind.default is not None:
        return kind.default(spec)
    element, at = _meant(spec, kind, pattern, robot)
    found = every(spec, element)
    return [found[i] for i in at]


def touched(spec: Spec, kind: Kind, pattern: str | None, robot: str) -> tuple[int, ...]:
    """Numbers, of all joints, bodies, geoms or actuators, of those that a shift of this kind and pattern changes; empty
    for one that changes none of them as a whole. Raises RequestError for a pattern that matches nothing."""
    if kind.element not in ("joint", "body", "geom", "actuator"):
        return ()
    if pattern is None and kind.default is not None:
        some = {label(one, kind.element) for one in kind.default(spec)}
        return tuple(i for i, known in enumerate(called(spec, kind.element)) if known[0] in some)
    element, at = _meant(spec, kind, pattern, robot)
    return tuple(at) if element == kind.element else ()


def _meant(spec: Spec, kind: Kind, pattern: str | None, robot: str) -> tuple[str, list[int]]:
    """Which elements a pattern matches: those of the kind or, where it matches none of them, the others that it may;
    and their numbers. Raises RequestError if there is none."""
    names = called(spec, kind.element)
    if kind.other and not meant(names, pattern):
        others = called(spec, kind.other)
        if found := meant(others, pattern):
            return kind.other, found
        names += others  # to be told
    return kind.element, matching(names, pattern, kind.part, robot)


@contextmanager
def _compiling(robot: Robot, shifts: Sequence[Shift]) -> Iterator[None]:
    """Within it, what MuJoCo refuses is a RequestError."""
    try:
        yield
    except RequestError:
        raise
    except ValueError as error:
        text, shifted = " ".join(str(error).split()), f" with {','.join(map(str, shifts))}" if shifts else ""
        raise RequestError(f"{robot.name}{shifted} does not compile: {text}") from error


def _compiled(spec: Spec) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that `settotalmass` is deprecated
        return spec.compile()


def _write_down(spec: Spec) -> None:
    """Write down what the compiler derives from masses and ranges, so that a shift of those leaves it alone: damping
    and stiffness given as a ratio, the strength and lengths of muscles, control ranges taken over from a joint."""
    model = _compiled(spec)
    for joint in spec.joints:
        if (joint.springdamper > 0).all():
            joint.stiffness = [model.jnt_stiffness[joint.id], *joint.stiffness[1:]]
            joint.damping = [model.dof_damping[model.jnt_dofadr[joint.id]], *joint.damping[1:]]
            joint.springdamper = [0, 0]
    for actuator in spec.actuators:
        i, out = actuator.id, model.actuator_outadr[actuator.id]
        actuator.biasprm = model.actuator_biasprm[i]
        if "MUSCLE" in (type_of(actuator.gaintype), type_of(actuator.biastype)):
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
