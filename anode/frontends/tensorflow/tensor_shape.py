"""Shapes known while a TensorFlow graph is built: some sizes, or even the rank, may be unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from math import prod
from typing import Any


class Dimension:
    """A size, or None for one that is not known; comparisons with an unknown size give None."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # equality is not transitive
    _value: int | None

    def __init__(self, value: Any) -> None:
        self._value = _size(value)

    @property
    def value(self) -> int | None:
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """Whether both may be the same size."""
        other = as_dimension(other)
        return self._value == other._value or self._value is None or other._value is None

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError where the sizes are known and differ."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {other} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        """What is known of a size that is both; ValueError where they differ."""
        other = as_dimension(other)
        self.assert_is_compatible_with(other)
        return Dimension(other._value if self._value is None else self._value)

    def _combine(self, other: Any, combine: Callable[[int, int], int]) -> Dimension:
        try:
            other = as_dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other._value is None:
            return Dimension(None)
        return Dimension(combine(self._value, other._value))

    def _compare(self, other: Any, compare: Callable[[int, int], bool]) -> bool | None:
        try:
            other = as_dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other._value is None:
            return None
        return compare(self._value, other._value)

    def __add__(self, other: Any) -> Dimension:
        return self._combine(other, operator.add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dimension:
        return self._combine(other, operator.sub)

    def __rsub__(self, other: Any) -> Dimension:
        return self._combine(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Dimension:
        return self._combine(other, operator.mul)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Dimension:
        return self._combine(other, operator.floordiv)

    def __rfloordiv__(self, other: Any) -> Dimension:
        return self._combine(other, lambda a, b: b // a)

    __div__ = __floordiv__

    def __mod__(self, other: Any) -> Dimension:
        return self._combine(other, operator.mod)

    def __rmod__(self, other: Any) -> Dimension:
        return self._combine(other, lambda a, b: b % a)

    def __truediv__(self, other: Any) -> Dimension:
        raise _no_division("Dimension", type(other).__name__)

    def __rtruediv__(self, other: Any) -> Dimension:
        raise _no_division(type(other).__name__, "Dimension")

    def __eq__(self, other: Any) -> bool | None:  # type: ignore[override]
        return self._compare(other, operator.eq)

    def __ne__(self, other: Any) -> bool | None:  # type: ignore[override]
        return self._compare(other, operator.ne)

    def __lt__(self, other: Any) -> bool | None:
        return self._compare(other, operator.lt)

    def __le__(self, other: Any) -> bool | None:
        return self._compare(other, operator.le)

    def __gt__(self, other: Any) -> bool | None:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Any) -> bool | None:
        return self._compare(other, operator.ge)

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]  # None raises the TypeError it should

    def __index__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (self._value,)


def _size(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, Dimension):
        return value.value
    size = int(value)
    if not isinstance(value, (str, bytes)) and size != value:
        raise ValueError(f"Ambiguous dimension: {value}")
    if size < 0:
        raise ValueError(f"Dimension {size} must be >= 0")
    return size


def _no_division(left: str, right: str) -> TypeError:
    return TypeError(
        f"unsupported operand type(s) for /: '{left}' and '{right}', please use // instead"
    )


class TensorShape:
    """The sizes of a tensor as far as they are known; `dims` is None where the rank is not.

    Made of None, a size, a TensorShapeProto, or an iterable of sizes and None.
    """

    __slots__ = ("__weakref__", "_dims")
    __hash__ = None  # type: ignore[assignment]  # equality is not transitive
    _dims: list[Dimension] | None

    def __init__(self, dims: Any) -> None:
        if isinstance(dims, (str, bytes)):
            raise TypeError(
                "A string has ambiguous TensorShape, please wrap in a list or "
                f"convert to an int: {dims!s}"
            )
        self._dims = _dimensions(dims)

    @property
    def dims(self) -> list[Dimension] | None:
        return self._dims

    @property
    def rank(self) -> int | None:
        return None if self._dims is None else len(self._dims)

    ndims = rank

    def as_list(self) -> list[Any]:
        """The sizes, ints or None; ValueError where the rank is not known."""
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return [dim.value for dim in self._dims]

    def num_elements(self) -> int | None:
        """The product of the sizes, or None where one is not known."""
        return prod(self.as_list()) if self.is_fully_defined() else None

    def is_fully_defined(self) -> bool:
        return self._dims is not None and all(dim.value is not None for dim in self._dims)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor may have both shapes."""
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return True
        return len(self._dims) == len(other._dims) and all(
            a.is_compatible_with(b) for a, b in zip(self._dims, other._dims, strict=True)
        )

    def merge_with(self, other: Any) -> TensorShape:
        """What is known of a shape that is both; ValueError where they differ."""
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return other if self._dims is None else self
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are not compatible")
        return TensorShape([a.merge_with(b) for a, b in zip(self._dims, other._dims, strict=True)])

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The sizes that both have in common; an unknown rank where the ranks differ."""
        other = as_shape(other)
        if self._dims is None or other._dims is None or self.rank != other.rank:
            return TensorShape(None)
        pairs = zip(self.as_list(), other.as_list(), strict=True)
        return TensorShape([a if a == b else None for a, b in pairs])

    def concatenate(self, other: Any) -> TensorShape:
        """The sizes of this shape, then those of the other."""
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return TensorShape(None)
        return TensorShape(self._dims + other._dims)

    def with_rank(self, rank: Any) -> TensorShape:
        """This shape, as one of this rank; ValueError where it has another."""
        try:
            return self.merge_with(unknown_shape(rank))
        except ValueError:
            raise ValueError(f"Shape {self} must have rank {rank}") from None

    def with_rank_at_least(self, rank: Any) -> TensorShape:
        if self.rank is not None and self.rank < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: Any) -> TensorShape:
        if self.rank is not None and self.rank > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def assert_has_rank(self, rank: Any) -> None:
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        other = as_shape(other)
        if None not in (self.rank, other.rank) and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank")

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are incompatible")

    def assert_is_fully_defined(self) -> None:
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def as_proto(self) -> Any:
        """A TensorShapeProto message."""
        from anode.frontends.tensorflow.formats.proto import TensorShapeProto

        if self._dims is None:
            return TensorShapeProto(unknown_rank=True)
        sizes = [-1 if dim.value is None else dim.value for dim in self._dims]
        return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._dims)

    def __bool__(self) -> bool:
        """Whether the rank is known."""
        return self._dims is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self._dims)

    def __getitem__(self, key: Any) -> Any:
        if self._dims is not None:
            return TensorShape(self._dims[key]) if isinstance(key, slice) else self._dims[key]
        if not isinstance(key, slice):
            return Dimension(None)
        start, stop = key.start or 0, key.stop
        if key.step not in (None, 1) or stop is None or start < 0 or stop < 0:
            return TensorShape(None)
        return unknown_shape(max(stop - start, 0))

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return as_shape(other).concatenate(self)

    def __eq__(self, other: Any) -> bool:
        try:
            return bool(self._dims == as_shape(other)._dims)
        except (TypeError, ValueError):
            return NotImplemented

    def __ne__(self, other: Any) -> bool:
        try:
            other = as_shape(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._dims is None or other._dims is None:
            raise ValueError("The inequality of unknown TensorShapes is undefined.")
        return not self == other

    def __repr__(self) -> str:
        return f"TensorShape({self._dims})"

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        comma = "," if len(self._dims) == 1 else ""
        return f"({', '.join(map(str, self._dims))}{comma})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._dims,)


def _dimensions(dims: Any) -> list[Dimension] | None:
    if dims is None or isinstance(dims, TensorShape):
        return None if dims is None else dims._dims
    if hasattr(dims, "unknown_rank"):  # a TensorShapeProto
        sizes = [None if dim.size == -1 else dim.size for dim in dims.dim]
        return None if dims.unknown_rank else [Dimension(size) for size in sizes]
    try:
        sizes = list(dims)
    except TypeError:
        sizes = [dims]
    return [as_dimension(size) for size in sizes]


def as_dimension(value: Any) -> Dimension:
    return value if isinstance(value, Dimension) else Dimension(value)


def as_shape(shape: Any) -> TensorShape:
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def unknown_shape(rank: Any = None, ndims: Any = None) -> TensorShape:
    """A shape of which only the rank is known, or not even that."""
    rank = ndims if rank is None else rank
    return TensorShape(None if rank is None else [Dimension(None)] * int(rank))


def scalar() -> TensorShape:
    return TensorShape([])


def vector(length: Any) -> TensorShape:
    return TensorShape([length])


def matrix(rows: Any, cols: Any) -> TensorShape:
    return TensorShape([rows, cols])


def dimension_value(dimension: Any) -> int | None:
    """The int of a Dimension; an int or None as it is."""
    return dimension.value if isinstance(dimension, Dimension) else dimension


def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """A size of a shape, unknown where the rank is."""
    return Dimension(None) if shape.rank is None else shape[index]
