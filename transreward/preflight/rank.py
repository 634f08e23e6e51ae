"""Which of several sources is nearest to a target, from a check of each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from transreward.bridges import is_view
from transreward.domains.domain import Domain
from transreward.domains.several import joined
from transreward.preflight.about import SCHEMA
from transreward.preflight.forecast import Forecast
from transreward.preflight.unlike import CROSS, UNCLEAR, UNTRIED, Unlike
from transreward.preflight.verdict import COMPENSATE, NO_HELP, SAME, SHAPE, TRANSFER, Figures, Verdict
from transreward.types import AUTO, Pair, RequestError

ORDER = (SAME, TRANSFER, COMPENSATE, CROSS, SHAPE, UNCLEAR, UNTRIED, NO_HELP)  # verdicts, from the most help to none


class Measured(Protocol):
    """A `Check`, as far as it is ranked."""

    @property
    def domains(self) -> Pair[Domain]: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def identification(self) -> Any: ...
    @property
    def forecast(self) -> Forecast | None: ...
    @property
    def seen(self) -> str | None: ...
    @property
    def target_steps(self) -> int: ...
    @property
    def command(self) -> str: ...
    def as_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Ranking:
    """Checks of several sources against one target, the best source first: by what its policy would return, of those
    with a forecast; of the others by verdict, then those of the target's own task, then by how far the next state
    differs after the same action, then by how the rewards differ."""

    checks: list[Measured | Unlike]
    command: str  # to run next

    @property
    def sources(self) -> list[str]:
        """Their ids."""
        return [one.domains.source.name for one in self.checks]

    @property
    def foreseen(self) -> bool:
        """Whether there is a forecast of any."""
        return any(not isinstance(one, Unlike) and one.forecast is not None for one in self.checks)

    @property
    def target_steps(self) -> int:
        """Taken, by all checks."""
        return sum(one.target_steps for one in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The object that `check --json` prints; docs/check.md says what each key is."""
        return {
            "schema": SCHEMA,
            "target": self.checks[0].domains.target.name,
            "sources": self.sources,
            "target_steps": self.target_steps,
            "command": self.command,
            "checks": [one.as_json() for one in self.checks],
        }


def run_of_each(sources: int, run: Any) -> list[Path | None]:
    """The earlier run of each source, named in their order, or none. Raises RequestError for more or fewer."""
    if run is None:
        return [None] * sources
    runs: list[Path | None] = [Path(run)] if isinstance(run, str | PathLike) else [Path(one) for one in run]
    if len(runs) != sources:
        raise RequestError(f"sources are {sources}, and `source_run` names {len(runs)}: name one of each, or none")
    return runs


def ranked(checks: Sequence[Measured | Unlike], imports: Sequence[str], simulated: bool, bridge: str = AUTO) -> Ranking:
    """Checks in their order, and a transfer from all that may help, across the `bridge` that was asked for. Where the
    target is not `simulated`, one alone may help, or runs were named, which a transfer takes up one of, it is the best
    one's own command."""
    found = sorted(checks, key=_place)
    helpful: dict[str, str] = {}  # by the id of the view in which a transfer sees it, in which two may be one
    for one in found:
        if one.verdict.verdict not in (SAME, NO_HELP):
            name = one.domains.source.name
            helpful.setdefault((None if isinstance(one, Unlike) else one.seen) or name, name)
    best = Ranking(found, found[0].command)
    if not simulated or found[0].verdict.verdict == SAME or len(helpful) < 2 or best.foreseen:
        return best
    words = [word for name in imports for word in ("--import", name)]
    words += [] if bridge == AUTO or is_view(bridge) else ["--bridge", bridge]  # a view stands in the ids
    names = joined(helpful.values())
    return Ranking(found, shlex.join(["transreward", "transfer", names, found[0].domains.target.name, *words]))


def _place(one: Measured | Unlike) -> tuple[float, ...]:
    at = ORDER.index(one.verdict.verdict)
    if isinstance(one, Unlike):
        return inf, at
    returns = inf if one.forecast is None else -one.forecast.target
    return returns, at, one.figures.tasks_differ, one.figures.gap, one.figures.reward_distance
