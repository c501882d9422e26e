"""Control flow: ops whose meaning is other operations of the graph.

`If`, `While` and `Scan` hold bodies: operations of the same graph that run only inside. A tensor
from outside that a body uses is an input of the op too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.core import Graph, Operation, Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import DType, int32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, create
from anode.frontends.tensorflow.opdef import find
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.frontends.tensorflow.trace import variable_of


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
            bodies = bodies_of(op)
            for body in bodies:
                found.update((v, None) for v in body.written())
            if not bodies and writes(op):
                for tensor in references(op):
                    variable = variable_of(tensor)
                    if variable is not None:
                        found[variable] = None
        return list(found)


BODIES = ("then_branch", "else_branch", "cond", "body", "branches")
READERS = frozenset(
    {"IsVariableInitialized", "VarIsInitializedOp", "ReadVariableOp", "VariableShape", "SaveV2"}
    | {"ResourceGather", "RefIdentity", "Save", "SaveSlices", "DestroyResourceOp"}
    | {"SymbolicGradient"}
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
        raise TypeError(f"cond: the branches return different types: {dtypes[0]} and {dtypes[1]}")
    captures, waits = _external(branches)
    attrs = {
        "then_branch": then_branch,
        "else_branch": else_branch,
        "Tin": [t.dtype for t in captures],
    }
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
    specs: list[tuple[DType, Any]]
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
    loop = create(find("While"), [*initial, *limit, *captures], attrs, name, [*types, int32], waits)
    for tensor, known in zip(loop.outputs, [*shapes, TensorShape([])], strict=True):
        tensor._shape = TensorShape(known)
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
    specs: list[tuple[DType, Any]]
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
