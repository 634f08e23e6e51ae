"""How each run was made, and the command that makes it again."""

from __future__ import annotations

import json
from typing import Any

from transreward.reports.repeat import repeat, stepped_elsewhere
from transreward.reports.subject import Subject
from transreward.runs.record import Record

LEARNING = "of this method with its source agent; without controls, films and this page"
HTML = """\
<h2>Provenance</h2>
{% for run in runs %}
{% call scroll("Provenance") %}
<table class="words"><tbody>{% for name, value in run.facts %}<tr><th scope="row">{{ name }}</th>\
<td>{{ value }}</td></tr>{% endfor %}</tbody></table>
{% endcall %}
{% if run.repeat %}
<h3>To repeat it</h3>
<pre>{{ run.repeat }}</pre>
{% else %}
<p class="quiet">A program stepped the robot, so that no command repeats it; <code>transreward data</code> with \
this directory shows what was stepped.</p>
{% endif %}
<details><summary>config.json</summary><pre>{{ run.config }}</pre></details>
{% endfor %}
"""


def content(subject: Subject) -> dict[str, Any]:
    """Of each directory that a command made."""
    made = [r for r in subject.records if r.provenance is not None]
    return {"runs": [_run(r, [x for x in subject.records if x.run == r.run]) for r in made]}


def _run(r: Record, own: list[Record]) -> dict[str, Any]:
    origin = r.provenance or {}
    seconds = (r.result or {}).get("wall_seconds")
    machine = origin.get("machine", {})
    facts = [
        ("directory", r.place or "in memory"),
        ("command", origin.get("command", "not recorded")),
        ("started", origin.get("started", "not recorded")),
        ("learning time", "cut short" if seconds is None else f"{seconds:,.0f} s, {LEARNING}"),
        ("machine", ", ".join(f"{k} {v}" for k, v in machine.items()) or "not recorded"),
        ("seeds", ", ".join(map(str, r.seeds))),
        *([("source policy", _adopted(origin["source_policy"], r))] if "source_policy" in origin else []),
        ("versions", ", ".join(f"{k} {v}" for k, v in r.config["versions"].items())),
    ]
    return {
        "facts": facts,
        "repeat": "" if stepped_elsewhere(r) else repeat(r, own),
        "config": json.dumps(r.config, indent=2),
    }


def _adopted(origin: dict[str, Any], r: Record) -> str:
    """Of which file the source agent was made."""
    how = "exactly" if origin["exact"] else f"by regression, to {origin['apart']:.2g} of half the range"
    return (
        f"{origin['library']}, {origin['file']} (SHA-256 {origin['sha256'][:12]}…), taken over {how}; it returned "
        f"{origin['source_return']:,.1f} in {r.config['source']}; all seeds have it"
    )
