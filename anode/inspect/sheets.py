"""Sheets: feature maps with what excites them, and histograms of weights, as PNG or HTML."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path

import numpy as np

from anode.errors import DataError, UnsupportedOp
from anode.inspect.html import write
from anode.ops.taps import Counts
from anode.pictures.canvas import GREY, INK, LINES, MARGIN, RULE, Canvas, check_pillow

TILE = 72  # pixels of a picture
GAP = 8
PANEL = 250, 150
COLUMNS = 4


@dataclass(frozen=True)
class Feature:
    """A feature map of a layer: the image that excites it most, and what in it does.

    Both are [h, w, channels]; `guided` may have any range.
    """

    index: int
    activation: float
    image: np.ndarray
    guided: np.ndarray


@dataclass(frozen=True)
class WeightCounts:
    """The histogram of a parameter now and when training began, and its mean and deviation."""

    now: Counts
    before: Counts
    mean: float
    deviation: float


def feature_sheet(
    layers: Mapping[str, Sequence[Feature]], path: str | PathLike[str], title: str = ""
) -> None:
    """Write the features of each layer, image above what excites: one PNG, or an HTML page."""
    check_pillow()
    _write({name: _features(features) for name, features in layers.items()}, path, title)


def histogram_sheet(
    weights: Mapping[str, WeightCounts], path: str | PathLike[str], title: str = ""
) -> None:
    """Write the histograms of parameters, those of before as a line: one PNG, or an HTML page."""
    check_pillow()
    if not weights:
        raise DataError("there are no parameters to draw")
    _write({"": _histograms(weights)}, path, title)


def _write(sections: Mapping[str, Canvas], path: str | PathLike[str], title: str) -> None:
    ending = Path(path).suffix.lower()
    if ending == ".png":
        _stacked(sections, title).write(path)
    elif ending in (".html", ".htm"):
        write(path, _page(sections, title))
    else:
        raise UnsupportedOp(f"{path}: a sheet is written as .png or .html")


def _stacked(sections: Mapping[str, Canvas], title: str) -> Canvas:
    width = max(canvas.size[0] for canvas in sections.values())
    heads = 30
    height = MARGIN * 2 + sum(canvas.size[1] + heads for canvas in sections.values())
    sheet = Canvas(width, height)
    sheet.text((MARGIN, MARGIN - 4), title, INK, 18)
    y = MARGIN + 20
    for name, canvas in sections.items():
        sheet.text((MARGIN, y + 4), name, INK, 14)
        sheet.put(canvas, (0, y + heads - 8))
        y += canvas.size[1] + heads
    return sheet


def _page(sections: Mapping[str, Canvas], title: str) -> str:
    style = "body{font:14px system-ui,sans-serif;margin:2em;color:#1f2933}h2{font-size:1.1em}"
    parts = [f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title>"]
    parts.append(f"<style>{style}</style><h1>{escape(title)}</h1>")
    for name, canvas in sections.items():
        data = b64encode(canvas.png()).decode()
        size = f"width={canvas.size[0]} height={canvas.size[1]}"
        heading = f"<h2>{escape(name)}</h2>" if name else ""
        parts.append(
            f'{heading}<img {size} alt="{escape(name)}" src="data:image/png;base64,{data}">'
        )
    return "\n".join(parts) + "\n"


def _features(features: Sequence[Feature]) -> Canvas:
    width = 2 * MARGIN + max(len(features), 4) * (TILE + GAP)
    canvas = Canvas(width, 2 * TILE + GAP + 40)
    for place, feature in enumerate(features):
        x = MARGIN + place * (TILE + GAP)
        label = f"{feature.index}: {feature.activation:.3g}"
        canvas.text((x + TILE / 2, 8), label, GREY, 11, "mm")
        canvas.picture(_pixels(feature.image, centred=False), (x, 18), (TILE, TILE))
        canvas.picture(_pixels(feature.guided, centred=True), (x, 18 + TILE + GAP), (TILE, TILE))
    return canvas


def _pixels(image: np.ndarray, centred: bool) -> np.ndarray:
    """A picture u8[h, w] or u8[h, w, 3] from its least to its largest value, or with 0 as grey."""
    values = np.asarray(image, np.float64)
    if values.ndim == 3 and values.shape[2] not in (1, 3):
        values = values.mean(axis=2)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if centred:
        scaled = 0.5 + values / (2 * max(float(np.abs(values).max()), 1e-12))
    else:
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) / max(high - low, 1e-12)
    return (scaled * 255).round().astype(np.uint8)


def _histograms(weights: Mapping[str, WeightCounts]) -> Canvas:
    columns = min(COLUMNS, len(weights))
    rows = -(-len(weights) // columns)
    width, height = PANEL
    canvas = Canvas(MARGIN + columns * (width + MARGIN), rows * (height + MARGIN))
    for place, (name, counts) in enumerate(weights.items()):
        corner = (
            MARGIN + place % columns * (width + MARGIN),
            place // columns * (height + MARGIN),
        )
        _histogram(canvas, name, counts, corner)
    return canvas


def _histogram(
    canvas: Canvas, name: str, counts: WeightCounts, corner: tuple[float, float]
) -> None:
    (x, y), (width, height) = corner, PANEL
    now, before = counts.now, counts.before
    low = min(now.edges[0], before.edges[0])
    high = max(now.edges[-1], before.edges[-1])
    span = max(float(high - low), 1e-12)
    top, bottom = y + 42, y + height - 16

    def at(value: float, height: float) -> tuple[float, float]:
        return x + (value - low) / span * width, bottom - height * (bottom - top)

    canvas.text((x, y + 8), name, INK, 12, "lm")
    about = f"{counts.mean:.3g} ± {counts.deviation:.3g}"
    lost = f", {now.infinite} not finite" if now.infinite else ""
    canvas.text((x, y + 26), about + lost, GREY, 11, "lm")
    for share, left, right in zip(_heights(now), now.edges, now.edges[1:], strict=False):
        start, end = at(left, share), at(right, 0.0)
        if end[1] - start[1] >= 1:
            canvas.box(start, (max(end[0] - start[0], 1), end[1] - start[1]), LINES[0])
    line = []
    for share, left, right in zip(_heights(before), before.edges, before.edges[1:], strict=False):
        line += [at(left, share), at(right, share)]
    canvas.line(line, LINES[1], 1.5)
    canvas.line([(x, bottom), (x + width, bottom)], RULE)
    canvas.text((x, bottom + 10), f"{low:.3g}", GREY, 10, "lm")
    canvas.text((x + width, bottom + 10), f"{high:.3g}", GREY, 10, "rm")


def _heights(counts: Counts) -> np.ndarray:
    """The counts, 1 for the largest."""
    heights: np.ndarray = counts.counts / max(int(counts.counts.max()), 1)
    return heights
