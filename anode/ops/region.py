"""Pooling of regions of interest: boxes of images, each as a small image of one size.

Regions are rows (image, left, top, right, bottom) of floats, in units of the picture, which `scale`
maps to elements of the images (n, h, w, c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anode.errors import UnsupportedOp
from anode.ir.dims import product
from anode.ir.dtypes import i32
from anode.ir.node import Node, constant
from anode.ir.types import Shape, TensorType
from anode.ops.declare import composite
from anode.ops.elementwise import (
    abs,
    ceil,
    clamp,
    convert,
    equal,
    floor,
    greater_equal,
    less,
    less_equal,
    maximum,
    round_away,
    select,
)
from anode.ops.index import add_along_axis, take
from anode.ops.linalg import dot_general
from anode.ops.precision import in_f32
from anode.ops.reduce import extreme_and_place, identity, mean, monoid, reduce
from anode.ops.rules import check_tensors, mismatch
from anode.ops.shape import (
    broadcast_in_dim,
    cut,
    expand_dims,
    iota,
    moveaxis,
    reshape,
    zeros,
)
from anode.ops.spatial import channels_last, each, in_format, spatial_rank

Ints = tuple[int, ...]
NOWHERE = identity("minimum", i32)  # the place of the maximum of no elements


@composite
def roi_pool(x: Node, rois: Node, *, sizes: Ints, scale: float = 1.0) -> Node:
    """The maxima of `x` over `sizes` cells of each region: (regions, *sizes, c); 0 of no elements.

    Corners are rounded to elements and belong to the region; cells share the elements at their
    borders. Source: Girshick, "Fast R-CNN", 2015, as in Caffe, neon and torchvision.
    """
    rows, columns = _cells(x, rois, sizes, scale)
    least, body = identity("maximum", x.dtype), monoid("maximum", x.dtype)
    start = constant(least, x.dtype)
    y = reduce(_masked(_columns(x, rois, sizes), columns, 2, least), start, body=body, axes=(3,))
    y = reduce(_masked(_rows(y, sizes), rows, 1, least), start, body=body, axes=(2,))
    return select(equal(y, least), 0, y)


@composite
def roi_pool_index(x: Node, rois: Node, *, sizes: Ints, scale: float = 1.0) -> Node:
    """The place in its image, y·width + x as i32, of each maximum of `roi_pool`.

    Of equal elements the first counts; the place of the maximum of no elements is the largest i32.
    """
    rows, columns = _cells(x, rois, sizes, scale)
    least, width = identity("maximum", x.dtype), x.shape[2]
    body = extreme_and_place("maximum", x.dtype, i32)
    starts = constant(least, x.dtype), constant(NOWHERE, "i32")
    wide = _masked(_columns(x, rois, sizes), columns, 2, least)
    across = iota(shape=wide.shape, dtype="i32", axis=3)
    places = _masked(across, columns, 2, NOWHERE)
    y, place = reduce(wide, places, *starts, body=body, axes=(3,)).items
    down = iota(shape=place.shape, dtype="i32", axis=1) * width
    place = select(equal(place, NOWHERE), NOWHERE, place + down)
    high = _masked(_rows(y, sizes), rows, 1, least)
    places = _masked(_rows(place, sizes), rows, 1, NOWHERE)
    return reduce(high, places, *starts, body=body, axes=(2,)).item(1)


@composite
def roi_pool_grad(ct: Node, index: Node, rois: Node, *, lengths: Shape) -> Node:
    """The gradient of `roi_pool` by x, of shape (*lengths, c): each `ct` goes to its maximum."""
    n, height, width = lengths
    c = ct.shape[-1]
    image = broadcast_in_dim(_image(rois), shape=ct.shape, axes=(0,))
    channel = iota(shape=ct.shape, dtype="i32", axis=3)
    place = (image * (height * width) + index) * c + channel
    place = select(equal(index, NOWHERE), -1, place)  # outside, so dropped
    flat = zeros((n * height * width * c,), ct.dtype)
    ct, place = (reshape(node, shape=(product(ct.shape),)) for node in (ct, place))
    return reshape(add_along_axis(flat, place, ct, 0), shape=(*lengths, c))


@roi_pool.vjp
def _(ct: Node, y: Node, x: Node, rois: Node, **attrs: Any) -> tuple[Node, None]:
    index = roi_pool_index(x, rois, **attrs)
    return roi_pool_grad(ct, index, rois, lengths=x.shape[:-1]), None


roi_pool_index.differentiable = False


@composite
@in_f32
def roi_align(
    x: Node,
    rois: Node,
    *,
    sizes: Ints,
    scale: float = 1.0,
    samples: int = 2,
    aligned: bool = False,
) -> Node:
    """The means of `x` over `sizes` cells of each region: (regions, *sizes, c).

    A cell is the mean of `samples`² points, between elements interpolated; beyond the border by
    more than an element they are 0. `aligned` moves regions by half an element. Regions have
    gradients too. Source: He et al., "Mask R-CNN", 2017, as in torchvision.
    """
    _check_regions("roi_align", x, rois, sizes)
    if samples < 1:
        raise UnsupportedOp("roi_align: samples must be positive; a number for each region is not")
    rows = _weights(rois, 2, 4, x.shape[1], sizes[0], scale, samples, aligned)
    columns = _weights(rois, 1, 3, x.shape[2], sizes[1], scale, samples, aligned)
    images = take(x, _image(rois), axis=0)
    y = dot_general(_as(rows, x), images, contract=((2,), (1,)), batch=((0,), (0,)))
    y = dot_general(_as(columns, x), y, contract=((2,), (2,)), batch=((0,), (0,)))
    return moveaxis(y, 1, 2)


def pool_regions(
    x: Node,
    rois: Node,
    sizes: int | Sequence[int],
    kind: str = "max",
    scale: float = 1.0,
    samples: int = 2,
    aligned: bool = False,
    data_format: str = "NCHW",
) -> Node:
    """`roi_pool` ("max") or `roi_align` ("align") of images in a data format."""
    if spatial_rank("pool_regions", x, data_format) != 2:
        raise UnsupportedOp(f"pool_regions takes images of two dims, not {data_format}")
    if kind not in ("max", "align"):
        raise UnsupportedOp(f"pool_regions: there is no kind {kind!r}, only max and align")
    image, sizes = channels_last(x, data_format), each("pool_regions", "sizes", sizes, 2)
    if kind == "max":
        return in_format(roi_pool(image, rois, sizes=sizes, scale=scale), data_format)
    attrs = {"sizes": sizes, "scale": scale, "samples": samples, "aligned": aligned}
    return in_format(roi_align(image, rois, **attrs), data_format)


@roi_pool.canonical
@roi_pool_index.canonical
def _(x: TensorType, rois: TensorType, **attrs: Any) -> Mapping[str, Any]:
    check_tensors("roi_pool", x, rois)
    return attrs


def _check_regions(op: str, x: Node, rois: Node, sizes: Ints) -> None:
    shaped = x.tensor.rank == 4 and len(rois.shape) == 2 and rois.shape[1] == 5
    if not shaped or not rois.dtype.is_float or len(sizes) != 2 or min(sizes) < 1:
        raise mismatch(
            op,
            f"takes images (n, h, w, c), float regions (count, 5) and two positive sizes, not "
            f"{sizes}",
            [x.type, rois.type],
        )


def _as(x: Node, like: Node) -> Node:
    return x if x.dtype is like.dtype else convert(x, dtype=like.dtype)


def _image(rois: Node) -> Node:
    """The image that each region is of."""
    return convert(reshape(cut(rois, 1, 0, 1), shape=(rois.shape[0],)), dtype="i32")


def _edge(rois: Node, column: int, scale: float) -> Node:
    """One edge (regions, 1) in elements."""
    return cut(rois, 1, column, column + 1) * scale


def _cells(x: Node, rois: Node, sizes: Ints, scale: float) -> tuple[Node, Node]:
    """Which rows (regions, sizes[0], h) and columns (regions, sizes[1], w) each cell has."""
    _check_regions("roi_pool", x, rois, sizes)
    wide = convert(rois, dtype=rois.dtype.compute)
    return (
        _mask(wide, 2, 4, x.shape[1], sizes[0], scale),
        _mask(wide, 1, 3, x.shape[2], sizes[1], scale),
    )


def _mask(rois: Node, first: int, last: int, length: Any, count: int, scale: float) -> Node:
    start, end = (round_away(_edge(rois, column, scale)) for column in (first, last))
    shape = (rois.shape[0], count)
    step = broadcast_in_dim(maximum(end - start + 1, 1) / count, shape=shape, axes=(0, 1))
    number = iota(shape=shape, dtype=rois.dtype, axis=1)
    begins, ends = floor(number * step) + start, ceil((number + 1) * step) + start
    place = iota(shape=(*shape, length), dtype=rois.dtype, axis=2)
    return greater_equal(place, expand_dims(begins, 2)) & less(place, expand_dims(ends, 2))


def _columns(x: Node, rois: Node, sizes: Ints) -> Node:
    """The image of each region, (regions, h, w, c), for every column of cells: dim 2."""
    images = take(x, _image(rois), axis=0)
    r, h, w, c = images.shape
    return broadcast_in_dim(images, shape=(r, h, sizes[1], w, c), axes=(0, 1, 3, 4))


def _rows(y: Node, sizes: Ints) -> Node:
    """(regions, h, columns, c) for every row of cells: dim 1."""
    r, h, columns, c = y.shape
    return broadcast_in_dim(y, shape=(r, sizes[0], h, columns, c), axes=(0, 2, 3, 4))


def _masked(x: Node, mask: Node, axis: int, otherwise: Any) -> Node:
    """`x` where the mask (regions, cells, elements), whose cells are dim `axis`, has it."""
    inside = broadcast_in_dim(mask, shape=x.shape, axes=(0, axis, axis + 1))
    return select(inside, x, otherwise)


def _weights(
    rois: Node,
    first: int,
    last: int,
    length: Any,
    count: int,
    scale: float,
    samples: int,
    aligned: bool,
) -> Node:
    """How much of each element every cell takes along one axis: (regions, count, length)."""
    start, end = (_edge(rois, column, scale) for column in (first, last))
    extent = end - start if aligned else maximum(end - start, 1)
    shape = (rois.shape[0], count, samples)
    point = iota(shape=shape, dtype=rois.dtype, axis=2) + 0.5
    cell = iota(shape=shape, dtype=rois.dtype, axis=1)
    step = expand_dims(extent / count, 2)
    place = (cell + point / samples) * step + expand_dims(start - 0.5 * aligned, 2)
    near = greater_equal(place, -1) & less_equal(place, length)
    inside = expand_dims(clamp(0, place, length - 1), 3)
    element = iota(shape=(*shape, length), dtype=rois.dtype, axis=3)
    weight = maximum(1 - abs(inside - element), 0)
    return mean(select(expand_dims(near, 3), weight, 0), 2)
