"""Layers of images: convolution, pooling, normalisation across channels, change of size.

Images are (batch, *spatial, channels), with one to three spatial dims; where the dim of channels is
missing there is one channel. Weights are (*kernel, channels / groups, filters).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.axes import Axis, sized
from anode.frontends.layers.initializers import Fans
from anode.frontends.layers.layers import (
    GLOROT,
    Layer,
    Transform,
    check_float,
    composed,
    features,
    static,
)
from anode.frontends.layers.masks import masked
from anode.ir.node import Node
from anode.ops.recurrent import length_mask
from anode.ops.spatial import Padding, paddings

Sizes = int | Sequence[int] | Mapping[str, int]  # of each spatial dim, or neon's {"str_h": 2, …}
Pads = Padding | Mapping[str, int]
FORMATS = {3: "NWC", 4: "NHWC", 5: "NDHWC"}  # by the number of dims
POOLS = {"max": "max", "avg": "average", "l2": "lp"}


class Convolution(Layer):
    """Each filter's product with every window of the images.

    `fshape` is (*kernel, filters): (5, 5, 32) for images, (3, 3, 3, 32) for volumes. `strides`,
    `padding` and `dilation` are a number, one for each spatial dim, or neon's {"str_h": 2, …};
    `padding` may also be pairs (before, after), "VALID" for none, or "SAME", with which there are
    ⌈size / stride⌉ windows. Channels and filters are in `groups` that do not see each other.

    Of sequences the first spatial dim is the steps: those beyond a sequence's length count as 0.
    """

    def __init__(
        self,
        fshape: Sequence[int | Axis],
        strides: Sizes = 1,
        padding: Pads = 0,
        dilation: Sizes = 1,
        init: Any = GLOROT,
        name: str | None = None,
        *,
        groups: int = 1,
    ) -> None:
        *kernel, filters = fshape
        self.filters, self.axis = sized(filters, type(self).__name__)
        self.kernel = tuple(sized(size, "a window")[0] for size in kernel)
        rank = len(kernel)
        self.strides = per_dim(strides, rank, 1)
        self.dilation = per_dim(dilation, rank, 1)
        self.padding = sides(padding, rank)
        self.init, self.name, self.groups = init, name, groups

    def build(self, x: Node) -> Node:
        given, x = x, images(within(self, x), len(self.kernel))
        y = ops.conv(x, self.filter(x, features(x), self.filters), **self.options(x))
        note_windows(self, given, y, self.kernel, self.strides, self.padding, self.dilation)
        return y

    def options(self, x: Node) -> dict[str, Any]:
        """What the op takes besides images and weight."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilations": self.dilation,
            "groups": self.groups,
            "data_format": FORMATS[len(x.shape)],
        }

    def filter(self, x: Node, channels: int, filters: int) -> Node:
        """The weight of a convolution from `channels` to `filters`, where the input is `x`."""
        taps, groups = math.prod(self.kernel), self.groups
        if groups < 1 or channels % groups or filters % groups:
            raise ShapeError(f"{channels} and {filters} channels do not make {groups} groups")
        fans = Fans(taps * features(x) // groups, taps * self.filters // groups)
        shape = (*self.kernel, channels // groups, filters)
        return self.variable("weight", shape, self.init, dtype=x.dtype, fans=fans)


class Deconvolution(Convolution):
    """The adjoint of a convolution by its data, from small images to larger ones.

    `fshape` is (*kernel, channels of the output). Sizes become (size − 1) · stride + the dilated
    kernel − padding + `output_padding`, or with "SAME" size · stride. Weights are (*kernel,
    channels of the output / groups, channels of the input).
    """

    def __init__(
        self,
        fshape: Sequence[int | Axis],
        strides: Sizes = 1,
        padding: Pads = 0,
        dilation: Sizes = 1,
        init: Any = GLOROT,
        name: str | None = None,
        *,
        groups: int = 1,
        output_padding: Sizes = 0,
    ) -> None:
        super().__init__(fshape, strides, padding, dilation, init, name, groups=groups)
        self.output_padding = per_dim(output_padding, len(self.kernel), 0)

    def build(self, x: Node) -> Node:
        x = images(x, len(self.kernel))
        w = self.filter(x, self.filters, features(x))
        extra = self.output_padding
        return ops.conv_transpose(x, w, output_padding=extra, **self.options(x))


class Pooling(Layer):
    """One number of each window of each channel: its maximum, average, or l2 norm.

    `fshape` is the window, a number or one for each spatial dim, or "all" for whole images, whose
    spatial dims become 1; a number is for two dims or more, (2,) for sequences. `op` is "max",
    "avg" or "l2". Strides are the window by default; with `ceil` the number of windows is rounded
    up, as Caffe does. Averages count the padding, and not what lies beyond it, unless
    `include_padding` is False.
    """

    keeps_axes = True

    def __init__(
        self,
        fshape: int | Sequence[int] | Literal["all"],
        op: str = "max",
        strides: Sizes | None = None,
        padding: Pads = 0,
        name: str | None = None,
        *,
        ceil: bool = False,
        include_padding: bool = True,
    ) -> None:
        if op not in POOLS:
            raise ShapeError(f"Pooling: there is no op {op!r}, only {', '.join(POOLS)}")
        if fshape == "all" and (strides or padding or ceil):
            raise ShapeError("Pooling: whole images have no strides, padding or ceil")
        self.fshape, self.op, self.name = fshape, op, name
        self.strides, self.padding = strides, padding
        self.ceil, self.include_padding = ceil, include_padding

    def build(self, x: Node) -> Node:
        given, rank = x, self.rank(x)
        x = images(x, rank)
        kind, data_format = POOLS[self.op], FORMATS[len(x.shape)]
        if isinstance(self.fshape, str):
            return ops.global_pool(x, kind, data_format=data_format)
        sizes, padding = per_dim(self.fshape, rank, 1), sides(self.padding, rank)
        strides = sizes if self.strides is None else per_dim(self.strides, rank, 1)
        y = ops.pool(
            x,
            kind,
            sizes,
            strides,
            padding,
            ceil=self.ceil,
            include_padding=self.include_padding,
            data_format=data_format,
        )
        if not self.ceil:
            note_windows(self, given, y, sizes, strides, padding, (1,) * rank)
        return y

    def rank(self, x: Node) -> int:
        """How many spatial dims `x` has, by the window."""
        if isinstance(self.fshape, str):
            return max(len(x.shape) - 2, 1)
        return max(len(x.shape) - 2, 2) if isinstance(self.fshape, int) else len(self.fshape)


class LRN(Layer):
    """x · (bias + ascale / depth · Σ x²)^−bpower, the sum over `depth` channels around each.

    Source: Krizhevsky et al. 2012, in the form of neon and Caffe.
    """

    keeps_axes = True

    def __init__(
        self,
        depth: int = 5,
        ascale: float = 1.0,
        bpower: float = 1.0,
        bias: float = 1.0,
        name: str | None = None,
    ) -> None:
        self.depth, self.ascale, self.bpower = depth, float(ascale), float(bpower)
        self.bias, self.name = float(bias), name

    def build(self, x: Node) -> Node:
        check_float(x)
        return ops.local_response_norm(
            x, size=self.depth, alpha=self.ascale, beta=self.bpower, k=self.bias
        )


class Upsampling(Layer):
    """Images larger by `factors`, one whole number or one for each spatial dim.

    `mode` is "nearest", which repeats elements, "linear" or "cubic", as in `ops.resize`.
    """

    keeps_axes = True

    def __init__(
        self, factors: int | Sequence[int], mode: str = "nearest", name: str | None = None
    ) -> None:
        self.factors, self.mode, self.name = factors, mode, name

    def build(self, x: Node) -> Node:
        rank = 2 if isinstance(self.factors, int) else len(self.factors)
        x = images(x, max(len(x.shape) - 2, rank))
        spatial = static(x)[1:-1]
        factors = per_dim(self.factors, len(spatial), 1)
        sizes = tuple(n * factor for n, factor in zip(spatial, factors, strict=True))
        return ops.resize(x, sizes=sizes, mode=self.mode)


def Conv(
    fshape: Sequence[int | Axis],
    init: Any = GLOROT,
    strides: Sizes = 1,
    padding: Pads = 0,
    dilation: Sizes = 1,
    bias: Any = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
    *,
    groups: int = 1,
) -> list[Layer]:
    """Convolution, then Bias or BatchNorm, then Activation: those that are asked for, as a list.

    `bias` is the bias's initialiser. Layers are named as those of Affine.
    """
    product = Convolution(fshape, strides, padding, dilation, init, name, groups=groups)
    return composed(product, bias, batch_norm, activation, name)


def Deconv(
    fshape: Sequence[int | Axis],
    init: Any = GLOROT,
    strides: Sizes = 1,
    padding: Pads = 0,
    dilation: Sizes = 1,
    bias: Any = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
    *,
    groups: int = 1,
    output_padding: Sizes = 0,
) -> list[Layer]:
    """Deconvolution, then what Conv has."""
    product = Deconvolution(
        fshape,
        strides,
        padding,
        dilation,
        init,
        name,
        groups=groups,
        output_padding=output_padding,
    )
    return composed(product, bias, batch_norm, activation, name)


def per_dim(value: Sizes, rank: int, default: int) -> tuple[int, ...]:
    """A size for each of `rank` spatial dims; neon's keys end in d, h or w, the last of which."""
    if isinstance(value, int):
        return (value,) * rank
    if isinstance(value, Mapping):
        letters = "dhw"[3 - rank :]
        given = {key[-1]: size for key, size in value.items()}
        if unknown := [key for key in value if key[-1] not in letters]:
            raise ShapeError(
                f"{unknown[0]!r} is no dim of {rank}; keys end in {', '.join(letters)}"
            )
        return tuple(given.get(letter, default) for letter in letters)
    if len(value) != rank:
        raise ShapeError(f"{tuple(value)} has {len(value)} sizes for {rank} spatial dims")
    return tuple(value)


def sides(padding: Pads, rank: int) -> Padding:
    """`padding` as the ops take it: neon's dictionaries become a size for each dim."""
    return per_dim(padding, rank, 0) if isinstance(padding, Mapping) else padding


def within(layer: Layer, x: Node) -> Node:
    """`x` with 0 at the steps beyond the length of each sequence, if it is of sequences."""
    lengths = layer.lengths(x)
    if lengths is None:
        return x
    return masked(x, ops.transpose(length_mask(lengths, static(x)[1])))


def note_windows(
    layer: Layer,
    x: Node,
    y: Node,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilations: Sequence[int],
) -> None:
    """Let sequences `y`, a window of the sequences `x` each step, have as many as fit in these."""
    lengths = layer.lengths(x)
    if lengths is None:
        if x in layer._scope.sequences:
            layer._scope.sequences[y] = None
        return
    sizes = static(x)[1 : len(kernel) + 1]
    before, after = paddings(
        type(layer).__name__, padding, sizes, tuple(kernel), tuple(strides), tuple(dilations)
    )[0]
    stride, reach = strides[0], (kernel[0] - 1) * dilations[0] + 1
    fitting = ops.floor_divide(lengths + (before + after - reach + stride), stride)
    layer.set_lengths(y, ops.maximum(fitting, 0))


def images(x: Node, rank: int) -> Node:
    """`x` as (batch, `rank` spatial dims, channels), with one channel if it has no such dim."""
    check_float(x)
    if len(x.shape) == rank + 1:
        x = ops.reshape(x, shape=(*x.shape, 1))
    if len(x.shape) != rank + 2:
        raise ShapeError(f"the input is {x.type}; a kernel of {rank} dims takes {rank + 2} dims")
    return x
