"""When in an episode and in which states the compensation acts, at the last evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.ids import domain
from transreward.domains.names import action_names, entry_names, numbered
from transreward.reports.figures import Chart, Figure, csv_text, ends, figure, line, link
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import RequestError

COLUMNS = ["entry", "of", "correlation", "lowest", "highest"]
MOST_ENTRIES = 10  # of states and actions that are shown; the CSV has all
HTML = """\
<h3>Where it acts</h3>
<p class="quiet">{{ subject.focus.name }} at its last evaluation. Correlation over the steps of an episode: above \
0, the compensation is higher where the entry is high; mean over seeds, and the lowest and highest seed. The \
{{ entries|length }} strongest of {{ all }} entries.</p>
<div class="beside">
{{ grid([when]) }}
<div>
{{ plain("Correlation of the compensation with states and actions", columns, entries, ["of"]) }}
<p class="said"><a class="csv" download="where.csv" href="{{ csv }}" \
aria-label="Correlation of the compensation with states and actions, as CSV">CSV</a> all entries, each seed.</p>
</div>
</div>
"""


def content(subject: Subject) -> dict[str, Any] | None:
    focus, acts = subject.focus, {"gap_by_time", "gap_by_obs", "gap_by_action"}
    last = [row for row in {row["seed"]: row for row in focus.own}.values() if acts <= {*row}]
    if not last or not any(row.get("gap_std") for row in last):
        return None
    entries = _entries(focus, last)
    columns = ("kind", "entry", *(f"seed {row['seed']}" for row in last))
    csv = csv_text(columns, [[kind, name, *values] for kind, name, values in entries])
    entries.sort(key=lambda entry: -abs(float(np.mean(entry[2]))))
    table = [[name, kind, *map(_correlation, (np.mean(v), min(v), max(v)))] for kind, name, v in entries[:MOST_ENTRIES]]
    when = _when(focus, last)
    return {"when": when, "columns": COLUMNS, "entries": table, "csv": link(csv), "all": len(entries)}


def _when(focus: Record, last: list[dict[str, Any]]) -> Figure:
    parts = [[row["gap_by_time"][i] for row in last] for i in range(len(last[0]["gap_by_time"]))]
    whole = [i for i, part in enumerate(parts) if None not in part]  # the tenths that every seed came to
    tenths = [100 * (i + 0.5) / len(parts) for i in whole]
    mean = line(focus.name, 0, tenths, np.array([parts[i] for i in whole]))
    title = f"{focus.name}: when in an episode it acts"
    chart = Chart(title, ends([mean]), "% of an episode's time limit", "reward a step", [mean], zero=True, origin=True)
    rows = [[row["seed"], i, x] for row in last for i, x in enumerate(row["gap_by_time"])]
    return figure(chart, "when", csv_text(("seed", "tenth", "gap_mean"), rows))


def _entries(focus: Record, last: list[dict[str, Any]]) -> list[tuple[str, str, list[float]]]:
    """(kind, name, correlation of each seed) of every entry of observation and action."""
    sizes = focus.config["spaces"]
    try:
        source = domain(focus.config["source"])
        names = {"state": entry_names(source), "action": action_names(source)}
    except RequestError:  # a user's own, that is not here
        names = {k: tuple(e.name for e in numbered(w, sizes[w])) for k, w in (("state", "obs"), ("action", "action"))}
    keys = {"state": "gap_by_obs", "action": "gap_by_action"}
    return [(k, name, [row[keys[k]][i] for row in last]) for k in keys for i, name in enumerate(names[k])]


def _correlation(x: Any) -> str:
    return f"{x:+.2f}".replace("-", "\N{MINUS SIGN}")
