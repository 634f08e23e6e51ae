"""`FAMILY@informed=p`: a family of robots whose observations end with what an episode's robot is.

Behind the robot's own columns there is one for each shift that differs within the family, -1 to 1 over its range (a
factor by its logarithm), and one that says whether they are known. In a share p of the episodes they are not: all of
these columns are 0 then, so that one policy is both a universal policy, which is told the physics, and the randomised
one, which is not (Yu et al. 2017, "Preparing for the unknown", arXiv:1702.02453, tells it always). Where the family's
tasks differ, the weights that do (see `weighed`) and whether these are known stand before them in the same way; each of
the two is known or not by itself.

`ID@uninformed=k` is any domain in the columns of a family of which k shifts differ; nothing is ever known there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.bridged import plain
from transreward.domains.domain import (
    Domain,
    Entry,
    Repayable,
    Traced,
    control_rate,
    listed,
    restorable,
    row_seeds,
    stored_terms,
)
from transreward.domains.generators import pack, unpack
from transreward.domains.names import action_entries, entries
from transreward.domains.relayed import Dressed, Sparing
from transreward.domains.robot import Robot
from transreward.domains.shifts import SHIFTS, Range, Shift, prepared, touched
from transreward.domains.varied import Varied
from transreward.domains.weighed import Span, Weight, weights_of
from transreward.types import RequestError, Spaces, Transition

MOST = 100  # parameters
WEIGHT = "weight of"
ALIKE = 0.05  # columns: parts whose values differ by less have one value
STREAM = 11  # of a row's random numbers


@dataclass(frozen=True)
class Told:
    """A shift whose value differs within a family: a parameter that a policy is told."""

    name: str
    pattern: str | None
    low: float
    high: float

    def __str__(self) -> str:
        return self.name if self.pattern is None else f"{self.name}({self.pattern})"

    @property
    def range(self) -> str:
        """In words."""
        return f"{self.low:g}..{self.high:g}"

    @property
    def factor(self) -> bool:
        """Whether it multiplies, so that its column counts its logarithm."""
        return SHIFTS[self.name].neutral == 1.0

    def column(self, value: float) -> float:
        """Its column: -1 at the low end of the range, 1 at the high end; beyond these for values beyond them."""
        low, high = self.low, self.high
        if self.factor:
            low, high, value = log(low), log(high), log(max(value, 1e-9))
        return 2.0 * (value - low) / (high - low) - 1.0


def beyond(one: Told | Weight, value: float) -> str:
    """What is to be said of a value that no robot of the family has; nothing within its range."""
    return f"{one} {value:.3g} is outside the family's {one.range}" if abs(one.column(value)) > 1.0 + 1e-6 else ""


class Group(NamedTuple):
    """What a policy is told together, or not at all."""

    told: tuple[Told | Weight, ...]
    columns: np.ndarray | None  # [variants, told], of each robot of the family; None where they are never known
    each: str  # what one of them is
    known: str  # what the last column says

    def row(self, values: Sequence[float] | None) -> list[float]:
        """Its columns for these values, each within its range; for None those of what is not known."""
        if values is None:
            return [0.0] * (len(self.told) + 1)
        return [*np.clip([one.column(x) for one, x in zip(self.told, values, strict=True)], -1.0, 1.0).tolist(), 1.0]


class Informed(Dressed):
    """The domain `plain` with `parameters` as further columns, which are known in a share 1 - `drop` of the episodes.

    `columns` [variants, parameters] are those of each robot of the family; None where none is ever known. `span` has
    its tasks, where they differ: the `weights` that do stand before the parameters, in the same way.
    """

    def __init__(
        self,
        plain: Domain,
        parameters: Sequence[Told],
        columns: np.ndarray | None,
        drop: float,
        name: str,
        span: Span | None = None,
    ) -> None:
        self.plain, self.parameters, self.columns, self.drop = plain, tuple(parameters), columns, drop
        self.name, own, self.span = name, plain.spaces, span
        self.weights = () if span is None else span.differing
        at = None if span is None else np.unique(span.weights, axis=0, return_inverse=True)[1]
        self.task_of = np.zeros(0, int) if at is None else at.reshape(-1)  # [variants]: equal where they pay alike
        self.groups: list[Group] = []
        if span is not None:
            at = [[one.column(w[span.parts.index(one.part)]) for one in self.weights] for w in span.weights.tolist()]
            self.groups.append(Group(self.weights, np.array(at), WEIGHT, "task known"))
        if self.parameters or span is None:
            self.groups.append(Group(self.parameters, columns, "parameter", "parameters known"))
        more = [
            Entry(name, "1", low=low, high=1.0)
            for one in self.groups
            for name, low in (*((f"{one.each} {x}", -1.0) for x in one.told), (one.known, 0.0))
        ]
        self.spaces = Spaces(own.obs + len(more), own.action, own.low, own.high)
        self.entries = (*entries(plain), *more)
        self.action_entries = action_entries(plain)
        self.stored_terms = (*stored_terms(plain), *(("task",) if span is not None else ()))
        self.reward_terms, self.episode_steps = plain.reward_terms, plain.episode_steps
        self.control_rate = control_rate(plain)
        self.traits, self.changing = (plain.traits, plain.changing) if isinstance(plain, Traced) else ({}, [])

    @property
    def restorable(self) -> bool:
        """See `Restorable`."""
        return restorable(self.plain)

    @property
    def width(self) -> int:
        """How many columns are the robot's own."""
        return self.plain.spaces.obs

    @property
    def ids(self) -> tuple[str, ...]:
        """See `Listed`."""
        return listed(plain(self.plain))

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> InformedSimulation:
        """n robots, freshly reset; see `Domain`."""
        return InformedSimulation(self.plain.simulate(n, seed, threads), self, row_seeds(n, seed))

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `Repayable`; the further columns are not read."""
        assert isinstance(self.plain, Repayable)
        own = stored[..., : len(stored_terms(self.plain))]
        return self.plain.pay(obs[..., : self.width], action, next_obs[..., : self.width], own)

    def told(self, weights: Sequence[float] | None, parameters: Sequence[float] | None) -> list[float]:
        """The further columns for a robot of which so much is known; None: nothing of its task, or of its physics."""
        return [x for one in self.groups for x in one.row(weights if one.each == WEIGHT else parameters)]


class InformedSimulation(Sparing):
    """n robots of an `Informed` domain, which `plain` simulates; see `Simulation`."""

    def __init__(self, plain: Any, domain: Informed, seeds: Sequence[tuple[int, int]]) -> None:
        self.plain, self.domain, self.terms = plain, domain, plain.terms
        sequences = (np.random.SeedSequence([*seed, STREAM]) for seed in seeds)
        self._generators = [np.random.Generator(np.random.PCG64(one)) for one in sequences]
        self._known = np.zeros((len(seeds), len(domain.groups)), bool)
        self._told = np.zeros((len(seeds), domain.spaces.obs - domain.width))
        self._task = domain.task_of[plain.variant] if domain.span is not None else np.zeros(len(seeds), int)
        self._begin(np.arange(len(seeds)))

    @property
    def obs(self) -> np.ndarray:
        """See `Simulation`."""
        return np.concatenate([self.plain.obs, self._told], axis=1)

    @property
    def stored(self) -> np.ndarray:
        """See `RepayableSimulation`; of several tasks the last column is the row's."""
        if self.domain.span is None:
            return self.plain.stored
        return np.concatenate([self.plain.stored, self._task[:, None]], axis=1)

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        if self.domain.span is not None:
            self._task = self.domain.task_of[self.plain.variant]  # before the rows that end draw another
        t, told = self.plain.step(action), self._told
        self.terms = self.plain.terms
        ended = np.flatnonzero(np.logical_or(t.terminated, t.truncated))
        if ended.size:
            self._begin(ended)
        obs, next_obs = (np.concatenate([x, told], axis=1) for x in (t.obs, t.next_obs))
        return t._replace(obs=obs, next_obs=next_obs)

    def get_state(self) -> dict[str, np.ndarray]:
        return self.plain.get_state() | {"known": self._known.copy(), "dropping": pack(self._generators)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.plain.set_state(state)
        self._known = np.array(state["known"], bool).reshape(self._known.shape)
        unpack(self._generators, state["dropping"])
        self._show()

    def _begin(self, rows: np.ndarray) -> None:
        """New episodes in `rows`, whose robots were drawn."""
        if any(one.columns is None for one in self.domain.groups):
            return
        for i in rows.tolist():
            self._known[i] = self._generators[i].random(len(self.domain.groups)) >= self.domain.drop
        self._show()

    def _show(self) -> None:
        shown = []
        for one, known in zip(self.domain.groups, self._known.T, strict=True):
            if one.columns is None:
                return
            told = np.concatenate([one.columns[self.plain.variant], np.ones((len(known), 1))], axis=1)
            shown.append(np.where(known[:, None], told, 0.0))
        self._told = np.concatenate(shown, axis=1)


def informed(family: Domain, drop: float) -> Informed:
    """The family with what its robots differ in as further columns; unknown in a share `drop` of the episodes.

    Raises RequestError for a domain that is no family, or whose robots differ in what is no number.
    """
    found = plain(family)
    if not isinstance(found, Varied) or not found.redrawn:
        raise RequestError(f"'{family.name}' is one robot, and a policy is told which of a family it is in")
    if not 0 <= drop <= 1:
        raise RequestError(f"parameters are unknown in a share of the episodes, in [0, 1], not {drop}")
    span = Span.of([weights_of(robot) for robot in found.paid]) if found.listed else None
    span = span if span and span.differing else None
    parameters = differing(found)
    if not parameters and span is None:
        raise RequestError(f"'{family.name}' differs in nothing that a policy could be told")
    values = [[value_in(shifts, one) for one in parameters] for shifts in found.each]
    columns = np.array([[p.column(x) for p, x in zip(parameters, row, strict=True)] for row in values])
    return Informed(family, parameters, columns, drop, f"{family.name}@informed={drop:g}", span)


def uninformed(domain: Domain, parameters: Sequence[Told] | int) -> Informed:
    """The domain in the columns of a family of which so many shifts differ; it tells nothing. Raises RequestError."""
    count = parameters if isinstance(parameters, int) else len(parameters)
    if not 1 <= count <= MOST:
        raise RequestError(f"'{domain.name}': a policy is told 1 to {MOST} parameters, not {count}")
    told = parameters if not isinstance(parameters, int) else [Told(f"{i + 1}", None, 0, 1) for i in range(count)]
    return Informed(domain, told, None, 1.0, f"{domain.name}@uninformed={count}")


def differing(family: Varied) -> list[Told]:
    """The shifts whose values differ within a family: those with a range, or of a list those that are not the same in
    all its robots. Raises RequestError for one that is no number."""
    if family.ranges:
        ranges = [(s, s.value) for s in family.ranges if isinstance(s.value, Range)]
        return [Told(s.name, s.pattern, span.low, span.high) for s, span in ranges]
    found, alike = [], family.shared
    keys = dict.fromkeys((s.name, s.pattern) for shifts in family.each for s in shifts if s not in alike)
    for name, pattern in keys:
        one = Told(name, pattern, 0.0, 1.0)
        values = [value_in(shifts, one) for shifts in family.each]
        if min(values) == max(values):
            continue
        if one.factor and min(values) <= 0:
            raise RequestError(f"'{family.name}': {one} is a factor, whose logarithm a policy is told: begin above 0")
        found.append(Told(name, pattern, min(values), max(values)))
    return found


def value_in(shifts: Sequence[Shift], parameter: Told) -> float:
    """The value of a parameter among shifts; where it is not, that which changes nothing. Raises RequestError for a
    shift without a number."""
    found = next((s for s in shifts if (s.name, s.pattern) == (parameter.name, parameter.pattern)), None)
    value = SHIFTS[parameter.name].neutral if found is None else found.value
    if not isinstance(value, float | int):
        raise RequestError(f"{found or parameter} is no number that a policy could be told: leave it out of the family")
    return float(value)


class Reading:
    """Reads the parameters of a family from the shifts of one robot of its kind, which may name other parts."""

    def __init__(self, robot: Robot, shifts: Sequence[Shift], parameters: Sequence[Told]) -> None:
        self.parameters, self._robot = parameters, robot.name
        self._shifts = [_of_gear(s) for s in shifts]
        self._spec = prepared(robot, shifts)

    def of(self, parameter: Told) -> float | None:
        """The value of a parameter; None where the parts that it stands for have different ones."""
        same = [s for s in self._shifts if s.name == parameter.name]
        values = [_together([s for s in same if s.pattern == parameter.pattern], parameter)]
        own = self._touched(parameter.name, parameter.pattern)
        if own and any(s.pattern != parameter.pattern for s in same):
            of_part = [(s, self._touched(s.name, s.pattern)) for s in same]
            values = [_together([s for s, parts in of_part if part in parts], parameter) for part in own]
        columns = [parameter.column(x) for x in values]
        return float(np.mean(values)) if max(columns) - min(columns) <= ALIKE else None

    def usual(self, parameter: Told) -> float:
        """Its value where nothing is found of it as a whole: of the shifts that name it, else that which changes
        nothing."""
        return _together(
            [s for s in self._shifts if (s.name, s.pattern) == (parameter.name, parameter.pattern)], parameter
        )

    def covers(self, shift: Shift) -> bool:
        """Whether a shift is told by the parameters."""
        shift = _of_gear(shift)
        parts = set(self._touched(shift.name, shift.pattern))
        for one in (p for p in self.parameters if p.name == shift.name and self.of(p) is not None):
            if one.pattern == shift.pattern or (parts and parts <= set(self._touched(one.name, one.pattern))):
                return True
        return False

    def _touched(self, name: str, pattern: str | None) -> tuple[int, ...]:
        return touched(self._spec, SHIFTS[name], pattern, self._robot)


def _of_gear(shift: Shift) -> Shift:
    """A broken motor as one without gear."""
    if shift.name != "broken":
        return shift
    return Shift("gear", 0.0, None if shift.value == "*" else str(shift.value))


def _together(shifts: Sequence[Shift], parameter: Told) -> float:
    """What several shifts of one part come to."""
    values = [float(s.value) for s in shifts if isinstance(s.value, float | int)]
    if parameter.factor:
        return float(np.prod(values))
    return float(sum(values)) if values else float(SHIFTS[parameter.name].neutral or 0.0)
