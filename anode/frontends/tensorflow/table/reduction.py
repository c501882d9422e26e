"""Reductions, running reductions, arg-reductions and the ranges of numbers they count over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from anode import ops
from anode.errors import ShapeError
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.opdef import op, static
from anode.frontends.tensorflow.table.math_shapes import reduced, without_axis
from anode.ir.dtypes import DType
from anode.ir.node import Node

Lowering = Callable[..., Any]


def _axes(x: Node, indices: Any) -> tuple[int, ...]:
    """The dims that `reduction_indices`, a number or a vector, names."""
    rank = len(x.shape)
    axes = [int(axis) for axis in static(indices).reshape(-1)]
    if any(not -rank <= axis < rank for axis in axes):
        raise ShapeError(f"Invalid reduction dimension: {axes} for an input of {rank} dims")
    return tuple(sorted({axis % rank for axis in axes}))


def _mean(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """The mean; of integers rounded toward zero."""
    if x.dtype.is_float:
        return ops.mean(x, axes, keepdims)
    count = math.prod(x.tensor.static[axis] for axis in axes)
    return ops.divide(ops.sum(x, axes, keepdims), count)


def _norm(x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    return ops.sqrt(ops.sum(ops.square(x), axes, keepdims))


REDUCTIONS: dict[str, Lowering] = {
    "EuclideanNorm": _norm,
    "Max": ops.max,
    "Mean": _mean,
    "Min": ops.min,
    "Prod": ops.prod,
    "Sum": ops.sum,
}


def _reduction(reduce: Lowering) -> Lowering:
    return lambda input, indices, *, keep_dims: reduce(input, _axes(input, indices), keep_dims)


for _type, _reduce in REDUCTIONS.items():
    op(_type, "input:T reduction_indices:Tidx -> T", shape=reduced, keep_dims=False)(
        _reduction(_reduce)
    )
for _type, _reduce in {"All": ops.all, "Any": ops.any}.items():
    op(_type, "input:bool reduction_indices:Tidx -> bool", shape=reduced, keep_dims=False)(
        _reduction(_reduce)
    )


def _arg_reduction(reduce: Lowering) -> Lowering:
    def lower(input: Node, dimension: Any, *, output_type: DType) -> Node:
        found: Node = reduce(input, axis=int(static(dimension)), dtype=output_type)
        return found

    return lower


for _type, _reduce in {"ArgMax": ops.argmax, "ArgMin": ops.argmin}.items():
    op(_type, "input:T dimension:Tidx -> output_type", shape=without_axis, output_type=tf.int64)(
        _arg_reduction(_reduce)
    )


# running reductions


def _running(cumulate: Lowering, start: float) -> Lowering:
    def lower(x: Node, axis: Any, *, exclusive: bool, reverse: bool) -> Node:
        at = int(static(axis)) % max(len(x.shape), 1)
        running: Node = cumulate(_one_later(x, at, start, reverse) if exclusive else x, at, reverse)
        return running

    return lower


def _one_later(x: Node, axis: int, start: float, reverse: bool) -> Node:
    """`x` moved by one place along `axis`, so that each element sees only those before it."""
    if x.shape[axis] == 0:
        return x
    ahead = [int(i == axis) for i in range(len(x.shape))]
    behind = [-n for n in ahead]
    low, high = (behind, ahead) if reverse else (ahead, behind)
    return ops.pad(x, ops.full((), start, x.dtype), low=low, high=high)


RUNNING: dict[str, tuple[Lowering, float]] = {
    "Cumprod": (ops.cumprod, 1),
    "Cumsum": (ops.cumsum, 0),
    "CumulativeLogsumexp": (ops.cumlogsumexp, -math.inf),
}
for _type, (_cumulate, _start) in RUNNING.items():
    op(_type, "x:T axis:Tidx -> T", shape="same", exclusive=False, reverse=False)(
        _running(_cumulate, _start)
    )


# ranges


def _length(start: Any, limit: Any, delta: Any) -> int:
    """The number of elements of a range; TensorFlow's errors where it has no end."""
    if delta == 0:
        raise ShapeError("Requires delta != 0 of a range")
    if start != limit and (delta > 0) != (limit > start):
        relation = "<=" if delta > 0 else ">="
        raise ShapeError(f"Requires start {relation} limit when delta = {delta}: {start}, {limit}")
    return math.ceil(abs((limit - start) / delta))


@op("Range", "start:Tidx limit:Tidx delta:Tidx -> Tidx")
def _(start: Any, limit: Any, delta: Any) -> Node:
    first, end, step = (static(x)[()] for x in (start, limit, delta))
    wide = float if start.dtype.is_float else int
    count = _length(wide(first), wide(end), wide(step))
    return ops.iota(shape=(count,), dtype=start.dtype) * delta + start


@op("LinSpace", "start:T stop:T num:Tidx -> T")
def _(start: Node, stop: Node, num: Any) -> Node:
    count = int(static(num))
    if count < 1:
        raise ShapeError(f"Requires num > 0 of linspace: {count}")
    step = (stop - start) / max(count - 1, 1)
    inner = ops.iota(shape=(count,), dtype=start.dtype) * step + start
    last = ops.full((1,), stop)
    return ops.concatenate(inner[:-1], last, axis=0) if count > 1 else inner
