"""What a study says over all of its pairs: scores, their intervals, who beats whom, and what it all cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from transreward.evaluation.across import improvement_across, iqm_across, mean_across, normalised, profile
from transreward.evaluation.verdict import number
from transreward.reports.cells import Cell, counted, fixed
from transreward.reports.figures import Chart, csv_text, figure, link, swatch
from transreward.reports.figures import Line as Drawn
from transreward.reports.subject import styles_of
from transreward.reports.terminal import few
from transreward.study.lines import Line
from transreward.study.show import clock
from transreward.types import CONTROLS

TITLE = "over all pairs"
HEAT = 10  # shades of the map
HTML = """\
{% from "macros.html" import cells, grid, key, plain %}
<h2>Over all pairs</h2>
<p>Scores: on each pair 0 is the lowest mean return of these methods and 1 is the highest, so they change with the
methods that are compared. IQM: interquartile mean over all seeds of all pairs, with the 95% interval of a bootstrap
that draws seeds within each pair. <i>Better than</i>: the probability that a seed of the method returns more than one
of the other on the same pair. Only finished runs count{% if left_out %}; on {{ left_out }} all methods return the same
or only one has finished{% endif %}.{% if few %} {{ few }}{% endif %}</p>
{{ plain("Over all pairs", heads, rows) }}
<p>Steps and wall time are sums over pairs and seeds. Source steps are with those of the source agent, in each run that
starts from it{% if agents %}; wall time is without the training of source agents that are jobs of their own:
{{ agents }}{% endif %}.</p>
<h3>Pairs and methods</h3>
<p>Mean score, and below it the mean raw return.</p>
{{ cells("Pairs and methods", "heat", "pair", names, heat) }}
<p><a class="csv" download="pairs.csv" href="{{ csv }}" aria-label="Pairs and methods: the numbers as CSV">CSV</a> of
every seed.</p>
<h3>Performance profile</h3>
{{ key(legend) }}
{{ grid([profile]) }}
<h3>Better than</h3>
<p>How often a seed of the row returns more than one of the column, as a mean over the pairs that both have.</p>
{{ cells("Better than", "heat", "row better than", names, beats) }}
"""


@dataclass(frozen=True)
class Summary:
    """The figures over all pairs."""

    lines: Mapping[str, Sequence[Line]]
    scores: Mapping[str, dict[str, np.ndarray]]  # method -> pair -> [seeds]
    iqm: Mapping[str, tuple[float, list[float] | None]]  # of the scores of each method, and its interval
    rows: list[dict[str, str]]  # of the table, by column

    @property
    def few(self) -> str:
        """The warning that the pair and method with the fewest seeds deserve, or empty."""
        return few(min(len(one) for own in self.scores.values() for one in own.values()))

    @property
    def styles(self) -> dict[str, int]:
        """Method -> style of its lines."""
        of = {line.method: line.jobs[0].request["method"] for own in self.lines.values() for line in own}
        return styles_of({name: of[name] for name in self.scores})


def summarised(lines: Mapping[str, Sequence[Line]]) -> Summary | None:
    """None where fewer than two pairs have two methods whose returns differ."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    for pair, own in lines.items():
        for method, found in (normalised(_raw(own)) or {}).items():
            scores.setdefault(method, {})[pair] = found
    pairs = {pair for own in scores.values() for pair in own}
    if len(pairs) < 2:
        return None
    iqm = {method: iqm_across(own) for method, own in scores.items()}
    rows = [_row(method, iqm[method], scores, lines, len(pairs)) for method in scores]
    return Summary(lines, scores, iqm, rows)


def returns_of(line: Line) -> np.ndarray | None:
    """The returns that count, [seeds]: those of finished runs; None where there are none."""
    return line.outcome.per_seed if not line.state and line.outcome is not None and len(line.outcome.per_seed) else None


def _row(
    method: str,
    iqm: tuple[float, list[float] | None],
    scores: Mapping[str, dict[str, np.ndarray]],
    lines: Mapping[str, Sequence[Line]],
    pairs: int,
) -> dict[str, str]:
    own = scores[method]
    beats = {
        f"better than\n{name}": _chance(improvement_across(own, scores[name])) if name != method else "-"
        for name in CONTROLS
        if name in scores
    }
    records = [record for pair in own for line in lines[pair] if line.method == method for record in line.records]
    seconds = sum(record.result["wall_seconds"] for record in records if record.result is not None)

    def total(steps: Sequence[int | None]) -> str:
        each = [None if n is None else n * len(record.seeds) for n, record in zip(steps, records, strict=True)]
        return counted(None if None in each else sum(n for n in each if n is not None))

    return {
        "method": method,
        "pairs": f"{len(own)} of {pairs}",
        "IQM of scores\n95% bootstrap": _shown(*iqm),
        "mean of\nscores": fixed(mean_across(list(own.values()))),
        **beats,
        "target steps": total([record.outcome.target_steps for record in records]),
        "evaluation": total([record.evaluation_steps for record in records]),
        "source steps": total([record.source_steps for record in records]),
        "wall time": clock(seconds),
    }


def _chance(found: tuple[float, list[float] | None] | None) -> str:
    if found is None:
        return "-"
    return _shown(*found)


def _shown(middle: float, ends: list[float] | None) -> str:
    return fixed(middle) + (f" ({fixed(ends[0])} to {fixed(ends[1])})" if ends else "")


# -- the page ------------------------------------------------------------------------------------------------------


def content(summary: Summary) -> dict[str, Any]:
    """The variables of `HTML`."""
    names, styles = list(summary.scores), summary.styles
    used = {pair for own in summary.scores.values() for pair in own}
    rows = []
    for pair, own in summary.lines.items():
        seeds = {line.method: line.outcome.seeds for line in own if line.outcome is not None}
        for name, returns in _raw(own).items():
            scores = summary.scores.get(name, {}).get(pair, [""] * len(returns))
            rows += [[pair, name, *each] for each in zip(seeds[name], returns, scores, strict=True)]
    return {
        "names": names,
        "heads": list(summary.rows[0]),
        "rows": [list(row.values()) for row in summary.rows],
        "left_out": ", ".join(pair for pair in summary.lines if pair not in used),
        "few": summary.few,
        "agents": _agents(summary.lines),
        "heat": [(breakable(pair), _shades(pair, names, summary)) for pair in summary.lines],
        "csv": link(csv_text(("pair", "method", "seed", "return", "score"), rows)),
        "legend": [(swatch(styles[name], name), name, "") for name in names],
        "profile": _profile(summary),
        "beats": [(name, [_beats(name, other, summary) for other in names]) for name in names],
    }


def breakable(name: str) -> Markup:
    """An id or a pair of them in HTML, which a narrow page breaks behind its parts rather than within them."""
    return Markup(re.sub("[:,_]", r"\g<0><wbr>", str(escape(name))))


def _raw(lines: Sequence[Line]) -> dict[str, np.ndarray]:
    return {line.method: found for line in lines if (found := returns_of(line)) is not None}


def _agents(lines: Mapping[str, Sequence[Line]]) -> str:
    """How many source agents there are."""
    found = {job.agent.place for own in lines.values() for line in own for job in line.jobs if job.agent is not None}
    return f"{len(found)} of them" if found else ""


def _shades(pair: str, names: Sequence[str], summary: Summary) -> list[Cell]:
    raw = _raw(summary.lines[pair])
    cells = []
    for name in names:
        score = summary.scores[name].get(pair)
        note = number(float(raw[name].mean())) if name in raw else ""
        tone = "" if score is None else f"h{round(HEAT * float(np.clip(score.mean(), 0, 1)))}"
        cells.append(Cell("-" if score is None else fixed(float(score.mean())), "", note, tone))
    return cells


def _beats(name: str, other: str, summary: Summary) -> Cell:
    found = None
    if name != other:
        found = improvement_across(summary.scores[name], summary.scores[other], interval=False)
    return Cell("-") if found is None else Cell(f"{found[0]:.2f}", found[0], "", f"h{round(HEAT * found[0])}")


def profiles(summary: Summary) -> list[Drawn]:
    """A staircase of each method: the share of seeds above each score."""
    every = np.concatenate([one for own in summary.scores.values() for one in own.values()])
    room = 0.05 * float(every.max() - every.min())
    ends, lines = (float(every.min() - room), float(every.max() + room)), []
    for name, own in summary.scores.items():
        x, y = profile(own)
        lines.append(Drawn(name, summary.styles[name], [ends[0], *x, ends[1]], [1.0, *y, 0.0], steps=True))
    return lines


def _profile(summary: Summary) -> Any:
    lines = profiles(summary)
    words = f"{len(lines)} staircases that fall from 1 to 0; the further to the right, the better. IQM: " + ", ".join(
        f"{row['method']} {list(row.values())[2]}" for row in summary.rows
    )
    chart = Chart("Performance profile over all pairs", words, "score, τ", "share of seeds above τ", lines)
    rows = [[line.label, x, y] for line in lines for x, y in zip(line.x, line.y, strict=True)]
    return figure(chart, "profile", csv_text(("method", "score", "share of seeds above"), rows), wide=True)
