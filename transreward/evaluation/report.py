"""One page about a run or several: the verdict, what it rests on, and how to repeat it. It needs no network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from transreward.domains.changes import Change, changes
from transreward.domains.ids import domain
from transreward.domains.names import action_names, entry_names, numbered
from transreward.domains.symmetries import plain
from transreward.evaluation import diagnostics
from transreward.evaluation.figures import Chart, Line, csv_text, swatch
from transreward.evaluation.record import Record, account, account_of_all
from transreward.evaluation.repeat import repeat
from transreward.evaluation.statistics import (
    bootstrap_interval,
    interval,
    probability_of_improvement,
    robust_summary,
)
from transreward.evaluation.verdict import LEAST, Outcome, Verdict, best, certain, number, pairwise, percent, verdict
from transreward.methods import method
from transreward.types import CONTROLS, BrokenRun, RequestError

TEMPLATE = Path(__file__).with_name("report.html")
SHARES = (0.5, 0.8, 0.95)  # of the oracle's return, to which target steps are counted
FILMS = {"before": "before: the source policy as it was", "after": "after: the policy of the run"}  # file -> caption
VIDEO_BYTES = 7_000_000  # of all videos together; with more the page would be too heavy to send
STYLES = {"fine_tune": 1, "target_only": 2, "zero_shot": 3, "oracle": 7}  # the others take what is left
FREE = (0, 4, 5, 6)
MOST_ENTRIES = 10  # of states and actions that are shown; the CSV has all
WIDE = (860, 400)  # of the figure that comes first, where there is room
ROUND = ("round", "policy_change", "gap_mean", "gap_std", "gap_loss")  # what the table of rounds shows of each
RETURNS = ("target_return", "source_return", "compensated_return")


class Figure(NamedTuple):
    """A chart on the page, and the numbers behind it."""

    title: str
    text: str
    svg: str
    wide: str  # the same where there is room, or empty
    csv: str  # as a link
    file: str


class Cell(NamedTuple):
    """One cell of a table: what is shown, and what it is sorted by."""

    text: str
    value: float | str = ""
    note: str = ""
    tone: str = ""


def page(records: Sequence[Record], comparison: bool = False) -> str:
    """The report as HTML. The first of `records` is what the page is about, unless it is a comparison of all."""
    from jinja2 import Environment

    records = sorted(records, key=_rank) if not comparison else records
    focus = next((r for r in records if not r.control and r.own), records[0]) if comparison else records[0]
    styles = _styles(records)
    parts = {
        "kind": "comparison" if comparison else "run",
        "focus": focus,
        "title": f"{focus.config['source']} → {focus.config['target']}",
        "summary": _summary(records, focus, comparison),
        "unfinished": [r.name for r in records if r.result is None],
        "headline": best([r.outcome for r in records]) if comparison else "",
        "verdicts": _verdicts(records, focus, comparison),
        "outcomes": _outcomes(records),
        "differences": {} if comparison else _differences(focus, records),
        "table": _table(records) if comparison else None,
        "matrix": _matrix(records) if comparison else None,
        "profile": _profile(records, styles) if comparison else None,
        "legend": lambda: [
            (swatch(styles[r.name], r.name), r.name, _about(r)) for r in records
        ],  # anew: ids are unique
        "eval_target": focus.eval_target,
        "ceiling": any(r.outcome.breaks_budget for r in records),
        "curves": _curves(records, styles),
        "compensation": _compensation(records, styles),
        "where": _where(focus),
        "rounds": _rounds(focus),
        "terms": _terms(focus),
        "term_table": _term_table(records),
        "warnings": _warnings(records),
        "videos": _videos(records),
        "shift": _shift(focus.config),
        "runs": _runs(records),
    }
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(parts)


def _rank(record: Record) -> int:
    """The method first, then the controls as they are always named, then the others."""
    name = record.config["method"]
    if record.provenance is not None:
        return -1
    return CONTROLS.index(name) if name in CONTROLS else len(CONTROLS)


def _styles(records: Sequence[Record]) -> dict[str, int]:
    """Of each method: a control's own where it is free, else the next."""
    found: dict[str, int] = {}
    others = (8 * turn + style for turn in count() for style in FREE)
    for r in records:
        own = STYLES.get(r.config["method"])
        found[r.name] = next(others) if own is None or own in found.values() else own
    return found


def _about(record: Record) -> str:
    try:
        return method(record.config["method"]).summary
    except RequestError:
        return ""


def _summary(records: Sequence[Record], focus: Record, comparison: bool) -> list[tuple[str, str]]:
    """What was asked for, in a line of facts."""
    c = focus.config
    seeds = sorted({seed for r in records for seed in r.seeds})
    spent = [(len(r.seeds), r.outcome.target_steps, r.evaluation_steps) for r in records]
    return [
        ("methods" if comparison else "method", ", ".join(r.name for r in records) if comparison else focus.name),
        ("learner", c["learner"]["name"]),
        ("seeds", f"{len(seeds)} ({', '.join(map(str, seeds))})"),
        ("target budget", f"{c['target_steps']:,} steps a seed"),
        ("source budget", f"{c['source_steps']:,} steps a seed"),
        *((f"target steps of {r.name}", _account(r)) for r in records),
        ("target steps in all", account_of_all(spent, focus.eval_target)),
    ]


# -- the verdict ---------------------------------------------------------------------------------------------------


def _controls(one: Record, records: Sequence[Record]) -> list[Outcome]:
    """What it is compared with: of each control that of its own run, if there are several; where zero_shot was not run,
    its own source agent's return."""
    found, start = [], (one.result or {}).get("zero_shot_target_return")
    for name in CONTROLS:
        of_all = [r for r in records if r.config["method"] == name and r is not one]
        own = [r for r in of_all if r.run == one.run] or of_all
        if own and one.config["method"] != name:
            found.append(replace(own[0].outcome, name=name))
        elif name == "zero_shot" and start and one.config["method"] not in CONTROLS:
            found.append(Outcome(name, np.array(start["per_seed"]), one.seeds, 0, 0, agent=one.agent))
    return found


def _verdicts(records: Sequence[Record], focus: Record, comparison: bool) -> list[tuple[str, Verdict]]:
    """Of the run; or of each method of a comparison that is no control, all together."""
    judged = [r for r in records if not r.control] if comparison else [focus]
    return [(r.name, verdict(r.outcome, _controls(r, records), len(judged))) for r in judged]


def _outcomes(records: Sequence[Record]) -> list[list[str]]:
    """A row for each method: final raw returns and what they cost."""
    rows = []
    for r in records:
        source = (r.result or {}).get("source_return")
        rows.append([
            r.name, _mean(r.outcome.per_seed), " ".join(number(x) for x in r.outcome.per_seed),
            _mean(source["per_seed"]) if source else "-", _counted(_updates(r)),
            f"{r.outcome.target_steps:,}", _counted(r.evaluation_steps),
            f"{_source_steps(r):,}", _stopped(r),
        ])  # fmt: skip
    return rows


def _updates(record: Record) -> int | None:
    """Of the learner after the source agent; None: a run of before they were counted."""
    if record.result is not None:
        return record.result.get("updates")
    return max((row.get("updates", 0) for row in record.own), default=0)


def _counted(n: int | None) -> str:
    return "-" if n is None else f"{n:,}"


def _account(r: Record) -> str:
    return account(r.outcome.target_steps, r.evaluation_steps, r.eval_target)


def _source_steps(record: Record) -> int:
    if record.result is not None:
        return record.result["source_steps"]
    return max((row["source_steps"] for row in record.rows), default=0)


def _stopped(record: Record) -> str:
    if record.result is None:
        return "cut short"
    return "-" if record.config["method"] == "zero_shot" else record.result["stopped"]


def _mean(per_seed: Sequence[float] | np.ndarray) -> str:
    """Mean and the half-width of its interval."""
    if not len(per_seed):
        return "not evaluated"
    bounds, mean = interval(np.array(per_seed)), float(np.mean(per_seed))
    return number(mean) + (f" ± {number(bounds[1] - mean)}" if bounds else "")


def _differences(focus: Record, records: Sequence[Record]) -> list[list[str]]:
    """Against each control: by how much, how sure, how often."""
    rows = []
    controls = _controls(focus, records)
    for name, d in verdict(focus.outcome, controls).differences.items():
        other = next(c for c in controls if c.name == name)
        chance, bounds = _chance(focus.outcome, other)
        ends, how = d["interval"], "seed by seed" if d["paired"] else "Welch"
        bound = (
            f"{number(ends[0], True)} to {number(ends[1], True)} ({percent(d['level'])})" if ends else "one seed: none"
        )
        rows.append([name, number(d["mean"], True), bound, how, chance + bounds])
    return rows


def _chance(one: Outcome, other: Outcome) -> tuple[str, str]:
    """P(one > other), and its bootstrap interval in brackets."""
    samples = one.per_seed, other.per_seed
    bounds = bootstrap_interval(probability_of_improvement, *samples)
    text = f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""
    return f"{float(probability_of_improvement(*samples)):.2f}", text


# -- a comparison --------------------------------------------------------------------------------------------------


def _table(records: Sequence[Record]) -> dict[str, Any]:
    """Sortable: a row for each method."""
    oracle = next((r for r in records if r.config["method"] == "oracle" and r.result), None)
    columns = ["method", "IQM", "mean ± 95% t"]
    columns += [f"P over {r.name}" for r in _in_table(records)]
    columns += [f"steps to {share:.0%}" for share in SHARES] if oracle else []
    columns += ["updates", "target steps, learning", "evaluation", "source steps", "wall time"]
    return {"columns": columns, "rows": [_row(r, records, oracle) for r in records], "oracle": oracle}


def _in_table(records: Sequence[Record]) -> list[Record]:
    """The controls, as they are always named."""
    return [r for name in CONTROLS for r in records if r.config["method"] == name]


def _row(r: Record, records: Sequence[Record], oracle: Record | None) -> list[Cell]:
    if len(r.outcome.per_seed):
        s = robust_summary(r.outcome.per_seed[:, None])
        bounds = s["iqm_ci95"]
        width = f"{number(bounds[0])} to {number(bounds[1])}" if bounds else ""
        cells = [Cell(number(s["iqm"]), s["iqm"], width), Cell(_mean(s["per_seed"]), s["mean"])]
    else:
        cells = [Cell("-"), Cell("not evaluated")]
    for control in _in_table(records):
        known = control is not r and len(control.outcome.per_seed) and len(r.outcome.per_seed)
        chance, bounds = _chance(r.outcome, control.outcome) if known else ("-", "")
        cells.append(Cell(chance, float(chance) if known else "", bounds.strip(" ()")))
    for level in [wanted(oracle, share) for share in SHARES] if oracle else ():
        steps = None if r is oracle else steps_to(r, level)
        cells.append(Cell("-" if steps is None else f"{steps:,.0f}", "" if steps is None else steps))
    spent = (_updates(r), r.outcome.target_steps, r.evaluation_steps, _source_steps(r))
    cells += [Cell(_counted(n), "" if n is None else n) for n in spent]
    seconds = (r.result or {}).get("wall_seconds")
    cells.append(Cell("-" if seconds is None else f"{seconds:,.0f} s", "" if seconds is None else seconds))
    note = "a ceiling" if r.outcome.breaks_budget else "" if r.result else "cut short"
    return [Cell(r.name, r.name, note), *cells]


def wanted(oracle: Record, share: float) -> float:
    """The return that counts as a share of the oracle's, as `loop.aligned` counts it: also below zero."""
    top = oracle.outcome.mean
    return top - (1 - share) * abs(top)


def steps_to(record: Record, level: float) -> float | None:
    """Target steps after which the mean over seeds first reached a return; None where it never did."""
    if record.config["method"] == "zero_shot":
        return 0.0 if record.outcome.mean >= level else None
    x, y = record.returns("target_return")
    return next((steps for steps, row in zip(x, y, strict=True) if row.mean() >= level), None)


def _matrix(records: Sequence[Record]) -> dict[str, Any]:
    """Is the row better than the column? P, the difference of means, and whether its interval settles the sign, for
    all pairs together."""
    known = [r for r in records if len(r.outcome.per_seed)]
    count, level = pairwise([r.outcome for r in known])
    rows, pairs = [], []
    for a in known:
        cells = []
        for b in known:
            if a is b:
                cells.append(Cell("-"))
                continue
            d, (chance, _) = a.outcome.over(b.outcome, level), _chance(a.outcome, b.outcome)
            few = min(len(x.outcome.per_seed) for x in (a, b)) < LEAST
            sign = 0 if few else certain(d)
            word = {1: "more", -1: "less", 0: "not certain"}[sign]
            ends = d["interval"]
            bounds = f", {number(ends[0], True)} to {number(ends[1], True)}" if ends else ""
            tone = {1: "more", -1: "less", 0: "open"}[sign]
            cells.append(Cell(f"{chance} {word}", float(chance), f"{number(d['mean'], True)}{bounds}", tone))
            often = float(probability_of_improvement(a.outcome.per_seed, b.outcome.per_seed))
            pairs.append([a.name, b.name, d["mean"], *(ends or ("", "")), level, often])
        rows.append((a.name, cells))
    columns = ("method", "over", "difference", "low", "high", "level", "probability")
    csv = _link(csv_text(columns, pairs))
    return {"names": [r.name for r in known], "rows": rows, "csv": csv, "pairs": count, "level": percent(level)}


def _profile(records: Sequence[Record], styles: dict[str, int]) -> Figure | None:
    """Share of seeds that return more than each level (Agarwal et al. 2021)."""
    known = [r for r in records if len(r.outcome.per_seed)]
    every = np.concatenate([r.outcome.per_seed for r in known]) if known else np.zeros(0)
    if not len(every):
        return None
    room = 0.05 * (every.max() - every.min()) or 1.0
    ends, lines = (float(every.min() - room), float(every.max() + room)), []
    for r in known:
        x, n = np.sort(r.outcome.per_seed), len(r.outcome.per_seed)
        share = [1.0, *(1 - (np.arange(n) + 1) / n), 0.0]
        lines.append(Line(r.name, styles[r.name], [ends[0], *x.tolist(), ends[1]], share, steps=True))
    words = (
        f"{len(known)} staircases that fall from 1 to 0; the further to the right, the better. Medians: "
        + ", ".join(f"{r.name} {number(float(np.median(r.outcome.per_seed)))}" for r in known)
    )
    chart = Chart("Performance profile", words, "return in the target, τ", "share of seeds above τ", lines)
    rows = [[line.label, x, y] for line in lines for x, y in zip(line.x, line.y, strict=True)]
    return _figure(chart, "profile", csv_text(("method", "return", "share of seeds above"), rows), wide=True)


# -- figures -------------------------------------------------------------------------------------------------------


def _link(text: str) -> str:
    return "data:text/csv;charset=utf-8," + quote(text)


def _figure(chart: Chart, file: str, csv: str, wide: bool = False, named: bool = False) -> Figure:
    """`wide`: also as large as the page; `named`: lines that the page's legend does not explain."""
    ends = not any(line.steps for line in chart.lines)  # staircases all end at the same place
    large = chart.svg(*WIDE, named=ends) if wide else ""
    return Figure(chart.title, chart.description, chart.svg(named=named), large, _link(csv), f"{file}.csv")


def _line(r: Record, style: int, x: list[float], y: np.ndarray, singles: bool = False) -> Line:
    """Mean over seeds with its t interval; y [n, seeds]."""
    bounds = [interval(row) for row in y]
    whole = len(y) > 0 and all(bounds)
    low, high = ([b[i] for b in bounds if b] for i in (0, 1)) if whole else (None, None)
    each = y.T.tolist() if singles and len(y) else ()
    return Line(r.name, style, x, y.mean(axis=1).tolist() if len(y) else [], low, high, each)


def _curves(records: Sequence[Record], styles: dict[str, int]) -> list[Figure]:
    """Returns against target steps: raw in the target, raw in the source, and as the learner is paid."""
    figures, training = [], any(r.eval_target == "training" for r in records)
    names = {
        "target_return": f"Raw return in the target{', training episodes' if training else ''}",
        "source_return": "Raw return in the source",
        "compensated_return": "Return as the learner is paid",
    }
    for key, title in names.items():
        lines, levels = [], []
        for r in records:
            if r.config["method"] == "oracle" or not r.own:  # a ceiling, or nothing was trained: a level
                levels += _returned(r, styles[r.name], key)
            else:
                lines.append(
                    _line(r, styles[r.name], *r.returns(key), singles=key == "target_return" and not r.control)
                )
        if any(len(line.x) for line in lines) or levels:
            said = _ends([*lines, *levels])
            chart = Chart(title, said, "target steps a seed", "return an episode", lines, levels, origin=True)
            figures.append(_figure(chart, key.replace("_", "-"), returns_csv(records), wide=key == "target_return"))
    return figures


def _returned(r: Record, style: int, key: str) -> list[Line]:
    if key == "compensated_return":
        return []
    if key == "target_return":
        level = r.outcome.mean if len(r.outcome.per_seed) else None
    else:
        level = ((r.result or {}).get(key) or {}).get("mean")
    return [] if level is None else [Line(r.name, style, (), (level,))]


def _ends(lines: Iterable[Line]) -> str:
    """A chart in words: where each line begins and ends."""
    said = []
    for line in lines:
        if not len(line.x):
            said += [f"{line.label} stays at {number(line.y[0])}"] if len(line.y) else []
            continue
        wide = ""
        if line.low is not None and line.high is not None:
            wide = f" (95% interval {number(line.low[-1])} to {number(line.high[-1])})"
        start = f"goes from {number(line.y[0])} to " if len(line.y) > 1 else "is "
        said.append(f"{line.label} {start}{number(line.y[-1])}{wide}")
    return "; ".join(said) + "." if said else "Nothing was evaluated."


def returns_csv(records: Sequence[Record]) -> str:
    """Every evaluation of every seed, as metrics.jsonl has it."""
    columns = ("method", "phase", "seed", "source_steps", "target_steps", "target_evaluation_steps", *RETURNS)
    rows = [
        [r.name if row in r.own else row["method"], *(_known(row.get(c)) for c in columns[1:])]
        for r in records
        for row in r.rows
    ]
    return csv_text(columns, rows)


def _known(x: Any) -> Any:
    """A cell of a CSV: empty for what nobody knows."""
    return "" if x is None else x


def _compensation(records: Sequence[Record], styles: dict[str, int]) -> list[Figure]:
    """What was paid on top of the raw reward, in units of reward; and how many steps the weights let count."""
    acting = [r for r in records if any(row.get("gap_std") or row.get("gap_mean") for row in r.own)]
    weighted = [r for r in records if any(row.get("effective_sample_size", 1) < 1 for row in r.own)]
    keys = ("gap_mean", "gap_std", "gap_q05", "gap_q50", "gap_q95", "reward_std", "effective_sample_size")
    columns = ("method", "phase", "seed", "target_steps", *keys)
    csv = csv_text(
        columns, [[r.name, *(_known(row.get(c)) for c in columns[1:])] for r in (acting or weighted) for row in r.own]
    )
    figures = []
    if acting:
        lines = [_line(r, styles[r.name], *r.curve(lambda row: row.get("gap_mean"))) for r in acting]
        figures.append(_figure(_size("Compensation a step, mean", lines), "compensation", csv, named=True))
    for r in acting:
        lines = []
        for style, (key, label) in enumerate((("gap_q95", "95%"), ("gap_q50", "median"), ("gap_q05", "5%"))):
            x, y = r.curve(lambda row, key=key: row[key] * row["reward_std"] if {key, "reward_std"} <= {*row} else None)
            lines.append(Line(label, (4, 0, 5)[style], x, y.mean(axis=1).tolist() if len(y) else []))
        figures.append(
            _figure(_size(f"{r.name}: quantiles over the steps of an episode", lines), "quantiles", csv, named=True)
        )
    if weighted:
        lines = [_line(r, styles[r.name], *r.curve(lambda row: row.get("effective_sample_size"))) for r in weighted]
        chart = Chart(
            "Effective sample size", _ends(lines), "target steps a seed", "share of the steps", lines, origin=True
        )
        figures.append(_figure(chart, "weights", csv, named=True))
    return figures


def _size(title: str, lines: Sequence[Line]) -> Chart:
    return Chart(title, _ends(lines), "target steps a seed", "reward a step", lines, zero=True, origin=True)


def _where(focus: Record) -> dict[str, Any] | None:
    """When in an episode and in which states the compensation acts, at the last evaluation."""
    acts = {"gap_by_time", "gap_by_obs", "gap_by_action"}
    last = [row for row in {row["seed"]: row for row in focus.own}.values() if acts <= {*row}]
    if not last or not any(row.get("gap_std") for row in last):
        return None
    parts = [[row["gap_by_time"][i] for row in last] for i in range(len(last[0]["gap_by_time"]))]
    whole = [i for i, part in enumerate(parts) if None not in part]  # the tenths that every seed came to
    tenths = [100 * (i + 0.5) / len(parts) for i in whole]
    line = _line(focus, 0, tenths, np.array([parts[i] for i in whole]))
    title = f"{focus.name}: when in an episode it is paid"
    chart = Chart(title, _ends([line]), "% of the longest episode", "reward a step", [line], zero=True, origin=True)
    rows = [[row["seed"], i, x] for row in last for i, x in enumerate(row["gap_by_time"])]
    when = _figure(chart, "when", csv_text(("seed", "tenth", "gap_mean"), rows))
    entries = _entries(focus, last)
    columns = ("kind", "entry", *(f"seed {row['seed']}" for row in last))
    csv = csv_text(columns, [[kind, name, *values] for kind, name, values in entries])
    entries.sort(key=lambda entry: -abs(float(np.mean(entry[2]))))
    table = [[name, kind, *map(_correlation, (np.mean(v), min(v), max(v)))] for kind, name, v in entries[:MOST_ENTRIES]]
    return {"when": when, "entries": table, "csv": _link(csv), "all": len(entries)}


def _rounds(focus: Record) -> dict[str, Any]:
    """What the rounds up to each evaluation changed, and why the last one was the last."""
    if not focus.own or "round" not in focus.own[0]:
        return {}
    rows, before = [], None

    def figure(row: dict[str, Any], key: str) -> float:
        return np.nan if row.get(key) is None else row[key]

    steps, returns = focus.curve(lambda row: figure(row, "target_return"))
    figures = [focus.curve(lambda row, key=key: figure(row, key))[1] for key in ROUND]
    for i, taken in enumerate(steps):
        mean = float(returns[i].mean())
        gained = "-" if before is None or np.isnan(mean - before) else number(mean - before, signed=True)
        round_, *others = (float(f[i].mean()) for f in figures)
        shown = ("-" if np.isnan(x) else number(x) for x in (mean, *others))
        returned, *others = shown
        rows.append([f"{round_:,.0f}", f"{taken:,.0f}", returned, gained, *others])
        before = mean
    return {"rows": rows, "ended": _ended(focus)}


def _ended(focus: Record) -> str:
    """Why the loop ended, after how many rounds, in words."""
    r, loop = focus.result, focus.config["loop"]
    if r is None:
        return "It was cut short."
    wanted, after = r.get("aligned_return"), f"It ended after {r.get('rounds', 0):,} rounds"
    if r["stopped"] == "aligned":
        reached = f", whose last episodes returned at least {number(wanted)}" if wanted is not None else ""
        return f"{after}: the target was aligned with the source{reached}."
    if r["stopped"] == "converged":
        after += f": {loop['converged']} more episodes of each seed brought no improvement."
    else:
        after += ": the budget was spent."
    if wanted is not None:
        return f"{after} It would have counted as aligned with the source at a raw target return of {number(wanted)}."
    if not loop["aligned"]:
        why = "asked (loop.aligned=0)"
    elif focus.eval_target == "none":
        why = "judged (loop.eval_target=none)"
    elif focus.agent is None:
        why = "judged: no source agent was trained before"
    elif loop.get("target_returns"):
        why = "judged: the target has no rewards"
    else:
        why = "judged: the tasks differ and no loop.target_returns was given, or the target has no rewards"
    return f"{after} Whether it was aligned with the source was not {why}."


def _correlation(x: Any) -> str:
    return f"{x:+.2f}".replace("-", "\N{MINUS SIGN}")


def _entries(focus: Record, last: list[dict[str, Any]]) -> list[tuple[str, str, list[float]]]:
    """(kind, name, correlation of each seed) of every entry of observation and action."""
    sizes = focus.config["spaces"]
    try:
        source = domain(focus.config["source"])
        names = {"state": entry_names(source), "action": action_names(source)}
    except RequestError:  # a user's own, that is not here
        names = {k: tuple(e.name for e in numbered(w, sizes[w])) for k, w in (("state", "obs"), ("action", "action"))}
    keys = {"state": "gap_by_obs", "action": "gap_by_action"}
    return [(k, name, [row[keys[k]][i] for row in last]) for k in keys for i, name in enumerate(names[k])]


# -- reward terms, diagnostics, videos -----------------------------------------------------------------------------


def _terms(focus: Record) -> list[Figure]:
    """Each named term of the reward, in both domains."""
    if not focus.own:
        return []
    figures, names = [], _term_names([focus])
    rows = [
        [focus.name, side, row["seed"], row["target_steps"], term, value]
        for row in focus.own
        for side in ("source", "target")
        for term, value in row.get(f"{side}_terms", {}).items()
    ]
    csv = csv_text(("method", "domain", "seed", "target_steps", "term", "return"), rows)
    for side in ("target", "source"):
        lines = []
        if not any(row.get(f"{side}_terms") for row in focus.own):  # it was not evaluated there
            continue
        for i, name in enumerate(names):
            x, y = focus.curve(lambda row, side=side, name=name: row.get(f"{side}_terms", {}).get(name, float("nan")))
            lines.append(replace(_line(focus, i, x, y), label=name))
        chart = Chart(
            f"{focus.name}: reward terms in the {side}", _ends(lines), "target steps a seed", "an episode", lines,
            zero=True, origin=True,
        )  # fmt: skip
        figures.append(_figure(chart, "reward-terms", csv, named=True))
    return figures


def _term_table(records: Sequence[Record]) -> dict[str, Any]:
    """At the last evaluation, mean over seeds."""
    with_rows = [r for r in records if r.own]
    names, rows = _term_names(with_rows), []
    for r in with_rows:
        last = list({row["seed"]: row for row in r.own}.values())
        cells = [
            _mean([row[f"{side}_terms"].get(n, 0.0) for row in last if row.get(f"{side}_terms")])
            for n in names
            for side in ("target", "source")
        ]
        rows.append([r.name, *cells])
    return {"names": names, "rows": rows}


def _term_names(records: Sequence[Record]) -> list[str]:
    """Of the target's reward, or of the source's where the target was not evaluated."""
    lasts = [r.own[-1] for r in records]
    return list(dict.fromkeys(name for row in lasts for name in row.get("target_terms") or row.get("source_terms", ())))


def _warnings(records: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """Sentences about each method; of a run that was cut short, by its latest rows."""
    found = []
    for r in records:
        latest = {row["seed"]: row for row in r.own}.values()
        said = [text for row in latest for text in diagnostics.warnings(row)]
        if r.result is None:
            said.append("the run was cut short: returns are those of its latest evaluation, and there is no verdict")
        found.append((r.name, list(dict.fromkeys(said))))
    return [(name, said) for name, said in found if said]


def _videos(records: Sequence[Record]) -> dict[str, Any]:
    """Films of the policies, as part of the page."""
    files = list(dict.fromkeys(path for r in records for path in r.videos))
    if not files:
        return {"films": [], "why": "No videos: there is no mp4 file in videos/ of the run directory."}
    size = sum(path.stat().st_size for path in files)
    if size > VIDEO_BYTES:
        return {
            "films": [],
            "why": f"The videos stay in videos/: at {size / 1e6:.0f} MB they are too large for a page.",
        }
    order = sorted(files, key=lambda path: (*(path.stem != name for name in FILMS), path.stem))
    named = [(FILMS.get(p.stem, p.stem.replace("_", " ").replace("-", " ")), p) for p in order]
    return {"films": [(name, b64encode(p.read_bytes()).decode()) for name, p in named], "why": ""}


# -- the shift, and how it was made --------------------------------------------------------------------------------


def _shift(config: dict[str, Any]) -> dict[str, Any]:
    """The difference between the domains as it was measured before the run, and what differs in their models."""
    m, how = config.get("shift"), config["loop"].get("eval_target", "simulated")
    if how != "simulated":
        return {"why": f"not measured, since the target is not simulated (loop.eval_target={how})"}
    if m is None:
        return {"why": "not kept by the version that made this run"}
    names, changed, apart = _parts(config)
    entries = ", ".join(f"{names[i]} ({size:.2g})" for i, size in m["entries"]) or "none"
    facts = [
        ("states in which anything differs", f"{m['share']:.0%} of {m['states']:,}"),
        ("largest one-step difference of an observation", f"{m['obs']:.3g}"),
        ("the same, in spreads of that entry's own change", f"{m['relative']:.3g}"),
        ("entries that move most (in spreads)", entries),
        ("largest one-step difference of the reward", f"{m['reward']:.3g}"),
        ("target steps that the measure took, once for all seeds", f"{m['target_steps']:,} (simulated)"),
    ]
    columns = ("property", "element", "source", "target")
    csv = _link(csv_text(columns, changed)) if changed else ""
    return {"facts": facts, "changes": changed, "csv": csv, "apart": apart}


def _parts(config: dict[str, Any]) -> tuple[Sequence[str], list[Change], str]:
    """Names of the observation's entries; what differs in the compiled models; and why that cannot be said."""
    try:
        source, target = domain(config["source"]), domain(config["target"])
        changed = changes(source, target)
    except (RequestError, BrokenRun) as error:
        names = [entry.name for entry in numbered("obs", config["spaces"]["obs"])]
        return names, [], f"Their models were not compared, since the pair cannot be made here: {error}"
    return entry_names(plain(source)), changed, "" if changed else "These domains have no compiled models to compare."


def _runs(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Provenance: of each directory that a command made."""
    found = []
    for r in records:
        if r.provenance is None:
            continue
        own = [x for x in records if x.run == r.run]
        seconds = (r.result or {}).get("wall_seconds")
        machine = r.provenance.get("machine", {})
        facts = [
            ("directory", r.place or "in memory"),
            ("command", r.provenance.get("command", "not recorded")),
            ("started", r.provenance.get("started", "not recorded")),
            ("wall time", "cut short" if seconds is None else f"{seconds:,.0f} s with the source agent's training"),
            ("machine", ", ".join(f"{k} {v}" for k, v in machine.items()) or "not recorded"),
            ("seeds", ", ".join(map(str, r.seeds))),
            ("versions", ", ".join(f"{k} {v}" for k, v in r.config["versions"].items())),
        ]
        found.append({"facts": facts, "repeat": repeat(r, own), "config": json.dumps(r.config, indent=2)})
    return found
