"""Convolution and its two gradients, channels last: three ops closed under differentiation.

    convolution          y  = x * w     x (n, *spatial, c), w (*kernel, c/groups, o)
    convolution_data     dx = ct * w    the gradient by x, also called transposed convolution
    convolution_weights  dw = x * ct    the gradient by w

Each is linear in both operands, so the gradients of each are the other two. The bodies are one
product over `windows`, a view: nothing is unrolled in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from anode.ir.node import Node, constant
from anode.ir.types import Shape, Size, TensorType
from anode.ops.declare import composite
from anode.ops.linalg import dot_general
from anode.ops.precision import as_dtype
from anode.ops.reduce import sum
from anode.ops.rules import check_tensors, mismatch
from anode.ops.shape import (
    moveaxis,
    pad,
    repeat,
    reshape,
    reverse,
    slice,
    stack,
    transpose,
    zeros,
)
from anode.ops.spatial import (
    Padding,
    channels_last,
    each,
    in_format,
    integer,
    padded,
    paddings,
    spatial_attributes,
    spatial_rank,
    window_counts,
)
from anode.ops.window import overlap_add, windows

Ints = tuple[int, ...]

# Computing all phases of a strided gradient as one product costs taps that are zero; up to this
# share of all taps the larger product is still faster than one for each phase.
MOST_TAPS = 1.5
# A gradient as one convolution multiplies, at the borders, by zeros. From this many times the
# products that are needed, these are computed alone, and added up where their windows lie.
MOST_ZEROS = 1.4


@composite
def convolution(
    x: Node,
    w: Node,
    *,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
    groups: int = 1,
) -> Node:
    """The correlation of `x` (n, *spatial, c) with filters `w` (*kernel, c/groups, o).

    The result is (n, *out, o): y[n, o, f] = Σ x[n, o·stride + k·dilation − low, c] · w[k, c, f]
    over k and the channels c of f's group. `low` and `high` zeros are put around each spatial dim;
    negative ones remove elements. Strides and dilations are 1 by default.
    """
    kernel, channels = _check_filter("convolution", x.tensor, w.tensor, len(strides), groups)
    window_counts("convolution", x, x.shape[1:-1], kernel, strides, low, high, dilations)
    d, x = len(kernel), padded(x, low, high)
    if groups > 1 and channels == 1:
        patches = _depthwise_patches(x, w.shape[-1], kernel, strides, dilations)
        terms = patches * as_dtype(reshape(w, shape=(*kernel, w.shape[-1])), patches.dtype)
        return as_dtype(sum(terms, range(d + 1, 2 * d + 1)), x.dtype)
    patches = _patches(x, groups, kernel, strides, dilations)
    if groups == 1:
        return dot_general(patches, w, contract=(_range(d + 1, d + 1), _range(0, d + 1)))
    y = dot_general(
        patches,
        _grouped(w, groups),
        contract=(_range(d + 2, d + 1), _range(0, d + 1)),
        batch=((d + 1,), (d + 1,)),
    )
    return _ungrouped(moveaxis(y, 0, d + 1))


@composite
def convolution_weights(
    x: Node,
    ct: Node,
    *,
    kernel: Ints,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
    groups: int = 1,
) -> Node:
    """The gradient of `convolution` by w (*kernel, c/groups, o) where its result has `ct`."""
    sizes = (kernel, strides, low, high, dilations)
    out = window_counts("convolution_weights", x, x.shape[1:-1], *sizes)
    _check_result("convolution_weights", x, ct, (x.shape[0], *out), ct.shape[-1], groups)
    d, x = len(kernel), padded(x, low, high)
    if groups > 1 and x.shape[-1] == groups:
        patches = _depthwise_patches(x, ct.shape[-1], kernel, strides, dilations)
        wide = as_dtype(ct, patches.dtype)
        spread = reshape(wide, shape=(*ct.shape[:-1], *(1,) * d, ct.shape[-1]))
        found = as_dtype(sum(patches * spread, range(d + 1)), x.dtype)
        return reshape(found, shape=(*kernel, 1, ct.shape[-1]))
    patches = _patches(x, groups, kernel, strides, dilations)
    contract = (_range(0, d + 1), _range(0, d + 1))
    if groups == 1:
        return dot_general(patches, ct, contract=contract)
    batch = ((d + 1,), (d + 1,))
    found = dot_general(patches, _grouped(ct, groups), contract=contract, batch=batch)
    return _ungrouped(moveaxis(found, 0, d + 1))


@composite
def convolution_data(
    ct: Node,
    w: Node,
    *,
    sizes: Shape,
    strides: Ints = (),
    low: Ints = (),
    high: Ints = (),
    dilations: Ints = (),
    groups: int = 1,
) -> Node:
    """The gradient of `convolution` by x (n, *sizes, c) where its result has `ct`.

    Also called transposed convolution. Every stride-th element of x along a dim is a phase: the
    phases are convolutions of `ct` of stride 1, each with the taps of `w` that reach it.
    """
    d = len(sizes)
    if w.tensor.rank != d + 2:
        raise _not_a_filter("convolution_data", ct.tensor, w.tensor, d)
    kernel, steps = _kernel(w, d), (strides, low, high, dilations)
    out = window_counts("convolution_data", ct, sizes, kernel, *steps)
    _check_result("convolution_data", w, ct, (ct.shape[0], *out), w.shape[-1], groups)
    axes = [
        _Axis(*numbers) for numbers in zip(sizes, out, kernel, strides, low, dilations, strict=True)
    ]
    if groups == 1 and max(strides) == 1 and _zeros(sizes, out, low, high) >= MOST_ZEROS:
        return _added_up(ct, w, sizes, low, high, dilations)
    in_one = groups == 1 and max(strides) > 1 and all(axis.is_simple for axis in axes)
    if in_one and math.prod(a.taps * a.stride for a in axes) <= MOST_TAPS * math.prod(kernel):
        return _all_phases(ct, w, axes)
    return _each_phase(ct, w, axes, groups)


def conv(
    x: Node,
    w: Node,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilations: int | Sequence[int] = 1,
    groups: int = 1,
    data_format: str = "NCHW",
) -> Node:
    """The convolution of images `x` with filters `w`, both in a data format of `spatial.FORMATS`.

    Filters are (o, c/groups, *kernel) next to channels first ("NCHW") and (*kernel, c/groups, o)
    next to channels last ("NHWC"). `padding` is read by `spatial.paddings`: "SAME", "VALID", a
    number, one for each dim, or (low, high) pairs. Raises ShapeError where they do not fit.
    """
    d = spatial_rank("conv", x, data_format)
    image, filters = channels_last(x, data_format), _filters("conv", w, d, data_format)
    strides, dilations = (
        each("conv", name, value, d)
        for name, value in (("strides", strides), ("dilations", dilations))
    )
    kernel = _kernel(filters, d)
    pairs = paddings("conv", padding, image.shape[1:-1], kernel, strides, dilations)
    low, high = zip(*pairs, strict=True)
    attrs = {"strides": strides, "low": low, "high": high, "dilations": dilations}
    return in_format(convolution(image, filters, groups=groups, **attrs), data_format)


def conv_transpose(
    x: Node,
    w: Node,
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    output_padding: int | Sequence[int] = 0,
    dilations: int | Sequence[int] = 1,
    groups: int = 1,
    data_format: str = "NCHW",
) -> Node:
    """The transposed convolution of `x`: what `conv` from the result to `x` has as its gradient.

    Filters are (c, o/groups, *kernel) next to channels first and (*kernel, o/groups, c) next to
    channels last. `padding` is that of the convolution: it is removed from the result, to whose
    end `output_padding` is added; "SAME" gives size·stride. Raises ShapeError where they do not
    fit.
    """
    op = "conv_transpose"
    d = spatial_rank(op, x, data_format)
    image, filters = channels_last(x, data_format), _filters(op, w, d, data_format)
    given = {"strides": strides, "dilations": dilations, "output_padding": output_padding}
    strides, dilations, extra = (each(op, name, value, d) for name, value in given.items())
    kernel, same = _kernel(filters, d), padding in ("SAME", "SAME_LOWER")
    whole = tuple([n * s for n, s in zip(image.shape[1:-1], strides, strict=True)])
    low, high = zip(*paddings(op, padding, whole, kernel, strides, dilations), strict=True)
    steps = zip(image.shape[1:-1], kernel, strides, dilations, low, high, strict=True)
    least = [(n - 1) * s + (k - 1) * e + 1 - a - b for n, k, s, e, a, b in steps]
    sizes = whole if same else tuple(least)
    sizes = tuple([n + more for n, more in zip(sizes, extra, strict=True)])
    # what lies beyond the last window gets nothing: so much less than `high` is padded
    beyond = [n - m for n, m in zip(sizes, least, strict=True)]
    high = tuple([b - more for b, more in zip(high, beyond, strict=True)])
    attrs = {"strides": strides, "low": low, "high": high, "dilations": dilations}
    y = convolution_data(image, filters, sizes=sizes, groups=groups, **attrs)
    return in_format(y, data_format)


def _filters(op: str, w: Node, d: int, data_format: str) -> Node:
    """Filters of a data format as (*kernel, c/groups, o)."""
    if w.tensor.rank != d + 2:
        raise mismatch(op, f"the filters of {data_format} have {d + 2} dims", [w.type])
    if data_format.endswith("C"):
        return w
    return transpose(w, permutation=(*range(2, d + 2), 1, 0))


@dataclass(frozen=True)
class _Phase:
    """Elements `at`, `at` + stride, … of one dim of x as a convolution of ct with some taps."""

    at: int
    taps: range  # of the reversed filter
    low: int
    high: int
    dilation: int


@dataclass(frozen=True)
class _Axis:
    """One spatial dim of `convolution_data`: `size` elements of x, `out` ones of ct."""

    size: Any
    out: Any
    kernel: int
    stride: int
    low: int
    dilation: int

    @property
    def is_simple(self) -> bool:
        """Whether all phases have evenly spaced taps: those `stride` apart."""
        return self.stride == 1 or self.dilation == 1

    @property
    def taps(self) -> int:
        """The most taps that a phase of a simple dim has."""
        return -(-self.kernel // self.stride)

    @property
    def count(self) -> Any:
        """The elements of a phase, where need be one too many."""
        return self.size if self.stride == 1 else -(-self.size // self.stride)

    def phases(self) -> list[_Phase | None]:
        return [self._phase(at) for at in range(self.stride)]

    def _phase(self, at: int) -> _Phase | None:
        """x[at + v·stride] gets ct[o] by tap k with o·stride + k·dilation = at + v·stride + low."""
        places = [k * self.dilation - at - self.low for k in range(self.kernel)]
        taps = [k for k, place in enumerate(places) if place % self.stride == 0]
        if not taps:
            return None
        common = math.gcd(self.stride, self.dilation)
        dilation, last = self.dilation // common, self.kernel - 1 - taps[-1]
        first = places[taps[-1]] // self.stride  # where the last tap begins, before ct by so many
        return _Phase(
            at,
            range(last, self.kernel - taps[0], self.stride // common),
            first,
            self.count + (len(taps) - 1) * dilation - first - self.out,
            dilation,
        )


def _zeros(sizes: Shape, out: Shape, low: Ints, high: Ints) -> float:
    """How many times the elements of x, with its padding, are those of ct; 1 if not known yet."""
    if not all(isinstance(n, int) for n in (*sizes, *out)) or 0 in out:
        return 1.0
    whole = [int(n) + a + b for n, a, b in zip(sizes, low, high, strict=True)]
    return math.prod(whole) / math.prod(map(int, out))


def _added_up(ct: Node, w: Node, sizes: Shape, low: Ints, high: Ints, dilations: Ints) -> Node:
    """`convolution_data` of stride 1 as what each element of ct gives to its window, added up."""
    d, o = len(sizes), w.tensor.rank - 1
    parts = dot_general(ct, w, contract=((d + 1,), (o,)), dtype=ct.dtype.compute)
    whole = tuple([n + a + b for n, a, b in zip(sizes, low, high, strict=True)])
    axes, kernel = _range(1, d), _kernel(w, d)
    total = overlap_add(parts, lengths=whole, axes=axes, sizes=kernel, dilations=dilations)
    return as_dtype(padded(total, [-a for a in low], [-b for b in high]), ct.dtype)


def _each_phase(ct: Node, w: Node, axes: Sequence[_Axis], groups: int) -> Node:
    """`convolution_data` with a convolution for each phase that any tap reaches."""
    filters = _swapped(_reversed(w, range(len(axes))), groups)
    chosen = list(product(*[axis.phases() for axis in axes]))
    parts = [_phase_of(ct, filters, phases, groups) for phases in chosen]
    if len(parts) == 1 and parts[0] is not None:
        return parts[0]
    found = [(p, phases) for p, phases in zip(parts, chosen, strict=True) if p is not None]
    if len(found) == 1:
        return _spread(*found[0], axes)
    nothing = zeros(found[0][0].shape, ct.dtype)
    stacked = stack([nothing if part is None else part for part in parts], 1)
    apart = reshape(
        stacked, shape=(stacked.shape[0], *[a.stride for a in axes], *stacked.shape[2:])
    )
    d = len(axes)
    order = [0, *[i for a in range(1, d + 1) for i in (d + a, a)], 2 * d + 1]
    return _merged(transpose(apart, permutation=order), axes, [0] * d)


def _phase_of(ct: Node, filters: Node, phases: Sequence[_Phase | None], groups: int) -> Node | None:
    """One phase along every dim; None where no tap reaches it."""
    reached = [phase for phase in phases if phase is not None]
    if len(reached) < len(phases):
        return None
    d, shape = len(phases), filters.shape
    if any(len(p.taps) < k for p, k in zip(reached, shape[:d], strict=True)):
        filters = slice(
            filters,
            start=(*[p.taps.start for p in reached], 0, 0),
            limit=(*[p.taps.stop for p in reached], *shape[d:]),
            strides=(*[p.taps.step for p in reached], 1, 1),
        )
    return convolution(
        ct,
        filters,
        strides=(1,) * d,
        low=[p.low for p in reached],
        high=[p.high for p in reached],
        dilations=[p.dilation for p in reached],
        groups=groups,
    )


def _spread(part: Node, phases: Sequence[_Phase | None], axes: Sequence[_Axis]) -> Node:
    """The only phase that is not zero, its elements a stride apart."""
    starts = [0 if phase is None else phase.at for phase in phases]
    ends = [
        axis.size - at - (axis.count - 1) * axis.stride - 1
        for at, axis in zip(starts, axes, strict=True)
    ]
    return pad(
        part,
        constant(0, part.dtype),
        low=(0, *starts, 0),
        high=(0, *ends, 0),
        interior=(0, *[axis.stride - 1 for axis in axes], 0),
    )


def _all_phases(ct: Node, w: Node, axes: Sequence[_Axis]) -> Node:
    """`convolution_data` as one convolution with a channel for each phase and channel of x."""
    d, (c, o) = len(axes), w.shape[-2:]
    taps, strides = [axis.taps for axis in axes], [axis.stride for axis in axes]
    missing = [axis.taps * axis.stride - axis.kernel for axis in axes]
    split = [n for pair in zip(taps, strides, strict=True) for n in pair]
    filters = reshape(padded(w, (0,) * d, missing, first=0), shape=(*split, c, o))
    filters = _reversed(filters, range(0, 2 * d, 2))
    order = [*range(0, 2 * d, 2), 2 * d + 1, *range(1, 2 * d, 2), 2 * d]
    filters = transpose(filters, permutation=order)
    filters = reshape(filters, shape=(*taps, o, math.prod(strides) * c))
    begins = [divmod(axis.low, axis.stride) for axis in axes]  # the phase and element of x[0]
    dilations = [axis.dilation for axis in axes]
    low = [(t - 1) * n - q for t, n, (q, _) in zip(taps, dilations, begins, strict=True)]
    counts = [-(-(r + axis.size) // axis.stride) for axis, (_, r) in zip(axes, begins, strict=True)]
    high = [q + n - axis.out for n, axis, (q, _) in zip(counts, axes, begins, strict=True)]
    y = convolution(ct, filters, strides=(1,) * d, low=low, high=high, dilations=dilations)
    apart = reshape(y, shape=(*y.shape[:-1], *strides, c))
    order = [0, *[i for a in range(1, d + 1) for i in (a, d + a)], 2 * d + 1]
    return _merged(transpose(apart, permutation=order), axes, [r for _, r in begins])


def _merged(x: Node, axes: Sequence[_Axis], start: Ints | Sequence[int]) -> Node:
    """(n, count, stride, …, c) as (n, size, …, c), the elements from `start` on along each dim."""
    merged = [x.shape[i] * x.shape[i + 1] for i in range(1, 2 * len(axes), 2)]
    x = reshape(x, shape=(x.shape[0], *merged, x.shape[-1]))
    sizes = [axis.size for axis in axes]
    if merged == sizes:
        return x
    limit = [a + size for a, size in zip(start, sizes, strict=True)]
    return slice(x, start=(0, *start, 0), limit=(x.shape[0], *limit, x.shape[-1]))


@convolution.vjp
def _(ct: Node, y: Node, x: Node, w: Node, **attrs: Any) -> tuple[Node, Node]:
    d = len(attrs["strides"])
    return (
        convolution_data(ct, w, sizes=x.shape[1:-1], **attrs),
        convolution_weights(x, ct, kernel=w.shape[:d], **attrs),
    )


@convolution_data.vjp
def _(ct: Node, y: Node, x: Node, w: Node, *, sizes: Shape, **attrs: Any) -> tuple[Node, Node]:
    kernel = w.shape[: len(sizes)]
    return convolution(ct, w, **attrs), convolution_weights(ct, x, kernel=kernel, **attrs)


@convolution_weights.vjp
def _(ct: Node, y: Node, x: Node, z: Node, *, kernel: Ints, **attrs: Any) -> tuple[Node, Node]:
    return convolution_data(z, ct, sizes=x.shape[1:-1], **attrs), convolution(x, ct, **attrs)


def _canonical(op: str, x: TensorType, other: TensorType, attrs: dict[str, Any]) -> dict[str, Any]:
    check_tensors(op, x, other)
    attrs["groups"] = integer(op, "groups", attrs["groups"])
    if attrs["groups"] < 1:
        raise mismatch(op, f"groups must be positive, not {attrs['groups']}", [x, other])
    return spatial_attributes(op, x, attrs)


@convolution.canonical
def _(x: TensorType, w: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return _canonical("convolution", x, w, attrs)


@convolution_data.canonical
def _(ct: TensorType, w: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return _canonical("convolution_data", ct, w, attrs)


@convolution_weights.canonical
def _(x: TensorType, ct: TensorType, **attrs: Any) -> Mapping[str, Any]:
    return _canonical("convolution_weights", x, ct, attrs)


def _check_filter(op: str, x: TensorType, w: TensorType, d: int, groups: int) -> tuple[Ints, Size]:
    """The kernel's sizes and the channels it takes, checked against `x`."""
    if w.rank != d + 2 or w.dtype is not x.dtype:
        raise _not_a_filter(op, x, w, d)
    channels = w.shape[-2]
    if x.shape[-1] != channels * groups:
        raise mismatch(
            op,
            f"the input has {x.shape[-1]} channels, the filter expects {channels * groups}"
            + (f" ({channels} in each of {groups} groups)" if groups > 1 else ""),
            [x, w],
            "images are (n, *spatial, c), filters (*kernel, c/groups, o)",
        )
    if w.shape[-1] % groups != 0:
        raise mismatch(op, f"{groups} groups do not divide {w.shape[-1]} results", [x, w])
    return _kernel(w, d), channels


def _kernel(w: Node | TensorType, d: int) -> Ints:
    return tuple([int(size) for size in w.shape[:d]])


def _not_a_filter(op: str, x: TensorType, w: TensorType, d: int) -> Exception:
    if w.dtype is not x.dtype:
        return mismatch(op, "operands of unequal types", [x, w], "convert one of them")
    hint = "images are (n, *spatial, c), filters (*kernel, c/groups, o)"
    return mismatch(op, f"the filter of a {d}-D convolution has {d + 2} dims", [x, w], hint)


def _check_result(op: str, x: Node, ct: Node, lead: Shape, o: Size, groups: int) -> None:
    """`ct` must be of the type that the convolution's result has."""
    if ct.dtype is not x.dtype:
        raise mismatch(op, "operands of unequal types", [x.type, ct.type], "convert one of them")
    if ct.shape != (*lead, o):
        raise mismatch(op, f"the convolution's result is {(*lead, o)}", [x.type, ct.type])
    if o % groups != 0:
        raise mismatch(op, f"{groups} groups do not divide {o} results", [x.type, ct.type])


def _range(start: int, count: int) -> Ints:
    return tuple(range(start, start + count))


def _patches(x: Node, groups: int, kernel: Ints, strides: Ints, dilations: Ints) -> Node:
    """The windows (n, *out, *kernel, c), or (n, *out, groups, *kernel, c/groups)."""
    axes = _range(1, len(kernel))
    x = x if groups == 1 else _grouped(x, groups)
    return windows(x, axes=axes, sizes=kernel, strides=strides, dilations=dilations)


def _depthwise_patches(x: Node, o: Size, kernel: Ints, strides: Ints, dilations: Ints) -> Node:
    """The windows (n, *out, *kernel, o), each channel repeated for the filters that read it."""
    times = o // x.shape[-1]
    if times != 1:
        x = repeat(x, times, -1)  # type: ignore[arg-type]
    return as_dtype(_patches(x, 1, kernel, strides, dilations), x.dtype.compute)


def _grouped(x: Node, groups: int) -> Node:
    """`x` with the last dim cut into groups."""
    return reshape(x, shape=(*x.shape[:-1], groups, x.shape[-1] // groups))


def _ungrouped(x: Node) -> Node:
    return reshape(x, shape=(*x.shape[:-2], x.shape[-2] * x.shape[-1]))


def _swapped(w: Node, groups: int) -> Node:
    """Filters (*kernel, c/groups, o) as (*kernel, o/groups, c): those of the gradient."""
    d = len(w.shape) - 2
    if groups == 1:
        return transpose(w, permutation=(*range(d), d + 1, d))
    apart = _grouped(w, groups)
    return _ungrouped(transpose(apart, permutation=(*range(d), d + 2, d + 1, d)))


def _reversed(x: Node, axes: Iterable[int]) -> Node:
    """`x` in opposite order along those of `axes` that have more than one element."""
    long = [axis for axis in axes if x.shape[axis] != 1]
    return reverse(x, axes=long) if long else x
