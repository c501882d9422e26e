"""Ops of neural networks: activations, losses, normalisation and dropout, each a composite.

A composite stays whole until a backend declines it. Half types are computed in f32 and rounded
once, at the end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anode.errors import ShapeError
from anode.ir.dims import product
from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ops.declare import Composite, composite
from anode.ops.elementwise import (
    abs,
    clamp,
    convert,
    equal,
    erf,
    exp,
    expm1,
    greater,
    greater_equal,
    log,
    log1p,
    logistic,
    maximum,
    rsqrt,
    select,
    square,
    stop_gradient,
    tanh,
)
from anode.ops.random import bernoulli
from anode.ops.reduce import any, max, size_of, sum
from anode.ops.reduce import mean as average
from anode.ops.rules import axes_of, axis_of
from anode.ops.shape import broadcast_in_dim, expand_dims, iota, zeros_like


def _as(x: Node, dtype: Any) -> Node:
    return x if x.dtype is dtype else convert(x, dtype=dtype)


def _in_f32(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` computed in f32 where its operands are of a half type."""

    @functools.wraps(function)
    def widened(*xs: Node, **attrs: Any) -> Any:
        dtype = xs[0].dtype
        if dtype.compute is dtype:
            return function(*xs, **attrs)
        wide = [convert(x, dtype=dtype.compute) if x.dtype is dtype else x for x in xs]
        found = function(*wide, **attrs)
        if isinstance(found, tuple):
            return tuple([y if y is None else _as(y, dtype) for y in found])
        return _as(found, dtype)

    return widened


# activations


@composite
def relu(x: Node) -> Node:
    """max(x, 0)."""
    return maximum(x, 0)


@relu.vjp
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    return (select(greater(y, 0), ct, 0),)


@composite
@_in_f32
def leaky_relu(x: Node, *, slope: float = 0.01) -> Node:
    """x, times `slope` where it is not positive."""
    return select(greater(x, 0), x, x * slope) if slope else relu(x)  # 0·inf would be NaN


@composite
@_in_f32
def clipped_relu(x: Node, *, slope: float = 0.0, cutoff: float = 6.0) -> Node:
    """`leaky_relu` that ends at `cutoff`, where its gradient is 0."""
    return select(greater_equal(x, cutoff), cutoff, leaky_relu(x, slope=slope))


@composite
@_in_f32
def elu(x: Node, *, alpha: float = 1.0) -> Node:
    """x, or `alpha`·(eˣ − 1) where it is not positive."""
    positive = greater(x, 0)
    return select(positive, x, expm1(select(positive, 0, x)) * alpha)


@composite
@_in_f32
def selu(x: Node) -> Node:
    """`elu` scaled so that mean 0 and variance 1 are kept. Source: Klambauer et al., 2017."""
    return elu(x, alpha=1.6732632423543772) * 1.0507009873554805


@composite
@_in_f32
def softplus(x: Node) -> Node:
    """log(1 + eˣ), without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


@softplus.vjp
@_in_f32
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    return (ct * logistic(x),)


@composite
@_in_f32
def softsign(x: Node) -> Node:
    """x / (1 + |x|)."""
    return x / (abs(x) + 1)


@composite
@_in_f32
def gelu(x: Node, *, approximate: bool = False) -> Node:
    """x times the normal distribution function of x; `approximate` uses the tanh formula.

    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * square(x))
        return 0.5 * x * (1 + tanh(inner))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


@composite
@_in_f32
def silu(x: Node) -> Node:
    """x·logistic(x), also called swish."""
    return x * logistic(x)


@composite
@_in_f32
def mish(x: Node) -> Node:
    """x·tanh(softplus(x)). Source: Misra, 2019."""
    return x * tanh(softplus(x))


@composite
@_in_f32
def hard_sigmoid(x: Node, *, alpha: float = 0.2, beta: float = 0.5) -> Node:
    """`alpha`·x + `beta`, clamped to 0..1."""
    return clamp(0, x * alpha + beta, 1)


@composite
def hard_tanh(x: Node, *, low: float = -1.0, high: float = 1.0) -> Node:
    """x clamped to `low`..`high`."""
    return clamp(low, x, high)


# softmax and losses


@composite
@_in_f32
def softmax(x: Node, *, axis: int = -1) -> Node:
    """eˣ / Σ eˣ along `axis`, without overflow."""
    e = exp(x - stop_gradient(max(x, axis, keepdims=True)))
    return e / sum(e, axis, keepdims=True)


@softmax.vjp
@_in_f32
def _(ct: Node, y: Node, x: Node, *, axis: int) -> tuple[Node]:
    return (y * (ct - sum(ct * y, axis, keepdims=True)),)


@composite
@_in_f32
def log_softmax(x: Node, *, axis: int = -1) -> Node:
    """log(softmax(x)), to full precision where softmax is near 0 or 1."""
    shifted = x - stop_gradient(max(x, axis, keepdims=True))
    return shifted - log(sum(exp(shifted), axis, keepdims=True))


@log_softmax.vjp
@_in_f32
def _(ct: Node, y: Node, x: Node, *, axis: int) -> tuple[Node]:
    return (ct - exp(y) * sum(ct, axis, keepdims=True),)


def _check_targets(op: str, x: Node, targets: Node) -> None:
    if targets.shape != x.shape:
        raise ShapeError(f"{op}: {x.type} and targets {targets.type} are not of one shape")


@composite
@_in_f32
def cross_entropy(probabilities: Node, targets: Node, *, axis: int = -1) -> Node:
    """−Σ targets·log(probabilities) along `axis`; the logarithm is not below −50, as in neon."""
    _check_targets("cross_entropy", probabilities, targets)
    safe = log(maximum(probabilities, math.exp(-50)))
    return -sum(targets * safe, axis)


@composite
@_in_f32
def softmax_cross_entropy(logits: Node, targets: Node, *, axis: int = -1) -> Node:
    """−Σ targets·log_softmax(logits) along `axis`; `targets` are weights of the logits' shape."""
    _check_targets("softmax_cross_entropy", logits, targets)
    return -sum(targets * log_softmax(logits, axis=axis), axis)


@softmax_cross_entropy.vjp
@_in_f32
def _(ct: Node, y: Node, logits: Node, targets: Node, *, axis: int) -> tuple[Node, Node]:
    ct = expand_dims(ct, axis)
    total = sum(targets, axis, keepdims=True)
    return (
        ct * (softmax(logits, axis=axis) * total - targets),
        -ct * log_softmax(logits, axis=axis),
    )


@composite
@_in_f32
def sparse_softmax_cross_entropy(logits: Node, labels: Node) -> Node:
    """−log_softmax(logits) at `labels`, integers into the last axis; NaN for a label outside it."""
    if labels.shape != logits.shape[:-1] or not labels.dtype.is_integer:
        raise ShapeError(
            f"sparse_softmax_cross_entropy: labels {labels.type} are not one integer for each row "
            f"of logits {logits.type}"
        )
    chosen = _is_label(logits, labels)
    picked = sum(select(chosen, log_softmax(logits), 0), -1)
    return select(any(chosen, -1), -picked, math.nan)


@sparse_softmax_cross_entropy.vjp
@_in_f32
def _(ct: Node, y: Node, logits: Node, labels: Node) -> tuple[Node, None]:
    p = softmax(logits)
    return expand_dims(ct, -1) * select(_is_label(logits, labels), p - 1, p), None


def _is_label(logits: Node, labels: Node) -> Node:
    wide = labels if labels.dtype.bits >= 32 else convert(labels, dtype="i32")
    axis = len(logits.shape) - 1
    return equal(iota(shape=logits.shape, dtype=wide.dtype, axis=axis), expand_dims(wide, -1))


@composite
@_in_f32
def sigmoid_cross_entropy(logits: Node, targets: Node) -> Node:
    """−targets·log(p) − (1 − targets)·log(1 − p) with p = logistic(logits), for each element."""
    _check_targets("sigmoid_cross_entropy", logits, targets)
    return softplus(logits) - logits * targets


@sigmoid_cross_entropy.vjp
@_in_f32
def _(ct: Node, y: Node, logits: Node, targets: Node) -> tuple[Node, Node]:
    return ct * (logistic(logits) - targets), -ct * logits


# dropout and normalisation


@composite
@_in_f32
def dropout(x: Node, key: Node, *, keep: float, stream: int) -> Node:
    """x / `keep` where a draw from `key` keeps it, with probability `keep`; elsewhere 0."""
    if not 0 < keep <= 1:
        raise ShapeError(f"dropout keeps a share in (0, 1], not {keep}")
    kept = bernoulli(key, keep, stream=stream, shape=x.shape)
    return select(kept, x * (1 / keep), 0)


@dropout.vjp
def _(ct: Node, y: Node, x: Node, key: Node, *, keep: float, stream: int) -> tuple[Node, None]:
    return dropout(ct, key, keep=keep, stream=stream), None  # linear, with the same mask


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
    wide, others = _as(x, x.dtype.compute), _all_but(x, axis)
    mean = average(wide, others)
    variance = average(square(wide - _along(mean, x, [axis])), others)
    y = _normalised(wide, mean, variance, scale, offset, [axis], epsilon)
    return _as(y, x.dtype), _as(mean, scale.dtype), _as(variance, scale.dtype)


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
    wide, ct_mean, ct_variance = _as(x, x.dtype.compute), *cts
    count = size_of(product(tuple([x.shape[i] for i in _all_but(x, axis)])), wide.dtype)
    if ct_mean is not None:
        dx = dx + _as(_along(_as(ct_mean, wide.dtype) / count, x, [axis]), x.dtype)
    if ct_variance is not None:
        centred = wide - _along(_as(mean, wide.dtype), x, [axis])
        share = _along(_as(ct_variance, wide.dtype) * 2 / count, x, [axis])
        dx = dx + _as(centred * share, x.dtype)
    return dx


@composite
def batch_norm_grad(
    ct: Node, x: Node, scale: Node, mean: Node, variance: Node, *, axis: int, epsilon: float
) -> tuple[Node, Node, Node]:
    """The cotangents of x, scale and offset for `ct`, that of `batch_norm_training`'s first result.

    Its operands count as independent: `mean` and `variance` bring their own cotangents.
    """
    dtype, others = x.dtype.compute, _all_but(x, axis)
    ct, wide, mean = _as(ct, dtype), _as(x, dtype), _as(mean, dtype)
    spread = rsqrt(_as(variance, dtype) + epsilon)
    unit = (wide - _along(mean, x, [axis])) * _along(spread, x, [axis])
    flat = ct - _along(average(ct, others), x, [axis])
    tilted = flat - unit * _along(average(ct * unit, others), x, [axis])
    dx = tilted * _along(spread * _as(scale, dtype), x, [axis])
    dscale, doffset = sum(ct * unit, others), sum(ct, others)
    return _as(dx, x.dtype), _as(dscale, scale.dtype), _as(doffset, scale.dtype)


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
    mean, variance = _as(mean, dtype), _as(variance, dtype)
    y = _normalised(_as(x, dtype), mean, variance, scale, offset, [axis], epsilon)
    return _as(y, x.dtype)


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
    wide = _as(x, x.dtype.compute)
    centred = wide - average(wide, axes, keepdims=True)
    unit = centred * rsqrt(average(square(centred), axes, keepdims=True) + epsilon)
    scale, offset = _as(scale, wide.dtype), _as(offset, wide.dtype)
    return _as(unit * _along(scale, x, axes) + _along(offset, x, axes), x.dtype)


def _normalised(
    x: Node,
    mean: Node,
    variance: Node,
    scale: Node,
    offset: Node,
    axes: Sequence[int],
    epsilon: float,
) -> Node:
    factor = rsqrt(variance + epsilon) * _as(scale, x.dtype)
    centred = x - _along(mean, x, axes)
    return centred * _along(factor, x, axes) + _along(_as(offset, x.dtype), x, axes)


def _canonical_axis(x: TensorType, *others: TensorType, axis: int, **_: Any) -> Mapping[str, Any]:
    return {"axis": axis_of("axis", axis, x.rank)}


def _declare(*ops: Composite) -> None:
    for op in ops:
        op.canonical(_canonical_axis)


_declare(softmax, log_softmax, cross_entropy, softmax_cross_entropy)
_declare(batch_norm_training, batch_norm_inference, batch_norm_grad)


@layer_norm.canonical
def _(x: TensorType, *others: TensorType, axes: Sequence[int], epsilon: float) -> Mapping[str, Any]:
    return {"axes": axes_of("layer_norm", axes, x.rank)}
