"""Whether the task is done, by what the target's task says beside its return."""

from __future__ import annotations

from typing import Any

from transreward.reports.cells import mean
from transreward.reports.subject import Subject

HTML = """\
<h2>Is the task done?</h2>
<p class="quiet">What the task says beside its return, of the final policies in the target, mean over seeds with its \
95% interval. Without a unit it is a share of episodes.</p>
{{ plain("Whether the task is done", columns, rows) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    """A row for each method; None where the task says nothing."""
    found = {r.name: r.success for r in subject.records}
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    if not names:
        return None
    rows = [[method, *(mean(one[n]) if n in one else "-" for n in names)] for method, one in found.items()]
    return {"columns": ["method", *names], "rows": rows}
