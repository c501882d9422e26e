"""Loop kernels: one loop nest over a space, some of whose axes may be reduced.

Kept axes are outside. For each of their elements the reduced axes run once per stage (see
`stages`). Where lanes run along a kept axis, several vectors of it run side by side; where it is a
reduced one, so do several partial sums. A task owns whole reductions and adds up in a fixed order:
bits do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from math import prod

from llvmlite import ir

from anode.backends.cpu.access import Memory
from anode.backends.cpu.accumulate import Accumulator
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    Values,
    add,
    at,
    i64,
    smaller,
)
from anode.backends.cpu.loop_plan import LoopPlan, plan_loops
from anode.backends.cpu.position import ZERO, Base, Index, Indices, Phase, Position
from anode.backends.cpu.pull import Puller, index_bound
from anode.backends.cpu.stages import Stage
from anode.ir.dtypes import u8
from anode.ir.node import Node

TILED_AT_ONCE = 64  # elements: whole cache lines, and rows that a core's own cache holds

Indexed = dict[int, Index]  # of each axis of the space, its index


@dataclass(frozen=True)
class Block:
    """One vector along the lane axes: where it is, how many lanes exist, its number in a row."""

    position: Position
    active: int
    copy: int = 0


def emit_loops(plan: LoopPlan, module: ir.Module, name: str) -> ir.Function:
    """Add one task of the kernel: `void name(operand…, result…, scratch, i64 task)` to `module`.

    `scratch` is left out where the plan needs none.
    """
    pointers = [POINTER] * (len(plan.body.types) + len(plan.body.outputs) + bool(plan.scratch))
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*pointers, I64]), name)
    function.attributes.add("nounwind")
    emitter = _Loops(plan, function)
    if plan.count(plan.rows) and (plan.lanes_reduced or plan.count(plan.lanes)):
        emitter.rows()
    emitter.b.ret_void()
    return function


class _Loops:
    def __init__(self, plan: LoopPlan, function: ir.Function) -> None:
        self.plan, self.b = plan, ir.IRBuilder(function.append_basic_block("entry"))
        body, args = plan.body, function.args
        operands = zip(body.inputs, args, strict=False)
        memory = {node: Memory(pointer, node.tensor) for node, pointer in operands}
        self.results = [
            Memory(pointer, node.tensor)
            for node, pointer in zip(body.outputs, args[len(body.types) :], strict=False)
        ]
        self.scratch, self.task = args[-2] if plan.scratch else None, args[-1]
        self.levels = Levels(self.b)
        self.pull = Puller(self.levels, plan.width, memory, index_bound(body))

    # the kept axes
    def rows(self) -> None:
        """The rows of the task."""
        plan, row_task, column_task = self.plan, self.task, self.task
        if plan.row_tasks > 1 and plan.column_tasks > 1:
            row_task = self.b.udiv(self.task, i64(plan.column_tasks))
            column_task = self.b.urem(self.task, i64(plan.column_tasks))
        count = prod(plan.row_sizes)
        first, last = self._share(row_task, plan.row_tasks, count, -(-count // plan.row_tasks))
        if isinstance(last, int) and count == 1:
            self._row(0, column_task)
        else:
            self.levels.counted(first, last, 1, lambda row: self._row(row, column_task))

    def _share(self, task: ir.Value, tasks: int, count: int, each: int) -> tuple[Base, Base]:
        """What of `count` things is the task's; every one has `each` but the last ones."""
        if tasks == 1:
            return 0, count
        first = smaller(self.b, self.b.mul(task, i64(each)), count)
        return first, smaller(self.b, add(self.b, first, each), count)

    def _row(self, row: Base, column_task: ir.Value) -> None:
        plan = self.plan
        blocks = self.pull.index.digits(self._position(row), plan.row_sizes)
        at = dict(zip(plan.rows, blocks, strict=True))
        if plan.lanes_reduced:
            self._stages(at, None)
            return
        count = plan.count(plan.lanes)
        columns = self._share(column_task, plan.column_tasks, count, plan.columns)
        if plan.tile:
            self._tiled(at, columns)
        else:
            self._columns(columns, lambda blocks: self._phases(at, blocks))

    def _phases(self, at: Indexed, blocks: Sequence[Block]) -> None:
        """The stages for every element of a row that is a block of several."""
        plan = self.plan
        strides = {a: s for a, s in zip(plan.rows, plan.strides, strict=True) if s > 1}
        for phase in product(*map(range, strides.values())):
            inside, exists = dict(at), list[ir.Value]()
            for (axis, stride), rest in zip(strides.items(), phase, strict=True):
                inside[axis] = Phase(at[axis], stride, rest)
                full, more = divmod(plan.space[axis], stride)
                if rest >= more and not self.pull.index.known_below(at[axis], full):
                    exists.append(self.pull.index.below(at[axis], full).value)
            stages = partial(self._stages, inside, blocks)
            if exists:
                self.levels.when(reduce(self.b.and_, exists), stages)
            else:
                stages()

    def _columns(
        self, columns: tuple[Base, Base], stages: Callable[[Sequence[Block]], None]
    ) -> None:
        """`stages` for all lanes between two columns."""

        def body(blocks: Sequence[Block], _: Values) -> Values:
            stages(blocks)
            return ()

        self._lane_loop(*columns, (), body)

    # lanes
    def _lane_loop(
        self,
        first: Base,
        last: Base,
        carried: Values,
        body: Callable[[Sequence[Block], Values], Values],
    ) -> Values:
        """`body(blocks, carried)` for lanes first … last, `unroll` vectors at a time.

        What does not fill so many is at the end of the lane axes, in places that are known.
        """
        step, size = self.plan.width * self.plan.unroll, self.plan.count(self.plan.lanes)
        main = size - size % step

        def several(start: Base, values: Values = ()) -> Values:
            return body(self._side_by_side(start, step), values)

        def rest(values: Values = ()) -> Values:
            return body(self._side_by_side(main, size - main), values)

        if not isinstance(last, int):
            end = smaller(self.b, last, main)
            self.levels.counted(first, end, step, several)
            if main < size:
                self.levels.when(self.b.icmp_signed("<", end, last), rest)
            return ()
        if main == step:
            carried = several(0, carried)
        elif main:
            carried = self.levels.loop(0, main, step, several, carried)
        return rest(carried) if main < size else carried

    def _side_by_side(self, start: Base, elements: int) -> list[Block]:
        """The vectors of so many elements; the last one may have fewer lanes."""
        width, unroll = self.plan.width, self.plan.unroll
        each, step = (width if unroll > 1 else 0), (1 if width > 1 else 0)
        first = self._position(start, step, width * unroll, each)
        counts = range(elements, 0, -width)
        return [Block(first, min(width, count), copy) for copy, count in enumerate(counts)]

    @contextmanager
    def _inside(self, at: Indexed, block: Block) -> Iterator[Indexed]:
        """The indices of all axes in a block; what is emitted inside is for its lanes."""
        lanes, pull = self.plan.lanes, self.pull
        indices = pull.index.digits(block.position, [self.plan.space[axis] for axis in lanes])
        outer = pull.access.active, pull.index.copy
        pull.access.active = block.active
        pull.index.copy = block.copy if self.plan.unroll > 1 else pull.index.copy
        yield {**at, **dict(zip(lanes, indices, strict=False))}
        pull.access.active, pull.index.copy = outer

    # tiles
    def _tiled(self, at: Indexed, columns: tuple[Base, Base]) -> None:
        """The stages for the elements of the tile axes, a few cache lines of them for all lanes."""

        def several(start: Base, count: int) -> None:
            self._columns(columns, lambda blocks: self._tiles(at, blocks, start, count))

        size = self.plan.count(self.plan.tile)
        main = size - size % TILED_AT_ONCE
        self.levels.counted(0, main, TILED_AT_ONCE, lambda i: several(i, TILED_AT_ONCE))
        if size > main:
            several(main, size - main)

    def _tiles(self, at: Indexed, blocks: Sequence[Block], start: Base, count: int) -> None:
        """So many elements of the tile axes, as many at a time as there are lanes."""
        width = self.plan.width
        main = count - count % width
        if main:
            end = add(self.b, start, main)
            self.levels.loop(start, end, width, lambda i, _: self._tile(at, blocks, i, width))
        if count > main:
            self._tile(at, blocks, add(self.b, start, main), count - main)

    def _tile(self, at: Indexed, blocks: Sequence[Block], start: Base, copies: int) -> Values:
        """The same code for `copies` neighbours: what is strided along lanes is contiguous here."""
        pull, axes = self.pull, self.plan.tile
        first = self._position(start, 0, self.plan.width, each=1)
        sizes = [self.plan.space[axis] for axis in axes]
        inside = {**at, **dict(zip(axes, pull.index.digits(first, sizes), strict=True))}
        pull.access.copies = copies
        for copy in range(copies):
            pull.index.copy = copy
            self._stages(inside, blocks)
        pull.access.copies, pull.index.copy = 1, 0
        return ()

    # stages
    def _stages(self, at: Indexed, blocks: Sequence[Block] | None) -> None:
        """All stages of some elements of the kept axes, then what is stored once of them.

        `blocks` are the vectors of kept lanes; None where lanes are reduced.
        """
        for stage in self.plan.stages:
            self._stage(stage, at, blocks)
            for node in stage.saved:
                self.pull.memory[node] = self._saved(node)
        narrow = [i for i, n in enumerate(self.plan.body.outputs) if not self.plan.is_wide(n)]
        if blocks is None:
            self._store(narrow, at)
        for block in blocks or ():
            with self._inside(at, block) as here:
                self._store(narrow, here)
        for node in self.plan.saved:
            del self.pull.memory[node]

    def _saved(self, node: Node) -> Memory:
        """Where a saved node is; it has its values from the present level on."""
        offset, type = self.plan.saved[node]
        assert self.scratch is not None
        return Memory(at(self.b, self.scratch, offset, u8), type, self.levels.depth)

    def _stage(self, stage: Stage, here: Indexed, blocks: Sequence[Block] | None) -> None:
        """One run over the reduced axes: stores, and reductions into a set of registers a block."""
        sums = [Accumulator(self.pull, n, self.plan.lanes_reduced) for n in stage.reductions]
        sets = self.plan.unroll if blocks is None else len(blocks)
        initial = [value for _ in range(sets) for acc in sums for value in acc.initial()]
        each = len(initial) // sets

        def run(at: Indexed, blocks: Sequence[Block], carried: Values) -> Values:
            values = list(carried)
            for k, block in enumerate(blocks):
                own = slice(k * each, (k + 1) * each)
                with self._inside(at, block) as inside:
                    values[own] = self._element(stage, sums, inside, values[own])
            return values

        def innermost(at: Indexed, carried: Values) -> Values:
            if blocks is not None:
                return run(at, blocks, carried)
            size = self.plan.count(self.plan.lanes)
            return self._lane_loop(0, size, carried, lambda blocks, v: run(at, blocks, v))

        final = self._nest(0, here, initial, innermost)
        self._finish(sums, here, blocks, [final[k * each : (k + 1) * each] for k in range(sets)])

    def _nest(
        self,
        level: int,
        at: Indexed,
        carried: Values,
        innermost: Callable[[Indexed, Values], Values],
    ) -> Values:
        """The loops over reduced axes, from one of them on inward."""
        if level == len(self.plan.loops):
            return innermost(at, carried)
        axes = self.plan.loops[level]
        sizes = [self.plan.space[axis] for axis in axes]

        def body(i: Base, values: Values) -> Values:
            indices = self.pull.index.digits(self._position(i), sizes)
            inside = {**at, **dict(zip(axes, indices, strict=True))}
            return self._nest(level + 1, inside, values, innermost)

        count = self.plan.count(axes)
        if self.plan.written_out:
            for i in range(count):
                carried = body(i, carried)
            return carried
        return self.levels.loop(0, count, 1, body, carried) if count else carried

    def _element(
        self, stage: Stage, sums: Sequence[Accumulator], at: Indexed, values: Values
    ) -> list[ir.Value]:
        """One vector of a stage: its members, in order, what is stored of them, and the sums."""
        for node in stage.members:
            self.pull.element(node, self._indices(node, at))
        self._store(stage.outputs, at)
        for node in stage.saved:
            indices = self._indices(node, at)
            self.pull.access.store(self._saved(node), indices, self.pull.pull(node, indices))
        remaining = iter(values)
        new: list[ir.Value] = []
        for acc in sums:
            registers = [next(remaining) for _ in range(acc.count)]
            elements = [self.pull.element(x, self._indices(x, at)) for x in acc.operands]
            new += acc.add(registers, elements)
        return new

    def _store(self, outputs: Sequence[int], at: Indexed) -> None:
        """Store results; all are read off first, as one may lie where an operand of another is."""
        nodes = [self.plan.body.outputs[i] for i in outputs]
        lanes = [self.pull.pull(node, self._indices(node, at)) for node in nodes]
        for i, node, lane in zip(outputs, nodes, lanes, strict=True):
            self.pull.access.store(self.results[i], self._indices(node, at), lane)

    def _finish(
        self,
        sums: Sequence[Accumulator],
        at: Indexed,
        blocks: Sequence[Block] | None,
        sets: Sequence[Values],
    ) -> None:
        """Make the results of reductions known: of each block its own, of reduced lanes one."""
        start = 0
        for acc in sums:
            own = [values[start : start + acc.count] for values in sets]
            start += acc.count
            if blocks is None:
                self._define(acc, at, acc.joined(own))
            for block, registers in zip(blocks or (), own, strict=False):
                with self._inside(at, block) as inside:
                    self._define(acc, inside, registers)

    def _define(self, acc: Accumulator, at: Indexed, registers: Values) -> None:
        for node, lane in zip(acc.node.items, acc.results(registers), strict=True):
            self.pull.define(node, self._indices(node, at), lane)

    def _position(self, base: Base, step: int = 0, multiple: int = 1, each: int = 0) -> Position:
        """A position that is known at the present depth, or everywhere if it is a number."""
        level = 0 if isinstance(base, int) else self.levels.depth
        return Position(base, step, None, level, multiple, each)

    def _indices(self, node: Node, at: Indexed) -> Indices:
        """Where a member is: each of its dims of more than one element is an axis of the space."""
        found = self.plan.coordinates(node.tensor.static)
        return tuple([ZERO if axis is None else at[axis] for axis in found])


__all__ = ["LoopPlan", "emit_loops", "plan_loops"]
