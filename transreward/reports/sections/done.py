"""Whether the task is done, by what the target's task says beside its return."""

from __future__ import annotations

from typing import Any

from transreward.domains.robot import FALLEN, MOVED, PACE, PUSHED, STOOD, UPRIGHT
from transreward.domains.robots.humanoid_standup import HIGH
from transreward.domains.robots.pusher import NEAR
from transreward.domains.robots.swimmer import SLOW
from transreward.reports.cells import mean
from transreward.reports.subject import Subject

HTML = """\
<h2>Is the task done?</h2>
<p class="quiet">What the task says beside its return, of the final policies in the target, mean over seeds with its \
95% interval. Without a unit it is a share of episodes.{% if meanings %} {{ meanings }}.{% endif %}</p>
{{ plain("Whether the task is done", columns, rows) }}
"""
MEANINGS = {
    FALLEN.label: "which ended before their time",
    MOVED: f"in which it went the way that is paid for, at {PACE:g} m/s (a swimmer: {SLOW:g} m/s) or more on average",
    UPRIGHT.label: "at whose end its trunk is turned by less than a quarter, so that it is not on its back",
    PUSHED: f"at whose end the object's middle is within {NEAR:g} m of the goal's, along the table",
    STOOD: f"at whose end its trunk is {HIGH:g} m high or higher",
}


def content(subject: Subject) -> dict[str, Any] | None:
    """A row for each method; None where the task says nothing."""
    found = {r.name: r.success for r in subject.records}
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    if not names:
        return None
    rows = [[method, *(mean(one[n]) if n in one else "-" for n in names)] for method, one in found.items()]
    meanings = "; ".join(f"{name}: {MEANINGS[name]}" for name in names if name in MEANINGS)
    return {"columns": ["method", *names], "rows": rows, "meanings": meanings[:1].upper() + meanings[1:]}
