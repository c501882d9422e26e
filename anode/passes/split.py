"""Split large reductions to few elements into two, so that their first part has rows to share out.

The parts are fixed by the shape, never by the number of threads: the bits stay the same.
"""

from __future__ import annotations

from anode.ir.dims import product
from anode.ir.dtypes import f32
from anode.ir.graph import Graph
from anode.ir.node import Node, constant, remake
from anode.ir.types import TensorType
from anode.ops.elementwise import convert
from anode.ops.reduce import identity, monoid, monoid_of, reduce
from anode.rewrite.trace import Hit, Trace

FEW = 16  # results that give too few rows to share out
LARGE = 1 << 15  # elements that are worth a second kernel
PARTS = 8  # rows that make a split worth it
LANES = 64  # elements in a row, likewise


def split_reductions(graph: Graph, trace: Trace | None = None) -> Graph:
    """Reduce all axes but one first, then that one, where a reduction is large and keeps little."""
    trace = trace or Trace("split_reductions")

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        made = node if args == node.args else remake(node, args)
        axis = _splitting_axis(made)
        if axis is not None:
            made = _two_reductions(made, axis)
            trace.hits.append(Hit("split_reductions", node, after=made))
        if made is not node:
            trace.became[node] = made
        return made

    return graph.map(rewrite)


def _splitting_axis(node: Node) -> int | None:
    """The axis to reduce last; None for what is not a large reduction by a monoid."""
    if node.op is not reduce or len(node.args) != 2 or monoid_of(node.attrs["body"]) is None:
        return None
    shape, axes = node.args[0].tensor.static, node.attrs["axes"]
    if product(node.tensor.static) > FEW or product(shape) < LARGE or len(axes) < 2:
        return None
    total = product(tuple(shape[axis] for axis in axes))
    found = (axis for axis in axes if shape[axis] >= PARTS and total // shape[axis] >= LANES)
    return next(found, None)


def _two_reductions(node: Node, axis: int) -> Node:
    x, init = node.args
    dtype, name = x.tensor.dtype, monoid_of(node.attrs["body"])
    assert name is not None
    if dtype is not dtype.compute:  # half types round once, at the end
        return convert(
            _reduced(convert(x, dtype=f32), convert(init, dtype=f32), name, node, axis), dtype=dtype
        )
    return _reduced(x, init, name, node, axis)


def _reduced(x: Node, init: Node, name: str, node: Node, axis: int) -> Node:
    dtype = x.tensor.dtype
    body, axes = monoid(name, dtype), node.attrs["axes"]
    inner = tuple(a for a in axes if a != axis)
    start = constant(identity(name, dtype), dtype)
    parts = reduce(x, start, body=body, axes=inner)
    assert isinstance(parts.type, TensorType)
    return reduce(parts, init, body=body, axes=(axis - sum(a < axis for a in inner),))
