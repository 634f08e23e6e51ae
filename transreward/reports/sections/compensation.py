"""What the compensation added to the raw reward, in units of reward; and the effective sample size of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.evaluation.diagnostics import SPREAD
from transreward.reports.figures import STEPS, Chart, Figure, Line, csv_text, ends, figure, known, line
from transreward.reports.subject import Subject
from transreward.runs.record import Record

KEYS = ("gap_mean", "gap_std", "gap_q05", "gap_q50", "gap_q95", "reward_std", "effective_sample_size")
QUANTILES = {"gap_q95": ("95%", 4), "gap_q50": ("median", 0), "gap_q05": ("5%", 5)}  # key -> label, style
HTML = """\
<h2>The compensation</h2>
{% if figures %}
<p class="quiet">What was added to the raw reward, in units of reward, after all wrappers; over the steps of the \
evaluation's episodes, on the side that the method changes. The effective sample size of the weights is a share of the \
steps; 1 = all weights are equal.</p>
{{ grid(figures) }}
{% else %}
<p>No method here changed a reward or a weight.{% if corrected %} {{ corrected|join(", ") }} corrected the simulator \
that the policy learns in, by what differs physically (below): what the target does otherwise is in the steps \
themselves.{% endif %}{% if informed %} {{ informed|join(", ") }} told its policy what differs physically \
(below).{% endif %}</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    records, styles = subject.records, subject.styles
    acting = [r for r in records if any(row.get("gap_std") or row.get("gap_mean") for row in r.own)]
    weighted = [r for r in records if any(row.get("effective_sample_size", 1) < 1 for row in r.own)]
    columns = ("method", "phase", "seed", "target_steps", *KEYS)
    csv = csv_text(
        columns, [[r.name, *(known(row.get(c)) for c in columns[1:])] for r in (acting or weighted) for row in r.own]
    )
    figures = []
    if acting:
        lines = [line(r.name, styles[r.name], *r.curve(lambda row: row.get("gap_mean"))) for r in acting]
        figures.append(_size("Compensation a step, mean", lines, "compensation", csv))
    figures += [_quantiles(r, csv) for r in acting]
    if weighted:
        lines = [line(r.name, styles[r.name], *r.curve(lambda row: row.get("effective_sample_size"))) for r in weighted]
        chart = Chart("Effective sample size", ends(lines), STEPS, "share of the steps", lines, origin=True)
        figures.append(figure(chart, "weights", csv, named=True))
    found = [(r, "told" in r.identification) for r in records if r.identification and not r.identification["discarded"]]
    corrected = [r.name for r, told in found if not told or r.config.get("feed")]
    return {"figures": figures, "corrected": corrected, "informed": [r.name for r, told in found if told]}


def _quantiles(r: Record, csv: str) -> Figure:
    lines = []
    for key, (label, style) in QUANTILES.items():
        x, y = r.curve(lambda row, key=key: _in_reward(row, key))
        lines.append(Line(label, style, x, y.mean(axis=1).tolist() if len(y) else []))
    return _size(f"{r.name}: quantiles over the steps of an episode", lines, "quantiles", csv)


def _in_reward(row: dict[str, Any], key: str) -> float | None:
    """A quantile of a row, which is in standard deviations of the reward, in units of reward."""
    return row[key] * max(row["reward_std"], SPREAD) if {key, "reward_std"} <= {*row} else None


def _size(title: str, lines: Sequence[Line], file: str, csv: str) -> Figure:
    chart = Chart(title, ends(lines), STEPS, "reward a step", lines, zero=True, origin=True)
    return figure(chart, file, csv, named=True)
