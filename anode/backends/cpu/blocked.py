"""Blocked layouts of filters: the order a library wants, as ordinary movement ops of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from anode.ir.node import Node, constant
from anode.ops.shape import pad, reshape, slice, transpose

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Blocked:
    """A tensor of `shape`, padded with zeros to `padded`, some of whose dims are cut into blocks.

    In memory the dims, counting blocks, come in the order `outer`, then what is within a block:
    `inner` is (dim, size) from the outermost to the innermost.
    """

    shape: Ints
    padded: Ints
    outer: Ints
    inner: tuple[tuple[int, int], ...] = ()

    @property
    def stored(self) -> Ints:
        """The shape of the tensor as it lies in memory."""
        counts = [self.padded[d] // prod(self._blocks(d)) for d in range(len(self.padded))]
        return (*[counts[d] for d in self.outer], *[size for _, size in self.inner])

    def pack(self, x: Node) -> Node:
        """`x` of `shape` as it lies in memory."""
        if self.padded != self.shape:
            high = [b - a for a, b in zip(self.shape, self.padded, strict=True)]
            x = pad(x, constant(0, x.dtype), low=(0,) * len(high), high=tuple(high))
        x = _reshaped(x, self._split)
        return transpose(x, permutation=self._order)

    def unpack(self, x: Node) -> Node:
        """What lies in memory as `x`, as a tensor of `shape`."""
        order = self._order
        x = transpose(x, permutation=tuple(order.index(i) for i in range(len(order))))
        x = _reshaped(x, self.padded)
        if self.padded == self.shape:
            return x
        return slice(x, start=(0,) * len(self.shape), limit=self.shape)

    def _blocks(self, dim: int) -> list[int]:
        return [size for d, size in self.inner if d == dim]

    @property
    def _split(self) -> Ints:
        """The padded shape with each dim cut into its count of blocks and those within."""
        parts: list[int] = []
        for d, size in enumerate(self.padded):
            blocks = self._blocks(d)
            parts += [size // prod(blocks), *blocks]
        return tuple(parts)

    @property
    def _order(self) -> Ints:
        """Where each dim of `stored` is in `_split`."""
        first, place = [], 0
        for d in range(len(self.padded)):
            first.append(place)
            place += 1 + len(self._blocks(d))
        taken = [0] * len(self.padded)
        within = []
        for d, _ in self.inner:
            taken[d] += 1
            within.append(first[d] + taken[d])
        return (*[first[d] for d in self.outer], *within)


def dense(
    shape: Sequence[int],
    padded: Sequence[int],
    strides: Sequence[int],
    inner: Sequence[tuple[int, int]],
) -> Blocked | None:
    """The layout that has these strides between blocks; None if it has gaps between them."""
    outer = sorted(range(len(shape)), key=lambda d: (-strides[d], d))
    layout = Blocked(tuple(shape), tuple(padded), tuple(outer), tuple(inner))
    step = prod(layout.stored)
    for d, count in zip(outer, layout.stored, strict=False):
        step //= count
        if count > 1 and strides[d] != step:
            return None
    return layout


def _reshaped(x: Node, shape: Ints) -> Node:
    return x if x.shape == shape else reshape(x, shape=shape)
