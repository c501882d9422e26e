"""Convolution, pooling and local response normalisation of images (C·D·H·W, N).

Inside, images are (N, [D,] H, W, C) and filters ([T,] R, S, C, K): the moves cancel between layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

from anode import ops
from anode.errors import ShapeError
from anode.frontends.neon.backends.lowering import fitted
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.tracing import perform
from anode.ir.node import Node, constant
from anode.ops.shape import cut
from anode.transform.grad import gradients

Ints = tuple[int, ...]


def to_image(x: Node, dims: Sequence[int]) -> Node:
    """Values of (C·…·W, N) as (N, …, W, C); `dims` are C, …, W, N."""
    last = len(dims) - 1
    x = ops.reshape(x, shape=tuple(dims))
    return ops.transpose(x, permutation=(last, *range(1, last), 0))


def from_image(x: Node, shape: Sequence[int]) -> Node:
    """(N, …, W, C) as (C·…·W, N)."""
    last = len(x.shape) - 1
    x = ops.transpose(x, permutation=(last, *range(1, last), 0))
    return ops.reshape(x, shape=tuple(shape))


class ConvLayer:
    """The sizes of a convolution: images (C, D, H, W, N), filters (C, T, R, S, K)."""

    def __init__(self, lib: Any, dtype: Any, N: int, C: int, K: int, **sizes: int) -> None:
        self._take(sizes)
        out = [
            lib.output_dim(x, s, pad, stride, dilation=dilation)
            for x, s, pad, stride, dilation in zip(
                self.DHW, self.TRS, self.padding, self.strides, self.dilation, strict=True
            )
        ]
        self._settle(N, C, K, self.DHW, tuple(out))

    def _take(self, sizes: dict[str, int]) -> None:
        def three(names: str, default: int) -> Ints:
            return tuple(sizes.get(name, default) for name in names.split())

        self.DHW, self.TRS = three("D H W", 1), three("T R S", 1)
        self.MPQ = three("M P Q", 1)
        self.padding = three("pad_d pad_h pad_w", 0)
        self.strides = three("str_d str_h str_w", 1)
        self.dilation = three("dil_d dil_h dil_w", 1)

    def _settle(self, N: int, C: int, K: int, inner: Ints, outer: Ints) -> None:
        self.N, self.C, self.K, self.NCK = N, C, K, (N, C, K)
        self.DHW, self.MPQ = inner, outer
        self.D, self.H, self.W = inner
        self.M, self.P, self.Q = outer
        self.dimI, self.dimO = (C, *inner, N), (K, *outer, N)
        self.dimF, self.dimS = (C, *self.TRS, K), (K, 1)
        self.dimI2 = (math.prod(self.dimI[:-1]), N)
        self.dimF2 = (math.prod(self.dimF[:-1]), K)
        self.dimO2 = (math.prod(self.dimO[:-1]), N)
        self.sizeI, self.sizeF, self.sizeO = map(math.prod, (self.dimI, self.dimF, self.dimO))
        flat = self.DHW[0] == self.TRS[0] == self.MPQ[0] == 1 and not self.padding[0]
        self._first = 1 if flat else 0  # of the spatial dims that count

    @property
    def nOut(self) -> int:
        return self.sizeO // self.N

    def inner(self, dims: Ints) -> Ints:
        """C, …, W, N without the depth of flat images."""
        return (dims[0], *dims[1 + self._first :])

    def filters(self, w: Node) -> Node:
        """(C·T·R·S, K) as ([T,] R, S, C, K)."""
        w = ops.reshape(w, shape=self.inner(self.dimF))
        last = len(w.shape) - 1
        return ops.transpose(w, permutation=(*range(1, last), 0, last))

    def unfiltered(self, w: Node) -> Node:
        """([T,] R, S, C, K) as (C·T·R·S, K)."""
        last = len(w.shape) - 1
        w = ops.transpose(w, permutation=(last - 1, *range(last - 1), last))
        return ops.reshape(w, shape=self.dimF2)

    @property
    def windows(self) -> dict[str, Ints]:
        """The attributes of anode's convolutions."""
        first = self._first
        padding = self.padding[first:]
        return {
            "strides": self.strides[first:],
            "low": padding,
            "high": padding,
            "dilations": self.dilation[first:],
        }

    @property
    def sizes(self) -> Ints:
        return self.DHW[self._first :]

    @property
    def kernel(self) -> Ints:
        return self.TRS[self._first :]


class DeconvLayer(ConvLayer):
    """The sizes of the gradient of a convolution by its images; here M, P, Q are given."""

    def __init__(self, lib: Any, dtype: Any, N: int, C: int, K: int, **sizes: int) -> None:
        self._take(sizes)
        inner = [
            (out - 1) * stride - 2 * pad + dilation * (s - 1) + 1
            for out, s, pad, stride, dilation in zip(
                self.MPQ, self.TRS, self.padding, self.strides, self.dilation, strict=True
            )
        ]
        self._settle(N, C, K, tuple(inner), self.MPQ)


class PoolLayer:
    """The sizes of pooling; windows of J maps and T × R × S elements are as far apart as wide."""

    def __init__(self, lib: Any, dtype: Any, op: str, N: int, C: int, **sizes: int | None) -> None:
        def four(names: str, default: Sequence[int]) -> Ints:
            found = [sizes.get(name) for name in names.split()]
            return tuple(d if n is None else n for n, d in zip(found, default, strict=True))

        self.op, self.N, self.C = op, N, C
        self.JTRS = four("J T R S", (1,) * 4)
        self.DHW = four("D H W", (1,) * 3)
        self.padding = four("pad_c pad_d pad_h pad_w", (0,) * 4)
        self.strides = four("str_c str_d str_h str_w", self.JTRS)
        inner = (C, *self.DHW)
        outer = tuple(
            lib.output_dim(x, s, pad, stride, pooling=True)
            for x, s, pad, stride in zip(inner, self.JTRS, self.padding, self.strides, strict=True)
        )
        self.K, self.MPQ = outer[0], outer[1:]
        self.M, self.P, self.Q = self.MPQ
        self.dimI, self.dimO, self.dimF2 = (*inner, N), (*outer, N), None
        self.dimI2 = (math.prod(inner), N)
        self.dimO2 = (math.prod(outer), N)
        self.sizeI, self.sizeO = math.prod(self.dimI), math.prod(self.dimO)
        self.nOut = math.prod(outer)

    @property
    def _across(self) -> bool:
        """Whether windows reach over maps."""
        return (self.JTRS[0], self.strides[0], self.padding[0]) != (1, 1, 0)

    @property
    def _first(self) -> int:
        """The first of the dims C, D, H, W to have windows."""
        if self._across:
            return 0
        flat = self.DHW[0] == self.JTRS[1] == 1 and not self.padding[1]
        return 2 if flat else 1

    def image(self, x: Node, dims: Ints) -> Node:
        """(C·…·W, N) as what anode's pooling takes; across maps these are a spatial dim."""
        if self._across:
            moved = ops.transpose(ops.reshape(x, shape=dims), permutation=(4, 0, 1, 2, 3))
            return ops.expand_dims(moved, 5)
        return to_image(x, (dims[0], *dims[self._first :]))

    def flat(self, y: Node, shape: Ints) -> Node:
        """What `image` was given."""
        if self._across:
            y = ops.transpose(ops.squeeze(y, 5), permutation=(1, 2, 3, 4, 0))
            return ops.reshape(y, shape=shape)
        return from_image(y, shape)

    @property
    def flat_dims(self) -> Ints:
        """C, …, W, N of the images, without the depth of flat ones."""
        return self.dimI if self.DHW[0] > 1 else (self.dimI[0], *self.dimI[2:])

    @property
    def lengths(self) -> Ints:
        return self.dimI[self._first : -1]

    @property
    def windows(self) -> dict[str, Ints]:
        """The attributes of anode's pooling: as much padding as the last window needs."""
        first = self._first
        low, strides, sizes = (x[first:] for x in (self.padding, self.strides, self.JTRS))
        outer = self.dimO[first:-1]
        high = [
            max((out - 1) * stride + size - length - pad, 0)
            for out, stride, size, length, pad in zip(
                outer, strides, sizes, self.lengths, low, strict=True
            )
        ]
        return {"sizes": sizes, "strides": strides, "low": low, "high": tuple(high)}

    def pooled(self, x: Node) -> Node:
        """The averages or norms of the windows; elements of the padding do not count."""
        if self.op == "avg":
            return ops.average_pool(x, **self.windows, include_padding=False)
        if self.op == "l2":
            return ops.lp_pool(x, **self.windows)
        raise ShapeError(f"pooling {self.op!r} is none of max, avg, l2")


def blended(out: Tensor, value: Node, alpha: float, beta: float) -> None:
    """Let `out` be alpha · value + beta · out."""
    if alpha != 1.0:
        value = value * alpha
    out = out.reshape(value.tensor.static)
    value = fitted(value, out.shape, out.cell.type.dtype)
    out.write(value + out.node() * beta if beta else value)


class Spatial:
    """be's functions of images."""

    programs: Any

    def conv_layer(self, dtype: Any, N: int, C: int, K: int, *args: int, **sizes: int) -> ConvLayer:
        """The sizes of a convolution."""
        return ConvLayer(self, dtype, N, C, K, **_named(_CONV, args), **sizes)

    def deconv_layer(
        self, dtype: Any, N: int, C: int, K: int, *args: int, **sizes: int
    ) -> DeconvLayer:
        """The sizes of a deconvolution, of C output maps and K input maps."""
        return DeconvLayer(self, dtype, N, C, K, **_named(_DECONV, args), **sizes)

    def pool_layer(
        self, dtype: Any, op: str, N: int, C: int, *args: Any, **sizes: Any
    ) -> PoolLayer:
        """The sizes of pooling."""
        return PoolLayer(self, dtype, op, N, C, **_named(_POOL, args), **sizes)

    def lrn_layer(
        self, dtype: Any, N: int, C: int, D: int = 1, H: int = 1, W: int = 1, J: int = 1
    ) -> PoolLayer:
        """The sizes of local response normalisation over J maps."""
        if J % 2 == 0:
            raise ShapeError(f"LRN over {J} maps: only odd depths are supported")
        return PoolLayer(self, dtype, "lrn", N, C, D=D, H=H, W=W, J=J, pad_c=J // 2, str_c=1)

    def fprop_conv(
        self,
        layer: ConvLayer,
        I: Tensor,  # noqa: E741 (the original's name)
        F: Tensor,
        O: Tensor,  # noqa: E741
        X: Tensor | None = None,
        bias: Tensor | None = None,
        bsum: Tensor | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
        relu: bool = False,
        brelu: bool = False,
        slope: float = 0.0,
        layer_op: Any = None,
    ) -> None:
        """O = alpha · I * F + beta · O, then the bias, and sums of each map into `bsum`."""

        def action() -> None:
            image = to_image(I.node(), layer.inner(layer.dimI))
            y = ops.convolution(image, layer.filters(F.node()), **layer.windows)
            if bias is not None:
                y = y + ops.reshape(bias.node(), shape=(bias.size,))
            y = from_image(y, layer.dimO2)
            _finish(O, y, X, bsum, (alpha, beta), relu, brelu, slope)

        perform(action, self.programs)

    def bprop_conv(
        self,
        layer: ConvLayer,
        F: Tensor,
        E: Tensor,
        grad_I: Tensor,
        X: Tensor | None = None,
        bias: Tensor | None = None,
        bsum: Tensor | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
        relu: bool = False,
        brelu: bool = False,
        slope: float = 0.0,
        layer_op: Any = None,
    ) -> None:
        """The gradient of `fprop_conv` by its images for the error E, blended into grad_I."""

        def action() -> None:
            error = to_image(E.node(), layer.inner(layer.dimO))
            x = ops.convolution_data(
                error, layer.filters(F.node()), sizes=layer.sizes, **layer.windows
            )
            if bias is not None:
                x = x + ops.reshape(bias.node(), shape=(bias.size,))
            x = from_image(x, layer.dimI2)
            _finish(grad_I, x, X, bsum, (alpha, beta), relu, brelu, slope)

        perform(action, self.programs)

    def update_conv(
        self,
        layer: ConvLayer,
        I: Tensor,  # noqa: E741
        E: Tensor,
        U: Tensor,
        alpha: float = 1.0,
        beta: float = 0.0,
        grad_bias: Tensor | None = None,
        layer_op: Any = None,
    ) -> None:
        """The gradient by the filters, blended into U, and by the bias."""

        def action() -> None:
            image = to_image(I.node(), layer.inner(layer.dimI))
            error = to_image(E.node(), layer.inner(layer.dimO))
            w = ops.convolution_weights(image, error, kernel=layer.kernel, **layer.windows)
            blended(U, layer.unfiltered(w), alpha, beta)
            if grad_bias is not None:
                sums = ops.sum(error, range(len(error.shape) - 1))
                blended(grad_bias, ops.reshape(sums, shape=grad_bias.shape), 1.0, 0.0)

        perform(action, self.programs)

    def fprop_pool(
        self,
        layer: PoolLayer,
        I: Tensor,  # noqa: E741
        O: Tensor,  # noqa: E741
        argmax: Tensor | None = None,
        beta: float = 0.0,
    ) -> None:
        """O = pooled I + beta · O; of a maximum its place in the window goes to `argmax`."""

        def action() -> None:
            image = layer.image(I.node(), layer.dimI)
            if layer.op == "max" and argmax is not None:
                y, places = ops.max_pool_with_index(image, **layer.windows).items
                places = layer.flat(places, layer.dimO2)
                argmax.write(fitted(places, argmax.shape, argmax.cell.type.dtype))
            else:
                y = layer.pooled(image)
            blended(O, layer.flat(y, layer.dimO2), 1.0, beta)

        perform(action, self.programs)

    def bprop_pool(
        self,
        layer: PoolLayer,
        I: Tensor,  # noqa: E741
        O: Tensor,  # noqa: E741
        argmax: Tensor | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
    ) -> None:
        """The gradient by the images for the error I, blended into O; of norms not known."""

        def action() -> None:
            error = layer.image(I.node(), layer.dimO)
            if layer.op == "max" and argmax is not None:
                places = layer.image(argmax.node(), layer.dimO)
                x = ops.max_pool_grad(error, places, lengths=layer.lengths, **layer.windows)
            elif layer.op == "avg":  # linear: any image has this gradient
                image = layer.image(ops.zeros(layer.dimI2, error.dtype), layer.dimI)
                (x,) = gradients([layer.pooled(image)], [image], [error])
            else:
                raise NotImplementedError(f"the gradient of {layer.op} pooling")
            blended(O, layer.flat(x, layer.dimI2), alpha, beta)

        perform(action, self.programs)

    def fprop_lrn(
        self,
        layer: PoolLayer,
        I: Tensor,  # noqa: E741
        O: Tensor,  # noqa: E741
        denom: Tensor,
        alpha: float | None = None,
        beta: float | None = None,
        ascale: float = 1,
        bpower: float = 1,
    ) -> None:
        """O = I · denom^−bpower, where denom = 1 + ascale/J · Σ I² over J maps."""

        def action() -> None:
            x = to_image(I.node(), layer.flat_dims)
            y = ops.local_response_norm(x, size=layer.JTRS[0], alpha=ascale, beta=bpower, k=1.0)
            squares = _neighbours(ops.square(x), layer.JTRS[0])
            base = squares * (ascale / layer.JTRS[0]) + 1.0
            blended(denom, from_image(base, layer.dimI2), 1.0, 0.0)
            blended(O, from_image(y, layer.dimI2), 1.0, 0.0)

        perform(action, self.programs)

    def bprop_lrn(
        self,
        layer: PoolLayer,
        I: Tensor,  # noqa: E741
        O: Tensor,  # noqa: E741
        E: Tensor,
        delta: Tensor,
        denom: Tensor,
        alpha: float | None = None,
        beta: float | None = None,
        ascale: float = 1,
        bpower: float = 1,
    ) -> None:
        """The gradient of `fprop_lrn` by I for the error E."""

        def action() -> None:
            x, error = (to_image(part.node(), layer.flat_dims) for part in (I, E))
            x = ops.local_response_norm_grad(
                error, x, size=layer.JTRS[0], alpha=ascale, beta=bpower, k=1.0
            )
            blended(delta, from_image(x, layer.dimI2), 1.0, 0.0)

        perform(action, self.programs)


_CONV = (
    "D H W T R S pad_d pad_h pad_w str_d str_h str_w dil_d dil_h dil_w".split()  # noqa: SIM905
)
_DECONV = ["M", "P", "Q", *_CONV[3:]]
_POOL = (
    "D H W J T R S pad_c pad_d pad_h pad_w str_c str_d str_h str_w".split()  # noqa: SIM905
)


def _neighbours(x: Node, count: int) -> Node:
    """The sums of `count` channels about each."""
    last, half = len(x.shape) - 1, count // 2
    around = tuple(half if d == last else 0 for d in range(last + 1))
    wide = ops.pad(x, constant(0, x.dtype), low=around, high=around)
    channels = x.tensor.static[last]
    return reduce(ops.add, [cut(wide, last, k, k + channels) for k in range(count)])


def _named(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=False))


def _finish(
    out: Tensor,
    value: Node,
    other: Tensor | None,
    sums: Tensor | None,
    scales: tuple[float, float],
    relu: bool,
    brelu: bool,
    slope: float,
) -> None:
    """What a compound kernel does after its product: blend, rectify or its gradient, and sum."""
    alpha, beta = scales
    out = out.reshape(value.tensor.static)  # images may come in all their dims
    other = None if other is None else other.reshape(value.tensor.static)
    if beta:  # alpha counts only here, as on the original's CPU
        old = out if other is None else other
        out.write(value * alpha + old.node() * beta)
        return
    if relu:
        value = ops.maximum(value, 0.0) + ops.minimum(value, 0.0) * slope
    if brelu and other is not None:
        x = other.node()
        value = value * ops.select(ops.greater(x, 0.0), ops.ones_like(x), slope)
    if sums is not None:
        rows = ops.reshape(value, shape=(sums.shape[0], value.tensor.size // sums.shape[0]))
        sums.write(fitted(ops.sum(rows, 1, keepdims=True), sums.shape, sums.cell.type.dtype))
    out.write(value)
