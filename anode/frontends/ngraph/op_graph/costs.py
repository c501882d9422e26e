"""Softmax and cross entropies, whose derivatives are the short and stable ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes, UnmatchedAxesError
from anode.frontends.ngraph.op_graph.elementwise import (
    BinaryElementWiseOp,
    SigmoidOp,
    safelog,
    safelog_cutoff,
)
from anode.frontends.ngraph.op_graph.lowering import arranged, as_dtype
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op
from anode.frontends.ngraph.op_graph.reductions import promoted, sum
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class SoftmaxOp(TensorOp):
    """e^x over its sum along `normalization_axes`, by default all but batch and time."""

    def __init__(self, x: Any, normalization_axes: Any = None, **kwargs: Any) -> None:
        x = as_op(x)
        axes = x.axes.feature_axes() if normalization_axes is None else Axes(normalization_axes)
        self.normalization_axes = x.axes & axes
        super().__init__(args=(x,), axes=x.axes, dtype=promoted(x, x), **kwargs)

    @property
    def x(self) -> Any:
        """What the softmax is taken of."""
        return self.args[0]

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x = as_dtype(args[0], dtype_of(self.dtype))
        rows, order = _rows(x, self.axes, self.normalization_axes)
        return _unrows(ops.softmax(rows, axis=-1), x.shape, order)


def _rows(x: Node, axes: Axes, together: Axes) -> tuple[Node, tuple[int, ...]]:
    """`x` with some axes as its last dim, and the order its dims were brought into."""
    last = [axes.index(axis) for axis in together]
    order = (*[i for i in range(len(axes)) if i not in last], *last)
    moved = ops.transpose(x, permutation=order) if order != tuple(range(len(order))) else x
    if len(last) != 1:
        kept = tuple(moved.shape[: len(order) - len(last)])
        length = math.prod([int(x.shape[i]) for i in last])
        moved = ops.reshape(moved, shape=(*kept, length))
    return moved, order


def _unrows(x: Node, shape: tuple[Any, ...], order: tuple[int, ...]) -> Node:
    moved = tuple([shape[i] for i in order])
    x = x if x.shape == moved else ops.reshape(x, shape=moved)
    back = sorted(range(len(order)), key=order.__getitem__)
    return x if list(order) == sorted(order) else ops.transpose(x, permutation=tuple(back))


def softmax(x: Any, normalization_axes: Any = None, **kwargs: Any) -> SoftmaxOp:
    """e^x over its sum along `normalization_axes`, by default all but batch and time."""
    return SoftmaxOp(x, normalization_axes, **kwargs)


def _check(y: Any, t: Any) -> None:
    if not (y.axes.is_sub_set(t.axes) or y.axes.is_super_set(t.axes)):
        raise UnmatchedAxesError(f"{y.axes} and {t.axes} cannot be compared by a cross entropy")


class LogSoftmaxOp(SoftmaxOp):
    """log of the softmax."""

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x = as_dtype(args[0], dtype_of(self.dtype))
        rows, order = _rows(x, self.axes, self.normalization_axes)
        return _unrows(ops.log_softmax(rows, axis=-1), x.shape, order)


class SoftmaxCrossEntropy(TensorOp):
    """-Σ t · log softmax(x) over the axes of the softmax, at most 50.

    Its derivative by x is softmax(x) - t, which is right where t sums to 1, also beyond 50.
    """

    def __init__(self, x: Any, t: Any, normalized: Axes, out_axes: Axes, **kwargs: Any) -> None:
        self.normalized, self.summed = normalized, x.axes - out_axes
        super().__init__(args=(x, t), axes=out_axes, dtype=promoted(x, t), **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        dtype, (x_op, t_op) = dtype_of(self.dtype), self.args
        x, t = (as_dtype(node, dtype) for node in args)
        t = arranged(t, t_op.axes, x_op.axes, x.shape)
        rows, order = _rows(x, x_op.axes, self.normalized)
        targets = _rows(t, x_op.axes, self.normalized)[0]
        loss = ops.softmax_cross_entropy(rows, targets, axis=-1, normalized=True)
        excess = ops.maximum(loss - safelog_cutoff, 0.0)
        kept = Axes([x_op.axes[i] for i in order[: len(loss.shape)]])
        return arranged(loss - ops.stop_gradient(excess), kept, self.axes, ())


def cross_entropy_multi(
    y: Any,
    t: Any,
    usebits: bool = False,
    out_axes: Any = None,
    enable_softmax_opt: bool = True,
    enable_diff_opt: bool = True,
) -> Any:
    """-Σ t · log y over all axes but batch and time, or but `out_axes`.

    Of a softmax it is computed from what that is taken of. `usebits` takes the logarithm to base 2.
    """
    y, t = as_op(y), as_op(t)
    _check(y, t)
    if out_axes is None:
        out_axes = y.axes - y.axes.feature_axes()
    out_axes = Axes(out_axes)
    if enable_softmax_opt and isinstance(y, SoftmaxOp) and t.axes.is_sub_set(y.axes):
        found = _of_softmax(y, t, out_axes)
    else:
        found = -sum(safelog(y) * t, out_axes=out_axes)
    return found * (1 / math.log(2.0)) if usebits else found


def _of_softmax(y: SoftmaxOp, t: Any, out_axes: Axes) -> Any:
    if (y.axes - out_axes).is_equal_set(y.normalization_axes):
        return SoftmaxCrossEntropy(y.x, t, y.normalization_axes, out_axes)
    return -sum(LogSoftmaxOp(y.x, y.normalization_axes) * t, out_axes=out_axes)


class CrossEntropyBinaryInnerOp(BinaryElementWiseOp):
    """-(t · log σ(x) + (1 - t) · log(1 - σ(x)))."""

    def result(self, dtype: Any, x: Any, y: Any) -> Any:
        return promoted(x, y)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x, t = self.operand_nodes(graph, *args)
        return ops.sigmoid_cross_entropy(x, t)


def cross_entropy_binary_inner(
    y: Any, t: Any, enable_sig_opt: bool = True, enable_diff_opt: bool = True
) -> Any:
    """-(t · log y + (1 - t) · log(1 - y)), of a sigmoid from what that is taken of."""
    y, t = as_op(y), as_op(t)
    _check(y, t)
    if isinstance(y, SigmoidOp) and (enable_sig_opt or enable_diff_opt):
        return CrossEntropyBinaryInnerOp(y.args[0], t)
    return -(safelog(y) * t + safelog(1 - y) * (1 - t))


def cross_entropy_binary(
    y: Any,
    t: Any,
    usebits: bool = False,
    out_axes: Any = None,
    enable_sig_opt: bool = True,
    enable_diff_opt: bool = True,
) -> Any:
    """`cross_entropy_binary_inner`, summed over all axes but batch and time, or but `out_axes`."""
    inner = cross_entropy_binary_inner(y, t, enable_sig_opt, enable_diff_opt)
    found = sum(inner, out_axes=out_axes)
    return found * (1 / math.log(2.0)) if usebits else found
