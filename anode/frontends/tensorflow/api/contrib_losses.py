"""`tf.contrib.losses`: the losses as they were before `tf.losses`, predictions first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from anode.frontends.tensorflow.api import array_ops, losses, math_ops, nn_loss
from anode.frontends.tensorflow.api.nn import either
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import Tensor, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export, export_values

F = TypeVar("F", bound=Callable[..., Any])
_SAME = ("add_loss", "get_losses", "get_regularization_losses")
for _space in ("contrib.losses", "contrib.slim.losses"):
    export_values(losses.__name__, {f"{_space}.{name}": name for name in _SAME})


def _exported(name: str) -> Callable[[F], F]:
    return export(f"contrib.losses.{name}", f"contrib.slim.losses.{name}")


@_exported("get_total_loss")
def get_total_loss(add_regularization_losses: bool = True, name: str = "total_loss") -> Tensor:
    """The sum of all losses."""
    return losses.get_total_loss(add_regularization_losses, name)


@_exported("compute_weighted_loss")
def compute_weighted_loss(losses: Any, weights: Any = 1.0) -> Tensor:
    """The mean of losses·weights over the elements whose weight is not 0.

    Weights have the first dims of the losses.
    """
    values = convert_to_tensor(losses)
    return _weighted(values, math_ops.cast(weights, float32), None)


def _weighted(values: Tensor, weights: Any, scope: str | None) -> Tensor:
    weights = math_ops.cast(convert_to_tensor(weights), float32)
    missing = (values.shape.ndims or 0) - (weights.shape.ndims or 0)
    for _ in range(missing if weights.shape.ndims else 0):
        weights = array_ops.expand_dims(weights, -1)
    return losses.compute_weighted_loss(values, weights, scope)


@_exported("absolute_difference")
def absolute_difference(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: str | None = None
) -> Tensor:
    """|predictions − labels|."""
    with name_scope(scope, "absolute_difference", [predictions, labels, weights]) as scope:
        error = math_ops.cast(predictions, float32) - math_ops.cast(labels, float32)
        return _weighted(math_ops.abs(error), weights, scope)


@_exported("mean_squared_error")
def mean_squared_error(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: str | None = None
) -> Tensor:
    """(predictions − labels)²."""
    with name_scope(scope, "mean_squared_error", [predictions, labels, weights]) as scope:
        error = math_ops.cast(predictions, float32) - math_ops.cast(labels, float32)
        return _weighted(math_ops.square(error), weights, scope)


@_exported("mean_pairwise_squared_error")
def mean_pairwise_squared_error(
    predictions: Any, labels: Any = None, weights: Any = 1.0, scope: str | None = None
) -> Tensor:
    """`tf.losses.mean_pairwise_squared_error`; weights may be one for each example."""
    predictions, weights = convert_to_tensor(predictions), convert_to_tensor(weights)
    for _ in range((predictions.shape.ndims or 1) - 1 if weights.shape.ndims == 1 else 0):
        weights = array_ops.expand_dims(weights, -1)
    return losses.mean_pairwise_squared_error(labels, predictions, weights, scope)


@_exported("log_loss")
def log_loss(
    predictions: Any,
    labels: Any = None,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
) -> Tensor:
    """−labels·log(predictions + ε) − (1 − labels)·log(1 − predictions + ε)."""
    with name_scope(scope, "log_loss", [predictions, labels, weights]) as scope:
        predictions = math_ops.cast(predictions, float32)
        labels = math_ops.cast(labels, float32)
        yes = labels * math_ops.log(predictions + epsilon)
        no = (1 - labels) * math_ops.log(1 - predictions + epsilon)
        return _weighted(-yes - no, weights, scope)


@_exported("hinge_loss")
def hinge_loss(logits: Any, labels: Any = None, scope: str | None = None) -> Tensor:
    """max(0, 1 − y·logits) of each element, with y = ±1 for labels 1 and 0."""
    with name_scope(scope, "hinge_loss", [logits, labels]):
        signs = 2 * math_ops.cast(labels, float32) - 1
        return nn_loss.relu(1 - signs * convert_to_tensor(logits))


@_exported("cosine_distance")
def cosine_distance(
    predictions: Any,
    labels: Any = None,
    axis: int | None = None,
    weights: Any = 1.0,
    scope: str | None = None,
    dim: int | None = None,
) -> Tensor:
    """1 − Σ labels·predictions along `axis`, of vectors of length 1."""
    axis = either("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("You must specify 'axis'.")
    with name_scope(scope, "cosine_distance_loss", [predictions, labels, weights]) as scope:
        product = math_ops.cast(predictions, float32) * math_ops.cast(labels, float32)
        return _weighted(1 - math_ops.reduce_sum(product, [axis]), weights, scope)


@_exported("sigmoid_cross_entropy")
def sigmoid_cross_entropy(
    logits: Any,
    multi_class_labels: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
) -> Tensor:
    """`tf.nn.sigmoid_cross_entropy_with_logits`, of labels that may be smoothed towards 1/2."""
    values = [logits, multi_class_labels, weights]
    with name_scope(scope, "sigmoid_cross_entropy_loss", values) as scope:
        logits = convert_to_tensor(logits)
        labels = math_ops.cast(multi_class_labels, logits.dtype)
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        found = nn_loss.sigmoid_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return _weighted(found, weights, scope)


@_exported("softmax_cross_entropy")
def softmax_cross_entropy(
    logits: Any,
    onehot_labels: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
) -> Tensor:
    """`tf.nn.softmax_cross_entropy_with_logits`, of labels that may be smoothed."""
    return losses.softmax_cross_entropy(onehot_labels, logits, weights, label_smoothing, scope)


@_exported("sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy(
    logits: Any, labels: Any, weights: Any = 1.0, scope: str | None = None
) -> Tensor:
    """`tf.nn.sparse_softmax_cross_entropy_with_logits` of a label for each example."""
    values = [logits, labels, weights]
    with name_scope(scope, "sparse_softmax_cross_entropy_loss", values) as scope:
        labels = array_ops.reshape(labels, array_ops.shape(labels)[:1])
        weights = array_ops.squeeze(convert_to_tensor(weights))
        found = nn_loss.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return _weighted(found, weights, scope)
