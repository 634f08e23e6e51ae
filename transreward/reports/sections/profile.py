"""Performance profile of a comparison: the share of seeds that return more than each level (Agarwal et al. 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.evaluation.verdict import number
from transreward.reports.figures import Chart, Line, csv_text, figure
from transreward.reports.subject import Subject

HTML = """\
<h2>Performance profile</h2>
{{ key(subject.legend()) }}
{{ grid([profile]) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    known = [r for r in subject.records if len(r.outcome.per_seed)]
    if not subject.comparison or not known:
        return None
    every = np.concatenate([r.outcome.per_seed for r in known])
    room = 0.05 * (every.max() - every.min()) or 1.0
    ends, lines = (float(every.min() - room), float(every.max() + room)), []
    for r in known:
        x, n = np.sort(r.outcome.per_seed), len(r.outcome.per_seed)
        share = [1.0, *(1 - (np.arange(n) + 1) / n), 0.0]
        lines.append(Line(r.name, subject.styles[r.name], [ends[0], *x.tolist(), ends[1]], share, steps=True))
    words = (
        f"{len(known)} staircases that fall from 1 to 0; the further to the right, the better. Medians: "
        + ", ".join(f"{r.name} {number(float(np.median(r.outcome.per_seed)))}" for r in known)
    )
    chart = Chart("Performance profile", words, "return in the target, τ", "share of seeds above τ", lines)
    rows = [[line.label, x, y] for line in lines for x, y in zip(line.x, line.y, strict=True)]
    csv = csv_text(("method", "return", "share of seeds above"), rows)
    return {"profile": figure(chart, "profile", csv, wide=True)}
