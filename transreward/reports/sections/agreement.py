"""Whether the seeds of a run identified the same: the values of each, and which exclude each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from transreward.evaluation.diagnostics import span
from transreward.reports.sections.identified import named, record_of, value_of
from transreward.reports.subject import Subject

HTML = """\
<h3>Seed by seed</h3>
{% if apart %}
<p class="note"><strong>The seeds disagree about {{ names }}:</strong> {{ apart }}. More <code>ground.steps</code> \
would tell.</p>
{% endif %}
{{ plain("What each seed identified", columns, rows) }}
<p class="quiet">What each seed's own target steps showed, with 95% intervals{% if first %}; words and charts above \
are of seed {{ first }}{% endif %}. Of what differs it explains {{ explained }}.</p>
"""

APART = 0.01  # of the values, or of the source's: intervals of steps without noise are far narrower than that matters


def content(subject: Subject) -> dict[str, Any] | None:
    one = record_of(subject)
    found = (one.identification or {}) if one else {}
    told = found.get("seeds", ())
    if one is None or len(told) < 2 or len(told) != len(one.seeds):
        return None
    by_seed = [{(p["name"], p["pattern"]): _believed(p, seed) for p in seed["parameters"]} for seed in told]
    every = dict.fromkeys(key for seed in by_seed for key in seed)
    rows = [[named(*key), *(value_of(seed.get(key)) for seed in by_seed)] for key in every]
    if any(seed["motors"] for seed in told):
        rows.append(["a rule of the motors", *("learned" if seed["motors"] else "-" for seed in told)])
    shares = [seed["explained"] for seed in told]
    disagree = {key: pair for key in every if (pair := _apart([seed.get(key) for seed in by_seed]))}
    said = [
        f"{named(*key)} is {value_of(by_seed[i][key])} by seed {one.seeds[i]} and {value_of(by_seed[j][key])} by seed "
        f"{one.seeds[j]}"
        for key, (i, j) in disagree.items()
    ]
    whose = (seed for seed, own in zip(one.seeds, told, strict=True) if own["parameters"] == found["parameters"])
    return {
        "columns": ["", *(f"seed {seed}" for seed in one.seeds)],
        "rows": [*rows, ["explains", *(f"{share:.0%}" for share in shares)]],
        "names": " and ".join(named(*key) for key in disagree),
        "apart": "; ".join(said),
        "first": str(next(whose, "")),
        "explained": span(shares),
    }


def _believed(p: dict[str, Any], seed: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter, without its interval where that takes for chance what something else may do."""
    return p if seed.get("sure", True) else {**p, "low": None, "high": None}


def _apart(found: Sequence[Mapping[str, Any] | None]) -> tuple[int, int] | None:
    """The two seeds whose intervals exclude each other by most; None where no two do by what matters."""
    told = {i: p for i, p in enumerate(found) if p is not None and p["low"] is not None}
    own = {i: (p["low"], p["high"]) for i, p in told.items()}
    gaps = {(i, j): max(own[i][0] - own[j][1], own[j][0] - own[i][1]) for i, j in combinations(own, 2)}
    most = max(gaps, key=lambda pair: gaps[pair], default=None)
    scale = max((abs(x) for p in told.values() for x in (p["value"], p["source"])), default=0.0)
    return most if most is not None and gaps[most] > APART * scale else None
