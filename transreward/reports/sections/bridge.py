"""The bridge between unlike robots: both drawn, what does the same in one colour, and what stands for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.across import Across, body
from transreward.domains.across import split as across
from transreward.domains.asked import readable
from transreward.domains.domain import TableRobot
from transreward.domains.ids import domain
from transreward.domains.several import sources_in
from transreward.reports.anatomy import outline
from transreward.reports.anatomy.poses import Place, Pose, poses
from transreward.reports.figures import Figure, csv_text, link
from transreward.reports.films.matched import apart, paired
from transreward.reports.subject import Subject
from transreward.types import BrokenRun, Pair, RequestError

STYLES = (0, 1, 2, 4, 5, 6, 7)  # of the page's colours; the third is the grey of what stands for nothing
NARROW, WIDE = 210, 420  # pixels of a robot
MOST = 12  # names in a line; the CSV has all
COLUMNS = ("what", "target", "source")
HTML = """\
<h2>The bridge</h2>
{% for one in bridges %}
{% if one.why %}
<p>{{ one.name }}: what the bridge joins cannot be shown here: {{ one.why }}</p>
{% else %}
<p>{{ one.said }}</p>
{% if one.drawn %}
{{ grid([one.drawn.figure]) }}
{% call scroll("What does the same") %}
<table class="parts"><thead><tr><th scope="col">number</th><th scope="col">source: {{ one.source }}</th>\
<th scope="col">target: {{ one.target }}</th></tr></thead>
<tbody>
{% for part in one.drawn.parts %}
<tr><th scope="row"><span class="part s{{ part.style }}">{{ part.number }}</span></th>\
<td>{{ part.source }}</td><td>{{ part.target }}</td></tr>
{% endfor %}
{% if one.drawn.alone %}
<tr><th scope="row">alone</th>{% for names in one.drawn.alone %}<td>{{ names }}</td>{% endfor %}</tr>
{% endif %}
</tbody></table>
{% endcall %}
{% endif %}
{% call scroll("What is matched, and what is not") %}
<table class="words"><tbody>
{% for name, value in one.facts %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</tbody></table>
{% endcall %}
<p class="said"><a class="csv" download="bridge.csv" href="{{ one.csv }}" \
aria-label="What each motor and column of {{ one.target }} shows of {{ one.source }}, as CSV">CSV</a> Each motor and \
column of the target, and what it shows of the source.</p>
{% endif %}
{% endfor %}
"""


class Part(NamedTuple):
    """Parts of both robots that do the same, by name."""

    style: int  # which of the page's colours
    number: str
    source: str
    target: str


class Drawn(NamedTuple):
    """Both robots, and what stands for nothing of each; empty where there is nothing of that kind."""

    figure: Figure
    parts: list[Part]
    alone: list[str]


def content(subject: Subject) -> dict[str, Any] | None:
    """None where source and target are one body."""
    crossed = [id for id in sources_in(subject.focus.config) if across(id)]
    return {"bridges": [_shown(id) for id in crossed]} if crossed else None


def _shown(id: str) -> dict[str, Any]:
    try:
        bridge = domain(id)
    except (RequestError, BrokenRun) as error:
        return {"name": readable(id), "why": str(error)}
    assert isinstance(bridge, Across)  # since its id is split as one
    return {
        "source": readable(bridge.plain.name),
        "target": readable(bridge.shown),
        "said": f"Source and target are unlike robots. The bridge '{bridge.how}' says which motor and column of the "
        f"one stands for which of the other. A source agent is trained in its own columns, and then crosses it.",
        "drawn": _drawn(bridge),
        "facts": _facts(bridge),
        "csv": link(csv_text(COLUMNS, bridge.rows())),
    }


def _facts(bridge: Across) -> list[tuple[str, str]]:
    """What is matched and what is not, in words."""
    maps = bridge.crossing.there
    found = []
    for what, matrix in (("motors", maps.action.matrix), ("columns", maps.obs.matrix)):
        moved, own = int(matrix.any(axis=1).sum()), int(matrix.any(axis=0).sum())
        of = f"{moved} of {len(matrix)} of the target's stand for {own} of {matrix.shape[1]} of the source's"
        found.append((f"{what} matched", of))
    names = (
        ("unseen: of the target, showing nothing of the source", bridge.unseen),
        ("unshown: of the source, standing for nothing in the target", bridge.unshown),
        ("blurred: shown in sums alone, from which they cannot be told", bridge.blurred),
        ("clipped: may be asked for more than they can", bridge.crossing.clipped),
    )
    return found + [(what, _listed(some)) for what, some in names if some or what.startswith("un")]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more, which the CSV has" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more if names else "none"


# -- both robots ---------------------------------------------------------------------------------------------------


def _drawn(bridge: Across) -> Drawn | None:
    """None for robots without a model."""
    source, target = body(bridge.plain), body(bridge.other)
    if source is None or target is None:
        return None
    groups, left = paired(bridge)
    parts = [
        Part(STYLES[k % len(STYLES)], str(k + 1), ", ".join(ours), ", ".join(theirs))
        for k, (ours, theirs) in enumerate(groups)
    ]
    said = "; ".join(f"{one.number} {one.source} and {one.target}" for one in parts)
    alone = "; ".join(f"{', '.join(some)} of the {side}" for side, some in zip(Pair._fields, left, strict=True) if some)
    grey = f"what stands for nothing ({alone}), and what no motor moves" if alone else "what no motor moves"
    title = "What does the same has one number and one colour"
    text = f"Left {bridge.plain.name}, right {bridge.shown}: {said}. Grey: {grey}."
    made = [
        _pose("source", source, [group.source for group in groups]),
        _pose("target", target, [group.target for group in groups]),
    ]
    narrow, wide = (poses(made, title, text, 2, size) for size in (NARROW, WIDE))
    csv = csv_text(("number", "source", "target"), [one[1:] for one in parts])
    names = [", ".join(some) or "-" for some in left] if alone else []
    return Drawn(Figure(title, text, narrow, wide, link(csv), "parts.csv"), parts, names)


def _pose(side: str, robot: TableRobot, groups: Sequence[Sequence[str]]) -> Pose:
    """A robot as it begins, with each group's bones in its colour and its number on each part of it."""
    numbers = {name: k for k, names in enumerate(groups) for name in names}
    drawn, of = outline.drawn(robot, apart(robot)), outline.numbered(robot, numbers)
    styles = {i: STYLES[k % len(STYLES)] for i, k in enumerate(of) if k is not None}
    return Pose(side, drawn["bones"], {}, styles, _marks(drawn["bones"], of))


def _marks(bones: Sequence[Sequence[float]], of: Sequence[int | None]) -> list[tuple[Place, str]]:
    """The number of each bone that has one, at its middle; not of what is small beside others of that number."""
    ends = np.array([bone[:4] for bone in bones]).reshape(-1, 2, 2)  # from and to, right and up
    lengths, places = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), ends.mean(axis=1).tolist()
    longest = {k: max(x for x, other in zip(lengths, of, strict=True) if other == k) for k in of}
    long = [i for i, k in enumerate(of) if k is not None and lengths[i] >= 0.5 * longest[k]]
    return [((places[i][0], places[i][1]), str((of[i] or 0) + 1)) for i in long]
