"""Ops that read and write at indices: gather, scatter, one-hot, diagonals, reversal, uniqueness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.infer import known_value
from anode.frontends.tensorflow.opdef import REQUIRED, host, host_kernel, op, static
from anode.frontends.tensorflow.table.array import axis_of, ints, number
from anode.ir.dims import product
from anode.ir.graph import Graph
from anode.ir.node import Node, constant
from anode.ops.reduce import monoid

Array = np.ndarray

# gather


def take(params: Node, indices: Node, axis: int, batch_dims: int = 0) -> Node:
    """The slices of `params` at `indices` along `axis`, within each of the first `batch_dims`."""
    b = batch_dims + len(indices.shape) if batch_dims < 0 else batch_dims
    if b == 0:
        return ops.take(params, indices, axis=axis)
    lead, between, after = params.shape[:b], params.shape[b:axis], params.shape[axis + 1 :]
    count, m, k = (product(dims) for dims in (lead, between, after))
    rows = ops.reshape(indices, shape=(count, -1 if indices.tensor.size else 0))
    places = ops.concatenate(
        *[ops.expand_dims(x, -1) for x in (ops.iota(shape=rows.shape, dtype=rows.dtype), rows)],
        axis=-1,
    )
    found = ops.gather(
        ops.reshape(params, shape=(count, m, params.shape[axis], k)),
        places,
        offset_dims=(1, 3),
        collapsed_slice_dims=(0, 2),
        start_index_map=(0, 2),
        index_vector_dim=2,
        slice_sizes=(1, m, 1, k),
    )
    return ops.reshape(found, shape=(*lead, *between, *indices.shape[b:], *after))


@op("GatherV2", "params:Tparams indices:Tindices axis:Taxis -> Tparams", batch_dims=0)
def _(params: Node, indices: Node, axis: Node, *, batch_dims: int, trace: Any, op: Any) -> Node:
    place = axis_of(axis, len(params.shape))
    trace.within(op, indices, params.tensor.static[place])
    return take(params, indices, place, batch_dims)


@op("Gather", "params:Tparams indices:Tindices -> Tparams", validate_indices=True)
def _(params: Node, indices: Node, *, validate_indices: bool, trace: Any, op: Any) -> Node:
    if validate_indices:
        trace.within(op, indices, params.tensor.static[0])
    return take(params, indices, 0)


@op("GatherNd", "params:Tparams indices:Tindices -> Tparams")
def gather_nd(params: Node, indices: Node) -> Node:
    """The slices of `params` at the index vectors along the last dim of `indices`."""
    depth, rank = int(indices.shape[-1]), len(indices.shape) - 1
    rest = params.shape[depth:]
    return ops.gather(
        params,
        indices,
        offset_dims=tuple(range(rank, rank + len(rest))),
        collapsed_slice_dims=tuple(range(depth)),
        start_index_map=tuple(range(depth)),
        index_vector_dim=rank,
        slice_sizes=(*[1] * depth, *rest),
    )


# scatter


def scatter(x: Node, indices: Node, updates: Node, body: Graph) -> Node:
    """`x` with boxes of `updates` combined into it at the vectors along the last dim of indices."""
    depth, rank = int(indices.shape[-1]), len(indices.shape) - 1
    return ops.scatter(
        x,
        indices,
        updates,
        body=body,
        update_window_dims=tuple(range(rank, len(updates.shape))),
        inserted_window_dims=tuple(range(depth)),
        scatter_dims_to_operand_dims=tuple(range(depth)),
        index_vector_dim=rank,
    )


@op("ScatterNd", "indices:Tindices updates:T shape:Tindices -> T")
def _(indices: Node, updates: Node, shape: Node) -> Node:
    zeros = ops.zeros(ints(shape), updates.dtype)
    return scatter(zeros, indices, updates, monoid("add", updates.dtype))


@op("TensorScatterUpdate", "tensor:T indices:Tindices updates:T -> T", shape="same")
def _(tensor: Node, indices: Node, updates: Node) -> Node:
    return scatter(tensor, indices, updates, ops.second(tensor.dtype))


@op("TensorScatterAdd", "tensor:T indices:Tindices updates:T -> T", shape="same")
def _(tensor: Node, indices: Node, updates: Node) -> Node:
    return scatter(tensor, indices, updates, monoid("add", tensor.dtype))


@op("TensorScatterSub", "tensor:T indices:Tindices updates:T -> T", shape="same")
def _(tensor: Node, indices: Node, updates: Node) -> Node:
    return scatter(tensor, indices, -updates, monoid("add", tensor.dtype))


# one-hot and diagonals


@op("OneHot", "indices:TI depth:int32 on_value:T off_value:T -> T", axis=-1)
def _(indices: Node, depth: Node, on_value: Node, off_value: Node, *, axis: int) -> Node:
    on, off, dtype = static(on_value), static(off_value), on_value.dtype
    if dtype.is_float and on == 1 and off == 0:
        return ops.one_hot(indices, depth=number(depth), dtype=dtype, axis=axis)
    chosen = ops.one_hot(indices, depth=number(depth), dtype="bool", axis=axis)
    return ops.select(chosen, on_value, off_value)


def diagonal_matrix(x: Node) -> Node:
    """The last dim of `x` as the diagonal of square matrices, whose other elements are 0."""
    n, rank = int(x.shape[-1]), len(x.shape)
    none = (0,) * rank
    apart = ops.pad(x, constant(0, x.dtype), low=none, high=none, interior=(*none[1:], n))
    return ops.reshape(apart, shape=(*x.shape[:-1], n, n))


def diagonal(x: Node) -> Node:
    """The diagonals of the matrices in the last two dims of `x`."""
    *lead, m, n = x.shape
    if min(m, n) == 0:
        return ops.zeros((*lead, 0), x.dtype)
    none, flat = (0,) * len(lead), ops.reshape(x, shape=(*lead, m * n))
    end = (min(m, n) - 1) * (n + 1) + 1
    steps = (*[1] * len(lead), n + 1)
    return ops.slice(flat, start=(*none, 0), limit=(*lead, end), strides=steps)


@op("Diag", "diagonal:T -> T")
def _(diagonal: Node) -> Node:
    flat = ops.reshape(diagonal, shape=(diagonal.tensor.size,))
    return ops.reshape(diagonal_matrix(flat), shape=diagonal.shape * 2)


@op("DiagPart", "input:T -> T")
def _(input: Node) -> Node:
    shape = input.shape[: len(input.shape) // 2]
    size = product(shape)
    return ops.reshape(diagonal(ops.reshape(input, shape=(size, size))), shape=shape)


op("MatrixDiag", "diagonal:T -> T")(lambda diagonal: diagonal_matrix(diagonal))
op("MatrixDiagPart", "input:T -> T")(lambda input: diagonal(input))


def _offsets(shape: Sequence[Any]) -> Node:
    """Column less row of each element of a matrix."""
    rows, columns = (ops.iota(shape=shape, dtype="i32", axis=axis) for axis in (0, 1))
    return columns - rows


@op("MatrixSetDiag", "input:T diagonal:T -> T", shape="same")
def _(input: Node, diagonal: Node) -> Node:
    *lead, m, n = input.shape
    longer = max(m, n) - min(m, n)
    none = (0,) * len(lead)
    full = ops.pad(diagonal, constant(0, diagonal.dtype), low=(*none, 0), high=(*none, longer))
    along = len(lead) + (n >= m)  # element i lies in row i and column i: one of them is enough
    spread = ops.broadcast_in_dim(full, shape=input.shape, axes=(*range(len(lead)), along))
    on = ops.broadcast_to(ops.equal(_offsets((m, n)), 0), input.shape)
    return ops.select(on, spread, input)


@op("MatrixBandPart", "input:T num_lower:Tindex num_upper:Tindex -> T", shape="same")
def _(input: Node, num_lower: Node, num_upper: Node) -> Node:
    lower, upper = number(num_lower), number(num_upper)
    m, n = input.shape[-2:]
    offset = _offsets((m, n))
    low = constant(-m if lower < 0 else -lower, "i32")
    high = constant(n if upper < 0 else upper, "i32")
    band = ops.and_(ops.greater_equal(offset, low), ops.less_equal(offset, high))
    return ops.select(ops.broadcast_to(band, input.shape), input, 0)


# orders


@op("ReverseV2", "tensor:T axis:Tidx -> T", shape="same")
def _(tensor: Node, axis: Node) -> Node:
    axes = ints(axis)
    return ops.reverse(tensor, axes=axes) if axes else tensor


@op("Reverse", "tensor:T dims:bool -> T", shape="same")
def _(tensor: Node, dims: Node) -> Node:
    axes = tuple(np.flatnonzero(static(dims)).tolist())
    return ops.reverse(tensor, axes=axes) if axes else tensor


@op(
    "ReverseSequence",
    "input:T seq_lengths:Tlen -> T",
    shape="same",
    seq_dim=REQUIRED,
    batch_dim=0,
)
def _(input: Node, seq_lengths: Node, *, seq_dim: int, batch_dim: int) -> Node:
    rank = len(input.shape)
    first = [batch_dim % rank, seq_dim % rank]
    order = [*first, *[d for d in range(rank) if d not in first]]
    moved = ops.transpose(input, permutation=order)
    shape = moved.shape[:2]
    time = ops.iota(shape=shape, dtype=seq_lengths.dtype, axis=1)
    length = ops.broadcast_in_dim(seq_lengths, shape=shape, axes=(0,))
    places = ops.select(time < length, length - 1 - time, time)
    back = sorted(range(rank), key=order.__getitem__)
    return ops.transpose(take(moved, places, 1, 1), permutation=back)


@op("InvertPermutation", "x:T -> T", shape="same")
def _(x: Node) -> Node:
    places = ops.argsort(x)
    return ops.convert(places, dtype=x.dtype)


# pieces chosen by data: what the choice is must be known, so it is computed first


def _unknown_rows(op: Any) -> list[Any]:
    data, partitions = (tensor.shape for tensor in op.inputs)
    count = op.get_attr("num_partitions")
    if data.ndims is None or partitions.ndims is None:
        return [None] * count
    return [[None, *data.as_list()[partitions.ndims :]]] * count


@op(
    "DynamicPartition",
    "data:T partitions:int32 -> num_partitions*T",
    shape=_unknown_rows,
    num_partitions=REQUIRED,
)
def _(data: Node, partitions: Node, *, num_partitions: int) -> tuple[Node, ...]:
    chosen = static(partitions)
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < num_partitions:
        raise ShapeError(f"DynamicPartition: a partition is not in [0, {num_partitions})")
    flat = ops.reshape(data, shape=(chosen.size, *data.shape[chosen.ndim :]))
    return tuple(_rows(flat, np.flatnonzero(chosen == i)) for i in range(num_partitions))


def _rows(x: Node, places: Array) -> Node:
    if places.size == 0:
        return ops.zeros((0, *x.shape[1:]), x.dtype)
    return ops.take(x, constant(places.astype(np.int32)), axis=0)


def _stitch(indices: Sequence[Node], data: Sequence[Node]) -> Node:
    places = [static(node).ravel() for node in indices]
    rows = [
        ops.reshape(x, shape=(place.size, *x.shape[len(node.shape) :]))
        for node, place, x in zip(indices, places, data, strict=True)
    ]
    merged = np.concatenate(places)
    size = int(merged.max()) + 1 if merged.size else 0
    source = np.zeros(size, np.int64)
    source[merged] = np.arange(merged.size)  # of equal indices the last one stays
    return _rows(ops.concatenate(*rows, axis=0) if len(rows) > 1 else rows[0], source)


def _stitched_shape(op: Any) -> list[Any]:
    count = op.get_attr("N")
    indices, data = op.inputs[:count], op.inputs[count:]
    known = [known_value(t) for t in indices]
    size = None
    if all(value is not None for value in known):
        size = max((int(v.max()) + 1 for v in known if v is not None and v.size), default=0)
    ranks = indices[0].shape.ndims, data[0].shape.ndims
    return [None] if None in ranks else [[size, *data[0].shape.as_list()[ranks[0] :]]]


for _type in ("DynamicStitch", "ParallelDynamicStitch"):
    op(_type, "indices:N*int32 data:N*T -> T", shape=_stitched_shape)(_stitch)


# results whose size depends on data


def _where_shape(op: Any) -> list[Any]:
    return [[None, op.inputs[0].shape.ndims]]


@host("Where", "input:T -> int64", shape=_where_shape)
def _(input: Array) -> Array:
    return np.argwhere(input).astype(np.int64)


def unique(x: Array) -> tuple[Array, Array, Array]:
    """The values in the order they first occur, each element's place among them, and counts."""
    seen: dict[Any, int] = {}
    places = np.array([seen.setdefault(value, len(seen)) for value in x.tolist()], np.int64)
    firsts = np.empty(len(seen), x.dtype)
    firsts[:] = list(seen)
    return firsts, places, np.bincount(places, minlength=len(seen))


def _vector_and_places(op: Any) -> list[Any]:
    places = op.inputs[0].shape
    return [[None], places, [None]][: len(op.outputs)]


@host("Unique", "x:T -> T out_idx", shape=_vector_and_places, out_idx=tf.int32)
def _(x: Array, *, out_idx: Any) -> tuple[Array, Array]:
    values, places, _ = unique(x)
    return values, places.astype(out_idx.as_numpy_dtype)


@host("UniqueWithCounts", "x:T -> T out_idx out_idx", shape=_vector_and_places, out_idx=tf.int32)
def _(x: Array, *, out_idx: Any) -> tuple[Array, Array, Array]:
    values, places, counts = unique(x)
    dtype = out_idx.as_numpy_dtype
    return values, places.astype(dtype), counts.astype(dtype)


@host("ListDiff", "x:T y:T -> T out_idx", shape=lambda op: [[None], [None]], out_idx=tf.int32)
def _(x: Array, y: Array, *, out_idx: Any) -> tuple[Array, Array]:
    dropped = set(y.tolist())
    kept = np.array([value not in dropped for value in x.tolist()], bool)
    return x[kept], np.flatnonzero(kept).astype(out_idx.as_numpy_dtype)


def _bound(side: str) -> Callable[..., Array]:
    def search(sorted_inputs: Array, values: Array, *, out_type: Any) -> Array:
        rows = zip(sorted_inputs, values, strict=True)
        found = [np.searchsorted(row, wanted, side) for row, wanted in rows]  # type: ignore[call-overload]
        return np.array(found, out_type.as_numpy_dtype).reshape(values.shape)

    return search


for _type, _side in (("LowerBound", "left"), ("UpperBound", "right")):
    host(
        _type,
        "sorted_inputs:T values:T -> out_type",
        shape=lambda op: [op.inputs[1].shape],
        out_type=tf.int32,
    )(_bound(_side))


# strings


def _gathered(params: Array, indices: Array, axis: Array, *, batch_dims: int) -> Array:
    if batch_dims:
        raise ShapeError("GatherV2: batch_dims of strings is not supported; use 0")
    return _rows_at(params, indices, int(axis))


def _rows_at(params: Array, indices: Array, axis: int = 0) -> Array:
    count = params.shape[axis]
    outside = indices[(indices < 0) | (indices >= count)]
    if outside.size:
        raise InvalidArgumentError(None, None, f"index {outside[0]} is not in [0, {count})")
    return params.take(indices, axis)


def _scattered(tensor: Array, indices: Array, updates: Array) -> Array:
    result = tensor.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


def _partitioned(data: Array, partitions: Array, *, num_partitions: int) -> tuple[Array, ...]:
    return tuple(data[partitions == i] for i in range(num_partitions))


_STRINGS: dict[str, Any] = {
    "GatherV2": _gathered,
    "Gather": lambda params, indices, *, validate_indices: _rows_at(params, indices),
    "GatherNd": lambda params, indices: np.asarray(
        params[tuple(np.moveaxis(indices, -1, 0))], object
    ),
    "TensorScatterUpdate": _scattered,
    "ReverseV2": lambda tensor, axis: np.flip(tensor, tuple(axis)),
    "DynamicPartition": _partitioned,
}
for _name, _kernel in _STRINGS.items():
    host_kernel(_name)(_kernel)
