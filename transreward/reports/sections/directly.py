"""How many target steps learning on from the source policy would take: returns in the identified simulator."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.evaluation.statistics import interval
from transreward.evaluation.verdict import number
from transreward.fallback import SOURCE, of_source
from transreward.reports.figures import Chart, Figure, Line, csv_text, ends, figure, line
from transreward.reports.sections.curves import steps_of_agent
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import FINE_TUNE

NEAR = 0.05  # of a return, within which it counts as reached but for noise
HTML = """\
<h2>How many target steps would it take?</h2>
<p>{{ said }}</p>
<p class="quiet">Returns in the identified simulator against the steps that the policy learned from there, as if they \
were target steps. It is an estimate, as good as that simulator.{{ begins }}{% if of %} Of {{ of }}.{% endif %}</p>
{{ grid([curve]) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    records = [subject.focus, *(r for r in subject.records if r is not subject.focus)]
    for one in records:
        x, y = _learned(one)
        if x:
            of = "" if one is subject.focus else one.name
            curve = _curve(one, x, y, subject.styles[one.name])
            return {"said": _said(one, x, y), "of": of, "begins": _begins(one, subject), "curve": curve}
    return None


def _begins(record: Record, subject: Subject) -> str:
    """Where the source policy of the curve is another one than that of `fine_tune`."""
    own = (r for r in subject.records if r.run == record.run)
    taken, other = steps_of_agent(record), next((r for r in own if r.name == FINE_TUNE), None)
    if other is None or record.config.get("source_run") or taken >= other.source_steps:
        return ""
    return (
        f" It begins at the source agent after {taken:,} source steps; {FINE_TUNE} goes on from the one after all "
        f"{other.source_steps:,}, and may begin higher."
    )


def _learned(record: Record) -> tuple[list[int], np.ndarray]:
    """Steps [n] in the identified simulator at which all seeds were evaluated there, and the returns [n, seeds]."""
    at: dict[int, dict[int, float]] = {}
    for row in record.own:
        if _there(row):
            at.setdefault(row["identified_steps"], {})[row["seed"]] = row["identified_return"]
    whole = {steps: row for steps, row in sorted(at.items()) if len(row) == len(record.seeds)}
    return [*whole], np.array([[row[seed] for seed in record.seeds] for row in whole.values()])


def _said(record: Record, x: list[int], y: np.ndarray) -> str:
    """After about how many steps the curve reaches what was delivered, in a sentence or two."""
    learning = "Learning directly in a robot like this one, from the source policy,"
    if len(np.unique(y, axis=0)) < 2:  # one policy, of which no steps can be told
        points = "one point" if len(x) == 1 else f"one point, {len(x)} times"
        more = 2 * max(record.config.get("loop", {}).get("evaluations", 0), len(x))
        return (
            f"This curve has {points}: {number(float(y[-1].mean()))} after {x[-1]:,} steps. It does not say how many "
            f"learning directly would take; loop.evaluations={more} gives it more points."
        )
    delivered = record.outcome.mean if len(record.outcome.per_seed) else None
    if delivered is None:
        return f"{learning} returned {number(float(y[-1].mean()))} after {x[-1]:,} steps."
    taken = f"{record.outcome.target_steps:,}"
    if _own(record):
        reached, level = max(x[i] for i in y.argmax(axis=0)), float(y.max(axis=0).mean())
        text = (
            f"{learning} would take about {reached:,} steps to become the policy that was delivered: it is the best of "
            f"this curve, seed by seed ({number(level)} there; {number(delivered)} in the target, after {taken} target "
            f"steps)."
        )
        close = _first(x, y, level - NEAR * abs(level))
        if close is None or close >= reached:
            return text
        return f"{text} Its mean is within {NEAR:.0%} of that after {close:,} steps."
    known = f"the return that was delivered ({number(delivered)}, after {taken} target steps)"
    reached = _first(x, y, delivered)
    if reached is None:
        apart = interval(y[-1] - record.outcome.per_seed)
        who = f"{y.shape[1]} seeds leave" if y.shape[1] > 1 else "one seed leaves"
        sure = "" if apart and apart[1] < 0 else f", a difference that {who} open"
        ended = f"it returned {number(float(y[-1].mean()))} in the end{sure}"
        return f"{learning} did not reach {known} within {x[-1]:,} steps: {ended}."
    within = "at most" if reached == x[0] else "about"
    return f"{learning} would take {within} {reached:,} steps to reach {known}."


def _first(x: list[int], y: np.ndarray, level: float) -> int | None:
    """The first steps after which the mean over seeds is as high; None where it never is."""
    return next((steps for steps, mean in zip(x, y.mean(axis=1), strict=True) if mean >= level), None)


def _own(record: Record) -> bool:
    """Whether what was delivered is of this curve: no seed keeps a source policy, and none learned on after it."""
    kept = any(map(of_source, (record.result or {}).get("delivered") or [SOURCE]))
    last = [max(row.get("updates", 0) for row in record.own if is_of(row)) for is_of in (_there, lambda row: True)]
    return not kept and last[0] == last[1]


def _there(row: dict[str, Any]) -> bool:
    return "identified_return" in row and "identified_steps" in row


def _curve(record: Record, x: list[int], y: np.ndarray, style: int) -> Figure:
    lines = [line(record.name, style, [float(steps) for steps in x], y, singles=True)]
    known = len(record.outcome.per_seed) > 0
    level = float(y.max(axis=0).mean()) if known and _own(record) else record.outcome.mean if known else None
    levels = [] if level is None else [Line("delivered", 7, (), (level,))]
    columns = ("identified_steps", "seed", "identified_return")
    csv = [[steps, seed, r] for steps, row in zip(x, y, strict=True) for seed, r in zip(record.seeds, row, strict=True)]
    title, text = "Return in the identified simulator", ends([*lines, *levels])
    chart = Chart(title, text, "steps there, a seed", "return an episode", lines, levels, origin=True)
    return figure(chart, "directly", csv_text(columns, csv), named=True)
