"""The kernel that transforms filters for Winograd's convolutions, as LLVM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    Values,
    add,
    at,
    counted,
    for_each,
    function,
    gather,
    i64,
    lanes_below,
    load_vector,
    mul,
    splat,
    store_vector,
)
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd_method import METHODS, Method, along_both, taps
from anode.ir.dtypes import f32
from anode.ir.node import Node

MOST_TASKS = 16


def filter_tasks(node: Node) -> int:
    """In how many tasks filters are transformed."""
    *_, c, o = node.args[0].tensor.static
    return min(MOST_TASKS, o if node.attrs["flipped"] else c)


def emit_filters(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(w, u, i64 task)`: an equal part of the channels at all points."""
    size, _, c, o = node.args[0].tensor.static
    stride, panel, flipped = (node.attrs[name] for name in ("stride", "panel", "flipped"))
    b, (w, u, task) = function(module, name, 2)
    method, depth = METHODS[-(-size // stride)], node.tensor.static[2]
    filters = _FilterTransform(
        b, method, (size, stride), (c, o), (depth, panel), flipped, target.lanes(4), w, u
    )
    filters.emit(task, filter_tasks(node))
    b.ret_void()
    return b.function


@dataclass(frozen=True)
class _FilterTransform:
    """The filters of all phases at all points.

    They are `size` wide, move by `stride` and have `shape` (c, o). The results are panels
    (points, depth, panel): `layout` has the last two.
    """

    b: ir.IRBuilder
    method: Method
    kernel: tuple[int, int]
    shape: tuple[int, int]
    layout: tuple[int, int]
    flipped: bool
    lanes: int
    w: ir.Value
    u: ir.Value

    def emit(self, task: ir.Value, tasks: int) -> None:
        b, panel, (_, stride) = self.b, self.layout[1], self.kernel
        channels, filters = reversed(self.shape) if self.flipped else self.shape
        panels = -(-filters // panel)
        start, stop = (b.udiv(mul(b, t, channels), i64(tasks)) for t in (task, add(b, task, 1)))

        def one(phase: ir.Value, number: ir.Value, channel: ir.Value) -> None:
            if self.flipped:
                place = add(b, mul(b, phase, panels), number), channel
            else:
                place = number, add(b, mul(b, phase, channels), channel)
            row, column = b.udiv(phase, i64(stride)), b.urem(phase, i64(stride))
            self.row((row, column), mul(b, number, panel), channel, self.place(*place))

        for_each(b, (stride**2, panels, (start, stop)), one)

    def place(self, panel: ir.Value, channel: ir.Value) -> ir.Value:
        """Where a channel's row in a panel is at the first point."""
        b, (depth, width) = self.b, self.layout
        row = add(b, mul(b, panel, self.method.points * depth), channel)
        return at(b, self.u, mul(b, row, width), f32)

    def row(
        self, phase: tuple[ir.Value, ir.Value], first: ir.Value, channel: ir.Value, place: ir.Value
    ) -> None:
        """The row of a channel in the panel that begins with filter `first`."""
        b, method, (depth, panel) = self.b, self.method, self.layout

        def vector(v: ir.Value) -> None:
            read = self.across if self.flipped else self.along
            taps = read(phase, channel, add(b, first, v))
            for i, j, value in along_both(taps, method.taps, transform):
                offset = (i * method.size + j) * depth * panel
                store_vector(b, value, at(b, place, add(b, v, offset), f32), f32)

        def transform(line: Values) -> list[ir.Value]:
            return method.to_points(b, method.filter, line)

        counted(b, 0, panel, self.lanes, vector)

    def along(
        self, phase: tuple[ir.Value, ir.Value], channel: ir.Value, first: ir.Value
    ) -> list[ir.Value]:
        """The taps of a channel for the filters from `first` on; zeros beyond the last one."""
        b, lanes, (_, filters) = self.b, self.lanes, self.shape
        mask = lanes_below(b, b.sub(i64(filters), first), lanes) if filters % lanes else None
        start = add(b, mul(b, channel, filters), b.select(_below(b, first, filters), first, i64(0)))

        def load(offset: ir.Value) -> ir.Value:
            return load_vector(b, at(b, self.w, add(b, offset, start), f32), lanes, f32, f32, mask)

        return self.taps(phase, load)

    def across(
        self, phase: tuple[ir.Value, ir.Value], channel: ir.Value, first: ir.Value
    ) -> list[ir.Value]:
        """The same of flipped filters, which lie apart; beyond the last one it again."""
        b, lanes, (filters, channels) = self.b, self.lanes, self.shape
        ramp = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        last = splat(b, i64(filters - 1), lanes)
        number = b.add(splat(b, first, lanes), ramp)
        number = b.select(b.icmp_signed("<", number, last), number, last)
        offsets = b.mul(number, splat(b, i64(channels), lanes))

        def load(offset: ir.Value) -> ir.Value:
            return gather(b, at(b, self.w, add(b, offset, channel), f32), offsets, f32, f32)

        return list(reversed(self.taps(phase, load)))

    def taps(
        self, phase: tuple[ir.Value, ir.Value], load: Callable[[ir.Value], ir.Value]
    ) -> list[ir.Value]:
        """The taps of a phase, loaded from their offsets; zeros where there is none."""
        b, found = self.b, list[ir.Value]()
        for tap, exists in taps(b, self.method, self.kernel, phase):
            offset = mul(b, tap, self.shape[0] * self.shape[1])
            if exists is None:
                found.append(load(offset))
                continue
            value = load(b.select(exists, offset, i64(0)))
            found.append(b.select(exists, value, ir.Constant(value.type, None)))
        return found


def _below(b: ir.IRBuilder, index: ir.Value, size: int) -> ir.Value:
    return b.icmp_signed("<", index, i64(size))
