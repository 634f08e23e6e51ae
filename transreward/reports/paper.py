"""What goes into a paper: the table, by booktabs or as CSV, and the curves as a figure whose fonts are embedded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from transreward.evaluation.verdict import number
from transreward.interruption import whole
from transreward.reports import notebook
from transreward.reports.figures import csv_text
from transreward.reports.subject import Subject
from transreward.runs import store

WIDTHS = {1: 3.35, 2: 6.9}  # inches, of one column of a page and of both
STYLE = {
    "font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7, "lines.linewidth": 1.2, "lines.markersize": 3,
    "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "transreward",
}  # fmt: skip
HEADS = ("method", r"return", r"95\% interval", "target steps", "source steps")
TEX = r"""%% needs \usepackage{booktabs}
%% %s
\begin{table}
  \centering
  \caption{%s}
  \label{tab:%s}
  \begin{tabular}{lrrrr}
    \toprule
    %s \\
    \midrule
%s
    \bottomrule
  \end{tabular}
\end{table}
"""
SPECIAL = str.maketrans({
    **{c: rf"\{c}" for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "\N{MINUS SIGN}": "$-$", "±": r"$\pm$", "→": r"$\rightarrow$",
})  # fmt: skip


def table_tex(subject: Subject) -> str:
    """The table, with a caption and a label; the verdict is a comment above it."""
    lines = []
    for row in notebook.rows(subject):
        returned = "--" if row["target_return"] is None else number(row["target_return"])
        bounds = "--" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"
        cells = (row["method"], returned, bounds, *(_count(row[key]) for key in ("target_steps", "source_steps")))
        lines.append(f"    {' & '.join(escaped(cell) for cell in cells)} \\\\")
    seeds = len(subject.focus.seeds)
    caption = (
        f"{subject.title}: raw return in the target, mean over {seeds} seed{'s' if seeds > 1 else ''} with its 95% t "
        f"interval, and the steps of each seed that were learned from."
    )
    said = " ".join(one.sentence for one in subject.verdicts())
    label = "-".join(re.findall("[a-z0-9]+", subject.title.lower()))
    return TEX % (said, escaped(caption), label, " & ".join(HEADS), "\n".join(lines))


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    return text.translate(SPECIAL)


def _count(x: int | None) -> str:
    return "--" if x is None else f"{x:,}"


def table_csv(subject: Subject) -> str:
    """The table's numbers, one line a method."""
    rows = notebook.rows(subject)
    return csv_text(list(rows[0]), [["" if x is None else x for x in row.values()] for row in rows])


def write_figure(subject: Subject, path: Path, columns: int) -> None:
    """The curves, as wide as one column of a page or two."""
    pyplot = notebook.required("matplotlib.pyplot")
    with pyplot.rc_context(STYLE), whole(path) as place:
        width = WIDTHS[columns]
        figure, axes = pyplot.subplots(figsize=(width, width * (0.75 if columns == 1 else 0.45)), layout="constrained")
        try:
            notebook.plot(subject.records, subject.comparison, axes)
            about = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else {}
            figure.savefig(place, format=path.suffix[1:], metadata=about, dpi=300)
        finally:
            pyplot.close(figure)


def _text(write: Callable[[Subject], str]) -> Callable[[Subject, Path, int], None]:
    return lambda subject, path, columns: store.write_text(path, write(subject))


WRITERS: dict[str, Callable[[Subject, Path, int], None]] = {  # by the ending of the file
    ".tex": _text(table_tex),
    ".csv": _text(table_csv),
    ".svg": write_figure,
    ".pdf": write_figure,
    ".png": write_figure,
}
