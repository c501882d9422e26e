"""Structure: what stands for x and y in a minibatch, an array or a tuple of arrays.

Sequences of unequal lengths are a tuple (padded, lengths), as are targets with lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.ir.graph import fresh_inputs
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor

Values = np.ndarray | tuple[np.ndarray, ...]
Types = TensorType | tuple[TensorType, ...]
Nodes = Node | tuple[Node, ...]


def arrays(value: Any) -> Values:
    """`value` as an array, or each item of a tuple as one."""
    if isinstance(value, tuple):
        return tuple(np.asarray(item) for item in value)
    return np.asarray(value)


def items(value: Any) -> tuple[Any, ...]:
    """The arrays, types or nodes of a structure."""
    return value if isinstance(value, tuple) else (value,)


def rows(value: Any) -> int:
    """The size of the batch."""
    return len(items(value)[0])


def key(value: Any) -> tuple[Any, ...]:
    """What decides for which minibatches a graph is."""
    return isinstance(value, tuple), *((item.shape, item.dtype) for item in items(value))


def types(value: Values | Types) -> Types:
    """The types of arrays, or types themselves, in their structure."""
    if isinstance(value, tuple):
        return tuple(tensor(item.dtype, *item.shape) for item in value)
    return tensor(value.dtype, *value.shape)


def inputs(*given: Types) -> tuple[tuple[Node, ...], list[Nodes]]:
    """Fresh inputs of these types: all of them, and in their structures."""
    flat = fresh_inputs(*(item for value in given for item in items(value)))
    left, structures = list(flat), []
    for value in given:
        count = len(items(value))
        taken, left = tuple(left[:count]), left[count:]
        structures.append(taken if isinstance(value, tuple) else taken[0])
    return flat, structures


def names(labels: Sequence[str], given: Sequence[Types]) -> list[str]:
    """A name for each input: x, or x_0, x_1 for those of a tuple."""
    found = []
    for label, value in zip(labels, given, strict=True):
        many = isinstance(value, tuple)
        found += [f"{label}_{i}" if many else label for i in range(len(items(value)))]
    return found
