"""Warnings about the gap of each method, a sentence each."""

from __future__ import annotations

from typing import Any

from transreward.evaluation import diagnostics
from transreward.reports.subject import Subject
from transreward.runs.record import Record

CUT_SHORT = "the run was cut short: returns are those of its latest evaluation, and there is no verdict"
HTML = """\
<h2>Diagnostics</h2>
{% if warnings %}
<ul>
{% for name, said in warnings %}{% for text in said %}<li><strong>{{ name }}:</strong> {{ text }}.</li>{% endfor %}\
{% endfor %}
</ul>
{% else %}
<p>No warnings: where a gap was learned, it was neither saturated nor memorised nor null, and the effective \
sample size was large enough.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    return {"warnings": warned(subject)}


def warned(subject: Subject) -> list[tuple[str, list[str]]]:
    """Of each method that has any, its warnings."""
    found = [(r.name, _warnings(r)) for r in subject.records]
    return [(name, said) for name, said in found if said]


def _warnings(r: Record) -> list[str]:
    """Of a run that was cut short, by its latest rows."""
    latest = {row["seed"]: row for row in r.own}.values()
    said = [*r.unlearned, *(text for row in latest for text in diagnostics.warnings(row))]
    said += [CUT_SHORT] if r.result is None else []
    return list(dict.fromkeys(said))
