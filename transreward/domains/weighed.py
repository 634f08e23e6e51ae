"""What tasks are combined of: terms and the weights that each task has on them.

    halfcheetah             forward 1, control 1
    halfcheetah+backward    forward -1, control 1
    halfcheetah+run(speed=2)  speed(2) 1, control 1

The weights are counted in the robot's own: 1 is as its own task pays, or as the task that brings a term does. A term
with a number of its own, such as the speed that it wants, is another one with another number, so that every reward here
is linear in the weights. Tasks that share their terms are points of one space, and a policy that is told such a point
can be told one between them (universal successor features, Borsa et al. 2019, arXiv:1812.07626, tell the same).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from transreward.domains.bridged import plain
from transreward.domains.domain import Domain, table_robot
from transreward.domains.robot import Robot, Rows, Term, Weighted
from transreward.domains.tasks import Wanted, ingredients
from transreward.types import Array

SAME = 1e-9  # weights that differ by less are one


class Part(NamedTuple):
    """A term with the weight 1; two are the same where name and term are."""

    name: str
    term: Term

    def __str__(self) -> str:
        own = self.term.numbers if isinstance(self.term, Wanted) else ()
        return f"{self.name}({','.join(f'{x:g}' for x in own)})" if own else self.name


Weights = dict[Part, float]


def weights_of(robot: Robot) -> Weights:
    """The terms that a robot is paid for, with its weight on each."""
    found: Weights = {}
    for name, term in robot.terms.items():
        weight = 1.0
        while isinstance(term, Weighted):
            weight, term = weight * term.weight, term.term
        found[Part(name, term)] = weight
    return found


@dataclass(frozen=True)
class Weight:
    """A weight that differs between the tasks of a family: what a policy is told of its task."""

    part: Part
    low: float
    high: float

    def __str__(self) -> str:
        return str(self.part)

    @property
    def range(self) -> str:
        """In words."""
        return f"{self.low:g}..{self.high:g}"

    def column(self, value: float) -> float:
        """Its column: -1 at the least weight of the family's tasks, 1 at the largest; beyond these for others."""
        return 2.0 * (value - self.low) / (self.high - self.low) - 1.0


class Span(NamedTuple):
    """The tasks of a family: what they pay for, and how much."""

    parts: tuple[Part, ...]
    weights: np.ndarray  # [tasks, parts]

    @staticmethod
    def of(tasks: Sequence[Weights]) -> Span:
        """Of the weights of each task."""
        parts = tuple(dict.fromkeys(part for one in tasks for part in one))
        return Span(parts, np.array([[one.get(part, 0.0) for part in parts] for one in tasks]))

    @property
    def differing(self) -> tuple[Weight, ...]:
        """The weights that are not the same in all tasks."""
        ends = zip(self.parts, self.weights.min(axis=0), self.weights.max(axis=0), strict=True)
        return tuple(Weight(part, float(low), float(high)) for part, low, high in ends if high - low > SAME)

    def values(self, weights: Weights) -> list[float]:
        """The weights that differ within the family, of another task."""
        return [weights.get(one.part, 0.0) for one in self.differing]

    def outside(self, weights: Weights) -> str:
        """Why a task cannot be told in these weights, in words; empty if it is a combination of what the family's tasks
        pay for."""
        strange = [str(part) for part in weights if part not in self.parts]
        if strange:
            return f"pays {' and '.join(strange)}, which no task of the family does"
        told = {one.part for one in self.differing}
        for part, usual in zip(self.parts, self.weights[0].tolist(), strict=True):
            if part not in told and abs(weights.get(part, 0.0) - usual) > SAME:
                return f"pays {weights.get(part, 0.0):g} times {part}, and all tasks of the family {usual:g} times"
        return ""

    def mixes(self, weights: Weights) -> bool:
        """Whether a task lies between those of the family: their weights in shares that add up to 1."""
        from scipy.optimize import nnls  # which takes long to import

        wanted = np.array([*(weights.get(part, 0.0) for part in self.parts), 1.0])
        _, apart = nnls(np.concatenate([self.weights.T, np.ones((1, len(self.weights)))]), wanted)
        return bool(apart < 1e-6)


def task_weights(target: Domain) -> Weights | None:
    """The weights of a domain's task, as its id says them; None where it is no robot of the table."""
    robot = table_robot(plain(target))
    return None if robot is None else weights_of(robot.robot)


def paid_for(
    row: Robot, parts: Sequence[Part], obs: Array, action: Array, next_obs: Array, stored: Array
) -> np.ndarray:
    """What each part pays for steps of a row of the table, [n, parts]: `obs` and `next_obs` [n, obs] in the robot's own
    columns, `action` [n, nu] as executed, `stored` [n, ingredients] of a simulation of it."""
    names, own = list(ingredients(row)), {**row.terms, **row.more}
    s = Rows(obs=obs, action=action, next_obs=next_obs, **dict(zip(names, stored.T, strict=True)))
    paid = [getattr(s, part.name) if own.get(part.name) == part.term else part.term(s) for part in parts]
    return np.stack([np.asarray(x, float) for x in paid], axis=1)
