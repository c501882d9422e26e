"""Identities of control flow: branches known now, loops that run at most once."""

from __future__ import annotations

from collections.abc import Callable

from anode.ir.graph import close
from anode.ir.node import ITEM, Node, make
from anode.ir.types import TupleType
from anode.ops.shape import reshape, slice, zeros
from anode.rewrite.pattern import P, Pattern, Rule, number, number_of, rule, scalar_of, var

Result = Callable[[Node, int], "Node | None"]
Pair = tuple[tuple[int, ...], tuple[int, ...]]


def result_of(pattern: Pattern) -> Callable[[Result], Rule]:
    """Declare a rule for each result of control flow, given the control flow and the index."""

    def declare(function: Result) -> Rule:
        def result(node: Node) -> Node | None:
            if isinstance(node.type, TupleType):
                return None  # its items are replaced, one by one
            flow, index = (node.args[0], node.attrs["index"]) if node.op is ITEM else (node, 0)
            return function(flow, index)

        result.__name__, result.__doc__ = function.__name__, function.__doc__
        return rule(pattern, P.item(pattern))(result)

    return declare


@result_of(P.cond(number("index"), ...))
def branch_known(choice: Node, index: int) -> Node:
    """A branch known now takes the place of the choice"""
    branches, chosen = choice.attrs["branches"], int(number_of(choice.args[0]))
    branch = branches[chosen if 0 <= chosen < len(branches) else -1]
    made: Node = branch.inline(*choice.args[1:])[index]
    return made


@result_of(P.cond(...))
def branches_alike(choice: Node, index: int) -> Node | None:
    """A choice between equal results is that result"""
    first, *others = choice.attrs["branches"]
    if any(branch.outputs[index] is not first.outputs[index] for branch in others):
        return None
    made: Node = first.inline(*choice.args[1:])[index]
    return made


@result_of(P.while_(..., max_trips=0))
def while_never(loop: Node, index: int) -> Node:
    """A while that may not run gives what it started with"""
    return loop.args[index]


@result_of(P.scan(..., length=0))
def scan_of_nothing(loop: Node, index: int) -> Node:
    """A scan of length 0 gives what it started with, and empty results"""
    carries = loop.attrs["carries"]
    if index < carries:
        return loop.args[index]
    row = loop.attrs["body"].outputs[index]
    return zeros((0, *row.shape), row.dtype)


@result_of(P.scan(..., length=1))
def scan_once(loop: Node, index: int) -> Node:
    """A scan of length 1 is its body"""
    first = loop.attrs["carries"]
    last = first + loop.attrs["sequences"]
    rows = [reshape(x, shape=x.shape[1:]) for x in loop.args[first:last]]
    results = loop.attrs["body"].inline(*loop.args[:first], *rows, *loop.args[last:])
    made: Node = results[index]
    return made if index < first else reshape(made, shape=(1, *made.shape))


@rule(P.scan(...))
def scan_unread(node: Node) -> Node | None:
    """A scan takes only what its body reads"""
    body, first, last = node.attrs["body"], node.attrs["carries"], len(node.args)
    known = set(body.nodes)
    kept = [i for i in range(last) if i < first or body.inputs[i] in known]
    if len(kept) == last:
        return None
    inputs = [body.inputs[i] for i in kept]
    sequences = sum(first <= i < first + node.attrs["sequences"] for i in kept)
    attrs = {**node.attrs, "body": close(inputs, body.outputs), "sequences": sequences}
    return make(node.op, tuple([node.args[i] for i in kept]), attrs)


stacked = P.item(P.scan(...)).named("rows")
joined = P.reshape(P.item(P.scan(...))).named("rows")
pairs = var("pairs")


@rule(
    P.dot_general(stacked, var("x"), contract=pairs, batch=((), ())),
    P.dot_general(var("x"), stacked, contract=pairs, batch=((), ())),
    P.dot_general(joined, var("x"), contract=pairs, batch=((), ())),
    P.dot_general(var("x"), joined, contract=pairs, batch=((), ())),
)
def product_of_states(node: Node, rows: Node, x: Node, pairs: Pair) -> Node | None:
    """A sum over steps of states before them, 0 at first, is one over states after all but one"""
    states = rows.args[0] if rows.op is reshape else rows
    after, side = _states_after(states), int(node.args[0] is not rows)
    other = dict(zip(pairs[side], pairs[1 - side], strict=True)).get(0)
    if after is None or other is None or node.args[1 - side] is rows:
        return None
    steps = states.tensor.static[0]
    each = rows.tensor.static[0] // steps  # rows of a step
    if rows.shape != (steps * each, *states.shape[1 + (each > 1) :]):
        return None
    backwards = states.args[0].attrs["reverse"]
    operands = [
        _shorter(reshape(after, shape=rows.shape), 0, each, first=backwards),
        _shorter(x, other, each, first=not backwards),
    ]
    return make(node.op, tuple(operands if side == 0 else operands[::-1]), node.attrs)


def _states_after(states: Node) -> Node | None:
    """For the rows of a carry before each step of a loop those after it, if it is 0 at first."""
    loop, index = states.args[0], states.attrs["index"]
    body, count = loop.attrs["body"], loop.attrs["carries"]
    if index < count or body.outputs[index] not in body.inputs[:count]:
        return None
    carry = body.inputs.index(body.outputs[index])
    start, new = loop.args[carry], body.outputs[carry]
    if scalar_of(start) is None or number_of(start) != 0 or new not in body.outputs[count:]:
        return None
    return loop.items[body.outputs.index(new, count)]


def _shorter(x: Node, axis: int, rows: int, *, first: bool) -> Node:
    """`x` without its first `rows` along an axis, or without its last."""
    start, limit = [0] * len(x.shape), list(x.shape)
    start[axis] += rows if first else 0
    limit[axis] -= 0 if first else rows
    return slice(x, start=tuple(start), limit=tuple(limit), strides=(1,) * len(x.shape))


RULES = (
    branch_known,
    branches_alike,
    while_never,
    scan_of_nothing,
    scan_once,
    scan_unread,
    product_of_states,
)
