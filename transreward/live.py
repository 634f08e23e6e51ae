"""What a person sees while a transfer runs: a live view on a terminal, plain lines elsewhere, and a closing table."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from transreward.evaluation.record import account, account_of_all
from transreward.evaluation.statistics import RobustSummary, interval, known
from transreward.evaluation.verdict import ENOUGH
from transreward.runs.comparison import Comparison, Row
from transreward.runs.result import Result
from transreward.transfer import Progress
from transreward.types import CONTROLS, Pair

LOUD = (
    "oracle trains on the target with the source's budget: it BREAKS the target budget and is a ceiling, not a method"
)
BESIDE = 9  # columns that the time of an evaluation takes
GAP = 2  # columns between two of a table's
# columns of a closing table that are left out where it is narrow, first what stands below it or is missed least
GIVES_WAY = ("target\nevaluation", "source\nreturn", "per seed", "stopped", "source\nsteps")
PHASES = {  # name -> how it is shown
    "source": "training the source agent",
    "teacher": "transfer, its teacher first",
    "transfer": "transfer",
    "cotrain": "both agents at once",
    "oracle": "oracle",
}


PLAINLY = "unchanged with loop.symmetry=none"


class View:
    """Watches a run: call it with every Progress."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.console = Console()
        if not self.console.is_terminal:
            self.console.width = 160  # a file has no width: nothing is cut
        self.title = f"{request['source']} -> {request['target']}"
        self.began = time.perf_counter()
        self.phase: tuple[str, str] | None = None
        self.phase_began = self.began
        self.rows: list[dict[str, Any]] = []
        self.history: list[Text] = []
        self.latest: Progress | None = None
        self.live = (
            Live(console=self.console, refresh_per_second=4, transient=True) if self.console.is_terminal else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self.live:
            self.live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        if self.phase is None:  # the request was sound: from here on there is something to see
            self._say(Text(self.title, style="bold"))
            if "@" in progress.source and "@" not in self.title:
                self._say(Text(f"{progress.source} is paid most like the target, so the source is seen so; {PLAINLY}"))
            if self.live:
                self.live.start()
        if (progress.method, progress.phase) != self.phase:
            self.phase, self.phase_began = (progress.method, progress.phase), time.perf_counter()
            if progress.phase == "oracle":
                self._say(Text(LOUD, style="bold red"))
        self.latest = progress
        if progress.rows:
            self.rows = progress.rows
            self._say(self._line(progress))
        if self.live:
            self.live.update(self._render(progress))

    def conclude(self, result: Result, out: str) -> None:
        """The closing table of a transfer."""
        self._close(
            closing_table(self.title, result, self.console.width), {result.method: result, **result.controls}, out
        )

    def conclude_comparison(self, comparison: Comparison, out: str) -> None:
        """The closing table of a comparison."""
        self._close(comparison_table(self.title, comparison, self.console.width), comparison.results, out)

    def _close(self, table: RenderableType, results: Mapping[str, Result], out: str) -> None:
        """The table, and what goes with it."""
        self.console.print(table)
        if "oracle" in results:
            self.console.print(Text(LOUD, style="bold red"))
        for name, result in results.items():
            self.console.print(f"{name}: target steps a seed: {result.account}", highlight=False)
        first = next(iter(results.values()))
        spent = [(r.config["seeds"], r.steps.target, r.evaluation_steps and r.evaluation_steps.target)
                 for r in results.values()]  # fmt: skip
        self.console.print(f"target steps in all: {account_of_all(spent, first.eval_target)}", highlight=False)
        if shift := first.config.get("shift"):
            self.console.print(f"target steps to measure the shift, once: {shift['target_steps']:,} (simulated)")
        for name, result in results.items():
            for warning in result.warnings:
                self.console.print(Text(f"{name}: {warning}", style="yellow"))
        self.console.print(f"{time.perf_counter() - self.began:.0f} s, saved in {out}", soft_wrap=True)  # to be copied

    def _say(self, text: Text) -> None:
        """On a terminal, a line that is too long goes on below what it says, and not at the edge."""
        if self.console.is_terminal:
            after = " " * (BESIDE if text.plain.startswith(" ") else 2)
            lines = textwrap.wrap(text.plain, self.console.width, subsequent_indent=after, drop_whitespace=True)
            text = Text("\n".join(lines), style=text.style)
        (self.live.console if self.live else self.console).print(text, soft_wrap=True)

    def _line(self, p: Progress) -> Text:
        """One evaluation in one line."""
        elapsed = time.perf_counter() - self.began
        who = "source agent" if p.phase == "source" else p.method
        steps = (
            f"{p.steps.source:,} source + {p.steps.target:,} target steps"
            if p.steps.target
            else f"{p.steps.source:,} steps"
        )
        evaluated = p.evaluation.target if p.steps.target else sum(p.evaluation)
        text = f"{elapsed:5.0f} s  {who:<12} {steps} (and {evaluated:,} to evaluate): "
        text += f"return {_spread(p.rows, 'source_return')} in the source"
        text += f", {self._in_target(p)} in the target" if p.eval_target != "none" else ""
        if any(row.get("gap_std") for row in p.rows):
            text += f", compensation {_mean(p.rows, 'gap_mean'):+.2f} (std {_mean(p.rows, 'gap_std'):.2f}) a step"
        return Text(text)

    def _in_target(self, p: Progress) -> str:
        if any(row["target_return"] is None for row in p.rows):
            return "no training episode ended yet"
        return _spread(p.rows, "target_return") + (" in training" if p.eval_target == "training" else "")

    def _render(self, p: Progress) -> Group:
        """The live panel: phase, budgets, time left, and the latest evaluation."""
        bars = Bars(TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[text]}"))
        passed = time.perf_counter() - self.phase_began
        left = f"about {passed / p.done - passed:.0f} s left" if p.done > 0.02 else "..."
        if p.done == 0:  # no round has ended, and the first one compiles the programs
            left = "compiling ..."
        what = f"{PHASES[p.phase]}" + (f": {p.method}" if p.phase in ("teacher", "transfer", "cotrain") else "")
        bars.add_task(what, total=1000, completed=round(1000 * p.done), text=left)
        for domain, steps, budget in zip(Pair._fields, p.steps, p.budget, strict=True):
            if budget:
                text = f"{steps:,} of {budget:,} a seed"
                bars.add_task(f"  {domain} steps", total=budget, completed=steps, text=text)
        spent = Text(f"  target steps a seed: {account(p.steps.target, p.evaluation.target, p.eval_target)}")
        if not self.rows:
            return Group(bars, spent)
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("seed", "raw return, source", "target", "compensated", "compensation a step"):
            table.add_column(column, justify="right")
        for row in self.rows:
            felt = f"{row['gap_mean']:+.2f} ± {row['gap_std']:.2f}" if "gap_mean" in row else "-"
            returns = [row[k] for k in ("source_return", "target_return", "compensated_return")]
            returns = ["-" if x is None else f"{x:,.0f}" for x in returns]
            table.add_row(str(row["seed"]), *returns, felt)
        return Group(bars, spent, table)


def closing_table(title: str, result: Result, width: int = 160) -> Group:
    """Every method of a run: raw target return with its interval, and its cost; fewer columns where it is narrow."""
    seeds, episodes = result.target_return.shape
    rows = [_cells(name, one) for name, one in [*result.controls.items(), (result.method, result)]]
    return Group(
        Text(title, style="bold"),
        Text(f"{_heading(result.eval_target, seeds, episodes).capitalize()}\n"),
        _columns(_fitting(rows, width), bold=result.method),
    )


def _heading(eval_target: str, seeds: int, episodes: int) -> str:
    """What the returns in the target are those of."""
    many = f"{seeds} seed{'s' if seeds > 1 else ''}"
    if eval_target == "training":
        return f"raw return, {many}; in the target that of the last training episodes"
    return f"raw return, {many} x {episodes} episodes" if episodes else f"{many}; not evaluated in the target"


def _cells(name: str, one: Result) -> dict[str, str]:
    """A row of the closing table."""
    s, evaluated = known(one.target_return), one.evaluation_steps
    bounds = s and s["ci95"]
    return {
        "method": name,
        "target\nreturn": f"{s['mean']:,.0f}" if s else "-",
        "95% interval": f"{bounds[0]:,.0f} to {bounds[1]:,.0f}" if bounds else "-",
        "per seed": " ".join(f"{r:,.0f}" for r in s["per_seed"]) if s else "not evaluated",
        "source\nreturn": f"{one.source_return.mean():,.0f}",
        "updates": _count(one.updates),
        "target\nsteps": f"{one.steps.target:,}",
        "target\nevaluation": _count(evaluated and evaluated.target),
        "source\nsteps": f"{one.steps.source:,}",
        "stopped": _stopped(name, one.stopped),
    }


def _fitting(rows: list[dict[str, str]], width: int) -> list[dict[str, str]]:
    """The rows without the columns for which there is no room."""

    def needed() -> int:
        texts = ([column, *(row[column] for row in rows)] for column in rows[0])
        return sum(max(len(line) for text in column for line in text.split("\n")) + GAP for column in texts) - GAP

    for column in GIVES_WAY:
        if needed() > width:
            rows = [{name: cell for name, cell in row.items() if name != column} for row in rows]
    return rows


def _count(n: int | None) -> str:
    """`-` where a run of an earlier version did not count."""
    return "-" if n is None else f"{n:,}"


def _stopped(name: str, why: str) -> str:
    """Zero-shot trains no further, so nothing stopped it."""
    return "-" if name == "zero_shot" else why


# -- a comparison --------------------------------------------------------------------------------------------------


def comparison_table(title: str, comparison: Comparison, width: int = 160) -> Group:
    """Returns and costs of every method, how probable its lead over each control is, and how far to trust that."""
    rows = comparison.rows
    results = comparison.results.values()
    one = next(iter(results))
    seeds, episodes = one.config["seeds"], max(r.target_return.shape[1] for r in results)
    large = max((abs(r["target_return"]["mean"]) for r in rows.values() if r["target_return"]), default=0) >= 100
    number = (lambda x: f"{x:,.0f}") if large else (lambda x: f"{x:,.2f}")
    returns = [_return_cells(name, row, number) for name, row in rows.items()]
    odds = [{"method": name} | {c: _odds(row, c) for c in CONTROLS} for name, row in rows.items()]
    caution = _caution(seeds)
    return Group(
        Text(title, style="bold"),
        Text(f"{_heading(one.eval_target, seeds, episodes).capitalize()}\n"),
        _columns(_fitting(returns, width)),
        Text("\nP(row beats column): share of all pairs of seeds, ties one half (95% bootstrap)\n"),
        _columns(odds),
        *([Text(f"\n{caution}")] if caution else []),
    )


def _return_cells(name: str, row: Row, number: Callable[[float], str]) -> dict[str, str]:
    return {
        "method": name,
        **_target_cells(row["target_return"], number),
        "source\nreturn": number(row["source_return"]["mean"]),
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
    return f"{found['probability']:.2f}" + (f" ({bounds[0]:.2f}-{bounds[1]:.2f})" if bounds else "")


def _columns(rows: list[dict[str, str]], bold: str | None = None) -> Table:
    """Plain columns without a frame, one method or all but the controls in bold; where it is narrow, names and lists
    give way, never a number."""
    table = Table(box=None, header_style="dim", padding=(0, GAP, 0, 0), pad_edge=False)
    for column in rows[0]:
        gives_way = column in ("method", "per seed")
        side = "left" if column in ("method", "stopped") else "right"
        table.add_column(column, justify=side, no_wrap=not gives_way, overflow="fold")
    for row in rows:
        shown = row["method"] not in CONTROLS if bold is None else row["method"] == bold
        table.add_row(*row.values(), style="bold" if shown else None)
    return table


def _caution(seeds: int) -> str:
    """What few seeds are not worth."""
    if seeds >= ENOUGH:
        return ""
    if seeds == 1:
        return f"One seed: no interval, and no sign which method is better. Run {ENOUGH} seeds or more."
    text = (
        f"{seeds} seeds: the bootstrap draws only from what these returned, so its intervals are too narrow, and "
        f"0.00-0.00 or 1.00-1.00 is no certainty. Go by Student's t, and run {ENOUGH} seeds or more."
    )
    return text + (" Of fewer than four seeds the IQM is the plain mean." if seeds < 4 else "")


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _spread(rows: list[dict[str, Any]], key: str) -> str:
    """Mean and, with several seeds, the half-width of the 95% interval."""
    values = np.array([row[key] for row in rows])
    bounds = interval(values)
    return f"{values.mean():,.0f}" + (f" ± {bounds[1] - values.mean():,.0f}" if bounds else "")
