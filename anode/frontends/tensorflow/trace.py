"""Tracing: operations of a TensorFlow graph become nodes of one anode graph, for known sizes.

Operations run in the order of their creation. A variable's value is a node that assignments
replace, and a read sees the last one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anode.errors import GraphError, ShapeError
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.infer import SMALL, folded, grouped
from anode.frontends.tensorflow.opdef import NotStatic
from anode.ir.graph import fresh_inputs
from anode.ir.node import (
    CONSTANT,
    INPUT,
    LARGEST_CONSTANT,
    READ,
    Node,
    at,
    constant,
    read,
    substitute,
    topological,
)
from anode.ir.types import TensorType
from anode.ir.variable import Variable

VARIABLES = ("VariableV2", "Variable", "VarHandleOp", "TemporaryVariable")
LOOPS = ("While", "Scan")
NOTHING = ("NoOp", *VARIABLES)  # operations that compute nothing when they run


def variable_of(tensor: Tensor) -> Operation | None:
    """The variable that a tensor refers to, or whose current value it is; None for other ones."""
    op = tensor.op
    if op.type == "Identity" and op.name.endswith("/read"):
        tensor = op.inputs[0]
    if not (tensor.dtype._is_ref_dtype or tensor.dtype.name == "resource"):
        return None
    op = tensor.op
    while op.type not in VARIABLES:
        if not op.inputs:
            return None
        op = op.inputs[0].op
    return op


class NotTraced(Exception):
    """Control flow that has no fixed types: the session runs it on the host."""

    def __init__(self, op: Operation, why: str) -> None:
        super().__init__(f"{op.name}: {why}")
        self.op, self.why = op, why


class NotKnown(Exception):
    """A tensor whose value must be known before the rest can be traced."""

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(tensor.name)
        self.tensor = tensor


@dataclass(frozen=True, slots=True)
class Ref:
    """A variable as an op's lowering sees it."""

    trace: Trace
    op: Operation

    def read(self) -> Node:
        return self.trace.read(self.op)

    def write(self, node: Node) -> None:
        self.trace.write(self.op, node)

    @property
    def initialized(self) -> bool:
        return self.trace.is_initialized(self.op)


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest of an operation's indices, i64[2], and what they must be below."""

    op: Operation
    extremes: Node
    limit: int

    def check(self, extremes: np.ndarray) -> None:
        low, high = int(extremes[0]), int(extremes[1])
        if low < 0 or high >= self.limit:
            bad = low if low < 0 else high
            raise InvalidArgumentError(
                self.op.node_def,
                self.op,
                f"indices = {bad} is not in [0, {self.limit})\n\t [[node {self.op.name} (defined "
                f"at {self.op.origin}) ]]",
            )


@dataclass(eq=False)
class Trace:
    """The state of tracing one stage.

    `lookup` gives the anode Variable of a variable that has a value, `keys` the node of random
    keys, one row for each operation in `random`. `marked` are tensors that gradients are taken by:
    their nodes are made unique, see `mark`.
    """

    lookup: Callable[[Operation], Variable | None]
    alias: Callable[[Tensor], Tensor] = lambda tensor: tensor  # see Plan.alias
    random: Mapping[Operation, int] = field(default_factory=dict)
    drawn: set[Operation] = field(default_factory=set)  # those of `random` that took their key
    entries: frozenset[Node] = frozenset()  # the inputs of the whole stage
    keys: Node | None = None
    marked: frozenset[Tensor] = frozenset()
    tracked: frozenset[Operation] = frozenset()  # variables that gradients are taken by
    values: dict[Tensor, Node] = field(default_factory=dict)
    current: dict[Operation, Node] = field(default_factory=dict)
    fed: dict[Operation, Node] = field(default_factory=dict)
    versions: dict[Operation, list[Node]] = field(default_factory=dict)
    definitions: dict[Node, Node] = field(default_factory=dict)
    stops: set[Node] = field(default_factory=set)  # marks that no gradient goes through
    folds: list[Node] = field(default_factory=list)  # indices of the loops around, outermost first
    asked: dict[Operation, bool] = field(default_factory=dict)  # whether it was initialised
    constants: dict[Tensor, Node] = field(default_factory=dict)  # large ones, as inputs
    differentiated: frozenset[Operation] = frozenset()
    unrolled: frozenset[Operation] = frozenset()  # loops that ran on the host, as sizes change
    ranges: list[Range] = field(default_factory=list)  # of indices, to be checked after the run
    depth: int = 0  # of control flow: what is inside cannot be checked from outside

    # checks

    def within(self, op: Operation, indices: Node, limit: int) -> None:
        """Let the run raise InvalidArgumentError if one of `indices` is not in [0, limit)."""
        from anode import ops

        if self.depth or not indices.tensor.size:
            return
        axes = tuple(range(indices.tensor.rank))
        wide = ops.convert(indices, dtype="i64")
        found = [f(wide, axis=axes) if axes else wide for f in (ops.min, ops.max)]
        self.ranges.append(Range(op, ops.stack(found, axis=0), limit))

    # variables

    def read(self, op: Operation) -> Node:
        if op in self.fed:
            return self.fed[op]
        node = self.current.get(op)
        if node is None:
            node = self.current[op] = read(self.variable(op))
            self.versions.setdefault(op, []).append(node)
        return node

    def write(self, op: Operation, node: Node) -> None:
        if op in self.tracked:
            node = self.mark(node)
            self.stops.add(node)
            self.versions.setdefault(op, []).append(node)
        self.current[op] = node

    def variable(self, op: Operation) -> Variable:
        found = self.lookup(op)
        if found is not None:
            return found
        shape = op._attrs["shape"]
        if shape.ndims is None or not shape.is_fully_defined():
            raise Uninitialized(op)
        dtype = op._attrs["dtype"].base_dtype.anode
        return Variable(op.name, TensorType(dtype, tuple(shape.as_list())))

    def is_initialized(self, op: Operation) -> bool:
        if op in self.current and op not in self.asked:
            return True
        found = self.lookup(op) is not None
        self.asked[op] = found
        return found or op in self.current

    def updates(self) -> dict[Operation, Node]:
        """The variables whose values differ from those at the start."""
        return {
            op: node
            for op, node in self.current.items()
            if node.op.name != "read" or node.attrs["variable"] != self.lookup(op)
        }

    # marks

    def mark(self, node: Node) -> Node:
        """A unique stand-in for a node, so that a derivative by it is by this value only."""
        (stand_in,) = fresh_inputs(node.type)
        self.definitions[stand_in] = node
        return stand_in

    def resolved(self, nodes: Sequence[Node], since: int = 0) -> list[Node]:
        """`nodes` with the marks made after the first `since` replaced by what they stand for."""
        marks = list(self.definitions.items())[since:]
        if not marks:
            return list(nodes)
        new: dict[Node, Node] = {}
        for stand_in, node in marks:
            new[stand_in] = substitute([node], new)[node]
        found = substitute(nodes, new)
        return [found[node] for node in nodes]

    # operations

    def value(self, tensor: Tensor) -> Node:
        """The node of a tensor; of a variable, or its read, the value it has by now."""
        tensor = self.alias(tensor)
        node = self.values.get(tensor)
        if node is not None and tensor.op.type != "Identity":
            return node
        variable = variable_of(tensor)
        if variable is not None:
            return self.read(variable)
        if node is None:
            raise GraphError(f"{tensor.name} was not computed before its use")
        return node

    def run(self, ops: Iterable[Operation]) -> None:
        for op in ops:
            if op.type not in NOTHING:
                with at(op.origin):
                    self._run(op)

    def _run(self, op: Operation) -> None:
        if op.type == "Const":
            self.values[op.outputs[0]] = self._constant(op)
            return
        definition = op._definition
        assert definition.lower is not None
        args = self._args(op)
        keywords = definition.keywords(definition.lower, op._attrs)
        if definition.takes(definition.lower, "key"):
            keywords["key"] = self.key(op)
        if definition.takes(definition.lower, "trace"):
            keywords["trace"] = self
        if definition.takes(definition.lower, "op"):
            keywords["op"] = op
        try:
            result = definition.lower(*args, **keywords)
        except NotStatic as error:
            raise self._not_known(op, error) from None
        except ShapeError as error:
            raise _located(error, op) from None
        if definition.outputs and not definition.outputs[0].ref:
            nodes = list(result) if isinstance(result, (tuple, list)) else [result]
            self._keep(op, nodes)

    def _args(self, op: Operation) -> list[Any]:
        nodes: list[Any] = []
        args = [a for a, n in _counted(op) for _ in range(n)]
        for arg, tensor in zip(args, op.inputs, strict=True):
            resource = not arg.ref and tensor.dtype.name == "resource"
            if arg.ref or resource:
                variable = variable_of(tensor)
                if variable is None:
                    raise GraphError(f"{op.name}: {tensor.name} is not a variable")
                nodes.append(Ref(self, variable))
            elif op.type == "If" and nodes and variable_of(tensor) is not None:
                nodes.append(None)  # the branch that runs reads it, if any does
            else:
                nodes.append(self.value(tensor))
        return grouped(op._definition, op._attrs, nodes)

    def _keep(self, op: Operation, nodes: Sequence[Node]) -> None:
        if len(nodes) != len(op.outputs):
            raise GraphError(f"{op.type} has {len(op.outputs)} outputs; its lowering {len(nodes)}")
        nodes = self._folded(op, nodes)
        for tensor, node in zip(op.outputs, nodes, strict=True):
            wanted = tensor.dtype.base_dtype.anode
            if node.dtype is not wanted:
                raise GraphError(
                    f"{op.type} ({op.name}) gives {node.dtype}, but {tensor.name} is {wanted}"
                )
            self.values[tensor] = self.mark(node) if tensor in self.marked else node

    def _folded(self, op: Operation, nodes: Sequence[Node]) -> Sequence[Node]:
        """Small results of constants become constants, so that shapes are known further down."""
        if op._definition.stateful or op.type in LOOPS:
            return nodes
        if any(node.tensor.size.__index__() > SMALL for node in nodes):
            return nodes
        given = [self.values.get(t) for t in op.inputs]
        if not given or any(node is None or node.op is not CONSTANT for node in given):
            return nodes
        if any(node.op in (INPUT, READ) for node in topological(nodes)):
            return nodes  # a draw
        return [
            constant(value, node.dtype) for value, node in zip(folded(nodes), nodes, strict=True)
        ]

    def _constant(self, op: Operation) -> Node:
        tensor = op.outputs[0]
        value: np.ndarray = op._attrs["value"]
        if value.nbytes > LARGEST_CONSTANT:
            node = self.constants[tensor]
        else:
            node = constant(value, tensor.dtype.anode)
        return self.mark(node) if tensor in self.marked else node

    def _not_known(self, op: Operation, error: NotStatic) -> Exception:
        """Which tensor's value is missing: an input of `op` whose node is the one asked for."""
        for tensor in op.inputs:
            if self.values.get(tensor) is error.node:
                return NotKnown(tensor)
        for tensor in op.inputs:
            variable = variable_of(tensor)
            if variable is not None and self.current.get(variable) is error.node:
                return NotKnown(tensor)
        return GraphError(
            f"{op.name} ({op.type}) needs a value while it is compiled that no input of it has"
        )

    def key(self, op: Operation) -> Node:
        """The random key of a drawing operation, another one in each iteration of a loop."""
        from anode import ops

        assert self.keys is not None
        row = self.random[op]
        self.drawn.add(op)
        key = ops.reshape(self.keys[row], shape=(6,))
        for index in self.folds:
            key = ops.random.fold(key, index)
        return key


class Uninitialized(Exception):
    """A variable is read that has no value."""

    def __init__(self, op: Operation) -> None:
        super().__init__(op.name)
        self.op = op


def _counted(op: Operation) -> list[tuple[Any, int]]:
    """Each input argument of the signature and how many tensors it is here."""
    found = []
    for arg in op._definition.inputs:
        if arg.count is not None:
            found.append((arg, op._attrs[arg.count]))
        else:
            found.append((arg, len(op._attrs[str(arg.type)]) if arg.several else 1))
    return found


def _located(error: ShapeError, op: Operation) -> ShapeError:
    where = "" if op.origin is None else f" at {op.origin}"
    return type(error)(f"{error} (in {op.name}, a {op.type}{where})")
