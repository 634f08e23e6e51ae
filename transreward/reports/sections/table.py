"""The methods of a comparison in a table that can be sorted: returns, chances over the controls, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.evaluation.statistics import robust_summary
from transreward.evaluation.verdict import number
from transreward.reports.cells import Cell, chance, counted, mean
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import CEILING, CONTROLS, ZERO_SHOT

SHARES = (0.5, 0.8, 0.95)  # of the oracle's return, to which target steps are counted
HTML = """\
<h2>The methods</h2>
<p class="quiet">Raw returns of the final policies in the target. Press a heading to sort. IQM: interquartile mean \
over seeds, with its bootstrap interval. P: share of all pairs of seeds in which the method returns more, ties one \
half, with a bootstrap interval from five seeds on. Below five a bootstrap is too narrow: go by the t intervals. \
{% if ceiling %}\
Steps to 50, 80 or 95% of the oracle's return: target steps at the first evaluation whose mean over seeds reached it.\
{% else %}Without an oracle there are no shares of it: add it to the methods.{% endif %} \
Time: of learning; that of the method which led the run includes the training of the source agent, but no other \
method's.</p>
{% call scroll("Methods, sortable") %}
<table class="sortable">
  <thead><tr>{% for c in columns %}<th scope="col" aria-sort="none"><button type="button">{{ c }}</button></th>\
{% endfor %}</tr></thead>
  <tbody>
  {% for row in rows %}
  <tr>{% for x in row %}<{{ "th scope=row" if loop.first else "td" }} data-value="{{ x.value }}">{{ x.text }}\
{% if x.note %}<small>{{ x.note }}</small>{% endif %}</{{ "th" if loop.first else "td" }}>{% endfor %}</tr>
  {% endfor %}
  </tbody>
</table>
{% endcall %}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    """A row for each method."""
    if not subject.comparison:
        return None
    records = subject.records
    oracle = next((r for r in records if r.config["method"] == CEILING and r.result), None)
    columns = ["method", "IQM", "mean ± 95%\N{NO-BREAK SPACE}t"]
    columns += [f"P over {r.name}" for r in _controls(records)]
    columns += [f"steps to {share:.0%}" for share in SHARES] if oracle else []
    columns += ["updates", "target steps, learning", "evaluation", "source steps", "time"]
    return {"columns": columns, "rows": [_row(r, records, oracle) for r in records], "ceiling": oracle}


def _controls(records: Sequence[Record]) -> list[Record]:
    """In the order in which they are always named."""
    return [r for name in CONTROLS for r in records if r.config["method"] == name]


def _row(r: Record, records: Sequence[Record], oracle: Record | None) -> list[Cell]:
    note = "a ceiling" if r.outcome.breaks_budget else "" if r.result else "cut short"
    chances = [_chance(r, control) for control in _controls(records)]
    steps = [_steps(r, oracle, share) for share in SHARES] if oracle else []
    return [Cell(r.name, r.name, note), *_returns(r), *chances, *steps, *_spent(r)]


def _returns(r: Record) -> list[Cell]:
    """IQM with its bootstrap interval, and mean with its t interval."""
    if not len(r.outcome.per_seed):
        return [Cell("-"), Cell("not evaluated")]
    s = robust_summary(r.outcome.per_seed[:, None])
    bounds = s["iqm_ci95"]
    width = f"{number(bounds[0])} to {number(bounds[1])}" if bounds else ""
    return [Cell(number(s["iqm"]), s["iqm"], width), Cell(mean(s["per_seed"]), s["mean"])]


def _chance(r: Record, control: Record) -> Cell:
    if control is r or not (len(control.outcome.per_seed) and len(r.outcome.per_seed)):
        return Cell("-")
    share, bounds = chance(r.outcome, control.outcome)
    return Cell(share, float(share), bounds.strip(" ()"))


def _steps(r: Record, oracle: Record, share: float) -> Cell:
    steps = None if r is oracle else steps_to(r, wanted(oracle, share))
    return Cell("-") if steps is None else Cell(f"{steps:,.0f}", steps)


def _spent(r: Record) -> list[Cell]:
    counts = (r.updates, r.outcome.target_steps, r.evaluation_steps, r.source_steps)
    seconds = (r.result or {}).get("wall_seconds")
    return [
        *(Cell(counted(n), "" if n is None else n) for n in counts),
        Cell("-") if seconds is None else Cell(f"{seconds:,.0f} s", seconds),
    ]


def wanted(oracle: Record, share: float) -> float:
    """The return that counts as a share of the oracle's, as `loop.aligned` counts it: also below zero."""
    top = oracle.outcome.mean
    return top - (1 - share) * abs(top)


def steps_to(record: Record, level: float) -> float | None:
    """Target steps after which the mean over seeds first reached a return; None where it never did."""
    if record.config["method"] == ZERO_SHOT:
        return 0.0 if record.outcome.mean >= level else None
    x, y = record.returns("target_return")
    return next((steps for steps, row in zip(x, y, strict=True) if row.mean() >= level), None)
