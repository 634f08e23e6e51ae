"""Figures of a page: line charts as SVG, titled, described, drawn in the page's own colours and told apart without
colour, each with its numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import count
from math import ceil, floor, log10
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from transreward.evaluation.statistics import interval
from transreward.evaluation.verdict import ENOUGH, number

DASHES = ("", "7 3", "2 3", "10 3 2 3", "5 2", "1 2", "12 4", "4 4 1 4")
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "plus", "bar", "ring")
TOP, BOTTOM, LEFT, RIGHT = 12, 44, 72, 20  # margins
LETTER = 7.5  # width of a label's letter, about; labels stand to the right of the lines
NAME = 32  # of the y axis, turned, and the space about it
LINE = 15  # height of a line of text
WIDE = (860, 400)  # of the figure that comes first, where there is room
STEPS = "target steps a seed"  # the axis of everything that is shown over a run
_numbers = count()  # ids of a page's titles; a page may hold several


@dataclass(frozen=True)
class Line:
    """One line: x and y [n], with its interval where there is one."""

    label: str
    style: int  # which colour, dash and marker
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    singles: Sequence[Sequence[float]] = ()  # of single seeds, [seeds][n]: thin lines, or points where they are few
    few: bool = False  # too few seeds for a band to say much
    steps: bool = False  # a staircase


@dataclass(frozen=True)
class Chart:
    """What is drawn, and its description for screen readers."""

    title: str
    description: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    levels: Sequence[Line] = field(default=())  # of one y each, drawn all the way across
    zero: bool = False  # y = 0 is drawn
    origin: bool = False  # x begins at 0

    def svg(self, width: int = 420, height: int = 280, named: bool = False) -> str:
        """The chart; `named`: each line's label stands at its end too."""
        longest = max((len(line.label) for line in (*self.lines, *self.levels)), default=0)
        box = _Box.around(self, width, height, round(18 + LETTER * longest) if named else RIGHT)
        own = next(_numbers)
        parts = [
            f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t{own} d{own}" '
            f'xmlns="http://www.w3.org/2000/svg"><title id="t{own}">{escape(self.title)}</title>'
            f'<desc id="d{own}">{escape(self.description)}</desc>'
            f'<clipPath id="c{own}"><rect x="{box.left - 5}" y="{TOP - 4}" width="{box.right - box.left + 10}" '
            f'height="{box.bottom - TOP + 8}"/></clipPath>',
            *box.axes(self),
            f'<g clip-path="url(#c{own})">',
            *(_band(line, box) for line in self.lines if line.low is not None and len(line.x) > 1 and not line.few),
            *(_single(line, single, box) for line in self.lines for single in line.singles),
            *(_level(line, box) for line in self.levels),
            *(_drawn(line, box) for line in self.lines),
            "</g>",
            *(box.names([*self.lines, *self.levels]) if named else ()),
            "</svg>",
        ]
        return "".join(parts)


# of the page in daylight, by style; page.html has them, too, beside those for the dark
COLOURS = ("#0060a8", "#c2410c", "#00795a", "#5b6470", "#9b3d82", "#8a6500", "#2a7f9e", "#111418")


def look(style: int) -> tuple[str, str, str]:
    """Class of the colour, dash in pixels and marker; from the ninth style on colours come again with other dashes."""
    other = (style + style // 8) % 8
    return f"s{style % 8}", DASHES[other], MARKERS[other]


class Figure(NamedTuple):
    """A chart as the page shows it, and the numbers behind it."""

    title: str
    text: str
    svg: str
    wide: str  # the same where there is room, or empty
    csv: str  # as a link
    file: str


def figure(chart: Chart, file: str, csv: str, wide: bool = False, named: bool = False) -> Figure:
    """`wide`: also as large as the page; `named`: lines that the page's legend does not explain."""
    apart = not any(line.steps for line in chart.lines)  # staircases all end at the same place
    large = chart.svg(*WIDE, named=apart) if wide else ""
    return Figure(chart.title, chart.description, chart.svg(named=named), large, link(csv), f"{file}.csv")


def line(label: str, style: int, x: list[float], y: np.ndarray, singles: bool = False) -> Line:
    """Mean over seeds with its t interval; y [n, seeds]. Where they are few, each seed is a point and there is no band,
    which would be far wider than what was seen."""
    bounds = [interval(row) for row in y]
    whole = len(y) > 0 and all(bounds)
    low, high = ([b[i] for b in bounds if b] for i in (0, 1)) if whole else (None, None)
    few = len(y) > 0 and 1 < y.shape[1] < ENOUGH
    each = y.T.tolist() if (few or singles) and len(y) else ()
    return Line(label, style, x, y.mean(axis=1).tolist() if len(y) else [], low, high, each, few)


def ends(lines: Iterable[Line]) -> str:
    """A chart in words: where each line begins and ends."""
    said = []
    for one in lines:
        if not len(one.x):
            said += [f"{one.label} stays at {number(one.y[0])}"] if len(one.y) else []
            continue
        wide = ""
        if one.low is not None and one.high is not None:
            wide = f" (95% interval {number(one.low[-1])} to {number(one.high[-1])})"
        start = f"goes from {number(one.y[0])} to " if len(one.y) > 1 else "is "
        said.append(f"{one.label} {start}{number(one.y[-1])}{wide}")
    return "; ".join(said) + "." if said else "Nothing was evaluated."


def swatch(style: int, label: str, line: bool = True) -> str:
    """A sample of that line style, or of its marker alone, as SVG, for a legend."""
    own, (colour, dash, _) = next(_numbers), look(style)
    path = f'<path class="line {colour}" d="M1 6H33" stroke-dasharray="{dash}"/>' if line else ""
    return (
        f'<svg class="swatch" viewBox="0 0 34 12" role="img" aria-labelledby="t{own}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="t{own}">{escape(label)}</title>'
        f"{path}{marker(style, 17, 6)}</svg>"
    )


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV; numbers as JSON writes them, so that they read back exactly, NumPy's like Python's."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [columns, *([repr(float(x)) if isinstance(x, float) else x for x in row] for row in rows)]
    )
    return text.getvalue()


def link(text: str) -> str:
    """CSV as the address of a link."""
    return "data:text/csv;charset=utf-8," + quote(text)


def known(x: Any) -> Any:
    """A cell of a CSV: empty where nobody knows."""
    return "" if x is None else x


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most`."""
    raw = (high - low) / max(most - 1, 1)
    power = 10 ** floor(log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.8)
    return [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def short(x: float) -> str:
    """A number as the label of a tick, as tables write it: 250, 20,000, 1,500,000."""
    text = f"{round(x, 10):,.10g}" if abs(x) < 1e9 else f"{x:g}"
    return text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class _Box:
    """The plot area in pixels, and the range of its axes."""

    left: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    @staticmethod
    def around(chart: Chart, width: int, height: int, right: int) -> _Box:
        """Axes that hold every mean and every seed; an interval may extend their range by half."""
        xs = [x for line in chart.lines for x in line.x] or [0.0, 1.0]
        xs += [0.0] if chart.origin else []
        ys = [y for line in (*chart.lines, *chart.levels) for y in (*line.y, *(y for one in line.singles for y in one))]
        low, high = min(ys or [0.0]), max(ys or [1.0])
        room = 0.5 * (high - low)
        banded = [line for line in chart.lines if not line.few]
        ends = [y for line in banded for side in (line.low, line.high) if side is not None for y in side]
        low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
        if chart.zero:
            low, high = min(low, 0.0), max(high, 0.0)
        pad = 0.04 * (high - low) or max(abs(high) * 0.1, 0.5)
        start, end = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 0.5, max(xs) + 0.5)
        low, high = low - pad, high + pad
        left = max(LEFT, NAME + LETTER * max(len(short(y)) for y in ticks(low, high)))
        right = max(right, round(LETTER / 2 * max(len(short(x)) for x in ticks(start, end))))
        return _Box(left, width - right, height - BOTTOM, (start, end), (low, high))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel coordinates of a point."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - TOP)

    def axes(self, chart: Chart) -> list[str]:
        """Grid, ticks and labels."""
        parts = []
        for y in ticks(*self.y):
            _, v = self.at(self.x[0], y)
            parts.append(f'<path class="grid" d="M{self.left} {v:.1f}H{self.right}"/>')
            parts.append(f'<text x="{self.left - 8}" y="{v + 4:.1f}" text-anchor="end">{short(y)}</text>')
        for x in self.along():
            u, _ = self.at(x, self.y[0])
            parts.append(f'<path class="tick" d="M{u:.1f} {self.bottom}v4"/>')
            parts.append(f'<text x="{u:.1f}" y="{self.bottom + 18}" text-anchor="middle">{short(x)}</text>')
        parts.append(f'<path class="axis" d="M{self.left} {self.bottom}H{self.right}"/>')
        if chart.zero:
            parts.append(f'<path class="zero" d="M{self.left} {self.at(self.x[0], 0)[1]:.1f}H{self.right}"/>')
        middle, centre = (self.left + self.right) / 2, (TOP + self.bottom) / 2
        parts.append(
            f'<text class="label" x="{middle:.0f}" y="{self.bottom + 37}" text-anchor="middle">{escape(chart.x_label)}'
            f'</text><text class="label" transform="translate(12 {centre:.0f}) rotate(-90)" text-anchor="middle">'
            f"{escape(chart.y_label)}</text>"
        )
        return parts

    def along(self) -> list[float]:
        """Ticks of the x axis, as many as there is room for their labels."""
        for most in range(6, 1, -1):
            found = ticks(*self.x, most=most)
            if len(found) * (LETTER * max(len(short(x)) for x in found) + 8) <= self.right - self.left:
                break
        return found

    def names(self, lines: Sequence[Line]) -> list[str]:
        """Each line's label at its right end, moved apart where they would overlap."""
        wanted = sorted((self.at(0, line.y[-1])[1], line.label, line.style) for line in lines if len(line.y))
        places: list[float] = []
        for place, *_ in wanted:
            places.append(max(place, places[-1] + LINE) if places else place)
        over = (places[-1] - self.bottom) if places else 0.0
        for i in reversed(range(len(places))):  # back up, as far as the last has to
            limit = places[i + 1] - LINE if i + 1 < len(places) else places[i] - max(over, 0.0)
            places[i] = min(places[i], limit)
        return [
            f'<text class="name s{style % 8}" x="{self.right + 8}" y="{place + 4:.1f}">{escape(label)}</text>'
            for place, (_, label, style) in zip(places, wanted, strict=True)
        ]


def _points(line: Line, y: Sequence[float], box: _Box) -> list[tuple[float, float]]:
    points = [box.at(a, b) for a, b in zip(line.x, y, strict=True)]
    if not line.steps:
        return points
    return [p for i, (u, v) in enumerate(points) for p in (([(u, points[i - 1][1])] if i else []) + [(u, v)])]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{u:.1f} {v:.1f}" for u, v in points)


def _path(line: Line, y: Sequence[float], box: _Box, kind: str) -> str:
    colour, dash, _ = look(line.style)
    dash = f' stroke-dasharray="{dash}"' if dash and kind == "line" else ""
    return f'<path class="{kind} {colour}" d="{_joined(_points(line, y, box))}"{dash}/>'


def _single(line: Line, y: Sequence[float], box: _Box) -> str:
    """A seed: a thin line, or its points where there are few seeds."""
    if not line.few:
        return _path(line, y, box, "thin")
    points = "".join(f"M{u:.1f} {v:.1f}h0" for u, v in _points(line, y, box))
    return f'<path class="seed s{line.style % 8}" d="{points}"/>'


def _band(line: Line, box: _Box) -> str:
    assert line.low is not None and line.high is not None
    around = [*_points(line, line.high, box), *reversed(_points(line, line.low, box))]
    return f'<path class="band s{line.style % 8}" d="{_joined(around)}Z"/>'


def _level(line: Line, box: _Box) -> str:
    across = Line(line.label, line.style, box.x, (line.y[0], line.y[0]))
    return _path(across, across.y, box, "line")


def _drawn(line: Line, box: _Box) -> str:
    if not len(line.x):
        return ""
    markers = "" if line.steps else "".join(marker(line.style, *p) for p in _points(line, line.y, box))
    return _path(line, line.y, box, "line") + markers


def number_of_chart() -> int:
    """Of the next chart on a page, for its ids."""
    return next(_numbers)


def marker(style: int, u: float, v: float) -> str:
    """A style's marker at a place in pixels, as SVG."""
    colour, _, name = look(style)
    shape = {
        "circle": f"M{u - 3:.1f} {v:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
        "square": f"M{u - 3:.1f} {v - 3:.1f}h6v6h-6Z",
        "triangle": f"M{u:.1f} {v - 4:.1f}l4 7h-8Z",
        "diamond": f"M{u:.1f} {v - 4:.1f}l4 4l-4 4l-4 -4Z",
        "cross": f"M{u - 3:.1f} {v - 3:.1f}l6 6m0 -6l-6 6",
        "plus": f"M{u - 4:.1f} {v:.1f}h8m-4 -4v8",
        "bar": f"M{u:.1f} {v - 4:.1f}v8",
        "ring": f"M{u - 3:.1f} {v:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
    }[name]
    return f'<path class="marker {name} {colour}" d="{shape}"/>'
