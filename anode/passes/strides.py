"""Views: reading a stored value through movement ops by strides, without a copy.

An index along one dim of a view may be an index along several dims in memory: of the windows of an
image, say, read as the rows of a matrix. Each dim is therefore an `Axis`, a list of dims in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from anode.ir.node import Node

VIEWING = ("transpose", "broadcast_in_dim", "slice", "reshape", "reverse", "windows")

Axis: TypeAlias = "tuple[tuple[int, int], ...]"
"""Sizes and strides (in elements), outermost first, of which none is 1; as few as can be."""


@dataclass(frozen=True)
class View:
    """A stored value read with other axes from an element offset."""

    base: Node
    axes: tuple[Axis, ...]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple([prod(size for size, _ in axis) for axis in self.axes])

    def merged(self, groups: Iterable[Iterable[int]]) -> View:
        """The view whose dims are indices over several dims of this one."""
        axes = [merged(pair for i in group for pair in self.axes[i]) for group in groups]
        return View(self.base, tuple(axes), self.offset)


def merged(dims: Iterable[tuple[int, int]]) -> Axis:
    """The dims as one axis: neighbours that one stride steps through are one."""
    found: list[tuple[int, int]] = []
    for size, stride in dims:
        if size == 1:
            continue
        if found and found[-1][1] == size * stride:
            size *= found.pop()[0]
        found.append((size, stride))
    return tuple(found)


def dense(node: Node) -> View:
    """The whole of a stored value, row-major."""
    shape = node.tensor.static
    axes = [merged([(n, prod(shape[i + 1 :]))]) for i, n in enumerate(shape)]
    return View(node, tuple(axes))


def view_of(node: Node) -> View | None:
    """`node` as strides over the value behind its movement ops; None where that needs a copy."""
    chain = []
    while node.op.name in VIEWING:
        chain.append(node)
        node = node.args[0]
    view: View | None = dense(node)
    for step in reversed(chain):
        view = _through(step, view) if view is not None else None
    return view


def factors(product: Node) -> tuple[View | None, View | None]:
    """Views of the operands of a `dot_general` as (…batch, rows, columns); None needs a copy."""
    x, y = product.args
    (cx, cy), (bx, by) = product.attrs["contract"], product.attrs["batch"]
    free_x = [i for i in range(x.tensor.rank) if i not in (*cx, *bx)]
    free_y = [i for i in range(y.tensor.rank) if i not in (*cy, *by)]
    return _matrices(x, bx, free_x, cx), _matrices(y, by, cy, free_y)


def _matrices(
    node: Node, batch: Iterable[int], rows: Iterable[int], columns: Iterable[int]
) -> View | None:
    view = view_of(node)
    if view is None or any(len(view.axes[axis]) > 1 for axis in batch):
        return None
    return view.merged([*([axis] for axis in batch), rows, columns])


def _through(node: Node, view: View) -> View | None:
    """The view of a movement op's result, from that of its operand."""
    name, shape = node.op.name, node.tensor.static
    if name == "transpose":
        order = node.attrs["permutation"]
        return View(view.base, tuple(view.axes[i] for i in order), view.offset)
    if name == "broadcast_in_dim":
        axes = [merged([(size, 0)]) for size in shape]
        for size, axis, place in zip(view.shape, view.axes, node.attrs["axes"], strict=True):
            axes[place] = axes[place] if size == 1 else axis
        return View(view.base, tuple(axes), view.offset)
    if name == "slice":
        return _slice(node, view)
    if name == "reverse":
        return _reverse(node, view)
    return _windows(node, view) if name == "windows" else _reshape(view, shape)


def _slice(node: Node, view: View) -> View | None:
    axes, offset = list(view.axes), view.offset
    for i, (start, step) in enumerate(zip(node.attrs["start"], node.attrs["strides"], strict=True)):
        if node.tensor.static[i] == view.shape[i]:
            continue
        if len(axes[i]) > 1:
            return None
        ((_, stride),) = axes[i]
        offset += start * stride
        axes[i] = merged([(node.tensor.static[i], step * stride)])
    return View(view.base, tuple(axes), offset)


def _reverse(node: Node, view: View) -> View:
    axes, offset = list(view.axes), view.offset
    for i in node.attrs["axes"]:
        offset += sum((size - 1) * stride for size, stride in axes[i])
        axes[i] = tuple((size, -stride) for size, stride in axes[i])
    return View(view.base, tuple(axes), offset)


def _windows(node: Node, view: View) -> View | None:
    axes, attrs = list(view.axes), node.attrs
    counts = (*node.tensor.static[: len(axes) - 1], node.tensor.static[-1])
    added: list[Axis] = []
    for i, size, step, apart in zip(
        *(attrs[name] for name in ("axes", "sizes", "strides", "dilations")), strict=True
    ):
        if len(axes[i]) > 1:
            return None
        stride = axes[i][0][1] if axes[i] else 0
        added.append(merged([(size, stride * apart)]))
        axes[i] = merged([(counts[i], stride * step)])
    return View(view.base, (*axes[:-1], *added, axes[-1]), view.offset)


def _reshape(view: View, shape: tuple[int, ...]) -> View | None:
    """Split and join dims where the strides allow: each axis takes what is left of the dims."""
    if 0 in shape:
        return View(view.base, tuple(merged([(size, 0)]) for size in shape), view.offset)
    dims = list(merged(pair for axis in view.axes for pair in axis))
    axes: list[Axis] = []
    for size in shape:
        axis: list[tuple[int, int]] = []
        while size > 1:
            have, stride = dims.pop(0)
            if have > size and have % size == 0:
                dims.insert(0, (have // size, stride))
                have, stride = size, stride * (have // size)
            if size % have:
                return None
            size //= have
            axis.append((have, stride))
        axes.append(merged(axis))
    return View(view.base, tuple(axes), view.offset)
