"""Masks: which steps of sequences count, a bool for each element of a value's first dims."""

from __future__ import annotations

import math

from anode import ops
from anode.ir.node import Node


def spread(x: Node, like: Node) -> Node:
    """`x` along the first dims of `like`."""
    return ops.broadcast_in_dim(x, shape=like.shape, axes=tuple(range(len(x.shape))))


def masked(x: Node, mask: Node | None) -> Node:
    """`x` with 0 where the mask is false."""
    return x if mask is None else ops.select(spread(mask, x), x, ops.zeros_like(x))


def count_of(x: Node, mask: Node) -> Node:
    """How many elements of each feature, the last dim, count; at least 1."""
    each = math.prod(x.tensor.static[len(mask.shape) : -1])
    return ops.maximum(ops.sum(ops.convert(mask, dtype=x.dtype)) * each, 1.0)


def mean_of(x: Node, mask: Node | None) -> Node:
    """The mean of each feature, the last dim, over what counts of all other dims; 0 of nothing."""
    others = tuple(range(len(x.shape) - 1))
    if mask is None:
        return ops.mean(x, axis=others)
    return ops.sum(masked(x, mask), axis=others) / count_of(x, mask)
