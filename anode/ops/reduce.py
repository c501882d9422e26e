"""Ops that combine elements along axes: reductions, running reductions, sorting, arg-reductions."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.ir.dims import product
from anode.ir.dtypes import DType, bool_, dtype_of, i32
from anode.ir.graph import Graph, trace
from anode.ir.node import Node, constant, registry
from anode.ir.types import Size, TensorType, TupleType, Type
from anode.ops import elementwise as ew
from anode.ops.declare import composite, narrow, primitive, widen
from anode.ops.evaluate import map_scalars
from anode.ops.rules import axes_of, axis_of, check_tensors, mismatch
from anode.ops.shape import (
    broadcast_in_dim,
    broadcast_to,
    full,
    iota,
    pad,
    reshape,
    transpose,
    zeros_like,
)

Array = np.ndarray
Ints = tuple[int, ...]
Axis = int | Sequence[int] | None

UFUNCS: dict[str, tuple[np.ufunc, np.ufunc]] = {  # of numbers and of bools
    "add": (np.add, np.logical_or),
    "multiply": (np.multiply, np.logical_and),
    "maximum": (np.maximum, np.logical_or),
    "minimum": (np.minimum, np.logical_and),
    "and": (np.bitwise_and, np.logical_and),
    "or": (np.bitwise_or, np.logical_or),
}


def scalar_graph(function: Callable[..., Any], *dtypes: DType) -> Graph:
    """The closed graph of a function of scalars."""
    return trace(function, *(TensorType(dtype, ()) for dtype in dtypes))


@cache
def monoid(name: str, dtype: DType) -> Graph:
    """The scalar graph of "add", "multiply", "maximum", "minimum", "and" or "or".

    Equal graphs are one object, so a pass may compare by identity.
    """
    if name not in UFUNCS:
        raise UnsupportedOp(f"there is no monoid {name!r}; there are {', '.join(UFUNCS)}")
    return scalar_graph(registry[name], dtype, dtype)


def monoid_of(graph: Graph) -> str | None:
    """The name of the monoid that a scalar graph is, in either order of operands, or None."""
    if len(graph.types) != 2 or len(graph.outputs) != 1:
        return None
    (output,) = graph.outputs
    known = output.op.name in UFUNCS and set(output.args) == set(graph.inputs)
    return output.op.name if known else None


def identity(name: str, dtype: DType) -> Any:
    """The number that leaves every other unchanged under a monoid."""
    if name in ("add", "or", "multiply"):
        return dtype is bool_ if name == "multiply" and dtype is bool_ else int(name == "multiply")
    if name == "and":
        return True if dtype is bool_ else -1 if dtype.kind == "signed" else (1 << dtype.bits) - 1
    return _least(dtype) if name == "maximum" else _greatest(dtype)


def _least(dtype: DType) -> Any:
    if dtype.is_integer:
        return -(1 << (dtype.bits - 1)) if dtype.kind == "signed" else 0
    return False if dtype is bool_ else -math.inf


def _greatest(dtype: DType) -> Any:
    if dtype.is_integer:
        return (1 << (dtype.bits - (dtype.kind == "signed"))) - 1
    return True if dtype is bool_ else math.inf


@primitive
def reduce(*operands: TensorType, body: Graph, axes: Ints) -> Type:
    """Combine the elements along `axes` by `body`, in an order left to the backend.

    Operands are n tensors of one shape, then n scalars to begin with; `body` maps n accumulators
    and n elements to n accumulators. Half types accumulate in f32. Source: StableHLO.
    """
    check_tensors("reduce", *operands)
    n = len(operands) // 2
    xs, inits = operands[:n], operands[n:]
    if len(operands) != 2 * n or n == 0 or builtins.any(x.shape != xs[0].shape for x in xs):
        raise mismatch("reduce", "takes n tensors of one shape and n scalars", operands)
    scalars = tuple(TensorType(x.dtype, ()) for x in xs)
    if inits != scalars or body.types != scalars * 2:
        raise mismatch(
            "reduce", f"the starting values and the body {body.types} take {scalars}", operands
        )
    if tuple(output.type for output in body.outputs) != scalars:
        raise mismatch("reduce", f"the body must give {scalars}", operands)
    kept = [size for axis, size in enumerate(xs[0].shape) if axis not in axes]
    results = tuple(x.with_shape(tuple(kept)) for x in xs)
    return results[0] if n == 1 else TupleType(results)


@reduce.canonical
def _(*operands: TensorType, body: Graph, axes: Axis) -> Mapping[str, Any]:
    check_tensors("reduce", *operands)
    return {"axes": axes_of("reduce", axes, operands[0].rank if operands else 0)}


@reduce.evaluate
def _(*operands: Array, body: Graph, axes: Ints) -> Any:
    n = len(operands) // 2
    xs, inits = operands[:n], operands[n:]
    name = monoid_of(body)
    if name is not None:
        return _reduced(name, xs[0], inits[0], axes)
    rest = [axis for axis in range(xs[0].ndim) if axis not in axes]
    kept = [xs[0].shape[axis] for axis in rest]
    count = math.prod(xs[0].shape[axis] for axis in axes)
    rows = [np.transpose(x, [*axes, *rest]).reshape([count, *kept]) for x in xs]
    values = tuple(np.broadcast_to(init, kept) for init in inits)
    for i in range(count):
        values = map_scalars(body, [*values, *[np.asarray(row[i]) for row in rows]])
    return values[0] if n == 1 else values


def _reduced(name: str, x: Array, init: Array, axes: Ints) -> Array:
    ufunc = UFUNCS[name][x.dtype == np.bool_]
    wide = widen(x)
    with np.errstate(all="ignore"):
        value = ufunc.reduce(wide, axis=axes, dtype=wide.dtype, initial=widen(init)[()])
    return narrow(value, dtype_of(x.dtype))


@reduce.vjp
def _(ct: Any, y: Any, *operands: Node, body: Graph, axes: Ints) -> tuple[Node | None, ...]:
    name = monoid_of(body)
    if len(operands) != 2 or name not in ("add", "multiply", "maximum", "minimum"):
        raise UnsupportedOp(
            "reduce: only the monoids add, multiply, maximum and minimum have a gradient; "
            "write another reduction as a scan"
        )
    x, init = operands
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    wide_ct = broadcast_in_dim(ct, shape=x.shape, axes=kept)
    if name == "add":
        return wide_ct, sum(ct)
    if name == "multiply":
        scale = broadcast_to(init, x.shape)
        others = _product_of_others(x, axes)
        return wide_ct * scale * others, sum(ct * prod(x, axes))
    ties = ew.equal(x, broadcast_in_dim(y, shape=x.shape, axes=kept))
    count = sum(ew.convert(ties, dtype=x.dtype), axes)
    share = broadcast_in_dim(ct / ew.maximum(count, 1), shape=x.shape, axes=kept)
    beyond = ew.equal(count, 0)  # no element reaches the starting value
    return ew.select(ties, share, 0), sum(ew.select(beyond, ct, 0))


def _product_of_others(x: Node, axes: Ints) -> Node:
    """For each element the product of the others along `axes`, without dividing by it."""
    rest = [axis for axis in range(len(x.shape)) if axis not in axes]
    order = (*rest, *axes)
    moved = transpose(x, permutation=order)
    flat = reshape(moved, shape=(*moved.shape[: len(rest)], product(moved.shape[len(rest) :])))
    last = len(rest)
    others = _exclusive(flat, last, reverse=False) * _exclusive(flat, last, reverse=True)
    back = sorted(range(len(order)), key=lambda axis: order[axis])
    return transpose(reshape(others, shape=moved.shape), permutation=back)


def _exclusive(x: Node, axis: int, *, reverse: bool) -> Node:
    """The products of the elements before (after, if reversed) each one along `axis`."""
    running = cumprod(x, axis, reverse=reverse)
    return _shifted(running, 1, axis, reverse=reverse)


def _shifted(x: Node, fill: Any, axis: int, *, reverse: bool) -> Node:
    """`x` moved one place along `axis`, to the back or, reversed, to the front."""
    low, high = [0] * len(x.shape), [0] * len(x.shape)
    low[axis], high[axis] = (-1, 1) if reverse else (1, -1)
    return pad(x, constant(fill, x.dtype), low=low, high=high) if x.shape[axis] != 0 else x


@primitive
def cumulate(x: TensorType, *, body: Graph, axis: int, reverse: bool = False) -> TensorType:
    """The running combination of the elements along `axis`, each included, from either end.

    `body` is an associative scalar graph (accumulator, element); half types accumulate in f32.
    """
    check_tensors("cumulate", x)
    scalar = TensorType(x.dtype, ())
    if body.types != (scalar, scalar) or tuple(o.type for o in body.outputs) != (scalar,):
        raise mismatch("cumulate", f"the body must map two {scalar} to one", [x])
    return x.with_shape(x.shape)


@cumulate.canonical
def _(x: TensorType, *, body: Graph, axis: int, reverse: bool) -> Mapping[str, Any]:
    check_tensors("cumulate", x)
    return {"axis": axis_of("cumulate", axis, x.rank)}


@cumulate.evaluate
def _(x: Array, *, body: Graph, axis: int, reverse: bool) -> Array:
    rows = np.moveaxis(x, axis, 0)
    running = _running(rows[::-1], body)[::-1] if reverse else _running(rows, body)
    return np.moveaxis(running, 0, axis)


def _running(rows: Array, body: Graph) -> Array:
    """The running combination of `rows`, from the first on."""
    name = monoid_of(body)
    if name is not None:
        wide = widen(rows)
        with np.errstate(all="ignore"):
            running = UFUNCS[name][rows.dtype == np.bool_].accumulate(wide, 0, wide.dtype)
        return narrow(running, dtype_of(rows.dtype))
    running = rows.copy()
    for i in range(1, len(rows)):
        running[i, ...] = map_scalars(body, [running[i - 1, ...], rows[i, ...]])[0]
    return running


@cumulate.vjp
def _(ct: Node, y: Node, x: Node, *, body: Graph, axis: int, reverse: bool) -> tuple[Node]:
    name = monoid_of(body)
    if name == "add":
        return (cumulate(ct, body=body, axis=axis, reverse=not reverse),)
    if name == "multiply":
        before = _shifted(y, 1, axis, reverse=reverse)
        return (before * _carried_back(ct, x, axis, reverse),)
    if name in ("maximum", "minimum"):  # the latest of equal elements takes all
        leads = ew.equal(x, y)
        stays = ew.convert(ew.not_(leads), dtype=x.dtype)
        return (ew.select(leads, _carried_back(ct, stays, axis, reverse), 0),)
    if body is logaddexp_graph(x.dtype):
        before = _shifted(y, -math.inf, axis, reverse=reverse)
        weight = ew.select(ew.equal(before, y), 1, ew.exp(before - y))
        share = ew.select(ew.equal(x, y), 1, ew.exp(x - y))
        return (share * _carried_back(ct, weight, axis, reverse),)
    raise UnsupportedOp("cumulate: this body has no gradient; write it as a scan")


def _carried_back(ct: Node, weight: Node, axis: int, reverse: bool) -> Node:
    """s with s[i] = ct[i] + weight[i+1]·s[i+1]: what reaches place i from all later ones."""
    from anode.ops.control import scan

    after = _shifted(weight, 0, axis, reverse=not reverse)
    rank = len(ct.shape)
    front = (axis, *[a for a in range(rank) if a != axis])
    back = (*range(1, axis + 1), 0, *range(axis + 1, rank))
    rows = [transpose(n, permutation=front) for n in (ct, after)]
    start = full(rows[0].shape[1:], 0, ct.dtype)

    def step(total: Node, row: tuple[Node, Node]) -> tuple[Node, Node]:
        total = row[0] + row[1] * total
        return total, total

    return transpose(scan(step, start, tuple(rows), reverse=not reverse)[1], permutation=back)


def logaddexp_graph(dtype: DType) -> Graph:
    """The scalar graph of log(eᵃ + eᵇ), stable, and -inf where both are."""

    def logaddexp(a: Node, b: Node) -> Node:
        larger, gap = ew.maximum(a, b), ew.negate(ew.abs(a - b))
        return ew.select(ew.equal(a, b), a + math.log(2), larger + ew.log1p(ew.exp(gap)))

    return scalar_graph(logaddexp, dtype, dtype)


@primitive
def sort(*xs: TensorType, axis: int = -1, descending: bool = False) -> Type:
    """The operands reordered along `axis` so that the first is sorted; equal elements keep order.

    NaN comes last in either direction; -0 and 0 are equal.
    """
    check_tensors("sort", *xs)
    if not xs or builtins.any(x.shape != xs[0].shape for x in xs):
        raise mismatch("sort", "takes operands of one shape", xs)
    results = tuple(x.with_shape(x.shape) for x in xs)
    return results[0] if len(xs) == 1 else TupleType(results)


@sort.canonical
def _(*xs: TensorType, axis: int, descending: bool) -> Mapping[str, Any]:
    check_tensors("sort", *xs)
    return {"axis": axis_of("sort", axis, xs[0].rank if xs else 0)}


@sort.evaluate
def _(*xs: Array, axis: int, descending: bool) -> Any:
    order = _order(xs[0], axis, descending)
    results = tuple(np.take_along_axis(x, order, axis) for x in xs)
    return results[0] if len(results) == 1 else results


def _order(x: Array, axis: int, descending: bool) -> Array:
    """The stable permutation that sorts `x`, by the ranks of its distinct values."""
    values, ranks = np.unique(widen(x), return_inverse=True)
    ranks = ranks.reshape(x.shape)
    if descending:
        ranks = np.where(np.isnan(values[ranks]), len(values), -ranks) if x.size else ranks
    return np.argsort(ranks, axis=axis, kind="stable")


@sort.vjp
def _(ct: Any, y: Any, *xs: Node, axis: int, descending: bool) -> tuple[Node | None, ...]:
    from anode.ops.index import take_along_axis

    cts = ct if isinstance(ct, tuple) else (ct,)
    inverse = argsort(argsort(xs[0], axis, descending), axis)
    return tuple(None if c is None else take_along_axis(c, inverse, axis=axis) for c in cts)


@primitive
def top_k(x: TensorType, *, k: int) -> TupleType:
    """The `k` largest elements along the last axis, largest first, and their indices (i32).

    Of equal elements the one of lower index comes first; NaN comes last.
    """
    check_tensors("top_k", x)
    if x.rank == 0 or not 0 <= k <= x.shape[-1]:
        raise mismatch("top_k", f"{k} elements of the last axis", [x])
    result = x.with_shape((*x.shape[:-1], k))
    return TupleType((result, result.with_dtype(i32)))


@top_k.evaluate
def _(x: Array, *, k: int) -> tuple[Array, Array]:
    order = _order(x, -1, descending=True)[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


@top_k.vjp
def _(ct: Any, y: Any, x: Node, *, k: int) -> tuple[Node | None]:
    from anode.ops.index import add_along_axis

    return (None if ct[0] is None else add_along_axis(zeros_like(x), y[1], ct[0], axis=-1),)


def argsort(x: Node, axis: int = -1, descending: bool = False) -> Node:
    """The indices (i32) that sort `x` along `axis`, stable."""
    places = iota(shape=x.shape, dtype=i32, axis=axis)
    return sort(x, places, axis=axis, descending=descending).item(1)


@composite
def argmax(x: Node, *, axis: int | None = None, dtype: DType = i32) -> Node:
    """The index of the largest element along `axis` or of all; lowest of ties; NaN wins."""
    return _arg_reduce("argmax", x, axis, dtype, "maximum")


@composite
def argmin(x: Node, *, axis: int | None = None, dtype: DType = i32) -> Node:
    """The index of the smallest element along `axis` or of all; lowest of ties; NaN wins."""
    return _arg_reduce("argmin", x, axis, dtype, "minimum")


argmax.differentiable = argmin.differentiable = False


@argmax.canonical
@argmin.canonical
def _(x: TensorType, *, axis: int | None, dtype: Any) -> Mapping[str, Any]:
    check_tensors("argmax", x)
    return {
        "axis": None if axis is None else axis_of("argmax", axis, x.rank),
        "dtype": dtype_of(dtype),
    }


def _arg_reduce(op: str, x: Node, axis: int | None, dtype: DType, name: str) -> Node:
    if axis is None:
        x, axis = reshape(x, shape=(-1,)) if x.shape else reshape(x, shape=(1,)), 0
    if x.shape[axis] == 0:
        raise mismatch(op, f"axis {axis} has no elements", [x.type])

    starts = constant(identity(name, x.dtype), x.dtype), constant(_greatest(dtype), dtype)
    places = iota(shape=x.shape, dtype=dtype, axis=axis)
    body = extreme_and_place(name, x.dtype, dtype)
    return reduce(x, places, *starts, body=body, axes=(axis,)).item(1)


def extreme_and_place(name: str, dtype: DType, places: DType) -> Graph:
    """The scalar graph of the "maximum" or "minimum" of two elements, with its place (argmax)."""
    better = ew.greater if name == "maximum" else ew.less

    def pick(a: Node, i: Node, b: Node, j: Node) -> tuple[Node, Node]:
        nan_a, nan_b = ew.not_equal(a, a), ew.not_equal(b, b)
        wins = better(b, a) | (nan_b & ~nan_a)
        ties = ew.equal(a, b) | (nan_a & nan_b)
        wins = wins | (ties & ew.less(j, i))
        return ew.select(wins, b, a), ew.select(wins, j, i)

    return scalar_graph(pick, *(dtype, places) * 2)


def commutes(graph: Graph) -> bool:
    """Whether a reduction by this scalar graph may take elements in any order: known ones may."""
    if monoid_of(graph) is not None:
        return True
    dtypes = [type.dtype for type in graph.types if isinstance(type, TensorType)]
    pairs = len(dtypes) == 4 and dtypes[:2] == dtypes[2:] and dtypes[1].is_integer
    names = ("maximum", "minimum") if pairs and dtypes[0] is not bool_ else ()
    return builtins.any(graph is extreme_and_place(name, *dtypes[:2]) for name in names)


def _reduce_by(name: str, x: Node, axis: Axis, keepdims: bool) -> Node:
    axes = axes_of(name, axis, len(x.shape))
    if axes:
        start = constant(identity(name, x.dtype), x.dtype)
        y = reduce(x, start, body=monoid(name, x.dtype), axes=axes)
    else:
        y = x
    if not keepdims:
        return y
    return reshape(y, shape=[1 if a in axes else n for a, n in enumerate(x.shape)])


def sum(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """The sum along `axis`: an int, several, or None for all. Bools are counted in i32."""
    return _reduce_by("add", ew.convert(x, dtype=i32) if x.dtype is bool_ else x, axis, keepdims)


def prod(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """The product along `axis`; bools are multiplied in i32."""
    x = ew.convert(x, dtype=i32) if x.dtype is bool_ else x
    return _reduce_by("multiply", x, axis, keepdims)


def max(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """The largest element along `axis`; NaN if there is one, -inf (the least integer) if none."""
    return _reduce_by("maximum", x, axis, keepdims)


def min(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """The smallest element along `axis`; NaN if there is one, inf (the largest integer) if none."""
    return _reduce_by("minimum", x, axis, keepdims)


def any(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """Whether an element along `axis` is not zero."""
    return _reduce_by("or", _truth(x), axis, keepdims)


def all(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """Whether every element along `axis` is not zero."""
    return _reduce_by("and", _truth(x), axis, keepdims)


def _truth(x: Node) -> Node:
    return x if x.dtype is bool_ else ew.not_equal(x, 0)


def mean(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """The mean along `axis`; of integers and bools in f32. Half types round once, at the end."""
    wide = _wide(x)
    total = sum(wide, axis, keepdims)
    return _as(total / _count(wide, axis), x.dtype)


def var(x: Node, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Node:
    """The mean squared distance from the mean along `axis`, divided by count − `ddof`.

    In two passes, so that a large mean loses nothing. Half types round once, at the end.
    """
    wide = _wide(x)
    distance = wide - mean(wide, axis, keepdims=True)
    total = sum(ew.square(distance), axis, keepdims)
    return _as(total / (_count(wide, axis) - ddof), x.dtype)


def std(x: Node, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Node:
    """The square root of `var`."""
    return _as(ew.sqrt(var(_wide(x), axis, keepdims, ddof)), x.dtype)


def logsumexp(x: Node, axis: Axis = None, keepdims: bool = False) -> Node:
    """log Σ eˣ along `axis` without overflow; -inf where every element is."""
    largest = max(x, axis, keepdims=True)
    shift = ew.stop_gradient(ew.select(ew.is_finite(largest), largest, 0))
    total = ew.log(sum(ew.exp(x - shift), axis, keepdims))
    return total + reshape(shift, shape=total.shape)


def _wide(x: Node) -> Node:
    return _as(x, x.dtype.compute) if x.dtype.is_float else ew.convert(x, dtype="f32")


def _as(x: Node, dtype: DType) -> Node:
    """`x` as a float type; a mean of integers stays as it is."""
    return ew.convert(x, dtype=dtype) if dtype.is_float and dtype is not x.dtype else x


def _count(x: Node, axis: Axis) -> Node:
    """The number of elements along `axis`."""
    axes = axes_of("mean", axis, len(x.shape))
    return size_of(product(tuple(x.shape[a] for a in axes)), x.dtype)


def size_of(size: Size, dtype: DType) -> Node:
    """A size as a scalar; one that is not bound yet is a sum of ones."""
    return constant(size, dtype) if isinstance(size, int) else sum(full((size,), 1, dtype))


def _cumulate_by(name: str, x: Node, axis: int, reverse: bool) -> Node:
    return cumulate(x, body=monoid(name, x.dtype), axis=axis, reverse=reverse)


def cumsum(x: Node, axis: int, reverse: bool = False) -> Node:
    """The running sum along `axis`, each element included."""
    return _cumulate_by("add", x, axis, reverse)


def cumprod(x: Node, axis: int, reverse: bool = False) -> Node:
    """The running product along `axis`."""
    return _cumulate_by("multiply", x, axis, reverse)


def cummax(x: Node, axis: int, reverse: bool = False) -> Node:
    """The running maximum along `axis`."""
    return _cumulate_by("maximum", x, axis, reverse)


def cummin(x: Node, axis: int, reverse: bool = False) -> Node:
    """The running minimum along `axis`."""
    return _cumulate_by("minimum", x, axis, reverse)


def cumlogsumexp(x: Node, axis: int, reverse: bool = False) -> Node:
    """log of the running sum of eˣ along `axis`, without overflow."""
    return cumulate(x, body=logaddexp_graph(x.dtype), axis=axis, reverse=reverse)
