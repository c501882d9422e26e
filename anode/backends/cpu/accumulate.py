"""Reductions under way: registers that take elements up, and what becomes of them at the end."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.llvm_ir import Values, shuffle
from anode.backends.cpu.pull import Puller, apply_body
from anode.ir.dtypes import DType
from anode.ir.node import Node
from anode.ops.reduce import identity, monoid_of


class Accumulator:
    """One `reduce` node: a register for each of its results, carried by the loops.

    With `across`, lanes are elements of one reduction, and combined at the end.
    """

    def __init__(self, pull: Puller, node: Node, across: bool) -> None:
        self.pull, self.node, self.body = pull, node, node.attrs["body"]
        self.count = len(node.args) // 2
        self.name = monoid_of(self.body)
        self.across = across and pull.width > 1
        self.lanes: Lanes = pull.elements.vector

    @property
    def operands(self) -> tuple[Node, ...]:
        return self.node.args[: self.count]

    def dtype(self, result: int) -> DType:
        """The type to add up in: half types are rounded once, at the end."""
        dtype = self.operands[result].tensor.dtype
        return dtype.compute if self.name else dtype

    def initial(self) -> list[ir.Value]:
        """The registers before the first element."""
        if self.across:  # the initial value joins at the end, once
            return [self.neutral.value]
        return [self.pull.elements.spread(init).value for init in self._inits()]

    @property
    def neutral(self) -> Lane:
        """What changes nothing, in every lane."""
        dtype = self.dtype(0)
        return self.lanes.const(identity(self.name or "", dtype), dtype)

    def _inits(self) -> list[Element]:
        inits = [self.pull.element(init, ()) for init in self.node.args[self.count :]]
        widen = self.pull.elements.apply
        return [widen(lambda lanes, x: lanes.widen(x), i) if self.name else i for i in inits]

    def add(self, registers: Values, elements: Sequence[Element]) -> list[ir.Value]:
        """The registers after one more element; masked lanes do not count."""
        lanes = [self.pull.elements.spread(element) for element in elements]
        sums = [Lane(value, self.dtype(i)) for i, value in enumerate(registers)]
        if self.name is None:
            return [lane.value for lane in apply_body(self.lanes, self.body, [*sums, *lanes])]
        element, mask = self.lanes.widen(lanes[0]), self.pull.access.mask
        if self.across and mask is not None:
            value = self.pull.b.select(mask, element.value, self.neutral.value)
            element = Lane(value, element.dtype)
        return [self._combined(self.lanes, sums[0], element).value]

    def _combined(self, lanes: Lanes, x: Lane, y: Lane) -> Lane:
        """A monoid on what is widened already."""
        (output,) = self.body.outputs
        combined: Lane = output.op.apply(lanes, (x, y), {})
        return combined

    def joined(self, sets: Sequence[Values]) -> Values:
        """The registers of several vectors that ran side by side, as one."""
        while len(sets) > 1:
            pairs = zip(sets[::2], sets[1::2], strict=True)
            sets = [[self._pair(x, y)] for (x,), (y,) in pairs]
        return sets[0]

    def _pair(self, x: ir.Value, y: ir.Value) -> ir.Value:
        dtype = self.dtype(0)
        return self._combined(self.lanes, Lane(x, dtype), Lane(y, dtype)).value

    def results(self, registers: Values) -> list[Lane]:
        """The finished results, each rounded to its type."""
        found = [Lane(value, self.dtype(i)) for i, value in enumerate(registers)]
        if self.name is None:
            return found
        (total,), lanes = found, self.lanes
        if self.across:
            lanes = self.pull.elements.scalar
            (init,) = self._inits()
            total = self._combined(lanes, init.lane, self._all_lanes(total))
        return [lanes.round(total, self.operands[0].tensor.dtype)]

    def _all_lanes(self, lane: Lane) -> Lane:
        """All lanes combined, in pairs, halves at a time."""
        b, width, value = self.pull.b, self.pull.width, lane.value
        while width > 1:
            width //= 2
            low, high = (shuffle(b, value, value, range(s, s + width)) for s in (0, width))
            if width == 1:
                low, high = (b.extract_element(half, ir.IntType(32)(0)) for half in (low, high))
            pair = Lane(low, lane.dtype), Lane(high, lane.dtype)
            value = self._combined(Lanes(b, width), *pair).value
        return Lane(value, lane.dtype)
