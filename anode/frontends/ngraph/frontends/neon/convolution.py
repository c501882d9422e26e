"""Convolution, its transpose and pooling over one to three spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.common import utils
from anode.frontends.ngraph.frontends.neon.axis import reorder_spatial_axes, shadow_axes_map
from anode.frontends.ngraph.frontends.neon.base import Activation, Layer, weight
from anode.frontends.ngraph.frontends.neon.dense import Bias, batch_norm_layer
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.frontends.neon.normalization import BatchNorm

SPATIAL = ("D", "H", "W")


class _Spatial(Layer):
    """What convolution and pooling share: dicts by axis, names of axes, paddings."""

    windowed = "DHW"  # the axes that a window runs over
    window: dict[str, int]

    def __init__(self, strides: Any, padding: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_dict(strides, "strides")
        _check_dict(padding, "padding")
        self.strides = dict.fromkeys(self.windowed, 1) | strides
        self.padding = dict.fromkeys(self.windowed, 0) | padding
        self.dilation = dict.fromkeys(self.windowed, 1)

    def _pad(self, x: Any, axes: Sequence[Any]) -> tuple[Any, Any, dict[str, int]]:
        """Padding as much as is symmetric, and the input and axes with the rest of it applied."""
        symmetric, extra = {}, dict.fromkeys(x.axes.names, (0, 0))
        for name, axis in zip(self.windowed, axes, strict=True):
            before, after = utils.ConvParameters(
                axis.length, self.window[name], self.strides[name], self.dilation[name]
            ).get_padding_size(self.padding[name])
            symmetric[name] = min(before, after)
            extra[axis.name] = (before - symmetric[name], after - symmetric[name])
        if any(pad != (0, 0) for pad in extra.values()):
            x = ng.pad(x, list(extra.values()))
            axes = [x.axes.find_by_name(axis.name)[0] for axis in axes]
        return x, axes, symmetric

    def _image(self, x: Any, channel_axes: Any, spatial_axes: Any) -> tuple[Any, list[Any]]:
        """The input as channel, depth, height, width, batch, and the first four of these axes."""
        image = reorder_spatial_axes(x, channel_axes, spatial_names(spatial_axes))
        return image, list(image.axes)[:4]


def spatial_names(spatial_axes: Any) -> tuple[str, ...]:
    """The names of depth, height and width, of a dict of others or a tuple with None for usual."""
    if isinstance(spatial_axes, Mapping):
        return tuple(spatial_axes.get(name, name) for name in SPATIAL)
    if len(spatial_axes) < 3:
        raise ValueError("spatial_axes has three names, such as ('D', 'H', 'W')")
    return tuple(name or usual for name, usual in zip(spatial_axes, SPATIAL, strict=True))


def _check_dict(value: Any, name: str, keys: str = "") -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is a dict, not {type(value).__name__}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise ValueError(f"{name} needs {', '.join(keys)}; {', '.join(missing)} are missing")


class ConvBase(_Spatial):
    """The convolution alone; everything is given as dicts by D, H and W, and K for the filters.

    Weights have the axes C, D, H, W, K.
    """

    def __init__(
        self,
        filter_shape: dict[str, int],
        init: Any,
        strides: dict[str, int],
        padding: dict[str, Any],
        dilation: dict[str, int],
        **kwargs: Any,
    ) -> None:
        super().__init__(strides, padding, **kwargs)
        _check_dict(filter_shape, "filter_shape", "DHWK")
        _check_dict(dilation, "dilation")
        self.init = init
        self.nout = filter_shape["K"]
        self.filter_shape = {key: filter_shape[key] for key in "DHW"}
        self.window = self.filter_shape
        self.dilation |= dilation
        self.W: Any = None

    def _filter_axes(self, channel_axis: Any, spatial_axes: Sequence[Any]) -> list[Any]:
        return [channel_axis, *self._window_axes(spatial_axes), self._filters()]

    def _window_axes(self, spatial_axes: Sequence[Any]) -> list[Any]:
        return [
            ng.make_axis(length=self.filter_shape[key], name=axis.name)
            for key, axis in zip("DHW", spatial_axes, strict=True)
        ]

    def _filters(self) -> Any:
        """The axis of the filters: a shadow axis, which initializers count as output."""
        return next(iter(shadow_axes_map([ng.make_axis(length=self.nout, name="K")])))

    def _length(self, key: str, length: int, padding: int) -> int:
        return utils.conv_output_dim(
            length,
            self.filter_shape[key],
            padding,
            self.strides[key],
            dilation=self.dilation[key],
        )

    def _convolved(self, x: Any, channel_axis: Any, spatial_axes: Sequence[Any]) -> Any:
        x, spatial_axes, padding = self._pad(x, spatial_axes)
        lengths = [
            ng.make_axis(name=axis.name, length=self._length(key, axis.length, padding[key]))
            for key, axis in zip("DHW", spatial_axes, strict=True)
        ]
        channels = ng.make_axis(length=self.nout, name=channel_axis.name)
        axes = ng.make_axes([channels, *lengths, x.axes.batch_axis()])
        parameters = utils.make_convparams(
            self.nout, self.filter_shape, self.strides, padding, self.dilation
        )
        return self._op(parameters, x, axes)

    def _op(self, parameters: dict[str, int], x: Any, axes: Any) -> Any:
        return ng.convolution(parameters, x, self.W, axes=axes)

    @SubGraph.scope_op_creation
    def __call__(
        self, in_obj: Any, channel_axes: Any = "C", spatial_axes: Any = SPATIAL, **kwargs: Any
    ) -> Any:
        image, (channels, *spatial) = self._image(in_obj, channel_axes, spatial_axes)
        filters = ng.make_axes(self._filter_axes(channels, spatial))
        if not self.initialized:
            self.W = weight(filters, self.init, "W")
        elif filters != self.W.axes or filters.lengths != self.W.axes.lengths:
            raise ValueError(
                f"layer {self.name} has filters with the axes {self.W.axes}; the input with the"
                f" axes {in_obj.axes} needs {filters}"
            )
        return _as_before(self._convolved(image, channels, spatial), in_obj.axes)


def _as_before(image: Any, axes: Any) -> Any:
    """`image` in the order of `axes`, without further axes of length 1, others at the end."""
    slices = [0 if axis not in axes and axis.length == 1 else slice(None) for axis in image.axes]
    kept = ng.tensor_slice(image, slices)
    order = ng.make_axes([kept.axes.find_by_name(axis.name)[0] for axis in axes])
    return ng.axes_with_order(kept, order | kept.axes)


class DeconvBase(ConvBase):
    """The transposed convolution alone; the weights have the axes K, D, H, W, C."""

    def _filter_axes(self, channel_axis: Any, spatial_axes: Sequence[Any]) -> list[Any]:
        return [self._filters(), *self._window_axes(spatial_axes), channel_axis]

    def _length(self, key: str, length: int, padding: int) -> int:
        return utils.deconv_output_dim(
            length, self.filter_shape[key], padding, self.strides[key], self.dilation[key]
        )

    def _op(self, parameters: dict[str, int], x: Any, axes: Any) -> Any:
        return ng.deconvolution(parameters, x, self.W, axes=axes)


def make_conv(
    filter_shape: Any,
    init: Any,
    strides: Any,
    padding: Any,
    dilation: Any,
    deconv: bool = False,
    **kwargs: Any,
) -> ConvBase:
    """A ConvBase or DeconvBase of a shape (width, filters) to (depth, height, width, filters)."""
    if isinstance(filter_shape, (list, tuple)):
        filter_shape = _named_shape(filter_shape, "DHWK", 2)
    names = [name for name in filter_shape if name != "K"]
    shape = dict.fromkeys("DHWK", 1) | filter_shape
    layer = DeconvBase if deconv else ConvBase
    by_axis = [_for_each(value, names) for value in (strides, padding, dilation)]
    return layer(shape, init, *by_axis, **kwargs)


def _named_shape(shape: Sequence[int], names: str, least: int) -> dict[str, int]:
    if not least <= len(shape) <= len(names):
        raise ValueError(
            f"a shape of the axes {names} has {least} to {len(names)} numbers: {shape}"
        )
    return dict(zip(names[-len(shape) :], shape, strict=True))


def _for_each(value: Any, names: Sequence[str]) -> Any:
    return value if isinstance(value, dict) else dict.fromkeys(names, value)


class Convolution(SubGraph):
    """A convolution, then a bias or batch normalization, then the activation.

    `filter_shape` is (width, filters), (height, width, filters), (depth, height, width, filters)
    or a dict by D, H, W and K; strides, padding and dilation are one value or a dict by axis. A
    padding is a number, a pair, 'same', 'valid', 'causal' or 'full'. Without `bias_init` there is
    no bias. ValueError where there is batch norm and a bias.
    """

    deconv = False

    def __init__(
        self,
        filter_shape: Any,
        filter_init: Any,
        strides: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias_init: Any = None,
        activation: Callable[[Any], Any] | None = None,
        batch_norm: bool | BatchNorm = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conv = make_conv(
            filter_shape, filter_init, strides, padding, dilation, self.deconv, **kwargs
        )
        self.batch_norm = batch_norm_layer(batch_norm, bias_init)
        self.bias = None if bias_init is None else Bias(init=bias_init)
        self.activation = Activation(transform=activation)

    @SubGraph.scope_op_creation
    def __call__(
        self, in_obj: Any, channel_axes: Any = "C", spatial_axes: Any = SPATIAL, **kwargs: Any
    ) -> Any:
        x = self.conv(in_obj, channel_axes=channel_axes, spatial_axes=spatial_axes)
        for layer in (self.batch_norm, self.bias, self.activation):
            x = x if layer is None else layer(x)
        return x


class Deconvolution(Convolution):
    """A transposed convolution, with the strides, padding and dilation of the convolution.

    `deconv_out_shape`, (depth, height, width), cuts the result's middle out; ValueError where it
    is larger than the result.
    """

    deconv = True

    def __init__(
        self, *args: Any, deconv_out_shape: Sequence[int | None] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.deconv_out_shape = deconv_out_shape

    def __call__(
        self, in_obj: Any, channel_axes: Any = "C", spatial_axes: Any = SPATIAL, **kwargs: Any
    ) -> Any:
        output = super().__call__(in_obj, channel_axes, spatial_axes)
        if self.deconv_out_shape is None:
            return output
        lengths = dict(zip(spatial_names(spatial_axes), self.deconv_out_shape, strict=True))
        slices = [_middle(axis, lengths.get(axis.name)) for axis in output.axes]
        return ng.tensor_slice(output, slices)


def _middle(axis: Any, length: int | None) -> slice:
    if length is None or length == axis.length:
        return slice(None)
    if length > axis.length:
        raise ValueError(f"deconv_out_shape: {length} is more than {axis.name} has, {axis.length}")
    start = (axis.length - length) // 2
    return slice(start, start + length)


class PoolBase(_Spatial):
    """Pooling alone; everything is given as dicts by C, D, H and W. `pool_type` is max or avg."""

    windowed = "CDHW"

    def __init__(
        self,
        pool_shape: dict[str, int],
        strides: dict[str, int],
        padding: dict[str, Any],
        pool_type: str = "max",
        **kwargs: Any,
    ) -> None:
        super().__init__(strides, padding, **kwargs)
        self.pool_type = pool_type.lower()
        if self.pool_type not in ("max", "avg"):
            raise ValueError(f"pool_type is 'max' or 'avg', not {pool_type!r}")
        _check_dict(pool_shape, "pool_shape", "CDHW")
        self.pool_shape = self.window = pool_shape

    @SubGraph.scope_op_creation
    def __call__(
        self, in_obj: Any, channel_axes: Any = "C", spatial_axes: Any = SPATIAL, **kwargs: Any
    ) -> Any:
        image, axes = self._image(in_obj, channel_axes, spatial_axes)
        image, padded, padding = self._pad(image, axes)
        lengths = [
            ng.make_axis(name=axis.name, length=self._length(key, axis.length, padding[key]))
            for key, axis in zip("CDHW", padded, strict=True)
        ]
        parameters = utils.make_poolparams(self.pool_type, self.pool_shape, self.strides, padding)
        out = ng.make_axes([*lengths, image.axes.batch_axis()])
        return _as_before(ng.pooling(parameters, image, axes=out), in_obj.axes)

    def _length(self, key: str, length: int, padding: int) -> int:
        return utils.conv_output_dim(
            length, self.pool_shape[key], padding, self.strides[key], pooling=True
        )


class Pooling(PoolBase):
    """Pooling over windows (width), (height, width), (depth, height, width) or with channels first.

    `pool_shape` may be a dict by C, D, H and W too; strides and padding are one value or a dict by
    axis, a padding as that of Convolution.
    """

    def __init__(
        self,
        pool_shape: Any,
        strides: Any = 1,
        padding: Any = 0,
        pool_type: str = "max",
        **kwargs: Any,
    ) -> None:
        if isinstance(pool_shape, (list, tuple)):
            pool_shape = _named_shape(pool_shape, "CDHW", 1)
        names = list(pool_shape)
        super().__init__(
            dict.fromkeys("CDHW", 1) | pool_shape,
            _for_each(strides, names),
            _for_each(padding, names),
            pool_type=pool_type,
            **kwargs,
        )
