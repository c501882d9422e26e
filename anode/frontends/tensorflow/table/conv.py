"""Convolution, pooling and dilation, of images and volumes in either data format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.dtypes import int64
from anode.frontends.tensorflow.graph import constant_value_as_shape
from anode.frontends.tensorflow.opdef import REQUIRED, op, static
from anode.frontends.tensorflow.table import conv_shapes
from anode.frontends.tensorflow.table.nn import channel_axis
from anode.ir.dtypes import DType
from anode.ir.node import Node
from anode.ir.types import Shape
from anode.ops.spatial import channels_last, in_format, padded, paddings

Ints = tuple[int, ...]


def spatial(values: Sequence[int], data_format: str, op: str, name: str) -> Ints:
    """The entries of the spatial dims; those of examples and channels must be 1."""
    axis = channel_axis(data_format, len(values))
    if values[0] != 1 or values[axis] != 1:
        raise UnsupportedOp(f"{op}: {name} {list(values)} along examples or channels are not 1")
    return tuple(int(n) for i, n in enumerate(values) if i not in (0, axis))


def pads(
    padding: str,
    explicit: Sequence[int],
    data_format: str,
    sizes: Shape,
    kernel: Ints,
    strides: Ints,
    dilations: Ints,
) -> tuple[Ints, Ints]:
    """What is padded before and after each spatial dim."""
    if padding == "EXPLICIT":
        axis = channel_axis(data_format, len(sizes) + 2)
        pairs: Any = list(zip(explicit[::2], explicit[1::2], strict=True))
        pairs = [pair for i, pair in enumerate(pairs) if i not in (0, axis)]
    else:
        pairs = paddings("conv", padding, sizes, kernel, strides, dilations)
    low, high = zip(*pairs, strict=True)
    return low, high


def geometry(
    op: str, sizes: Shape, kernel: Ints, attrs: dict[str, Any], data_format: str
) -> dict[str, Any]:
    """The attributes of anode's convolution of images of these spatial sizes."""
    strides = spatial(attrs["strides"], data_format, op, "strides")
    dilations = spatial(attrs["dilations"], data_format, op, "dilations")
    explicit = attrs.get("explicit_paddings", ())
    low, high = pads(attrs["padding"], explicit, data_format, sizes, kernel, strides, dilations)
    return {"strides": strides, "low": low, "high": high, "dilations": dilations}


def _kernel(shape: Shape) -> Ints:
    return tuple(int(n) for n in shape[:-2])


def _attrs(rank: int, **more: Any) -> dict[str, Any]:
    """The attributes that ops of convolution have, with their defaults."""
    data_format = {4: "NHWC", 5: "NDHWC"}[rank]
    ones = [1] * rank
    return {"strides": REQUIRED, "padding": REQUIRED, "data_format": data_format} | {
        "dilations": ones,
        **more,
    }


_CUDNN = {"use_cudnn_on_gpu": True, "explicit_paddings": []}


def _conv(name: str, x: Node, w: Node, data_format: str, attrs: dict[str, Any]) -> Node:
    x = channels_last(x, data_format)
    how = geometry(name, x.shape[1:-1], _kernel(w.shape), attrs, data_format)
    groups = int(x.shape[-1]) // int(w.shape[-2]) if int(w.shape[-2]) else 1
    return in_format(ops.convolution(x, w, groups=groups, **how), data_format)


@op("Conv2D", "input:T filter:T -> T", shape=conv_shapes.convolved, **_attrs(4, **_CUDNN))
def _(x: Node, w: Node, *, data_format: str, **attrs: Any) -> Node:
    return _conv("Conv2D", x, w, data_format, attrs)


@op("Conv3D", "input:T filter:T -> T", shape=conv_shapes.convolved, **_attrs(5))
def _(x: Node, w: Node, *, data_format: str, **attrs: Any) -> Node:
    return _conv("Conv3D", x, w, data_format, attrs)


def _conv_data(
    name: str, sizes: Shape, w: Node, ct: Node, data_format: str, attrs: dict[str, Any]
) -> Node:
    """The gradient of a convolution by images whose whole shape is `sizes`."""
    axis = channel_axis(data_format, len(sizes))
    inner = tuple(int(n) for i, n in enumerate(sizes) if i not in (0, axis))
    how = geometry(name, inner, _kernel(w.shape), attrs, data_format)
    groups = int(sizes[axis]) // int(w.shape[-2])
    ct = channels_last(ct, data_format)
    return in_format(ops.convolution_data(ct, w, sizes=inner, groups=groups, **how), data_format)


def _conv_weights(
    name: str, x: Node, shape: Shape, ct: Node, data_format: str, attrs: dict[str, Any]
) -> Node:
    x, kernel = channels_last(x, data_format), _kernel(shape)
    how = geometry(name, x.shape[1:-1], kernel, attrs, data_format)
    groups = int(x.shape[-1]) // int(shape[-2])
    ct = channels_last(ct, data_format)
    return ops.convolution_weights(x, ct, kernel=kernel, groups=groups, **how)


def _input_shape(op: Any) -> list[Any]:
    """The shape that `input_sizes` says, as far as it is known while the graph is built."""
    return [constant_value_as_shape(op.inputs[0])]


@op(
    "Conv2DBackpropInput",
    "input_sizes:int32 filter:T out_backprop:T -> T",
    shape=_input_shape,
    **_attrs(4, **_CUDNN),
)
def _(sizes: Node, w: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    whole = tuple(static(sizes).tolist())
    return _conv_data("Conv2DBackpropInput", whole, w, ct, data_format, attrs)


@op(
    "Conv3DBackpropInputV2",
    "input_sizes:Tshape filter:T out_backprop:T -> T",
    shape=_input_shape,
    **_attrs(5),
)
def _(sizes: Node, w: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    whole = tuple(static(sizes).tolist())
    return _conv_data("Conv3DBackpropInputV2", whole, w, ct, data_format, attrs)


@op("Conv2DBackpropFilter", "input:T filter_sizes:int32 out_backprop:T -> T", **_attrs(4, **_CUDNN))
def _(x: Node, sizes: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    shape = tuple(static(sizes).tolist())
    return _conv_weights("Conv2DBackpropFilter", x, shape, ct, data_format, attrs)


@op("Conv3DBackpropFilterV2", "input:T filter_sizes:int32 out_backprop:T -> T", **_attrs(5))
def _(x: Node, sizes: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    shape = tuple(static(sizes).tolist())
    return _conv_weights("Conv3DBackpropFilterV2", x, shape, ct, data_format, attrs)


# Depthwise: filters (height, width, channels, multiplier) are groups of one channel each.


def _depthwise(w: Node) -> Node:
    return ops.reshape(w, shape=(*w.shape[:2], 1, w.shape[2] * w.shape[3]))


_DEPTHWISE = _attrs(4, explicit_paddings=[])


@op("DepthwiseConv2dNative", "input:T filter:T -> T", shape=conv_shapes.convolved, **_DEPTHWISE)
def _(x: Node, w: Node, *, data_format: str, **attrs: Any) -> Node:
    return _conv("DepthwiseConv2dNative", x, _depthwise(w), data_format, attrs)


@op(
    "DepthwiseConv2dNativeBackpropInput",
    "input_sizes:int32 filter:T out_backprop:T -> T",
    shape=_input_shape,
    **_DEPTHWISE,
)
def _(sizes: Node, w: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    whole = tuple(static(sizes).tolist())
    name = "DepthwiseConv2dNativeBackpropInput"
    return _conv_data(name, whole, _depthwise(w), ct, data_format, attrs)


@op(
    "DepthwiseConv2dNativeBackpropFilter",
    "input:T filter_sizes:int32 out_backprop:T -> T",
    **_DEPTHWISE,
)
def _(x: Node, sizes: Node, ct: Node, *, data_format: str, **attrs: Any) -> Node:
    h, w, c, m = static(sizes).tolist()
    name = "DepthwiseConv2dNativeBackpropFilter"
    return ops.reshape(
        _conv_weights(name, x, (h, w, 1, c * m), ct, data_format, attrs), shape=(h, w, c, m)
    )


# Pooling.


def window(
    name: str, x: Node, ksize: Sequence[int], strides: Sequence[int], padding: str, data_format: str
) -> dict[str, Any]:
    """The attributes of anode's pooling of channels-last images `x`."""
    sizes = spatial(ksize, data_format, name, "ksize")
    steps = spatial(strides, data_format, name, "strides")
    ones = (1,) * len(sizes)
    low, high = pads(padding, (), data_format, x.shape[1:-1], sizes, steps, ones)
    return {"sizes": sizes, "strides": steps, "low": low, "high": high, "dilations": ones}


def pooled(
    kind: str,
    x: Node,
    *,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str,
) -> Node:
    axis = channel_axis(data_format, len(ksize))
    if ksize[axis] != 1:
        return _pool_channels(kind, x, axis, ksize, strides)
    x = channels_last(x, data_format)
    how = window(f"{kind} pooling", x, ksize, strides, padding, data_format)
    if kind == "max":
        return in_format(ops.max_pool(x, **how), data_format)
    return in_format(ops.average_pool(x, include_padding=False, **how), data_format)


def _pool_channels(
    kind: str, x: Node, axis: int, ksize: Sequence[int], strides: Sequence[int]
) -> Node:
    """Pooling of neighbouring channels, which must not overlap and fill the dim."""
    size, channels = ksize[axis], int(x.shape[axis])
    if math.prod(ksize) != size or strides[axis] != size or math.prod(strides) != size:
        raise UnsupportedOp(f"pooling of channels alone, without overlap, not {ksize}, {strides}")
    if channels % size:
        raise UnsupportedOp(f"pooling of {size} channels each does not divide {channels}")
    shape = (*x.shape[:axis], channels // size, size, *x.shape[axis + 1 :])
    reduced = ops.max if kind == "max" else ops.mean
    return reduced(ops.reshape(x, shape=shape), axis + 1)


_POOL = {"ksize": REQUIRED, "strides": REQUIRED, "padding": REQUIRED}


@op("MaxPool", "input:T -> T", shape=conv_shapes.pooled, data_format="NHWC", **_POOL)
def _(x: Node, **attrs: Any) -> Node:
    return pooled("max", x, **attrs)


@op("MaxPoolV2", "input:T ksize:int32 strides:int32 -> T", padding=REQUIRED, data_format="NHWC")
def _(x: Node, ksize: Node, strides: Node, **attrs: Any) -> Node:
    sizes, steps = static(ksize).tolist(), static(strides).tolist()
    return pooled("max", x, ksize=sizes, strides=steps, **attrs)


@op("AvgPool", "value:T -> T", shape=conv_shapes.pooled, data_format="NHWC", **_POOL)
def _(x: Node, **attrs: Any) -> Node:
    return pooled("average", x, **attrs)


@op("MaxPool3D", "input:T -> T", shape=conv_shapes.pooled, data_format="NDHWC", **_POOL)
def _(x: Node, **attrs: Any) -> Node:
    return pooled("max", x, **attrs)


@op("AvgPool3D", "input:T -> T", shape=conv_shapes.pooled, data_format="NDHWC", **_POOL)
def _(x: Node, **attrs: Any) -> Node:
    return pooled("average", x, **attrs)


@op(
    "MaxPoolWithArgmax",
    "input:T -> T Targmax",
    shape=conv_shapes.pooled,
    include_batch_in_index=False,
    Targmax=int64,
    **_POOL,
)
def _(
    x: Node,
    *,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    include_batch_in_index: bool,
    Targmax: DType,
) -> tuple[Node, Node]:
    how = window("MaxPoolWithArgmax", x, ksize, strides, padding, "NHWC")
    y, place = ops.max_pool_with_index(x, **how).items
    place = ops.convert(place, dtype=Targmax)
    rest, _, width = how["sizes"][1], *x.shape[1:3]
    row = _first(place, 1, how) + ops.floor_divide(place, rest)
    column = _first(place, 2, how) + ops.modulo(place, rest)
    flat = (row * int(width) + column) * int(x.shape[3]) + _count(place, 3)
    if include_batch_in_index:
        flat = flat + _count(place, 0) * int(math.prod(map(int, x.shape[1:])))
    return y, flat


def _count(x: Node, axis: int) -> Node:
    return ops.iota(shape=x.shape, dtype=x.dtype, axis=axis)


def _first(place: Node, axis: int, how: dict[str, Any]) -> Node:
    """Where in the image the window of each result begins along a dim."""
    return _count(place, axis) * how["strides"][axis - 1] - how["low"][axis - 1]


# Grey-scale morphology.


@op("Dilation2D", "input:T filter:T -> T", strides=REQUIRED, rates=REQUIRED, padding=REQUIRED)
def _(x: Node, w: Node, *, strides: Sequence[int], rates: Sequence[int], padding: str) -> Node:
    kernel = tuple(int(n) for n in w.shape[:2])
    steps, apart = (
        spatial(v, "NHWC", "Dilation2D", n) for v, n in ((strides, "strides"), (rates, "rates"))
    )
    low, high = pads(padding, (), "NHWC", x.shape[1:3], kernel, steps, apart)
    lowest = -math.inf if x.dtype.is_float else ops.identity("maximum", x.dtype)
    view = ops.windows(
        padded(x, low, high, lowest), axes=(1, 2), sizes=kernel, strides=steps, dilations=apart
    )
    return ops.max(view + w, (3, 4))
