"""What the rounds up to each evaluation changed, and why the last one was the last."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.evaluation.verdict import number
from transreward.reports.subject import Subject
from transreward.runs.account import many
from transreward.runs.record import Record

SHOWN = ("round", "policy_change", "gap_mean", "gap_std", "gap_loss")
COLUMNS = [
    "round", "target steps", "raw target return", "gained", "policy change", "compensation a step", "its spread",
    "loss of the gap",
]  # fmt: skip
HTML = """\
<h2>Rounds</h2>
<p>{{ ended }}</p>
<p class="quiet">A round collects steps, refits the gap, and improves the policy on the compensated reward. \
What had changed by each evaluation, means over seeds; policy change: root mean square change of the actions since \
the evaluation before, in half widths of the action box, in the states that it visits now.</p>
{{ plain("What the rounds changed", columns, rows) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    focus = subject.focus
    if not focus.own or "round" not in focus.own[0]:
        return None
    rows, before = [], None

    def figure(row: dict[str, Any], key: str) -> float:
        return np.nan if row.get(key) is None else row[key]

    steps, returns = focus.curve(lambda row: figure(row, "target_return"))
    figures = [focus.curve(lambda row, key=key: figure(row, key))[1] for key in SHOWN]
    for i, taken in enumerate(steps):
        mean = float(returns[i].mean())
        gained = "-" if before is None or np.isnan(mean - before) else number(mean - before, signed=True)
        round_, *others = (float(f[i].mean()) for f in figures)
        shown = ("-" if np.isnan(x) else number(x) for x in (mean, *others))
        returned, *others = shown
        rows.append([f"{round_:,.0f}", f"{taken:,.0f}", returned, gained, *others])
        before = mean
    return {"columns": COLUMNS, "rows": rows, "ended": _ended(focus)}


def _ended(focus: Record) -> str:
    """Why the loop ended, after how many rounds, in words."""
    r, loop = focus.result, focus.config["loop"]
    if r is None:
        return "It was cut short."
    wanted, after = r.get("aligned_return"), f"It ended after {many(r.get('rounds', 0), 'round')}"
    if r["stopped"] == "aligned":
        reached = f", whose last episodes returned at least {number(wanted)}" if wanted is not None else ""
        return f"{after}: the target was aligned with the source{reached}."
    if r["stopped"] == "decided":
        after += ": what is delivered was tested on the target, and no other candidate could be clearly better."
    elif r["stopped"] == "converged":
        after += f": {loop.get('converged', 0)} more episodes of each seed brought no improvement."
    else:
        after += ": the budget was spent."
    if wanted is not None:
        return f"{after} It would have counted as aligned with the source at a raw target return of {number(wanted)}."
    return f"{after} Whether it was aligned with the source was not {_why_not_judged(focus)}."


def _why_not_judged(focus: Record) -> str:
    loop = focus.config["loop"]
    if not loop.get("aligned", 1):
        return "asked (loop.aligned=0)"
    if focus.config.get("evaluate"):
        return "judged: the target is a log, in which nobody acts"
    if focus.eval_target == "none":
        return "judged (loop.eval_target=none)"
    if focus.agent is None:
        return "judged: no source agent was trained before"
    if loop.get("target_returns"):
        return "judged: the target has no rewards"
    return "judged: the tasks differ and no loop.target_returns was given, or the target has no rewards"
