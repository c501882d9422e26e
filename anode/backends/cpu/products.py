"""Product kernels: a `dot_general` in its legal form, and its users' arithmetic on its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.access import Memory
from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, llvm_type
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.llvm_ir import (
    I8,
    I32,
    I64,
    LINE,
    PAGE,
    POINTER,
    Values,
    add,
    at,
    i64,
    mul,
    prefetch,
    smaller,
)
from anode.backends.cpu.matmul import (
    EachStep,
    Epilogue,
    MatmulPlan,
    MatmulSpec,
    Operand,
    Prefetch,
    emit_matmul,
    plan_matmul,
)
from anode.backends.cpu.position import ZERO, Index, Indices, Position
from anode.backends.cpu.pull import Puller, index_bound
from anode.backends.cpu.target import Target
from anode.ir.dtypes import u8
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, Node
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.passes.strides import View, factors


@dataclass(frozen=True)
class ProductPlan:
    """A product kernel: its body, the product in it, the operands' views and the blocking.

    `scalars` are the numbers in the body that are the same for every element.
    """

    body: Graph
    product: Node
    a: View
    b: View
    blocking: MatmulPlan
    scalars: tuple[Node, ...]

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
    a, b = factors(product)
    assert a is not None and b is not None
    blocking = plan_matmul(_spec(product, a, b, threads), target)
    assert blocking.spec.b.rounded is None or blocking.streams_b
    return ProductPlan(body, product, a, b, blocking, _scalars(body))


def rounds_streamed(target: Target) -> Callable[[Node], bool]:
    """What says whether a product copies operand 1 while it runs, so that rounding it is free."""

    def streams(product: Node) -> bool:
        a, b = factors(product)
        if a is None or b is None:
            return False
        spec = _spec(product, a, b, threads=1)
        return not spec.a.rows and plan_matmul(spec, target).streams_b

    return streams


def _spec(product: Node, a: View, b: View, threads: int) -> MatmulSpec:
    m, k = a.shape[-2:]
    return MatmulSpec(
        m=m,
        n=b.shape[-1],
        k=k,
        a=_matrix(a, a.base),
        b=_matrix(b, _stored(b.base)),
        dtype=product.tensor.dtype.compute,
        threads=threads,
        batch=a.shape[:-2],
    )


def _matrix(view: View, stored: Node) -> Operand:
    """A product's operand as its kernel reads it, its base from what is `stored`."""
    strides = tuple([axis[-1][1] if axis else 0 for axis in view.axes])
    rows, columns = (axis if len(axis) > 1 else () for axis in view.axes[-2:])
    rounded = None if stored is view.base else view.base.tensor.dtype
    return Operand(stored.tensor.dtype, strides, rows, columns, rounded)


def _stored(base: Node) -> Node:
    """What is in memory of the base of a product's operand, which may be rounded on the way."""
    return base.args[0] if base.op.name == "convert" else base


def _scalars(body: Graph) -> tuple[Node, ...]:
    """Numbers from memory or scalar arithmetic that something else than such arithmetic uses."""
    simple: set[Node] = set()
    for node in body.nodes:
        computed = isinstance(node.op, Elementwise) and simple.issuperset(node.args)
        if not node.tensor.rank and (computed or node.op in (INPUT, CONSTANT)):
            simple.add(node)
    used = {arg for node in body.nodes if node not in simple for arg in node.args}
    return tuple([n for n in body.nodes if n in simple & used and n.op is not CONSTANT])


def emit_product(plan: ProductPlan, module: ir.Module, name: str, pages: int = 0) -> ir.Function:
    """Add one task: `void name(operand…, result…, scratch, i64 task)` to `module`.

    With `pages` there is an operand before the scratch: the addresses of so many pages, which are
    asked for while the product runs.
    """
    body = plan.body
    count = len(body.types) + len(body.outputs)
    registers = [llvm_type(node.tensor.dtype, 1) for node in plan.scalars]
    more = [POINTER] * (pages > 0)
    extra = [*[POINTER] * count, *registers, *more]
    inner = emit_matmul(
        *(plan.blocking, module, f"{name}.tiles", extra, _epilogue(plan), _prefetch(plan)),
        each_step=_ask_for(pages) if pages else None,
    )
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * count, *more, POINTER, I64])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    pointers, (*asked, scratch, task) = function.args[:count], function.args[count:]
    operands = [_operand(builder, view, pointers) for view in (plan.a, plan.b)]
    pull = _puller(plan, builder, pointers, 1)
    scalars = [pull.pull(node, ()).value for node in plan.scalars]
    builder.call(inner, [*operands, scratch, *pointers, *scalars, *asked, task])
    builder.ret_void()
    return function


def _operand(builder: ir.IRBuilder, view: View, pointers: Sequence[ir.Value]) -> ir.Value:
    stored = _stored(view.base)
    assert stored.op is INPUT
    return at(builder, pointers[stored.attrs["index"]], view.offset, stored.tensor.dtype)


def _puller(plan: ProductPlan, b: ir.IRBuilder, pointers: Values, lanes: int) -> Puller:
    inputs = zip(plan.body.inputs, pointers, strict=False)
    memory = {node: Memory(pointer, node.tensor) for node, pointer in inputs}
    return Puller(Levels(b), lanes, memory, index_bound(plan.body))


def _epilogue(plan: ProductPlan) -> Epilogue:
    """What becomes of sums: the body's results at their place, stored."""
    body, product = plan.body, plan.product
    first, last = len(body.types), len(body.types) + len(body.outputs)
    scalars = slice(last, last + len(plan.scalars))

    def epilogue(
        b: ir.IRBuilder,
        extra: Values,
        batch: Values,
        m: ir.Value,
        n: ir.Value,
        lanes: int,
        sums: ir.Value,
        mask: ir.Value | None,
    ) -> None:
        pull = _puller(plan, b, extra, lanes)
        if mask is not None:
            pull.access.active = sum(lane.constant for lane in mask.constant)
        if lanes == 1 and isinstance(sums.type, ir.VectorType):
            sums = b.extract_element(sums, I32(0))
        total = Lane(sums, plan.blocking.spec.dtype)
        rounded = pull.elements.vector.round(total, product.tensor.dtype)
        pull.known = {
            product: Element(rounded),
            **{
                node: Element(Lane(value, node.tensor.dtype))
                for node, value in zip(plan.scalars, extra[scalars], strict=True)
            },
        }
        rows = product.tensor.static[len(batch) : -1]
        where = [
            *(Position(i) for i in batch),
            *pull.index.digits(Position(m), rows),
            Position(n, 1 if lanes > 1 else 0),
        ]
        for node in body.nodes:
            if isinstance(node.op, Elementwise) and node.tensor.rank and node is not plan.b.base:
                pull.element(node, _indices(product.tensor, node.tensor, where))
        indices = [_indices(product.tensor, node.tensor, where) for node in body.outputs]
        results = [pull.pull(n, i) for n, i in zip(body.outputs, indices, strict=True)]
        for node, index, lane, pointer in zip(
            body.outputs, indices, results, extra[first:last], strict=True
        ):
            pull.access.store(Memory(pointer, node.tensor), index, lane)

    return epilogue


def _prefetch(plan: ProductPlan) -> Prefetch | None:
    """Asks for the operands of the epilogue that are as large as the product, if there are any."""
    space, spec = plan.product.tensor, plan.blocking.spec
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
        row: ir.Value = I64(0)
        for index, size in zip(batch, spec.batch, strict=True):
            row = add(b, mul(b, row, size), index)
        row = add(b, mul(b, row, spec.m), m)
        offset = add(b, mul(b, row, spec.n), n)
        for index, dtype in operands:
            prefetch(b, at(b, pointers[index], offset, dtype), columns, dtype, aligned=aligned)

    return ask if operands else None


def _ask_for(pages: int) -> EachStep:
    """Asks for a line of so many pages, whose addresses are the last operand, until all are."""
    lines = PAGE // LINE

    def ask(b: ir.IRBuilder, extra: Values, step: ir.Value) -> None:
        line = smaller(b, step, pages * lines - 1)
        place = b.gep(extra[-1], [b.udiv(line, i64(lines))], source_etype=POINTER)
        within = b.mul(b.urem(line, i64(lines)), i64(LINE))
        address = b.gep(b.load(place, typ=POINTER), [within], source_etype=I8)
        prefetch(b, address, 1, u8, aligned=True, level=2)

    return ask


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


def _indices(space: TensorType, type: TensorType, where: Sequence[Index]) -> Indices:
    """Where a member of the product's shape is, up to dims of size 1."""
    axes = iter([p for p, size in zip(where, space.static, strict=True) if size != 1])
    return tuple(ZERO if size == 1 else next(axes) for size in type.static)


__all__ = ["ProductPlan", "emit_product", "plan_product", "rounds_streamed"]
