"""Who acted in the target, and why which candidate was delivered, as `fallback.json` has it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from transreward.domains.several import sources_in
from transreward.evaluation.verdict import number
from transreward.fallback import SOURCE, of_source
from transreward.reports.figures import Figure, csv_text
from transreward.reports.rows import Mark, Row, legend, rows_figure
from transreward.reports.sections.curves import steps_of_agent
from transreward.reports.subject import Subject
from transreward.runs.record import Record

BELIEVED, ACTED = 0, 7  # styles: a filled circle, a ring
LEGEND = (
    (BELIEVED, "believed", "return in the target, from its lower to its upper bound"),
    (ACTED, "episode", "return of a training episode that it acted in"),
)
UNTESTED = "not tested on the target"
COLUMNS = ["seed", "delivered", "why", "who acted, in order"]
HTML = """\
<h2>Who acted, and who is delivered</h2>
<p>{{ said }}</p>
<p class="quiet">The source policy stays a candidate: it acts in the first target episodes, later ones go to whichever \
candidate a draw from what is known favours, and the one with the best lower bound is delivered. The \
others are judged by their lead over the source policy, which an identified simulator expects and target episodes \
correct, so that its own return has no bounds: what is not known of it is in theirs. Where episodes return very \
different amounts, as with random goals, all that is believed may be too high or too low together.\
{% if taken %} The source policy is the source agent after {{ taken }} source steps.{% endif %}\
{% if of %} Of {{ of }}.{% endif %}</p>
{{ plain("Who was delivered, by seed", columns, rows, columns[1:]) }}
{{ key(legend) }}
{{ grid([figure]) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    records = [subject.focus, *(r for r in subject.records if r is not subject.focus)]
    one = next((r for r in records if r.fallback), None)
    if one is None or one.fallback is None:
        return None
    seeds = one.fallback["seeds"]
    return {
        "said": _said(seeds, one.began_with),
        "of": "" if one is subject.focus else one.name,
        "columns": COLUMNS,
        "rows": [[str(s["seed"]), s["delivered"], _why(s), _order(s["episodes"])] for s in seeds],
        "legend": legend(LEGEND),
        "figure": _figure(seeds),
        "taken": _taken(one),
    }


def _taken(one: Record) -> str:
    """The source steps of the one source agent, where more were taken later."""
    if one.config.get("source_run") or len(sources_in(one.config)) > 1:
        return ""
    taken = steps_of_agent(one)
    return f"{taken:,} of {one.source_steps:,}" if taken < one.source_steps else ""


def _said(seeds: list[dict[str, Any]], began_with: str) -> str:
    """In one sentence."""
    kept = sum(of_source(s["delivered"]) for s in seeds)
    untested = sum(not _of(s, s["delivered"])["episodes"] for s in seeds)
    what = began_with.capitalize() if seeds[0]["candidates"][0]["name"] == SOURCE else "A source policy"
    text = f"{what} was delivered for {kept} of {len(seeds)} seeds"
    return text + (f"; what was delivered was not tested on the target for {untested}." if untested else ".")


def _of(seed: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in seed["candidates"] if c["name"] == name)


def _why(seed: dict[str, Any]) -> str:
    """The lead over the first source policy that is believed of what was delivered, or of the best other one, with its
    lower bound, and what its episodes returned."""
    chosen, base = _of(seed, seed["delivered"]), seed["candidates"][0]
    returns = [e["return"] for e in seed["episodes"] if e["who"] == chosen["name"]]
    n, mean = len(returns), number(float(np.mean(returns))) if returns else ""
    tested = UNTESTED if not n else f"1 target episode: {mean}" if n == 1 else f"{n} target episodes: {mean} on average"
    others = [c for c in seed["candidates"] if c is not base]
    if not others:
        return tested
    one = max(others, key=lambda c: c["low"]) if chosen is base else chosen
    lead, least = (number(one[key] - base["mean"], True) for key in ("mean", "low"))
    return f"{one['name']} is believed to lead {base['name']} by {lead}, probably at least {least}; {tested}"


def _order(episodes: list[dict[str, Any]]) -> str:
    runs = [(who, len(list(of))) for who, of in groupby(e["who"] for e in episodes)]
    return ", ".join(who if n == 1 else f"{who} x {n}" for who, n in runs) or "no whole episode"


def _figure(seeds: list[dict[str, Any]]) -> Figure:
    """All seeds on one scale."""
    rows, said, csv = [], [], []
    for seed in seeds:
        known = []
        for c in seed["candidates"]:
            returns = [e["return"] for e in seed["episodes"] if e["who"] == c["name"]]
            marks = (Mark(BELIEVED, c["mean"], c["low"], c["high"]), *(Mark(ACTED, r) for r in returns))
            rows.append(Row(f"seed {seed['seed']}: {c['name']}", marks))
            # the source policy's has none: others are believed by their lead over it, and its doubt is in theirs
            bounds = f" ({number(c['low'])} to {number(c['high'])})" if c["low"] < c["high"] else ""
            known.append(f"{c['name']} {number(c['mean'])}{bounds}")
            ends = (c["low"], c["high"]) if bounds else ("", "")
            csv.append([seed["seed"], c["name"], c["mean"], *ends, c["episodes"]])
        said.append(f"seed {seed['seed']}: {', '.join(known)}")
    columns = ("seed", "candidate", "mean", "low", "high", "episodes")
    title, text = "What is known of the candidates", f"{'; '.join(said)}."
    return rows_figure(title, text, "raw target return", rows, "candidates", csv_text(columns, csv))
