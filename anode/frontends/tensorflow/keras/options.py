"""Activations, regularizers, constraints and initialisers: by name, by object, as configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api import initializers as tables
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    serialize_keras_object,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import EXPORTS, export

# activations


@export("keras.activations.linear")
def linear(x: Any) -> Any:
    return x


@export("keras.activations.softmax")
def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) along an axis, divided by its sum; the rank must be 2 or more."""
    rank = x.shape.rank
    if rank == 2:
        return tf.nn.softmax(x)
    if rank is not None and rank > 2:
        powers = apply("Exp", x - tf.reduce_max(x, axis=axis, keepdims=True))
        return powers / tf.reduce_sum(powers, axis=axis, keepdims=True)
    raise ValueError("Cannot apply softmax to a tensor that is 1D")


@export("keras.activations.elu")
def elu(x: Any, alpha: float = 1.0) -> Any:
    found = tf.nn.elu(x)
    return found if alpha == 1 else tf.where(x > 0, found, alpha * found)


@export("keras.activations.selu")
def selu(x: Any) -> Any:
    return tf.nn.selu(x)


@export("keras.activations.softplus")
def softplus(x: Any) -> Any:
    return tf.nn.softplus(x)


@export("keras.activations.softsign")
def softsign(x: Any) -> Any:
    return tf.nn.softsign(x)


@export("keras.activations.relu", "keras.backend.relu")
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0) -> Any:
    """max(x, 0), or with a slope below the threshold and an upper bound."""
    plain = threshold == 0
    negative = None
    if not _is_zero(alpha):
        if max_value is None and plain:
            return tf.nn.leaky_relu(x, alpha=alpha)
        negative = tf.nn.relu(-x if plain else threshold - x)
    if not plain:
        x = x * tf.cast(tf.greater(x, threshold), x.dtype.base_dtype)
    elif max_value == 6:
        x, max_value = tf.nn.relu6(x), None
    else:
        x = tf.nn.relu(x)
    if max_value is not None:
        x = tf.clip_by_value(x, 0.0, float(max_value))
    return x if negative is None else x - alpha * negative


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0


@export("keras.activations.tanh")
def tanh(x: Any) -> Any:
    return tf.nn.tanh(x)


@export("keras.activations.sigmoid")
def sigmoid(x: Any) -> Any:
    return tf.nn.sigmoid(x)


@export("keras.activations.exponential")
def exponential(x: Any) -> Any:
    return tf.exp(x)


@export("keras.activations.hard_sigmoid", "keras.backend.hard_sigmoid")
def hard_sigmoid(x: Any) -> Any:
    """0.2 x + 0.5, held between 0 and 1."""
    x = convert_to_tensor(x)
    return tf.clip_by_value(x * 0.2 + 0.5, 0.0, 1.0)


_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (linear, softmax, elu, selu, softplus, softsign, relu, tanh, sigmoid, exponential)
} | {"hard_sigmoid": hard_sigmoid}


def _activation(name: str) -> Any:
    return _ACTIVATIONS.get(name)


@export("keras.activations.get")
def activation(identifier: Any) -> Callable[..., Any]:
    """A function from itself, its name or None (which is `linear`)."""
    if identifier is None:
        return linear
    if isinstance(identifier, (str, dict)):
        found: Callable[..., Any] = deserialize_activation(identifier)
        return found
    if callable(identifier):
        return identifier
    raise TypeError(f"Could not interpret activation function identifier: {identifier!r}")


@export("keras.activations.deserialize")
def deserialize_activation(name: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(name, _activation, custom_objects, "activation function")


@export("keras.activations.serialize")
def serialize_activation(activation: Any) -> Any:
    """The name of an activation; tf.nn's functions have the names of Keras's."""
    if getattr(activation, "__name__", "") in ("softmax_v2", "softmax"):
        return "softmax"
    return serialize_keras_object(activation)


# regularizers


@export("keras.regularizers.Regularizer")
class Regularizer:
    """The base of functions of a weight that are added to the loss."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


@export("keras.regularizers.L1L2")
class L1L2(Regularizer):
    """l1 * sum |x| + l2 * sum x^2."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1), float(l2)

    def __call__(self, x: Any) -> Any:
        if not self.l1 and not self.l2:
            return convert_to_tensor(0.0)
        loss: Any = 0.0
        if self.l1:
            loss = loss + tf.reduce_sum(self.l1 * tf.abs(x))
        if self.l2:
            loss = loss + tf.reduce_sum(self.l2 * tf.square(x))
        return loss

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@export("keras.regularizers.l1")
def l1(l: float = 0.01) -> L1L2:  # noqa: E741
    return L1L2(l1=l)


@export("keras.regularizers.l2")
def l2(l: float = 0.01) -> L1L2:  # noqa: E741
    return L1L2(l2=l)


@export("keras.regularizers.l1_l2")
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    return L1L2(l1=l1, l2=l2)


_REGULARIZERS = {"L1L2": L1L2, "l1": l1, "l2": l2, "l1_l2": l1_l2}


@export("keras.regularizers.deserialize")
def deserialize_regularizer(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, _REGULARIZERS, custom_objects, "regularizer")


@export("keras.regularizers.get")
def regularizer(identifier: Any) -> Any:
    """A regularizer from itself, its name, its configuration or None."""
    if isinstance(identifier, str):
        found = deserialize_regularizer(identifier)
        return found() if found in (l1, l2, l1_l2) else found
    if isinstance(identifier, dict):
        return deserialize_regularizer(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")


# constraints


def _norm(w: Any, axis: Any) -> Any:
    return tf.sqrt(tf.reduce_sum(tf.square(w), axis=axis, keepdims=True))


@export("keras.constraints.Constraint")
class Constraint:
    """The base of functions that an updated weight goes through."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


@export("keras.constraints.MaxNorm", "keras.constraints.max_norm")
class MaxNorm(Constraint):
    """Vectors along `axis` shortened to a norm of at most `max_value`."""

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        desired = tf.clip_by_value(norms, 0.0, float(self.max_value))
        return w * (desired / (state.epsilon() + norms))


@export("keras.constraints.NonNeg", "keras.constraints.non_neg")
class NonNeg(Constraint):
    """What is negative becomes 0."""

    def __call__(self, w: Any) -> Any:
        return w * tf.cast(tf.greater_equal(w, 0.0), state.floatx())


@export("keras.constraints.UnitNorm", "keras.constraints.unit_norm")
class UnitNorm(Constraint):
    """Vectors along `axis` of norm 1."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (state.epsilon() + _norm(w, self.axis))


@export("keras.constraints.MinMaxNorm", "keras.constraints.min_max_norm")
class MinMaxNorm(Constraint):
    """Norms moved into an interval by `rate`."""

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value, self.max_value = min_value, max_value
        self.rate, self.axis = rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        held = tf.clip_by_value(norms, float(self.min_value), float(self.max_value))
        desired = self.rate * held + (1 - self.rate) * norms
        return w * (desired / (state.epsilon() + norms))


_CONSTRAINTS = {
    "MaxNorm": MaxNorm,
    "max_norm": MaxNorm,
    "maxnorm": MaxNorm,
    "NonNeg": NonNeg,
    "non_neg": NonNeg,
    "nonneg": NonNeg,
    "UnitNorm": UnitNorm,
    "unit_norm": UnitNorm,
    "unitnorm": UnitNorm,
    "MinMaxNorm": MinMaxNorm,
    "min_max_norm": MinMaxNorm,
}


@export("keras.constraints.deserialize")
def deserialize_constraint(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, _CONSTRAINTS, custom_objects, "constraint")


@export("keras.constraints.get")
def constraint(identifier: Any) -> Any:
    """A constraint from itself, its name, its configuration or None."""
    if isinstance(identifier, (str, dict)):
        return deserialize_constraint(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret constraint identifier: {identifier}")


# initialisers

_ALIASES = {"uniform": "random_uniform", "normal": "random_normal"}


def _initializer(name: str) -> Any:
    path = EXPORTS.get(f"keras.initializers.{_ALIASES.get(name, name)}", "")
    module, _, attribute = path.partition(":")
    if module == tables.__name__:
        return getattr(tables, attribute)
    return getattr(tables, name, None) if isinstance(getattr(tables, name, None), type) else None


@export("keras.initializers.deserialize")
def deserialize_initializer(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, _initializer, custom_objects, "initializer")


@export("keras.initializers.get")
def initializer(identifier: Any) -> Any:
    """An initialiser from itself, its class, its name, its configuration or None."""
    if isinstance(identifier, (str, dict)):
        found = deserialize_initializer(identifier)
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


_KERAS_NAMES = {
    "KerasRandomNormal": "RandomNormal",
    "KerasRandomUniform": "RandomUniform",
    "KerasTruncatedNormal": "TruncatedNormal",
}


@export("keras.initializers.serialize")
def serialize_initializer(initializer: Any) -> Any:
    found = serialize_keras_object(initializer)
    if isinstance(found, dict):
        found["class_name"] = _KERAS_NAMES.get(found["class_name"], found["class_name"])
    return found


for _kind in ("regularizers", "constraints"):
    export(f"keras.{_kind}.serialize")(serialize_keras_object)
