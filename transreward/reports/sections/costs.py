"""Final raw returns of each method, and what they cost."""

from __future__ import annotations

from typing import Any

from transreward.evaluation.verdict import number
from transreward.reports.cells import counted, mean
from transreward.reports.subject import Subject
from transreward.runs.account import account_of_all
from transreward.runs.record import Record
from transreward.types import ZERO_SHOT

COLUMNS = [
    "method", "target return, mean ± 95%\N{NO-BREAK SPACE}t", "each seed", "source return", "updates",
    "target steps, learning", "target steps, evaluation", "source steps", "stopped",
]  # fmt: skip
HTML = """\
<h3>Final returns and what they cost</h3>
{{ plain("Final returns and costs", columns, rows) }}
<p class="quiet">{% if eval_target == "training" %}Target returns are those of the last training episodes that ended, \
exploration included: no step was taken in the target to evaluate. {% elif eval_target == "none" %}\
Nothing was evaluated in the target, and no step taken there except to learn. {% else %}\
Raw returns of the final policies. {% endif %}±: half of Student's t interval over seeds. Steps are per seed. \
The budget pays the steps that a method learns from and stops by; those of its evaluations, with its source agent's, \
have an account of their own{% if eval_target == "simulated" %}, which a simulated target can afford{% endif %}.</p>
<p class="quiet">Target steps a seed: {% for name, account in accounts %}{{ name }} {{ account }}\
{{ "; " if not loop.last }}{% endfor %}. In all: {{ all }}.</p>
"""


def content(subject: Subject) -> dict[str, Any]:
    rows = [_row(r) for r in subject.records]
    spent = [(len(r.seeds), r.outcome.target_steps, r.evaluation_steps) for r in subject.records]
    how = subject.focus.eval_target
    accounts = [(r.name, r.account) for r in subject.records]
    return {
        "columns": COLUMNS, "rows": rows, "eval_target": how, "accounts": accounts, "all": account_of_all(spent, how),
    }  # fmt: skip


def _row(r: Record) -> list[str]:
    source = (r.result or {}).get("source_return")
    return [
        r.name, mean(r.outcome.per_seed), " ".join(number(x) for x in r.outcome.per_seed),
        mean(source["per_seed"]) if source else "-", counted(r.updates),
        f"{r.outcome.target_steps:,}", counted(r.evaluation_steps),
        f"{r.source_steps:,}", _stopped(r),
    ]  # fmt: skip


def _stopped(record: Record) -> str:
    if record.result is None:
        return "cut short"
    return "-" if record.config["method"] == ZERO_SHOT else record.result["stopped"]
