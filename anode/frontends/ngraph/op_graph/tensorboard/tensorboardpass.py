"""A pass that shows the ops of a computation in TensorBoard."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.op_graph.tensorboard.tensorboard import TensorBoard
from anode.frontends.ngraph.transformers.passes.passes import GraphPass


class TensorBoardPass(GraphPass):
    """Writes the graph to an event file in `logdir`."""

    def __init__(self, logdir: str) -> None:
        self.logdir = logdir

    def do_pass(self, ops: Any = (), **kwargs: Any) -> Any:
        TensorBoard(self.logdir).add_graph(ops)
        return ops
