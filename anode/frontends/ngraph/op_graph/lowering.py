"""Lowering: the ops of a computation as anode nodes, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from anode import ops
from anode.errors import GraphError, ShapeError
from anode.frontends.indices import Bound
from anode.frontends.ngraph.op_graph.axis import Axes, Axis, IncompatibleAxesError
from anode.frontends.ngraph.op_graph.op import Op
from anode.frontends.ngraph.op_graph.state import AssignableTensorOp, ComputationOp, as_value
from anode.ir.dtypes import DType, dtype_of
from anode.ir.graph import Graph, Update, close, fresh_inputs
from anode.ir.node import LARGEST_CONSTANT, Node, at, constant, read
from anode.ir.types import TensorType
from anode.ir.variable import Variable

Reads = dict[Node, None]


class AxisLengthError(IncompatibleAxesError, ShapeError):
    """Axes with equal names and different lengths in one op."""


class Storage(Protocol):
    """Where states live between calls: a transformer."""

    def variable(self, tensor: AssignableTensorOp) -> Variable: ...


@dataclass(frozen=True)
class Draw:
    """Random numbers that the host draws before each call, from NumPy's global generator."""

    distribution: str
    params: tuple[float, float]
    type: TensorType

    def sample(self) -> np.ndarray:
        draw = getattr(np.random, self.distribution)
        found: np.ndarray = np.asarray(draw(*self.params, self.type.static))
        return found.astype(self.type.dtype.numpy)


@dataclass(frozen=True)
class Lowered:
    """A computation as a graph, whose inputs are the parameters, then the draws.

    The outputs are the values of `outputs`, then what `prints` show.
    """

    graph: Graph
    parameters: tuple[AssignableTensorOp, ...]
    draws: tuple[Draw, ...]
    outputs: tuple[Any, ...]
    prints: tuple[Any, ...]
    bounds: tuple[tuple[int, Bound], ...]  # of parameters that hold indices, by place


class Lowering:
    """The values of ops, and of the states as they are after what has run so far.

    Every op runs once, after its control dependencies and operands, in their order.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.values: dict[Op, Node | None] = {}
        self.states: dict[AssignableTensorOp, Node] = {}
        self.written: dict[AssignableTensorOp, Node] = {}
        self.seen: dict[AssignableTensorOp, Reads] = {}  # every value that was read
        self.draws: list[tuple[Draw, Node]] = []
        self.prints: list[tuple[Any, Node]] = []  # an op with a method `show`, and what it shows
        self.bounds: list[tuple[Node, Bound]] = []  # indices, and what they must be below
        self.derivatives: dict[Any, dict[Any, None]] = {}  # (of, error) -> by what
        self.gradients: dict[Any, dict[Any, Node | None]] = {}

    def run(self, root: Op) -> Node | None:
        """Run `root` and all that it depends on that has not run yet."""
        values, stack, open_ops = self.values, [root], set()
        while stack:
            op = stack[-1]
            if op in values:
                stack.pop()
                continue
            waiting = [dep for dep in _before(op) if dep not in values]
            if not waiting:
                stack.pop()
                values[op] = self._lowered(op)
            elif op in open_ops:
                raise GraphError(f"{op.name} depends on itself ({op.origin})")
            else:
                open_ops.add(op)
                stack.extend(reversed(waiting))
        return values[root]

    def _lowered(self, op: Op) -> Node | None:
        args = [self.values[arg] for arg in op.operands]
        with at(op.origin):
            found = op.lower(self, *args)  # type: ignore[arg-type]
            if found is not None and found in args and self._is_differentiated(op):
                return found * 1  # a node of its own: the operand's other uses do not count
            return found

    def node(self, op: Op) -> Node:
        """The value of an op that has one."""
        found = self.run(op)
        if found is None:
            raise GraphError(f"{op.name} has no value ({op.origin})")
        return found

    def read(self, tensor: AssignableTensorOp) -> Node:
        """The value that a state has now."""
        if tensor not in self.states:
            self.states[tensor] = self._start(tensor)
        found = self.states[tensor]
        self.seen.setdefault(tensor, {})[found] = None
        return found

    def _start(self, tensor: AssignableTensorOp) -> Node:
        value, type = tensor.initial_value, self.type(tensor)
        small = value is not None and type.bytes <= LARGEST_CONSTANT
        if tensor.is_constant and small and not self._is_differentiated(tensor):
            return constant(as_value(value, tensor), type.dtype)
        if not tensor.is_persistent and value is None:
            return ops.zeros(type.shape, type.dtype)
        return read(self.storage.variable(tensor))

    def _is_differentiated(self, op: Op) -> bool:
        return any(op in by for by in self.derivatives.values())

    def write(self, target: Any, value: Node) -> None:
        """Let `target`, the read of a state or a view of one, have this value from now on.

        As in ngraph no derivative goes through storage.
        """
        if not target.is_read:
            base = target.args[0]
            self.write(base, target.put(self, self.current(base), value))
            return
        tensor = target.tensor
        if tensor.is_constant:
            raise GraphError(f"{tensor.name} is a constant and cannot be assigned to")
        value = as_dtype(value, dtype_of(tensor.dtype))
        self.states[tensor] = ops.stop_gradient(value) if value.dtype.is_float else value
        self.written[tensor] = value

    def current(self, view: Any) -> Node:
        """What a view of a state looks like now."""
        if view.is_read:
            return self.read(view.tensor)
        found: Node = view.lower(self, self.current(view.args[0]))
        return found

    def draw(self, distribution: str, params: tuple[float, float], type: TensorType) -> Node:
        """Random numbers, new in each call."""
        (node,) = fresh_inputs(type)
        self.draws.append((Draw(distribution, params, type), node))
        return node

    def shape(self, axes: Axes) -> tuple[int, ...]:
        """The lengths of axes, which must be known now."""
        lengths = axes.lengths
        if None in lengths:
            raise ValueError(f"the axes {axes} need lengths before the computation is run")
        return lengths

    def type(self, op: Any) -> TensorType:
        return TensorType(dtype_of(op.dtype), self.shape(op.axes))


def _before(op: Op) -> Iterable[Op]:
    deps = op._control_deps
    return (*deps, *op.operands) if deps is not None else op.operands


def lower(computation: ComputationOp, storage: Storage) -> Lowered:
    """The graph of a computation. A state among its results has the value at the end."""
    lowering = Lowering(storage)
    for op in Op.ordered_ops([computation]):
        key = getattr(op, "derivative", None)
        if key is not None:
            lowering.derivatives.setdefault(key, {})[op.independent] = None  # type: ignore[attr-defined]
    parameters = tuple(dict.fromkeys(arg.tensor for arg in computation.parameters))
    held = [tensor for tensor in parameters if tensor.is_placeholder]
    inputs = fresh_inputs(*[lowering.type(tensor) for tensor in held])
    lowering.states.update(zip(held, inputs, strict=True))
    values = computation.values
    late = [op for op in values if op.is_read and not op.control_deps]
    for op in values:
        if op not in late:
            lowering.run(op)
    for op in late:
        lowering.values[op] = lowering.current(op)
    outputs = tuple([op for op in dict.fromkeys(values) if lowering.values[op] is not None])
    updates: list[Update] = [
        (storage.variable(tensor), value)
        for tensor, value in lowering.written.items()
        if tensor.is_persistent and tensor not in held
    ]
    draws = [draw for draw, _ in lowering.draws]
    graph = close(
        (*inputs, *[node for _, node in lowering.draws]),
        [*map(lowering.node, outputs), *[x for _, x in lowering.prints]],
        updates,
    )
    prints = tuple([op for op, _ in lowering.prints])
    places = {node: i for i, node in enumerate(inputs)}
    bounds = tuple([(places[node], bound) for node, bound in lowering.bounds if node in places])
    return Lowered(graph, tuple(held), tuple(draws), outputs, prints, bounds)


def as_dtype(x: Node, dtype: DType) -> Node:
    return x if x.dtype is dtype else ops.convert(x, dtype=dtype)


def arranged(x: Node, axes: Axes, wanted: Axes, shape: Sequence[Any]) -> Node:
    """`x`, which has `axes`, with the axes `wanted`: moved, and repeated along those it lacks."""
    if axes == wanted:
        return x
    places = [wanted.index(axis) for axis in axes]
    order = sorted(range(len(places)), key=places.__getitem__)
    if order != list(range(len(order))):
        x = ops.transpose(x, permutation=order)
    if len(axes) == len(wanted):
        return x
    return ops.broadcast_in_dim(x, shape=tuple(shape), axes=tuple(sorted(places)))


def check_lengths(what: str, *operands: Any) -> None:
    """AxisLengthError where an axis has different lengths in two operands."""
    known: dict[str, tuple[Axis, Any]] = {}
    for op in operands:
        for axis in op.axes:
            other, where = known.setdefault(axis.name, (axis, op))
            if other is not axis and _differ(other.length, axis.length):
                raise AxisLengthError(
                    f"{what}: the axis {axis.name} has length {other.length} in {described(where)} "
                    f"but {axis.length} in {described(op)}"
                )


def _differ(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and a != b


def described(op: Any) -> str:
    """An op as errors name it: with the line that made it."""
    return f"{op.tensor.name} ({op.tensor.origin})"
