"""Estimators with a model of their own: linear, dense layers, both, and constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anode.frontends.tensorflow.api.nn import relu
from anode.frontends.tensorflow.api.optimizer import Optimizer
from anode.frontends.tensorflow.estimator.estimator import Estimator
from anode.frontends.tensorflow.estimator.feature_column import (
    input_layer,
    linear_model,
    linear_rate,
)
from anode.frontends.tensorflow.estimator.head import (
    SUM,
    Head,
    RegressionHead,
    classifier_head,
)
from anode.frontends.tensorflow.estimator.spec import ModeKeys
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

# Operations of TensorFlow's dense layer with its summaries, of its dropout, and before that.
LAYER, DROPOUT, DROPOUT_AT = 53, 16, 23

_OPTIMIZERS = {
    "Adagrad": "AdagradOptimizer",
    "Adam": "AdamOptimizer",
    "Ftrl": "FtrlOptimizer",
    "RMSProp": "RMSPropOptimizer",
    "SGD": "GradientDescentOptimizer",
}


def optimizer_of(given: Any, rate: float) -> Any:
    """An optimizer from its name, a function that makes it, or itself."""
    if isinstance(given, str):
        if given not in _OPTIMIZERS:
            raise ValueError(
                f"Unsupported optimizer name: {given}. Supported names are: "
                f"{tuple(sorted(_OPTIMIZERS))}"
            )
        return getattr(tf.train, _OPTIMIZERS[given])(learning_rate=rate)
    made = given() if callable(given) else given
    if not isinstance(made, Optimizer):
        raise ValueError(f"The given object is not an Optimizer instance. Given: {made}")
    return made


def whole() -> Any:
    """The partitioner of one process: one part, which has the names of parts."""
    return tf.min_max_variable_partitioner(max_partitions=1, min_slice_size=64 << 20)


def _check_features(features: Any) -> None:
    if not isinstance(features, Mapping):
        raise ValueError(
            f"features should be a dictionary of `Tensor`s. Given type: {type(features)}"
        )


def _summary(value: Any, name: str) -> None:
    tf.summary.scalar(f"{name}/fraction_of_zero_values", tf.nn.zero_fraction(value))
    tf.summary.histogram(f"{name}/activation", value)


def dnn_logits(
    features: Any,
    mode: str,
    units: int,
    hidden_units: Any,
    feature_columns: Any,
    activation_fn: Any,
    dropout: float | None,
    batch_norm: bool,
) -> Any:
    """The logits of dense layers, in the variable scope that is open."""
    training = mode == ModeKeys.TRAIN
    scope = tf.get_variable_scope().name
    with tf.variable_scope("input_from_feature_columns"):
        net = input_layer(features, feature_columns)
    graph = tf.get_default_graph()
    for i, size in enumerate(hidden_units):
        first = graph._last_id
        with tf.variable_scope(f"hiddenlayer_{i}", values=(net,)) as layer:
            net = tf.layers.dense(
                net,
                units=size,
                activation=activation_fn,
                kernel_initializer=tf.glorot_uniform_initializer(),
                name=layer,
            )
        if dropout is not None and training:
            graph._number_from(first, DROPOUT_AT)
            net = tf.layers.dropout(net, rate=dropout, training=True)
        if batch_norm:
            net = tf.layers.batch_normalization(
                net, momentum=0.999, training=training, name=f"batchnorm_{i}"
            )
        _summary(net, f"{scope}/hiddenlayer_{i}")
        graph._number_from(first, LAYER + (DROPOUT if dropout is not None and training else 0))
    with tf.variable_scope("logits", values=(net,)) as layer:
        logits = tf.layers.dense(
            net,
            units=units,
            activation=None,
            kernel_initializer=tf.glorot_uniform_initializer(),
            name=layer,
        )
    _summary(logits, f"{scope}/logits")
    return logits


def _linear_logits(features: Any, columns: Any, units: int, combiner: str) -> Any:
    found: dict[Any, Any] = {}
    logits = linear_model(features, columns, units, combiner, cols_to_vars=found)
    bias = found.pop("bias")
    weights = [
        tf.reshape(tf.convert_to_tensor(v), [-1]) for several in found.values() for v in several
    ]
    bias = tf.reshape(tf.convert_to_tensor(bias[0]), [-1])
    if units == 1:
        tf.summary.scalar("bias", bias[0])
    else:
        tf.summary.histogram("bias", bias)
    zeros = tf.nn.zero_fraction(tf.concat(weights, axis=0))
    tf.summary.scalar("fraction_of_zero_weights", zeros)
    return logits


# --- dense layers --------------------------------------------------------------------------------


class _DNN(Estimator):
    def _start(
        self,
        head: Head,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any,
        optimizer: Any,
        activation_fn: Any,
        dropout: float | None,
        input_layer_partitioner: Any,
        config: Any,
        warm_start_from: Any,
        batch_norm: bool,
    ) -> None:
        if input_layer_partitioner is not None:
            raise NotImplementedError("input_layer_partitioner is not supported by anode")

        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            _check_features(features)
            made = optimizer_of(optimizer, 0.05)
            with tf.variable_scope("dnn", values=tuple(features.values()), partitioner=whole()):
                logits = dnn_logits(
                    features,
                    mode,
                    head.logits_dimension,
                    hidden_units,
                    tuple(feature_columns or []),
                    activation_fn,
                    dropout,
                    batch_norm,
                )
                return head.create_estimator_spec(features, mode, logits, labels, made)

        Estimator.__init__(self, model_fn, model_dir, config, warm_start_from=warm_start_from)


@export("estimator.DNNClassifier")
class DNNClassifier(_DNN):
    """Classes from dense layers."""

    def __init__(
        self,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column: Any = None,
        label_vocabulary: Any = None,
        optimizer: Any = "Adagrad",
        activation_fn: Callable[..., Any] = relu,
        dropout: float | None = None,
        input_layer_partitioner: Any = None,
        config: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
    ) -> None:
        head = classifier_head(n_classes, weight_column, label_vocabulary, loss_reduction)
        self._start(
            head,
            hidden_units,
            feature_columns,
            model_dir,
            optimizer,
            activation_fn,
            dropout,
            input_layer_partitioner,
            config,
            warm_start_from,
            batch_norm,
        )


@export("estimator.DNNRegressor")
class DNNRegressor(_DNN):
    """Numbers from dense layers."""

    def __init__(
        self,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any = None,
        label_dimension: int = 1,
        weight_column: Any = None,
        optimizer: Any = "Adagrad",
        activation_fn: Callable[..., Any] = relu,
        dropout: float | None = None,
        input_layer_partitioner: Any = None,
        config: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
    ) -> None:
        head = RegressionHead(weight_column, label_dimension, loss_reduction)
        self._start(
            head,
            hidden_units,
            feature_columns,
            model_dir,
            optimizer,
            activation_fn,
            dropout,
            input_layer_partitioner,
            config,
            warm_start_from,
            batch_norm,
        )


@export("estimator.DNNEstimator")
class DNNEstimator(_DNN):
    """Dense layers below any head."""

    def __init__(
        self,
        head: Any,
        hidden_units: Any,
        feature_columns: Any,
        model_dir: Any = None,
        optimizer: Any = "Adagrad",
        activation_fn: Callable[..., Any] = relu,
        dropout: float | None = None,
        input_layer_partitioner: Any = None,
        config: Any = None,
        warm_start_from: Any = None,
        batch_norm: bool = False,
    ) -> None:
        self._start(
            head,
            hidden_units,
            feature_columns,
            model_dir,
            optimizer,
            activation_fn,
            dropout,
            input_layer_partitioner,
            config,
            warm_start_from,
            batch_norm,
        )


# --- linear models -------------------------------------------------------------------------------


class _Linear(Estimator):
    def _start(
        self,
        head: Head,
        feature_columns: Any,
        model_dir: Any,
        optimizer: Any,
        config: Any,
        partitioner: Any,
        warm_start_from: Any,
        sparse_combiner: str,
    ) -> None:
        if partitioner is not None:
            raise NotImplementedError("partitioner is not supported by anode")
        if optimizer == "SDCA" or type(optimizer).__name__ == "LinearSDCA":
            raise NotImplementedError("LinearSDCA is not supported by anode")

        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            _check_features(features)
            made = optimizer_of(optimizer, linear_rate(feature_columns, 0.2))
            with tf.variable_scope("linear", values=tuple(features.values()), partitioner=whole()):
                logits = _linear_logits(
                    features, feature_columns, head.logits_dimension, sparse_combiner
                )
                return head.create_estimator_spec(features, mode, logits, labels, made)

        Estimator.__init__(self, model_fn, model_dir, config, warm_start_from=warm_start_from)


@export("estimator.LinearClassifier")
class LinearClassifier(_Linear):
    """Classes from weighted sums."""

    def __init__(
        self,
        feature_columns: Any,
        model_dir: Any = None,
        n_classes: int = 2,
        weight_column: Any = None,
        label_vocabulary: Any = None,
        optimizer: Any = "Ftrl",
        config: Any = None,
        partitioner: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        sparse_combiner: str = "sum",
    ) -> None:
        head = classifier_head(n_classes, weight_column, label_vocabulary, loss_reduction)
        self._start(
            head,
            feature_columns,
            model_dir,
            optimizer,
            config,
            partitioner,
            warm_start_from,
            sparse_combiner,
        )


@export("estimator.LinearRegressor")
class LinearRegressor(_Linear):
    """Numbers from weighted sums."""

    def __init__(
        self,
        feature_columns: Any,
        model_dir: Any = None,
        label_dimension: int = 1,
        weight_column: Any = None,
        optimizer: Any = "Ftrl",
        config: Any = None,
        partitioner: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        sparse_combiner: str = "sum",
    ) -> None:
        head = RegressionHead(weight_column, label_dimension, loss_reduction)
        self._start(
            head,
            feature_columns,
            model_dir,
            optimizer,
            config,
            partitioner,
            warm_start_from,
            sparse_combiner,
        )


@export("estimator.LinearEstimator")
class LinearEstimator(_Linear):
    """Weighted sums below any head."""

    def __init__(
        self,
        head: Any,
        feature_columns: Any,
        model_dir: Any = None,
        optimizer: Any = "Ftrl",
        config: Any = None,
        partitioner: Any = None,
        sparse_combiner: str = "sum",
    ) -> None:
        self._start(
            head, feature_columns, model_dir, optimizer, config, partitioner, None, sparse_combiner
        )
