"""Static shapes of new operations: by a rule of the table, or by lowering them on trial sizes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from anode.errors import AnodeError, ShapeError
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.opdef import NotStatic, OpDef
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.ir.dtypes import u8, u32
from anode.ir.graph import Graph, fresh_inputs
from anode.ir.node import CONSTANT, Node, at, constant
from anode.ir.types import TensorType

# Two sizes for each unknown dim: what differs between them in a result is unknown too. Both have
# many divisors, so that splits and blocks of an unknown dim work out.
TRIALS = (5040, 7560)
SMALL = 4096  # elements: larger values are not looked at while a graph is built
Sizes = list[int | None]


def set_shapes(op: Operation) -> None:
    """Give the outputs of a new operation what is known of their shapes.

    Raises ValueError where the inputs' shapes are known and do not fit.
    """
    rule = op._definition.shape
    if isinstance(rule, str):
        rule = RULES[rule]
    shapes = rule(op) if rule is not None else _by_trial(op)
    for tensor, shape in zip(op._outputs, shapes, strict=False):
        tensor._shape = shape if isinstance(shape, TensorShape) else TensorShape(shape)


def _same(op: Operation) -> list[Any]:
    return [op.inputs[0].shape] * len(op.outputs) if op.inputs else []


def _unknown(op: Operation) -> list[Any]:
    return [None] * len(op.outputs)


def _scalar(op: Operation) -> list[Any]:
    return [[]] * len(op.outputs)


def _broadcast(op: Operation) -> list[Any]:
    shape: Any = op.inputs[0].shape
    for tensor in op.inputs[1:]:
        shape = broadcast_shapes(shape, tensor.shape, op)
    return [shape] * len(op.outputs)


RULES = {"same": _same, "unknown": _unknown, "scalar": _scalar, "broadcast": _broadcast}


def broadcast_shapes(x: TensorShape, y: TensorShape, op: Operation | None = None) -> TensorShape:
    """The shape of an elementwise result; ValueError where two known sizes do not fit."""
    if x.ndims is None or y.ndims is None:
        return TensorShape(None)
    dims: Sizes = []
    for a, b in zip_longest(reversed(x.as_list()), reversed(y.as_list()), fillvalue=1):
        if a == 1 or b == 1:
            dims.append(b if a == 1 else a)
        elif a is None or b is None:
            dims.append(a if b is None else b)
        elif a != b:
            where = "" if op is None else f" for '{op.name}' (op: '{op.type}')"
            raise ValueError(
                f"Dimensions must be equal, but are {a} and {b}{where} with input shapes: {x}, {y}."
            )
        else:
            dims.append(a)
    return TensorShape(dims[::-1])


def _by_trial(op: Operation) -> list[Any]:
    definition = op._definition
    unknown = [None] * len(op.outputs)
    if definition.lower is None:
        return unknown
    if any(t.shape.ndims is None and known_value(t) is None for t in op.inputs):
        return unknown
    sized = all(t.shape.is_fully_defined() for t in op.inputs)
    found: list[list[Sizes]] = []
    for size in TRIALS[:1] if sized else TRIALS:
        try:
            nodes = lowered(op, [_trial(t, size) for t in op.inputs])
        except ShapeError as error:
            if sized:
                raise ValueError(f"{error} ('{op.name}', op: '{op.type}')") from None
            return unknown
        except (NotStatic, AnodeError, ValueError, TypeError, IndexError):
            if sized and not _trial_may_fail(op):
                raise
            return unknown
        found.append([list(node.tensor.static) for node in nodes])
    if len(found) == 1:
        return found[0]
    return [_agreed(a, b) for a, b in zip(*found, strict=True)]


def _trial_may_fail(op: Operation) -> bool:
    """A lowering may need values, which are not known while the graph is built."""
    return any(known_value(t) is None for t in op.inputs)


def _agreed(a: Sizes, b: Sizes) -> Sizes | None:
    if len(a) != len(b):
        return None
    return [x if x == y else None for x, y in zip(a, b, strict=True)]


def _trial(tensor: Tensor, size: int) -> Node:
    value = known_value(tensor)
    if value is not None and value.dtype != object and value.size <= SMALL:
        return constant(value, tensor.dtype.base_dtype.anode)
    dims = [size if d is None else d for d in tensor.shape.as_list()]
    dtype = tensor.dtype.base_dtype
    element = u8 if dtype.name == "string" else dtype.anode  # only the shape of strings matters
    (node,) = fresh_inputs(TensorType(element, tuple(dims)))
    return node


class _NoChecks:
    """What stands for the trace while only shapes matter."""

    def within(self, op: Operation, indices: Node, limit: int) -> None:
        pass


_NO_CHECKS = _NoChecks()


class TrialRef:
    """A variable while only shapes matter."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def read(self) -> Node:
        return self._node

    def write(self, node: Node) -> None:
        pass


def lowered(op: Operation, nodes: Sequence[Node]) -> list[Node]:
    """The results of an op's lowering on nodes, as types only: refs and keys are made up."""
    definition = op._definition
    assert definition.lower is not None
    args = grouped(definition, op._attrs, nodes)
    for i, arg in enumerate(definition.inputs):
        if arg.ref:
            args[i] = TrialRef(args[i])
    keywords = definition.keywords(definition.lower, op._attrs)
    if definition.takes(definition.lower, "key"):
        (keywords["key"],) = fresh_inputs(TensorType(u32, (6,)))
    if definition.takes(definition.lower, "trace"):
        keywords["trace"] = _NO_CHECKS
    if definition.takes(definition.lower, "op"):
        keywords["op"] = op
    with at(op.origin):
        result = definition.lower(*args, **keywords)
    if result is None:  # a reference, which is the variable again
        return [nodes[0]] * len(op.outputs)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def grouped(definition: OpDef, attrs: Any, values: Sequence[Any]) -> list[Any]:
    """Flat inputs as a kernel takes them: a list for each list input."""
    found: list[Any] = []
    at = 0
    for arg in definition.inputs:
        if arg.count is None and not arg.several:
            found.append(values[at])
            at += 1
        else:
            length = attrs[arg.count] if arg.count is not None else len(attrs[arg.type])
            found.append(list(values[at : at + length]))
            at += length
    return found


# values known while the graph is built


def known_value(tensor: Tensor) -> np.ndarray | None:
    """The value of a tensor that follows from constants and static shapes, else None."""
    op = tensor.op
    if op.type == "Const":
        value: np.ndarray = op._attrs["value"]
        return value
    cached = op.__dict__.get("_known")
    if cached is None:
        cached = op.__dict__["_known"] = _known(op)
    return cached[tensor.value_index] if cached else None


def _known(op: Operation) -> list[np.ndarray] | tuple[()]:
    definition = op._definition
    if op.type in ("Shape", "Size", "Rank"):
        return _known_shape(op)
    if definition.lower is None or definition.stateful or not op.inputs or op.type in UNKNOWN:
        return ()
    if any(t.dtype._is_ref_dtype or not t.dtype.base_dtype.is_numpy_compatible for t in op.inputs):
        return ()
    values = [known_value(t) for t in op.inputs]
    if any(v is None or v.dtype == object or v.size > SMALL for v in values):
        return ()
    try:
        nodes = [
            constant(v, t.dtype.base_dtype.anode) for v, t in zip(values, op.inputs, strict=True)
        ]
        return folded(lowered(op, nodes))
    except (AnodeError, NotStatic, ValueError, TypeError):
        return ()


UNKNOWN = frozenset({"PlaceholderWithDefault", "If", "While", "Scan", "SymbolicGradient"})


def _known_shape(op: Operation) -> list[np.ndarray] | tuple[()]:
    shape = op.inputs[0].shape
    if op.type == "Rank":
        return [np.array(shape.ndims, np.int32)] if shape.ndims is not None else ()
    if not shape.is_fully_defined():
        return ()
    sizes = np.array(shape.as_list(), op._outputs[0].dtype.as_numpy_dtype)
    return [sizes] if op.type == "Shape" else [np.array(sizes.prod(), sizes.dtype)]


def folded(nodes: Sequence[Node]) -> list[np.ndarray]:
    """The values of nodes that depend on constants only."""
    from anode.ops.evaluate import evaluate

    outputs, _ = evaluate(Graph.make((), nodes), [])
    return [np.asarray(output) for output in outputs]


def known_sizes(tensor: Tensor) -> Sizes | None:
    """A vector of sizes, None for what is not known; None if not even its length is."""
    value = known_value(tensor)
    if value is not None:
        return [None if size < 0 else int(size) for size in value.reshape(-1)]
    op = tensor.op
    if op.type == "Shape":
        shape = op.inputs[0].shape
        return None if shape.ndims is None else list(shape.as_list())
    if op.type in ("Identity", "Cast"):
        return known_sizes(op.inputs[0])
    if op.type == "Pack" and op._attrs.get("axis", 0) == 0:
        return [_size(t) for t in op.inputs]
    if op.type == "ConcatV2":
        parts = [known_sizes(t) for t in op.inputs[:-1]]
        return None if None in parts else [size for part in parts if part for size in part]
    if op.type == "StridedSlice":
        return _sliced(op)
    dims = tensor.shape.as_list() if tensor.shape.ndims is not None else None
    return [None] * dims[0] if dims and len(dims) == 1 and dims[0] is not None else None


def _size(scalar: Tensor) -> int | None:
    value = known_value(scalar)
    if value is not None:
        return int(value) if value >= 0 else None
    op = scalar.op
    if op.type == "StridedSlice" and op._attrs["shrink_axis_mask"] == 1:
        sizes, begin = known_sizes(op.inputs[0]), known_value(op.inputs[1])
        if sizes is not None and begin is not None and len(begin) == 1:
            return sizes[int(begin[0])]
    return None


def _sliced(op: Operation) -> Sizes | None:
    sizes = known_sizes(op.inputs[0])
    bounds = [known_value(t) for t in op.inputs[1:]]
    masks = op._attrs
    if sizes is None or any(b is None or len(b) != 1 for b in bounds):
        return None
    if masks["new_axis_mask"] or masks["ellipsis_mask"] or masks["shrink_axis_mask"]:
        return None
    begin, end, stride = (int(b[0]) for b in bounds if b is not None)
    first = None if masks["begin_mask"] else begin
    return sizes[slice(first, None if masks["end_mask"] else end, stride)]


__all__ = ["CONSTANT", "known_sizes", "known_value", "set_shapes"]
