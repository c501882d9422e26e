"""The types of values: tensors, tuples of results, and the token that orders effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from anode.ir.dims import Dim, Shape, Size, bind_size, product
from anode.ir.dtypes import DType, dtype_of


@dataclass(frozen=True, slots=True)
class TensorType:
    """An element type, a shape of ints or symbolic dims, and an optional backend layout."""

    dtype: DType
    shape: Shape
    layout: str | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """Number of elements."""
        return product(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the dense row-major tensor; the shape must be bound."""
        return int(self.size.__index__()) * self.dtype.size

    @property
    def is_static(self) -> bool:
        return all(isinstance(size, int) for size in self.shape)

    @property
    def static(self) -> tuple[int, ...]:
        """The shape as ints; a symbolic one raises ShapeError saying what to bind."""
        return tuple(size.__index__() for size in self.shape)

    def bind(self, sizes: Mapping[str, Size]) -> TensorType:
        if self.is_static:
            return self
        return TensorType(self.dtype, tuple(bind_size(s, sizes) for s in self.shape), self.layout)

    def with_shape(self, shape: Iterable[Size]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __repr__(self) -> str:
        layout = f"@{self.layout}" if self.layout else ""
        return f"{self.dtype}[{','.join(map(repr, self.shape))}]{layout}"


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of a node with several results; `item(i)` takes one."""

    elements: tuple[Type, ...]

    def bind(self, sizes: Mapping[str, Size]) -> TupleType:
        return TupleType(tuple(e.bind(sizes) for e in self.elements))

    def __iter__(self) -> Iterator[Type]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.elements))})"


@dataclass(frozen=True, slots=True)
class TokenType:
    """The type of the token that effects take and give, which puts them in order."""

    def bind(self, sizes: Mapping[str, Size]) -> TokenType:
        return self

    def __repr__(self) -> str:
        return "token"


Type = TensorType | TupleType | TokenType


def tensor(dtype: object, *shape: Size) -> TensorType:
    """`tensor("f32", 3, 4)` is f32[3,4]; sizes may be symbolic."""
    return TensorType(dtype_of(dtype), shape)


def well_formed(type: Type) -> bool:
    """Whether every size is a dim or an int that is not negative."""
    if isinstance(type, TupleType):
        return all(map(well_formed, type.elements))
    sizes = type.shape if isinstance(type, TensorType) else ()
    return all(isinstance(size, Dim) or (_is_int(size) and size >= 0) for size in sizes)


def _is_int(size: object) -> bool:
    return type(size) is int  # neither bool nor a NumPy integer, which print differently


__all__ = [
    "Dim",
    "Shape",
    "Size",
    "TensorType",
    "TokenType",
    "TupleType",
    "Type",
    "tensor",
    "well_formed",
]
