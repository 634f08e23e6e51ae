"""How far a run is, where a person looks on who asked for no `watch`: a few lines that are renewed in place, in a cell
of a notebook or on a terminal. A file or a pipe gets nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module

import numpy as np

from transreward.engine.state import Progress, Watch
from transreward.types import CEILING, Pair

PHASES = {  # name -> how it is shown
    "source": "training the source agent",
    "teacher": "transfer, its teacher first",
    "evidence": "transfer, first steps of the target",
    "walk": "transfer, in the identified simulator first",
    "trial": "transfer, candidates in the target",
    "transfer": "transfer",
    "cotrain": "all agents at once",
    CEILING: CEILING,
}
EVERY = 0.5  # seconds between two pictures: a page that is kept holds the last one alone
SAID = 5  # lines of what was identified, at most
Put = Callable[[list[str], float | None], None]  # lines, and the share of the phase that is done, None at the end


def time_left(done: float, passed: float) -> str:
    """Of a phase of which so much is done after so many seconds."""
    if done == 0:  # no round has ended, and the first one compiles the programs
        return "compiling ..."
    return f"about {passed / done - passed:.0f} s left" if done > 0.02 else "..."


@contextmanager
def shown(title: str, watch: Watch | None) -> Iterator[Watch]:
    """The watch that was asked for, or one that shows the run where somebody looks on."""
    if watch is not None:
        yield watch
    elif in_notebook():
        yield from _watched(title, _cell())
    elif sys.stderr.isatty():
        with _screen() as put:
            yield from _watched(title, put)
    else:
        yield lambda progress: None


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def _watched(title: str, put: Put) -> Iterator[Watch]:
    lines, began = _Lines(title), time.perf_counter()
    latest = -EVERY

    def watch(progress: Progress) -> None:
        nonlocal latest
        text, now = lines.after(progress), time.perf_counter() - began
        if now - latest >= EVERY:
            put(text, progress.done)
            latest = now

    try:
        yield watch
    except BaseException:
        put([title, *lines.said, f"stopped after {time.perf_counter() - began:.0f} s"], None)
        raise
    put([title, *lines.said, f"done in {time.perf_counter() - began:.0f} s"], None)


class _Lines:
    """What is said of a run so far."""

    def __init__(self, title: str) -> None:
        self.title, self.said, self.returns = title, [], ""
        self.phase, self.since = ("", ""), 0.0

    def after(self, p: Progress) -> list[str]:
        """The lines once this is known too: the pair, what was identified, the phase, its budgets, the returns."""
        if (p.method, p.phase) != self.phase:
            self.phase, self.since, self.returns = (p.method, p.phase), time.perf_counter(), ""
        self.said = [*self.said, *p.said][-SAID:]
        if p.rows:
            self.returns = _returns(p)
        what = PHASES[p.phase] + ("" if p.phase in ("source", CEILING) else f": {p.method}")
        spent = [
            f"{taken:,} of {budget:,} {side} steps a seed"
            for side, taken, budget in zip(Pair._fields, p.steps, p.budget, strict=True)
            if budget
        ]
        left = time_left(p.done, time.perf_counter() - self.since)
        return [self.title, *self.said, f"{what}, {left}", ", ".join(spent), *([self.returns] if self.returns else [])]


def _returns(p: Progress) -> str:
    known = {s: [row[f"{s}_return"] for row in p.rows] for s in Pair._fields}
    means = [f"{np.mean(x):,.0f} in the {side}" for side, x in known.items() if None not in x]
    return f"return {', '.join(means)}" if means else ""


def _cell() -> Put:
    """Into one output of the cell."""
    handle = import_module("IPython.display").DisplayHandle()
    handle.display({"text/plain": ""}, raw=True)

    def put(lines: list[str], done: float | None) -> None:
        head, *rest = map(escape, lines)
        bar = "" if done is None else f'<progress max="1" value="{done:.3f}" aria-label="done"></progress><br>'
        html = f'<div style="font-size:90%"><b>{head}</b><br>{bar}{"<br>".join(rest)}</div>'
        handle.update({"text/plain": "\n".join(lines), "text/html": html}, raw=True)

    return put


@contextmanager
def _screen() -> Iterator[Put]:
    """Below what a terminal shows, and gone at the end."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda lines, done: live.update(Text("\n".join(lines), overflow="ellipsis", no_wrap=True), refresh=True)
