"""Static shapes of reductions and products, faster than by lowering them on trial sizes."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.infer import broadcast_shapes, known_value
from anode.frontends.tensorflow.table.array_shapes import Sizes, sizes_of
from anode.frontends.tensorflow.tensor_shape import TensorShape


def _axes(op: Any, rank: int) -> list[int] | None:
    """The dims that operand 1 names, None where its value is not known."""
    known = known_value(op.inputs[1])
    if known is None:
        return None
    axes = [int(axis) for axis in known.reshape(-1)]
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(
                f"Invalid reduction dimension {axis} for input with {rank} dimensions. for "
                f"'{op.name}' (op: '{op.type}')"
            )
    return [axis % rank for axis in axes]


def reduced(op: Any) -> list[Sizes | None]:
    """Of a reduction along the dims of operand 1."""
    sizes = sizes_of(op.inputs[0])
    if sizes is None:
        return [None]
    keep, axes = op._attrs["keep_dims"], _axes(op, len(sizes))
    if axes is None:
        return [[None] * len(sizes) if keep else None]
    if keep:
        return [[1 if i in axes else size for i, size in enumerate(sizes)]]
    return [[size for i, size in enumerate(sizes) if i not in axes]]


def without_axis(op: Any) -> list[Sizes | None]:
    """Of an arg-reduction: all dims but that of operand 1."""
    sizes = sizes_of(op.inputs[0])
    axes = None if sizes is None else _axes(op, len(sizes))
    if sizes is None or (axes is None and not sizes):
        return [None]
    if axes is None:
        return [[None] * (len(sizes) - 1)]
    return [[size for i, size in enumerate(sizes) if i not in axes]]


def product(op: Any) -> list[Sizes]:
    """Of a product of two matrices."""
    unknown: Sizes = [None, None]
    x, y = (unknown if s is None else s for s in map(sizes_of, op.inputs))
    if len(x) != 2 or len(y) != 2:
        rank = len(x) if len(x) != 2 else len(y)
        raise ValueError(f"Shape must be rank 2 but is rank {rank} for {_place(op)}")
    return [_multiplied(op, x, y, op._attrs["transpose_a"], op._attrs["transpose_b"])]


def product_of_stacks(op: Any) -> list[Sizes | None]:
    """Of products of stacked matrices, whose leading dims broadcast."""
    x, y = map(sizes_of, op.inputs)
    if x is None or y is None:
        return [None]
    if len(x) < 2 or len(y) < 2:
        rank = min(len(x), len(y))
        raise ValueError(f"Shape must be at least rank 2 but is rank {rank} for {_place(op)}")
    lead = broadcast_shapes(TensorShape(x[:-2]), TensorShape(y[:-2]), op).as_list()
    return [lead + _multiplied(op, x[-2:], y[-2:], op._attrs["adj_x"], op._attrs["adj_y"])]


def _multiplied(op: Any, x: Sizes, y: Sizes, turn_x: bool, turn_y: bool) -> Sizes:
    rows, inner = x[::-1] if turn_x else x
    other, columns = y[::-1] if turn_y else y
    if inner is not None and other is not None and inner != other:
        raise ValueError(f"Dimensions must be equal, but are {inner} and {other} for {_place(op)}")
    return [rows, columns]


def chosen(op: Any) -> list[TensorShape]:
    """Of Select: what its two values have in common."""
    return [op.inputs[1].shape.merge_with(op.inputs[2].shape)]


def _place(op: Any) -> str:
    shapes = ", ".join(str(t.shape).replace("(", "[").replace(")", "]") for t in op.inputs)
    return f"'{op.name}' (op: '{op.type}') with input shapes: {shapes}."
