"""Compute rows of a scan's sequence in the steps that read them, where they are made of much less.

Rows that are looked up in a table, or spread from a few numbers, would be written to memory for all
steps, to be read once. In its step a row is part of the kernel that reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import CONSTANT, Node, make, remake, substitute
from anode.ir.types import TensorType
from anode.ops.control import SCAN
from anode.ops.declare import Elementwise
from anode.rewrite.trace import Hit, Trace

LESS = 4  # times fewer bytes in all that the rows are made of
TABLES = 1 << 18  # bytes that every step reads, at most: the caches keep them beside its weights


@dataclass
class _Rows:
    """What computes the rows of some sequences, users first, and what that reads.

    That is `rows` of other sequences, and tables and numbers that are the `same` in every step.
    """

    nodes: dict[Node, Sequence[bool]] = field(default_factory=dict)  # and which operands have rows
    rows: dict[Node, None] = field(default_factory=dict)
    same: dict[Node, None] = field(default_factory=dict)


def rows_in_scans(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph with rows that only a scan reads computed in its steps, if they are made of little.

    The operations are the same, so the bits are.
    """
    scans = [node for node in graph.nodes if node.op is SCAN]
    if not scans:
        return graph
    trace = trace or Trace("rows_in_scans")
    uses = Counter(arg for node in graph.nodes for arg in node.args)
    uses.update(graph.roots)
    found = {scan: rows for scan in scans if (rows := _cheap(scan, graph, uses)).nodes}
    new: dict[Node, Node] = {}

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        new[node] = remake(node, args)
        if node in found:
            new[node] = _with_rows(node, found[node], new)
            trace.hits.append(Hit("rows_in_scans", node, after=new[node]))
        return new[node]

    return graph.map(rewrite)


def _cheap(scan: Node, graph: Graph, uses: Counter[Node]) -> _Rows:
    """What the steps of a scan might as well compute."""
    first = scan.attrs["carries"]
    all_ = _Rows()
    for sequence in dict.fromkeys(scan.args[first : first + scan.attrs["sequences"]]):
        rows = _made_of(sequence, graph, uses)
        if _bytes(rows.rows) * LESS <= _bytes([sequence]) and _bytes(rows.same) <= TABLES:
            all_.nodes |= rows.nodes
            all_.rows |= rows.rows
            all_.same |= rows.same
    return all_


def _made_of(sequence: Node, graph: Graph, uses: Counter[Node]) -> _Rows:
    """All that only the sequence needs, as far as it can be computed row by row."""
    found, wanted = _Rows(), Counter([sequence])
    by_row, whole = {sequence}, set[Node]()
    for node in reversed(graph.nodes):
        if not wanted[node]:
            continue
        flags = None if node in whole else _operands_with_rows(node)
        if flags is None or wanted[node] < uses[node]:
            found.rows |= dict.fromkeys(by_row & {node})
            found.same |= dict.fromkeys(whole & {node})
            continue
        found.nodes[node] = flags
        wanted.update(node.args)
        for arg, flag in zip(node.args, flags, strict=True):
            (by_row if flag else whole).add(arg)
    return found


def _bytes(nodes: Sequence[Node] | dict[Node, None]) -> int:
    return sum(node.tensor.bytes for node in nodes)


def _operands_with_rows(node: Node) -> Sequence[bool] | None:
    """Which operands have a row for each row of the result; None where rows are not alone."""
    if isinstance(node.op, Elementwise):
        return [True] * len(node.args)
    if node.op.name == "broadcast_in_dim":
        (x,), axes = node.args, node.attrs["axes"]
        if 0 not in axes:
            return [False]
        return [True] if x.tensor.static[0] == node.tensor.static[0] else None
    if node.op.name == "gather" and node.attrs["index_vector_dim"]:
        return [False, True] if 0 not in node.attrs["offset_dims"] else None
    return None


def _row(node: Node, args: tuple[Node, ...], has_rows: bool) -> Node:
    """One row of a node whose operands are rows where they have any."""
    attrs = dict(node.attrs)
    if node.op.name == "broadcast_in_dim":
        attrs["shape"] = node.attrs["shape"][1:]
        attrs["axes"] = tuple([axis - 1 for axis in node.attrs["axes"][has_rows:]])
    elif node.op.name == "gather":
        attrs["offset_dims"] = tuple([axis - 1 for axis in node.attrs["offset_dims"]])
        attrs["index_vector_dim"] = node.attrs["index_vector_dim"] - 1
    return make(node.op, args, attrs, node.origin)


def _with_rows(scan: Node, rows: _Rows, new: dict[Node, Node]) -> Node:
    """The scan whose body computes the rows; operands are those of the new graph."""
    attrs, body = scan.attrs, scan.attrs["body"]
    a, b = attrs["carries"], attrs["carries"] + attrs["sequences"]
    kept = [i for i, arg in enumerate(scan.args) if not (a <= i < b and arg in rows.nodes)]
    sequences = [*[scan.args[i] for i in kept if a <= i < b], *rows.rows]
    same = [node for node in rows.same if node.op is not CONSTANT]
    carried, constants = scan.args[:a], [*scan.args[b:], *same]
    types = [x.type for x in carried] + [_row_type(x) for x in sequences]
    fresh = fresh_inputs(*types, *[x.type for x in constants])
    count = len(sequences) - len(rows.rows)
    inputs = [body.inputs[i] for i in kept]
    places = [*range(a + count), *range(a + len(sequences), len(fresh) - len(same))]
    inner = dict(zip(inputs, [fresh[i] for i in places], strict=True))
    known = dict(zip(rows.rows, fresh[a + count : a + len(sequences)], strict=True))
    whole = {node: node for node in rows.same if node.op is CONSTANT}
    whole |= dict(zip(same, fresh[len(fresh) - len(same) :], strict=True))
    for node in reversed(rows.nodes):
        flags = rows.nodes[node]
        args = [(known if flag else whole)[x] for x, flag in zip(node.args, flags, strict=True)]
        known[node] = _row(node, tuple(args), flags[0])
    for i, arg in enumerate(scan.args):
        if i not in kept:
            inner[body.inputs[i]] = known[arg]
    made = substitute(body.outputs, inner)
    body = close(fresh, [made[node] for node in body.outputs])
    operands = [new[x] for x in (*carried, *sequences, *constants)]
    return remake(scan, tuple(operands), {**attrs, "body": body, "sequences": len(sequences)})


def _row_type(sequence: Node) -> TensorType:
    return sequence.tensor.with_shape(sequence.tensor.static[1:])
