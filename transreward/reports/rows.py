"""A chart of rows: on each a few marks, some with an interval, all against one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from transreward.reports.figures import LETTER, Figure, link, look, marker, number_of_chart, short, swatch, ticks

HIGH, TOP, BOTTOM = 24, 6, 44  # height of a row; margins
INNER = 8  # between a mark at an end of the scale and the labels
CUT = 26  # letters of a label
FAR = 1e12  # beyond which a value is drawn there
WIDTHS = (420, 860)


@dataclass(frozen=True)
class Mark:
    """One value, with its interval where there is one."""

    style: int  # which colour and marker
    x: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """What it is of, and its marks."""

    label: str
    marks: Sequence[Mark]


def legend(marks: Sequence[tuple[int, str, str]]) -> list[tuple[str, str, str]]:
    """Samples of (style, name, what it is): a ring stands alone in these charts, and has no line through it."""
    return [(swatch(style, name, look(style)[2] != "ring"), name, about) for style, name, about in marks]


def rows_figure(title: str, text: str, x_label: str, rows: Sequence[Row], file: str, csv: str) -> Figure:
    """The chart as the page shows it. `text` says it in words, `csv` in numbers."""
    narrow, wide = (_svg(title, text, x_label, rows, width) for width in WIDTHS)
    return Figure(title, text, narrow, wide, link(csv), f"{file}.csv")


def _svg(title: str, text: str, x_label: str, rows: Sequence[Row], width: int) -> str:
    labels = [row.label if len(row.label) <= CUT else f"{row.label[: CUT - 1]}…" for row in rows]
    left, right = 16 + LETTER * max(map(len, labels)), width - 16
    bottom = TOP + HIGH * len(rows)
    values = [_near(x) for row in rows for m in row.marks for x in (m.x, m.low, m.high) if x is not None]
    low, high = min([0.0, *values]), max([0.0, *values])
    high += (high - low) * 0.02 or 1.0

    def at(x: float) -> float:
        return left + INNER + (_near(x) - low) / (high - low) * (right - left - INNER)

    own = number_of_chart()
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {bottom + BOTTOM}" role="img" aria-labelledby="t{own} d{own}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="t{own}">{escape(title)}</title>'
        f'<desc id="d{own}">{escape(text)}</desc>'
    ]
    for x in ticks(low, high, most=6 if width == WIDTHS[0] else 10):
        parts.append(f'<path class="grid" d="M{at(x):.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{at(x):.1f}" y="{bottom + 18}" text-anchor="middle">{short(x)}</text>')
    parts.append(f'<path class="axis" d="M{left:.1f} {bottom}H{right}"/>')
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        v = TOP + HIGH * (i + 0.5)
        parts.append(f'<text class="label" x="{left - 8:.1f}" y="{v + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for m in row.marks:
            if m.low is not None and m.high is not None:
                parts.append(f'<path class="line s{m.style % 8}" d="M{at(m.low):.1f} {v:.1f}H{at(m.high):.1f}"/>')
            parts.append(marker(m.style, at(m.x), v))
    middle = (left + right) / 2
    parts.append(
        f'<text class="label" x="{middle:.0f}" y="{bottom + 37}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return "".join([*parts, "</svg>"])


def _near(x: float) -> float:
    return min(max(x, -FAR), FAR)
