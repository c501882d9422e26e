"""Ops that only move elements, as arithmetic on indices: which operand element a result element is.

What lies outside an operand (padding, another part of a concatenation) is never read: such reads
are guarded by the condition that they are inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product as product_of
from typing import TYPE_CHECKING

from llvmlite import ir

from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.backends.cpu.llvm_ir import Values
from anode.backends.cpu.philox import random_words
from anode.backends.cpu.position import ZERO, Condition, Index, Indices, Position
from anode.backends.cpu.stages import MOST_TAPS
from anode.ir.dims import product
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.backends.cpu.pull import Puller

Ints = tuple[int, ...]
Move = Callable[["Puller", Node, Indices], Element]


def _broadcast_in_dim(pull: Puller, node: Node, at: Indices) -> Element:
    (x,) = node.args
    sizes = zip(x.tensor.static, node.attrs["axes"], strict=True)
    return pull.element(x, tuple(ZERO if size == 1 else at[axis] for size, axis in sizes))


def _transpose(pull: Puller, node: Node, at: Indices) -> Element:
    placed = dict(zip(node.attrs["permutation"], at, strict=True))
    return pull.element(node.args[0], tuple(placed[i] for i in range(len(at))))


def _reshape(pull: Puller, node: Node, at: Indices) -> Element:
    (x,) = node.args
    return pull.element(x, reshaped(pull, node.tensor.static, x.tensor.static, at))


def reshaped(pull: Puller, shape: tuple[int, ...], inner: tuple[int, ...], at: Indices) -> Indices:
    """Indices in a tensor of shape `inner` of the element at `at` of one of `shape`."""
    if product(inner) == 1:
        return (ZERO,) * len(inner)
    old = [(n, p) for n, p in zip(shape, at, strict=True) if n != 1]
    new = [n for n in inner if n != 1]
    result: list[Index] = []
    while new:  # from the last dim: equal dims map to each other, runs by their flat index
        taken, sizes = [old.pop()], [new.pop()]
        while (a := product(tuple(n for n, _ in taken))) != (b := product(tuple(sizes))):
            if a < b:
                taken.append(old.pop())
            else:
                sizes.append(new.pop())
        if len(taken) == len(sizes) == 1:
            result.append(taken[0][1])
        else:
            result += reversed(pull.index.digits(_flat(pull, taken), sizes[::-1]))
    found = iter(reversed(result))
    return tuple(ZERO if n == 1 else next(found) for n in inner)


def _flat(pull: Puller, dims: Sequence[tuple[int, Index]]) -> Position:
    """The row-major index over dims (size, index), given from the last one."""
    terms, stride = [], 1
    for size, index in dims:
        terms.append((index, stride))
        stride *= size
    return pull.index.strided(terms)


def _slice(pull: Puller, node: Node, at: Indices) -> Element:
    index, (starts, strides) = pull.index, (node.attrs["start"], node.attrs["strides"])
    moved = [
        index.shift(p if stride == 1 else index.scale(p, stride), start)
        for p, start, stride in zip(at, starts, strides, strict=True)
    ]
    return pull.element(node.args[0], tuple(moved))


def _reverse(pull: Puller, node: Node, at: Indices) -> Element:
    index = pull.index
    moved = [
        index.shift(index.scale(p, -1), size - 1) if i in node.attrs["axes"] else p
        for i, (p, size) in enumerate(zip(at, node.tensor.static, strict=True))
    ]
    return pull.element(node.args[0], tuple(moved))


def _pad(pull: Puller, node: Node, at: Indices) -> Element:
    x, value = node.args
    outside = pull.element(value, ())
    if not x.tensor.size:
        return outside
    index, inner, inside = pull.index, list[Index](), _Inside(pull)
    for i, (p, size) in enumerate(zip(at, x.tensor.static, strict=True)):
        low, high, gap = (node.attrs[name][i] for name in ("low", "high", "interior"))
        moved = index.shift(p, -low)
        if low > 0 or high > 0 or gap:
            inside.require(moved, (size - 1) * (gap + 1) + 1)
        if gap:
            moved, rest = index.digits(moved, (size + 1, gap + 1))
            inside.require(rest, 1)
        inner.append(moved)
    return inside.choose(x, tuple(inner), outside)


class _Inside:
    """The conditions for an index to be inside an operand, but for those that are certain."""

    def __init__(self, pull: Puller) -> None:
        self.pull = pull
        self.conditions: list[Condition] = []
        self.never = False

    def require(self, index: Index, bound: int) -> None:
        known = self.pull.index.known_below(index, bound)
        if known is None:
            self.conditions.append(self.pull.index.below(index, bound))
        elif not known:
            self.never = True

    def choose(self, x: Node, at: Indices, outside: Element) -> Element:
        """`x` at `at` if that is inside, else `outside`."""
        if self.never:
            return outside
        inside = self.pull.guarded(x, at, self.conditions)
        return self.pull.choose(self.conditions, inside, outside)


def _concatenate(pull: Puller, node: Node, at: Indices) -> Element:
    axis, end, chosen = node.attrs["axis"], node.tensor.static[node.attrs["axis"]], None
    for x in reversed(node.args):
        size = x.tensor.static[axis]
        end -= size
        inside = _Inside(pull)
        moved = pull.index.shift(at[axis], -end)
        inside.require(moved, size)
        if size == 0 or inside.never:
            continue
        value = pull.guarded(x, (*at[:axis], moved, *at[axis + 1 :]), inside.conditions)
        chosen = value if chosen is None else pull.choose(inside.conditions, value, chosen)
    assert chosen is not None
    return chosen


def _windows(pull: Puller, node: Node, at: Indices) -> Element:
    x, attrs = node.args[0], node.attrs
    last, index = x.tensor.rank - 1, pull.index
    place = [*at[:last], at[-1]]
    each = zip(attrs["axes"], at[last:-1], attrs["strides"], attrs["dilations"], strict=True)
    for axis, tap, stride, dilation in each:
        place[axis] = index.add(index.scale(place[axis], stride), index.scale(tap, dilation))
    return pull.element(x, tuple(place))


def _overlap_add(pull: Puller, node: Node, at: Indices) -> Element:
    """The sum of the elements of all windows that cover a place."""
    dtype, sizes = node.tensor.dtype, node.attrs["sizes"]

    def added(total: Element, taps: Indices) -> Element:
        tap = _tap(pull, node, at, taps)
        return total if tap is None else pull.elements.apply(Lanes.add, total, tap)

    total = pull.elements.constant(0, dtype.compute)
    if product(sizes) > MOST_TAPS:
        total = _over_taps(pull, total, sizes, added)
    else:
        for taps in product_of(*map(range, sizes)):
            total = added(total, tuple(map(Position, taps)))
    return pull.elements.apply(lambda lanes, x: lanes.round(x, dtype), total)


def _over_taps(
    pull: Puller, zero: Element, sizes: Ints, added: Callable[[Element, Indices], Element]
) -> Element:
    """A sum over the places within a window, by a loop."""
    levels, elements, dtype = pull.levels, pull.elements, zero.lane.dtype

    def body(i: ir.Value, values: Values) -> Values:
        taps = pull.index.digits(Position(i, level=levels.depth), sizes)
        total = added(Element(Lane(values[0], dtype), levels.depth), tuple(taps))
        return [elements.spread(total).value]

    (total,) = levels.loop(0, product(sizes), 1, body, [elements.spread(zero).value])
    return Element(Lane(total, dtype), levels.depth)


def _tap(pull: Puller, node: Node, at: Indices, taps: Indices) -> Element | None:
    """What covers `at` from one place in its window: 0 if nothing does, None if that is certain."""
    (y,), attrs, index, inside = node.args, node.attrs, pull.index, _Inside(pull)
    place = list(at)
    each = zip(attrs["axes"], taps, attrs["strides"], attrs["dilations"], strict=True)
    for axis, tap, stride, dilation in each:
        count = y.tensor.static[-1 if axis == len(at) - 1 else axis]
        back = index.scale(tap, -dilation)
        known = isinstance(back.base, int)
        moved = index.shift(at[axis], back.base) if known else index.add(at[axis], back)
        if stride != 1:
            moved, rest = index.digits(moved, (count + 1, stride))
            inside.require(rest, 1)
        inside.require(moved, count)
        place[axis] = moved
    if inside.never:
        return None
    place[-1:-1] = taps
    element = pull.guarded(y, tuple(place), inside.conditions)
    wide = pull.elements.apply(lambda lanes, x: lanes.widen(x), element)
    return pull.choose(inside.conditions, wide, pull.elements.constant(0, wide.lane.dtype))


def _iota(pull: Puller, node: Node, at: Indices) -> Element:
    dtype, place = node.tensor.dtype, pull.index.resolve(at[node.attrs["axis"]])
    if dtype.is_integer and place.uniform and not place.each and isinstance(place.base, int):
        return pull.elements.constant(place.base, dtype)
    return pull.elements.apply(
        lambda lanes, number: lanes.round(lanes.convert(number, dtype.compute), dtype),
        pull.index.number(place),
    )


def _bitcast(pull: Puller, node: Node, at: Indices) -> Element:
    dtype = node.tensor.dtype

    def read(lanes: Lanes, x: Lane) -> Lane:
        return Lane(pull.b.bitcast(x.value, llvm_type(dtype, lanes.width)), dtype)

    return pull.elements.apply(read, pull.element(node.args[0], at))


def _dynamic_slice(pull: Puller, node: Node, at: Indices) -> Element:
    x, *starts = node.args
    moved = [
        pull.index.add(p, pull.start(start, (), size - kept)) if size != kept else p
        for p, start, size, kept in zip(
            at, starts, x.tensor.static, node.tensor.static, strict=True
        )
    ]
    return pull.element(x, tuple(moved))


def _dynamic_update_slice(pull: Puller, node: Node, at: Indices) -> Element:
    x, update, *starts = node.args
    outside = pull.element(x, at)
    if not update.tensor.size:
        return outside
    inner, inside = list[Index](), _Inside(pull)
    for p, start, size, kept in zip(at, starts, x.tensor.static, update.tensor.static, strict=True):
        if kept != size:
            p = pull.index.add(p, pull.index.scale(pull.start(start, (), size - kept), -1))
            inside.require(p, kept)
        inner.append(p)
    return inside.choose(update, tuple(inner), outside)


def _gather(pull: Puller, node: Node, at: Indices) -> Element:
    """StableHLO's gather: a window of the operand at a start that another tensor holds."""
    (x, indices), attrs = node.args, node.attrs
    batch = [p for i, p in enumerate(at) if i not in attrs["offset_dims"]]
    window = iter([at[i] for i in attrs["offset_dims"]])
    moved = []
    for dim, size in enumerate(x.tensor.static):
        index = ZERO if dim in attrs["collapsed_slice_dims"] else next(window)
        if dim in attrs["start_index_map"]:
            component = attrs["start_index_map"].index(dim)
            place = vector_at(indices, batch, component, attrs["index_vector_dim"])
            start = pull.start(indices, place, size - attrs["slice_sizes"][dim])
            index = pull.index.add(index, start)
        moved.append(index)
    return pull.element(x, tuple(moved))


def vector_at(indices: Node, batch: Sequence[Index], component: int, dim: int) -> Indices:
    """Where `indices` has a component of the index vector of one place of its batch dims."""
    if dim == indices.tensor.rank:
        return tuple(batch)
    return (*batch[:dim], Position(component), *batch[dim:])


def _random_bits(pull: Puller, node: Node, at: Indices) -> Element:
    shape = node.tensor.static
    flat = _flat(pull, list(zip(reversed(shape), reversed(at), strict=True)))
    words = node.args[0].tensor.static[0]
    key = [pull.element(node.args[0], (Position(i),)) for i in range(words)]
    return random_words(pull.index, flat, key, node.attrs["stream"], node.tensor.dtype)


MOVES: dict[str, Move] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "transpose": _transpose,
    "reshape": _reshape,
    "slice": _slice,
    "reverse": _reverse,
    "pad": _pad,
    "concatenate": _concatenate,
    "iota": _iota,
    "bitcast": _bitcast,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "windows": _windows,
    "overlap_add": _overlap_add,
    "random_bits": _random_bits,
}
