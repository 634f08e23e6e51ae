"""The results of a study, finished or not: a table of all pairs and methods, and one page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from transreward import reports
from transreward.evaluation.verdict import Outcome, number, verdict
from transreward.reports.cells import counted, mean
from transreward.reports.columns import columns, fitting
from transreward.reports.page import page
from transreward.reports.sections.verdict import WORDS
from transreward.study import across, folder, search
from transreward.study.jobs import Job
from transreward.study.lines import Line, line_of, most
from transreward.types import CONTROLS

TEMPLATE, MACROS = Path(__file__).with_name("page.html"), Path(reports.__file__).parent
FILE, TABLE = "report.html", "table.md"
EACH = "target returns, a row a pair"
# columns dropped if the table is too wide, in order
GIVES_WAY = ("wall time", "evaluation", "source\nsteps", "updates", "seeds")


def write_report(out: Path) -> tuple[str, Path]:
    """Write table and page. Returns the table as text and the path of the page.

    Raises RequestError if the directory holds no study.
    """
    jobs, running = folder.read(out)
    pairs: dict[str, dict[str, list[Job]]] = {}
    for job in jobs:
        if job.method:
            pairs.setdefault(job.pair, {}).setdefault(job.method, []).append(job)
    lines = {pair: [line_of(name, own, running) for name, own in rows.items()] for pair, rows in pairs.items()}
    rows = {pair: table(own) for pair, own in lines.items()}
    done = f"{sum(job.done for job in jobs)} of {len(jobs)} jobs done"
    summary = across.summarised(lines)
    tried = search.about(out)
    words = f"{done}. {tried['said']}" if tried else done
    folder.put(out / TABLE, markdown(rows, words) + (markdown_of(summary) if summary else ""))
    pages = {pair: page_of(own) for pair, own in lines.items()}
    titles = {pair: title(own[0].jobs[0]) for pair, own in lines.items()}
    folder.put(out / FILE, whole_page(out, rows, titles, pages, done, summary, tried))
    if len(lines) > 1:
        titles, rows = {**titles, EACH: EACH}, {**rows, EACH: in_a_row_each(lines)}
    if summary:
        titles, rows = {**titles, across.TITLE: across.TITLE}, {**rows, across.TITLE: summary.rows}
    below = [summary.few if summary else "", tried["said"] if tried else ""]
    return "\n\n".join([as_text(rows, titles), *filter(None, below)]), out / FILE


# -- the table -----------------------------------------------------------------------------------------------------


def table(lines: Sequence[Line]) -> list[dict[str, str]]:
    """A row per method: raw target return, differences to each control, and cost."""
    controls = {line.method: line.outcome for line in lines if line.method in CONTROLS}
    judged = sum(not line.control for line in lines)
    return [row(line, {c: controls[c] for c in CONTROLS if c in controls}, judged) for line in lines]


def in_a_row_each(lines: Mapping[str, Sequence[Line]]) -> list[dict[str, str]]:
    """Each pair's target returns, by method."""
    empty = {line.method: "-" for own in lines.values() for line in own}
    found = {
        pair: {one.method: mean(one.outcome.per_seed) for one in own if one.outcome} for pair, own in lines.items()
    }
    return [{"pair": pair, **empty, **own} for pair, own in found.items()]


def row(line: Line, controls: Mapping[str, Outcome | None], judged: int) -> dict[str, str]:
    """The cells of one method, by column; `-` for what is not known yet."""
    one = line.outcome
    others = {name: other for name, other in controls.items() if other is not None and name != line.method}
    over = {f"over\n{name}": "-" for name in controls}
    said = "-"
    if one is not None and len(one.per_seed):
        over |= {f"over\n{name}": lead(one, other) for name, other in others.items() if len(other.per_seed)}
        if not line.control:
            said = WORDS.get(verdict(one, [*others.values(), *unchanged(line, others)], judged).kind, "-")
    seconds = [record.result["wall_seconds"] for record in line.records if record.result is not None]
    return {
        "method": line.method,
        "seeds": counted(one and len(one.seeds)),
        "target return\nmean ± 95% t": mean(one.per_seed) if one else "-",
        **over,
        "verdict": said,
        "updates": counted(most(record.updates for record in line.records)),
        "target\nsteps": counted(one and one.target_steps),
        "evaluation": counted(one and one.evaluation_steps),
        "source\nsteps": counted(most(record.source_steps for record in line.records)),
        "wall time": f"{sum(seconds):,.0f} s" if seconds else "-",
        "state": line.state or "done",
    }


def unchanged(line: Line, others: Mapping[str, Outcome]) -> list[Outcome]:
    """The source policy's outcomes that the runs themselves noted, if it is not a method of the plan: it is a control
    in any case, as on a page."""
    noted = [(record.result or {}).get("zero_shot_target_return") for record in line.records]
    known = [returns["per_seed"] for returns in noted if returns]
    if CONTROLS[0] in others or line.outcome is None or len(known) < len(noted):
        return []
    per_seed = np.concatenate(known)
    return [Outcome(CONTROLS[0], per_seed, line.outcome.seeds, 0, 0, agent=line.outcome.agent)]


def lead(one: Outcome, other: Outcome) -> str:
    """The difference of the mean returns, and the half-width of its interval."""
    d = one.over(other)
    return number(d["mean"], True) + (f" ± {number(d['interval'][1] - d['mean'])}" if d["interval"] else "")


def as_text(rows: Mapping[str, list[dict[str, str]]], titles: Mapping[str, str]) -> str:
    """The table for a terminal, by pair."""
    console = Console(file=io.StringIO(), width=Console().width if Console().is_terminal else 200, force_jupyter=False)
    for pair, own in rows.items():
        console.print(f"\n{titles[pair]}", style="bold", highlight=False, soft_wrap=True)
        console.print(columns(fitting(own, console.width, GIVES_WAY)))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def markdown(rows: Mapping[str, list[dict[str, str]]], done: str) -> str:
    """The table as one table in Markdown."""
    heads = list(dict.fromkeys(head for own in rows.values() for cells in own for head in cells))
    lines = [["pair", *heads], ["---"] * (len(heads) + 1)]
    lines += [[pair, *(cells.get(head, "-") for head in heads)] for pair, own in rows.items() for cells in own]
    text = "\n".join(f"| {' | '.join(one_line(cell) for cell in line)} |" for line in lines)
    return f"{text}\n\n{done}. Returns are raw returns in the target, means over seeds with Student's 95% interval.\n"


def markdown_of(summary: across.Summary) -> str:
    """The table over all pairs in Markdown."""
    lines = [list(summary.rows[0]), ["---"] * len(summary.rows[0]), *(list(row.values()) for row in summary.rows)]
    text = "\n".join(f"| {' | '.join(one_line(cell) for cell in line)} |" for line in lines)
    return f"\n{across.TITLE}:\n\n{text}\n" + (f"\n{summary.few}\n" if summary.few else "")


def one_line(cell: str) -> str:
    """A cell for a Markdown table."""
    return " ".join(cell.split()).replace("|", "/")


# -- the page ------------------------------------------------------------------------------------------------------


def title(job: Job) -> str:
    """The heading of a job's pair."""
    domains = f"{job.request['source']} -> {job.request['target']}"
    return domains if job.pair == job.request["target"] else f"{job.pair}: {domains}"


def page_of(lines: Sequence[Line]) -> str:
    """The HTML comparison of the methods with results on a pair; empty if there are none."""
    records = [record for line in lines for record in line.records]
    return page(records, comparison=True) if records else ""


def whole_page(
    out: Path,
    rows: Mapping[str, list[dict[str, str]]],
    titles: Mapping[str, str],
    pages: Mapping[str, str],
    done: str,
    summary: across.Summary | None = None,
    tried: Mapping[str, Any] | None = None,
) -> str:
    """One HTML page with the table and each pair's comparison, and before them what holds over all pairs."""
    from jinja2 import Environment, FileSystemLoader

    parts: list[dict[str, Any]] = [
        {"title": titles[pair], "heads": list(own[0]), "rows": [list(cells.values()) for cells in own],
         "page": pages[pair]}
        for pair, own in rows.items()
    ]  # fmt: skip
    loader = FileSystemLoader(MACROS)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    head = environment.from_string(across.HTML).render(across.content(summary)) if summary else ""
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(name=out.resolve().name, done=done, pairs=parts, across=head, tried=tried)
