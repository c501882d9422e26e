"""Identities of control flow: branches known now, loops that run at most once."""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node
from anode.ops.shape import reshape, zeros
from anode.rewrite.pattern import P, Pattern, number, number_of, rule

c = number("c")


def _results(loop: Pattern) -> tuple[Pattern, Pattern]:
    """A node of one result, and an item of one of several."""
    return loop, P.item(loop)


def _call(node: Node) -> tuple[Node, int]:
    """The control flow that a result comes from, and its place among the results."""
    return (node.args[0], node.attrs["index"]) if node.op is ITEM else (node, 0)


@rule(*_results(P.cond(c, ...)))
def branch_known(node: Node, c: Node) -> Node:
    """A branch known now takes the place of the choice"""
    choice, index = _call(node)
    branches: tuple[Graph, ...] = choice.attrs["branches"]
    chosen = int(number_of(c))
    branch = branches[chosen if 0 <= chosen < len(branches) else -1]
    return branch.inline(*choice.args[1:])[index]


@rule(*_results(P.cond(...)))
def branches_alike(node: Node) -> Node | None:
    """A choice between equal results is that result"""
    choice, index = _call(node)
    branches: tuple[Graph, ...] = choice.attrs["branches"]
    outputs = {branch.outputs[index] for branch in branches}
    return branches[0].inline(*choice.args[1:])[index] if len(outputs) == 1 else None


@rule(*_results(P.while_(..., max_trips=0)))
def while_never(node: Node) -> Node:
    """A while that may not run gives what it started with"""
    loop, index = _call(node)
    return loop.args[index]


@rule(*_results(P.scan(..., length=0)))
def scan_of_nothing(node: Node) -> Node:
    """A scan of length 0 gives what it started with, and empty results"""
    loop, index = _call(node)
    if index < loop.attrs["carries"]:
        return loop.args[index]
    return zeros(node.shape, node.dtype)


@rule(*_results(P.scan(..., length=1)))
def scan_once(node: Node) -> Node:
    """A scan of length 1 is its body"""
    loop, index = _call(node)
    first = loop.attrs["carries"]
    last = first + loop.attrs["sequences"]
    slices = [reshape(x, shape=x.shape[1:]) for x in loop.args[first:last]]
    results = loop.attrs["body"].inline(*loop.args[:first], *slices, *loop.args[last:])
    return results[index] if index < first else reshape(results[index], shape=node.shape)


RULES = (branch_known, branches_alike, while_never, scan_of_nothing, scan_once)
