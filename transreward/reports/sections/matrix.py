"""Each method of a comparison against each other: is the row better than the column, and is that certain?"""

from __future__ import annotations

from typing import Any

from transreward.evaluation.statistics import probability_of_improvement
from transreward.evaluation.verdict import LEAST, certain, number, pairwise, percent
from transreward.reports.cells import Cell, chance
from transreward.reports.figures import csv_text, link
from transreward.reports.subject import Subject
from transreward.runs.record import Record

SIGNS = {1: ("more", "more"), -1: ("less", "less"), 0: ("not certain", "open")}  # of a difference: its word, its tone
COLUMNS = ("method", "over", "difference", "low", "high", "level", "probability")
HTML = """\
<h2>Better than</h2>
<p class="quiet">Is the row better than the column? The share of pairs of seeds that it wins; <em>more</em> or \
<em>less</em> where the interval of the difference of means (below it; seed by seed where both start from one source \
agent, else Welch's t) does not contain 0, <em>not certain</em> otherwise and below three seeds. \
{% if pairs > 1 %}Each is an interval of {{ level }}, so that with 95% confidence the {{ pairs }} pairs hold \
jointly.{% else %}It is an interval of {{ level }}.{% endif %}</p>
{{ cells("Better than: probability and certainty", "matrix", "row better than", names, rows) }}
<p class="said"><a class="csv" download="better-than.csv" href="{{ csv }}" \
aria-label="Better than: the numbers as CSV">CSV</a> of every pair: difference, interval, probability.</p>
"""


def content(subject: Subject) -> dict[str, Any] | None:
    """The intervals hold for all pairs together."""
    if not subject.comparison:
        return None
    known = [r for r in subject.records if len(r.outcome.per_seed)]
    count, level = pairwise([r.outcome for r in known])
    rows = [(a.name, [Cell("-") if a is b else _cell(a, b, level) for b in known]) for a in known]
    numbers = [_numbers(a, b, level) for a in known for b in known if a is not b]
    csv = link(csv_text(COLUMNS, numbers))
    return {"names": [r.name for r in known], "rows": rows, "csv": csv, "pairs": count, "level": percent(level)}


def _cell(a: Record, b: Record, level: float) -> Cell:
    """P, the difference of means, and whether its interval settles the sign."""
    d, (share, _) = a.outcome.over(b.outcome, level), chance(a.outcome, b.outcome)
    few = min(len(x.outcome.per_seed) for x in (a, b)) < LEAST
    word, tone = SIGNS[0 if few else certain(d)]
    ends = d["interval"]
    bounds = f", {number(ends[0], True)} to {number(ends[1], True)}" if ends else ""
    return Cell(f"{share} {word}", float(share), f"{number(d['mean'], True)}{bounds}", tone)


def _numbers(a: Record, b: Record, level: float) -> list[Any]:
    d = a.outcome.over(b.outcome, level)
    often = float(probability_of_improvement(a.outcome.per_seed, b.outcome.per_seed))
    return [a.name, b.name, d["mean"], *(d["interval"] or ("", "")), level, often]
