"""What may differ between two robots of one row, as numbers that a fit can move: each is a shift of the table.

A fit simulates thousands of variants of one robot, and compiling each of them would take most of its time. So every
parameter is compiled at two of its values; where the numbers of the model that it changes are linear in it, as they
are for all shifts but a few, a variant is a copy of the compiled model in which they are set, and MuJoCo derives
the rest of its constants anew (`mj_setConst`). A parameter of which that does not hold is compiled each time.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mujoco
import numpy as np

from transreward.domains.robot import Robot
from transreward.domains.shifts import SHIFTS, Kind, Physics, Shift, applied, labels, prepared, together
from transreward.types import RequestError

LINEAR = 1e-9  # relative error up to which the numbers of a model count as linear in a parameter
BASES = 16  # compiled models that are kept
DELAYS = 3  # control steps that a delay is looked for


class Search(NamedTuple):
    """Where a fit looks for a parameter."""

    low: float
    high: float
    trials: tuple[float, ...]  # values that it begins from
    log: bool = False  # whether it moves in the logarithm
    each: bool = True  # element by element, where the shift takes a pattern


FACTORS = (0.0, 0.25, 0.5, 0.75, 1.4, 2.0, 3.0)
POSITIVE = (0.1, 0.25, 0.5, 0.75, 1.4, 2.0, 4.0)
SEARCHED: dict[str, Search] = {
    "gravity": Search(0, 5, FACTORS),
    "friction": Search(0.01, 10, (0.05, 0.1, 0.2, 0.4, 0.7, 1.5, 3.0), log=True),
    "mass": Search(0.05, 20, POSITIVE, log=True),
    "size": Search(0.5, 2, (0.7, 0.85, 1.15, 1.4), log=True),
    "damping": Search(0, 10, FACTORS),
    "armature": Search(0, 10, FACTORS),
    "stiffness": Search(0, 10, FACTORS),
    "range": Search(0.003, 3, (0.01, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.3), log=True),
    "gear": Search(0, 4, FACTORS),
    "frictionloss": Search(0, 100, (0.5, 2, 5, 15)),
    "viscosity": Search(0, 20, (0.1, 0.5, 1, 3, 8)),
    "density": Search(0, 5000, (30, 100, 300, 1000, 3000)),
    "slope": Search(-40, 40, (-12, -4, 4, 12)),
    "softness": Search(0.3, 10, (0.5, 2, 4), log=True, each=False),
    "payload": Search(0, 50, (0.5, 2, 5, 15)),
    "bias": Search(-1, 1, (-0.3, -0.1, 0.1, 0.3)),
    "deadzone": Search(0, 0.9, (0.05, 0.1, 0.2, 0.4)),
    "sensor_bias": Search(-3, 3, (-0.3, 0.3)),
    "delay": Search(0, DELAYS, tuple(range(1, DELAYS + 1))),
}
DEAD = 0.01  # a gear below this is a broken actuator


@dataclass(frozen=True)
class Parameter:
    """One number that a shift sets."""

    kind: Kind
    pattern: str | None
    search: Search
    neutral: float  # the value that changes nothing

    @property
    def name(self) -> str:
        return self.kind.name if self.pattern is None else f"{self.kind.name}({self.pattern})"

    @property
    def scales(self) -> bool:
        """Whether it is a factor; if not, it is added."""
        return self.kind.neutral == 1.0

    @property
    def counts(self) -> bool:
        """Whether its values are whole numbers, which no derivative moves."""
        return self.kind.counts

    @property
    def of_model(self) -> bool:
        """Whether it changes the model; if not, what acts or what is seen."""
        return self.kind.of_model

    def shift(self, value: float) -> Shift:
        """The shift of this value, which its id names. A motor that makes no force is `broken`."""
        if self.kind.name == "gear" and value < DEAD:
            return Shift("broken", self.pattern or "*")
        return Shift(self.kind.name, round(value) if self.counts else float(value), self.pattern)


class Effect(NamedTuple):
    """What a parameter does to some numbers: x -> centre + value (x - centre) for a factor, x -> x + value slope for
    what is added."""

    path: str  # an array of MjModel or, as `opt.gravity`, of its options; else a field of Physics
    at: np.ndarray  # flat indices
    number: np.ndarray  # centre or slope


class Family:
    """All variants that the parameters make of a robot with `shifts`, which every variant has.

    `robot` is a row of the table, `entries` are the names of what it observes. `names`: of the parameters, None = all.
    A parameter that changes nothing of this robot, such as the stiffness of joints without springs, is left out.
    """

    def __init__(
        self,
        robot: Robot,
        shifts: Sequence[Shift] = (),
        entries: Sequence[str] = (),
        names: Iterable[str] | None = None,
    ):
        self.robot, self.shifts = robot, tuple(shifts)
        self._spec = prepared(robot, self.shifts)
        for geom in labels(self._spec, "geom"):  # pairs of the same numbers, so that every variant has them
            applied(self._spec, robot, [Shift("friction", 1.0, geom)])
        self.base = self._compiled([])
        self.model: Any = self.base.model
        self._scratch, self._pool = mujoco.MjData(self.model), [copy.copy(self.model)]
        self._arrays, self._derived = _arrays(self.model), _derived(self.model)
        self._effects: dict[str, list[Effect] | None] = {}  # None = not linear
        self._bases: dict[tuple[tuple[str, float], ...], Physics] = {}
        wanted = None if names is None else set(names)
        self.parameters = tuple(p for p in self._all(entries) if (wanted is None or p.name in wanted) and self._acts(p))
        self._touched = self._paths()
        self.neutral = np.array([p.neutral for p in self.parameters])

    def linear(self, parameter: Parameter) -> bool:
        """Whether the numbers of the model are linear in it."""
        return self._effects[parameter.name] is not None

    def variants(self, values: np.ndarray, exact: bool = True) -> list[Physics]:
        """The physics of each row of `values` [m, parameters]. They are lent: the next call makes others of them.

        Unless `exact`, what is linear alone counts as linear beside a parameter that is not, too: nearly right, and a
        tenth of the time.
        """
        return [self._variant(i, self._moved(row), exact) for i, row in enumerate(values)]

    def _moved(self, values: np.ndarray) -> list[tuple[Parameter, float]]:
        return [(p, float(v)) for p, v in zip(self.parameters, values, strict=True) if v != p.neutral]

    def _variant(self, i: int, moved: list[tuple[Parameter, float]], exact: bool = True) -> Physics:
        others = tuple((p, value) for p, value in moved if self._effects[p.name] is None)
        if others and (exact or len(moved) == len(others)):
            return self._compiled([parameter.shift(value) for parameter, value in moved])
        base = self._base(others)
        while len(self._pool) <= i:
            self._pool.append(copy.copy(self.model))
        model, delay = copy.copy(base.model) if others else self._pool[i], self.base.delay
        numbers = {path: _array(base.model, path).copy() for path in self._touched}
        numbers |= {path: getattr(base, path).copy() for path in _TOLD}
        for parameter, value in moved:
            delay += int(value) if parameter.counts else 0
            for effect in self._effects[parameter.name] or ():
                flat = numbers[effect.path].reshape(-1)
                flat[effect.at] = _moved(parameter, flat[effect.at], effect.number, value)
        told = {path: numbers.pop(path) for path in _TOLD}
        for path, array in numbers.items():
            _write(model, path, array)
        mujoco.mj_setConst(model, self._scratch)
        return base._replace(model=model, delay=delay, **told)

    def _base(self, moved: tuple[tuple[Parameter, float], ...]) -> Physics:
        """What is compiled with these alone; the latest few are kept."""
        if not moved:
            return self.base
        key = tuple((parameter.name, value) for parameter, value in moved)
        if key not in self._bases:
            if len(self._bases) >= BASES:
                self._bases.pop(next(iter(self._bases)))
            self._bases[key] = self._compiled([parameter.shift(value) for parameter, value in moved])
        return self._bases[key]

    def _paths(self) -> tuple[str, ...]:
        """The arrays of the model that some parameter changes, and what MuJoCo derives from them."""
        paths = {e.path for effects in self._effects.values() for e in effects or () if e.path not in _TOLD}
        return (*sorted(paths), *self._derived)

    def _all(self, entries: Sequence[str]) -> Iterable[Parameter]:
        still = {geom.name for geom in self._spec.worldbody.geoms}  # whose contacts are the robot's, too
        for name, search in SEARCHED.items():
            kind = SHIFTS[name]
            assert kind.neutral is not None
            if kind.late:  # of which the robot may have some already
                search = Search(0, DELAYS - self.base.delay, search.trials[: DELAYS - self.base.delay])
            neutral = float(_array(self.model, f"opt.{name}")) if kind.sets else kind.neutral
            yield Parameter(kind, None, search, neutral)
            elements = entries if kind.element == "entry" else labels(self._spec, kind.element) if kind.element else []
            elements = [*elements, *tools(self.model)] if kind.other == "site" else elements
            if search.each and len(elements) > 1:
                yield from (Parameter(kind, element, search, neutral) for element in elements if element not in still)

    def _acts(self, parameter: Parameter) -> bool:
        """Whether it changes anything. Finds out how."""
        if parameter.counts:
            self._effects[parameter.name] = []
            return bool(parameter.search.trials)
        one, other = [v for v in parameter.search.trials if abs(v) > DEAD and v != parameter.neutral][:2]
        try:
            at = {v: self._compiled([parameter.shift(v)]) for v in (one, other)}
        except RequestError:  # such as the range of a joint without limits
            return False
        effects = self._linear(parameter, at[one], one)
        if effects == [] or any(effects and _equal(effects, others) for others in self._effects.values()):
            return False  # nothing, or what another parameter does, such as the friction of the floor alone
        self._effects[parameter.name] = effects
        self._touched = self._paths()
        if not self._same(self._variant(0, [(parameter, other)]), at[other]):
            self._effects[parameter.name] = None
            self._pool[0] = copy.copy(self.model)  # where it left its traces
        return True

    def _compiled(self, shifts: Sequence[Shift]) -> Physics:
        return applied(self._spec.copy(), self.robot, together(self.shifts, shifts))  # as its id will have them

    def _linear(self, parameter: Parameter, physics: Physics, value: float) -> list[Effect] | None:
        """What it does, if it is linear, told from its effect at one value; None where it changes whole numbers."""
        found = []
        for path in (*self._arrays, *_TOLD):
            if path in self._derived:
                continue
            told = path in _TOLD
            a, b = ((getattr(p, path) if told else _array(p.model, path)).reshape(-1) for p in (self.base, physics))
            at = np.flatnonzero(a != b)
            if not len(at):
                continue
            if not np.issubdtype(a.dtype, np.floating):
                return None
            slope = (b[at] - a[at]) / (value - parameter.neutral)
            found.append(Effect(path, at, a[at] - slope if parameter.scales else slope))
        return found

    def _same(self, a: Physics, b: Physics) -> bool:
        """Whether two are the same, as far as rounding goes."""
        of = [(getattr(a, path), getattr(b, path)) for path in _TOLD]
        of += [(_array(a.model, path), _array(b.model, path)) for path in self._arrays]
        return all(_alike(x, y) for x, y in of)


# Of Physics, beside the model
_TOLD = tuple(name for name in SEARCHED if not (SHIFTS[name].of_model or SHIFTS[name].counts))


def tools(model: Any) -> list[str]:
    """The sites where an arm may carry something: those at the ends of a robot that stands fixed. Others, such as those
    of the sensors of a walking one, have loads that its bodies have as well, and take long to compile."""
    if (model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
        return []
    part, jointed = model.body_weldid, np.flatnonzero(model.body_jntnum)
    ends = set(jointed.tolist()) - set(part[model.body_parentid[jointed]].tolist())
    bodies = {model.body(i).name for i in range(model.nbody)}
    sites = [model.site(i).name for i in range(model.nsite) if int(part[model.site_bodyid[i]]) in ends]
    return [name for name in sites if name and name not in bodies]


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    same = np.array_equal(a, b)  # most are, and `allclose` takes its time
    if same or not np.issubdtype(a.dtype, np.floating):
        return same
    return np.allclose(a, b, rtol=LINEAR, atol=LINEAR * (1 + np.abs(b).max(initial=0)), equal_nan=True)


def _equal(a: list[Effect], b: list[Effect] | None) -> bool:
    if not b or [e.path for e in a] != [e.path for e in b]:
        return False
    pairs = list(zip(a, b, strict=True))
    return all(np.array_equal(x.at, y.at) and np.allclose(x.number, y.number, rtol=LINEAR) for x, y in pairs)


def _moved(parameter: Parameter, x: np.ndarray, number: np.ndarray, value: float) -> np.ndarray:
    return number + value * (x - number) if parameter.scales else x + (value - parameter.neutral) * number


def _array(model: Any, path: str) -> np.ndarray:
    option = path.removeprefix("opt.")
    return np.asarray(getattr(model.opt if option != path else model, option))


def _write(model: Any, path: str, numbers: np.ndarray) -> None:
    option = path.removeprefix("opt.")
    if option != path and not numbers.ndim:
        setattr(model.opt, option, numbers.item())
    else:
        _array(model, path)[...] = numbers


def _arrays(model: Any) -> tuple[str, ...]:
    """The numbers that a model is made of."""
    own = [name for name in dir(model) if not name.startswith("_") and isinstance(getattr(model, name), np.ndarray)]
    options = [f"opt.{name}" for name in dir(model.opt) if not name.startswith("_")]
    return (*own, *(path for path in options if np.issubdtype(_array(model, path).dtype, np.number)))


def _derived(model: Any) -> tuple[str, ...]:
    """The arrays that `mj_setConst` computes from others, found by changing what it reads."""
    changed = copy.copy(model)
    for name in ("body_mass", "body_inertia", "dof_armature"):
        getattr(changed, name)[:] *= 1.1
    before = copy.copy(changed)
    mujoco.mj_setConst(changed, mujoco.MjData(changed))
    return tuple(p for p in _arrays(model) if not np.array_equal(_array(changed, p), _array(before, p), equal_nan=True))
