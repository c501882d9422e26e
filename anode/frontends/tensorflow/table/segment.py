"""Reductions of rows by the number of their segment, and counts, which are sums of ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.opdef import op, static
from anode.ir.dtypes import DType, i32
from anode.ir.node import Node, constant
from anode.ops.reduce import identity, monoid

Lowering = Callable[..., Node]


def _scattered(name: str, data: Node, ids: Node, count: int, start: float) -> Node:
    """`count` rows, each the combination of the rows of `data` of its number, from `start` on."""
    batch = len(ids.shape)
    if data.shape[:batch] != ids.shape:
        raise ShapeError(f"segments: data {data.type} must begin with the dims of ids {ids.type}")
    rows = data.shape[batch:]
    flat = ops.reshape(data, shape=(ids.tensor.size, *rows))
    return ops.scatter(
        ops.full((count, *rows), start, data.dtype),
        ops.reshape(ids, shape=(-1,)),
        flat,
        body=monoid(name, data.dtype),
        update_window_dims=tuple(range(1, len(rows) + 1)),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
    )


def _combined(name: str) -> Callable[[Node, Node, int], Node]:
    """The combination of rows by a monoid; a segment without rows has its neutral element."""
    return lambda data, ids, count: _scattered(
        name, data, ids, count, _lowest(name, identity(name, data.dtype), data.dtype)
    )


def _lowest(name: str, neutral: Any, dtype: DType) -> Any:
    """TensorFlow's neutral element: of floats the least finite number instead of -inf."""
    if not dtype.is_float or name not in ("maximum", "minimum"):
        return neutral
    most = {"f64": np.finfo(np.float64).max, "f16": 65504.0}.get(dtype.name, _F32_MOST)
    return -most if name == "maximum" else most


_F32_MOST = float(np.finfo(np.float32).max)
_sum, _product = _combined("add"), _combined("multiply")
_most, _least = _combined("maximum"), _combined("minimum")


def _sizes(data: Node, ids: Node, count: int) -> Node:
    """The number of rows of each segment, at least 1, to divide the results by."""
    ones = ops.full(ids.shape, 1, data.dtype)
    sizes = ops.maximum(_sum(ones, ids, count), 1)
    rank = len(data.shape) - len(ids.shape)
    return ops.reshape(sizes, shape=(count, *[1] * rank))


def _mean(data: Node, ids: Node, count: int) -> Node:
    return _sum(data, ids, count) / _sizes(data, ids, count)


def _root_mean(data: Node, ids: Node, count: int) -> Node:
    return _sum(data, ids, count) / ops.sqrt(_sizes(data, ids, count))


def _zero_if_empty(combine: Callable[[Node, Node, int], Node]) -> Callable[[Node, Node, int], Node]:
    def filled(data: Node, ids: Node, count: int) -> Node:
        rows = _sum(ops.full(ids.shape, 1, i32), ids, count)
        empty = ops.equal(ops.reshape(rows, shape=(count, *[1] * (len(data.shape) - 1))), 0)
        return ops.select(empty, 0, combine(data, ids, count))

    return filled


SORTED = {
    "SegmentMax": _zero_if_empty(_most),
    "SegmentMean": _mean,
    "SegmentMin": _zero_if_empty(_least),
    "SegmentProd": _product,
    "SegmentSum": _sum,
}
UNSORTED = {
    "UnsortedSegmentMax": _most,
    "UnsortedSegmentMin": _least,
    "UnsortedSegmentProd": _product,
    "UnsortedSegmentSum": _sum,
}
SPARSE = {
    "SparseSegmentMean": _mean,
    "SparseSegmentSqrtN": _root_mean,
    "SparseSegmentSum": _sum,
}


def _count(ids: Any) -> int:
    """The number of sorted segments, which the last id says: the ids must be known."""
    known = static(ids)
    if known.ndim != 1 or (np.diff(known) < 0).any():
        raise ShapeError("segment ids must be a vector that does not decrease")
    return int(known[-1]) + 1 if known.size else 0


def _sorted(combine: Callable[[Node, Node, int], Node]) -> Lowering:
    return lambda data, ids: combine(data, ids, _count(ids))


def _unsorted(combine: Callable[[Node, Node, int], Node]) -> Lowering:
    return lambda data, ids, count: combine(data, ids, int(static(count)))


def _sparse(combine: Callable[[Node, Node, int], Node]) -> Lowering:
    return lambda data, rows, ids: combine(ops.take(data, rows), ids, _count(ids))


def _sparse_counted(combine: Callable[[Node, Node, int], Node]) -> Lowering:
    return lambda data, rows, ids, count: combine(ops.take(data, rows), ids, int(static(count)))


for _type, _combine in SORTED.items():
    op(_type, "data:T segment_ids:Tindices -> T")(_sorted(_combine))
for _type, _combine in UNSORTED.items():
    _ids = "segment_ids:Tindices num_segments:Tnumsegments"
    op(_type, f"data:T {_ids} -> T")(_unsorted(_combine))
for _type, _combine in SPARSE.items():
    _ids = "indices:Tidx segment_ids:Tsegmentids"
    op(_type, f"data:T {_ids} -> T")(_sparse(_combine))
    op(f"{_type}WithNumSegments", f"data:T {_ids} num_segments:Tnumsegments -> T")(
        _sparse_counted(_combine)
    )


# counts


@op("Bincount", "arr:int32 size:int32 weights:T -> T")
def _(arr: Node, size: Any, weights: Node) -> Node:
    flat = ops.reshape(arr, shape=(-1,))
    if weights.shape == (0,):
        weights = ops.full(flat.shape, 1, weights.dtype)
    return _sum(ops.reshape(weights, shape=(-1,)), flat, int(static(size)))


@op("HistogramFixedWidth", "values:T value_range:T nbins:int32 -> dtype", dtype=tf.int32)
def _(values: Node, value_range: Node, nbins: Any, *, dtype: DType) -> Node:
    count = int(static(nbins))
    if count < 1:
        raise UnsupportedOp(f"HistogramFixedWidth: nbins must be positive, not {count}")
    wide = ops.convert(ops.reshape(values, shape=(-1,)), dtype="f64")
    low, high = (ops.convert(value_range[i], dtype="f64") for i in (0, 1))
    scaled = ops.floor((wide - low) / (high - low) * count)
    bins = ops.convert(ops.clamp(constant(0.0, "f64"), scaled, count - 1.0), dtype=i32)
    return _sum(ops.full(bins.shape, 1, dtype), bins, count)
