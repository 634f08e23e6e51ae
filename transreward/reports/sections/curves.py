"""Returns against target steps: raw in the target, raw in the source, and compensated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.reports.figures import STEPS, Chart, Figure, Line, csv_text, ends, figure, known, line
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import CEILING

RETURNS = ("target_return", "source_return", "compensated_return")
HTML = """\
<h2>Learning curves</h2>
<p class="quiet">Against learning steps in the target, which the budget pays. Shaded: 95% t interval over seeds; thin: \
single seeds. A level line is a policy that was not trained on target steps{% if ceiling %}, or the oracle, which \
breaks the target budget{% endif %}. At 0 target steps: the source agent. An interval far wider than the returns is \
cut off.</p>
{% if curves %}
{{ key(subject.legend()) }}
{{ grid(curves) }}
{% else %}
<p>Nothing was evaluated.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    training = any(r.eval_target == "training" for r in subject.records)
    titles = {
        "target_return": f"Raw return in the target{', training episodes' if training else ''}",
        "source_return": "Raw return in the source",
        "compensated_return": "Compensated return",
    }
    curves = [_curve(subject, key, title) for key, title in titles.items()]
    ceiling = any(r.outcome.breaks_budget for r in subject.records)
    return {"curves": [curve for curve in curves if curve], "ceiling": ceiling}


def _curve(subject: Subject, key: str, title: str) -> Figure | None:
    """None where nobody has this return."""
    lines, levels, own = [], [], key == "target_return"
    for r in subject.records:
        style = subject.styles[r.name]
        if r.config["method"] == CEILING or not r.own:  # a ceiling, or nothing was trained: a level
            levels += _level(r, style, key)
        else:
            lines.append(line(r.name, style, *r.returns(key), singles=own and not r.control))
    if not any(len(one.x) for one in lines) and not levels:
        return None
    chart = Chart(title, ends([*lines, *levels]), STEPS, "return an episode", lines, levels, origin=True)
    return figure(chart, key.replace("_", "-"), returns_csv(subject.records), wide=own)


def _level(r: Record, style: int, key: str) -> list[Line]:
    """The final return as a line of one y, which has no x."""
    if key == "compensated_return":
        return []
    if key == "target_return":
        level = r.outcome.mean if len(r.outcome.per_seed) else None
    else:
        level = ((r.result or {}).get(key) or {}).get("mean")
    return [] if level is None else [Line(r.name, style, (), (level,))]


def returns_csv(records: Sequence[Record]) -> str:
    """Every evaluation of every seed, as metrics.jsonl has it."""
    columns = ("method", "phase", "seed", "source_steps", "target_steps", "target_evaluation_steps", *RETURNS)
    rows = [
        [r.name if row in r.own else row["method"], *(known(row.get(c)) for c in columns[1:])]
        for r in records
        for row in r.rows
    ]
    return csv_text(columns, rows)
