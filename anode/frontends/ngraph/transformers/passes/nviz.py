"""Drawings of the ops of a computation, for Graphviz and as JSON."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from collections.abc import Iterable
from typing import Any

from anode.frontends.ngraph.op_graph.op import Op
from anode.frontends.ngraph.transformers.passes.passes import GraphPass


class JSONPass(GraphPass):
    """Writes nodes and edges to a new file, `path`."""

    path: str | None = None

    def do_pass(self, ops: Iterable[Op] = (), **kwargs: Any) -> None:
        nodes, edges = {}, []
        for op in Op.ordered_ops(ops):
            file, line = op.origin or ("", 0)
            axes = str(op.axes) if op.is_tensor_op else ""
            kind = type(op).__name__
            nodes[op.name] = {"op_name": kind, "filename": file, "lineno": line, "axes": axes}
            edges += [{"from": op.name, "to": dep.name} for dep in op.all_deps]
        self.path = _written(json.dumps({"nodes": nodes, "edges": edges}), ".json")


class VizPass(GraphPass):
    """Writes a graph for Graphviz to a new file, `path`, and with `view` opens it.

    `subgraph_attr` is a key of metadata by which ops are put into boxes; `show_axes`,
    `show_metadata` (a key) and `show_all_metadata` say what is written to each op.
    """

    path: str | None = None

    def __init__(
        self,
        subgraph_attr: str | None = None,
        show_axes: bool = False,
        show_metadata: str | None = None,
        show_all_metadata: bool = False,
        view: bool = True,
    ) -> None:
        self.subgraph_attr, self.show_axes, self.view = subgraph_attr, show_axes, view
        self.show_metadata, self.show_all_metadata = show_metadata, show_all_metadata

    def do_pass(self, ops: Iterable[Op] = (), **kwargs: Any) -> None:
        self.path = _written(self.dot(ops), ".dot")
        print(f"the graph is in {self.path}")
        if self.view:
            webbrowser.open(f"file://{self.path}")

    def dot(self, ops: Iterable[Op]) -> str:
        """The graph in Graphviz's language."""
        order = Op.ordered_ops(ops)
        lines = [f"  {_quoted(op.name)} [label={_quoted(self._label(op))}];" for op in order]
        groups: dict[Any, list[Op]] = {}
        for op in order:
            if self.subgraph_attr in op.metadata:
                groups.setdefault(str(op.metadata[self.subgraph_attr]), []).append(op)
        for i, (label, members) in enumerate(groups.items()):
            inside = "; ".join(_quoted(op.name) for op in members)
            lines.append(f"  subgraph cluster_{i} {{ label={_quoted(label)}; {inside}; }}")
        for op in order:
            for dep in op.all_deps:
                style = "" if dep in op.args else " [color=blue]"
                lines.append(f"  {_quoted(dep.name)} -> {_quoted(op.name)}{style};")
        return "digraph ops {\n" + "\n".join(lines) + "\n}\n"

    def _label(self, op: Op) -> str:
        parts = [op.name]
        if self.show_axes and op.is_tensor_op:
            parts.append(str(op.axes))
        if self.show_all_metadata:
            parts += [f"{key}={value}" for key, value in op.metadata.items()]
        elif self.show_metadata in op.metadata:
            parts.append(str(op.metadata[self.show_metadata]))
        return "\n".join(parts)


def _quoted(text: str) -> str:
    return json.dumps(text)


def _written(text: str, suffix: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=suffix, delete=False) as file:
        file.write(text)
    return file.name
