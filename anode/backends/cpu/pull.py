"""Computing one element (or one vector of them) of a kernel's body, by pulling on its operands.

`Puller.pull(node, indices)` adds the code for `node` at an index and gives the register. Movement
ops become arithmetic on the index, loads happen at stored operands only, and all code goes to the
outermost loop in which what it needs is known, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from llvmlite import ir

from anode.backends.cpu.access import Access, Memory
from anode.backends.cpu.element import Element, Elements
from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.moves import MOVES
from anode.backends.cpu.position import NARROW, Condition, Index, Indexing, Indices, Position
from anode.errors import BackendError
from anode.ir.dtypes import bf16, bool_, i64, u64
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, Node, constant_value
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise


class Puller:
    """Adds a kernel body's elements to `levels`; `width` lanes run along one axis of the loops.

    `memory` holds the operands. `known` holds values computed otherwise, whatever the index. No
    index is larger than `bound`.
    """

    def __init__(
        self, levels: Levels, width: int, memory: Mapping[Node, Memory], bound: int = NARROW
    ) -> None:
        self.levels, self.b, self.width = levels, levels.b, width
        self.index = Indexing(levels, width, bound)
        self.access = Access(levels, self.index)
        self.elements = Elements(levels, width)
        self.memory = dict(memory)
        self.known: dict[Node, Element] = {}
        self._guards: list[Condition] = []

    def pull(self, node: Node, indices: Indices) -> Lane:
        """`node` at `indices`, one per dim: a scalar where it is the same in every lane."""
        return self.element(node, indices).lane

    def element(self, node: Node, indices: Indices) -> Element:
        """The same with the level at which it is known."""
        if node in self.known:
            return self.known[node]
        outer = self._guards
        if not node.tensor.rank:
            self._guards = []  # a scalar is always there
        key = self._key(node, indices)
        element: Element | None = self.levels.recall(key)
        if element is None:
            element = self._computed(node, indices)
            self.levels.remember(key, element, element.level)
        self._guards = outer
        return element

    def define(self, node: Node, indices: Indices, lane: Lane) -> None:
        """Make known what was computed otherwise, at the present depth, for one place."""
        depth = self.levels.depth
        self.levels.remember(self._key(node, indices), Element(lane, depth), depth)

    def _key(self, node: Node, indices: Indices) -> object:
        guards = tuple([id(guard.value) for guard in self._guards])
        copy = self.index.copy if any(index.each for index in indices) else 0
        return (node, tuple([index.key for index in indices]), guards, copy)

    def _computed(self, node: Node, indices: Indices) -> Element:
        if node in self.memory:
            return self.access.load(self.memory[node], indices, self._guards)
        if node.op is CONSTANT:
            return Element(_literal(node))
        if isinstance(node.op, Elementwise):
            return self._elementwise(node, node.op, indices)
        move = MOVES.get(node.op.name)
        if move is None:
            raise BackendError(
                f"{node.op.name} cannot be computed element by element ({node.origin})"
            )
        return move(self, node, indices)

    def _elementwise(self, node: Node, op: Elementwise, indices: Indices) -> Element:
        operands = [self.element(arg, indices) for arg in node.args]
        return self.elements.apply(
            lambda lanes, *values: _applied(lanes, node, op, values), *operands
        )

    def full(self, lane: Lane) -> Lane:
        """The value in every lane of a vector."""
        return self.access.full(lane)

    # for movement
    def start(self, node: Node, indices: Indices, last: int) -> Position:
        """An integer value as an index, kept within 0..last."""
        if not last:
            return Position()
        element = self.element(node, indices)
        number = self.elements.apply(_signed, element)
        with self.levels.at(self.levels.level(number.level)):
            return self.index.clamped(number.lane.value, last)

    def guarded(self, node: Node, indices: Indices, guards: Sequence[Condition]) -> Element:
        """`node` at an index that is only inside of it where every guard holds."""
        outer, self._guards = self._guards, [*self._guards, *guards]
        element = self.element(node, indices)
        self._guards = outer
        return element

    def choose(self, conditions: Sequence[Condition], inside: Element, outside: Element) -> Element:
        """`inside` where every condition holds, else `outside`."""
        if not conditions:
            return inside
        both, *rest = [Element(Lane(c.value, bool_), c.level) for c in conditions]
        for other in rest:
            both = self.elements.apply(lambda lanes, x, y: lanes.and_(x, y), both, other)
        return self.elements.apply(
            lambda lanes, c, x, y: lanes.select(c, x, y), both, inside, outside
        )


def index_bound(body: Graph) -> int:
    """What no index into a value of `body`, or flat index over one, exceeds."""
    sizes = [node.type.size for node in body.nodes if isinstance(node.type, TensorType)]
    return max([int(size) for size in sizes], default=1) + 1


def apply_body(lanes: Lanes, body: Graph, operands: Iterable[Lane]) -> list[Lane]:
    """The outputs of a scalar graph on lanes."""
    values = dict(zip(body.inputs, operands, strict=True))
    for node in body.nodes:
        if node.op is CONSTANT:
            literal = _literal(node)
            values[node] = lanes.splat(literal.value, literal.dtype)
        elif isinstance(node.op, Elementwise):
            values[node] = _applied(lanes, node, node.op, [values[arg] for arg in node.args])
        elif node not in values:
            raise BackendError(f"{node.op.name} in a scalar graph has no kernel ({node.origin})")
    return [values[output] for output in body.outputs]


def _signed(lanes: Lanes, number: Lane) -> Lane:
    """An integer as i64; what is too large for it is the largest."""
    if number.dtype is u64:
        number = lanes.min(number, lanes.const(i64.most, u64))
    return lanes.convert(number, i64)


def _applied(lanes: Lanes, node: Node, op: Elementwise, values: Sequence[Lane]) -> Lane:
    """An elementwise op on lanes, in the type it computes in, rounded to its result's."""
    wide = tuple([lanes.widen(value) for value in values])
    result: Lane = op.apply(lanes, wide, node.attrs)
    dtype = node.tensor.dtype
    return lanes.round(result, dtype) if dtype is not dtype.compute else result


def _literal(node: Node) -> Lane:
    value, dtype = constant_value(node), node.tensor.dtype
    if value is None or value.size != 1:
        raise BackendError("a constant of several elements must be an operand of the kernel")
    element = value.reshape(())
    if dtype is bf16:
        return Lane(ir.Constant(ir.IntType(16), int(element.view(np.int16))), dtype)
    return Lane(ir.Constant(llvm_type(dtype, 1), element.item()), dtype)


__all__ = ["Element", "Index", "Memory", "Puller", "apply_body", "index_bound"]
