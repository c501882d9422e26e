"""Derivatives: one op, which `anode.transform.grad` works out when the computation is lowered."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.lowering import arranged, as_dtype
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node
from anode.transform.grad import cotangents

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class DerivOp(TensorOp):
    """The derivative of `dependent`, weighted by `error`, by `independent`, whose axes it has.

    All derivatives of a tensor in a computation are worked out together.
    """

    def __init__(self, dependent: Any, independent: Any, error: Any = None) -> None:
        dependent = as_op(dependent)
        if error is None:
            error = dependent.one
        error = as_op(error)
        if not error.axes.is_equal_set(dependent.axes):
            raise ValueError(
                f"the derivative of {dependent.name}, which has the axes {dependent.axes}, needs "
                f"an error with these axes, not {error.axes}; sum it, or give error="
            )
        self.dependent, self.error = dependent, error
        self.independent = independent.tensor
        super().__init__(args=(dependent, error), axes=independent.axes, dtype=independent.dtype)
        self.metadata["reduce_func"] = "sum"

    @property
    def derivative(self) -> tuple[Any, Any]:
        """Equal for derivatives that are worked out together."""
        return self.dependent, self.error

    def lower(self, graph: Lowering, *args: Node) -> Node:
        found = _gradients(graph, self, *args)[self.independent]
        dtype, shape = dtype_of(self.dtype), graph.shape(self.axes)
        return ops.zeros(shape, dtype) if found is None else as_dtype(found, dtype)


def _gradients(graph: Lowering, op: DerivOp, y: Node, error: Node) -> dict[Any, Node | None]:
    """The gradients by all tensors that some derivative of this computation asks for."""
    key = op.derivative
    if key not in graph.derivatives:  # of a step of a loop, which is lowered by itself
        return _worked_out(graph, op, y, error, [op.independent])
    if key not in graph.gradients:
        graph.gradients[key] = _worked_out(graph, op, y, error, graph.derivatives[key])
    return graph.gradients[key]


def _worked_out(
    graph: Lowering, op: DerivOp, y: Node, error: Node, wanted: Iterable[Any]
) -> dict[Any, Node | None]:
    read_as = {x: _nodes(graph, x) for x in wanted}
    xs = list(dict.fromkeys(node for nodes in read_as.values() for node in nodes))
    ct = arranged(as_dtype(error, y.dtype), op.error.axes, op.dependent.axes, ())
    found = dict(zip(xs, cotangents([y], xs, [ct]), strict=True))
    return {x: _total([found[node] for node in nodes]) for x, nodes in read_as.items()}


def _nodes(graph: Lowering, x: Any) -> list[Node]:
    """The values that `x` had so far: a state may have had several."""
    nodes = graph.seen.get(x, {}) if x.is_state_op else [graph.values.get(x)]
    return [node for node in nodes if node is not None and node.dtype.is_float]


def _total(parts: list[Node | None]) -> Node | None:
    known = [part for part in parts if part is not None]
    return reduce(ops.add, known) if known else None


def deriv(dependent: Any, independent: Any, error: Any = None) -> DerivOp:
    """The derivative of `dependent` by `independent`, whose axes it has.

    A dependent that is no scalar needs an `error`, with its axes, to weight its elements by.
    """
    return DerivOp(dependent, independent, error)
