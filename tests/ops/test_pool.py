"""Pooling of images against loops over windows, by the rules of Caffe, PyTorch and TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.graph import trace
from anode.ir.node import topological
from anode.ir.types import tensor
from anode.ops import global_pool, max_pool, max_pool_with_index, pool, sum
from anode.transform.grad import gradients
from tests.ops.values import run

X = np.random.default_rng(0).normal(size=(2, 3, 8, 7))  # NCHW


def windows_of(length: int, size: int, stride: int, pad: int, ceil: bool) -> list[tuple[int, int]]:
    """(start, end) of each window, clipped to the padded image, as Caffe's pooling layer does."""
    rest = length + 2 * pad - size
    count = (-(-rest // stride) if ceil else rest // stride) + 1
    if (count - 1) * stride >= length + pad:
        count -= 1
    starts = [i * stride - pad for i in range(count)]
    return [(start, min(start + size, length + pad)) for start in starts]


def pooled(kind: str, size: int, stride: int, pad: int, ceil: bool, include: bool) -> np.ndarray:
    boxes = [windows_of(n, size, stride, pad, ceil) for n in X.shape[2:]]
    y = np.zeros((2, 3, len(boxes[0]), len(boxes[1])))
    for i, (top, bottom) in enumerate(boxes[0]):
        for j, (left, right) in enumerate(boxes[1]):
            cut = X[:, :, max(top, 0) : bottom, max(left, 0) : right]
            whole = (bottom - top) * (right - left) if include else cut[0, 0].size
            value = {"max": cut.max, "average": cut.sum}[kind](axis=(2, 3))
            y[:, :, i, j] = value / (whole if kind == "average" else 1)
    return y


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize(("size", "stride", "pad"), [(3, 2, 0), (3, 2, 1), (2, 2, 1), (5, 3, 2)])
def test_pooling(kind: str, ceil: bool, include: bool, size: int, stride: int, pad: int) -> None:
    attrs: Any = {"strides": stride, "padding": pad, "ceil": ceil, "include_padding": include}
    expected = pooled(kind, size, stride, pad, ceil, include)
    found = run(lambda x: pool(x, kind, size, **attrs), X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    last = np.moveaxis(X, 1, -1)
    found = run(lambda x: pool(x, kind, size, data_format="NHWC", **attrs), last)
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, rtol=1e-12)


def test_same_padding_has_as_many_windows_as_strides() -> None:
    found = run(lambda x: pool(x, "max", 3, 2, padding="SAME"), X)
    padded = np.pad(X, [(0, 0), (0, 0), (0, 1), (1, 1)], constant_values=-np.inf)  # 8x7: 4x4
    cuts = [padded[:, :, i : i + 7 : 2, j : j + 7 : 2] for i in range(3) for j in range(3)]
    np.testing.assert_array_equal(found, np.max(cuts, axis=0))


def test_lp_pooling() -> None:
    found = run(lambda x: pool(x, "lp", 2, 2, p=3), X)
    cuts = [np.abs(X[:, :, i : i + 7 : 2, j : j + 5 : 2]) ** 3 for i in (0, 1) for j in (0, 1)]
    np.testing.assert_allclose(found, np.sum(cuts, axis=0) ** (1 / 3), rtol=1e-12)


def test_global_pooling() -> None:
    for kind, value in (
        ("max", X.max((2, 3))),
        ("average", X.mean((2, 3))),
        ("lp", np.sqrt((X * X).sum((2, 3)))),
    ):
        found = run(lambda x, kind=kind: global_pool(x, kind), X)
        np.testing.assert_allclose(found, value[:, :, None, None], rtol=1e-12)


def test_the_first_of_equal_elements_gets_the_gradient() -> None:
    x = np.array([[1, 1, 1, 2, 2]], np.float32)[..., None]

    def slope(x: Any) -> Any:
        return gradients([sum(max_pool(x, sizes=(2,)))], [x])[0]

    np.testing.assert_array_equal(run(slope, x)[0, :, 0], [1, 1, 0, 2, 0])


def test_nan_wins_and_takes_the_gradient() -> None:
    x = np.array([[1, np.nan, 3]])[..., None]
    y, index = run(lambda x: max_pool_with_index(x, sizes=(3,)).items, x)
    assert np.isnan(y).all()
    assert index.item() == 1


def test_the_gradient_keeps_neither_images_nor_result() -> None:
    """Between the places and the gradient there is nothing of the images' type."""
    x = tensor("f32", 2, 8, 8, 4)

    def slope(x: Any) -> Any:
        return gradients([sum(max_pool(x, sizes=(2, 2), strides=(2, 2)))], [x])[0]

    graph = trace(slope, x)
    last = graph.outputs[0]
    assert last.op.name == "max_pool_grad"
    assert str(last.args[1].type) == "u8[2,4,4,4]"
    assert graph.inputs[0] not in topological([last.args[0]])


@pytest.mark.parametrize("kind", ["average", "lp"])
def test_integers_have_no_mean(kind: str) -> None:
    with pytest.raises(ShapeError, match=f"{kind}_pool: takes float types, not i32"):
        run(lambda x: pool(x, kind, 2), X.astype(np.int32))


@pytest.mark.parametrize(
    ("attrs", "error", "message"),
    [
        ({"kind": "median"}, UnsupportedOp, "no kind 'median'"),
        ({"data_format": "HWCN"}, UnsupportedOp, "no data format 'HWCN'"),
        ({"data_format": "NCW"}, ShapeError, "NCW names 3 dims"),
        ({"padding": "FULL"}, UnsupportedOp, "no padding 'FULL'"),
        ({"padding": [1]}, ShapeError, "needs 2 entries"),
        ({"sizes": (2, 2, 2)}, ShapeError, "sizes .* needs 2 entries"),
        ({"sizes": 9}, ShapeError, "a kernel of 9 .* does not fit into 8"),
        ({"kind": "lp", "p": 0}, ShapeError, "p must be positive"),
        ({"kind": "lp", "p": math.inf}, ShapeError, "p must be positive and finite, not inf"),
        ({"sizes": 0}, ShapeError, "sizes .* must be positive"),
        ({"sizes": 2.0}, ShapeError, "sizes takes integers, not 2.0"),
        ({"padding": 0.5}, ShapeError, "padding takes integers, not 0.5"),
        ({"padding": [(1, 1, 1), 1]}, ShapeError, r"no pair \(low, high\)"),
        ({"strides": 0}, ShapeError, "strides .* must be positive"),
    ],
)
def test_errors(attrs: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        run(lambda x: pool(x, **{"kind": "max", "sizes": 2, "strides": 1, **attrs}), X)
