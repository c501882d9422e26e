"""Normalisation by the statistics of a batch, as one op, which has kernels of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes
from anode.frontends.ngraph.op_graph.lowering import as_dtype
from anode.frontends.ngraph.op_graph.op import Op, TensorOp, as_ops
from anode.frontends.ngraph.op_graph.reductions import promoted
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class NormalizationOp(Op):
    """γ·(x − mean) / √(variance + eps) + β, the mean, and the variance; `kept` axes have their own.

    γ and β have the axes `kept`.
    """

    def __init__(self, x: Any, gamma: Any, beta: Any, kept: Any, eps: float) -> None:
        x, gamma, beta = as_ops((x, gamma, beta))
        super().__init__(args=(x, gamma, beta))
        self.kept, self.eps = Axes(kept), eps
        self.dtype = promoted(x, gamma)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        """Of images the channels come last, as convolution has them."""
        axes: Axes = self.args[0].axes
        x, gamma, beta = (as_dtype(arg, dtype_of(self.dtype)) for arg in args)
        order = self._order(axes)
        rows = ops.transpose(x, permutation=order)
        count = len(axes) - len(self.kept)
        shape, channels = rows.shape[:count], math.prod(graph.shape(self.kept))
        flat = ops.reshape(rows, shape=(*shape, channels))
        scale, offset = (ops.reshape(v, shape=(channels,)) for v in (gamma, beta))
        y = ops.batch_norm_training(flat, scale, offset, axis=-1, epsilon=self.eps)
        found: Node = y[0].args[0]
        return found

    def _order(self, axes: Axes) -> tuple[int, ...]:
        """The places of the other axes, the last of them, the batch, first, then of `kept`."""
        others = [i for i, axis in enumerate(axes) if axis not in self.kept]
        kept = [axes.index(axis) for axis in self.kept]
        return (*others[-1:], *others[:-1], *kept)


class NormalizationResult(TensorOp):
    """The normalised tensor (0), the mean (1) or the variance (2)."""

    def __init__(self, op: NormalizationOp, index: int, axes: Axes) -> None:
        super().__init__(args=(op,), axes=axes, dtype=op.dtype)
        self.index = index

    def lower(self, graph: Lowering, *args: Node) -> Node:
        op = self.args[0]
        found, shape = args[0].item(self.index), graph.shape(self.axes)
        if self.index:
            return ops.reshape(found, shape=shape)
        order = op._order(self.axes)
        rows = ops.reshape(found, shape=tuple([shape[i] for i in order]))
        back = sorted(range(len(order)), key=order.__getitem__)
        return ops.transpose(rows, permutation=tuple(back))


def normalized(x: Any, gamma: Any, beta: Any, kept: Axes, eps: float) -> tuple[Any, Any, Any]:
    """γ·(x − mean) / √(variance + eps) + β with the axes of x, the mean, and the biased variance.

    The statistics are over all axes but `kept`, which γ and β have.
    """
    op = NormalizationOp(x, gamma, beta, kept, eps)
    axes = (op.args[0].axes, op.kept, op.kept)
    y, mean, variance = (NormalizationResult(op, i, each) for i, each in enumerate(axes))
    return y, mean, variance
