"""Run directories as a report reads them: whole runs, comparisons, and runs that were cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transreward.domains.users import import_modules
from transreward.evaluation.record import Record
from transreward.evaluation.report import page
from transreward.runs import store
from transreward.types import RequestError

PAIR = ("source", "target")


def write_report(directories: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """One page about a run or a comparison, or about several runs of one pair. Returns where it lies.

    `out` is report.html in the directory where there is one directory. Raises RequestError where a directory holds no
    run, where the runs are of different pairs, and where the file cannot be written.
    """
    places = list(dict.fromkeys(Path(d) for d in directories))
    if not places:
        raise RequestError("name the run directories that the report is about")
    runs = [read(place) for place in places]
    require_one_pair(runs)
    if out is None:
        if len(places) > 1:
            raise RequestError('say where the report of several runs goes: `out="report.html"`')
        out = places[0] / "report.html"
    if Path(out).is_dir():
        raise RequestError(f"`out` {out} is a directory: name a file, such as {Path(out) / 'report.html'}")
    if Path(out).suffix not in (".html", ".htm"):
        raise RequestError(f"`out` {out} is no page: name a file that ends in .html")
    comparison = len(places) > 1 or (places[0] / "comparison.json").exists()
    text = page(merge(runs) if len(places) > 1 else in_order(runs[0], places[0]), comparison)
    store.write_text(Path(out), text)
    return Path(out)


def read(place: Path) -> list[Record]:
    """The run of a directory and then its controls. Raises RequestError where it holds no run."""
    if not place.is_dir():
        raise RequestError(f"{place} is not a run directory: there is no such directory")
    config = store.read_json(place / "config.json")
    import_modules(config.get("imports", ()))
    agent = str(Path(config["source_run"] or place).resolve())
    first = _record(place, place, config, agent)
    found = store.read_json(place / "provenance.json") if (place / "provenance.json").exists() else {}
    first = replace(first, provenance=found, videos=tuple(sorted((place / "videos").glob("*.mp4"))))
    folders = store.controls(place, config, ("metrics.jsonl", "result.json"))
    return [first, *(_record(p, place, _config(p, config), agent) for p in folders)]


def _record(place: Path, run: Path, config: dict[str, Any], agent: str) -> Record:
    done = place / "result.json"
    result = store.read_json(done) if done.exists() else None
    shares = result is not None and result.get("source_agent", result["zero_shot_target_return"] is not None)
    rows = store.read_rows(place)
    return Record(config, rows, result, str(place), str(run), agent=agent if shares else None)


def _config(place: Path, parent: dict[str, Any]) -> dict[str, Any]:
    """Of a control, which has none of its own until the run ends."""
    own = place / "config.json"
    return store.read_json(own) if own.exists() else {**parent, "method": place.name, "controls": []}


def require_one_pair(runs: Sequence[Sequence[Record]]) -> None:
    """Raise RequestError where runs are of different pairs."""
    first = runs[0][0]
    for other, *_ in runs[1:]:
        if any(other.config[side] != first.config[side] for side in PAIR):
            pairs = [f"{r.place} is {r.config['source']} -> {r.config['target']}" for r in (first, other)]
            raise RequestError(f"one report is about one pair, but {' and '.join(pairs)}")


def in_order(run: list[Record], place: Path) -> list[Record]:
    """As comparison.json has the methods, where there is one."""
    table = place / "comparison.json"
    names = list(store.read_json(table)["methods"]) if table.exists() else []
    return sorted(run, key=lambda r: names.index(r.config["method"]) if r.config["method"] in names else len(names))


def merge(runs: Sequence[Sequence[Record]]) -> list[Record]:
    """The methods of several runs side by side, the methods before the controls.

    A method that several runs hold with the same settings, seeds and returns is shown once; otherwise it goes by its
    directory too.
    """
    kept: list[Record] = []
    for record in (r for run in runs for r in run):
        if not any(_same(record, other) for other in kept):
            kept.append(record)
    names = [r.config["method"] for r in kept]
    labelled = [
        replace(r, label=f"{r.config['method']} ({_own_run(r, runs)})") if names.count(r.config["method"]) > 1 else r
        for r in kept
    ]
    return sorted(labelled, key=lambda r: r.control)


def _own_run(record: Record, runs: Sequence[Sequence[Record]]) -> str:
    """The name of the directory that was asked for."""
    place = next(run[0].place for run in runs if record in run)
    places = [Path(run[0].place) for run in runs]
    return place if [p.name for p in places].count(Path(place).name) > 1 else Path(place).name


def _same(a: Record, b: Record) -> bool:
    """Whether two directories hold one and the same run of a method."""
    apart = ("versions", "source_run", "controls", "shift")
    configs = [{k: v for k, v in r.config.items() if k not in apart} for r in (a, b)]
    both = a.result is not None and b.result is not None
    return configs[0] == configs[1] and both and a.result["target_return"] == b.result["target_return"]  # type: ignore[index]
