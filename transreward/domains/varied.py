"""Robots of one row of the table whose physics differ from row to row of a simulation."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from transreward.domains import across, robots
from transreward.domains.across import Across
from transreward.domains.bridged import Bridged, plain
from transreward.domains.domain import Domain, TableRobot, row_seeds
from transreward.domains.history import history_of, with_history, without_history
from transreward.domains.mujoco import MujocoDomain, MujocoSimulation
from transreward.domains.paid import each_its_own
from transreward.domains.robot import Robot
from transreward.domains.shifts import SHIFTS, Range, Shift, applied, of_plan, parse, prepared, slot
from transreward.domains.shifts.kinds import Beside
from transreward.domains.tasks import Task, is_own, with_tasks
from transreward.types import RequestError

VARIANTS = 64  # that stand for a family
By = Literal["seed", "episode"]
BETWEEN: dict[By, str] = {"seed": "|", "episode": "~"}  # variants in a name


class Varied(MujocoDomain):
    """A robot of the table of which each row of a simulation has one of `variants`, each given by its shifts.

    by="seed": rows of the k-th of a simulation's seeds have variant k, as where a simulator was identified for each.
    by="episode": each reset of a row draws a variant from that row's own generator (domain randomisation).

    `each` has the shifts of every variant. `ranges` are the shifts, some of them ranges, from which the variants were
    drawn, for a family: see `family`. `shifts` are then these, otherwise all shifts of the variants. `model` is that of
    the shifts without a range, otherwise the first variant's; `physics` has this model, and of each number beside it
    the largest of any variant.

    `listed` are the tasks of every variant, where these differ: each row is paid by its own. `tasks` are then the
    first's.

    Raises RequestError for a variant that the robot cannot be, or with other action bounds.
    """

    def __init__(
        self,
        robot: Robot,
        variants: Sequence[Sequence[Shift]],
        tasks: Sequence[Task] = (),
        columns: int | None = None,
        *,
        by: By = "seed",
        ranges: Sequence[Shift] = (),
        listed: Sequence[Sequence[Task]] = (),
    ):
        if not variants or by not in BETWEEN:
            many = f"{len(variants)} by {by!r}"
            raise RequestError(f"'{robot.name}': give at least one variant, by 'seed' or 'episode', not {many}")
        if any(isinstance(shift.value, Range) for shifts in variants for shift in shifts):
            raise RequestError(f"'{robot.name}': a variant has one value of each shift: leave ranges to a family's id")
        if len({of_plan(shifts) for shifts in variants}) > 1:
            raise RequestError(
                f"'{robot.name}': its variants have different parts (without, legs, links): make them alike"
            )
        fixed = [shift for shift in ranges if not isinstance(shift.value, Range)] if ranges else variants[0]
        super().__init__(robot, fixed, listed[0] if listed else tasks, columns)
        self.by: By = by
        self.listed = tuple(map(tuple, listed))
        self.ranges, self.redrawn = tuple(ranges), by == "episode"
        self.shifts = self.ranges or tuple(dict.fromkeys(shift for shifts in variants for shift in shifts))
        texts = [",".join(map(str, shifts)) for shifts in (variants if not ranges else [ranges])]
        self._text = BETWEEN[by].join(texts)
        self.name = ":".join(filter(None, ["+".join(map(str, (robot.name, *tasks))), self._text]))
        if listed:
            self._pay_each(robot, texts)
        self.each, spec = tuple(map(tuple, variants)), prepared(robot, variants[0])
        self.variants = tuple(applied(spec.copy(), robot, shifts) for shifts in variants)
        bounds = [v.model.actuator_ctrlrange for v in self.variants]
        if not all(np.array_equal(bound, self.model.actuator_ctrlrange) for bound in bounds):
            raise RequestError(f"'{self.name}': its variants have different action bounds")
        beside = {name: _largest([getattr(v, name) for v in self.variants]) for name in Beside._fields}
        self.physics = self.physics._replace(**beside)

    @property
    def shared(self) -> tuple[Shift, ...]:
        """The shifts that all variants have."""
        return tuple(s for s in self.ranges or self.each[0] if all(s in shifts for shifts in self.each))

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each variant, where these differ in their tasks."""
        return tuple(self.name.split(BETWEEN[self.by])) if self.listed else ()

    def _pay_each(self, robot: Robot, texts: Sequence[str]) -> None:
        """Pay every variant by its own of the tasks."""
        named = ("+".join(map(str, (robot.name, *some))) for some in self.listed)
        ids = [":".join(filter(None, both)) for both in zip(named, texts, strict=True)]
        if twice := [id for id in ids if ids.count(id) > 1]:
            raise RequestError(f"'{twice[0]}' is named twice in a list: leave one of them out")
        self.name = self._text = BETWEEN[self.by].join(ids)
        self._own = robots.is_own(robot) and all(is_own(task) for some in self.listed for task in some)
        self.robot = each_its_own(robot, self.listed)
        self.reward_terms, self.success = tuple(self.robot.terms), self.robot.judged

    @property
    def paid(self) -> list[Robot]:
        """The robot of each variant with its own tasks, where these differ; else none."""
        row = robots.row(self.robot.name)
        return [with_tasks(row, some) for some in self.listed]

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `MujocoDomain.pay`. Raises RequestError where each variant has a task of its own."""
        if self.listed:
            raise RequestError(f"'{self.name}' has no one task that could pay for stored steps: name one of its robots")
        return super().pay(obs, action, next_obs, stored)

    def shown_with(self, sent: int) -> bool:
        """Never where an episode's physics is drawn, which no observation shows; else as for each variant."""
        return super().shown_with(sent) and not self.redrawn

    @property
    def traits(self) -> dict[str, str]:
        """See `Traced`: the hashes of one model, and which there are."""
        return {**super().traits, "variants": self._text}

    def paid_as(self, other: TableRobot) -> Varied:
        """See `TableRobot`."""
        robot = robots.row(self.robot.name)
        return Varied(robot, self.each, other.tasks, self.spaces.obs, by=self.by, ranges=self.ranges)

    def __reduce__(self):
        given = self.robot.name, self.each, self.tasks, self.spaces.obs, self.by, self.ranges, self.listed
        return _remake, given, {"name": self.name}

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> MujocoSimulation:
        """n robots, freshly reset; see `Domain`.

        Raises RequestError for more seeds than there are variants, if each seed has one.
        """
        rows, seeds = row_seeds(n, seed), 1 if isinstance(seed, (int, np.integer)) else len(seed)
        if self.redrawn:
            return MujocoSimulation(self, rows, threads)
        require_variants(self, seeds)
        return MujocoSimulation(self, rows, threads, np.arange(n) // (n // seeds))


def require_variants(domain: Domain, seeds: int) -> None:
    """Raise RequestError for more seeds than a domain, or what stands behind its columns, has variants, if each seed
    has one."""
    if 0 < (known := seeds_of(domain)) < seeds:
        many = f"{known} variants, one a seed, and {seeds} seeds are asked for"
        name = plain(across.own(domain)).name
        raise RequestError(f"'{name}' has {many}: lower `seeds`, or write ~ between them for a family of these")


def seeds_of(domain: Domain) -> int:
    """How many seeds a run can have of a domain in which each has a variant; 0: any number, of any other domain."""
    found = plain(across.own(domain))
    return len(found.variants) if isinstance(found, Varied) and not found.redrawn else 0


def family(robot: Robot, shifts: Sequence[Shift], tasks: Sequence[Task] = ()) -> Varied:
    """The robot with each range of `shifts` drawn anew for every episode, from `VARIANTS` values that are drawn once.

    Each range is cut into as many parts as there are variants, and every part has one (a Latin hypercube): factors are
    drawn in their logarithm. The draw depends on the robot and the text of the shifts alone.
    """
    text = f"{robot.name}:{','.join(map(str, shifts))}"
    rng = np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
    variants: list[list[Shift]] = [[] for _ in range(VARIANTS)]
    for shift in shifts:
        values = [shift.value] * VARIANTS
        if isinstance(shift.value, Range):
            values = shift.value.at((rng.permutation(VARIANTS) + rng.random(VARIANTS)) / VARIANTS)
        for variant, value in zip(variants, values, strict=True):
            variant.append(replace(shift, value=value))
    return Varied(robot, variants, tasks, by="episode", ranges=shifts)


def randomised(source: Domain, ranges: str) -> Domain:
    """The family of robots around the source that `ranges` are, as in an id. The source keeps its other shifts. Where
    it has one of the same kind, a factor scales the range, and any other number gives way to it.

    Raises:
        RequestError: the source is no single robot of the table, or cannot have one of the shifts.
    """
    single = plain(source)
    if not isinstance(single, MujocoDomain) or len(single.variants) > 1:
        raise RequestError(f"'{source.name}' is not a single robot of the table, so there is no family around it")
    own = {slot(shift): shift for shift in single.shifts}
    for shift in parse(ranges):
        before = own.get(slot(shift))
        own[slot(shift)] = shift if before is None else _around(before, shift)
    return _seen_as(source, family(robots.row(single.robot.name), list(own.values()), single.tasks))


def nominal(source: Domain) -> Domain:
    """The robot of a family that has only the shifts that all of it have, seen as the family is; any other domain
    itself."""
    single = plain(source)
    if not isinstance(single, Varied) or not single.redrawn:
        return source
    robot = MujocoDomain(robots.row(single.robot.name), single.shared, single.tasks, single.spaces.obs)
    return _seen_as(source, robot)


def of_seed(found: Domain, k: int) -> Domain:
    """A domain as a run's k-th seed has it (counted from 0): where each seed has a variant, the robot of that one, seen
    as the domain is; any other domain itself."""
    if isinstance(found, Across):
        own = of_seed(found.plain, k)
        return found if own is found.plain else Across(own, found.other, found.how)
    single = plain(found)
    if not isinstance(single, Varied) or single.redrawn:
        return found
    return _seen_as(found, MujocoDomain(robots.row(single.robot.name), single.each[k], single.tasks, single.spaces.obs))


def _seen_as(source: Domain, robot: MujocoDomain) -> Domain:
    """The robot in the view of the source, with as many commanded actions among its columns."""
    seen = without_history(source)
    return with_history(Bridged(robot, seen.view) if isinstance(seen, Bridged) else robot, history_of(source))


def _around(own: Shift, shift: Shift) -> Shift:
    """A shift of a family around a robot that has one of its kind."""
    factor, value = SHIFTS[shift.name].neutral == 1.0, own.value
    if not factor or not isinstance(value, float) or not isinstance(shift.value, Range):
        return shift
    low, high = value * shift.value.low, value * shift.value.high
    return parse(str(replace(shift, value=Range(low, high, log=True))))[0]  # within the shift's own limits, or refused


def _largest(values: Sequence[Any]) -> Any:
    """Of numbers, or of arrays entry by entry, the largest in size."""
    if np.ndim(values[0]) == 0:
        return max(values)
    every = np.stack(values)
    return np.take_along_axis(every, np.abs(every).argmax(axis=0)[None], axis=0)[0]


def _remake(
    robot: str,
    variants: tuple[tuple[Shift, ...], ...],
    tasks: tuple[Task, ...],
    columns: int,
    by: By,
    ranges: tuple[Shift, ...],
    listed: tuple[tuple[Task, ...], ...] = (),
) -> Varied:
    return Varied(robots.row(robot), variants, tasks, columns, by=by, ranges=ranges, listed=listed)
