"""`data:FILE`, `minari:NAME`, `lerobot:FOLDER`: a target of which there is a log and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.domain import Domain, control_rate
from transreward.domains.ids import domain
from transreward.domains.logs import read, require_fit
from transreward.domains.names import action_entries, entries
from transreward.types import DATA, Pair, RequestError


class Recorded:
    """The robot that took the steps of a log. They can be read, and no further one can be taken.

    A log has no names of columns and no bounds of actions: it has those of `robot`, with which it is compared.
    Raises RequestError where the file cannot be read, and where it cannot be of that robot.
    """

    stream = "data"

    def __init__(self, id: str, robot: Domain):
        self.name, self.log = id, read(file_of(id) or "")
        require_fit(self.log, robot)
        self.spaces, self.entries, self.action_entries = robot.spaces, entries(robot), action_entries(robot)
        self.control_rate: float | None = control_rate(robot)
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
        raise RequestError(f"no data set {path} in {root}: minari download {path}, or set MINARI_DATASETS_PATH")
    return str(root / path)


def pair(source: Domain | str, target: Domain | str) -> Pair[Domain]:
    """Source and target, which may be a log of a robot like the source. Raises RequestError as `domain` does."""
    robot = domain(source)
    other: Domain = domain(target) if file_of(target) is None else Recorded(str(target), robot)
    return Pair(robot, other)
