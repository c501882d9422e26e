"""A loop that computes again what a loop before it has computed takes it from there.

The gradient of a scan runs each step again from what the step began with. What follows from the
products of a step is worth keeping: the first loop gives it as more rows, such as the gates of a
recurrent cell, and the gradient has neither products nor activations to repeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import INPUT, ITEM, Node, remake, substitute
from anode.ir.types import TensorType
from anode.ops.control import SCAN
from anode.ops.linalg import dot_general, matmul
from anode.passes.fission import SEQUENCE, kinds
from anode.rewrite.trace import Hit, Trace

PRODUCTS = (dot_general, matmul)
MOST = 2  # times the size of the products: more is not kept


@dataclass
class _Change:
    """What becomes of a scan: nodes of its body it gives as rows, and such that it now takes."""

    given: dict[Node, None] = field(default_factory=dict)
    taken: dict[Node, tuple[Node, Node]] = field(default_factory=dict)  # from (scan, its node)


def reuse_steps(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph whose loops do not repeat what loops before them computed with products."""
    changes = _changes(graph)
    hits = trace.hits if trace is not None else []
    new: dict[Node, Node] = {}

    def rewrite(old: Node, args: tuple[Node, ...]) -> Node:
        if old not in changes:
            return remake(old, args)
        change, rows = changes[old], []
        for scan, node in change.taken.values():
            place = len(scan.attrs["body"].outputs) + list(changes[scan].given).index(node)
            rows.append(new[scan].items[place])
        new[old] = _changed(old, args, change, rows)
        if rows:
            hits.append(Hit("reuse_steps", old, after=new[old]))
        return new[old]

    return graph.map(rewrite) if changes else graph


def _changes(graph: Graph) -> dict[Node, _Change]:
    changes: dict[Node, _Change] = {}
    for scan in graph.nodes:
        for earlier in _sources(scan) if scan.op is SCAN else ():
            for node, image in _reusable(scan, earlier).items():
                mine = changes.setdefault(scan, _Change())
                if node not in mine.taken:
                    mine.taken[node] = (earlier, image)
                    changes.setdefault(earlier, _Change()).given[image] = None
    return changes


def _sources(scan: Node) -> list[Node]:
    """The loops, over as many steps, whose rows a loop takes."""
    first = scan.attrs["carries"]
    rows = scan.args[first : first + scan.attrs["sequences"]]
    loops = dict.fromkeys(row.args[0] for row in rows if row.op is ITEM and row.args[0].op is SCAN)
    return [loop for loop in loops if loop.attrs["length"] == scan.attrs["length"]]


def _reusable(scan: Node, earlier: Node) -> dict[Node, Node]:
    """Of a loop's body, the last values before its own work begins: the nodes of the earlier one.

    Where they are much larger than the products that they come from, these.
    """
    body = scan.attrs["body"]
    per_step = kinds(body, scan.attrs["carries"], scan.attrs["sequences"])
    images = _images(scan, earlier)
    found: dict[Node, None] = {}  # the nodes that the earlier loop has, from products on
    for node in body.nodes:
        if node not in images or node.op is INPUT or per_step[node] != SEQUENCE:
            continue
        if node.op in PRODUCTS or any(arg in found for arg in node.args):
            found[node] = None
    needed = {arg for node in body.nodes if node not in images for arg in node.args}
    needed.update(body.outputs)
    last = [node for node in found if node in needed]
    products = [node for node in found if node.op in PRODUCTS]
    return {n: images[n] for n in (last if _size(last) <= MOST * _size(products) else products)}


def _size(nodes: Iterable[Node]) -> int:
    return sum(node.tensor.size.__index__() for node in nodes)


def _images(scan: Node, earlier: Node) -> dict[Node, Node]:
    """The tensors of a loop's body that an earlier one's has too, in each step: its nodes.

    What has several results has no place among rows, so it and what follows is computed again.
    """
    found = _inputs(scan, earlier)
    there = set(earlier.attrs["body"].nodes)
    for node in scan.attrs["body"].nodes:
        if node.op is INPUT or not isinstance(node.type, TensorType):
            continue
        if all(arg in found for arg in node.args):
            image = remake(node, tuple([found[arg] for arg in node.args]))
            if image in there or not node.args:
                found[node] = image
    return found


def _inputs(scan: Node, earlier: Node) -> dict[Node, Node]:
    """The inputs of a loop's body whose values an earlier one has in the same step."""
    carries, sequences = (earlier.attrs[name] for name in ("carries", "sequences"))
    body, last = earlier.attrs["body"], carries + sequences
    per_step = dict(zip(earlier.args[carries:last], body.inputs[carries:last], strict=True))
    fixed = dict(zip(earlier.args[last:], body.inputs[last:], strict=True))
    found: dict[Node, Node] = {}
    first = scan.attrs["carries"]
    for i, (inner, outer) in enumerate(zip(scan.attrs["body"].inputs, scan.args, strict=True)):
        known = per_step if i < first + scan.attrs["sequences"] else fixed
        if i < first:
            continue
        if outer in known:
            found[inner] = known[outer]
        elif known is per_step and _is_row(outer, earlier):
            found[inner] = body.outputs[outer.attrs["index"]]
    return found


def _is_row(node: Node, scan: Node) -> bool:
    return node.op is ITEM and node.args[0] is scan and node.attrs["index"] >= scan.attrs["carries"]


def _changed(scan: Node, args: tuple[Node, ...], change: _Change, rows: list[Node]) -> Node:
    """The scan with more rows out, and with `rows` in place of the values it takes."""
    body, attrs = scan.attrs["body"], dict(scan.attrs)
    last = attrs["carries"] + attrs["sequences"]
    taken = [*body.inputs[:last], *change.taken, *body.inputs[last:]]
    fresh = fresh_inputs(*(node.type for node in taken))
    roots = [*body.outputs, *change.given]
    new = substitute(roots, dict(zip(taken, fresh, strict=True)))
    attrs["sequences"] += len(rows)
    attrs["body"] = close(fresh, [new[node] for node in roots])
    return SCAN(*args[:last], *rows, *args[last:], **attrs)
