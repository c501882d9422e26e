"""Kernels whose order matters: scatter applies updates one after another, cumulate runs along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from llvmlite import ir

from anode.backends.cpu.lanes import Lane
from anode.backends.cpu.llvm_ir import I64, POINTER, Values, counted, i64, loop, when
from anode.backends.cpu.position import Position
from anode.backends.cpu.pull import Memory, Puller
from anode.ir.dtypes import i64 as i64_dtype
from anode.ir.node import Node, input_node
from anode.ir.types import TensorType


def _function(module: ir.Module, name: str, pointers: int) -> ir.Function:
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    return function


def _puller(
    b: ir.IRBuilder, types: Sequence[TensorType], pointers: Values
) -> tuple[Puller, list[Node]]:
    nodes = [input_node(i, type) for i, type in enumerate(types)]
    memory = {n: Memory(p, n.tensor) for n, p in zip(nodes, pointers, strict=False)}
    return Puller(b, 1, memory), nodes


def combine(pull: Puller, node: Node, x: Lane, y: Lane) -> Lane:
    """The scalar graph of `node` on an accumulator and an element."""
    body = node.attrs["body"]
    inner = Puller(pull.b, pull.width, {})
    inner.known = dict(zip(body.inputs, (x, y), strict=True))
    return inner.pull(body.outputs[0], ())


def nest(b: ir.IRBuilder, shape: Sequence[int], body: Callable[[list[Position]], None]) -> None:
    """Loops over all indices of `shape`, in row-major order."""
    if 0 in shape:
        return

    def inside(found: list[Position]) -> None:
        if len(found) == len(shape):
            body(found)
            return
        size = shape[len(found)]
        if size == 1:
            inside([*found, Position(0)])
        else:
            counted(b, 0, size, 1, lambda i: inside([*found, Position(i)]))

    inside([])


def copy_bytes(b: ir.IRBuilder, target: ir.Value, source: ir.Value, size: int) -> None:
    """Copy `size` bytes, unless the two are one place."""
    if not size:
        return
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, ir.IntType(1)])
    name = "llvm.memmove.p0.p0.i64"
    function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
    differ = b.icmp_unsigned("!=", b.ptrtoint(target, I64), b.ptrtoint(source, I64))
    when(b, differ, lambda: b.call(function, [target, source, i64(size), ir.IntType(1)(0)]))


def emit_scatter(node: Node, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(x, indices, updates, result, i64 task)`: the whole scatter, in order."""
    x, indices, updates = (arg.tensor for arg in node.args)
    function = _function(module, name, 4)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    copy_bytes(b, function.args[3], function.args[0], x.bytes)
    types = [node.tensor, indices, updates]
    pull, nodes = _puller(b, types, [function.args[3], function.args[1], function.args[2]])
    attrs = node.attrs
    window_dims, inserted = attrs["update_window_dims"], attrs["inserted_window_dims"]

    def apply(found: list[Position]) -> None:
        with pull.scope():
            batch = [p for i, p in enumerate(found) if i not in window_dims]
            window = iter([found[i] for i in window_dims])
            place = [Position(0) if d in inserted else next(window) for d in range(x.rank)]
            for component, dim in enumerate(attrs["scatter_dims_to_operand_dims"]):
                start = _index(pull, nodes[1], batch, component, attrs["index_vector_dim"])
                place[dim] = pull.index.add(place[dim], start)
            inside = [pull.index.below(p, n) for p, n in zip(place, x.static, strict=True)]
            valid = inside[0] if inside else ir.IntType(1)(1)
            for condition in inside[1:]:
                valid = b.and_(valid, condition)
            when(b, valid, lambda: update(tuple(place), tuple(found)))

    def update(place: tuple[Position, ...], found: tuple[Position, ...]) -> None:
        with pull.scope():
            old = pull.load(pull.memory[nodes[0]], place)
            new = combine(pull, node, old, pull.load(pull.memory[nodes[2]], found))
            pull.store(pull.memory[nodes[0]], place, new)

    nest(b, updates.static, apply)
    b.ret_void()
    return function


def _index(
    pull: Puller, indices: Node, batch: Sequence[Position], component: int, dim: int
) -> Position:
    positions = list(batch)
    if dim < indices.tensor.rank:
        positions.insert(dim, Position(component))
    lane = pull.pull(indices, tuple(positions))
    return pull.index.of(pull.scalar.convert(lane, i64_dtype).value)


def emit_cumulate(node: Node, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(x, result, i64 task)`: the running combination along one axis."""
    type, axis = node.tensor, node.attrs["axis"]
    function = _function(module, name, 2)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    shape = type.static
    length, inner = shape[axis], prod(shape[axis + 1 :])
    step = -inner if node.attrs["reverse"] else inner
    flat = TensorType(type.dtype, (prod(shape),))
    pull, (source, result) = _puller(b, [flat, flat], function.args)

    def column(found: list[Position]) -> None:
        first = pull.index.add(pull.index.scale(found[0], length * inner), found[1])
        if node.attrs["reverse"]:
            first = pull.index.shift(first, (length - 1) * inner)
        start = pull.load(pull.memory[source], (first,))
        pull.store(pull.memory[result], (first,), start)

        def element(i: ir.Value, carried: Values) -> Values:
            with pull.scope():
                here = (pull.index.add(first, pull.index.scale(Position(i), step)),)
                value = pull.load(pull.memory[source], here)
                total = combine(pull, node, Lane(carried[0], type.dtype), value)
                pull.store(pull.memory[result], here, total)
                return [total.value]

        if length > 1:
            loop(b, 1, length, 1, element, [start.value])

    if length:
        nest(b, (prod(shape[:axis]), inner), column)
    b.ret_void()
    return function


__all__ = ["copy_bytes", "emit_cumulate", "emit_scatter"]
