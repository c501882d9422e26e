"""The text form of graphs: `graph_text` prints one, `parse` reads the same object back.

The text is a version line, then definitions, each before its use, then the graph itself:

    anode 1
    $w = variable("dense/w", init=None, trainable=True, collections=("weights",)) : f32[3,2]
    graph @main(%0: f32[n,3] "x", %1: f32[] "rate") {
      %2 = read($w) : f32[3,2]
      %3 = dot_general(%0, %2, contract=((1,), (0,)), batch=((), ())) : f32[n,2]
      %4 = constant(0.5) : f32[]
      return %3 "y", %4 "half"
      update $w = %2
    }

A statement is a line; `#` starts a comment. `%` names a value, `$` a variable, `@` a graph. Array
constants are bytes, x"0000803f", in the host's (little-endian) order; a scalar is the shortest
decimal that gives the same bits. Reading (`anode.ir.reader`) evaluates no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from anode.errors import GraphError
from anode.ir.dims import Dim
from anode.ir.dtypes import DType, bf16, bf16_to_f32
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, READ, Node, constant, constant_value
from anode.ir.reader import VERSION, parse
from anode.ir.types import TensorType, TokenType, TupleType
from anode.ir.variable import Variable

__all__ = ["graph_text", "node_text", "parse"]

Labels = dict[Graph | Variable, str]


def graph_text(graph: Graph, *, origins: bool = False) -> str:
    """The graph as text that `parse` reads back; with `origins`, nodes say where they are from."""
    labels: Labels = {}
    parts = [f"anode {VERSION}"]
    for item in _definitions(graph):
        if isinstance(item, Variable):
            labels[item] = _variable_label(item.name, set(labels.values()))
            parts.append(_variable_text(item, labels))
        else:
            nested = sum(isinstance(known, Graph) for known in labels)
            labels[item] = "@main" if item is graph else f"@{nested}"
            parts.append(_one_graph(item, labels, origins))
    return "\n".join(parts) + "\n"


def _definitions(graph: Graph) -> list[Graph | Variable]:
    """The graphs and variables that `graph` refers to, each after those it refers to itself."""
    order: dict[Graph | Variable, None] = {}
    stack: list[Graph | Variable] = [graph]
    while stack:
        waiting = [item for item in _references(stack[-1]) if item not in order]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            order[stack.pop()] = None
    return list(order)


def _references(item: Graph | Variable) -> list[Graph | Variable]:
    if isinstance(item, Variable):
        return [item.init] if item.init is not None else []
    attrs = [value for node in item.nodes for value in node.attrs.values()]
    found = [*item.variables, *_flat(tuple(attrs))]
    return [value for value in found if isinstance(value, (Graph, Variable))]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for element in value:
            yield from _flat(element)
    else:
        yield value


def _variable_label(name: str, used: set[str]) -> str:
    label = "$" + (re.sub(r"[^\w./]", "_", name) or "_")
    while label in used:
        label += "_"
    return label


def _variable_text(variable: Variable, labels: Labels) -> str:
    settings = [
        f"{field.name}={_literal(getattr(variable, field.name), labels)}"
        for field in fields(variable)
        if field.name not in ("name", "type")
        and (field.name != "order" or variable.order is not None)
    ]
    arguments = ", ".join([json.dumps(variable.name), *settings])
    return f"{labels[variable]} = variable({arguments}) : {variable.type}"


def _one_graph(graph: Graph, labels: Labels, origins: bool) -> str:
    values = {node: f"%{i}" for i, node in enumerate(dict.fromkeys((*graph.inputs, *graph.nodes)))}
    names = [f" {json.dumps(name)}" for name in graph.names] or [""] * len(graph.inputs)
    inputs = [f"{values[x]}: {x.type}{name}" for x, name in zip(graph.inputs, names, strict=False)]
    lines = [f"graph {labels[graph]}({', '.join(inputs)}) {{"]
    for node in graph.nodes:
        if node.op is not INPUT:
            comment = f"  # {node.origin}" if origins and node.origin else ""
            lines.append(f"  {values[node]} = {_node_text(node, values, labels)}{comment}")
    if graph.outputs:
        names = [f" {json.dumps(name)}" for name in graph.output_names] or [""] * len(graph.outputs)
        results = [f"{values[y]}{name}" for y, name in zip(graph.outputs, names, strict=True)]
        lines.append(f"  return {', '.join(results)}")
    lines += [f"  update {labels[v]} = {values[value]}" for v, value in graph.updates]
    lines += [f"  effect {values[token]}" for token in graph.effects]
    return "\n".join([*lines, "}"])


def _node_text(node: Node, values: dict[Node, str], labels: Labels) -> str:
    if node.op is CONSTANT:
        arguments = [_constant_text(node)]
    elif node.op is READ:
        arguments = [labels[node.attrs["variable"]]]
    else:
        arguments = [values[arg] for arg in node.args]
        arguments += [f"{key}={_literal(value, labels)}" for key, value in node.attrs.items()]
    return f"{node.op.name}({', '.join(arguments)}) : {node.type}"


def node_text(node: Node) -> str:
    """One node as a line, for messages: operands as types, nested graphs and variables by kind."""
    attrs = [f"{key}={value!r}" for key, value in node.attrs.items() if not _is_long(value)]
    arguments = [*(str(arg.type) for arg in node.args), *attrs]
    return f"{node.op.name}({', '.join(arguments)}) : {node.type}"


def _is_long(value: Any) -> bool:
    return any(isinstance(part, (Graph, bytes)) for part in _flat(value))


def _constant_text(node: Node) -> str:
    """The shortest decimal that gives the same bits, or the bytes."""
    value, dtype = constant_value(node), node.dtype
    assert value is not None
    if value.ndim == 0:
        number = (bf16_to_f32(value) if dtype is bf16 else value).item()
        if not dtype.is_float:
            return repr(number)
        for digits in range(1, 18):
            text = repr(float(f"{number:.{digits}g}"))
            if constant(float(text), dtype) is node:
                return text
    return f'x"{node.attrs["data"].hex()}"'


def _literal(value: Any, labels: Labels) -> str:
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    if isinstance(value, (str, bytes)):
        return json.dumps(value) if isinstance(value, str) else f'x"{value.hex()}"'
    if isinstance(value, (DType, Dim, TensorType, TokenType)):
        return repr(value)
    if isinstance(value, TupleType):
        return f"type {value}"
    if isinstance(value, (Graph, Variable)):
        return labels[value]
    if isinstance(value, tuple):
        inside = ", ".join([_literal(element, labels) for element in value])
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    raise GraphError(f"an attribute of type {type(value).__name__} has no text form")
