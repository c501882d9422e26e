"""Constants: what can be computed now is, but nothing large is ever written out.

Values come from the ops' NumPy references. A number in every place of a tensor stays the broadcast
of a scalar, and arithmetic on such tensors is done once, on the scalars.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.ir.node import CONSTANT, Node, constant, constant_value, make
from anode.ir.op import Op
from anode.ir.types import TensorType
from anode.ops.control import COND, SCAN, WHILE
from anode.ops.declare import DeclaredOp, Elementwise, Primitive
from anode.ops.random import random_bits
from anode.ops.shape import broadcast_in_dim, full
from anode.rewrite.pattern import CONSTANTS, Family, P, rule, scalar_of

LARGEST_FOLDED = 64  # elements of a result or of an operand


def _is_foldable(op: Op) -> bool:
    """Ops with a reference that ends soon; random numbers stay drawn, so that they are seen."""
    if op in (COND, SCAN, WHILE, random_bits, broadcast_in_dim):
        return False
    return isinstance(op, Elementwise) or (isinstance(op, Primitive) and op.reference is not None)


def _is_elementwise(op: Op) -> bool:
    return isinstance(op, Elementwise)


@rule(Family(_is_elementwise, every=CONSTANTS, some=CONSTANTS))
def folded_numbers(node: Node) -> Node | None:
    """Arithmetic on broadcast numbers is a broadcast number"""
    scalars = [scalar_of(arg) for arg in node.args]
    if not node.shape or None in scalars:
        return None
    return full(node.shape, node.op(*scalars, **node.attrs))


@rule(Family(_is_foldable, every=CONSTANTS, some=CONSTANTS))
def folded(node: Node) -> Node | None:
    """An op on small constants is a constant"""
    if not all(_is_small(n) for n in (node, *node.args)):
        return None
    values = tuple([_value(arg) for arg in node.args])
    if any(value is None for value in values):
        return None
    assert isinstance(node.op, DeclaredOp)
    with np.errstate(all="ignore"):
        made: Any = node.op.evaluate_op(values, node.attrs, node.type)
    return constant(np.asarray(made, node.dtype.numpy))


@rule(P.constant())
def uniform(node: Node) -> Node | None:
    """A constant of equal elements is the broadcast of one"""
    data, size = node.attrs["data"], node.dtype.size
    if not node.shape or not data or data != data[:size] * (len(data) // size):
        return None
    scalar = make(CONSTANT, (), {"type": TensorType(node.dtype, ()), "data": data[:size]})
    return full(node.shape, scalar)


def _is_small(node: Node) -> bool:
    type = node.type
    if not isinstance(type, TensorType) or not type.is_static:
        return False
    return bool(type.size <= LARGEST_FOLDED)


def _value(node: Node) -> np.ndarray | None:
    scalar = scalar_of(node)
    value = constant_value(node if scalar is None else scalar)
    return None if value is None else np.broadcast_to(value, node.tensor.static)


RULES = (folded_numbers, folded, uniform)
