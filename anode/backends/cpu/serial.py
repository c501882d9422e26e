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
from anode.backends.cpu.position import Index, Indices, Position
from anode.backends.cpu.pull import Puller, apply_body
from anode.ir.dtypes import i64 as i64_dtype
from anode.ir.graph import Graph
from anode.ir.node import Node, input_node
from anode.ir.types import TensorType
from anode.passes.movement import unreshaped


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
    code, axis = _Serial(module, name, len(body.types) + 1), node.attrs["axis"]
    b, (*operands, result, task) = code.b, code.function.args
    parts = [operands[unreshaped(x).attrs["index"]] for x in node.args]
    end = code.function.append_basic_block("end")
    choice = b.switch(task, end)
    shape, offset = node.tensor.static, 0
    row = prod(shape[axis:]) * node.tensor.dtype.size
    for i, (x, part) in enumerate(zip(node.args, parts, strict=True)):
        size = prod(x.tensor.static[axis:]) * node.tensor.dtype.size
        choice.add_case(i64(i), block := code.function.append_basic_block("part"))
        b.position_at_end(block)
        place = b.gep(result, [i64(offset)], source_etype=I8)
        _copy_rows(b, prod(shape[:axis]), (place, row), (part, size), size)
        b.branch(end)
        offset += size
    b.position_at_end(end)
    b.ret_void()
    return code.function


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
    """A function of pointers to tensors, under construction; elements are taken one by one."""

    def __init__(self, module: ir.Module, name: str, pointers: int) -> None:
        kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
        self.function = ir.Function(module, kind, name)
        self.function.attributes.add("nounwind")
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.levels = Levels(self.b)

    def puller(self, types: Sequence[TensorType], pointers: Values) -> tuple[Puller, list[Node]]:
        """Access to tensors of these types, as nodes."""
        nodes = [input_node(i, type) for i, type in enumerate(types)]
        memory = {n: Memory(p, n.tensor) for n, p in zip(nodes, pointers, strict=True)}
        return Puller(self.levels, 1, memory), nodes

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


def emit_scatter(node: Node, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(x, indices, updates, result, i64 task)`: the whole scatter, in order."""
    code = _Serial(module, name, 4)
    x, indices, updates = (arg.tensor for arg in node.args)
    x_at, indices_at, updates_at, result_at, _ = code.function.args
    copy_bytes(code.b, result_at, x_at, x.bytes)
    pull, (result, starts, values) = code.puller(
        [node.tensor, indices, updates], [result_at, indices_at, updates_at]
    )

    def apply(found: list[Index]) -> None:
        place = _place(pull, node, starts, found)
        inside = I1(1)
        for index, size in zip(place, x.static, strict=True):
            if not pull.index.known_below(index, size):
                inside = code.b.and_(inside, pull.index.below(index, size).value)
        code.levels.when(inside, lambda: update(place, tuple(found)), protects=True)

    def update(place: Indices, found: Indices) -> None:
        old = pull.access.load(pull.memory[result], place).lane
        lanes = pull.elements.scalar
        (new,) = apply_body(lanes, node.attrs["body"], [old, pull.pull(values, found)])
        pull.access.store(pull.memory[result], place, new)

    code.nest(updates.static, apply)
    code.b.ret_void()
    return code.function


def _place(pull: Puller, node: Node, starts: Node, found: Sequence[Index]) -> Indices:
    """Where in the operand the element `found` of the updates goes; perhaps outside of it."""
    attrs, rank = node.attrs, node.tensor.rank
    batch = [p for i, p in enumerate(found) if i not in attrs["update_window_dims"]]
    window = iter([found[i] for i in attrs["update_window_dims"]])
    inserted = attrs["inserted_window_dims"]
    place: list[Index] = [Position() if d in inserted else next(window) for d in range(rank)]
    for component, dim in enumerate(attrs["scatter_dims_to_operand_dims"]):
        at = vector_at(starts, batch, component, attrs["index_vector_dim"])
        element = pull.element(starts, at)
        value = pull.elements.scalar.convert(element.lane, i64_dtype).value
        place[dim] = pull.index.add(place[dim], Position(value, level=element.level))
    return tuple(place)


def emit_cumulate(node: Node, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(x, result, i64 task)`: the running combination along one axis."""
    code = _Serial(module, name, 2)
    shape, axis, dtype = node.tensor.static, node.attrs["axis"], node.tensor.dtype
    length, inner = shape[axis], prod(shape[axis + 1 :])
    step = -inner if node.attrs["reverse"] else inner
    flat = TensorType(dtype, (prod(shape),))
    pull, (source, result) = code.puller([flat, flat], code.function.args[:2])

    def column(found: list[Index]) -> None:
        first = pull.index.add(pull.index.scale(found[0], length * inner), found[1])
        if node.attrs["reverse"]:
            first = pull.index.add(first, Position((length - 1) * inner))
        start = pull.pull(source, (first,))
        pull.access.store(pull.memory[result], (first,), start)

        def element(i: ir.Value, carried: Values) -> Values:
            at = Position(i, level=code.levels.depth)
            here = (pull.index.add(first, pull.index.scale(at, step)),)
            operands = [Lane(carried[0], dtype), pull.pull(source, here)]
            (total,) = apply_body(pull.elements.scalar, node.attrs["body"], operands)
            pull.access.store(pull.memory[result], here, total)
            return [total.value]

        if length > 1:
            code.levels.loop(1, length, 1, element, [start.value])

    if length:
        code.nest((prod(shape[:axis]), inner), column)
    code.b.ret_void()
    return code.function


__all__ = ["copy_bytes", "emit_concatenate", "emit_cumulate", "emit_scatter"]
