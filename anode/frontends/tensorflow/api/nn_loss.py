"""`tf.nn`: cross entropies of logits."""

from __future__ import annotations

import math
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops
from anode.frontends.tensorflow.api.nn import either, relu
from anode.frontends.tensorflow.dtypes import bfloat16, float16, float32
from anode.frontends.tensorflow.graph import Tensor, apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export, renamed


def ensure_named(function: str, sentinel: Any, labels: Any, logits: Any) -> None:
    """Labels and logits are given by name, so that nobody confuses their order."""
    if sentinel is not None:
        raise ValueError(
            f"Only call `{function}` with named arguments (labels=..., logits=..., ...)"
        )
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")


@export("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    dim: int = -1,
    name: str | None = None,
    axis: int | None = None,
) -> Tensor:
    """−Σ labels·log(softmax(logits)) along `axis`; no gradient flows into the labels."""
    axis = dim if axis is None else axis
    ensure_named("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "softmax_cross_entropy_with_logits_sg", [logits, labels]) as scope:
        labels = array_ops.stop_gradient(labels, name="labels_stop_gradient")
        return softmax_cross_entropy_with_logits_v2(labels, logits, axis, scope)


@export("nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy_with_logits_v2(
    labels: Any,
    logits: Any,
    axis: int | None = None,
    name: str | None = None,
    dim: int | None = None,
) -> Tensor:
    """−Σ labels·log(softmax(logits)) along `axis`; gradients flow into the labels too."""
    axis = either("axis", axis, "dim", dim, -1)
    with name_scope(name, "softmax_cross_entropy_with_logits", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, name="labels")
        narrow = logits.dtype.base_dtype in (float16, bfloat16)
        precise = math_ops.cast(logits, float32) if narrow else logits
        labels = math_ops.cast(labels, precise.dtype.base_dtype)
        rank = array_ops.rank(precise)
        if axis != -1:
            precise, labels = (_to_end(x, int(axis), logits.shape.ndims) for x in (precise, labels))
        outer = array_ops.shape(precise)
        rows, targets = _rows(precise), _rows(labels)
        cost, _ = apply("SoftmaxCrossEntropyWithLogits", rows, targets, name=scope)
        kept = array_ops.slice_(outer, [0], [math_ops.subtract(rank, 1)])
        cost = array_ops.reshape(cost, kept)
        cost.set_shape(_without(logits.shape.as_list(), axis) if logits.shape.ndims else None)
        return math_ops.cast(cost, logits.dtype.base_dtype) if narrow else cost


def _to_end(x: Tensor, axis: int, rank: int | None) -> Tensor:
    if rank is None:
        raise ValueError(f"softmax cross entropy along axis {axis} needs logits of a known rank")
    order = [i for i in range(rank) if i != axis % rank]
    moved: Tensor = array_ops.transpose(x, [*order, axis % rank])
    return moved


def _without(sizes: list[int | None], axis: int) -> list[int | None]:
    return [size for i, size in enumerate(sizes) if i != axis % len(sizes)]


def _rows(x: Tensor) -> Tensor:
    """All dims but the last made one."""
    rank = array_ops.rank(x)
    last = array_ops.slice_(array_ops.shape(x), [math_ops.subtract(rank, 1)], [1])
    rows: Tensor = array_ops.reshape(x, array_ops.concat([[-1], last], 0))
    if x.shape.ndims is not None:
        rows.set_shape(x.shape if x.shape.ndims == 2 else [None, x.shape[-1]])
    return rows


@export("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """−log(softmax(logits)) at `labels`, along the last axis; NaN for a label outside it."""
    ensure_named("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "SparseSoftmaxCrossEntropyWithLogits", [labels, logits]):
        labels = convert_to_tensor(labels)
        logits = convert_to_tensor(logits)
        narrow = logits.dtype.base_dtype in (float16, bfloat16)
        precise = math_ops.cast(logits, float32) if narrow else logits
        shape = array_ops.shape(labels)
        _check_labels(labels, logits)
        if logits.shape.ndims == 2:
            cost, _ = apply("SparseSoftmaxCrossEntropyWithLogits", precise, labels, name=name)
        else:
            rows, flat = _rows(precise), array_ops.reshape(labels, [-1])
            cost, _ = apply("SparseSoftmaxCrossEntropyWithLogits", rows, flat, name=name)
            cost = array_ops.reshape(cost, shape)
            cost.set_shape(labels.shape)
        return math_ops.cast(cost, float16) if logits.dtype == float16 else cost


def _check_labels(labels: Tensor, logits: Tensor) -> None:
    if logits.shape.ndims == 0:
        raise ValueError(f"Logits cannot be scalars - received shape {logits.shape}.")
    if logits.shape.ndims is None or labels.shape.ndims is None:
        return
    if labels.shape.ndims != logits.shape.ndims - 1:
        raise ValueError(
            "Rank mismatch: Rank of labels (received "
            f"{labels.shape.ndims}) should equal rank of logits minus 1 (received "
            f"{logits.shape.ndims})."
        )
    if not labels.shape.is_compatible_with(logits.shape[:-1]):
        raise ValueError(
            f"Shape mismatch: The shape of labels (received {labels.shape}) should equal the "
            f"shape of logits except for the last dimension (received {logits.shape})."
        )


@export("nn.sigmoid_cross_entropy_with_logits")
@renamed(targets="labels")
def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """−labels·log(p) − (1 − labels)·log(1 − p) with p = sigmoid(logits), for each element."""
    ensure_named("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, dtype=logits.dtype, name="labels")
        _same_shape(logits, labels, "logits", "labels")
        zeros = array_ops.zeros_like(logits, dtype=logits.dtype)
        positive = logits >= zeros
        relu_logits = index_ops.where(positive, logits, zeros)
        negative = index_ops.where(positive, -logits, logits)
        return math_ops.add(
            relu_logits - logits * labels, math_ops.log1p(math_ops.exp(negative)), name=scope
        )


def _same_shape(x: Tensor, y: Tensor, first: str, second: str) -> None:
    try:
        y.shape.merge_with(x.shape)
    except ValueError:
        raise ValueError(
            f"{first} and {second} must have the same shape ({x.shape} vs {y.shape})"
        ) from None


@export("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """`sigmoid_cross_entropy_with_logits` whose first term counts `pos_weight` times."""
    labels = either("labels", labels, "targets", targets)
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, name="labels")
        _same_shape(logits, labels, "logits", "labels")
        weight = 1 + (pos_weight - 1) * labels
        log = math_ops.log1p(math_ops.exp(-math_ops.abs(logits)))
        return math_ops.add((1 - labels) * logits, weight * (log + relu(-logits)), name=scope)


@export("nn.log_poisson_loss")
def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """exp(log_input) − log_input·targets, and Stirling's log(targets!) with `compute_full_loss`."""
    with name_scope(name, "log_poisson_loss", [log_input, targets]):
        log_input = convert_to_tensor(log_input, name="log_input")
        targets = convert_to_tensor(targets, name="targets")
        _same_shape(log_input, targets, "log_input", "targets")
        result: Tensor = math_ops.exp(log_input) - log_input * targets
        if not compute_full_loss:
            return result
        half, two_pi = constant(0.5, targets.dtype), constant(2 * math.pi, targets.dtype)
        stirling = targets * math_ops.log(targets) - targets
        stirling += half * math_ops.log(two_pi * targets)
        zeros, ones = array_ops.zeros_like(targets), array_ops.ones_like(targets)
        small = math_ops.logical_and(targets >= zeros, targets <= ones)
        return result + index_ops.where(small, zeros, stirling)


def _unsupported(name: str, what: str, instead: str) -> None:
    def call(*_: Any, **__: Any) -> Any:
        raise UnsupportedOp(f"tf.nn.{name}: {what}; {instead}")

    call.__name__ = call.__qualname__ = name
    globals()[name] = export(f"nn.{name}")(call)


for _name in ("quantized_avg_pool", "quantized_conv2d", "quantized_max_pool", "quantized_relu_x"):
    _unsupported(_name, "quantized types are not supported", "compute in float32")
for _name in ("fractional_max_pool", "fractional_avg_pool"):
    _unsupported(_name, "pooling with random bounds is not supported", "use tf.nn.max_pool")
