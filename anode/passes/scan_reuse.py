"""A loop that computes a product again, which a loop before it has computed, takes it from there.

The gradient of a scan runs each step again from what the step began with. Of that, products are
worth keeping: the first loop gives them as one more row of each step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import INPUT, ITEM, Node, remake, substitute
from anode.ops.control import SCAN
from anode.ops.linalg import dot_general, matmul
from anode.passes.fission import SEQUENCE, kinds
from anode.rewrite.trace import Hit, Trace


@dataclass
class _Change:
    """What becomes of a scan: nodes of its body it gives as rows, and such that it now takes."""

    given: dict[Node, None] = field(default_factory=dict)
    taken: dict[Node, tuple[Node, Node]] = field(default_factory=dict)  # from (scan, its node)


def reuse_products(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph whose loops do not repeat the products of loops before them."""
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
            hits.append(Hit("reuse_products", old, after=new[old]))
        return new[old]

    return graph.map(rewrite) if changes else graph


def _changes(graph: Graph) -> dict[Node, _Change]:
    changes: dict[Node, _Change] = {}
    for scan in graph.nodes:
        if scan.op is not SCAN:
            continue
        products = _products(scan)
        for earlier in _sources(scan) if products else ():
            known = _images(scan, earlier)
            there = set(earlier.attrs["body"].nodes)
            for node in [node for node in products if _is_known(node, known)]:
                image = substitute([node], known)[node]
                if image in there:
                    changes.setdefault(earlier, _Change()).given[image] = None
                    changes.setdefault(scan, _Change()).taken[node] = (earlier, image)
                    products.remove(node)
    return changes


def _products(scan: Node) -> list[Node]:
    """The products in a loop that wait for nothing that the loop computes."""
    body = scan.attrs["body"]
    found = kinds(body, scan.attrs["carries"], scan.attrs["sequences"])
    return [n for n in body.nodes if n.op in (dot_general, matmul) and found[n] == SEQUENCE]


def _sources(scan: Node) -> Iterable[Node]:
    """The loops, over as many steps, whose rows a loop takes."""
    first = scan.attrs["carries"]
    rows = scan.args[first : first + scan.attrs["sequences"]]
    loops = dict.fromkeys(row.args[0] for row in rows if row.op is ITEM and row.args[0].op is SCAN)
    return [loop for loop in loops if loop.attrs["length"] == scan.attrs["length"]]


def _images(scan: Node, earlier: Node) -> dict[Node, Node]:
    """The inputs of a loop's body that an earlier one's has too, in each step: its nodes."""
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


def _is_known(node: Node, known: dict[Node, Node]) -> bool:
    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if node.op is INPUT and node not in known:
            return False
        if node not in seen and node not in known:
            seen.add(node)
            stack += node.args
    return True


def _changed(scan: Node, args: tuple[Node, ...], change: _Change, rows: list[Node]) -> Node:
    """The scan with more rows out, and with `rows` in place of the products it takes."""
    body, attrs = scan.attrs["body"], dict(scan.attrs)
    last = attrs["carries"] + attrs["sequences"]
    taken = [*body.inputs[:last], *change.taken, *body.inputs[last:]]
    fresh = fresh_inputs(*(node.type for node in taken))
    roots = [*body.outputs, *change.given]
    new = substitute(roots, dict(zip(taken, fresh, strict=True)))
    attrs["sequences"] += len(rows)
    attrs["body"] = close(fresh, [new[node] for node in roots])
    return SCAN(*args[:last], *rows, *args[last:], **attrs)
