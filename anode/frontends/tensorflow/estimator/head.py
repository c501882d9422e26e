"""Heads: the loss, predictions, metrics and exports of a model, from its logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.estimator.columns import Features, NumericColumn
from anode.frontends.tensorflow.estimator.spec import (
    ClassificationOutput,
    EstimatorSpec,
    ModeKeys,
    PredictOutput,
    RegressionOutput,
)
from anode.frontends.tensorflow.modules import tensorflow as tf

DEFAULT_KEY = "serving_default"
SUM = "weighted_sum"


@dataclass(frozen=True)
class Loss:
    """The losses of examples, [batch, n], their weights, and one number of them."""

    total: Any
    each: Any
    weights: Any
    labels: Any


def _weights(features: Any, weight_column: Any) -> Any:
    """The weights of the examples, [batch, 1]; 1 without a weight column."""
    if weight_column is None:
        return 1.0
    if isinstance(weight_column, str):
        weight_column = NumericColumn(weight_column, (1,), None, tf.float32, None)
    if not isinstance(weight_column, NumericColumn):
        raise TypeError(
            "Weight column must be either a string or _NumericColumn. Given type: "
            f"{type(weight_column)}."
        )
    return weight_column.values(Features(features))


def _column(labels: Any, width: int) -> Any:
    """Labels as [batch, width]."""
    if labels is None:
        raise ValueError(
            "You must provide a labels Tensor. Given: None. Suggested troubleshooting steps: Check "
            "that your data contains your label feature. Check that your input_fn properly parses "
            "and returns labels."
        )
    if hasattr(labels, "dense_shape"):
        raise ValueError("SparseTensor labels are not supported.")
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 1 and width == 1:
        labels = tf.expand_dims(labels, -1)
    last = labels.shape.as_list()[-1] if labels.shape.rank is not None else width
    if last is not None and last != width:
        raise ValueError(
            "Mismatched label shape. Expected labels dimension="
            f"{width}.  Received {last}. Suggested Fix:"
            "If your classifier expects one-hot encoding label,check your n_classes argument to "
            "the estimator and/or the shape of your label. Otherwise, check the shape of your "
            "label."
        )
    return labels


def check_reduction(loss_reduction: str) -> None:
    known = ("weighted_sum", "weighted_mean", "weighted_sum_over_batch_size",
             "weighted_sum_by_nonzero_weights")  # fmt: skip
    if loss_reduction not in known:
        raise ValueError(f"Invalid loss_reduction: {loss_reduction}")


class Head:
    """The base: labels and weights to a loss, and the spec of a mode."""

    logits_dimension = 1
    weight_column: Any = None
    loss_reduction = SUM
    name: str | None = None

    def each_loss(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        """The losses of the examples, and the labels as numbers."""
        raise NotImplementedError

    def predictions(self, logits: Any) -> dict[str, Any]:
        raise NotImplementedError

    def metrics(self, loss: Loss, predictions: Any) -> dict[str, Any]:
        raise NotImplementedError

    def exports(self, predictions: Any) -> dict[str, Any]:
        raise NotImplementedError

    def create_loss(self, features: Any, mode: str, logits: Any, labels: Any) -> Loss:
        """The loss of a batch."""
        each, labels = self.each_loss(labels, logits)
        weights = _weights(features, self.weight_column)
        total = tf.losses.compute_weighted_loss(
            each, weights=weights, reduction=self.loss_reduction
        )
        return Loss(total, each, weights, labels)

    def create_estimator_spec(
        self,
        features: Any,
        mode: str,
        logits: Any,
        labels: Any = None,
        optimizer: Any = None,
        train_op_fn: Callable[[Any], Any] | None = None,
        regularization_losses: Sequence[Any] | None = None,
    ) -> EstimatorSpec:
        """The EstimatorSpec of a mode."""
        with tf.name_scope(None, "head"):
            predictions = self.predictions(logits)
            if mode == ModeKeys.PREDICT:
                outputs = self.exports(predictions)
                return EstimatorSpec(mode, predictions, export_outputs=outputs)
            loss = self.create_loss(features, mode, logits, labels)
            total = loss.total
            if regularization_losses:
                total = tf.add_n([total, *regularization_losses])
            if mode == ModeKeys.EVAL:
                metrics = self.metrics(loss, predictions)
                return EstimatorSpec(mode, predictions, total, eval_metric_ops=metrics)
            if optimizer is not None:
                train_op = optimizer.minimize(total, global_step=tf.train.get_global_step())
            elif train_op_fn is not None:
                train_op = train_op_fn(total)
            else:
                raise ValueError("train_op_fn and optimizer cannot both be None.")
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
            if updates:
                train_op = tf.group(train_op, *updates)
        with tf.name_scope(""):
            _summaries(total, loss, self)
        return EstimatorSpec(mode, predictions, total, train_op)


def _summaries(total: Any, loss: Loss, head: Head) -> None:
    suffix = f"/{head.name}" if head.name else ""
    tf.summary.scalar(f"loss{suffix}", total)
    if head.loss_reduction == SUM:
        mean = tf.losses.compute_weighted_loss(
            loss.each, weights=loss.weights, reduction="weighted_mean"
        )
        tf.summary.scalar(f"average_loss{suffix}", mean)


def _classes(class_ids: Any, vocabulary: Any) -> Any:
    """The names of classes; their numbers as text without a vocabulary."""
    if vocabulary is None:
        return tf.as_string(class_ids, name="str_classes")
    table = tf.contrib.lookup.index_to_string_table_from_tensor(
        tf.constant(list(vocabulary)), name="class_string_lookup"
    )
    return table.lookup(class_ids)


def _all_classes(logits: Any, count: int, vocabulary: Any) -> tuple[Any, Any]:
    """The numbers and names of all classes, for each example."""
    size = tf.shape(logits)[0]
    numbers = tf.tile(tf.expand_dims(tf.range(count), 0), [size, 1])
    names = [str(i) for i in range(count)] if vocabulary is None else list(vocabulary)
    texts = tf.tile(tf.expand_dims(tf.constant(names), 0), [size, 1])
    return numbers, texts


def _ids(labels: Any, vocabulary: Any, count: int) -> Any:
    """Labels as numbers of classes, checked to be below `count`."""
    if vocabulary is not None:
        if labels.dtype.base_dtype != tf.string:
            raise ValueError(
                "Labels dtype should be string if there is a vocabulary. Instead got "
                f"{labels.dtype}"
            )
        table = tf.contrib.lookup.index_table_from_tensor(
            tf.constant(list(vocabulary)), name="class_id_lookup"
        )
        labels = table.lookup(labels)
    elif not labels.dtype.is_integer:
        raise ValueError(f"Labels dtype should be integer. Instead got {labels.dtype}.")
    checks = [
        tf.assert_less(
            labels, tf.constant(count, labels.dtype), message=f"Labels must be <= {count} - 1"
        ),
        tf.assert_greater_equal(
            labels, tf.constant(0, labels.dtype), message="Labels must be >= 0"
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(labels)


def _check_vocabulary(vocabulary: Any, count: int) -> None:
    if vocabulary is not None and not isinstance(vocabulary, (list, tuple)):
        raise ValueError(
            f"label_vocabulary should be a list or a tuple. Given type: {type(vocabulary)}"
        )
    if vocabulary is not None and len(vocabulary) != count:
        raise ValueError(
            f"Length of label_vocabulary must be n_classes={count}, it is {len(vocabulary)}"
        )


class _Classifier(Head):
    vocabulary: Any
    exported_scores = "probabilities"

    def exports(self, predictions: Any) -> dict[str, Any]:
        classified = ClassificationOutput(
            scores=predictions["probabilities"], classes=predictions["all_classes"]
        )
        return {
            DEFAULT_KEY: classified,
            "classification": classified,
            "predict": PredictOutput(predictions),
        }


class MultiClassHead(_Classifier):
    """Softmax over three classes or more."""

    def __init__(
        self,
        n_classes: int,
        weight_column: Any = None,
        label_vocabulary: Any = None,
        loss_reduction: str = SUM,
        name: str | None = None,
    ) -> None:
        if n_classes is None or n_classes <= 2:
            raise ValueError(f"n_classes must be > 2: {n_classes}.")
        _check_vocabulary(label_vocabulary, n_classes)
        check_reduction(loss_reduction)
        self.logits_dimension, self.vocabulary = n_classes, label_vocabulary
        self.weight_column, self.loss_reduction, self.name = weight_column, loss_reduction, name

    def each_loss(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        ids = _ids(_column(labels, 1), self.vocabulary, self.logits_dimension)
        each = tf.losses.sparse_softmax_cross_entropy(
            labels=tf.squeeze(ids, axis=[-1]), logits=logits, reduction="none"
        )
        return tf.expand_dims(each, -1), ids

    def predictions(self, logits: Any) -> dict[str, Any]:
        with tf.name_scope(None, "predictions", (logits,)):
            class_ids = tf.expand_dims(tf.argmax(logits, axis=-1, name="class_ids"), -1)
            numbers, names = _all_classes(logits, self.logits_dimension, self.vocabulary)
            return {
                "logits": logits,
                "probabilities": tf.nn.softmax(logits, name="probabilities"),
                "class_ids": class_ids,
                "classes": _classes(class_ids, self.vocabulary),
                "all_class_ids": numbers,
                "all_classes": names,
            }

    def metrics(self, loss: Loss, predictions: Any) -> dict[str, Any]:
        weights = loss.weights
        return {
            "average_loss": tf.metrics.mean(loss.each, weights=weights, name="average_loss"),
            "accuracy": tf.metrics.accuracy(
                loss.labels, predictions["class_ids"], weights=_fit(weights), name="accuracy"
            ),
        }


def _fit(weights: Any) -> Any:
    return None if isinstance(weights, float) else weights


class BinaryHead(_Classifier):
    """The sigmoid of one logit, for two classes."""

    def __init__(
        self,
        weight_column: Any = None,
        thresholds: Any = None,
        label_vocabulary: Any = None,
        loss_reduction: str = SUM,
        name: str | None = None,
    ) -> None:
        self.thresholds = tuple(thresholds or ())
        for threshold in self.thresholds:
            if not 0.0 < threshold < 1.0:
                raise ValueError(f"thresholds not in (0, 1): {self.thresholds}.")
        _check_vocabulary(label_vocabulary, 2)
        check_reduction(loss_reduction)
        self.vocabulary, self.weight_column = label_vocabulary, weight_column
        self.loss_reduction, self.name = loss_reduction, name

    def each_loss(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        labels = _column(labels, 1)
        if self.vocabulary is not None or labels.dtype.is_integer:
            labels = _ids(labels, self.vocabulary, 2)
        elif not labels.dtype.is_floating:
            raise ValueError(f"Labels dtype should be a number. Instead got {labels.dtype}.")
        labels = tf.cast(labels, tf.float32)
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits), labels

    def predictions(self, logits: Any) -> dict[str, Any]:
        with tf.name_scope(None, "predictions", (logits,)):
            logistic = tf.sigmoid(logits, name="logistic")
            both = tf.concat((tf.zeros_like(logits), logits), axis=-1, name="two_class_logits")
            class_ids = tf.expand_dims(tf.argmax(both, axis=-1, name="class_ids"), -1)
            numbers, names = _all_classes(logits, 2, self.vocabulary)
            return {
                "logits": logits,
                "logistic": logistic,
                "probabilities": tf.nn.softmax(both, name="probabilities"),
                "class_ids": class_ids,
                "classes": _classes(class_ids, self.vocabulary),
                "all_class_ids": numbers,
                "all_classes": names,
            }

    def metrics(self, loss: Loss, predictions: Any) -> dict[str, Any]:
        labels, weights = loss.labels, _fit(loss.weights)
        logistic, class_ids = predictions["logistic"], predictions["class_ids"]
        label_mean = tf.metrics.mean(labels, weights=weights, name="label/mean")
        baseline = tuple(tf.maximum(mean, 1.0 - mean) for mean in label_mean)
        areas = {
            name: tf.metrics.auc(
                labels,
                logistic,
                weights=weights,
                curve=curve,
                name=name,
                summation_method="careful_interpolation",
            )
            for name, curve in (("auc", "ROC"), ("auc_precision_recall", "PR"))
        }
        found = {
            "average_loss": tf.metrics.mean(loss.each, weights=loss.weights, name="average_loss"),
            "accuracy": tf.metrics.accuracy(labels, class_ids, weights=weights, name="accuracy"),
            "precision": tf.metrics.precision(labels, class_ids, weights=weights),
            "recall": tf.metrics.recall(labels, class_ids, weights=weights),
            "prediction/mean": tf.metrics.mean(logistic, weights=weights, name="prediction/mean"),
            "label/mean": label_mean,
            "accuracy_baseline": baseline,
            **areas,
        }
        for threshold in self.thresholds:
            found.update(_at_threshold(labels, logistic, weights, threshold))
        return found

    def exports(self, predictions: Any) -> dict[str, Any]:
        logistic = predictions["logistic"]
        return {
            **super().exports(predictions),
            "regression": RegressionOutput(value=logistic),
        }


def _at_threshold(labels: Any, logistic: Any, weights: Any, threshold: float) -> dict[str, Any]:
    above = tf.cast(tf.greater(logistic, threshold), tf.float32)
    names = {
        f"accuracy/positive_threshold_{threshold}": tf.metrics.accuracy,
        f"precision/positive_threshold_{threshold}": tf.metrics.precision,
        f"recall/positive_threshold_{threshold}": tf.metrics.recall,
    }
    return {name: make(labels, above, weights=weights) for name, make in names.items()}


class RegressionHead(Head):
    """Squared errors of one number or several."""

    def __init__(
        self,
        weight_column: Any = None,
        label_dimension: int = 1,
        loss_reduction: str = SUM,
        name: str | None = None,
    ) -> None:
        if label_dimension < 1:
            raise ValueError(f"Invalid label_dimension {label_dimension}.")
        check_reduction(loss_reduction)
        self.logits_dimension, self.weight_column = label_dimension, weight_column
        self.loss_reduction, self.name = loss_reduction, name

    def each_loss(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        labels = tf.cast(_column(labels, self.logits_dimension), tf.float32)
        return tf.losses.mean_squared_error(labels, logits, reduction="none"), labels

    def predictions(self, logits: Any) -> dict[str, Any]:
        return {"predictions": logits}

    def metrics(self, loss: Loss, predictions: Any) -> dict[str, Any]:
        given = {
            "average_loss": loss.each,
            "prediction/mean": predictions["predictions"],
            "label/mean": loss.labels,
        }
        return {
            name: tf.metrics.mean(value, weights=_fit(loss.weights), name=name)
            for name, value in given.items()
        }

    def exports(self, predictions: Any) -> dict[str, Any]:
        value = RegressionOutput(value=predictions["predictions"])
        return {
            DEFAULT_KEY: value,
            "regression": value,
            "predict": PredictOutput(predictions),
        }


def classifier_head(
    n_classes: int, weight_column: Any, label_vocabulary: Any, loss_reduction: str
) -> Head:
    """The head of a classifier of so many classes."""
    if n_classes == 2:
        return BinaryHead(weight_column, None, label_vocabulary, loss_reduction)
    return MultiClassHead(n_classes, weight_column, label_vocabulary, loss_reduction)
