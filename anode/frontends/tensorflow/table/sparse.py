"""Sparse tensors: the indices (n, rank) and values (n) of elements of a tensor of a given shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.data.transcripts import edit_distance
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.infer import known_sizes
from anode.frontends.tensorflow.opdef import REQUIRED, host, host_kernel, op
from anode.frontends.tensorflow.table.array import ints
from anode.frontends.tensorflow.table.array_shapes import sizes_at
from anode.frontends.tensorflow.table.index import gather_nd, scatter
from anode.ir.node import Node, constant, constant_value
from anode.ops.reduce import monoid

Array = np.ndarray
Sparse = tuple[Array, Array, Array]


def _add(x: Node, indices: Node, values: Node) -> Node:
    return scatter(x, indices, values, monoid("add", x.dtype))


def _product_shape(op: Any) -> list[Any]:
    rows = (known_sizes(op.inputs[2]) or [None, None])[int(op.get_attr("adjoint_a"))]
    b = op.inputs[3].shape
    columns = None if b.ndims is None else b.as_list()[not op.get_attr("adjoint_b")]
    return [[rows, columns]]


@op(
    "SparseTensorDenseMatMul",
    "a_indices:Tindices a_values:T a_shape:int64 b:T -> T",
    shape=_product_shape,
    adjoint_a=False,
    adjoint_b=False,
)
def _(
    a_indices: Node, a_values: Node, a_shape: Node, b: Node, *, adjoint_a: bool, adjoint_b: bool
) -> Node:
    if adjoint_b:
        b = ops.transpose(b)
    to, of = (1, 0) if adjoint_a else (0, 1)
    count, n = a_indices.shape[0], b.shape[1]
    rows = ops.take(b, a_indices[:, of], axis=0)
    scale = ops.broadcast_in_dim(a_values, shape=(count, n), axes=(0,))
    zeros = ops.zeros((ints(a_shape)[to], n), b.dtype)
    return _add(zeros, a_indices[:, to : to + 1], rows * scale)


def _vectors(indices: Any, rank: int) -> Any:
    """Indices as (n, rank), which may be given as a vector or a scalar."""
    return (
        indices.reshape(-1, rank)
        if isinstance(indices, np.ndarray)
        else ops.reshape(indices, shape=(int(indices.tensor.size) // rank, rank))
    )


@op(
    "SparseToDense",
    "sparse_indices:Tindices output_shape:Tindices sparse_values:T default_value:T -> T",
    shape=sizes_at(1),
    validate_indices=True,
)
def _(
    sparse_indices: Node,
    output_shape: Node,
    sparse_values: Node,
    default_value: Node,
    *,
    validate_indices: bool,
) -> Node:
    shape = ints(output_shape)
    places = _vectors(sparse_indices, len(shape))
    values = ops.broadcast_to(sparse_values, places.shape[:1])
    dense = ops.full(shape, default_value)
    zero = constant_value(default_value)
    if validate_indices and values.dtype.is_float and zero is not None and not zero.any():
        # no index is there twice: adding up has the simpler gradient
        return _add(dense, places, values)
    return scatter(dense, places, values, ops.second(values.dtype))


@host_kernel("SparseToDense")
def _(
    sparse_indices: Array,
    output_shape: Array,
    sparse_values: Array,
    default_value: Array,
    *,
    validate_indices: bool,
) -> Array:
    dense = np.full(tuple(output_shape), default_value[()], sparse_values.dtype)
    dense[tuple(_vectors(sparse_indices, dense.ndim).T)] = sparse_values
    return dense


def _reduced(
    indices: Node, values: Node, shape: Sequence[int], axes: Sequence[int], keep_dims: bool
) -> Node:
    rank = len(shape)
    dropped = {axis % rank for axis in axes}
    kept = [d for d in range(rank) if d not in dropped]
    columns = ops.take(indices, constant(np.array(kept, np.int32)), axis=1) if kept else None
    sizes = tuple(shape[d] for d in kept)
    found = ops.sum(values)
    if columns is not None:
        found = _add(ops.zeros(sizes, values.dtype), columns, values)
    if keep_dims:
        found = ops.reshape(found, shape=[1 if d in dropped else n for d, n in enumerate(shape)])
    return found


@op(
    "SparseReduceSum",
    "input_indices:int64 input_values:T input_shape:int64 reduction_axes:int32 -> T",
    keep_dims=False,
)
def _(
    input_indices: Node,
    input_values: Node,
    input_shape: Node,
    reduction_axes: Node,
    *,
    keep_dims: bool,
) -> Node:
    axes = ints(reduction_axes)
    return _reduced(input_indices, input_values, ints(input_shape), axes, keep_dims)


@op("SparseTensorDenseAdd", "a_indices:Tindices a_values:T a_shape:Tindices b:T -> T")
def _(a_indices: Node, a_values: Node, a_shape: Node, b: Node) -> Node:
    return _add(b, a_indices, a_values)


def _dense_at(indices: Node, shape: Node, dense: Node) -> Node:
    """The elements of a dense tensor, broadcast to the shape, at the indices."""
    return gather_nd(ops.broadcast_to(dense, ints(shape)), indices)


for _name, _combine in (("Mul", ops.multiply), ("Div", ops.divide), ("Add", ops.add)):
    op(
        f"SparseDenseCwise{_name}",
        "sp_indices:int64 sp_values:T sp_shape:int64 dense:T -> T",
    )(
        lambda sp_indices, sp_values, sp_shape, dense, combine=_combine: combine(
            sp_values, _dense_at(sp_indices, sp_shape, dense)
        )
    )


# the number of elements of the result depends on data


def _sparse(op: Any) -> list[Any]:
    return _sparse_of(op.inputs[0].shape)


def _sparse_of(indices: Any) -> list[Any]:
    """The shapes of indices, values and shape where only the rank of the tensor is known."""
    rank = None if indices.ndims is None else indices.as_list()[1]
    return [[None, rank], [None], [rank]]


def flat_places(indices: Array, shape: Array) -> Array:
    """The row-major number of each element."""
    if indices.size == 0:
        return np.zeros(len(indices), np.int64)
    return np.ravel_multi_index(tuple(indices.T), tuple(shape)).astype(np.int64)


def _ordered(indices: Array, values: Array, shape: Array) -> Sparse:
    order = np.argsort(flat_places(indices, shape), kind="stable")
    return indices[order], values[order], shape


@host(
    "SparseReorder",
    "input_indices:int64 input_values:T input_shape:int64 -> int64 T",
    shape=lambda op: [op.inputs[0].shape, op.inputs[1].shape],
)
def _(input_indices: Array, input_values: Array, input_shape: Array) -> tuple[Array, Array]:
    return _ordered(input_indices, input_values, input_shape)[:2]


def _reshaped(op: Any) -> list[Any]:
    indices, new = op.inputs[0].shape, op.inputs[2].shape
    count = None if indices.ndims is None else indices.as_list()[0]
    rank = None if new.ndims is None else new.as_list()[0]
    return [[count, rank], [rank]]


@host(
    "SparseReshape",
    "input_indices:int64 input_shape:int64 new_shape:int64 -> int64 int64",
    shape=_reshaped,
)
def _(input_indices: Array, input_shape: Array, new_shape: Array) -> tuple[Array, Array]:
    wanted, total = new_shape.copy(), int(np.prod(input_shape))
    if (wanted == -1).any():
        wanted[wanted == -1] = total // max(int(-np.prod(wanted)), 1)
    if np.prod(wanted) != total:
        raise InvalidArgumentError(
            None,
            None,
            f"Input to reshape is a tensor with {total} dense values, but the "
            f"requested shape has {np.prod(wanted)}",
        )
    places = np.unravel_index(flat_places(input_indices, input_shape), tuple(wanted))
    return np.stack(places, 1).astype(np.int64), wanted


@host(
    "SparseAdd",
    "a_indices:int64 a_values:T a_shape:int64 b_indices:int64 b_values:T b_shape:int64 "
    "thresh:Treal -> int64 T int64",
    shape=_sparse,
)
def _(
    a_indices: Array,
    a_values: Array,
    a_shape: Array,
    b_indices: Array,
    b_values: Array,
    b_shape: Array,
    thresh: Array,
) -> Sparse:
    if tuple(a_shape) != tuple(b_shape):
        raise InvalidArgumentError(
            None, None, f"Operands' shapes do not match: got {list(a_shape)} and {list(b_shape)}"
        )
    places = np.concatenate([flat_places(i, a_shape) for i in (a_indices, b_indices)])
    found, inverse = np.unique(places, return_inverse=True)
    sums = np.zeros(len(found), a_values.dtype)
    np.add.at(sums, inverse, np.concatenate([a_values, b_values]))
    kept = np.abs(sums) >= thresh
    indices = np.stack(np.unravel_index(found[kept], tuple(a_shape)), 1)
    return indices.astype(np.int64), sums[kept], a_shape


@host(
    "SparseSlice",
    "indices:int64 values:T shape:int64 start:int64 size:int64 -> int64 T int64",
    shape=_sparse,
)
def _(indices: Array, values: Array, shape: Array, start: Array, size: Array) -> Sparse:
    end = np.minimum(start + size, shape)
    kept = ((indices >= start) & (indices < end)).all(1)
    return indices[kept] - start, values[kept], np.maximum(end - start, 0)


@host(
    "SparseConcat",
    "indices:N*int64 values:N*T shapes:N*int64 -> int64 T int64",
    shape=_sparse,
    concat_dim=REQUIRED,
)
def _(
    indices: Sequence[Array], values: Sequence[Array], shapes: Sequence[Array], *, concat_dim: int
) -> Sparse:
    axis = concat_dim % len(shapes[0])
    starts = np.cumsum([0, *[s[axis] for s in shapes]])
    shifted = [
        i + start * np.eye(len(shapes[0]), dtype=np.int64)[axis]
        for i, start in zip(indices, starts, strict=False)
    ]
    shape = np.max(np.stack(shapes), 0)
    shape[axis] = starts[-1]
    return _ordered(np.concatenate(shifted), np.concatenate(values), shape)


def _split_shape(op: Any) -> list[Any]:
    return [
        part for part in _sparse_of(op.inputs[1].shape) for _ in range(op.get_attr("num_split"))
    ]


@host(
    "SparseSplit",
    "split_dim:int64 indices:int64 values:T shape:int64 -> num_split*int64 num_split*T "
    "num_split*int64",
    shape=_split_shape,
    num_split=REQUIRED,
)
def _(
    split_dim: Array, indices: Array, values: Array, shape: Array, *, num_split: int
) -> list[Array]:
    axis = int(split_dim)
    sizes = [len(part) for part in np.array_split(np.arange(shape[axis]), num_split)]
    edges = np.cumsum([0, *sizes])
    parts: list[Sparse] = []
    for start, size in zip(edges, sizes, strict=False):
        kept = (indices[:, axis] >= start) & (indices[:, axis] < start + size)
        unit = np.eye(len(shape), dtype=np.int64)[axis]
        parts.append(
            (indices[kept] - start * unit, values[kept], shape + (size - shape[axis]) * unit)
        )
    return [part[i] for i in range(3) for part in parts]


@host(
    "SparseFillEmptyRows",
    "indices:int64 values:T dense_shape:int64 default_value:T -> int64 T bool int64",
    shape=lambda op: (
        [[None, op.inputs[0].shape.as_list()[1]], [None], [None], [None]]
        if op.inputs[0].shape.ndims
        else [None] * 4
    ),
)
def _(
    indices: Array, values: Array, dense_shape: Array, default_value: Array
) -> tuple[Array, Array, Array, Array]:
    rows = int(dense_shape[0])
    empty = ~np.isin(np.arange(rows), indices[:, 0])
    added = np.zeros((int(empty.sum()), indices.shape[1]), np.int64)
    added[:, 0] = np.flatnonzero(empty)
    whole = np.concatenate([indices, added])
    fill = np.full(len(added), default_value[()], values.dtype)
    order = np.argsort(whole[:, 0], kind="stable")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return whole[order], np.concatenate([values, fill])[order], empty, back[: len(indices)]


# edit distance


def _sequences(indices: Array, values: Array, shape: Array) -> dict[tuple[int, ...], list[Any]]:
    """The rows along the last dim, by the place of each among the other dims."""
    found: dict[tuple[int, ...], list[Any]] = {}
    for index, value in zip(indices.tolist(), values.tolist(), strict=True):
        found.setdefault(tuple(index[:-1]), []).append(value)
    return found


def _distance_shape(op: Any) -> list[Any]:
    from anode.frontends.tensorflow.infer import known_value

    shapes = [known_value(op.inputs[i]) for i in (2, 5)]
    known = [s.tolist()[:-1] for s in shapes if s is not None]
    return [np.max(known, 0).tolist() if len(known) == 2 else None]


@host(
    "EditDistance",
    "hypothesis_indices:int64 hypothesis_values:T hypothesis_shape:int64 truth_indices:int64 "
    "truth_values:T truth_shape:int64 -> float32",
    shape=_distance_shape,
    normalize=True,
)
def _(
    hypothesis_indices: Array,
    hypothesis_values: Array,
    hypothesis_shape: Array,
    truth_indices: Array,
    truth_values: Array,
    truth_shape: Array,
    *,
    normalize: bool,
) -> Array:
    found = _sequences(hypothesis_indices, hypothesis_values, hypothesis_shape)
    wanted = _sequences(truth_indices, truth_values, truth_shape)
    result = np.zeros(tuple(np.maximum(hypothesis_shape, truth_shape)[:-1]), np.float32)
    for place in found.keys() | wanted.keys():
        guess, truth = found.get(place, []), wanted.get(place, [])
        distance: float = edit_distance(truth, guess)
        if normalize:
            distance = distance / len(truth) if truth else float("inf") if guess else 0.0
        result[place] = distance
    return result
