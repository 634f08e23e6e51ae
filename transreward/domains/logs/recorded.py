"""`data:FILE`, `minari:NAME`, `lerobot:FOLDER`: a robot of which there is a log and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.domain import BEYOND, Domain, control_rate
from transreward.domains.ids import domain
from transreward.domains.logs import Log, read, require_fit
from transreward.domains.logs.log import require_rate
from transreward.domains.logs.minari import is_minari
from transreward.domains.names import action_entries, entries, numbered
from transreward.domains.users import located
from transreward.types import DATA, Pair, RequestError, Spaces


class Recorded:
    """The robot that took the steps of a log. They can be read, and no further one can be taken.

    A log has no names of columns and no bounds of actions: it has those of `robot`, with which it is compared. With
    none its columns are numbered, and its actions lie in [-1, 1], or where those of `beside`, its own and others', do.
    Raises RequestError where the file cannot be read, and where it cannot be of that robot.
    """

    stream = "data"

    def __init__(self, id: str, robot: Domain | None, log: Log | None = None, beside: Sequence[Log] = ()):
        self.name, self.log = id, read(file_of(id) or "") if log is None else log
        own = None if robot is None else control_rate(robot)
        self.control_rate: float | None = own or self.log.rate
        if robot is None:
            self.spaces = _spaces(beside or [self.log])
            self.entries = numbered("obs", self.spaces.obs)
            self.action_entries = numbered("action", self.spaces.action)
        else:
            require_fit(self.log, robot)
            self.spaces, self.entries, self.action_entries = robot.spaces, entries(robot), action_entries(robot)
        self.reward_terms: tuple[str, ...] = ("reward",) if self.log.rewarded else ()
        self.episode_steps = int(np.bincount(self.log.episode).max())  # of its longest episode

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> Any:
        """Raises RequestError: there is no robot to take a step."""
        raise RequestError(f"'{self.name}' is a log of {len(self.log):,} steps, which takes no further one")


def recorded(domain: Domain) -> Recorded | None:
    """The domain if it is a log, else None."""
    return domain if isinstance(domain, Recorded) else None


def logged(pair: Pair[Domain]) -> Pair[bool]:
    """Which side of a pair is a log."""
    return pair.map(lambda one: recorded(one) is not None)


def file_of(target: Domain | str) -> str | None:
    """The file or folder of an id of a log; None for another target. Raises RequestError for an id that names none."""
    if not isinstance(target, str) or not target.startswith(DATA):
        return None
    scheme, _, path = target.partition(":")
    if not path:
        raise RequestError(f"malformed id '{target}': write the file behind the colon, such as data:monday.hdf5")
    if scheme != "minari":
        return path
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets").expanduser()
    if not (root / path / "data").is_dir():
        here = f", or name the one that lies here by data:{path}" if is_minari(located(path)) else ""
        raise RequestError(f"no data set {path} in {root}: minari download {path}, or set MINARI_DATASETS_PATH{here}")
    return str(root / path)


def pair(source: Domain | str, target: Domain | str, like: Domain | None = None) -> Pair[Domain]:
    """Source and target. A log is of a robot like the other, or, where both are logs, `like` that one; without it its
    columns have numbers for names. Raises RequestError as `domain` does."""
    asked = Pair(source, target)
    robots = asked.map(lambda one: None if file_of(one) is not None else domain(one))
    robot = next((robot for robot in (*robots, like) if robot is not None), None)
    if all(found is None for found in robots):
        logs = asked.map(lambda one: read(file_of(one) or ""))
        made: Pair[Domain] = Pair(*(Recorded(str(one), robot, log, logs) for one, log in zip(asked, logs, strict=True)))
        return made
    return Pair(*(Recorded(str(one), robot) if r is None else r for one, r in zip(asked, robots, strict=True)))


def _spaces(logs: Sequence[Log]) -> Spaces:
    """Of the robot whose logs they are. Raises RequestError where they differ in size or rate."""
    sizes = [(log.obs.shape[1], log.action.shape[1]) for log in logs]
    if len(set(sizes)) > 1:
        (a, b), (c, d) = sizes[:2]
        raise RequestError(
            f"log {logs[0].source} has {a} observations and {b} actions a step, and log {logs[1].source} has {c} and "
            f"{d}: bring one into the columns of the other"
        )
    for log in logs[1:]:
        require_rate(log, f"log {logs[0].source}", logs[0].rate)
    actions = np.concatenate([log.action for log in logs])
    low, high = actions.min(axis=0), actions.max(axis=0)
    usual, still = np.abs(actions).max(axis=0) <= 1 + BEYOND, low == high
    low, high = np.where(usual, -1.0, low - still), np.where(usual, 1.0, high + still)
    return Spaces(*sizes[0], low, high)
