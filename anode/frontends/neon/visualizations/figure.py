"""Charts as SVG and pages as HTML, which need nothing from the network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from anode.pictures.canvas import GREY, INK, LINES, RULE, nice_ticks, tick_labels

if TYPE_CHECKING:
    from anode.frontends.neon.visualizations.data import FeatureMap, Histogram, Layer, Line

Span = tuple[float, float]
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 46  # around the plot, in pixels
STYLE = """body{font:14px system-ui,sans-serif;color:#1f2933;margin:24px}
svg{display:block;margin-bottom:16px}h2{font-size:16px;font-weight:600}
figure{display:inline-block;margin:0 12px 12px 0;font-size:12px;color:#7b8794}
figure img{width:96px;height:96px;image-rendering:pixelated;margin-right:4px}"""


def x_label(epoch_axis: bool) -> str:
    """What the axis of time counts."""
    return "Epoch" if epoch_axis else "Minibatch"


class Plot:
    """A chart in the making: a plot area with axes, in which values become pixels."""

    def __init__(self, size: tuple[int, int], x: Span, y: Span, title: str, time: str) -> None:
        self.size, self.x, self.y = size, x, y
        self.parts = [_text(LEFT, 20, title, INK, 15, "start")]
        self._axes(time)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of a point."""
        width, height = self.size[0] - LEFT - RIGHT, self.size[1] - TOP - BOTTOM
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + across * width, TOP + (1 - up) * height

    def _axes(self, time: str) -> None:
        bottom = self.size[1] - BOTTOM
        for value, label in _ticks(*self.y):
            left, y = self.at(self.x[0], value)
            right, _ = self.at(self.x[1], value)
            self.parts.append(_line([(left, y), (right, y)], RULE, 1))
            self.parts.append(_text(left - 6, y + 4, label, GREY, 11, "end"))
        for value, label in _ticks(*self.x):
            x, _ = self.at(value, self.y[0])
            self.parts.append(_line([(x, bottom), (x, bottom + 4)], GREY, 1))
            self.parts.append(_text(x, bottom + 17, label, GREY, 11, "middle"))
        middle = (LEFT + self.size[0] - RIGHT) / 2
        self.parts.append(_text(middle, self.size[1] - 10, time, GREY, 11, "middle"))

    def svg(self) -> str:
        """The chart."""
        width, height = self.size
        inside = "".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif">{inside}</svg>'
        )


def cost_fig(
    cost_data: Sequence[Line],
    plot_height: int,
    plot_width: int,
    epoch_axis: bool = True,
    title: str = "Cost",
) -> str:
    """An SVG chart with a line for each of `cost_data`, which are (name, x, y)."""
    lines = [(name, *_finite(x, y)) for name, x, y in cost_data]
    xs = np.concatenate([x for _, x, _ in lines] or [np.zeros(1)])
    ys = np.concatenate([y for _, _, y in lines] or [np.zeros(1)])
    ticks = nice_ticks(float(ys.min(initial=0)), float(ys.max(initial=0)))
    span = 0.0, max(float(xs.max(initial=0)), 1.0)
    plot = Plot((plot_width, plot_height), span, (ticks[0], ticks[-1]), title, x_label(epoch_axis))
    right = plot_width - RIGHT
    for place, (name, x, y) in enumerate(lines):
        colour = LINES[place % len(LINES)]
        points = [plot.at(*point) for point in zip(x, y, strict=True)]
        plot.parts.append(_line(points, colour, 1.5) if len(points) > 1 else _dots(points, colour))
        plot.parts.append(_text(right, 20 + 15 * place, name, colour, 12, "end"))
    return plot.svg()


def hist_fig(
    hist_data: Histogram,
    plot_height: int,
    plot_width: int,
    x_range: Span | None = None,
    epoch_axis: bool = True,
) -> str:
    """An SVG picture of a histogram over time: sizes upwards, as logarithms; dark where many."""
    name, counts, height, width, _, offset = hist_data
    used = np.flatnonzero(counts.sum(axis=1))
    low, high = (used[0], used[-1] + 1) if len(used) else (0, height)
    span = x_range or (0.0, float(width))
    shown = (offset + low - 0.5, offset + high - 0.5)
    title = f"{name}, log2 |x|"
    plot = Plot((plot_width, plot_height), span, shown, title, x_label(epoch_axis))
    (left, top), (right, bottom) = plot.at(0, shown[1]), plot.at(width, shown[0])
    picture = png(_shades(counts[low:high][::-1]))
    plot.parts.append(
        f'<image x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="{picture}"/>'
    )
    return plot.svg()


def deconv_figs(layer_name: str, layer_data: Sequence[FeatureMap], fm_max: int = 8) -> str:
    """HTML of feature maps: the picture of the pixels that excite each, and the image itself."""
    figures = "".join(
        f'<figure><img src="{png(vis)}" alt="pixels"><img src="{png(image)}" alt="image">'
        f"<figcaption>feature map {fm}</figcaption></figure>"
        for fm, vis, image in layer_data[:fm_max]
    )
    return f"<h2>Layer {escape(layer_name)}</h2>{figures}"


def deconv_summary_page(
    filename: str, cost_data: Sequence[Line], deconv_data: Sequence[Layer], fm_max: int = 16
) -> None:
    """Write an HTML page of costs and of every layer's feature maps."""
    parts = [cost_fig(cost_data, 300, 533)]
    parts += [deconv_figs(name, maps, fm_max) for name, maps in deconv_data]
    write_page(filename, "Guided back-propagation", parts)


def write_page(filename: str, title: str, parts: Sequence[str]) -> None:
    """Write an HTML page of SVG and HTML parts."""
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>"
    )
    with open(filename, "w", encoding="utf-8") as file:
        file.write(page + "\n")


def png(pixels: np.ndarray) -> str:
    """u8 pixels [h, w], [h, w, 1] or [h, w, 3] as the address of a PNG that contains itself."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'anode[neon]'") from error
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shades(counts: np.ndarray) -> np.ndarray:
    """White where a column has nothing, dark blue where it has most."""
    part = counts / np.maximum(counts.max(axis=0, keepdims=True), 1)
    dark = np.array([30, 58, 138])
    return (255 - np.sqrt(part)[..., None] * (255 - dark)).astype(np.uint8)


def _finite(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.isfinite(y)
    return x[kept], y[kept]


def _ticks(low: float, high: float) -> Iterator[tuple[float, str]]:
    ticks = nice_ticks(low, high)
    for value, label in zip(ticks, tick_labels(ticks), strict=True):
        if low - 1e-9 <= value <= high + 1e-9:
            yield value, label


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _dots(points: Sequence[tuple[float, float]], colour: str) -> str:
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)


def _text(x: float, y: float, text: str, colour: str, size: int, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
