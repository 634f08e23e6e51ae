"""Warnings about each method, a sentence each: that its fallback acted, and what is wrong with its gap."""

from __future__ import annotations

from typing import Any

from transreward.evaluation import diagnostics
from transreward.fallback import of_source
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
<p>No warnings{% if learned %}: what {{ learned|join(", ") }} learned of the difference between the robots passed \
its checks. It neither sees one everywhere nor nowhere, and holds for steps that it was not fitted to{% else %}. No \
method here learned a difference between the robots, so there was none to check{% endif %}.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    found = kept(subject)
    warnings = {r.name: [*(t for name, t in found if name == r.name), *_warnings(r)] for r in subject.records}
    learned = [r.name for r in subject.records if any("gap_loss" in row or "gap_trust" in row for row in r.own)]
    return {"warnings": [(name, said) for name, said in warnings.items() if said], "learned": learned}


def kept(subject: Subject) -> list[tuple[str, str]]:
    """Where the fallback acted: for how many seeds the source policy was delivered, and what may help."""
    found = []
    for r in subject.records:
        delivered = [seed["delivered"] for seed in (r.fallback or {}).get("seeds", ())]
        if of := sum(map(of_source, delivered)):
            why = "since nothing that was learned was surely better; more target steps may show more"
            found.append((r.name, f"the fallback acted: {of} of {len(delivered)} seeds keep {r.began_with}, {why}"))
    return found


def warned(subject: Subject) -> list[tuple[str, list[str]]]:
    """Of each method that has any, its warnings."""
    found = [(r.name, _warnings(r)) for r in subject.records]
    return [(name, said) for name, said in found if said]


def _warnings(r: Record) -> list[str]:
    """Of a run that was cut short, by its latest rows."""
    latest = {row["seed"]: row for row in r.own}.values()
    said = [*r.unlearned, *diagnostics.warnings_of(latest)]
    said += [CUT_SHORT] if r.result is None else []
    return list(dict.fromkeys(said))
