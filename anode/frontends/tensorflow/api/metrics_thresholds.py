"""`tf.metrics` of scores: counts of a binary classifier at thresholds, and areas under curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops, state_ops
from anode.frontends.tensorflow.api.metrics import Metric, aligned, collected, metric_variable
from anode.frontends.tensorflow.api.variable_scope import variable_scope
from anode.frontends.tensorflow.api.weights import broadcast_weights
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import Tensor, constant
from anode.frontends.tensorflow.opdef import export

_TINY = 1e-7  # the first and last threshold lie so far outside 0 … 1
_EPSILON = 1e-6
_KINDS = {  # in the order in which TensorFlow makes the variables: predicted, actual
    "true_positives": (True, True),
    "false_negatives": (False, True),
    "true_negatives": (False, False),
    "false_positives": (True, False),
}
Counts = dict[str, Any]


def counts(
    labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any, *kinds: str
) -> tuple[Counts, Counts]:
    """The counts of these kinds at each threshold, and with this batch added."""
    predictions = math_ops.cast(predictions, float32)
    labels = math_ops.cast(labels, bool_)
    labels, predictions, weights = aligned(labels, predictions, weights)
    predictions.shape.assert_is_compatible_with(labels.shape)
    limits = constant([[float(t)] for t in thresholds], dtype=float32)
    predicted = math_ops.greater(array_ops.reshape(predictions, [1, -1]), limits)
    actual = array_ops.reshape(labels, [1, -1])
    if weights is not None:
        weights = broadcast_weights(math_ops.cast(weights, float32), predictions)
        weights = array_ops.reshape(weights, [1, -1])
    values, updates = {}, {}
    for kind in [kind for kind in _KINDS if kind in kinds]:
        was, truth = (
            x if yes else math_ops.logical_not(x)
            for x, yes in zip((predicted, actual), _KINDS[kind], strict=True)
        )
        hits = math_ops.cast(math_ops.logical_and(was, truth), float32)
        total = metric_variable([len(thresholds)], float32, kind)
        hits = hits if weights is None else hits * weights
        values[kind] = array_ops.identity(total)
        updates[kind] = state_ops.assign_add(total, math_ops.reduce_sum(hits, 1))
    return values, updates


def spread(num_thresholds: int) -> list[float]:
    """Thresholds spread evenly over 0 … 1, the outer two just outside."""
    inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
    return [0.0 - _TINY, *inner, 1.0 + _TINY]


@export("metrics.auc")
def auc(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    curve: str = "ROC",
    name: str | None = None,
    summation_method: str = "trapezoidal",
    thresholds: Any = None,
) -> Metric:
    """The area under the "ROC" or precision-recall ("PR") curve, by a Riemann sum."""
    with variable_scope(name, "auc", (labels, predictions, weights)):
        if curve not in ("ROC", "PR"):
            raise ValueError(f"curve must be either ROC or PR, {curve} unknown")
        if summation_method not in (*_SUMS, _CAREFUL):
            raise ValueError(f"Invalid summation_method: {summation_method} for {curve}")
        if thresholds is None:
            limits = spread(num_thresholds)
        else:
            limits = [0.0 - _TINY, *sorted(thresholds), 1.0 + _TINY]
        values, updates = counts(labels, predictions, limits, weights, *_KINDS)
        return collected(
            _area(values, curve, summation_method, "value"),
            _area(updates, curve, summation_method, "update_op"),
            metrics_collections,
            updates_collections,
        )


_SUMS = {
    "trapezoidal": lambda a, b: (a + b) / 2.0,
    "minoring": math_ops.minimum,
    "majoring": math_ops.maximum,
}
_CAREFUL = "careful_interpolation"


def _area(n: Counts, curve: str, method: str, name: str) -> Tensor:
    true, false = n["true_positives"], n["false_positives"]
    if method == _CAREFUL and curve == "PR":
        return _careful_area(n, name)
    recalled = math_ops.divide(true + _EPSILON, true + n["false_negatives"] + _EPSILON)
    if curve == "ROC":
        x, y = math_ops.divide(false, false + n["true_negatives"] + _EPSILON), recalled
    else:
        x, y = recalled, math_ops.divide(true + _EPSILON, true + false + _EPSILON)
    height = _SUMS.get(method, _SUMS["trapezoidal"])(y[:-1], y[1:])
    area: Tensor = math_ops.reduce_sum(math_ops.multiply(x[:-1] - x[1:], height), name=name)
    return area


def _careful_area(n: Counts, name: str) -> Tensor:
    """The area under precision-recall with true and false positives interpolated linearly.

    Source: Davis and Goadrich, "The relationship between precision-recall and ROC curves", 2006.
    """
    true, positive = n["true_positives"], n["true_positives"] + n["false_positives"]
    step = true[:-1] - true[1:]
    slope = math_ops.div_no_nan(step, math_ops.maximum(positive[:-1] - positive[1:], 0))
    intercept = true[1:] - math_ops.multiply(slope, positive[1:])
    both = math_ops.logical_and(positive[:-1] > 0, positive[1:] > 0)
    ratio = math_ops.div_no_nan(positive[:-1], math_ops.maximum(positive[1:], 0))
    ratio = index_ops.where(both, ratio, array_ops.ones_like(positive[1:]))
    all_true = math_ops.maximum(true[1:] + n["false_negatives"][1:], 0)
    parts = math_ops.div_no_nan(slope * (step + intercept * math_ops.log(ratio)), all_true)
    area: Tensor = math_ops.reduce_sum(parts, name=name)
    return area


def _at_thresholds(
    kind: str,
    labels: Any,
    predictions: Any,
    thresholds: Any,
    weights: Any,
    metrics_collections: Any,
    updates_collections: Any,
    name: str | None,
) -> Metric:
    with variable_scope(name, kind, (predictions, labels, weights)):
        values, updates = counts(labels, predictions, thresholds, weights, kind)
        return collected(values[kind], updates[kind], metrics_collections, updates_collections)


def _counting(kind: str) -> None:
    def call(
        labels: Any,
        predictions: Any,
        thresholds: Any,
        weights: Any = None,
        metrics_collections: Any = None,
        updates_collections: Any = None,
        name: str | None = None,
    ) -> Metric:
        rest = (weights, metrics_collections, updates_collections, name)
        return _at_thresholds(kind, labels, predictions, thresholds, *rest)

    call.__name__ = call.__qualname__ = f"{kind}_at_thresholds"
    call.__doc__ = f"The {kind.replace('_', ' ')} at each threshold."
    globals()[call.__name__] = export(f"metrics.{call.__name__}")(call)


for _kind in _KINDS:
    _counting(_kind)


def _share_at_thresholds(
    kind: str,
    other: str,
    labels: Any,
    predictions: Any,
    thresholds: Any,
    weights: Any,
    metrics_collections: Any,
    updates_collections: Any,
    name: str | None,
) -> Metric:
    with variable_scope(name, f"{kind}_at_thresholds", (predictions, labels, weights)):
        found = counts(labels, predictions, thresholds, weights, "true_positives", other)
        value, update = (
            math_ops.divide(n["true_positives"], _TINY + n["true_positives"] + n[other], name=text)
            for n, text in zip(found, (f"{kind}_value", f"{kind}_update_op"), strict=True)
        )
        return collected(value, update, metrics_collections, updates_collections)


@export("metrics.precision_at_thresholds")
def precision_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of scores above each threshold that are true."""
    rest = (thresholds, weights, metrics_collections, updates_collections, name)
    return _share_at_thresholds("precision", "false_positives", labels, predictions, *rest)


@export("metrics.recall_at_thresholds")
def recall_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Any,
    weights: Any = None,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The share of what is true whose score is above each threshold."""
    rest = (thresholds, weights, metrics_collections, updates_collections, name)
    return _share_at_thresholds("recall", "false_negatives", labels, predictions, *rest)


def _sensitivity(n: Counts) -> Tensor:
    positive = n["true_positives"] + n["false_negatives"]
    share: Tensor = math_ops.divide(n["true_positives"], positive + _TINY)
    return share


def _specificity(n: Counts) -> Tensor:
    negative = n["true_negatives"] + n["false_positives"]
    share: Tensor = math_ops.divide(n["true_negatives"], negative + _TINY)
    return share


@export("metrics.sensitivity_at_specificity")
def sensitivity_at_specificity(
    labels: Any,
    predictions: Any,
    specificity: float,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The sensitivity at the threshold whose specificity is nearest to the one given."""
    _check_share("specificity", specificity)
    values = (predictions, labels, weights)
    with variable_scope(name, "sensitivity_at_specificity", values):
        found = counts(labels, predictions, spread(num_thresholds), weights, *_KINDS)
        value, update = (
            array_ops.identity(_sensitivity(n)[_nearest(_specificity(n), specificity)], name=text)
            for n, text in zip(found, ("value", "update_op"), strict=True)
        )
        return collected(value, update, metrics_collections, updates_collections)


def _nearest(shares: Tensor, wanted: float) -> Tensor:
    place: Tensor = math_ops.argmin(math_ops.abs(shares - wanted), 0)
    return math_ops.cast(place, "int32")


@export("metrics.specificity_at_sensitivity")
def specificity_at_sensitivity(
    labels: Any,
    predictions: Any,
    sensitivity: float,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Any = None,
    updates_collections: Any = None,
    name: str | None = None,
) -> Metric:
    """The specificity at the highest threshold whose sensitivity is nearest to the one given."""
    _check_share("sensitivity", sensitivity)
    values = (predictions, labels, weights)
    with variable_scope(name, "specificity_at_sensitivity", values):
        found = counts(labels, predictions, spread(num_thresholds), weights, *_KINDS)
        value, update = (
            array_ops.identity(_specificity(n)[_last_nearest(_sensitivity(n), sensitivity)], text)
            for n, text in zip(found, ("value", "update_op"), strict=True)
        )
        return collected(value, update, metrics_collections, updates_collections)


def _last_nearest(shares: Tensor, wanted: float) -> Tensor:
    away = math_ops.abs(shares - wanted)
    near = math_ops.cast(math_ops.equal(away, math_ops.reduce_min(away)), "int32")
    places = math_ops.range(0, shares.shape.as_list()[0])
    last: Tensor = math_ops.reduce_max(near * places)
    return last


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be in the range [0, 1].")
