"""What differs physically, as `identification.json` has it: values against the source's, errors before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from transreward.domains.bridged import plain
from transreward.domains.domain import table_robot
from transreward.domains.ids import domain
from transreward.reports.anatomy import outline
from transreward.reports.anatomy.poses import Pose, poses
from transreward.reports.figures import Figure, csv_text, known, link
from transreward.reports.rows import Mark, Row, legend, rows_figure
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import BrokenRun, RequestError

FOUND, SOURCE = 0, 7  # styles: a filled circle, a ring
MOST = 12  # entries of the state that are drawn; the CSV has all
LEGEND = ((FOUND, "found", "with its 95% interval"), (SOURCE, "source", "before anything was identified"))
HTML = """\
<h2>What differs physically</h2>
<p class="quiet">Read off {{ steps }} target steps: the parameters with which the source's simulator does what the \
target did. Errors are of steps that were held out.{% if of %} Of {{ of }}.{% endif %}</p>
{% for line in words %}<p>{{ line }}</p>
{% endfor %}
{% if body %}{{ grid([body]) }}{% endif %}
{{ key(legend) }}
{{ grid(figures) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    one = record_of(subject)
    if one is None or one.identification is None:
        return None
    found = one.identification
    return {
        "steps": f"{found['target_steps']:,}",
        "words": [*found["words"], *_told(found.get("told", []))],
        "of": "" if one is subject.focus else one.name,
        "legend": legend(LEGEND),
        "body": _body(one.config["source"], found["parameters"]),
        "figures": [*_parameters(found["parameters"]), *_errors(found)],
    }


def _told(seeds: Sequence[Mapping[str, float] | None]) -> list[str]:
    """What the policies of a family were told, where a method tells them."""
    texts = [", ".join(f"{name} {x:.3g}" for name, x in (one or {}).items()) or "nothing" for one in seeds]
    many = Counter(texts).items()
    shown = "; ".join(text if len(many) == 1 else f"{text} ({n} of {len(texts)} seeds)" for text, n in many)
    return [f"Its policy, which is told what robot it is in, was told {shown}."] if texts else []


def record_of(subject: Subject) -> Record | None:
    """The run whose identification is shown: the page's own, or the first that has one."""
    records = [subject.focus, *(r for r in subject.records if r is not subject.focus)]
    return next((r for r in records if r.identification), None)


def named(name: str, pattern: str | None) -> str:
    """A parameter by its name, and the elements that it is of."""
    return name if pattern is None else f"{name}({pattern})"


def value_of(p: Mapping[str, Any] | None) -> str:
    """A parameter as one seed found it; `-` where it found no difference, and without its interval
    where that is one value."""
    if p is None:
        return "-"
    # a dead motor is 0, and not 1e-7; a friction in N m may well be
    digits = 4 if p["unit"] == "factor" else 12
    value, low, high = (x if x is None else round(x, digits) + 0.0 for x in (p["value"], p["low"], p["high"]))
    text = f"{value:.3g}" + ("" if p["unit"] == "factor" else f" {p['unit']}")
    ends = [f"{x:.3g}" for x in (low, high) if x is not None]
    return text if len(set(ends)) < 2 else f"{text} ({' to '.join(ends)})"


def _body(source: str, parameters: list[dict[str, Any]]) -> Figure | None:
    """The robot as it begins, with what differs in colour; None where nothing that differs is a part of it, and where
    it cannot be drawn here."""
    patterns: dict[str, list[str]] = {}
    for p in parameters:
        if p["pattern"] is not None:
            patterns.setdefault(p["pattern"], []).append(p["name"])
    try:
        robot = table_robot(plain(domain(source))) if patterns else None
    except (RequestError, BrokenRun):
        return None
    if robot is None:
        return None
    names = outline.elements(robot)
    hit = [{p for p in patterns if any(fnmatchcase(name, p) for name in own)} for own in names]
    if not any(hit):
        return None
    drawn = outline.drawn(robot, robot.robot.posed(robot.model))
    pose = Pose(robot.name, drawn["bones"], {}, {i: 1 for i, found in enumerate(hit) if found})
    said = [f"{', '.join(of)} of {pattern}" for pattern, of in patterns.items() if any(pattern in one for one in hit)]
    title, text = "Where it differs", f"In colour: {', '.join(said)}."
    csv = csv_text(("bone", "differs in"), [(i, " ".join(sorted(found))) for i, found in enumerate(hit)])
    return Figure(title, text, poses([pose], title, text, 1, 420), "", link(csv), "body.csv")


def _parameters(parameters: list[dict[str, Any]]) -> list[Figure]:
    """A chart for each unit."""
    columns = ("name", "pattern", "unit", "source", "value", "low", "high")
    csv = csv_text(columns, [[known(p[c]) for c in columns] for p in parameters])
    figures = []
    for unit in dict.fromkeys(p["unit"] for p in parameters):
        rows, said = [], []
        for p in (p for p in parameters if p["unit"] == unit):
            name = named(p["name"], p["pattern"])
            rows.append(Row(name, (Mark(SOURCE, p["source"]), Mark(FOUND, p["value"], p["low"], p["high"]))))
            said.append(f"{name} {value_of(p)}")
        what = "times the source's" if unit == "factor" else unit
        text = f"{'; '.join(said)}, with 95% intervals. Rings show the source."
        figures.append(rows_figure(f"Values, {what}", text, what, rows, "parameters", csv))
    return figures


def _errors(found: dict[str, Any]) -> list[Figure]:
    """The errors of the simulator before and after, ahead and by entry."""
    ahead = [("one step ahead", found["one_step_error"]), ("ten steps ahead", found["ten_step_error"])]
    ahead = [(name, pair) for name, pair in ahead if None not in pair]
    entries = [(e["name"], (e["before"], e["after"])) for e in found["entries"]]
    entries.sort(key=lambda one: -max(one[1]))
    title, unit = "Error of the simulator", "spreads (of changes, one step ahead)"
    figures = [_before_and_after(title, unit, ahead, "errors")]
    if entries:
        figures.append(_before_and_after("What remains, by entry", "spreads of its changes", entries, "entries"))
    return figures


def _error(x: float) -> str:
    return "below 0.001" if 0 < x < 0.001 else f"{x:.3g}"


def _before_and_after(title: str, unit: str, rows: list[tuple[str, Any]], file: str) -> Figure:
    csv = csv_text(("name", "before", "after"), [(name, *pair) for name, pair in rows])
    shown = rows[:MOST]
    said = "; ".join(f"{name} {_error(before)} before, {_error(after)} after" for name, (before, after) in shown[:6])
    more = f" The CSV has {len(rows) - MOST} more." if len(rows) > MOST else ""
    drawn = [Row(name, (Mark(SOURCE, before), Mark(FOUND, after))) for name, (before, after) in shown]
    return rows_figure(title, f"{said}.{more}", unit, drawn, file, csv)
