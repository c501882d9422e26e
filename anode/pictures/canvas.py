"""A canvas that becomes a PNG file, the colours, and the ticks of axes."""

import math
import os
from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

INK, GREY, RULE, PAPER = "#1f2933", "#7b8794", "#e4e7eb", "#ffffff"
GREEN, RED = "#15803d", "#dc2626"
LINES = ("#2563eb", "#ea580c", "#15803d", "#9333ea", "#0891b2", "#be123c")
MARGIN = 28
Point = tuple[float, float]


class Canvas:
    """A white sheet measured in pixels, drawn at twice its size so that edges come out smooth."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.size = width, height
        self._image = Image.new("RGB", (2 * width, 2 * height), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], colour: str, width: float = 1) -> None:
        scaled = [(2 * x, 2 * y) for x, y in points]
        self._draw.line(scaled, colour, round(2 * width), joint="curve")

    def dot(self, centre: Point, colour: str, radius: float) -> None:
        x, y = centre
        ends = 2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)
        self._draw.ellipse(ends, colour)

    def box(self, corner: Point, size: Point, colour: str) -> None:
        (x, y), (width, height) = corner, size
        self._draw.rectangle((2 * x, 2 * y, 2 * (x + width) - 1, 2 * (y + height) - 1), colour)

    def text(self, at: Point, text: str, colour: str, size: float, anchor: str = "la") -> None:
        """Text that has the point `anchor` names (two letters, as in Pillow) at `at`."""
        self._draw.text((2 * at[0], 2 * at[1]), text, colour, _font(2 * size), anchor=anchor)

    def arrow(self, middle: Point, size: float, colour: str) -> None:
        """An arrow to the right as wide as `size`; Pillow's own font has none."""
        x, y = middle
        tip, head = (x + size / 2, y), size / 3
        self.line([(x - size / 2, y), tip], colour)
        self.line([(tip[0] - head, y - head), tip, (tip[0] - head, y + head)], colour)

    def picture(self, pixels: np.ndarray, corner: Point, size: Point) -> None:
        """`pixels`, u8[h, w] or u8[h, w, 3], stretched to `size`."""
        from PIL import Image

        scaled = Image.fromarray(pixels).resize((round(2 * size[0]), round(2 * size[1])))
        self._image.paste(scaled, (round(2 * corner[0]), round(2 * corner[1])))

    def put(self, other: "Canvas", corner: Point) -> None:
        """All of another canvas, its upper left corner at `corner`."""
        self._image.paste(other._image, (round(2 * corner[0]), round(2 * corner[1])))

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        file = BytesIO()
        self._save(file)
        return file.getvalue()

    def _save(self, target: Path | BytesIO) -> None:
        from PIL import Image

        smooth = self._image.resize(self.size, Image.Resampling.BOX)
        smooth.save(target, format="PNG", optimize=True)

    def write(self, path: str | PathLike[str]) -> None:
        """Writes a PNG; the file appears only when it is complete."""
        partial = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
        try:
            self._save(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def check_pillow() -> None:
    """Raise ImportError, with the way to install it, where Pillow is missing."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'anode[cli]'") from error


def _font(size: float) -> "FreeTypeFont | ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)


def text_width(text: str, size: float) -> float:
    """Width of a line of text in pixels."""
    return _font(2 * size).getlength(text) / 2


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most` + 1, that enclose a range."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    step = nice_step((high - low) / (most - 1))
    return [i * step for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


def nice_step(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Ticks as text, all with the decimals that their distance needs."""
    step = ticks[1] - ticks[0]
    largest = max(abs(ticks[0]), abs(ticks[-1]))
    if step < 1e-4 or largest >= 1e5:
        return [f"{tick:.3g}" for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step * 1.0001)))
    return [f"{tick:.{decimals}f}" for tick in ticks]
