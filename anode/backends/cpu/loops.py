"""Loop kernels: one loop nest over a space, some of whose axes may be reduced.

The last axis runs in vector lanes. Kept axes are the outer loops and are cut into tasks; for each of
their elements the reduced axes run once per *stage*: a stage computes the reductions whose operands
are known, the next one what needs their results (softmax: maximum, then sum, then quotient). A short
last axis is one masked vector and no loop, and what a stage computed stays in registers.

A task owns whole reductions and adds lanes up in a fixed order, so bits do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from llvmlite import ir

from anode.backends.cpu.lanes import Lane
from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    Values,
    add,
    counted,
    first_lanes,
    i64,
    loop,
    shuffle,
    smaller,
    when,
)
from anode.backends.cpu.position import Position
from anode.backends.cpu.pull import Memory, Puller
from anode.backends.cpu.target import Target
from anode.ir.dtypes import DType
from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node, registry
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.ops.reduce import identity, monoid_of

_TASK_COST = 40_000  # in simple vector operations: about 10 µs, long against handing out a task
_COSTS = dict.fromkeys(
    ["exp", "log", "tanh", "sin", "cos", "tan", "erf", "logistic", "power", "expm1", "log1p"], 12
)
_COSTS |= {"random_bits": 60, "divide": 4, "sqrt": 4, "rsqrt": 6, "erf_inv": 40, "gather": 8}


@dataclass(frozen=True)
class LoopPlan:
    """How a loop kernel runs: its body, space and reduced axes, lanes, and the grid of tasks.

    Tasks are `row_tasks` × `column_tasks`; rows are the kept axes but the lane axis, of which a column
    task takes `columns` elements (where it is kept).
    """

    body: Graph
    space: tuple[int, ...]
    axes: tuple[int, ...]
    width: int
    rows: int
    row_tasks: int
    columns: int
    column_tasks: int

    @property
    def tasks(self) -> int:
        return self.row_tasks * self.column_tasks

    @property
    def lane_axis(self) -> int:
        return len(self.space) - 1

    @property
    def lanes_reduced(self) -> bool:
        return self.lane_axis in self.axes


def plan_loops(
    body: Graph, space: tuple[int, ...], axes: tuple[int, ...], target: Target, threads: int
) -> LoopPlan:
    """Choose lanes and tasks. Which task computes an element never changes its bits."""
    flat = _flatten(body, space) if space and not axes else None
    if flat is not None:
        body, space = flat, (prod(space),)
    if not space:
        space = (1,)
    lane_axis = len(space) - 1
    width = _width(body, space, axes, target)
    kept = [n for i, n in enumerate(space) if i not in axes and i != lane_axis]
    rows = prod(kept)
    columns = 1 if lane_axis in axes else space[-1]
    per_element = sum(_COSTS.get(node.op.name, 1) for node in body.nodes)
    cost = prod(space) * per_element / width
    tasks = max(1, min(int(cost / _TASK_COST), 8 * threads)) if threads > 1 else 1
    row_tasks = min(rows, tasks) or 1
    column_tasks = 1
    if row_tasks < tasks and columns > width:
        column_tasks = min(-(-tasks // row_tasks), -(-columns // (4 * width)))
    per_task = -(-columns // column_tasks)
    per_task = -(-per_task // width) * width if column_tasks > 1 else columns
    column_tasks = -(-columns // per_task) if per_task else 1
    return LoopPlan(body, space, axes, width, rows, row_tasks, per_task, column_tasks)


def _width(body: Graph, space: tuple[int, ...], axes: tuple[int, ...], target: Target) -> int:
    """Lanes: a vector register of the widest float result, no wider than the axis asks for."""
    sizes = [n.tensor.dtype.compute.size for n in body.nodes if isinstance(n.type, TensorType)]
    lanes = target.lanes(max(4, min(8, max(sizes, default=4))))
    if len(space) - 1 in axes and not all(
        monoid_of(n.attrs["body"]) for n in body.nodes if n.op.name == "reduce"
    ):
        return 1  # an arbitrary combination is only right in order
    while lanes > 1 and lanes // 2 >= space[-1]:
        lanes //= 2
    return lanes


def _flatten(body: Graph, space: tuple[int, ...]) -> Graph | None:
    """The body over a one-dimensional space, where nothing in it depends on the dims."""
    flat = (prod(space),)
    new: dict[Node, Node] = {}
    for i, node in enumerate(body.inputs):
        shape = node.tensor.static
        if shape != space and shape != ():
            return None
        new[node] = _input(i, node, flat if shape == space else ())
    for node in body.nodes:
        if node in new:
            continue
        if node.op.name == "broadcast_in_dim" and node.args[0].tensor.rank == 0:
            shape = flat if node.tensor.rank else ()
            new[node] = registry["broadcast_in_dim"](new[node.args[0]], shape=shape, axes=())
        elif isinstance(node.op, Elementwise) or node.op.name == "constant":
            new[node] = _remake(node, new)
        else:
            return None
    types = [
        TensorType(t.dtype, flat if t.shape == space else ())
        for t in body.types  # type: ignore[union-attr]
    ]
    return Graph.make(types, [new[node] for node in body.outputs])


def _input(index: int, node: Node, shape: tuple[int, ...]) -> Node:
    from anode.ir.node import input_node

    return input_node(index, TensorType(node.tensor.dtype, shape))


def _remake(node: Node, new: dict[Node, Node]) -> Node:
    from anode.ir.node import remake

    return remake(node, tuple(new[arg] for arg in node.args))


def emit_loops(plan: LoopPlan, module: ir.Module, name: str) -> ir.Function:
    """Add `void name(operand…, result…, i64 task)` to `module`: one task of the kernel."""
    pointers = [POINTER] * (len(plan.body.types) + len(plan.body.outputs))
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*pointers, I64]), name)
    function.attributes.add("nounwind")
    _LoopEmitter(plan, function).emit()
    return function


class _LoopEmitter:
    def __init__(self, plan: LoopPlan, function: ir.Function) -> None:
        self.plan, self.b = plan, ir.IRBuilder(function.append_basic_block("entry"))
        inputs = plan.body.inputs
        memory = {
            node: Memory(arg, node.tensor) for node, arg in zip(inputs, function.args, strict=False)
        }
        self.results = [
            Memory(arg, node.tensor)
            for node, arg in zip(plan.body.outputs, function.args[len(inputs) :], strict=False)
        ]
        self.task: ir.Value = function.args[-1]
        self.pull = Puller(self.b, plan.width, memory)
        self.level = _levels(plan.body)

    def emit(self) -> None:
        plan, b = self.plan, self.b
        if prod(plan.space) == 0 and not plan.axes:
            b.ret_void()
            return
        row_task: ir.Value | int = 0
        column_task: ir.Value | int = 0
        if plan.column_tasks > 1:
            row_task = b.udiv(self.task, i64(plan.column_tasks))
            column_task = b.urem(self.task, i64(plan.column_tasks))
        elif plan.row_tasks > 1:
            row_task = self.task
        first, last = self._share(row_task, plan.row_tasks, plan.rows)

        def row(index: ir.Value | int) -> None:
            with self.pull.scope():
                self._row(self._row_positions(index), column_task)

        if isinstance(first, int) and isinstance(last, int) and last - first == 1:
            row(first)
        else:
            counted(b, first, last, 1, row)
        b.ret_void()

    def _share(
        self, task: ir.Value | int, tasks: int, count: int
    ) -> tuple[ir.Value | int, ir.Value | int]:
        """The rows of a task; every task has the same number but the last."""
        if tasks == 1:
            return 0, count
        each = -(-count // tasks)
        first = self.b.mul(i64(task), i64(each))
        first = smaller(self.b, first, count)
        return first, smaller(self.b, add(self.b, first, each), count)

    def _row_positions(self, row: ir.Value | int) -> dict[int, Position]:
        """The positions of the kept axes but the lane axis, from the row's number."""
        plan = self.plan
        kept = [i for i in range(len(plan.space)) if i not in plan.axes and i != plan.lane_axis]
        found, flat = {}, Position(row)
        for axis in reversed(kept):
            if axis == kept[0]:
                found[axis] = flat
            else:
                flat, found[axis] = self.pull.index.divide(flat, plan.space[axis])
        return found

    def _row(self, at: dict[int, Position], column_task: ir.Value | int) -> None:
        plan = self.plan
        if plan.lanes_reduced:
            self._stages(at)
            return
        size, width = plan.space[-1], plan.width
        if plan.column_tasks == 1:
            self._columns(at, 0, size, lambda a: self._stages(a))
            return
        first = self.b.mul(i64(column_task), i64(plan.columns))
        last = smaller(self.b, add(self.b, first, plan.columns), size)
        full = self.b.sub(last, i64(size % width)) if size % width else last
        full = smaller(self.b, last, size - size % width)

        def block(column: ir.Value) -> None:
            with self.pull.scope():
                self._stages({**at, plan.lane_axis: Position(column, 1 if width > 1 else 0)})

        counted(self.b, first, full, width, block)
        if size % width:
            tail = self.b.icmp_signed("<", full, last)
            when(
                self.b,
                tail,
                lambda: self._tail(at, size - size % width, size % width, self._stages),
            )

    def _columns(
        self,
        at: dict[int, Position],
        start: int,
        size: int,
        body: Callable[[dict[int, Position]], None],
    ) -> None:
        """`body` for all blocks of lanes along the lane axis."""
        width, axis = self.plan.width, self.plan.lane_axis
        step = 1 if width > 1 else 0
        full = size - size % width
        if full == width:
            body({**at, axis: Position(start, step)})
        elif full:

            def block(column: ir.Value) -> None:
                with self.pull.scope():
                    body({**at, axis: Position(column, step)})

            counted(self.b, start, start + full, width, block)
        if size % width:
            self._tail(at, start + full, size % width, body, alone=not full)

    def _tail(
        self,
        at: dict[int, Position],
        start: int,
        valid: int,
        body: Callable[[dict[int, Position]], None],
        alone: bool = False,
    ) -> None:
        mask = first_lanes(valid, self.plan.width)
        position = {**at, self.plan.lane_axis: Position(start, 1)}
        if alone:  # the only block: what it computes may be used by later stages
            self.pull.mask = mask
            body(position)
            return
        with self.pull.scope(mask):
            body(position)

    # stages
    def _stages(self, at: dict[int, Position]) -> None:
        """All of one element of the kept axes: each stage's reductions, then the stores."""
        outer_mask = self.pull.mask
        outputs = list(zip(self.plan.body.outputs, self.results, strict=True))
        wide = [(node, memory) for node, memory in outputs if self._is_wide(node)]
        narrow = [(node, memory) for node, memory in outputs if not self._is_wide(node)]
        for stage in range(1, 2 + max(self.level.values(), default=0)):
            reductions = [
                n for n in self.plan.body.nodes if n.op.name == "reduce" and self.level[n] == stage
            ]
            stores = [(n, m) for n, m in wide if self.level[n] == stage - 1]
            if reductions or stores:
                self._stage(reductions, stores, at)
        if self.plan.lanes_reduced:
            self.pull.mask = outer_mask
        self._store(narrow, at)
        for node in self.plan.body.nodes:
            if node.op.name == "reduce" or node.op is ITEM:
                self.pull.known.pop(node, None)
        self.pull.mask = outer_mask

    def _is_wide(self, node: Node) -> bool:
        """Whether an output spans the reduced axes as well."""
        reduced = prod(self.plan.space[a] for a in self.plan.axes)
        spans = _beyond_one(node.tensor.static) == _beyond_one(self.plan.space)
        return (reduced != 1 and spans) or not self.plan.axes

    def _stage(
        self,
        reductions: list[Node],
        stores: list[tuple[Node, Memory]],
        at: dict[int, Position],
    ) -> None:
        accumulators = [_Accumulator(self, node) for node in reductions]
        initial = [value for acc in accumulators for value in acc.initial()]

        def element(position: dict[int, Position], carried: Values) -> Values:
            self._store(stores, position)
            results: list[ir.Value] = []
            remaining = list(carried)
            for acc in accumulators:
                taken = [remaining.pop(0) for _ in range(acc.count)]
                results += acc.combine(taken, position)
            return results

        final = self._nest(list(self.plan.axes), at, initial, element)
        remaining = list(final)
        for acc in accumulators:
            acc.finish([remaining.pop(0) for _ in range(acc.count)])

    def _nest(
        self,
        axes: list[int],
        at: dict[int, Position],
        carried: Values,
        element: Callable[[dict[int, Position], Values], Values],
    ) -> Values:
        """Loops over the reduced axes around `element`, carrying the accumulators."""
        if not axes:
            return element(at, carried)
        axis, rest = axes[0], axes[1:]
        if axis == self.plan.lane_axis:
            return self._lane_loop(at, carried, element)
        size = self.plan.space[axis]
        if size == 0:
            return carried
        if size == 1:
            return self._nest(rest, {**at, axis: Position(0)}, carried, element)

        def body(index: ir.Value, values: Values) -> Values:
            with self.pull.scope():
                return self._nest(rest, {**at, axis: Position(index)}, values, element)

        return loop(self.b, 0, size, 1, body, carried)

    def _lane_loop(
        self,
        at: dict[int, Position],
        carried: Values,
        element: Callable[[dict[int, Position], Values], Values],
    ) -> Values:
        axis, width, size = self.plan.lane_axis, self.plan.width, self.plan.space[-1]
        step = 1 if width > 1 else 0
        full = size - size % width

        def body(column: ir.Value, values: Values) -> Values:
            with self.pull.scope():
                return element({**at, axis: Position(column, step)}, values)

        if full == width:
            carried = element({**at, axis: Position(0, step)}, carried)
        elif full:
            carried = loop(self.b, 0, full, width, body, carried)
        if size % width:
            mask = first_lanes(size % width, width)
            if full:
                with self.pull.scope(mask):
                    return element({**at, axis: Position(full, 1)}, carried)
            self.pull.mask = mask  # one short block: its values stay known to later stages
            carried = element({**at, axis: Position(0, 1)}, carried)
            self.pull.mask = None
        return carried

    def _store(self, outputs: list[tuple[Node, Memory]], at: dict[int, Position]) -> None:
        """Store one element of each output, all computed before: one may lie over an operand."""
        places = [self.positions(node.tensor, at) for node, _ in outputs]
        lanes = [self.pull.pull(n, place) for (n, _), place in zip(outputs, places, strict=True)]
        for (_, memory), place, lane in zip(outputs, places, lanes, strict=True):
            self.pull.store(memory, place, lane)

    def positions(self, type: TensorType, at: dict[int, Position]) -> tuple[Position, ...]:
        """The positions of a member: its dims of more than one element are axes of the nest, in order."""
        space = self.plan.space
        wide = [i for i, n in enumerate(space) if n != 1]
        kept = [i for i in wide if i not in self.plan.axes]
        dims = [n for n in type.static if n != 1]
        axes = iter(wide if len(dims) == len(wide) else kept)
        return tuple(Position(0) if n == 1 else at[next(axes)] for n in type.static)


def _beyond_one(sizes: tuple[int, ...]) -> list[int]:
    """The sizes of more than one element: members of a kernel may differ in the others."""
    return [n for n in sizes if n != 1]


class _Accumulator:
    """One reduction under way: a register (or several, for several results) carried by the loops."""

    def __init__(self, emitter: _LoopEmitter, node: Node) -> None:
        self.emitter, self.node, self.pull = emitter, node, emitter.pull
        self.count = len(node.args) // 2
        self.name = monoid_of(node.attrs["body"]) if self.count == 1 else None
        self.lanes_reduced = emitter.plan.lanes_reduced and emitter.plan.width > 1
        self.dtypes = [arg.tensor.dtype for arg in node.args[: self.count]]

    def _compute(self, i: int) -> DType:
        return self.dtypes[i].compute if self.name else self.dtypes[i]

    def initial(self) -> list[ir.Value]:
        pull = self.pull
        vector = pull.vector
        if self.name and self.lanes_reduced:  # the initial value joins at the end, once
            dtype = self._compute(0)
            return [vector.const(identity(self.name, dtype), dtype).value]
        inits = [pull.pull(arg, ()) for arg in self.node.args[self.count :]]
        if self.name:
            inits = [pull.scalar.widen(inits[0])]
        return [pull.full(lane).value for lane in inits]

    def combine(self, values: Sequence[ir.Value], at: dict[int, Position]) -> list[ir.Value]:
        pull, vector = self.pull, self.pull.vector
        elements = []
        for arg in self.node.args[: self.count]:
            positions = tuple(
                Position(0) if n == 1 else at[i] for i, n in enumerate(arg.tensor.static)
            )
            elements.append(pull.full(pull.pull(arg, positions)))
        accumulators = [Lane(v, self._compute(i)) for i, v in enumerate(values)]
        if self.name:
            element = vector.widen(elements[0])
            if pull.mask is not None and self.lanes_reduced:
                neutral = vector.const(identity(self.name, element.dtype), element.dtype)
                element = Lane(
                    pull.b.select(pull.mask, element.value, neutral.value), element.dtype
                )
            return [self._monoid(vector, accumulators[0], element).value]
        return [lane.value for lane in self._general([*accumulators, *elements])]

    def _monoid(self, lanes: object, x: Lane, y: Lane) -> Lane:
        op = registry[self.name or ""]
        assert isinstance(op, Elementwise)
        result: Lane = op.apply(lanes, (x, y), {})  # type: ignore[arg-type]
        return result

    def _general(self, operands: list[Lane]) -> list[Lane]:
        body: Graph = self.node.attrs["body"]
        inner = Puller(self.pull.b, self.pull.width, {})
        inner.known = dict(zip(body.inputs, operands, strict=True))
        return [inner.full(inner.pull(output, ())) for output in body.outputs]

    def finish(self, values: Sequence[ir.Value]) -> None:
        """Make the results known to what is pulled after."""
        lanes = [Lane(v, self._compute(i)) for i, v in enumerate(values)]
        if self.name and self.lanes_reduced:
            init = self.pull.scalar.widen(self.pull.pull(self.node.args[1], ()))
            lanes = [self._monoid(self.pull.scalar, init, self._across(lanes[0]))]
        if self.name:
            scalars = self.pull.scalar if self.pull.is_uniform(lanes[0]) else self.pull.vector
            lanes = [scalars.round(lanes[0], self.dtypes[0])]
        results = [self.node] if self.count == 1 else self.node.items
        self.pull.known.update(zip(results, lanes, strict=True))

    def _across(self, lane: Lane) -> Lane:
        """All lanes combined, in pairs, halves at a time."""
        b, width = self.pull.b, self.pull.width
        value = lane.value
        while width > 1:
            width //= 2
            low, high = (shuffle(b, value, value, range(s, s + width)) for s in (0, width))
            lanes = type(self.pull.vector)(b, width)
            if width == 1:
                low, high = (b.extract_element(v, ir.IntType(32)(0)) for v in (low, high))
            value = self._monoid(lanes, Lane(low, lane.dtype), Lane(high, lane.dtype)).value
        return Lane(value, lane.dtype)


def _levels(body: Graph) -> dict[Node, int]:
    """How many reductions, one after another, a node waits for; a reduction counts itself."""
    level: dict[Node, int] = {}
    for node in body.nodes:
        below = max((level[arg] for arg in node.args), default=0)
        level[node] = below + (node.op.name == "reduce")
    return level


__all__ = ["LoopPlan", "emit_loops", "plan_loops"]
