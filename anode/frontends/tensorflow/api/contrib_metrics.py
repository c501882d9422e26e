"""`tf.contrib.metrics`: the metrics as they were before `tf.metrics`, predictions first."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from anode.frontends.tensorflow.api import (
    array_ops,
    math_ops,
    metrics,
    metrics_ranking,
    metrics_thresholds,
    state_ops,
)
from anode.frontends.tensorflow.api.metrics import Metric, collected, metric_variable
from anode.frontends.tensorflow.api.nn import in_top_k
from anode.frontends.tensorflow.api.variable_scope import variable_scope
from anode.frontends.tensorflow.api.weights import broadcast_weights
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import Tensor, control_dependencies, name_scope
from anode.frontends.tensorflow.opdef import export

_SWAPPED: dict[str, Callable[..., Metric]] = {
    "streaming_accuracy": metrics.accuracy,
    "streaming_mean_absolute_error": metrics.mean_absolute_error,
    "streaming_mean_squared_error": metrics.mean_squared_error,
    "streaming_root_mean_squared_error": metrics.root_mean_squared_error,
    "streaming_mean_relative_error": metrics.mean_relative_error,
    "streaming_mean_cosine_distance": metrics.mean_cosine_distance,
    "streaming_mean_iou": metrics.mean_iou,
    "streaming_precision": metrics.precision,
    "streaming_recall": metrics.recall,
    "streaming_true_positives": metrics.true_positives,
    "streaming_false_positives": metrics.false_positives,
    "streaming_true_negatives": metrics.true_negatives,
    "streaming_false_negatives": metrics.false_negatives,
    "streaming_auc": metrics_thresholds.auc,
    "streaming_precision_at_thresholds": metrics_thresholds.precision_at_thresholds,
    "streaming_recall_at_thresholds": metrics_thresholds.recall_at_thresholds,
    "streaming_sensitivity_at_specificity": metrics_thresholds.sensitivity_at_specificity,
    "streaming_specificity_at_sensitivity": metrics_thresholds.specificity_at_sensitivity,
    "streaming_sparse_precision_at_k": metrics_ranking.precision_at_k,
    "streaming_sparse_recall_at_k": metrics_ranking.recall_at_k,
    "streaming_sparse_average_precision_at_k": metrics_ranking.average_precision_at_k,
}
_SAME: dict[str, Callable[..., Metric]] = {
    "streaming_mean": metrics.mean,
    "streaming_mean_tensor": metrics.mean_tensor,
    "streaming_percentage_less": metrics.percentage_below,
}


def _exported(name: str, function: Any) -> None:
    paths = [f"contrib.metrics.{name}", f"contrib.slim.metrics.{name}"]
    globals()[name] = export(*paths)(function)


def _swapped(name: str, metric: Callable[..., Metric]) -> None:
    def call(predictions: Any, labels: Any, *args: Any, **kwargs: Any) -> Metric:
        return metric(labels, predictions, *args, **kwargs)

    labels, predictions, *others = inspect.signature(metric).parameters.values()
    call.__signature__ = inspect.Signature([predictions, labels, *others])  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    call.__doc__ = metric.__doc__
    _exported(name, call)


def _renamed(name: str, metric: Callable[..., Metric]) -> None:
    def call(values: Any, *args: Any, **kwargs: Any) -> Metric:
        return metric(values, *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = metric.__doc__
    _exported(name, call)


for _name, _metric in _SWAPPED.items():
    _swapped(_name, _metric)
for _name, _metric in _SAME.items():
    _renamed(_name, _metric)


@export("contrib.metrics.accuracy", "contrib.slim.metrics.accuracy")
def accuracy(predictions: Any, labels: Any, weights: Any = None, name: str | None = None) -> Tensor:
    """The share of predictions that equal their labels, in this batch alone."""
    with name_scope(name, "accuracy", [predictions, labels]):
        correct = math_ops.cast(math_ops.equal(predictions, labels), float32)
        if weights is None:
            mean: Tensor = math_ops.reduce_mean(correct)
            return mean
        counts = math_ops.reduce_sum(broadcast_weights(weights, correct))
        return math_ops.reduce_sum(correct * weights) / counts


@export("contrib.metrics.streaming_recall_at_k", "contrib.slim.metrics.streaming_recall_at_k")
def streaming_recall_at_k(
    predictions: Any,
    labels: Any,
    k: int,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """How often the label is among the `k` highest scores."""
    found = math_ops.cast(in_top_k(predictions, labels, k), float32)
    name = name or f"recall_at_{k}"
    return metrics.mean(found, weights, metrics_collections, updates_collections, name)


@export("contrib.metrics.f1_score", "contrib.slim.metrics.f1_score")
def f1_score(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The highest harmonic mean of precision and recall over the thresholds."""
    with variable_scope(name, "f1", (labels, predictions, weights)):
        kinds = ("true_positives", "false_positives", "false_negatives")
        limits = metrics_thresholds.spread(num_thresholds)
        found = metrics_thresholds.counts(labels, predictions, limits, weights, *kinds)
        value, update = (
            _best_f1(n, text) for n, text in zip(found, ("value", "update_op"), strict=True)
        )
        return collected(value, update, metrics_collections, updates_collections)


def _best_f1(n: dict[str, Any], name: str) -> Tensor:
    true = n["true_positives"]
    precision = true / (1e-7 + true + n["false_positives"])
    recall = true / (1e-7 + true + n["false_negatives"])
    best: Tensor = math_ops.reduce_max(2 * precision * recall / (precision + recall + 1e-7))
    return array_ops.identity(best, name=name)


# covariance


@export("contrib.metrics.streaming_covariance", "contrib.slim.metrics.streaming_covariance")
def streaming_covariance(
    predictions: Any,
    labels: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The unbiased covariance; batches are joined by Chan's formula."""
    with variable_scope(name, "covariance", [predictions, labels, weights]):
        predictions = math_ops.cast(predictions, float32)
        labels = math_ops.cast(labels, float32)
        count, mean_x, mean_y, moment = (
            metric_variable([], float32, text)
            for text in ("count", "mean_prediction", "mean_label", "comoment")
        )
        ones = array_ops.ones_like(predictions) if weights is None else weights
        weights = broadcast_weights(math_ops.cast(ones, float32), predictions)
        size = math_ops.reduce_sum(weights)
        x = math_ops.div_no_nan(math_ops.reduce_sum(predictions * weights), size)
        y = math_ops.div_no_nan(math_ops.reduce_sum(labels * weights), size)
        own = math_ops.reduce_sum(weights * (predictions - x) * (labels - y))
        total = count + size
        away_x, away_y = x - mean_x, y - mean_y
        between = away_x * away_y * math_ops.div_no_nan(count * size, total)
        share = math_ops.div_no_nan(size, total)
        new_moment = state_ops.assign_add(moment, own + between)
        new_x = state_ops.assign_add(mean_x, away_x * share)
        new_y = state_ops.assign_add(mean_y, away_y * share)
        with control_dependencies([new_moment, new_x, new_y]):
            new_count = state_ops.assign_add(count, size)
        value = _covariance(moment, count, "covariance")
        update = _covariance(new_moment, new_count, "update_op")
        return collected(value, update, metrics_collections, updates_collections)


def _covariance(moment: Any, count: Any, name: str) -> Tensor:
    covariance: Tensor = math_ops.div_no_nan(
        array_ops.identity(moment), math_ops.maximum(count - 1, 0), name=name
    )
    return covariance


@export(
    "contrib.metrics.streaming_pearson_correlation",
    "contrib.slim.metrics.streaming_pearson_correlation",
)
def streaming_pearson_correlation(
    predictions: Any,
    labels: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The covariance over the root of both variances."""
    with variable_scope(name, "pearson_r", [predictions, labels, weights]):
        both = streaming_covariance(predictions, labels, weights, name="covariance")
        x = streaming_covariance(predictions, predictions, weights, name="variance_predictions")
        y = streaming_covariance(labels, labels, weights, name="variance_labels")
        value, update = (
            math_ops.divide(cov, math_ops.sqrt(a) * math_ops.sqrt(b), name=text)
            for cov, a, b, text in zip(both, x, y, ("pearson_r", "update_op"), strict=True)
        )
        return collected(value, update, metrics_collections, updates_collections)


# several metrics


@export("contrib.metrics.aggregate_metrics", "contrib.slim.metrics.aggregate_metrics")
def aggregate_metrics(*value_update_tuples: Metric) -> tuple[list[Tensor], list[Tensor]]:
    """The values and the updates of several metrics."""
    if not value_update_tuples:
        raise ValueError("Expected at least one value_tensor/update_op pair.")
    values, updates = zip(*value_update_tuples, strict=True)
    return list(values), list(updates)


@export("contrib.metrics.aggregate_metric_map", "contrib.slim.metrics.aggregate_metric_map")
def aggregate_metric_map(
    names_to_tuples: Mapping[str, Metric],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The values and the updates of several metrics, by their names."""
    values = {name: pair[0] for name, pair in names_to_tuples.items()}
    return values, {name: pair[1] for name, pair in names_to_tuples.items()}
