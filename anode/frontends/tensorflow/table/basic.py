"""Ops without which no graph is built: constants, placeholders, nothing."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import REQUIRED, host, op
from anode.ir.node import Node


@op("Const", " -> dtype", value=REQUIRED, shape="unknown")
def _(*, value: Any) -> Node:
    raise AssertionError("the trace takes constants by itself")


@host("NoOp", " -> ")
def _() -> tuple[()]:
    return ()


@host("Placeholder", " -> dtype", shape="unknown")
def _(*, run: Any, **_: Any) -> Any:
    op = run.op
    dtype = op.outputs[0].dtype.name.replace("float32", "float").replace("float64", "double")
    shape = op._attrs.get("shape")
    shaped = "" if shape is None or shape.ndims is None else f" and shape {_brackets(shape)}"
    raise InvalidArgumentError(
        op.node_def,
        op,
        f"You must feed a value for placeholder tensor '{op.name}' with dtype {dtype}{shaped}\n"
        f"\t [[node {op.name} (defined at {op.origin}) ]]",
    )


def _brackets(shape: Any) -> str:
    return "[" + ",".join("?" if d is None else str(d) for d in shape.as_list()) + "]"


@op("PlaceholderWithDefault", "input:dtype -> dtype", shape="unknown")
def _(input: Node) -> Node:
    return input
