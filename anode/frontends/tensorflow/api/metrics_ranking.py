"""`tf.metrics` of rankings: precision and recall of the k best, and average precision."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, math_ops, sparse_ops, state_ops
from anode.frontends.tensorflow.api.metrics import Metric, collected, metric_variable
from anode.frontends.tensorflow.api.nn import top_k
from anode.frontends.tensorflow.api.weights import check_broadcastable
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.dtypes import float64, int64
from anode.frontends.tensorflow.graph import Tensor, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

# Labels are (…, count) of class ids, predictions (…, k); −1 is no label.


def _name(name: str, k: Any = None, class_id: int | None = None) -> str:
    base = f"{name}_at_k" if k is None else f"{name}_at_{k}"
    return base if class_id is None else f"{base}_class{class_id}"


def _dense(labels: Any) -> Tensor:
    """Class ids with a dim of labels; those of a SparseTensor are filled up with −1."""
    if hasattr(labels, "dense_shape"):
        labels = sparse_ops.sparse_tensor_to_dense(labels, default_value=-1)
    return math_ops.cast(labels, int64)


def _with_labels_dim(labels: Tensor, predictions: Tensor) -> Tensor:
    own, other = labels.shape.ndims, predictions.shape.ndims
    if own is not None and other is not None and own == other - 1:
        return array_ops.expand_dims(labels, -1)
    return labels


def _matches(labels: Tensor, predictions: Tensor) -> Tensor:
    """(…, k, count): where a prediction is a label."""
    found: Tensor = math_ops.equal(
        array_ops.expand_dims(predictions, -1), array_ops.expand_dims(labels, -2)
    )
    return found


def _number(flags: Tensor) -> Tensor:
    number: Tensor = math_ops.reduce_sum(math_ops.cast(flags, float64), -1)
    return number


def _distinct(labels: Tensor) -> Tensor:
    """Where a label is no −1 and not one that stands further left."""
    column, row = array_ops.expand_dims(labels, -1), array_ops.expand_dims(labels, -2)
    places = math_ops.range(array_ops.shape(labels)[-1])
    before = math_ops.greater(array_ops.expand_dims(places, -1), array_ops.expand_dims(places, -2))
    again = math_ops.logical_and(math_ops.equal(column, row), before)
    first: Tensor = math_ops.logical_not(math_ops.reduce_any(again, -1))
    return math_ops.logical_and(first, labels >= 0)


def _outcomes(labels: Tensor, predictions: Tensor, class_id: int | None) -> dict[str, Tensor]:
    """True positives, false positives and false negatives of each example."""
    if class_id is not None:
        actual = math_ops.reduce_any(math_ops.equal(labels, class_id), -1, keepdims=True)
        chosen = math_ops.reduce_any(math_ops.equal(predictions, class_id), -1, keepdims=True)
        both = math_ops.logical_and(actual, chosen)
        return {
            "true_positive": _number(both),
            "false_positive": _number(math_ops.logical_and(chosen, math_ops.logical_not(actual))),
            "false_negative": _number(math_ops.logical_and(actual, math_ops.logical_not(chosen))),
        }
    matches = _matches(labels, predictions)
    chosen = _distinct(predictions)
    hit = math_ops.reduce_any(matches, -1)
    hits = math_ops.logical_and(chosen, hit)
    found = math_ops.reduce_any(matches, -2)
    lost = math_ops.logical_and(_distinct(labels), math_ops.logical_not(found))
    return {
        "true_positive": _number(hits),
        "false_positive": _number(math_ops.logical_and(chosen, math_ops.logical_not(hit))),
        "false_negative": _number(lost),
    }


def _weighted(values: Tensor, weights: Any) -> Tensor:
    if weights is None:
        return values
    weights = math_ops.cast(weights, float64)
    if weights.shape.ndims and values.shape.ndims == weights.shape.ndims - 1:
        weights = array_ops.squeeze(weights, [-1])
    check_broadcastable(weights, values)
    weighted: Tensor = math_ops.multiply(values, weights)
    return weighted


def _share_at_k(
    other: str,
    labels: Any,
    predictions: Any,
    k: Any,
    class_id: int | None,
    weights: Any,
    metrics_collections: Any,
    updates_collections: Any,
    scope: str,
) -> Metric:
    """True positives over these and the `other` outcome, of all examples so far."""
    predictions = math_ops.cast(predictions, int64)
    labels = _with_labels_dim(_dense(labels), predictions)
    outcomes = _outcomes(labels, predictions, class_id)
    values, updates = [], []
    for outcome in ("true_positive", other):
        with name_scope(None, _name(outcome, k, class_id)) as inner:
            total = math_ops.reduce_sum(_weighted(outcomes[outcome], weights))
            variable = metric_variable([], float64, inner)
            updates.append(state_ops.assign_add(variable, total, name="update"))
            values.append(variable)
    value = math_ops.divide(values[0], math_ops.add(*values), name=scope)
    update = math_ops.divide(updates[0], math_ops.add(*updates), name="update")
    return collected(value, update, metrics_collections, updates_collections)


@export("metrics.precision_at_top_k")
def precision_at_top_k(
    labels: Any,
    predictions_idx: Any,
    k: Any = None,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of the predicted ids that are labels."""
    with name_scope(name, _name("precision", k, class_id)) as scope:
        rest = (k, class_id, weights, metrics_collections, updates_collections, scope)
        return _share_at_k("false_positive", labels, predictions_idx, *rest)


@export("metrics.precision_at_k")
def precision_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of the `k` highest scores whose class is a label."""
    with name_scope(name, _name("precision", k, class_id)) as scope:
        _, indices = top_k(predictions, k)
        rest = (k, class_id, weights, metrics_collections, updates_collections, scope)
        return _share_at_k("false_positive", labels, indices, *rest)


@export("metrics.sparse_precision_at_k")
def sparse_precision_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The old name of `precision_at_k`."""
    rest = (class_id, weights, metrics_collections, updates_collections, name)
    return precision_at_k(labels, predictions, k, *rest)


@export("metrics.recall_at_top_k")
def recall_at_top_k(
    labels: Any,
    predictions_idx: Any,
    k: Any = None,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of labels that are among the predicted ids."""
    with name_scope(name, _name("recall", k, class_id)) as scope:
        rest = (k, class_id, weights, metrics_collections, updates_collections, scope)
        return _share_at_k("false_negative", labels, predictions_idx, *rest)


@export("metrics.recall_at_k")
def recall_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of labels that are among the `k` highest scores."""
    with name_scope(name, _name("recall", k, class_id)) as scope:
        _, indices = top_k(predictions, k)
        rest = (k, class_id, weights, metrics_collections, updates_collections, scope)
        return _share_at_k("false_negative", labels, indices, *rest)


@export("metrics.average_precision_at_k")
def average_precision_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The mean over examples of the average precision of the `k` highest scores."""
    with name_scope(name, _name("average_precision", k)) as scope:
        _, indices = top_k(convert_to_tensor(predictions), k)
        indices = math_ops.cast(indices, int64)
        sparse = hasattr(labels, "dense_shape")
        labels = _with_labels_dim(_dense(labels), indices)
        average = _average_precision(labels, indices, k, sparse)
        counts = _weighted(array_ops.ones_like(average), weights)
        count = metric_variable([], float64, "max")
        total = metric_variable([], float64, "total")
        new_count = state_ops.assign_add(count, math_ops.reduce_sum(counts))
        summed = math_ops.reduce_sum(_weighted(average, weights))
        new_total = state_ops.assign_add(total, summed)
        value = math_ops.div_no_nan(total, count, name="mean")
        update = math_ops.div_no_nan(new_total, new_count, name=scope)
        return collected(value, update, metrics_collections, updates_collections)


def _average_precision(labels: Tensor, indices: Tensor, k: int, sparse: bool) -> Tensor:
    """Of each example: the precisions at the ranks of labels, over the labels that could be hit."""
    relevant = math_ops.cast(math_ops.reduce_any(_matches(labels, indices), -1), float64)
    ranks = math_ops.cast(math_ops.range(1, k + 1), float64)
    precision = math_ops.cumsum(relevant, axis=-1) / ranks
    counted = _distinct(labels) if sparse else array_ops.ones_like(labels, dtype=bool_)
    possible = math_ops.minimum(_number(counted), float(k))
    hits = math_ops.reduce_sum(precision * relevant, -1)
    average: Tensor = math_ops.div_no_nan(hits, possible)
    return average


@export("metrics.sparse_average_precision_at_k")
def sparse_average_precision_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The old name of `average_precision_at_k`."""
    rest = (weights, metrics_collections, updates_collections, name)
    return average_precision_at_k(labels, predictions, k, *rest)
