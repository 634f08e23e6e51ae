"""The closing tables of a run and of a comparison, for a terminal or plain text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich.console import Group
from rich.text import Text

from transreward.evaluation.statistics import RobustSummary, known
from transreward.evaluation.verdict import ENOUGH
from transreward.reports.cells import fixed
from transreward.reports.columns import columns, fitting, in_parts
from transreward.reports.subject import among_controls
from transreward.runs.comparison import Comparison, Row
from transreward.runs.result import Result
from transreward.types import CONTROLS, ZERO_SHOT

# columns that a narrow table leaves out, in this order: repeated below the table, or least important
GIVES_WAY = ("target\nevaluation", "task", "source\nreturn", "per seed", "source\nsteps", "stopped")


def closing_table(title: str, result: Result, width: int = 160) -> Group:
    """Every method of a run, in the order of its page: raw target return with its interval, and its cost; fewer columns
    where it is narrow."""
    seeds, episodes = result.target_return.shape
    shown = [(result.method, result), *sorted(result.controls.items(), key=lambda item: among_controls(item[0]))]
    number = _figures(max((abs(s["mean"]) for _, one in shown if (s := known(one.target_return))), default=0.0))
    rows = [_cells(name, one, number) for name, one in shown]
    if not any(row["task"] for row in rows):
        rows = [{name: cell for name, cell in row.items() if name != "task"} for row in rows]
    return Group(
        Text(title, style="bold"),
        Text(f"{_heading(result, seeds, episodes)}\n"),
        columns(fitting(rows, width, GIVES_WAY), bold=result.method),
    )


def _heading(one: Result, seeds: int, episodes: int) -> str:
    """Headline: seeds, episodes, and where returns in the target come from."""
    many = f"{seeds} seed{'s' if seeds > 1 else ''}"
    if one.eval_target == "training":
        return f"Raw return, {many}; in the target that of the last training episodes"
    if "evaluate" in one.config:
        return f"Raw return, {many} x {episodes} episodes; in the target those in '{one.config['evaluate']}'"
    return f"Raw return, {many} x {episodes} episodes" if episodes else f"{many}; not evaluated in the target"


def _figures(largest: float) -> Callable[[float], str]:
    """How returns are written: whole where the largest is 100 or more, else with two decimals."""
    return partial(fixed, digits=0 if largest >= 100 else 2)


def _cells(name: str, one: Result, number: Callable[[float], str]) -> dict[str, str]:
    """A row of the closing table."""
    s, evaluated = known(one.target_return), one.evaluation_steps
    bounds = s and s["ci95"]
    return {
        "method": name,
        "target\nreturn": number(s["mean"]) if s else "-",
        "95% interval": f"{number(bounds[0])} to {number(bounds[1])}" if bounds else "-",
        "per seed": " ".join(number(r) for r in s["per_seed"]) if s else "not evaluated",
        "task": _done(one),
        "source\nreturn": number(float(one.source_return.mean())) if one.source_return.size else "-",
        "updates": _count(one.updates),
        "target\nsteps": f"{one.steps.target:,}",
        "target\nevaluation": _count(evaluated and evaluated.target),
        "source\nsteps": f"{one.steps.source:,}",
        "stopped": _stopped(name, one.stopped),
    }


def _done(one: Result) -> str:
    """What the task says beside its return: shares of episodes, or numbers with their unit."""
    found = []
    for label, per_seed in one.success.items():
        name, _, unit = label.partition(" (")
        value = sum(per_seed) / len(per_seed)
        found.append(f"{name} {value:.2f} {unit[:-1]}" if unit else f"{name} {value:.0%}")
    return ", ".join(found)


def _count(n: int | None) -> str:
    """`-` where a run of an earlier version did not count."""
    return "-" if n is None else f"{n:,}"


def _stopped(name: str, why: str) -> str:
    """Zero-shot trains no further, so nothing stopped it."""
    return "-" if name == ZERO_SHOT else why


# -- a comparison --------------------------------------------------------------------------------------------------


def comparison_table(title: str, comparison: Comparison, width: int = 160) -> Group:
    """Returns and costs of every method, how probable its lead over each control is, and how far to trust that."""
    rows = comparison.rows
    results = comparison.results.values()
    one = next(iter(results))
    seeds, episodes = one.config["seeds"], max(r.target_return.shape[1] for r in results)
    number = _figures(max((abs(r["target_return"]["mean"]) for r in rows.values() if r["target_return"]), default=0.0))
    returns = [_return_cells(name, row, number) for name, row in rows.items()]
    odds = [{"method": name} | {c: _odds(row, c) for c in CONTROLS} for name, row in rows.items()]
    return Group(
        Text(title, style="bold"),
        Text(f"{_heading(one, seeds, episodes)}\n"),
        columns(fitting(returns, width, GIVES_WAY)),
        Text("\nP(row beats column): share of all pairs of seeds, ties one half (95% bootstrap)\n"),
        *map(columns, in_parts(odds, width)),
        *([Text(f"\n{few(seeds)}{_plain_mean(seeds)}")] if seeds < ENOUGH else []),
    )


def _return_cells(name: str, row: Row, number: Callable[[float], str]) -> dict[str, str]:
    return {
        "method": name,
        **_target_cells(row["target_return"], number),
        "source\nreturn": number(row["source_return"]["mean"]) if row["source_return"] else "-",
        "updates": _count(row["updates"]),
        "target\nsteps": f"{row['target_steps']:,}",
        "target\nevaluation": _count(row["target_evaluation_steps"]),
        "source\nsteps": f"{row['source_steps']:,}",
        "stopped": _stopped(name, row["stopped"]),
    }


def _target_cells(s: RobustSummary | None, number: Callable[[float], str]) -> dict[str, str]:
    if s is None:
        return {"mean ± 95% t": "-", "IQM": "-", "95% bootstrap": "-", "per seed": "not evaluated"}
    bounds, bootstrap = s["ci95"], s["iqm_ci95"]
    return {
        "mean ± 95% t": number(s["mean"]) + (f" ± {number(bounds[1] - s['mean'])}" if bounds else ""),
        "IQM": number(s["iqm"]),
        "95% bootstrap": f"{number(bootstrap[0])} to {number(bootstrap[1])}" if bootstrap else "-",
        "per seed": " ".join(number(r) for r in s["per_seed"]),
    }


def _odds(row: Row, control: str) -> str:
    if control not in row["improvement"]:
        return "-"
    found = row["improvement"][control]
    bounds = found["ci95"]
    return f"{found['probability']:.2f}" + (f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else "")


def few(seeds: int) -> str:
    """The warning that few seeds deserve; empty where they are enough."""
    if seeds >= ENOUGH:
        return ""
    if seeds == 1:
        return f"One seed: no interval, and no sign which method is better. Run {ENOUGH} seeds or more."
    return (
        f"{seeds} seeds: the bootstrap resamples only these returns, so its intervals are too narrow, and one that "
        f"ends where it begins, as 1.00 to 1.00, is no certainty. Go by Student's t, and run {ENOUGH} seeds or more."
    )


def _plain_mean(seeds: int) -> str:
    return " Of fewer than four seeds the IQM is the plain mean." if 1 < seeds < 4 else ""
