"""Views: reading a stored value through transposes and reshapes by strides, without a copy."""

from __future__ import annotations

from dataclasses import dataclass

from anode.ir.node import Node

VIEWING = ("transpose", "broadcast_in_dim", "slice", "reshape")


@dataclass(frozen=True)
class View:
    """A stored value read with other strides (in elements) from an element offset."""

    base: Node
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0


def dense(node: Node) -> View:
    """The whole of a stored value, row-major."""
    shape = node.tensor.static
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return View(node, shape, tuple(reversed(strides)))


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


def _through(node: Node, view: View) -> View | None:
    """The view of a movement op's result, from that of its operand."""
    name, shape = node.op.name, node.tensor.static
    if name == "transpose":
        order = node.attrs["permutation"]
        return View(view.base, shape, tuple(view.strides[i] for i in order), view.offset)
    if name == "broadcast_in_dim":
        strides = [0] * len(shape)
        for size, stride, axis in zip(view.shape, view.strides, node.attrs["axes"], strict=True):
            strides[axis] = 0 if size == 1 else stride
        return View(view.base, shape, tuple(strides), view.offset)
    if name == "slice":
        start, steps = node.attrs["start"], node.attrs["strides"]
        offset = view.offset + sum(b * s for b, s in zip(start, view.strides, strict=True))
        strided = tuple(k * s for k, s in zip(steps, view.strides, strict=True))
        return View(view.base, shape, strided, offset)
    return _reshape(view, shape)


def _reshape(view: View, shape: tuple[int, ...]) -> View | None:
    """Split and merge dims where the strides allow; each run of old dims matches a run of new."""
    if 0 in shape:
        return View(view.base, shape, (0,) * len(shape), view.offset)
    old = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    strides: list[int] = []
    pending = list(shape)
    while pending:
        size = pending.pop(0)
        if size == 1:
            strides.append(0)
            continue
        run = [size]
        while old and _product(run) != old[0][0]:
            if _product(run) < old[0][0] and pending:
                run.append(pending.pop(0))
            elif len(old) > 1 and old[0][1] == old[1][0] * old[1][1]:
                old[:2] = [(old[0][0] * old[1][0], old[1][1])]
            else:
                return None
        step = old.pop(0)[1]
        inner = _product(run)
        for n in run:
            inner //= n
            strides.append(step * inner)
    return View(view.base, shape, tuple(strides), view.offset)


def _product(sizes: list[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
