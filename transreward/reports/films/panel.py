"""One robot's column of a film: caption, picture, and a moving trace."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from transreward.reports.films.painter import Painter
from transreward.reports.films.take import Film, Take

EARNED = "return {:,.1f}"
TITLE, STRIP = 24, 48  # pixels: a caption of one line, and the trace below it. Players lay their controls over the foot
LINE = 14  # pixels that each further line of the caption takes
HEADING = 22  # pixels of the line above a run, where a film shows several
BACKGROUND, INK, FAINT = (20, 22, 27), (232, 234, 238), (140, 146, 158)


class Panel:
    """One robot's column of the video: caption, picture, trace."""

    def __init__(self, title: str, colour: tuple[int, int, int], film: Film, painter: Painter | None, label: str):
        from PIL import ImageFont

        self.title, self.colour, self.film, self.painter, self.label = title, colour, film, painter, label
        self.font: Any = ImageFont.load_default(13)
        self.small: Any = ImageFont.load_default(11)
        self.lines = [title]
        room = film.width - 24 - self.small.getlength(EARNED.format(-10_000))  # beside the return
        if self.font.getlength(title) > room:  # an id of many parts goes below, whole
            side, name = title.split(": ", 1) if room > 60 else ("", title)
            self.lines = [side, *_wrapped(name, self.small, film.width - 16)]
        self.top = TITLE + LINE * (len(self.lines) - 1)  # the trace begins here

    def picture(self, take: Take, frame: int) -> Any:
        """The robot in this frame, or in its last one if its episode has ended."""
        from PIL import Image

        state = take.pictures[min(frame, len(take.pictures) - 1)]
        if self.painter is not None:
            return Image.fromarray(self.painter.paint(state))
        drawn = Image.fromarray(np.asarray(state, np.uint8))
        drawn.thumbnail((self.film.width, self.film.height))
        return drawn

    def column(self, take: Take, frame: int, trace: np.ndarray, bounds: tuple[float, float], frames: int) -> np.ndarray:
        """The whole column in one frame, uint8 [top + STRIP + height, width, 3].

        `trace` [steps] is drawn up to now between `bounds`, over the `frames` that the video has.
        """
        from PIL import Image, ImageDraw

        width, height, below = self.film.width, self.film.height, self.top + STRIP
        canvas = Image.new("RGB", (width, below + height), BACKGROUND)
        picture = self.picture(take, frame)
        canvas.paste(picture, ((width - picture.width) // 2, below + (height - picture.height) // 2))
        draw = ImageDraw.Draw(canvas)
        done = min((frame + 1) * take.every, len(take.steps.reward))
        for i, line in enumerate(self.lines):
            draw.text((8, TITLE // 2 + i * LINE), line, self.colour, self.small if i else self.font, "lm")
        draw.text((width - 8, TITLE // 2), EARNED.format(take.steps.reward[:done].sum()), INK, self.small, "rm")
        if take.end and done == len(take.steps.reward):
            _badge(draw, (width // 2, below + 14), take.end, self.small)
        self._trace(draw, trace[:done], bounds, frames * take.every, self.top)
        return np.asarray(canvas)

    def _trace(self, draw: Any, trace: np.ndarray, bounds: tuple[float, float], steps: int, top: int) -> None:
        low, high = bounds
        first, last = top + 16, top + STRIP - 5  # pixels; the text is above

        def at(i: Any, value: Any) -> tuple[Any, Any]:
            return 8 + i / max(steps - 1, 1) * (self.film.width - 16), last - (value - low) / (high - low) * (
                last - first
            )

        if low < 0 < high:
            draw.line([at(0, 0.0), at(steps - 1, 0.0)], FAINT)
        points = list(zip(*at(np.arange(len(trace)), trace), strict=True))
        if len(points) > 1:
            draw.line(points, self.colour, 2)
        x, y = points[-1]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), self.colour)
        draw.text((8, top + 8), self.label, FAINT, self.small, "lm")
        draw.text((self.film.width - 8, top + 8), f"{trace[-1]:+.2f}", INK, self.small, "rm")


def heading(title: str, width: int) -> np.ndarray:
    """The line above one of several runs, uint8 [HEADING, width, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    canvas, font = Image.new("RGB", (width, HEADING), BACKGROUND), ImageFont.load_default(13)
    draw = ImageDraw.Draw(canvas)
    while len(title) > 1 and draw.textlength(title, font) > width - 16:
        title = title[:-2] + "…"
    draw.text((8, HEADING // 2), title, INK, font, "lm")
    return np.asarray(canvas)


def _wrapped(name: str, font: Any, room: float) -> list[str]:
    """An id in lines of at most `room` pixels: broken between its parts, and within one that is wider than a line."""
    lines = [""]
    for part in re.split(r"(?<=[,:+])", name):
        if lines[-1] and font.getlength(lines[-1] + part) > room:
            lines.append("")
        for letter in part:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def _badge(draw: Any, middle: tuple[int, int], text: str, font: Any) -> None:
    """A text on a dark plate over the picture."""
    left, top, right, bottom = draw.textbbox(middle, text, font, "mm")
    draw.rounded_rectangle((left - 6, top - 4, right + 6, bottom + 4), 4, BACKGROUND)
    draw.text(middle, text, INK, font, "mm")
