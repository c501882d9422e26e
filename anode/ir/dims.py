"""Symbolic sizes: integer polynomials over named dims, kept in one canonical form.

Sizes are symbolic outside and static inside: a frontend may build a graph over `Dim("n")`, and
`Graph.bind(n=32)` re-types it before any pass runs. Two sizes are equal when their canonical forms
are; what cannot be decided before binding (which of two is larger, say) is an error that says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from keyword import iskeyword

from anode.errors import GraphError, ShapeError
from anode.ir.dtypes import DTYPES

Monomial = tuple[str, ...]
RESERVED = {*DTYPES, "inf", "nan", "token", "type"}  # words of the text form


class Dim:
    """An integer polynomial over named sizes, such as `n`, `2*n+1` or `n*m`. Immutable."""

    __slots__ = ("_terms",)

    def __init__(self, name: str) -> None:
        if not name.isidentifier() or iskeyword(name) or name in RESERVED:
            raise ShapeError(f"a dim's name must be an identifier that is free, not {name!r}")
        self._terms: tuple[tuple[Monomial, int], ...] = (((name,), 1),)

    @staticmethod
    def _of(terms: Mapping[Monomial, int]) -> Dim | int:
        kept = tuple(sorted((m, c) for m, c in terms.items() if c))
        if not kept:
            return 0
        if len(kept) == 1 and kept[0][0] == ():
            return kept[0][1]
        dim = object.__new__(Dim)
        dim._terms = kept
        return dim

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for monomial, _ in self._terms for name in monomial)

    def bind(self, sizes: Mapping[str, int | Dim]) -> Dim | int:
        """The size with the dims named in `sizes` replaced; the others stay symbolic."""
        total: Dim | int = 0
        for monomial, coefficient in self._terms:
            term: Dim | int = coefficient
            for name in monomial:
                term = term * sizes.get(name, Dim(name))
            total = total + term
        return total

    def __add__(self, other: Dim | int) -> Dim | int:
        terms = dict(self._terms)
        for monomial, c in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + c
        return Dim._of(terms)

    def __mul__(self, other: Dim | int) -> Dim | int:
        terms: dict[Monomial, int] = {}
        for m1, c1 in self._terms:
            for m2, c2 in _terms(other):
                monomial = tuple(sorted(m1 + m2))
                terms[monomial] = terms.get(monomial, 0) + c1 * c2
        return Dim._of(terms)

    def __floordiv__(self, other: Dim | int) -> Dim | int:
        """The exact quotient; a division that would leave a remainder is undecided, so an error."""
        quotient = self._divide(other)
        if quotient is None:
            raise ShapeError(f"cannot divide the size {self} by {other} before it is bound")
        return quotient

    def __mod__(self, other: Dim | int) -> int:
        if self._divide(other) is None:
            raise ShapeError(f"cannot tell whether {other} divides the size {self} before binding")
        return 0

    def _divide(self, other: Dim | int) -> Dim | int | None:
        divisor = _terms(other)
        if len(divisor) != 1:
            return 1 if self == other else None
        (by, coefficient), terms = divisor[0], {}
        for monomial, c in self._terms:
            rest = list(monomial)
            for name in by:
                if name not in rest:
                    return None
                rest.remove(name)
            if c % coefficient:
                return None
            terms[tuple(rest)] = c // coefficient
        return Dim._of(terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rfloordiv__(self, other: int) -> int:
        if other == 0:
            return 0
        raise ShapeError(f"cannot divide {other} by the size {self} before it is bound")

    def __rmod__(self, other: int) -> int:
        if other == 0:
            return 0
        raise ShapeError(f"cannot tell whether the size {self} divides {other} before binding")

    def __neg__(self) -> Dim | int:
        return self * -1

    def __sub__(self, other: Dim | int) -> Dim | int:
        return self + other * -1

    def __rsub__(self, other: int) -> Dim | int:
        return other + self * -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(self._terms)

    def __lt__(self, other: Dim | int) -> bool:
        """Named sizes are at least 1 in comparisons; what that leaves undecided is an error."""
        least, most = _bounds(self - other)
        if most < 0 or least >= 0:
            return most < 0
        raise ShapeError(f"cannot tell whether {self} < {other} before the sizes are bound")

    def __ge__(self, other: Dim | int) -> bool:
        return not self < other

    def __le__(self, other: Dim | int) -> bool:
        return self < other + 1

    def __gt__(self, other: Dim | int) -> bool:
        return not self < other + 1

    def __repr__(self) -> str:
        return "+".join(_term_text(m, c) for m, c in self._terms).replace("+-", "-")

    def __index__(self) -> int:
        raise ShapeError(
            f"the size {self} must be bound first: graph.bind({sorted(self.names)[0]}=…)"
        )


def _terms(size: Dim | int) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size._terms
    if not isinstance(size, int):
        raise ShapeError(f"a size is an integer or a dim, not {size!r}")
    return (((), int(size)),)


def _bounds(size: Dim | int) -> tuple[float, float]:
    """The least and the greatest value of `size` where every named size is at least 1."""
    constant = sum(c for monomial, c in _terms(size) if not monomial)
    named = [c for monomial, c in _terms(size) if monomial]
    least = constant + sum(named) if all(c > 0 for c in named) else -math.inf
    most = constant + sum(named) if all(c < 0 for c in named) else math.inf
    return least, most


def _term_text(monomial: Monomial, coefficient: int) -> str:
    if not monomial:
        return str(coefficient)
    product = "*".join(monomial)
    return product if coefficient == 1 else f"{coefficient}*{product}"


def parse_size(text: str) -> Dim | int:
    """The size that `repr` printed: a sum of products of integers and names.

    Raises GraphError on anything else.
    """
    terms = text.replace(" ", "").replace("-", "+-").removeprefix("+").split("+")
    total: Dim | int = 0
    for term in terms:
        total = total + _parse_product(term)
    return total


def _parse_product(term: str) -> Dim | int:
    product: Dim | int = -1 if term.startswith("-") else 1
    for factor in term.removeprefix("-").split("*"):
        if not (factor.isidentifier() or factor.isdecimal()) or len(factor) > 100:
            raise GraphError(f"{term!r} is no product of integers and names")
        product = product * (int(factor) if factor.isdecimal() else Dim(factor))
    return product


def bind_size(size: Dim | int, sizes: Mapping[str, int | Dim]) -> Dim | int:
    return size.bind(sizes) if isinstance(size, Dim) else size


Size = int | Dim
Shape = tuple[Size, ...]


def product(shape: Shape) -> Size:
    """The number of elements of `shape`; 1 for a scalar."""
    total: Size = 1
    for size in shape:
        total = total * size
    return total
