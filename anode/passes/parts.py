"""Minibatches in parts: rows of a batch that go through the first layers of a net one by one.

A value is *rowwise* if its row i, along dim 0, needs no other row of the inputs than i. What is
rowwise from the inputs on is computed for one part of the rows after the other, so that only a part
of its memory is needed at a time; where it meets something else the parts are put together. A node
that reads more weights than rows is not taken apart: each part would read all weights again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anode.errors import AnodeError
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, remake
from anode.ir.types import TensorType
from anode.ops.declare import Composite, Elementwise
from anode.ops.shape import concatenate, slice

# Ops that are rowwise in operand 0, whatever their attributes, if nothing else has rows.
_IN_FIRST = ("convolution", "convolution_data")
_ALONG = {"windows": "axes", "overlap_add": "axes", "reverse": "axes", "reduce": "axes"}


def in_parts(graph: Graph, parts: int) -> Graph:
    """The graph with its rowwise beginning in so many parts; itself if that cannot be done.

    All inputs must have one number of rows, which `parts` divides, and no variable may change: a
    gradient sums over rows.
    """
    rows = {type.static[0] for type in graph.types if isinstance(type, TensorType) and type.rank}
    if len(rows) != 1 or graph.updates or graph.effects or parts < 2:
        return graph
    (count,) = rows
    if count % parts:
        return graph
    return _Parts(graph, count, parts).run()


class _Parts:
    def __init__(self, graph: Graph, rows: int, parts: int) -> None:
        self.graph, self.rows, self.parts = graph, rows, parts
        self.size = rows // parts
        self.split: dict[Node, list[Node]] = {}  # rowwise nodes and their parts
        self.whole: dict[Node, Node] = {}  # all others, and rowwise ones that were put together

    def run(self) -> Graph:
        for node in self.graph.nodes:
            found = self._in_parts(node)
            if found is None:
                self._keep(node)
            else:
                self.split[node] = found
        return self.graph.with_roots([self._joined(root) for root in self.graph.roots])

    def _in_parts(self, node: Node) -> list[Node] | None:
        """The parts of a node, None where it is to be computed as a whole."""
        if node.op is INPUT:
            self.whole[node] = node
            shape = node.tensor.static if isinstance(node.type, TensorType) else ()
            return self._cut(node) if shape[:1] == (self.rows,) else None
        with_rows = [arg in self.split for arg in node.args]
        if not any(with_rows) or not is_rowwise(node, with_rows) or self._reads_weights(node):
            return None
        if node.op is ITEM:
            return [part.item(node.attrs["index"]) for part in self.split[node.args[0]]]
        try:
            found = [
                remake(node, self._operands(node, k), self._attrs(node)) for k in range(self.parts)
            ]
        except AnodeError:  # an attribute holds the number of rows
            return None
        pairs = zip(found[0].items, node.items, strict=True)
        fits = all(self._is_part(part.type, whole.type) for part, whole in pairs)
        return found if fits and _made_alike(found[0], node) else None

    def _is_part(self, part: Any, type: Any) -> bool:
        tensors = isinstance(part, TensorType) and isinstance(type, TensorType)
        return tensors and part.shape == (self.size, *type.shape[1:])

    def _reads_weights(self, node: Node) -> bool:
        tensors = [(arg in self.split, arg.type) for arg in node.args]
        sizes = [(rows, type.bytes) for rows, type in tensors if isinstance(type, TensorType)]
        return sum(n for rows, n in sizes if not rows) > sum(n for rows, n in sizes if rows)

    def _operands(self, node: Node, part: int) -> tuple[Node, ...]:
        """What a part of a node reads; of wholes with as many rows their part."""
        return tuple(
            [
                self.split[arg][part] if arg in self.split else self._narrow(node, arg, part)
                for arg in node.args
            ]
        )

    def _narrow(self, node: Node, arg: Node, part: int) -> Node:
        has_rows = isinstance(arg.type, TensorType) and arg.tensor.static[:1] == (self.rows,)
        if not isinstance(node.op, Elementwise) or not has_rows:
            return self.whole[arg]
        if arg.op.name == "broadcast_in_dim" and 0 not in arg.attrs["axes"]:
            shape = (self.size, *arg.shape[1:])
            return remake(arg, (self.whole[arg.args[0]],), {**arg.attrs, "shape": shape})
        return self._cut(self.whole[arg])[part]

    def _attrs(self, node: Node) -> Mapping[str, Any]:
        """The attributes with the rows of a part where they are part of the result's shape."""
        if node.op.name in ("broadcast_in_dim", "reshape"):
            return {**node.attrs, "shape": (self.size, *node.attrs["shape"][1:])}
        if node.op.name == "slice":
            return {**node.attrs, "limit": (self.size, *node.attrs["limit"][1:])}
        return node.attrs

    def _cut(self, whole: Node) -> list[Node]:
        rest = whole.shape[1:]
        starts = range(0, self.rows, self.size)
        return [
            slice(whole, start=(at, *(0,) * len(rest)), limit=(at + self.size, *rest))
            for at in starts
        ]

    def _keep(self, node: Node) -> None:
        if node.op in (INPUT, READ, CONSTANT):
            self.whole[node] = node
        else:
            self.whole[node] = remake(node, tuple([self._joined(arg) for arg in node.args]))

    def _joined(self, node: Node) -> Node:
        """A value as a whole."""
        if node not in self.whole:
            self.whole[node] = concatenate(*self.split[node], axis=0)
        return self.whole[node]


def is_rowwise(node: Node, rows: Sequence[bool]) -> bool:
    """Whether row i of every result needs of the operands that have `rows` the row i only."""
    name, attrs = node.op.name, node.attrs
    first = all(has == (i == 0) for i, has in enumerate(rows))
    if isinstance(node.op, Elementwise) or node.op is ITEM or name in _IN_FIRST:
        return name not in _IN_FIRST or first
    if isinstance(node.op, Composite):
        return _has_rowwise_body(node, rows)
    if name in _ALONG:
        return 0 not in attrs[_ALONG[name]]
    if name == "broadcast_in_dim":
        return attrs["axes"][:1] == (0,) and node.args[0].shape[0] == node.shape[0]
    if name == "reshape":
        return node.args[0].shape[0] == node.shape[0]
    if name == "transpose":
        return attrs["permutation"][0] == 0
    if name == "pad":
        return first and not (attrs["low"][0] or attrs["high"][0] or attrs["interior"][0])
    if name == "slice":
        return attrs["limit"][0] == node.args[0].shape[0] == node.shape[0]
    if name == "concatenate":
        return attrs["axis"] != 0 and all(rows)
    if name == "dot_general":
        return first and 0 not in attrs["contract"][0] and not attrs["batch"][0]
    return False


def _has_rowwise_body(node: Node, rows: Sequence[bool]) -> bool:
    assert isinstance(node.op, Composite)
    body = node.op.body(tuple([arg.type for arg in node.args]), node.attrs)
    with_rows = {x for x, has in zip(body.inputs, rows, strict=True) if has}
    for inner in body.nodes:
        flags = [arg in with_rows for arg in inner.args]
        if any(flags):
            if not is_rowwise(inner, flags):
                return False
            with_rows.add(inner)
    return all(output in with_rows for output in body.outputs)


def _made_alike(part: Node, whole: Node) -> bool:
    """Whether what a composite makes from nothing is the same for a part of the rows.

    Numbers that count rows are not, nor random numbers.
    """
    return _sources(part) == _sources(whole)


def _sources(node: Node) -> list[Any]:
    if not isinstance(node.op, Composite):
        if node.op.name == "iota" and node.attrs["axis"] != 0:
            return [(node.attrs["axis"], node.shape[1:])]
        made = node.op is CONSTANT or node.op.name in ("iota", "random_bits")
        return [tuple(node.attrs.values())] if made else []
    body = node.op.body(tuple([arg.type for arg in node.args]), node.attrs)
    return [source for inner in body.nodes for source in _sources(inner)]
