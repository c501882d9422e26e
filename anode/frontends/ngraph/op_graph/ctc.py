"""The cost of connectionist temporal classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes
from anode.frontends.ngraph.op_graph.lowering import arranged, as_dtype, described
from anode.frontends.ngraph.op_graph.op import TensorOp, as_ops
from anode.ir.dtypes import f32, i32
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class CTCOp(TensorOp):
    """−log p(labels) for each of the batch; class 0 is the blank.

    `labels` (one axis) are those of all the batch, one after another, `label_lens` of them each.
    `activation_lens` are in per cent of the time axis.
    """

    def __init__(
        self,
        activations: Any,
        labels: Any,
        activation_lens: Any,
        label_lens: Any,
        axes: Any = None,
        **kwargs: Any,
    ) -> None:
        operands = as_ops((activations, labels, activation_lens, label_lens))
        for op, rank in zip(operands, (3, 1, 1, 1), strict=True):
            if len(op.axes) != rank:
                raise ValueError(f"ctc: {described(op)} has {len(op.axes)} axes, not {rank}")
        found = operands[0].axes
        if found.batch_axis() is None or found.recurrent_axis() is None:
            raise ValueError(f"ctc: {described(operands[0])} has no batch or no time axis: {found}")
        super().__init__(args=operands, axes=axes or found.batch_axes(), **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        have: Axes = self.args[0].axes
        time, batch = have.recurrent_axis(), have.batch_axis()
        assert time is not None and batch is not None
        order = Axes([time, batch, *(have - [time, batch])])
        x = arranged(as_dtype(args[0], f32), have, order, ())
        flat, lengths = as_dtype(args[1], i32), as_dtype(args[3], i32)
        steps = int(x.shape[0])
        times = as_dtype(as_dtype(args[2], f32) * float(steps) / 100.0 + 1e-4, i32)
        most = min(int(flat.shape[0]), steps)  # a longer label has no alignment
        starts = ops.cumsum(lengths, axis=0) - lengths
        wide = (int(x.shape[1]), most)
        places = ops.iota(shape=wide, dtype=i32, axis=1) + ops.broadcast_in_dim(
            starts, shape=wide, axes=(0,)
        )
        return ops.ctc_loss(x, ops.take(flat, places), times, lengths)


def ctc(
    activations: Any, labels: Any, activation_lens: Any, label_lens: Any, axes: Any = None
) -> CTCOp:
    """−log p(labels) for each of the batch, of activations without softmax; class 0 is the blank.

    `labels` of all the batch come one after another, `label_lens` of them each; `activation_lens`
    are in per cent of the time axis.
    """
    return CTCOp(activations, labels, activation_lens, label_lens, axes=axes)
