"""Classified images, as a PNG file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from anode.errors import DataError
from anode.pictures.canvas import (
    GREEN,
    GREY,
    INK,
    MARGIN,
    RED,
    RULE,
    Canvas,
    Point,
    check_pillow,
    text_width,
)

HEADING = 34


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
