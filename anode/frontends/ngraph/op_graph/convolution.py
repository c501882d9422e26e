"""Convolution and its transpose: images (C, D, H, W, N), filters (C, D, H, W, K)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes
from anode.frontends.ngraph.op_graph.deriv import DerivOp, deriv
from anode.frontends.ngraph.op_graph.lowering import AxisLengthError, as_dtype
from anode.frontends.ngraph.op_graph.op import TensorOp, as_ops
from anode.frontends.ngraph.op_graph.reductions import promoted
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

Sizes = tuple[int, ...]
KEYS = tuple(f"{what}_{dim}" for what in ("pad", "str", "dil") for dim in "dhw")


def _numbers(params: Mapping[str, int], what: str) -> Sizes:
    return tuple([int(params[f"{what}_{dim}"]) for dim in "dhw"])


class _Convolving(TensorOp):
    """An op on images and filters with the parameters pad_, str_ and dil_ of d, h and w."""

    def __init__(
        self,
        conv_params: Mapping[str, int],
        inputs: Any,
        filters: Any,
        axes: Any,
        docstring: str | None = None,
        **kwargs: Any,
    ) -> None:
        inputs, filters = as_ops((inputs, filters))
        for what, op in (("input", inputs), ("filter", filters)):
            if len(op.axes) != 5:  # the sentence is the original's, which programs may look for
                raise ValueError(f"convolution {what} shape must be length 5, found {len(op.axes)}")
        for key in KEYS:
            if key not in conv_params:
                raise ValueError(f"convolution: no parameter {key}, only {list(conv_params)}")
        super().__init__(
            args=(inputs, filters),
            axes=axes,
            dtype=promoted(inputs, filters),
            docstring=docstring,
            **kwargs,
        )
        self.conv_params = dict(conv_params)
        self.channel_axes, self.spatial_axes = inputs.axes[0], inputs.axes[1:4]

    def flat(self, sizes: Sequence[Sizes]) -> bool:
        """Whether depth is 1 everywhere, so that the op has two spatial dims."""
        return all(size[0] == 1 for size in sizes) and self.conv_params["pad_d"] == 0

    def attrs(self, image: Sizes, kernel: Sizes, out: Sizes) -> dict[str, Sizes]:
        """Of the convolution from a larger image to `out`; `high` is such that the sizes fit."""
        low, strides, dilations = (_numbers(self.conv_params, k) for k in ("pad", "str", "dil"))
        high = []
        for i, (n, k, m) in enumerate(zip(image, kernel, out, strict=True)):
            reach = (k - 1) * dilations[i] + 1
            if not n + 2 * low[i] - reach - (m - 1) * strides[i] >= 0:
                raise AxisLengthError(
                    f"{self.name}: {m} places of a window of {reach} in steps of {strides[i]} do "
                    f"not lie in {n} elements with {low[i]} zeros on both sides ({self.origin})"
                )
            high.append((m - 1) * strides[i] + reach - n - low[i])
        return {"strides": strides, "low": low, "high": tuple(high), "dilations": dilations}


class ConvolutionOp(_Convolving):
    """The correlation of images (C, D, H, W, N) with filters (C, D, H, W, K), (K, D, H, W, N)."""

    def __init__(self, conv_params: Any, inputs: Any, filters: Any, axes: Any, **kwargs: Any):
        super().__init__(conv_params, inputs, filters, axes, **kwargs)
        images, weights = (arg.axes[0] for arg in self.args)
        if images != weights or images.length != weights.length:
            raise ValueError(
                f"the first axis in input {images} and filter {weights} are not the same."
            )

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x, w = (as_dtype(arg, dtype_of(self.dtype)) for arg in args)
        x, w = (
            ops.transpose(x, permutation=(4, 1, 2, 3, 0)),
            ops.transpose(w, permutation=(1, 2, 3, 0, 4)),
        )
        out = graph.shape(self.axes)[1:4]
        image, kernel = _sizes(x.shape[1:4]), _sizes(w.shape[:3])
        attrs = self.attrs(image, kernel, out)
        if self.flat([image, kernel, out]):
            x, w, attrs = _without_depth(x, 1), _without_depth(w, 0), _two(attrs)
        return _last(ops.convolution(x, w, **attrs), out)


class DeconvolutionOp(_Convolving):
    """The transposed convolution of images (K, …, N) with filters (C, D, H, W, K), (C, …, N)."""

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x, w = (as_dtype(arg, dtype_of(self.dtype)) for arg in args)
        x, w = (
            ops.transpose(x, permutation=(4, 1, 2, 3, 0)),
            ops.transpose(w, permutation=(1, 2, 3, 0, 4)),
        )
        out = graph.shape(self.axes)[1:4]
        image, kernel = _sizes(x.shape[1:4]), _sizes(w.shape[:3])
        attrs, sizes = self.attrs(out, kernel, image), out
        if self.flat([image, kernel, out]):
            x, w, attrs = _without_depth(x, 1), _without_depth(w, 0), _two(attrs)
            sizes = out[1:]
        return _last(ops.convolution_data(x, w, sizes=sizes, **attrs), out)


def _sizes(shape: Sequence[Any]) -> Sizes:
    return tuple([int(n) for n in shape])


def _without_depth(x: Node, at: int) -> Node:
    return ops.squeeze(x, at)


def _two(attrs: dict[str, Sizes]) -> dict[str, Sizes]:
    return {name: value[1:] for name, value in attrs.items()}


def _last(y: Node, out: Sizes) -> Node:
    """Images (N, *out, C), perhaps without depth, as (C, *out, N)."""
    if len(y.shape) == 4:
        y = ops.expand_dims(y, 1)
    return ops.transpose(y, permutation=(4, 1, 2, 3, 0))


def convolution(
    conv_params: Mapping[str, int],
    inputs: Any,
    filters: Any,
    axes: Axes,
    docstring: str | None = None,
) -> ConvolutionOp:
    """The correlation of images (C, D, H, W, N) with filters (C, D, H, W, K).

    The result has `axes` (K, D, H, W, N). `conv_params` has pad_, str_ and dil_ of d, h and w.
    """
    return ConvolutionOp(conv_params, inputs, filters, axes=axes, docstring=docstring)


def deconvolution(
    conv_params: Mapping[str, int],
    inputs: Any,
    filters: Any,
    axes: Axes,
    docstring: str | None = None,
) -> DeconvolutionOp:
    """What `convolution` with these filters, from the result to `inputs`, has as its gradient."""
    return DeconvolutionOp(conv_params, inputs, filters, axes=axes, docstring=docstring)


def bprop_conv(delta: Any, inputs: Any, filters: Any, fprop: Any) -> DerivOp:
    """The derivative of a convolution `fprop` by its images, for the error `delta`."""
    return deriv(fprop, inputs, error=delta)


def update_conv(delta: Any, inputs: Any, filters: Any, fprop: Any) -> DerivOp:
    """The derivative of a convolution `fprop` by its filters, for the error `delta`."""
    return deriv(fprop, filters, error=delta)


DeconvDerivOp = bprop_conv
