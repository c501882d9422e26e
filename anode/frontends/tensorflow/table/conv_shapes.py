"""Static shapes of convolution and pooling, with TensorFlow's errors where operands do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.tensor_shape import TensorShape, unknown_shape

Size = int | None


def channel_axis(data_format: str) -> int:
    return 1 if data_format.startswith("NC") else len(data_format) - 1


def _where(op: Any) -> str:
    shapes = ", ".join(str(t.shape).replace(" ", "") for t in op.inputs)
    return f"for '{op.name}' (op: '{op.type}') with input shapes: {shapes}."


def _ranked(op: Any, shape: TensorShape, rank: int) -> list[Size]:
    if shape.ndims not in (None, rank):
        raise ValueError(f"Shape must be rank {rank} but is rank {shape.ndims} {_where(op)}")
    return shape.as_list() if shape.ndims is not None else unknown_shape(rank).as_list()


def _count(op: Any, n: Size, kernel: Size, stride: int, dilation: int, pair: Any) -> Size:
    """How many windows there are along a dim; `pair` is what is padded, or None for "SAME"."""
    if n is None:
        return None
    if pair is None:
        return -(-n // stride)
    if kernel is None:
        return None
    whole, reach = n + sum(pair), (kernel - 1) * dilation + 1
    if reach > whole:
        raise ValueError(
            f"Negative dimension size caused by subtracting {reach} from {whole} {_where(op)}"
        )
    return (whole - reach) // stride + 1


def _pairs(op: Any, rank: int) -> list[Any]:
    padding = op._attrs["padding"]
    if padding == "EXPLICIT":
        flat = op._attrs["explicit_paddings"]
        return list(zip(flat[::2], flat[1::2], strict=True))
    return [(0, 0) if padding == "VALID" else None] * rank


def _windows(
    op: Any, x: list[Size], kernel: Sequence[Size], channels: Size, data_format: str
) -> list[Size]:
    """The shape of results for windows of `kernel` over images of shape `x`."""
    axis, rank = channel_axis(data_format), len(data_format)
    dilations, pairs = op._attrs.get("dilations") or [1] * rank, _pairs(op, rank)
    strides, spatial = op._attrs["strides"], [i for i in range(rank) if i not in (0, axis)]
    result = [x[0], *[None] * (rank - 1)]
    result[axis] = channels
    for i, size in zip(spatial, kernel, strict=True):
        result[i] = _count(op, x[i], size, strides[i], dilations[i], pairs[i])
    return result


def convolved(op: Any) -> list[Any]:
    """The shape of a convolution of images by filters."""
    data_format = op._attrs["data_format"]
    rank = len(data_format)
    x, w = (_ranked(op, t.shape, rank) for t in op.inputs)
    depth, mine = x[channel_axis(data_format)], w[-2]
    depthwise = op.type.startswith("Depthwise")
    if depth is not None and mine and (depth != mine if depthwise else depth % mine):
        raise ValueError(f"Dimensions must be equal, but are {depth} and {mine} {_where(op)}")
    channels = w[-1]
    if depthwise and channels is not None:
        channels = None if mine is None else channels * mine
    return [_windows(op, x, w[:-2], channels, data_format)]


def pooled(op: Any) -> list[Any]:
    """The shape of the pooling of images, of each result."""
    data_format = op._attrs.get("data_format", "NHWC")
    axis, ksize = channel_axis(data_format), op._attrs["ksize"]
    x = _ranked(op, op.inputs[0].shape, len(data_format))
    depth = x[axis]
    channels = None if depth is None else depth // ksize[axis]
    kernel = [size for i, size in enumerate(ksize) if i not in (0, axis)]
    shape = _windows(op, x, kernel, channels, data_format)
    return [shape] * len(op._outputs)
