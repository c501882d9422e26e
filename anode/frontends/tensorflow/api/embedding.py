"""Look-ups of embeddings: rows of one table or of several shards, and combinations of rows."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, clip_ops, index_ops, math_ops
from anode.frontends.tensorflow.api.partitioned_variables import PartitionedVariable
from anode.frontends.tensorflow.dtypes import int32, int64
from anode.frontends.tensorflow.graph import (
    Tensor,
    constant,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export


@export("nn.embedding_lookup", "python.ops.embedding_ops.embedding_lookup")
def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:
    """The rows of `params` at `ids`, each of at most `max_norm`.

    Several params are shards of one table: row i is in shard i mod their number ("mod"), or the
    shards hold contiguous rows ("div").
    """
    shards = shards_of(params)
    with name_scope(name, "embedding_lookup", [*shards, ids]) as scope:
        ids = convert_to_tensor(ids, name="ids")
        if len(shards) == 1:
            rows = index_ops.gather(shards[0], ids, name=scope)
        else:
            tables = [convert_to_tensor(shard) for shard in shards]
            table = array_ops.concat(tables, 0)
            rows = index_ops.gather(table, _place(tables, ids, partition_strategy), name=scope)
        return array_ops.identity(_clipped(rows, ids, max_norm))


def shards_of(params: Any) -> list[Any]:
    """The tables of a list or of a partitioned variable."""
    if params is None or (isinstance(params, (list, tuple)) and not params):
        raise ValueError("Need at least one param")
    return list(params) if isinstance(params, (list, tuple, PartitionedVariable)) else [params]


def _place(tables: list[Tensor], ids: Tensor, strategy: str) -> Tensor:
    """Where ids are in the shards put one below the other."""
    count = len(tables)
    lengths: list[Any] = [t.shape.as_list()[0] if t.shape.ndims else None for t in tables]
    if None in lengths:
        raise ValueError("embedding_lookup: the first size of every shard must be known")
    if strategy == "mod":
        firsts = [sum(lengths[:i]) for i in range(count)]
        first = index_ops.gather(constant(firsts, dtype=ids.dtype), ids % count)
        place: Tensor = first + ids // count
        return place
    if strategy != "div":
        raise ValueError(f"Unrecognized partition strategy: {strategy}")
    total = sum(lengths)
    expected = [total // count + (i < total % count) for i in range(count)]
    if lengths != expected:
        raise ValueError(f"'div' shards of {total} rows have {expected} rows, not {lengths}")
    return ids


def _clipped(rows: Tensor, ids: Tensor, max_norm: Any) -> Tensor:
    if max_norm is None:
        return rows
    if rows.shape.ndims is None or ids.shape.ndims is None:
        raise ValueError("embedding_lookup: max_norm needs ids and params of known rank")
    axes = list(range(ids.shape.ndims, rows.shape.ndims))
    clipped: Tensor = clip_ops.clip_by_norm(rows, max_norm, axes=axes or None)
    return clipped


# combinations of rows

_COMBINERS = ("mean", "sqrtn", "sum")


@export("nn.embedding_lookup_sparse")
def embedding_lookup_sparse(
    params: Any,
    sp_ids: Any,
    sp_weights: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    combiner: str | None = None,
    max_norm: Any = None,
) -> Tensor:
    """The sum, mean or sum / √(Σ weights²) of the embeddings of each row of ids."""
    combiner = _checked(sp_ids, sp_weights, combiner or "mean")
    with name_scope(name, "embedding_lookup_sparse", [*shards_of(params), sp_ids]) as scope:
        segments = math_ops.cast(sp_ids.indices[:, 0], int32)
        rows = embedding_lookup(params, sp_ids.values, partition_strategy, max_norm=max_norm)
        weights = None if sp_weights is None else sp_weights.values
        return _combined(rows, weights, segments, combiner, scope)


def _checked(sp_ids: Any, sp_weights: Any, combiner: str) -> str:
    if combiner not in _COMBINERS:
        raise ValueError("combiner must be one of 'mean', 'sqrtn' or 'sum'")
    for value in (sp_ids, sp_weights):
        if value is not None and not hasattr(value, "dense_shape"):
            raise TypeError(f"sp_ids and sp_weights must be SparseTensors, not {value!r}")
    return combiner


def _combined(
    rows: Tensor, weights: Any, segments: Tensor, combiner: str, scope: str | None
) -> Tensor:
    if weights is None:
        weights = array_ops.ones_like(segments, dtype=rows.dtype)
    weights = math_ops.cast(weights, rows.dtype)
    rank = rows.shape.ndims or 2
    weights = array_ops.reshape(weights, [-1] + [1] * (rank - 1))
    if combiner == "sum":
        total: Tensor = math_ops.segment_sum(rows * weights, segments, name=scope)
        return total
    total = math_ops.segment_sum(rows * weights, segments)
    if combiner == "mean":
        divisor = math_ops.segment_sum(weights, segments)
    else:
        divisor = math_ops.sqrt(math_ops.segment_sum(math_ops.square(weights), segments))
    combined: Tensor = math_ops.div_no_nan(total, divisor, name=scope)
    return combined


def _safe(
    embedding_weights: Any,
    sparse_ids: Any,
    sparse_weights: Any,
    combiner: str,
    default_id: int | None,
    name: str | None,
    partition_strategy: str,
    max_norm: Any,
) -> Tensor:
    """Each row's embedding; ids below 0 and weights not above 0 do not count.

    An empty row has the embedding of `default_id`, or zeros.
    """
    combiner = _checked(sparse_ids, sparse_weights, combiner)
    shards = shards_of(embedding_weights)
    with name_scope(name, "embedding_lookup", [*shards, sparse_ids, sparse_weights]):
        shape = math_ops.cast(sparse_ids.dense_shape, int64)
        outer = shape[:-1]
        ids = sparse_ids.values
        valid = math_ops.greater_equal(ids, 0)
        weights = None if sparse_weights is None else sparse_weights.values
        if weights is not None and combiner != "sum":
            valid = math_ops.logical_and(valid, math_ops.greater(weights, 0))
        rows = embedding_lookup(
            embedding_weights, math_ops.maximum(ids, 0), partition_strategy, max_norm=max_norm
        )
        scale = math_ops.cast(valid, rows.dtype)
        scale = scale if weights is None else scale * math_ops.cast(weights, rows.dtype)
        strides = math_ops.cumprod(outer, exclusive=True, reverse=True)
        segments = math_ops.reduce_sum(sparse_ids.indices[:, :-1] * strides, 1)
        count = math_ops.reduce_prod(outer)
        result = _unsorted(rows, scale, segments, count, combiner)
        known = math_ops.unsorted_segment_sum(math_ops.cast(valid, int32), segments, count)
        default = array_ops.zeros_like(result[:1])
        if default_id is not None:
            default = embedding_lookup(
                embedding_weights, [default_id], partition_strategy, max_norm=max_norm
            )
        some = math_ops.cast(array_ops.expand_dims(math_ops.greater(known, 0), 1), rows.dtype)
        result = result * some + default * (1 - some)
        width = array_ops.shape(result)[1:]
        return array_ops.reshape(result, array_ops.concat([math_ops.cast(outer, int32), width], 0))


def _unsorted(rows: Tensor, scale: Tensor, segments: Tensor, count: Tensor, combiner: str) -> Any:
    column = array_ops.expand_dims(scale, 1)
    total = math_ops.unsorted_segment_sum(rows * column, segments, count)
    if combiner == "sum":
        return total
    if combiner == "mean":
        return math_ops.div_no_nan(total, math_ops.unsorted_segment_sum(column, segments, count))
    squares = math_ops.unsorted_segment_sum(math_ops.square(column), segments, count)
    return math_ops.div_no_nan(total, math_ops.sqrt(squares))


@export("nn.safe_embedding_lookup_sparse")
def safe_embedding_lookup_sparse(
    embedding_weights: Any,
    sparse_ids: Any,
    sparse_weights: Any = None,
    combiner: str = "mean",
    default_id: int | None = None,
    name: str | None = None,
    partition_strategy: str = "div",
    max_norm: Any = None,
) -> Tensor:
    """`embedding_lookup_sparse` that drops invalid ids and has a row for empty ones."""
    rest = (combiner, default_id, name, partition_strategy, max_norm)
    return _safe(embedding_weights, sparse_ids, sparse_weights, *rest)


@export("contrib.layers.safe_embedding_lookup_sparse")
def contrib_safe_embedding_lookup_sparse(
    embedding_weights: Any,
    sparse_ids: Any,
    sparse_weights: Any = None,
    combiner: str | None = None,
    default_id: int | None = None,
    name: str | None = None,
    partition_strategy: str = "div",
    max_norm: Any = None,
) -> Tensor:
    """`tf.nn.safe_embedding_lookup_sparse`; the combiner is "mean" by default."""
    rest = (combiner or "mean", default_id, name, partition_strategy, max_norm)
    return _safe(embedding_weights, sparse_ids, sparse_weights, *rest)
