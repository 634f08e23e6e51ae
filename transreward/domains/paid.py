"""Robots of one simulation that have tasks of their own: each row is paid, to the bit, as if all had its task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from transreward.domains.robot import Robot, Rows, Term
from transreward.domains.tasks import Task, with_tasks
from transreward.types import Array, RequestError

Total = Callable[[Sequence[Array]], Array]


@dataclass(frozen=True)
class OfTask:
    """What several tasks pay under one name: each row has the term of its own task, or 0 where that has none."""

    terms: tuple[Term | None, ...]  # of each task
    of: tuple[int, ...]  # the task of each variant

    def __call__(self, s: Rows) -> Array:
        paid, task = np.zeros(len(s.qpos)), np.array(self.of)[s.row_variant]
        for term in dict.fromkeys(self.terms):
            rows = [k for k, one in enumerate(self.terms) if one == term]
            if term is not None and (mine := np.isin(task, rows)).any():
                paid[mine] = term(s)[mine]
        return paid


@dataclass(frozen=True)
class Totals:
    """What terms add up to where each row's task has an order of its own."""

    totals: tuple[Total, ...]  # of each task
    at: tuple[tuple[int, ...], ...]  # of each task: the places of its terms among all
    of: tuple[int, ...]  # the task of each variant

    def by(self, variant: np.ndarray) -> Total:
        """The total of rows with these variants [n], which may change in place."""

        def total(terms: Sequence[Array]) -> Array:
            paid, task = np.zeros(len(variant)), np.array(self.of)[variant]
            for k in np.unique(task).tolist():
                rows = task == k
                paid[rows] = self.totals[k]([terms[i] for i in self.at[k]])[rows]
            return paid

        return total


def total_of(robot: Robot, variant: np.ndarray) -> Total:
    """What adds the terms up of rows that have these of a family's variants [n]."""
    return robot.total.by(variant) if pays_by_row(robot) else robot.total  # type: ignore[union-attr]


def pays_by_row(robot: Robot) -> bool:
    """Whether rows of its simulations have tasks of their own."""
    return isinstance(robot.total, Totals)


def each_its_own(row: Robot, tasks: Sequence[Sequence[Task]]) -> Robot:
    """The robot of a row of the table whose i-th variant has the i-th tasks.

    Raises RequestError for tasks that differ in more than what they pay.
    """
    distinct = list(dict.fromkeys(map(tuple, tasks)))
    of = tuple(distinct.index(tuple(some)) for some in tasks)
    robots = [with_tasks(row, some) for some in distinct]
    first = robots[0]
    if any(one.placed != first.placed for one in robots):
        with_place = "those that walk to a goal also observe the robot's position"
        raise RequestError(f"'{row.name}': tasks of one list have the same columns, and {with_place}: list these alone")
    if any(one.draw is not first.draw for one in robots):
        raise RequestError(
            f"'{row.name}': tasks of one list pay differently, and a fixed goal is where an episode begins, which is "
            f"observed: leave it out of the list"
        )
    names = list(dict.fromkeys(name for one in robots for name in one.terms))
    return replace(
        first,
        terms={name: OfTask(tuple(one.terms.get(name) for one in robots), of) for name in names},
        total=Totals(
            tuple(one.total for one in robots), tuple(tuple(map(names.index, one.terms)) for one in robots), of
        ),
        success=tuple(x for x in first.success if all(x in one.success for one in robots)),
    )
