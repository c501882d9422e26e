"""Fully connected layers, biases and look-up tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.axis import assert_no_shadow_axes, shadow_axes_map
from anode.frontends.ngraph.frontends.neon.base import Activation, Layer, weight
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.frontends.neon.initializer import ConstantInit
from anode.frontends.ngraph.frontends.neon.normalization import BatchNorm
from anode.frontends.ngraph.op_graph.axes import IncompatibleAxesError


def cast_tuple(x: Any) -> tuple[Any, ...]:
    """The elements of an iterable, or the one thing."""
    return tuple(x) if isinstance(x, Iterable) else (x,)


def infer_axes(nout: int | Iterable[int] | None = None, axes: Any = None) -> Any:
    """The axes given, or new ones of the lengths `nout`.

    Raises ValueError where both or none are given, or an axis has no length.
    """
    if axes is None:
        if nout is None:
            raise ValueError("neither nout nor axes is given; one of them is needed")
        return ng.make_axes([ng.make_axis(length) for length in cast_tuple(nout)])
    if nout is not None:
        raise ValueError(f"axes are given, so nout is None, not {nout}")
    if None in axes.lengths:
        raise ValueError(f"the axes that are given need lengths; they have {axes.lengths}")
    return axes


class Linear(Layer):
    """Weights times the input, summed over the input's axes but `keep_axes`.

    By default the batch and recurrent axes are kept. The result's axes are `axes`, or new ones of
    the lengths `nout`, before those that are kept.
    """

    def __init__(
        self,
        init: Any,
        nout: int | Iterable[int] | None = None,
        axes: Any = None,
        keep_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if axes is not None:
            axes = ng.make_axes(axes)
            assert_no_shadow_axes(axes, "the axes of Linear")
        self.axes = infer_axes(nout, axes)
        self.axes_map = shadow_axes_map(self.axes)
        self.keep_axes = None if keep_axes is None else ng.make_axes(keep_axes)
        self._check_axes()
        self.init = init
        self.W: Any = None

    def _check_axes(self) -> None:
        if self.keep_axes is not None:
            assert_no_shadow_axes(self.keep_axes, "keep_axes of Linear")
            if self.keep_axes & self.axes:
                raise IncompatibleAxesError(
                    f"axes and keep_axes of Linear share {self.keep_axes & self.axes}"
                )
        elif (axis := self.axes.batch_axis() or self.axes.recurrent_axis()) is not None:
            raise ValueError(f"axes of Linear are those of features; they contain {axis}")

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, reuse: bool = True, **kwargs: Any) -> Any:
        if not self.initialized:
            if self.keep_axes is None:
                summed = in_obj.axes.feature_axes()
            else:
                summed = in_obj.axes - self.keep_axes
            axes = ng.make_axes(list(self.axes_map)) + summed
            self.W = weight(axes, self.init, "W")
        # Axes of the input and of the result may have one name: shadow axes keep them apart.
        return ng.map_roles(ng.dot(self.W, in_obj), self.axes_map)


class LookupTable(Layer):
    """A row of `embed_dim` numbers for every word: the embedding of (REC, N) or (N) indices.

    The result has the axes (F, REC, N). The row of `pad_idx` is and stays 0; with update=False
    no row is trained.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        init: Callable[[Any], Any],
        update: bool = True,
        pad_idx: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embed_dim = embed_dim
        self.init = init
        self.update = update
        self.pad_idx = pad_idx
        self.W: Any = None

    def lut_init(self, axes: Any, pad_word_axis: Any, pad_idx: int | None) -> Any:
        """Initial values, with 0 where the word is `pad_idx`; without one all are 0, as in neon."""
        values = np.broadcast_to(self.init(axes), axes.lengths).copy()
        values[(slice(None),) * axes.index(pad_word_axis) + (pad_idx,)] = 0
        return values

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        axes = in_obj.axes
        steps = [axis for axis in (axes.recurrent_axis(), axes.batch_axis()) if axis is not None]
        words = ng.flatten(ng.axes_with_order(in_obj, ng.make_axes(steps)))
        vocabulary = ng.make_axis(self.vocab_size).named("V")
        self.axes_map = shadow_axes_map([vocabulary])
        self.lut_v_axis = next(iter(self.axes_map.values()))
        self.lut_f_axis = ng.make_axis(self.embed_dim).named("F")
        self.w_axes = ng.make_axes([self.lut_v_axis, self.lut_f_axis])
        self.lut_o_axes = words.axes | ng.make_axes([self.lut_f_axis])
        self.o_axes = ng.make_axes([self.lut_f_axis]) | words.axes[0].axes
        if not self.initialized:
            values = self.lut_init(self.w_axes, self.lut_v_axis, self.pad_idx)
            self.W = weight(self.w_axes, values, "LutW")
        found = ng.lookuptable(
            self.W, words, self.lut_o_axes, update=self.update, pad_idx=self.pad_idx
        )
        return ng.axes_with_order(ng.map_roles(ng.unflatten(found), self.axes_map), self.o_axes)


class Bias(Layer):
    """The input plus a bias for each feature, or for each channel where it is `shared`."""

    def __init__(self, init: Any, shared: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.W: Any = None
        self.init = ConstantInit(0) if init is None else init
        self.shared = shared

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        if not self.initialized:
            axes, channels = in_obj.axes.feature_axes(), in_obj.axes.channel_axis()
            if self.shared and channels is not None:
                axes = ng.make_axes(channels)
            self.W = weight(axes, self.init, "bias", "bias")
        return in_obj + self.W


def batch_norm_layer(batch_norm: bool | BatchNorm | None, bias_init: Any) -> BatchNorm | None:
    """The layer that an argument `batch_norm` asks for; ValueError where there is a bias too."""
    if not batch_norm:
        return None
    if bias_init is not None:
        raise ValueError("batch normalization has a bias of its own, so bias_init is None")
    return batch_norm if isinstance(batch_norm, BatchNorm) else BatchNorm()


class Affine(Layer):
    """Linear, then a bias or batch normalization, then the activation.

    `axes` are the result's feature axes, or `nout` their lengths. `batch_norm` is True or a
    BatchNorm layer; without it there is always a bias, 0 at first where `bias_init` is None.
    """

    def __init__(
        self,
        weight_init: Any,
        nout: int | Iterable[int] | None = None,
        bias_init: Any = None,
        activation: Callable[[Any], Any] | None = None,
        batch_norm: bool | BatchNorm = False,
        axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.weight_init = weight_init
        self.nout = nout
        self.bias_init = bias_init
        self.activation = activation
        self.batch_norm = batch_norm
        self.linear = Linear(init=weight_init, nout=nout, axes=axes)
        self.bias = None if batch_norm else Bias(init=bias_init)
        self.batch_norm_layer = batch_norm_layer(batch_norm, bias_init)
        self.activation_layer = Activation(transform=activation)

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        x = self.linear(in_obj)
        for layer in (self.bias, self.batch_norm_layer, self.activation_layer):
            x = x if layer is None else layer(x)
        return x
