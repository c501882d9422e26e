"""Rows of a table by index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.indices import Bound, source
from anode.frontends.ngraph.op_graph.axis import Axes
from anode.frontends.ngraph.op_graph.deriv import DerivOp, deriv
from anode.frontends.ngraph.op_graph.lowering import as_dtype, described
from anode.frontends.ngraph.op_graph.op import TensorOp, as_ops
from anode.ir.dtypes import i32
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class LookupTableOp(TensorOp):
    """The rows, or columns, of `lut` (two axes) at the places `idx` (one axis).

    `axes` are those of `idx` and of `lut`'s other axis, in the order of `lut`. The derivative by
    row `pad_idx`, or without `update` by the whole table, is 0.
    """

    def __init__(
        self,
        lut: Any,
        idx: Any,
        axes: Any,
        update: bool = True,
        pad_idx: int | None = None,
        **kwargs: Any,
    ) -> None:
        lut, idx = as_ops((lut, idx))
        axes = Axes(axes)
        for op, rank in ((lut, 2), (idx, 1)):
            if len(op.axes) != rank:
                raise ValueError(
                    f"lookuptable: {described(op)} has {len(op.axes)} axes, not {rank}"
                )
        if not lut.axes & axes:
            raise ValueError(f"lookuptable: the axes {axes} have none of the table's, {lut.axes}")
        if idx.axes[0] not in axes:
            raise ValueError(f"lookuptable: the axes {axes} lack that of the places, {idx.axes}")
        self.lut_axis = 0 if lut.axes[1] in axes else 1
        if axes[self.lut_axis] != idx.axes[0]:
            raise ValueError(f"lookuptable: the axes {axes} are not in the order of {lut.axes}")
        self.update, self.pad_idx = update, pad_idx
        super().__init__(args=(lut, idx), axes=axes, dtype=lut.dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        table, places = args[0], as_dtype(args[1], i32)
        lut, idx = self.args
        what = f"lookuptable: {described(idx)} into {described(lut)}"
        graph.bounds.append((source(places), Bound(int(table.shape[self.lut_axis]), what)))
        found = ops.take(table, places, axis=self.lut_axis)
        if not self.update:
            return ops.stop_gradient(found)
        if self.pad_idx is None:
            return found
        at_pad = ops.equal(places, self.pad_idx)
        wide = ops.broadcast_in_dim(at_pad, shape=found.shape, axes=(self.lut_axis,))
        return ops.select(wide, ops.stop_gradient(found), found)


def lookuptable(
    lut: Any,
    idx: Any,
    axes: Axes,
    update: bool = True,
    pad_idx: int | None = None,
    docstring: str | None = None,
) -> LookupTableOp:
    """The rows of `lut` at the places `idx`; row `pad_idx` is not trained."""
    return LookupTableOp(lut, idx, axes, update, pad_idx, docstring=docstring)


def lookuptable_update(delta: Any, lut: Any, idx: Any, fprop_op: Any) -> DerivOp:
    """The derivative of a look-up `fprop_op` by its table, for the error `delta`."""
    return deriv(fprop_op, lut, error=delta)


update_lut = lookuptable_update
