"""Pooling of images, channels last: what a window's elements have in common.

Max pooling remembers the place of each maximum in its window, one byte for most windows, so that
the gradient needs neither the images nor the result.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dtypes import DType
from anode.ir.node import Node, constant
from anode.ir.types import Shape, Size, TensorType
from anode.ops.declare import composite
from anode.ops.elementwise import abs, equal, greater, power, select, sqrt, square
from anode.ops.precision import in_f32
from anode.ops.reduce import extreme_and_place, identity, mean, monoid, reduce, sum
from anode.ops.rules import check_float, mismatch
from anode.ops.shape import broadcast_in_dim, iota, reshape
from anode.ops.spatial import (
    Padding,
    channels_last,
    each,
    in_format,
    padded,
    paddings,
    spatial_attributes,
    spatial_rank,
    window_counts,
)
from anode.ops.window import overlap_add, windows

Ints = tuple[int, ...]


@composite
def max_pool(
    x: Node,
    *,
    sizes: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
) -> Node:
    """The largest element of each window of `x` (n, *spatial, c); NaN wins.

    `low` and `high` elements that never win are put around each spatial dim. Strides and dilations
    are 1 by default.
    """
    view = _view("max_pool", x, sizes, strides, low, high, dilations, identity("maximum", x.dtype))
    start = _start("maximum", x.dtype)
    return reduce(view, start, body=monoid("maximum", x.dtype), axes=_inner(sizes))


@composite
def max_pool_with_index(
    x: Node,
    *,
    sizes: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
) -> tuple[Node, Node]:
    """`max_pool`, and for each result its place in the window, counted in row-major order.

    Of equal elements the first counts. Places are u8 where they fit, else i32.
    """
    view = _view(
        "max_pool_with_index", x, sizes, strides, low, high, dilations, identity("maximum", x.dtype)
    )
    places = _places(view.shape, sizes)
    starts = _start("maximum", x.dtype), _start("minimum", places.dtype)
    body = extreme_and_place("maximum", x.dtype, places.dtype)
    y, index = reduce(view, places, *starts, body=body, axes=_inner(sizes)).items
    return y, index


@composite
def max_pool_grad(
    ct: Node,
    index: Node,
    *,
    lengths: Shape,
    sizes: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
) -> Node:
    """The gradient of `max_pool` by x (n, *lengths, c): each `ct` goes to its window's maximum.

    `index` is the second result of `max_pool_with_index`.
    """
    if index.shape != ct.shape:
        raise mismatch("max_pool_grad", "there is an index for each", [ct.type, index.type])
    d = len(sizes)
    spread = (*ct.shape[:-1], *sizes, ct.shape[-1])
    axes = (*range(d + 1), 2 * d + 1)
    chosen = equal(broadcast_in_dim(index, shape=spread, axes=axes), _places(spread, sizes))
    terms = select(chosen, broadcast_in_dim(ct, shape=spread, axes=axes), 0)
    whole = [n + a + b for n, a, b in zip(lengths, low, high, strict=True)]
    total = overlap_add(
        terms,
        lengths=whole,
        axes=range(1, d + 1),
        sizes=sizes,
        strides=strides,
        dilations=dilations,
    )
    return padded(total, [-a for a in low], [-b for b in high])


@max_pool.vjp
def _(ct: Node, y: Node, x: Node, **attrs: Any) -> tuple[Node]:
    index = max_pool_with_index(x, **attrs).item(1)
    return (max_pool_grad(ct, index, lengths=x.shape[1:-1], **attrs),)


@max_pool_with_index.vjp
def _(cts: Any, ys: Any, x: Node, **attrs: Any) -> tuple[Node]:
    return (max_pool_grad(cts[0], ys[1], lengths=x.shape[1:-1], **attrs),)


@composite
@in_f32
def average_pool(
    x: Node,
    *,
    sizes: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
    overhang: Ints = (),
    include_padding: bool = True,
) -> Node:
    """The mean of each window of `x` (n, *spatial, c).

    `low` and `high` zeros are put around each spatial dim; they count as elements of a window
    unless `include_padding` is False. `overhang` more at the end, which the last window of a
    rounded-up number of windows reaches, never count.
    """
    check_float("average_pool", x.tensor)
    end = [b + more for b, more in zip(high, overhang, strict=True)]
    total = sum(_view("average_pool", x, sizes, strides, low, end, dilations), _inner(sizes))
    shares = []
    for i, (size, stride, dilation) in enumerate(zip(sizes, strides, dilations, strict=True)):
        starts = np.arange(int(total.shape[i + 1])) * stride - low[i]
        places = starts[:, None] + np.arange(size) * dilation
        before, after = (low[i], high[i]) if include_padding else (0, 0)
        counted = (places >= -before) & (places < int(x.shape[i + 1]) + after)
        shares.append(1 / np.maximum(counted.sum(1), 1))
    if all(share.min() == share.max() for share in shares):
        return total * float(math.prod(share[0] for share in shares))
    for i, share in enumerate(shares, 1):
        factor = constant(share.astype(x.dtype.compute.numpy))
        total = total * broadcast_in_dim(factor, shape=total.shape, axes=(i,))
    return total


@composite
@in_f32
def lp_pool(
    x: Node,
    *,
    sizes: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
    p: float = 2.0,
) -> Node:
    """(Σ |x|ᵖ)^(1/p) over each window of `x` (n, *spatial, c); its gradient is 0 where it is 0.

    `low` and `high` zeros are put around each spatial dim.
    """
    check_float("lp_pool", x.tensor)
    if not 0 < p < math.inf:
        raise ShapeError(f"lp_pool: p must be positive and finite, not {p}; p → ∞ is max pooling")
    powers = square(x) if p == 2 else power(abs(x), p)
    total = sum(_view("lp_pool", powers, sizes, strides, low, high, dilations), _inner(sizes))
    positive = greater(total, 0)
    safe = select(positive, total, 1)  # the root has no derivative at 0
    return select(positive, sqrt(safe) if p == 2 else power(safe, 1 / p), total)


def pool(
    x: Node,
    kind: str,
    sizes: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    dilations: int | Sequence[int] = 1,
    ceil: bool = False,
    include_padding: bool = True,
    p: float = 2.0,
    data_format: str = "NCHW",
) -> Node:
    """The "max", "average" or "lp" pooling of images in a data format of `spatial.FORMATS`.

    Strides are `sizes` by default; `padding` is read by `spatial.paddings`. The number of windows
    is rounded down or, with `ceil`, up, but the last one begins in the image or in the padding
    before it, as in Caffe and PyTorch. Padding is less than any number, or zero; an average counts
    it unless `include_padding` is False (TensorFlow's rule; Caffe and PyTorch include it).
    """
    if kind not in POOLS:
        raise UnsupportedOp(f"pool: there is no kind {kind!r}, only {', '.join(POOLS)}")
    d = spatial_rank("pool", x, data_format)
    image = channels_last(x, data_format)
    given = {"sizes": sizes, "strides": sizes if strides is None else strides}
    size, stride, dilation = (
        each("pool", name, value, d) for name, value in {**given, "dilations": dilations}.items()
    )
    spans = image.shape[1:-1]
    pairs = paddings("pool", padding, spans, size, stride, dilation)
    axes = zip(spans, size, stride, dilation, pairs, strict=True)
    overhang = [_overhang(*axis) if ceil else 0 for axis in axes]
    attrs: dict[str, Any] = {"sizes": size, "strides": stride, "dilations": dilation}
    attrs["low"], attrs["high"] = zip(*pairs, strict=True)
    if kind == "average":
        attrs.update(overhang=overhang, include_padding=include_padding)
    else:
        attrs["high"] = [b + more for (_, b), more in zip(pairs, overhang, strict=True)]
        attrs.update({"p": p} if kind == "lp" else {})
    return in_format(POOLS[kind](image, **attrs), data_format)


def global_pool(x: Node, kind: str, p: float = 2.0, data_format: str = "NCHW") -> Node:
    """The "max", "average" or "lp" pooling of whole images; spatial dims of size 1 stay."""
    d = spatial_rank("global_pool", x, data_format)
    first = 1 if data_format.endswith("C") else 2
    if kind == "average":
        return mean(x, range(first, first + d), keepdims=True)
    sizes = [int(n) for n in x.shape[first : first + d]]
    return pool(x, kind, sizes, p=p, data_format=data_format)


POOLS = {"max": max_pool, "average": average_pool, "lp": lp_pool}


def _canonical(op: str) -> Any:
    def rule(x: TensorType, *others: TensorType, **attrs: Any) -> Mapping[str, Any]:
        return spatial_attributes(op, x, attrs)

    return rule


for _op in (*POOLS.values(), max_pool_with_index, max_pool_grad):
    _op.canonical(_canonical(_op.name))


def _view(
    op: str,
    x: Node,
    sizes: Ints,
    strides: Ints,
    low: Sequence[int],
    high: Sequence[int],
    dilations: Ints,
    fill: Any = 0,
) -> Node:
    """The windows (n, *out, *sizes, c) of the images with `fill` around them."""
    window_counts(op, x, x.shape[1:-1], sizes, strides, low, high, dilations)
    x, axes = padded(x, low, high, fill), range(1, len(sizes) + 1)
    return windows(x, axes=axes, sizes=sizes, strides=strides, dilations=dilations)


def _inner(sizes: Ints) -> range:
    """The dims of `windows` that count within a window."""
    return range(len(sizes) + 1, 2 * len(sizes) + 1)


def _start(name: str, dtype: DType) -> Node:
    return constant(identity(name, dtype), dtype)


def _places(shape: Shape, sizes: Ints) -> Node:
    """The place of each element in its window, in windows of this shape."""
    count = math.prod(sizes)
    places = iota(shape=(count,), dtype="u8" if count < 256 else "i32")
    return broadcast_in_dim(reshape(places, shape=sizes), shape=shape, axes=_inner(sizes))


def _overhang(length: Size, size: int, stride: int, dilation: int, pair: tuple[int, int]) -> int:
    """The elements that one more window needs, where the windows do not end at the last element."""
    rest = int(length) + builtins.sum(pair) - (size - 1) * dilation - 1
    count = -(-rest // stride)
    if count * stride >= int(length) + pair[0]:
        count -= 1
    return max(count * stride - rest, 0)
