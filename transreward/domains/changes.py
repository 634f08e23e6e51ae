"""What differs between the compiled models of source and target: each body, geom, joint and actuator by name."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.actuators import AFFINE, DCMOTOR, FIXED, GEODESIC, MUSCLE, PID, actuators, controls
from transreward.domains.contacts import of_contact, pairs, touching
from transreward.domains.domain import Domain, TableRobot, table_robot
from transreward.domains.paid import pays_by_row
from transreward.domains.shifts import SHIFTS, Range
from transreward.domains.shifts.compiled import seen_names


class Change(NamedTuple):
    """One property of one element, with its value on both sides; or of all elements if all changed by one factor."""

    what: str
    element: str
    source: str
    target: str


# what an actuator is, and the gain types by which to tell; its parameters mean something else for each
MAKES = {"servo": (FIXED, AFFINE, GEODESIC, PID), "muscle": (MUSCLE,), "dcmotor": (DCMOTOR,)}

# name -> the kind of element it belongs to, the model's array, and which of its entries
PROPERTIES = (
    ("mass (kg)", "body", "body_mass", np.s_[:]),
    ("inertia (kg m²)", "body", "body_inertia", np.s_[:]),
    ("centre of mass in it (m)", "body", "body_ipos", np.s_[:]),
    ("sliding friction", "geom", "geom_friction", np.s_[:, 0]),
    ("time constant of contacts (s)", "geom", "geom_solref", np.s_[:, 0]),
    ("size (m)", "geom", "geom_size", np.s_[:]),
    ("place in its body (m)", "geom", "geom_pos", np.s_[:]),
    ("place in what it is part of (m)", "body", "body_pos", np.s_[:]),
    ("turn in what it is part of (quaternion)", "body", "body_quat", np.s_[:]),
    ("axis", "jnt", "jnt_axis", np.s_[:]),
    ("range", "jnt", "jnt_range", np.s_[:]),
    ("stiffness", "jnt", "jnt_stiffness", np.s_[:]),
    ("dry friction", "dof", "dof_frictionloss", np.s_[:]),
    ("damping", "dof", "dof_damping", np.s_[:]),
    ("rotor inertia (kg m²)", "dof", "dof_armature", np.s_[:]),
    ("damping", "actuator", "actuator_damping", np.s_[:]),
    ("rotor inertia (kg m²)", "actuator", "actuator_armature", np.s_[:]),
    ("gear", "output", "actuator_gear", np.s_[:, 0]),
    ("gear, further axes", "output", "actuator_gear", np.s_[:, 1:]),
    ("gain", "servo", "actuator_gainprm", np.s_[:, 0]),
    ("gain by position", "servo", "actuator_gainprm", np.s_[:, 1]),
    ("gain by velocity", "servo", "actuator_gainprm", np.s_[:, 2]),
    ("bias", "servo", "actuator_biasprm", np.s_[:, 0]),
    ("bias by position", "servo", "actuator_biasprm", np.s_[:, 1]),
    ("bias by velocity", "servo", "actuator_biasprm", np.s_[:, 2]),
    ("peak force (N)", "muscle", "actuator_gainprm", np.s_[:, 2]),
    ("resistance (ohm)", "dcmotor", "actuator_gainprm", np.s_[:, 0]),
    ("force range", "actuator", "actuator_forcerange", np.s_[:]),
    ("control range", "control", "actuator_ctrlrange", np.s_[:]),
)


def changes(source: Domain, target: Domain) -> list[Change]:
    """Differences between two domains of one robot: tasks, gravity, the fluid, each body, geom, joint and actuator,
    what acts on actions and on observations; where only one has some part, which these are. Of two files with the same
    joints and motors, what has a name in both is compared. Empty for domains that are no robots, and for two robots
    with other joints."""
    a, b = table_robot(source), table_robot(target)
    if a is None or b is None:
        return []
    models = (a.model, b.model)
    found = [*_whole(a, b, *models), *_of_families(a, b)]
    alike = all(getattr(models[0], n) == getattr(models[1], n) for n in ("nbody", "ngeom", "nv", "nu"))
    if not alike and a.robot.name == b.robot.name:
        return [*found, *_of_parts(a, b)]
    if not alike and any(_names(models[0], kind) != _names(models[1], kind) for kind in ("dof", "control")):
        return []
    for what, kind, array, entries in PROPERTIES:
        ours, theirs = (getattr(m, array)[_rows(m, kind)][entries] for m in models)
        names = _names(models[0], kind)
        if not alike:
            names, ours, theirs = _shared((names, ours), (_names(models[1], kind), theirs))
        found += _of_elements(what, names, ours, theirs)
    return [*found, *(_of_contacts(*models) if alike else _of_one_side(*models)), *_beside_the_model(a, b)]


def _shared(
    a: tuple[list[str], np.ndarray], b: tuple[list[str], np.ndarray]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names that are in both of two lists with their rows, and these rows."""
    names = [name for name in a[0] if name in b[0]]
    ours, theirs = (rows[[own.index(name) for name in names]] for own, rows in (a, b))
    return names, ours, theirs


def _of_one_side(a: Any, b: Any) -> Iterator[Change]:
    """The bodies and geoms that only one of two models has."""
    for kind in ("body", "geom"):
        sides = [_names(m, kind) for m in (a, b)]
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            if name not in sides[0] or name not in sides[1]:
                yield Change(kind, name, *("there" if name in side else "none" for side in sides))


def _whole(source: TableRobot, target: TableRobot, a: Any, b: Any) -> Iterator[Change]:
    """What belongs to no element."""
    tasks = [
        "one of several in each episode" if pays_by_row(d.robot) else " + ".join(map(str, d.tasks)) or "the robot's own"
        for d in (source, target)
    ]
    if tasks[0] != tasks[1]:
        yield Change("task", "reward", *tasks)
    if not np.array_equal(a.opt.gravity, b.opt.gravity):
        yield Change("gravity (m/s²)", "world", _number(a.opt.gravity), _number(b.opt.gravity))
    for what, name in (("viscosity of the fluid (Pa s)", "viscosity"), ("density of the fluid (kg/m³)", "density")):
        values = getattr(a.opt, name), getattr(b.opt, name)
        if values[0] != values[1]:
            yield Change(what, "world", *map(_number, values))


def _of_parts(source: TableRobot, target: TableRobot) -> Iterator[Change]:
    """The columns that only one of two bodies has, by the part that they are of."""
    sides = [dict.fromkeys(e.part or e.name for e in (*d.entries, *d.action_entries)) for d in (source, target)]
    for part in dict.fromkeys([*sides[0], *sides[1]]):
        if part not in sides[0] or part not in sides[1]:
            yield Change("part", part, *("there" if part in side else "none" for side in sides))


def _of_families(source: TableRobot, target: TableRobot) -> Iterator[Change]:
    """The ranges of which one side draws an episode's physics, and the other does not."""
    ours, theirs = ([s for s in d.shifts if isinstance(s.value, Range)] for d in (source, target))
    for shift in dict.fromkeys([*ours, *theirs]):
        if shift not in ours or shift not in theirs:
            told = [f"drawn from {shift.value}" if shift in own else "not drawn" for own in (ours, theirs)]
            yield Change(f"{shift.name} in each episode", shift.pattern or "all", *told)


def _beside_the_model(source: TableRobot, target: TableRobot) -> Iterator[Change]:
    """What acts on actions and on observations."""
    for name, kind in SHIFTS.items():
        if kind.of_model:
            continue
        values = getattr(source.physics, name), getattr(target.physics, name)
        if not kind.element:
            if values[0] != values[1]:
                yield Change(kind.shown, "all", *("none" if x is None else str(x) for x in values))
            continue
        model, seen = source.model, kind.element == "entry"
        names = seen_names(source.robot, model) if seen else _names(model, "control")
        yield from _of_elements(kind.shown, names or ["all"], *(np.broadcast_to(x, len(names) or 1) for x in values))


def _of_contacts(a: Any, b: Any) -> Iterator[Change]:
    """Friction and time constant of every contact, where one of two models has explicit pairs; elsewhere the geoms'
    say it."""
    explicit = pairs(a).keys() | pairs(b).keys()
    both = sorted(explicit.union(touching(a))) if explicit else []
    geoms = _names(a, "geom")
    names = [f"{geoms[i]} on {geoms[j]}" for i, j in both]
    for what, name in (("sliding friction of contacts", "friction"), ("time constant of contacts (s)", "solref")):
        values = [np.array([of_contact(model, *pair, name)[0] for pair in both]) for model in (a, b)]
        yield from _of_elements(what, names, *values)


def _of_elements(what: str, names: list[str], a: np.ndarray, b: np.ndarray) -> Iterator[Change]:
    """A row for each element that changed; one row where all that have the property changed by one factor."""
    differs = (a != b).reshape(len(names), -1).any(axis=1) if len(names) else np.zeros(0, bool)
    has = (a != 0).reshape(len(names), -1).any(axis=1) if len(names) else differs
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = (b / a)[a != 0]
    if differs.sum() > 2 and (differs == has).all() and np.allclose(factors, factors[0], rtol=1e-6):
        yield Change(what, f"all {int(has.sum())}", "unchanged", f"x {factors[0]:.4g}")
        return
    if differs.sum() > 2 and differs.all() and all((x == x[0]).all() for x in (a, b)):
        yield Change(what, f"all {len(names)}", _number(a[0]), _number(b[0]))
        return
    for i in np.flatnonzero(differs):
        yield Change(what, names[i], _number(a[i]), _number(b[i]))


def _rows(model: Any, kind: str) -> Any:
    """Index of the rows that an array has for elements of a kind."""
    return np.isin(model.actuator_gaintype, MAKES[kind]) if kind in MAKES else slice(None)


def _names(model: Any, kind: str) -> list[str]:
    """Names of all elements of a kind. A degree of freedom is named after its joint, an unnamed element after its body,
    with its number there."""
    if kind in ("actuator", "output", *MAKES):
        repeats = model.actuator_outnum if kind == "output" else 1
        return np.repeat(np.array(actuators(model), object)[_rows(model, kind)], repeats).tolist()
    if kind == "control":
        return [entry.name for entry in controls(model)]
    if kind == "dof":
        return [_name(model, "jnt", joint) for joint in model.dof_jntid]
    counts = {"body": model.nbody, "geom": model.ngeom, "jnt": model.njnt}
    return [_name(model, kind, i) for i in range(counts[kind])]


def _name(model: Any, kind: str, i: int) -> str:
    name = getattr(model, kind)(int(i)).name
    if name or kind == "body":
        return name
    body = model.body(getattr(model, f"{kind}_bodyid")[i])
    first = getattr(model, f"body_{kind}adr")[body.id]
    return f"{body.name} ({'joint' if kind == 'jnt' else kind} {i - first + 1})"


def _number(x: Any) -> str:
    return ", ".join(f"{v:.4g}" for v in np.atleast_1d(x)).replace("-", "\N{MINUS SIGN}")
