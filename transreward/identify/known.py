"""What runs to other targets have found, from where a fit to another target's steps may start.

Robots of one make lack the same in their simulator, and differ from each other in little. What the steps of one have
told of it, those of another need not tell again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.shifts import SHIFTS
from transreward.domains.shifts.rules import Rule
from transreward.domains.users import located
from transreward.identify.fit import Start
from transreward.identify.problem import Problem
from transreward.runs import store
from transreward.types import RequestError


class Known(NamedTuple):
    """What one run found, in the seed for which it explains most."""

    parameters: dict[tuple[str, str | None], float]  # name and pattern -> value; delays in all, noise left out
    motors: Rule | None

    def start(self, problem: Problem) -> Start | None:
        """Values and what is chosen, for a fit; None where the fit has none of these parameters."""
        values, chosen = problem.family.neutral.copy(), []
        for i, parameter in enumerate(problem.parameters):
            if (value := self.parameters.get((parameter.kind.name, parameter.pattern))) is not None:
                values[i] = np.clip(value, parameter.search.low, parameter.search.high)
                chosen.append(i)
        return (values, chosen) if chosen else None


def known_in(directories: Sequence[str], source: str) -> list[Known]:
    """What the runs in these directories identified, those left out that found nothing.

    Raises:
        RequestError: a directory holds no run, or one from another source than `source`, whose values are relative to
            another simulator.
    """
    found = [_known(located(one), source) for one in directories]
    return [one for one in found if one is not None]


def _known(place: Path, source: str) -> Known | None:
    if not (place / "config.json").exists():
        raise RequestError(f"ground.known: there is no run in {place}")
    if not (place / store.IDENTIFICATION).exists():
        return None
    told = store.read_json(place / store.IDENTIFICATION)
    if told.get("source") != source:
        raise RequestError(
            f"ground.known: what {place} found is relative to {told.get('source')}, and the source here is {source}: "
            f"name runs from the same source"
        )
    best = max(told.get("seeds", ()), key=lambda seed: seed["explained"], default=None)
    if best is None:
        return None
    rule = None if best["motors"] is None else Rule.read(str(place / Path(best["motors"]).name))
    return known(best["parameters"], rule)


def known(parameters: Sequence[dict[str, Any]], motors: Rule | None) -> Known | None:
    """Of `parameters` as `Identification.as_json` has them; None where nothing was found."""
    found: dict[tuple[str, str | None], float] = {}
    for one in parameters:
        kind = SHIFTS[one["name"]]
        if not kind.random:
            key = ("delay" if kind.late else kind.name, one["pattern"])
            found[key] = found.get(key, 0.0) + float(one["value"])
    return Known(found, motors) if found or motors is not None else None
