"""tf.gradients and what changes it: stops, own gradients of functions and of op types."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api.indexed_slices import IndexedSlices
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.control import bodies_of
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.gradient import gradient_op, source
from anode.frontends.tensorflow.graph import (
    apply,
    constant_value,
    convert_to_tensor,
    get_default_graph,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export

OWN = "_gradient_op_type"  # the attribute that names the registered gradient of an operation
LOOKUPS = ("Gather", "GatherV2", "ResourceGather")
_registered: dict[str, Callable[..., Any] | None] = {}


@export("AggregationMethod")
class AggregationMethod:
    """How TensorFlow sums gradients; the sums are fused here whatever is asked."""

    ADD_N = DEFAULT = 0
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


@export("UnconnectedGradients")
class UnconnectedGradients:
    NONE, ZERO = "none", "zero"


@export("gradients", "python.ops.gradients.gradients", "python.ops.gradients_impl.gradients")
def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    stop_gradients: Any = None,
    unconnected_gradients: str = UnconnectedGradients.NONE,
) -> list[Any]:
    """The derivatives of the sum of `ys` by each of `xs`; None where nothing connects them.

    A variable that is only looked up in has IndexedSlices as its derivative; one of `ys` that is
    not floating has none. Where and in what order sums are made is the compiler's to choose:
    `colocate_gradients_with_ops`, `gate_gradients` and `aggregation_method` change nothing.
    """
    if unconnected_gradients not in ("none", "zero"):
        raise ValueError(
            f"Unknown value for unconnected_gradients: {unconnected_gradients!r}; 'none' or 'zero'"
        )
    targets, sources = _listed(ys), _listed(xs)
    with name_scope(name, "gradients", targets) as scope:
        outputs = [convert_to_tensor(y) for y in targets]
        inputs = [_tensor(x) for x in sources]
        weights = _weights(outputs, grad_ys)
        stops = [_tensor(x) for x in _listed(stop_gradients or [])]
        chain = _Chain(outputs, weights, stops)
        found = chain.by(inputs, scope)
    if unconnected_gradients == "zero":
        found = [
            apply("ZerosLike", x) if g is None else g for g, x in zip(found, sources, strict=True)
        ]
    return found


def _listed(values: Any) -> list[Any]:
    if isinstance(values, (list, tuple)) and not hasattr(values, "_components"):
        flat = [_listed(v) if isinstance(v, (list, tuple)) else [v] for v in values]
        return [v for part in flat for v in part]
    if hasattr(values, "_variable_list"):  # a partitioned variable
        return list(values)
    return [values]


def _tensor(x: Any) -> Tensor:
    if isinstance(x, IndexedSlices):
        return convert_to_tensor(x)
    return x._ref() if isinstance(x, Variable) else convert_to_tensor(x)


def _weights(ys: Sequence[Tensor], grad_ys: Any) -> list[Tensor | None]:
    given = [None] * len(ys) if grad_ys is None else _listed(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"Passed {len(given)} grad_ys for {len(ys)} ys")
    found: list[Tensor | None] = []
    for y, weight in zip(ys, given, strict=True):
        tensor = None if weight is None else convert_to_tensor(weight, y.dtype.base_dtype)
        if tensor is not None and not tensor.shape.is_compatible_with(y.shape):
            raise ValueError(
                f"Shapes must be equal: the grad_ys of {y.name} has shape {tensor.shape}, not "
                f"{y.shape}"
            )
        found.append(tensor)
    return found


@dataclass
class _Chain:
    """Tensors whose weighted sum is differentiated; operations with own gradients extend it.

    The derivative by what such an operation reads is what its function says, so its outputs stop
    the rule of its op and its inputs join the tensors, with those derivatives as weights.
    """

    ys: list[Tensor]
    weights: list[Tensor | None]
    stops: list[Tensor] = field(default_factory=list)

    def by(self, xs: Sequence[Tensor], scope: str) -> list[Any]:
        closure = _closure(self.ys)
        own = sorted((op for op in closure if op._attrs.get(OWN)), key=lambda op: -op._id)
        self.stops += [t for op in own for t in op.outputs]
        for op in own:
            self._extend(op)
        lookups = _lookups(closure) if not own else {}
        return self._with_lookups(xs, lookups, scope)

    def _extend(self, op: Operation) -> None:
        function = _registered[op._attrs[OWN]]
        found = gradient_op(self.ys, op.outputs, self.weights, self.stops)
        if function is None or all(ct is None for ct in found):
            return
        cts = [
            apply("ZerosLike", t) if ct is None else ct
            for ct, t in zip(found, op.outputs, strict=True)
        ]
        given = function(op, *cts)
        parts = list(given) if isinstance(given, (list, tuple)) else [given]
        for tensor, ct in zip(op.inputs, parts, strict=True):
            if ct is not None and tensor.dtype.base_dtype.is_floating:
                self.ys.append(tensor)
                self.weights.append(convert_to_tensor(ct))

    def _with_lookups(
        self, xs: Sequence[Tensor], lookups: dict[Tensor, list[Operation]], scope: str
    ) -> list[Any]:
        """Derivatives by variables that are only looked up in are those by the rows found."""
        rows = {x: [op.outputs[0] for op in lookups[source(x)]] for x in xs if source(x) in lookups}
        wanted = list(dict.fromkeys(t for x in xs for t in rows.get(x, [x])))
        found = gradient_op(self.ys, wanted, self.weights, self.stops, name=scope)
        by_tensor = dict(zip(wanted, found, strict=True))
        return [
            by_tensor[x] if x not in rows else _slices(x, lookups[source(x)], by_tensor) for x in xs
        ]


def _closure(ys: Iterable[Tensor]) -> set[Operation]:
    """The operations that tensors depend on, those in bodies of control flow left out."""
    found: set[Operation] = set()
    stack = [y.op for y in ys]
    while stack:
        op = stack.pop()
        if op in found:
            continue
        found.add(op)
        stack += [t.op for t in op.inputs]
        for body in bodies_of(op):
            for inner in body.ops():
                if inner._attrs.get(OWN):
                    raise UnsupportedOp(
                        f"{inner.name} has a gradient of its own inside control flow; anode "
                        "supports that outside only"
                    )
    return found


def _lookups(closure: set[Operation]) -> dict[Tensor, list[Operation]]:
    """The variables of which operations only look up rows, with these operations."""
    found: dict[Tensor, list[Operation]] = {}
    dense: set[Tensor] = set()
    for op in sorted(closure, key=lambda op: op._id):
        for position, tensor in enumerate(op.inputs):
            variable = source(tensor)
            if not (variable.dtype._is_ref_dtype and variable.op.type in STATE):
                continue
            if source(op.outputs[0]) is variable if op.outputs else False:
                continue  # its read
            if position == 0 and _is_lookup(op):
                found.setdefault(variable, []).append(op)
            else:
                dense.add(variable)
    return {v: ops for v, ops in found.items() if v not in dense}


STATE = ("VariableV2", "Variable", "VarHandleOp")


def _is_lookup(op: Operation) -> bool:
    if op.type not in LOOKUPS or op._attrs.get("batch_dims", 0):
        return False
    axis = constant_value(op.inputs[2]) if op.type == "GatherV2" else 0
    return axis is not None and int(axis) == 0 and op.inputs[0].shape.is_fully_defined()


def _slices(x: Tensor, lookups: Sequence[Operation], by_tensor: dict[Tensor, Any]) -> Any:
    sizes = x.shape.as_list()
    values, indices = [], []
    for op in lookups:
        ct = by_tensor[op.outputs[0]]
        if ct is not None:
            values.append(apply("Reshape", ct, [-1, *sizes[1:]]))
            indices.append(apply("Reshape", op.inputs[1], [-1]))
    if not values:
        return None
    if len(values) == 1:
        return IndexedSlices(values[0], indices[0], convert_to_tensor(sizes, "int32"))
    joined = apply("ConcatV2", values, 0)
    indices = [apply("Cast", i, DstT="int64") for i in indices]
    return IndexedSlices(joined, apply("ConcatV2", indices, 0), convert_to_tensor(sizes, "int32"))


@export("hessians")
def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
) -> list[Any]:
    """The second derivatives of the sum of `ys` by each of `xs`, of shape shape(x) + shape(x)."""

    found = []
    with name_scope(name):
        for x in _listed(xs):
            tensor = convert_to_tensor(x)
            first = gradients(ys, x)[0]
            size = tensor.shape.num_elements()
            if size is None:
                raise ValueError(f"hessians: the shape of {tensor.name} must be known")
            flat = apply("Reshape", first, [-1])
            rows = [gradients(apply("GatherV2", flat, i, 0), x)[0] for i in range(size)]
            zeros = apply("ZerosLike", tensor)
            stacked = apply("Pack", [zeros if row is None else row for row in rows], axis=0)
            sizes = tensor.shape.as_list()
            found.append(apply("Reshape", stacked, sizes + sizes))
    return found


# gradients of one's own


@export("RegisterGradient", "python.framework.ops.RegisterGradient")
class RegisterGradient:
    """A decorator: the function (op, *cotangents) is the gradient that overrides may name."""

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        if self._op_type in _registered:
            raise KeyError(f"Registering two gradient with name '{self._op_type}'!")
        _registered[self._op_type] = f
        return f


@export("NotDifferentiable", "NoGradient", "python.framework.ops.NotDifferentiable")
def not_differentiable(op_type: str) -> None:
    """Register that nothing flows back through operations whose gradient bears this name."""
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _registered[op_type] = None


@export("custom_gradient")
def custom_gradient(f: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A decorator for a function that returns its result and the function of its gradient."""
    if f is None:
        return custom_gradient
    function = f

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from anode.frontends.tensorflow.api import nest

        inputs = [apply("Identity", convert_to_tensor(x)) for x in args]
        result, gradient = function(*inputs, **kwargs)
        flat = [convert_to_tensor(t) for t in nest.flatten(result)]
        key = f"CustomGradient-{get_default_graph()._last_id}-{id(gradient)}"

        def own(op: Operation, *cts: Any) -> list[Any]:
            given = gradient(*cts[: len(flat)])
            parts = list(given) if isinstance(given, (list, tuple)) else [given]
            return [None] * len(flat) + parts

        _registered[key] = own
        with get_default_graph().gradient_override_map({"IdentityN": key}):
            outputs = apply("IdentityN", [*flat, *inputs])
        return nest.pack_sequence_as(result, list(outputs[: len(flat)]))

    return call
