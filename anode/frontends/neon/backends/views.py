"""How a Tensor lies in the cell it is a view of: parts, other shapes, transposes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from anode import ops
from anode.ir.node import Node, constant
from anode.ops.shape import cut

Shape = tuple[int, ...]


class View(ABC):
    """One step from a value to a view of it, on arrays and on nodes."""

    @abstractmethod
    def array(self, base: np.ndarray) -> np.ndarray:
        """The view of an array; writing to it writes to `base`."""

    @abstractmethod
    def node(self, base: Node) -> Node:
        """The view of a node."""

    @abstractmethod
    def put(self, base: Node, value: Node) -> Node:
        """`base` with the elements that are viewed replaced by `value`."""


@dataclass(frozen=True)
class Reshaped(View):
    """The same elements in another shape."""

    shape: Shape

    def array(self, base: np.ndarray) -> np.ndarray:
        return base.reshape(self.shape)

    def node(self, base: Node) -> Node:
        return ops.reshape(base, shape=self.shape)

    def put(self, base: Node, value: Node) -> Node:
        return ops.reshape(value, shape=base.shape)


@dataclass(frozen=True)
class Transposed(View):
    """The last two dims exchanged."""

    rank: int

    @property
    def permutation(self) -> Shape:
        return (*range(self.rank - 2), self.rank - 1, self.rank - 2)

    def array(self, base: np.ndarray) -> np.ndarray:
        return base.transpose(self.permutation)

    def node(self, base: Node) -> Node:
        return ops.transpose(base, permutation=self.permutation)

    def put(self, base: Node, value: Node) -> Node:
        return ops.transpose(value, permutation=self.permutation)


@dataclass(frozen=True)
class Prefix(View):
    """The first elements, in memory's order, in a shape of their own."""

    shape: Shape

    def array(self, base: np.ndarray) -> np.ndarray:
        return base.reshape(-1)[: math.prod(self.shape)].reshape(self.shape)

    def node(self, base: Node) -> Node:
        flat = ops.reshape(base, shape=(math.prod(base.tensor.static),))
        part = ops.slice(flat, start=(0,), limit=(math.prod(self.shape),))
        return ops.reshape(part, shape=self.shape)

    def put(self, base: Node, value: Node) -> Node:
        size, count = math.prod(base.tensor.static), math.prod(self.shape)
        parts = [ops.reshape(value, shape=(count,))]
        if count < size:
            flat = ops.reshape(base, shape=(size,))
            parts.append(ops.slice(flat, start=(count,), limit=(size,)))
        return ops.reshape(ops.concatenate(*parts, axis=0), shape=base.shape)


@dataclass(frozen=True)
class Sliced(View):
    """Elements `start`, `start + step`, … below `stop` of each dim."""

    start: Shape
    stop: Shape
    step: Shape

    def array(self, base: np.ndarray) -> np.ndarray:
        return base[tuple(map(slice, self.start, self.stop, self.step))]

    def node(self, base: Node) -> Node:
        return ops.slice(base, start=self.start, limit=self.stop, strides=self.step)

    def put(self, base: Node, value: Node) -> Node:
        if any(step != 1 for step in self.step):
            return self._spread(base, value)
        partial = [d for d, n in enumerate(base.tensor.static) if value.shape[d] != n]
        return self._within(base, value, partial)

    def _within(self, base: Node, value: Node, dims: list[int]) -> Node:
        """`base` with the part that is `value` in `dims`; the other dims are whole."""
        if not dims:
            return value
        d, start = dims[0], self.start[dims[0]]
        stop, size = start + value.tensor.static[d], base.tensor.static[d]
        middle = self._within(cut(base, d, start, stop), value, dims[1:])
        parts = [cut(base, d, 0, start)] if start else []
        parts.append(middle)
        if stop < size:
            parts.append(cut(base, d, stop, size))
        return ops.concatenate(*parts, axis=d)

    def _spread(self, base: Node, value: Node) -> Node:
        """`base` where no element of `value` lies."""
        high = [
            n - a - (k - 1) * s - 1
            for n, a, k, s in zip(
                base.tensor.static, self.start, value.tensor.static, self.step, strict=True
            )
        ]
        interior = tuple(s - 1 for s in self.step)

        def padded(x: Node) -> Node:
            zero = constant(0, x.dtype)
            return ops.pad(x, zero, low=self.start, high=tuple(high), interior=interior)

        inside = padded(ops.ones_like(value))
        return ops.select(ops.not_equal(inside, ops.zeros_like(inside)), padded(value), base)
