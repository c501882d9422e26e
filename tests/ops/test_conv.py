"""Convolution against sums written out, and the errors of operands that do not fit."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dims import Dim
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops import (
    conv,
    conv_transpose,
    convolution,
    convolution_data,
    convolution_weights,
    evaluate,
    pool,
    square,
    sum,
)
from anode.transform.grad import gradients
from tests.ops.samples_window import CONVOLUTIONS
from tests.ops.values import run

Shape = tuple[int, ...]


def taps(
    x: Shape,
    w: Shape,
    strides: Shape | None = None,
    dilations: Shape | None = None,
    low: Shape | None = None,
    high: Shape | None = None,
    groups: int = 1,
) -> Any:
    """The result's sizes, and (place in x, place in w, place in y) of every product."""
    d = len(x) - 2
    strides, dilations = strides or (1,) * d, dilations or (1,) * d
    low, high = low or (0,) * d, high or (0,) * d
    steps = list(zip(x[1:-1], w[:d], strides, dilations, low, high, strict=True))
    out = [(n + a + b - (k - 1) * e - 1) // s + 1 for n, k, s, e, a, b in steps]
    places = []
    for o, k in product(product(*map(range, out)), product(*map(range, w[:d]))):
        i = [p * s + t * e - a for p, t, (_, _, s, e, a, _) in zip(o, k, steps, strict=True)]
        if all(0 <= p < n for p, n in zip(i, x[1:-1], strict=True)):
            places.append((tuple(i), k, o))
    share = w[-1] // groups
    channels = [(f // share * w[-2] + c, c, f) for f in range(w[-1]) for c in range(w[-2])]
    return (x[0], *out, w[-1]), [
        ((slice(None), *i, cx), (*k, cw, f), (slice(None), *o, f))
        for i, k, o in places
        for cx, cw, f in channels
    ]


@pytest.mark.parametrize(("x_shape", "w_shape", "attrs"), CONVOLUTIONS)
def test_convolution_and_its_gradients(x_shape: Shape, w_shape: Shape, attrs: Any) -> None:
    random = np.random.default_rng(0)
    x, w = random.normal(size=x_shape), random.normal(size=w_shape)
    y_shape, terms = taps(x_shape, w_shape, **attrs)
    ct = random.normal(size=y_shape)
    y, dx, dw = np.zeros(y_shape), np.zeros(x_shape), np.zeros(w_shape)
    for i, k, o in terms:
        y[o] += x[i] * w[k]
        dx[i] += ct[o] * w[k]
        dw[k] += (x[i] * ct[o]).sum()
    d = len(x_shape) - 2
    found = run(lambda x, w: convolution(x, w, **attrs), x, w)
    by_x = run(lambda c, w: convolution_data(c, w, sizes=x_shape[1:-1], **attrs), ct, w)
    by_w = run(lambda x, c: convolution_weights(x, c, kernel=w_shape[:d], **attrs), x, ct)
    for got, wanted in ((found, y), (by_x, dx), (by_w, dw)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def ones(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("x", "w", "attrs", "message"),
    [
        ((1, 5, 5, 3), (3, 3, 4, 2), {}, "has 3 channels, the filter expects 4"),
        ((1, 5, 5, 4), (3, 3, 4, 2), {"groups": 2}, r"expects 8 \(4 in each of 2 groups\)"),
        ((1, 5, 5, 4), (3, 3, 2, 3), {"groups": 2}, "2 groups do not divide 3 results"),
        ((1, 5, 5, 3), (3, 3, 2), {}, "the filter of a 2-D convolution has 4 dims"),
        ((1, 2, 5, 3), (3, 3, 3, 2), {}, "a kernel of 3 .* does not fit into 2 elements"),
        ((1, 5, 5, 3), (3, 3, 3, 2), {"strides": (2,)}, "strides .* needs 2 entries"),
        ((1, 5, 5, 3), (3, 3, 3, 2), {"strides": (2, 0)}, "must be positive"),
        ((5, 3), (3, 2), {}, "there is no spatial dim"),
    ],
)
def test_operands_that_do_not_fit(x: Shape, w: Shape, attrs: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        run(lambda x, w: convolution(x, w, **attrs), ones(*x), ones(*w))


def test_types_must_be_equal() -> None:
    x, w = ones(1, 5, 2), ones(3, 2, 2, dtype=np.float64)
    with pytest.raises(ShapeError, match="unequal types"):
        run(convolution, x, w)
    with pytest.raises(ShapeError, match="unequal types"):
        run(lambda ct, w: convolution_data(ct, w, sizes=(5,)), ones(1, 3, 2), w)
    with pytest.raises(ShapeError, match="unequal types"):
        run(lambda x, ct: convolution_weights(x, ct, kernel=(3,)), x, w)


def test_cotangents_have_the_shape_of_the_result() -> None:
    with pytest.raises(ShapeError, match=r"the convolution's result is \(1, 3, 2\)"):
        run(lambda ct, w: convolution_data(ct, w, sizes=(5,)), ones(1, 4, 2), ones(3, 2, 2))
    with pytest.raises(ShapeError, match=r"the convolution's result is \(1, 3, 4\)"):
        run(lambda x, ct: convolution_weights(x, ct, kernel=(3,)), ones(1, 5, 2), ones(1, 4, 4))
    with pytest.raises(ShapeError, match="3 dims"):
        run(lambda ct, w: convolution_data(ct, w, sizes=(5,)), ones(1, 3, 2), ones(3, 2))


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


@pytest.mark.parametrize("n", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_same_padding(n: int, stride: int, size: int) -> None:
    x, w = images(1, 2, n), images(3, 2, size)
    out = -(-n // stride)
    total = max((out - 1) * stride + size - n, 0)
    explicit = [(total // 2, total - total // 2)]
    found = run(lambda x, w: conv(x, w, stride, "SAME", data_format="NCW"), x, w)
    assert found.shape == (1, 3, out)
    expected = run(lambda x, w: conv(x, w, stride, explicit, data_format="NCW"), x, w)
    np.testing.assert_array_equal(found, expected)
    swapped = [(total - total // 2, total // 2)]
    found = run(lambda x, w: conv(x, w, stride, "SAME_LOWER", data_format="NCW"), x, w)
    expected = run(lambda x, w: conv(x, w, stride, swapped, data_format="NCW"), x, w)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("padding", ["SAME", "VALID", 1, [(0, 1), (1, 0)]])
def test_transposed_convolution_is_the_gradient_of_convolution(padding: Any) -> None:
    y, w = images(2, 4, 3, 3), images(4, 3, 3, 2)
    x = run(lambda y, w: conv_transpose(y, w, 2, padding), y, w)

    def slope(x: Any, w: Any, y: Any) -> Any:
        return gradients([sum(conv(x, w, 2, padding) * y)], [x])[0]

    np.testing.assert_allclose(run(slope, images(*x.shape), w, y), x, rtol=1e-12)


def test_channels_first_and_last_agree() -> None:
    x, w = images(2, 4, 6, 5), images(6, 2, 3, 3)
    first = run(lambda x, w: conv(x, w, 2, 1, groups=2), x, w)
    last = run(
        lambda x, w: conv(x, w, 2, 1, groups=2, data_format="NHWC"),
        np.moveaxis(x, 1, -1),
        w.transpose(2, 3, 1, 0),
    )
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), first, rtol=1e-12)


def test_the_number_of_images_may_be_bound_later() -> None:
    def step(x: Any, w: Any) -> Any:
        y = pool(conv(x, w, 2, 1, groups=2), "max", 2)
        return gradients([sum(square(y))], [x, w])

    x, w = images(3, 4, 8, 8), images(6, 2, 3, 3)
    graph = trace(step, tensor("f64", Dim("n"), *x.shape[1:]), tensor("f64", *w.shape))
    found, _ = evaluate(graph.bind(n=3), [x, w])
    for got, wanted in zip(found, run(step, x, w), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_gradient_penalty_is_differentiated_twice() -> None:
    """The derivative of |dy/dx|² by the filters, against finite differences."""

    def penalty(x: Any, w: Any) -> Any:
        y = sum(square(conv(x, w, 2, "SAME")))
        return sum(square(gradients([y], [x])[0]))

    x, w = images(2, 3, 5, 5), images(4, 3, 3, 3)
    slope = run(lambda x, w: gradients([penalty(x, w)], [w])[0], x, w)
    step = 1e-6 * images(*w.shape)
    change = run(penalty, x, w + step) - run(penalty, x, w - step)
    np.testing.assert_allclose(change, 2 * (slope * step).sum(), rtol=1e-7)


def test_attributes_may_be_integers_of_numpy() -> None:
    x, w, two = images(2, 4, 7, 7), images(6, 2, 3, 3), np.int64(2)
    found = run(lambda x, w: conv(x, w, two, [np.int64(1), two], two, groups=two), x, w)
    expected = run(lambda x, w: conv(x, w, 2, [(1, 1), (2, 2)], 2, groups=2), x, w)
    np.testing.assert_array_equal(found, expected)


def test_errors_of_data_formats() -> None:
    x, w = ones(1, 3, 5, 5), ones(4, 3, 3, 3)
    with pytest.raises(UnsupportedOp, match="no data format 'CHWN'"):
        run(lambda x, w: conv(x, w, data_format="CHWN"), x, w)
    with pytest.raises(ShapeError, match="the filters of NCHW have 4 dims"):
        run(conv, x, ones(4, 3, 3))
    with pytest.raises(ShapeError, match="has 5 channels, the filter expects 3"):
        run(lambda x, w: conv(x, w, data_format="NHWC"), x, w)
    for groups in (1.0, None):
        with pytest.raises(ShapeError, match="groups takes integers"):
            run(lambda x, w, groups=groups: conv(x, w, groups=groups), x, w)
    with pytest.raises(ShapeError, match="strides takes integers, not '2'"):
        run(lambda x, w: conv(x, w, strides="2"), x, w)
    with pytest.raises(ShapeError, match=r"output_padding .* needs 2 entries"):
        run(lambda x, w: conv_transpose(x, w, output_padding=(1, 1, 1)), x, ones(3, 4, 3, 3))
