"""The canned estimators of tf.contrib.learn: linear models and dense layers, on arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.nn import relu
from anode.frontends.tensorflow.estimator.canned import whole
from anode.frontends.tensorflow.estimator.head import (
    Head,
    RegressionHead,
    classifier_head,
)
from anode.frontends.tensorflow.estimator.learn import LEARN, LearnEstimator, ModeKeys, ModelFnOps
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

PATH = LEARN + "estimators."
MEAN = "weighted_mean"
# Operations of TensorFlow's input of one column, dense layer, dropout, and before the dropout.
INPUT, LAYER, DROPOUT, DROPOUT_AT = 2, 49, 16, 19


def _named(features: Any) -> dict[str, Any]:
    return dict(features) if isinstance(features, Mapping) else {"": features}


def _dense(net: Any, units: int, activation: Any, name: str) -> Any:
    with tf.variable_scope(name, values=(net,)) as scope:
        made = tf.contrib.layers.fully_connected(net, units, activation, scope=scope)
    tf.summary.scalar(f"dnn/{name}/fraction_of_zero_values", tf.nn.zero_fraction(made))
    tf.summary.histogram(f"dnn/{name}/activation", made)
    return made


def _dnn(
    features: Any,
    mode: str,
    units: int,
    hidden_units: Any,
    columns: Any,
    activation: Any,
    dropout: float | None,
) -> Any:
    graph = tf.get_default_graph()
    first = graph._last_id
    with tf.variable_scope("input_from_feature_columns", values=tuple(features.values())) as scope:
        net = tf.contrib.layers.input_from_feature_columns(features, columns, scope=scope)
    if len(list(columns)) == 1:
        graph._number_from(first, INPUT)
    for i, size in enumerate(hidden_units):
        first = graph._last_id
        net = _dense(net, size, activation, f"hiddenlayer_{i}")
        drops = dropout is not None and mode == ModeKeys.TRAIN
        if dropout is not None and drops:
            graph._number_from(first, DROPOUT_AT)
            net = tf.contrib.layers.dropout(net, keep_prob=1.0 - dropout)
        graph._number_from(first, LAYER + DROPOUT * drops)
    return _dense(net, units, None, "logits")


def _train(loss: Any, optimizer: Any, clip: float | None, scope: str) -> Any:
    variables = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope=scope)
    gradients = optimizer.compute_gradients(loss, var_list=variables)
    if clip:
        gradients = tf.contrib.training.clip_gradient_norms(gradients, clip)
    return optimizer.apply_gradients(gradients)


def _optimizer(given: Any, default: Any) -> Any:
    if given is None:
        return default()
    if isinstance(given, str):
        return tf.contrib.layers.OPTIMIZER_CLS_NAMES[given](learning_rate=0.05)
    return given() if callable(given) else given


def _metric_names(found: dict[str, Any]) -> dict[str, Any]:
    """The metrics under the names that contrib.learn gives them."""
    names = {
        "accuracy": "accuracy",
        "auc": "auc",
        "auc_precision_recall": "auc_precision_recall",
        "prediction/mean": "labels/prediction_mean",
        "label/mean": "labels/actual_label_mean",
        "precision": "precision/positive_threshold_0.500000_mean",
        "recall": "recall/positive_threshold_0.500000_mean",
    }
    kept = {names[key]: value for key, value in found.items() if key in names}
    if "auc" in kept:
        kept["accuracy/baseline_label_mean"] = kept["labels/actual_label_mean"]
        kept["accuracy/threshold_0.500000_mean"] = kept["accuracy"]
    return kept


class _Canned(LearnEstimator):
    """A head over models in variable scopes, each with an optimizer of its own."""

    _head: Head

    def _start(
        self,
        head: Head,
        parts: Any,
        model_dir: Any,
        config: Any,
        feature_engineering_fn: Any,
        clip: float | None,
        enable_centered_bias: bool,
    ) -> None:
        if enable_centered_bias:
            raise NotImplementedError("enable_centered_bias=True is not supported by anode")
        self._head = head
        classifies = not isinstance(head, RegressionHead)

        def model_fn(features: Any, labels: Any, mode: str) -> ModelFnOps:
            features = _named(features)
            found = []
            for scope, make, default, given in parts:
                with tf.variable_scope(scope, partitioner=whole()):
                    found.append(
                        (make(features, mode, head.logits_dimension), scope, default, given)
                    )
            logits = sum((f[0] for f in found[1:]), found[0][0])
            predictions = _predictions(head, logits)
            if mode == ModeKeys.INFER:
                return ModelFnOps(mode, predictions)
            loss = head.create_loss(features, mode, logits, labels)
            if mode == ModeKeys.EVAL:
                metrics = head.metrics(loss, head.predictions(logits)) if classifies else {}
                return ModelFnOps(
                    mode, predictions, loss.total, eval_metric_ops=_metric_names(metrics)
                )
            ops = [
                _train(loss.total, _optimizer(given, default), clip, scope)
                for _, scope, default, given in found
            ]
            with tf.control_dependencies([tf.group(*ops)]):
                train_op = tf.assign_add(tf.train.get_global_step(), 1).op
            return ModelFnOps(mode, predictions, loss.total, train_op)

        super().__init__(model_fn, model_dir, config, None, feature_engineering_fn)


def _predictions(head: Head, logits: Any) -> dict[str, Any]:
    found = head.predictions(logits)
    if isinstance(head, RegressionHead):
        value = found["predictions"]
        return {"scores": tf.squeeze(value, [1]) if head.logits_dimension == 1 else value}
    kept = {key: found[key] for key in ("logits", "probabilities")}
    kept["classes"] = tf.squeeze(found["class_ids"], [-1])
    if "logistic" in found:
        kept["logistic"] = found["logistic"]
    return kept


class _Classifier(_Canned):
    def predict(  # type: ignore[override]
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        outputs: Any = None,
        as_iterable: bool = True,
    ) -> Any:
        """The class of each example; dictionaries if `outputs` are named."""
        if outputs:
            return LearnEstimator.predict(self, x, input_fn, batch_size, outputs, as_iterable)
        return self.predict_classes(x, input_fn, batch_size, as_iterable)

    def _output(self, key: str, x: Any, input_fn: Any, size: Any, as_iterable: bool) -> Any:
        found = LearnEstimator.predict(self, x, input_fn, size, [key], as_iterable)
        return (item[key] for item in found) if as_iterable else found[key]

    def predict_classes(
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        as_iterable: bool = True,
    ) -> Any:
        return self._output("classes", x, input_fn, batch_size, as_iterable)

    def predict_proba(
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        as_iterable: bool = True,
    ) -> Any:
        """The probabilities of all classes, for each example."""
        return self._output("probabilities", x, input_fn, batch_size, as_iterable)


class _Regressor(_Canned):
    def predict(  # type: ignore[override]
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        outputs: Any = None,
        as_iterable: bool = True,
    ) -> Any:
        """The number of each example; dictionaries if `outputs` are named."""
        if outputs:
            return LearnEstimator.predict(self, x, input_fn, batch_size, outputs, as_iterable)
        return self.predict_scores(x, input_fn, batch_size, as_iterable)

    def predict_scores(
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        as_iterable: bool = True,
    ) -> Any:
        found = LearnEstimator.predict(self, x, input_fn, batch_size, ["scores"], as_iterable)
        return (item["scores"] for item in found) if as_iterable else found["scores"]


def _dnn_part(hidden: Any, columns: Any, activation: Any, dropout: Any, optimizer: Any) -> Any:
    def make(features: Any, mode: str, units: int) -> Any:
        return _dnn(features, mode, units, hidden, columns, activation, dropout)

    return "dnn", make, lambda: tf.train.AdagradOptimizer(0.05), optimizer


def _linear_part(columns: Any, optimizer: Any) -> Any:
    columns = list(columns)

    def make(features: Any, mode: str, units: int) -> Any:
        scope = tf.get_variable_scope()
        logits, _, _ = tf.contrib.layers.weighted_sum_from_feature_columns(
            features, columns, units, scope=scope
        )
        return logits

    rate = min(0.2, 1.0 / math.sqrt(len(columns))) if columns else 0.2
    return "linear", make, lambda: tf.train.FtrlOptimizer(learning_rate=rate), optimizer


def _refuse(**given: Any) -> None:
    for name, value in given.items():
        if value:
            raise NotImplementedError(f"{name} is not supported by anode")


def _class_head(n_classes: int, weights: Any, label_keys: Any) -> Head:
    if np.ndim(n_classes) or n_classes < 2:
        raise ValueError(f"n_classes should be greater than 1. Given: {n_classes}")
    return classifier_head(n_classes, weights, label_keys, MEAN)


@export("contrib.learn.DNNClassifier", PATH + "dnn.DNNClassifier")
class DNNClassifier(_Classifier):
    """Classes from dense layers."""

    def __init__(
        self,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column_name: Any = None,
        optimizer: Any = None,
        activation_fn: Any = relu,
        dropout: float | None = None,
        gradient_clip_norm: float | None = None,
        enable_centered_bias: bool = False,
        config: Any = None,
        feature_engineering_fn: Any = None,
        embedding_lr_multipliers: Any = None,
        input_layer_min_slice_size: Any = None,
        label_keys: Any = None,
    ) -> None:
        _refuse(embedding_lr_multipliers=embedding_lr_multipliers)
        head = _class_head(n_classes, weight_column_name, label_keys)
        part = _dnn_part(hidden_units, feature_columns, activation_fn, dropout, optimizer)
        self._start(
            head,
            [part],
            model_dir,
            config,
            feature_engineering_fn,
            gradient_clip_norm,
            enable_centered_bias,
        )


@export("contrib.learn.DNNRegressor", PATH + "dnn.DNNRegressor")
class DNNRegressor(_Regressor):
    """Numbers from dense layers."""

    def __init__(
        self,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any = None,
        weight_column_name: Any = None,
        optimizer: Any = None,
        activation_fn: Any = relu,
        dropout: float | None = None,
        gradient_clip_norm: float | None = None,
        enable_centered_bias: bool = False,
        config: Any = None,
        feature_engineering_fn: Any = None,
        label_dimension: int = 1,
        embedding_lr_multipliers: Any = None,
        input_layer_min_slice_size: Any = None,
    ) -> None:
        _refuse(embedding_lr_multipliers=embedding_lr_multipliers)
        head = RegressionHead(weight_column_name, label_dimension, MEAN)
        part = _dnn_part(hidden_units, feature_columns, activation_fn, dropout, optimizer)
        self._start(
            head,
            [part],
            model_dir,
            config,
            feature_engineering_fn,
            gradient_clip_norm,
            enable_centered_bias,
        )


@export("contrib.learn.LinearClassifier", PATH + "linear.LinearClassifier")
class LinearClassifier(_Classifier):
    """Classes from weighted sums."""

    def __init__(
        self,
        feature_columns: Any,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column_name: Any = None,
        optimizer: Any = None,
        gradient_clip_norm: float | None = None,
        enable_centered_bias: bool = False,
        _joint_weight: bool = False,
        config: Any = None,
        feature_engineering_fn: Any = None,
        label_keys: Any = None,
    ) -> None:
        _refuse(_joint_weight=_joint_weight)
        self._start(
            _class_head(n_classes, weight_column_name, label_keys),
            [_linear_part(feature_columns, optimizer)],
            model_dir,
            config,
            feature_engineering_fn,
            gradient_clip_norm,
            enable_centered_bias,
        )


@export("contrib.learn.LinearRegressor", PATH + "linear.LinearRegressor")
class LinearRegressor(_Regressor):
    """Numbers from weighted sums."""

    def __init__(
        self,
        feature_columns: Any,
        model_dir: Any = None,
        weight_column_name: Any = None,
        optimizer: Any = None,
        gradient_clip_norm: float | None = None,
        enable_centered_bias: bool = False,
        label_dimension: int = 1,
        _joint_weights: bool = False,
        config: Any = None,
        feature_engineering_fn: Any = None,
    ) -> None:
        _refuse(_joint_weights=_joint_weights)
        self._start(
            RegressionHead(weight_column_name, label_dimension, MEAN),
            [_linear_part(feature_columns, optimizer)],
            model_dir,
            config,
            feature_engineering_fn,
            gradient_clip_norm,
            enable_centered_bias,
        )


@export("contrib.learn.DNNLinearCombinedClassifier")
class DNNLinearCombinedClassifier(_Classifier):
    """Classes from weighted sums plus dense layers."""

    def __init__(
        self,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column_name: Any = None,
        linear_feature_columns: Any = None,
        linear_optimizer: Any = None,
        _joint_linear_weights: bool = False,
        dnn_feature_columns: Any = None,
        dnn_optimizer: Any = None,
        dnn_hidden_units: Any = None,
        dnn_activation_fn: Any = relu,
        dnn_dropout: float | None = None,
        gradient_clip_norm: float | None = None,
        enable_centered_bias: bool = False,
        config: Any = None,
        feature_engineering_fn: Any = None,
        embedding_lr_multipliers: Any = None,
        input_layer_min_slice_size: Any = None,
        label_keys: Any = None,
        fix_global_step_increment_bug: bool = False,
    ) -> None:
        _refuse(
            embedding_lr_multipliers=embedding_lr_multipliers,
            _joint_linear_weights=_joint_linear_weights,
        )
        if not linear_feature_columns and not dnn_feature_columns:
            raise ValueError(
                "Either linear_feature_columns or dnn_feature_columns must be defined."
            )
        if not fix_global_step_increment_bug and linear_feature_columns and dnn_feature_columns:
            raise NotImplementedError(
                "DNNLinearCombinedClassifier(fix_global_step_increment_bug=False) counts each step "
                "twice in TensorFlow; pass fix_global_step_increment_bug=True"
            )
        parts = []
        if dnn_feature_columns:
            parts.append(
                _dnn_part(
                    dnn_hidden_units,
                    dnn_feature_columns,
                    dnn_activation_fn,
                    dnn_dropout,
                    dnn_optimizer,
                )
            )
        if linear_feature_columns:
            parts.append(_linear_part(linear_feature_columns, linear_optimizer))
        self._start(
            _class_head(n_classes, weight_column_name, label_keys),
            parts,
            model_dir,
            config,
            feature_engineering_fn,
            gradient_clip_norm,
            enable_centered_bias,
        )
