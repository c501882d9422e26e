"""Minibatches in parts: rows of a batch that go through the first layers of a net together.

A value is *rowwise* if its row i, along dim 0, needs no other row of the inputs than i. What is
rowwise from the inputs on becomes one step of as many tasks as there are parts, and a thread takes
its part through all of it before it begins another one: large maps are never there as a whole, and
stay in the cache. Where a value meets something else the parts lie side by side, in its own place.

A node that reads many more weights than rows of a part, or computes few places of a product for
each part, is not taken in: each part would read, or arrange, all weights again. Of the numbers of
parts that leave each thread enough to do, the one is chosen after which most memory is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

from anode.errors import AnodeError
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import CONSTANT, INPUT, ITEM, Node, remake, substitute
from anode.ir.types import TensorType
from anode.ops.control import ROW_PARTS
from anode.ops.declare import Composite, Elementwise
from anode.passes.movement import is_leaf, is_movement
from anode.rewrite.trace import Hit, Trace

# Ops that are rowwise in operand 0, whatever their attributes, if nothing else has rows.
_IN_FIRST = ("convolution", "convolution_data")
_ALONG = {"windows": "axes", "overlap_add": "axes", "reverse": "axes", "reduce": "axes"}

MOST_PARTS = 32
SMALL = 1 << 20  # bytes of temporaries that are left as they are
WORTH = 2  # times less memory, to take parts
READ_AGAIN = 4  # times as many bytes of weights as of rows, at most, that each part reads
PLACES = 256  # of a product, for each part: enough to arrange the weights for
TASKS = 2  # parts for each thread, so that none waits long for another one


@dataclass(frozen=True)
class Parting:
    """What parts are chosen for: the threads that take them.

    With `small` memory counts only, not the time that small parts take. `parts` are taken wherever
    they can be, whether it saves memory or not.
    """

    threads: int = 1
    small: bool = False
    parts: int | None = None


def part_rows(parting: Parting) -> Callable[[Graph, Trace], Graph]:
    """The pass that takes the rowwise beginning of a graph in parts, where that saves memory.

    All inputs must have one number of rows, and no variable may change: a gradient sums over rows.
    """

    def part_rows(graph: Graph, trace: Trace) -> Graph:
        found = {
            type.static[0] for type in graph.types if isinstance(type, TensorType) and type.rank
        }
        if len(found) != 1 or graph.updates or graph.effects:
            return graph
        (rows,) = found
        rowwise = _Rowwise(graph, rows, parting)
        parts = rowwise.best()
        return (
            graph if parts < 2 else _Body(graph, rows, parts, trace).graph(rowwise.members(parts))
        )

    return part_rows


class _Rowwise:
    """The values of a graph that are rowwise from its inputs on, and what parts of them take."""

    def __init__(self, graph: Graph, rows: int, parting: Parting) -> None:
        self.graph, self.rows, self.parting = graph, rows, parting
        self.found: dict[Node, tuple[bool, ...]] = {}  # which operands have rows
        behind: set[Node] = set()  # what depends on them, and is none
        for node in graph.nodes:
            with_rows = tuple([arg in self.found for arg in node.args])
            if node.op is INPUT:
                if isinstance(node.type, TensorType) and node.type.shape[:1] == (rows,):
                    self.found[node] = ()
            elif any(with_rows) and behind.isdisjoint(node.args) and self._is_in(node, with_rows):
                self.found[node] = with_rows
            elif any(arg in behind or self.found.get(arg) for arg in node.args):
                behind.add(node)

    def _is_in(self, node: Node, with_rows: tuple[bool, ...]) -> bool:
        if hasattr(node.op, "of_part"):
            return node.op.of_part(node, with_rows, 1) is not None
        return is_rowwise(node, with_rows)

    def _weights(self, node: Node) -> float:
        """The bytes that a node reads of what has no rows, to those that it reads of rows."""
        rows = weights = 0
        for arg in node.args:
            type = _stored(arg).type
            if isinstance(type, TensorType):
                has_rows = arg in self.found or type.static[:1] == (self.rows,)
                rows, weights = rows + type.bytes * has_rows, weights + type.bytes * (not has_rows)
        return weights / rows if rows else 0.0

    def best(self) -> int:
        """How many parts to take; 1 if that is as well."""
        threads, small = self.parting.threads, self.parting.small
        if self.parting.parts is not None:
            return 1 if self.rows % self.parting.parts else self.parting.parts
        least = 2 if small else TASKS * threads
        if not small and self._peak(1) < SMALL:
            return 1
        counts = [n for n in range(least, MOST_PARTS + 1) if self.rows % n == 0]
        peaks = {n: self._peak(n) for n in (1, *counts)}
        best = min(peaks, key=lambda n: (peaks[n], n))
        return best if small or WORTH * peaks[best] <= peaks[1] else 1

    def members(self, parts: int) -> set[Node]:
        """The values that are computed in parts; movement at their end is not."""
        if parts == 1:
            return set()
        found: set[Node] = set()
        for node, with_rows in self.found.items():
            known = all(arg in found for arg in node.args if arg in self.found)
            if known and self._fits(node, with_rows, parts):
                found.add(node)
        used: set[Node] = set()
        for node in reversed(self.graph.nodes):
            if node in found and is_movement(node) and node not in used:
                found.discard(node)
            elif node in found:
                used.update(node.args)
        return found

    def _fits(self, node: Node, with_rows: tuple[bool, ...], parts: int) -> bool:
        """Whether a part of a node takes no longer than its share of the whole."""
        if self._weights(node) > (1 if self.parting.small else READ_AGAIN / parts):
            return False
        if hasattr(node.op, "of_part"):
            return node.op.of_part(node, with_rows, parts) is not None
        return self.parting.small or _places(node) >= PLACES * parts

    def _peak(self, parts: int) -> int:
        """The most bytes that an op reads and writes, about, where parts are taken."""
        members = self.members(parts)
        share = min(1, self.parting.threads / parts)
        inside = max((_bytes(node) for node in members if node.op is not INPUT), default=0)
        outside = max((_bytes(n) for n in self.graph.nodes if n not in members), default=0)
        joined = sum(node.tensor.bytes for node in _results(self.graph, members))
        return max(int(inside * share) + joined, outside)


def _results(graph: Graph, members: set[Node]) -> list[Node]:
    """The members that others than members use."""
    used = {arg for node in graph.nodes if node not in members for arg in node.args}
    return [n for n in members if n.op is not INPUT and (n in used or n in graph.roots)]


def _bytes(node: Node) -> int:
    """The bytes of temporaries that an op reads and writes."""
    if is_leaf(node) or is_movement(node) or node.op is ITEM:
        return 0
    read = dict.fromkeys(map(_stored, node.args))
    types = [n.type for n in (*node.items, *read) if not is_leaf(n)]
    return sum(type.bytes for type in types if isinstance(type, TensorType))


def _stored(node: Node) -> Node:
    """The value that movement reads in the end."""
    while is_movement(node) and node.args:
        node = node.args[0]
    return node


def _places(node: Node) -> float:
    """The fewest rows of a matrix product in a node; infinity without one."""
    if node.op.name in ("convolution", "convolution_data", "dot_general"):
        return prod(node.tensor.static[:-1])
    if isinstance(node.op, Composite):
        return min(map(_places, _body(node).nodes), default=inf)
    return inf


class _Body:
    """What is computed for one part of the rows, growing."""

    def __init__(self, graph: Graph, rows: int, parts: int, trace: Trace) -> None:
        self.whole, self.rows, self.parts, self.trace = graph, rows, parts, trace
        self.size = rows // parts
        self.part: dict[Node, Node] = {}  # of the members
        self.operands: dict[tuple[Node, bool], Node] = {}  # and whether they are split: the inputs

    def graph(self, members: set[Node]) -> Graph:
        """The graph with the members in parts, those that can be made for a part of the rows."""
        for node in self.whole.nodes:
            if node in members and all(arg in self.part for arg in node.args if arg in members):
                made = self._made(node)
                if made is not None:
                    self.part[node] = made
        results = _results(self.whole, set(self.part))
        if not results:
            return self.whole
        body = close(list(self.operands.values()), [self.part[node] for node in results])
        arguments = [node for node, _ in self.operands]
        split = tuple([flag for _, flag in self.operands])
        step = ROW_PARTS(*arguments, body=body, parts=self.parts, split=split)
        new = substitute(self.whole.roots, dict(zip(results, step.items, strict=True)))
        note = f"in {self.parts} parts of {self.size} rows"
        hits = [Hit("part_rows", node, note, part) for node, part in self.part.items()]
        self.trace.hits += [hit for hit in hits if hit.node.op is not INPUT]
        return self.whole.with_roots([new[root] for root in self.whole.roots])

    def _made(self, node: Node) -> Node | None:
        """A node for a part of the rows; None where it cannot be computed so."""
        if node.op is INPUT:
            return self._operand(node, True)
        if node.op is ITEM:
            return self.part[node.args[0]].item(node.attrs["index"])
        try:
            args = [self._of_part(node, arg) for arg in node.args]
            made = remake(node, tuple(args), self._attrs(node))
        except AnodeError:  # an attribute holds the number of rows
            return None
        pairs = zip(made.items, node.items, strict=True)
        fits = all(self._is_part(part.type, whole.type) for part, whole in pairs)
        return made if fits and _made_alike(made, node) else None

    def _is_part(self, part: Any, type: Any) -> bool:
        tensors = isinstance(part, TensorType) and isinstance(type, TensorType)
        return tensors and part.shape == (self.size, *type.shape[1:])

    def _of_part(self, node: Node, arg: Node) -> Node:
        """What a part of a node reads: a member's part, or of another value the same rows."""
        if arg in self.part:
            return self.part[arg]
        has_rows = isinstance(arg.type, TensorType) and arg.tensor.static[:1] == (self.rows,)
        split = has_rows and isinstance(node.op, Elementwise)
        if arg.op.name == "broadcast_in_dim" and not (split and 0 in arg.attrs["axes"]):
            lead = (self.size,) if split else arg.shape[:1]
            source = self._of_part(arg, arg.args[0])
            return remake(arg, (source,), {**arg.attrs, "shape": (*lead, *arg.shape[1:])})
        return arg if arg.op is CONSTANT and not split else self._operand(arg, split)

    def _operand(self, node: Node, split: bool) -> Node:
        if (node, split) not in self.operands:
            type = node.tensor.with_shape((self.size, *node.shape[1:])) if split else node.type
            (self.operands[node, split],) = fresh_inputs(type)
        return self.operands[node, split]

    def _attrs(self, node: Node) -> Mapping[str, Any]:
        """The attributes with the rows of a part where they are part of the result's shape."""
        if hasattr(node.op, "of_part"):
            with_rows = tuple([arg in self.part for arg in node.args])
            found: Mapping[str, Any] = node.op.of_part(node, with_rows, self.parts)
            return found
        if node.op.name in ("broadcast_in_dim", "reshape"):
            return {**node.attrs, "shape": (self.size, *node.attrs["shape"][1:])}
        if node.op.name == "slice":
            return {**node.attrs, "limit": (self.size, *node.attrs["limit"][1:])}
        return node.attrs


def is_rowwise(node: Node, rows: Sequence[bool]) -> bool:
    """Whether row i of every result needs of the operands that have `rows` the row i only."""
    name, attrs = node.op.name, node.attrs
    first = all(has == (i == 0) for i, has in enumerate(rows))
    if isinstance(node.type, TensorType) and not node.shape:
        return False
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
    body = _body(node)
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
    return [source for inner in _body(node).nodes for source in _sources(inner)]


def _body(node: Node) -> Graph:
    assert isinstance(node.op, Composite)
    return node.op.body(tuple([arg.type for arg in node.args]), node.attrs)
