"""`tf.losses`: losses with weights, their reduction, and the collection they are in."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops, nn_loss
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.nn import either
from anode.frontends.tensorflow.api.weights import broadcast_weights, check_broadcastable, squeezed
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import (
    Tensor,
    add_to_collection,
    constant,
    convert_to_tensor,
    get_collection,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export


@export("losses.Reduction")
class Reduction:
    """How the losses of the elements become one."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: str) -> None:
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}.")


_LOSSES = GraphKeys.LOSSES
_USUAL = Reduction.SUM_BY_NONZERO_WEIGHTS


@export("losses.compute_weighted_loss")
def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """losses·weights, reduced, and put into the collection; weights broadcast to the losses."""
    Reduction.validate(reduction)
    with name_scope(scope, "weighted_loss", (losses, weights)):
        losses = convert_to_tensor(losses)
        dtype = losses.dtype
        losses = math_ops.cast(losses, float32)
        weights = math_ops.cast(weights, float32)
        check_broadcastable(weights, losses)
        loss = math_ops.multiply(losses, weights)
        if reduction != Reduction.NONE:
            loss = _reduced(loss, weights, losses, reduction)
        loss = math_ops.cast(loss, dtype)
        add_loss(loss, loss_collection)
        return loss


def _reduced(loss: Tensor, weights: Tensor, losses: Tensor, reduction: str) -> Tensor:
    total: Tensor = math_ops.reduce_sum(loss)
    if reduction == Reduction.MEAN:
        return _mean(total, math_ops.reduce_sum(array_ops.ones_like(losses) * weights))
    if reduction == _USUAL:
        return _mean(total, _num_present(losses, weights))
    if reduction == Reduction.SUM_OVER_BATCH_SIZE:
        count = math_ops.cast(array_ops.size(losses, name="num_elements"), losses.dtype)
        return _mean(total, count)
    return total


def _mean(losses: Tensor, count: Tensor, name: str = "value") -> Tensor:
    mean: Tensor = math_ops.div_no_nan(math_ops.reduce_sum(losses), count, name=name)
    return mean


def _num_present(losses: Tensor, weights: Tensor, per_batch: bool = False) -> Tensor:
    """How many elements have a weight that is not zero, in all or in each example."""
    with name_scope(None, "num_present", (losses, weights)) as scope:
        present = index_ops.where(
            math_ops.equal(weights, 0.0),
            array_ops.zeros_like(weights),
            array_ops.ones_like(weights),
        )
        present = broadcast_weights(present, losses)
        axes = math_ops.range(1, array_ops.rank(present)) if per_batch else None
        count: Tensor = math_ops.reduce_sum(present, axes, keepdims=per_batch, name=scope)
        return count


def _operands(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    predictions = math_ops.cast(predictions, float32)
    labels = math_ops.cast(labels, float32)
    predictions.shape.assert_is_compatible_with(labels.shape)
    return predictions, labels


def _given(**values: Any) -> None:
    for name, value in values.items():
        if value is None:
            raise ValueError(f"{name} must not be None.")


@export("losses.absolute_difference")
def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """|predictions − labels|."""
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "absolute_difference", (predictions, labels, weights)) as scope:
        predictions, labels = _operands(predictions, labels)
        losses = math_ops.abs(math_ops.subtract(predictions, labels))
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.cosine_distance")
def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: int | None = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
    dim: int | None = None,
) -> Tensor:
    """1 − Σ labels·predictions along `axis`, of vectors of length 1."""
    axis = either("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("You must specify 'axis'.")
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "cosine_distance_loss", (predictions, labels, weights)) as scope:
        predictions, labels = _operands(predictions, labels)
        product = math_ops.multiply(predictions, labels)
        losses = 1 - math_ops.reduce_sum(product, axis=(axis,), keepdims=True)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.hinge_loss")
def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """max(0, 1 − y·logits), with y = ±1 for labels 1 and 0."""
    _given(labels=labels, logits=logits)
    with name_scope(scope, "hinge_loss", (logits, labels, weights)) as scope:
        logits, labels = _operands(logits, labels)
        signs = math_ops.subtract(2 * labels, array_ops.ones_like(labels))
        margin = math_ops.subtract(array_ops.ones_like(labels), math_ops.multiply(signs, logits))
        losses = nn_loss.relu(margin)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.huber_loss")
def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """Half the square of the error, linear where it exceeds `delta`."""
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "huber_loss", (predictions, labels, weights)) as scope:
        predictions, labels = _operands(predictions, labels)
        error = math_ops.abs(math_ops.subtract(predictions, labels))
        quadratic = math_ops.minimum(error, delta)
        linear = math_ops.subtract(error, quadratic)
        half = convert_to_tensor(0.5, dtype=quadratic.dtype)
        losses = math_ops.add(half * quadratic * quadratic, delta * linear)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.log_loss")
def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """−labels·log(predictions + ε) − (1 − labels)·log(1 − predictions + ε)."""
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "log_loss", (predictions, labels, weights)) as scope:
        predictions, labels = _operands(predictions, labels)
        yes = math_ops.multiply(labels, math_ops.log(predictions + epsilon))
        no = math_ops.multiply(1 - labels, math_ops.log(1 - predictions + epsilon))
        return compute_weighted_loss(-yes - no, weights, scope, loss_collection, reduction)


@export("losses.mean_pairwise_squared_error")
def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
) -> Tensor:
    """The mean over pairs of elements of an example of the square of how their errors differ."""
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_pairwise_squared_error", (predictions, labels, weights)):
        weights = math_ops.cast(weights, float32)
        labels = math_ops.cast(labels, float32)
        check_broadcastable(weights, labels)
        predictions, labels = _operands(predictions, labels)
        delta = math_ops.subtract(predictions, labels)
        axes = math_ops.range(1, array_ops.rank(delta))
        squares = math_ops.reduce_sum(math_ops.square(delta), axis=axes, keepdims=True)
        present = _num_present(delta, weights, per_batch=True)
        first = 2.0 * math_ops.div_no_nan(squares, math_ops.maximum(present - 1, 0), name="value")
        total = math_ops.reduce_sum(delta, axis=axes, keepdims=True)
        pairs = math_ops.maximum(math_ops.multiply(present, present - 1), 0)
        second = 2.0 * math_ops.div_no_nan(math_ops.square(total), pairs, name="value")
        summed = math_ops.reduce_sum(math_ops.multiply(first - second, weights))
        some = math_ops.reduce_sum(present) > 0
        loss: Tensor = index_ops.where(some, summed, array_ops.zeros_like(summed), name="value")
        add_loss(loss, loss_collection)
        return loss


@export("losses.mean_squared_error")
def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """(predictions − labels)²."""
    _given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_squared_error", (predictions, labels, weights)) as scope:
        predictions, labels = _operands(predictions, labels)
        losses = math_ops.squared_difference(predictions, labels)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.sigmoid_cross_entropy")
def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """`tf.nn.sigmoid_cross_entropy_with_logits`, of labels that may be smoothed towards 1/2."""
    _given(multi_class_labels=multi_class_labels, logits=logits)
    values = (logits, multi_class_labels, weights)
    with name_scope(scope, "sigmoid_cross_entropy_loss", values) as scope:
        logits = convert_to_tensor(logits)
        labels = math_ops.cast(multi_class_labels, logits.dtype)
        logits.shape.assert_is_compatible_with(labels.shape)
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        losses = nn_loss.sigmoid_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.softmax_cross_entropy")
def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """`tf.nn.softmax_cross_entropy_with_logits`, of labels that may be smoothed."""
    _given(onehot_labels=onehot_labels, logits=logits)
    values = (logits, onehot_labels, weights)
    with name_scope(scope, "softmax_cross_entropy_loss", values) as scope:
        logits = convert_to_tensor(logits)
        labels = math_ops.cast(onehot_labels, logits.dtype)
        logits.shape.assert_is_compatible_with(labels.shape)
        if label_smoothing > 0:
            classes = math_ops.cast(array_ops.shape(labels)[-1], logits.dtype)
            labels = labels * (1.0 - label_smoothing) + label_smoothing / classes
        labels = array_ops.stop_gradient(labels, name="labels_stop_gradient")
        losses = nn_loss.softmax_cross_entropy_with_logits_v2(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export("losses.sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = _LOSSES,
    reduction: str = _USUAL,
) -> Tensor:
    """`tf.nn.sparse_softmax_cross_entropy_with_logits`; labels and weights may end with a 1."""
    _given(labels=labels, logits=logits)
    values = (logits, labels, weights)
    with name_scope(scope, "sparse_softmax_cross_entropy_loss", values) as scope:
        labels, logits = squeezed(labels, logits, 1)
        weights = convert_to_tensor(weights)
        ranks = weights.shape.ndims, labels.shape.ndims
        if None not in ranks and ranks[0] - ranks[1] == 1:
            weights = array_ops.squeeze(weights, [-1])
        losses = nn_loss.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


# the collections


@export("losses.add_loss")
def add_loss(loss: Any, loss_collection: str | None = _LOSSES) -> None:
    """Put a loss computed elsewhere into the collection."""
    if loss_collection:
        add_to_collection(loss_collection, loss)


@export("losses.get_losses")
def get_losses(scope: str | None = None, loss_collection: str = _LOSSES) -> list[Any]:
    """The losses of the collection, of a scope if one is given."""
    return get_collection(loss_collection, scope)


@export("losses.get_regularization_losses")
def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """What regularizers of variables cost."""
    return get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


@export("losses.get_regularization_loss")
def get_regularization_loss(
    scope: str | None = None, name: str = "total_regularization_loss"
) -> Tensor:
    """The sum of the regularization losses, 0 where there are none."""
    losses = get_regularization_losses(scope)
    if losses:
        total: Tensor = math_ops.add_n(losses, name=name)
        return total
    return constant(0.0)


@export("losses.get_total_loss")
def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses."""
    losses = get_losses(scope)
    if add_regularization_losses:
        losses += get_regularization_losses(scope)
    total: Tensor = math_ops.add_n(losses, name=name)
    return total
