"""Reductions under way: registers that take elements up, and what becomes of them at the end."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.llvm_ir import I32, Values, shuffle
from anode.backends.cpu.pull import Puller, apply_body
from anode.ir.dtypes import DType, bool_
from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.ops.declare import Elementwise
from anode.ops.reduce import commutes, extreme_and_place, identity, monoid_of


class Accumulator:
    """One `reduce` node: a register for each of its results, carried by the loops.

    With `across`, lanes are elements of one reduction, and combined at the end. Each lane of a
    monoid then begins with what changes nothing; other bodies begin with the initial values, as
    those that may be combined so take no harm from taking one up twice.
    """

    def __init__(self, pull: Puller, node: Node, across: bool) -> None:
        self.pull, self.node, self.body = pull, node, node.attrs["body"]
        self.count = len(node.args) // 2
        self.name = monoid_of(self.body)
        self.across = across and pull.width > 1
        self.extreme = None if self.name else _extreme(self.body)
        self._places: dict[int, int] = {}  # of the last element taken up, in each copy of the code
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
        if self.across and self.name:  # the initial value joins at the end, once
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
        sums = self._lanes(registers)
        if self._is_later(elements):
            new = self._later(sums, lanes)
        else:
            new = self._combined(self.lanes, sums, lanes)
        mask = self.pull.access.mask
        if self.across and mask is not None:
            pairs = zip(new, sums, strict=True)
            return [self.pull.b.select(mask, x.value, y.value) for x, y in pairs]
        return [lane.value for lane in new]

    def _is_later(self, elements: Sequence[Element]) -> bool:
        """Whether this is an argmax, say, that has seen no place after the present one."""
        place = elements[-1].lane.value
        if not self.extreme or not isinstance(place, ir.Constant) or not elements[-1].uniform:
            return False
        copy, number = self.pull.index.copy, place.constant or 0
        earlier, self._places[copy] = self._places.get(copy), number
        return earlier is not None and earlier <= number

    def _later(self, sums: Sequence[Lane], lanes: Sequence[Lane]) -> list[Lane]:
        """The registers of an argmax after an element that loses if it is only as good."""
        b, vector = self.pull.b, self.lanes
        best, element = vector.widen(sums[0]), vector.widen(lanes[0])
        ahead = ">" if self.extreme == "maximum" else "<"
        if best.dtype.is_float:  # NaN wins, but not against another
            wins = b.fcmp_unordered(ahead, element.value, best.value)
            wins = b.and_(wins, b.fcmp_ordered("ord", best.value, best.value))
        else:
            compare = b.icmp_signed if best.dtype.kind == "signed" else b.icmp_unsigned
            wins = compare(ahead, element.value, best.value)
        pairs = zip(sums, lanes, strict=True)
        return [vector.select(Lane(wins, bool_), new, old) for old, new in pairs]

    def _combined(self, lanes: Lanes, xs: Sequence[Lane], ys: Sequence[Lane]) -> list[Lane]:
        """The scalar graph on registers and elements; a monoid's in the type to add up in."""
        if self.name is None:
            return apply_body(lanes, self.body, [*xs, *ys])
        (output,) = self.body.outputs
        assert isinstance(output.op, Elementwise)
        return [output.op.apply(lanes, (xs[0], lanes.widen(ys[0])), {})]

    def _lanes(self, registers: Values) -> list[Lane]:
        return [Lane(value, self.dtype(i)) for i, value in enumerate(registers)]

    def joined(self, sets: Sequence[Values]) -> Values:
        """The registers of several vectors that ran side by side, as one."""
        found = [self._lanes(registers) for registers in sets]
        while len(found) > 1:
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [self._combined(self.lanes, x, y) for x, y in pairs]
        return [lane.value for lane in found[0]]

    def results(self, registers: Values) -> list[Lane]:
        """The finished results, each rounded to its type."""
        found: Sequence[Lane] = self._lanes(registers)
        lanes = self.lanes
        if self.across:
            found, lanes = self._all_lanes(found), self.pull.elements.scalar
            if self.name:
                found = self._combined(lanes, [init.lane for init in self._inits()], found)
        types = [x.tensor.dtype for x in self.operands]
        return [lanes.round(x, dtype) for x, dtype in zip(found, types, strict=True)]

    def _all_lanes(self, found: Sequence[Lane]) -> Sequence[Lane]:
        """All lanes combined, in pairs, halves at a time."""
        width = self.pull.width
        while width > 1:
            width //= 2
            low, high = ([self._part(x, s, width) for x in found] for s in (0, width))
            found = self._combined(Lanes(self.pull.b, width), low, high)
        return found

    def _part(self, x: Lane, first: int, count: int) -> Lane:
        """Some of the lanes of a vector; of one a scalar."""
        b = self.pull.b
        if count == 1:
            return Lane(b.extract_element(x.value, I32(first)), x.dtype)
        return Lane(shuffle(b, x.value, x.value, range(first, first + count)), x.dtype)


def _extreme(body: Graph) -> str | None:
    """The "maximum" or "minimum" that a scalar graph finds with its place, or None."""
    if len(body.types) != 4 or not commutes(body):
        return None
    value, place = (output.tensor.dtype for output in body.outputs)
    return next(n for n in ("maximum", "minimum") if body is extreme_and_place(n, value, place))
