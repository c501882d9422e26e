"""Identities of pads, sliding windows and convolutions.

A pad of zeros belongs to the convolution that reads it, so that the product packs it. Windows that
do not overlap stay windows: a reshape and a transpose of them would be a copy, where the kernels of
`windows` and `overlap_add` read elements in place. Inference batch norm stays whole: its scale and
shift are two vectors in the epilogue of the product before it, while scaling the weights would read
and write all of them in every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.ir.node import ITEM, Node, constant
from anode.ops import elementwise as ew
from anode.ops.conv import convolution_data
from anode.ops.linalg import dot_general
from anode.ops.pool import max_pool, max_pool_grad, max_pool_with_index
from anode.ops.reduce import reduce
from anode.ops.shape import pad, reshape, reshaped, slice
from anode.ops.window import overlap_add, windows
from anode.rewrite.pattern import P, number, rule, var

x, w, v = var("x"), var("w"), var("v")
c = number("c")
Ints = tuple[int, ...]


# pads


@rule(P.pad(P.pad(x, v).named("inner"), v))
def pad_twice(node: Node, x: Node, v: Node, inner: Node) -> Node | None:
    """Two pads by one value are one, unless the first cuts where the second puts back"""
    a, b = inner.attrs, node.attrs
    joined = [_joined(a[side], b[side]) for side in ("low", "high")]
    if any(b["interior"]) or None in joined:
        return None
    low, high = joined
    return pad(x, v, low=low, high=high, interior=a["interior"])


@rule(P.slice(P.pad(x, v).named("inner")))
def slice_of_pad(node: Node, x: Node, v: Node, inner: Node) -> Node | None:
    """A slice of a pad is a pad by less"""
    if any(stride != 1 for stride in node.attrs["strides"]):
        return None
    a, b = inner.attrs, node.attrs
    low = [have - cut for have, cut in zip(a["low"], b["start"], strict=True)]
    rest = [n - end for n, end in zip(inner.tensor.static, b["limit"], strict=True)]
    high = [have - cut for have, cut in zip(a["high"], rest, strict=True)]
    return pad(x, v, low=low, high=high, interior=a["interior"])


@rule(P.pad(x, ...))
def pad_as_slice(node: Node, x: Node) -> Node | None:
    """A pad that only removes elements is a slice"""
    low, high = node.attrs["low"], node.attrs["high"]
    if any(node.attrs["interior"]) or max((*low, *high), default=0) > 0 or not any((*low, *high)):
        return None
    limit = [size + n for size, n in zip(x.tensor.static, high, strict=True)]
    return slice(x, start=[-n for n in low], limit=limit)


def _joined(first: Ints, second: Ints) -> list[int] | None:
    """The widths of two pads in one; None where elements are removed and put back as padding."""
    if any(a < 0 < b for a, b in zip(first, second, strict=True)):
        return None
    return [a + b for a, b in zip(first, second, strict=True)]


# convolutions


@rule(
    P.convolution(P.pad(x, 0).named("inner"), w),
    P.convolution_weights(P.pad(x, 0).named("inner"), w),
)
def pad_into_convolution(node: Node, x: Node, w: Node, inner: Node) -> Node | None:
    """Zeros around the spatial dims are the convolution's own padding"""
    a = inner.attrs
    ends = (a["low"][0], a["high"][0], a["low"][-1], a["high"][-1])
    joined = [_joined(a[side][1:-1], node.attrs[side]) for side in ("low", "high")]
    if any((*ends, *a["interior"])) or None in joined:
        return None
    low, high = joined
    return node.op(x, w, **{**node.attrs, "low": low, "high": high})


@rule(P.slice(P.convolution_data(...).named("inner")))
def slice_into_convolution_data(node: Node, inner: Node) -> Node | None:
    """Elements of a gradient by data that nobody needs are not computed"""
    starts, sizes = node.attrs["start"], inner.shape
    ends = [n - end for n, end in zip(sizes, node.attrs["limit"], strict=True)]
    outer = (starts[0], starts[-1], ends[0], ends[-1])
    if any(outer) or any(stride != 1 for stride in node.attrs["strides"]):
        return None
    a = inner.attrs
    low = [have + cut for have, cut in zip(a["low"], starts[1:-1], strict=True)]
    high = [have + cut for have, cut in zip(a["high"], ends[1:-1], strict=True)]
    attrs = {**a, "sizes": node.shape[1:-1], "low": low, "high": high}
    return convolution_data(*inner.args, **attrs)


@rule(P.convolution(x, w))
def convolution_of_one(node: Node, x: Node, w: Node) -> Node | None:
    """A convolution with a kernel of size 1 and stride 1 is a product"""
    d = len(x.shape) - 2
    if not _is_product(node, w.shape[:d]):
        return None
    filters = reshape(w, shape=w.shape[-2:])
    return dot_general(x, filters, contract=((d + 1,), (0,)), dtype=node.dtype)


@rule(P.convolution_data(x, w))
def convolution_data_of_one(node: Node, x: Node, w: Node) -> Node | None:
    """The gradient of such a convolution by data is a product"""
    d = len(x.shape) - 2
    if not _is_product(node, w.shape[:d]):
        return None
    filters = reshape(w, shape=w.shape[-2:])
    return dot_general(x, filters, contract=((d + 1,), (1,)), dtype=node.dtype)


@rule(P.convolution_weights(x, w))
def convolution_weights_of_one(node: Node, x: Node, w: Node) -> Node | None:
    """The gradient of such a convolution by weights is a product"""
    axes = tuple(range(len(x.shape) - 1))
    if not _is_product(node, node.attrs["kernel"]):
        return None
    found = dot_general(x, w, contract=(axes, axes), dtype=node.dtype)
    return reshape(found, shape=node.shape)


def _is_product(node: Node, kernel: Sequence[Any]) -> bool:
    a = node.attrs
    plain = all(n == 1 for n in (*kernel, *a["strides"])) and not any((*a["low"], *a["high"]))
    return plain and a["groups"] == 1


@rule(
    P.batch_norm_inference(x + P.broadcast_in_dim(v).named("wide"), ...),
    P.batch_norm_inference(P.broadcast_in_dim(v).named("wide") + x, ...),
)
def bias_into_mean(node: Node, x: Node, v: Node, wide: Node) -> Node | None:
    """A bias for each channel before a batch norm is taken from the mean"""
    _, scale, offset, mean, variance = node.args
    if wide.attrs["axes"] != (node.attrs["axis"],) or v.type != mean.type:
        return None
    return node.op(x, scale, offset, ew.subtract(mean, v), variance, **node.attrs)


# pooling


@rule(P.select(P.greater(x, 0), P.max_pool_grad(v, w).named("inner"), 0))
def rectified_max_pool(node: Node, x: Node, v: Node, w: Node, inner: Node) -> Node | None:
    """A max pool's gradient is zero but at the maxima, whose signs the pooled values have too"""
    pooling = w.args[0] if w.op is ITEM else w
    if pooling.op is not max_pool_with_index or pooling.args != (x,):
        return None
    if any(inner.attrs[name] != value for name, value in pooling.attrs.items()):
        return None
    positive = ew.greater(max_pool(x, **pooling.attrs), 0)
    return max_pool_grad(ew.select(positive, v, 0), w, **inner.attrs)


# windows


@rule(P.windows(x))
def windows_of_one(node: Node, x: Node) -> Node | None:
    """Windows of size 1 are every stride-th element"""
    a, rank = node.attrs, len(x.shape)
    if 1 not in a["sizes"]:
        return None
    limit, strides = list(x.shape), [1] * rank
    for axis, size, stride in zip(a["axes"], a["sizes"], a["strides"], strict=True):
        if size == 1:
            count = node.shape[_outer(axis, rank, node)]
            strides[axis], limit[axis] = stride, (count - 1) * stride + 1
    kept = slice(x, start=[0] * rank, limit=limit, strides=strides)
    return reshaped(_over_rest(windows, kept, a), node.shape)


@rule(P.overlap_add(x))
def overlap_add_of_one(node: Node, x: Node) -> Node | None:
    """Windows of size 1 do not overlap along their dim: their sum is a pad"""
    a, rank = node.attrs, len(node.shape)
    if 1 not in a["sizes"]:
        return None
    low, high, interior, lengths = [0] * rank, [0] * rank, [0] * rank, list(a["lengths"])
    for i, (axis, size, stride) in enumerate(zip(a["axes"], a["sizes"], a["strides"], strict=True)):
        if size == 1:
            count = x.shape[_outer(axis, rank, x)]
            high[axis] = lengths[i] - (count - 1) * stride - 1
            interior[axis], lengths[i] = stride - 1, count
    inner = tuple([n for n in a["sizes"] if n != 1])
    flat = reshaped(x, (*x.shape[: rank - 1], *inner, x.shape[-1]))
    summed = _over_rest(overlap_add, flat, {**a, "lengths": tuple(lengths)})
    return pad(summed, constant(0, x.dtype), low=low, high=high, interior=interior)


def _outer(axis: int, rank: int, windowed: Node) -> int:
    """The dim that counts the windows along an axis of a tensor of `rank` dims."""
    return axis if axis < rank - 1 else len(windowed.shape) - 1


def _over_rest(op: Any, x: Node, attrs: Any) -> Node:
    """`windows` or `overlap_add` without the dims of size 1."""
    rest = [i for i, size in enumerate(attrs["sizes"]) if size != 1]
    names = [name for name in ("lengths", "axes", "sizes", "strides", "dilations") if name in attrs]
    kept = {name: tuple([attrs[name][i] for i in rest]) for name in names}
    made: Node = op(x, **kept) if rest else x
    return made


# reductions


@rule(P.reduce(P.transpose(x, permutation=var("order")), c))
def reduce_of_transpose(node: Node, x: Node, c: Node, order: Ints) -> Node | None:
    """A reduction that keeps its other dims in order needs no transpose before it"""
    axes = node.attrs["axes"]
    kept = [axis for i, axis in enumerate(order) if i not in axes]
    if kept != sorted(kept):
        return None
    before = tuple(sorted(order[axis] for axis in axes))
    return reduce(x, c, body=node.attrs["body"], axes=before)


RULES = (
    pad_twice,
    slice_of_pad,
    pad_as_slice,
    pad_into_convolution,
    slice_into_convolution_data,
    convolution_of_one,
    convolution_data_of_one,
    convolution_weights_of_one,
    bias_into_mean,
    rectified_max_pool,
    windows_of_one,
    overlap_add_of_one,
    reduce_of_transpose,
)
