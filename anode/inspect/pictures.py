"""Pictures of what a model has learnt: classified images and learning curves, as PNG files."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anode.errors import DataError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

INK, GREY, RULE, PAPER = "#1f2933", "#7b8794", "#e4e7eb", "#ffffff"
GREEN, RED = "#15803d", "#dc2626"
LINES = ("#2563eb", "#ea580c", "#15803d", "#9333ea", "#0891b2", "#be123c")
PARTS = ("train", "training", "valid", "validation", "val", "test")
MARGIN = 28
HEADING = 34
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


# Classified images


def digit_sheet(
    images: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    path: str | PathLike[str],
    title: str = "",
    *,
    classes: Sequence[str] | None = None,
    columns: int = 12,
) -> None:
    """Writes a PNG of classified images: the correct ones, then the wrong ones.

    `images` is u8, or float from 0 to 1, of shape [n, h, w] or [n, h, w, 3]; `true` and `predicted`
    are integers [n], shown as names where `classes` gives them. Above each image stands its true
    label, an arrow and the predicted label, which is green where it is correct and red where not.
    Raises `DataError` for arrays that do not fit and `ImportError` where Pillow is missing.
    """
    check_pillow()
    if columns < 1:
        raise DataError(f"columns={columns}: choose at least one")
    pixels = _pixels(images)
    true, predicted = np.asarray(true), np.asarray(predicted)
    if not true.shape == predicted.shape == pixels.shape[:1] or not len(pixels):
        raise DataError(
            f"labels {list(true.shape)} and predictions {list(predicted.shape)} do not match "
            f"images {list(pixels.shape)}; give one of each per image, and at least one image"
        )
    captions = [
        (_name(t, classes), _name(p, classes)) for t, p in zip(true, predicted, strict=True)
    ]
    right = true == predicted
    sections = [
        _Section("Correct", GREEN, np.flatnonzero(right)),
        _Section("Wrong", RED, np.flatnonzero(~right)),
    ]
    tile = _Tile.for_captions(captions, pixels.shape[1:3])
    _draw_sheet(pixels, captions, sections, tile, columns, title).write(path)


@dataclass(frozen=True)
class _Section:
    title: str
    colour: str
    rows: np.ndarray


@dataclass(frozen=True)
class _Tile:
    """An image with its caption above: the sizes of image and cell, in pixels."""

    image: Point
    cell: Point
    text: float

    @classmethod
    def for_captions(cls, captions: list[tuple[str, str]], shape: tuple[int, ...]) -> "_Tile":
        scale = max(1.0, 56 / max(shape))
        height, width = (scale * extent for extent in shape)
        text = 14 if max(len(name) for pair in captions for name in pair) <= 2 else 10
        caption = max(_caption_width(*pair, text) for pair in captions)
        return cls((width, height), (max(width, caption) + 10, height + text + 18), text)


def _draw_sheet(
    pixels: np.ndarray,
    captions: list[tuple[str, str]],
    sections: list[_Section],
    tile: _Tile,
    columns: int,
    title: str,
) -> Canvas:
    top: float = MARGIN + (42 if title else 0)
    columns = min(columns, max(len(section.rows) for section in sections))
    heights = [_section_height(section, tile, columns) for section in sections]
    width = max(columns * tile.cell[0], text_width(title, 22), 300)
    canvas = Canvas(round(2 * MARGIN + width), round(top + sum(heights) + MARGIN / 2))
    canvas.text((MARGIN, MARGIN - 4), title, INK, 22)
    for section, height in zip(sections, heights, strict=True):
        _draw_heading(canvas, section, (MARGIN, top), width)
        for place, row in enumerate(section.rows):
            line, column = divmod(place, columns)
            corner = MARGIN + column * tile.cell[0], top + HEADING + line * tile.cell[1]
            _draw_tile(canvas, pixels[row], captions[row], section.colour, tile, corner)
        top += height
    return canvas


def _section_height(section: _Section, tile: _Tile, columns: int) -> float:
    return HEADING + math.ceil(len(section.rows) / columns) * tile.cell[1] + 6


def _draw_heading(canvas: Canvas, section: _Section, corner: Point, width: float) -> None:
    x, y = corner
    canvas.text((x, y + 10), f"{section.title} ({len(section.rows)})", section.colour, 15, "lm")
    legend = x + width - _caption_width("true", "predicted", 11) / 2
    _draw_caption(canvas, (legend, y + 10), ("true", "predicted"), section.colour, 11)
    canvas.line([(x, y + 24), (x + width, y + 24)], RULE)


def _draw_tile(
    canvas: Canvas,
    pixels: np.ndarray,
    caption: tuple[str, str],
    colour: str,
    tile: _Tile,
    corner: Point,
) -> None:
    middle = corner[0] + tile.cell[0] / 2
    _draw_caption(canvas, (middle, corner[1] + tile.text / 2), caption, colour, tile.text)
    width, height = tile.image
    image = middle - width / 2, corner[1] + tile.text + 6
    canvas.box((image[0] - 2, image[1] - 2), (width + 4, height + 4), colour)
    canvas.picture(pixels, image, tile.image)


def _draw_caption(
    canvas: Canvas, middle: Point, caption: tuple[str, str], colour: str, size: float
) -> None:
    (x, y), (true, predicted) = middle, caption
    half = _caption_width(true, predicted, size) / 2
    canvas.text((x - half, y), true, GREY, size, "lm")
    canvas.arrow((x - half + text_width(true, size) + size, y), 0.8 * size, GREY)
    canvas.text((x + half, y), predicted, colour, size, "rm")


def _caption_width(true: str, predicted: str, size: float) -> float:
    return text_width(true, size) + 2 * size + text_width(predicted, size)


def _name(label: int, classes: Sequence[str] | None) -> str:
    if classes is None:
        return str(label)
    if not 0 <= label < len(classes):
        raise DataError(f"label {label} has no name among {len(classes)} classes; give all of them")
    return classes[label]


def _pixels(images: np.ndarray) -> np.ndarray:
    """Images as u8, from u8 or from floats from 0 to 1."""
    images = np.asarray(images)
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[3] == 3):
        raise DataError(f"images {list(images.shape)}: reshape to [n, h, w] or [n, h, w, 3]")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
        raise DataError(f"images are {images.dtype}: give uint8, or floats from 0 to 1")
    return (images * 255).round().astype(np.uint8)


# Learning curves


def learning_curves(
    history: Mapping[str, Sequence[float]], path: str | PathLike[str], title: str = ""
) -> None:
    """Writes a PNG chart of values per epoch, one panel for each quantity.

    A name that begins with train, valid, validation, val or test and a blank, `_` or `/` is a line
    of that name in the panel of the rest: "train loss" and "test loss" share the panel "loss". Any
    other name has a panel of its own, or joins the panel of that name. The first value belongs to
    epoch 1; values that are not finite leave a gap. Raises `DataError` for an empty history and
    `ImportError` where Pillow is missing.
    """
    check_pillow()
    panels = _panels(history)
    if not panels:
        raise DataError("history has no values; record at least one epoch")
    height = 300
    top = MARGIN + (36 if title else 0)
    canvas = Canvas(MARGIN + len(panels) * 440, top + height + MARGIN)
    canvas.text((MARGIN, MARGIN - 4), title, INK, 20)
    for place, panel in enumerate(panels):
        _draw_panel(canvas, panel, (MARGIN + place * 440, top), (440 - MARGIN, height))
    canvas.write(path)


@dataclass(frozen=True)
class _Panel:
    title: str
    lines: dict[str, Sequence[float]]


@dataclass(frozen=True)
class _Axes:
    """The plot area in pixels, the ranges it shows, and the map from values to pixels."""

    left: float
    top: float
    right: float
    bottom: float
    epochs: tuple[float, float]
    values: tuple[float, float]

    def at(self, epoch: float, value: float) -> Point:
        return (
            _between(epoch, self.epochs, self.left, self.right),
            _between(value, self.values, self.bottom, self.top),
        )


def _between(value: float, limits: tuple[float, float], start: float, end: float) -> float:
    return start + (value - limits[0]) / (limits[1] - limits[0]) * (end - start)


def _panels(history: Mapping[str, Sequence[float]]) -> list[_Panel]:
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        if len(values):
            match = re.fullmatch(rf"({'|'.join(PARTS)})[ _/](.+)", name)
            line, quantity = match.groups() if match else (name, name)
            panels.setdefault(quantity, {})[line] = values
    return [_Panel(title, lines) for title, lines in panels.items()]


def _draw_panel(canvas: Canvas, panel: _Panel, corner: Point, size: Point) -> None:
    (x, y), (width, height) = corner, size
    finite = [v for line in panel.lines.values() for v in line if math.isfinite(v)] or [0.0]
    values = nice_ticks(min(finite), max(finite))
    last = max(len(line) for line in panel.lines.values())
    epochs = (1, last) if last > 1 else (0, 2)
    limits = values[0], values[-1]
    axes = _Axes(x + 46, y + 40, x + width - 42, y + height - 40, epochs, limits)
    _draw_grid(canvas, axes, values, epoch_ticks(last))
    canvas.text((axes.left, y + 10), panel.title, INK, 16, "lm")
    if list(panel.lines) != [panel.title]:
        _draw_legend(canvas, panel, (axes.right, y + 10))
    for line, colour in zip(panel.lines.values(), LINES * len(panel.lines), strict=False):
        _draw_line(canvas, axes, line, colour)
    _draw_last_values(canvas, axes, panel)


def _draw_grid(canvas: Canvas, axes: _Axes, values: Sequence[float], epochs: Sequence[int]) -> None:
    for value, label in zip(values, tick_labels(values), strict=True):
        y = axes.at(axes.epochs[0], value)[1]
        canvas.line([(axes.left, y), (axes.right, y)], RULE)
        canvas.text((axes.left - 8, y), label, GREY, 11, "rm")
    for epoch in epochs:
        x = axes.at(epoch, values[0])[0]
        canvas.line([(x, axes.bottom), (x, axes.bottom + 4)], GREY)
        canvas.text((x, axes.bottom + 13), str(epoch), GREY, 11, "mm")
    canvas.line([(axes.left, axes.bottom), (axes.right, axes.bottom)], GREY)
    canvas.text(((axes.left + axes.right) / 2, axes.bottom + 31), "epoch", GREY, 11, "mm")


def _draw_legend(canvas: Canvas, panel: _Panel, right: Point) -> None:
    x, y = right
    colours = LINES * len(panel.lines)
    for name, colour in reversed(list(zip(panel.lines, colours, strict=False))):
        x -= text_width(name, 12)
        canvas.text((x, y), name, INK, 12, "lm")
        canvas.line([(x - 24, y), (x - 6, y)], colour, 2.5)
        x -= 38


def _draw_line(canvas: Canvas, axes: _Axes, values: Sequence[float], colour: str) -> None:
    points = [axes.at(epoch, v) if math.isfinite(v) else None for epoch, v in enumerate(values, 1)]
    for start, end in pairwise(points):
        if start and end:
            canvas.line([start, end], colour, 2)
    radius = 3 if len(points) <= 30 else 1
    for point in filter(None, points):
        canvas.dot(point, colour, radius)


def _draw_last_values(canvas: Canvas, axes: _Axes, panel: _Panel) -> None:
    """The last value of each line beside its end, moved apart where they would overlap."""
    ends = [
        (axes.at(len(line), line[-1])[1], f"{line[-1]:.4g}", colour)
        for line, colour in zip(panel.lines.values(), LINES * len(panel.lines), strict=False)
        if math.isfinite(line[-1])
    ]
    free = -math.inf
    for y, label, colour in sorted(ends):
        free = max(y, free)
        canvas.text((axes.right + 8, free), label, colour, 11, "lm")
        free += 14


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most` + 1, that enclose a range."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    step = _nice_step((high - low) / (most - 1))
    return [i * step for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


def epoch_ticks(last: int) -> list[int]:
    """At most eleven epochs from 1 to `last`: all of them, or multiples of a round step."""
    step = max(1, round(_nice_step(last / 10)))
    return list(range(step, last + 1, step))


def _nice_step(least: float) -> float:
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
