"""Indices into tables, which compiled code takes as they are: checked where the host gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anode.ir.node import Node

_KEEPING = frozenset({"convert", "reshape", "transpose"})  # every element, maybe elsewhere


@dataclass(frozen=True)
class Bound:
    """What indices must be below, and what they are and point into, for the error."""

    size: int
    what: str

    def check(self, values: np.ndarray) -> None:
        """Raise IndexError for an index outside; fractions are cut off, as by conversion."""
        if not values.size:
            return
        least, largest = values.min(), values.max()
        if not (least > -1 and largest < self.size):  # so that NaN is outside
            wrong = largest if least > -1 else least
            raise IndexError(f"{self.what}: index {wrong:g} is outside of 0 to {self.size - 1}")


def source(node: Node) -> Node:
    """The node whose elements are those of `node`: what was only converted or arranged anew."""
    while node.op.name in _KEEPING:
        node = node.args[0]
    return node
