"""The pass pipeline: from a graph as written to kernels, one visible tuple of functions.

A pass maps a graph to a graph of the same function and tells its `Trace` what it did. Each runs on
the graph first and then on the graphs nested in what is left of its control flow, so that a branch
that goes away, or a loop that a composite expands to, needs no special care. The scalar bodies of
`reduce`, `scatter` and their kin are not touched: they are known by identity.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from anode.ir.graph import Graph
from anode.ir.node import Node, remake
from anode.ops.control import COND, ROW_PARTS, SCAN, SCAN_PARTS, WHILE
from anode.passes.cover import Library, cover
from anode.passes.fission import split_scans
from anode.passes.fuse import Rounding, fusing
from anode.passes.halves import halve_products
from anode.passes.join import join_small
from anode.passes.layout import layout
from anode.passes.legalize import legalize
from anode.passes.parts import Parting, part_rows
from anode.passes.scan_parts import part_scans
from anode.passes.scan_reuse import reuse_steps
from anode.passes.scan_rows import rows_in_scans
from anode.passes.scans import drop_rows, merge_scans
from anode.passes.simplify import simplify
from anode.passes.split import split_reductions
from anode.rewrite.trace import Trace, record

Pass = Callable[[Graph, Trace], Graph]


def pipeline(
    library: Library | None = None,
    parting: Parting | None = None,
    rounding: Rounding | None = None,
) -> tuple[Pass, ...]:
    """The passes in their order, with the kernels of `library` to choose from."""
    parting = parting or Parting()
    return (
        merge_scans,
        simplify,
        reuse_steps,
        split_scans,
        layout,
        cover(library),
        part_rows(parting),
        legalize,
        simplify,
        drop_rows,
        rows_in_scans,
        part_scans(parting.threads),
        halve_products,
        split_reductions,
        fusing(rounding),
        join_small,
    )


PIPELINE = pipeline()

_LOOPS_AND_BRANCHES = frozenset([COND, ROW_PARTS, SCAN, SCAN_PARTS, WHILE])


def optimize(
    graph: Graph,
    traces: list[Trace] | None = None,
    library: Library | None = None,
    parting: Parting | None = None,
    rounding: Rounding | None = None,
) -> Graph:
    """The graph through every pass of `pipeline`; what each did is added to `traces`."""
    for step in pipeline(library, parting, rounding):
        trace = Trace(step.__name__)
        graph = run_pass(step, graph, trace)
        record(trace)
        if traces is not None:
            traces.append(trace)
    return graph


def run_pass(step: Pass, graph: Graph, trace: Trace) -> Graph:
    """The graph, and all graphs nested in its control flow, through one pass, timed and counted."""
    start = perf_counter()
    made = _Nesting(step, trace).run(graph)
    trace.seconds += perf_counter() - start
    trace.graphs, trace.nodes = (graph, made), (count(graph), count(made))
    return made


def count(graph: Graph) -> int:
    """The number of nodes of a graph and of those nested in its control flow."""
    inner = [g for node in graph.nodes if node.op in _LOOPS_AND_BRANCHES for g in _nested(node)]
    return len(graph.nodes) + sum(map(count, inner))


def _nested(node: Node) -> list[Graph]:
    found: list[Graph] = []
    for value in node.attrs.values():
        found += [g for g in (value if isinstance(value, tuple) else (value,)) if _is_graph(g)]
    return found


def _is_graph(value: Any) -> bool:
    return isinstance(value, Graph)


class _Nesting:
    """One pass over a graph and those within it; a body that several loops share is done once."""

    def __init__(self, step: Pass, trace: Trace) -> None:
        self.step, self.trace = step, trace
        self.done: dict[Graph, Graph] = {}

    def run(self, graph: Graph) -> Graph:
        if graph not in self.done:
            made = self.step(graph, self.trace)
            nested = any(node.op in _LOOPS_AND_BRANCHES for node in made.nodes)
            self.done[graph] = made.map(self._inside) if nested else made
        return self.done[graph]

    def _inside(self, node: Node, args: tuple[Node, ...]) -> Node:
        if node.op not in _LOOPS_AND_BRANCHES:
            return node if args == node.args else remake(node, args)
        attrs = {name: self._through(value) for name, value in node.attrs.items()}
        return remake(node, args, attrs)

    def _through(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([self._through(item) for item in value])
        return self.run(value) if isinstance(value, Graph) else value
