"""Winograd's methods F(m, r): products of polynomials by their values at points, and as LLVM code.

m results of a filter of r taps take n = m + r − 1 elements of the image. All are coefficients of
polynomials, whose product is had from its values at n points: n multiplications where the sum over
windows takes m·r, and n² for m²·r² in two dims. Source: Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", 2016. With finite points a, infinity and Nₐ = Π (a − a'), a' ≠ a,

    image   Bᵀ  n × n  at a the coefficients of Π (t − a'), a' ≠ a; at ∞ those of Π (t − a)
    filter  G   n × r  at a aʲ / Nₐ; at ∞ the last tap
    result  A   n × m  at a aⁱ;      at ∞ the last element

    y  = Aᵀ [(Bᵀ x) · (G w)]      results of a tile
    dw = Gᵀ [(Bᵀ x) · (A dy)]     what a tile adds to the filter's gradient

Points come in pairs ±p: what a matrix has at −p is what it has at p with odd coefficients negated.
So each transform is two sparse matrices: even and odd parts, then their sums and differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice
from math import prod
from typing import TypeAlias

from llvmlite import ir

from anode.backends.cpu.llvm_ir import Values, add, i64, mul, multiply_add

Matrix = tuple[tuple[float, ...], ...]
Row = tuple[float, ...]
Place: TypeAlias = "tuple[ir.Value, ir.Value | None]"
"""An index, and whether there is anything; None if there always is."""


@dataclass(frozen=True)
class Method:
    """F(`tile`, `taps`) at the points ±p of `pairs`, at infinity and, with `zero`, at 0.

    Matrices are of even and odd parts: rows for 0, then two for each pair, then ∞.
    """

    tile: int
    taps: int
    pairs: tuple[float, ...]
    zero: bool

    @property
    def size(self) -> int:
        """The points, and the elements of the image, along a dim."""
        return self.tile + self.taps - 1

    @property
    def points(self) -> int:
        """The points of two dims."""
        return self.size**2

    def __str__(self) -> str:
        return f"F({self.tile}x{self.tile}, {self.taps}x{self.taps})"

    @property
    def gradient(self) -> str:
        """The name of the gradient by weights."""
        return f"F({self.taps}x{self.taps}, {self.tile}x{self.tile})"

    @cached_property
    def image(self) -> Matrix:
        """Bᵀ"""
        rows = [(*self._without(a), 0.0) for a in self._leading]
        return self._halves([*rows, self._without(None)])

    @cached_property
    def filter(self) -> Matrix:
        """G"""
        rows = [
            tuple([a**j / prod([a - x for x in self._finite if x != a]) for j in range(self.taps)])
            for a in self._leading
        ]
        return self._halves([*rows, _last(self.taps)])

    @cached_property
    def result(self) -> Matrix:
        """A"""
        rows = [tuple([a**i for i in range(self.tile)]) for a in self._leading]
        return self._halves([*rows, _last(self.tile)])

    @property
    def _leading(self) -> list[float]:
        """The finite points that are not negative."""
        return [*[0.0] * self.zero, *self.pairs]

    @property
    def _finite(self) -> list[float]:
        return [*[0.0] * self.zero, *self.pairs, *[-p for p in self.pairs]]

    def _without(self, point: float | None) -> Row:
        """The coefficients of Π (t − a) over the finite points but one."""
        return reduce(_times, [(-a, 1.0) for a in self._finite if a != point])

    def _halves(self, rows: list[Row]) -> Matrix:
        found = list[Row]()
        for i, row in enumerate(rows):
            if self._is_pair(i, len(rows)):
                for parity in (0, 1):
                    found.append(tuple([x if j % 2 == parity else 0.0 for j, x in enumerate(row)]))
            else:
                found.append(row)
        return tuple(found)

    def _is_pair(self, index: int, count: int) -> bool:
        return self.zero <= index < count - 1

    # code
    def to_points(self, b: ir.IRBuilder, matrix: Matrix, line: Values) -> list[ir.Value]:
        """The vectors of a line at all points."""
        halves = _linear(b, matrix, line)
        return self._butterfly(b, halves)

    def from_points(self, b: ir.IRBuilder, matrix: Matrix, line: Values) -> list[ir.Value]:
        """The transposed transform: what becomes of vectors at all points."""
        return _linear(b, tuple(zip(*matrix, strict=True)), self._butterfly(b, line))

    def _butterfly(self, b: ir.IRBuilder, line: Values) -> list[ir.Value]:
        """The sum and the difference of each pair."""
        found = list(line[: self.zero])
        for even, odd in zip(line[self.zero : -1 : 2], line[self.zero + 1 : -1 : 2], strict=True):
            found += [b.fadd(even, odd), b.fsub(even, odd)]
        return [*found, line[-1]]


# By the operands' type and the taps. In bf16 what is multiplied has eight bits: smaller tiles, at
# the points at which sums of the fewest elements lose the least.
METHODS = {
    "f32": {
        2: Method(tile=4, taps=2, pairs=(5 / 4, 1 / 2), zero=False),
        3: Method(tile=4, taps=3, pairs=(3 / 2, 3 / 4), zero=True),
    },
    "bf16": {
        2: Method(tile=3, taps=2, pairs=(1.0,), zero=True),
        3: Method(tile=2, taps=3, pairs=(1.0,), zero=True),
    },
}


def along_both(
    square: Iterable[ir.Value], size: int, transform: Callable[[Values], list[ir.Value]]
) -> Iterator[tuple[int, int, ir.Value]]:
    """The transform of each row of a square, then of each column: (row, column, value).

    What is loaded and stored one by one is so near its use: a square has more than the registers.
    """
    elements = iter(square)
    rows = [transform(list(islice(elements, size))) for _ in range(size)]
    columns = enumerate(zip(*rows, strict=True))
    return ((i, j, value) for j, column in columns for i, value in enumerate(transform(column)))


def taps(
    b: ir.IRBuilder,
    method: Method,
    kernel: tuple[int, int],
    phase: tuple[ir.Value, ir.Value],
) -> list[Place]:
    """Which taps of a filter those of a phase are, row by row; `kernel` is its size and stride."""
    size, stride = kernel
    rows, columns = (
        [_tap(b, first, i * stride, kernel) for i in range(method.taps)] for first in phase
    )
    return [
        (add(b, mul(b, row, size), column), _both(b, row_exists, column_exists))
        for row, row_exists in rows
        for column, column_exists in columns
    ]


def _tap(b: ir.IRBuilder, first: ir.Value, offset: int, kernel: tuple[int, int]) -> Place:
    size, stride = kernel
    index = add(b, first, offset)
    return index, None if offset + stride <= size else b.icmp_signed("<", index, i64(size))


def _both(b: ir.IRBuilder, x: ir.Value | None, y: ir.Value | None) -> ir.Value | None:
    """Whether both hold; None, as are they, if they always do."""
    if x is None or y is None:
        return x if y is None else y
    return b.and_(x, y)


def _times(p: Row, q: Row) -> Row:
    """The product of two polynomials, the constant first."""
    size = len(p) + len(q) - 1
    return tuple(
        [sum(p[i] * q[k - i] for i in range(len(p)) if 0 <= k - i < len(q)) for k in range(size)]
    )


def _last(size: int) -> Row:
    return (*[0.0] * (size - 1), 1.0)


def _linear(b: ir.IRBuilder, matrix: Matrix, values: Values) -> list[ir.Value]:
    """A sparse constant matrix times a column of vectors."""
    found = []
    for row in matrix:
        terms = [(factor, x) for factor, x in zip(row, values, strict=True) if factor]
        (factor, total), *rest = sorted(terms, key=lambda term: term[0] != 1)
        if factor != 1:
            total = b.fmul(total, ir.Constant(total.type, [factor] * total.type.count))
        for factor, x in rest:
            if abs(factor) == 1:
                total = (b.fadd if factor > 0 else b.fsub)(total, x)
            else:
                scale = ir.Constant(x.type, [factor] * x.type.count)
                total = multiply_add(b, x, scale, total)
        found.append(total)
    return found
