"""A strip of pictures for paper: moments of one episode beside each other, the source's above the target's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.interruption import whole
from transreward.reports.films.panel import Panel
from transreward.reports.films.take import Take
from transreward.reports.films.video import Shot
from transreward.types import Pair, RequestError

ENDINGS = {".png": "PNG", ".pdf": "PDF"}
PICTURES = 6  # of an episode, unless asked otherwise
INK, FAINT, PAPER = (20, 22, 27), (96, 100, 108), (255, 255, 255)
COLOURS = Pair((0, 92, 175), (178, 76, 0))  # blue and orange as in the films, dark enough for paper
TITLE, LINE, GAP = 30, 22, 4  # pixels: of a run's title, of a robot's line, between pictures
DPI = 300


def write_poster(shots: Sequence[Shot], titles: Sequence[str], path: Path, pictures: int = PICTURES) -> None:
    """Write the strips of several runs below each other. Each picture says when it was and what had been earned until
    then; an episode that ended early says so in its last one. Raises RequestError where `path` cannot be written."""
    from PIL import Image

    rows = [_strip(one, title, pictures) for one, title in zip(shots, titles, strict=True)]
    canvas = Image.new("RGB", (max(x.width for x in rows), sum(x.height for x in rows)), PAPER)
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            canvas.save(partial, ENDINGS[path.suffix], dpi=(DPI, DPI), resolution=DPI, quality=95)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror or error}") from None


def _strip(shot: Shot, title: str, pictures: int) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    width, height = shot.panels.source.film.width, shot.panels.source.film.height
    moments = np.linspace(0, max(len(t.pictures) for t in shot.takes[0]) - 1, pictures).round().astype(int)
    canvas = Image.new("RGB", (pictures * (width + GAP) - GAP, TITLE + 2 * (LINE + height + GAP)), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(16)
    draw.text((2, TITLE // 2), title, INK, font, "lm")
    top = TITLE
    for panel, take, colour in zip(shot.panels, shot.takes[0], COLOURS, strict=True):
        draw.text((2, top + LINE // 2), panel.title, colour, ImageFont.load_default(14), "lm")
        for i, frame in enumerate(moments):
            canvas.paste(_moment(panel, take, int(frame)), (i * (width + GAP), top + LINE))
        top += LINE + height + GAP
    return canvas


def _moment(panel: Panel, take: Take, frame: int) -> Any:
    """One picture, with the time and what had been earned until then in its lower edge."""
    from PIL import Image, ImageDraw

    drawn, film = panel.picture(take, frame), panel.film
    canvas = Image.new("RGB", (film.width, film.height), PAPER)
    canvas.paste(drawn, ((film.width - drawn.width) // 2, (film.height - drawn.height) // 2))
    draw, last = ImageDraw.Draw(canvas), len(take.steps.reward)
    step = min(frame * take.every, last)
    over = frame >= len(take.pictures) - 1 and bool(take.end)
    said = take.end if over else f"{step / take.rate:.1f} s"
    earned = f"{take.steps.reward[: last if over else step].sum():,.0f}"
    draw.rectangle((0, film.height - 20, film.width, film.height), PAPER)
    draw.text((4, film.height - 10), said, INK if over else FAINT, panel.font, "lm")
    draw.text((film.width - 4, film.height - 10), f"return {earned}", INK, panel.font, "rm")
    return canvas
