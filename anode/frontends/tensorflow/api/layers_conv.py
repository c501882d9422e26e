"""Convolution layers: what tf.layers and tf.keras share of them."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.layers_base import InputSpec, Layer
from anode.frontends.tensorflow.api.layers_core import regularizer
from anode.frontends.tensorflow.api.layers_options import activation as as_activation
from anode.frontends.tensorflow.api.layers_options import chosen, initializer, sizes
from anode.frontends.tensorflow.api.layers_pool import op_format, spread, window_size
from anode.frontends.tensorflow.graph import apply, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape

_KNOWN = ("channels_last", "channels_first")


class ConvCore(Layer):
    """activation(convolution(inputs, kernel) + bias) over `rank` spatial axes."""

    rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._activity_regularizer = regularizer(activity_regularizer)
        self.filters = filters if filters is None else int(filters)
        self.kernel_size = sizes(kernel_size, self.rank, "kernel_size")
        self.strides = sizes(strides, self.rank, "strides")
        self.padding = self._padding(padding)
        self.data_format = chosen(data_format or "channels_last", _KNOWN, "data_format")
        self.dilation_rate = sizes(dilation_rate, self.rank, "dilation_rate")
        self.activation = as_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializer(kernel_initializer)
        self.bias_initializer = initializer(bias_initializer)
        self.kernel_regularizer = regularizer(kernel_regularizer)
        self.bias_regularizer = regularizer(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _padding(self, padding: str) -> str:
        known = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        return chosen(padding, known, "padding")

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def _channels(self, input_shape: Any) -> int:
        size = TensorShape(input_shape).as_list()[self._channel_axis]
        if size is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: size})
        return int(size)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, channels, self.filters)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            "kernel",
            shape=self._kernel_shape(channels),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            trainable=True,
            dtype=self.dtype,
        )
        self._add_bias()
        self.built = True

    def _add_bias(self) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                trainable=True,
                dtype=self.dtype,
            )

    def call(self, inputs: Any) -> Any:
        outputs = self._line(inputs) if self.rank == 1 else self._convolved(inputs)
        return self._finished(outputs)

    def _finished(self, outputs: Any) -> Any:
        """The bias added and the activation applied."""
        if self.bias is not None:
            outputs = self._biased(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def _biased(self, outputs: Any) -> Any:
        if self.data_format == "channels_first" and self.rank != 2:
            shape = [1, self.filters, *([1] * self.rank)]
            return apply("AddV2", outputs, apply("Reshape", self.bias, shape))
        data_format = op_format(self.data_format, 2) if self.rank == 2 else "NHWC"
        return apply("BiasAdd", outputs, self.bias, data_format=data_format)

    def _convolved(self, inputs: Any) -> Any:
        return apply(
            f"Conv{self.rank}D",
            inputs,
            self.kernel,
            strides=spread(self.strides, self.data_format),
            padding=self.padding.upper(),
            data_format=op_format(self.data_format, self.rank),
            dilations=spread(self.dilation_rate, self.data_format),
        )

    def _line(self, inputs: Any) -> Any:
        """Over one axis: an axis of size 1 is put before it."""
        axis = 2 if self.data_format == "channels_first" else 1
        with name_scope("conv1d"):
            if self.padding == "causal":
                inputs = apply("Pad", inputs, self._causal())
            outputs = apply(
                "Conv2D",
                apply("ExpandDims", inputs, axis),
                apply("ExpandDims", self.kernel, 0),
                strides=spread((1, *self.strides), self.data_format),
                padding="VALID" if self.padding == "causal" else self.padding.upper(),
                data_format=op_format(self.data_format, 2),
                dilations=spread((1, *self.dilation_rate), self.data_format),
            )
            return apply("Squeeze", outputs, squeeze_dims=[axis])

    def _causal(self) -> list[list[int]]:
        left = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        line = [left, 0]
        return [[0, 0], [0, 0], line] if self._channel_axis == 1 else [[0, 0], line, [0, 0]]

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        first = 2 if self.data_format == "channels_first" else 1
        padding = "same" if self.padding == "causal" else self.padding
        for i in range(self.rank):
            window, stride = self.kernel_size[i], self.strides[i]
            dims[first + i] = window_size(
                dims[first + i], window, stride, padding, self.dilation_rate[i]
            )
        dims[self._channel_axis] = self.filters
        return TensorShape(dims)


class ConvTransposeCore(ConvCore):
    """The gradient of a convolution by its input, used as a layer that enlarges."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.output_padding = kwargs.pop("output_padding", None)
        rate = kwargs.pop("dilation_rate", 1)
        super().__init__(filters, kernel_size, strides, padding, data_format, rate, *args, **kwargs)
        if set(self.dilation_rate) != {1}:
            raise ValueError(
                "dilation_rate of a transposed convolution is not implemented by anode"
            )
        if self.output_padding is not None:
            self.output_padding = sizes(self.output_padding, self.rank, "output_padding")

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, channels)

    def _enlarged(self, size: Any, i: int) -> Any:
        """The size of an output axis, for a number or a tensor. Source: keras."""
        if size is None:
            return None
        window, stride = self.kernel_size[i], self.strides[i]
        if self.output_padding is None:
            longer = max(window - stride, 0) if self.padding == "valid" else 0
            return size * stride + longer
        pad = window // 2 if self.padding == "same" else 0
        return (size - 1) * stride + window - 2 * pad + self.output_padding[i]

    def call(self, inputs: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        known = inputs.shape.as_list()
        dynamic = apply("Shape", inputs) if None in known else None
        dims = [
            size if size is not None else dynamic[i]  # type: ignore[index]
            for i, size in enumerate(known)
        ]
        for i in range(self.rank):
            dims[first + i] = self._enlarged(dims[first + i], i)
        dims[self._channel_axis] = self.filters
        shape = dims if dynamic is None else apply("Pack", dims, axis=0, name="stack")
        names = {2: ("Conv2DBackpropInput", "conv2d_transpose"), 3: ("Conv3DBackpropInputV2",) * 2}
        type, name = names[self.rank]
        outputs = apply(
            type,
            shape,
            self.kernel,
            inputs,
            strides=spread(self.strides, self.data_format),
            padding=self.padding.upper(),
            data_format=op_format(self.data_format, self.rank),
            name="conv3d_transpose" if self.rank == 3 else name,
        )
        outputs.set_shape(self.compute_output_shape(inputs.shape).as_list())
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        first = 2 if self.data_format == "channels_first" else 1
        for i in range(self.rank):
            dims[first + i] = self._enlarged(dims[first + i], i)
        dims[self._channel_axis] = self.filters
        return TensorShape(dims)


class SeparableConvCore(ConvCore):
    """A convolution of each channel alone, then one of size 1 that mixes the channels."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = None,
        pointwise_initializer: Any = None,
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            trainable=trainable,
            name=name,
            **kwargs,
        )
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializer(depthwise_initializer)
        self.pointwise_initializer = initializer(pointwise_initializer)
        self.depthwise_regularizer = regularizer(depthwise_regularizer)
        self.pointwise_regularizer = regularizer(pointwise_regularizer)
        self.depthwise_constraint = depthwise_constraint
        self.pointwise_constraint = pointwise_constraint

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        deep = channels * self.depth_multiplier
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            trainable=True,
            dtype=self.dtype,
        )
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel",
            shape=(*((1,) * self.rank), deep, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            trainable=True,
            dtype=self.dtype,
        )
        self._add_bias()
        self.built = True

    def call(self, inputs: Any) -> Any:
        if self.rank == 2:
            kernels = self.depthwise_kernel, self.pointwise_kernel
            outputs = self._separable(inputs, *kernels, self.strides, self.dilation_rate)
            return self._finished(outputs)
        axis = 2 if self.data_format == "channels_first" else 1
        padded = apply("Pad", inputs, self._causal()) if self.padding == "causal" else inputs
        outputs = self._separable(
            apply("ExpandDims", padded, axis),
            apply("ExpandDims", self.depthwise_kernel, 0),
            apply("ExpandDims", self.pointwise_kernel, 0),
            self.strides * 2,
            (1, *self.dilation_rate),
        )
        return self._finished(apply("Squeeze", outputs, squeeze_dims=[axis]))

    def _separable(self, x: Any, deep: Any, point: Any, strides: Any, rate: Any) -> Any:
        data_format = op_format(self.data_format, 2)
        with name_scope("separable_conv2d") as scope:
            middle = apply(
                "DepthwiseConv2dNative",
                x,
                deep,
                strides=spread(strides, self.data_format),
                padding="VALID" if self.padding == "causal" else self.padding.upper(),
                data_format=data_format,
                dilations=spread(rate, self.data_format),
                name="depthwise",
            )
            return apply(
                "Conv2D",
                middle,
                point,
                strides=[1, 1, 1, 1],
                padding="VALID",
                data_format=data_format,
                name=scope,
            )
