"""What a page is about, as each of its sections reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np

from transreward.domains.asked import readable
from transreward.domains.several import sources_in
from transreward.evaluation.verdict import Outcome, Verdict, verdict
from transreward.methods import method
from transreward.reports.figures import swatch
from transreward.runs.record import Record
from transreward.types import CEILING, CONTROLS, FINE_TUNE, TARGET_ONLY, ZERO_SHOT, RequestError

STYLES = {FINE_TUNE: 1, TARGET_ONLY: 2, ZERO_SHOT: 3, CEILING: 7}  # the others take what is left
FREE = (0, 4, 5, 6)


@dataclass(frozen=True)
class Subject:
    """One run with its controls, or several methods side by side."""

    records: Sequence[Record]  # in the order of the page
    focus: Record  # the run; of a comparison its first method that is no control and was evaluated
    comparison: bool

    @staticmethod
    def of(records: Sequence[Record], comparison: bool) -> Subject:
        """The first of `records` is the run that the page is about; a comparison is about all of them alike."""
        if comparison:
            focus = next((r for r in records if not r.control and r.own), records[0])
            return Subject(records, focus, True)
        records = sorted(records, key=_rank)
        return Subject(records, records[0], False)

    @property
    def title(self) -> str:
        """The pair."""
        config = self.focus.config
        return f"{', '.join(map(readable, sources_in(config)))} → {readable(config['target'])}"

    @cached_property
    def styles(self) -> dict[str, int]:
        """Method -> style of its lines: a control's own where it is free, else the next."""
        return styles_of({r.name: r.config["method"] for r in self.records})

    def legend(self) -> list[tuple[str, str, str]]:
        """(sample of the line as SVG, method, its summary) of each; drawn anew each time, since ids are unique."""
        return [(swatch(self.styles[r.name], r.name), r.name, _about(r)) for r in self.records]

    def verdicts(self) -> list[Verdict]:
        """Of the run; of a comparison of all methods that are no controls, which are judged together."""
        judged = [r for r in self.records if not r.control] if self.comparison else [self.focus]
        return [verdict(r.outcome, self.controls_of(r), len(judged)) for r in judged]

    def controls_of(self, one: Record) -> list[Outcome]:
        """What a run is compared with, `CONTROLS` and what else it was run beside: of each that of its own run, if
        there are several; where zero_shot was run of no source agent that it shares, its own source agent's return."""
        found, start = [], (one.result or {}).get("zero_shot_target_return")
        named = () if self.comparison else one.config.get("controls", ())
        for name in dict.fromkeys((*CONTROLS, *(name for name in named if name != CEILING))):
            of_all = [r for r in self.records if r.config["method"] == name and r is not one]
            began = start if name == ZERO_SHOT and one.config["method"] not in CONTROLS else None
            near = [r for r in of_all if r.agent == one.agent] if began else of_all
            own = [r for r in of_all if r.run == one.run] or near
            if own and one.config["method"] != name:
                found.append(replace(own[0].outcome, name=name))
            elif began:
                found.append(Outcome(name, np.array(began["per_seed"]), one.seeds, 0, 0, agent=one.agent))
        return found


def styles_of(methods: Mapping[str, str]) -> dict[str, int]:
    """Name -> style of its lines, by the method of each: a control's own where it is free, else the next."""
    found: dict[str, int] = {}
    others = (8 * turn + style for turn in count() for style in FREE)
    for name, row in methods.items():
        own = STYLES.get(row)
        found[name] = next(others) if own is None or own in found.values() else own
    return found


def _rank(record: Record) -> int:
    """The method first, then the controls as they are always named, then the others."""
    return -1 if record.provenance is not None else among_controls(record.config["method"])


def among_controls(name: str) -> int:
    """The place of a method that stands behind the one that a run is of, by which they are sorted."""
    return CONTROLS.index(name) if name in CONTROLS else len(CONTROLS)


def _about(record: Record) -> str:
    try:
        return method(record.config["method"]).summary
    except RequestError:
        return ""
