"""Ops that move elements without computing: reshape, transpose, slice, pad and their kin.

Their references index stored elements only, so they work on every element type as it is stored.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from anode.ir.dims import product
from anode.ir.dtypes import DType, bool_, dtype_of
from anode.ir.node import Node, constant
from anode.ir.types import Dim, Shape, Size, TensorType
from anode.ops.declare import narrow, primitive
from anode.ops.rules import (
    axes_of,
    axis_of,
    check_index,
    check_length,
    check_tensors,
    mismatch,
)

Array = np.ndarray
Ints = tuple[int, ...]


@primitive
def broadcast_in_dim(x: TensorType, *, shape: Shape, axes: Ints) -> TensorType:
    """Repeat `x` to `shape`; its dim i becomes dim `axes[i]` (increasing). Source: StableHLO."""
    check_tensors("broadcast_in_dim", x)
    if len(axes) != x.rank or list(axes) != sorted(set(axes)):
        raise mismatch(
            "broadcast_in_dim", f"axes {axes} do not place every dim in order", [x], "transpose it"
        )
    for size, axis in zip(x.shape, axes, strict=True):
        if not 0 <= axis < len(shape) or (size != shape[axis] and size != 1):
            raise mismatch(
                "broadcast_in_dim",
                f"cannot repeat to {shape} along {axes}",
                [x],
                "a dim of the operand equals the result's or is 1",
            )
    return x.with_shape(shape)


@broadcast_in_dim.evaluate
def _(x: Array, *, shape: Ints, axes: Ints) -> Array:
    placed = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        placed[axis] = size
    return np.broadcast_to(x.reshape(placed), shape)


@broadcast_in_dim.vjp
def _(ct: Node, y: Node, x: Node, *, shape: Shape, axes: Ints) -> tuple[Node]:
    from anode.ops.reduce import sum

    same = {axis for axis, size in zip(axes, x.shape, strict=True) if size == shape[axis]}
    return (reshaped(sum(ct, [a for a in range(len(shape)) if a not in same]), x.shape),)


@primitive
def reshape(x: TensorType, *, shape: Shape) -> TensorType:
    """The elements of `x` in row-major order under another shape; one size may be given as -1."""
    check_tensors("reshape", x)
    if product(shape) != x.size:
        raise mismatch("reshape", f"{x.size} elements do not fill the shape {shape}", [x])
    return x.with_shape(shape)


@reshape.canonical
def _(x: TensorType, *, shape: Shape) -> Mapping[str, Any]:
    shape = (shape,) if isinstance(shape, (int, Dim)) else shape
    if -1 not in shape:
        return {"shape": shape}
    rest = product(tuple(size for size in shape if size != -1))
    inferred = _quotient(x.size, rest)
    if shape.count(-1) > 1 or inferred is None:
        raise mismatch("reshape", f"cannot infer the size -1 in {shape}", [x])
    return {"shape": tuple(inferred if size == -1 else size for size in shape)}


@reshape.evaluate
def _(x: Array, *, shape: Ints) -> Array:
    return x.reshape(shape)


@reshape.vjp
def _(ct: Node, y: Node, x: Node, *, shape: Shape) -> tuple[Node]:
    return (reshape(ct, shape=x.shape),)


@primitive
def transpose(x: TensorType, *, permutation: Ints | None = None) -> TensorType:
    """Reorder dims: dim i of the result is dim `permutation[i]` of `x`; by default reversed."""
    check_tensors("transpose", x)
    if permutation is None or sorted(permutation) != list(range(x.rank)):
        raise mismatch("transpose", f"{permutation} is no permutation of the dims", [x])
    return x.with_shape([x.shape[axis] for axis in permutation])


@transpose.canonical
def _(x: TensorType, *, permutation: Ints | None) -> Mapping[str, Any]:
    if permutation is None:
        return {"permutation": tuple(reversed(range(x.rank)))}
    return {"permutation": tuple([axis_of("transpose", axis, x.rank) for axis in permutation])}


@transpose.evaluate
def _(x: Array, *, permutation: Ints) -> Array:
    return np.transpose(x, permutation)


@transpose.vjp
def _(ct: Node, y: Node, x: Node, *, permutation: Ints) -> tuple[Node]:
    inverse = sorted(range(len(permutation)), key=lambda axis: permutation[axis])
    return (transpose(ct, permutation=inverse),)


@primitive
def slice(x: TensorType, *, start: Shape, limit: Shape, strides: Ints | None = None) -> TensorType:
    """Elements `start`, `start + stride`, … below `limit` along each dim. Source: StableHLO."""
    check_tensors("slice", x)
    strides = strides or (1,) * x.rank
    check_length("slice", x, start=start, limit=limit, strides=strides)
    for size, low, high, stride in zip(x.shape, start, limit, strides, strict=True):
        if not (0 <= low <= high <= size and stride > 0):
            raise mismatch(
                "slice",
                f"{start}:{limit}:{strides} does not lie in the operand",
                [x],
                "0 <= start <= limit <= size, and strides are positive",
            )
    steps = zip(start, limit, strides, strict=True)
    return x.with_shape(tuple(-((low - high) // stride) for low, high, stride in steps))


@slice.canonical
def _(x: TensorType, *, start: Shape, limit: Shape, strides: Ints | None) -> Mapping[str, Any]:
    return {"strides": (1,) * len(start) if strides is None else strides}


@slice.evaluate
def _(x: Array, *, start: Ints, limit: Ints, strides: Ints) -> Array:
    return x[tuple(map(builtins.slice, start, limit, strides))]


@slice.vjp
def _(ct: Node, y: Node, x: Node, *, start: Shape, limit: Shape, strides: Ints) -> tuple[Node]:
    spread = [_dilated(size, stride - 1) for size, stride in zip(ct.shape, strides, strict=True)]
    high = [n - low - s for n, low, s in zip(x.shape, start, spread, strict=True)]
    return (pad(ct, _zero(ct), low=start, high=high, interior=[s - 1 for s in strides]),)


@primitive
def pad(
    x: TensorType, value: TensorType, *, low: Shape, high: Shape, interior: Ints | None = None
) -> TensorType:
    """Put `value` before (`low`), after (`high`) and between (`interior`) the elements of each dim.

    A negative `low` or `high` removes elements instead. Source: StableHLO.
    """
    check_tensors("pad", x, value)
    interior = interior or (0,) * x.rank
    check_length("pad", x, low=low, high=high, interior=interior)
    if value.shape or value.dtype is not x.dtype:
        raise mismatch("pad", "the value is a scalar of the operand's type", [x, value])
    sizes = zip(x.shape, low, high, interior, strict=True)
    shape = tuple(_dilated(size, inside) + a + b for size, a, b, inside in sizes)
    if any(i < 0 for i in interior) or any(size < 0 for size in shape):
        raise mismatch("pad", f"low {low}, high {high}, interior {interior} leave no size", [x])
    return x.with_shape(shape)


@pad.canonical
def _(
    x: TensorType, value: TensorType, *, low: Shape, high: Shape, interior: Ints | None
) -> Mapping[str, Any]:
    return {"interior": (0,) * len(low) if interior is None else interior}


@pad.evaluate
def _(x: Array, value: Array, *, low: Ints, high: Ints, interior: Ints) -> Array:
    dilated = [_dilated(size, inside) for size, inside in zip(x.shape, interior, strict=True)]
    sizes = zip(dilated, low, high, strict=True)
    padded = np.full([n + max(a, 0) + max(b, 0) for n, a, b in sizes], value, x.dtype)
    placed = zip(dilated, low, interior, strict=True)
    padded[tuple(builtins.slice(max(a, 0), max(a, 0) + n, i + 1) for n, a, i in placed)] = x
    crop = zip(padded.shape, low, high, strict=True)
    return padded[tuple(builtins.slice(max(-a, 0), n - max(-b, 0)) for n, a, b in crop)]


@pad.vjp
def _(
    ct: Node, y: Node, x: Node, value: Node, *, low: Shape, high: Shape, interior: Ints
) -> tuple[Node, Node]:
    from anode.ops.elementwise import select
    from anode.ops.reduce import sum

    spread = pad(ct, _zero(ct), low=[-n for n in low], high=[-n for n in high])
    strides = [inside + 1 for inside in interior]
    ct_x = slice(spread, start=(0,) * x.tensor.rank, limit=spread.shape, strides=strides)
    inside = full(x.shape, False, bool_)
    padding = pad(inside, constant(True), low=low, high=high, interior=interior)
    return ct_x, sum(select(padding, ct, zeros_like(ct)))


@primitive
def concatenate(*xs: TensorType, axis: int) -> TensorType:
    """The operands one after another along `axis`; their other dims are equal."""
    check_tensors("concatenate", *xs)
    if not xs:
        raise mismatch("concatenate", "needs an operand")
    rest = {(x.dtype, _without(x.shape, axis)) for x in xs}
    if len(rest) > 1:
        raise mismatch(
            "concatenate", f"types and dims other than axis {axis} must be equal", xs, "broadcast"
        )
    total: Size = 0
    for x in xs:
        total = total + x.shape[axis]
    return xs[0].with_shape((*xs[0].shape[:axis], total, *xs[0].shape[axis + 1 :]))


@concatenate.canonical
def _(*xs: TensorType, axis: int) -> Mapping[str, Any]:
    check_tensors("concatenate", *xs)
    return {"axis": axis_of("concatenate", axis, min((x.rank for x in xs), default=0))}


@concatenate.evaluate
def _(*xs: Array, axis: int) -> Array:
    return np.concatenate(xs, axis)


@concatenate.vjp
def _(ct: Node, y: Node, *xs: Node, axis: int) -> tuple[Node, ...]:
    return tuple(_split_at(ct, [x.shape[axis] for x in xs], axis))


@primitive
def iota(*, shape: Shape, dtype: DType, axis: int = 0) -> TensorType:
    """The numbers 0, 1, 2, … along `axis`, repeated along the other dims; integers wrap."""
    if dtype is bool_ or not 0 <= axis < len(shape):
        raise mismatch("iota", f"{dtype} numbers along axis {axis} of {shape}")
    return TensorType(dtype, shape)


@iota.canonical
def _(*, shape: Shape, dtype: Any, axis: int) -> Mapping[str, Any]:
    return {"dtype": dtype_of(dtype), "axis": axis_of("iota", axis, len(shape))}


@iota.evaluate
def _(*, shape: Ints, dtype: DType, axis: int) -> Array:
    numbers = narrow(np.arange(shape[axis]), dtype)
    return np.broadcast_to(numbers.reshape([-1] + [1] * (len(shape) - axis - 1)), shape)


@primitive
def reverse(x: TensorType, *, axes: Ints) -> TensorType:
    """The elements in opposite order along `axes`."""
    check_tensors("reverse", x)
    axes_of("reverse", axes, x.rank)
    return x.with_shape(x.shape)


@reverse.canonical
def _(x: TensorType, *, axes: int | Ints) -> Mapping[str, Any]:
    return {"axes": axes_of("reverse", axes, x.rank)}


@reverse.evaluate
def _(x: Array, *, axes: Ints) -> Array:
    return np.flip(x, axes)


@reverse.vjp
def _(ct: Node, y: Node, x: Node, *, axes: Ints) -> tuple[Node]:
    return (reverse(ct, axes=axes),)


@primitive
def dynamic_slice(x: TensorType, *starts: TensorType, sizes: Shape) -> TensorType:
    """The box of `sizes` at run-time `starts`, which are moved so that it lies in `x`.

    The starts are integer scalars, one for each dim. Source: StableHLO.
    """
    _check_starts("dynamic_slice", x, starts, sizes)
    return x.with_shape(sizes)


@dynamic_slice.evaluate
def _(x: Array, *starts: Array, sizes: Ints) -> Array:
    return x[_box(x.shape, starts, sizes)]


@dynamic_slice.vjp
def _(ct: Node, y: Node, x: Node, *starts: Node, sizes: Shape) -> tuple[Node | None, ...]:
    return (dynamic_update_slice(zeros_like(x), ct, *starts), *[None] * len(starts))


@primitive
def dynamic_update_slice(x: TensorType, update: TensorType, *starts: TensorType) -> TensorType:
    """`x` with the box at run-time `starts`, moved to lie in `x`, replaced. Source: StableHLO."""
    check_tensors("dynamic_update_slice", x, update)
    if update.dtype is not x.dtype or update.rank != x.rank:
        raise mismatch("dynamic_update_slice", "the update has another type or rank", [x, update])
    _check_starts("dynamic_update_slice", x, starts, update.shape)
    return x.with_shape(x.shape)


@dynamic_update_slice.evaluate
def _(x: Array, update: Array, *starts: Array) -> Array:
    result = x.copy()
    result[_box(x.shape, starts, update.shape)] = update
    return result


@dynamic_update_slice.vjp
def _(ct: Node, y: Node, x: Node, update: Node, *starts: Node) -> tuple[Node | None, ...]:
    ct_x = dynamic_update_slice(ct, zeros_like(update), *starts)
    return (ct_x, dynamic_slice(ct, *starts, sizes=update.shape), *[None] * len(starts))


@primitive
def bitcast(x: TensorType, *, dtype: DType) -> TensorType:
    """The bits of each element read as another type of the same width. It has no gradient."""
    check_tensors("bitcast", x)
    if dtype.bits != x.dtype.bits:
        raise mismatch("bitcast", f"{dtype} has {dtype.bits} bits, not {x.dtype.bits}", [x])
    return x.with_dtype(dtype)


@bitcast.canonical
def _(x: TensorType, *, dtype: Any) -> Mapping[str, Any]:
    return {"dtype": dtype_of(dtype)}


@bitcast.evaluate
def _(x: Array, *, dtype: DType) -> Array:
    return x.view(dtype.numpy)


bitcast.differentiable = iota.differentiable = False


def full(shape: Sequence[Size], value: Any, dtype: Any = None) -> Node:
    """A tensor of `shape` filled with a number or a scalar node; f32, i32 or bool by default."""
    scalar = value if isinstance(value, Node) else constant(value, dtype)
    return broadcast_in_dim(scalar, shape=tuple(shape), axes=())


def zeros(shape: Sequence[Size], dtype: Any = "f32") -> Node:
    return full(shape, 0, dtype)


def ones(shape: Sequence[Size], dtype: Any = "f32") -> Node:
    return full(shape, 1, dtype)


def zeros_like(x: Node) -> Node:
    return full(x.shape, 0, x.dtype)


def ones_like(x: Node) -> Node:
    return full(x.shape, 1, x.dtype)


def broadcast_to(x: Node, shape: Sequence[Size]) -> Node:
    """`x` repeated to `shape` by NumPy's rule: dims are matched from the last one."""
    shape, rank = tuple(shape), len(x.shape)
    if rank > len(shape):
        raise mismatch("broadcast_to", f"cannot repeat to {shape}", [x.type])
    if x.shape == shape:
        return x
    return broadcast_in_dim(x, shape=shape, axes=tuple(range(len(shape) - rank, len(shape))))


def squeeze(x: Node, axis: int | Sequence[int] | None = None) -> Node:
    """`x` without the dims `axis`, which must have size 1; by default without all of size 1."""
    sizes = x.shape
    if axis is None:
        return reshaped(x, tuple(size for size in sizes if size != 1))
    axes = axes_of("squeeze", axis, len(sizes))
    if any(sizes[a] != 1 for a in axes):
        raise mismatch("squeeze", f"axes {axes} have a size other than 1", [x.type])
    return reshaped(x, tuple(size for a, size in enumerate(sizes) if a not in axes))


def expand_dims(x: Node, axis: int | Sequence[int]) -> Node:
    """`x` with dims of size 1 inserted, so that they are dims `axis` of the result."""
    listed = [axis] if isinstance(axis, int) else axis
    rank = len(x.shape) + len(listed)
    axes, sizes = axes_of("expand_dims", axis, rank), iter(x.shape)
    return reshaped(x, tuple(1 if a in axes else next(sizes) for a in range(rank)))


def flatten(x: Node, start: int = 0) -> Node:
    """`x` with all dims from `start` on merged into one."""
    kept = x.shape[:start]
    return reshaped(x, (*kept, product(x.shape[len(kept) :])))


def stack(xs: Sequence[Node], axis: int = 0) -> Node:
    """The operands, of one type, side by side along a new dim `axis`."""
    return concatenate(*[expand_dims(x, axis) for x in xs], axis=axis)


def split(x: Node, parts: int | Sequence[int], axis: int = 0) -> tuple[Node, ...]:
    """`x` cut along `axis` into `parts` equal pieces, or into pieces of the sizes `parts`."""
    axis = axis_of("split", axis, len(x.shape))
    size = x.shape[axis]
    if not isinstance(parts, int):
        total: Size = 0
        for part in parts:
            total = total + part
        if total != size:
            raise mismatch("split", f"pieces of {tuple(parts)} do not add up to {size}", [x.type])
        return tuple(_split_at(x, parts, axis))
    if parts < 1 or size % parts != 0:
        raise mismatch("split", f"{parts} equal pieces along axis {axis}", [x.type])
    return tuple(_split_at(x, [size // parts] * parts, axis))


def tile(x: Node, repeats: Sequence[int]) -> Node:
    """`x` laid out `repeats[i]` times along each dim i, as NumPy's tile."""
    rank = max(len(x.shape), len(repeats))
    sizes = (1,) * (rank - len(x.shape)) + x.shape
    counts = (1,) * (rank - len(repeats)) + tuple(repeats)
    pairs = list(zip(counts, sizes, strict=True))
    apart = reshaped(x, tuple(n for _, size in pairs for n in (1, size)))
    spread = broadcast_to(apart, tuple(n for pair in pairs for n in pair))
    return reshaped(spread, tuple(size * count for count, size in pairs))


def repeat(x: Node, count: int, axis: int) -> Node:
    """Each element of `x` `count` times in a row along `axis`."""
    axis = axis_of("repeat", axis, len(x.shape))
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    spread = broadcast_to(expand_dims(x, axis + 1), (*before, size, count, *after))
    return reshaped(spread, (*before, size * count, *after))


def roll(x: Node, shift: int, axis: int) -> Node:
    """`x` shifted by `shift` along `axis`; what leaves at one end enters at the other."""
    axis = axis_of("roll", axis, len(x.shape))
    size = x.shape[axis]
    if isinstance(size, int):
        shift = shift % size if size else 0
    if shift == 0:
        return x
    first = size - shift if shift > 0 else -shift
    front, back = _split_at(x, [first, size - first], axis)
    return concatenate(back, front, axis=axis)


def moveaxis(x: Node, source: int, destination: int) -> Node:
    """`x` with dim `source` moved to place `destination`, the others in order."""
    rank = len(x.shape)
    order = [axis for axis in range(rank) if axis != axis_of("moveaxis", source, rank)]
    order.insert(axis_of("moveaxis", destination, rank), source % rank)
    return transpose(x, permutation=order)


def swapaxes(x: Node, axis1: int, axis2: int) -> Node:
    """`x` with two dims exchanged."""
    order = list(range(len(x.shape)))
    a, b = (axis_of("swapaxes", axis, len(order)) for axis in (axis1, axis2))
    order[a], order[b] = b, a
    return transpose(x, permutation=order)


def _zero(x: Node) -> Node:
    return constant(0, x.dtype)


def reshaped(x: Node, shape: Shape) -> Node:
    """`x` under another shape; itself if it has it already."""
    return x if x.shape == shape else reshape(x, shape=shape)


def _quotient(size: Size, by: Size) -> Size | None:
    """The exact quotient, or None."""
    if isinstance(by, int):
        return None if by == 0 or size % by != 0 else size // by
    return size // by if isinstance(size, Dim) else None


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _dilated(size: Any, interior: int) -> Any:
    """The size after `interior` elements went between each two neighbours."""
    return size if interior == 0 or size == 0 else (size - 1) * (interior + 1) + 1


def _split_at(x: Node, sizes: Sequence[Size], axis: int) -> Iterator[Node]:
    start: Size = 0
    for size in sizes:
        yield cut(x, axis, start, start + size)
        start = start + size


def cut(x: Node, axis: int, start: Size, limit: Size, stride: int = 1) -> Node:
    """`x` restricted to start:limit:stride along one axis."""
    starts: list[Size] = [0] * len(x.shape)
    limits, strides = list(x.shape), [1] * len(x.shape)
    starts[axis], limits[axis], strides[axis] = start, limit, stride
    return slice(x, start=starts, limit=limits, strides=strides)


def _check_starts(op: str, x: TensorType, starts: Sequence[TensorType], sizes: Shape) -> None:
    check_tensors(op, x)
    check_length(op, x, starts=starts, sizes=sizes)
    check_index(op, *starts)
    if any(not 0 <= size <= whole for size, whole in zip(sizes, x.shape, strict=True)):
        raise mismatch(op, f"a box of {sizes} does not fit", [x])


def _box(shape: Ints, starts: Sequence[Array], sizes: Ints) -> tuple[builtins.slice, ...]:
    """The box of `sizes`, its starts moved so that it lies in `shape`."""
    clamped = [
        min(max(int(start), 0), whole - size)
        for start, whole, size in zip(starts, shape, sizes, strict=True)
    ]
    return tuple(builtins.slice(a, a + size) for a, size in zip(clamped, sizes, strict=True))
