"""The compensation on the robot's body, as `body.json` has it: which joints it pays or charges for, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transreward.evaluation.verdict import number
from transreward.reports.anatomy.parts import FILE
from transreward.reports.anatomy.poses import Pose, poses
from transreward.reports.figures import Figure, csv_text, link
from transreward.reports.rows import Mark, Row, legend, rows_figure
from transreward.reports.subject import Subject
from transreward.runs import store

MEAN, SEED = 0, 7  # styles: a filled circle, a ring
LEGEND = ((MEAN, "mean", "over seeds"), (SEED, "one seed", "its own compensation and policy"))
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
        "legend": legend(LEGEND),
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
    drawn = [
        Pose(
            f"part {i + 1} of {len(cycle)}",
            one["bones"],
            {name: (place, one["paid"].get(name, 0.0) / most) for name, place in one["joints"].items()},
        )
        for i, one in enumerate(cycle)
    ]
    narrow, wide = (poses(drawn, title, text, across) for across in (len(cycle) // 2, len(cycle)))
    return Figure(title, text, narrow, wide, link(csv), "gait.csv")


def _told(cycle: list[dict[str, Any]]) -> str:
    """Of each part, what is paid or charged most."""
    said = []
    for i, one in enumerate(cycle):
        name = max(one["paid"], key=lambda joint, one=one: abs(one["paid"][joint]))
        said.append(f"part {i + 1}: {name} {number(one['paid'][name], signed=True)}")
    return f"Paid or charged most, in reward a step: {'; '.join(said)}."
