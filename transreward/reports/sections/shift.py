"""The difference between the domains as it was measured before the run, and what differs in their models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.domains.across import split as across
from transreward.domains.bridged import plain
from transreward.domains.changes import Change, changes
from transreward.domains.ids import domain
from transreward.domains.names import entry_names, numbered
from transreward.reports.figures import csv_text, link
from transreward.reports.subject import Subject
from transreward.types import DATA, BrokenRun, RequestError

COLUMNS = ["property", "element", "source", "target"]
HTML = """\
<h2>The shift</h2>
{% if why %}
<p>The shift was {{ why }}.</p>
{% else %}
<p class="quiet">Measured before the run: both domains were reset to the same states and given the same actions.</p>
{% call scroll("The shift, measured") %}
<table class="words"><tbody>{% for name, value in facts %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>\
{% endfor %}</tbody></table>
{% endcall %}
{% if changes %}
<h3>What changed in the model</h3>
{{ plain("What changed in the model", columns, changes, ["element"]) }}
<p class="said"><a class="csv" download="shift.csv" href="{{ csv }}" \
aria-label="What changed in the model, as CSV">CSV</a></p>
{% else %}
<p>{{ apart }}</p>
{% endif %}
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    config = subject.focus.config
    m, how = config.get("shift"), config["loop"].get("eval_target", "simulated")
    if how != "simulated":
        return {"why": f"not measured, since the target is not simulated (loop.eval_target={how})"}
    if m is None:
        return {"why": _unmeasured(config)}
    names, changed, apart = _parts(config)
    entries = ", ".join(f"{names[i]} ({size:.2g})" for i, size in m["entries"] if i < len(names)) or "none"
    facts = [
        ("states in which anything differs", f"{round(m['share'] * m['states']):,} of {m['states']:,}"),
        ("largest one-step difference of an observation", f"{m['obs']:.3g}"),
        ("the same, in spreads of that entry's own change", f"{m['relative']:.3g}"),
        ("entries that move most (in spreads)", entries),
        ("largest one-step difference of the reward", f"{m['reward']:.3g}"),
        ("target steps that the measure took, once for all seeds", f"{m['target_steps']:,} (simulated)"),
    ]
    csv = link(csv_text(COLUMNS, changed)) if changed else ""
    return {"facts": facts, "columns": COLUMNS, "changes": changed, "csv": csv, "apart": apart}


def _unmeasured(config: dict[str, Any]) -> str:
    """Why a run has no measure."""
    if across(config["source"]):
        return (
            "not measured: source and target are other bodies, which cannot be put into the same states. Which parts "
            "correspond is said under The bridge"
        )
    if config["source"].startswith(DATA):
        return "not measured, since the source is a log, which takes no step"
    return "not kept by the version that made this run"


def _parts(config: dict[str, Any]) -> tuple[Sequence[str], list[Change], str]:
    """Names of the observation's entries; what differs in the compiled models; and why that cannot be said."""
    try:
        source, target = domain(config["source"]), domain(config["target"])
        changed = changes(source, target)
    except (RequestError, BrokenRun) as error:
        names = [entry.name for entry in numbered("obs", config["spaces"]["obs"])]
        return names, [], f"Their models were not compared, since the pair cannot be made here: {error}"
    return entry_names(plain(source)), changed, "" if changed else "These domains have no compiled models to compare."
