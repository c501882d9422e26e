"""`tf.nn`: convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import array_ops
from anode.frontends.tensorflow.api.nn import either
from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def sequence(value: Any, n: int, data_format: str, name: str) -> list[int]:
    """One entry for each dim of images, from one number, `n` of the spatial dims, or all."""
    values = [1] if value is None else list(np.atleast_1d(np.asarray(value, object)))
    values = [int(v) for v in values]
    if len(values) == n + 2:
        return values
    if len(values) not in (1, n):
        raise ValueError(f"{name} should be of length 1, {n} or {n + 2} but was {len(values)}")
    values = values * n if len(values) == 1 else values
    return [1, 1, *values] if data_format.startswith("NC") else [1, *values, 1]


def pad_attrs(padding: Any) -> dict[str, Any]:
    """The attributes of "SAME", "VALID" or a list of (before, after) for each dim."""
    if isinstance(padding, str):
        return {"padding": same_or_valid(padding)}
    if padding is None:
        raise ValueError("padding must be 'SAME', 'VALID' or a list of paddings, not None")
    pairs = [[int(n) for n in pair] for pair in padding]
    if len(pairs) != 4 or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"explicit padding is a list of four pairs, not {padding}")
    return {"padding": "EXPLICIT", "explicit_paddings": [n for pair in pairs for n in pair]}


def same_or_valid(padding: Any) -> str:
    if padding not in ("SAME", "VALID"):
        raise ValueError(
            f"Value for attr 'padding' of \"{padding}\" is not in the list of allowed values: "
            '"SAME", "VALID"'
        )
    return str(padding)


def checked_format(data_format: str | None, n: int) -> str:
    """A data format of `n` spatial dims; None is channels last."""
    if data_format is None:
        return _FORMATS[n][0]
    if data_format not in _FORMATS[n]:
        raise ValueError(f"data_format {data_format!r} is none of {', '.join(_FORMATS[n])}")
    return data_format


# convolution


@export("nn.conv2d")
def conv2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str | None = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The correlation of images with filters (height, width, channels, results)."""
    data_format = checked_format(data_format, 2)
    return apply(
        "Conv2D",
        input,
        either("filters", filters, "filter", filter),
        strides=sequence(strides, 2, data_format, "strides"),
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=sequence(dilations, 2, data_format, "dilations"),
        name=name,
        **pad_attrs(padding),
    )


@export("nn.conv2d_backprop_input")
def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any = None,
    out_backprop: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str | None = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The gradient of `conv2d` by images of shape `input_sizes`."""
    data_format = checked_format(data_format, 2)
    return apply(
        "Conv2DBackpropInput",
        input_sizes,
        either("filters", filters, "filter", filter),
        out_backprop,
        strides=sequence(strides, 2, data_format, "strides"),
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=sequence(dilations, 2, data_format, "dilations"),
        name=name,
        **pad_attrs(padding),
    )


@export("nn.conv2d_backprop_filter")
def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    use_cudnn_on_gpu: bool = True,
    data_format: str | None = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `conv2d` by filters of shape `filter_sizes`."""
    data_format = checked_format(data_format, 2)
    return apply(
        "Conv2DBackpropFilter",
        input,
        filter_sizes,
        out_backprop,
        strides=sequence(strides, 2, data_format, "strides"),
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=sequence(dilations, 2, data_format, "dilations"),
        name=name,
        **pad_attrs(padding),
    )


@export("nn.conv2d_transpose", "nn.deconv2d")
def conv2d_transpose(
    value: Any = None,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The gradient of `conv2d` by its images, as a layer; filters are (h, w, results, channels)."""
    value = either("input", input, "value", value)
    filter = either("filters", filters, "filter", filter)
    with name_scope(name, "conv2d_transpose", [value, filter, output_shape]) as scope:
        return conv2d_backprop_input(
            output_shape,
            filter,
            value,
            strides,
            padding,
            data_format=data_format,
            dilations=dilations,
            name=scope,
        )


@export("nn.conv1d")
def conv1d(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool | None = None,
    data_format: str | None = None,
    name: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Tensor:
    """`conv2d` of sequences: filters are (width, channels, results)."""
    value = either("input", input, "value", value)
    with name_scope(name, "conv1d", [value, filters]) as scope:
        data_format = "NWC" if data_format in (None, "NHWC") else data_format
        data_format = checked_format("NCW" if data_format == "NCHW" else data_format, 1)
        flat, axis = flat_format(data_format)
        result = conv2d(
            array_ops.expand_dims(value, axis),
            array_ops.expand_dims(filters, 0),
            upright(sequence(stride, 1, data_format, "stride"), axis),
            padding,
            True if use_cudnn_on_gpu is None else use_cudnn_on_gpu,
            flat,
            upright(sequence(dilations, 1, data_format, "dilations"), axis),
            name=scope,
        )
        return array_ops.squeeze(result, [axis])


@export("nn.conv1d_transpose")
def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv2d_transpose` of sequences: filters are (width, results, channels)."""
    with name_scope(name, "conv1d_transpose", [input, filters, output_shape]) as scope:
        data_format = checked_format(data_format, 1)
        flat, axis = flat_format(data_format)
        shape = convert_to_tensor(output_shape)
        result = conv2d_backprop_input(
            array_ops.concat([shape[:axis], [1], shape[axis:]], 0),
            array_ops.expand_dims(filters, 0),
            array_ops.expand_dims(input, axis),
            upright(sequence(strides, 1, data_format, "strides"), axis),
            padding,
            data_format=flat,
            dilations=upright(sequence(dilations, 1, data_format, "dilations"), axis),
            name=scope,
        )
        return array_ops.squeeze(result, [axis])


def flat_format(data_format: str) -> tuple[str, int]:
    """The format of images of height 1, and where their height is."""
    return ("NCHW", 2) if data_format == "NCW" else ("NHWC", 1)


def upright(values: list[int], axis: int) -> list[int]:
    return [*values[:axis], 1, *values[axis:]]


@export("nn.conv3d")
def conv3d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: str | None = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The correlation of volumes with filters (depth, height, width, channels, results)."""
    data_format = checked_format(data_format, 3)
    return apply(
        "Conv3D",
        input,
        either("filters", filters, "filter", filter),
        strides=sequence(strides, 3, data_format, "strides"),
        padding=same_or_valid(padding),
        data_format=data_format,
        dilations=sequence(dilations, 3, data_format, "dilations"),
        name=name,
    )


@export("nn.conv3d_transpose")
def conv3d_transpose(
    value: Any,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: str | None = "NDHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The gradient of `conv3d` by its volumes, as a layer."""
    value = either("input", input, "value", value)
    filter = either("filters", filters, "filter", filter)
    data_format = checked_format(data_format, 3)
    with name_scope(name, "conv3d_transpose", [value, filter, output_shape]) as scope:
        return apply(
            "Conv3DBackpropInputV2",
            output_shape,
            filter,
            value,
            strides=sequence(strides, 3, data_format, "strides"),
            padding=same_or_valid(padding),
            data_format=data_format,
            dilations=sequence(dilations, 3, data_format, "dilations"),
            name=scope,
        )


@export("nn.conv3d_backprop_filter", "nn.conv3d_backprop_filter_v2")
def conv3d_backprop_filter_v2(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `conv3d` by filters of shape `filter_sizes`."""
    attrs = {"strides": list(strides), "padding": same_or_valid(padding)}
    attrs |= {"data_format": checked_format(data_format, 3), "dilations": list(dilations)}
    return apply("Conv3DBackpropFilterV2", input, filter_sizes, out_backprop, name=name, **attrs)


@export("nn.convolution")
def convolution(
    input: Any,
    filter: Any,
    padding: Any,
    strides: Any = None,
    dilation_rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The correlation of sequences, images or volumes, by the rank of `filter`."""
    filter = convert_to_tensor(either("filters", filters, "filter", filter), name="filter")
    rates = either("dilations", dilations, "dilation_rate", dilation_rate)
    n = spatial_rank(filter, "filter")
    with name_scope(name, "convolution", [input, filter]) as scope:
        data_format = checked_format(data_format, n)
        steps = sequence(strides, n, data_format, "strides")
        apart = sequence(rates, n, data_format, "dilation_rate")
        if max(steps) > 1 and max(apart) > 1:
            raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
        call = {1: conv1d, 2: conv2d, 3: conv3d}[n]
        how = {"padding": padding, "data_format": data_format, "dilations": apart, "name": scope}
        how["stride" if n == 1 else "strides"] = steps
        return call(input, filters=filter, **how)  # type: ignore[operator]


def spatial_rank(x: Tensor, what: str) -> int:
    rank = x.shape.ndims
    if rank is None or not 3 <= rank <= 5:
        raise ValueError(f"{what} must have 3, 4 or 5 dims, not {x.shape}")
    return int(rank) - 2


@export("nn.conv_transpose")
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The gradient of `convolution` by its input, as a layer, by the rank of `filters`."""
    filters = convert_to_tensor(filters, name="filters")
    n = spatial_rank(filters, "filters")
    with name_scope(name, "conv_transpose", [input, filters, output_shape]) as scope:
        call: Any = (conv1d_transpose, conv2d_transpose, conv3d_transpose)[n - 1]
        how = {"data_format": checked_format(data_format, n), "dilations": dilations}
        return call(input, filters, output_shape, strides, padding, name=scope, **how)


@export("nn.atrous_conv2d")
def atrous_conv2d(
    value: Any, filters: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """`conv2d` with filters whose elements are `rate` apart."""
    return convolution(value, filters, padding, dilation_rate=[rate, rate], name=name)


@export("nn.atrous_conv2d_transpose")
def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """The gradient of `atrous_conv2d` by its images, as a layer."""
    with name_scope(name, "atrous_conv2d_transpose", [value, filters, output_shape]) as scope:
        return conv2d_backprop_input(
            output_shape, filters, value, 1, padding, dilations=rate, name=scope
        )


# depthwise convolution


@export("nn.depthwise_conv2d")
def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """Each channel with its own filters (height, width, channels, results of each)."""
    rate = either("dilations", dilations, "rate", rate)
    with name_scope(name, "depthwise", [input, filter]) as scope:
        data_format = checked_format(data_format, 2)
        return depthwise_conv2d_native(
            input,
            filter,
            sequence(strides, 2, data_format, "strides"),
            padding,
            data_format,
            sequence(rate, 2, data_format, "rate"),
            name=scope,
        )


@export("nn.depthwise_conv2d_native")
def depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """`depthwise_conv2d` as one op."""
    attrs = {"strides": list(strides), "data_format": data_format, "dilations": list(dilations)}
    return apply("DepthwiseConv2dNative", input, filter, name=name, **attrs, **pad_attrs(padding))


@export("nn.depthwise_conv2d_backprop_input", "nn.depthwise_conv2d_native_backprop_input")
def depthwise_conv2d_native_backprop_input(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `depthwise_conv2d` by images of shape `input_sizes`."""
    attrs = {"strides": list(strides), "data_format": data_format, "dilations": list(dilations)}
    attrs |= pad_attrs(padding)
    op = "DepthwiseConv2dNativeBackpropInput"
    return apply(op, input_sizes, filter, out_backprop, name=name, **attrs)


@export("nn.depthwise_conv2d_backprop_filter", "nn.depthwise_conv2d_native_backprop_filter")
def depthwise_conv2d_native_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `depthwise_conv2d` by filters of shape `filter_sizes`."""
    attrs = {"strides": list(strides), "data_format": data_format, "dilations": list(dilations)}
    attrs |= pad_attrs(padding)
    op = "DepthwiseConv2dNativeBackpropFilter"
    return apply(op, input, filter_sizes, out_backprop, name=name, **attrs)


@export("nn.separable_conv2d")
def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """`depthwise_conv2d`, then a `conv2d` of 1 by 1."""
    rate = either("dilations", dilations, "rate", rate)
    values = [input, depthwise_filter, pointwise_filter]
    with name_scope(name, "separable_conv2d", values) as scope:
        data_format = checked_format(data_format, 2)
        between = depthwise_conv2d(
            input, depthwise_filter, strides, padding, rate, "depthwise", data_format
        )
        return conv2d(between, pointwise_filter, 1, "VALID", data_format=data_format, name=scope)
