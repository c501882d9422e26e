"""The `kernel` op: what fusion makes of a group of nodes, one unit of generated code.

A kernel's `body` is a closed graph from its operands to what it stores. `kind` is "loops" (one loop
nest over `space`, whose `axes` are reduced), "matmul" (a matrix product over `space` whose result
flows through the body's elementwise nodes before it is stored) or "concatenate" (each operand,
perhaps reshaped, is copied to its place).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anode.errors import GraphError
from anode.ir.graph import Graph
from anode.ir.node import Node, make
from anode.ir.op import Op
from anode.ir.types import TupleType, Type


class _Kernel(Op):
    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        body: Graph = attrs["body"]
        if types != body.types:
            raise GraphError(f"a kernel over {body.types} was given {types}")
        outputs = tuple(node.type for node in body.outputs)
        return outputs[0] if len(outputs) == 1 else TupleType(outputs)


KERNEL = _Kernel("kernel")
KINDS = ("loops", "matmul", "concatenate")


def kernel(
    args: Sequence[Node],
    body: Graph,
    kind: str,
    space: tuple[int, ...],
    axes: tuple[int, ...] = (),
    tag: int = 0,
) -> Node:
    """A kernel node, of its first result's line.

    `tag` keeps apart kernels that must not be shared (copies of one value).
    """
    attrs = {"kind": kind, "body": body, "space": space, "axes": axes, "tag": tag}
    return make(KERNEL, tuple(args), attrs, body.outputs[0].origin)
