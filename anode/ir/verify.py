"""Checks that a graph is well formed; for tests, and between passes while one is being written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode.errors import AnodeError, GraphError
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, make
from anode.ir.text import node_text
from anode.ir.types import TupleType, well_formed


def verify(graph: Graph) -> None:
    """Raise GraphError, naming the node and its line, unless the graph and those in it are sound.

    Every node has the type that its op infers, as many operands as the op takes and its attributes
    in canonical form; a value of several results is used by items only; inputs are the graph's own;
    a variable is updated once, by a value of its type; effects are tokens.
    """
    waiting, seen = [graph], {graph}
    while waiting:
        current = waiting.pop()
        current._check()
        for node in current.nodes:
            _verify_node(node)
        nested = _graphs(tuple([tuple(node.attrs.values()) for node in current.nodes]))
        initial = [variable.init for variable in current.variables if variable.init is not None]
        new = {*nested, *initial} - seen
        seen |= new
        waiting += new


def _verify_node(node: Node) -> None:
    problem = _problem(node)
    if problem:
        raise GraphError(f"{node_text(node)} ({node.origin}): {problem}")


def _problem(node: Node) -> str:
    """What is wrong with the node, or nothing."""
    if not well_formed(node.type):
        return "a size is neither a dim nor an integer that is not negative"
    if node.op is not ITEM and any(isinstance(arg.type, TupleType) for arg in node.args):
        return "an operand has several results; take an item of it"
    types = tuple([arg.type for arg in node.args])
    try:
        inferred, attrs = node.op.infer(types, node.attrs), node.attrs
        if node.op not in (INPUT, CONSTANT, READ):
            node.op.check_count(len(types))
            attrs = node.op.complete(types, node.attrs)
    except AnodeError as error:
        return str(error)
    if inferred != node.type:
        return f"the type rule gives {inferred}"
    if make(node.op, node.args, attrs) is not node:
        return f"the node is not interned, or its attributes are not canonical: {dict(attrs)}"
    return ""


def _graphs(value: Any) -> Iterator[Graph]:
    """The graphs in an attribute."""
    if isinstance(value, Graph):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _graphs(part)
