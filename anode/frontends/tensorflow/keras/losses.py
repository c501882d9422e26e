"""Losses: functions of targets and predictions, and objects that reduce them over a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.graph import convert_to_tensor, name_scope
from anode.frontends.tensorflow.keras import backend as K
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    serialize_keras_object,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def _loss(*names: str) -> Callable[[Any], Any]:
    """Serve a function among losses and metrics under these names besides its own."""

    def note(function: Any) -> Any:
        for name in (function.__name__, *names):
            _FUNCTIONS[name] = function
            export(f"keras.losses.{name}", f"keras.metrics.{name}")(function)
        return function

    return note


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = convert_to_tensor(y_pred)
    return tf.cast(y_true, y_pred.dtype.base_dtype), y_pred


def _mean(x: Any) -> Any:
    return tf.reduce_mean(x, axis=-1)


@_loss("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(tf.squared_difference(y_pred, y_true))


@_loss("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(tf.abs(y_pred - y_true))


@_loss("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    scale = K.clip(tf.abs(y_true), state.epsilon(), None)
    return 100.0 * _mean(tf.abs((y_true - y_pred) / scale))


@_loss("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    first = tf.log(K.clip(y_pred, state.epsilon(), None) + 1.0)
    second = tf.log(K.clip(y_true, state.epsilon(), None) + 1.0)
    return _mean(tf.squared_difference(first, second))


def _signs(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    zero = tf.equal(y_true, 0.0)
    binary = tf.reduce_all(tf.logical_or(zero, tf.equal(y_true, 1.0)))
    return tf.where(tf.broadcast_to(binary, tf.shape(y_true)), 2.0 * y_true - 1.0, y_true)


@_loss()
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(tf.square(tf.maximum(1.0 - _signs(y_true) * y_pred, 0.0)))


@_loss()
def hinge(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(tf.maximum(1.0 - _signs(y_true) * y_pred, 0.0))


@_loss()
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    right = tf.reduce_sum(y_true * y_pred, axis=-1)
    wrong = tf.reduce_max((1.0 - y_true) * y_pred, axis=-1)
    return tf.maximum(0.0, wrong - right + 1.0)


def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared near zero, linear beyond `delta`."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = tf.abs(y_pred - y_true)
    quadratic = tf.minimum(error, delta)
    return 0.5 * quadratic * quadratic + delta * (error - quadratic)


@_loss()
def logcosh(y_true: Any, y_pred: Any) -> Any:
    """log(cosh(error)), written so that it does not overflow."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return _mean(error + tf.nn.softplus(-2.0 * error) - 0.6931471805599453)


def _smoothed(y_true: Any, smoothing: float, classes: Any) -> Any:
    return y_true * (1.0 - smoothing) + smoothing / classes


@_loss()
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0
) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = _smoothed(y_true, label_smoothing, tf.cast(tf.shape(y_true)[1], y_pred.dtype))
    return K.categorical_crossentropy(y_true, y_pred, from_logits=from_logits)


@_loss()
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    return K.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@_loss()
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0
) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = _smoothed(y_true, label_smoothing, 2.0)
    return _mean(K.binary_crossentropy(y_true, y_pred, from_logits=from_logits))


@_loss("kld", "KLD")
def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = K.clip(y_true, state.epsilon(), 1)
    y_pred = K.clip(y_pred, state.epsilon(), 1)
    return tf.reduce_sum(y_true * tf.log(y_true / y_pred), axis=-1)


@_loss()
def poisson(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(y_pred - y_true * tf.log(y_pred + state.epsilon()))


@_loss("cosine", "cosine_similarity")
def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between targets and predictions; 1.15 has it without a minus."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true, y_pred = tf.nn.l2_normalize(y_true, axis), tf.nn.l2_normalize(y_pred, axis)
    return tf.reduce_sum(y_true * y_pred, axis=axis)


# objects


@export("keras.losses.Reduction", "python.keras.utils.losses_utils.ReductionV2")
class Reduction:
    """How losses of samples become one number."""

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE


def weighted(losses: Any, weights: Any) -> Any:
    """Losses times weights of the same rank, or of one axis more or less."""
    if weights is None:
        return losses
    weights = tf.cast(weights, losses.dtype.base_dtype)
    more = (weights.shape.rank or 0) - (losses.shape.rank or 0)
    if weights.shape.rank and more == 1:
        weights = tf.squeeze(weights, [-1])
    elif weights.shape.rank and more == -1:
        weights = tf.expand_dims(weights, -1)
    return losses * weights


def reduced(losses: Any, reduction: str) -> Any:
    """The sum of losses, or that divided by how many there are."""
    if reduction == Reduction.NONE:
        return losses
    total = tf.reduce_sum(losses)
    if reduction == Reduction.SUM:
        return total
    return tf.div_no_nan(total, tf.cast(tf.size(losses, name="num_elements"), losses.dtype))


@export("keras.losses.Loss")
class Loss:
    """The base of losses: `call` gives one number for each sample, a call reduces them."""

    def __init__(self, reduction: str = Reduction.AUTO, name: str | None = None) -> None:
        if reduction not in Reduction.all():
            raise ValueError(f"Invalid Reduction Key {reduction}.")
        self.reduction, self.name = reduction, name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with name_scope(self.name or type(self).__name__):
            losses = weighted(self.call(y_true, y_pred), sample_weight)
            return reduced(losses, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError("Must be implemented in subclasses.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        return {"reduction": self.reduction, "name": self.name}


@export("python.keras.losses.LossFunctionWrapper")
class LossFunctionWrapper(Loss):
    """A function as a loss; further keywords are passed to it."""

    def __init__(
        self, fn: Any, reduction: str = Reduction.AUTO, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(reduction, name)
        self.fn, self._fn_kwargs = fn, kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = convert_to_tensor(y_pred)
        y_true = convert_to_tensor(y_true, preferred_dtype=y_pred.dtype.base_dtype)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}


def _class(name: str, function: Any, default_name: str, **options: Any) -> Any:
    """A class of losses over a function, with the function's options as arguments."""

    class Wrapped(LossFunctionWrapper):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            given = dict(zip([*options, "reduction", "name"], args, strict=False)) | kwargs
            unknown = set(given) - {*options, "reduction", "name"}
            if unknown:
                raise TypeError(f"{name}: unexpected arguments {sorted(unknown)}")
            merged = {"reduction": Reduction.AUTO, "name": default_name, **options, **given}
            super().__init__(function, **merged)

    Wrapped.__name__ = Wrapped.__qualname__ = name
    Wrapped.__doc__ = f"The loss `{function.__name__}` as an object."
    return export(f"keras.losses.{name}")(Wrapped)


_SIMPLE = {
    "MeanSquaredError": mean_squared_error,
    "MeanAbsoluteError": mean_absolute_error,
    "MeanAbsolutePercentageError": mean_absolute_percentage_error,
    "MeanSquaredLogarithmicError": mean_squared_logarithmic_error,
    "SquaredHinge": squared_hinge,
    "Hinge": hinge,
    "CategoricalHinge": categorical_hinge,
    "Poisson": poisson,
    "LogCosh": logcosh,
    "KLDivergence": kullback_leibler_divergence,
}
for _name, _function in _SIMPLE.items():
    globals()[_name] = _class(_name, _function, _function.__name__)
BinaryCrossentropy = _class(
    "BinaryCrossentropy",
    binary_crossentropy,
    "binary_crossentropy",
    from_logits=False,
    label_smoothing=0,
)
CategoricalCrossentropy = _class(
    "CategoricalCrossentropy",
    categorical_crossentropy,
    "categorical_crossentropy",
    from_logits=False,
    label_smoothing=0,
)


@export("keras.losses.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross entropy of class numbers with probabilities or logits."""

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str = Reduction.AUTO,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, from_logits=from_logits)


@export("keras.losses.Huber")
class Huber(LossFunctionWrapper):
    """Squared near zero, linear beyond `delta`."""

    def __init__(
        self, delta: float = 1.0, reduction: str = Reduction.AUTO, name: str = "huber_loss"
    ) -> None:
        super().__init__(huber_loss, reduction, name, delta=delta)


@export("keras.losses.CosineSimilarity")
class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between targets and predictions."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str = Reduction.AUTO,
        name: str = "cosine_similarity",
    ) -> None:
        super().__init__(cosine_proximity, reduction, name, axis=axis)


@export("keras.losses.serialize")
def serialize(loss: Any) -> Any:
    return serialize_keras_object(loss)


def _known(name: str) -> Any:
    found = _FUNCTIONS.get(name) or globals().get(name)
    return found if callable(found) else None


@export("keras.losses.deserialize")
def deserialize(name: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(name, _known, custom_objects, "loss function")


@export("keras.losses.get")
def get(identifier: Any) -> Any:
    """A loss from itself, its name, its configuration or None."""
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError("Could not interpret loss function identifier:", identifier)


def as_object(loss: Any) -> Any:
    """What `compile` takes as a loss, as a Loss; None stays None."""
    found = get(loss)
    if found is None or isinstance(found, Loss):
        return found
    if isinstance(found, type) and issubclass(found, Loss):
        return found()
    name = getattr(found, "__name__", "loss")
    return LossFunctionWrapper(found, Reduction.SUM_OVER_BATCH_SIZE, name)
