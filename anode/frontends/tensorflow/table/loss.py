"""Cross entropies of logits, each with its gradient as a second result."""

from __future__ import annotations

from typing import Any

from anode import ops
from anode.frontends.tensorflow.infer import broadcast_shapes
from anode.frontends.tensorflow.opdef import op
from anode.ir.node import Node
from anode.ops.precision import as_dtype


def _first(op: Any) -> list[Any]:
    """The shapes of a loss for each row, and of the gradient."""
    shape = op.inputs[0].shape
    return [shape[:1], shape]


def _common(op: Any) -> list[Any]:
    """As `_first`, of features and labels that broadcast."""
    shape = broadcast_shapes(op.inputs[0].shape, op.inputs[1].shape, op)
    return [shape[:1], shape]


@op("SoftmaxCrossEntropyWithLogits", "features:T labels:T -> T T", shape=_common)
def _(features: Node, labels: Node) -> tuple[Node, Node]:
    shape = ops.maximum(features, labels).shape
    logits, targets = (ops.broadcast_to(x, shape) for x in (features, labels))
    loss = ops.softmax_cross_entropy(logits, targets, axis=1, normalized=True)
    return loss, ops.softmax(logits, axis=1) - targets


@op("SparseSoftmaxCrossEntropyWithLogits", "features:T labels:Tlabels -> T T", shape=_first)
def _(features: Node, labels: Node, *, trace: Any, op: Any) -> tuple[Node, Node]:
    trace.within(op, labels, features.tensor.static[1])
    loss = ops.sparse_softmax_cross_entropy(features, labels)
    chosen = ops.one_hot(labels, depth=int(features.shape[1]), dtype=features.dtype)
    return loss, ops.softmax(features, axis=1) - as_dtype(chosen, features.dtype)
