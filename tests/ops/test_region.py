"""Pooling of regions of interest against the loops that Caffe's and torchvision's layers are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode.errors import UnsupportedOp
from anode.ops import multiply, pool_regions, roi_align, roi_pool, sum
from anode.transform.grad import gradients
from tests.ops.values import run

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(2, 9, 12, 3))
REGIONS = np.array(
    [[0, 3, 2, 17, 9], [1, 0, 0, 23, 17], [1, 20, 15, 30, 40], [0, 8, 8, 8, 8], [1, -9, 3, 4, 30]],
    np.float64,
)
SIZES, SCALE = (3, 4), 0.5


def span(start: float, end: float, count: int, length: int) -> list[range]:
    """The elements of each cell along one axis."""
    first, last = (int(v * SCALE + np.copysign(0.5, v)) for v in (start, end))  # halves go away
    step = max(last - first + 1, 1) / count
    cells = [(np.floor(i * step) + first, np.ceil((i + 1) * step) + first) for i in range(count)]
    return [range(*(int(np.clip(v, 0, length)) for v in cell)) for cell in cells]


def pooled(ct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The maxima, and the gradient by the images."""
    y, dx = np.zeros_like(ct), np.zeros_like(X)
    for r, (image, left, top, right, bottom) in enumerate(REGIONS):
        for i, rows in enumerate(span(top, bottom, SIZES[0], X.shape[1])):
            for j, columns in enumerate(span(left, right, SIZES[1], X.shape[2])):
                places = [(p, q) for p in rows for q in columns]
                for c in range(X.shape[3]) if places else ():
                    values = [X[int(image), p, q, c] for p, q in places]
                    y[r, i, j, c] = max(values)
                    dx[(int(image), *places[int(np.argmax(values))], c)] += ct[r, i, j, c]
    return y, dx


def value_and_slope(function: Any, ct: np.ndarray) -> Any:
    def both(x: Any, regions: Any, ct: Any) -> Any:
        y = function(x, regions)
        return y, gradients([sum(multiply(y, ct))], [x])[0]

    return run(both, X, REGIONS, ct)


def test_maxima_of_regions() -> None:
    ct = RANDOM.normal(size=(5, *SIZES, 3))
    y, dx = pooled(ct)
    found = value_and_slope(lambda x, r: roi_pool(x, r, sizes=SIZES, scale=SCALE), ct)
    np.testing.assert_allclose(found[0], y)
    np.testing.assert_allclose(found[1], dx, atol=1e-12)


def test_the_first_of_equal_elements_gets_the_gradient() -> None:
    def slope(x: Any, regions: Any) -> Any:
        return gradients([sum(roi_pool(x, regions, sizes=(1, 1)))], [x])[0]

    found = run(slope, np.array([[0.0, 1, 1], [1, 1, 0]])[None, :, :, None], np.zeros((1, 5)) + 9)
    assert not found.any()  # all of the region is outside
    whole = np.array([[0.0, 0, 0, 2, 1]])
    found = run(slope, np.array([[0.0, 1, 1], [1, 1, 0]])[None, :, :, None], whole)
    assert found[0, :, :, 0].tolist() == [[0, 1, 0], [0, 0, 0]]


def point(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """The image at a point between elements; beyond the border by more than one it is 0."""
    if not (-1 <= y <= image.shape[0] and -1 <= x <= image.shape[1]):
        return np.zeros(image.shape[2])
    y, x = np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)
    i, j = min(int(y), image.shape[0] - 2), min(int(x), image.shape[1] - 2)
    v, u = y - i, x - j
    rows = [(1 - u) * image[k, j] + u * image[k, j + 1] for k in (i, i + 1)]
    return np.asarray((1 - v) * rows[0] + v * rows[1])


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_means_of_regions(aligned: bool, samples: int) -> None:
    expected = np.zeros((5, *SIZES, 3))
    for r, (image, *box) in enumerate(REGIONS):
        left, top, right, bottom = (v * SCALE - 0.5 * aligned for v in box)
        height, width = bottom - top, right - left
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        steps = height / SIZES[0] / samples, width / SIZES[1] / samples
        for i, j in np.ndindex(SIZES):
            for k, m in np.ndindex(samples, samples):
                y = top + (i * samples + k + 0.5) * steps[0]
                x = left + (j * samples + m + 0.5) * steps[1]
                expected[r, i, j] += point(X[int(image)], y, x) / samples**2
    attrs: Any = {"samples": samples, "aligned": aligned}
    found = run(lambda x, r: roi_align(x, r, sizes=SIZES, scale=SCALE, **attrs), X, REGIONS)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["max", "align"])
def test_channels_first(kind: str) -> None:
    first = np.moveaxis(X, -1, 1)
    found = run(lambda x, r: pool_regions(x, r, SIZES, kind, SCALE), first, REGIONS)
    last = run(lambda x, r: pool_regions(x, r, SIZES, kind, SCALE, data_format="NHWC"), X, REGIONS)
    np.testing.assert_array_equal(np.moveaxis(found, 1, -1), last)


def test_errors() -> None:
    with pytest.raises(UnsupportedOp, match="no kind 'mean'"):
        run(lambda x, r: pool_regions(x, r, SIZES, "mean"), X, REGIONS)
    with pytest.raises(UnsupportedOp, match="images of two dims"):
        run(lambda x, r: pool_regions(x, r, SIZES, data_format="NCW"), X[..., 0], REGIONS)
    with pytest.raises(UnsupportedOp, match="samples must be positive"):
        run(lambda x, r: roi_align(x, r, sizes=SIZES, samples=0), X, REGIONS)
