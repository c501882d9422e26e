"""Values in registers, each computed in the outermost loop in which its operands are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.levels import Levels
from anode.ir.dtypes import DType


@dataclass(frozen=True)
class Element:
    """An element of a tensor, or one a lane; and the loop level at which it is known."""

    lane: Lane
    level: int = 0

    @property
    def uniform(self) -> bool:
        """Whether it is the same in every lane, and a scalar."""
        return not isinstance(self.lane.value.type, ir.VectorType)


class Elements:
    """Arithmetic on elements of `width` lanes."""

    def __init__(self, levels: Levels, width: int) -> None:
        self.levels, self.width = levels, width
        self.vector, self.scalar = Lanes(levels.b, width), Lanes(levels.b, 1)

    def apply(self, function: Callable[..., Lane], *operands: Element) -> Element:
        """`function(lanes, *operands)`: on scalars where all operands are, else on vectors."""
        level = self.levels.level(*[operand.level for operand in operands])
        if all(operand.uniform for operand in operands):
            lanes, values = self.scalar, [operand.lane for operand in operands]
        else:
            lanes, values = self.vector, [self.spread(operand) for operand in operands]
        with self.levels.at(level):
            return Element(function(lanes, *values), level)

    def spread(self, element: Element) -> Lane:
        """The value in every lane of a vector; a scalar is spread once, where it is known."""
        lane = element.lane
        if not element.uniform or self.width == 1:
            return lane
        if isinstance(lane.value, ir.Constant):
            return self.vector.splat(lane.value, lane.dtype)
        key = (id(lane.value), self.width)
        found: Lane | None = self.levels.recall(key)
        if found is None:
            level = self.levels.level(element.level)
            with self.levels.at(level):
                found = self.vector.splat(lane.value, lane.dtype)
            self.levels.remember(key, found, level)
        return found

    def constant(self, value: float | int | bool, dtype: DType) -> Element:
        return Element(self.scalar.const(value, dtype))
