"""Images of another size or arrangement, against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from anode.errors import ShapeError, UnsupportedOp
from anode.ops import (
    convert,
    depth_to_space,
    extend,
    pool_regions,
    resize_images,
    roi_align,
    space_to_depth,
    unfold,
)
from tests.ops.values import run

X = np.random.default_rng(0).normal(size=(2, 4, 6, 8))
ROW = np.array([[[10.0, 20.0, 40.0, 80.0]]])  # NCW


@pytest.mark.parametrize(
    ("size", "attrs", "expected"),
    [
        (8, {"mode": "nearest"}, [10, 10, 20, 20, 40, 40, 80, 80]),
        (2, {"mode": "nearest"}, [20, 80]),
        (2, {"mode": "nearest", "coordinates": "asymmetric"}, [10, 40]),
        (3, {"mode": "nearest", "coordinates": "align_corners"}, [10, 40, 80]),
        (6, {"mode": "nearest", "coordinates": "asymmetric"}, [10, 10, 20, 40, 40, 80]),
        (7, {"coordinates": "align_corners"}, [10, 15, 20, 30, 40, 60, 80]),
        (8, {}, [10, 12.5, 17.5, 25, 35, 50, 70, 80]),
        (8, {"coordinates": "asymmetric"}, [10, 15, 20, 30, 40, 60, 80, 80]),
        (2, {}, [15, 60]),
        (2, {"antialias": True}, [(3 * 10 + 3 * 20 + 40) / 7, (20 + 3 * 40 + 3 * 80) / 7]),
        (1, {"coordinates": "align_corners"}, [10]),
        (3, {"mode": "cubic", "coordinates": "align_corners"}, [10, 27.1875, 80]),
        (2, {"mode": "area"}, [15, 60]),
        (3, {"mode": "area"}, [12.5, 30, 70]),
        (8, {"mode": "area", "coordinates": "asymmetric"}, [10, 10, 20, 20, 40, 40, 80, 80]),
    ],
)
def test_resizing_a_row(size: int, attrs: dict[str, Any], expected: list[float]) -> None:
    found = run(lambda x: resize_images(x, size, data_format="NCW", **attrs), ROW)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-12)


def test_resizing_each_axis_by_itself() -> None:
    both = run(lambda x: resize_images(x, (9, 3)), X)
    down = run(lambda x: resize_images(x, (9, 8)), X)
    np.testing.assert_allclose(both, run(lambda x: resize_images(x, (9, 3)), down), rtol=1e-12)
    by_scale = run(lambda x: resize_images(x, scales=(1.5, 0.375)), X)
    np.testing.assert_allclose(both, by_scale, rtol=1e-12)
    last = run(lambda x: resize_images(x, (9, 3), data_format="NHWC"), np.moveaxis(X, 1, -1))
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), both, rtol=1e-12)


def test_blocks_as_channels() -> None:
    x = np.arange(16).reshape(1, 2, 4, 2)
    found = run(lambda x: space_to_depth(x, 2), x)
    assert found.tolist() == [[[[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]]]]
    found = run(lambda x: space_to_depth(x, 2, order="CRD"), x)
    assert found[0, 0, 0].tolist() == [0, 2, 8, 10, 1, 3, 9, 11]


@pytest.mark.parametrize("order", ["DCR", "CRD"])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_depth_to_space_is_the_inverse(order: str, data_format: str) -> None:
    def back(x: Any) -> Any:
        made = space_to_depth(x, 2, order, data_format)
        return depth_to_space(made, 2, order, data_format)

    np.testing.assert_array_equal(run(back, X), X)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_extending(mode: str) -> None:
    low, high = (0, 1, 3, 0), (0, 2, 2, 4)
    expected = np.pad(X, list(zip(low, high, strict=True)), mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(run(lambda x: extend(x, low, high, mode), X), expected)


def test_extending_no_rows() -> None:
    found = run(lambda x: extend(x, (0, 1, 1, 0), (0, 0, 1, 0), "reflect"), X[:0])
    assert found.shape == (0, 5, 8, 8)


def test_patches() -> None:
    attrs: Any = {"strides": (2, 1), "padding": (1, 0), "dilations": (1, 2)}
    padded = np.pad(X, [(0, 0), (0, 0), (1, 1), (0, 0)])
    cuts = [padded[:, :, i : i + 7 : 2, j : j + 4] for i in range(2) for j in (0, 2, 4)]
    expected = np.stack(cuts, 2)  # n, c, patch, out, out
    found = run(lambda x: unfold(x, (2, 3), **attrs), X)
    np.testing.assert_array_equal(found, expected.reshape(2, 24, 16))
    last = run(lambda x: unfold(x, (2, 3), data_format="NHWC", **attrs), np.moveaxis(X, 1, -1))
    np.testing.assert_array_equal(last, expected.transpose(0, 3, 4, 2, 1).reshape(2, 4, 4, 24))


def test_aligned_regions_of_whole_elements_are_the_elements() -> None:
    image = np.moveaxis(X, 1, -1)
    boxes = np.array([[1.0, 2, 1, 6, 5]])
    found = run(lambda x, r: roi_align(x, r, sizes=(4, 4), samples=1, aligned=True), image, boxes)
    np.testing.assert_allclose(found[0], image[1, 1:5, 2:6], rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: resize_images(x, 3, mode="lanczos"), UnsupportedOp, "no mode 'lanczos'"),
        (lambda x: resize_images(x, 3, coordinates="x"), UnsupportedOp, "no coordinates 'x'"),
        (lambda x: resize_images(x), ShapeError, "either sizes or scales"),
        (lambda x: resize_images(x, 0), ShapeError, "must be positive"),
        (lambda x: resize_images(x, scales=math.inf), ShapeError, "scales inf are not"),
        (lambda x: resize_images(x, scales=(1, 2, 3)), ShapeError, "scales .* one a spatial dim"),
        (lambda x: resize_images(x[:, :, :0], 3), ShapeError, "nothing to interpolate"),
        (lambda x: resize_images(convert(x, dtype="u8"), 3), ShapeError, "not u8"),
        (lambda x: space_to_depth(x, 0), ShapeError, "block 0 is not positive"),
        (lambda x: depth_to_space(x, -2), ShapeError, "block -2 is not positive"),
        (lambda x: extend(x[:0], (1, 0, 0, 0), (0,) * 4, "edge"), ShapeError, "by 0 to 0"),
        (lambda x: pool_regions(x, x[0, 0, :, :5], (0, 2)), ShapeError, "two positive sizes"),
        (lambda x: resize_images(x, 3, mode="nearest", antialias=True), UnsupportedOp, "antialias"),
        (lambda x: space_to_depth(x, 3), ShapeError, "blocks of 3 do not fill"),
        (lambda x: space_to_depth(x, 2, "RGB"), UnsupportedOp, "no order 'RGB'"),
        (lambda x: depth_to_space(x, 3), ShapeError, "blocks of 3 do not divide"),
        (lambda x: extend(x, (0,) * 4, (0,) * 4, "mirror"), UnsupportedOp, "no mode 'mirror'"),
        (lambda x: extend(x, (2, 0, 0, 0), (0,) * 4, "reflect"), ShapeError, "by 0 to 1"),
        (lambda x: roi_align(x, x, sizes=(1, 1)), ShapeError, "takes images"),
    ],
)
def test_errors(function: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        run(function, X)
