"""Passes over the ops of a computation, to be registered with a transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.ngraph.op_graph.op import Op

REWRITING = (
    "CPUTensorShaping",
    "GraphBuildingPass",
    "GraphRewritePass",
    "HeTrTensorShaping",
    "PeepholeGraphPass",
    "RequiredTensorShaping",
    "SimplePrune",
)


class GraphPass:
    """A pass: `do_pass(ops=…)` sees the roots of a computation before it is compiled."""

    def begin_pass(self, **kwargs: Any) -> None:
        """Called before `do_pass`."""

    def do_pass(self, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no do_pass")

    def end_pass(self, **kwargs: Any) -> None:
        """Called after `do_pass`."""

    def wrapped_do_pass(self, **kwargs: Any) -> None:
        self.begin_pass(**kwargs)
        self.do_pass(**kwargs)
        self.end_pass(**kwargs)


class ProcessOpGraphPass(GraphPass):
    """A pass whose `process_op` sees every op, dependencies first."""

    def do_pass(self, ops: Iterable[Op] = (), **kwargs: Any) -> None:
        for op in Op.ordered_ops(ops):
            self.process_op(op)

    def process_op(self, op: Op) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no process_op")


def __getattr__(name: str) -> Any:
    if name in REWRITING:
        raise UnsupportedOp(
            f"{name}: ops are not rewritten, anode.passes rewrites what they are lowered to; "
            "a ProcessOpGraphPass can look at them"
        )
    raise AttributeError(f"ngraph.transformers.passes.passes has no {name!r}")
