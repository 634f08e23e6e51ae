"""What the run of one method left, as a report reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transreward.evaluation.verdict import Outcome
from transreward.methods import method
from transreward.types import CONTROLS, RequestError


def account(learning: int, evaluation: int | None, how: str) -> str:
    """Target steps per seed, account by account; `how` is `Loop.eval_target`."""
    said = "evaluation not counted" if evaluation is None else f"{evaluation:,} evaluation"
    kind = {"simulated": "simulated", "training": "returns are those of training episodes", "none": "no returns"}[how]
    return f"{learning:,} learning, {said} ({kind})"


def account_of_all(spent: Sequence[tuple[int, int, int | None]], how: str) -> str:
    """The `account` of several methods over all their seeds: of each its seeds, and learning and evaluation steps per
    seed."""
    groups = Counter((seeds, learning) for seeds, learning, _ in spent if learning)
    terms = [f"{_many(n, 'method')} x {_many(seeds, 'seed')} x {steps:,}" for (seeds, steps), n in groups.items()]
    learning, evaluation = sum(seeds * steps for seeds, steps, _ in spent), None
    if None not in (counted := [one[2] for one in spent]):
        evaluation = sum(one[0] * steps for one, steps in zip(spent, counted, strict=True) if steps)
    # the methods share a source agent, whose evaluations stand in the account of each
    shared = "; the source agent's evaluations are counted for each method" if evaluation and len(spent) > 1 else ""
    return f"{' + '.join(terms)}{' = ' if terms else ''}{account(learning, evaluation, how)}{shared}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


@dataclass(frozen=True)
class Record:
    """What one method's run left: the contents of its directory."""

    config: dict[str, Any]  # config.json
    rows: list[dict[str, Any]]  # metrics.jsonl
    result: dict[str, Any] | None  # result.json; None = the run was cut short
    place: str = ""  # its directory
    run: str = ""  # the directory of the run that it belongs to
    agent: str | None = None  # which source agent it shares with others; None = it starts from nothing
    provenance: dict[str, Any] | None = None  # provenance.json
    videos: tuple[Path, ...] = ()
    label: str = ""

    @property
    def name(self) -> str:
        """How it is called on the page."""
        return self.label or self.config["method"]

    @property
    def control(self) -> bool:
        """Whether it is there for others to be compared with."""
        return self.config["method"] in (*CONTROLS, "oracle")

    @cached_property
    def own(self) -> list[dict[str, Any]]:
        """The rows after the source agent."""
        return [row for row in self.rows if row["method"] == self.config["method"]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Which."""
        return tuple(self.config["seed"] + i for i in range(self.config["seeds"]))

    @property
    def eval_target(self) -> str:
        """`Loop.eval_target`; runs of before there was one simulated their targets."""
        return self.config["loop"].get("eval_target", "simulated")

    @property
    def evaluation_steps(self) -> int | None:
        """Steps per seed that evaluations took in the target; None where nobody counted."""
        if self.result is not None:
            return self.result.get("target_evaluation_steps")
        return self.rows[-1].get("target_evaluation_steps") if self.rows else 0

    @cached_property
    def outcome(self) -> Outcome:
        """Its returns and what they cost; of a run that was cut short those of the latest evaluation."""
        config, oracle = self.config, self.config["method"] == "oracle"
        common: dict[str, Any] = {"agent": self.agent, "breaks_budget": oracle}
        common |= {"name": self.name, "seeds": self.seeds, "budget": config["target_steps"]}
        common |= {"evaluation_steps": self.evaluation_steps, "eval_target": self.eval_target}
        if self.result is not None:
            r = self.result
            returns = np.array(r["target_return"]["per_seed"] if r["target_return"] else [])
            return Outcome(per_seed=returns, target_steps=r["target_steps"], stopped=r["stopped"], **common)
        latest = {row["seed"]: row for row in self.own}
        found = [latest[s]["target_return"] for s in self.seeds if s in latest]
        returns = np.array([r for r in found if r is not None])
        steps = max((row["target_steps"] for row in latest.values()), default=0)
        return Outcome(per_seed=returns, target_steps=steps, finished=False, **common)

    def curve(self, key: Callable[[dict[str, Any]], float | None]) -> tuple[list[float], np.ndarray]:
        """Target steps [n] at which a figure of all seeds was known, and that of each, [n, seeds]."""
        at: dict[int, dict[int, float]] = {}
        for row in self.own:
            if (value := key(row)) is not None:
                at.setdefault(row["target_steps"], {})[row["seed"]] = value
        whole = {steps: row for steps, row in sorted(at.items()) if len(row) == len(self.seeds)}
        return [float(s) for s in whole], np.array([list(row.values()) for row in whole.values()])

    @property
    def _trained_on(self) -> bool:
        """Whether it began as the source agent; a method of the user's may be in no table by now, and then it is so."""
        try:
            return method(self.config["method"]).start == "source"
        except RequestError:
            return True

    def returns(self, key: str) -> tuple[list[float], np.ndarray]:
        """The curve of a return; that in the target begins with the source agent's, where it starts from one."""
        x, y = self.curve(lambda row: row.get(key))
        start = (self.result or {}).get("zero_shot_target_return") if self._trained_on else None
        if key == "target_return" and start and x and x[0] > 0:
            return [0.0, *x], np.vstack([start["per_seed"], y])
        return x, y
