"""What a person sees while a transfer runs: a live view on a terminal, plain lines elsewhere, and a closing table."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from transreward.domains.asked import readable
from transreward.domains.bridged import view_of
from transreward.domains.several import apart, joined, sources_in
from transreward.evaluation.diagnostics import guided_by
from transreward.evaluation.statistics import interval
from transreward.evaluation.verdict import LEAST, number
from transreward.identify.problem import Problem
from transreward.progress import PHASES, time_left
from transreward.reports.repeat import NEXT, after
from transreward.reports.sections.sources import went_on
from transreward.reports.sections.verdict import said, unlearned
from transreward.reports.subject import Subject
from transreward.reports.terminal import closing_table, comparison_table
from transreward.runs.account import account, account_of_all, estimate, of_log
from transreward.runs.comparison import Comparison
from transreward.runs.delivered import delivered_in_words
from transreward.runs.result import Result
from transreward.transfer import Progress
from transreward.types import CEILING, DATA, FINE_TUNE, Pair

LOUD = (
    f"{CEILING} trains on the target with the source's budget: it BREAKS the target budget and is a ceiling, "
    f"not a method"
)
BESIDE = 9  # columns that the time of an evaluation takes
PLAINLY = "unchanged with bridge=none"


class View:
    """Watches a run: call it with every Progress."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.console = Console(markup=False, emoji=False)  # an id or a path may hold [what would be markup]
        if not self.console.is_terminal:
            self.console.width = 160  # a file has no width: nothing is cut
        sources = [readable(str(one)) for one in sources_in(request)]
        self.several = len(sources) > 1 or len(apart(sources[0])) > 1
        self.title = f"{joined(sources)} -> {readable(str(request['target']))}"
        self.uncontrolled = str(request["target"]).startswith(DATA) and not request.get("controls")
        self.began = time.perf_counter()
        self.phase: tuple[str, str] | None = None
        self.phase_began = self.began
        self.rows: list[dict[str, Any]] = []
        self.history: list[Text] = []
        self.explained = False  # what ± is
        self.advises = True  # on what to do next, at the end
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
            if view_of(progress.source) and not view_of(self.title):
                self._say(Text(f"{progress.source} is paid most like the target, so the source is seen so; {PLAINLY}"))
            if self.uncontrolled:
                self._say(Text(f"no controls are run: {FINE_TUNE} and others need steps that a log does not take"))
            if self.live:
                self.live.start()
        if (progress.method, progress.phase) != self.phase:
            if self.phase is None or progress.method != self.phase[0]:
                self.rows = []  # the latest evaluation was another method's
            self.phase, self.phase_began = (progress.method, progress.phase), time.perf_counter()
            if progress.phase == CEILING:
                self._say(Text(LOUD, style="bold red"))
        for line in progress.said:
            self._say(Text(f"{time.perf_counter() - self.began:5.0f} s  {line}"))
        self.latest = progress
        if progress.rows:
            self.rows = progress.rows
            self._say(self._line(progress))
        if self.live:
            self.live.update(self._render(progress))

    def conclude(self, result: Result, out: str) -> None:
        """The closing table of a transfer."""
        table = closing_table(self.title, result, self.console.width)
        self._close(table, {result.method: result, **result.controls}, Subject.of(result.records(), False), out)

    def conclude_comparison(self, comparison: Comparison, out: str) -> None:
        """The closing table of a comparison."""
        table = comparison_table(self.title, comparison, self.console.width)
        self._close(table, comparison.results, Subject.of(comparison.records(), True), out)

    def _close(self, table: RenderableType, results: Mapping[str, Result], subject: Subject, out: str) -> None:
        """The table, whether it helped, what goes with it, and what to do next."""
        before_all = unlearned(subject)
        for text in before_all:
            self.console.print(Text(f"{text}\n", style="bold yellow"))
        self.console.print(table)
        for line in said(subject):
            self.console.print(Text(f"\n{line}\n", style="bold"))
        if CEILING in results:
            self.console.print(Text(LOUD, style="bold red"))
        if told := next(iter(results.values())).recorded:
            self.console.print(f"the target's log: {of_log(told)}", highlight=False)
        for name, result in results.items():
            self.console.print(f"{name}: target steps a seed: {result.account}", highlight=False)
            if result.estimated:
                self.console.print(f"{name}: return in the target: {estimate(result.estimated)}", highlight=False)
            if result.guided:
                self.console.print(f"{name}: {guided_by(result.guided)}", highlight=False)
            if result.delivered:
                self.console.print(
                    f"{name}: delivered: {delivered_in_words(result.fallback['seeds'])}", highlight=False
                )
            if result.sources and result.fallback:
                self.console.print(f"{name}: {went_on(result.sources, result.fallback['seeds'])}", highlight=False)
            for other in result.partners:
                there = (
                    f"{other.config['target']}: {number(other.target_return.mean())} after {other.steps.target:,} steps"
                )
                self.console.print(f"{name}: the agent that learned in {there}", highlight=False)
        first = next(iter(results.values()))
        spent = [(r.config["seeds"], r.steps.target, r.evaluation_steps and r.evaluation_steps.target)
                 for r in results.values()]  # fmt: skip
        self.console.print(f"target steps in all: {account_of_all(spent, first.eval_target)}", highlight=False)
        if shift := first.config.get("shift"):
            self.console.print(f"target steps to measure the shift, once: {shift['target_steps']:,} (simulated)")
        for name, result in results.items():
            for warning in (text for text in result.warnings if text not in before_all):
                self.console.print(Text(f"{name}: {warning}", style="yellow"))
        # not wrapped: the place is to be copied
        self.console.print(f"{time.perf_counter() - self.began:.0f} s in all, saved in {out}", soft_wrap=True)
        if self.advises and (text := after(subject, out)):
            self.console.print(f"{NEXT}{text}", soft_wrap=True, highlight=False)

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
        whose = f" of {readable(p.source)}" if self.several else ""
        who = f"source agent{whose}" if p.phase == "source" else p.method
        steps = (
            f"{p.steps.source:,} source + {p.steps.target:,} target steps"
            if p.steps.target
            else f"{p.steps.source:,} steps"
        )
        evaluated = p.evaluation.target if p.steps.target else sum(p.evaluation)
        text = f"{elapsed:5.0f} s  {who:<12} {steps} (and {evaluated:,} to evaluate): "
        places = [f"return {_spread(p.rows, 'source_return')} in the source"] if _known(p.rows, "source_return") else []
        if p.eval_target != "none":
            places.append(f"{'' if places else 'return '}{self._in_target(p)} in the target")
        text += ", ".join(places) or "no returns"
        if "±" in text and not self.explained:
            text, self.explained = f"{text} (±: 95% interval of the mean over seeds)", True
        if any(row.get("gap_std") for row in p.rows):
            text += f", compensation {_mean(p.rows, 'gap_mean'):+.2f} (std {_mean(p.rows, 'gap_std'):.2f}) a step"
        return Text(text)

    def _in_target(self, p: Progress) -> str:
        if not _known(p.rows, "target_return"):
            return "no training episode ended yet"
        return _spread(p.rows, "target_return") + (" in training" if p.eval_target == "training" else "")

    def _render(self, p: Progress) -> Group:
        """The live panel: phase, budgets, time left, and the latest evaluation."""
        bars = Bars(TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[text]}"))
        passed = time.perf_counter() - self.phase_began
        left = time_left(p.done, passed)
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


PATIENT = 2.0  # seconds after which what goes on is shown
EVERY = 30.0  # seconds between two lines of a fit where there is no terminal


@contextmanager
def fitting(problem: Problem) -> Iterator[None]:
    """How long a fit has taken, once it has taken a while: renewed in place on a terminal, elsewhere a line now and
    then on standard error."""
    console, began = Console(stderr=True), time.perf_counter()

    def said() -> str:
        seconds, simulated = time.perf_counter() - began, problem.simulator.steps
        what = f"fitting {len(problem.parameters)} parameters to {problem.steps.n:,} steps"
        return f"{what}: {seconds:.0f} s, {simulated:,} steps simulated" if seconds >= PATIENT else ""

    if console.is_terminal:
        with Live(console=console, get_renderable=lambda: Text(said()), refresh_per_second=2, transient=True):
            yield
        return
    with _now_and_then(lambda: print(f"{said()} ...", file=console.file, flush=True)):
        yield


@contextmanager
def _now_and_then(say: Callable[[], None]) -> Iterator[None]:
    """`say` is called in a thread, after a while and from there on every so often."""
    over = threading.Event()

    def go_on() -> None:
        patience = PATIENT
        while not over.wait(patience):
            say()
            patience = EVERY

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _known(rows: list[dict[str, Any]], key: str) -> bool:
    return all(row[key] is not None for row in rows)


def _spread(rows: list[dict[str, Any]], key: str) -> str:
    """Mean and, from `LEAST` seeds, the half-width of the 95% interval: of two it is mostly wider than any return."""
    values = np.array([row[key] for row in rows])
    bounds = interval(values) if len(values) >= LEAST else None
    return f"{values.mean():,.0f}" + (f" ± {bounds[1] - values.mean():,.0f}" if bounds else "")
