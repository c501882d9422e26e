"""PrintOp: a tensor that is printed whenever it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anode.frontends.ngraph.op_graph.op import TensorOp, as_op
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class PrintOp(TensorOp):
    """`x`, printed with `prefix` before it after each call of a computation that needs it."""

    def __init__(self, x: Any, prefix: Any = None, **kwargs: Any) -> None:
        x = as_op(x)
        self.prefix = None if prefix is None else str(prefix)
        super().__init__(args=(x,), axes=x.axes, dtype=x.dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        graph.prints.append((self, args[0]))
        return args[0]

    def show(self, value: Any) -> None:
        """Print the value."""
        print(value if self.prefix is None else f"{self.prefix}: {value}")
