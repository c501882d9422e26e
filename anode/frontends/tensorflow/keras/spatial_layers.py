"""Convolutions, pooling, padding, cropping and upsampling."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from anode.frontends.tensorflow.api.layers_base import InputSpec
from anode.frontends.tensorflow.api.layers_conv import (
    ConvCore,
    ConvTransposeCore,
    SeparableConvCore,
)
from anode.frontends.tensorflow.api.layers_options import sizes
from anode.frontends.tensorflow.api.layers_pool import PoolingCore, op_format, spread
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.keras import options, state
from anode.frontends.tensorflow.keras.core_layers import WEIGHTED, Configured, _ranked
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape

CONV = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")


class _Conv(ConvCore, Configured):
    """activation(convolution(inputs, kernel) + bias)."""

    config: tuple[str, ...] = (*CONV, *WEIGHTED)
    order: tuple[str, ...] = (*CONV, *WEIGHTED)
    defaults: ClassVar[dict[str, Any]] = {"kernel_initializer": "glorot_uniform"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if len(args) > len(self.order):
            raise TypeError(f"{type(self).__name__} takes {len(self.order)} arguments")
        given = {**self.defaults, **dict(zip(self.order, args, strict=False)), **kwargs}
        given["data_format"] = given.get("data_format") or state.image_data_format()
        super().__init__(**self._keras_options(given))


class _Transpose(ConvTransposeCore, Configured):
    """The gradient of a convolution by its input, as a layer that enlarges."""

    order: tuple[str, ...] = (*CONV[:4], "output_padding", *CONV[4:], *WEIGHTED)
    config = (*CONV[:4], "output_padding", *CONV[4:], *WEIGHTED)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {**_Conv.defaults, **dict(zip(self.order, args, strict=False)), **kwargs}
        given["data_format"] = given.get("data_format") or state.image_data_format()
        super().__init__(**self._keras_options(given))


_SEPARATE = tuple(
    f"{which}_{kind}"
    for kind in ("initializer", "regularizer", "constraint")
    for which in ("depthwise", "pointwise", "bias")
)


class _Separable(SeparableConvCore, Configured):
    """A convolution of each channel alone, then one that mixes the channels."""

    order = (
        *CONV,
        "depth_multiplier",
        "activation",
        "use_bias",
        *_SEPARATE[:6],
        "activity_regularizer",
        *_SEPARATE[6:],
    )
    config = order

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        start = dict.fromkeys(_SEPARATE[:2], "glorot_uniform")
        given = {**start, **dict(zip(self.order, args, strict=False)), **kwargs}
        given["data_format"] = given.get("data_format") or state.image_data_format()
        super().__init__(**self._keras_options(given))


Conv1D = _ranked(_Conv, "Conv1D", 1, "Convolution1D")
Conv2D = _ranked(_Conv, "Conv2D", 2, "Convolution2D")
Conv3D = _ranked(_Conv, "Conv3D", 3, "Convolution3D")
Conv2DTranspose = _ranked(_Transpose, "Conv2DTranspose", 2, "Convolution2DTranspose")
Conv3DTranspose = _ranked(_Transpose, "Conv3DTranspose", 3, "Convolution3DTranspose")
SeparableConv1D = _ranked(_Separable, "SeparableConv1D", 1, "SeparableConvolution1D")
SeparableConv2D = _ranked(_Separable, "SeparableConv2D", 2, "SeparableConvolution2D")


class _Depthwise(_Conv):
    """A convolution of each channel alone."""

    order = (
        "kernel_size",
        "strides",
        "padding",
        "depth_multiplier",
        "data_format",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "bias_constraint",
    )
    config: tuple[str, ...] = (*order[:3], "depth_multiplier", *order[4:])
    depth_multiplier: int
    depthwise_initializer: Any
    depthwise_regularizer: Any
    depthwise_constraint: Any
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {**self.defaults, **dict(zip(self.order, args, strict=False)), **kwargs}
        self.__dict__["depth_multiplier"] = given.pop("depth_multiplier", 1)
        own: dict[str, Any] = {"depthwise_initializer": "glorot_uniform"}
        own |= {k: given.pop(k, None) for k in list(given) if k.startswith("depthwise_")}
        super().__init__(filters=None, **given)
        for kind in ("initializer", "regularizer", "constraint"):
            value = own.get(f"depthwise_{kind}")
            setattr(self, f"depthwise_{kind}", getattr(options, kind)(value))

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            name="depthwise_kernel",
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.filters = channels * self.depth_multiplier
        self._add_bias()
        self.built = True

    def call(self, inputs: Any) -> Any:
        outputs = apply(
            "DepthwiseConv2dNative",
            inputs,
            self.depthwise_kernel,
            strides=spread(self.strides, self.data_format),
            padding=self.padding.upper(),
            data_format=op_format(self.data_format, 2),
            dilations=spread(self.dilation_rate, self.data_format),
            name="depthwise",
        )
        return self._finished(outputs)


DepthwiseConv2D = _ranked(_Depthwise, "DepthwiseConv2D", 2)

# pooling


class _Pooling(PoolingCore, Configured):
    """The maximum or the mean of windows."""

    config = ("pool_size", "padding", "strides", "data_format")

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        data_format = data_format or (
            state.image_data_format() if self.rank > 1 else "channels_last"
        )
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class _GlobalPooling(Configured):
    """The maximum or the mean over all places."""

    rank = 2
    config = ("data_format",)
    reduce = "reduce_mean"

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        plain = "channels_last" if self.rank == 1 else state.image_data_format()
        self.data_format = data_format or plain
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.supports_masking = self.rank == 1 and self.reduce == "reduce_mean"

    def _axes(self) -> list[int]:
        first = 2 if self.data_format == "channels_first" else 1
        return list(range(first, first + self.rank))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axes = self._axes()
        if mask is None or not self.supports_masking:
            return getattr(tf, self.reduce)(inputs, axis=axes)
        kept = tf.expand_dims(tf.cast(mask, inputs.dtype), 2 if axes == [1] else 1)
        return tf.reduce_sum(inputs * kept, axes) / tf.reduce_sum(kept, axes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if self.supports_masking else super().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        return TensorShape([d for i, d in enumerate(dims) if i not in self._axes()])


def _pooling() -> None:
    """Define the classes of all kinds and ranks, with their aliases."""
    for rank in (1, 2, 3):
        for kind, long, short in (("MaxPool", "Max", "Max"), ("AvgPool", "Average", "Avg")):
            name = f"{long}Pooling{rank}D"
            globals()[name] = _ranked(_Pooling, name, rank, f"{short}Pool{rank}D", kind=kind)
            reduce = "reduce_max" if long == "Max" else "reduce_mean"
            name = f"Global{long}Pooling{rank}D"
            alias = f"Global{short}Pool{rank}D"
            globals()[name] = _ranked(_GlobalPooling, name, rank, alias, reduce=reduce)


_pooling()

# sizes of spatial axes changed


class _Spatial(Configured):
    """A layer that changes the sizes of spatial axes."""

    rank = 2

    def _first(self) -> int:
        return 2 if getattr(self, "data_format", "") == "channels_first" else 1

    def _size(self, size: int, i: int) -> int:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        first = self._first()
        for i in range(self.rank):
            if dims[first + i] is not None:
                dims[first + i] = self._size(dims[first + i], i)
        return TensorShape(dims)


def _pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """What is added or cut before and after each axis."""
    if isinstance(value, int):
        return ((value, value),) * rank
    if rank == 1:
        found = tuple(value) if isinstance(value, (list, tuple)) else ()
        return (sizes(found, 2, name),)  # type: ignore[return-value]
    if len(value) != rank:
        raise ValueError(f"`{name}` should have {rank} elements. Found: {value}")
    return tuple(sizes(item, 2, name) for item in value)  # type: ignore[misc]


class _ZeroPadding(_Spatial):
    """Zeros around the spatial axes."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pads = _pairs(padding, self.rank, "padding")
        self.padding: Any = self._pads if self.rank > 1 else self._pads[0]
        self.data_format = data_format or state.image_data_format() if self.rank > 1 else ""
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _size(self, size: int, i: int) -> int:
        return size + sum(self._pads[i])

    def call(self, inputs: Any) -> Any:
        pads = [[0, 0]] * (self.rank + 2)
        first = self._first()
        pads[first : first + self.rank] = [list(p) for p in self._pads]
        return tf.pad(inputs, pads)

    def get_config(self) -> dict[str, Any]:
        more = {"data_format": self.data_format} if self.rank > 1 else {}
        return {**super().get_config(), "padding": self.padding, **more}


class _Cropping(_Spatial):
    """The borders of the spatial axes cut off."""

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.rank == 1 and cropping == 0:
            cropping = (1, 1)
        self._cuts = _pairs(cropping, self.rank, "cropping")
        self.cropping: Any = self._cuts if self.rank > 1 else self._cuts[0]
        self.data_format = data_format or state.image_data_format() if self.rank > 1 else ""
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _size(self, size: int, i: int) -> int:
        return size - sum(self._cuts[i])

    def call(self, inputs: Any) -> Any:
        cuts = [slice(before, -after if after else None) for before, after in self._cuts]
        return inputs[(slice(None),) * self._first() + tuple(cuts)]

    def get_config(self) -> dict[str, Any]:
        more = {"data_format": self.data_format} if self.rank > 1 else {}
        return {**super().get_config(), "cropping": self.cropping, **more}


class _UpSampling(_Spatial):
    """Each place several times along the spatial axes."""

    config = ("size", "data_format")

    def __init__(
        self,
        size: Any = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                '`interpolation` argument should be one of `"nearest"` or `"bilinear"`.'
            )
        self.data_format = data_format or state.image_data_format()
        self.interpolation = interpolation
        self.size: Any = sizes(size, self.rank, "size") if self.rank > 1 else int(size)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _factors(self) -> tuple[int, ...]:
        return self.size if self.rank > 1 else (self.size,)

    def _first(self) -> int:
        return super()._first() if self.rank > 1 else 1

    def _size(self, size: int, i: int) -> int:
        return size * self._factors()[i]

    def call(self, inputs: Any) -> Any:
        if self.rank == 2:
            return self._resized(inputs)
        outputs = inputs
        for i, factor in enumerate(self._factors()):
            outputs = tf.repeat(outputs, factor, axis=self._first() + i)
        outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def _resized(self, inputs: Any) -> Any:
        first = self._first()
        image = tf.transpose(inputs, [0, 2, 3, 1]) if first == 2 else inputs
        target = tf.shape(image)[1:3] * tf.constant(self.size)
        nearest = self.interpolation == "nearest"
        method = tf.image.resize_nearest_neighbor if nearest else tf.image.resize_bilinear
        made = method(image, target)
        made = tf.transpose(made, [0, 3, 1, 2]) if first == 2 else made
        made.set_shape(self.compute_output_shape(inputs.shape))
        return made

    def get_config(self) -> dict[str, Any]:
        found = super().get_config()
        if self.rank == 1:
            found.pop("data_format")
        return found | ({"interpolation": self.interpolation} if self.rank == 2 else {})


def _resizing() -> None:
    for base, rank in itertools.product((_ZeroPadding, _Cropping, _UpSampling), (1, 2, 3)):
        name = f"{base.__name__[1:]}{rank}D"
        globals()[name] = _ranked(base, name, rank)


_resizing()
