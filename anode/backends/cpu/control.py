"""Control flow: cond, while and scan as native code around their nested programs.

A nested program has a table of its own, in the step's workspace, whose entries for inputs and
outputs are set before each run of the body. Carries are kept twice and change places each trip;
sequences and stacked results are read and written in place, a slice a trip. These slices come from
far away and are new each time: the trip before asks for them while its product runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llvmlite import ir

from anode.backends.cpu.llvm_ir import I8, I64, PAGE, POINTER, Values, i64, loop, thread_number
from anode.backends.cpu.serial import copy_bytes
from anode.ir.dtypes import bool_
from anode.ir.node import Node
from anode.program.program import Program, Step
from anode.program.schedule import Workspace

if TYPE_CHECKING:
    from anode.backends.cpu.native import NativeModule

_LINE = 64


def control_workspace(threads: int) -> Workspace:
    """The bytes that a control-flow step needs, run by so many threads.

    That is nested tables and arenas, and the carries twice, for each part that runs at once.
    """

    def workspace(node: Node, programs: tuple[Program, ...]) -> int:
        if not programs:
            return 0
        parts = node.attrs.get("parts", 1)
        return min(parts, threads) * _part_workspace(node, programs, parts) + _LINE

    return workspace


def _part_workspace(node: Node, programs: tuple[Program, ...], parts: int) -> int:
    places = 1 + len(_pages(node, programs))
    tables = sum(_rounded(8 * (len(p.buffers) + places)) + _rounded(p.arena) for p in programs)
    carries = node.args[: node.attrs.get("carries", 0)]
    return tables + 2 * sum(_rounded(arg.tensor.bytes // parts) for arg in carries)


def emit_control(native: NativeModule, program: Program, step: Step, name: str) -> ir.Function:
    """Add `void name(table, scratch, i64 task)`: the whole of a cond, while or scan, or a part."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64])
    function = ir.Function(native.module, kind, name)
    emitter = _Control(native, program, step, function)
    getattr(emitter, step.kind)()
    emitter.b.ret_void()
    return function


def _rounded(size: int) -> int:
    return -(-size // _LINE) * _LINE


def _pages(node: Node, programs: Sequence[Program]) -> list[tuple[int, int]]:
    """The pages of the slices of a trip of a scan, or of a part of it: (slice, first byte).

    Sequences come first, then stacked results. None are worth asking for where there is no product
    to run meanwhile, nor is a slice of less than a page.
    """
    if not any(step.kind == "matmul" for program in programs for step in program.steps):
        return []
    return [
        (i, first)
        for i, size in enumerate(_slice_sizes(node))
        for first in range(0, size - PAGE + 1, PAGE)
    ]


def _slice_sizes(node: Node) -> list[int]:
    """Bytes of each slice that a trip of a scan reads or writes, or a trip of a part of it."""
    attrs = node.attrs
    if "sequences" not in attrs:
        return []
    first, length = attrs["carries"], max(attrs["length"], 1)
    rows = [arg.tensor.bytes // length for arg in node.args[first : first + attrs["sequences"]]]
    split = attrs.get("split", ())[: len(rows)]
    for i, flag in enumerate(split):
        rows[i] //= attrs["parts"] if flag else 1
    return rows + [output.tensor.bytes for output in attrs["body"].outputs[first:]]


class _Control:
    def __init__(
        self, native: NativeModule, program: Program, step: Step, function: ir.Function
    ) -> None:
        self.native, self.step = native, step
        self.pages = _pages(step.node, step.programs)
        bodies = [native.serial(nested, len(self.pages)) for nested in step.programs]
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.outer, self.scratch, self.task = function.args
        self.parts = step.node.attrs.get("parts", 1)
        self.operands = [native.address(self.b, program, self.outer, i) for i in step.reads]
        self.results = [native.address(self.b, program, self.outer, i) for i in step.writes]
        assert step.workspace is not None
        self.free = native.address(self.b, program, self.outer, step.workspace)
        if self.parts > 1:
            size = _part_workspace(step.node, step.programs, self.parts)
            few = self.parts <= native.threads
            place = self.task if few else thread_number(self.b, self.scratch)
            self.free = self.b.gep(self.free, [self.b.mul(place, i64(size))], source_etype=I8)
        self.bodies = [
            _Body(self, nested, body) for nested, body in zip(step.programs, bodies, strict=True)
        ]

    def _at(self, pointer: ir.Value, size: int) -> ir.Value:
        """Where this task's part of a value begins, of which each part has `size` bytes."""
        if self.parts == 1:
            return pointer
        return self.b.gep(pointer, [self.b.mul(self.task, i64(size))], source_etype=I8)

    def take(self, size: int) -> ir.Value:
        """The next `size` bytes of the workspace."""
        taken = self.free
        self.free = self.b.gep(taken, [i64(_rounded(size))], source_etype=I8)
        return taken

    def size(self, operand: int) -> int:
        """Bytes of a carry, or of this part of it."""
        return self.step.node.args[operand].tensor.bytes // self.parts

    def cond(self) -> None:
        b, count = self.b, len(self.bodies)
        type = self.step.node.args[0].tensor
        index = b.load(self.operands[0], typ=I8 if type.dtype is bool_ else ir.IntType(32))
        end = b.append_basic_block("end")
        blocks = [b.append_basic_block(f"branch{i}") for i in range(count)]
        choice = b.switch(index, blocks[-1])
        for i, block in enumerate(blocks[:-1]):
            choice.add_case(ir.Constant(index.type, i), block)
        for body, block in zip(self.bodies, blocks, strict=True):
            b.position_at_end(block)
            body.run(self.operands[1:], self.results)
            b.branch(end)
        b.position_at_end(end)

    def _copies(self) -> list[tuple[ir.Value, ir.Value]]:
        carries = range(self.step.node.attrs["carries"])
        return [(self.take(self.size(i)), self.take(self.size(i))) for i in carries]

    def _finish(self, carries: Values) -> None:
        for i, carry in enumerate(carries):
            size = self.size(i)
            copy_bytes(self.b, self._at(self.results[i], size), carry, size)

    def scan(self) -> None:
        attrs, b, parts = self.step.node.attrs, self.b, self.parts
        count, sequences, length = attrs["carries"], attrs["sequences"], attrs["length"]
        split = attrs.get("split", (False,) * (len(self.operands) - count))
        copies = self._copies()
        first = count + sequences
        args = self.step.node.args
        slices = [args[i].tensor.bytes // max(length, 1) for i in range(count, first)]
        xs = self._parts(self.operands[count:first], slices, split)
        same = [arg.tensor.bytes for arg in args[first:]]
        constants = self._parts(self.operands[first:], same, split[sequences:])
        stacked = [parts * node.tensor.bytes for node in attrs["body"].outputs[count:]]
        ys = self._parts(self.results[count:], stacked, (True,) * len(stacked))

        def trip(i: ir.Value, carries: Values) -> Values:
            at = b.sub(i64(length - 1), i) if attrs["reverse"] else i
            new = self._next(i, copies)
            row = self._slices(xs, slices, at)
            after = b.sub(at, i64(1)) if attrs["reverse"] else b.add(at, i64(1))
            self.bodies[0].ask_for(self._slices([*xs, *ys], [*slices, *stacked], after), self.pages)
            self.bodies[0].run([*carries, *row, *constants], [*new, *self._slices(ys, stacked, at)])
            return new

        carries: Values = [self._at(x, self.size(i)) for i, x in enumerate(self.operands[:count])]
        if length:
            carries = loop(b, 0, length, 1, trip, carries)
        self._finish(carries)

    scan_parts = scan

    def row_parts(self) -> None:
        node, split = self.step.node, self.step.node.attrs["split"]
        operands = self._parts(self.operands, [arg.tensor.bytes for arg in node.args], split)
        sizes = [result.tensor.bytes for result in node.items]
        self.bodies[0].run(operands, self._parts(self.results, sizes, (True,) * len(sizes)))

    def _parts(
        self, pointers: Sequence[ir.Value], sizes: Sequence[int], split: Sequence[bool]
    ) -> list[ir.Value]:
        """Where this task's part begins in values of `sizes` bytes, of those that are split."""
        return [
            self._at(pointer, size // self.parts) if flag else pointer
            for pointer, size, flag in zip(pointers, sizes, split, strict=False)
        ]

    def _next(self, i: ir.Value, copies: Sequence[tuple[ir.Value, ir.Value]]) -> list[ir.Value]:
        """Where trip `i` puts its carries: the two copies take turns."""
        odd = self.b.trunc(i, ir.IntType(1))
        return [self.b.select(odd, second, first) for first, second in copies]

    def _slices(
        self, pointers: Sequence[ir.Value], sizes: Sequence[int], i: ir.Value
    ) -> list[ir.Value]:
        return [
            self.b.gep(pointer, [self.b.mul(i, i64(size))], source_etype=I8)
            for pointer, size in zip(pointers, sizes, strict=True)
        ]

    def while_(self) -> None:
        attrs, b = self.step.node.attrs, self.b
        count, most = attrs["carries"], attrs["max_trips"]
        copies = self._copies()
        flag = self.take(_LINE)
        constants = self.operands[count:]
        before, test, again, end = (
            b.append_basic_block(n) for n in ("head", "test", "trip", "end")
        )
        start = b.block
        b.branch(before)
        b.position_at_end(before)
        i = b.phi(I64)
        carries = [b.phi(POINTER) for _ in range(count)]
        limited = b.icmp_signed("<", i, i64(most)) if most is not None else ir.IntType(1)(1)
        b.cbranch(limited, test, end)
        b.position_at_end(test)
        self.bodies[0].run([*carries, *constants], [flag])
        holds = b.icmp_unsigned("!=", b.load(flag, typ=I8), I8(0))
        b.cbranch(holds, again, end)
        b.position_at_end(again)
        new = self._next(i, copies)
        self.bodies[1].run([*carries, *constants], new)
        following = b.add(i, i64(1))
        latch = b.block
        b.branch(before)
        for phi, first, later in zip(
            [i, *carries], [i64(0), *self.operands[:count]], [following, *new], strict=True
        ):
            phi.add_incoming(first, start)
            phi.add_incoming(later, latch)
        b.position_at_end(end)
        self._finish(carries)


setattr(_Control, "while", _Control.while_)


class _Body:
    """A nested program with its table and arena in the step's workspace."""

    def __init__(self, control: _Control, program: Program, function: ir.Function) -> None:
        self.control, self.program, self.function = control, program, function
        self.table = control.take(8 * (len(program.buffers) + 1 + len(control.pages)))
        self.arena = control.take(program.arena)
        b = control.b
        b.store(b.load(control.outer, typ=POINTER), self.table)  # the host callback
        for i, buffer in enumerate(program.buffers):
            if buffer.kind == "temporary":
                place = b.gep(self.arena, [i64(buffer.offset or 0)], source_etype=I8)
                self._set(i, place)

    def _set(self, index: int, address: ir.Value) -> None:
        b = self.control.b
        b.store(address, b.gep(self.table, [i64(index + 1)], source_etype=POINTER))

    def ask_for(self, slices: Sequence[ir.Value], pages: Sequence[tuple[int, int]]) -> None:
        """Tell the product of the next run what to ask for: these pages of the trip after it."""
        for place, (index, first) in enumerate(pages, len(self.program.buffers)):
            self._set(place, self.control.b.gep(slices[index], [i64(first)], source_etype=I8))

    def run(self, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value]) -> None:
        for index, address in zip(self.program.inputs, inputs, strict=True):
            self._set(index, address)
        for index, address in zip(self.program.outputs, outputs, strict=True):
            self._set(index, address)
        self.control.b.call(self.function, [self.table, self.control.scratch])


__all__ = ["control_workspace", "emit_control"]
