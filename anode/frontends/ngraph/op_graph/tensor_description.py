"""TensorDescription: where the elements of a tensor, or of a view of one, lie in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from anode.frontends.ngraph.op_graph.axis import (
    Axes,
    Axis,
    default_dtype,
    slice_axis,
)
from anode.frontends.ngraph.util.names import NameableValue

Nested = Any  # an int, or a tuple of such: a flattened axis has an entry for each of its axes


class TensorDescription(NameableValue):
    """Axes, element type, and a stride in bytes for each axis.

    A view has the description of the tensor it looks at as `base`. All axes need a length, else
    ValueError. `full_strides` and `full_sizes` have tuples where an axis is a flattened one.
    """

    def __init__(
        self,
        axes: Any,
        base: TensorDescription | None = None,
        layout: Any = None,
        dtype: Any = None,
        full_strides: Iterable[Nested] | None = None,
        full_sizes: Iterable[Nested] | None = None,
        offset: int = 0,
        next_tensor_description: TensorDescription | None = None,
        is_persistent: bool = False,
        is_input: bool = False,
        is_placeholder: bool = False,
        op: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.axes = Axes(axes)
        if None in self.axes.lengths:
            raise ValueError(f"the axes {self.axes} need lengths before a tensor can be laid out")
        self.dtype, self.offset, self.layout, self.op = default_dtype(dtype), offset, layout, op
        self._base, self.register = base, None
        self.next_tensor_description = next_tensor_description
        self._flags = {"persistent": is_persistent, "input": is_input, "holder": is_placeholder}
        sizes = self.axes.full_lengths if full_sizes is None else full_sizes
        self.full_sizes = tuple(sizes)
        if full_strides is None:
            full_strides = contiguous_strides(self.full_sizes, self.dtype.itemsize)[0]
        self.full_strides = tuple(full_strides)
        for given in (self.full_sizes, self.full_strides):
            if len(given) != self.ndim:
                raise ValueError(f"{given} has not one entry for each of the axes {self.axes}")

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def base(self) -> TensorDescription:
        """The description of the tensor looked at; itself if this is no view."""
        return self._base or self

    def is_base(self) -> bool:
        return self._base is None

    @property
    def is_persistent(self) -> bool:
        return self.base._flags["persistent"]

    @property
    def is_input(self) -> bool:
        return self.base._flags["input"]

    @property
    def is_placeholder(self) -> bool:
        return self.base._flags["holder"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.axes.lengths

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element along an axis to the next."""
        return tuple([min(_leaves(stride)) for stride in self.full_strides])

    @property
    def sizes(self) -> tuple[int, ...]:
        """What is allocated along each axis."""
        return tuple([math.prod(_leaves(size)) for size in self.full_sizes])

    @property
    def tensor_size(self) -> int:
        """Bytes."""
        return math.prod(self.sizes) * self.dtype.itemsize

    @property
    def parameter_key(self) -> tuple[Any, ...]:
        """Equal for views of one tensor that are alike."""
        return self.shape, self.dtype, self.offset, self.strides, self.layout

    @property
    def axes_key(self) -> tuple[Any, ...]:
        return (self.axes, *self.parameter_key)

    @property
    def c_contiguous(self) -> bool:
        return self.strides == contiguous_strides(self.shape, self.dtype.itemsize)[0]

    @property
    def broadcast_contiguous(self) -> bool:
        """Whether the axes that are not repeated are contiguous."""
        kept = [n if s else 1 for n, s in zip(self.shape, self.strides, strict=True)]
        dense = contiguous_strides(tuple(kept), self.dtype.itemsize)[0]
        return all(s in (0, d) for s, d in zip(self.strides, dense, strict=True))

    def clone(self) -> TensorDescription:
        return self._view(self.axes, self.full_strides, self.full_sizes, "cView")

    def flatten(self, new_axes: Any) -> TensorDescription:
        """The view that has some neighbouring axes as one."""
        new_axes, at = Axes(new_axes), 0
        Axes.assert_valid_flatten(self.axes, new_axes)
        strides, sizes = [], []
        for axis in new_axes:
            same = at < self.ndim and axis == self.axes[at]
            count = 1 if same else len(axis.axes)
            part = slice(at, at + count)
            strides.append(self.full_strides[at] if same else self.full_strides[part])
            sizes.append(self.full_sizes[at] if same else self.full_sizes[part])
            at += count
        return self._view(new_axes, strides, sizes, "rFlatten")

    def unflatten(self, new_axes: Any) -> TensorDescription:
        """The view in which flattened axes are taken apart."""
        new_axes = Axes(new_axes)
        Axes.assert_valid_unflatten(self.axes, new_axes)
        known = [pair for axis in map(self._parts, range(self.ndim)) for pair in axis]
        found = [self._place(axis, known) for axis in new_axes]
        return self._view(new_axes, [s for s, _ in found], [n for _, n in found], "rUnflatten")

    def _parts(self, index: int) -> list[tuple[Axis, Nested, Nested]]:
        """An axis, and those it is made of, each with its stride and size."""
        axis = self.axes[index]
        stride, size = self.full_strides[index], self.full_sizes[index]
        found = [(axis, stride, size)]
        if axis.is_flattened:
            if not isinstance(stride, tuple):  # a cast forgot them; flattened means contiguous
                size = axis.axes.lengths
                stride = contiguous_strides(size, stride)[0]
            found += list(zip(axis.axes, stride, size, strict=True))
        return found

    @staticmethod
    def _place(axis: Axis, known: list[tuple[Axis, Nested, Nested]]) -> tuple[Nested, Nested]:
        for other, stride, size in known:
            if other == axis:
                return stride, size
        raise ValueError(f"no stride is known for the axis {axis}")

    def transpose(self) -> TensorDescription:
        """The view with the axes in reverse."""
        axes = list(self.axes)[::-1]
        return self._view(axes, self.full_strides[::-1], self.full_sizes[::-1], "rTranspose")

    def broadcast(self, new_axes: Any) -> TensorDescription:
        """The view that has more axes, along which elements repeat."""
        Axes.assert_valid_broadcast(self.axes, new_axes)
        return self.reorder_and_broadcast(new_axes)

    def reorder(self, new_axes: Any) -> TensorDescription:
        """The view with the same axes in another order."""
        if not self.axes.is_equal_set(new_axes):
            raise ValueError(f"{self.axes} and {Axes(new_axes)} are not the same set of axes")
        return self.reorder_and_broadcast(new_axes)

    def reorder_and_broadcast(self, new_axes: Any) -> TensorDescription:
        new_axes = Axes(new_axes)
        strides, sizes = [], []
        for axis in new_axes:
            at = self.axes.index(axis) if axis in self.axes else None
            whole = axis.axes.full_lengths if axis.is_flattened else axis.length
            strides.append(_zeros(whole) if at is None else self.full_strides[at])
            sizes.append(whole if at is None else self.full_sizes[at])
        return self._view(new_axes, strides, sizes, "rReorderBroadcast")

    def cast(self, new_axes: Any) -> TensorDescription:
        """The view with other axes of the same lengths."""
        new_axes = Axes(new_axes)
        if self.ndim == 0:
            return self._view(new_axes, (0,) * len(new_axes), new_axes.full_lengths, "rCast")
        return self._view(new_axes, self.full_strides, self.full_sizes, "rCast")

    def slice(self, slices: Sequence[Any], new_axes: Any) -> TensorDescription:
        """The view of a part: a slice or an index for each axis, all of an axis by default."""
        keys = [*slices, *[slice(None)] * (self.ndim - len(slices))]
        ranges = sum(isinstance(key, slice) for key in keys)
        names = Axes(new_axes)
        if len(names) != ranges:
            raise ValueError(f"{ranges} of {slices} are slices, but the result has axes {names}")
        offset, axes, strides, sizes = self.offset, list[Axis](), list[Any](), list[Any]()
        for key, axis, stride, size in zip(keys, self.axes, self.strides, self.sizes, strict=True):
            start = key
            if isinstance(key, slice):
                start, _, step = key.indices(axis.length)
                axes.append(Axis(slice_axis(axis, key).length, names[len(axes)].name))
                strides.append(stride * step)
                sizes.append(size)
            offset += start * abs(stride)
        view = self._view(axes, strides, sizes, "rSlice")
        view.offset = offset
        return view

    def _view(
        self, axes: Any, strides: Iterable[Nested], sizes: Iterable[Nested], suffix: str
    ) -> TensorDescription:
        return TensorDescription(
            axes,
            base=self.base,
            dtype=self.dtype,
            full_strides=strides,
            full_sizes=sizes,
            offset=self.offset,
            next_tensor_description=self,
            name=self.name + suffix,
        )

    def __repr__(self) -> str:
        return self.base.name


def contiguous_strides(sizes: tuple[Nested, ...], inner: int) -> tuple[tuple[Nested, ...], int]:
    """Strides, nested as `sizes`, of elements in row-major order, and the bytes of all."""
    strides: list[Nested] = []
    for size in reversed(sizes):
        nested = isinstance(size, tuple)
        within = contiguous_strides(size, inner) if nested else (inner, inner * size)
        strides.insert(0, within[0])
        inner = within[1]
    return tuple(strides), inner


def _leaves(value: Nested) -> list[int]:
    return [leaf for part in value for leaf in _leaves(part)] if type(value) is tuple else [value]


def _zeros(value: Nested) -> Nested:
    return tuple(map(_zeros, value)) if isinstance(value, tuple) else 0
