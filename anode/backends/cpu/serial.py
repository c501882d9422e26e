"""Kernels whose order matters: scatter applies updates in turn, cumulate runs along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from llvmlite import ir

from anode.backends.cpu.access import Memory
from anode.backends.cpu.lanes import Lane
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.llvm_ir import I1, I8, I64, POINTER, Values, counted, i64, mul, when
from anode.backends.cpu.moves import vector_at
from anode.backends.cpu.position import Base, Index, Indices, Position
from anode.backends.cpu.pull import Puller, apply_body
from anode.backends.cpu.target import Target
from anode.backends.cpu.team import LINE
from anode.ir.dtypes import DType
from anode.ir.dtypes import i64 as i64_dtype
from anode.ir.graph import Graph
from anode.ir.node import Node, input_node
from anode.ir.types import TensorType
from anode.passes.movement import unreshaped

MOST_TASKS, MOST_IN_ONE = 8, 1 << 16  # parts of a scatter; elements of updates not worth parts


def copy_bytes(b: ir.IRBuilder, target: ir.Value, source: ir.Value, size: int) -> None:
    """Copy `size` bytes, unless the two are one place."""
    if not size:
        return
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, I1])
    name = "llvm.memmove.p0.p0.i64"
    function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
    differ = b.icmp_unsigned("!=", b.ptrtoint(target, I64), b.ptrtoint(source, I64))
    when(b, differ, lambda: b.call(function, [target, source, i64(size), I1(0)]))


def emit_concatenate(body: Graph, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(operand…, result, i64 task)`: task i copies part i to its place."""
    (node,) = body.outputs
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * (len(body.types) + 1), I64])
    function, axis = ir.Function(module, kind, name), node.attrs["axis"]
    b = ir.IRBuilder(function.append_basic_block("entry"))
    *operands, result, task = function.args
    end = function.append_basic_block("end")
    choice = b.switch(task, end)
    shape, offset = node.tensor.static, 0
    row = prod(shape[axis:]) * node.tensor.dtype.size
    for i, x in enumerate(node.args):
        size = prod(x.tensor.static[axis:]) * node.tensor.dtype.size
        choice.add_case(i64(i), block := function.append_basic_block("part"))
        b.position_at_end(block)
        place = b.gep(result, [i64(offset)], source_etype=I8)
        part = operands[unreshaped(x).attrs["index"]]
        _copy_rows(b, prod(shape[:axis]), (place, row), (part, size), size)
        b.branch(end)
        offset += size
    b.position_at_end(end)
    b.ret_void()
    return function


def _copy_rows(
    b: ir.IRBuilder,
    count: int,
    target: tuple[ir.Value, int],
    source: tuple[ir.Value, int],
    size: int,
) -> None:
    """Copy `size` bytes of each row; rows are given by the first one and the bytes to the next."""
    if size == 0:
        return

    def row(i: ir.Value) -> None:
        places = [b.gep(p, [mul(b, i, step)], source_etype=I8) for p, step in (target, source)]
        copy_bytes(b, places[0], places[1], size)

    counted(b, 0, count, 1, row)


class _Serial:
    """A function of pointers to tensors, under construction.

    `nodes` stand for the tensors; `width` lanes run along some contiguous dim.
    """

    def __init__(
        self, module: ir.Module, name: str, types: Sequence[TensorType], width: int
    ) -> None:
        kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * len(types), I64])
        self.function = ir.Function(module, kind, name)
        self.function.attributes.add("nounwind")
        self.task = self.function.args[-1]
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.nodes = [input_node(i, type) for i, type in enumerate(types)]
        pointers = zip(self.nodes, self.function.args, strict=False)
        memory = {node: Memory(pointer, node.tensor) for node, pointer in pointers}
        bound = max(prod(type.static) for type in types) + 1
        self.levels = Levels(self.b)
        self.pull = Puller(self.levels, width, memory, bound)

    def load(self, node: Node, at: Indices) -> Lane:
        """The elements of a tensor as they are now."""
        return self.pull.full(self.pull.access.load(self.pull.memory[node], at).lane)

    def store(self, node: Node, at: Indices, lane: Lane) -> None:
        self.pull.access.store(self.pull.memory[node], at, lane)

    def nest(self, shape: Sequence[int], body: Callable[[list[Index]], None]) -> None:
        """Loops over all indices of `shape`, in row-major order."""

        def inside(found: list[Index]) -> None:
            if len(found) == len(shape):
                body(found)
            elif shape[len(found)] == 1:
                inside([*found, Position()])
            else:
                self.levels.counted(0, shape[len(found)], 1, lambda i: inside([*found, here(i)]))

        def here(i: ir.Value) -> Position:
            return Position(i, level=self.levels.depth)

        if 0 not in shape:
            inside([])

    def vectors(self, size: int, body: Callable[[Position], None]) -> None:
        """`body` for all vectors of `size` elements; the last one may have fewer lanes."""
        width, step = self.pull.width, int(self.pull.width > 1)
        full = size - size % width

        def vector(start: ir.Value) -> None:
            body(Position(start, step, None, self.levels.depth, width))

        self.levels.counted(0, full, width, vector)
        if full < size:
            self.pull.access.active = size - full
            body(Position(full, step))
            self.pull.access.active = width


def _lanes(target: Target, dtype: DType, size: int) -> int:
    """Lanes for `size` contiguous elements."""
    width = target.lanes(max(4, dtype.compute.size))
    while width > 1 and width // 2 >= size:
        width //= 2
    return width


def emit_scatter(
    node: Node, module: ir.Module, name: str, target: Target
) -> tuple[ir.Function, int]:
    """Add `void name(x, indices, updates, result, i64 task)`; the function and how many tasks.

    A task does some columns of all updates in their order, or everything where there are no rows.
    """
    x, indices, updates = (arg.tensor for arg in node.args)
    rows = _whole_rows(node)
    size = updates.static[-1] if rows else 1
    tasks = _column_tasks(x, updates) if rows else 1
    width = _lanes(target, x.dtype, size // tasks) if rows else 1
    code = _Serial(module, name, [x, indices, updates, node.tensor], width)
    (_, starts, values, result), pull = code.nodes, code.pull
    _copy_columns(code, x, tasks)

    def element(found: list[Index]) -> None:
        place = _place(pull, node, starts, found)
        inside = I1(1)
        for index, size in zip(place, x.static, strict=True):
            if not pull.index.known_below(index, size) and not (rows and index is place[-1]):
                inside = code.b.and_(inside, pull.index.below(index, size).value)
        code.levels.when(inside, lambda: update(place, tuple(found)), protects=True)

    def update(place: Indices, found: Indices) -> None:
        operands = [code.load(result, place), code.load(values, found)]
        (new,) = apply_body(pull.elements.vector, node.attrs["body"], operands)
        code.store(result, place, new)

    if rows:
        mine = size // tasks
        first = Position(mul(code.b, code.task, mine), multiple=mine) if tasks > 1 else Position()
        code.nest(
            updates.static[:-1],
            lambda at: code.vectors(mine, lambda p: element([*at, pull.index.add(first, p)])),
        )
    else:
        code.nest(updates.static, element)
    code.b.ret_void()
    return code.function, tasks


def _column_tasks(x: TensorType, updates: TensorType) -> int:
    """Equal parts of the columns, each of some cache lines; one where there is little to do."""
    size = updates.static[-1]
    if prod(updates.static) < MOST_IN_ONE or x.static[-1] != size:
        return 1
    line = LINE // x.dtype.size
    return max(
        t for t in range(1, MOST_TASKS + 1) if size % t == 0 and (t == 1 or size // t >= line)
    )


def _copy_columns(code: _Serial, x: TensorType, tasks: int) -> None:
    """Begin with the operand: a task with its own columns."""
    source, result = code.function.args[0], code.function.args[3]
    if tasks == 1:
        copy_bytes(code.b, result, source, x.bytes)
        return
    row = x.static[-1] * x.dtype.size
    mine = mul(code.b, code.task, row // tasks)
    places = [(code.b.gep(p, [mine], source_etype=I8), row) for p in (result, source)]
    _copy_rows(code.b, prod(x.static[:-1]), places[0], places[1], row // tasks)


def _whole_rows(node: Node) -> bool:
    """Whether neighbours along the last dim of the updates go to neighbours, all inside."""
    attrs, rank, updates = node.attrs, node.tensor.rank, node.args[2].tensor
    window, last = attrs["update_window_dims"], rank - 1
    apart = (*attrs["inserted_window_dims"], *attrs["scatter_dims_to_operand_dims"])
    return bool(window) and window[-1] == updates.rank - 1 and last not in apart


def _place(pull: Puller, node: Node, starts: Node, found: Sequence[Index]) -> Indices:
    """Where in the operand the element `found` of the updates goes; perhaps outside of it."""
    attrs, rank = node.attrs, node.tensor.rank
    batch = [p for i, p in enumerate(found) if i not in attrs["update_window_dims"]]
    window = iter([found[i] for i in attrs["update_window_dims"]])
    inserted = attrs["inserted_window_dims"]
    place: list[Index] = [Position() if d in inserted else next(window) for d in range(rank)]
    for component, dim in enumerate(attrs["scatter_dims_to_operand_dims"]):
        at = vector_at(starts, batch, component, attrs["index_vector_dim"])
        start = pull.elements.apply(
            lambda lanes, x: lanes.convert(x, i64_dtype), pull.element(starts, at)
        )
        place[dim] = pull.index.add(place[dim], Position(start.lane.value, level=start.level))
    return tuple(place)


def emit_cumulate(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(x, result, i64 task)`: the running combination along one axis."""
    shape, axis, dtype = node.tensor.static, node.attrs["axis"], node.tensor.dtype
    outer, length, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    flat = TensorType(dtype, (outer, length, inner))
    code = _Serial(module, name, [flat, flat], _lanes(target, dtype, inner))
    source, result = code.nodes
    back = node.attrs["reverse"]

    def column(row: Index, lanes: Position) -> None:
        def here(i: Base) -> Indices:
            turned = code.pull.index.scale(Position(i, level=code.levels.depth), -1 if back else 1)
            place = code.pull.index.shift(turned, length - 1) if back else turned
            return (row, place, lanes)

        def element(i: ir.Value, carried: Values) -> Values:
            operands = [Lane(carried[0], dtype), code.load(source, here(i))]
            (total,) = apply_body(code.pull.elements.vector, node.attrs["body"], operands)
            code.store(result, here(i), total)
            return [total.value]

        first = code.load(source, here(0))
        code.store(result, here(0), first)
        if length > 1:
            code.levels.loop(1, length, 1, element, [first.value])

    if length:
        code.nest([outer], lambda at: code.vectors(inner, lambda lanes: column(at[0], lanes)))
    code.b.ret_void()
    return code.function


__all__ = ["copy_bytes", "emit_concatenate", "emit_cumulate", "emit_scatter"]
