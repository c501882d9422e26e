"""Graphs as GraphDefs: every operation a NodeDef, control flow as TensorFlow 1 spells it.

An `If` becomes Switch and Merge nodes, a `While` Enter, Merge, Switch, NextIteration and Exit nodes
about the operations of its bodies, and an IdentityN with the operation's own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.core import Graph, Operation, Tensor
from anode.frontends.tensorflow.dtypes import DType, int32
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.formats import proto, tensors
from anode.frontends.tensorflow.tensor_shape import TensorShape

_PRODUCER = 134  # the version of graphs that TensorFlow 1.15 writes
BODY = "_anode_body"  # on operations inside a Scan: its name
BODY_INPUTS, BODY_OUTPUTS = "_anode_inputs", "_anode_outputs"

# Attributes that TensorFlow's op of this type has under another name, or (with _) has not at all:
# it can read the graph nevertheless, though it cannot run our gradients.
_NOT_THERE = ("ys", "xs", "weighted", "stops")
RENAMED = {
    "SymbolicGradient": {name: f"_{name}" for name in _NOT_THERE},
    "VarIsInitializedOp": {"dtype": "_dtype"},
    "VariableShape": {"dtype": "_dtype"},
    "ResourceStridedSliceAssign": {"dtype": "T"},
    **{
        f"ResourceScatterNd{kind}": {"dtype": "T"}
        for kind in ("Add", "Sub", "Update", "Max", "Min")
    },
}
_GRADIENT = "anode_gradient"  # the function that a SymbolicGradient names, as it must name one


# --- attributes ----------------------------------------------------------------------------------


def attr_value(value: Any, default: Any = None) -> Any:
    """The AttrValue of an attribute, None if it has none; a float is one by its default."""
    if isinstance(value, (list, tuple)):
        return proto.AttrValue(list=_list_value(value, default))
    field = _field(value, default)
    return None if field is None else proto.AttrValue(**{field[0]: field[1]})


def _list_value(values: Sequence[Any], default: Any) -> dict[str, list[Any]]:
    sample = default[0] if isinstance(default, (list, tuple)) and default else None
    fields = [_field(value, sample) for value in values]
    known = [field for field in fields if field is not None]
    return {known[0][0]: [value for _, value in known]} if known else {}


def _field(value: Any, default: Any) -> tuple[str, Any] | None:
    """The member of AttrValue for a value, and what it takes."""
    if isinstance(value, DType):
        return "type", value.base_dtype.as_datatype_enum  # a reference is of its value's type
    if isinstance(value, TensorShape):
        return "shape", tensors.shape_proto(None if value.ndims is None else value.as_list())
    if isinstance(value, (bool, np.bool_)):
        return "b", bool(value)
    if isinstance(value, (float, np.floating)) or isinstance(default, float):
        return "f", float(value)
    if isinstance(value, (int, np.integer)):
        return "i", int(value)
    if isinstance(value, (str, bytes)):
        return "s", tensors.as_bytes(value)
    if isinstance(value, np.ndarray):
        return "tensor", tensors.from_array(value)
    if callable(value):  # a function of the graph
        name = getattr(value, "name", None) or getattr(value, "__name__", "function")
        return "func", proto.NameAttrList(name=str(name))
    return None


def attr_python(value: Any) -> Any:
    """What an operation holds for an AttrValue: text for s, a TensorShape, a DType, an array."""
    kind = value.WhichOneof("value")
    if kind == "list":
        fields = value.list.ListFields()
        return [_plain(field.name, item) for field, items in fields for item in items]
    return None if kind is None else _plain(kind, getattr(value, kind))


def _plain(kind: str, value: Any) -> Any:
    if kind == "s":
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if kind == "type":
        return DType(value) if value else None
    if kind == "shape":
        return shape_of(value)
    if kind == "tensor":
        return tensors.to_array(value)
    return value.name if kind == "func" else value


def shape_of(value: Any) -> TensorShape:
    """The TensorShape of a TensorShapeProto."""
    if value.unknown_rank:
        return TensorShape(None)
    return TensorShape([None if dim.size < 0 else dim.size for dim in value.dim])


# --- nodes ---------------------------------------------------------------------------------------


def node_def(op: Operation) -> Any:
    """The NodeDef of one operation."""
    return _node(op, [_name(tensor) for tensor in op.inputs], [c.name for c in op.control_inputs])


def _name(tensor: Tensor) -> str:
    return tensor.op.name if tensor.value_index == 0 else tensor.name


def _node(op: Operation, inputs: Iterable[str], control: Iterable[str]) -> Any:
    node = proto.NodeDef(name=op.name, op=op.type, device=op.device)
    attrs, data = dict(op._attrs), list(inputs)
    if op.type == "SymbolicGradient":  # TensorFlow takes an output's shape from the input there
        data = turned(data, attrs["ys"], attrs["xs"])
        attrs["Tin"] = turned(list(attrs["Tin"]), attrs["ys"], attrs["xs"])
    node.input.extend([*data, *(f"^{name}" for name in dict.fromkeys(control))])
    renamed = RENAMED.get(op.type, {})
    for name, value in attrs.items():
        encoded = attr_value(value, op._definition.attrs.get(name))
        if encoded is not None:
            node.attr[renamed.get(name, name)].CopyFrom(encoded)
    if op.type == "SymbolicGradient":
        node.attr["f"].func.name = _GRADIENT
    elif op.type == "Const0":
        node.op = "Const"
        node.attr["dtype"].type = int32.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tensors.from_array(np.array(0, np.int32)))
    return node


def turned(items: list[Any], first: int, second: int) -> list[Any]:
    """The items with the first and second run, of these lengths, in each other's place."""
    return [*items[first : first + second], *items[:first], *items[first + second :]]


def attrs_of(node: Any) -> dict[str, Any]:
    """What an operation holds for the attributes of a NodeDef."""
    own = {theirs: ours for ours, theirs in RENAMED.get(node.op, {}).items()}
    attrs = {own.get(name, name): attr_python(value) for name, value in node.attr.items()}
    if node.op == "SymbolicGradient":
        del attrs["f"]
    return attrs


def export(graph: Graph, add_shapes: bool = False, ops: Sequence[Operation] | None = None) -> Any:
    """The GraphDef of a graph, or of some of its operations, in their order.

    With `add_shapes` each node has its outputs' shapes as the attribute `_output_shapes`.
    """
    exporter = _Exporter(graph, add_shapes)
    for op in graph.get_operations() if ops is None else ops:
        if op._context is None:  # others come with the operation whose body they are in
            exporter.add(op, {}, None)
    exporter.out.versions.producer = _PRODUCER
    return exporter.out


class _Exporter:
    """The GraphDef in the making; `names` says under which names tensors are known in a body."""

    def __init__(self, graph: Graph, add_shapes: bool) -> None:
        self.out = proto.GraphDef()
        self._used = set(graph._by_name)
        self._shapes = add_shapes

    def add(self, op: Operation, names: Mapping[Tensor, str], pivot: str | None) -> None:
        """Append an operation; one without inputs in a body waits for the body's `pivot`."""
        if op.type == "If":
            self._add_if(op, names, pivot)
        elif op.type == "While":
            self._add_while(op, names, pivot)
        elif op.type == "_Arg" and pivot is not None:
            return  # known by the name of what it stands for
        else:
            self._add_plain(op, names, pivot)

    def _add_plain(self, op: Operation, names: Mapping[Tensor, str], pivot: str | None) -> None:
        control = self._control(op, pivot)
        if pivot is not None and not op.inputs and not control:
            control = [pivot]
        node = _node(op, [names.get(t) or _name(t) for t in op.inputs], control)
        if self._shapes:
            shapes = [t.shape.as_list() if t.shape.ndims is not None else None for t in op.outputs]
            listed = {"shape": [tensors.shape_proto(shape) for shape in shapes]}
            node.attr["_output_shapes"].CopyFrom(proto.AttrValue(list=listed))
        self.out.node.append(node)
        if op.type == "Scan":
            self._add_scan_body(op, self.out.node[-1])

    def _control(self, op: Operation, pivot: str | None) -> list[str]:
        inside = [c for c in op.control_inputs if pivot is None or c._context is op._context]
        return [c.name for c in inside]

    def _add_scan_body(self, op: Operation, node: Any) -> None:
        """The body of a Scan: nodes that bear its name, and names of its inputs and outputs."""
        body = op._attrs["body"]
        for inner in dict.fromkeys([*(t.op for t in body.inputs), *body.ops()]):
            self.add(inner, {}, None)
            self.out.node[-1].attr[BODY].s = op.name.encode()
        for key, items in ((BODY_INPUTS, body.inputs), (BODY_OUTPUTS, body.outputs)):
            node.attr[key].list.s.extend(t.name.encode() for t in items)

    def _emit(
        self, type: str, name: str, inputs: Sequence[str], control: Iterable[str] = (), **attrs: Any
    ) -> str:
        """A node of the export's own, under a name that is free."""
        unique, count = name, 0
        while unique in self._used:
            count += 1
            unique = f"{name}_{count}"
        self._used.add(unique)
        node = self.out.node.add(name=unique, op=type)
        node.input.extend([*inputs, *(f"^{c}" for c in control)])
        for key, value in attrs.items():
            node.attr[key].CopyFrom(attr_value(value))
        return unique

    def _close(self, op: Operation, results: list[str], types: list[DType]) -> None:
        """The node that bears the operation's name and gives its outputs."""
        kind = "IdentityN" if results else "NoOp"
        node = self.out.node.add(name=op.name, op=kind, input=results)
        if results:
            node.attr["T"].CopyFrom(attr_value(types))

    # --- cond

    def _add_if(self, op: Operation, names: Mapping[Tensor, str], pivot: str | None) -> None:
        pred, *captured = op.inputs
        base, control = op.name, self._control(op, pivot)
        pred_id = self._emit(
            "Identity", f"{base}/pred_id", [names.get(pred) or _name(pred)], control, T=bool_
        )
        switch = self._emit("Switch", f"{base}/Switch", [pred_id, pred_id], T=bool_)
        switches = {
            t: self._switch(f"{base}/Switch", names.get(t) or _name(t), pred_id, t.dtype)
            for t in captured
        }
        results = []
        for index, attr in ((0, "else_branch"), (1, "then_branch")):
            side = f"{base}/switch_{'ft'[index]}"
            own = self._emit("Identity", side, [f"{switch}:{index}"], T=bool_)
            inner = {t: f"{name}:{index}" for t, name in switches.items()}
            results.append(self._add_body(op._attrs[attr], inner, own))
        types = [t.dtype.base_dtype for t in op.outputs]
        merged = [
            self._emit("Merge", f"{base}/Merge", list(pair), N=2, T=dtype)
            for *pair, dtype in zip(*results, types, strict=True)
        ]
        self._close(op, merged, types)

    def _switch(self, name: str, data: str, pred: str, dtype: DType) -> str:
        type = "RefSwitch" if dtype._is_ref_dtype else "Switch"
        return self._emit(type, name, [data, pred], T=dtype.base_dtype)

    def _add_body(self, body: Any, names: dict[Tensor, str], pivot: str) -> list[str]:
        """The body's operations; gives the names of its outputs."""
        for op in body.ops():
            if op._context is body:  # those of inner bodies come with their operation
                self.add(op, names, pivot)
        return [names.get(t) or _name(t) for t in body.outputs]

    # --- while

    def _add_while(self, op: Operation, names: Mapping[Tensor, str], pivot: str | None) -> None:
        count, base = op._attrs["N"], op.name
        waits = self._control(op, pivot) or ([pivot] if pivot is not None else [])
        zero = self._emit(
            "Const", f"{base}/zero", [], waits, dtype=int32, value=np.array(0, np.int32)
        )
        starts = [names.get(t) or _name(t) for t in op.inputs]
        types = [t.dtype.base_dtype for t in op.outputs]
        frame = {"frame_name": base, "parallel_iterations": 10}
        merges = [
            self._loop_merge(base, start, dtype, frame)
            for start, dtype in zip([*starts[:count], zero], types, strict=True)
        ]
        fixed = [
            self._enter(base, start, t.dtype, {**frame, "is_constant": True})
            for start, t in zip(starts[count:], op.inputs[count:], strict=True)
        ]
        inner = dict(zip(op.inputs[count:], fixed, strict=True))
        test = op._attrs["cond"]
        given = {**inner, **dict(zip(test.inputs, merges[:count], strict=True))}
        (holds,) = self._add_body(test, given, merges[-1])
        if op._attrs["limited"]:
            below = self._emit("Less", f"{base}/Less", [merges[-1], fixed[0]], T=int32)
            holds = self._emit("LogicalAnd", f"{base}/LogicalAnd", [holds, below])
        loop = self._emit("LoopCond", f"{base}/LoopCond", [holds])
        self._add_step(op, inner, merges, loop, types)

    def _add_step(
        self,
        op: Operation,
        inner: Mapping[Tensor, str],
        merges: list[str],
        loop: str,
        types: list[DType],
    ) -> None:
        """The body of a loop and its ways back and out."""
        base, body = op.name, op._attrs["body"]
        switches = [
            self._emit("Switch", f"{base}/Switch", [merge, loop], T=dtype)
            for merge, dtype in zip(merges, types, strict=True)
        ]
        taken = [
            self._emit("Identity", f"{base}/Identity", [f"{name}:1"], T=dtype)
            for name, dtype in zip(switches, types, strict=True)
        ]
        pivot = taken[-1]
        given = {**inner, **dict(zip(body.inputs, taken[:-1], strict=True))}
        results = self._add_body(body, given, pivot)
        one = self._emit(
            "Const", f"{base}/one", [], [pivot], dtype=int32, value=np.array(1, np.int32)
        )
        results.append(self._emit("Add", f"{base}/Add", [pivot, one], T=int32))
        by_name = {node.name: node for node in self.out.node}
        exits = []
        for merge, switch, result, dtype in zip(merges, switches, results, types, strict=True):
            back = self._emit("NextIteration", f"{base}/NextIteration", [result], T=dtype)
            by_name[merge].input[1] = back
            exits.append(self._emit("Exit", f"{base}/Exit", [switch], T=dtype))
        self._close(op, exits, types)

    def _loop_merge(self, base: str, start: str, dtype: DType, frame: dict[str, Any]) -> str:
        enter = self._enter(base, start, dtype, {**frame, "is_constant": False})
        return self._emit("Merge", f"{base}/Merge", [enter, enter], N=2, T=dtype)

    def _enter(self, base: str, start: str, dtype: DType, frame: dict[str, Any]) -> str:
        type = "RefEnter" if dtype._is_ref_dtype else "Enter"
        return self._emit(type, f"{base}/Enter", [start], T=dtype.base_dtype, **frame)
