"""Pooling of images (C, D, H, W, N)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes
from anode.frontends.ngraph.op_graph.deriv import DerivOp, deriv
from anode.frontends.ngraph.op_graph.lowering import AxisLengthError, as_dtype
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op
from anode.frontends.ngraph.op_graph.reductions import promoted
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

WINDOW = ("J", "T", "R", "S")  # the sizes of windows along C, D, H, W


class PoolingOp(TensorOp):
    """The largest element or the mean of windows of images (C, D, H, W, N).

    Padding is in no window: means are of the elements that there are.
    """

    def __init__(
        self,
        pool_params: Mapping[str, Any],
        inputs: Any,
        axes: Any,
        docstring: str | None = None,
        **kwargs: Any,
    ) -> None:
        inputs = as_op(inputs)
        if len(inputs.axes) != 5:
            raise ValueError(f"pooling input shape must be length 5, found {len(inputs.axes)}")
        if pool_params["op"] not in ("max", "avg"):
            raise ValueError(
                f"Unsupported pooling type: {pool_params['op']}.  "
                "Only max and avg pooling currently supported. "
            )
        super().__init__(
            args=(inputs,),
            axes=axes,
            dtype=promoted(inputs, inputs),
            docstring=docstring,
            **kwargs,
        )
        self.pool_params = dict(pool_params)
        self.channel_axes, self.spatial_axes = inputs.axes[0], inputs.axes[1:4]

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x = as_dtype(args[0], dtype_of(self.dtype))
        sizes, out = [int(n) for n in x.shape[:4]], graph.shape(self.axes)[:4]
        windows = [self._window(i, n, m) for i, (n, m) in enumerate(zip(sizes, out, strict=True))]
        pooled = [i for i, window in enumerate(windows) if window != (1, 1, 0, 0)]
        pooled = sorted({*pooled, 2, 3} if 0 not in pooled and 1 not in pooled else {*pooled})
        order = (4, *pooled, *[i for i in range(4) if i not in pooled])
        moved = ops.transpose(x, permutation=order)
        kept = tuple(moved.shape[1 + len(pooled) :])
        flat = ops.flatten(moved, 1 + len(pooled))
        names = ("sizes", "strides", "low", "high")
        picked = zip(names, zip(*[windows[i] for i in pooled], strict=True), strict=True)
        attrs: dict[str, Any] = dict(picked)
        if self.pool_params["op"] == "max":
            y = ops.max_pool(flat, **attrs)
        else:
            y = ops.average_pool(flat, include_padding=False, **attrs)
        y = ops.reshape(y, shape=(*y.shape[:-1], *kept))
        back = sorted(range(5), key=order.__getitem__)
        return ops.transpose(y, permutation=tuple(back))

    def _window(self, i: int, n: int, m: int) -> tuple[int, int, int, int]:
        """Along axis i: the size and stride of windows, and the padding before and after."""
        params = self.pool_params
        dim = "cdhw"[i]
        size, low, stride = (int(params[k]) for k in (WINDOW[i], f"pad_{dim}", f"str_{dim}"))
        if (m - 1) * stride >= n + low:
            raise AxisLengthError(
                f"{self.name}: {m} windows in steps of {stride} do not lie in {n} elements with "
                f"{low} before them ({self.origin})"
            )
        if size == n == m == 1 or (size == stride == 1 and low == 0 and n == m):
            return 1, 1, 0, 0
        return size, stride, low, (m - 1) * stride + size - n - low


def pooling(
    poolparams: Mapping[str, Any], inputs: Any, axes: Axes, docstring: str | None = None
) -> PoolingOp:
    """The largest element ('max') or the mean ('avg') of windows of images (C, D, H, W, N).

    `poolparams` has op, J, T, R and S (sizes along C, D, H, W), and pad_ and str_ of c, d, h, w.
    """
    return PoolingOp(poolparams, inputs, axes=axes, docstring=docstring)


def BpropPoolOp(delta: Any, inputs: Any, fprop: Any) -> DerivOp:
    """The derivative of a pooling `fprop` by its images, for the error `delta`."""
    return deriv(fprop, inputs, error=delta)
