"""Estimators of a linear model beside dense layers, and of constants only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api.nn import relu
from anode.frontends.tensorflow.estimator.canned import (
    _check_features,
    _linear_logits,
    _summary,
    dnn_logits,
    optimizer_of,
    whole,
)
from anode.frontends.tensorflow.estimator.estimator import Estimator
from anode.frontends.tensorflow.estimator.feature_column import linear_rate
from anode.frontends.tensorflow.estimator.head import (
    SUM,
    Head,
    RegressionHead,
    classifier_head,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


class _Combined(Estimator):
    _parts: dict[str, Any]

    def _start(
        self, head: Head, model_dir: Any, config: Any, warm_start_from: Any, **parts: Any
    ) -> None:
        if not parts["linear_feature_columns"] and not parts["dnn_feature_columns"]:
            raise ValueError(
                "Either linear_feature_columns or dnn_feature_columns must be defined."
            )
        if parts["input_layer_partitioner"] is not None:
            raise NotImplementedError("input_layer_partitioner is not supported by anode")
        if parts["dnn_feature_columns"] and not parts["dnn_hidden_units"]:
            raise ValueError("dnn_hidden_units must be defined when dnn_feature_columns is")

        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            _check_features(features)
            logits, train = _both(head, features, mode, parts)
            return head.create_estimator_spec(features, mode, logits, labels, train_op_fn=train)

        Estimator.__init__(self, model_fn, model_dir, config, warm_start_from=warm_start_from)


def _both(head: Head, features: Any, mode: str, parts: Any) -> tuple[Any, Callable[..., Any]]:
    """The sum of both models' logits, and the function that trains each with its optimizer."""
    found, trainers = [], []
    columns = parts["dnn_feature_columns"]
    if columns:
        made = optimizer_of(parts["dnn_optimizer"], 0.001)
        with tf.variable_scope("dnn", values=tuple(features.values()), partitioner=whole()):
            found.append(
                dnn_logits(
                    features,
                    mode,
                    head.logits_dimension,
                    parts["dnn_hidden_units"],
                    columns,
                    parts["dnn_activation_fn"],
                    parts["dnn_dropout"],
                    parts["batch_norm"],
                )
            )
        trainers.append(("dnn", made))
    columns = parts["linear_feature_columns"]
    if columns:
        made = optimizer_of(parts["linear_optimizer"], linear_rate(columns, 0.005))
        with tf.variable_scope(
            "linear", values=tuple(features.values()), partitioner=whole()
        ) as scope:
            combiner = parts["linear_sparse_combiner"]
            found.append(_linear_logits(features, columns, head.logits_dimension, combiner))
            _summary(found[-1], scope.name)
        trainers.append(("linear", made))
    logits = found[0] if len(found) == 1 else found[0] + found[1]

    def train(loss: Any) -> Any:
        ops = [
            optimizer.minimize(
                loss, var_list=tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope=name)
            )
            for name, optimizer in trainers
        ]
        step = tf.train.get_global_step()
        with tf.control_dependencies([tf.group(*ops)]):
            return tf.assign_add(step, 1).op

    return logits, train


@export("estimator.DNNLinearCombinedClassifier")
class DNNLinearCombinedClassifier(_Combined):
    """Classes from weighted sums plus dense layers."""

    def __init__(
        self,
        model_dir: Any = None,
        linear_feature_columns: Any = None,
        linear_optimizer: Any = "Ftrl",
        dnn_feature_columns: Any = None,
        dnn_optimizer: Any = "Adagrad",
        dnn_hidden_units: Any = None,
        dnn_activation_fn: Callable[..., Any] = relu,
        dnn_dropout: float | None = None,
        n_classes: int = 2,
        weight_column: Any = None,
        label_vocabulary: Any = None,
        input_layer_partitioner: Any = None,
        config: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:
        self._start(
            classifier_head(n_classes, weight_column, label_vocabulary, loss_reduction),
            model_dir,
            config,
            warm_start_from,
            linear_feature_columns=tuple(linear_feature_columns or []),
            linear_optimizer=linear_optimizer,
            dnn_feature_columns=tuple(dnn_feature_columns or []),
            dnn_optimizer=dnn_optimizer,
            dnn_hidden_units=dnn_hidden_units,
            dnn_activation_fn=dnn_activation_fn,
            dnn_dropout=dnn_dropout,
            input_layer_partitioner=input_layer_partitioner,
            batch_norm=batch_norm,
            linear_sparse_combiner=linear_sparse_combiner,
        )


@export("estimator.DNNLinearCombinedRegressor")
class DNNLinearCombinedRegressor(_Combined):
    """Numbers from weighted sums plus dense layers."""

    def __init__(
        self,
        model_dir: Any = None,
        linear_feature_columns: Any = None,
        linear_optimizer: Any = "Ftrl",
        dnn_feature_columns: Any = None,
        dnn_optimizer: Any = "Adagrad",
        dnn_hidden_units: Any = None,
        dnn_activation_fn: Callable[..., Any] = relu,
        dnn_dropout: float | None = None,
        label_dimension: int = 1,
        weight_column: Any = None,
        input_layer_partitioner: Any = None,
        config: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:
        self._start(
            RegressionHead(weight_column, label_dimension, loss_reduction),
            model_dir,
            config,
            warm_start_from,
            linear_feature_columns=tuple(linear_feature_columns or []),
            linear_optimizer=linear_optimizer,
            dnn_feature_columns=tuple(dnn_feature_columns or []),
            dnn_optimizer=dnn_optimizer,
            dnn_hidden_units=dnn_hidden_units,
            dnn_activation_fn=dnn_activation_fn,
            dnn_dropout=dnn_dropout,
            input_layer_partitioner=input_layer_partitioner,
            batch_norm=batch_norm,
            linear_sparse_combiner=linear_sparse_combiner,
        )


# --- constants -----------------------------------------------------------------------------------


class _Baseline(Estimator):
    def _start(self, head: Head, model_dir: Any, optimizer: Any, config: Any) -> None:
        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            _check_features(features)
            made = optimizer_of(optimizer, 0.3)
            with tf.variable_scope("baseline", values=tuple(features.values())):
                size = tf.shape(next(iter(features.values())))[0]
                bias = tf.get_variable(
                    "bias", [head.logits_dimension], initializer=tf.zeros_initializer()
                )
                logits = tf.tile(tf.expand_dims(bias, 0), [size, 1])
            return head.create_estimator_spec(features, mode, logits, labels, made)

        Estimator.__init__(self, model_fn, model_dir, config)


@export("estimator.BaselineClassifier")
class BaselineClassifier(_Baseline):
    """The shares of the classes, whatever the features are."""

    def __init__(
        self,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column: Any = None,
        label_vocabulary: Any = None,
        optimizer: Any = "Ftrl",
        config: Any = None,
        loss_reduction: str = SUM,
    ) -> None:
        head = classifier_head(n_classes, weight_column, label_vocabulary, loss_reduction)
        self._start(head, model_dir, optimizer, config)


@export("estimator.BaselineRegressor")
class BaselineRegressor(_Baseline):
    """The mean of the labels, whatever the features are."""

    def __init__(
        self,
        model_dir: Any = None,
        label_dimension: int = 1,
        weight_column: Any = None,
        optimizer: Any = "Ftrl",
        config: Any = None,
        loss_reduction: str = SUM,
    ) -> None:
        head = RegressionHead(weight_column, label_dimension, loss_reduction)
        self._start(head, model_dir, optimizer, config)
