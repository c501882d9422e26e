"""Normalisation: of channels, rows, groups of channels, and by neighbouring channels.

Each is a composite that stays whole until a backend declines it. Half types are computed in f32
and rounded once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anode.errors import ShapeError
from anode.ir.dims import product
from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ops.declare import composite
from anode.ops.elementwise import power, reciprocal, rsqrt, sqrt, square
from anode.ops.pool import average_pool
from anode.ops.precision import as_dtype, in_f32
from anode.ops.reduce import mean as average
from anode.ops.reduce import size_of, sum
from anode.ops.rules import axes_of, axis_of, check_float, mismatch
from anode.ops.shape import broadcast_in_dim, broadcast_to, reshape, zeros_like
from anode.ops.spatial import (
    channels_last,
    in_format,
    integer,
    padded,
    spatial_attributes,
    spatial_rank,
)
from anode.ops.window import windows


def _along(v: Node, x: Node, axes: Sequence[int]) -> Node:
    """`v`, whose dims are those of `x` at `axes`, repeated to the shape of `x`."""
    return broadcast_in_dim(v, shape=x.shape, axes=tuple(axes))


def _all_but(x: Node, axis: int) -> tuple[int, ...]:
    return tuple([i for i in range(len(x.shape)) if i != axis])


def _check_channels(op: str, x: Node, axis: int, *vectors: Node) -> None:
    for v in vectors:
        if v.shape != (x.shape[axis],) or v.dtype is not vectors[0].dtype:
            raise ShapeError(
                f"{op}: {v.type} is not one {vectors[0].dtype} for each of the {x.shape[axis]} "
                f"channels of {x.type} along axis {axis}"
            )
    if vectors[0].dtype.compute is not x.dtype.compute:
        raise ShapeError(f"{op}: a scale of type {vectors[0].dtype} for {x.type}; convert it")


@composite
def batch_norm_training(
    x: Node, scale: Node, offset: Node, *, axis: int, epsilon: float = 1e-5
) -> tuple[Node, Node, Node]:
    """(x − mean) / √(variance + epsilon)·scale + offset, with the mean and the biased variance.

    `axis` holds the channels; `scale` and `offset` have one number for each, and their type is
    that of the statistics: they may be f32 next to an x of a half type.
    """
    _check_channels("batch_norm_training", x, axis, scale, offset)
    wide, others = as_dtype(x, x.dtype.compute), _all_but(x, axis)
    mean = average(wide, others)
    variance = average(square(wide - _along(mean, x, [axis])), others)
    y = _normalised(wide, mean, variance, scale, offset, [axis], epsilon)
    return as_dtype(y, x.dtype), as_dtype(mean, scale.dtype), as_dtype(variance, scale.dtype)


@batch_norm_training.vjp
def _(
    cts: tuple[Node | None, ...],
    ys: tuple[Node, ...],
    x: Node,
    scale: Node,
    offset: Node,
    *,
    axis: int,
    epsilon: float,
) -> tuple[Node, Node, Node]:
    ct = zeros_like(x) if cts[0] is None else cts[0]
    grad = batch_norm_grad(ct, x, scale, ys[1], ys[2], axis=axis, epsilon=epsilon)
    dx, dscale, doffset = grad.items
    return _plus_statistics(dx, cts[1:], x, ys[1], axis), dscale, doffset


def _plus_statistics(dx: Node, cts: Sequence[Node | None], x: Node, mean: Node, axis: int) -> Node:
    """`dx` with what the cotangents of the mean and the variance add."""
    wide, ct_mean, ct_variance = as_dtype(x, x.dtype.compute), *cts
    count = size_of(product(tuple([x.shape[i] for i in _all_but(x, axis)])), wide.dtype)
    if ct_mean is not None:
        dx = dx + as_dtype(_along(as_dtype(ct_mean, wide.dtype) / count, x, [axis]), x.dtype)
    if ct_variance is not None:
        centred = wide - _along(as_dtype(mean, wide.dtype), x, [axis])
        share = _along(as_dtype(ct_variance, wide.dtype) * 2 / count, x, [axis])
        dx = dx + as_dtype(centred * share, x.dtype)
    return dx


@composite
def batch_norm_grad(
    ct: Node, x: Node, scale: Node, mean: Node, variance: Node, *, axis: int, epsilon: float
) -> tuple[Node, Node, Node]:
    """The cotangents of x, scale and offset for `ct`, that of `batch_norm_training`'s first result.

    Its operands count as independent: `mean` and `variance` bring their own cotangents.
    """
    dtype, others = x.dtype.compute, _all_but(x, axis)
    ct, wide, mean = as_dtype(ct, dtype), as_dtype(x, dtype), as_dtype(mean, dtype)
    spread = rsqrt(as_dtype(variance, dtype) + epsilon)
    unit = (wide - _along(mean, x, [axis])) * _along(spread, x, [axis])
    flat = ct - _along(average(ct, others), x, [axis])
    tilted = flat - unit * _along(average(ct * unit, others), x, [axis])
    dx = tilted * _along(spread * as_dtype(scale, dtype), x, [axis])
    dscale, doffset = sum(ct * unit, others), sum(ct, others)
    return as_dtype(dx, x.dtype), as_dtype(dscale, scale.dtype), as_dtype(doffset, scale.dtype)


@composite
def batch_norm_inference(
    x: Node,
    scale: Node,
    offset: Node,
    mean: Node,
    variance: Node,
    *,
    axis: int,
    epsilon: float = 1e-5,
) -> Node:
    """(x − mean) / √(variance + epsilon)·scale + offset with given statistics along `axis`."""
    _check_channels("batch_norm_inference", x, axis, scale, offset, mean, variance)
    dtype = x.dtype.compute
    mean, variance = as_dtype(mean, dtype), as_dtype(variance, dtype)
    y = _normalised(as_dtype(x, dtype), mean, variance, scale, offset, [axis], epsilon)
    return as_dtype(y, x.dtype)


@composite
def layer_norm(
    x: Node, scale: Node, offset: Node, *, axes: Sequence[int] = (-1,), epsilon: float = 1e-5
) -> Node:
    """(x − mean) / √(variance + epsilon)·scale + offset with the statistics over `axes`.

    `scale` and `offset` have the dims of x at `axes`. Source: Ba, Kiros and Hinton, 2016.
    """
    for v in (scale, offset):
        if v.shape != tuple([x.shape[axis] for axis in axes]):
            raise ShapeError(f"layer_norm: {v.type} has not the dims of {x.type} at axes {axes}")
    wide = as_dtype(x, x.dtype.compute)
    centred = wide - average(wide, axes, keepdims=True)
    unit = centred * rsqrt(average(square(centred), axes, keepdims=True) + epsilon)
    scale, offset = as_dtype(scale, wide.dtype), as_dtype(offset, wide.dtype)
    return as_dtype(unit * _along(scale, x, axes) + _along(offset, x, axes), x.dtype)


@composite
def group_norm(
    x: Node, scale: Node, offset: Node, *, groups: int, axis: int = -1, epsilon: float = 1e-5
) -> Node:
    """(x − mean) / √(variance + epsilon)·scale + offset, statistics over each group of channels.

    `axis` holds the channels, dim 0 counts the examples; `scale` and `offset` have one number for
    each channel. Source: Wu and He, 2018.
    """
    _check_channels("group_norm", x, axis, scale, offset)
    if groups < 1 or x.shape[axis] % groups != 0 or axis == 0:
        raise mismatch("group_norm", f"{groups} groups of channels along axis {axis}", [x.type])
    wide, around = as_dtype(x, x.dtype.compute), [i for i in range(1, len(x.shape)) if i != axis]
    mean = _over_groups(average(wide, around), groups)
    centred = wide - _along(mean, x, [0, axis])
    variance = _over_groups(average(square(centred), around), groups)
    factor = rsqrt(variance + epsilon) * as_dtype(scale, wide.dtype)
    offset = _along(as_dtype(offset, wide.dtype), x, [axis])
    return as_dtype(centred * _along(factor, x, [0, axis]) + offset, x.dtype)


def _over_groups(v: Node, groups: int) -> Node:
    """The mean over each group of channels of `v` (n, c), for every channel."""
    if groups == v.shape[1]:
        return v
    apart = reshape(v, shape=(v.shape[0], groups, v.shape[1] // groups))
    mean = broadcast_to(average(apart, -1, keepdims=True), apart.shape)
    return reshape(mean, shape=v.shape)


def instance_norm(
    x: Node, scale: Node, offset: Node, axis: int = -1, epsilon: float = 1e-5
) -> Node:
    """`group_norm` with a group for each channel. Source: Ulyanov et al., 2016."""
    groups = int(x.shape[axis_of("instance_norm", axis, len(x.shape))])
    return group_norm(x, scale, offset, groups=groups, axis=axis, epsilon=epsilon)


@composite
@in_f32
def local_response_norm(
    x: Node, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Node:
    """x·(k + alpha/size·Σx²)^−beta, the sum over `size` channels about each, in the last dim.

    Of an even number of channels more lie before. neon and TensorFlow do not divide by the size:
    give alpha times it. Source: Krizhevsky et al., 2012.
    """
    _check_size("local_response_norm", x, size)
    return x * _inverse_power(_squares(x, size, alpha, k), beta)


@local_response_norm.vjp
def _(ct: Node, y: Node, x: Node, **attrs: Any) -> tuple[Node]:
    return (local_response_norm_grad(ct, x, **attrs),)


@composite
@in_f32
def local_response_norm_grad(
    ct: Node, x: Node, *, size: int, alpha: float, beta: float, k: float
) -> Node:
    """The gradient of `local_response_norm` by x where its result has `ct`."""
    denominator = _squares(x, size, alpha, k)
    factor = _inverse_power(denominator, beta)
    shares = _neighbours(ct * x * factor / denominator, (size - 1) // 2, size // 2)
    return ct * factor - x * shares * (2 * alpha * beta / size)


@composite
@in_f32
def local_response_norm_within(
    x: Node, *, size: int, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0
) -> Node:
    """x·(k + alpha·mean(x²))^−beta, the mean over the square of `size` about each element.

    x is (n, *spatial, c); each channel is by itself, and zeros about the image count. Source: the
    WITHIN_CHANNEL form of Caffe's LRN layer.
    """
    _check_size("local_response_norm_within", x, size)
    d = len(x.shape) - 2
    low, high = (size // 2,) * d, ((size - 1) // 2,) * d
    mean = average_pool(square(x), sizes=(size,) * d, low=low, high=high)
    return x * _inverse_power(mean * alpha + k, beta)


def lrn(
    x: Node,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    within_channel: bool = False,
    data_format: str = "NCHW",
) -> Node:
    """`local_response_norm`, or `local_response_norm_within`, of images in a data format."""
    spatial_rank("lrn", x, data_format)
    norm = local_response_norm_within if within_channel else local_response_norm
    y = norm(channels_last(x, data_format), size=size, alpha=alpha, beta=beta, k=k)
    return in_format(y, data_format)


def _check_size(op: str, x: Node, size: int) -> None:
    check_float(op, x.tensor)
    if integer(op, "size", size) < 1:
        raise ShapeError(f"{op}: size {size} is not positive")


def _neighbours(x: Node, before: int, after: int) -> Node:
    """The sum over the channels from `before` to `after` each one."""
    last = len(x.shape) - 1
    wide = padded(x, [before], [after], first=last)
    return sum(windows(wide, axes=(last,), sizes=(before + after + 1,)), last)


def _squares(x: Node, size: int, alpha: float, k: float) -> Node:
    return _neighbours(square(x), size // 2, (size - 1) // 2) * (alpha / size) + k


def _inverse_power(x: Node, beta: float) -> Node:
    """x^−beta, by roots for the usual exponents."""
    if beta == 0.75:
        root = rsqrt(x)
        return root * sqrt(root)
    if beta == 0.5:
        return rsqrt(x)
    return reciprocal(x) if beta == 1 else power(x, -beta)


@local_response_norm_within.canonical
def _(x: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return spatial_attributes("local_response_norm_within", x, attrs)


def _normalised(
    x: Node,
    mean: Node,
    variance: Node,
    scale: Node,
    offset: Node,
    axes: Sequence[int],
    epsilon: float,
) -> Node:
    factor = rsqrt(variance + epsilon) * as_dtype(scale, x.dtype)
    centred = x - _along(mean, x, axes)
    return centred * _along(factor, x, axes) + _along(as_dtype(offset, x.dtype), x, axes)


def _canonical_axis(x: TensorType, *others: TensorType, axis: int, **_: Any) -> Mapping[str, Any]:
    return {"axis": axis_of("axis", axis, x.rank)}


for _op in (batch_norm_training, batch_norm_grad, batch_norm_inference, group_norm):
    _op.canonical(_canonical_axis)


@layer_norm.canonical
def _(x: TensorType, *others: TensorType, axes: Sequence[int], epsilon: float) -> Mapping[str, Any]:
    return {"axes": axes_of("layer_norm", axes, x.rank)}
