"""tf.contrib.layers and slim: fully connected layers, convolutions, pooling and shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import layers, nn
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import add_arg_scope
from anode.frontends.tensorflow.api.contrib_framework import model_variable
from anode.frontends.tensorflow.api.contrib_scope import (
    collect_variable,
    finished,
    get_variable_collections,
    layer_export,
    layer_format,
    layer_getter,
    scoped,
    two_element_tuple,
)
from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.layers_pool import spread
from anode.frontends.tensorflow.graph import apply, convert_to_tensor

WEIGHTS = {"bias": "biases", "kernel": "weights"}
_SEPARABLE = {
    "bias": "biases",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
}


def _xavier() -> Any:
    from anode.frontends.tensorflow.api.contrib_initializers import xavier_initializer

    return xavier_initializer()


class _Xavier:
    """The default of weights: a fresh `xavier_initializer()` for each layer."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _xavier()(*args, **kwargs)


XAVIER, ZEROS = _Xavier(), Zeros()


@layer_export("fully_connected")
@add_arg_scope
def fully_connected(
    inputs: Any,
    num_outputs: int,
    activation_fn: Any = nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """activation_fn(normalizer_fn(inputs @ weights + biases)); a normaliser replaces the biases."""
    if not isinstance(num_outputs, int) and not hasattr(num_outputs, "__index__"):
        raise ValueError(f"num_outputs type should be one of {(int,)}, got {num_outputs}.")
    getter = layer_getter(WEIGHTS)
    with vs.variable_scope(
        scope, "fully_connected", [inputs], reuse=reuse, custom_getter=getter
    ) as sc:
        inputs = convert_to_tensor(inputs)
        layer = layers.Dense(
            int(num_outputs),
            use_bias=not normalizer_fn and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            bias_initializer=biases_initializer,
            kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name=sc.name,
            dtype=inputs.dtype.base_dtype,
            _scope=sc,
            _reuse=reuse,
        )
        outputs = layer(inputs)
        collect_variable(layer.kernel, variables_collections, "weights")
        collect_variable(layer.bias, variables_collections, "biases")
        return finished(
            outputs, sc.name, outputs_collections, activation_fn, normalizer_fn, normalizer_params
        )


def _rank_of(inputs: Any, conv_dims: int | None) -> int:
    rank = inputs.shape.rank
    if rank is None:
        raise ValueError("Convolution: the rank of the inputs must be known")
    if conv_dims is not None and conv_dims + 2 != rank:
        raise ValueError(f"Convolution expects input with rank {conv_dims + 2}, got {rank}")
    if rank not in (3, 4, 5):
        raise ValueError("Convolution not supported for input with rank", rank)
    return int(rank) - 2


def _convolution(conv_dims: int | None, name: str) -> Callable[..., Any]:
    """The convolution over `conv_dims` axes, over as many as the inputs have if None."""

    def convolution(
        inputs: Any,
        num_outputs: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: str = "SAME",
        data_format: str | None = None,
        rate: Any = 1,
        activation_fn: Any = nn.relu,
        normalizer_fn: Any = None,
        normalizer_params: Any = None,
        weights_initializer: Any = XAVIER,
        weights_regularizer: Any = None,
        biases_initializer: Any = ZEROS,
        biases_regularizer: Any = None,
        reuse: Any = None,
        variables_collections: Any = None,
        outputs_collections: Any = None,
        trainable: bool = True,
        scope: Any = None,
    ) -> Any:
        """activation_fn(normalizer_fn(convolution + biases)); a normaliser replaces the biases."""
        getter = layer_getter(WEIGHTS)
        with vs.variable_scope(scope, "Conv", [inputs], reuse=reuse, custom_getter=getter) as sc:
            inputs = convert_to_tensor(inputs)
            rank = _rank_of(inputs, conv_dims)
            make = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[rank]
            layer = make(
                num_outputs,
                kernel_size,
                strides=stride,
                padding=padding,
                data_format=layer_format(data_format),
                dilation_rate=rate,
                use_bias=not normalizer_fn and biases_initializer is not None,
                kernel_initializer=weights_initializer,
                bias_initializer=biases_initializer,
                kernel_regularizer=weights_regularizer,
                bias_regularizer=biases_regularizer,
                trainable=trainable,
                name=sc.name,
                dtype=inputs.dtype.base_dtype,
                _scope=sc,
                _reuse=reuse,
            )
            outputs = layer(inputs)
            collect_variable(layer.kernel, variables_collections, "weights")
            collect_variable(layer.bias, variables_collections, "biases")
            params = normalizer_params
            return finished(
                outputs, sc.name, outputs_collections, activation_fn, normalizer_fn, params
            )

    convolution.__name__ = convolution.__qualname__ = name
    return add_arg_scope(convolution)


convolution = _convolution(None, "convolution")
convolution1d = _convolution(1, "convolution1d")
convolution2d = _convolution(2, "convolution2d")
convolution3d = _convolution(3, "convolution3d")
for _rank, _conv in ((1, convolution1d), (2, convolution2d), (3, convolution3d)):
    layer_export(f"conv{_rank}d", f"convolution{_rank}d")(_conv)
layer_export("convolution")(convolution)
conv2d = convolution2d


@layer_export("conv2d_transpose", "convolution2d_transpose")
@add_arg_scope
def convolution2d_transpose(
    inputs: Any,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    activation_fn: Any = nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """The transpose of a convolution, which enlarges by `stride`."""
    getter = layer_getter(WEIGHTS)
    with vs.variable_scope(
        scope, "Conv2d_transpose", [inputs], reuse=reuse, custom_getter=getter
    ) as sc:
        inputs = convert_to_tensor(inputs)
        layer = layers.Conv2DTranspose(
            num_outputs,
            kernel_size,
            strides=stride,
            padding=padding,
            data_format=layer_format(data_format),
            use_bias=not normalizer_fn and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            bias_initializer=biases_initializer,
            kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name=sc.name,
            dtype=inputs.dtype.base_dtype,
            _scope=sc,
            _reuse=reuse,
        )
        outputs = layer(inputs)
        collect_variable(layer.kernel, variables_collections, "weights")
        collect_variable(layer.bias, variables_collections, "biases")
        return finished(
            outputs, sc.name, outputs_collections, activation_fn, normalizer_fn, normalizer_params
        )


@layer_export("separable_conv2d", "separable_convolution2d")
@add_arg_scope
def separable_convolution2d(
    inputs: Any,
    num_outputs: int | None,
    kernel_size: Any,
    depth_multiplier: int = 1,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    rate: Any = 1,
    activation_fn: Any = nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    pointwise_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """A convolution of each channel, then one that mixes them; only the first for None outputs."""
    with vs.variable_scope(
        scope, "SeparableConv2d", [inputs], reuse=reuse, custom_getter=layer_getter(_SEPARABLE)
    ) as sc:
        inputs = convert_to_tensor(inputs)
        use_bias = not normalizer_fn and biases_initializer is not None
        if num_outputs is None:
            outputs = _depthwise(
                inputs,
                (kernel_size, depth_multiplier, stride, padding, data_format, rate),
                (weights_initializer, weights_regularizer, trainable, variables_collections),
                (biases_initializer, biases_regularizer) if use_bias else None,
            )
        else:
            layer = layers.SeparableConv2D(
                num_outputs,
                kernel_size,
                strides=stride,
                padding=padding,
                data_format=layer_format(data_format),
                dilation_rate=two_element_tuple(rate),
                depth_multiplier=depth_multiplier,
                use_bias=use_bias,
                depthwise_initializer=weights_initializer,
                pointwise_initializer=pointwise_initializer or weights_initializer,
                bias_initializer=biases_initializer,
                depthwise_regularizer=weights_regularizer,
                pointwise_regularizer=weights_regularizer,
                bias_regularizer=biases_regularizer,
                dtype=inputs.dtype.base_dtype,
                **scoped(sc, reuse, trainable),
            )
            outputs = layer(inputs)
            _collect_separable(layer, variables_collections)
        return finished(
            outputs, sc.name, outputs_collections, activation_fn, normalizer_fn, normalizer_params
        )


def _collect_separable(layer: Any, collections: Any) -> None:
    for weights in (layer.depthwise_kernel, layer.pointwise_kernel):
        collect_variable(weights, collections, "weights")
    collect_variable(layer.bias, collections, "biases")


def _depthwise(
    inputs: Any, how: Sequence[Any], weights: Sequence[Any], biases: tuple[Any, Any] | None
) -> Any:
    """A convolution of each channel by itself, and its biases where they are wanted."""
    kernel_size, multiplier, stride, padding, data_format, rate = how
    initializer, regularizer, trainable, collections = weights
    last = inputs.shape.as_list()[1 if data_format.startswith("NC") else 3]
    kernel = model_variable(
        "depthwise_weights",
        shape=[*two_element_tuple(kernel_size), last, multiplier],
        dtype=inputs.dtype.base_dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=get_variable_collections(collections, "weights"),
    )
    order = layer_format(data_format)
    outputs = apply(
        "DepthwiseConv2dNative",
        inputs,
        kernel,
        strides=spread(two_element_tuple(stride), order),
        padding=padding,
        data_format=data_format,
        dilations=spread(two_element_tuple(rate), order),
        name="depthwise",
    )
    if biases is None:
        return outputs
    return _with_biases(outputs, *biases, trainable, collections)


def _with_biases(
    outputs: Any, initializer: Any, regularizer: Any, trainable: bool, collections: Any
) -> Any:
    biases = model_variable(
        "biases",
        shape=[outputs.shape.as_list()[-1]],
        dtype=outputs.dtype.base_dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=get_variable_collections(collections, "biases"),
    )
    return apply("BiasAdd", outputs, biases)


@layer_export("conv2d_in_plane", "convolution2d_in_plane")
@add_arg_scope
def convolution2d_in_plane(
    inputs: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    activation_fn: Any = nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """The same convolution of every channel alone."""
    with vs.variable_scope(scope, "ConvInPlane", [inputs], reuse=reuse) as sc:
        inputs = convert_to_tensor(inputs)
        channels = inputs.shape.as_list()[3]
        weights = model_variable(
            "weights",
            shape=[*two_element_tuple(kernel_size), 1, 1],
            dtype=inputs.dtype.base_dtype,
            initializer=weights_initializer,
            regularizer=weights_regularizer,
            trainable=trainable,
            collections=get_variable_collections(variables_collections, "weights"),
        )
        outputs = apply(
            "DepthwiseConv2dNative",
            inputs,
            apply("Tile", weights, [1, 1, channels, 1]),
            strides=[1, *two_element_tuple(stride), 1],
            padding=padding,
        )
        if normalizer_fn is None and biases_initializer is not None:
            outputs = _with_biases(
                outputs, biases_initializer, biases_regularizer, trainable, variables_collections
            )
        return finished(
            outputs, sc.name, outputs_collections, activation_fn, normalizer_fn, normalizer_params
        )
