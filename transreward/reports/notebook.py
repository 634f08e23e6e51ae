"""A result in a notebook: its table as text, HTML and a frame of pandas, its curves by matplotlib, its citation."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from jinja2 import Environment
from rich.console import Console

import transreward
from transreward.evaluation.statistics import interval
from transreward.evaluation.verdict import ENOUGH, number
from transreward.methods import method
from transreward.reports.columns import columns, fitting
from transreward.reports.figures import COLOURS, MARKERS, look
from transreward.reports.sections.verdict import WORDS, unlearned
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import ZERO_SHOT, RequestError

# columns that a narrow table leaves out, in this order
GIVES_WAY = ("target\nevaluation\nsteps", "source\nreturn", "updates", "source\nsteps", "stopped", "target\nsteps")
MARKS: dict[str, str] = dict(zip(MARKERS, "os^Dx+|o", strict=True))  # as matplotlib names them
BIBTEX = """\
@software{{transreward,
  title = {{TransReward: policies moved between robots by compensating rewards}},
  author = {{{{TransReward authors}}}},
  version = {{{version}}},
  year = {{2026}},
}}
"""
HTML = """\
<div>
{% for text in unlearned %}<p>{{ text }}.</p>
{% endfor %}
{% for one in verdicts %}<p><b>{{ words[one.kind] }}</b> {{ one.sentence }}</p>
{% endfor %}
<table>
<caption>{{ title }}: raw target return, mean over seeds, with its 95% interval; steps per seed</caption>
<thead><tr>{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<{{ "th scope=row" if loop.first else "td" }}>{{ cell }}</{{ "th" if loop.first else "td" }}>\
{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
"""


def rows(subject: Subject) -> list[dict[str, Any]]:
    """Of each method the numbers of its table; None where there is none."""
    found = []
    for one in subject.records:
        result = one.result or {}
        returns, source = result.get("target_return") or {}, result.get("source_return") or {}
        low, high = returns.get("ci95") or (None, None)
        found.append({
            "method": one.name, "target_return": returns.get("mean"), "low": low, "high": high,
            "source_return": source.get("mean"), "target_steps": result.get("target_steps"),
            "target_evaluation_steps": one.evaluation_steps, "source_steps": one.source_steps,
            "updates": one.updates, "stopped": None if one.config["method"] == ZERO_SHOT else result.get("stopped"),
        })  # fmt: skip
    return found


def table(records: Sequence[Record], compared: bool, width: int) -> str:
    """The table as text of that width, without the columns for which there is no room."""
    subject = Subject.of(records, compared)
    cells = [{_head(name): _cell(x) for name, x in row.items()} for row in rows(subject)]
    console = Console(
        file=io.StringIO(), width=width, color_system=None, force_jupyter=False, markup=False, emoji=False
    )
    console.print(f"{subject.title}: raw target return and steps, per seed")
    console.print(columns(fitting(cells, width, GIVES_WAY)))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def html(records: Sequence[Record], compared: bool) -> str:
    """The verdict on each method that is no control, and the table."""
    subject = Subject.of(records, compared)
    found = rows(subject)
    heads, cells = (
        [_head(name).replace("\n", " ") for name in found[0]],
        [[_cell(x) for x in row.values()] for row in found],
    )
    template = Environment(autoescape=True, trim_blocks=True).from_string(HTML)
    said = {"unlearned": unlearned(subject), "verdicts": subject.verdicts(), "words": WORDS, "title": subject.title}
    return template.render(heads=heads, rows=cells, **said)


def _head(name: str) -> str:
    return name.replace("_", "\n")


def _cell(x: Any) -> str:
    if x is None or isinstance(x, str):
        return x or "-"
    return f"{x:,}" if isinstance(x, int) else number(x)


def frame(records: Sequence[Record], compared: bool) -> Any:
    """See `Shown.frame`."""
    found = required("pandas").DataFrame(rows(Subject.of(records, compared))).set_index("method")
    words = found.columns == "stopped"
    return found.astype({name: float for name in found.columns[~words] if found[name].isna().any()})


def plot(records: Sequence[Record], compared: bool, axes: Any) -> Any:
    """Curves over evaluations: the mean, and the 95% t interval where there are enough seeds, else the seeds
    themselves, with the dashes and markers of the page. A level line is a policy that took no target steps to learn
    from, or the oracle, which took more than the budget."""
    if axes is None:
        axes = required("matplotlib.pyplot").subplots(layout="constrained")[1]
    subject = Subject.of(records, compared)
    for one in subject.records:
        colour, dash, marker = drawn(subject.styles[one.name])
        looks = {"color": colour, "label": one.name, "linestyle": dash}
        x, y = one.returns("target_return")
        if one.level or not len(x):
            if len(one.outcome.per_seed):
                axes.axhline(one.outcome.mean, **looks)
            continue
        axes.plot(x, y.mean(axis=1), **marker, **looks)
        if y.shape[1] >= ENOUGH:
            low, high = np.array([interval(at) for at in y], float).T
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            axes.plot(np.repeat(x, y.shape[1]), y.ravel(), ".", color=colour, alpha=0.5)
    axes.set(xlabel="target steps, per seed", ylabel="raw return in the target")
    axes.xaxis.set_major_locator(required("matplotlib.ticker").MaxNLocator(6, integer=True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.10g}")
    for add in (lambda: _entitle(axes, subject.title), lambda: _explain(axes)):
        axes.figure.canvas.figure.draw_without_rendering()  # then the layout of what is there is known
        add()
    return axes


def drawn(style: int) -> tuple[str, Any, dict[str, str]]:
    """A style of the page as matplotlib takes it: its colour, its dash, and what says its marker."""
    colour, (_, dash, marker) = COLOURS[style % len(COLOURS)], look(style)
    lengths = (0, tuple(float(x) / 2 for x in dash.split())) if dash else "-"  # in widths of two pixels
    return colour, lengths, {"marker": MARKS[marker], "markerfacecolor": "white" if marker == "ring" else colour}


def _entitle(axes: Any, title: str) -> None:
    """The pair above the curves, in as many lines as it needs to be no wider than they are."""
    lines = [title]
    for sign in (" ", ":", ","):  # behind an id; then, within one that is too wide, behind its parts
        lines = [part for line in lines for part in _broken(axes, line, sign)]
    axes.set_title("\n".join(lines))


def _broken(axes: Any, line: str, sign: str) -> list[str]:
    """A line, cut behind a sign where it would be too wide; an arrow begins a line."""
    found = [""]
    for part in re.findall(rf"(?:→ )?[^{sign}]+{sign}?", line):
        axes.set_title((found[-1] + part).strip())
        if found[-1] and axes.title.get_window_extent().width > axes.get_window_extent().width:
            found.append("")
        found[-1] += part
    return [one.strip() for one in found]


def _explain(axes: Any) -> None:
    """The legend above the curves, in room that is made for it within the axes: outside, a layout might cut it off."""
    many = len(axes.get_legend_handles_labels()[1])
    for across in range(many, 0, -1):
        legend = axes.legend(loc="upper center", ncols=across, fontsize="small", frameon=False, handlelength=3)
        if legend.get_window_extent().width <= axes.get_window_extent().width:
            break
    share = min(1.1 * legend.get_window_extent().height / axes.get_window_extent().height, 0.6)
    (left, _), (low, high) = axes.get_xlim(), axes.get_ylim()
    # a point that is not drawn, so that axes go on to fit what else is drawn into them
    axes.update_datalim([(left, low + (high - low) / (1 - share))], updatex=False)
    axes.autoscale_view()


def cite(records: Sequence[Record]) -> str:
    """BibTeX, and a comment for the paper of each method that has one: it has a year or a number in it."""
    papers = {}
    for name in dict.fromkeys(one.config["method"] for one in records):
        try:
            papers[name] = method(name).paper.partition("; see ")[0]
        except RequestError:  # a row of a user's, which is not imported here
            continue
    lines = [f"% {name}: {paper}\n" for name, paper in papers.items() if re.search(r"\d{4}", paper)]
    return BIBTEX.format(version=transreward.__version__) + "".join(lines)


def required(module: str) -> Any:
    """A module that is no dependency. Raises RequestError if it is missing."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise RequestError(f"this needs {package}: pip install {package}") from None
