"""Control flow and gradients: ops whose meaning is other operations of the graph.

`If`, `While` and `Scan` hold bodies: operations of the same graph that run only inside. A tensor
from outside that a body uses is an input of the op too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from anode.errors import BackendError, GraphError, ShapeError
from anode.frontends.tensorflow.core import Graph, Operation, Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import DType, int32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, create, name_scope
from anode.frontends.tensorflow.opdef import REQUIRED, NotStatic, find, op
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.frontends.tensorflow.trace import NotTraced, Trace, variable_of
from anode.ir.node import CONSTANT, INPUT, READ, Node, constant, constant_value, topological
from anode.ir.types import TensorType

MOST_TRIPS = 1 << 20  # of a loop that is followed on constants while it is traced


@dataclass(eq=False)
class Body:
    """Operations that run together inside control flow: from `inputs` to `outputs`.

    `parent` is the body around it, None at the top of the graph.
    """

    parent: Body | None
    inputs: list[Tensor]
    outputs: list[Tensor]

    def within(self, op: Operation) -> bool:
        context = op._context
        while context is not None and context is not self:
            context = context.parent
        return context is self

    def ops(self) -> list[Operation]:
        """What a run of the body runs, in the order of creation."""
        seen: dict[Operation, None] = {}
        stack = [t.op for t in self.outputs]
        while stack:
            op = stack.pop()
            if op in seen or not self.within(op):
                continue
            seen[op] = None
            stack += [t.op for t in op.inputs] + op.control_inputs
        return sorted(seen, key=lambda op: op._id)

    def captures(self) -> list[Tensor]:
        """The tensors from outside that the body reads."""
        found: dict[Tensor, None] = {}
        for op in self.ops():
            found.update((t, None) for t in op.inputs if not self.within(t.op))
        found.update((t, None) for t in self.outputs if not self.within(t.op))
        return list(found)

    def waits(self) -> list[Operation]:
        """The operations outside that the body must wait for."""
        found = [c for op in self.ops() for c in op.control_inputs if not self.within(c)]
        return list(dict.fromkeys(found))

    def written(self) -> list[Operation]:
        """The variables that the body assigns."""
        found: dict[Operation, None] = {}
        for op in self.ops():
            for name in BODIES:
                if isinstance(op._attrs.get(name), Body):
                    found.update((v, None) for v in op._attrs[name].written())
            if writes(op):
                for tensor in references(op):
                    variable = variable_of(tensor)
                    if variable is not None:
                        found[variable] = None
        return list(found)


BODIES = ("then_branch", "else_branch", "cond", "body", "branches")
READERS = frozenset(
    {"IsVariableInitialized", "VarIsInitializedOp", "ReadVariableOp", "VariableShape", "SaveV2"}
    | {"ResourceGather", "RefIdentity", "Save", "SaveSlices", "DestroyResourceOp"}
)


def bodies_of(op: Operation) -> list[Body]:
    """The bodies that an operation holds."""
    found: list[Body] = []
    for name in BODIES:
        value = op._attrs.get(name)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, Body):
                found.append(item)
    return found


def references(op: Operation) -> list[Tensor]:
    """The inputs that are references to variables."""
    args = op._definition.inputs
    if any(arg.count is not None or arg.several for arg in args):
        return [t for t in op.inputs if t.dtype._is_ref_dtype]
    return [
        tensor
        for arg, tensor in zip(args, op.inputs, strict=True)
        if arg.ref or tensor.dtype.name == "resource"
    ]


def writes(op: Operation) -> bool:
    """Whether an operation assigns the variables it refers to."""
    return op.type not in READERS and bool(references(op))


@contextmanager
def _inside(graph: Graph, body: Body) -> Iterator[None]:
    before, control = graph._context, graph._control
    graph._context, graph._control = body, []
    try:
        yield
    finally:
        graph._context, graph._control = before, control


def traced_body(
    function: Callable[..., Any], specs: Sequence[tuple[DType, Any]] = ()
) -> tuple[Body, Any]:
    """The operations that `function` makes of placeholders, one for each (dtype, shape).

    The function returns a list of tensors or operations; the body's outputs are these, an operation
    stands as an empty one that waits for it. Gives the body and what the function returned.
    """
    graph = get_default_graph()
    body = Body(graph._context, [], [])
    with _inside(graph, body):
        for dtype, shape in specs:
            argument = create(find("_Arg"), [], {"T": dtype}, "Arg", [dtype]).outputs[0]
            argument._shape = TensorShape(shape)
            body.inputs.append(argument)
        returned = function(*body.inputs)
        body.outputs = [_output(graph, body, value) for value in returned]
    return body, returned


def _output(graph: Graph, body: Body, value: Any) -> Tensor:
    if isinstance(value, Operation):
        with graph.control_dependencies([value]):
            tensor: Tensor = apply("Const0", name="done")
            return tensor
    tensor = convert_to_tensor(value)
    if body.within(tensor.op) and not variable_of(tensor):
        return tensor
    copied: Tensor = apply("Identity", tensor)
    return copied


@op("Const0", " -> int32", shape="scalar")
def _() -> Node:
    return constant(0)


@op("_Arg", " -> T", stateful=True, shape="unknown")
def _() -> Node:
    raise GraphError("an argument of a body is used outside of it")


def _external(bodies: Iterable[Body]) -> tuple[list[Tensor], list[Operation]]:
    captures = dict.fromkeys(t for body in bodies for t in body.captures())
    waits = dict.fromkeys(op for body in bodies for op in body.waits())
    return list(captures), list(waits)


def cond_op(
    pred: Tensor,
    true_fn: Callable[[], Sequence[Any]],
    false_fn: Callable[[], Sequence[Any]],
    name: str = "cond",
) -> list[Tensor]:
    """The tensors of one of two functions, chosen by a bool scalar; only that one runs.

    Both return lists of equal lengths and dtypes of tensors (or operations, whose result is an
    empty tensor to fetch).
    """
    then_branch, _ = traced_body(true_fn)
    else_branch, _ = traced_body(false_fn)
    branches = (then_branch, else_branch)
    dtypes = [[t.dtype.base_dtype for t in body.outputs] for body in branches]
    if dtypes[0] != dtypes[1]:
        raise TypeError(
            f"cond: the branches return different types: {dtypes[0]} and {dtypes[1]}"
        )
    captures, waits = _external(branches)
    attrs = {"then_branch": then_branch, "else_branch": else_branch, "Tin": [t.dtype for t in captures]}
    attrs["Tout"] = dtypes[0]
    chosen = create(find("If"), [pred, *captures], attrs, name, dtypes[0], waits)
    for tensor, x, y in zip(chosen.outputs, then_branch.outputs, else_branch.outputs, strict=True):
        tensor._shape = common_shape(x.shape, y.shape)
    return list(chosen.outputs)


def case_op(
    index: Tensor, functions: Sequence[Callable[[], Sequence[Any]]], name: str = "switch_case"
) -> list[Tensor]:
    """The tensors of function `index`, an int32 scalar; one outside chooses the last."""
    last = len(functions) - 1
    if not last:
        return [convert_to_tensor(t) for t in functions[0]()]

    def rest() -> Sequence[Any]:
        return case_op(index - 1, functions[1:], name)

    return cond_op(apply("Equal", index, 0), functions[0], rest, name)


def common_shape(x: TensorShape, y: TensorShape) -> TensorShape:
    """What two shapes agree on."""
    if x.ndims is None or x.ndims != y.ndims:
        return TensorShape(None)
    return TensorShape(
        [a if a == b else None for a, b in zip(x.as_list(), y.as_list(), strict=True)]
    )


def while_op(
    cond: Callable[..., Any],
    body: Callable[..., Sequence[Any]],
    loop_vars: Sequence[Any],
    shape_invariants: Sequence[Any] | None = None,
    maximum_iterations: Any = None,
    name: str = "while",
) -> list[Tensor]:
    """Repeat `body` on the loop variables, a flat list, as long as `cond` gives true.

    A loop variable whose shape changes needs a shape invariant; such a loop runs on the host.
    """
    initial = [convert_to_tensor(value) for value in loop_vars]
    shapes = [t.shape for t in initial] if shape_invariants is None else list(shape_invariants)
    specs = [(t.dtype.base_dtype, s) for t, s in zip(initial, shapes, strict=True)]
    test, _ = traced_body(lambda *xs: [cond(*xs)], specs)
    step, _ = traced_body(body, specs)
    if len(step.outputs) != len(initial):
        raise ValueError(
            f"while_loop: the body returns {len(step.outputs)} values for {len(initial)} loop "
            "variables"
        )
    for given, new in zip(initial, step.outputs, strict=True):
        if given.dtype.base_dtype != new.dtype.base_dtype:
            raise TypeError(
                f"while_loop: {given.name} is {given.dtype.base_dtype.name}, but the body returns "
                f"{new.dtype.base_dtype.name} for it"
            )
        if shape_invariants is None and not given.shape.is_compatible_with(new.shape):
            raise ValueError(
                f"The shape for {given.name} is not an invariant for the loop. It enters the loop "
                f"with shape {given.shape}, but has shape {new.shape} after one iteration. Provide "
                "shape invariants using either the `shape_invariants` argument of tf.while_loop or "
                "set_shape() on the loop variables."
            )
    limit = [] if maximum_iterations is None else [convert_to_tensor(maximum_iterations, int32)]
    captures, waits = _external([test, step])
    types = [t.dtype.base_dtype for t in initial]
    attrs = {"cond": test, "body": step, "N": len(initial), "limited": bool(limit)}
    attrs["T"] = [t.dtype for t in (*initial, *limit, *captures)]
    attrs["output_types"] = [*types, int32]
    loop = create(
        find("While"), [*initial, *limit, *captures], attrs, name, [*types, int32], waits
    )
    for tensor, shape in zip(loop.outputs, [*shapes, []], strict=True):
        tensor._shape = TensorShape(shape)
    return list(loop.outputs[:-1])


def scan_op(
    fn: Callable[..., tuple[Sequence[Any], Sequence[Any]]],
    init: Sequence[Any],
    xs: Sequence[Any],
    length: Any = None,
    reverse: bool = False,
    name: str = "scan",
) -> tuple[list[Tensor], list[Tensor]]:
    """Fold `carry, ys = fn(carry, x)` over the leading dim of `xs`; gives the carry and all `ys`.

    All are flat lists of tensors; `fn` takes the carry and one slice of each of `xs`, two lists.
    The carry keeps its shape. `length`, a number or an integer tensor, is needed without `xs`.
    """
    initial = [convert_to_tensor(value) for value in init]
    sequences = [convert_to_tensor(value) for value in xs]
    counted = [] if length is None else [convert_to_tensor(length, int32)]
    specs = [(t.dtype.base_dtype, t.shape) for t in initial]
    specs += [(t.dtype.base_dtype, t.shape[1:] if t.shape.ndims else None) for t in sequences]

    def flat(*args: Tensor) -> list[Any]:
        carry, ys = fn(list(args[: len(initial)]), list(args[len(initial) :]))
        return [*carry, *ys]

    body, _ = traced_body(flat, specs)
    captures, waits = _external([body])
    types = [t.dtype.base_dtype for t in body.outputs]
    attrs = {"body": body, "carries": len(initial), "sequences": len(sequences)}
    attrs |= {"counted": bool(counted), "reverse": reverse, "Tout": types}
    attrs["T"] = [t.dtype for t in (*initial, *sequences, *counted, *captures)]
    op = create(
        find("Scan"), [*initial, *sequences, *counted, *captures], attrs, name, types, waits
    )
    steps = sequences[0].shape[0] if sequences and sequences[0].shape.ndims else None
    for i, (tensor, inner) in enumerate(zip(op.outputs, body.outputs, strict=True)):
        if i < len(initial):
            tensor._shape = initial[i].shape
        elif inner.shape.ndims is not None:
            tensor._shape = TensorShape([steps]).concatenate(inner.shape)
    return list(op.outputs[: len(initial)]), list(op.outputs[len(initial) :])


# lowerings


def _enter(trace: Trace, body: Body, values: Sequence[Node]) -> list[Node]:
    """The body's outputs on `values`, and the values of the variables that it assigns."""
    for tensor, node in zip(body.inputs, values, strict=True):
        trace.values[tensor] = trace.mark(node) if tensor in trace.marked else node
    trace.run([op for op in body.ops() if op.type != "_Arg"])
    return [trace.value(t) for t in body.outputs]


@contextmanager
def _scope(trace: Trace) -> Iterator[None]:
    """Assignments made inside do not reach the outside by themselves."""
    before = dict(trace.current)
    try:
        yield
    finally:
        trace.current = before


@op("If", "cond:bool input:[Tin] -> [Tout]", then_branch=REQUIRED, else_branch=REQUIRED, shape="unknown")
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
    inputs: list[Node], *, cond: Body, body: Body, N: int, limited: bool, trace: Trace, op: Operation
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

    carry = _with_items(step, carry)
    trips = _trips(trace, op, test, step, carry) if op in trace.differentiated else None
    try:
        found = ops.while_loop(test, step, tuple(carry), max_trips=trips)
    except (ShapeError, GraphError) as error:
        raise NotTraced(op, str(error)) from None
    for variable, node in zip(written, found[N + 1 :], strict=True):
        trace.write(variable, node)
    return list(found[: N + 1])


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
    trace: Trace, op: Operation, test: Callable[..., Node], step: Callable[..., Any], carry: list[Node]
) -> int:
    """How often a loop that is differentiated runs: known from constants, or from a run before."""
    from anode.frontends.tensorflow.trace import NotKnown

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

    if not length:
        return _no_steps(trace, body, inputs, carries, sequences)
    try:
        last, ys = ops.scan(
            step, tuple(init), (*inputs[carries:given], indices), length, reverse
        )
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


# gradients


def gradient_op(
    ys: Sequence[Any],
    xs: Sequence[Any],
    grad_ys: Sequence[Tensor | None] | None = None,
    stop_gradients: Sequence[Tensor] = (),
    name: str = "gradients",
) -> list[Tensor | None]:
    """The derivatives of the sum of `ys`, weighted by `grad_ys`, by each of `xs`.

    An x may be a variable's reference. None for an x that no y depends on.
    """
    ys = [convert_to_tensor(y) for y in ys]
    xs = [convert_to_tensor(x, as_ref=True) for x in xs]
    weights = list(grad_ys) if grad_ys is not None else [None] * len(ys)
    reached = reaching(ys, xs)
    wanted = [x for x in xs if source(x) in reached]
    if not wanted:
        return [None] * len(xs)
    given = [w for w in weights if w is not None]
    stops = [t for t in stop_gradients if t not in wanted]
    attrs = {
        "ys": len(ys),
        "xs": len(wanted),
        "weighted": tuple(w is not None for w in weights),
        "Tin": [t.dtype for t in (*ys, *wanted, *given, *stops)],
        "Tout": [x.dtype.base_dtype for x in wanted],
        "stops": len(stops),
    }
    op = create(
        find("SymbolicGradient"), [*ys, *wanted, *given, *stops], attrs, name, attrs["Tout"]
    )
    for tensor, x in zip(op.outputs, wanted, strict=True):
        tensor._shape = x.shape
    by_tensor = dict(zip(wanted, op.outputs, strict=True))
    return [by_tensor.get(x) for x in xs]


def source(tensor: Tensor) -> Tensor:
    """The tensor itself, or for a variable and its reads the variable's own."""
    variable = variable_of(tensor)
    return tensor if variable is None else variable.outputs[0]


def reaching(ys: Sequence[Tensor], xs: Sequence[Tensor]) -> set[Tensor]:
    """Those of `xs` (see `source`) that a derivative of one of `ys` can reach."""
    targets = {source(x) for x in xs}
    found: set[Tensor] = set()
    seen: set[Tensor] = set()
    stack = list(ys)
    while stack:
        tensor = stack.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        origin = source(tensor)
        if origin in targets:
            found.add(origin)
        if origin is not tensor or tensor.op.type in BLOCKING or not _flows(tensor):
            continue
        stack += [t for t in tensor.op.inputs if _flows(t)]
        stack += [t for body in bodies_of(tensor.op) for t in body.outputs if _flows(t)]
    return found


BLOCKING = frozenset(
    "StopGradient ArgMax ArgMin Equal NotEqual Less LessEqual Greater GreaterEqual Floor Ceil "
    "Round Rint Sign ZerosLike OnesLike Shape Size Rank PyFunc OneHot Assign AssignAdd".split()
)


def _flows(tensor: Tensor) -> bool:
    return tensor.dtype.base_dtype.is_floating


@op(
    "SymbolicGradient",
    "input:[Tin] -> [Tout]",
    ys=REQUIRED,
    xs=REQUIRED,
    weighted=REQUIRED,
    stops=0,
    shape="unknown",
)
def _(
    inputs: list[Node],
    *,
    ys: int,
    xs: int,
    weighted: tuple[bool, ...],
    stops: int,
    trace: Trace,
    op: Operation,
) -> list[Node]:
    from anode import ops

    given = iter(inputs[ys + xs : len(inputs) - stops])
    outputs: list[Node] = []
    seeds: list[Node] = []
    for y, has_weight in zip(inputs[:ys], weighted, strict=True):
        weight = next(given) if has_weight else None
        if y.dtype.is_float:
            outputs.append(y)
            seeds.append(_seed(y, weight))
    targets = [_versions(trace, t) for t in op.inputs[ys : ys + xs]]
    leaves = list(dict.fromkeys(node for versions in targets for node in versions))
    blocked = trace.stops | set(inputs[len(inputs) - stops :])
    total = through_marks(trace, outputs, leaves, seeds, blocked)
    found = []
    for versions, tensor in zip(targets, op.inputs[ys : ys + xs], strict=True):
        parts = [total[node] for node in versions if node in total]
        sample = versions[0] if versions else trace.value(tensor)
        found.append(sum(parts[1:], parts[0]) if parts else ops.zeros_like(sample))
    return found


def _seed(y: Node, weight: Node | None) -> Node:
    from anode import ops

    if weight is None:
        return ops.ones_like(y)
    return weight if weight.type == y.type else ops.broadcast_to(weight, y.tensor.static)


def _versions(trace: Trace, tensor: Tensor) -> list[Node]:
    """The nodes that stand for a tensor that a gradient is by; of a variable each value it had."""
    variable = variable_of(tensor)
    if variable is None:
        return [trace.value(tensor)]
    trace.read(variable)
    return trace.versions.get(variable, [trace.read(variable)])


def through_marks(
    trace: Trace, ys: Sequence[Node], xs: Sequence[Node], seeds: Sequence[Node], blocked: set[Node]
) -> dict[Node, Node]:
    """Cotangents of `xs`; a mark passes what it collects on to the node it stands for."""
    from anode.transform.grad import cotangents

    marks = list(trace.definitions)
    leaves = list(dict.fromkeys([*xs, *marks]))
    total: dict[Node, Node] = {}

    def collect(ys: Sequence[Node], seeds: Sequence[Node]) -> None:
        for leaf, ct in zip(leaves, cotangents(ys, leaves, seeds), strict=True):
            if ct is not None:
                total[leaf] = total[leaf] + ct if leaf in total else ct

    collect(ys, seeds)
    for mark in reversed(marks):
        if mark in total and mark not in blocked:
            node = trace.definitions[mark]
            if isinstance(node.type, TensorType) and node.dtype.is_float:
                collect([node], [total[mark]])
    return total


# functions


class FunctionGraph(Graph):
    """The graph of a function: tensors of the graph outside become inputs of it."""

    def __init__(self, outer: Graph) -> None:
        super().__init__()
        self.outer = outer
        self.captured: dict[Tensor, Tensor] = {}
        self._seed = outer._seed
        self._building_function = True

    def _capture(self, tensor: Tensor) -> Tensor:
        found = self.captured.get(tensor)
        if found is None:
            with self.as_default(), self.control_dependencies(None):
                dtype = tensor.dtype.base_dtype
                found = create(find("_Arg"), [], {"T": dtype}, "captured", [dtype]).outputs[0]
                found._shape = tensor.shape
            self.captured[tensor] = found
        return found


@dataclass(eq=False)
class Function:
    """A function as a graph of its own; `captures` are tensors outside, given after the arguments."""

    graph: FunctionGraph
    inputs: list[Tensor]
    outputs: list[Tensor]
    result: Any
    effects: list[Operation]

    @property
    def captures(self) -> list[Tensor]:
        return list(self.graph.captured)

    def call(self, session: Any, arrays: Sequence[Any], captured: Sequence[Any] = ()) -> list[Any]:
        """The outputs on arrays; `captured` are the values of `captures`."""
        from anode.frontends.tensorflow.plan import Plan

        plan = self.__dict__.get("_plan")
        if plan is None:
            feeds = (*self.inputs, *self.graph.captured.values())
            plan = self.__dict__["_plan"] = Plan(self.graph, self.outputs, self.effects, feeds)
        return list(plan.run(session, (*arrays, *captured)))


def function_graph(fn: Callable[..., Any], *specs: tuple[DType, Any]) -> Function:
    """Trace `fn` on placeholders, one for each (dtype, shape), into a graph of its own.

    `fn` may return any nested structure, kept as `result`; the outputs are its tensors in the order
    of flattening. Every operation with an effect that it makes runs with each call.
    """
    from anode.frontends.tensorflow.api import nest

    graph = FunctionGraph(get_default_graph())
    with graph.as_default():
        inputs = []
        for dtype, shape in specs:
            argument = create(find("_Arg"), [], {"T": dtype}, "Arg", [dtype]).outputs[0]
            argument._shape = TensorShape(shape)
            inputs.append(argument)
        result = fn(*inputs)
        outputs = [convert_to_tensor(value) for value in nest.flatten(result)]
        outputs = [t if t.graph is graph else graph._capture(t) for t in outputs]
    effects = [op for op in graph._operations if op._definition.stateful and op.type != "_Arg"]
    return Function(graph, inputs, outputs, result, effects)


__all__ = ["Body", "Function", "cond_op", "function_graph", "gradient_op", "scan_op", "while_op", "name_scope"]
