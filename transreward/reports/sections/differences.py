"""A run against each of its controls: by how much, how sure, how often."""

from __future__ import annotations

from typing import Any

from transreward.evaluation.verdict import ENOUGH, number, percent, verdict
from transreward.reports.cells import chance
from transreward.reports.subject import Subject

HTML = """\
<h3>Compared with the controls</h3>
{{ plain("Differences to the controls", columns, rows, ["of differences"]) }}
<p class="quiet">Intervals of differences are Student's t, seed by seed where both start from one source agent, else \
Welch's, at the level at which the verdict may claim them jointly (in brackets). P: share of all pairs of seeds\
{% if few %}; its bootstrap interval, far too narrow below five seeds, is left out{% endif %}.</p>
"""


def content(subject: Subject) -> dict[str, Any] | None:
    if subject.comparison:
        return None
    focus, controls, rows = subject.focus, subject.controls_of(subject.focus), []
    for name, d in verdict(focus.outcome, controls).differences.items():
        other = next(c for c in controls if c.name == name)
        share, bounds = chance(focus.outcome, other)
        ends, how = d["interval"], "seed by seed" if d["paired"] else "Welch"
        bound = (
            f"{number(ends[0], True)} to {number(ends[1], True)} ({percent(d['level'])})" if ends else "one seed: none"
        )
        rows.append([name, number(d["mean"], True), bound, how, share + bounds])
    few = len(focus.outcome.per_seed) < ENOUGH
    chances = f"P({focus.name} beats it)" + (", bootstrap" if not few else "")
    columns = ["control", f"{focus.name} returned more by", "interval", "of differences", chances]
    return {"columns": columns, "rows": rows, "few": few} if rows else None
