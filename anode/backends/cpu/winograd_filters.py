"""The kernel that transforms filters for Winograd's convolutions, as LLVM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    Values,
    add,
    at,
    counted,
    divided,
    for_each,
    function,
    gather,
    i64,
    lanes_below,
    load_vector,
    mul,
    splat,
)
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd_method import Filter, Place
from anode.backends.cpu.winograd_terms import Terms
from anode.ir.dtypes import f32
from anode.ir.node import Node

MOST_TASKS = 16


def filter_tasks(node: Node) -> int:
    """In how many tasks filters are transformed."""
    *_, c, o = node.args[0].tensor.static
    phases = Filter.of(node.args[0].tensor.static[0], node.attrs["stride"], node.dtype.name).phases
    run = o if node.attrs["flipped"] else phases[1] * c
    return min(MOST_TASKS, Terms(node.dtype).words(run))


def emit_filters(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(w, u, i64 task)`: an equal part of the channels at all points."""
    size, _, c, o = node.args[0].tensor.static
    stride, panel, flipped = (node.attrs[name] for name in ("stride", "panel", "flipped"))
    b, (w, u, task) = function(module, name, 2)
    dtype, depth = node.tensor.dtype, node.tensor.static[2]
    filter, shapes = Filter.of(size, stride, dtype.name), ((c, o), (depth, panel))
    filters = _FilterTransform(b, filter, Terms(dtype), *shapes, flipped, target.lanes(4), w, u)
    filters.emit(task, filter_tasks(node))
    b.ret_void()
    return b.function


Member: TypeAlias = "tuple[Sequence[Place], ir.Value]"
"""A channel of a word: its taps, and its number."""


@dataclass(frozen=True)
class _FilterTransform:
    """The filters of all phases at all points.

    They have `shape` (c, o). The results are panels (points, depth, panel) of words: `layout` has
    the last two.
    """

    b: ir.IRBuilder
    filter: Filter
    terms: Terms
    shape: tuple[int, int]
    layout: tuple[int, int]
    flipped: bool
    lanes: int
    w: ir.Value
    u: ir.Value

    def emit(self, task: ir.Value, tasks: int) -> None:
        b, panel, filter = self.b, self.layout[1], self.filter
        channels, filters = reversed(self.shape) if self.flipped else self.shape
        phases = filter.turns if self.flipped else filter.phases
        results = filter.stride if self.flipped else 1
        panels, words = -(-filters // panel), self.terms.words(phases[1] * channels)
        start, stop = (b.udiv(mul(b, t, words), i64(tasks)) for t in (task, add(b, task, 1)))

        def one(down: ir.Value, *indices: ir.Value) -> None:
            result, (number, word) = indices[:2], indices[2:]
            members = []
            for i in range(self.terms.per_word):
                index = add(b, mul(b, word, self.terms.per_word), i)
                across, channel = divided(b, index, channels) if phases[1] > 1 else (i64(0), index)
                members.append((self.taps_of((down, across), result), channel))
            phase = add(b, mul(b, result[0], results), result[1])
            panel_place = add(b, mul(b, phase, panels), number)
            place = self.place(panel_place, add(b, mul(b, down, words), word))
            self.row(members, mul(b, number, panel), place)

        for_each(b, (phases[0], results, results, panels, (start, stop)), one)

    def taps_of(self, source: Sequence[ir.Value], result: Sequence[ir.Value]) -> list[Place]:
        """The taps from a phase of the source to one of the result."""
        b, filter, stride = self.b, self.filter, self.filter.stride
        if not self.flipped:
            return filter.taps_from(b, source, [n - 1 for n in filter.phases], stride)
        most = filter.taps * stride - 1
        last = [
            b.sub(add(b, q, most + 1 - stride), mul(b, p, stride))
            for p, q in zip(source, result, strict=True)
        ]
        return filter.taps_from(b, last, (most, most), -stride)

    def place(self, panel: ir.Value, word: ir.Value) -> ir.Value:
        """Where the row of a word of channels in a panel is at the first point."""
        b, (depth, width) = self.b, self.layout
        row = add(b, mul(b, panel, self.filter.points * depth), word)
        return at(b, self.u, mul(b, row, width), f32)

    def row(self, members: Sequence[Member], first: ir.Value, place: ir.Value) -> None:
        """The row of a word's channels in the panel that begins with filter `first`."""
        b, filter, (depth, panel) = self.b, self.filter, self.layout

        def vector(v: ir.Value) -> None:
            read = self.across if self.flipped else self.along
            found = read(members, add(b, first, v))
            squares = [filter.to_points(b, "filter", square) for square in found]
            for same in zip(*squares, strict=True):
                offset = (same[0][0] * filter.sizes[1] + same[0][1]) * depth * panel
                values = [value for *_, value in same]
                self.terms.store_words(b, values, at(b, place, add(b, v, offset), f32))

        counted(b, 0, panel, self.lanes, vector)

    def along(self, members: Sequence[Member], first: ir.Value) -> Iterable[Values]:
        """The taps of channels for the filters from `first` on; zeros beyond the last one."""
        b, dtype, lanes, (_, filters) = self.b, self.terms.dtype, self.lanes, self.shape
        mask = lanes_below(b, b.sub(i64(filters), first), lanes) if filters % lanes else None
        column = b.select(_below(b, first, filters), first, i64(0))
        for taps, channel in members:
            start = add(b, mul(b, channel, filters), column)

            def load(offset: ir.Value, start: ir.Value = start) -> Values:
                place = at(b, self.w, add(b, offset, start), dtype)
                return [load_vector(b, place, lanes, dtype, f32, mask)]

            yield [tap for (tap,) in self.loaded(taps, load)]

    def across(self, members: Sequence[Member], first: ir.Value) -> Iterable[Values]:
        """The same of flipped filters, which lie apart; beyond the last one it again.

        The channels of a word are neighbours and have the same taps.
        """
        b, terms, lanes, (filters, channels) = self.b, self.terms, self.lanes, self.shape
        ramp = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        last = splat(b, i64(filters - 1), lanes)
        number = b.add(splat(b, first, lanes), ramp)
        number = b.select(b.icmp_signed("<", number, last), number, last)
        offsets = b.mul(number, splat(b, i64(terms.words(channels)), lanes))
        taps, channel = members[0]

        def load(offset: ir.Value) -> Values:
            place = at(b, self.w, add(b, offset, channel), terms.dtype)
            return terms.of_words(b, gather(b, place, offsets, terms.word, terms.word))

        return zip(*self.loaded(taps, load), strict=True)

    def loaded(self, taps: Sequence[Place], load: Callable[[ir.Value], Values]) -> list[Values]:
        """What is loaded from the offset of each tap of a phase; zeros where there is none."""
        b, found = self.b, list[Values]()
        for tap, exists in taps:
            offset = mul(b, tap, self.shape[0] * self.shape[1])
            if exists is None:
                found.append(load(offset))
                continue
            values = load(b.select(exists, offset, i64(0)))
            none = ir.Constant(values[0].type, None)
            found.append([b.select(exists, value, none) for value in values])
        return found


def _below(b: ir.IRBuilder, index: ir.Value, size: int) -> ir.Value:
    return b.icmp_signed("<", index, i64(size))
