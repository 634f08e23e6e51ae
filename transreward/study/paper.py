"""What a study puts into a paper: its pairs and methods as a table, and figures of what holds over all pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from transreward.evaluation.statistics import interval
from transreward.evaluation.verdict import number
from transreward.reports import notebook, paper
from transreward.reports.cells import fixed, mean
from transreward.reports.figures import COLOURS, csv_text, known
from transreward.reports.paper import LETTER, LINE
from transreward.runs import store
from transreward.study import across
from transreward.study.across import Summary, returns_of
from transreward.study.lines import Line, most
from transreward.study.report import Study, opened, page_text, verdicts
from transreward.types import RequestError

RETURNS = "Raw return in the target, mean over seeds with the half-width of its 95% t interval, of finished runs."
OVER_ALL = (
    " Scores run on each pair from 0, the lowest mean of these methods, to 1, the highest; IQM: interquartile mean "
    "over all seeds of all pairs. Intervals over all pairs are of a bootstrap that draws seeds within each pair."
)
COSTS = ("target steps", "evaluation", "source steps", "wall time")  # columns of the closing table that stay there
HEAD = 0.75  # inches of axes without what is drawn
BOTH, SCORE = 0.3, 0.18  # wide a cell of a map is that holds score and return, or the score
SHADE = 0.4  # of the colour where a map is darkest, as on the page


def write(out: Path, files: Sequence[Path], columns: int = 1, figure: str = "scores") -> Study:
    """Write the page, the table or a figure of the study in `out` into each of the files, as their endings say.
    `figure` is one of FIGURES, as wide as so many `columns` of a page. Returns the study.

    Raises RequestError where there is no study, where a file cannot be written, and for a figure where no two pairs
    can be compared yet; then none is written.
    """
    paper.require(files, columns)
    study = opened(out)
    drawn = [file for file in files if paper.kind(file) == "figure"]
    if drawn and study.summary is None:
        raise RequestError(
            f"{drawn[0]}: a figure over all pairs takes two pairs on each of which two methods have finished with "
            f"unlike returns ({study.done}); of one run 'transreward report' draws the curves"
        )
    for file in files:
        if paper.kind(file) == "page":
            store.write_text(file, page_text(study))
        elif paper.kind(file) == "table":
            paper.write_table(file, lambda: table_of(study), lambda: table_csv(study))
        elif study.summary is not None:
            FIGURES[figure](study.summary, file, columns)
    return study


# -- the table -----------------------------------------------------------------------------------------------------


def table_of(study: Study) -> paper.Table:
    """A row a pair, a column a method; then what holds over all pairs."""
    names = list(dict.fromkeys(line.method for own in study.lines.values() for line in own))
    groups, remarks = [[_row(pair, own, names) for pair, own in study.lines.items()]], [f"{study.done}."]
    if study.summary is not None:
        rows: Mapping[str, Mapping[str, str]] = {row["method"]: row for row in study.summary.rows}
        heads = [head for head in study.summary.rows[0] if head not in ("method", *COSTS)]
        found = [[rows[name][head] if name in rows else "-" for name in names] for head in heads]
        groups.append([
            [paper.one_line(head), "", *(None if cell == "-" else cell for cell in cells)]
            for head, cells in zip(heads, found, strict=True)
        ])  # fmt: skip
        remarks += [study.summary.few] if study.summary.few else []
    remarks += [
        f"{pair}, {name}: {paper.remark(one)}"
        for pair, own in study.lines.items()
        for name, one in verdicts(own).items()
    ]
    caption = RETURNS + (OVER_ALL if study.summary else "")
    return paper.Table(study.out.resolve().name, caption, ("pair", "seeds", *names), groups, remarks)


def _row(pair: str, lines: Sequence[Line], names: Sequence[str]) -> list[str | None]:
    found = {line.method: returns for line in lines if (returns := returns_of(line)) is not None}
    many = sorted({len(returns) for returns in found.values()})
    seeds = None if not many else f"{many[0]}" if len(many) == 1 else f"{many[0]} to {many[-1]}"
    return [pair, seeds, *(mean(found[name]) if name in found else None for name in names)]


def table_csv(study: Study) -> str:
    """The numbers, a line a pair and method, and then one of each method over all pairs, with the IQM as its score."""
    rows, scores = [], study.summary.scores if study.summary else {}
    for pair, own in study.lines.items():
        for line in own:
            returns, score = returns_of(line), scores.get(line.method, {}).get(pair)
            middle = None if returns is None else float(returns.mean())
            bounds = (returns is not None and interval(returns)) or (None, None)
            one = line.outcome
            source = most(record.source_steps for record in line.records)
            steps = (one and one.target_steps, one and one.evaluation_steps, source)
            scored = None if score is None else float(score.mean())
            seeds = None if returns is None else len(returns)
            rows.append((pair, line.method, seeds, middle, *bounds, scored, None, None, *steps, line.state or "done"))
    for name, (middle, bounds) in (study.summary.iqm if study.summary else {}).items():
        rows.append((across.TITLE, name, *[None] * 4, middle, *(bounds or (None, None)), *[None] * 4))
    heads = ("pair", "method", "seeds", "target_return", "low", "high", "score", "score_low", "score_high")
    heads += ("target_steps", "target_evaluation_steps", "source_steps", "state")
    return csv_text(heads, [[known(x) for x in row] for row in rows])


# -- the figures ---------------------------------------------------------------------------------------------------


def scores_figure(summary: Summary, file: Path, columns: int) -> None:
    """The IQM of each method with its interval, and the performance profile: beside it across two columns, or below."""
    names, width = list(summary.scores), paper.WIDTHS[columns]
    of_iqm = HEAD + LINE * len(names)
    heights = [of_iqm, 2.2] if columns == 1 else [max(of_iqm, 2.4)]
    beside = paper.beside(names, width)

    def draw(figure: Any) -> None:
        grid = {"height_ratios": heights} if columns == 1 else {"width_ratios": (1, 1.4)}
        left, right = figure.subplots(len(heights), 3 - len(heights), gridspec_kw=grid)
        _iqm(summary, left)
        _profile(summary, right)
        look = {"loc": "outside upper center", "frameon": False, "handlelength": 3, "ncols": beside}
        figure.legend(*right.get_legend_handles_labels(), **look)

    paper.save_figure(file, columns, (sum(heights) + LINE * -(-len(names) // beside)) / width, draw)


def _iqm(summary: Summary, axes: Any) -> None:
    for y, (name, (middle, ends)) in enumerate(summary.iqm.items()):
        colour, _, marker = notebook.drawn(summary.styles[name])
        if ends:
            axes.plot(ends, [y, y], color=colour)
        axes.plot([middle], [y], color=colour, **marker)
    axes.set(yticks=range(len(summary.iqm)), yticklabels=list(summary.iqm), xlabel="IQM of scores, 95% bootstrap")
    axes.set_ylim(len(summary.iqm) - 0.5, -0.5)


def _profile(summary: Summary, axes: Any) -> None:
    for line in across.profiles(summary):
        colour, dash, _ = notebook.drawn(line.style)
        axes.plot(line.x, line.y, color=colour, linestyle=dash, label=line.label, drawstyle="steps-post")
    axes.set(xlabel="score τ", ylabel="share of seeds above τ")


def map_figure(summary: Summary, file: Path, columns: int) -> None:
    """The mean score of each method on each pair as a shade and a number, and below it the mean raw return, as far as
    there is room for numbers."""
    names, pairs = list(summary.scores), [_broken(pair, 20 * columns) for pair in summary.lines]
    heights = [max(2.0, 1.0 + pair.count("\n")) for pair in pairs]  # in lines
    longest, of_pairs = (LETTER * max(map(len, one)) for one in (names, "\n".join(pairs).split("\n")))
    room = (paper.WIDTHS[columns] - of_pairs) / len(names)  # of a cell

    def draw(figure: Any) -> None:
        axes, ends = figure.subplots(), np.cumsum([0.0, *heights])
        mesh = axes.pcolormesh(np.arange(len(names) + 1), ends, _scored(summary), cmap=_shades(), vmin=0, vmax=1)
        middles = ends[:-1] + np.array(heights) / 2
        for (pair, own), y in zip(summary.lines.items(), middles, strict=True):
            for x, name in enumerate(names):
                text, size = _cell(summary, pair, own, name), 6 if room > BOTH else 5
                text = text if room > BOTH else text.partition("\n")[0] if room > SCORE else ""
                axes.text(x + 0.5, y, text, ha="center", va="center", size=size)
        axes.set(yticks=middles, yticklabels=pairs, xticks=np.arange(len(names)) + 0.5)
        axes.set_xticklabels(names, rotation=90 if longest > room else 0)
        axes.xaxis.tick_top()
        axes.invert_yaxis()
        axes.tick_params(length=0)
        if room <= SCORE:
            figure.colorbar(mesh, label="score", ax=axes)

    high = 0.16 * sum(heights) + HEAD / 2 + (longest if longest > room else 0.0)
    paper.save_figure(file, columns, high / paper.WIDTHS[columns], draw)


def _broken(name: str, wide: int) -> str:
    """A name in lines of so many letters, cut behind a sign of its id where that is possible."""
    return fill(re.sub("([:,@+])", r"\1\t", name), wide, replace_whitespace=False, expand_tabs=False).replace("\t", "")


def _scored(summary: Summary) -> np.ndarray:
    """[pairs, methods]; NaN where there is none."""
    return np.array([
        [own[pair].mean() if pair in own else np.nan for own in summary.scores.values()] for pair in summary.lines
    ])  # fmt: skip


def _cell(summary: Summary, pair: str, lines: Sequence[Line], name: str) -> str:
    score = summary.scores[name].get(pair)
    (returns,) = [returns_of(line) for line in lines if line.method == name] or [None]
    return "\n".join([
        "-" if score is None else fixed(float(score.mean())),
        *([] if returns is None else [number(float(returns.mean()))]),
    ])  # fmt: skip


def _shades() -> Any:
    """From white to the page's first colour."""
    colours = notebook.required("matplotlib.colors")
    darkest = [1 - SHADE * (1 - x) for x in colours.to_rgb(COLOURS[0])]
    return colours.LinearSegmentedColormap.from_list("score", ["white", darkest])


FIGURES: dict[str, Callable[[Summary, Path, int], None]] = {"scores": scores_figure, "map": map_figure}
