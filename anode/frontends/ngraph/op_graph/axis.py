"""Named axes: the dims of a tensor, told apart by name."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import numpy as np

_numbers = count()
_flat_numbers = count()


class DuplicateAxisNames(ValueError):
    """Two axes that would get the same name."""

    def __init__(self, message: str, duplicate_axis_names: Mapping[str, set[str]]) -> None:
        super().__init__(message)
        self.duplicate_axis_names = duplicate_axis_names


class IncompatibleAxesError(ValueError):
    """Axes that do not go together."""


class UnmatchedAxesError(IncompatibleAxesError):
    """Axes that must match and do not."""


def default_dtype(dtype: Any = None) -> np.dtype:
    """`dtype` as NumPy's, by default float32."""
    return _dtype(np.float32 if dtype is None else dtype)


def default_int_dtype(dtype: Any = None) -> np.dtype:
    """`dtype` as NumPy's, by default int32."""
    return _dtype(np.int32 if dtype is None else dtype)


def _dtype(dtype: Any) -> np.dtype:
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{dtype!r} is no element type of NumPy") from None


class Axis:
    """One dim of a tensor. Axes with equal names are the same axis.

    The names N, REC and C mean the batch, time and channels. The length may be set later, but
    before a computation is run.
    """

    def __init__(
        self, length: int | None = None, name: str | None = None, docstring: str | None = None
    ) -> None:
        self.name = f"{type(self).__name__}_{next(_numbers)}" if name is None else name
        self._length: int | None = None
        if length is not None:
            self.length = length
        if docstring is not None:
            self.__doc__ = docstring

    def named(self, name: str) -> Axis:
        self.name = name
        return self

    @property
    def uuid(self) -> UUID:
        if not hasattr(self, "_uuid"):
            self._uuid = uuid4()
        return self._uuid

    @property
    def is_flattened(self) -> bool:
        return False

    @property
    def is_batch(self) -> bool:
        return self.name == "N"

    @property
    def is_recurrent(self) -> bool:
        return self.name == "REC"

    @property
    def is_channel(self) -> bool:
        return self.name == "C"

    @property
    def length(self) -> Any:
        """The number of elements; None where it is not known yet."""
        return self._length

    @length.setter
    def length(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"axis {self.name}: the length {value} is negative")
        self._length = value

    @property
    def axes(self) -> Axes:
        return Axes([self])

    def __repr__(self) -> str:
        return f"Axis({self.name}: {self.length})"

    def __str__(self) -> str:
        return f"{self.name}: {self.length}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and self.name == other.name

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.name)

    def __len__(self) -> int:
        length: int = self.length
        return length

    def __bool__(self) -> bool:
        return True

    def __add__(self, other: Any) -> Axes:
        return Axes(self) + other

    def __or__(self, other: Any) -> Axes:
        return Axes(self) | other

    def __and__(self, other: Any) -> Axes:
        return Axes(self) & other


class FlattenedAxis(Axis):
    """Several axes as one, which remembers them."""

    def __init__(self, axes: Any, **kwargs: Any) -> None:
        super().__init__(name=f"FlattenedAxis_{next(_flat_numbers)}", **kwargs)
        self._axes = Axes(axes)

    @property
    def is_flattened(self) -> bool:
        return True

    @property
    def is_batch(self) -> bool:
        return False

    @property
    def empty(self) -> bool:
        return len(self._axes) == 0

    @property
    def single(self) -> bool:
        return len(self._axes) == 1

    @property
    def axes(self) -> Axes:
        return self._axes

    @property
    def length(self) -> Any:
        lengths = self._axes.lengths
        return None if None in lengths else math.prod(lengths)

    @length.setter
    def length(self, value: int) -> None:
        raise ValueError(f"the length of {self!r} is set by those of its axes")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlattenedAxis) and self._axes == other._axes

    def __hash__(self) -> int:
        return hash(self._axes)

    def __repr__(self) -> str:
        return f"FlattenedAxis({', '.join(map(repr, self._axes))})"


class Axes:
    """The axes of a tensor in order, and a set of them: `+` joins, `-`, `|` and `&` are sets'.

    Made of axes, of nested sequences of axes (which become flattened axes), or of a dict from name
    to length.
    """

    __slots__ = ("_axes",)

    def __init__(self, axes: Any = None) -> None:
        if isinstance(axes, Axes):
            self._axes: tuple[Axis, ...] = axes._axes
            return
        self._axes = tuple(map(_as_axis, _members(axes)))
        if len(self._axes) > 1 and len({axis.name for axis in self._axes}) < len(self._axes):
            raise ValueError(f"a tensor has each axis only once, not {duplicates(self._axes)}")

    @property
    def uuid(self) -> UUID:
        return uuid4()

    @property
    def full_lengths(self) -> tuple[Any, ...]:
        """The lengths; a flattened axis has a tuple of those it is made of."""
        return tuple(a.axes.full_lengths if a.is_flattened else a.length for a in self._axes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([axis.name for axis in self._axes])

    @property
    def lengths(self) -> tuple[Any, ...]:
        return tuple([axis.length for axis in self._axes])

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.lengths)

    def shape_dict(self) -> dict[str, Any]:
        return dict(zip(self.names, self.lengths, strict=True))

    def find_by_name(self, name: str) -> Axes:
        return Axes([axis for axis in self._axes if axis.name == name])

    def get_by_names(self, *names: str) -> Any:
        """The axis called so, or for several names a tuple; KeyError for an unknown name."""
        known = {axis.name: axis for axis in self._axes}
        for name in names:
            if name not in known:
                raise KeyError(f"no axis is called {name}; there are {', '.join(known)}")
        found = tuple([known[name] for name in names])
        return found if len(found) > 1 else found[0]

    def batch_axis(self) -> Axis | None:
        return next((axis for axis in self._axes if axis.is_batch), None)

    def batch_axes(self) -> Axes | None:
        batch = self.batch_axis()
        return None if batch is None else Axes([batch])

    def channel_axis(self) -> Axis | None:
        return next((axis for axis in self._axes if axis.is_channel), None)

    def recurrent_axis(self) -> Axis | None:
        return next((axis for axis in self._axes if axis.is_recurrent), None)

    def sample_axes(self) -> Axes:
        """All but the batch axis."""
        return Axes([axis for axis in self._axes if not axis.is_batch])

    def feature_axes(self) -> Axes:
        """All but the batch and time axes."""
        return Axes([a for a in self._axes if not (a.is_batch or a.is_recurrent)])

    def spatial_axes(self) -> Axes:
        """All but the batch, time and channel axes."""
        return self.feature_axes() - self.channel_axis()

    def flatten(self, force: bool = False) -> Axis:
        """All axes as one; a single axis only with `force`."""
        return self._axes[0] if len(self._axes) == 1 and not force else FlattenedAxis(self)

    def set_shape(self, shape: Iterable[int]) -> None:
        """Set the lengths of all axes."""
        lengths = tuple(shape)
        if len(lengths) != len(self._axes):
            raise ValueError(f"{len(lengths)} lengths for the {len(self._axes)} axes {self}")
        for axis, length in zip(self._axes, lengths, strict=True):
            axis.length = length

    def index(self, axis: Axis) -> int:
        return self._axes.index(axis)

    def __iter__(self) -> Iterator[Axis]:
        return iter(self._axes)

    def __len__(self) -> int:
        return len(self._axes)

    def __getitem__(self, item: Any) -> Any:
        return Axes(self._axes[item]) if isinstance(item, slice) else self._axes[item]

    def __add__(self, other: Any) -> Axes:
        other = Axes(other)
        if common := self & other:
            raise ValueError(f"{self} and {other} cannot be joined: both have {common}")
        return Axes(self._axes + other._axes)

    def __sub__(self, other: Any) -> Axes:
        other = Axes(other)
        return Axes([axis for axis in self._axes if axis not in other._axes])

    def __or__(self, other: Any) -> Axes:
        other = Axes(other)
        return Axes((*self._axes, *[axis for axis in other._axes if axis not in self._axes]))

    def __and__(self, other: Any) -> Axes:
        other = Axes(other)
        return Axes([axis for axis in self._axes if axis in other._axes])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Axes):
            raise ValueError(f"axes are compared with axes, not with {type(other)}")
        return self._axes == other._axes

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._axes)

    def is_sub_set(self, other: Any) -> bool:
        return set(self.names) <= set(Axes(other).names)

    def is_super_set(self, other: Any) -> bool:
        return set(self.names) >= set(Axes(other).names)

    def is_equal_set(self, other: Any) -> bool:
        other = Axes(other)
        return len(self) == len(other) and all(axis in other._axes for axis in self._axes)

    def is_not_equal_set(self, other: Any) -> bool:
        return not self.is_equal_set(other)

    @staticmethod
    def assert_valid_broadcast(axes: Any, new_axes: Any) -> None:
        """ValueError where `new_axes` lack one of `axes`."""
        if missing := Axes(axes) - new_axes:
            raise ValueError(f"{Axes(axes)} cannot be broadcast to {Axes(new_axes)}: no {missing}")

    @staticmethod
    def is_valid_flatten_or_unflatten(src_axes: Any, dst_axes: Any) -> bool:
        """Whether both are the same axes in the same order once flattened ones are taken apart."""
        source, target = (Axes.as_flattened_list(Axes(x)) for x in (src_axes, dst_axes))
        return source == target

    @staticmethod
    def assert_valid_flatten(unflattend_axes: Any, flattened_axes: Any) -> None:
        if not Axes.is_valid_flatten_or_unflatten(unflattend_axes, flattened_axes):
            raise ValueError(
                f"{Axes(unflattend_axes)} cannot be flattened to {Axes(flattened_axes)}: they are "
                "not the same axes in the same order"
            )

    @staticmethod
    def assert_valid_unflatten(flattened_axes: Any, unflattend_axes: Any) -> None:
        if not Axes.is_valid_flatten_or_unflatten(flattened_axes, unflattend_axes):
            raise ValueError(
                f"{Axes(flattened_axes)} cannot be unflattened to {Axes(unflattend_axes)}: they "
                "are not the same axes in the same order"
            )

    @staticmethod
    def as_nested_list(axes: Any) -> Any:
        """Axes as lists of axes, a flattened one as a list of its own."""
        if isinstance(axes, FlattenedAxis):
            axes = axes.axes
        return axes if isinstance(axes, Axis) else [Axes.as_nested_list(axis) for axis in axes]

    @staticmethod
    def as_flattened_list(axes: Iterable[Axis]) -> list[Axis]:
        """The axes with flattened ones taken apart, at all depths."""
        found: list[Axis] = []
        for axis in axes:
            found += Axes.as_flattened_list(axis.axes) if axis.is_flattened else [axis]
        return found

    def __repr__(self) -> str:
        return f"Axes({', '.join(map(repr, self._axes))})"

    def __str__(self) -> str:
        return ", ".join(map(str, self._axes))


class AxesMap(dict[str, str]):
    """New names of axes, given as names or axes; it cannot be changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = dict(*args, **kwargs).items()
        super().__init__({_name(old): _name(new) for old, new in given})
        sources: dict[str, set[str]] = defaultdict(set)
        for old, new in self.items():
            sources[new].add(old)
        twice = {new: olds for new, olds in sources.items() if len(olds) > 1}
        if twice:
            lines = [f"{', '.join(sorted(olds))} would all be {new}" for new, olds in twice.items()]
            raise DuplicateAxisNames("; ".join(lines), twice)

    def map_axes(self, axes: Any) -> Axes:
        """The axes with their new names; a renamed one is a new axis of the same length."""
        return Axes([Axis(a.length, self[a.name]) if a.name in self else a for a in Axes(axes)])

    def invert(self) -> dict[str, str]:
        return {new: old for old, new in self.items()}

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("an AxesMap cannot be changed")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def make_axis(
    length: int | None = None, name: str | None = None, docstring: str | None = None
) -> Axis:
    """A new axis."""
    return Axis(length, name, docstring)


def make_axes(axes: Any = ()) -> Axes:
    """Axes of axes, nested sequences of axes, or a dict of lengths."""
    return Axes(axes)


def slice_axis(axis: Axis, s: slice) -> Axis:
    """The axis that a slice of `axis` has: its name and the slice's length. Steps are ±1."""
    if s.step not in (-1, 1, None):
        raise ValueError(f"axis {axis.name} can be sliced in steps of 1 and -1 only, not by {s}")
    length = None if axis.length is None else len(range(*s.indices(axis.length)))
    return Axis(length, axis.name)


def duplicates(arr: Iterable[Axis]) -> list[Axis]:
    """Those of the axes whose name another one has too."""
    by_name: dict[str, list[Axis]] = defaultdict(list)
    for axis in arr:
        by_name[axis.name].append(axis)
    return [axis for alike in by_name.values() if len(alike) > 1 for axis in alike]


def are_axes(x: Any) -> bool:
    """Whether `x` is what axes are made of, and no tensor."""
    if isinstance(x, (list, tuple)):
        return all(map(are_axes, x))
    return isinstance(x, (Axes, Axis))


def _name(x: Any) -> Any:
    return x.name if isinstance(x, Axis) else x


def _members(axes: Any) -> Iterable[Any]:
    if axes is None:
        return ()
    if isinstance(axes, Axis):
        return (axes,)
    if isinstance(axes, dict):
        return [Axis(length, name) for name, length in axes.items()]
    members: Iterable[Any] = axes
    return members


def _as_axis(x: Any) -> Axis:
    if isinstance(x, Axis):
        return x
    if isinstance(x, Iterable) and not isinstance(x, str):
        return FlattenedAxis(x)
    raise ValueError(f"axes are made of axes, not of {x!r}, which is a {type(x).__name__}")
