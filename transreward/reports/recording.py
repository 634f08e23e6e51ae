"""A picture of a log: the return and length of each episode, gaps in time, and where each column's numbers lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transreward.domains.logs.log import Log
from transreward.domains.logs.summary import SATURATED, Column, Summary
from transreward.reports.canvas import Canvas, canvas, fitted, length
from transreward.reports.figures import short, ticks

TEXT, QUIET, RULE, PANEL = "#1b1f24", "#57606a", "#d3d9e0", "#e9edf1"
BLUE, ORANGE, RED = "#0060a8", "#c2410c", "#b3261e"
WIDTH, MARGIN, BETWEEN = 1000, 24, 32
TOP, HIGH = 96, 170  # of the charts
ROW, BAR, HEAD = 22, 14, 30  # pixels of a column's row, of what is drawn in it, and of a heading
NAME, NUMBER, STRIP = 128, 54, 150  # widths of a column's name, of a number, and of what is drawn
BINS = 50
MOST = 120  # columns that are drawn
MANY = 300  # episodes, from which dots are small
LABELLED = 4  # gaps that are told apart in words


def picture(log: Log, found: Summary, path: str | Path) -> Path:
    """Draw a log and its summary into a PNG or SVG.

    Raises RequestError for another ending.
    """
    several = [
        ("actions", [c for c in found.columns if c.acts]),
        ("observations", [c for c in found.columns if not c.acts]),
    ]
    data = {id(c): x for c, x in zip(found.columns, [*log.obs.T, *log.action.T], strict=True)}
    left = max(MOST - len(several[0][1]), 0)
    several = [("actions", several[0][1][:MOST]), ("observations", several[1][1][:left])]
    shown = sum(len(columns) for _, columns in several)
    rows = [-(-len(columns) // 2) for _, columns in several]
    below = TOP + HIGH + 62
    height = below + sum(HEAD + ROW * n for n in rows if n) + 46
    page = canvas(path, WIDTH, height, f"{found.source}: {found.steps:,} steps")
    _heading(page, found)
    width = (WIDTH - 2 * MARGIN - BETWEEN) / 2
    _chart(page, MARGIN, width, "return of each episode", found.returns, found)
    _chart(page, MARGIN + width + BETWEEN, width, "steps of each episode", found.lengths, found, origin=True)
    at = float(below)
    for (name, columns), n in zip(several, rows, strict=True):
        if not n:
            continue
        page.words(MARGIN, at, name, TEXT, 13)
        for i, column in enumerate(columns):
            place = MARGIN + (i // n) * (width + BETWEEN), at + HEAD - 8 + ROW * (i % n)
            _column(page, *place, column, data[id(column)])
        at += HEAD + ROW * n
    _legend(page, at + 14, found, len(found.columns) - shown)
    page.save(Path(path))
    return Path(path)


def _heading(page: Canvas, found: Summary) -> None:
    page.words(MARGIN, 28, fitted(found.source, 17, WIDTH - 2 * MARGIN), TEXT, 17)
    gaps = int((found.missing > 0).sum())
    over = int(found.terminated.sum())
    said = [f"{found.steps:,} steps in {len(found.lengths):,} episode{'s' * (len(found.lengths) != 1)}"]
    said += [] if found.rate is None else [found.pace()]
    said += [f"{over:,} terminated", f"{len(found.lengths) - over:,} cut off"]
    said += [f"{gaps:,} gap{'s' * (gaps != 1)} in time"] if gaps else []
    page.words(MARGIN, 52, fitted("  \N{MIDDLE DOT}  ".join(said), 12, WIDTH - 2 * MARGIN), QUIET, 12)


# -- episodes ---------------------------------------------------------------------------------------------------------


def _chart(
    page: Canvas, left: float, width: float, name: str, y: np.ndarray | None, found: Summary, origin: bool = False
) -> None:
    """A dot for each episode, with a red line behind those after which time is missing."""
    page.words(left, TOP - 18, name, TEXT, 13)
    if y is None:
        page.words(left + width / 2, TOP + HIGH / 2, "no rewards were recorded", QUIET, 12, "middle")
        return
    low, high = float(min(y.min(), 0) if origin else y.min()), float(y.max())
    pad = 0.06 * (high - low) or max(abs(high) * 0.1, 0.5)
    low, high = low - pad * (not origin), high + pad
    labels = ticks(low, high, 5)
    room = max((length(short(tick), 11) for tick in labels), default=0.0) + 10
    first, last = left + room, left + width - 6
    n = len(y)
    across = np.linspace(first + 8, last - 8, n) if n > 1 else np.array([(first + last) / 2])

    def up(value: float) -> float:
        return TOP + HIGH * (high - value) / (high - low)

    for tick in labels:
        page.line([(first, up(tick)), (last, up(tick))], RULE, 0.8)
        page.words(first - 6, up(tick), short(tick), QUIET, 11, "end")
    page.line([(first, TOP + HIGH), (last, TOP + HIGH)], QUIET)
    _gaps(page, across, (first, last), found.missing)
    radius = 3.5 if n <= MANY else 1.5
    for x, value, over in zip(across.tolist(), y.tolist(), found.terminated.tolist(), strict=True):
        page.dot(x, up(value), radius, ORANGE if over else BLUE, square=over)
    numbers = [t for t in ticks(0, n - 1, 6) if t == int(t)] if n > 1 else [0]
    for k in numbers:
        page.words(float(across[int(k)]), TOP + HIGH + 14, short(k), QUIET, 11, "middle")
    page.words((first + last) / 2, TOP + HIGH + 31, "episode", QUIET, 11, "middle")


def _gaps(page: Canvas, across: np.ndarray, ends: tuple[float, float], missing: np.ndarray) -> None:
    places = np.flatnonzero(missing > 0)
    half = (across[1] - across[0]) / 2 if len(across) > 1 else (ends[1] - ends[0]) / 4
    for k in places.tolist():
        x = min(float(across[k] + half), ends[1])
        page.line([(x, TOP), (x, TOP + HIGH)], RED)
        if len(places) <= LABELLED:
            anchor = "end" if x > (ends[0] + ends[1]) / 2 else "start"
            page.words(x + (4 if anchor == "start" else -4), TOP + 7, f"{missing[k]:.3g} s missing", RED, 10, anchor)


# -- columns ----------------------------------------------------------------------------------------------------------


def _column(page: Canvas, x: float, y: float, column: Column, values: np.ndarray) -> None:
    """A name, the least number, where the numbers lie, the most, and what is odd."""
    page.words(x, y, fitted(column.name, 11, NAME - 8), TEXT, 11)
    strip = x + NAME + NUMBER
    page.words(strip - 7, y, f"{column.least:.3g}", QUIET, 10, "end")
    page.words(strip + STRIP + 7, y, f"{column.most:.3g}", QUIET, 10)
    low = column.least if column.low is None else min(column.low, column.least)
    high = column.most if column.high is None else max(column.high, column.most)
    _strip(page, strip, y, column, values, (low, high) if high > low else (low - 0.5, high + 0.5))
    note = "constant" if column.constant else f"{column.saturated:.0%} at ends" if column.note else ""
    page.words(strip + STRIP + NUMBER + 6, y, note, ORANGE, 11)


def _strip(page: Canvas, x: float, y: float, column: Column, values: np.ndarray, ends: tuple[float, float]) -> None:
    top, (low, high) = y - BAR / 2, ends
    known = column.low is not None and column.high is not None
    begin, end = (column.low, column.high) if known else (low, high)

    def at(value: float) -> float:
        return x + STRIP * (value - low) / (high - low)

    if known:
        page.box(at(begin or 0.0), top, at(end or 0.0) - at(begin or 0.0), BAR, PANEL)
    page.line([(x, y + BAR / 2), (x + STRIP, y + BAR / 2)], RULE)
    if column.constant:
        page.box(at(column.mean) - 1, top, 2, BAR, ORANGE)
        return
    counts, edges = np.histogram(values, BINS, (low, high))
    odd = (edges[1:] >= (end or 0.0) - 1e-9) | (edges[:-1] <= (begin or 0.0) + 1e-9)
    for count, edge, odd_one in zip(counts.tolist(), edges.tolist(), odd.tolist(), strict=False):
        if count:
            tall = max(BAR * (count / counts.max()) ** 0.5, 1.0)
            colour = ORANGE if odd_one and column.saturated > SATURATED else BLUE
            page.box(at(edge), y + BAR / 2 - tall, STRIP / BINS, tall, colour)


def _legend(page: Canvas, y: float, found: Summary, more: int) -> None:
    """What the colours that are there mean, from the left."""
    at = float(MARGIN)

    def say(text: str) -> float:
        page.words(at + 14, y, text, QUIET, 11)
        return at + 14 + length(text, 11) + 22

    if not found.terminated.all():
        page.dot(at + 5, y, 3.5, BLUE)
        at = say("cut off")
    if found.terminated.any():
        page.dot(at + 5, y, 3.5, ORANGE, square=True)
        at = say("terminated")
    if found.missing.any():
        page.line([(at + 5, y - 6), (at + 5, y + 6)], RED)
        at = say("steps are missing")
    if any(column.low is not None and column.high is not None for column in found.columns):
        page.box(at, y - 6, 10, 12, PANEL)
        at = say("bounds of the robot")
    page.box(at, y - 6, 4, 12, BLUE)
    page.box(at + 4, y - 2, 4, 8, BLUE)
    at = say("how often (square root); numbers are the least and the most")
    if more > 0:
        say(f"and {more:,} more columns")
