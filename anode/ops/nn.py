"""Ops of neural networks: activations, losses and dropout, each a composite.

A composite stays whole until a backend declines it. Half types are computed in f32 and rounded
once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from anode.errors import ShapeError
from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ops.declare import composite
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
    select,
    square,
    stop_gradient,
    tanh,
)
from anode.ops.precision import in_f32
from anode.ops.random import bernoulli
from anode.ops.reduce import any, max, sum
from anode.ops.rules import axis_of
from anode.ops.shape import expand_dims, iota

# activations


@composite
def relu(x: Node) -> Node:
    """max(x, 0)."""
    return maximum(x, 0)


@relu.vjp
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    return (select(greater(y, 0), ct, 0),)


@composite
@in_f32
def leaky_relu(x: Node, *, slope: float = 0.01) -> Node:
    """x, times `slope` where it is not positive."""
    return select(greater(x, 0), x, x * slope) if slope else relu(x)  # 0·inf would be NaN


@composite
@in_f32
def clipped_relu(x: Node, *, slope: float = 0.0, cutoff: float = 6.0) -> Node:
    """`leaky_relu` that ends at `cutoff`, where its gradient is 0."""
    return select(greater_equal(x, cutoff), cutoff, leaky_relu(x, slope=slope))


@composite
@in_f32
def elu(x: Node, *, alpha: float = 1.0) -> Node:
    """x, or `alpha`·(eˣ − 1) where it is not positive."""
    positive = greater(x, 0)
    return select(positive, x, expm1(select(positive, 0, x)) * alpha)


@composite
@in_f32
def selu(x: Node) -> Node:
    """`elu` scaled so that mean 0 and variance 1 are kept. Source: Klambauer et al., 2017."""
    return elu(x, alpha=1.6732632423543772) * 1.0507009873554805


@composite
@in_f32
def softplus(x: Node) -> Node:
    """log(1 + eˣ), without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


@softplus.vjp
@in_f32
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    return (ct * logistic(x),)


@composite
@in_f32
def softsign(x: Node) -> Node:
    """x / (1 + |x|)."""
    return x / (abs(x) + 1)


@composite
@in_f32
def gelu(x: Node, *, approximate: bool = False) -> Node:
    """x times the normal distribution function of x; `approximate` uses the tanh formula.

    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * square(x))
        return 0.5 * x * (1 + tanh(inner))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


@composite
@in_f32
def silu(x: Node) -> Node:
    """x·logistic(x), also called swish."""
    return x * logistic(x)


@composite
@in_f32
def mish(x: Node) -> Node:
    """x·tanh(softplus(x)). Source: Misra, 2019."""
    return x * tanh(softplus(x))


@composite
@in_f32
def hard_sigmoid(x: Node, *, alpha: float = 0.2, beta: float = 0.5) -> Node:
    """`alpha`·x + `beta`, clamped to 0..1."""
    return clamp(0, x * alpha + beta, 1)


@composite
def hard_tanh(x: Node, *, low: float = -1.0, high: float = 1.0) -> Node:
    """x clamped to `low`..`high`."""
    return clamp(low, x, high)


# softmax and losses


@composite
@in_f32
def softmax(x: Node, *, axis: int = -1) -> Node:
    """eˣ / Σ eˣ along `axis`, without overflow."""
    e = exp(x - stop_gradient(max(x, axis, keepdims=True)))
    return e / sum(e, axis, keepdims=True)


@softmax.vjp
@in_f32
def _(ct: Node, y: Node, x: Node, *, axis: int) -> tuple[Node]:
    return (y * (ct - sum(ct * y, axis, keepdims=True)),)


@composite
@in_f32
def log_softmax(x: Node, *, axis: int = -1) -> Node:
    """log(softmax(x)), to full precision where softmax is near 0 or 1."""
    shifted = x - stop_gradient(max(x, axis, keepdims=True))
    return shifted - log(sum(exp(shifted), axis, keepdims=True))


@log_softmax.vjp
@in_f32
def _(ct: Node, y: Node, x: Node, *, axis: int) -> tuple[Node]:
    return (ct - exp(y) * sum(ct, axis, keepdims=True),)


def _check_targets(op: str, x: Node, targets: Node) -> None:
    if targets.shape != x.shape:
        raise ShapeError(f"{op}: {x.type} and targets {targets.type} are not of one shape")


@composite
@in_f32
def cross_entropy(probabilities: Node, targets: Node, *, axis: int = -1) -> Node:
    """−Σ targets·log(probabilities) along `axis`; the logarithm is not below −50, as in neon."""
    _check_targets("cross_entropy", probabilities, targets)
    safe = log(maximum(probabilities, math.exp(-50)))
    return -sum(targets * safe, axis)


@composite
@in_f32
def softmax_cross_entropy(
    logits: Node, targets: Node, *, axis: int = -1, normalized: bool = False
) -> Node:
    """−Σ targets·log_softmax(logits) along `axis`; `targets` are weights of the logits' shape.

    With `normalized` the gradient by the logits is softmax(logits) − targets, which is right where
    the targets sum to 1; TensorFlow and Caffe use it for all targets.
    """
    _check_targets("softmax_cross_entropy", logits, targets)
    return -sum(targets * log_softmax(logits, axis=axis), axis)


@softmax_cross_entropy.vjp
@in_f32
def _(
    ct: Node, y: Node, logits: Node, targets: Node, *, axis: int, normalized: bool
) -> tuple[Node, Node]:
    ct, p = expand_dims(ct, axis), softmax(logits, axis=axis)
    share = p if normalized else p * sum(targets, axis, keepdims=True)
    return (
        ct * (share - targets),
        -ct * log_softmax(logits, axis=axis),
    )


@composite
@in_f32
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
@in_f32
def _(ct: Node, y: Node, logits: Node, labels: Node) -> tuple[Node, None]:
    p = softmax(logits)
    return expand_dims(ct, -1) * select(_is_label(logits, labels), p - 1, p), None


def _is_label(logits: Node, labels: Node) -> Node:
    wide = labels if labels.dtype.bits >= 32 else convert(labels, dtype="i32")
    axis = len(logits.shape) - 1
    return equal(iota(shape=logits.shape, dtype=wide.dtype, axis=axis), expand_dims(wide, -1))


@composite
@in_f32
def sigmoid_cross_entropy(logits: Node, targets: Node) -> Node:
    """−targets·log(p) − (1 − targets)·log(1 − p) with p = logistic(logits), for each element."""
    _check_targets("sigmoid_cross_entropy", logits, targets)
    return softplus(logits) - logits * targets


@sigmoid_cross_entropy.vjp
@in_f32
def _(ct: Node, y: Node, logits: Node, targets: Node) -> tuple[Node, Node]:
    return ct * (logistic(logits) - targets), -ct * logits


# dropout


@composite
@in_f32
def dropout(x: Node, key: Node, *, keep: float, stream: int) -> Node:
    """x / `keep` where a draw from `key` keeps it, with probability `keep`; elsewhere 0."""
    if not 0 < keep <= 1:
        raise ShapeError(f"dropout keeps a share in (0, 1], not {keep}")
    kept = bernoulli(key, keep, stream=stream, shape=x.shape)
    return select(kept, x * (1 / keep), 0)


@dropout.vjp
def _(ct: Node, y: Node, x: Node, key: Node, *, keep: float, stream: int) -> tuple[Node, None]:
    return dropout(ct, key, keep=keep, stream=stream), None  # linear, with the same mask


def _canonical_axis(x: TensorType, *others: TensorType, axis: int, **_: Any) -> Mapping[str, Any]:
    return {"axis": axis_of("axis", axis, x.rank)}


for _op in (softmax, log_softmax, cross_entropy, softmax_cross_entropy):
    _op.canonical(_canonical_axis)
