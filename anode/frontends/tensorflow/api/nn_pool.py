"""`tf.nn`: pooling, and morphology of grey-scale images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api import array_ops
from anode.frontends.tensorflow.api.nn import either
from anode.frontends.tensorflow.api.nn_conv import (
    checked_format,
    flat_format,
    same_or_valid,
    sequence,
    spatial_rank,
    upright,
)
from anode.frontends.tensorflow.dtypes import as_dtype, int64
from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


def _pool2d(
    type: str, value: Any, ksize: Any, strides: Any, padding: Any, data_format: Any, name: str
) -> Tensor:
    value = convert_to_tensor(value, name="value" if type == "AvgPool" else "input")
    if data_format == "NCHW_VECT_C":
        raise UnsupportedOp(f"{type}: the data format NCHW_VECT_C is not supported; use 'NHWC'")
    data_format = checked_format(data_format, 2)
    return apply(
        type,
        value,
        ksize=sequence(ksize, 2, data_format, "ksize"),
        strides=sequence(strides, 2, data_format, "strides"),
        padding=same_or_valid(padding),
        data_format=data_format,
        name=name,
    )


@export("nn.max_pool")
def max_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The largest element of each window."""
    value = either("input", input, "value", value)
    with name_scope(name, "MaxPool", [value]) as scope:
        return _pool2d("MaxPool", value, ksize, strides, padding, data_format, scope)


@export("nn.max_pool2d")
def max_pool2d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NHWC",
    name: str | None = None,
) -> Tensor:
    """The largest element of each window."""
    with name_scope(name, "MaxPool2d", [input]) as scope:
        return _pool2d("MaxPool", input, ksize, strides, padding, data_format, scope)


@export("nn.avg_pool", "nn.avg_pool2d")
def avg_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The mean of each window, padding not counted."""
    value = either("input", input, "value", value)
    with name_scope(name, "AvgPool", [value]) as scope:
        return _pool2d("AvgPool", value, ksize, strides, padding, data_format, scope)


def _pool1d(
    type: str,
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
    name: str | None,
) -> Tensor:
    with name_scope(name, "MaxPool1d" if type == "MaxPool" else "AvgPool1D", [input]) as scope:
        data_format = checked_format(data_format, 1)
        flat, axis = flat_format(data_format)
        sizes = upright(sequence(ksize, 1, data_format, "ksize"), axis)
        steps = upright(sequence(strides, 1, data_format, "strides"), axis)
        image = array_ops.expand_dims(input, axis)
        result = _pool2d(type, image, sizes, steps, padding, flat, scope)
        return array_ops.squeeze(result, [axis])


@export("nn.max_pool1d")
def max_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NWC",
    name: str | None = None,
) -> Tensor:
    """The largest element of each window of a sequence."""
    return _pool1d("MaxPool", input, ksize, strides, padding, data_format, name)


@export("nn.avg_pool1d")
def avg_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NWC",
    name: str | None = None,
) -> Tensor:
    """The mean of each window of a sequence."""
    return _pool1d("AvgPool", input, ksize, strides, padding, data_format, name)


def _pool3d(
    type: str, input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any, name: Any
) -> Tensor:
    with name_scope(name, type, [input]) as scope:
        data_format = checked_format(data_format, 3)
        sizes = sequence(ksize, 3, data_format, "ksize")
        steps = sequence(strides, 3, data_format, "strides")
        attrs = {"padding": same_or_valid(padding), "data_format": data_format, "name": scope}
        return apply(type, input, ksize=sizes, strides=steps, **attrs)


@export("nn.max_pool3d")
def max_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """The largest element of each window of volumes."""
    return _pool3d("MaxPool3D", input, ksize, strides, padding, data_format, name)


@export("nn.avg_pool3d")
def avg_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """The mean of each window of volumes."""
    return _pool3d("AvgPool3D", input, ksize, strides, padding, data_format, name)


def _pool_any(
    calls: Sequence[Any],
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
    name: str | None,
) -> Tensor:
    """The pooling of sequences, images or volumes, by the rank of `input`."""
    input = convert_to_tensor(input, name="input")
    n = spatial_rank(input, "input")
    pooled: Tensor = calls[n - 1](
        input, ksize, strides, padding, checked_format(data_format, n), name
    )
    return pooled


@export("nn.max_pool_v2")
def max_pool_v2(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """The largest element of each window of sequences, images or volumes."""
    calls = (max_pool1d, max_pool, max_pool3d)
    return _pool_any(calls, input, ksize, strides, padding, data_format, name)


@export("nn.avg_pool_v2")
def avg_pool_v2(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """The mean of each window of sequences, images or volumes."""
    calls = (avg_pool1d, avg_pool, avg_pool3d)
    return _pool_any(calls, input, ksize, strides, padding, data_format, name)


@export("nn.max_pool_with_argmax")
def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    Targmax: Any = None,
    name: str | None = None,
    output_dtype: Any = None,
    include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool`, and the place of each maximum in its flattened image."""
    if data_format != "NHWC":
        raise ValueError("Data formats other than 'NHWC' are not yet supported")
    output, argmax = apply(
        "MaxPoolWithArgmax",
        input,
        ksize=sequence(ksize, 2, data_format, "ksize"),
        strides=sequence(strides, 2, data_format, "strides"),
        padding=same_or_valid(padding),
        Targmax=as_dtype(either("output_dtype", output_dtype, "Targmax", Targmax, int64)),
        include_batch_in_index=include_batch_in_index,
        name=name,
    )
    return output, argmax


@export("nn.pool")
def pool(
    input: Any,
    window_shape: Sequence[int],
    pooling_type: str,
    padding: str,
    dilation_rate: Any = None,
    strides: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """ "MAX" or "AVG" pooling of sequences, images or volumes."""
    rates = either("dilations", dilations, "dilation_rate", dilation_rate)
    if rates is not None and any(int(rate) != 1 for rate in np.atleast_1d(rates)):
        raise UnsupportedOp(f"tf.nn.pool: dilation_rate {rates} is not supported, only 1")
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"pooling_type must be 'MAX' or 'AVG', not {pooling_type!r}")
    calls = (max_pool1d, max_pool, max_pool3d)
    if pooling_type == "AVG":
        calls = (avg_pool1d, avg_pool, avg_pool3d)
    with name_scope(name, f"{pooling_type.lower()}_pool", [input]) as scope:
        steps = strides or [1] * len(window_shape)
        return _pool_any(calls, input, list(window_shape), steps, padding, data_format, scope)


# morphology


@export("nn.dilation2d")
def dilation2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    name: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The largest sum of a window and the filter (height, width, channels)."""
    filter = either("filters", filters, "filter", filter)
    rates = list(either("dilations", dilations, "rates", rates))
    attrs = {"strides": list(strides), "rates": rates, "padding": same_or_valid(padding)}
    return apply("Dilation2D", input, filter, name=name, **attrs)


@export("nn.erosion2d")
def erosion2d(
    value: Any, kernel: Any, strides: Any, rates: Any, padding: Any, name: str | None = None
) -> Tensor:
    """The smallest difference of a window and the kernel."""
    with name_scope(name, "erosion2d", [value, kernel]) as scope:
        attrs: dict[str, Any] = {"strides": list(strides), "rates": list(rates)}
        attrs["padding"] = same_or_valid(padding)
        flipped = array_ops.reverse(kernel, [0, 1])
        return -apply("Dilation2D", -convert_to_tensor(value), flipped, name=scope, **attrs)
