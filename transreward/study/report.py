"""The results of a study, finished or not: a table of all pairs and methods, and one page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from transreward import reports
from transreward.domains.several import apart
from transreward.evaluation.verdict import Outcome, Verdict, number, verdict
from transreward.reports.cells import counted, mean
from transreward.reports.columns import columns, fitting, in_parts
from transreward.reports.page import page
from transreward.reports.paper import piped
from transreward.reports.sections.verdict import WORDS
from transreward.study import across, folder, search
from transreward.study.jobs import Job
from transreward.study.lines import Line, line_of, most
from transreward.types import CONTROLS

TEMPLATE, MACROS = Path(__file__).with_name("page.html"), Path(reports.__file__).parent
FILE, TABLE = "report.html", "table.md"
EACH = "target returns, a row a pair"
# columns dropped if the table is too wide, in order
GIVES_WAY = ("wall time", "evaluation", "source\nsteps", "source steps", "updates", "seeds", "target steps", "pairs")


@dataclass(frozen=True)
class Study:
    """What a study has so far."""

    out: Path
    lines: Mapping[str, Sequence[Line]]  # by pair, in the order of the plan
    done: str  # how many jobs are
    summary: across.Summary | None  # None: no two pairs can be compared yet
    tried: dict[str, Any] | None  # of a search


def opened(out: Path) -> Study:
    """Read a study. Raises RequestError if the directory holds none."""
    jobs, running = folder.read(out)
    pairs: dict[str, dict[str, list[Job]]] = {}
    for job in jobs:
        if job.method:
            pairs.setdefault(job.pair, {}).setdefault(job.method, []).append(job)
    lines = {pair: [line_of(name, own, running) for name, own in rows.items()] for pair, rows in pairs.items()}
    done = f"{sum(job.done for job in jobs)} of {len(jobs)} jobs done"
    return Study(out, lines, done, across.summarised(lines), search.about(out))


def write_report(out: Path) -> tuple[str, Path]:
    """Write table and page. Returns the table as text and the path of the page.

    Raises RequestError if the directory holds no study.
    """
    study = opened(out)
    rows = {pair: table(own) for pair, own in study.lines.items()}
    tried, summary = study.tried, study.summary
    words = f"{study.done}. {tried['said']}" if tried else study.done
    folder.put(out / TABLE, markdown(rows, words) + (markdown_of(summary) if summary else ""))
    folder.put(out / FILE, page_text(study))
    titles = titled(study)
    if len(rows) > 1:
        titles, rows = {**titles, EACH: EACH}, {**rows, EACH: in_a_row_each(study.lines)}
    if summary:
        titles, rows = {**titles, across.TITLE: across.TITLE}, {**rows, across.TITLE: summary.rows}
    below = [summary.few if summary else "", tried["said"] if tried else ""]
    return "\n\n".join([as_text(rows, titles), *filter(None, below)]), out / FILE


# -- the table -----------------------------------------------------------------------------------------------------


def table(lines: Sequence[Line]) -> list[dict[str, str]]:
    """A row per method: raw target return, differences to each control, and cost."""
    controls, said = controls_of(lines), verdicts(lines)
    return [
        row(line, controls, WORDS.get(said[line.method].kind, "-") if line.method in said else "-") for line in lines
    ]


def controls_of(lines: Sequence[Line]) -> dict[str, Outcome | None]:
    """The controls among the methods of a pair; None: not evaluated yet."""
    found = {line.method: line.outcome for line in lines if line.method in CONTROLS}
    return {name: found[name] for name in CONTROLS if name in found}


def verdicts(lines: Sequence[Line]) -> dict[str, Verdict]:
    """Of the methods of a pair that are no controls and were evaluated, by name: they are judged together."""
    controls, found = controls_of(lines), {}
    for line in (line for line in lines if not line.control):
        if line.outcome is not None and len(line.outcome.per_seed):
            others = {name: one for name, one in controls.items() if one is not None and name != line.method}
            together = sum(not one.control for one in lines)
            found[line.method] = verdict(line.outcome, [*others.values(), *unchanged(line, others)], together)
    return found


def in_a_row_each(lines: Mapping[str, Sequence[Line]]) -> list[dict[str, str]]:
    """Each pair's target returns, by method."""
    empty = {line.method: "-" for own in lines.values() for line in own}
    found = {
        pair: {one.method: mean(one.outcome.per_seed) for one in own if one.outcome} for pair, own in lines.items()
    }
    return [{"pair": pair, **empty, **own} for pair, own in found.items()]


def row(line: Line, controls: Mapping[str, Outcome | None], said: str) -> dict[str, str]:
    """The cells of one method, by column; `-` for what is not known yet."""
    one = line.outcome
    others = {name: other for name, other in controls.items() if other is not None and name != line.method}
    over = {f"over\n{name}": "-" for name in controls}
    if one is not None and len(one.per_seed):
        over |= {f"over\n{name}": lead(one, other) for name, other in others.items() if len(other.per_seed)}
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
    width = Console().width if Console().is_terminal else 200
    console = Console(file=io.StringIO(), width=width, force_jupyter=False, markup=False, emoji=False)
    for pair, own in rows.items():
        console.print(f"\n{titles[pair]}", style="bold", highlight=False, soft_wrap=True)
        for part in in_parts(fitting(own, console.width, GIVES_WAY), console.width):
            console.print(columns(part))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def markdown(rows: Mapping[str, list[dict[str, str]]], done: str) -> str:
    """The table as one table in Markdown."""
    heads = list(dict.fromkeys(head for own in rows.values() for cells in own for head in cells))
    lines = [["pair", *heads], ["---"] * (len(heads) + 1)]
    lines += [[pair, *(cells.get(head, "-") for head in heads)] for pair, own in rows.items() for cells in own]
    note = "Returns are raw returns in the target, means over seeds with Student's 95% interval."
    return f"{piped(lines)}\n\n{done}. {note}\n"


def markdown_of(summary: across.Summary) -> str:
    """The table over all pairs in Markdown."""
    lines = [list(summary.rows[0]), ["---"] * len(summary.rows[0]), *(list(row.values()) for row in summary.rows)]
    return f"\n{across.TITLE}:\n\n{piped(lines)}\n" + (f"\n{summary.few}\n" if summary.few else "")


# -- the page ------------------------------------------------------------------------------------------------------


def title(job: Job) -> str:
    """The heading of a job's pair."""
    domains = f"{job.request['source']} -> {job.request['target']}"
    return domains if job.pair == job.request["target"] else f"{job.pair}: {domains}"


def page_of(lines: Sequence[Line]) -> str:
    """The HTML comparison of the methods with results on a pair; empty if there are none."""
    records = [record for line in lines for record in line.records]
    return page(records, comparison=True) if records else ""


def titled(study: Study) -> dict[str, str]:
    """Pair -> its heading."""
    return {pair: title(max((line.jobs[0] for line in own), key=_sources)) for pair, own in study.lines.items()}


def _sources(job: Job) -> int:
    """Of several, which a pair has, a control takes one."""
    return len(apart(job.request["source"]))


def page_text(study: Study) -> str:
    """One HTML page with the table and each pair's comparison, and before them what holds over all pairs."""
    from jinja2 import Environment, FileSystemLoader

    titles, summary = titled(study), study.summary
    parts: list[dict[str, Any]] = [
        {"title": titles[pair], "heading": across.breakable(titles[pair].replace(" -> ", " → ")),
         "heads": list(rows[0]), "rows": [list(cells.values()) for cells in rows], "page": page_of(own)}
        for pair, own in study.lines.items() for rows in [table(own)]
    ]  # fmt: skip
    loader = FileSystemLoader(MACROS)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    head = environment.from_string(across.HTML).render(across.content(summary)) if summary else ""
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    name = study.out.resolve().name
    return template.render(name=name, done=study.done, pairs=parts, across=head, tried=study.tried)
