"""Tensor: neon's array, (features, batch), which programs overwrite in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.neon.backends.optree import Arithmetic, OpTreeNode
from anode.frontends.neon.backends.views import Prefix, Reshaped, Sliced, Transposed, View
from anode.frontends.neon.tracing import Cell, _active, perform
from anode.ir.dtypes import i32
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.neon.backends.backend import Backend

MIN_DIMS = 2


class Tensor(Arithmetic):
    """A view of a Cell, of at least two dims.

    `base` is the tensor that this one is a view of, None of a tensor with a cell of its own.
    """

    def __init__(
        self,
        backend: Backend,
        shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        ary: Any = None,
        name: str | None = None,
        persist_values: bool = True,
        base: Tensor | None = None,
    ) -> None:
        array = np.zeros(shape or (), dtype) if ary is None else np.asarray(ary, dtype)
        array = array.reshape(shape or array.shape)
        array = array.reshape(array.shape + (1,) * (MIN_DIMS - array.ndim))
        self._place(
            backend, Cell(np.require(array, requirements=("C", "W"))), (), array.shape, name
        )
        active = _active.get()
        if active is not None:
            active.born.add(self.cell)
        self.persist_values = persist_values

    def _place(
        self,
        backend: Backend,
        cell: Cell,
        views: tuple[View, ...],
        shape: tuple[int, ...],
        name: str | None = None,
        base: Tensor | None = None,
    ) -> None:
        self.backend, self.cell, self.views, self.shape = backend, cell, views, shape
        self.size, self.dtype = math.prod(shape), cell.type.dtype.numpy
        self.name, self.base, self.persist_values = name, base, True
        self.is_contiguous = not any(isinstance(view, (Sliced, Transposed)) for view in views)

    def _view(self, view: View, shape: tuple[int, ...]) -> Tensor:
        new: Tensor = object.__new__(type(self))
        new._place(self.backend, self.cell, (*self.views, view), shape, base=self)
        return new

    # What tracing is about: nodes in place of values.

    def node(self) -> Node:
        """The value, while tracing."""
        from anode.frontends.neon.tracing import recording

        return reduce(lambda base, view: view.node(base), self.views, recording().read(self.cell))

    def write(self, value: Node) -> None:
        """Let the elements have the value of a node of this shape and type, while tracing."""
        from anode.frontends.neon.tracing import recording

        active = recording()
        if self.views:
            whole = all(isinstance(view, (Reshaped, Transposed)) for view in self.views)
            type = self.cell.type  # a whole view replaces everything: nothing old is read
            base = ops.zeros(type.shape, type.dtype) if whole else active.read(self.cell)
            value = _put(base, self.views, value)
        active.write(self.cell, value)

    # Values.

    @property
    def _tensor(self) -> np.ndarray:
        """The array itself: writing to it changes the tensor."""
        self._settle()
        return reduce(lambda base, view: view.array(base), self.views, self.cell.own())

    def _settle(self) -> None:
        """Compute what is recorded, as Python wants to see it."""
        active = _active.get()
        if active is not None:
            active.break_off(self.backend.programs)

    def get(self) -> np.ndarray:
        """A copy of the value."""
        self._settle()
        value = reduce(lambda base, view: view.array(base), self.views, self.cell.array)
        return np.array(value)

    def asnumpyarray(self) -> np.ndarray:
        """The array itself: writing to it changes the tensor."""
        return self._tensor

    def raw(self) -> int:
        """The address of the first element."""
        return self._tensor.ctypes.data

    def set(self, value: Any) -> Tensor:
        """Take the elements of an array of this size, or one number everywhere."""
        if isinstance(value, np.ndarray) and value.ndim and value.size != self.size:
            raise ShapeError(f"a tensor of shape {self.shape} cannot hold {value.shape}")
        if isinstance(value, np.ndarray) and value.ndim and value.ndim < len(self.shape):
            value = value.reshape(self.shape)
        active = _active.get()
        if active is not None:
            array = np.broadcast_to(np.asarray(value, self.dtype), self.shape)
            self.write(active.given(array))
        elif self.views:
            self._tensor[...] = value
        else:
            array = np.empty(self.shape, self.dtype)
            array[...] = value
            self.cell.array = array
        return self

    def assign(self, value: Any) -> Tensor:
        """Take the value of a tensor, op-tree, array or number, broadcast to this shape."""
        if isinstance(value, Arithmetic):
            perform(lambda: self._take_over(value), self.backend.programs)
        elif isinstance(value, (int, float, np.ndarray, np.generic)):
            active = _active.get()
            if active is not None and not isinstance(value, np.ndarray):
                self._take_over(value)
            else:
                self.set(value)
        else:
            raise TypeError(f"a tensor cannot take a {type(value).__name__}")
        return self

    def _take_over(self, value: Any) -> None:
        from anode.frontends.neon.backends.lowering import fitted, lowered

        self.write(fitted(lowered(value, self.shape), self.shape, self.cell.type.dtype))

    _assign = copy = copy_from = assign

    def fill(self, value: float) -> Tensor:
        """Let every element be a number."""
        return self.assign(value)

    # Views.

    def __getitem__(self, key: Any) -> Tensor:
        sliced, shape = _sliced(self.shape, key)
        if sliced is None and not _has_index(key):
            return self
        found = self if sliced is None else self._view(sliced, shape)
        if len(shape) > MIN_DIMS and 1 in shape:
            kept = list(shape)
            while len(kept) > MIN_DIMS and 1 in kept:
                kept.remove(1)
            return found.reshape(kept)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        part = self[key]
        if part is not value:
            part.assign(value)

    def reshape(self, *shape: Any) -> Tensor:
        """A view of another shape; one size may be -1."""
        wanted = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
        wanted = tuple(map(int, wanted))
        known = math.prod(n for n in wanted if n != -1)
        if -1 in wanted and known:
            wanted = tuple(self.size // known if n == -1 else n for n in wanted)
        if math.prod(wanted) != self.size:
            raise ValueError(f"a tensor of shape {self.shape} has no view of shape {wanted}")
        return self if wanted == self.shape else self._view(Reshaped(wanted), wanted)

    def dimension_reorder(self, new_order: Sequence[int]) -> Tensor:
        """`reshape` to the sizes in another order."""
        return self.reshape([self.shape[dim] for dim in new_order])

    @property
    def T(self) -> Tensor:
        """The transpose; of three dims, that of each matrix."""
        shape = (*self.shape[:-2], self.shape[-1], self.shape[-2])
        return self._view(Transposed(len(shape)), shape)

    def transpose(self, out: Tensor | None = None) -> Tensor:
        """The transpose, put into `out` if that is given."""
        return self.T if out is None else out.assign(self.T)

    def share(self, shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
        """A view of the first elements, in a shape of their own."""
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape), 1)
        if math.prod(shape) > self.size:
            raise ValueError("total size of new array must <= size of parent")
        return self._view(Prefix(shape), shape)

    @property
    def _original_base(self) -> Tensor:
        """The tensor that owns the cell."""
        return self if self.base is None else self.base._original_base

    def take(self, indices: Any, axis: int, out: Tensor | None = None) -> Tensor:
        """A new tensor of the slices at `indices` along an axis."""
        from anode.frontends.neon.backends.lowering import fitted, lowered
        from anode.frontends.neon.tracing import recording

        if isinstance(indices, (list, tuple)):
            indices = np.asarray(indices)
        shape = tuple(indices.size if d == axis else n for d, n in enumerate(self.shape))
        result = self.backend.empty(shape, dtype=self.dtype) if out is None else out
        if isinstance(indices, np.ndarray):
            indices = self.backend.array(indices.reshape(1, -1), dtype=np.int32)

        def action() -> None:
            places = ops.reshape(ops.convert(lowered(indices), dtype=i32), shape=(indices.size,))
            size = self.shape[axis]
            recording().bound(places, size, f"{self.name or 'take'} of {self.shape}")
            taken = ops.take(self.node(), places, axis=axis)
            result.write(fitted(taken, result.shape, result.cell.type.dtype))

        perform(action, self.backend.programs)
        return result

    def hist(self, tag: str) -> Tensor:
        """The histogram of the elements' rounded binary logarithms, kept under `tag`."""
        return self.backend.histogram(self, tag)

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"Tensor {self.name or ''} shape:{self.shape} dtype:{self.dtype}"

    __repr__ = __str__

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return type(self)(self.backend, ary=self.get(), dtype=self.dtype, name=self.name)


def _put(base: Node, views: tuple[View, ...], value: Node) -> Node:
    """`base` with the part that `views` lead to replaced."""
    if len(views) > 1:
        value = _put(views[0].node(base), views[1:], value)
    return views[0].put(base, value)


def _sliced(shape: tuple[int, ...], key: Any) -> tuple[Sliced | None, tuple[int, ...]]:
    """The part that a key names, and its shape; None for all of it."""
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys = (*keys[:at], *[slice(None)] * (len(shape) - len(keys) + 1), *keys[at + 1 :])
    if len(keys) > len(shape):
        raise IndexError(f"{len(keys)} indices for a tensor of shape {shape}")
    ranges = [
        _range(part, size)
        for part, size in zip(
            (*keys, *[slice(None)] * (len(shape) - len(keys))), shape, strict=True
        )
    ]
    new = tuple(map(len, ranges))
    if new == shape and all(r.step == 1 for r in ranges):
        return None, shape
    start, step = tuple(r.start for r in ranges), tuple(r.step for r in ranges)
    stop = tuple(r.start + (len(r) - 1) * r.step + 1 if len(r) else r.start for r in ranges)
    return Sliced(start, stop, step), new


def _has_index(key: Any) -> bool:
    """Whether a key has a number, whose dim goes away, even where it is all of it."""
    return any(
        isinstance(part, (int, np.integer)) for part in (key if type(key) is tuple else [key])
    )


def _range(part: Any, size: int) -> range:
    if isinstance(part, slice):
        found = range(*part.indices(size))
        if found.step < 1:
            raise IndexError(f"the slice {part} runs backwards; tensors are sliced forwards")
        return found
    if not isinstance(part, (int, np.integer)):
        raise TypeError(f"a tensor is indexed by integers and slices, not {type(part).__name__}")
    index = int(part) + (size if part < 0 else 0)
    if not 0 <= index < size:
        raise IndexError(f"index {part} is out of bounds for a dim of size {size}")
    return range(index, index + 1)


__all__ = ["OpTreeNode", "Tensor"]
