"""One matrix product: its operands in memory, and whether bf16 is multiplied in words of two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from anode.ir.dtypes import DType, bf16, f32, u32
from anode.passes.strides import Axis

FEW_COLUMNS = 64  # of C: too little use of each element of A to copy it


@dataclass(frozen=True)
class Operand:
    """A matrix (or batch of them) in memory: element type, and strides in elements.

    Strides are those of the batch dimensions, then of the row, then of the column. Where a view
    makes a row (or column) an index over several dims in memory, `rows` (or `columns`) has them
    all, and the stride is that of the last. Elements of a B that is streamed may be `rounded` to a
    half type as they are copied.
    """

    dtype: DType
    strides: tuple[int, ...]
    rows: Axis = ()
    columns: Axis = ()
    rounded: DType | None = None

    @property
    def row(self) -> int:
        return self.strides[-2]

    @property
    def column(self) -> int:
        return self.strides[-1]

    @property
    def is_plain(self) -> bool:
        """Whether one stride leads from row to row, and one from column to column."""
        return not self.rows and not self.columns

    @property
    def is_column_major(self) -> bool:
        """Whether columns are contiguous, and rows are not, or in shorter runs."""
        longest = self.columns[-1][0] if self.columns else inf
        return self.row == 1 and (
            self.column != 1 or (bool(self.rows) and self.rows[-1][0] > longest)
        )


@dataclass(frozen=True)
class MatmulSpec:
    """The product C[b, m, n] = Σ_k A[b, m, k] · B[b, k, n] of static sizes and strides.

    `dtype` is the type of the sum (f32, f64 or an integer type). `threads` only sizes tasks: the
    bits of the result do not depend on it.
    """

    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    dtype: DType
    threads: int
    batch: tuple[int, ...] = ()
    terms: int = 0

    @property
    def in_words(self) -> bool:
        """Whether k counts words of two bf16, `terms` of them in all, multiplied pair by pair."""
        return self.terms > 0

    @property
    def joins_b(self) -> bool:
        """Whether the two terms of a word of B are joined by packing."""
        return self.in_words and self.b.dtype is not u32

    @property
    def packed(self) -> DType:
        """The type of packed elements."""
        return u32 if self.in_words else self.dtype


def in_words(spec: MatmulSpec) -> MatmulSpec:
    """The product of pairs of bf16, if its operands can be read so; else itself."""
    a, b = _words(spec.a, spec.k, 1), spec.b if spec.b.rounded else _words(spec.b, spec.k, 0)
    halves = spec.a.dtype is (spec.b.rounded or spec.b.dtype) is bf16 and spec.dtype is f32
    single = a is spec.a and 1 not in (a.row, a.column)  # elements, which are copied one by one
    if not halves or (single and spec.n <= FEW_COLUMNS):
        return spec
    if min(spec.n, spec.k) < 2 or (b is spec.b and b.column != 1 and not b.rounded):
        return spec
    return replace(spec, a=a, b=b, k=ceil_div(spec.k, 2), terms=spec.k)


def _words(operand: Operand, k: int, along: int) -> Operand:
    """The operand in words of two bf16 that are neighbours along k; itself, where they are not."""
    axes = [operand.rows, operand.columns]
    strides = list(operand.strides)
    deep = axes[along] or ((k, strides[along - 2]),)
    others = [
        *strides[:-2],
        strides[-1 - along],
        *(step for _, step in (*axes[1 - along], *deep[:-1])),
    ]
    if deep[-1][1] != 1 or deep[-1][0] % 2 or any(step % 2 for step in others):
        return operand
    halved = [tuple((size, step // 2) for size, step in axis) for axis in axes]
    if axes[along]:
        halved[along] = (*halved[along][:-1], (deep[-1][0] // 2, 1))
    strides = [step // 2 for step in strides]
    strides[along - 2] = 1
    return Operand(u32, tuple(strides), halved[0], halved[1])


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(a: int, multiple: int) -> int:
    return ceil_div(a, multiple) * multiple
