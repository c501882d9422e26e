"""Addresses in an operand that is read through a view: rows and columns are indices over dims.

Where a row (or column) is an index over several dims in memory, elements one stride apart come in
runs, as long as the last of the dims. Copies go run by run; a vector that crosses from one run to
the next is loaded in two parts, and one of more runs than that is gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I1,
    I64,
    Index,
    Values,
    at,
    first_lanes,
    gather,
    i64,
    lanes_below,
    larger,
    load_vector,
    loop,
    mul,
    smaller,
    splat,
)
from anode.ir.dtypes import DType
from anode.passes.strides import Axis

Part: TypeAlias = "tuple[Index, ir.Value]"
"""The first of some rows or columns, and how many they are."""


def offset(b: ir.IRBuilder, axis: Axis, stride: int, index: Index) -> ir.Value:
    """How far from element 0 the element at `index` is: its digits times the dims' strides."""
    index = i64(index)
    if not axis:
        return mul(b, index, stride)
    terms = []
    for size, step in reversed(axis[1:]):
        terms.append(b.mul(b.urem(index, _like(index, size)), _like(index, step)))
        index = b.udiv(index, _like(index, size))
    return reduce(b.add, terms, b.mul(index, _like(index, axis[0][1])))


Run: TypeAlias = "Callable[[Index, ir.Value, ir.Value, Values], Values]"


def each_run(
    b: ir.IRBuilder, axis: Axis, stride: int, part: Part, body: Run, carried: Values = ()
) -> Values:
    """`body(place, distance, length, carried)` for each run of a part that is not empty.

    `place` counts from the part's first element, `distance` is from element 0 of the axis.
    """
    start, count = i64(part[0]), part[1]
    if not axis:
        return body(0, mul(b, start, stride), count, carried)
    size = axis[-1][0]
    end = b.add(start, count)

    def run(number: ir.Value, carried: Values) -> Values:
        begin = mul(b, number, size)
        first, last = larger(b, begin, start), smaller(b, b.add(begin, i64(size)), end)
        within = mul(b, b.sub(first, begin), stride)
        distance = b.add(offset(b, axis[:-1], 0, number), within)
        return body(b.sub(first, start), distance, b.sub(last, first), carried)

    stop = b.udiv(b.add(end, i64(size - 1)), i64(size))
    return loop(b, b.udiv(start, i64(size)), stop, 1, run, carried)


@dataclass(frozen=True)
class Segment:
    """A vector's worth of neighbours along an axis: where in memory its lanes are.

    `parts` are offsets with masks of lanes (None for all), of which a vector takes the first that
    holds; or an offset for each lane.
    """

    lanes: int
    parts: Sequence[tuple[ir.Value, ir.Value | None]] = ()
    scattered: ir.Value | None = None

    def load(self, b: ir.IRBuilder, line: ir.Value, source: DType, dtype: DType) -> ir.Value:
        """The elements, `line` being where element 0 of the axis is, as `dtype`."""
        if self.scattered is not None:
            return gather(b, line, self.scattered, source, dtype)
        found: ir.Value | None = None
        for place, mask in self.parts:
            value = load_vector(b, at(b, line, place, source), self.lanes, source, dtype, mask)
            found = value if found is None else b.select(mask, value, found)
        assert found is not None
        return found


def segments(
    b: ir.IRBuilder,
    axis: Axis,
    first: ir.Value,
    block: int,
    vectors: Sequence[tuple[int, int, int]],
) -> list[Segment]:
    """Vectors (start, valid lanes, lanes) of a block of neighbours, a multiple of `block` on.

    The axis' elements are one apart in each run.
    """
    if not axis or axis[-1][0] % block == 0:
        base = offset(b, axis, 1, first)
        return [
            Segment(lanes, [(b.add(base, i64(start)), first_lanes(valid, lanes))])
            for start, valid, lanes in vectors
        ]
    return [_segment(b, axis, b.add(first, i64(start)), *vector) for start, *vector in vectors]


def _segment(b: ir.IRBuilder, axis: Axis, first: ir.Value, valid: int, lanes: int) -> Segment:
    size = axis[-1][0]
    ramp = ir.Constant(ir.VectorType(I64, lanes), [min(i, valid - 1) for i in range(lanes)])
    if size < valid:
        return Segment(lanes, (), offset(b, axis, 1, b.add(splat(b, first, lanes), ramp)))
    left = b.sub(i64(size), b.urem(first, i64(size)))
    exist = ir.Constant(ir.VectorType(I1, lanes), [int(i < valid) for i in range(lanes)])
    head = lanes_below(b, left, lanes)
    tail = b.and_(b.not_(head), exist)
    behind = b.sub(offset(b, axis, 1, b.add(first, left)), left)
    return Segment(lanes, [(offset(b, axis, 1, first), b.and_(head, exist)), (behind, tail)])


def _like(index: ir.Value, number: int) -> ir.Value:
    if not isinstance(index.type, ir.VectorType):
        return i64(number)
    return ir.Constant(index.type, [number] * index.type.count)
