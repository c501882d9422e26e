"""Where a lane reads: an index along one dim, as a function of the lane number.

An index is uniform (the same in every lane), affine (`base + step·lane`, so that contiguous lanes
become one vector load) or an arbitrary vector (a gather).
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.llvm_ir import I32, I64, i64, splat

Base = ir.Value | int


@dataclass(frozen=True, eq=False)
class Position:
    """`base + step·lane`, or `vector` (`<lanes x i64>`), whose base and step are then 0."""

    base: Base
    step: int = 0
    vector: ir.Value | None = None

    @property
    def uniform(self) -> bool:
        return self.vector is None and self.step == 0

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for positions that are the same value in the same scope."""
        base = self.base if isinstance(self.base, int) else id(self.base)
        return (type(self.base) is int, base, self.step, id(self.vector))


ZERO = Position(0)


class Indexing:
    """Arithmetic on positions, emitted with `builder` for `width` lanes."""

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.b, self.width = builder, width

    def vector(self, p: Position) -> ir.Value:
        """The position of each lane as `<lanes x i64>` (a scalar where there is one lane)."""
        if p.vector is not None:
            return p.vector
        if self.width == 1:
            return i64(p.base)
        base = splat(self.b, i64(p.base), self.width)
        if p.step == 0:
            return base
        kind = ir.VectorType(I64, self.width)
        return self.b.add(base, ir.Constant(kind, [p.step * lane for lane in range(self.width)]))

    def add(self, p: Position, q: Position) -> Position:
        if p.vector is None and q.vector is None:
            return Position(self.plus(p.base, q.base), p.step + q.step)
        return Position(0, 0, self.b.add(self.vector(p), self.vector(q)))

    def shift(self, p: Position, amount: int) -> Position:
        return self.add(p, Position(amount)) if amount else p

    def scale(self, p: Position, factor: int) -> Position:
        if factor == 1:
            return p
        if p.vector is not None:
            return Position(0, 0, self.b.mul(p.vector, self._splat(factor)))
        return Position(self.times(p.base, factor), p.step * factor)

    def plus(self, x: Base, y: Base) -> Base:
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if 0 in (x if isinstance(x, int) else None, y if isinstance(y, int) else None):
            return y if isinstance(x, int) else x
        return self.b.add(i64(x), i64(y))  # may be negative or wrap, where it is guarded

    def times(self, x: Base, factor: int) -> Base:
        if isinstance(x, int):
            return x * factor
        return x if factor == 1 else 0 if factor == 0 else self.b.mul(x, i64(factor))

    def divide(self, p: Position, by: int) -> tuple[Position, Position]:
        """Quotient and remainder of a position that is not negative."""
        if by == 1:
            return p, ZERO
        if p.uniform:
            if isinstance(p.base, int):
                return Position(p.base // by), Position(p.base % by)
            divisor = i64(by)
            return Position(self.b.udiv(p.base, divisor)), Position(self.b.urem(p.base, divisor))
        # 32 bits: processors multiply (and so divide by a constant) such vectors, but not 64
        kind = ir.VectorType(I32, self.width) if self.width > 1 else I32
        narrow = self.b.trunc(self.vector(p), kind)
        divisor = ir.Constant(kind, [by] * self.width if self.width > 1 else by)
        wide = ir.VectorType(I64, self.width) if self.width > 1 else I64
        quotient = self.b.zext(self.b.udiv(narrow, divisor), wide)
        remainder = self.b.zext(self.b.urem(narrow, divisor), wide)
        return self._of(quotient), self._of(remainder)

    def clamp(self, p: Position, last: int) -> Position:
        """The position kept within 0..last."""
        if p.uniform and isinstance(p.base, int):
            return Position(min(max(p.base, 0), last))
        value = i64(p.base) if p.uniform else self.vector(p)
        zero, high = (self._like(value, k) for k in (0, last))
        value = self.b.select(self.b.icmp_signed("<", value, zero), zero, value)
        value = self.b.select(self.b.icmp_signed(">", value, high), high, value)
        return Position(value) if p.uniform else self._of(value)

    def below(self, p: Position, bound: int) -> ir.Value:
        """Whether 0 <= p < bound: i1 where p is uniform, else one per lane."""
        value = i64(p.base) if p.uniform else self.vector(p)
        return self.b.icmp_unsigned("<", value, self._like(value, bound))

    def of(self, value: ir.Value) -> Position:
        """A position from a computed i64, scalar or vector."""
        return self._of(value) if isinstance(value.type, ir.VectorType) else Position(value)

    def _of(self, value: ir.Value) -> Position:
        return Position(value) if self.width == 1 else Position(0, 0, value)

    def _splat(self, value: int) -> ir.Constant:
        if self.width == 1:
            return i64(value)
        return ir.Constant(ir.VectorType(I64, self.width), [value] * self.width)

    def _like(self, value: ir.Value, constant: int) -> ir.Constant:
        return self._splat(constant) if isinstance(value.type, ir.VectorType) else i64(constant)
