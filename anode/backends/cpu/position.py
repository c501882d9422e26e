"""Where a lane reads: an index along one dim, as a function of the lane number.

An index is uniform (the same in every lane), affine (`base + step·lane`, so that contiguous lanes
become one vector load) or an arbitrary vector (a gather). One that a loop over several dims at once
makes, or a reshape, is a `Digit` of a flat index: divisions are only emitted for digits that are
needed one by one, not for those that meet again in an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TypeAlias

from llvmlite import ir

from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.llvm_ir import I32, I64, i64, splat
from anode.ir.dtypes import u32, u64

Base: TypeAlias = "ir.Value | int"
Index: TypeAlias = "Position | Digit | Phase"
Indices: TypeAlias = "tuple[Index, ...]"

NARROW = 1 << 31  # below it vectors of indices have 32 bits, which is less work


@dataclass(frozen=True, eq=False)
class Position:
    """`base + step·lane`, or `vector` (one integer a lane), whose base and step are then 0.

    Where code is written several times over for neighbouring elements, `each` is added for every
    copy before the present one. `level` is the loop level at which the base is known; `multiple`
    divides it, for certain.
    """

    base: Base = 0
    step: int = 0
    vector: ir.Value | None = None
    level: int = 0
    multiple: int = 1
    each: int = 0

    @property
    def uniform(self) -> bool:
        return self.vector is None and self.step == 0

    @property
    def key(self) -> object:
        """Equal for positions that are the same value."""
        base = self.base if isinstance(self.base, int) else id(self.base)
        return (type(self.base) is int, base, self.step, self.each, id(self.vector))


@dataclass(frozen=True, eq=False)
class Digit:
    """`flat // divisor % size`; without `size` the highest digit, which needs no remainder."""

    flat: Position
    divisor: int
    size: int | None

    @property
    def each(self) -> int:
        return self.flat.each

    @property
    def key(self) -> object:
        return (self.flat.key, self.divisor, self.size)


@dataclass(frozen=True, eq=False)
class Phase:
    """`quotient * stride + rest`: an index whose remainder by the stride is known.

    A loop over every stride-th element makes such, for code that differs from one to the next.
    """

    quotient: Index
    stride: int
    rest: int

    @property
    def each(self) -> int:
        return self.quotient.each

    @property
    def key(self) -> object:
        return (self.quotient.key, self.stride, self.rest)


ZERO = Position()


@dataclass(frozen=True, eq=False)
class Condition:
    """An i1, or one a lane, and the loop level at which it is known."""

    value: ir.Value
    level: int


class Indexing:
    """Arithmetic on indices of `width` lanes that stay below `bound`, added to `levels`.

    `copy` is the number of the present copy of code that is written several times over.
    """

    def __init__(self, levels: Levels, width: int, bound: int = NARROW) -> None:
        self.levels, self.b, self.width = levels, levels.b, width
        element = I32 if bound <= NARROW else I64
        self.kind = I64 if width == 1 else ir.VectorType(element, width)
        self.copy = 0

    # digits
    def digits(self, flat: Index, sizes: Sequence[int]) -> list[Index]:
        """The indices along dims of these sizes of the element at `flat`, in row-major order."""
        if len(sizes) == 1:
            return [flat]
        if isinstance(flat, Phase) and list(sizes[1:]) == [flat.stride]:
            over, rest = divmod(flat.rest, flat.stride)
            return [self.shift(flat.quotient, over), Position(rest)]
        position = self.resolve(flat)
        found: list[Index] = []
        divisor = 1
        for i in reversed(range(len(sizes))):
            found.append(Digit(position, divisor, sizes[i] if i else None))
            divisor *= sizes[i]
        return found[::-1]

    def resolve(self, index: Index) -> Position:
        """The index as one position; a digit is divided out."""
        if isinstance(index, Position):
            return index
        if isinstance(index, Phase):
            return self.add(self.scale(index.quotient, index.stride), Position(index.rest))
        if index.divisor == 1 and index.size is None:
            return index.flat
        digit = index

        def divided() -> Position:
            quotient = self._quotient(self.plain(digit.flat), digit.divisor)
            return self._remainder(quotient, digit.size) if digit.size else quotient

        return self._once((digit.key, self.copy if digit.each else 0), digit.flat.level, divided)

    def _once(self, key: object, level: int, compute: Callable[[], Position]) -> Position:
        """What `compute` gives, added to `level` unless it is there already."""
        level = self.levels.level(level)
        found: Position | None = self.levels.recall(key)
        if found is None:
            with self.levels.at(level):
                found = compute()
            self.levels.remember(key, found, level)
        return found

    def plain(self, p: Position) -> Position:
        """The position in the present copy, without `each`; added to the current level."""
        if not p.each:
            return p
        offset = p.each * self.copy
        multiple = gcd(self._multiple(p), offset)
        return replace(p, base=self._plus(p.base, offset), multiple=multiple, each=0)

    def _quotient(self, p: Position, by: int) -> Position:
        if by == 1:
            return p
        if p.uniform or self._within_blocks(p, by):
            if isinstance(p.base, int):
                return Position(p.base // by)
            multiple = p.multiple // by if p.multiple % by == 0 else 1
            return self._here(self.b.udiv(p.base, i64(by)), multiple=multiple)
        return self._here(self.b.udiv(self.vector(p), self.like(by)))

    def _remainder(self, p: Position, by: int) -> Position:
        within = self._within_blocks(p, by)
        if p.uniform or within:
            step = 1 if within else 0
            if isinstance(p.base, int):
                return Position(p.base % by, step)
            return self._here(self.b.urem(p.base, i64(by)), step, gcd(p.multiple, by))
        return self._here(self.b.urem(self.vector(p), self.like(by)))

    def _within_blocks(self, p: Position, size: int) -> bool:
        """Whether all lanes lie in one block of `size` elements, wherever the base is."""
        return p.step == 1 and size % self.width == 0 and self.divides(self.width, p)

    def _multiple(self, p: Position) -> int:
        return p.base if isinstance(p.base, int) else p.multiple

    # arithmetic
    def strided(self, terms: Sequence[tuple[Index, int]]) -> Position:
        """The sum of indices times strides; digits of one flat index recombine where they can."""
        total = ZERO
        for index, stride in self._recombined(terms):
            total = self.add(total, self.scale(self.resolve(index), stride))
        return total

    def _recombined(self, terms: Sequence[tuple[Index, int]]) -> list[tuple[Index, int]]:
        merged: list[tuple[Index, int]] = []
        for index, stride in sorted(terms, key=lambda term: term[1]):
            low, step = merged[-1] if merged else (ZERO, 0)
            if isinstance(index, Digit) and isinstance(low, Digit):
                size = low.size or 0
                same = low.flat.key == index.flat.key and index.divisor == low.divisor * size
                if same and stride == step * size:
                    joined = index.size and index.size * size
                    merged[-1] = Digit(low.flat, low.divisor, joined), step
                    continue
            merged.append((index, stride))
        return merged

    def add(self, x: Index, y: Index) -> Position:
        p, q = self.resolve(x), self.resolve(y)
        if ZERO.key in (p.key, q.key):
            return q if p.key == ZERO.key else p
        vectors = p.vector is not None or q.vector is not None

        def added() -> Position:
            if vectors:
                return self._here(self.b.add(self.vector(p), self.vector(q)))
            multiple = gcd(self._multiple(p), self._multiple(q))
            base = self._plus(p.base, q.base)
            return self._here(base, p.step + q.step, multiple, p.each + q.each)

        copy = self.copy if vectors and (p.each or q.each) else 0
        return self._once(("add", p.key, q.key, copy), max(p.level, q.level), added)

    def shift(self, x: Index, amount: int) -> Index:
        if isinstance(x, Phase):
            return replace(x, rest=x.rest + amount)
        return self.add(x, Position(amount)) if amount else x

    def scale(self, x: Index, factor: int) -> Position:
        p = self.resolve(x)
        if factor == 1:
            return p

        def scaled() -> Position:
            if p.vector is not None:
                return self._here(self.b.mul(p.vector, self.like(factor)))
            multiple = abs(p.multiple * factor)
            base = self._times(p.base, factor)
            return self._here(base, p.step * factor, multiple, p.each * factor)

        return self._once(("scale", p.key, factor), p.level, scaled)

    def _plus(self, x: Base, y: Base) -> Base:
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if 0 in (x if isinstance(x, int) else None, y if isinstance(y, int) else None):
            return y if isinstance(x, int) else x
        return self.b.add(i64(x), i64(y))  # may be negative or wrap, where it is guarded

    def _times(self, x: Base, factor: int) -> Base:
        if isinstance(x, int) or factor == 0:
            return x * factor if isinstance(x, int) else 0
        return self.b.mul(x, i64(factor))

    # lanes
    def vector(self, p: Position) -> ir.Value:
        """The position of each lane, added to the current level; an i64 where there is one lane."""
        if p.vector is not None:
            return p.vector
        p = self.plain(p)
        if self.width == 1:
            return i64(p.base)
        ramp = ir.Constant(self.kind, [p.step * lane for lane in range(self.width)])
        if isinstance(p.base, int):
            return self.b.add(self.like(p.base), ramp)
        base = p.base if self.kind.element == I64 else self.b.trunc(p.base, I32)
        spread = splat(self.b, base, self.width)
        return self.b.add(spread, ramp) if p.step else spread

    def number(self, index: Index) -> Element:
        """The index as an unsigned number in registers."""
        p = self.resolve(index)
        level = self.levels.level(p.level)
        with self.levels.at(level):
            value = self.scalar(p) if p.uniform else self.vector(p)
        narrow = not p.uniform and self.kind.element == I32
        return Element(Lane(value, u32 if narrow else u64), level)

    def divides(self, factor: int, p: Position) -> bool:
        """Whether the base of `p` is a multiple of `factor`, for certain."""
        return p.vector is None and self._multiple(p) % factor == 0

    def blocks(self, p: Position, size: int, count: int) -> Element:
        """The numbers, as u32, of the `count` blocks of `size` elements that the lanes lie in."""
        lanes, level = Lanes(self.b, count), self.levels.level(p.level)
        with self.levels.at(level):
            first = self.b.trunc(self.b.udiv(self.scalar(p), i64(size)), I32)
            ramp = ir.Constant(ir.VectorType(I32, count), list(range(count)))
            return Element(lanes.add(lanes.splat(first, u32), Lane(ramp, u32)), level)

    def scalar(self, p: Position) -> ir.Value:
        """A uniform position as an i64, added to the current level."""
        return i64(self.plain(p).base)

    def like(self, value: int) -> ir.Constant:
        """A constant in every lane."""
        return self._constant(self.kind, value)

    def below(self, x: Index, bound: int) -> Condition:
        """Whether 0 <= x < bound."""
        p = self.resolve(x)
        key = ("below", p.key, bound, self.copy if p.each else 0)
        found: Condition | None = self.levels.recall(key)
        if found is None:
            level = self.levels.level(p.level)
            with self.levels.at(level):
                value, limit = self._comparable(p, bound)
                found = Condition(self.b.icmp_unsigned("<", value, limit), level)
            self.levels.remember(key, found, level)
        return found

    def known_below(self, x: Index, bound: int) -> bool | None:
        """Whether 0 <= x < bound in every lane, where it is certain; None where it is not."""
        p = x.flat if isinstance(x, Digit) else self.resolve(x)
        if not isinstance(p.base, int) or p.vector is not None:
            return None
        p = self.plain(self.resolve(x))
        if not isinstance(p.base, int) or p.vector is not None:
            return None
        ends = sorted((p.base, p.base + p.step * (self.width - 1)))
        if ends[0] >= 0 and ends[1] < bound:
            return True
        return False if ends[1] < 0 or ends[0] >= bound else None

    def _comparable(self, p: Position, bound: int) -> tuple[ir.Value, ir.Value]:
        if p.uniform:
            return self.scalar(p), i64(bound)
        return self.vector(p), self.like(bound)

    def clamped(self, value: ir.Value, last: int) -> Position:
        """A computed i64, or one a lane, kept within 0..last; added to the current level."""
        low, high = (self._constant(value.type, limit) for limit in (0, last))
        value = self.b.select(self.b.icmp_signed("<", value, low), low, value)
        value = self.b.select(self.b.icmp_signed(">", value, high), high, value)
        narrow = isinstance(value.type, ir.VectorType) and value.type != self.kind
        return self._here(self.b.trunc(value, self.kind) if narrow else value)

    def _constant(self, kind: ir.Type, value: int) -> ir.Constant:
        lanes = isinstance(kind, ir.VectorType)
        return ir.Constant(kind, [value] * self.width if lanes else value)

    def _here(self, base: Base, step: int = 0, multiple: int = 1, each: int = 0) -> Position:
        """A position whose base, or one a lane, was computed at the current level."""
        if isinstance(base, int):
            return Position(base, step, each=each)
        if isinstance(base.type, ir.VectorType):
            return Position(vector=base, level=self.levels.current)
        return Position(base, step, None, self.levels.current, multiple, each)
