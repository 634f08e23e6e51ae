"""A robot in one or several poses, as SVG: its bones, and a dot at each joint of which something is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from transreward.reports.figures import number_of_chart

WIDE, LABEL = 110, 30  # pixels of a pose, and of the words below it
ROOM = 0.9  # of a pose's width that the robot may take
DOT = 9  # pixels, the radius of the largest dot
LEAST = 0.5  # pixels, of a dot that is drawn

Place = tuple[float, float]


class Pose(NamedTuple):
    """What `outline.drawn` made of one, and what is shown at its joints."""

    label: str
    bones: Sequence[Sequence[float]]  # from, to, half the width, in m
    dots: dict[str, tuple[Place, float]]  # joint -> where it is, and how large: in [-1, 1]
    found: Mapping[int, int] = {}  # bones that stand out -> which of the page's colours they have
    marks: Sequence[tuple[Place, str]] = ()  # short words, and where they stand


def poses(shown: Sequence[Pose], title: str, text: str, across: int, wide: int = WIDE) -> str:
    """The poses in rows of `across`, each `wide` pixels, at one scale. A dot below 0 is filled, one above a ring."""
    own, rows = number_of_chart(), -(-len(shown) // across)
    bones = np.array([[*bone] for one in shown for bone in one.bones])
    ends, half = bones[:, :4].reshape(-1, 2), bones[:, 4:].repeat(2, axis=0)
    low, high = (ends - half).min(axis=0), (ends + half).max(axis=0)
    scale = ROOM * wide / (float(max(high - low)) or 1.0)
    tall = round(float(high[1] - low[1]) * scale + 3 * DOT)
    parts = [
        f'<svg class="chart" viewBox="0 0 {across * wide} {rows * (tall + LABEL)}" role="img" '
        f'aria-labelledby="t{own} d{own}" xmlns="http://www.w3.org/2000/svg"><title id="t{own}">{escape(title)}</title>'
        f'<desc id="d{own}">{escape(text)}</desc>'
    ]
    for i, one in enumerate(shown):
        left, top = (i % across + 0.5) * wide, (i // across) * (tall + LABEL)
        shift = left - scale * float(low[0] + high[0]) / 2, top + tall - 1.5 * DOT + scale * float(low[1])
        parts += _pose(one, scale, shift)
        parts.append(
            f'<text class="label" x="{left:.0f}" y="{top + tall + 16}" text-anchor="middle">{escape(one.label)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _pose(one: Pose, scale: float, shift: Place) -> list[str]:
    def at(x: float, y: float) -> Place:
        return shift[0] + scale * x, shift[1] - scale * y

    parts = []
    behind = sorted(range(len(one.bones)), key=lambda i: i in one.found)
    for i in behind:
        a, b, c, d, half = one.bones[i]
        (x, y), (u, v) = at(a, b), at(c, d)
        kind = f"bone found s{one.found[i]}" if i in one.found else "bone"
        parts.append(
            f'<path class="{kind}" d="M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" stroke-width="{max(2 * scale * half, 2):.1f}"/>'
        )
    for place, size in one.dots.values():
        radius = DOT * abs(size) ** 0.5
        if radius >= LEAST:
            x, y = at(*place)
            kind = "charged s1" if size < 0 else "bonus s0"
            parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    for place, word in one.marks:
        x, y = at(*place)
        parts.append(f'<text class="mark" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(word)}</text>')
    return parts
