"""One page about a run or several: the verdict, what it rests on, and how to repeat it. It needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transreward.reports import paper
from transreward.reports.sections import SECTIONS, summary
from transreward.reports.subject import Subject
from transreward.runs import store
from transreward.runs.record import Record, in_order, merge, read, require_one_pair
from transreward.types import RequestError

MACROS = '{% from "macros.html" import cells, grid, key, plain, scroll %}\n'


def page(records: Sequence[Record], comparison: bool = False) -> str:
    """The report as HTML. The first of `records` is what the page is about, unless it is a comparison of all."""
    from jinja2 import Environment, FileSystemLoader

    subject = Subject.of(records, comparison)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def render(html: str, content: Mapping[str, Any]) -> str:
        return templates.from_string(MACROS + html).render(content, subject=subject)

    # all contents first: a chart takes its number on the page when it is drawn
    found = [(s, [(b.HTML, c) for b in s.blocks if (c := b.content(subject)) is not None]) for s in SECTIONS]
    sections = [(section, "".join(render(*block) for block in blocks)) for section, blocks in found if blocks]
    head = render(summary.HTML, summary.content(subject))
    return templates.get_template("page.html").render(subject=subject, head=head, sections=sections).rstrip()


def write_report(
    directories: Sequence[str | Path],
    out: str | Path | None = None,
    columns: int = 1,
    first: Callable[[Path], object] = lambda place: None,
) -> Path:
    """`write_reports` of one file. Returns where it lies."""
    return write_reports(directories, [] if out is None else [out], columns, first)[0]


def write_reports(
    directories: Sequence[str | Path],
    outs: Sequence[str | Path] = (),
    columns: int = 1,
    first: Callable[[Path], object] = lambda place: None,
) -> list[Path]:
    """One page about a run or a comparison, or about several runs of one pair. Returns the files.

    `outs` is report.html in the directory where there is one directory; a file that ends as one of `paper.PAPER` gets
    the table or the curves alone, these as wide as so many `columns` of a paper's page. `first` is done with each
    directory, once nothing is wrong with the request. Raises RequestError where a directory holds no run, where the
    runs are of different pairs, and where a file cannot be written; then none is.
    """
    places = list(dict.fromkeys(Path(d) for d in directories))
    if not places:
        raise RequestError("name the run directories that the report is about")
    runs = [read(place) for place in places]
    require_one_pair(runs)
    if not outs and len(places) > 1:
        raise RequestError('say where the report of several runs goes: `out="report.html"`')
    files = list(map(Path, outs)) or [places[0] / "report.html"]
    paper.require(files, columns)
    for place in places:
        first(place)
    comparison = len(places) > 1 or (places[0] / "comparison.json").exists()
    records = merge(runs) if len(places) > 1 else in_order(runs[0], places[0])
    for file in files:
        if paper.kind(file) == "page":
            store.write_text(file, page(records, comparison))
        else:
            paper.write(Subject.of(records, comparison), file, columns)
    return files
