"""Control flow: closed graphs chosen or repeated, and the same over Python functions.

The ops `COND`, `WHILE` and `SCAN` take everything their graphs use as operands. The functions
`cond`, `switch`, `while_loop`, `scan`, `fori_loop` and `map_` trace Python functions, which may use
values from outside: those become operands too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode.errors import GraphError
from anode.ir.dtypes import bool_, i32
from anode.ir.graph import Graph, close, fresh_inputs, trace_lifting
from anode.ir.node import Node, constant
from anode.ir.types import Size, TensorType, TupleType, Type
from anode.ops import elementwise as ew
from anode.ops.declare import Primitive
from anode.ops.evaluate import evaluate
from anode.ops.rules import mismatch
from anode.ops.shape import iota

Function = Callable[..., Any]
Nodes = tuple[Node, ...]


def _cond(index: TensorType, *operands: Type, branches: tuple[Graph, ...]) -> Type:
    """The results of branch `index` on the operands; no other branch runs.

    A bool chooses the second branch if true. An i32 outside chooses the last. Source: StableHLO.
    """
    if not isinstance(index, TensorType) or index.shape or index.dtype not in (bool_, i32):
        raise mismatch("cond", "the index is a bool or i32 scalar", [index])
    if not branches or (index.dtype is bool_ and len(branches) != 2):
        raise mismatch("cond", f"{len(branches)} branches for an index of {index.dtype}")
    types = tuple(output.type for output in branches[0].outputs)
    for i, branch in enumerate(branches):
        _check_graph("cond", f"branch {i}", branch, operands, types)
    return _packed("cond", types)


COND = Primitive(_cond, "cond")


@COND.evaluate
def _(index: np.ndarray, *operands: Any, branches: tuple[Graph, ...]) -> Any:
    chosen = int(index) if 0 <= int(index) < len(branches) else -1
    return _result(evaluate(branches[chosen], operands)[0])


def _while(
    *operands: Type, cond: Graph, body: Graph, carries: int, max_trips: int | None = None
) -> Type:
    """The carry after repeating `body` as long as `cond` holds, and at most `max_trips` times.

    Operands are the `carries` values that change, then constants; `cond` gives a bool scalar and
    `body` the new carry.
    """
    carry = operands[:carries]
    if not 0 < carries <= len(operands) or (max_trips is not None and max_trips < 0):
        raise mismatch("while", f"{carries} carried values, {max_trips} trips", operands)
    _check_graph("while", "cond", cond, operands, (TensorType(bool_, ()),))
    _check_graph("while", "body", body, operands, carry)
    return _packed("while", carry)


WHILE = Primitive(_while, "while")


@WHILE.evaluate
def _(*operands: Any, cond: Graph, body: Graph, carries: int, max_trips: int | None) -> Any:
    carry, constants, trips = operands[:carries], operands[carries:], 0
    while trips != max_trips and bool(evaluate(cond, (*carry, *constants))[0][0]):
        carry = evaluate(body, (*carry, *constants))[0]
        trips += 1
    return _result(carry)


def _scan(
    *operands: Type, body: Graph, carries: int, sequences: int, length: Size, reverse: bool = False
) -> Type:
    """Run `body` once for each index of the sequences, from the last if `reverse`.

    Operands are the carry, then sequences with a leading dim of `length`, then constants; `body`
    maps the carry, one slice of each sequence and the constants to the new carry and to slices
    of results. Gives the last carry, then the results with a leading dim of `length`.
    """
    if min(carries, sequences) < 0 or carries + sequences > len(operands):
        raise mismatch("scan", f"{carries} carried values and {sequences} sequences", operands)
    slices = tuple(_row(x, length) for x in operands[carries : carries + sequences])
    carry, constants = operands[:carries], operands[carries + sequences :]
    _check_graph("scan", "body", body, (*carry, *slices, *constants), carry)
    rows = [output.tensor for output in body.outputs[carries:]]
    return _packed("scan", (*carry, *[row.with_shape((length, *row.shape)) for row in rows]))


SCAN = Primitive(_scan, "scan")


@SCAN.evaluate
def _(*operands: Any, body: Graph, carries: int, sequences: int, length: int, reverse: bool) -> Any:
    carry, constants = operands[:carries], operands[carries + sequences :]
    rows = [output.tensor for output in body.outputs[carries:]]
    stacked = [np.empty((length, *row.static), row.dtype.numpy) for row in rows]
    for i in reversed(range(length)) if reverse else range(length):
        slices = [x[i, ...] for x in operands[carries : carries + sequences]]
        results, _ = evaluate(body, (*carry, *slices, *constants))
        carry = results[:carries]
        for whole, row in zip(stacked, results[carries:], strict=True):
            whole[i, ...] = row
    return _result((*carry, *stacked))


def _scan_parts(
    *operands: Type,
    body: Graph,
    carries: int,
    sequences: int,
    length: Size,
    reverse: bool = False,
    parts: int,
    split: tuple[bool, ...],
) -> Type:
    """A scan whose steps are independent along the first axis: `parts` scans, side by side.

    `body` computes one part. Carries and rows are split along their first axis, and so is the slice
    of a sequence, or a constant, where `split` says so, one bool for each of these operands.
    """
    slices = tuple(_row(x, length) for x in operands[carries : carries + sequences])
    whole = (*operands[:carries], *slices, *operands[carries + sequences :])
    flags = (*[True] * carries, *split)
    if len(flags) != len(whole):
        raise mismatch("scan_parts", f"{len(split)} flags", operands)
    given = tuple(_part(x, parts) if f else x for x, f in zip(whole, flags, strict=True))
    _check_graph("scan", "body", body, given, given[:carries])
    rows = [output.tensor for output in body.outputs[carries:]]
    joined = [row.with_shape((length, row.shape[0] * parts, *row.shape[1:])) for row in rows]
    return _packed("scan_parts", (*operands[:carries], *joined))


def _part(x: Type, parts: int) -> TensorType:
    if not isinstance(x, TensorType) or not x.shape or x.static[0] % parts:
        raise mismatch("scan_parts", f"an operand that splits into {parts} parts", [x])
    return x.with_shape((x.static[0] // parts, *x.static[1:]))


SCAN_PARTS = Primitive(_scan_parts, "scan_parts")
SCAN_PARTS.differentiable = False  # made by a pass, when derivatives are taken already


@SCAN_PARTS.evaluate
def _(
    *operands: Any,
    body: Graph,
    carries: int,
    sequences: int,
    length: int,
    reverse: bool,
    parts: int,
    split: tuple[bool, ...],
) -> Any:
    attrs = {"body": body, "carries": carries, "sequences": sequences}
    attrs |= {"length": length, "reverse": reverse}
    flags = (*[True] * carries, *split)
    per_part = []
    for part in range(parts):
        own = []
        for i, (x, flag) in enumerate(zip(operands, flags, strict=True)):
            axis = 1 if carries <= i < carries + sequences else 0
            own.append(np.split(x, parts, axis)[part] if flag else x)
        assert SCAN.reference is not None
        results = SCAN.reference(*own, **attrs)
        per_part.append(results if isinstance(results, tuple) else (results,))
    return _result(
        [np.concatenate(xs, int(i >= carries)) for i, xs in enumerate(zip(*per_part, strict=True))]
    )


def _row_parts(*operands: Type, body: Graph, parts: int, split: tuple[bool, ...]) -> Type:
    """Run `body` for one part of the rows after the other: results are joined along axis 0.

    Rows are the first axis of the operands that `split` has a True for; the others are given whole.
    """
    if len(split) != len(operands):
        raise mismatch("row_parts", f"{len(split)} flags", operands)
    given = [_part(x, parts) if flag else x for x, flag in zip(operands, split, strict=True)]
    _check_graph("row_parts", "body", body, given, [output.type for output in body.outputs])
    made = [output.tensor for output in body.outputs]
    return _packed("row_parts", [y.with_shape((y.shape[0] * parts, *y.shape[1:])) for y in made])


ROW_PARTS = Primitive(_row_parts, "row_parts")
ROW_PARTS.differentiable = False  # made by a pass, when derivatives are taken already


@ROW_PARTS.evaluate
def _(*operands: Any, body: Graph, parts: int, split: tuple[bool, ...]) -> Any:
    per_part = []
    for part in range(parts):
        pairs = zip(operands, split, strict=True)
        own = [np.split(x, parts)[part] if flag else x for x, flag in pairs]
        per_part.append(evaluate(body, own)[0])
    return _result([np.concatenate(ys) for ys in zip(*per_part, strict=True)])


def _row(x: Type, length: Size) -> TensorType:
    if not isinstance(x, TensorType) or not x.shape or x.shape[0] != length:
        raise mismatch("scan", f"a sequence needs a leading dim of {length}", [x])
    return x.with_shape(x.shape[1:])


def _check_graph(
    op: str, role: str, graph: Graph, operands: Sequence[Type], results: Sequence[Type]
) -> None:
    """The graph must take the operands and give `results` (of a scan's body: the first of them)."""
    if graph.updates or graph.effects:
        raise GraphError(f"{op}: {role} updates a variable or has an effect; return the new value")
    if graph.types != tuple(operands):
        raise mismatch(op, f"{role} takes {list(graph.types)}", operands)
    given = [output.type for output in graph.outputs]
    if op == "scan":
        given = given[: len(results)]
    if given != list(results):
        raise mismatch(
            op, f"{role} gives {given}, not {list(results)}", (), "convert or reshape its results"
        )


def _packed(op: str, types: Sequence[Type]) -> Type:
    """The type of several results; one result is not a tuple."""
    if not types:
        raise mismatch(op, "has no result", (), "return a value")
    return types[0] if len(types) == 1 else TupleType(tuple(types))


def _result(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


def cond(pred: Node, true: Function, false: Function, *operands: Node) -> Any:
    """`true(*operands)` if the bool scalar `pred` holds, else `false(*operands)`.

    Both return a node or a tuple of nodes, of equal types. What they use from outside is computed
    either way; what they compute themselves only if chosen.
    """
    if pred.type != TensorType(bool_, ()):
        raise mismatch("cond", "the predicate is a bool scalar", [pred.type], "switch takes i32")
    return _choose(pred, (false, true), operands)


def switch(index: Node, branches: Sequence[Function], *operands: Node) -> Any:
    """`branches[index](*operands)` for an i32 scalar; one outside chooses the last branch."""
    if index.type != TensorType(i32, ()):
        raise mismatch("switch", "the index is an i32 scalar", [index.type])
    return _choose(index, branches, operands)


def _choose(index: Node, branches: Sequence[Function], operands: Nodes) -> Any:
    structure = _Structure()
    traced = [structure.of(branch) for branch in branches]
    graphs, captured = _lifted(traced, [x.type for x in operands], hoist=False)
    node = COND(index, *operands, *captured, branches=graphs)
    return structure.restore(node.items)


def while_loop(cond: Function, body: Function, init: Any, max_trips: int | None = None) -> Any:
    """Repeat `carry = body(*carry)` while `cond(*carry)`, at most `max_trips` times.

    `init` is a node or a tuple of nodes; the result is alike. Only a loop with `max_trips` can be
    differentiated.
    """
    carry = _flat(init)
    graphs, captured = _lifted(
        (cond, lambda *xs: _flat(body(*xs))), [x.type for x in carry], hoist=True
    )
    node = WHILE(
        *carry, *captured, cond=graphs[0], body=graphs[1], carries=len(carry), max_trips=max_trips
    )
    return _like(init, node.items)


def scan(
    fn: Function, init: Any, xs: Any = None, length: Size | None = None, reverse: bool = False
) -> tuple[Any, Any]:
    """Fold `carry, y = fn(carry, x)` over the leading dim of `xs`; gives the carry and all `y`.

    `init`, `xs` and `y` are each a node, a tuple of nodes or None. `length` is needed without `xs`.
    With `reverse` the last slice comes first; `y` stays in the order of `xs`.
    """
    carry, sequences = _flat(init), _flat(xs)
    if length is None:
        if not sequences or not sequences[0].shape:
            raise mismatch("scan", "needs a sequence or a length")
        length = sequences[0].shape[0]
    structure, n = _Structure(), len(carry)

    def step(*values: Node) -> Nodes:
        new, y = fn(_like(init, values[:n]), _like(xs, values[n:]))
        return (*_flat(new), *structure.record(y))

    slices = [_row(x.type, length) for x in sequences]
    (body,), captured = _lifted([step], [*[x.type for x in carry], *slices], hoist=True)
    node = SCAN(
        *(*carry, *sequences, *captured),
        body=body,
        carries=n,
        sequences=len(sequences),
        length=length,
        reverse=reverse,
    )
    return _like(init, node.items[:n]), structure.restore(node.items[n:])


def fori_loop(lower: int | Node, upper: int | Node, body: Function, init: Any) -> Any:
    """Repeat `carry = body(i, carry)` for i (i32) from `lower` below `upper`.

    With bounds known in Python it is a scan, which can be differentiated; else a while.
    """
    if isinstance(lower, int) and isinstance(upper, int):
        steps = iota(shape=(max(upper - lower, 0),), dtype=i32) + lower
        return scan(lambda carry, i: (body(i, carry), None), init, steps)[0]
    start = lower if isinstance(lower, Node) else constant(lower)
    _, *final = while_loop(
        lambda i, *carry: ew.less(i, upper),
        lambda i, *carry: (i + 1, *_flat(body(i, _like(init, carry)))),
        (start, *_flat(init)),
    )
    return _like(init, final)


def map_(fn: Function, xs: Any) -> Any:
    """`fn` of each slice along the leading dim of `xs`, stacked."""
    return scan(lambda carry, x: (None, fn(x)), None, xs)[1]


class _Structure:
    """Whether a traced function returned None, one node or a tuple: results come back alike."""

    def __init__(self) -> None:
        self.example: Any = None

    def of(self, function: Function) -> Function:
        return lambda *xs: self.record(function(*xs))

    def record(self, value: Any) -> Nodes:
        self.example = value
        return _flat(value)

    def restore(self, nodes: Sequence[Node]) -> Any:
        return _like(self.example, nodes)


def _flat(value: Any) -> Nodes:
    if value is None:
        return ()
    listed = value if isinstance(value, (tuple, list)) else [value]
    return tuple(x if isinstance(x, Node) else constant(x) for x in listed)


def _like(example: Any, nodes: Sequence[Node]) -> Any:
    if example is None:
        return None
    return tuple(nodes) if isinstance(example, (tuple, list)) else nodes[0]


def _lifted(
    functions: Sequence[Function], types: Sequence[Type], *, hoist: bool
) -> tuple[tuple[Graph, ...], Nodes]:
    """The closed graphs of functions, all taking the values that any of them captures."""
    traced = [trace_lifting(function, types, hoist=hoist) for function in functions]
    captured = tuple(dict.fromkeys(node for _, nodes in traced for node in nodes))
    graphs = [_taking(graph, nodes, captured) for graph, nodes in traced]
    return tuple(graphs), captured


def _taking(graph: Graph, own: Nodes, captured: Nodes) -> Graph:
    """`graph`, whose last inputs stand for `own`, with inputs for all of `captured` instead."""
    first = len(graph.types) - len(own)
    inputs = fresh_inputs(*graph.types[:first], *[node.type for node in captured])
    place = dict(zip(captured, inputs[first:], strict=True))
    return close(inputs, graph.inline(*inputs[:first], *[place[node] for node in own]))
