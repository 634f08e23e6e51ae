"""What was asked for, in a line of facts below the title."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transreward.reports.subject import Subject
from transreward.runs.account import estimate, of_log

HTML = """\
<dl class="facts">
{% for name, value in facts %}
  <div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>
{% endfor %}
</dl>
"""


def content(subject: Subject) -> dict[str, Any]:
    records, focus, c = subject.records, subject.focus, subject.focus.config
    seeds = sorted({seed for r in records for seed in r.seeds})
    who = ("methods", ", ".join(r.name for r in records)) if subject.comparison else ("method", focus.name)
    asked = [r.config for r in records] if subject.comparison else [c]  # several runs may be asked for differently
    facts = [
        who,
        ("learner", ", ".join(dict.fromkeys(_learner(one) for one in asked))),
        ("seeds", f"{len(seeds)} ({', '.join(map(str, seeds))})"),
        *((f"{side} budget", _steps(one[f"{side}_steps"] for one in asked)) for side in ("target", "source")),
        *([("source policy", f"{told['library']}, {told['file']}")] if (told := _adopted(focus.provenance)) else []),
        *((f"return of {r.name}", estimate(told)) for r in records if (told := (r.result or {}).get("estimated"))),
        *([("the log itself", of_log(told))] if (told := (focus.result or {}).get("recorded")) else []),
        *([("evaluated in", c["evaluate"])] if "evaluate" in c else []),
    ]
    return {"facts": facts}


def _learner(config: dict[str, Any]) -> str:
    return config.get("offline", config["learner"])["name"]


def _steps(budgets: Iterable[int]) -> str:
    """Of all runs, each number once."""
    return f"{' or '.join(f'{n:,}' for n in dict.fromkeys(budgets))} steps a seed"


def _adopted(provenance: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of which file the source agent was made, where another library trained it."""
    return (provenance or {}).get("source_policy")
