"""`tf.metrics`: running means and counts in local variables, with an op that adds a batch."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops, state_ops
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variable_scope import variable, variable_scope
from anode.frontends.tensorflow.api.weights import broadcast_weights, fitted, squeezed
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.dtypes import float32, float64, int64
from anode.frontends.tensorflow.graph import (
    Tensor,
    add_to_collections,
    apply,
    control_dependencies,
    convert_to_tensor,
)
from anode.frontends.tensorflow.opdef import export

Metric = tuple[Tensor, Tensor]


def metric_variable(shape: Any, dtype: Any, name: str) -> Any:
    """A local variable of a metric that begins at 0."""
    return variable(
        lambda: array_ops.zeros(shape, dtype),
        trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES],
        name=name,
    )


def collected(
    value: Any, update: Any, metrics_collections: Any, updates_collections: Any
) -> Metric:
    """The two results of a metric, put into the collections the caller names."""
    if metrics_collections:
        add_to_collections(metrics_collections, value)
    if updates_collections:
        add_to_collections(updates_collections, update)
    return value, update


def aligned(labels: Any, predictions: Any, weights: Any) -> tuple[Tensor, Tensor, Any]:
    """Labels, predictions and weights of one rank, by a last dim of 1 more or less."""
    labels, predictions = squeezed(labels, predictions)
    return labels, predictions, None if weights is None else fitted(weights, predictions)


# means


def _running_mean(
    values: Any, weights: Any, total: Any, count: Any, counts: Any, sum_up: Any
) -> Metric:
    if weights is not None:
        weights = fitted(weights, values)
        weights = broadcast_weights(math_ops.cast(weights, float32), values)
        values = math_ops.multiply(values, weights)
        counts = sum_up(weights)
    new_total = state_ops.assign_add(total, sum_up(values))
    with control_dependencies([values]):
        new_count = state_ops.assign_add(count, counts)
    return _ratio(total, count, "value"), _ratio(new_total, new_count, "update_op")


def _ratio(total: Any, count: Any, name: str) -> Tensor:
    ratio: Tensor = math_ops.div_no_nan(total, math_ops.maximum(count, 0), name=name)
    return ratio


@export("metrics.mean")
def mean(
    values: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The weighted mean of all values so far."""
    with variable_scope(name, "mean", (values, weights)):
        values = math_ops.cast(values, float32)
        total = metric_variable([], float32, "total")
        count = metric_variable([], float32, "count")
        size = None
        if weights is None:
            size = math_ops.cast(array_ops.size(values), float32)
        found = _running_mean(values, weights, total, count, size, math_ops.reduce_sum)
        return collected(*found, metrics_collections, updates_collections)


@export("metrics.mean_tensor")
def mean_tensor(
    values: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The weighted mean of each element."""
    with variable_scope(name, "mean", (values, weights)):
        values = math_ops.cast(values, float32)
        total = metric_variable(values.shape, float32, "total_tensor")
        count = metric_variable(values.shape, float32, "count_tensor")
        ones = array_ops.ones_like(values) if weights is None else None
        found = _running_mean(values, weights, total, count, ones, lambda x: x)
        return collected(*found, metrics_collections, updates_collections)


@export("metrics.accuracy")
def accuracy(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often predictions equal labels."""
    labels, predictions, weights = aligned(labels, predictions, weights)
    predictions.shape.assert_is_compatible_with(labels.shape)
    if labels.dtype.base_dtype != predictions.dtype.base_dtype:
        predictions = math_ops.cast(predictions, labels.dtype)
    correct = math_ops.cast(math_ops.equal(predictions, labels), float32)
    return mean(correct, weights, metrics_collections, updates_collections, name or "accuracy")


def _errors(labels: Any, predictions: Any, weights: Any) -> tuple[Tensor, Tensor, Any]:
    labels = convert_to_tensor(labels)
    predictions = math_ops.cast(predictions, float32)
    labels = math_ops.cast(labels, float32)
    labels, predictions, weights = aligned(labels, predictions, weights)
    predictions.shape.assert_is_compatible_with(labels.shape)
    return labels, predictions, weights


@export("metrics.mean_absolute_error")
def mean_absolute_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean of |predictions − labels|."""
    labels, predictions, weights = _errors(labels, predictions, weights)
    errors, name = math_ops.abs(predictions - labels), name or "mean_absolute_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


@export("metrics.mean_squared_error")
def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean of (predictions − labels)²."""
    labels, predictions, weights = _errors(labels, predictions, weights)
    errors = math_ops.squared_difference(labels, predictions)
    name = name or "mean_squared_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


@export("metrics.root_mean_squared_error")
def root_mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The root of `mean_squared_error`."""
    name = name or "root_mean_squared_error"
    value, update = mean_squared_error(labels, predictions, weights, None, None, name)
    value, update = math_ops.sqrt(value), math_ops.sqrt(update)
    return collected(value, update, metrics_collections, updates_collections)


@export("metrics.mean_relative_error")
def mean_relative_error(
    labels: Any,
    predictions: Any,
    normalizer: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean of |labels − predictions| / normalizer, 0 where the normalizer is."""
    labels, predictions, weights = _errors(labels, predictions, weights)
    predictions, normalizer = squeezed(predictions, normalizer)
    predictions.shape.assert_is_compatible_with(normalizer.shape)
    ratio = math_ops.divide(math_ops.abs(labels - predictions), normalizer)
    nothing = math_ops.equal(normalizer, 0.0)
    errors = index_ops.where(nothing, array_ops.zeros_like(labels), ratio)
    name = name or "mean_relative_error"
    return mean(errors, weights, metrics_collections, updates_collections, name)


@export("metrics.mean_cosine_distance")
def mean_cosine_distance(
    labels: Any,
    predictions: Any,
    dim: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """1 − the mean of Σ labels·predictions along `dim`."""
    labels, predictions, weights = _errors(labels, predictions, weights)
    products = math_ops.reduce_sum(math_ops.multiply(predictions, labels), [dim], keepdims=False)
    name = name or "mean_cosine_distance"
    value, update = mean(products, weights, None, None, name)
    value, update = math_ops.subtract(1.0, value), math_ops.subtract(1.0, update)
    return collected(value, update, metrics_collections, updates_collections)


@export("metrics.percentage_below")
def percentage_below(
    values: Any,
    threshold: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of values below `threshold`."""
    below = math_ops.cast(math_ops.less(values, threshold), float32)
    name = name or "percentage_below_threshold"
    return mean(below, weights, metrics_collections, updates_collections, name)


# counts of a binary classifier


def _count_where(condition: Any, weights: Any) -> Metric:
    """How often a condition has held, weighted."""
    condition = convert_to_tensor(condition)
    count = metric_variable([], float32, "count")
    values = math_ops.cast(condition, float32)
    if weights is not None:
        weights = fitted(math_ops.cast(weights, float32), values)
        values = math_ops.multiply(values, broadcast_weights(weights, values))
    value = array_ops.identity(count)
    return value, state_ops.assign_add(count, math_ops.reduce_sum(values))


_KINDS = {
    "true_positives": (True, True),
    "false_positives": (True, False),
    "false_negatives": (False, True),
    "true_negatives": (False, False),
}


def _counted(
    kind: str,
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    predicted, actual = _KINDS[kind]
    with variable_scope(name, kind, (predictions, labels, weights)):
        labels = math_ops.cast(labels, bool_)
        predictions = math_ops.cast(predictions, bool_)
        labels, predictions, weights = aligned(labels, predictions, weights)
        predictions.shape.assert_is_compatible_with(labels.shape)
        both = math_ops.logical_and(
            math_ops.equal(predictions, predicted), math_ops.equal(labels, actual)
        )
        return collected(*_count_where(both, weights), metrics_collections, updates_collections)


@export("metrics.true_positives")
def true_positives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often what is true was predicted."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _counted("true_positives", labels, predictions, *rest)


@export("metrics.false_positives")
def false_positives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often what is false was predicted."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _counted("false_positives", labels, predictions, *rest)


@export("metrics.false_negatives")
def false_negatives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often what is true was not predicted."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _counted("false_negatives", labels, predictions, *rest)


@export("metrics.true_negatives")
def true_negatives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often what is false was not predicted."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _counted("true_negatives", labels, predictions, *rest)


def _share(
    kind: str,
    other: str,
    labels: Any,
    predictions: Any,
    weights: Any,
    metrics_collections: Any,
    updates_collections: Any,
    name: str | None,
) -> Metric:
    """True positives over these and the `other` kind."""
    with variable_scope(name, kind, (predictions, labels, weights)):
        predictions = math_ops.cast(predictions, bool_)
        labels = math_ops.cast(labels, bool_)
        labels, predictions, weights = aligned(labels, predictions, weights)
        predictions.shape.assert_is_compatible_with(labels.shape)
        true, new_true = true_positives(labels, predictions, weights)
        false, new_false = _counted(other, labels, predictions, weights)
        return collected(
            _fraction(true, false, "value"),
            _fraction(new_true, new_false, "update_op"),
            metrics_collections,
            updates_collections,
        )


def _fraction(true: Tensor, false: Tensor, name: str) -> Tensor:
    some = math_ops.greater(true + false, 0)
    fraction: Tensor = index_ops.where(some, math_ops.divide(true, true + false), 0.0, name)
    return fraction


@export("metrics.precision")
def precision(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of what was predicted that is true."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _share("precision", "false_positives", labels, predictions, *rest)


@export("metrics.recall")
def recall(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of what is true that was predicted."""
    rest = (weights, metrics_collections, updates_collections, name)
    return _share("recall", "false_negatives", labels, predictions, *rest)


# classes


def _flat(labels: Any, predictions: Any, weights: Any) -> tuple[Tensor, Tensor, Any]:
    predictions, labels = math_ops.cast(predictions, int64), math_ops.cast(labels, int64)
    if labels.shape.ndims != 1:
        labels = array_ops.reshape(labels, [-1])
    if predictions.shape.ndims != 1:
        predictions = array_ops.reshape(predictions, [-1])
    if weights is not None:
        weights = convert_to_tensor(weights)
        weights = weights if weights.shape.ndims == 1 else array_ops.reshape(weights, [-1])
    predictions.shape.assert_is_compatible_with(labels.shape)
    return labels, predictions, weights


@export("metrics.mean_iou")
def mean_iou(
    labels: Any,
    predictions: Any,
    num_classes: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean over classes of intersection over union; the update is the confusion matrix."""
    with variable_scope(name, "mean_iou", (predictions, labels, weights)):
        predictions.shape.assert_is_compatible_with(labels.shape)
        total = metric_variable([num_classes, num_classes], float64, "total_confusion_matrix")
        labels, predictions, weights = _flat(labels, predictions, weights)
        matrix = math_ops.confusion_matrix(
            labels, predictions, num_classes, dtype=float64, weights=weights
        )
        update = state_ops.assign_add(total, matrix)
        rows = math_ops.cast(math_ops.reduce_sum(total, 0), float32)
        columns = math_ops.cast(math_ops.reduce_sum(total, 1), float32)
        own = math_ops.cast(index_ops.tensor_diag_part(total), float32)
        union = rows + columns - own
        count = math_ops.reduce_sum(math_ops.cast(math_ops.not_equal(union, 0), float32))
        shares = math_ops.divide(own, index_ops.where(union > 0, union, array_ops.ones_like(union)))
        value = index_ops.where(
            math_ops.greater(count, 0), math_ops.reduce_sum(shares) / count, 0.0
        )
        return collected(value, update, metrics_collections, updates_collections)


@export("metrics.mean_per_class_accuracy")
def mean_per_class_accuracy(
    labels: Any,
    predictions: Any,
    num_classes: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean over classes of how often the class was recognised."""
    with variable_scope(name, "mean_accuracy", (predictions, labels, weights)):
        labels, predictions, weights = _flat(labels, predictions, weights)
        total = metric_variable([num_classes], float32, "total")
        count = metric_variable([num_classes], float32, "count")
        ones = array_ops.ones([array_ops.size(labels)], float32)
        correct = math_ops.cast(math_ops.equal(predictions, labels), float32)
        if weights is not None:
            weights = math_ops.cast(weights, float32)
            ones, correct = ones * weights, correct * weights
        new_total = apply("ScatterAdd", total, labels, ones)
        new_count = apply("ScatterAdd", count, labels, correct)
        value = math_ops.reduce_mean(math_ops.div_no_nan(count, total), name="mean_accuracy")
        update = math_ops.div_no_nan(new_count, new_total, name="update_op")
        return collected(value, update, metrics_collections, updates_collections)
