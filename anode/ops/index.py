"""Ops that read and write at run-time indices: gather, scatter and what is built on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.ir.dims import product
from anode.ir.dtypes import DType, bool_, dtype_of, f32, i32, i64
from anode.ir.graph import Graph
from anode.ir.node import Node, constant
from anode.ir.types import Shape, Size, TensorType
from anode.ops import elementwise as ew
from anode.ops.declare import composite, narrow, primitive, widen
from anode.ops.evaluate import map_scalars
from anode.ops.reduce import UFUNCS, monoid, monoid_of, scalar_graph, size_of
from anode.ops.rules import axis_of, check_tensors, mismatch
from anode.ops.shape import (
    broadcast_in_dim,
    broadcast_to,
    concatenate,
    expand_dims,
    full,
    iota,
    pad,
    reshape,
    stack,
    zeros_like,
)

Array = np.ndarray
Ints = tuple[int, ...]


@primitive
def gather(
    x: TensorType,
    indices: TensorType,
    *,
    offset_dims: Ints,
    collapsed_slice_dims: Ints,
    start_index_map: Ints,
    index_vector_dim: int,
    slice_sizes: Shape,
) -> TensorType:
    """A box of `slice_sizes` of `x` for each index vector, which is moved so that the box fits.

    Dim `index_vector_dim` of `indices` holds the vectors (its rank stands for vectors of one);
    their entry j is the start along dim `start_index_map[j]`. The boxes' dims, less
    `collapsed_slice_dims`, become dims `offset_dims` of the result. Source: StableHLO.
    """
    check_tensors("gather", x, indices)
    batch = _batch_shape("gather", x, indices, start_index_map, index_vector_dim)
    _check_increasing("gather", x, collapsed_slice_dims, x.rank)
    fits = len(slice_sizes) == x.rank and all(
        0 <= s <= n and (s == 1 or d not in collapsed_slice_dims)
        for d, (s, n) in enumerate(zip(slice_sizes, x.shape, strict=True))
    )
    if not fits:
        raise mismatch(
            "gather", f"slices of {slice_sizes} without {collapsed_slice_dims}", [x, indices]
        )
    window = [s for d, s in enumerate(slice_sizes) if d not in collapsed_slice_dims]
    rank = len(batch) + len(window)
    _check_increasing("gather", x, offset_dims, rank)
    if len(offset_dims) != len(window):
        raise mismatch("gather", f"offset_dims {offset_dims} do not place {window}", [x, indices])
    outer, inner = iter(batch), iter(window)
    return x.with_shape(tuple(next(inner if d in offset_dims else outer) for d in range(rank)))


@gather.evaluate
def _(
    x: Array,
    indices: Array,
    *,
    offset_dims: Ints,
    collapsed_slice_dims: Ints,
    start_index_map: Ints,
    index_vector_dim: int,
    slice_sizes: Ints,
) -> Array:
    starts = _index_vectors(indices, index_vector_dim)
    limits = [x.shape[d] - slice_sizes[d] for d in start_index_map]
    places = _places(np.clip(starts, 0, limits), start_index_map, slice_sizes)
    batch = starts.shape[:-1]
    boxes = np.broadcast_to(x[tuple(places) or ...], (*batch, *slice_sizes))
    window = [s for d, s in enumerate(slice_sizes) if d not in collapsed_slice_dims]
    boxes = boxes.reshape([*batch, *window])
    return np.moveaxis(boxes, range(len(batch), boxes.ndim), offset_dims)


@gather.vjp
def _(
    ct: Node,
    y: Node,
    x: Node,
    indices: Node,
    *,
    offset_dims: Ints,
    collapsed_slice_dims: Ints,
    start_index_map: Ints,
    index_vector_dim: int,
    slice_sizes: Shape,
) -> tuple[Node, None]:
    room = [x.shape[d] - slice_sizes[d] for d in start_index_map]
    ct_x = scatter(
        zeros_like(x),
        _clamped(indices, index_vector_dim, [0] * len(room), room),
        ct,
        body=monoid("add", ct.dtype),
        update_window_dims=offset_dims,
        inserted_window_dims=collapsed_slice_dims,
        scatter_dims_to_operand_dims=start_index_map,
        index_vector_dim=index_vector_dim,
    )
    return ct_x, None


@primitive
def scatter(
    x: TensorType,
    indices: TensorType,
    updates: TensorType,
    *,
    body: Graph,
    update_window_dims: Ints,
    inserted_window_dims: Ints,
    scatter_dims_to_operand_dims: Ints,
    index_vector_dim: int,
) -> TensorType:
    """`x` with boxes of `updates` combined into it by `body(old, update)`, one for an index vector.

    The dims `update_window_dims` of `updates` span the boxes, with dims of size 1 put in at
    `inserted_window_dims`; the indices are as in `gather`. Elements that fall outside `x` are
    dropped; elements that meet are applied in the row-major order of `updates`, so with the body
    `second` the last one stays. Half types combine in f32 and round once. Source: StableHLO.
    """
    check_tensors("scatter", x, indices, updates)
    operands = [x, indices, updates]
    batch = _batch_shape("scatter", x, indices, scatter_dims_to_operand_dims, index_vector_dim)
    _check_increasing("scatter", x, update_window_dims, updates.rank)
    _check_increasing("scatter", x, inserted_window_dims, x.rank)
    if len(update_window_dims) + len(inserted_window_dims) != x.rank:
        raise mismatch("scatter", "the windows do not have the dims of the operand", operands)
    outer = tuple(n for d, n in enumerate(updates.shape) if d not in update_window_dims)
    if outer != batch or updates.dtype is not x.dtype:
        raise mismatch("scatter", f"the updates must be {x.dtype} boxes for {batch}", operands)
    window = _window(x.rank, updates.shape, update_window_dims, inserted_window_dims)
    if any(not s <= n for s, n in zip(window, x.shape, strict=True)):
        raise mismatch("scatter", f"boxes of {window} do not fit", operands)
    scalar = TensorType(x.dtype, ())
    if body.types != (scalar, scalar) or tuple(o.type for o in body.outputs) != (scalar,):
        raise mismatch("scatter", f"the body must map two {scalar} to one", operands)
    return x.with_shape(x.shape)


@scatter.evaluate
def _(
    x: Array,
    indices: Array,
    updates: Array,
    *,
    body: Graph,
    update_window_dims: Ints,
    inserted_window_dims: Ints,
    scatter_dims_to_operand_dims: Ints,
    index_vector_dim: int,
) -> Array:
    starts = _index_vectors(indices, index_vector_dim)
    window = _window(x.ndim, updates.shape, update_window_dims, inserted_window_dims)
    batch = starts.shape[:-1]
    flat = np.zeros((*batch, *window), np.int64)
    inside = np.ones((*batch, *window), np.bool_)
    places = _places(starts, scatter_dims_to_operand_dims, window)
    for place, size in zip(places, x.shape, strict=True):
        inside &= (place >= 0) & (place < size)
        flat = flat * size + np.clip(place, 0, max(size - 1, 0))
    kept = [updates.shape[d] for d in update_window_dims]

    def like_updates(a: Array) -> Array:
        a = a.reshape([*batch, *kept])
        return np.moveaxis(a, range(len(batch), a.ndim), update_window_dims).ravel()

    used = like_updates(inside)
    values = _combined(x.ravel(), like_updates(flat)[used], updates.ravel()[used], body)
    return values.reshape(x.shape)


def _combined(x: Array, places: Array, updates: Array, body: Graph) -> Array:
    """A copy of the vector `x` with the updates applied in order."""
    name = monoid_of(body)
    if name is not None:
        values = np.array(widen(x))
        with np.errstate(all="ignore"):
            UFUNCS[name][x.dtype == np.bool_].at(values, places, widen(updates))
        return narrow(values, dtype_of(x.dtype))
    values = x.copy()
    if is_second(body):
        values[places] = updates
        return values
    for i, place in enumerate(places):
        values[place, ...] = map_scalars(body, [values[place, ...], updates[i, ...]])[0]
    return values


@scatter.vjp
def _(
    ct: Node, y: Node, x: Node, indices: Node, updates: Node, *, body: Graph, **dims: Any
) -> tuple[Node, None, Node]:
    name = monoid_of(body)

    def read(source: Node, fill: Any) -> Node:
        return _gather_or(source, indices, updates.shape, fill, **dims)

    if name == "add":
        return ct, None, read(ct, 0)
    if name in ("maximum", "minimum"):  # ties share equally
        ties = ew.convert(ew.equal(x, y), dtype=x.dtype)
        update_ties = ew.convert(ew.equal(read(y, 0), updates), dtype=x.dtype)
        add = monoid("add", x.dtype)
        count = scatter(ties, indices, update_ties, body=add, **dims)
        share = ct / ew.maximum(count, 1)
        return share * ties, None, read(share, 0) * update_ties
    if is_second(body):
        ct_x = scatter(ct, indices, zeros_like(updates), body=body, **dims)
        return ct_x, None, ew.select(_stays(x, indices, updates, dims), read(ct, 0), 0)
    raise UnsupportedOp("scatter: only the bodies add, maximum, minimum and second have a gradient")


def _stays(x: Node, indices: Node, updates: Node, dims: Mapping[str, Any]) -> Node:
    """Which updates are still there after all were written: the last of those that meet."""
    numbers = iota(shape=(product(updates.shape),), dtype=i32)
    numbers = reshape(numbers, shape=updates.shape)
    written = scatter(full(x.shape, -1, i32), indices, numbers, body=second(i32), **dims)
    return ew.equal(_gather_or(written, indices, updates.shape, -1, **dims), numbers)


def _gather_or(
    x: Node,
    indices: Node,
    updates_shape: Shape,
    fill: Any,
    *,
    update_window_dims: Ints,
    inserted_window_dims: Ints,
    scatter_dims_to_operand_dims: Ints,
    index_vector_dim: int,
) -> Node:
    """The elements of `x` that a scatter writes to, and `fill` for those that it drops."""
    window = _window(len(x.shape), updates_shape, update_window_dims, inserted_window_dims)
    margin: list[Size] = [0] * len(x.shape)  # a box that leaves `x` by any distance is all margin
    for d in scatter_dims_to_operand_dims:
        margin[d] = window[d]
    lows = [-window[d] for d in scatter_dims_to_operand_dims]
    highs = [x.shape[d] for d in scatter_dims_to_operand_dims]
    starts = _clamped(indices, index_vector_dim, lows, highs)
    return gather(
        pad(x, constant(fill, x.dtype), low=margin, high=margin),
        starts - _along_vectors(lows, starts, index_vector_dim),
        offset_dims=update_window_dims,
        collapsed_slice_dims=inserted_window_dims,
        start_index_map=scatter_dims_to_operand_dims,
        index_vector_dim=index_vector_dim,
        slice_sizes=window,
    )


def second(dtype: DType) -> Graph:
    """The scalar graph that gives its second operand: a scatter with it replaces elements."""
    return scalar_graph(lambda old, new: new, dtype, dtype)


def is_second(graph: Graph) -> bool:
    """Whether a scalar graph of two operands gives the second."""
    return len(graph.types) == 2 and graph.outputs == graph.inputs[1:]


def _batch_shape(
    op: str, x: TensorType, indices: TensorType, index_map: Ints, vector_dim: int
) -> Shape:
    """The shape of `indices` without the dim of the index vectors, after checking both."""
    if not indices.dtype.is_integer or not 0 <= vector_dim <= indices.rank:
        raise mismatch(
            op, f"indices are integers, their vectors along dim {vector_dim}", [x, indices]
        )
    length = 1 if vector_dim == indices.rank else indices.shape[vector_dim]
    if length != len(index_map) or len(set(index_map)) != len(index_map):
        raise mismatch(op, f"index vectors of {length} for the dims {index_map}", [x, indices])
    if any(not 0 <= d < x.rank for d in index_map):
        raise mismatch(op, f"the operand has no dims {index_map}", [x, indices])
    return indices.shape[:vector_dim] + indices.shape[vector_dim + 1 :]


def _check_increasing(op: str, x: TensorType, dims: Ints, rank: int) -> None:
    if list(dims) != sorted(set(dims)) or any(not 0 <= d < rank for d in dims):
        raise mismatch(op, f"dims {dims} must increase and lie below {rank}", [x])


def _window(rank: int, updates: Any, update_window_dims: Ints, inserted: Ints) -> tuple[Any, ...]:
    """The size of a scattered box along each dim of the operand."""
    sizes = iter([updates[d] for d in update_window_dims])
    return tuple(1 if d in inserted else next(sizes) for d in range(rank))


def _index_vectors(indices: Array, vector_dim: int) -> Array:
    """The index vectors along the last axis, as int64."""
    if vector_dim == indices.ndim:
        indices = indices[..., None]
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    return np.moveaxis(indices, vector_dim, -1).astype(np.int64)


def _places(starts: Array, index_map: Ints, window: Ints) -> list[Array]:
    """The index along each operand dim of every element of the boxes at `starts`."""
    batch, rank = starts.shape[:-1], len(window)
    places = []
    for d, size in enumerate(window):
        place = np.arange(size).reshape([-1 if i == d else 1 for i in range(rank)])
        if d in index_map:
            start = starts[..., index_map.index(d)]
            place = start.reshape([*batch, *[1] * rank]) + place
        places.append(np.broadcast_to(place, (*batch, *window)))
    return places


def _clamped(indices: Node, vector_dim: int, lows: Sequence[Size], highs: Sequence[Size]) -> Node:
    """Index vectors between `lows` and `highs`, as signed integers."""
    indices = signed_indices(indices)
    low, high = (_along_vectors(ends, indices, vector_dim) for ends in (lows, highs))
    clamped: Node = ew.minimum(ew.maximum(indices, low), high)
    return clamped


def signed_indices(indices: Node) -> Node:
    """The indices as i32 or i64, whichever holds their type; u64 is cut off at the top of i64."""
    dtype = indices.dtype
    if dtype.bits == 64 and dtype.kind == "unsigned":
        indices = ew.minimum(indices, constant((1 << 63) - 1, dtype))
    wide = i64 if dtype.bits + (dtype.kind == "unsigned") > 32 else i32
    return indices if dtype is wide else ew.convert(indices, dtype=wide)


def _along_vectors(sizes: Sequence[Size], indices: Node, vector_dim: int) -> Node:
    """The numbers `sizes` as a tensor like `indices`, one for each entry of the index vectors."""
    if all(isinstance(size, int) for size in sizes):
        numbers = constant(np.array(sizes, indices.dtype.numpy))
    else:
        numbers = stack([size_of(size, indices.dtype) for size in sizes])
    if vector_dim == len(indices.shape):
        return full(indices.shape, reshape(numbers, shape=()))
    return broadcast_in_dim(numbers, shape=indices.shape, axes=(vector_dim,))


@composite
def one_hot(indices: Node, *, depth: int, dtype: DType = f32, axis: int = -1) -> Node:
    """1 where the new dim `axis`, of size `depth`, equals the index, else 0; all 0 if outside."""
    wide = expand_dims(indices, axis)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    if bool_ is indices.dtype or indices.dtype.is_float:
        raise mismatch("one_hot", "takes integer indices", [indices.type])
    signed = signed_indices(broadcast_to(wide, shape))
    return ew.convert(
        ew.equal(iota(shape=shape, dtype=signed.dtype, axis=axis), signed), dtype=dtype
    )


@one_hot.canonical
def _(indices: TensorType, *, depth: int, dtype: Any, axis: int) -> Mapping[str, Any]:
    return {"dtype": dtype_of(dtype), "axis": axis_of("one_hot", axis, indices.rank + 1)}


one_hot.differentiable = False


@composite
def take(x: Node, indices: Node, *, axis: int = 0) -> Node:
    """The slices of `x` at `indices` along `axis`; the dims of `indices` take its place.

    An index outside is moved to the nearest element; a negative one does not count from the back.
    """
    rank, inserted = len(x.shape), len(indices.shape)
    if 0 in indices.shape:  # `x` may have nothing to take along the axis
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        return full(shape, 0, x.dtype)
    after = range(axis + inserted, rank - 1 + inserted)
    return gather(
        x,
        indices,
        offset_dims=(*range(axis), *after),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        index_vector_dim=inserted,
        slice_sizes=(*x.shape[:axis], 1, *x.shape[axis + 1 :]),
    )


@composite
def embedding(table: Node, ids: Node) -> Node:
    """The rows of `table` at `ids`; an id outside is moved to the nearest row."""
    return take(table, ids, axis=0)


@composite
def take_along_axis(x: Node, indices: Node, *, axis: int) -> Node:
    """The elements of `x` at `indices` along `axis`; the other dims of both are equal.

    An index outside is moved to the nearest element.
    """
    rank = len(x.shape)
    others = [
        (m, n) for d, (m, n) in enumerate(zip(x.shape, indices.shape, strict=False)) if d != axis
    ]
    if len(indices.shape) != rank or any(m != n for m, n in others):
        raise mismatch(
            "take_along_axis", f"dims other than {axis} must be equal", [x.type, indices.type]
        )
    if 0 in indices.shape:  # a box of one element would not fit into dims of size 0
        return full(indices.shape, 0, x.dtype)
    return gather(
        x,
        _full_vectors(indices, axis),
        offset_dims=(),
        collapsed_slice_dims=tuple(range(rank)),
        start_index_map=tuple(range(rank)),
        index_vector_dim=rank,
        slice_sizes=(1,) * rank,
    )


@take.canonical
@take_along_axis.canonical
def _(x: TensorType, indices: TensorType, *, axis: int) -> Mapping[str, Any]:
    check_tensors("take", x, indices)
    return {"axis": axis_of("take", axis, x.rank)}


def add_along_axis(x: Node, indices: Node, updates: Node, axis: int) -> Node:
    """`x` with `updates` added at `indices` along `axis`; those outside are dropped."""
    rank = len(x.shape)
    if 0 in indices.shape:
        return x
    return scatter(
        x,
        _full_vectors(indices, axis_of("add_along_axis", axis, rank)),
        updates,
        body=monoid("add", x.dtype),
        update_window_dims=(),
        inserted_window_dims=tuple(range(rank)),
        scatter_dims_to_operand_dims=tuple(range(rank)),
        index_vector_dim=rank,
    )


def _full_vectors(indices: Node, axis: int) -> Node:
    """Index vectors of every dim: each element's own place, but `indices` along `axis`."""
    signed = signed_indices(indices)
    places = [
        signed if d == axis else iota(shape=signed.shape, dtype=signed.dtype, axis=d)
        for d in range(len(signed.shape))
    ]
    return concatenate(*[expand_dims(place, -1) for place in places], axis=-1)
