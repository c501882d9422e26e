"""Make one of scans that take the same steps, and leave out of scans what nothing reads.

A loop that was differentiated is such a pair: the user's scan, and the twin that stacks the carries
its backward pass reads.
"""

from __future__ import annotations

from typing import Any

from anode.ir.graph import Graph, close
from anode.ir.node import ITEM, Node, remake
from anode.ir.types import TupleType
from anode.ops.control import SCAN
from anode.rewrite.trace import Hit, Trace


def merge_scans(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph with scans over the same operands that compute the same carries made one."""
    hits = trace.hits if trace is not None else []
    merged = _merged_bodies(graph)
    if not merged:
        return graph

    def rewrite(old: Node, args: tuple[Node, ...]) -> Node:
        if old in merged:
            body, places = merged[old]
            new = remake(old, args, {**old.attrs, "body": body})
            hits.append(Hit("merge_scans", old, after=new))
            return new if isinstance(old.type, TupleType) else new.items[places[0]]
        if old.op is ITEM and old.args[0] in merged:
            return args[0].items[merged[old.args[0]][1][old.attrs["index"]]]
        return remake(old, args)

    return graph.map(rewrite)


def drop_rows(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph whose scans stack only rows that something reads."""
    read: dict[Node, set[int]] = {node: set() for node in graph.nodes if node.op is SCAN}
    for node in graph.nodes:
        if node.op is ITEM and node.args[0] in read:
            read[node.args[0]].add(node.attrs["index"])
    kept = {
        scan: [i for i in range(len(scan.items)) if i < scan.attrs["carries"] or i in found]
        for scan, found in read.items()
        if found
    }
    kept = {scan: places for scan, places in kept.items() if len(places) < len(scan.items)}

    def rewrite(old: Node, args: tuple[Node, ...]) -> Node:
        if old in kept:
            body = old.attrs["body"]
            body = close(body.inputs, [body.outputs[i] for i in kept[old]])
            new = remake(old, args, {**old.attrs, "body": body})
            if trace is not None:
                trace.hits.append(Hit("drop_rows", old, after=new))
            return new
        if old.op is ITEM and old.args[0] in kept:
            return args[0].items[kept[old.args[0]].index(old.attrs["index"])]
        return remake(old, args)

    return graph.map(rewrite) if kept else graph


def _merged_bodies(graph: Graph) -> dict[Node, tuple[Graph, list[int]]]:
    """For each scan that is not alone: the common body, and where its own results are in it."""
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if node.op is SCAN:
            body, n = node.attrs["body"], node.attrs["carries"]
            loop = [value for value in node.attrs.values() if value is not body]
            groups.setdefault((node.args, *loop, body.outputs[:n]), []).append(node)
    merged = {}
    for group in groups.values():
        bodies, n = [node.attrs["body"] for node in group], group[0].attrs["carries"]
        rows = list(dict.fromkeys(row for body in bodies for row in body.outputs[n:]))
        common = Graph.make(bodies[0].types, (*bodies[0].outputs[:n], *rows))
        for node, body in zip(group, bodies, strict=True):
            places = [*range(n), *[n + rows.index(row) for row in body.outputs[n:]]]
            if len(group) > 1:
                merged[node] = common, places
    return merged
