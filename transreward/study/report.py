"""The results of a study, finished or not: a table of all pairs and methods, and one page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from transreward.evaluation.verdict import Outcome, number, verdict
from transreward.reports.cells import counted, mean
from transreward.reports.page import page
from transreward.reports.sections.verdict import WORDS
from transreward.reports.terminal import columns, fitting
from transreward.runs.record import Record
from transreward.runs.record import read as read_run
from transreward.study import folder
from transreward.study.jobs import Job
from transreward.types import CONTROLS, RequestError

TEMPLATE = Path(__file__).with_name("page.html")
FILE, TABLE = "report.html", "table.md"
# columns dropped if the table is too wide, in order
GIVES_WAY = ("wall time", "evaluation", "source\nsteps", "updates", "seeds")


@dataclass(frozen=True)
class Line:
    """One method on one pair, with its runs: several if seeds were added later."""

    method: str  # its name in the plan
    jobs: tuple[Job, ...]
    records: tuple[Record, ...]  # of the jobs that have results so far
    state: str  # why it is incomplete, or empty

    @cached_property
    def outcome(self) -> Outcome | None:
        """The outcome over the seeds of all its runs; None if nothing was evaluated."""
        found = [record.outcome for record in self.records]
        if not found:
            return None
        agents = [one.agent for one in found]
        evaluated = [one.evaluation_steps for one in found]
        return replace(
            found[0],
            name=self.method,
            per_seed=np.concatenate([one.per_seed for one in found]),
            seeds=tuple(seed for one in found for seed in one.seeds),
            target_steps=max(one.target_steps for one in found),
            evaluation_steps=None if None in evaluated else most(evaluated),
            agent=None if None in agents else " ".join(agent for agent in agents if agent is not None),
            finished=not self.state and all(one.finished for one in found),
        )

    @property
    def control(self) -> bool:
        """True if it is a control."""
        return self.jobs[0].request["method"] in CONTROLS or any(record.control for record in self.records)


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
    folder.put(out / TABLE, markdown(rows, done))
    pages = {pair: page_of(own) for pair, own in lines.items()}
    titles = {pair: title(own[0].jobs[0]) for pair, own in lines.items()}
    folder.put(out / FILE, whole_page(out, rows, titles, pages, done))
    return as_text(rows, titles), out / FILE


def line_of(name: str, jobs: Sequence[Job], running: set[Path]) -> Line:
    """The line of one method on one pair, from what its runs have left so far."""
    records, states = [], []
    for job in jobs:
        state = "" if job.done else "running" if job.place in running else ""
        try:
            if (job.place / "config.json").exists():
                records.append(record_of(job, len(jobs) > 1))
        except RequestError as error:
            state = state or str(error)
        if not job.done:
            failure = f"failed: {job.failure}" if job.failure else ""
            state = state or failure or ("stopped" if job.place.is_dir() else "to do")
        states.append(state)
    return Line(name, tuple(jobs), tuple(records), "; ".join(dict.fromkeys(filter(None, states))))


def record_of(job: Job, several: bool) -> Record:
    """The record of a job's run, under the method's name in the plan."""
    found = read_run(job.place)[0]
    first, last = found.seeds[0], found.seeds[-1]
    return replace(found, label=f"{job.method}, seeds {first} to {last}" if several else job.method)


# -- the table -----------------------------------------------------------------------------------------------------


def table(lines: Sequence[Line]) -> list[dict[str, str]]:
    """A row per method: raw target return, differences to each control, and cost."""
    controls = {line.method: line.outcome for line in lines if line.method in CONTROLS}
    judged = sum(not line.control for line in lines)
    return [row(line, {c: controls[c] for c in CONTROLS if c in controls}, judged) for line in lines]


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


def most(numbers: Iterable[int | None]) -> int | None:
    """The largest of several runs' counts, which are nearly equal; None if nothing was counted."""
    return max((n for n in numbers if n is not None), default=None)


def as_text(rows: Mapping[str, list[dict[str, str]]], titles: Mapping[str, str]) -> str:
    """The table for a terminal, by pair."""
    console = Console(file=io.StringIO(), width=Console().width if Console().is_terminal else 200)
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
) -> str:
    """One HTML page with the table and each pair's comparison."""
    from jinja2 import Environment

    parts: list[dict[str, Any]] = [
        {"title": titles[pair], "heads": list(own[0]), "rows": [list(cells.values()) for cells in own],
         "page": pages[pair]}
        for pair, own in rows.items()
    ]  # fmt: skip
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(name=out.resolve().name, done=done, pairs=parts)
