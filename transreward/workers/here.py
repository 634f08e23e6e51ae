"""Tasks as processes of this machine, each with its share of the cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from transreward.claims import Claims
from transreward.workers.attempt import Attempt, begin, environment, threads
from transreward.workers.contract import Asked, Going, Task


class Here:
    """`contract.Worker`."""

    def __init__(self, at_once: int) -> None:
        self.at_once, self.slots = at_once, shares(at_once)
        self.going: list[Attempt] = []
        self.claims: dict[Path, Claims] = {}

    def room(self) -> int:
        return self.at_once

    def start(self, task: Task) -> Going:
        for one in [one for one in self.going if one.over() is not None]:
            self.going.remove(one)
            self.slots.append(one.cores)
        claims = self.claims.setdefault(task.claims, Claims(task.claims))
        cores = self.slots[-1]
        own = dict(os.environ) if self.at_once == 1 else environment(len(cores), threads(), os.environ)
        self.going.append(begin(task, claims, own, cores))
        self.slots.pop()
        return self.going[-1]

    def close(self) -> None:
        pass


def opened(asked: Asked) -> Here:
    """One task at a time, unless more are asked for."""
    return Here(asked.at_once or 1)


def shares(at_once: int) -> list[Sequence[int]]:
    """The cores of each of the parallel tasks, shared if there are too few. Empty = not restricted: a single task, or a
    system that does not tell."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if at_once == 1 or not cores:
        return [()] * at_once
    return [cores[i % len(cores) :: at_once][: max(len(cores) // at_once, 1)] for i in range(at_once)]
