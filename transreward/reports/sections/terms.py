"""Each named term of the reward, in both domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.reports.cells import mean
from transreward.reports.figures import STEPS, Chart, Figure, csv_text, ends, figure, line
from transreward.reports.subject import Subject
from transreward.runs.record import Record

SIDES = ("target", "source")
HTML = """\
<h2>Reward terms</h2>
{% if figures %}
<p class="quiet">What the raw return is made of, per episode.</p>
{{ grid(figures) }}
{% endif %}
{% if columns|length > 1 %}
{{ plain("Reward terms at the last evaluation", columns, rows) }}
{% else %}
<p>Nothing was evaluated.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    evaluated = [r for r in subject.records if r.own]
    names = _names(evaluated)
    columns = ["last evaluation", *(f"{name}, {side}" for name in names for side in SIDES)]
    return {"figures": _figures(subject.focus), "columns": columns, "rows": [_row(r, names) for r in evaluated]}


def _figures(focus: Record) -> list[Figure]:
    """Over the run, a figure for each domain in which it was evaluated."""
    if not focus.own:
        return []
    rows = [
        [focus.name, side, row["seed"], row["target_steps"], term, value]
        for row in focus.own
        for side in ("source", "target")
        for term, value in row.get(f"{side}_terms", {}).items()
    ]
    csv = csv_text(("method", "domain", "seed", "target_steps", "term", "return"), rows)
    return [_figure(focus, side, csv) for side in SIDES if any(row.get(f"{side}_terms") for row in focus.own)]


def _figure(focus: Record, side: str, csv: str) -> Figure:
    lines = []
    for i, name in enumerate(_names([focus])):
        if not any(name in row.get(f"{side}_terms", {}) for row in focus.own):
            continue  # of the other domain alone: two tasks may share no term
        x, y = focus.curve(lambda row, name=name: row.get(f"{side}_terms", {}).get(name))
        lines.append(line(name, i, x, y))
    title = f"{focus.name}: reward terms in the {side}"
    chart = Chart(title, ends(lines), STEPS, "an episode", lines, zero=True, origin=True)
    return figure(chart, "reward-terms", csv, named=True)


def _row(r: Record, names: Sequence[str]) -> list[str]:
    """At the last evaluation, mean over seeds."""
    last = list({row["seed"]: row for row in r.own}.values())
    cells = [
        mean([row[f"{side}_terms"].get(n, 0.0) for row in last if row.get(f"{side}_terms")])
        for n in names
        for side in SIDES
    ]
    return [r.name, *cells]


def _names(records: Sequence[Record]) -> list[str]:
    """Of the target's reward, or of the source's where the target was not evaluated."""
    lasts = [r.own[-1] for r in records]
    return list(dict.fromkeys(name for row in lasts for name in row.get("target_terms") or row.get("source_terms", ())))
