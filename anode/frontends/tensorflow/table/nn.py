"""Ops of neural networks without windows: activations, softmax, biases, the largest of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import REQUIRED, op, static
from anode.ir.dtypes import i32
from anode.ir.node import Node, constant
from anode.ops.precision import as_dtype

_UNARY: dict[str, Callable[[Node], Node]] = {
    "Relu": ops.relu,
    "Relu6": ops.clipped_relu,
    "Elu": ops.elu,
    "Selu": ops.selu,
    "Softplus": ops.softplus,
    "Softsign": ops.softsign,
    "Softmax": ops.softmax,
    "LogSoftmax": ops.log_softmax,
}
for _type, _function in _UNARY.items():
    op(_type, "features:T -> T", shape="same")(lambda x, f=_function: f(x))


@op("Sigmoid", "x:T -> T", shape="same")
def _(x: Node) -> Node:
    return ops.logistic(x)


@op("LeakyRelu", "features:T -> T", shape="same", alpha=0.2)
def _(x: Node, *, alpha: float) -> Node:
    return ops.leaky_relu(x, slope=alpha)


@op("L2Loss", "t:T -> T", shape="scalar")
def _(t: Node) -> Node:
    return ops.sum(ops.square(t)) * 0.5


def along_channels(bias: Node, x: Node, data_format: str) -> Node:
    """A vector of one number for each channel, in the shape of `x`."""
    last = len(x.shape) - 1
    axis = channel_axis(data_format, last + 1)
    return bias if axis == last else ops.broadcast_in_dim(bias, shape=x.shape, axes=(axis,))


def channel_axis(data_format: str, rank: int) -> int:
    """Which dim holds the channels: the last in NHWC and NDHWC, the second in NCHW and NCDHW."""
    if data_format in ("NHWC", "NDHWC", "NWC"):
        return rank - 1
    if data_format in ("NCHW", "NCDHW", "NCW"):
        return 1
    raise UnsupportedOp(f"there is no data format {data_format!r}; use 'NHWC' or 'NCHW'")


def _bias_shape(op: Any) -> list[Any]:
    """The shape of the value, whose channels must be as many as the biases."""
    value, bias = (t.shape for t in op.inputs)
    if bias.ndims not in (None, 1):
        raise ValueError(f"Shape must be rank 1 but is rank {bias.ndims} for '{op.name}'")
    if value.ndims is None or bias.ndims is None:
        return [value]
    axis = channel_axis(op.get_attr("data_format"), value.ndims)
    if not value[axis].is_compatible_with(bias[0]):
        raise ValueError(
            f"Dimensions must be equal, but are {value[axis]} and {bias[0]} for '{op.name}' "
            f"(op: '{op.type}') with input shapes: {value}, {bias}."
        )
    return [value]


@op("BiasAdd", "value:T bias:T -> T", shape=_bias_shape, data_format="NHWC")
def _(value: Node, bias: Node, *, data_format: str) -> Node:
    return value + along_channels(bias, value, data_format)


@op("BiasAddV1", "value:T bias:T -> T", shape="same")
def _(value: Node, bias: Node) -> Node:
    return value + bias


@op("TopK", "input:T -> T int32", k=REQUIRED, sorted=True)
def _(x: Node, *, k: int, sorted: bool) -> tuple[Node, ...]:
    return ops.top_k(x, k=k).items  # sorted is one of the orders that sorted=False permits


@op("TopKV2", "input:T k:int32 -> T int32", sorted=True)
def _(x: Node, k: Node, *, sorted: bool) -> tuple[Node, ...]:
    return ops.top_k(x, k=int(static(k))).items


@op("InTopK", "predictions:float32 targets:T -> bool", k=REQUIRED)
def _(predictions: Node, targets: Node, *, k: int) -> Node:
    return _in_top(predictions, targets, constant(k, i32))


@op("InTopKV2", "predictions:float32 targets:T k:T -> bool")
def _(predictions: Node, targets: Node, k: Node) -> Node:
    return _in_top(predictions, targets, as_dtype(k, i32))


def _in_top(predictions: Node, targets: Node, k: Node) -> Node:
    """Whether fewer than `k` of a row exceed the target's; ties count for the target.

    False where the target is outside the row, or a prediction is not finite.
    """
    chosen = ops.one_hot(targets, depth=int(predictions.shape[1]), dtype="bool")
    known = ops.all(ops.is_finite(predictions), 1) & ops.any(chosen, 1)
    own = ops.sum(ops.select(chosen, predictions, 0), 1, keepdims=True)
    above = ops.sum(ops.convert(ops.greater(predictions, own), dtype="i32"), 1)
    return known & ops.less(above, k)
