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

A filter may be computed so along one dim only. Along the other each tap is a phase of the image:
channels of their own, which the products add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from itertools import islice
from math import prod
from typing import Literal, TypeAlias

from llvmlite import ir

from anode.backends.cpu.llvm_ir import Values, add, i64, mul, multiply_add

Matrix = tuple[tuple[float, ...], ...]
Row = tuple[float, ...]
Place: TypeAlias = "tuple[ir.Value, ir.Value | None]"
"""An index, and whether there is anything; None if there always is."""
Square: TypeAlias = "Iterator[tuple[int, int, ir.Value]]"
"""Values of a square: row, column and value."""
Transform: TypeAlias = "Callable[[Values], list[ir.Value]]"


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
        return reduce(_times, [(-a, 1.0) for a in self._finite if a != point], (1.0,))

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


DIRECT = Method(tile=1, taps=1, pairs=(), zero=False)
"""The product of one tap: along a dim with more of them they are phases, that is channels."""

_F23 = Method(tile=2, taps=3, pairs=(1.0,), zero=True)
_F32 = Method(tile=3, taps=2, pairs=(1.0,), zero=True)
_F42 = Method(tile=4, taps=2, pairs=(5 / 4, 1 / 2), zero=False)
_F25, _F34, _F43 = (Method(7 - n, n, pairs=(3 / 2, 3 / 4), zero=True) for n in (5, 4, 3))
METHODS: Mapping[str, Mapping[int, tuple[Method, Method]]] = {
    "f32": {2: (_F42, _F42), 3: (_F43, _F43), 4: (_F34, _F34), 5: (_F25, _F25)},
    "bf16": {2: (_F32, _F32), 3: (_F23, _F23), 4: (DIRECT, _F34), 5: (DIRECT, _F25)},
}
"""By the operands' type and the taps of a phase: the methods along both dims.

In bf16 what is multiplied has eight bits: smaller tiles, or one dim only.
"""

Part: TypeAlias = Literal["image", "filter", "result"]


@dataclass(frozen=True)
class Filter:
    """A square filter of `size` that moves by `stride`, and the methods along both dims.

    An image's places i·stride + p make up its phase p. Along a dim with a method of Winograd's
    there are `stride` of them and each has `taps` of the filter's; else `size`, with one each.
    """

    size: int
    stride: int
    methods: tuple[Method, Method]

    @staticmethod
    def of(size: int, stride: int, dtype: str) -> Filter:
        return Filter(size, stride, METHODS[dtype][-(-size // stride)])

    @property
    def taps(self) -> int:
        return -(-self.size // self.stride)

    @property
    def phases(self) -> tuple[int, int]:
        """The phases of an image along both dims."""
        return self._unless_direct(self.stride, self.size)

    @property
    def turns(self) -> tuple[int, int]:
        """The phases of what a gradient by data is of; its results have `stride` along each dim."""
        return self._unless_direct(1, self.taps)

    def _unless_direct(self, count: int, otherwise: int) -> tuple[int, int]:
        down, across = (otherwise if m is DIRECT else count for m in self.methods)
        return down, across

    @property
    def tiles(self) -> tuple[int, int]:
        """The results of a tile along both dims."""
        return self.methods[0].tile, self.methods[1].tile

    @property
    def sizes(self) -> tuple[int, int]:
        """The points along both dims."""
        return self.methods[0].size, self.methods[1].size

    @property
    def points(self) -> int:
        return prod(self.sizes)

    def __str__(self) -> str:
        return "F({}x{}, {}x{})".format(*self.tiles, *[m.taps for m in self.methods])

    @property
    def gradient(self) -> str:
        """The name of the gradient by weights."""
        return "F({}x{}, {}x{})".format(*[m.taps for m in self.methods], *self.tiles)

    # code
    def to_points(self, b: ir.IRBuilder, part: Part, elements: Iterable[ir.Value]) -> Square:
        """A square of the image, the filter or the result at all points."""
        matrices: list[Matrix] = [getattr(method, part) for method in self.methods]
        down, across = (
            partial(m.to_points, b, matrix)
            for m, matrix in zip(self.methods, matrices, strict=True)
        )
        return _along_both(elements, len(matrices[0][0]), len(matrices[1][0]), down, across)

    def from_points(self, b: ir.IRBuilder, part: Part, values: Iterable[ir.Value]) -> Square:
        """The transposed transform: the square that values at all points become."""
        down, across = (partial(m.from_points, b, getattr(m, part)) for m in self.methods)
        return _along_both(values, *self.sizes, down, across)

    def taps_from(
        self, b: ir.IRBuilder, first: Sequence[ir.Value], most: Sequence[int], step: int
    ) -> list[Place]:
        """The filter's taps that are those of a phase, row by row, `step` apart along both dims.

        `most` are the largest that `first` may be.
        """
        rows, columns = (
            [
                _below(b, b.add(start, i64(i * step)), last + i * step, self.size)
                for i in range(m.taps)
            ]
            for m, start, last in zip(self.methods, first, most, strict=True)
        )
        return [
            (add(b, mul(b, row, self.size), column), _both(b, row_exists, column_exists))
            for row, row_exists in rows
            for column, column_exists in columns
        ]


def _along_both(
    square: Iterable[ir.Value], rows: int, columns: int, down: Transform, across: Transform
) -> Square:
    """The transform of each row of a square, then of each column: (row, column, value).

    What is loaded and stored one by one is so near its use: a square has more than the registers.
    """
    elements = iter(square)
    lines = [across(list(islice(elements, columns))) for _ in range(rows)]
    found = enumerate(zip(*lines, strict=True))
    return ((i, j, value) for j, column in found for i, value in enumerate(down(column)))


def _below(b: ir.IRBuilder, index: ir.Value, most: int, size: int) -> Place:
    return index, None if most < size else b.icmp_signed("<", index, i64(size))


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
