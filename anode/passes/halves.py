"""Add up a product with weights that the graph replaces in two halves of the weights' rows.

The thread that computed half of the rows has them in its cache, and the next run's product finds
them there where that thread adds up the terms of just these rows. Else nearly all lines of the
weights go from one core to another twice a run: to be read, and to be replaced. The halves meet as
tasks are numbered by halves in one kernel, by rows in the other, and a thread begins with its own
share of them (see `backends/cpu/team`). The bits are the same for any number of threads.
"""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.ir.node import READ, Node, at, remake
from anode.ir.variable import Variable
from anode.passes.legalize import sum_of_parts
from anode.rewrite.trace import Hit, Trace

LEAST, MOST = 1 << 15, 1 << 20  # bytes of weights: worth a kernel more, and what caches keep
TERMS = 1 << 20  # of the sums: enough for each thread to get a share
ROWS = 2  # of weights to a row of the result, which is written and read once more


def halve_products(graph: Graph, trace: Trace | None = None) -> Graph:
    """Products with weights that are replaced are sums of two, each of half of the weights' rows.

    A core then reads the rows that it has replaced, where the caches keep the weights.
    """
    trace = trace or Trace("halve_products")
    replaced = {variable for variable, _ in graph.updates}

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        made = node if args == node.args else remake(node, args)
        if _is_worth_it(made, replaced):
            with at(node.origin):
                made = sum_of_parts(made, 2)
            trace.hits.append(Hit("halve_products", node, "a sum of two halves", made))
        if made is not node:
            trace.became[node] = made
        return made

    return graph.map(rewrite) if replaced else graph


def _is_worth_it(node: Node, replaced: set[Variable]) -> bool:
    if node.op.name != "dot_general" or node.attrs["batch"] != ((), ()):
        return False
    x, weights = node.args
    if weights.op is not READ or weights.attrs["variable"] not in replaced:
        return False
    x_axes, axes = node.attrs["contract"]
    if axes != (0,) or x.tensor.rank != 2 or x_axes != (1,):
        return False
    rows, depth = x.tensor.static
    if depth % 2 or depth < ROWS * rows or rows * weights.tensor.size < TERMS:
        return False
    return LEAST <= weights.tensor.bytes <= MOST
