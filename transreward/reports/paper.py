"""What goes into a paper: tables, by booktabs, in Markdown or as CSV, and figures whose fonts are embedded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transreward.evaluation.verdict import Verdict, number
from transreward.interruption import whole
from transreward.reports import notebook
from transreward.reports.figures import csv_text
from transreward.reports.sections.verdict import WORDS, unlearned
from transreward.reports.subject import Subject
from transreward.runs import store
from transreward.types import RequestError

WIDTHS = {1: 3.35, 2: 6.9}  # inches, of one column of a page and of both
LINE, LETTER = 0.2, 0.065  # inches of a line of a figure's text with room about it, and of a letter
STYLE = {
    "font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7, "lines.linewidth": 1.2, "lines.markersize": 3,
    "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "transreward",
}  # fmt: skip
KINDS = {  # by the ending of a file
    **dict.fromkeys((".html", ".htm"), "page"),
    **dict.fromkeys((".tex", ".csv", ".md"), "table"),
    **dict.fromkeys((".svg", ".pdf", ".png"), "figure"),
}
PAPER = [ending for ending, kind in KINDS.items() if kind != "page"]
TEX = r"""%% needs \usepackage{booktabs}
%s
\begin{table}
  \centering
  \caption{%s}
  \label{tab:%s}
  \begin{tabular}{l%s}
    \toprule
    %s
    \midrule
%s
    \bottomrule
  \end{tabular}
\end{table}
"""
SIGNS = {"\N{MINUS SIGN}": ("$-$", "-"), "±": (r"$\pm$", "+-"), "→": (r"$\rightarrow$", "->")}  # in text, in a comment
SPECIAL = str.maketrans({
    **{c: rf"\{c}" for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", **{sign: written for sign, (written, _) in SIGNS.items()},
})  # fmt: skip
PLAIN = str.maketrans({sign: plain for sign, (_, plain) in SIGNS.items()})


# -- which files ---------------------------------------------------------------------------------------------------


def kind(path: Path) -> str:
    """What a file of this name holds: page, table or figure. Raises RequestError for another ending."""
    if path.suffix not in KINDS:
        raise RequestError(f"`out` {path} is no page: end it in .html, or for a paper in {', '.join(PAPER)}")
    return KINDS[path.suffix]


def require(outs: Sequence[Path], columns: int) -> None:
    """Raise RequestError where one of the files cannot be written, before the first of them is."""
    if columns not in WIDTHS:
        raise RequestError(f"`columns` says how many columns of a page a figure spans: 1 or 2, not {columns}")
    for out in outs:
        if out.is_dir():
            raise RequestError(f"`out` {out} is a directory: name a file, such as {out / 'report.html'}")
        if kind(out) == "figure":
            notebook.required("matplotlib")
        store.require_writable(out)


# -- any table, any figure -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table as text, its first column of names."""

    title: str  # for its label
    caption: str
    heads: Sequence[str]
    groups: Sequence[Sequence[Sequence[str | None]]]  # of rows, between rules; None: there is no such number
    remarks: Sequence[str]  # for whoever writes about it


def tex(table: Table) -> str:
    """By booktabs, with a caption and a label; the remarks are comments above it."""
    groups = ["\n".join(f"    {_row(row)}" for row in group) for group in table.groups if group]
    return TEX % (
        "\n".join(f"% {' '.join(text.translate(PLAIN).split())}" for text in table.remarks),
        escaped(table.caption),
        "-".join(re.findall("[a-z0-9]+", table.title.lower())),
        "r" * (len(table.heads) - 1),
        _row(table.heads),
        "\n    \\midrule\n".join(groups),
    )


def _row(cells: Sequence[str | None]) -> str:
    return f"{' & '.join('--' if cell is None else escaped(cell) for cell in cells)} \\\\"


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    return text.translate(SPECIAL)


def markdown(table: Table) -> str:
    """In Markdown, with the caption and the remarks below it."""
    rows = [table.heads, ["---"] * len(table.heads), *(row for group in table.groups for row in group)]
    return "\n\n".join([piped(rows), table.caption, *table.remarks]) + "\n"


def piped(rows: Sequence[Sequence[str | None]]) -> str:
    """The lines of a Markdown table."""
    return "\n".join(f"| {' | '.join('-' if cell is None else one_line(cell) for cell in row)} |" for row in rows)


def one_line(cell: str) -> str:
    """A cell for a Markdown table."""
    return " ".join(cell.split()).replace("|", "/")


def write_table(path: Path, table: Callable[[], Table], csv: Callable[[], str]) -> None:
    """The table, or its numbers as CSV, as the file's ending says."""
    store.write_text(path, csv() if path.suffix == ".csv" else (tex if path.suffix == ".tex" else markdown)(table()))


def remark(one: Verdict) -> str:
    """A verdict as it is told: its word, and its sentence."""
    return f"{WORDS[one.kind]} {one.sentence}"


def save_figure(path: Path, columns: int, ratio: float, fill: Callable[[Any], object]) -> None:
    """A figure of matplotlib as wide as so many columns of a page, and `ratio` times as high, which `fill` draws."""
    pyplot = notebook.required("matplotlib.pyplot")
    with pyplot.rc_context(STYLE), whole(path) as place:
        width = WIDTHS[columns]
        figure = pyplot.figure(figsize=(width, width * ratio), layout="constrained")
        try:
            fill(figure)
            about = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else {}
            figure.savefig(place, format=path.suffix[1:], metadata=about, dpi=300)
        finally:
            pyplot.close(figure)


# -- of a run ------------------------------------------------------------------------------------------------------


def table_of(subject: Subject) -> Table:
    """Returns, intervals and steps of a run and its controls, or of a comparison."""
    rows = []
    for row in notebook.rows(subject):
        returned = None if row["target_return"] is None else number(row["target_return"])
        bounds = None if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"
        steps = [None if row[key] is None else f"{row[key]:,}" for key in ("target_steps", "source_steps")]
        rows.append([row["method"], returned, bounds, *steps])
    seeds = len(subject.focus.seeds)
    caption = (
        f"{subject.title}: raw return in the target, mean over {seeds} seed{'s' if seeds > 1 else ''} with its 95% t "
        f"interval, and the steps of each seed that were learned from."
    )
    remarks = [*(f"{text}." for text in unlearned(subject)), *map(remark, subject.verdicts())]
    heads = ("method", "return", "95% interval", "target steps", "source steps")
    return Table(subject.title, caption, heads, [rows], remarks)


def table_csv(subject: Subject) -> str:
    """The table's numbers, one line a method."""
    rows = notebook.rows(subject)
    return csv_text(list(rows[0]), [["" if x is None else x for x in row.values()] for row in rows])


def beside(names: Sequence[str], width: float) -> int:
    """How many of the names stand beside each other in a legend so many inches wide."""
    return max(1, min(len(names), int(width / (0.6 + 0.85 * LETTER * max(map(len, names))))))


def write_figure(subject: Subject, path: Path, columns: int) -> None:
    """The curves. A long legend makes the figure higher, and does not take the curves' room."""

    def fill(figure: Any) -> None:
        notebook.plot(subject.records, subject.comparison, figure.subplots())

    names, width = [one.name for one in subject.records], WIDTHS[columns]
    more = max(0, -(-len(names) // beside(names, 0.8 * width)) - 2)
    save_figure(path, columns, (0.75 if columns == 1 else 0.45) + more * LINE / width, fill)


def write(subject: Subject, path: Path, columns: int) -> None:
    """The table or the curves, as the file's ending says."""
    if kind(path) == "table":
        write_table(path, lambda: table_of(subject), lambda: table_csv(subject))
    else:
        write_figure(subject, path, columns)
