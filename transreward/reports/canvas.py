"""A page to draw on, kept as PNG or SVG: boxes, lines, dots and words, in pixels from the upper left corner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

from transreward.interruption import whole
from transreward.runs import store
from transreward.types import RequestError

Point = tuple[float, float]
ANCHORS = {"start": "lm", "middle": "mm", "end": "rm"}  # of words, and Pillow's names of them
FINE = 4  # pixels of a drawing for each of the page's, half of which are kept, smoothed


class Canvas(Protocol):
    """What is drawn upon. Colours are `#rrggbb`."""

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle, by its upper left corner."""
        ...

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        """Straight lines from point to point."""
        ...

    def dot(self, x: float, y: float, radius: float, colour: str, square: bool = False) -> None:
        """A filled circle, or square, about a point."""
        ...

    def words(self, x: float, y: float, text: str, colour: str, size: int = 12, anchor: str = "start") -> None:
        """A line of text, with its middle at the height y."""
        ...

    def save(self, path: Path) -> None:
        """Write it."""
        ...


def canvas(path: str | Path, width: float, height: float, title: str) -> Canvas:
    """A white page for a file of this name. Raises RequestError for another ending than .png and .svg."""
    return CANVASES[require_picture(path)](width, height, title)


def require_picture(path: str | Path) -> str:
    """The ending of the name of a picture. Raises RequestError for another one, for a folder that is not there, and
    where nothing can be written."""
    path = Path(path)
    if path.suffix not in CANVASES:
        raise RequestError(f"{path} must name a file that ends in {' or '.join(CANVASES)}")
    if path.is_dir() or not path.parent.exists():
        raise RequestError(f"{path} must name a file in a folder that is there")
    store.require_writable(path)
    return path.suffix


def length(text: str, size: int) -> float:
    """How wide a line of text is, about."""
    from PIL import ImageFont

    return float(ImageFont.load_default(size).getlength(text))


def fitted(text: str, size: int, room: float) -> str:
    """The text, or as much of its beginning as there is room for."""
    if length(text, size) <= room:
        return text
    while text and length(text + "\N{HORIZONTAL ELLIPSIS}", size) > room:
        text = text[:-1]
    return text + "\N{HORIZONTAL ELLIPSIS}"


class Svg:
    """A page as SVG."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="sans-serif" role="img"><title>{escape(title)}</title>'
            '<rect width="100%" height="100%" fill="#ffffff"/>'
        ]

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self._parts.append(f'<path fill="{colour}" d="M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}Z"/>')

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._parts.append(f'<path fill="none" stroke="{colour}" stroke-width="{width:g}" d="{path}"/>')

    def dot(self, x: float, y: float, radius: float, colour: str, square: bool = False) -> None:
        if square:
            self.box(x - radius, y - radius, 2 * radius, 2 * radius, colour)
        else:
            self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>')

    def words(self, x: float, y: float, text: str, colour: str, size: int = 12, anchor: str = "start") -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y + 0.36 * size:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def save(self, path: Path) -> None:
        with whole(path) as partial:
            partial.write_text("\n".join([*self._parts, "</svg>"]), encoding="utf-8")


class Png:
    """A page as PNG, of twice the size in pixels."""

    def __init__(self, width: float, height: float, title: str) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._image = Image.new("RGB", (round(FINE * width), round(FINE * height)), "#ffffff")
        self._draw, self._font = ImageDraw.Draw(self._image), ImageFont.load_default

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self._draw.rectangle([FINE * x, FINE * y, FINE * (x + width) - 1, FINE * (y + height) - 1], colour)

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        self._draw.line([(FINE * x, FINE * y) for x, y in points], colour, round(FINE * width))

    def dot(self, x: float, y: float, radius: float, colour: str, square: bool = False) -> None:
        around = [FINE * (x - radius), FINE * (y - radius), FINE * (x + radius), FINE * (y + radius)]
        (self._draw.rectangle if square else self._draw.ellipse)(around, colour)

    def words(self, x: float, y: float, text: str, colour: str, size: int = 12, anchor: str = "start") -> None:
        font: Any = self._font(FINE * size)
        text = text.replace("\N{MINUS SIGN}", "-")  # which Pillow's own font lacks
        self._draw.text((FINE * x, FINE * y), text, colour, font, ANCHORS[anchor])

    def save(self, path: Path) -> None:
        with whole(path) as partial:
            self._image.reduce(FINE // 2).save(partial, "PNG")


CANVASES: dict[str, Callable[[float, float, str], Canvas]] = {".png": Png, ".svg": Svg}
