"""Gradient ops, which occur only in graphs that TensorFlow differentiated and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.frontends.tensorflow.dtypes import int64
from anode.frontends.tensorflow.opdef import REQUIRED, find, op, static
from anode.frontends.tensorflow.table.conv import pooled
from anode.frontends.tensorflow.table.nn import channel_axis
from anode.frontends.tensorflow.table.norm import LRN, neighbourhood
from anode.ir.node import Node, constant
from anode.ops.precision import as_dtype
from anode.transform.grad import gradients

_SELU, _SELU_ALPHA = 1.0507009873554805, 1.7580993408473766  # scale, scale · alpha


def adjoint(function: Callable[[Node], Node], x: Node, ct: Node) -> Node:
    """The gradient by `x` of `function`, whose result has `ct`."""
    (found,) = gradients([function(x)], [x], [ct])
    return found


# of each element: by the operand, or by the result

_BY_OPERAND: dict[str, Callable[[Node, Node], Node]] = {
    "ReluGrad": lambda g, x: ops.select(ops.greater(x, 0), g, 0),
    "Relu6Grad": lambda g, x: ops.select(ops.greater(x, 0) & ops.less(x, 6), g, 0),
    "SoftplusGrad": lambda g, x: g * ops.logistic(x),
    "SoftsignGrad": lambda g, x: g / ops.square(ops.abs(x) + 1),
}
_BY_OUTPUT: dict[str, Callable[[Node, Node], Node]] = {
    "EluGrad": lambda g, y: ops.select(ops.less(y, 0), g * (y + 1), g),
    "SeluGrad": lambda g, y: ops.select(ops.less(y, 0), g * (y + _SELU_ALPHA), g * _SELU),
}
_OF_RESULT: dict[str, Callable[[Node, Node], Node]] = {
    "SigmoidGrad": lambda y, g: g * y * (1 - y),
    "TanhGrad": lambda y, g: g * (1 - y * y),
    "SqrtGrad": lambda y, g: g * 0.5 / y,
    "RsqrtGrad": lambda y, g: g * (-0.5) * y * y * y,
    "ReciprocalGrad": lambda y, g: -g * y * y,
    "InvGrad": lambda y, g: -g * y * y,
}


def _declare(table: dict[str, Callable[[Node, Node], Node]], signature: str) -> None:
    for type, function in table.items():
        op(type, signature, shape="same")(lambda a, b, function=function: function(a, b))


_declare(_BY_OPERAND, "gradients:T features:T -> T")
_declare(_BY_OUTPUT, "gradients:T outputs:T -> T")
_declare(_OF_RESULT, "y:T dy:T -> T")


@op("LeakyReluGrad", "gradients:T features:T -> T", shape="same", alpha=0.2)
def _(g: Node, x: Node, *, alpha: float) -> Node:
    return ops.select(ops.greater(x, 0), g, g * alpha)


# broadcasting and padding


@op("BiasAddGrad", "out_backprop:T -> T", data_format="NHWC")
def _(ct: Node, *, data_format: str) -> Node:
    axis = channel_axis(data_format, len(ct.shape))
    return ops.sum(ct, [i for i in range(len(ct.shape)) if i != axis])


@op("BroadcastGradientArgs", "s0:T s1:T -> T T", shape=lambda op: [[None], [None]])
def _(s0: Node, s1: Node) -> tuple[Node, Node]:
    """Along which dims the gradient of a broadcast is summed, for either operand."""
    shapes = [static(s).tolist() for s in (s0, s1)]
    rank = max(map(len, shapes))
    whole = [[1] * (rank - len(shape)) + shape for shape in shapes]
    axes = [[i for i in range(rank) if shape[i] == 1] for shape in whole]
    dtype = static(s0).dtype
    return constant(np.array(axes[0], dtype)), constant(np.array(axes[1], dtype))


@op("MirrorPadGrad", "input:T paddings:Tpaddings -> T", mode=REQUIRED)
def _(ct: Node, paddings: Node, *, mode: str) -> Node:
    shape = [int(n) - int(sum(pair)) for n, pair in zip(ct.shape, static(paddings), strict=True)]
    return _adjoint_of("MirrorPad", shape, ct, paddings, mode=mode)


def _adjoint_of(type: str, shape: Sequence[int], ct: Node, *others: Node, **attrs: Any) -> Node:
    """The gradient of a linear op of the table by its first input, which has this shape."""
    lower = find(type).lower
    assert lower is not None
    return adjoint(lambda x: lower(x, *others, **attrs), ops.zeros(shape, ct.dtype), ct)


# pooling

_POOL = {"ksize": REQUIRED, "strides": REQUIRED, "padding": REQUIRED}


def _max_pool_grad(type: str, signature: str, data_format: str, **more: Any) -> None:
    @op(type, signature, shape="same", data_format=data_format, **_POOL, **more)
    def _(x: Node, y: Node, ct: Node, *, explicit_paddings: Any = (), **attrs: Any) -> Node:
        return adjoint(lambda x: pooled("max", x, **attrs), x, ct)


_max_pool_grad("MaxPoolGrad", "orig_input:T orig_output:T grad:T -> T", "NHWC")
_max_pool_grad("MaxPool3DGrad", "orig_input:TInput orig_output:TInput grad:T -> T", "NDHWC")


@op(
    "MaxPoolGradV2",
    "orig_input:T orig_output:T grad:T ksize:int32 strides:int32 -> T",
    shape="same",
    padding=REQUIRED,
    data_format="NHWC",
)
def _(x: Node, y: Node, ct: Node, ksize: Node, strides: Node, **attrs: Any) -> Node:
    attrs.update(ksize=static(ksize).tolist(), strides=static(strides).tolist())
    return adjoint(lambda x: pooled("max", x, **attrs), x, ct)


@op(
    "MaxPoolGradWithArgmax",
    "input:T grad:T argmax:Targmax -> T",
    shape="same",
    include_batch_in_index=False,
    Targmax=int64,
    **_POOL,
)
def _(x: Node, ct: Node, argmax: Node, *, include_batch_in_index: bool, **_: Any) -> Node:
    n = 1 if include_batch_in_index else int(x.shape[0])
    flat = ops.zeros((n, int(np.prod(x.tensor.static)) // max(n, 1)), x.dtype)
    places, values = (ops.reshape(v, shape=(n, -1)) for v in (argmax, ct))
    return ops.reshape(ops.add_along_axis(flat, places, values, 1), shape=x.shape)


def _avg_pool_grad(type: str, data_format: str) -> None:
    @op(type, "orig_input_shape:int32 grad:T -> T", data_format=data_format, **_POOL)
    def _(shape: Node, ct: Node, **attrs: Any) -> Node:
        x = ops.zeros(static(shape).tolist(), ct.dtype)
        return adjoint(lambda x: pooled("average", x, **attrs), x, ct)


_avg_pool_grad("AvgPoolGrad", "NHWC")
_avg_pool_grad("AvgPool3DGrad", "NDHWC")


# morphology

_DILATION = {"strides": REQUIRED, "rates": REQUIRED, "padding": REQUIRED}


@op("Dilation2DBackpropInput", "input:T filter:T out_backprop:T -> T", shape="same", **_DILATION)
def _(x: Node, w: Node, ct: Node, **attrs: Any) -> Node:
    lower: Any = find("Dilation2D").lower
    return adjoint(lambda x: lower(x, w, **attrs), x, ct)


@op("Dilation2DBackpropFilter", "input:T filter:T out_backprop:T -> T", **_DILATION)
def _(x: Node, w: Node, ct: Node, **attrs: Any) -> Node:
    lower: Any = find("Dilation2D").lower
    return adjoint(lambda w: lower(x, w, **attrs), w, ct)


# normalisation


@op("LRNGrad", "input_grads:T input_image:T output_image:T -> T", shape="same", **LRN)
def _(ct: Node, x: Node, y: Node, **attrs: Any) -> Node:
    return ops.local_response_norm_grad(ct, x, **neighbourhood(**attrs))


_BATCH_NORM: dict[str, Any] = {"epsilon": 1e-4, "data_format": "NHWC", "is_training": True}


def _batch_norm_grad(
    ct: Node,
    x: Node,
    scale: Node,
    mean: Node,
    variance: Node,
    *_: Node,
    epsilon: float,
    data_format: str,
    is_training: bool,
) -> tuple[Node, ...]:
    """The gradients by x, scale and offset, and two empty results, as on TensorFlow's CPU."""
    axis, empty = channel_axis(data_format, len(x.shape)), ops.zeros((0,), mean.dtype)
    if is_training:
        how = {"axis": axis, "epsilon": epsilon}
        return *ops.batch_norm_grad(ct, x, scale, mean, variance, **how).items, empty, empty

    def normalised(x: Node, scale: Node, offset: Node) -> Node:
        return ops.batch_norm_inference(
            x, scale, offset, mean, variance, axis=axis, epsilon=epsilon
        )

    operands = [x, scale, ops.zeros(scale.shape, scale.dtype)]
    return *gradients([normalised(*operands)], operands, [ct]), empty, empty


for _type, _signature in {
    "FusedBatchNormGrad": "y_backprop:T x:T scale:T reserve_space_1:T reserve_space_2:T"
    " -> T T T T T",
    "FusedBatchNormGradV2": "y_backprop:T x:T scale:float32 reserve_space_1:U reserve_space_2:U"
    " -> T U U U U",
    "FusedBatchNormGradV3": "y_backprop:T x:T scale:float32 reserve_space_1:U reserve_space_2:U "
    "reserve_space_3:U -> T U U U U",
}.items():
    op(_type, _signature, **_BATCH_NORM)(_batch_norm_grad)


# change of size

_RESIZE = {"align_corners": False, "half_pixel_centers": False}


def _resize_grad(type: str) -> None:
    @op(f"{type}Grad", "grads:float32 original_image:T -> T", **_RESIZE)
    def _(ct: Node, image: Node, **attrs: bool) -> Node:
        size = constant(np.array(ct.tensor.static[1:3], np.int32))
        found = _adjoint_of(type, image.tensor.static, ct, size, **attrs)
        return as_dtype(found, image.dtype)


_resize_grad("ResizeBilinear")
_resize_grad("ResizeBicubic")


@op("ResizeNearestNeighborGrad", "grads:T size:int32 -> T", **_RESIZE)
def _(ct: Node, size: Node, **attrs: bool) -> Node:
    n, height, width, c = ct.tensor.static
    shape = [n, *static(size).tolist(), c]
    after = constant(np.array([height, width], np.int32))
    return _adjoint_of("ResizeNearestNeighbor", shape, ct, after, **attrs)
