"""Sizes and parameters of convolutions and pooling, and the SGD of graph importers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.common.learning_rate_policies import policy_of

Padding = int | str | tuple[int, int]


def common_conv2d_pool_output_shape(
    input_NHWC: Sequence[int], filter_HWIO: Sequence[int], stride_NHWC: Sequence[int], padding: str
) -> tuple[int, ...]:
    """The N, H, W, C of a convolution's or pooling's result; padding is "SAME" or "VALID"."""
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding is 'SAME' or 'VALID', not {padding!r}")
    if not len(input_NHWC) == len(filter_HWIO) == len(stride_NHWC) == 4:
        raise ValueError("input_NHWC, filter_HWIO and stride_NHWC have four numbers each")
    batch, *image, channels = input_NHWC
    *window, inputs, outputs = filter_HWIO
    if channels != inputs:
        raise ValueError(f"the input has {channels} channels, the filter takes {inputs}")
    if stride_NHWC[0] != 1 or stride_NHWC[3] != 1:
        raise NotImplementedError("strides over the batch and the channels are 1")
    if padding == "SAME":
        window = [1, 1]
    sizes = [
        math.ceil((n - k + 1) / s) for n, k, s in zip(image, window, stride_NHWC[1:3], strict=True)
    ]
    return (batch, *sizes, outputs)


def common_conv2d_pool_padding(
    input_NHWC: Sequence[int], filter_HWIO: Sequence[int], stride_NHWC: Sequence[int], padding: str
) -> tuple[int, int, int, int]:
    """Zeros before and after the rows, then the columns: top, bottom, left, right."""
    out = common_conv2d_pool_output_shape(input_NHWC, filter_HWIO, stride_NHWC, padding)
    if padding == "VALID":
        return (0, 0, 0, 0)
    rows, columns = (
        (out[i] - 1) * stride_NHWC[i] + filter_HWIO[i - 1] - input_NHWC[i] for i in (1, 2)
    )
    return (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)


def squeeze_axes(inputs: Iterable[Any]) -> list[Any]:
    """The tensors without their axes of length 1."""
    return [
        ng.tensor_slice(x, [0 if axis.length == 1 else slice(None) for axis in x.axes])
        for x in inputs
    ]


class CommonSGDOptimizer:
    """Gradient descent whose rate follows a policy of an iteration placeholder.

    `lr_params` is a number, a policy's dict, or a function from the iteration's op to the rate's.
    """

    def __init__(self, lr_params: Any) -> None:
        policy: Callable[[Any], Any] = lr_params if callable(lr_params) else policy_of(lr_params)
        self.compute_lr_op_creation = policy
        self._iteration_buffer = ng.placeholder(axes=(), dtype=np.dtype(np.uint32))
        self.compute_lr_op = policy(self._iteration_buffer)

    def get_iter_buffer(self) -> Any:
        """The placeholder that is fed the iteration."""
        return self._iteration_buffer

    def get_lr_subgraph(self) -> Any:
        """The op of the rate."""
        return self.compute_lr_op

    def minimize(self, cost: Any, variables: Iterable[Any]) -> Any:
        """An op that takes one step down the gradient of `cost` for each of `variables`."""
        return ng.doall(
            [ng.assign(v, v - self.compute_lr_op * ng.deriv(cost, v)) for v in variables]
        )


class ConvParameters:
    """One spatial axis of a convolution or pooling: what its sizes and paddings are."""

    def __init__(
        self,
        input_size: int,
        filter_size: int,
        stride: int = 1,
        dilation: int = 1,
        pooling: bool = False,
    ) -> None:
        self.input_size = input_size
        self.filter_size = filter_size
        self.stride = stride
        self.dilation = dilation
        self.pooling = pooling

    def get_padding_size(self, padding: Padding) -> tuple[int, int]:
        """Zeros before and after, of an int, a pair, 'valid', 'same', 'causal' or 'full'."""
        if isinstance(padding, (tuple, list)):
            return padding[0], padding[1]
        if not isinstance(padding, str):
            return padding, padding
        reach = self.dilation * (self.filter_size - 1)
        if padding == "same":
            steps = math.ceil(self.input_size / self.stride) - 1
            total = self.stride * steps + 1 - self.input_size + reach
            return total // 2, total - total // 2
        named = {"valid": (0, 0), "causal": (reach, 0), "full": (reach, reach)}
        if padding not in named:
            raise ValueError(f"padding {padding!r} is none of 'valid', 'same', 'causal' and 'full'")
        return named[padding]

    def get_output_size(self, padding: Padding) -> int:
        """The length of the result; ValueError where none is left."""
        before, after = self.get_padding_size(padding)
        window = self.dilation * (self.filter_size - 1) + 1
        if self.pooling and max(before, after) >= window:
            raise ValueError(f"padding {(before, after)} is not below the window, {window}")
        size = (self.input_size + before + after - window) // self.stride + 1
        return _positive(size, "convolution")

    def get_transpose_size(self, padding: Padding) -> int:
        """The length of the transposed convolution's result; ValueError where none is left."""
        before, after = self.get_padding_size(padding)
        reach = self.dilation * (self.filter_size - 1)
        size = self.stride * (self.input_size - 1) + reach + 1 - before - after
        return _positive(size, "transposed convolution")


def _positive(size: int, what: str) -> int:
    if size < 0:
        raise ValueError(f"the result of this {what} would have length {size}")
    return int(size)


def conv_output_dim(
    X: int, S: int, padding: Padding, strides: int, pooling: bool = False, dilation: int = 1
) -> int:
    """The length that a convolution makes of `X`, with a filter of length `S`."""
    return ConvParameters(X, S, strides, dilation, pooling).get_output_size(padding)


def deconv_output_dim(X: int, S: int, padding: Padding, strides: int, dilation: int = 1) -> int:
    """The length that a transposed convolution makes of `X`, with a filter of length `S`."""
    return ConvParameters(X, S, strides, dilation).get_transpose_size(padding)


def make_convparams(
    nout: int,
    filter_shape: dict[str, int],
    strides: dict[str, int],
    padding: dict[str, int],
    dilation: dict[str, int],
) -> dict[str, int]:
    """The parameters of ng.convolution, K, T, R, S, str_d, pad_d, dil_d …, of dicts by D, H, W."""
    sizes = {key: filter_shape[name] for key, name in zip("TRS", "DHW", strict=True)}
    return {"K": nout, **sizes, **_by_axis("DHW", str=strides, pad=padding, dil=dilation)}


def make_poolparams(
    op: str, pool_shape: dict[str, int], strides: dict[str, int], padding: dict[str, int]
) -> dict[str, Any]:
    """The parameters of ng.pooling: op, J, T, R, S and str_c, pad_c ... of dicts by C, D, H, W."""
    sizes = {key: pool_shape[name] for key, name in zip("JTRS", "CDHW", strict=True)}
    return {"op": op, **sizes, **_by_axis("CDHW", str=strides, pad=padding)}


def _by_axis(axes: str, **properties: dict[str, int]) -> dict[str, int]:
    return {
        f"{key}_{name.lower()}": values[name] for key, values in properties.items() for name in axes
    }
