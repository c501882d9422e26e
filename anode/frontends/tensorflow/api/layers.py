"""tf.layers: the layers as classes over variable scopes, and as functions."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.layers_conv import (
    ConvCore,
    ConvTransposeCore,
    SeparableConvCore,
)
from anode.frontends.tensorflow.api.layers_core import (
    DenseCore,
    DropoutCore,
    FlattenCore,
    smart_cond,
    static_bool,
)
from anode.frontends.tensorflow.api.layers_norm import BatchNormCore
from anode.frontends.tensorflow.api.layers_pool import PoolingCore
from anode.frontends.tensorflow.api.layers_scope import Layer, functional
from anode.frontends.tensorflow.opdef import export, export_values, renamed


@export("layers.Dense", "python.layers.core.Dense")
class Dense(DenseCore, Layer):
    """activation(inputs @ kernel + bias) over the last axis."""


@export("layers.Dropout", "python.layers.core.Dropout")
class Dropout(DropoutCore, Layer):
    """Zeros at random while training."""


@export("layers.Flatten", "python.layers.core.Flatten")
class Flatten(FlattenCore, Layer):
    """[batch, ...] as [batch, product of the rest]."""


@export("layers.BatchNormalization", "python.layers.normalization.BatchNormalization")
class BatchNormalization(BatchNormCore, Layer):
    """Normalisation by the moments of the batch."""


@export("layers.Conv1D", "python.layers.convolutional.Conv1D")
class Conv1D(ConvCore, Layer):
    """A convolution over one axis."""

    rank = 1


@export("layers.Conv2D", "python.layers.convolutional.Conv2D")
class Conv2D(ConvCore, Layer):
    """A convolution over two axes."""


@export("layers.Conv3D", "python.layers.convolutional.Conv3D")
class Conv3D(ConvCore, Layer):
    """A convolution over three axes."""

    rank = 3


@export("layers.SeparableConv1D", "python.layers.convolutional.SeparableConv1D")
class SeparableConv1D(SeparableConvCore, Layer):
    """A separable convolution over one axis."""

    rank = 1


@export("layers.SeparableConv2D", "python.layers.convolutional.SeparableConv2D")
class SeparableConv2D(SeparableConvCore, Layer):
    """A separable convolution over two axes."""


class _Transpose(ConvTransposeCore, Layer):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            trainable=trainable,
            name=name,
            **kwargs,
        )


@export("layers.Conv2DTranspose", "python.layers.convolutional.Conv2DTranspose")
class Conv2DTranspose(_Transpose):
    """The transpose of a convolution over two axes."""


@export("layers.Conv3DTranspose", "python.layers.convolutional.Conv3DTranspose")
class Conv3DTranspose(_Transpose):
    """The transpose of a convolution over three axes."""

    rank = 3


class _Pooling(PoolingCore, Layer):
    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: str = "valid",
        data_format: str = "channels_last",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if strides is None:
            raise ValueError("The `strides` argument of a pooling layer must not be None")
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


@export("layers.MaxPooling1D", "python.layers.pooling.MaxPooling1D")
class MaxPooling1D(_Pooling):
    """The maximum of windows over one axis."""

    rank = 1


@export("layers.MaxPooling2D", "python.layers.pooling.MaxPooling2D")
class MaxPooling2D(_Pooling):
    """The maximum of windows over two axes."""


@export("layers.MaxPooling3D", "python.layers.pooling.MaxPooling3D")
class MaxPooling3D(_Pooling):
    """The maximum of windows over three axes."""

    rank = 3


@export("layers.AveragePooling1D", "python.layers.pooling.AveragePooling1D")
class AveragePooling1D(_Pooling):
    """The mean of windows over one axis."""

    rank, kind = 1, "AvgPool"


@export("layers.AveragePooling2D", "python.layers.pooling.AveragePooling2D")
class AveragePooling2D(_Pooling):
    """The mean of windows over two axes."""

    kind = "AvgPool"


@export("layers.AveragePooling3D", "python.layers.pooling.AveragePooling3D")
class AveragePooling3D(_Pooling):
    """The mean of windows over three axes."""

    rank, kind = 3, "AvgPool"


dense = functional(Dense)
conv1d = functional(Conv1D)
conv2d = functional(Conv2D)
conv3d = functional(Conv3D)
separable_conv1d = functional(SeparableConv1D)
separable_conv2d = functional(SeparableConv2D)
conv2d_transpose = functional(Conv2DTranspose)
conv3d_transpose = functional(Conv3DTranspose)
max_pooling1d = functional(MaxPooling1D, reuse=False)
max_pooling2d = functional(MaxPooling2D, reuse=False)
max_pooling3d = functional(MaxPooling3D, reuse=False)
average_pooling1d = functional(AveragePooling1D, reuse=False)
average_pooling2d = functional(AveragePooling2D, reuse=False)
average_pooling3d = functional(AveragePooling3D, reuse=False)
convolution1d, convolution2d, convolution3d = conv1d, conv2d, conv3d
deconvolution2d, deconv2d = conv2d_transpose, conv2d_transpose
separable_convolution2d = separable_conv2d
max_pool2d, average_pool2d = max_pooling2d, average_pooling2d

_FUNCTIONS = {
    "core": ("dense", "flatten"),
    "convolutional": (
        "conv1d",
        "conv2d",
        "conv3d",
        "separable_conv1d",
        "separable_conv2d",
        "conv2d_transpose",
        "conv3d_transpose",
    ),
    "pooling": tuple(f"{kind}_pooling{rank}d" for kind in ("max", "average") for rank in (1, 2, 3)),
}
for _module, _names in _FUNCTIONS.items():
    export_values(__name__, {f"layers.{name}": name for name in _names})
    export_values(__name__, {f"python.layers.{_module}.{name}": name for name in _names})


@export("layers.dropout", "python.layers.core.dropout")
def dropout(
    inputs: Any,
    rate: Any = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: Any = False,
    name: str | None = None,
) -> Any:
    """Zeros at random with probability `rate` while training, the rest scaled up."""
    return Dropout(rate, noise_shape=noise_shape, seed=seed, name=name)(inputs, training=training)


@export("layers.batch_normalization", "python.layers.normalization.batch_normalization")
def batch_normalization(
    inputs: Any,
    axis: Any = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones",
    moving_mean_initializer: Any = "zeros",
    moving_variance_initializer: Any = "ones",
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
    training: Any = False,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_momentum: float = 0.99,
    fused: bool | None = None,
    virtual_batch_size: int | None = None,
    adjustment: Any = None,
) -> Any:
    """Batch normalisation; the updates of the moving averages go to UPDATE_OPS."""
    options = {k: v for k, v in locals().items() if k not in ("inputs", "training", "reuse")}
    layer = BatchNormalization(**options, _reuse=reuse, _scope=name)
    return layer(inputs, training=training)


batch_norm = batch_normalization


@export("python.layers.utils.smart_cond", "contrib.layers.utils.smart_cond")
@renamed(fn1="true_fn", fn2="false_fn")
def layers_smart_cond(
    pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None
) -> Any:
    """One of two functions' results: chosen now where `pred` is known now, by a cond otherwise."""
    return smart_cond(pred, true_fn, false_fn)


def flatten(inputs: Any, name: str | None = None, data_format: str = "channels_last") -> Any:
    """[batch, ...] as [batch, product of the rest]."""
    return Flatten(data_format=data_format, name=name)(inputs)


@export("python.layers.utils.constant_value", "contrib.layers.utils.constant_value")
def constant_value(pred: Any) -> bool | None:
    """The Python bool that a predicate is known to be, or None."""
    return static_bool(pred)
