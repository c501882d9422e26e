"""Identities of ops that move elements, and of reductions.

Three normal forms serve the passes after: a broadcast's operand has no dim of size 1; elementwise
ops come before a broadcast, where there are fewer elements; and before a reshape, so that what is
done to a product's result can be done while its tiles are stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from anode.ir.dtypes import bool_
from anode.ir.node import Node
from anode.ir.op import Op
from anode.ir.types import Shape, Size
from anode.ops.declare import Elementwise
from anode.ops.reduce import identity, monoid_of, reduce
from anode.ops.shape import (
    broadcast_in_dim,
    concatenate,
    full,
    pad,
    reshape,
    reshaped,
    reverse,
    slice,
    squeeze,
    transpose,
)
from anode.rewrite.pattern import CONSTANTS, Family, P, number, number_of, rule, scalar_of, var

x, y = var("x"), var("y")
c = number("c")
Ints = tuple[int, ...]


# reshape and transpose


@rule(P.reshape(x))
def reshape_to_same(node: Node, x: Node) -> Node | None:
    """A reshape to the same shape"""
    return x if x.shape == node.shape else None


@rule(P.reshape(P.reshape(x)))
def reshape_twice(node: Node, x: Node) -> Node:
    """Two reshapes are one"""
    return reshape(x, shape=node.shape)


@rule(P.transpose(P.transpose(x, permutation=var("inner")), permutation=var("outer")))
def transpose_twice(x: Node, inner: Ints, outer: Ints) -> Node:
    """Two transposes are one"""
    return transpose(x, permutation=tuple(inner[axis] for axis in outer))


@rule(P.transpose(x, permutation=var("order")))
def transpose_of_ones(node: Node, x: Node, order: Ints) -> Node | None:
    """A transpose that only moves dims of size 1 is a reshape"""
    wide = [axis for axis in order if x.shape[axis] != 1]
    return reshaped(x, node.shape) if wide == sorted(wide) else None


@rule(P.transpose(P.broadcast_in_dim(x, axes=var("axes")), permutation=var("order")))
def transpose_of_broadcast(node: Node, x: Node, axes: Ints, order: Ints) -> Node:
    """Transpose the operand of a broadcast, where there are fewer elements"""
    placed = sorted(range(len(axes)), key=lambda i: order.index(axes[i]))
    moved = transpose(x, permutation=placed) if placed != list(range(len(axes))) else x
    return broadcast_in_dim(
        moved, shape=node.shape, axes=tuple(order.index(axes[i]) for i in placed)
    )


# broadcast


@rule(P.broadcast_in_dim(x))
def broadcast_to_same(node: Node, x: Node) -> Node | None:
    """A broadcast that repeats nothing is a reshape; a number of any shape stays a broadcast"""
    if x.tensor.size != node.tensor.size or (node.shape and scalar_of(node) is not None):
        return None
    return reshaped(x, node.shape)


@rule(P.broadcast_in_dim(P.broadcast_in_dim(x, axes=var("inner")), axes=var("outer")))
def broadcast_twice(node: Node, x: Node, inner: Ints, outer: Ints) -> Node:
    """Two broadcasts are one"""
    return broadcast_in_dim(x, shape=node.shape, axes=tuple(outer[axis] for axis in inner))


@rule(P.broadcast_in_dim(x, axes=var("axes")))
def broadcast_of_ones(node: Node, x: Node, axes: Ints) -> Node | None:
    """A broadcast's operand needs no dims of size 1"""
    if 1 not in x.shape:
        return None
    kept = tuple(axis for axis, size in zip(axes, x.shape, strict=True) if size != 1)
    return broadcast_in_dim(squeeze(x), shape=node.shape, axes=kept)


@rule(P.reshape(P.broadcast_in_dim(...).named("wide")))
def reshape_of_broadcast(node: Node, wide: Node) -> Node | None:
    """A reshape that keeps a broadcast's repeated dims apart is another broadcast"""
    return rebroadcast(wide, node.shape)


def rebroadcast(node: Node, shape: Shape) -> Node | None:
    """The elements of a broadcast under another shape as a broadcast; None where they are none.

    Dims that the reshape merges or splits must be all repeated, or none.
    """
    x = node.args[0]
    axes = dict(zip(node.attrs["axes"], x.shape, strict=True))
    if 1 in x.shape or not node.tensor.is_static or 0 in shape:
        return None
    inner: list[Any] = []
    placed: list[int] = []
    for old, new in dim_groups(node.shape, shape):
        mine = [axis in axes for axis in old if node.shape[axis] != 1]
        if any(mine) and not all(mine):
            return None
        if any(mine):
            placed += [axis for axis in new if shape[axis] != 1]
            inner += [shape[axis] for axis in new if shape[axis] != 1]
    return broadcast_in_dim(reshaped(x, tuple(inner)), shape=shape, axes=tuple(placed))


def dim_groups(old: Shape, new: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of dims of two shapes, of equal size, that have as many elements."""
    i = j = 0
    while i < len(old) or j < len(new):
        mine: list[int] = []
        yours: list[int] = []
        a: Size = 1
        b: Size = 1
        while a != b or not (mine or yours):
            if (a <= b and i < len(old)) or j == len(new):
                mine.append(i)
                a, i = a * old[i], i + 1
            else:
                yours.append(j)
                b, j = b * new[j], j + 1
        yield mine, yours


# elementwise ops under movement


def _is_elementwise(op: Op) -> bool:
    return isinstance(op, Elementwise)


@rule(Family(_is_elementwise, every=CONSTANTS, some=frozenset(["broadcast_in_dim"])))
def before_broadcast(node: Node) -> Node | None:
    """Compute before repeating: f(broadcast(x), broadcast(y)) = broadcast(f(x, y))"""
    wide = next((arg for arg in node.args if scalar_of(arg) is None), None)
    if wide is None or wide.op is not broadcast_in_dim:
        return None
    narrow = wide.args[0].shape
    args = [_narrowed(arg, narrow, wide.attrs["axes"]) for arg in node.args]
    if None in args:
        return None
    made = node.op(*args, **node.attrs)
    return broadcast_in_dim(made, shape=node.shape, axes=wide.attrs["axes"])


def _narrowed(arg: Node, shape: Shape, axes: Ints) -> Node | None:
    """The operand of a broadcast from `shape` along `axes`, or a number in that shape."""
    scalar = scalar_of(arg)
    if scalar is not None:
        return full(shape, scalar)
    same = arg.op is broadcast_in_dim and arg.attrs["axes"] == axes
    return arg.args[0] if same and arg.args[0].shape == shape else None


@rule(Family(_is_elementwise, every=CONSTANTS | {"reshape"}, some=frozenset(["reshape"])))
def before_reshape(node: Node) -> Node | None:
    """Compute before reshaping: f(reshape(x), reshape(y)) = reshape(f(x, y))"""
    if not node.shape:
        return None  # scalars stay scalars
    shape = next(arg.args[0].shape for arg in node.args if arg.op is reshape)
    args = [_reshaped_back(arg, shape) for arg in node.args]
    if None in args:
        return None
    return reshape(node.op(*args, **node.attrs), shape=node.shape)


def _reshaped_back(arg: Node, shape: Shape) -> Node | None:
    """What gives `arg` when it is reshaped from `shape`, if that costs nothing."""
    scalar = scalar_of(arg)
    if scalar is not None:
        return full(shape, scalar)
    if arg.op is reshape:
        return arg.args[0] if arg.args[0].shape == shape else None
    return rebroadcast(arg, shape) if arg.op is broadcast_in_dim else None


# slice, pad, concatenate, reverse


@rule(P.slice(x))
def slice_of_all(node: Node, x: Node) -> Node | None:
    """A slice of everything"""
    return x if x.shape == node.shape else None


@rule(P.slice(P.slice(...).named("inner")))
def slice_twice(node: Node, inner: Node) -> Node:
    """Two slices are one"""
    if 0 in node.shape:
        return full(node.shape, 0, node.dtype)
    a, b = inner.attrs, node.attrs
    start = [s + t * k for s, t, k in zip(a["start"], b["start"], a["strides"], strict=True)]
    strides = [k * m for k, m in zip(a["strides"], b["strides"], strict=True)]
    steps = zip(start, node.shape, strides, strict=True)
    limit = [s + (n - 1) * k + 1 for s, n, k in steps]
    return slice(inner.args[0], start=start, limit=limit, strides=strides)


@rule(P.slice(P.concatenate(...).named("whole")))
def slice_of_part(node: Node, whole: Node) -> Node | None:
    """A slice that lies in one part of a concatenation is a slice of that part"""
    axis, begin = whole.attrs["axis"], 0
    start, limit = list(node.attrs["start"]), list(node.attrs["limit"])
    for part in whole.args:
        end = begin + part.shape[axis]
        if begin <= start[axis] and limit[axis] <= end:
            start[axis], limit[axis] = start[axis] - begin, limit[axis] - begin
            return slice(part, start=start, limit=limit, strides=node.attrs["strides"])
        begin = end
    return None


@rule(P.dynamic_slice(x, c, ...))
def slice_at_constant(node: Node, x: Node) -> Node | None:
    """A dynamic slice at constant starts is a slice"""
    starts = node.args[1:]
    if any(scalar_of(start) is None for start in starts):
        return None
    sizes = node.tensor.static
    most = [whole - size for whole, size in zip(x.tensor.static, sizes, strict=True)]
    low = [min(max(int(number_of(n)), 0), last) for n, last in zip(starts, most, strict=True)]
    limit = [begin + size for begin, size in zip(low, sizes, strict=True)]
    return slice(x, start=low, limit=limit)


@rule(P.dynamic_slice(x, ...), P.dynamic_update_slice(y, x, ...))
def box_of_all(node: Node, x: Node) -> Node | None:
    """A dynamic slice, or its update, of everything"""
    return x if x.shape == node.shape else None


@rule(P.pad(x, ...))
def pad_by_nothing(node: Node, x: Node) -> Node | None:
    """A pad by nothing"""
    widths = (*node.attrs["low"], *node.attrs["high"], *node.attrs["interior"])
    return None if any(widths) else x


@rule(P.add(x, P.pad(...)))
def sum_of_pads(node: Node, x: Node) -> Node | None:
    """A sum of parts in zeros that lie side by side is the concatenation of the parts"""
    places = [_place(term) for term in _terms(node)]
    known = [place for place in places if place is not None]
    axes = {axis for axis, _, _ in known}
    if len(known) < len(places) or len(axes) != 1:
        return None
    (axis,) = axes
    parts = sorted(known, key=lambda place: place[1])
    end = 0
    for _, low, part in parts:
        if low != end:
            return None
        end += part.tensor.static[axis]
    if end != node.tensor.static[axis]:
        return None
    return concatenate(*[part for _, _, part in parts], axis=axis)


def _terms(node: Node) -> list[Node]:
    """What a chain of additions adds up."""
    found: list[Node] = []
    stack = [node]
    while stack:
        term = stack.pop()
        if term.op is node.op:
            stack += reversed(term.args)
        else:
            found.append(term)
    return found


def _place(term: Node) -> tuple[int, int, Node] | None:
    """Along which axis, and where, a part lies in zeros; None for anything else."""
    if term.op is not pad or any(term.attrs["interior"]):
        return None
    if scalar_of(term.args[1]) is None or number_of(term.args[1]) != 0:
        return None
    low, high = term.attrs["low"], term.attrs["high"]
    axes = [axis for axis, widths in enumerate(zip(low, high, strict=True)) if any(widths)]
    if len(axes) != 1 or min(*low, *high) < 0:
        return None
    return axes[0], low[axes[0]], term.args[0]


@rule(P.concatenate(x))
def concatenate_one(x: Node) -> Node:
    """The concatenation of one operand"""
    return x


@rule(P.concatenate(...))
def concatenate_empty(node: Node) -> Node | None:
    """Empty operands add nothing to a concatenation"""
    kept = [arg for arg in node.args if arg.shape[node.attrs["axis"]] != 0]
    if len(kept) == len(node.args) or not kept:
        return None
    return concatenate(*kept, axis=node.attrs["axis"])


@rule(P.reverse(x, axes=var("axes")))
def reverse_of_ones(x: Node, axes: Ints) -> Node | None:
    """A dim of size 1 is its own reverse"""
    wide = tuple(axis for axis in axes if x.shape[axis] != 1)
    if wide == axes:
        return None if axes else x
    return reverse(x, axes=wide)


@rule(P.reverse(P.reverse(x, axes=var("axes")), axes=var("axes")))
def reverse_twice(x: Node) -> Node:
    """A reverse undoes a reverse"""
    return x


@rule(P.iota())
def iota_of_one(node: Node) -> Node | None:
    """The numbers along a dim of size 1 are zeros"""
    one = node.shape[node.attrs["axis"]] == 1
    return full(node.shape, 0, node.dtype) if one else None


# reductions


@rule(P.reduce(x, c))
def reduce_of_ones(node: Node, x: Node, c: Node) -> Node | None:
    """A reduction over dims of size 1 is a reshape"""
    ones = all(x.shape[axis] == 1 for axis in node.attrs["axes"])
    return reshaped(x, node.shape) if ones and _is_neutral(node, c) else None


@rule(P.reduce(P.reduce(x, c, body=var("body"), axes=var("inner")), c, body=var("body")))
def reduce_twice(node: Node, x: Node, c: Node, inner: Ints) -> Node | None:
    """Two reductions by one monoid are one"""
    if not _is_neutral(node, c):
        return None
    rest = [axis for axis in range(len(x.shape)) if axis not in inner]
    outer = tuple(rest[axis] for axis in node.attrs["axes"])
    return reduce(x, c, body=node.attrs["body"], axes=tuple(sorted((*inner, *outer))))


@rule(P.reduce(number("x"), c))
def reduce_of_number(node: Node, x: Node, c: Node) -> Node | None:
    """The reduction of a number repeated: n·x for sums, else x"""
    body, sizes = monoid_of(node.attrs["body"]), x.tensor.static
    count = math.prod(sizes[axis] for axis in node.attrs["axes"])
    if not count or body == "multiply" or not _is_neutral(node, c):
        return None
    value = number_of(x)
    if body == "add" and x.dtype is not bool_:
        value = value * count
    if not x.dtype.is_float and not x.dtype.least <= value <= x.dtype.most:
        return None
    return full(node.shape, value, x.dtype)


def _is_neutral(node: Node, start: Node) -> bool:
    """Whether a reduction begins with its monoid's identity."""
    name = monoid_of(node.attrs["body"])
    return name is not None and number_of(start) == identity(name, start.dtype)


RULES = (
    reshape_to_same,
    reshape_twice,
    transpose_twice,
    transpose_of_ones,
    transpose_of_broadcast,
    broadcast_to_same,
    broadcast_twice,
    broadcast_of_ones,
    reshape_of_broadcast,
    before_broadcast,
    before_reshape,
    slice_of_all,
    slice_twice,
    slice_of_part,
    slice_at_constant,
    box_of_all,
    pad_by_nothing,
    sum_of_pads,
    concatenate_one,
    concatenate_empty,
    reverse_of_ones,
    reverse_twice,
    iota_of_one,
    reduce_of_ones,
    reduce_twice,
    reduce_of_number,
)
