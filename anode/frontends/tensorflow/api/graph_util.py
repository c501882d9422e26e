"""tf.graph_util: GraphDefs cut, cleaned and frozen; graphs and tensors as messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.formats import proto, tensors, text
from anode.frontends.tensorflow.graph import as_array
from anode.frontends.tensorflow.graph_def import BODY_INPUTS, BODY_OUTPUTS
from anode.frontends.tensorflow.graph_structure import parsed
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
_PASSING = ("Enter", "RefEnter", "Switch", "RefSwitch", "Identity", "RefIdentity")
_PLAIN = {"RefEnter": "Enter", "RefSwitch": "Switch", "RefIdentity": "Identity"}


def _check(graph_def: Any) -> None:
    if not isinstance(graph_def, proto.GraphDef):
        raise TypeError("graph_def must be a graph_pb2.GraphDef proto.")


@export("graph_util.extract_sub_graph")
def extract_sub_graph(graph_def: Any, dest_nodes: Sequence[str]) -> Any:
    """The nodes that `dest_nodes` need, in their order; AssertionError for an unknown name."""
    _check(graph_def)
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    by_name = {node.name: node for node in graph_def.node}
    for name in dest_nodes:
        if name not in by_name:
            raise AssertionError(f"{name} is not in graph")
    needed: set[str] = set()
    stack = list(dest_nodes)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += [parsed(item)[0] for item in by_name[name].input]
            for key in (BODY_INPUTS, BODY_OUTPUTS):
                if key in by_name[name].attr:
                    held = by_name[name].attr[key].list.s
                    stack += [parsed(item.decode())[0] for item in held]
    out = proto.GraphDef(node=[node for node in graph_def.node if node.name in needed])
    out.library.CopyFrom(graph_def.library)
    out.versions.CopyFrom(graph_def.versions)
    return out


def _rewired(nodes: Iterable[Any], replaced: Callable[[str], str | None]) -> list[Any]:
    """Copies of nodes whose inputs are replaced; None drops an input."""
    out = []
    for node in nodes:
        copy = proto.NodeDef()
        copy.CopyFrom(node)
        del copy.input[:]
        copy.input.extend(item for item in map(replaced, node.input) if item is not None)
        out.append(copy)
    return out


@export("graph_util.remove_training_nodes")
def remove_training_nodes(input_graph: Any, protected_nodes: Sequence[str] | None = None) -> Any:
    """The graph without CheckNumerics and Identity nodes, but those protected or for order."""
    protected = set(protected_nodes or ())
    checks = {
        node.name
        for node in input_graph.node
        if node.op == "CheckNumerics" and node.name not in protected
    }
    source = {node.name: node.input[0] for node in input_graph.node if node.name in checks}
    nodes = [node for node in input_graph.node if node.name not in checks]
    waited = {parsed(item)[0] for node in nodes for item in node.input if item.startswith("^")}
    for node in nodes:
        waits = any(item.startswith("^") for item in node.input)
        if node.op == "Identity" and node.name not in protected | waited and not waits:
            source[node.name] = node.input[0]

    def replaced(item: str) -> str | None:
        if item.startswith("^"):
            return None if item[1:] in checks else item
        while parsed(item)[0] in source:
            item = source[parsed(item)[0]]
        return item

    kept = [node for node in nodes if node.name not in source]
    return proto.GraphDef(node=_rewired(kept, replaced))


@export("graph_util.convert_variables_to_constants")
def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Sequence[str],
    variable_names_whitelist: Any = None,
    variable_names_blacklist: Any = None,
) -> Any:
    """The part of a graph that the outputs need, each variable a constant of its present value."""
    graph = extract_sub_graph(input_graph_def, output_node_names)
    names = [
        node.name
        for node in graph.node
        if node.op in _VARIABLES
        and (variable_names_whitelist is None or node.name in variable_names_whitelist)
        and (variable_names_blacklist is None or node.name not in variable_names_blacklist)
    ]
    values = dict(zip(names, sess.run([_readable(sess, n) for n in names]), strict=True))
    frozen = _referring(graph, set(names))
    for node in graph.node:
        if node.name in values:
            _make_constant(node, values[node.name])
        elif node.name in frozen:
            _make_plain(node)
    return graph


def _readable(sess: Any, name: str) -> Any:
    """What to fetch for a variable's value: of a handle a read of it."""
    tensor = sess.graph.get_tensor_by_name(f"{name}:0")
    if tensor.op.type != "VarHandleOp":
        return tensor
    reads = [op for op in tensor.consumers() if op.type == "ReadVariableOp"]
    if not reads:
        raise ValueError(f"the variable {name!r} is never read, so its value cannot be fetched")
    return reads[0].outputs[0]


def _referring(graph: Any, names: set[str]) -> set[str]:
    """The nodes whose first input is one of the variables, passed on by others or not."""
    found: set[str] = set()
    changed = True
    while changed:
        changed = False
        for node in graph.node:
            known = node.input and parsed(node.input[0])[0] in names
            if known and node.name not in found:
                found.add(node.name)
                changed = True
                if node.op in _PASSING:
                    names = names | {node.name}
    return found


def _make_constant(node: Any, value: np.ndarray) -> None:
    dtype = node.attr["dtype"].type
    node.ClearField("attr")
    del node.input[:]
    node.op = "Const"
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.CopyFrom(tensors.from_array(np.asarray(value)))


def _make_plain(node: Any) -> None:
    """A node on a variable's reference or handle, now that it is a value."""
    if node.op == "ReadVariableOp":
        dtype = node.attr["dtype"].type
        node.ClearField("attr")
        node.op = "Identity"
        node.attr["T"].type = dtype
    elif node.op == "ResourceGather":
        raise ValueError(
            f"{node.name}: rows of a resource variable are gathered; use "
            "variable_names_blacklist to keep it a variable"
        )
    else:
        node.op = _PLAIN.get(node.op, node.op)


@export("graph_util.must_run_on_cpu")
def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """Whether TensorFlow has the node's kernel for CPUs only."""
    definition = node if isinstance(node, proto.NodeDef) else node.node_def
    if pin_variables_on_cpu and definition.op in _VARIABLES:
        return True
    types = ("dtype", "T") if definition.op in ("Const", "Cast") else ("dtype",)
    wanted = {tensors.STRING, 9 if definition.op == "Const" else tensors.STRING}
    return any(definition.attr[t].type in wanted for t in types if t in definition.attr)


@export("graph_util.tensor_shape_from_node_def_name")
def tensor_shape_from_node_def_name(graph: Graph, input_name: str) -> Any:
    """The shape of the tensor that an input of a node names."""
    name = input_name if ":" in input_name else f"{input_name}:0"
    return graph.get_tensor_by_name(name).get_shape()


@export("train.write_graph", "io.write_graph", "python.framework.graph_io.write_graph")
def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Write a graph to `logdir/name`, as text or bytes; gives the path."""
    definition = graph_or_graph_def
    if isinstance(definition, Graph):
        definition = definition.as_graph_def()
    folder = os.fspath(logdir.decode() if isinstance(logdir, bytes) else logdir)
    os.makedirs(folder or ".", exist_ok=True)
    path = os.path.join(folder, name)
    data = definition.SerializeToString()
    if as_text:
        data = text.MessageToString(definition).encode()
    part = f"{path}.tmp{os.getpid()}"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)
    return path


@export("make_tensor_proto", "contrib.util.make_tensor_proto")
def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Any = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """The TensorProto of a Python value; with `shape` its last element fills what is left."""
    if isinstance(values, proto.TensorProto):
        return values
    wanted = None if dtype is None else as_dtype(dtype).base_dtype
    array = as_array(values, wanted)
    if shape is None:
        return tensors.from_array(array)
    sizes = [int(size) for size in TensorShape(shape).as_list()]
    if verify_shape and list(array.shape) != sizes:
        raise TypeError(f"Expected Tensor's shape: {tuple(sizes)}, got {tuple(array.shape)}.")
    if array.size > np.prod(sizes):
        raise ValueError(
            f"Too many elements provided. Needed at most {int(np.prod(sizes))}, but received "
            f"{array.size}"
        )
    if array.size == np.prod(sizes):
        return tensors.from_array(array.reshape(sizes))
    message = tensors.from_array(array.reshape(-1)[:1].reshape(()))
    if array.size > 1:
        filled = np.full(int(np.prod(sizes)), array.reshape(-1)[-1], array.dtype)
        filled[: array.size] = array.reshape(-1)
        return tensors.from_array(filled.reshape(sizes))
    message.tensor_shape.CopyFrom(tensors.shape_proto(sizes))
    return message


@export("make_ndarray", "contrib.util.make_ndarray")
def make_ndarray(tensor: Any) -> np.ndarray:
    """The array of a TensorProto, one that may be changed."""
    return np.array(tensors.to_array(tensor))
