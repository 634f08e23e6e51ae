"""The compensation on the robot's body, as `body.json` has it: which joints it pays or charges for, and when."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from transreward.evaluation.verdict import number
from transreward.reports.anatomy.parts import FILE
from transreward.reports.figures import Figure, csv_text, link, number_of_chart, swatch
from transreward.reports.rows import Mark, Row, rows_figure
from transreward.reports.subject import Subject
from transreward.runs import store

MEAN, SEED = 0, 7  # styles: a filled circle, a ring
LEGEND = ((MEAN, "mean", "over seeds"), (SEED, "one seed", "its own compensation and policy"))
POSE, LABEL = 110, 30  # pixels of a pose, and of the words below it
ROOM = 0.9  # of a pose's width that the robot may take
DOT = 9  # pixels, the radius of the largest dot
HTML = """\
<h3>On the body</h3>
{% if why %}
<p>Which joints it pays or charges for cannot be said: {{ why }}.</p>
{% else %}
<p>{{ said }}</p>
<p class="quiet">{{ subject.focus.name }}: over {{ steps }} source steps, the target was put into each state and given \
the same action (simulated, outside the budget). A joint is charged what the compensation loses because this joint \
alone came to where the source takes it, and not to where the target does.{% if cycle %} Poses: seed {{ seed }}, one \
of each part of its gait, which is found in the joints' own angles; a dot is as large as what its joint is paid (ring) \
or charged (filled) there.{% elif drawn %} No gait was found: the joints do not come again to where they \
were.{% endif %}</p>
{% if cycle %}{{ grid([cycle]) }}{% endif %}
{{ key(legend) }}
{{ grid([parts]) }}
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    path = Path(subject.focus.place) / FILE
    if not subject.focus.place or not path.is_file():
        return None
    found = store.read_json(path)
    if "why" in found:
        return {"why": found["why"].rstrip(".")}
    first = found["seeds"][0]
    return {
        "why": "",
        "said": _said(found),
        "steps": f"{found['steps']:,}",
        "seed": first["seed"],
        "drawn": bool(found["foremost"]),
        "cycle": _cycle(found["cycle"]) if found["cycle"] else None,
        "legend": [(swatch(style, name), name, about) for style, name, about in LEGEND],
        "parts": _parts(found["seeds"]),
    }


def _said(found: dict[str, Any]) -> str:
    """What may be claimed, in words."""
    seeds = found["seeds"]
    deaf = sum(not one["told"] for one in seeds)
    if deaf:
        return (
            f"In {deaf} of {len(seeds)} seeds the compensation does not charge the source's next states against the "
            f"target's, so no joint is named and no body drawn; the numbers are below."
        )
    if not found["foremost"]:
        return "The seeds do not agree which joint is charged most, so none is named and no body drawn."
    name = found["foremost"]
    share = float(np.mean([one["sizes"][name] / max(sum(one["sizes"].values()), 1e-12) for one in seeds]))
    paid = float(np.mean([one["parts"][name] for one in seeds]))
    sort = "charged" if paid < 0 else "paid"
    what = "What belongs to no joint" if name == "the rest" else f"The joint {name}"
    return (
        f"{what} is {sort} most in every seed: {number(paid, signed=True)} a step, {share:.0%} of all that parts of "
        f"the body are paid or charged."
    )


def _parts(seeds: list[dict[str, Any]]) -> Figure:
    rows, said, csv = [], [], []
    means = {name: float(np.mean([one["parts"][name] for one in seeds])) for name in seeds[0]["parts"]}
    for name, mean in sorted(means.items(), key=lambda item: -abs(item[1])):
        each = [Mark(SEED, one["parts"][name]) for one in seeds] if len(seeds) > 1 else []
        rows.append(Row(name, (*each, Mark(MEAN, mean))))
        said.append(f"{name} {number(mean, signed=True)}")
        csv += [[name, one["seed"], one["parts"][name], one["sizes"][name]] for one in seeds]
    text = f"Mean over seeds: {', '.join(said)}."
    columns = csv_text(("joint", "seed", "mean", "mean size"), csv)
    return rows_figure("Paid or charged for each joint", text, "reward a step", rows, "joints", columns)


# -- the gait ------------------------------------------------------------------------------------------------------


def _cycle(cycle: list[dict[str, Any]]) -> Figure:
    names = list(cycle[0]["paid"])
    csv = csv_text(("part of the gait", *names), [[i, *(one["paid"][n] for n in names)] for i, one in enumerate(cycle)])
    most = max(abs(one["paid"][name]) for one in cycle for name in one["joints"] if name in one["paid"]) or 1.0
    title, text = "Through the gait", _told(cycle)
    narrow, wide = (_drawn(cycle, most, title, text, across) for across in (len(cycle) // 2, len(cycle)))
    return Figure(title, text, narrow, wide, link(csv), "gait.csv")


def _told(cycle: list[dict[str, Any]]) -> str:
    """Of each part, what is paid or charged most."""
    said = []
    for i, one in enumerate(cycle):
        name = max(one["paid"], key=lambda joint, one=one: abs(one["paid"][joint]))
        said.append(f"part {i + 1}: {name} {number(one['paid'][name], signed=True)}")
    return f"Paid or charged most, in reward a step: {'; '.join(said)}."


def _drawn(cycle: list[dict[str, Any]], most: float, title: str, text: str, across: int) -> str:
    own, rows = number_of_chart(), -(-len(cycle) // across)
    ends = np.array([[*bone[:2], *bone[2:4]] for one in cycle for bone in one["bones"]]).reshape(-1, 2)
    low, high = ends.min(axis=0), ends.max(axis=0)
    scale = ROOM * POSE / float(max(high - low)) if len(ends) else 1.0
    tall = round(float(high[1] - low[1]) * scale + 3 * DOT)
    parts = [
        f'<svg class="chart" viewBox="0 0 {across * POSE} {rows * (tall + LABEL)}" role="img" '
        f'aria-labelledby="t{own} d{own}" xmlns="http://www.w3.org/2000/svg"><title id="t{own}">{escape(title)}</title>'
        f'<desc id="d{own}">{escape(text)}</desc>'
    ]
    for i, one in enumerate(cycle):
        left, top = (i % across + 0.5) * POSE, (i // across) * (tall + LABEL)
        shift = left - scale * float(low[0] + high[0]) / 2, top + tall - 1.5 * DOT + scale * float(low[1])
        parts += _pose(one, most, scale, shift)
        label = f"part {i + 1} of {len(cycle)}"
        parts.append(f'<text class="label" x="{left:.0f}" y="{top + tall + 16}" text-anchor="middle">{label}</text>')
    return "".join([*parts, "</svg>"])


def _pose(one: dict[str, Any], most: float, scale: float, shift: tuple[float, float]) -> list[str]:
    """The robot, and a dot for each joint: filled where it is charged, a ring where it is paid."""

    def at(x: float, y: float) -> str:
        return f"{shift[0] + scale * x:.1f} {shift[1] - scale * y:.1f}"

    parts = [
        f'<path class="bone" d="M{at(a, b)}L{at(c, d)}" stroke-width="{max(2 * scale * wide, 2):.1f}"/>'
        for a, b, c, d, wide in one["bones"]
    ]
    for name, place in one["joints"].items():
        paid = one["paid"].get(name, 0.0)
        radius = DOT * (abs(paid) / most) ** 0.5
        if radius < 0.5:
            continue
        x, y = at(*place).split()
        kind = "charged s1" if paid < 0 else "bonus s0"
        parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius:.1f}"/>')
    return parts
