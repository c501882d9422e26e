"""Images seen through a projective transform: turned, moved, in perspective."""

from __future__ import annotations

from typing import Any

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.infer import known_sizes
from anode.frontends.tensorflow.opdef import REQUIRED, op
from anode.frontends.tensorflow.table.array import ints
from anode.ir.node import Node


def _shape(op: Any) -> list[Any]:
    images, size = op.inputs[0].shape, known_sizes(op.inputs[2]) or [None, None]
    batch, channels = (None, None) if images.ndims is None else images.as_list()[::3]
    return [[batch, *size, channels]]


@op(
    "ImageProjectiveTransformV2",
    "images:dtype transforms:float32 output_shape:int32 -> dtype",
    shape=_shape,
    interpolation=REQUIRED,
)
def _(images: Node, transforms: Node, output_shape: Node, *, interpolation: str) -> Node:
    y, x = _sources(transforms, int(images.shape[0]), ints(output_shape))
    if interpolation == "NEAREST":
        return _read(images, ops.round_away(y), ops.round_away(x))
    if interpolation != "BILINEAR":
        raise UnsupportedOp(f"ImageProjectiveTransformV2: no interpolation {interpolation!r}")
    top, left = ops.floor(y), ops.floor(x)
    upper, lower = (
        (_read(images, row, left), _read(images, row, left + 1)) for row in (top, top + 1)
    )
    shape = upper[0].shape
    down, right = (
        ops.broadcast_in_dim(n, shape=shape, axes=(0, 1, 2)) for n in (y - top, x - left)
    )
    rows = [a * (1 - right) + b * right for a, b in (upper, lower)]
    return rows[0] * (1 - down) + rows[1] * down


def _sources(transforms: Node, count: int, size: tuple[int, ...]) -> tuple[Node, Node]:
    """Where each pixel of the result lies in the image: row and column, (batch, height, width)."""
    shape = (count, *size)
    each = ops.broadcast_to(transforms, (count, 8))
    row, column = (ops.iota(shape=shape, dtype="f32", axis=axis) for axis in (1, 2))
    a = [ops.broadcast_in_dim(each[:, i], shape=shape, axes=(0,)) for i in range(8)]
    scale = a[6] * column + a[7] * row + 1
    return (a[3] * column + a[4] * row + a[5]) / scale, (a[0] * column + a[1] * row + a[2]) / scale


def _read(images: Node, y: Node, x: Node) -> Node:
    """The pixels at whole rows and columns; 0 outside."""
    height, width = images.shape[1:3]
    inside = ops.and_(ops.and_(y >= 0, y < float(height)), ops.and_(x >= 0, x < float(width)))
    batch = ops.iota(shape=y.shape, dtype="i32", axis=0)
    # what lies far outside need not fit into an integer
    y, x = (ops.select(inside, n, 0) for n in (y, x))
    places = ops.stack([batch, *[ops.convert(n, dtype="i32") for n in (y, x)]], -1)
    found = ops.gather(
        images,
        places,
        offset_dims=(3,),
        collapsed_slice_dims=(0, 1, 2),
        start_index_map=(0, 1, 2),
        index_vector_dim=3,
        slice_sizes=(1, 1, 1, images.shape[3]),
    )
    return ops.select(ops.broadcast_in_dim(inside, shape=found.shape, axes=(0, 1, 2)), found, 0)
