"""Layers of images: convolution, its transpose, pooling, normalisation across maps, regions."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from anode.frontends.neon import logger
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import (
    Layer,
    ParameterLayer,
    fill,
    set_pairs_of_states,
    take_up,
)

_EACH = ("d", "h", "w")


def _sizes(value: Any, prefix: str) -> dict[str, int]:
    """{"str_h": …, "str_w": …} from a number for both or such a dict."""
    if isinstance(value, int):
        return {f"{prefix}_h": value, f"{prefix}_w": value}
    return value


def _shape_keys(shape: Any, names: str, what: str) -> dict[str, int]:
    """The dims of images by name; `names` of flat ones, with a depth after the first of others."""
    if not isinstance(shape, tuple) or len(shape) not in (3, 4):
        raise ValueError(f"{what} needs images (C, H, W) or (C, D, H, W), not {shape}")
    keys = [names[0], *names[2:]] if len(shape) == 3 else list(names)
    return dict(zip(keys, shape, strict=True))


class _Filters(ParameterLayer):
    """A layer with a window of filters that moves over images."""

    kind = "Convolution"

    def _read(self, fshape: Any, strides: Any, padding: Any, dilation: Any, last: str) -> Any:
        """All sizes in one dict."""
        self.nglayer: Any = None
        self.fshape, self.strides = fshape, strides
        self.padding, self.dilation = padding, dilation
        if isinstance(fshape, (tuple, list)):
            keys = ("R", "S", last) if len(fshape) == 3 else ("T", "R", "S", last)
            fshape = dict(zip(keys, fshape, strict=True))
        sizes = {
            f"{name}_{d}": n for name, n in (("str", 1), ("pad", 0), ("dil", 1)) for d in _EACH
        }
        sizes["T"] = 1
        for part in (
            fshape,
            _sizes(strides, "str"),
            _sizes(padding, "pad"),
            _sizes(dilation, "dil"),
        ):
            sizes.update(part)
        return sizes

    def _text(self, sizes: dict[str, int]) -> str:
        used = _EACH[-(len(self.in_shape) - 1) :]

        def image(shape: Any) -> str:
            return f"{shape[0]} x ({'x'.join(map(str, shape[1:]))})"

        def each(name: str) -> str:
            return ",".join(str(sizes[f"{name}_{d}"]) for d in used)

        return (
            f"{self.kind} Layer '{self.name}': {image(self.in_shape)} inputs, "
            f"{image(self.out_shape)} outputs, {each('pad')} padding, {each('str')} stride, "
            f"{each('dil')} dilation"
        )


class Convolution(_Filters):
    """Filters over images, with a weight (C·T·R·S, K).

    `fshape` is (R, S, K), or (T, R, S, K) of images with a depth; `strides`, `padding` and
    `dilation` are numbers for height and width, or dicts with str_h, pad_w, dil_d and so on.
    """

    def __init__(
        self,
        fshape: Any,
        strides: Any = {},  # noqa: B006 (part of descriptions)
        padding: Any = {},  # noqa: B006
        dilation: Any = {},  # noqa: B006
        init: Any = None,
        bsum: bool = False,
        name: str | None = None,
        parallelism: str = "Data",
    ) -> None:
        super().__init__(init, name, parallelism)
        self.is_mklop = True
        self.bsum = bsum
        self.convparams = {"D": 1} | self._read(fshape, strides, padding, dilation, "K")

    def __str__(self) -> str:
        return self._text(self.convparams)

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        if self.nglayer is None:
            self.convparams |= _shape_keys(self.in_shape, "CDHW", self.classnm)
            self.convparams["N"] = self.be.bsz
            self.nglayer = self.be.conv_layer(self.be.default_dtype, **self.convparams)
            K, M, P, Q, _ = self.nglayer.dimO
            self.out_shape = (K, P, Q) if M == 1 else (K, M, P, Q)
        if self.weight_shape is None:
            self.weight_shape = self.nglayer.dimF2
        if self.bsum:
            self.batch_sum_shape = (self.nglayer.K, 1)
        return self

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.inputs = inputs
        self.be.fprop_conv(
            self.nglayer, inputs, self.W, self.outputs, beta=beta, bsum=self.batch_sum
        )
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is not None:
            self.be.bprop_conv(self.nglayer, self.W, error, self.deltas, alpha=alpha, beta=beta)
        self.be.update_conv(self.nglayer, self.inputs, error, self.dW)
        return self.deltas


class Convolution_bias(Convolution):
    """Convolution and a bias for each map."""

    def __init__(
        self,
        fshape: Any,
        strides: Any = {},  # noqa: B006
        padding: Any = {},  # noqa: B006
        dilation: Any = {},  # noqa: B006
        init: Any = None,
        bsum: bool = False,
        name: str | None = None,
        bias: Any = None,
        parallelism: str = "Data",
    ) -> None:
        super().__init__(fshape, strides, padding, dilation, init, bsum, name, parallelism)
        self.bias = self.init_bias = bias
        self.weight_bias: Any = None
        self.grad_bias: Any = None
        self.states = [[], []]

    def init_params(self, shape: Any) -> None:
        super().init_params(shape)
        self.states = [[], []]
        self.weight_bias = self.be.zeros((self.out_shape[0], 1))
        self.grad_bias = self.be.empty_like(self.weight_bias)
        fill(self.weight_bias, self.init_bias, self.name)
        if self.accumulate_updates:
            self.acc_grad_bias = self.be.empty_like(self.grad_bias)
            self.acc_params += [(self.acc_grad_bias, self.grad_bias)]

    def get_params(self) -> Any:
        return [
            ((self.W, self.dW), self.states[0]),
            ((self.weight_bias, self.grad_bias), self.states[1]),
        ]

    def get_description(
        self, get_weights: bool = False, keep_states: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        found = super().get_description()
        if get_weights:
            found["params"] = {"W": self.W.get(), "weight_bias": self.weight_bias.get()}
            if keep_states:
                found["states"] = [[s.get() for s in part] for part in self.states]
        return found

    def convert_format(self, pdict: list[dict[str, Any]]) -> dict[str, Any]:
        """The one description that files before neon 2.3 have two of."""
        first, second = pdict
        found = deepcopy(first)
        found["config"]["bias"] = second["config"]["init"]
        if "states" in first and "states" in second:
            found["states"] = [first["states"], second["states"]]
        found["params"]["weight_bias"] = second["params"]["W"]
        found["type"] = "neon.layers.layer.Convolution_bias"
        return found

    def set_params(self, pdict: Any) -> None:
        if isinstance(pdict, list):
            logger.warning(
                "%s: a file of before neon 2.3, with the bias as a layer of its own", self.name
            )
            pdict = self.convert_format(pdict)
        for key, value in pdict["params"].items():
            take_up(self, key, value)
        if self.dW is None:
            self.dW = self.be.empty_like(self.W)
        if self.grad_bias is None:
            self.grad_bias = self.be.empty_like(self.weight_bias)

    def set_states(self, pdict: Any) -> None:
        if isinstance(pdict, list):
            pdict = self.convert_format(pdict)
        if not any(pdict.get("states", [])):
            raise ValueError(
                f"{self.name}: weights do not contain states information, consider setting "
                "load_states=False in load_params"
            )
        set_pairs_of_states(self, pdict)

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.inputs = inputs
        self.be.fprop_conv(
            self.nglayer,
            inputs,
            self.W,
            self.outputs,
            beta=beta,
            bias=self.weight_bias,
            bsum=self.batch_sum,
        )
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is not None:
            self.be.bprop_conv(self.nglayer, self.W, error, self.deltas, alpha=alpha, beta=beta)
        self.be.update_conv(self.nglayer, self.inputs, error, self.dW, grad_bias=self.grad_bias)
        return self.deltas


class Deconvolution(_Filters):
    """The gradient of a convolution by its images, as a layer: `fshape` is (R, S, output maps)."""

    kind = "Deconvolution"

    def __init__(
        self,
        fshape: Any,
        strides: Any = {},  # noqa: B006
        padding: Any = {},  # noqa: B006
        dilation: Any = {},  # noqa: B006
        init: Any = None,
        bsum: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(init, name)
        self.bsum = bsum
        self.deconvparams = {"M": 1} | self._read(fshape, strides, padding, dilation, "C")

    def __str__(self) -> str:
        return self._text(self.deconvparams)

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        if self.nglayer is None:
            self.deconvparams |= _shape_keys(self.in_shape, "KMPQ", self.classnm)
            self.deconvparams["N"] = self.be.bsz
            self.nglayer = self.be.deconv_layer(self.be.default_dtype, **self.deconvparams)
            C, D, H, W, _ = self.nglayer.dimI
            self.out_shape = (C, H, W) if D == 1 else (C, D, H, W)
        if self.weight_shape is None:
            self.weight_shape = self.nglayer.dimF2
        if self.bsum:
            self.batch_sum_shape = (self.nglayer.C, 1)
        return self

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.inputs = inputs
        self.be.bprop_conv(
            layer=self.nglayer, F=self.W, E=inputs, grad_I=self.outputs, bsum=self.batch_sum
        )
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is not None:
            self.be.fprop_conv(self.nglayer, error, self.W, self.deltas, alpha=alpha, beta=beta)
        self.be.update_conv(self.nglayer, error, self.inputs, self.dW)
        return self.deltas


class Pooling(Layer):
    """The "max", "avg" or "l2" of windows, which are as far apart as wide unless `strides` tell.

    `fshape` is a number, (R, S), (T, R, S), or "all" for whole images.
    """

    def __init__(
        self,
        fshape: Any,
        op: str = "max",
        strides: Any = {},  # noqa: B006
        padding: Any = {},  # noqa: B006
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.op, self.fshape, self.strides, self.padding = op, fshape, strides, padding
        self.owns_delta = self.is_mklop = True
        self.argmax: Any = None
        self.nglayer: Any = None
        self.poolparams: dict[str, Any] = {f"str_{d}": None for d in (*_EACH, "c")}
        self.poolparams |= {f"pad_{d}": 0 for d in (*_EACH, "c")}
        self.poolparams |= {"J": 1, "T": 1, "D": 1, "op": op}
        for part in (_window(fshape), _sizes(strides, "str"), _sizes(padding, "pad")):
            self.poolparams.update(part)

    def __str__(self) -> str:
        def image(shape: Any) -> str:
            return f"{shape[0]} x ({'x'.join(map(str, shape[1:]))})"

        return (
            f"Pooling Layer '{self.name}': {image(self.in_shape)} inputs, "
            f"{image(self.out_shape)} outputs"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        if self.nglayer is None:
            self.poolparams |= _shape_keys(self.in_shape, "CDHW", self.classnm)
            self.poolparams["N"] = self.be.bsz
            if self.poolparams["R"] is None:
                self.poolparams["R"] = self.poolparams["H"]
                self.poolparams["S"] = self.poolparams["W"]
            self.nglayer = self.be.pool_layer(self.be.default_dtype, **self.poolparams)
            K, M, P, Q, _ = self.nglayer.dimO
            self.out_shape = (K, M, P, Q) if len(self.in_shape) == 4 else (K, P, Q)
        return self

    def set_deltas(self, delta_buffers: Any) -> None:
        super().set_deltas(delta_buffers)
        self._make_places()

    def _make_places(self) -> None:
        shape = self.outputs.shape
        if self.op == "max" and (self.argmax is None or self.argmax.shape != shape):
            small = np.prod(self.nglayer.JTRS) < 256
            self.argmax = self.be.empty(shape, dtype=np.uint8 if small else np.int32)

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.inputs = inputs
        self._make_places()
        self.be.fprop_pool(self.nglayer, inputs, self.outputs, self.argmax, beta=beta)
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.be.bprop_pool(self.nglayer, error, self.deltas, self.argmax, alpha, beta)
        return self.deltas


def _window(fshape: Any) -> dict[str, int | None]:
    if isinstance(fshape, int):
        return {"R": fshape, "S": fshape}
    if isinstance(fshape, (tuple, list)):
        keys = ("R", "S") if len(fshape) == 2 else ("T", "R", "S")
        return dict(zip(keys, fshape, strict=True))
    return {"R": None, "S": None} if fshape == "all" else fshape


class LRN(Layer):
    """x · (1 + ascale/depth · Σ x²)^−bpower, the sum over `depth` maps, an odd number, about each.

    As on the original's CPU, alpha and beta count for nothing.
    """

    def __init__(
        self,
        depth: int,
        alpha: float = 1.0,
        beta: float = 0.0,
        ascale: float = 1.0,
        bpower: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.J = self.depth = depth
        self.alpha, self.beta, self.ascale, self.bpower = alpha, beta, ascale, bpower
        self.owns_delta = True
        self.nglayer: Any = None
        self.lrnparams = {"J": depth}

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        if self.nglayer is None:
            self.lrnparams |= _shape_keys(self.in_shape, "CDHW", self.classnm)
            self.lrnparams["N"] = self.be.bsz
            self.nglayer = self.be.lrn_layer(self.be.default_dtype, **self.lrnparams)
            self.out_shape = self.in_shape
        return self

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        super().allocate(shared_outputs)
        self.denom = self.be.iobuf(self.in_shape)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.inputs = inputs
        self.be.fprop_lrn(
            self.nglayer,
            inputs,
            self.outputs,
            self.denom,
            self.alpha,
            self.beta,
            self.ascale,
            self.bpower,
        )
        return self.outputs

    def bprop(self, error: Any) -> Any:
        if self.deltas is not None:
            self.be.bprop_lrn(
                self.nglayer,
                self.inputs,
                self.outputs,
                error,
                self.deltas,
                self.denom,
                self.alpha,
                self.beta,
                self.ascale,
                self.bpower,
            )
        return self.deltas


class RoiPooling(Layer):
    """The maxima of HW cells of regions of an image: takes (images, regions).

    Regions are columns (image, left, top, right, bottom) in pixels of an image of which that given
    is `spatial_scale` as large. The output is (C·H·W, regions). Source: Girshick 2015.
    """

    def __init__(
        self,
        HW: tuple[int, int] = (7, 7),
        bprop_enabled: bool = True,
        spatial_scale: float = 0.0625,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.HW, self.spatial_scale, self.bprop_enabled = HW, spatial_scale, bprop_enabled
        self.roi_H, self.roi_W = HW
        self.owns_delta = True
        self.img: Any = None
        self.rois: Any = None
        self.rois_per_img: Any = None
        self.fm_channel: Any = None
        self.fm_height: Any = None
        self.fm_width: Any = None

    def configure(self, in_obj: Any) -> Any:
        """Take two layers, or whatever has an `out_shape`: that of images, and of regions."""
        self.prev_layer = in_obj
        images, regions = in_obj
        if regions.out_shape[0] != 5:
            raise ValueError(f"{self.name}: regions have 5 numbers, not {regions.out_shape[0]}")
        self.rois_per_img = regions.out_shape[1]
        self.in_shape = images.out_shape
        self.fm_channel, self.fm_height, self.fm_width = self.in_shape
        self.error_in_reshape = (self.fm_channel, -1)
        self.fm_reshape_shape = (self.fm_channel, self.fm_height * self.fm_width, self.be.bsz)
        self.out_shape = (self.fm_channel * self.roi_H * self.roi_W, self.rois_per_img)
        return self

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        super().allocate(shared_outputs)
        self.error = self.be.iobuf(self.in_shape)
        self.max_idx = self.be.iobuf(self.out_shape, dtype=np.int32)

    def init_buffers(self, inputs: Any) -> None:
        """Take the images and the regions."""
        self.img, self.rois = inputs[0], inputs[1].transpose()
        if self.rois.shape[1] != 5:
            raise ValueError(f"{self.name}: regions have 5 numbers, not {self.rois.shape[1]}")

    def _sizes(self) -> tuple[Any, ...]:
        maps = (self.rois_per_img, self.fm_channel, self.fm_height, self.fm_width)
        return (*maps, self.roi_H, self.roi_W, self.spatial_scale)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.init_buffers(inputs)
        self.be.roipooling_fprop(self.img, self.rois, self.outputs, self.max_idx, *self._sizes())
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.bprop_enabled:
            self.be.roipooling_bprop(error, self.rois, self.error, self.max_idx, *self._sizes())
        else:
            self.error.fill(0)
        return self.error
