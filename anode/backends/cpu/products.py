"""Product kernels: a legal `dot_general`, its users' arithmetic as the epilogue of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.lanes import Lane
from anode.backends.cpu.llvm_ir import I64, LINE, POINTER, Values, at, mul, prefetch
from anode.backends.cpu.matmul import (
    Epilogue,
    MatmulPlan,
    MatmulSpec,
    Operand,
    Prefetch,
    emit_matmul,
    plan_matmul,
)
from anode.backends.cpu.position import ZERO, Position
from anode.backends.cpu.pull import Memory, Positions, Puller
from anode.backends.cpu.target import Target
from anode.ir.graph import Graph
from anode.ir.node import INPUT, Node
from anode.ir.types import TensorType
from anode.passes.strides import View, view_of


@dataclass(frozen=True)
class ProductPlan:
    """A product kernel: its body, the product in it, the operands' views and the blocking."""

    body: Graph
    product: Node
    a: View
    b: View
    blocking: MatmulPlan

    @property
    def tasks(self) -> int:
        return self.blocking.tasks

    @property
    def scratch(self) -> int:
        """Bytes that one running task needs."""
        return self.blocking.scratch_bytes


def plan_product(body: Graph, target: Target, threads: int) -> ProductPlan:
    """The blocking of the one product in `body`."""
    (product,) = [node for node in body.nodes if node.op.name == "dot_general"]
    a, b = (view_of(arg) for arg in product.args)
    assert a is not None and b is not None
    batched = len(a.shape) == 3
    m, k = a.shape[-2:]
    dtype = product.args[0].tensor.dtype
    spec = MatmulSpec(
        m=m,
        n=b.shape[-1],
        k=k,
        a=Operand(dtype, a.strides),
        b=Operand(dtype, b.strides),
        dtype=product.tensor.dtype.compute,
        threads=threads,
        batch=a.shape[:1] if batched else (),
    )
    return ProductPlan(body, product, a, b, plan_matmul(spec, target))


def emit_product(plan: ProductPlan, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(operand…, result…, scratch, i64 task)` to `module`: one task of the kernel."""
    body = plan.body
    count = len(body.types) + len(body.outputs)
    parameters: list[ir.Type] = [POINTER] * count
    inner = emit_matmul(
        plan.blocking, module, f"{name}.tiles", parameters, _epilogue(plan), _prefetch(plan)
    )
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * count, POINTER, I64])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    pointers, scratch, task = function.args[:count], function.args[-2], function.args[-1]
    operands = [_operand(builder, view, pointers) for view in (plan.a, plan.b)]
    builder.call(inner, [*operands, scratch, *pointers, task])
    builder.ret_void()
    return function


def _operand(builder: ir.IRBuilder, view: View, pointers: Sequence[ir.Value]) -> ir.Value:
    assert view.base.op is INPUT
    pointer = pointers[view.base.attrs["index"]]
    return at(builder, pointer, view.offset, view.base.tensor.dtype)


def _epilogue(plan: ProductPlan) -> Epilogue:
    body, product = plan.body, plan.product

    def epilogue(
        b: ir.IRBuilder,
        pointers: Values,
        batch: Values,
        m: ir.Value,
        n: ir.Value,
        lanes: int,
        sums: ir.Value,
        mask: ir.Value | None,
    ) -> None:
        inputs = body.inputs
        memory = {
            node: Memory(pointer, node.tensor)
            for node, pointer in zip(inputs, pointers, strict=False)
        }
        pull = Puller(b, lanes, memory)
        pull.mask = mask
        if lanes == 1 and isinstance(sums.type, ir.VectorType):
            sums = b.extract_element(sums, ir.IntType(32)(0))
        total = Lane(sums, plan.blocking.spec.dtype)
        pull.known[product] = pull.vector.round(total, product.tensor.dtype)
        where = [*(Position(i) for i in batch), Position(m), Position(n, 1 if lanes > 1 else 0)]
        places = [_positions(product.tensor, node.tensor, where) for node in body.outputs]
        values = [pull.pull(n, place) for n, place in zip(body.outputs, places, strict=True)]
        results = zip(body.outputs, pointers[len(inputs) :], places, values, strict=True)
        for node, pointer, place, lane in results:  # only now: a result may lie over an operand
            pull.store(Memory(pointer, node.tensor), place, lane)

    return epilogue


def _prefetch(plan: ProductPlan) -> Prefetch | None:
    """Asks for the operands of the epilogue that are as large as the product, if there are any."""
    space = plan.product.tensor
    read = _read_beside(plan.product, plan.body)
    operands = [
        (index, node.tensor.dtype)
        for index, node in enumerate(plan.body.inputs)
        if node in read and node.tensor.static == space.static
    ]
    aligned = all(space.static[-1] * dtype.size % LINE == 0 for _, dtype in operands)

    def ask(
        b: ir.IRBuilder, pointers: Values, batch: Values, m: ir.Value, n: ir.Value, columns: int
    ) -> None:
        row = m
        for index in batch:
            row = b.add(row, mul(b, index, space.static[-2]))
        offset = b.add(mul(b, row, space.static[-1]), n)
        for index, dtype in operands:
            prefetch(b, at(b, pointers[index], offset, dtype), columns, dtype, aligned=aligned)

    return ask if operands else None


def _read_beside(product: Node, body: Graph) -> set[Node]:
    """The nodes that the outputs of `body` depend on by another way than through `product`."""
    found: set[Node] = set()
    stack = list(body.outputs)
    while stack:
        node = stack.pop()
        if node is not product and node not in found:
            found.add(node)
            stack += node.args
    return found


def _positions(space: TensorType, type: TensorType, where: Sequence[Position]) -> Positions:
    """The positions of a member of the product's shape, up to dims of size 1."""
    axes = iter([p for p, size in zip(where, space.static, strict=True) if size != 1])
    return tuple(ZERO if size == 1 else next(axes) for size in type.static)


__all__ = ["ProductPlan", "emit_product", "plan_product"]
