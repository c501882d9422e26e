"""Ops for looking at graphs: a tensor that is printed, and names in patterns of ops."""

from __future__ import annotations

from collections.abc import Callable
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


class PatternLabelOp(TensorOp):
    """Any op for which `constraint_fn` holds, called `label` in a pattern of ops."""

    def __init__(
        self,
        label: str,
        constraint_fn: Callable[[Any], bool] = lambda op: True,
        axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(axes=() if axes is None else axes, **kwargs)
        self.label, self.constraint_fn = label, constraint_fn


class PatternSkipOp(TensorOp):
    """An operand in a pattern of ops, with or without ops for which `is_optional_op_fn` holds."""

    def __init__(
        self, arg: Any, is_optional_op_fn: Callable[[Any], bool] = lambda op: False, **kwargs: Any
    ) -> None:
        super().__init__(axes=(), args=(arg,), **kwargs)
        self.is_optional_op_fn = is_optional_op_fn
