"""Ops as a TensorFlow graph, which TensorBoard draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anode.frontends.ngraph.op_graph.op import Op
from anode.frontends.tensorflow.formats import proto


def ngraph_to_tf_graph_def(graph: Op | Iterable[Op]) -> Any:
    """A GraphDef whose nodes are the ops and all that they depend on, named alike."""
    roots = [graph] if isinstance(graph, Op) else list(graph)
    order = Op.ordered_ops(roots)
    held = [op.tensor for op in order if op.is_read]
    found = proto.GraphDef()
    for op in dict.fromkeys([*held, *order]):
        node = found.node.add(name=_name(op), op=type(op).__name__)
        inputs = [op.tensor] if op.is_read else list(op.args)
        node.input.extend(_name(arg) for arg in inputs)
        others = [dep for dep in op.all_deps if dep not in inputs]
        node.input.extend("^" + _name(dep) for dep in others)
        for key, value in op.metadata.items():
            node.attr[str(key)].s = str(value).encode()
        if op.is_tensor_op:
            node.attr["axes"].s = str(op.axes).encode()
    return found


def _name(op: Any) -> str:
    return "".join(c if c.isalnum() or c in "_./-" else "_" for c in op.name).lstrip("/_-") or "op"
