"""Returns against target steps: raw in the target, raw in the source, and compensated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transreward.evaluation.verdict import ENOUGH, number
from transreward.reports.figures import STEPS, Chart, Figure, Line, csv_text, ends, figure, known, line
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import ZERO_SHOT

RETURNS = ("target_return", "source_return", "compensated_return")
HTML = """\
<h2>Learning curves</h2>
<p class="quiet">Against learning steps in the target, which the budget pays. Lines: means over seeds; \
{% if few %}points: single seeds, too few for a band{% else %}shaded: 95% t interval; thin: single seeds{% endif %}. \
A level line is a policy that was not trained on target steps{% if ceiling %}, or the oracle, which \
breaks the target budget{% endif %}. At 0 target steps: the source agent. {{ last }}{% if stays %} Where a line goes \
straight up or down, its policy learned from no target steps, but in the simulator.{% endif %}{% if not few %} An \
interval far wider than the returns is cut off.{% endif %}</p>
{% if start %}<p>{{ start }}</p>{% endif %}
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
    if not any(row.get("gap_mean") or row.get("gap_std") for r in subject.records for row in r.own):
        del titles["compensated_return"]  # it is the raw one
    curves = [_curve(subject, key, title) for key, title in titles.items()]
    ceiling = any(r.outcome.breaks_budget for r in subject.records)
    few = len(subject.focus.seeds) < ENOUGH
    stays = any(r.stays for r in subject.records)
    said = {"ceiling": ceiling, "few": few, "start": _start(subject), "last": _last(subject.focus), "stays": stays}
    return {"curves": [curve for curve in curves if curve], **said}


def _last(focus: Record) -> str:
    """Why the last point of a line may lie off the others."""
    final = ((focus.result or {}).get("target_return") or {}).get("episodes")
    if not final or focus.eval_target == "training":
        return ""
    way = focus.config["loop"].get("eval_episodes", final)
    return (
        f"The last point is the policy that was delivered, by {final} episodes a seed as in the tables"
        f"{'' if way == final else f'; those before it are of {way}'}."
    )


def _start(subject: Subject) -> str:
    """Why the method's curve begins elsewhere than the line of `zero_shot`; empty where it does not."""
    focus = subject.focus
    near = (r for r in subject.records if r.run == focus.run or r.agent == focus.agent)  # of no other source agent
    zero = next((r for r in near if r.config["method"] == ZERO_SHOT), None)
    x, y = focus.returns("target_return")
    if zero is None or not x or x[0] > 0 or np.isclose(y[0].mean(), zero.outcome.mean):
        return ""
    of = f"{focus.name} begins at {number(y[0].mean())} and {ZERO_SHOT} stands at {number(zero.outcome.mean)}"
    if (focus.result or {}).get("sources"):
        return f"{of}: {focus.name} goes on from the best of several source policies, {ZERO_SHOT} is that of the first."
    if focus.config.get("source_run"):
        return (
            f"{of}: {focus.name} starts from the agent of the source run, {ZERO_SHOT} from the one trained on from it."
        )
    taken = steps_of_agent(focus)
    if taken < zero.source_steps:
        return (
            f"{of}: {focus.name} starts from the source agent after {taken:,} source steps and takes the others "
            f"itself, while {ZERO_SHOT} is the source agent after all {zero.source_steps:,}."
        )
    return f"{of}: they are one policy, evaluated in other episodes."


def steps_of_agent(focus: Record) -> int:
    """The source steps of the agent that a run started from."""
    taken = max((row["source_steps"] for row in focus.rows if row.get("phase") == "source"), default=None)
    return round(focus.config["loop"].get("pretrain", 1.0) * focus.config["source_steps"]) if taken is None else taken


def _curve(subject: Subject, key: str, title: str) -> Figure | None:
    """None where nobody has this return."""
    lines, levels, own = [], [], key == "target_return"
    for r in subject.records:
        style = subject.styles[r.name]
        if r.level:
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
    """Every evaluation of every seed, as metrics.jsonl has it, and the final one, as result.json has it."""
    columns = ("method", "phase", "seed", "source_steps", "target_steps", "target_evaluation_steps", *RETURNS)
    rows = [
        [r.name if row in r.own else row["method"], *(known(row.get(c)) for c in columns[1:])]
        for r in records
        for row in (*r.rows, *_final(r))
    ]
    return csv_text(columns, rows)


def _final(r: Record) -> list[dict[str, Any]]:
    result = r.result or {}
    each = {key: found["per_seed"] for key in RETURNS if (found := result.get(key))}
    spent = {key: result.get(key) for key in ("source_steps", "target_steps", "target_evaluation_steps")}
    return [
        {"method": r.name, "phase": "final", "seed": seed, **spent, **{key: of[i] for key, of in each.items()}}
        for i, seed in enumerate(r.seeds)
        if each
    ]
