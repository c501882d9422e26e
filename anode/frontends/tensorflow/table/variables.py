"""Variables: what reading, assigning and scattering into the state of a session means.

A handle (`VarHandleOp`) is a reference too, so each op on references has its twin on handles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anode import ops
from anode.errors import GraphError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.opdef import OPS, REQUIRED, host, host_kernel, op, static
from anode.ir.dtypes import DType
from anode.ir.graph import Graph
from anode.ir.node import Node, constant
from anode.ops.index import second
from anode.ops.reduce import monoid, scalar_graph

Body = Callable[[DType], Graph]  # the scalar graph that combines an old element and an update
MASKS = dict.fromkeys(
    ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
)


def _state(**_: Any) -> None:
    raise GraphError("a variable is state; it has no lowering")


def _declared_shape(op: Any) -> list[Any]:
    return [op.get_attr("shape")]


def _declare_state(type: str, **attrs: Any) -> None:
    op(type, " -> &dtype", shape=_declared_shape, stateful=True, dtype=REQUIRED, **attrs)(_state)
    OPS[type].attrs = {"shape": REQUIRED, **OPS[type].attrs}  # `shape` names the rule above


for _type in ("VariableV2", "Variable"):
    _declare_state(_type, container="", shared_name="")
_declare_state("VarHandleOp", container="", shared_name="", allowed_devices=[], debug_name="")


@op("ReadVariableOp", "resource:&dtype -> dtype", shape="same")
def _(ref: Any) -> Any:
    return ref.read()


@op("VariableShape", "input:&dtype -> out_type", shape="unknown", dtype=None)
def _(ref: Any, *, out_type: DType) -> Node:
    return constant(ref.read().shape, out_type)


# Assignments


def _assigned_shape(op: Any) -> list[Any]:
    """The shape of the value, which must be the variable's; ValueError where it cannot be."""
    ref, value = op.inputs[0].shape, op.inputs[1].shape
    if not op.get_attr("validate_shape"):
        return [value]
    if not ref.is_compatible_with(value):
        raise ValueError(
            f"Shapes must be equal: {ref} of the variable '{op.inputs[0].op.name}' and {value} of "
            f"the value '{op.inputs[1].name}' assigned to it by '{op.name}'"
        )
    return [ref.merge_with(value)]


def _declare_pair(
    type: str,
    inputs: str,
    function: Callable[..., None],
    resource: str,
    shape: Any = "same",
    **attrs: Any,
) -> None:
    """An op on a reference, whose output is the reference, and its twin on a handle without one."""

    def lower(ref: Any, *args: Any, use_locking: bool = False, **rest: Any) -> None:
        function(ref, *args, **rest)  # what locking would order, the plan orders

    op(type, f"ref:&T {inputs} -> &T", shape=shape, stateful=True, **attrs)(lower)
    attrs.pop("use_locking", None)
    handles = inputs.replace(":T", ":dtype").replace(":dtypei", ":Ti")
    op(resource, f"resource:&dtype {handles} -> ", shape="unknown", stateful=True, **attrs)(lower)


def _assign(ref: Any, value: Any, *, validate_shape: bool) -> None:
    shape = ref.op.get_attr("shape")
    if validate_shape and shape.is_fully_defined() and shape.as_list() != list(value.shape):
        message = (
            f"Assign requires shapes of both tensors to match. lhs shape= {shape.as_list()} rhs "
            f"shape= {list(value.shape)}"
        )
        raise errors.InvalidArgumentError(None, None, message)
    ref.write(value)


def _assign_add(ref: Any, value: Node) -> None:
    ref.write(ref.read() + value)


def _assign_sub(ref: Any, value: Node) -> None:
    ref.write(ref.read() - value)


_declare_pair(
    "Assign",
    "value:T",
    _assign,
    "AssignVariableOp",
    shape=_assigned_shape,
    validate_shape=True,
    use_locking=True,
)
_declare_pair("AssignAdd", "value:T", _assign_add, "AssignAddVariableOp", use_locking=False)
_declare_pair("AssignSub", "value:T", _assign_sub, "AssignSubVariableOp", use_locking=False)


@host_kernel("Assign")
def _(ref: Any, value: np.ndarray, *, validate_shape: bool, use_locking: bool) -> None:
    _assign(ref, value, validate_shape=validate_shape)


@op("IsVariableInitialized", "ref:&dtype -> bool", shape="scalar")
def _(ref: Any) -> Node:
    return constant(ref.initialized, "bool")


@host_kernel("IsVariableInitialized")
def _(ref: Any) -> np.ndarray:
    return np.array(ref.initialized)


@op("VarIsInitializedOp", "resource:&dtype -> bool", shape="scalar")
def _(ref: Any) -> Node:
    return constant(ref.initialized, "bool")


@host("CountUpTo", "ref:&T -> T", limit=REQUIRED, shape="same", stateful=True)
def _(ref: Any, *, limit: int, run: Any) -> Any:
    value = ref.read()
    if value >= limit:
        raise errors.OutOfRangeError(None, run.op, f"Reached limit of {limit}")
    ref.write(value + np.ones_like(value))
    return value


# Scattering: an update for each index along dim 0, or for each vector of indices

BODIES: dict[str, Body] = {
    "ScatterUpdate": second,
    "ScatterAdd": lambda dtype: monoid("add", dtype),
    "ScatterSub": lambda dtype: scalar_graph(ops.subtract, dtype, dtype),
    "ScatterMul": lambda dtype: monoid("multiply", dtype),
    "ScatterDiv": lambda dtype: scalar_graph(ops.divide, dtype, dtype),
    "ScatterMin": lambda dtype: monoid("minimum", dtype),
    "ScatterMax": lambda dtype: monoid("maximum", dtype),
}


def scattered(x: Node, indices: Node, updates: Node, body: Body) -> Node:
    """`x` with rows of `updates`, of shape [n, row…], combined into those at `indices` [n, k]."""
    depth = indices.shape[-1]
    return ops.scatter(
        x,
        indices,
        updates,
        body=body(x.dtype),
        update_window_dims=tuple(range(1, updates.tensor.rank)),
        inserted_window_dims=tuple(range(depth)),
        scatter_dims_to_operand_dims=tuple(range(depth)),
        index_vector_dim=1,
    )


def scatter_rows(x: Node, indices: Node, updates: Node, body: Body) -> Node:
    """`x` with `updates`, of shape indices + row or a scalar, combined into its rows."""
    count, row = math.prod(indices.tensor.static), tuple(x.shape[1:])
    if not updates.shape:
        updates = ops.broadcast_to(updates, shape=(*indices.shape, *row))
    flat = ops.reshape(updates, shape=(count, *row))
    return scattered(x, ops.reshape(indices, shape=(count, 1)), flat, body)


def _scatter_nd(x: Node, indices: Node, updates: Node, body: Body) -> Node:
    depth = indices.shape[-1]
    count = math.prod(indices.tensor.static[:-1])
    vectors = ops.reshape(indices, shape=(count, depth))
    rows = ops.reshape(updates, shape=(count, *x.shape[depth:]))
    return scattered(x, vectors, rows, body)


def _scattering(combine: Callable[..., Node], body: Body) -> Callable[..., None]:
    def scatter(ref: Any, indices: Node, updates: Node) -> None:
        ref.write(combine(ref.read(), indices, updates, body))

    return scatter


for _name, _body in BODIES.items():
    _vectors = _name.replace("Scatter", "ScatterNd")
    for _type, _combine in ((_name, scatter_rows), (_vectors, _scatter_nd)):
        _declare_pair(
            _type,
            "indices:Tindices updates:T",
            _scattering(_combine, _body),
            f"Resource{_type}",
            use_locking=_name == "ScatterUpdate",
        )


@op("ResourceGather", "resource:&dtype indices:Tindices -> dtype", batch_dims=0, validate_indices=1)
def _(ref: Any, indices: Node, *, batch_dims: int, validate_indices: bool) -> Node:
    if batch_dims:
        raise GraphError(f"ResourceGather: batch_dims={batch_dims} is not supported; use 0")
    return ops.take(ref.read(), indices, axis=0)


# Assigning to a slice


def _has(mask: int, i: int) -> bool:
    return bool(mask >> i & 1)


def slice_spec(begin: Any, end: Any, strides: Any, masks: dict[str, int]) -> tuple[Any, ...]:
    """The Python index that `StridedSlice` stands for: slices, integers, None, an ellipsis."""
    found: list[Any] = []
    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        if _has(masks["ellipsis_mask"], i):
            found.append(...)
        elif _has(masks["new_axis_mask"], i):
            found.append(None)
        elif _has(masks["shrink_axis_mask"], i):
            found.append(int(first))
        else:
            start = None if _has(masks["begin_mask"], i) else int(first)
            stop = None if _has(masks["end_mask"], i) else int(last)
            found.append(slice(start, stop, int(step)))
    return tuple(found)


def _assign_slice(
    ref: Any, begin: Node, end: Node, strides: Node, value: Node, **masks: int
) -> None:
    x = ref.read()
    spec = slice_spec(static(begin), static(end), static(strides), masks)
    size = int(np.prod(x.shape, dtype=np.int64))
    places = np.arange(size, dtype=np.int64).reshape(x.shape)[spec]
    updates = ops.reshape(ops.broadcast_to(value, shape=places.shape), shape=(places.size,))
    rows = constant(places.reshape(-1, 1), "i64")
    flat = scattered(ops.reshape(x, shape=(size,)), rows, updates, second)
    ref.write(ops.reshape(flat, shape=x.shape))


_declare_pair(
    "StridedSliceAssign",
    "begin:Index end:Index strides:Index value:T",
    _assign_slice,
    "ResourceStridedSliceAssign",
    **MASKS,
)
