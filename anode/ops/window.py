"""Sliding windows over a tensor, and their adjoint: what convolution and pooling are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from anode.ir.dtypes import dtype_of
from anode.ir.node import Node
from anode.ir.types import Shape, Size, TensorType
from anode.ops.declare import narrow, primitive, widen
from anode.ops.rules import axis_of, check_tensors, mismatch

Array = np.ndarray
Ints = tuple[int, ...]


@primitive
def windows(
    x: TensorType,
    *,
    axes: Ints,
    sizes: Ints,
    strides: Ints | None = None,
    dilations: Ints | None = None,
) -> TensorType:
    """All windows over `axes` of `x`, a view: each axis counts windows, new dims count within one.

    Windows of `sizes` elements that are `dilations` apart begin every `strides` elements and lie
    in `x` whole. The new dims come before the last dim: of (n, h, w, c), windows over (1, 2) are
    (n, windows, windows, size, size, c). strides and dilations are 1 by default. Element
    (…, o, …, k, …) is element o·stride + k·dilation of `x`. Raises ShapeError where no window fits.
    """
    check_tensors("windows", x)
    shape = list(x.shape)
    for axis, size, stride, dilation in _each("windows", x, axes, sizes, strides, dilations):
        shape[axis] = _count(x, shape[axis], size, stride, dilation)
    return x.with_shape((*shape[:-1], *sizes, shape[-1]))


@primitive
def overlap_add(
    y: TensorType,
    *,
    lengths: Shape,
    axes: Ints,
    sizes: Ints,
    strides: Ints | None = None,
    dilations: Ints | None = None,
) -> TensorType:
    """The adjoint of `windows`: every element of every window is added to where it was taken.

    `lengths` are the sizes of the result along `axes`: from (n, windows, windows, size, size, c)
    over (1, 2) comes (n, *lengths, c). Half types are added up in f32. Raises ShapeError where
    these are not the windows of such a result.
    """
    check_tensors("overlap_add", y)
    rank = y.rank - len(sizes)
    if rank < 1 or len(lengths) != len(axes):
        raise mismatch("overlap_add", f"windows {sizes} over axes {axes} of sizes {lengths}", [y])
    shape = [*y.shape[: rank - 1], y.shape[-1]]
    for axis, length in zip(axes, lengths, strict=True):
        shape[axis] = length
    x = y.with_shape(tuple(shape))
    attrs = {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}
    if windows.infer((x,), attrs) != y:
        raise mismatch("overlap_add", f"these are not the windows {attrs} of {x}", [y])
    return x


def _canonical(x: TensorType, rank: int, attrs: Mapping[str, Any]) -> dict[str, Any]:
    check_tensors("windows", x)
    given = attrs["axes"]
    axes = tuple([axis_of("windows", axis, rank) for axis in given])
    ones = (1,) * len(axes)
    strides, dilations = (attrs[n] or ones for n in ("strides", "dilations"))
    return {**attrs, "axes": axes, "strides": strides, "dilations": dilations}


@windows.canonical
def _(x: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return _canonical(x, x.rank, attrs)


@overlap_add.canonical
def _(y: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return _canonical(y, y.rank - len(attrs["sizes"]), attrs)


@windows.evaluate
def _(x: Array, *, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
    shape, steps, added = list(x.shape), list(x.strides), []
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        added.append(steps[axis] * dilation)
        shape[axis] = (shape[axis] - (size - 1) * dilation - 1) // stride + 1
        steps[axis] *= stride
    return np.lib.stride_tricks.as_strided(
        x, (*shape[:-1], *sizes, shape[-1]), (*steps[:-1], *added, steps[-1]), writeable=False
    )


@overlap_add.evaluate
def _(y: Array, *, lengths: Ints, axes: Ints, sizes: Ints, strides: Ints, dilations: Ints) -> Array:
    parts = np.moveaxis(widen(y), range(-1 - len(sizes), -1), range(len(sizes)))
    shape = list(parts.shape[len(sizes) :])
    counts = [shape[axis] for axis in axes]
    for axis, length in zip(axes, lengths, strict=True):
        shape[axis] = length
    total = np.zeros(shape, parts.dtype)
    for offsets in product(*map(range, sizes)):
        place = [slice(None)] * len(shape)
        for axis, count, k, stride, dilation in zip(
            axes, counts, offsets, strides, dilations, strict=True
        ):
            start = k * dilation
            place[axis] = slice(start, start + (count - 1) * stride + 1, stride)
        total[tuple(place)] += parts[offsets]
    return narrow(total, dtype_of(y.dtype))


@windows.vjp
def _(ct: Node, y: Node, x: Node, *, axes: Ints, **attrs: Any) -> tuple[Node]:
    return (overlap_add(ct, lengths=tuple([x.shape[axis] for axis in axes]), axes=axes, **attrs),)


@overlap_add.vjp
def _(ct: Node, x: Node, y: Node, *, lengths: Shape, **attrs: Any) -> tuple[Node]:
    return (windows(ct, **attrs),)


def _each(
    op: str, x: TensorType, axes: Ints, sizes: Ints, strides: Ints | None, dilations: Ints | None
) -> Iterator[tuple[int, int, int, int]]:
    """The axis, size, stride and dilation of each window dim, checked."""
    lists = (axes, sizes, strides or (1,) * len(axes), dilations or (1,) * len(axes))
    if len({len(values) for values in lists}) != 1 or len(set(axes)) != len(axes) or not x.rank:
        raise mismatch(op, f"axes, sizes, strides, dilations {lists} do not match", [x])
    if any(value < 1 for values in lists[1:] for value in values):
        raise mismatch(op, f"sizes, strides and dilations {lists[1:]} must be positive", [x])
    return zip(*lists, strict=True)


def _count(x: TensorType, length: Size, size: int, stride: int, dilation: int) -> Size:
    """How many windows there are along an axis of `length`."""
    rest = length - (size - 1) * dilation - 1
    if rest < 0:
        raise mismatch("windows", f"no window of {size} (dilation {dilation}) fits", [x], "pad it")
    return rest // stride + 1
