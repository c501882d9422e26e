"""Activations with parameters, and noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.keras import backend as K
from anode.frontends.tensorflow.keras import options
from anode.frontends.tensorflow.keras.core_layers import Configured, layer_export, phase_cond
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape


class _Elementwise(Configured):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@layer_export("LeakyReLU")
class LeakyReLU(_Elementwise):
    """x, with the slope `alpha` below zero."""

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = np.asarray(alpha, "float32")

    def call(self, inputs: Any) -> Any:
        return tf.nn.leaky_relu(inputs, alpha=float(self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": float(self.alpha)}


@layer_export("PReLU")
class PReLU(_Elementwise):
    """x, with slopes below zero that are trained."""

    config = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = options.initializer(alpha_initializer)
        self.alpha_regularizer = options.regularizer(alpha_regularizer)
        self.alpha_constraint = options.constraint(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes

    def build(self, input_shape: Any) -> None:
        sizes = TensorShape(input_shape).as_list()[1:]
        for axis in self.shared_axes or ():
            sizes[axis - 1] = 1
        self.alpha = self.add_weight(
            shape=sizes,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return tf.nn.relu(inputs) + -self.alpha * tf.nn.relu(-inputs)


@layer_export("ELU")
class ELU(_Elementwise):
    """x, below zero alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = np.asarray(alpha, "float32")

    def call(self, inputs: Any) -> Any:
        return options.elu(inputs, float(self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": float(self.alpha)}


@layer_export("ThresholdedReLU")
class ThresholdedReLU(_Elementwise):
    """x where it is larger than theta, else 0."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = np.asarray(theta, "float32")

    def call(self, inputs: Any) -> Any:
        return inputs * tf.cast(inputs > float(self.theta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": float(self.theta)}


@layer_export("Softmax")
class Softmax(_Elementwise):
    """exp(x) divided by its sum along an axis."""

    config = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return options.softmax(inputs, axis=self.axis)


@layer_export("ReLU")
class ReLU(_Elementwise):
    """max(x, 0), with an upper bound, a slope and a threshold."""

    def __init__(
        self,
        max_value: Any = None,
        negative_slope: float = 0,
        threshold: float = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise ValueError("max_value of Relu layer cannot be negative value: " + str(max_value))
        if negative_slope < 0:
            raise ValueError(
                "negative_slope of Relu layer cannot be negative value: " + str(negative_slope)
            )
        self.max_value = max_value
        self.negative_slope, self.threshold = negative_slope, threshold

    config = ("max_value", "negative_slope", "threshold")

    def call(self, inputs: Any) -> Any:
        return options.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@layer_export("GaussianNoise")
class GaussianNoise(_Elementwise):
    """Normal noise added while training."""

    config = ("stddev",)

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev

    def call(self, inputs: Any, training: Any = None) -> Any:
        def noised() -> Any:
            return inputs + K.random_normal(tf.shape(inputs), 0.0, self.stddev)

        return phase_cond(training, noised, lambda: tf.identity(inputs))


@layer_export("GaussianDropout")
class GaussianDropout(_Elementwise):
    """Normal factors of mean 1 while training."""

    config = ("rate",)

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not 0 < self.rate < 1:
            return inputs
        stddev = float(np.sqrt(self.rate / (1.0 - self.rate)))

        def noised() -> Any:
            return inputs * K.random_normal(tf.shape(inputs), 1.0, stddev)

        return phase_cond(training, noised, lambda: tf.identity(inputs))


@layer_export("AlphaDropout")
class AlphaDropout(_Elementwise):
    """Dropout that keeps mean and variance of selu's outputs. Source: Klambauer et al. 2017."""

    config = ("rate",)

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not 0.0 < self.rate < 1.0:
            return inputs
        low = -1.7580993408473766
        scale = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5

        def dropped() -> Any:
            shape = tf.shape(inputs) if self.noise_shape is None else self.noise_shape
            kept = K.random_uniform(shape, seed=self.seed) >= self.rate
            kept = tf.cast(kept, inputs.dtype)
            return scale * (inputs * kept + low * (1 - kept)) - scale * low * self.rate

        return phase_cond(training, dropped, lambda: tf.identity(inputs))
