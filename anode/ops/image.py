"""Images of another size or arrangement: resizing, blocks as channels, borders, patches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dims import product
from anode.ir.node import Node, constant
from anode.ir.types import Shape, TensorType
from anode.ops.declare import composite
from anode.ops.elementwise import equal, select
from anode.ops.index import take
from anode.ops.linalg import dot_general
from anode.ops.precision import in_f32
from anode.ops.reduce import sum
from anode.ops.rules import check_float, check_length, mismatch
from anode.ops.shape import (
    broadcast_in_dim,
    broadcast_to,
    concatenate,
    cut,
    iota,
    pad,
    repeat,
    reshape,
    reverse,
    transpose,
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
from anode.ops.window import windows

Ints = tuple[int, ...]
Array = np.ndarray

MODES = ("nearest", "linear", "cubic", "area")
COORDINATES = ("half_pixel", "align_corners", "asymmetric")
EXTENSIONS = ("constant", "edge", "reflect", "symmetric", "wrap")


@composite
@in_f32
def resize(
    x: Node,
    *,
    sizes: Ints,
    mode: str = "linear",
    coordinates: str = "half_pixel",
    antialias: bool = False,
    cubic: float = -0.75,
) -> Node:
    """`x` (n, *spatial, c) with spatial dims of other `sizes`, interpolated along each by itself.

    Element o of the result lies at (o + ½)·in/out − ½ ("half_pixel"), at o·(in − 1)/(out − 1)
    ("align_corners") or at o·in/out ("asymmetric"); "nearest" takes the element whose cell it lies
    in, "linear" two and "cubic" four neighbours, of which those outside are the border's. With
    `antialias` those outside do not count, and the kernel of a smaller result is stretched, as in
    PIL. `cubic` is the parameter of
    Keys' kernel: −¾ in PyTorch and ONNX, −½ in TensorFlow, PIL and PyTorch's antialias. "area" is
    the mean over the cell that an element covers: [o·step, (o + 1)·step), the step as above.
    """
    for axis, out in enumerate(sizes, 1):
        length = int(x.shape[axis])
        if out == length and coordinates != "asymmetric":
            continue
        if mode == "nearest":
            x = _taken(x, _nearest(length, out, coordinates), axis)
        elif mode == "area":
            x = _interpolated(x, *_cells(length, out, coordinates), axis)
        else:
            a = None if mode == "linear" else cubic
            x = _interpolated(x, *_taps(length, out, coordinates, antialias, a), axis)
    return x


@resize.canonical
def _(x: TensorType, *, mode: str, coordinates: str, antialias: bool, **attrs: Any) -> Any:
    for name, value, known in (("mode", mode, MODES), ("coordinates", coordinates, COORDINATES)):
        if value not in known:
            raise UnsupportedOp(f"resize: there is no {name} {value!r}, only {', '.join(known)}")
    if antialias and (mode == "nearest" or coordinates != "half_pixel"):
        raise UnsupportedOp("resize: antialias takes mode linear or cubic, coordinates half_pixel")
    found: Mapping[str, Any] = spatial_attributes("resize", x, attrs)
    if mode != "nearest":
        check_float("resize", x, "convert it first, or choose mode nearest")
    if 0 in x.shape[1:-1]:
        raise mismatch("resize", "there is nothing to interpolate", [x])
    return found


def resize_images(
    x: Node,
    sizes: int | Sequence[int] | None = None,
    scales: float | Sequence[float] | None = None,
    mode: str = "linear",
    coordinates: str = "half_pixel",
    antialias: bool = False,
    cubic: float = -0.75,
    data_format: str = "NCHW",
) -> Node:
    """`resize` of images in a data format, to `sizes` or, rounded down, by `scales`."""
    d = spatial_rank("resize_images", x, data_format)
    image = channels_last(x, data_format)
    if (sizes is None) == (scales is None):
        raise ShapeError("resize_images: give either sizes or scales")
    if sizes is None:
        factors = tuple(scales) if isinstance(scales, Iterable) else (scales or 0.0,) * d
        if len(factors) != d or not all(0 < factor < math.inf for factor in factors):
            raise ShapeError(f"resize_images: scales {scales} are not positive, one a spatial dim")
        lengths = zip(image.shape[1:-1], factors, strict=True)
        sizes = [math.floor(int(n) * factor) for n, factor in lengths]
    wanted = each("resize_images", "sizes", sizes, d)
    attrs = {"mode": mode, "coordinates": coordinates, "antialias": antialias, "cubic": cubic}
    return in_format(resize(image, sizes=wanted, **attrs), data_format)


def _nearest(length: int, out: int, coordinates: str) -> Array:
    """The element of `length` that each of `out` is, in exact arithmetic; halves go up."""
    o = np.arange(out)
    if coordinates == "half_pixel":
        return (2 * o + 1) * length // (2 * out)
    if coordinates == "asymmetric":
        return o * length // out
    return (2 * o * (length - 1) + out - 1) // max(2 * (out - 1), 1)


def _taken(x: Node, places: Array, axis: int) -> Node:
    """The elements of `x` at `places` along an axis: repeated, every so many, or looked up."""
    length, out = int(x.shape[axis]), len(places)
    if out % length == 0 and (places == np.arange(out) // (out // length)).all():
        return repeat(x, out // length, axis)
    steps = np.diff(places)
    if steps.size and steps[0] > 0 and (steps == steps[0]).all():
        step = int(steps[0])
        return cut(x, axis, int(places[0]), int(places[-1]) + 1, step)
    found: Node = take(x, constant(places.astype(np.int32)), axis=axis)
    return found


def _taps(
    length: int, out: int, coordinates: str, antialias: bool, cubic: float | None
) -> tuple[Array, Array]:
    """The places and the weights (out, taps) of what each result is the sum of.

    Without `antialias` positions are float32, as TensorFlow and PyTorch have them: in a wide image
    the rounding shows in the weights.
    """
    kind: Any = np.float64 if antialias else np.float32
    radius, scale = 1 if cubic is None else 2, kind(length) / kind(out)
    o = np.arange(out, dtype=kind)
    source = (o + kind(0.5)) * scale - kind(0.5)
    if coordinates == "asymmetric":
        source = o * scale
    elif coordinates == "align_corners":
        source = o * (kind(length - 1) / kind(max(out - 1, 1)))
    if not antialias:
        places = np.floor(source).astype(int)[:, None] + np.arange(1 - radius, radius + 1)
        weights = _kernel(np.abs(source[:, None] - places), cubic)
        return places.clip(0, length - 1), weights
    scale = max(scale, 1)
    reach = math.ceil(radius * scale)
    places = np.floor(source).astype(int)[:, None] + np.arange(-reach, reach + 2)
    inside = (places >= 0) & (places < length)
    weights = np.where(inside, _kernel(np.abs(source[:, None] - places) / scale, cubic), 0)
    return places.clip(0, length - 1), weights / weights.sum(1, keepdims=True)


def _cells(length: int, out: int, coordinates: str) -> tuple[Array, Array]:
    """The places in each result's cell, and the parts of the cell that they are."""
    step = length / out
    if coordinates == "align_corners" and out > 1:
        step = (length - 1) / (out - 1)
    low = np.arange(out)[:, None] * step
    places = np.floor(low).astype(int) + np.arange(math.ceil(step) + 1)
    covered = np.minimum(places + 1, low + step) - np.maximum(places, low)
    return places.clip(0, length - 1), covered.clip(0) / step


def _kernel(distance: Array, cubic: float | None) -> Array:
    """The weight at a distance: the triangle, or Keys' cubic convolution (1981)."""
    t = distance
    if cubic is None:
        return np.maximum(1 - t, 0)
    near = ((cubic + 2) * t - (cubic + 3)) * t * t + 1
    far = cubic * (((t - 5) * t + 8) * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def _interpolated(x: Node, places: Array, weights: Array, axis: int) -> Node:
    """Each result along `axis` the sum of the elements at `places` times `weights`, a product."""
    out, taps = places.shape
    shape = (out, taps, x.shape[axis])
    chosen = equal(
        iota(shape=shape, dtype="i32", axis=2),
        broadcast_in_dim(constant(places.astype(np.int32)), shape=shape, axes=(0, 1)),
    )
    spread = broadcast_in_dim(constant(weights.astype(x.dtype.numpy)), shape=shape, axes=(0, 1))
    matrix = sum(select(chosen, spread, 0), 1)
    lead = tuple(range(axis))  # the same matrix for each: the result's dims are in order
    matrices = broadcast_to(matrix, (*x.shape[:axis], *matrix.shape))
    return dot_general(matrices, x, contract=((axis + 1,), (axis,)), batch=(lead, lead))


def space_to_depth(x: Node, block: int, order: str = "DCR", data_format: str = "NHWC") -> Node:
    """Every square of `block` elements of the images as channels of one.

    Channels count the block's elements, then those of x ("DCR", TensorFlow's order), or those of x
    first ("CRD", PyTorch's pixel_unshuffle).
    """
    d = spatial_rank("space_to_depth", x, data_format)
    image = channels_last(x, data_format)
    n, *sizes, c = image.shape
    _check_block("space_to_depth", block)
    if any(size % block != 0 for size in sizes):
        raise mismatch("space_to_depth", f"blocks of {block} do not fill the images", [x.type])
    apart = reshape(image, shape=(n, *[m for size in sizes for m in (size // block, block)], c))
    outer, inner = range(1, 2 * d + 1, 2), range(2, 2 * d + 2, 2)
    channel = _ordered("space_to_depth", order, [*inner], 2 * d + 1)
    moved = transpose(apart, permutation=(0, *outer, *channel))
    shape = (n, *[size // block for size in sizes], c * block**d)
    return in_format(reshape(moved, shape=shape), data_format)


def depth_to_space(x: Node, block: int, order: str = "DCR", data_format: str = "NHWC") -> Node:
    """The inverse of `space_to_depth`: groups of channels as squares of `block` elements."""
    d = spatial_rank("depth_to_space", x, data_format)
    image = channels_last(x, data_format)
    n, *sizes, c = image.shape
    _check_block("depth_to_space", block)
    if c % block**d != 0:
        raise mismatch("depth_to_space", f"blocks of {block} do not divide the channels", [x.type])
    blocks = list(range(d + 1, 2 * d + 1))
    channel = _ordered("depth_to_space", order, blocks, 2 * d + 1)
    lengths = {**dict.fromkeys(blocks, block), 2 * d + 1: c // block**d}
    apart = reshape(image, shape=(n, *sizes, *[lengths[i] for i in channel]))
    # `channel` says what the split dims are; where each of them lies is its inverse
    at = {name: d + 1 + i for i, name in enumerate(channel)}
    order_ = [0, *[i for a in range(d) for i in (a + 1, at[blocks[a]])], at[2 * d + 1]]
    shape = (n, *[size * block for size in sizes], c // block**d)
    return in_format(reshape(transpose(apart, permutation=order_), shape=shape), data_format)


def _check_block(op: str, block: int) -> None:
    if integer(op, "block", block) < 1:
        raise ShapeError(f"{op}: block {block} is not positive")


def _ordered(op: str, order: str, blocks: list[int], channel: int) -> list[int]:
    if order not in ("DCR", "CRD"):
        raise UnsupportedOp(f"{op}: there is no order {order!r}, only DCR and CRD")
    return [*blocks, channel] if order == "DCR" else [channel, *blocks]


def extend(
    x: Node, low: Sequence[int], high: Sequence[int], mode: str = "constant", value: Any = 0
) -> Node:
    """`x` with `low` elements before and `high` after each dim, as NumPy's pad.

    They are `value` ("constant"), the border's ("edge"), those mirrored at the border without
    repeating it ("reflect") or with ("symmetric"), or those of the other end ("wrap").
    """
    check_length("extend", x.tensor, low=low, high=high)
    if mode not in EXTENSIONS:
        raise UnsupportedOp(f"extend: there is no mode {mode!r}, only {', '.join(EXTENSIONS)}")
    if mode == "constant":
        return pad(x, constant(value, x.dtype), low=low, high=high)
    for axis, (before, after) in enumerate(zip(low, high, strict=True)):
        if before == after == 0:
            continue
        most = x.shape[axis] - (mode == "reflect")
        if mode == "edge" and most != 0:
            most = max(before, after)
        if min(before, after) < 0 or max(before, after) > most:
            text = f"mode {mode} extends dim {axis} by 0 to {most}, not {before} and {after}"
            raise mismatch("extend", text, [x.type])
        pieces = [_border(x, axis, before, mode, 0), x, _border(x, axis, after, mode, 1)]
        present = [piece for piece in pieces if piece is not None]
        x = concatenate(*present, axis=axis) if len(present) > 1 else x
    return x


def _border(x: Node, axis: int, count: int, mode: str, end: int) -> Node | None:
    """The elements to put at one end of an axis."""
    length = x.shape[axis]
    if count == 0:
        return None
    if mode == "edge":
        at = (length - 1) * end
        return repeat(cut(x, axis, at, at + 1), count, axis)
    if mode == "wrap":
        return cut(x, axis, 0, count) if end else cut(x, axis, length - count, length)
    skip = mode == "reflect"
    start = length - skip - count if end else int(skip)
    return reverse(cut(x, axis, start, start + count), axes=(axis,))


def unfold(
    x: Node,
    sizes: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilations: int | Sequence[int] = 1,
    data_format: str = "NCHW",
) -> Node:
    """The patches of images, those a convolution multiplies with its filters.

    Channels last: (n, *out, product of sizes · c), as TensorFlow's extract_patches. Channels
    first: (n, c · product of sizes, product of out), as PyTorch's unfold.
    """
    d = spatial_rank("unfold", x, data_format)
    image = channels_last(x, data_format)
    given = {"sizes": sizes, "strides": strides, "dilations": dilations}
    size, stride, dilation = (each("unfold", name, value, d) for name, value in given.items())
    spatial = image.shape[1:-1]
    low, high = zip(*paddings("unfold", padding, spatial, size, stride, dilation), strict=True)
    out = window_counts("unfold", x, spatial, size, stride, low, high, dilation)
    view = windows(
        padded(image, low, high),
        axes=range(1, d + 1),
        sizes=size,
        strides=stride,
        dilations=dilation,
    )
    n, c, count = x.shape[0], image.shape[-1], math.prod(size)
    if data_format.endswith("C"):
        return reshape(view, shape=(n, *out, count * c))
    order = (0, 2 * d + 1, *range(d + 1, 2 * d + 1), *range(1, d + 1))
    shape: Shape = (n, c * count, product(out))
    return reshape(transpose(view, permutation=order), shape=shape)
