"""Kernels of many small tensors become one: mostly an optimiser's updates of biases and scales.

Each has its own gradient, whose last sum its update is fused with. As nothing in the graph waits
for a variable's new value, those that loop alike can run together, when all of them can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import ITEM, Node, substitute
from anode.passes.fuse import LARGEST_GROUP
from anode.passes.kernel import KERNEL, kernel
from anode.rewrite.trace import Hit, Trace

SMALL = 1 << 14  # elements that a kernel loops over: what another kernel costs is felt


def join_small(graph: Graph, trace: Trace | None = None) -> Graph:
    """Small kernels whose results nothing else reads, and that loop alike, are one."""
    trace = trace or Trace("join_small")
    replaced: dict[Node, Node] = {}
    for members in _alike(graph):
        made = _joined(members)
        results = [item for member in members for item in member.items]
        replaced |= dict(zip(results, made.items, strict=True))
        trace.became |= dict.fromkeys([*members, *results], made)
        note = f"with {len(members) - 1} others that loop alike"
        trace.hits += [Hit("join_small", member, note, made) for member in members]
    if not replaced:
        return graph
    new = substitute(graph.roots, replaced)
    return graph.with_roots([new[root] for root in graph.roots])


def _alike(graph: Graph) -> Iterator[list[Node]]:
    """The kernels that become one each, two or more."""
    read = {arg for node in graph.nodes if node.op is not ITEM for arg in node.args}
    open_groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node.op is not KERNEL or not read.isdisjoint((node, *node.items)):
            continue
        attrs = node.attrs
        if attrs["kind"] != "loops" or attrs["tag"] or prod(attrs["space"]) > SMALL:
            continue
        key = attrs["space"], attrs["axes"]
        group = open_groups.setdefault(key, [])
        if _size([*group, node]) > LARGEST_GROUP:
            if len(group) > 1:
                yield group
            group = open_groups[key] = []
        group.append(node)
    yield from (group for group in open_groups.values() if len(group) > 1)


def _size(kernels: Iterable[Node]) -> int:
    return sum(len(node.attrs["body"].nodes) for node in kernels)


def _joined(members: list[Node]) -> Node:
    """One kernel that computes what all of them do."""
    args = list(dict.fromkeys(arg for member in members for arg in member.args))
    inputs = dict(zip(args, fresh_inputs(*[arg.type for arg in args]), strict=True))
    outputs: list[Node] = []
    for member in members:
        body: Graph = member.attrs["body"]
        given = dict(zip(body.inputs, [inputs[arg] for arg in member.args], strict=True))
        new = substitute(body.outputs, given)
        outputs += [new[output] for output in body.outputs]
    attrs = members[0].attrs
    body = close(list(inputs.values()), outputs)
    return kernel(args, body, "loops", attrs["space"], attrs["axes"])
