"""Cross entropies of logits, each with its gradient as a second result."""

from __future__ import annotations

from anode import ops
from anode.frontends.tensorflow.opdef import op
from anode.ir.node import Node
from anode.ops.precision import as_dtype


def _first(op: object) -> list[object]:
    """The shapes of a loss for each row, and of the gradient."""
    shape = op.inputs[0].shape  # type: ignore[attr-defined]
    return [shape[:1], shape]


@op("SoftmaxCrossEntropyWithLogits", "features:T labels:T -> T T")
def _(features: Node, labels: Node) -> tuple[Node, Node]:
    shape = ops.maximum(features, labels).shape
    logits, targets = (ops.broadcast_to(x, shape) for x in (features, labels))
    loss = ops.softmax_cross_entropy(logits, targets, axis=1, normalized=True)
    return loss, ops.softmax(logits, axis=1) - targets


@op("SparseSoftmaxCrossEntropyWithLogits", "features:T labels:Tlabels -> T T", shape=_first)
def _(features: Node, labels: Node) -> tuple[Node, Node]:
    loss = ops.sparse_softmax_cross_entropy(features, labels)
    chosen = ops.one_hot(labels, depth=int(features.shape[1]), dtype=features.dtype)
    return loss, ops.softmax(features, axis=1) - as_dtype(chosen, features.dtype)
