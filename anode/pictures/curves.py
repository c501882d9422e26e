"""Learning curves, as a PNG file."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike

from anode.errors import DataError
from anode.pictures.canvas import (
    GREY,
    INK,
    LINES,
    MARGIN,
    RULE,
    Canvas,
    Point,
    check_pillow,
    nice_step,
    nice_ticks,
    text_width,
    tick_labels,
)

PARTS = ("train", "training", "valid", "validation", "val", "test")


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


def epoch_ticks(last: int) -> list[int]:
    """At most eleven epochs from 1 to `last`: all of them, or multiples of a round step."""
    step = max(1, round(nice_step(last / 10)))
    return list(range(step, last + 1, step))
