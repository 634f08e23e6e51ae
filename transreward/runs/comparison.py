"""Several methods side by side: what comparison.json holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from transreward.evaluation.statistics import Improvement, RobustSummary, Summary, improvement, robust_summary
from transreward.runs import store
from transreward.runs.record import Record
from transreward.runs.result import Result
from transreward.runs.shown import Shown
from transreward.types import CONTROLS


class Row(TypedDict):
    """One method. Steps are per seed: those that it learned from, and those of its evaluations, in no budget."""

    target_return: RobustSummary | None  # None: not evaluated
    source_return: Summary | None  # None: a log
    improvement: dict[str, Improvement]  # over each control but itself, on the target's returns
    source_steps: int
    target_steps: int
    updates: int | None  # of the learner in the transfer
    target_evaluation_steps: int | None  # None: nobody counted
    stopped: str
    breaks_budget: bool
    wall_seconds: float
    directory: str  # its run directory, from that of the comparison


@dataclass(frozen=True)
class Comparison(Shown):
    """Methods on one pair: the same seeds, the same budgets, one source agent. Returns are raw."""

    results: dict[str, Result]  # in the table's order; every one of CONTROLS is among them
    compared = True

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Method -> its row, in the table's order."""
        return {name: self._row(name, one) for name, one in self.results.items()}

    def _row(self, name: str, one: Result) -> Row:
        whole, returns = one.as_json(), one.target_return
        others = {c: self.results[c].target_return for c in CONTROLS if c != name}
        return Row(
            target_return=robust_summary(returns) if returns.size else None,
            source_return=whole["source_return"],
            improvement={c: improvement(returns, r) for c, r in others.items() if returns.size and r.size},
            source_steps=whole["source_steps"],
            target_steps=whole["target_steps"],
            updates=whole["updates"],
            target_evaluation_steps=whole["target_evaluation_steps"],
            stopped=whole["stopped"],
            breaks_budget=whole["breaks_budget"],
            wall_seconds=whole["wall_seconds"],
            directory="." if one.controls else f"controls/{name}",
        )

    def records(self) -> list[Record]:
        """The methods, as a report reads them, in the table's order."""
        first = next(one for one in self.results.values() if one.controls)
        found = {record.name: record for record in first.records()}
        return [found[name] for name in self.results]

    def write(self, directory: Path) -> None:
        """Write comparison.json, beside the runs of its methods."""
        store.write_json(directory / "comparison.json", self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Contents of comparison.json."""
        one = next(iter(self.results.values()))
        whole, config = one.as_json(), one.config
        return {
            "schema": store.SCHEMA,
            **{key: whole[key] for key in ("versions", "source", "target", "learner", "seeds")},
            "budget": {key: config[key] for key in ("source_steps", "target_steps")},
            "methods": self.rows,
        }
