"""Metrics: functions of targets and predictions, and objects that keep sums over batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.layers_base import to_snake_case, unique_layer_name
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import convert_to_tensor, get_default_graph, name_scope
from anode.frontends.tensorflow.keras import losses, options, state
from anode.frontends.tensorflow.keras.layer import load
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    serialize_keras_object,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


def _metric(*names: str) -> Any:
    def note(function: Any) -> Any:
        return export(*(f"keras.metrics.{name}" for name in (function.__name__, *names)))(function)

    return note


def accuracy(y_true: Any, y_pred: Any) -> Any:
    return tf.cast(tf.equal(tf.cast(y_true, y_pred.dtype.base_dtype), y_pred), float32)


@_metric()
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Whether predictions lie on the side of the threshold that the targets say."""
    y_pred = convert_to_tensor(y_pred)
    side = tf.cast(y_pred > threshold, y_pred.dtype.base_dtype)
    same = tf.equal(tf.cast(y_true, side.dtype), side)
    return tf.reduce_mean(tf.cast(same, float32), axis=-1)


@_metric()
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is that of the class of the target."""
    same = tf.equal(tf.argmax(y_true, axis=-1), tf.argmax(y_pred, axis=-1))
    return tf.cast(same, state.floatx())


def _labels(y_true: Any, y_pred: Any) -> Any:
    """Class numbers without a last axis of size 1 that predictions do not ask for."""
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    ranks = y_true.shape.rank, y_pred.shape.rank
    if None not in ranks and ranks[0] == ranks[1]:
        return tf.squeeze(y_true, [-1])
    return y_true


@_metric()
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is that of the class with the target's number."""
    y_pred = convert_to_tensor(y_pred)
    y_true = _labels(y_true, y_pred)
    best = tf.cast(tf.argmax(y_pred, axis=-1), y_true.dtype.base_dtype)
    return tf.cast(tf.equal(y_true, best), state.floatx())


@_metric()
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the class of the target is among the k largest predictions."""
    return tf.cast(tf.nn.in_top_k(y_pred, tf.argmax(y_true, axis=-1), k), state.floatx())


@_metric()
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the class with the target's number is among the k largest predictions."""
    labels = tf.cast(_labels(y_true, y_pred), "int32")
    return tf.cast(tf.nn.in_top_k(y_pred, labels, k), state.floatx())


# objects


@export("keras.metrics.Metric")
class Metric:
    """The base of metrics: `update_state` adds to variables, `result` is computed of them.

    A call does both, and gives the result after the update.
    """

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        self._name = name or unique_layer_name(to_snake_case(type(self).__name__), zero_based=True)
        self._dtype = tf.as_dtype(dtype or state.floatx())
        self._weights: list[Any] = []
        self.stateful, self.built = True, True

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def weights(self) -> list[Any]:
        return self._weights

    variables = weights

    @property
    def updates(self) -> list[Any]:
        return list(self.__dict__.get("_updates", ()))

    def add_weight(
        self,
        name: str,
        shape: Any = (),
        aggregation: Any = None,
        initializer: Any = None,
        dtype: Any = None,
    ) -> Any:
        """A sum that the metric keeps."""
        make = options.initializer(initializer or "zeros")
        dtype = dtype or self._dtype
        made = Variable(
            lambda: make(tuple(shape), dtype=dtype),
            name=name,
            trainable=False,
            dtype=dtype,
            collections=[],
            use_resource=True,
        )
        state.track_variable(made)
        self._weights.append(made)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with name_scope(self._name):
            done = self.update_state(*args, **kwargs)
            done = [done] if done is not None else [v.op for v in self.__dict__.get("_pending", ())]
            with get_default_graph().control_dependencies(done):
                return tf.identity(self.result())

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("Must be implemented in subclasses.")

    def result(self) -> Any:
        raise NotImplementedError("Must be implemented in subclasses.")

    def reset_states(self) -> None:
        """Set what is kept to zero."""
        load([(v, np.zeros(v.shape.as_list())) for v in self._weights])

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _add(variable: Any, value: Any) -> Any:
    return variable.assign_add(tf.cast(value, variable.dtype.base_dtype)).op


class Reduce(Metric):
    """A sum of values, and a count where the result is a mean."""

    mean = True

    def __init__(self, name: str, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")
        if self.mean:
            self.count = self.add_weight("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        values = tf.cast(values, self._dtype)
        count: Any = None
        if sample_weight is not None:
            weights = tf.cast(sample_weight, self._dtype)
            values, weights = _paired(values, weights)
            count = tf.reduce_sum(weights + tf.zeros_like(values))
            values = values * weights
        elif self.mean:
            count = tf.cast(tf.size(values), self._dtype)
        done = [_add(self.total, tf.reduce_sum(values))]
        if self.mean:
            done.append(_add(self.count, count))
        return tf.group(*done)

    def result(self) -> Any:
        if self.mean:
            return tf.div_no_nan(self.total.value(), self.count.value())
        return tf.identity(self.total)


def _paired(values: Any, weights: Any) -> tuple[Any, Any]:
    """Values, and weights that they can be multiplied by."""
    more = (values.shape.rank or 0) - (weights.shape.rank or 0)
    if weights.shape.rank and more == 1:
        return tf.reduce_mean(values, axis=-1), weights
    if weights.shape.rank and more == -1:
        return values, tf.squeeze(weights, [-1])
    return values, weights


@export("keras.metrics.Mean", "python.keras.metrics.Mean")
class Mean(Reduce):
    """The mean of all values so far."""

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)


@export("keras.metrics.Sum", "python.keras.metrics.Sum")
class Sum(Reduce):
    """The sum of all values so far."""

    mean = False

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions."""

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or fn.__name__, dtype)
        self._fn, self._fn_kwargs = fn, kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_pred = convert_to_tensor(y_pred)
        y_true = convert_to_tensor(y_true)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        return super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}


def _wrapped(name: str, function: Any, default: str, **options: Any) -> Any:
    """A class of metrics over a function, with the function's options as arguments."""

    class Wrapped(MeanMetricWrapper):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            order = ["name", "dtype", *options] if name != "TopK" else [*options, "name", "dtype"]
            given = dict(zip(order, args, strict=False)) | kwargs
            unknown = set(given) - set(order)
            if unknown:
                raise TypeError(f"{name}: unexpected arguments {sorted(unknown)}")
            super().__init__(function, **{"name": default, **options, **given})

    Wrapped.__name__ = Wrapped.__qualname__ = name
    Wrapped.__doc__ = f"The mean of `{function.__name__}`."
    return export(f"keras.metrics.{name}")(Wrapped)


_CLASSES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "Accuracy": (accuracy, "accuracy", {}),
    "BinaryAccuracy": (binary_accuracy, "binary_accuracy", {"threshold": 0.5}),
    "CategoricalAccuracy": (categorical_accuracy, "categorical_accuracy", {}),
    "SparseCategoricalAccuracy": (
        sparse_categorical_accuracy,
        "sparse_categorical_accuracy",
        {},
    ),
    "MeanSquaredError": (losses.mean_squared_error, "mean_squared_error", {}),
    "MeanAbsoluteError": (losses.mean_absolute_error, "mean_absolute_error", {}),
    "MeanAbsolutePercentageError": (
        losses.mean_absolute_percentage_error,
        "mean_absolute_percentage_error",
        {},
    ),
    "MeanSquaredLogarithmicError": (
        losses.mean_squared_logarithmic_error,
        "mean_squared_logarithmic_error",
        {},
    ),
    "Hinge": (losses.hinge, "hinge", {}),
    "SquaredHinge": (losses.squared_hinge, "squared_hinge", {}),
    "CategoricalHinge": (losses.categorical_hinge, "categorical_hinge", {}),
    "LogCoshError": (losses.logcosh, "logcosh", {}),
    "Poisson": (losses.poisson, "poisson", {}),
    "KLDivergence": (losses.kullback_leibler_divergence, "kullback_leibler_divergence", {}),
    "BinaryCrossentropy": (
        losses.binary_crossentropy,
        "binary_crossentropy",
        {"from_logits": False, "label_smoothing": 0},
    ),
    "CategoricalCrossentropy": (
        losses.categorical_crossentropy,
        "categorical_crossentropy",
        {"from_logits": False, "label_smoothing": 0},
    ),
    "SparseCategoricalCrossentropy": (
        losses.sparse_categorical_crossentropy,
        "sparse_categorical_crossentropy",
        {"from_logits": False, "axis": -1},
    ),
}
for _name, (_function, _default, _options) in _CLASSES.items():
    globals()[_name] = _wrapped(_name, _function, _default, **_options)


@export("keras.metrics.TopKCategoricalAccuracy")
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class is among the k largest predictions."""

    def __init__(
        self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


@export("keras.metrics.SparseTopKCategoricalAccuracy")
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class with the target's number is among the k largest predictions."""

    def __init__(
        self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)


@export("keras.metrics.CosineSimilarity")
class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between targets and predictions."""

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return losses.cosine_proximity(y_true, y_pred, axis)


@export("keras.metrics.RootMeanSquaredError")
class RootMeanSquaredError(Mean):
    """The root of the mean squared error."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_pred = tf.cast(y_pred, self._dtype)
        squares = tf.squared_difference(y_pred, tf.cast(y_true, self._dtype))
        return super().update_state(squares, sample_weight)

    def result(self) -> Any:
        return tf.sqrt(super().result())


# what compile takes


def chosen(given: Any, tensor: Any, loss: Any) -> Any:
    """The function or Metric for an entry of `metrics`: "acc" depends on the output and loss."""
    if given in ("accuracy", "acc", "crossentropy", "ce"):
        kind = "accuracy" if given in ("accuracy", "acc") else "crossentropy"
        name = getattr(getattr(loss, "fn", None), "__name__", "")
        size = tensor.shape.as_list()[-1] if tensor.shape.rank else None
        if size == 1 or name == "binary_crossentropy":
            which = "binary"
        elif name == "sparse_categorical_crossentropy":
            which = "sparse_categorical"
        else:
            which = "categorical"
        return get(f"{which}_{kind}")
    found = get(given)
    return found() if isinstance(found, type) else found


def short_name(given: Any, weighted: bool) -> str:
    """What training calls an entry of `metrics`."""
    start = "weighted_" if weighted else ""
    if given in ("accuracy", "acc"):
        return start + "acc"
    if given in ("crossentropy", "ce"):
        return start + "ce"
    found = get(given)
    return start + str(getattr(found, "name", None) or getattr(found, "__name__", "metric"))


def _known(name: str) -> Any:
    from anode.frontends.tensorflow.keras import metrics_confusion

    found = globals().get(name) or getattr(losses, name, None)
    found = found or losses._FUNCTIONS.get(name) or getattr(metrics_confusion, name, None)
    return found if callable(found) else None


@export("keras.metrics.serialize")
def serialize(metric: Any) -> Any:
    return serialize_keras_object(metric)


@export("keras.metrics.deserialize")
def deserialize(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, _known, custom_objects, "metric function")


@export("keras.metrics.get")
def get(identifier: Any) -> Any:
    """A metric from itself, its name or its configuration."""
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret metric function identifier: {identifier}")
