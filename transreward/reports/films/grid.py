"""One film of several runs: each pair of robots in its place, under its run's name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transreward.reports.films.panel import BACKGROUND, HEADING, heading
from transreward.reports.films.video import Shot, encode


def write_grid(shots: Sequence[Shot], titles: Sequence[str], path: Path) -> int:
    """Write it, two below each other and more in a square, in the format that the ending of `path` says. Returns its
    number of pictures. Raises RequestError where `path` cannot be written."""
    across = 1 if len(shots) < 3 else math.isqrt(len(shots) - 1) + 1
    films, rates = [one.frames() for one in shots], [one.rate for one in shots]
    return encode(path, tiled(films, rates, titles, across), max(rates))


def tiled(
    films: Sequence[Iterator[np.ndarray]], rates: Sequence[float], titles: Sequence[str], across: int
) -> Iterator[np.ndarray]:
    """Pictures of films side by side, uint8 [rows x height, across x width, 3], as many a second as the fastest has.
    One that is over stands still."""
    latest, at, tick = [next(film) for film in films], [0] * len(films), 0
    while True:
        yield _laid_out(latest, titles, across)
        tick, running = tick + 1, False
        for i, film in enumerate(films):
            due = int(tick * rates[i] / max(rates) + 1e-9)
            while at[i] < due and (picture := next(film, None)) is not None:
                latest[i], at[i] = picture, at[i] + 1
            running |= at[i] == due
        if not running:
            return


def _laid_out(pictures: Sequence[np.ndarray], titles: Sequence[str], across: int) -> np.ndarray:
    height, width = (max(x.shape[i] for x in pictures) for i in (0, 1))
    rows = -(-len(pictures) // across)
    canvas = np.full((rows * (height + HEADING), across * width, 3), BACKGROUND, np.uint8)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        top, left = i // across * (height + HEADING), i % across * width
        canvas[top : top + HEADING, left : left + width] = heading(title, width)
        top += HEADING
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas[: len(canvas) // 2 * 2]  # H.264 wants even numbers
