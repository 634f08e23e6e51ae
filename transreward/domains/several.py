"""`S1,S2,S3`: several sources, in one text between commas that belong to no id, and in one simulation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from transreward.domains.domain import (
    BrokenSimulation,
    Domain,
    control_rate,
    row_seeds,
    stored_terms,
    table_robot,
)
from transreward.domains.names import action_entries, entries
from transreward.domains.shifts import SHIFTS
from transreward.types import RequestError, Transition

BETWEEN = ","


def apart(text: str) -> list[str]:
    """The ids in a text, of which an id may have commas of its own: within brackets, and before a shift."""
    found: list[str] = []
    for part in re.split(r",(?![^()]*\))", text):
        head = re.match(r"\s*([\w./-]*)(\([^()]*\))?\s*(=?)", part)
        assert head is not None  # it matches any text
        if found and (head[3] or head[1] in SHIFTS or not head[1]):
            found[-1] += BETWEEN + part
        else:
            found.append(part.strip())
    return found


def joined(names: Iterable[str]) -> str:
    """The text of these ids, which `apart` takes apart again."""
    return BETWEEN.join(names)


def sources_in(config: Mapping[str, Any]) -> list[str]:
    """The ids of a run's sources, by its config.json: most have one."""
    return config.get("sources", [config["source"]])


class Several:
    """The robots of several domains side by side, all in the same columns: of each seed's rows the i-th is one of the
    domain i mod K. What only some of them can do, or store, it cannot."""

    def __init__(self, parts: Sequence[Domain]) -> None:
        self.parts, first = tuple(parts), parts[0]
        self.name = joined(one.name for one in parts)
        self.spaces, self.episode_steps, self.control_rate = first.spaces, first.episode_steps, control_rate(first)
        self.entries, self.action_entries = entries(first), action_entries(first)
        alike = len({one.reward_terms for one in parts}) == 1
        self.reward_terms = first.reward_terms if alike else ("reward",)
        self.stored_terms = stored_terms(first) if len({stored_terms(one) for one in parts}) == 1 else ()

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    @property
    def restorable(self) -> bool:
        """See `Restorable`."""
        return all(table_robot(one) is not None for one in self.parts)

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> SeveralSimulation:
        """n robots, freshly reset; see `Domain`. Raises RequestError for fewer robots a seed than there are domains."""
        return SeveralSimulation(self, n, seed, threads)


class SeveralSimulation:
    """n robots of `Several`, of which each domain simulates its own; see `Simulation`."""

    def __init__(self, domain: Several, n: int, seed: int | Sequence[int], threads: int) -> None:
        self.domain = domain
        self.terms: dict[str, np.ndarray] = {}
        number, k = np.array([i for _, i in row_seeds(n, seed)]), len(domain.parts)
        if number.max() + 1 < k:
            raise RequestError(
                f"{number.max() + 1} robots a seed cannot be of {k} sources: raise learner.robots to {k}"
            )
        self.rows = [np.flatnonzero(number % k == i) for i in range(k)]
        made = zip(domain.parts, self.rows, strict=True)
        self.parts: list[Any] = [one.simulate(len(rows), seed, threads) for one, rows in made]

    @property
    def obs(self) -> np.ndarray:
        """See `Simulation`."""
        return self._together([part.obs for part in self.parts])

    @property
    def storing(self) -> bool:
        """See `RepayableSimulation`."""
        return all(part.storing for part in self.parts)

    @storing.setter
    def storing(self, on: bool) -> None:
        for part in self.parts:
            part.storing = on

    @property
    def stored(self) -> np.ndarray:
        """See `RepayableSimulation`."""
        return self._together([part.stored for part in self.parts])

    @property
    def sparing(self) -> bool:
        """See `SparingSimulation`."""
        return all(part.sparing for part in self.parts)

    @sparing.setter
    def sparing(self, on: bool) -> None:
        for part in self.parts:
            part.sparing = on

    @property
    def diverged(self) -> dict[int, BrokenSimulation]:
        """See `SparingSimulation`."""
        pairs = zip(self.parts, self.rows, strict=True)
        return {int(rows[i]): why for part, rows in pairs for i, why in part.diverged.items()}

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        taken = []
        for part, rows in zip(self.parts, self.rows, strict=True):
            try:
                taken.append(part.step(np.asarray(action)[rows]))
            except BrokenSimulation as error:
                if isinstance(error.row, int):
                    error.row = int(rows[error.row])
                raise
        t = Transition(*map(self._together, zip(*taken, strict=True)))
        names = self.domain.reward_terms
        alike = all(part.terms.keys() == set(names) for part in self.parts)
        each = {name: self._together([part.terms[name] for part in self.parts]) for name in names if alike}
        self.terms = each if alike else {"reward": np.asarray(t.reward)}
        return t

    def get_state(self) -> dict[str, np.ndarray]:
        return {f"{i} {name}": x for i, part in enumerate(self.parts) for name, x in part.get_state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        for i, part in enumerate(self.parts):
            own = f"{i} "
            part.set_state({name.removeprefix(own): x for name, x in state.items() if name.startswith(own)})

    def _together(self, parts: Sequence[Any]) -> np.ndarray:
        """Rows of each domain, in the order of all."""
        first = np.asarray(parts[0])
        found = np.empty((sum(map(len, self.rows)), *first.shape[1:]), first.dtype)
        for rows, x in zip(self.rows, parts, strict=True):
            found[rows] = x
        return found
