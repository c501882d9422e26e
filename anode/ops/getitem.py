"""`x[…]` on nodes: NumPy's basic indexing, written in slices and reshapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.errors import ShapeError
from anode.ir.node import Node
from anode.ir.types import Dim, Size, TupleType
from anode.ops.rules import mismatch
from anode.ops.shape import cut, reshaped, reverse


def getitem(x: Node, key: Any) -> Node:
    """`x[key]` by NumPy's basic indexing: integers, slices, `...` and None.

    A node of several results gives result `key`. Arrays of indices are for `take` and `gather`,
    run-time ones for `dynamic_slice`; an index outside raises ShapeError.
    """
    if isinstance(x.type, TupleType):
        return x.item(key)
    keys = _full_key(x, key if isinstance(key, tuple) else (key,))
    axis = 0
    shape: list[Size] = []
    for part in keys:
        if part is None:
            shape.append(1)
        elif isinstance(part, slice):
            x = _sliced(x, axis, part)
            shape.append(x.shape[axis])
            axis += 1
        else:
            index = part if part >= 0 else x.shape[axis] + part
            if not 0 <= index < x.shape[axis]:
                raise mismatch("getitem", f"index {part} along axis {axis}", [x.type])
            x = cut(x, axis, index, index + 1)
            axis += 1
    return reshaped(x, tuple(shape))


def _full_key(x: Node, keys: tuple[Any, ...]) -> list[Any]:
    """One entry per dim (an int or a slice), and the Nones."""
    parts: list[Any] = [k.__index__() if isinstance(k, np.integer) else k for k in keys]
    for part in parts:
        if isinstance(part, (bool, Node)) or not (
            part is None or part is Ellipsis or isinstance(part, (int, Dim, slice))
        ):
            raise mismatch(
                "getitem",
                f"cannot index with {part!r}",
                [x.type],
                "take(x, indices, axis=…) or dynamic_slice",
            )
    used = sum(part is not None and part is not Ellipsis for part in parts)
    dots = sum(part is Ellipsis for part in parts)
    if used > len(x.shape) or dots > 1:
        raise mismatch("getitem", f"{used} indices and {dots} ellipses", [x.type])
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    return parts[:at] + [slice(None)] * (len(x.shape) - used) + parts[at + 1 :]


def _sliced(x: Node, axis: int, key: slice) -> Node:
    """`x` cut by a Python slice along `axis`."""
    size, step = x.shape[axis], 1 if key.step is None else key.step
    if step == 0:
        raise mismatch("getitem", "a slice's step is zero", [x.type])
    if isinstance(size, int):
        indices = range(*key.indices(size))
        if not indices:
            return cut(x, axis, 0, 0)
        ordered = indices if step > 0 else indices[::-1]
        kept = cut(x, axis, ordered[0], ordered[-1] + 1, abs(step))
        return kept if step > 0 else reverse(kept, axes=(axis,))
    if step < 0:
        if key.start is not None or key.stop is not None or step != -1:
            raise mismatch("getitem", f"{key} of the symbolic size {size}", [x.type])
        return reverse(x, axes=(axis,))
    return cut(x, axis, _bound(key.start, 0, size), _bound(key.stop, size, size), step)


def _bound(bound: Any, default: Size, size: Size) -> Size:
    """The end of a slice along a symbolic size, counted from the front."""
    if bound is None:
        return default
    return bound if isinstance(bound, Dim) or bound >= 0 else size + bound


def _iterate(x: Node) -> Iterator[Node]:
    """The results of a node with several, or the rows of a tensor."""
    if isinstance(x.type, TupleType):
        return iter(x.items)
    if not x.shape:
        raise ShapeError(f"cannot iterate over the scalar {x}")
    return iter([getitem(x, i) for i in range(x.shape[0].__index__())])


Node.__getitem__ = getitem  # type: ignore[method-assign]
Node.__iter__ = _iterate  # type: ignore[attr-defined]
