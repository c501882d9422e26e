"""Control flow: what `If`, `While` and `Scan` mean, compiled and on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from anode.errors import BackendError, GraphError, ShapeError, UnsupportedOp
from anode.frontends.tensorflow.control import Body
from anode.frontends.tensorflow.core import Operation
from anode.frontends.tensorflow.opdef import REQUIRED, NotStatic, host_kernel, op
from anode.frontends.tensorflow.trace import NotKnown, NotTraced, Trace
from anode.ir.node import CONSTANT, INPUT, READ, Node, constant, constant_value, topological

MOST_TRIPS = 1 << 20  # of a loop that is followed on constants while it is traced


@op("Const0", " -> int32", shape="scalar")
def _() -> Node:
    return constant(0)


@op("_Arg", " -> T", stateful=True, shape="unknown")
def _() -> Node:
    raise GraphError("an argument of a body is used outside of it")


def _enter(trace: Trace, body: Body, values: Sequence[Node]) -> list[Node]:
    """The body's outputs on `values`, and the values of the variables that it assigns."""
    for tensor, node in zip(body.inputs, values, strict=True):
        trace.values[tensor] = trace.mark(node) if tensor in trace.marked else node
    trace.depth += 1
    try:
        trace.run([op for op in body.ops() if op.type != "_Arg"])
    finally:
        trace.depth -= 1
    return [trace.value(t) for t in body.outputs]


@contextmanager
def _scope(trace: Trace) -> Iterator[None]:
    """Assignments made inside do not reach the outside by themselves."""
    before = dict(trace.current)
    try:
        yield
    finally:
        trace.current = before


@op(
    "If",
    "cond:bool input:[Tin] -> [Tout]",
    then_branch=REQUIRED,
    else_branch=REQUIRED,
    shape="unknown",
)
def _(
    pred: Node, inputs: list[Node], *, then_branch: Body, else_branch: Body, trace: Trace
) -> list[Node]:
    from anode import ops

    known = constant_value(pred)
    if known is not None:
        return _enter(trace, then_branch if known else else_branch, [])
    written = list(dict.fromkeys([*then_branch.written(), *else_branch.written()]))
    for variable in written:
        trace.read(variable)

    def branch(body: Body) -> Callable[[], tuple[Node, ...]]:
        def run() -> tuple[Node, ...]:
            since = len(trace.definitions)
            with _scope(trace):
                results = _enter(trace, body, [])
                results += [trace.read(variable) for variable in written]
                return tuple(trace.resolved(results, since))

        return run

    if not then_branch.outputs and not written:
        return []
    if pred in trace.entries:  # it is fed: each of its two values has a graph of its own
        raise NotStatic(pred)
    try:
        found = ops.cond(pred, branch(then_branch), branch(else_branch))
    except (ShapeError, GraphError):  # the branches differ in shape: one of them is chosen first
        raise NotStatic(pred) from None
    count = len(then_branch.outputs)
    for variable, node in zip(written, found[count:], strict=True):
        trace.write(variable, node)
    return list(found[:count])


@op(
    "While",
    "input:[T] -> [output_types]",
    cond=REQUIRED,
    body=REQUIRED,
    N=REQUIRED,
    limited=False,
    shape="unknown",
)
def _(
    inputs: list[Node],
    *,
    cond: Body,
    body: Body,
    N: int,
    limited: bool,
    trace: Trace,
    op: Operation,
) -> list[Node]:
    from anode import ops

    written = body.written()
    carry = [*inputs[:N], constant(0), *[trace.read(variable) for variable in written]]
    limit = inputs[N] if limited else None

    def entered(target: Body, xs: Sequence[Node]) -> list[Node]:
        since = len(trace.definitions)
        trace.folds.append(xs[N])
        try:
            with _scope(trace):
                trace.current.update(zip(written, xs[N + 1 :], strict=True))
                results = _enter(trace, target, list(xs[:N]))
                if target is body:
                    results += [xs[N] + 1, *[trace.read(variable) for variable in written]]
                return trace.resolved(results, since)
        finally:
            trace.folds.pop()

    def test(*xs: Node) -> Node:
        (holds,) = entered(cond, xs)
        return holds if limit is None else holds & (xs[N] < limit)

    def step(*xs: Node) -> tuple[Node, ...]:
        return tuple(entered(body, xs))

    if op in trace.unrolled:
        return _unrolled(trace, op, body, inputs[:N], written)
    try:
        carry = _with_items(step, carry)
        trips = _trips(trace, op, test, step, carry) if op in trace.differentiated else None
        found = ops.while_loop(test, step, tuple(carry), max_trips=trips)
    except NotKnown as error:
        if cond.within(error.tensor.op) or body.within(error.tensor.op):  # new in each iteration
            raise NotTraced(op, f"{error.tensor.name} decides about a shape") from None
        raise
    except (ShapeError, GraphError) as error:
        raise NotTraced(op, str(error)) from None
    for variable, node in zip(written, found[N + 1 :], strict=True):
        trace.write(variable, node)
    return list(found[: N + 1])


def _unrolled(
    trace: Trace, op: Operation, body: Body, carry: list[Node], written: Sequence[Operation]
) -> list[Node]:
    """The iterations of a loop that ran on the host one after the other, for its derivative."""
    known = trace.values.get(op.outputs[-1])
    if known is None or known.op is not CONSTANT:
        raise NotKnown(op.outputs[-1])
    trips = int(constant_value(known))  # type: ignore[arg-type]
    if written:
        raise UnsupportedOp(
            f"the derivative through {op.name}, a loop that assigns a variable while sizes change, "
            f"is not implemented by anode ({op.origin})"
        )
    for _ in range(trips):
        carry = _enter(trace, body, carry)
    return [*carry, constant(trips)]


def _with_items(step: Callable[..., Sequence[Node]], carry: Sequence[Node]) -> list[Node]:
    """The carry, where lists of tensors of no known shape have the shape that the body gives."""
    from anode import ops
    from anode.frontends.tensorflow.table.tensor_list import unknown
    from anode.ir.graph import fresh_inputs

    if not any(unknown(node.tensor) for node in carry):
        return list(carry)
    given = step(*fresh_inputs(*(node.type for node in carry)))
    return [
        ops.zeros(new.tensor.static, new.dtype) if unknown(old.tensor) else old
        for old, new in zip(carry, given, strict=True)
    ]


def _trips(
    trace: Trace,
    op: Operation,
    test: Callable[..., Node],
    step: Callable[..., Any],
    carry: list[Node],
) -> int:
    """How often a loop that is differentiated runs: known from constants, or from a run before."""
    known = trace.values.get(op.outputs[-1])
    if known is not None and known.op is CONSTANT:
        return int(constant_value(known))  # type: ignore[arg-type]
    found = counted_trips(test, step, carry)
    if found is None:
        raise NotKnown(op.outputs[-1])
    return found


def counted_trips(
    test: Callable[..., Node], step: Callable[..., Sequence[Node]], carry: Sequence[Node]
) -> int | None:
    """The number of iterations of a loop whose condition follows from constants, else None."""
    from anode.ir.graph import close, fresh_inputs
    from anode.ops.evaluate import evaluate

    inputs = fresh_inputs(*(node.type for node in carry))
    condition, results = test(*inputs), step(*inputs)
    needed = _influencing(inputs, condition, results)
    if needed is None or any(carry[i].op is not CONSTANT for i in needed):
        return None
    own = [inputs[i] for i in needed]
    holds, after = close(own, [condition]), close(own, [results[i] for i in needed])
    values: Sequence[Any] = [constant_value(carry[i]) for i in needed]
    trips = 0
    while evaluate(holds, values)[0][0]:
        values = evaluate(after, values)[0]
        trips += 1
        if trips > MOST_TRIPS:
            raise BackendError(f"a loop that is differentiated runs more than {MOST_TRIPS} times")
    return trips


def _influencing(
    inputs: Sequence[Node], condition: Node, results: Sequence[Node]
) -> list[int] | None:
    """The carried values that the condition depends on, over any number of iterations.

    None where it depends on something from outside of the loop too.
    """
    needed: list[int] = []
    roots = [condition]
    while True:
        leaves = [node for node in topological(roots) if node.op in (INPUT, READ)]
        if any(leaf not in inputs for leaf in leaves):
            return None
        found = sorted(inputs.index(leaf) for leaf in leaves)
        if found == needed:
            return needed
        needed = found
        roots = [condition, *(results[i] for i in needed)]


@op(
    "Scan",
    "input:[T] -> [Tout]",
    body=REQUIRED,
    carries=REQUIRED,
    sequences=REQUIRED,
    counted=False,
    reverse=False,
    shape="unknown",
)
def _(
    inputs: list[Node],
    *,
    body: Body,
    carries: int,
    sequences: int,
    counted: bool,
    reverse: bool,
    trace: Trace,
    op: Operation,
) -> list[Node]:
    from anode import ops
    from anode.frontends.tensorflow.opdef import static
    from anode.ir.graph import fresh_inputs

    given = carries + sequences
    length = int(static(inputs[given])) if counted else inputs[carries].tensor.static[0]
    written = body.written()
    init = [*inputs[:carries], *[trace.read(variable) for variable in written]]
    indices = ops.iota(shape=(length,), dtype="i32", axis=0)

    def step(carry: tuple[Node, ...], xs: tuple[Node, ...]) -> Any:
        since = len(trace.definitions)
        trace.folds.append(xs[-1])
        try:
            with _scope(trace):
                trace.current.update(zip(written, carry[carries:], strict=True))
                results = _enter(trace, body, [*carry[:carries], *xs[:-1]])
                after = [trace.read(variable) for variable in written]
                results = trace.resolved([*results, *after], since)
        finally:
            trace.folds.pop()
        count = len(results) - len(written)
        return (*results[:carries], *results[count:]), tuple(results[carries:count])

    def after(*carry: Node) -> Sequence[Node]:
        rows = [x.tensor.with_shape(x.tensor.shape[1:]) for x in (*inputs[carries:given], indices)]
        return step(carry, tuple(fresh_inputs(*rows)))[0]

    if not length:
        return _no_steps(trace, body, inputs, carries, sequences)
    try:
        init = _with_items(after, init)
        last, ys = ops.scan(step, tuple(init), (*inputs[carries:given], indices), length, reverse)
    except (ShapeError, GraphError) as error:
        raise NotTraced(op, str(error)) from None
    for variable, node in zip(written, last[carries:], strict=True):
        trace.write(variable, node)
    return [*last[:carries], *ys]


def _no_steps(
    trace: Trace, body: Body, inputs: list[Node], carries: int, sequences: int
) -> list[Node]:
    """A scan over nothing: the carry as it was, and empty results."""
    from anode import ops
    from anode.ir.graph import fresh_inputs

    rows = [x.tensor.with_shape(x.tensor.shape[1:]) for x in inputs[carries : carries + sequences]]
    with _scope(trace):
        results = _enter(trace, body, [*inputs[:carries], *fresh_inputs(*rows)])
    empty = [ops.zeros(shape=(0, *y.tensor.static), dtype=y.dtype) for y in results[carries:]]
    return [*inputs[:carries], *empty]


# on the host: bodies as plans of their own, with what they capture fed


def _plan(run: Any, body: Body, name: str) -> Any:
    from anode.frontends.tensorflow.plan import Plan

    plans = run.op.__dict__.setdefault("_plans", {})
    if name not in plans:
        feeds = [*body.inputs, *_given(body)]
        plans[name] = Plan(run.op.graph, body.outputs, body.waits(), feeds)
    return plans[name]


def _given(body: Body) -> list[Any]:
    """The captured tensors that are values: not variables, nor constants."""
    from anode.frontends.tensorflow.trace import variable_of

    return [t for t in body.captures() if variable_of(t) is None and t.op.type != "Const"]


def _captured(run: Any, inputs: Sequence[Any], first: int, body: Body) -> list[Any]:
    by_tensor = dict(zip(run.op.inputs[first:], inputs, strict=True))
    return [by_tensor[t] for t in _given(body)]


@host_kernel("If")
def _(cond: Any, inputs: list[Any], *, then_branch: Body, else_branch: Body, run: Any) -> list[Any]:
    body, name = (then_branch, "then") if cond else (else_branch, "else")
    plan = _plan(run, body, name)
    return list(plan.run(run.session, _captured(run, inputs, 1, body)))


@host_kernel("While")
def _(inputs: list[Any], *, cond: Body, body: Body, N: int, limited: bool, run: Any) -> list[Any]:
    test, step = _plan(run, cond, "cond"), _plan(run, body, "body")
    rest = inputs[N + limited :]
    outside = [_captured(run, rest, N + limited, part) for part in (cond, body)]
    limit = int(inputs[N]) if limited else None
    carry, trips = list(inputs[:N]), 0
    while trips != limit and test.run(run.session, [*carry, *outside[0]])[0]:
        carry = step.run(run.session, [*carry, *outside[1]])
        trips += 1
    return [*carry, np.int32(trips)]


@host_kernel("Scan")
def _(
    inputs: list[Any],
    *,
    body: Body,
    carries: int,
    sequences: int,
    counted: bool,
    reverse: bool,
    run: Any,
) -> list[Any]:
    given = carries + sequences
    length = int(inputs[given]) if counted else len(inputs[carries])
    step = _plan(run, body, "body")
    outside = _captured(run, inputs[given + counted :], given + counted, body)
    carry, rows = list(inputs[:carries]), []
    for i in reversed(range(length)) if reverse else range(length):
        slices = [x[i, ...] for x in inputs[carries:given]]
        results = step.run(run.session, [*carry, *slices, *outside])
        carry = results[:carries]
        rows.append(results[carries:])
    return [*carry, *_stacked(run.op, carries, rows[::-1] if reverse else rows)]


def _stacked(op: Operation, carries: int, rows: Sequence[Sequence[Any]]) -> list[Any]:
    found = []
    for i, tensor in enumerate(op.outputs[carries:]):
        column = [row[i] for row in rows]
        dtype = tensor.dtype.as_numpy_dtype
        found.append(np.stack(column) if column else np.zeros((0,), dtype))
    return found
