"""Selecting nodes of a graph by patterns, for tests and tools."""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.rewrite.pattern import Pattern, match


def find(graph: Graph, pattern: Pattern) -> list[Node]:
    """The nodes of `graph` that `pattern` matches at, operands before users."""
    return [node for node in graph.nodes if match(pattern, node) is not None]
