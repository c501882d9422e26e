"""Pooling layers: what tf.layers and tf.keras share of them."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.layers_base import InputSpec, Layer
from anode.frontends.tensorflow.api.layers_options import chosen, sizes
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.tensor_shape import TensorShape

FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def op_format(data_format: str, rank: int) -> str:
    """TensorFlow's op attribute for channels_last or channels_first."""
    return FORMATS[rank][data_format == "channels_first"]


def spread(values: Any, data_format: str) -> list[int]:
    """Sizes of spatial axes as sizes of all axes."""
    return [1, 1, *values] if data_format == "channels_first" else [1, *values, 1]


def window_size(size: Any, window: int, stride: int, padding: str, dilation: int = 1) -> Any:
    """The number of windows along an axis; None stays None. Source: TensorFlow's conv guide."""
    if size is None:
        return None
    covered = (window - 1) * dilation + 1
    length = size if padding == "same" else size - covered + 1
    return -(-length // stride)


class PoolingCore(Layer):
    """The maximum or mean of windows; `rank` spatial axes, `kind` MaxPool or AvgPool."""

    rank = 2
    kind = "MaxPool"

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        known = ("channels_last", "channels_first")
        self.pool_size = sizes(pool_size, self.rank, "pool_size")
        self.strides = sizes(pool_size if strides is None else strides, self.rank, "strides")
        self.padding = chosen(padding, ("valid", "same"), "padding")
        self.data_format = chosen(data_format or "channels_last", known, "data_format")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        if self.rank == 1:
            return self._one_axis(inputs)
        return self._pooled(inputs, self.pool_size, self.strides, self.rank)

    def _pooled(self, inputs: Any, window: Any, strides: Any, rank: int) -> Any:
        return apply(
            self.kind if rank == 2 else f"{self.kind}3D",
            inputs,
            ksize=spread(window, self.data_format),
            strides=spread(strides, self.data_format),
            padding=self.padding.upper(),
            data_format=op_format(self.data_format, rank),
        )

    def _one_axis(self, inputs: Any) -> Any:
        """Over one axis: an axis of size 1 is put beside it."""
        axis = 3 if self.data_format == "channels_first" else 2
        wide = apply("ExpandDims", inputs, axis)
        outputs = self._pooled(wide, (*self.pool_size, 1), (*self.strides, 1), 2)
        return apply("Squeeze", outputs, squeeze_dims=[axis])

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        first = 2 if self.data_format == "channels_first" else 1
        for i in range(self.rank):
            axis = first + i
            dims[axis] = window_size(dims[axis], self.pool_size[i], self.strides[i], self.padding)
        return TensorShape(dims)
