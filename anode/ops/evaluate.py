"""The meaning of a graph: every op's NumPy reference, run in order; the oracle of backends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.errors import BackendError, GraphError
from anode.ir.dims import Dim
from anode.ir.dtypes import bf16
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, constant_value
from anode.ir.types import TensorType, TupleType, Type
from anode.ir.variable import Variable
from anode.ops.declare import Composite, DeclaredOp, Elementwise

Array = np.ndarray
Values = tuple[Any, ...]


def evaluate(
    graph: Graph,
    inputs: Sequence[Array],
    state: Mapping[Variable, Array] | None = None,
) -> tuple[Values, dict[Variable, Array]]:
    """The outputs of `graph`, and `state` with its updates made.

    An output is an array (bf16 as records, a token as None, several results as a tuple). Symbolic
    sizes are taken from the inputs. An input or a variable of another type than the graph's raises
    GraphError. Arrays given are not written to; arrays returned may share memory with them.
    """
    if len(inputs) != len(graph.types):
        raise GraphError(f"the graph takes {len(graph.types)} inputs; got {len(inputs)}")
    inputs = [_stored(value) for value in inputs]
    graph = _bound(graph, inputs)
    state = dict(state or {})
    for i, (type, value) in enumerate(zip(graph.types, inputs, strict=True)):
        _check(f"input {i}", type, value, GraphError)
    values = _run(graph, inputs, state)
    outputs = tuple(values[node] for node in graph.outputs)
    state.update({variable: values[node] for variable, node in graph.updates})
    return outputs, state


def _run(graph: Graph, inputs: Sequence[Any], state: Mapping[Variable, Array]) -> dict[Node, Any]:
    """The values of the graph's roots; every other value is dropped after its last use."""
    uses = Counter(arg for node in graph.nodes for arg in node.args)
    uses.update(graph.roots)
    values: dict[Node, Any] = {}
    for node in graph.nodes:
        values[node] = _value(node, values, inputs, state)
        for arg in node.args:
            uses[arg] -= 1
            if not uses[arg]:
                del values[arg]
    return values


def _value(
    node: Node, values: Mapping[Node, Any], inputs: Sequence[Any], state: Mapping[Variable, Array]
) -> Any:
    if node.op is INPUT:
        return inputs[node.attrs["index"]]
    if node.op is CONSTANT:
        return constant_value(node)
    if node.op is READ:
        return _read(node.attrs["variable"], state)
    args = tuple([values[arg] for arg in node.args])
    if node.op is ITEM:
        return args[0][node.attrs["index"]]
    value = _apply(node, args)
    _check(f"the reference of {node.op.name}", node.type, value, BackendError)
    return value


def _apply(node: Node, args: Values) -> Any:
    op = node.op
    if isinstance(op, Composite):
        body = op.body(tuple(arg.type for arg in node.args), node.attrs)
        values = _run(body, args, {})
        outputs = tuple(values[output] for output in body.outputs)
        return outputs[0] if len(outputs) == 1 else outputs
    if isinstance(op, DeclaredOp):
        value = op.evaluate_op(args, node.attrs, node.type)
        return _stored(value) if isinstance(node.type, TensorType) else value
    raise BackendError(f"the op {op.name} has no reference implementation")


def map_scalars(graph: Graph, args: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of a scalar graph for every element of arrays of one shape.

    Elementwise bodies run on whole arrays; any other runs once per element.
    """
    if all(isinstance(n.op, Elementwise) or n.op in (INPUT, CONSTANT) for n in graph.nodes):
        values: dict[Node, Any] = {}
        for node in graph.nodes:
            if isinstance(node.op, Elementwise):
                operands = tuple([values[arg] for arg in node.args])
                values[node] = node.op.evaluate_op(operands, node.attrs, node.type)
            else:
                values[node] = _value(node, values, args, {})
        return tuple(np.broadcast_to(values[output], args[0].shape) for output in graph.outputs)
    results = tuple(np.empty(args[0].shape, o.dtype.numpy) for o in graph.outputs)
    for index in np.ndindex(args[0].shape):
        outputs, _ = evaluate(graph, [arg[index] for arg in args])
        for result, output in zip(results, outputs, strict=True):
            result[index] = output
    return results


def _read(variable: Variable, state: Mapping[Variable, Array]) -> Array:
    if variable not in state:
        raise GraphError(f"the state has no value of the variable {variable.name}")
    value = _stored(state[variable])
    _check(f"the value of the variable {variable.name}", variable.type, value, GraphError)
    return value


def _stored(value: Any) -> Any:
    """An array; NumPy turns records of 0-d arrays into scalars, which `asarray` would not type."""
    if value is None or isinstance(value, (tuple, np.ndarray)):
        return value
    return np.array(value, bf16.numpy) if isinstance(value, np.void) else np.asarray(value)


def _check(what: str, type: Type, value: Any, error: type[Exception]) -> None:
    if isinstance(type, TupleType):
        if not isinstance(value, tuple) or len(value) != len(type):
            raise error(f"{what} is no tuple of {len(type)} values")
        for i, element in enumerate(type):
            _check(f"result {i} of {what}", element, value[i], error)
    elif isinstance(type, TensorType) and (
        not isinstance(value, np.ndarray)
        or value.dtype != type.dtype.numpy
        or value.shape != type.shape
    ):
        found = (
            f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
        )
        raise error(f"{what} is {found}, not {type}")


def _bound(graph: Graph, inputs: Sequence[Array]) -> Graph:
    """The graph with the symbolic sizes that are an input's dim taken from the arrays."""
    if not graph.dims:
        return graph
    sizes = {
        next(iter(dim.names)): size
        for type, value in zip(graph.types, inputs, strict=True)
        if isinstance(type, TensorType)
        for dim, size in zip(type.shape, np.shape(value), strict=False)
        if isinstance(dim, Dim) and dim == Dim(next(iter(dim.names)))
    }
    return graph.bind(**sizes)
