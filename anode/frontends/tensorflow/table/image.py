"""Images on the device: other sizes, crops, and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.infer import known_sizes
from anode.frontends.tensorflow.opdef import op
from anode.frontends.tensorflow.table.array import ints
from anode.ir.node import Node, constant

# sizes


def _wide(x: Node) -> Node:
    return x if x.dtype.is_float and x.dtype.bits == 32 else ops.convert(x, dtype="f32")


def _resized(images: Node, size: Node, corners: bool, half_pixel: bool, **attrs: Any) -> Node:
    coordinates = "align_corners" if corners else "half_pixel" if half_pixel else "asymmetric"
    return ops.resize(images, sizes=ints(size), coordinates=coordinates, **attrs)


def _size_shape(op: Any) -> list[Any]:
    images, size = op.inputs[0].shape, known_sizes(op.inputs[1]) or [None, None]
    batch, channels = (None, None) if images.ndims is None else images.as_list()[::3]
    return [[batch, *size, channels]]


_SIZED: dict[str, Any] = {"shape": _size_shape, "align_corners": False}


@op("ResizeBilinear", "images:T size:int32 -> float32", half_pixel_centers=False, **_SIZED)
def _(images: Node, size: Node, *, align_corners: bool, half_pixel_centers: bool) -> Node:
    return _resized(_wide(images), size, align_corners, half_pixel_centers)


@op("ResizeNearestNeighbor", "images:T size:int32 -> T", half_pixel_centers=False, **_SIZED)
def _(images: Node, size: Node, *, align_corners: bool, half_pixel_centers: bool) -> Node:
    return _resized(images, size, align_corners, half_pixel_centers, mode="nearest")


@op("ResizeBicubic", "images:T size:int32 -> float32", half_pixel_centers=False, **_SIZED)
def _(images: Node, size: Node, *, align_corners: bool, half_pixel_centers: bool) -> Node:
    if half_pixel_centers:
        raise UnsupportedOp("ResizeBicubic: half_pixel_centers is not supported; leave it out")
    return _resized(_wide(images), size, align_corners, False, mode="cubic", cubic=-0.75)


@op("ResizeArea", "images:T size:int32 -> float32", **_SIZED)
def _(images: Node, size: Node, *, align_corners: bool) -> Node:
    return _resized(_wide(images), size, align_corners, False, mode="area")


# crops of regions


def _boxes_shape(op: Any) -> list[Any]:
    image, boxes = (t.shape for t in op.inputs[:2])
    count = None if boxes.ndims is None else boxes.as_list()[0]
    channels = None if image.ndims is None else image.as_list()[3]
    return [[count, *(known_sizes(op.inputs[3]) or [None, None]), channels]]


@op(
    "CropAndResize",
    "image:T boxes:float32 box_ind:int32 crop_size:int32 -> float32",
    shape=_boxes_shape,
    method="bilinear",
    extrapolation_value=0.0,
)
def _(
    image: Node,
    boxes: Node,
    box_ind: Node,
    crop_size: Node,
    *,
    method: str,
    extrapolation_value: float,
) -> Node:
    image = _wide(image)
    height, width = (int(n) for n in image.shape[1:3])
    rows, columns = ints(crop_size)
    y = _sampled(boxes[:, 0], boxes[:, 2], height, rows)
    x = _sampled(boxes[:, 1], boxes[:, 3], width, columns)
    if method == "nearest":
        found = _pixels(image, box_ind, ops.round_away(y), ops.round_away(x))
    else:
        found = _bilinear(image, box_ind, y, x)
    inside = ops.and_(
        *[
            _spread(_within(at, n), axis, found.shape)
            for at, n, axis in ((y, height, 1), (x, width, 2))
        ]
    )
    return ops.select(inside, found, float(extrapolation_value))


def _sampled(low: Node, high: Node, length: int, count: int) -> Node:
    """Where `count` samples lie between normalized ends, in pixels: (boxes, count)."""
    shape = (int(low.shape[0]), count)
    if count == 1:
        return ops.reshape((low + high) * (0.5 * (length - 1)), shape=shape)
    step = (high - low) * (length - 1) / (count - 1)  # rounded as TensorFlow rounds
    first, step = (ops.broadcast_in_dim(n, shape=shape, axes=(0,)) for n in (low, step))
    return first * (length - 1) + step * ops.iota(shape=shape, dtype="f32", axis=1)


def _within(at: Node, length: int) -> Node:
    return ops.and_(at >= 0, at <= length - 1)


def _spread(x: Node, axis: int, shape: Any) -> Node:
    """(boxes, samples) as one axis of (boxes, rows, columns, channels)."""
    return ops.broadcast_in_dim(x, shape=tuple(shape), axes=(0, axis))


def _bilinear(image: Node, box: Node, y: Node, x: Node) -> Node:
    top, left = ops.floor(y), ops.floor(x)
    corners = [
        [_pixels(image, box, row, column) for column in (left, left + 1)] for row in (top, top + 1)
    ]
    shape = corners[0][0].shape
    down, right = _spread(y - top, 1, shape), _spread(x - left, 2, shape)
    upper, lower = (a + (b - a) * right for a, b in corners)
    return upper + (lower - upper) * down


def _pixels(image: Node, box: Node, y: Node, x: Node) -> Node:
    """The pixels of each box's image at rows `y` and columns `x`, moved inside."""
    shape = (*y.shape, x.shape[1])
    parts = [
        ops.broadcast_in_dim(ops.convert(n, dtype="i32"), shape=shape, axes=axes)
        for n, axes in ((box, (0,)), (y, (0, 1)), (x, (0, 2)))
    ]
    return ops.gather(
        image,
        ops.stack(parts, -1),
        offset_dims=(3,),
        collapsed_slice_dims=(0, 1, 2),
        start_index_map=(0, 1, 2),
        index_vector_dim=3,
        slice_sizes=(1, 1, 1, image.shape[3]),
    )


# colours


def to_hsv(rgb: Node) -> Node:
    """Hue, saturation and value, each from 0 to 1, of red, green and blue along the last dim."""
    r, g, b = (rgb[..., i] for i in range(3))
    value = ops.maximum(r, ops.maximum(g, b))
    spread = value - ops.minimum(r, ops.minimum(g, b))
    saturation = ops.select(value > 0, spread / ops.select(value > 0, value, 1), 0)
    grey = ops.equal(spread, 0)
    sixth = 1 / (6 * ops.select(grey, 1, spread))
    hue = ops.select(ops.equal(g, value), sixth * (b - r) + 2 / 6, sixth * (r - g) + 4 / 6)
    hue = ops.select(ops.equal(r, value), sixth * (g - b), hue)
    hue = ops.select(grey, 0, ops.select(hue < 0, hue + 1, hue))
    return ops.stack([hue, saturation, value], -1)


def to_rgb(hsv: Node) -> Node:
    """The inverse of `to_hsv`."""
    hue, saturation, value = (hsv[..., i] for i in range(3))
    sixths = hue * 6
    ramps = (
        ops.abs(sixths - 3) - 1,
        2 - ops.abs(sixths - 2),
        2 - ops.abs(sixths - 4),
    )
    zero, one = (constant(n, hsv.dtype) for n in (0, 1))
    parts = [(ops.clamp(zero, ramp, one) * saturation + (1 - saturation)) * value for ramp in ramps]
    return ops.stack(parts, -1)


op("RGBToHSV", "images:T -> T", shape="same")(lambda images: to_hsv(images))
op("HSVToRGB", "images:T -> T", shape="same")(lambda images: to_rgb(images))


def _in_hsv(
    change: Callable[[Node, Node, Node], tuple[Node, Node]], images: Node, by: Node
) -> Node:
    hsv = to_hsv(images)
    hue, saturation = change(hsv[..., 0], hsv[..., 1], by)
    return to_rgb(ops.stack([hue, saturation, hsv[..., 2]], -1))


def _turned(hue: Node, saturation: Node, delta: Node) -> tuple[Node, Node]:
    turned = hue + delta
    return turned - ops.floor(turned), saturation


def _saturated(hue: Node, saturation: Node, scale: Node) -> tuple[Node, Node]:
    return hue, ops.minimum(ops.maximum(saturation * scale, 0), 1)


@op("AdjustHue", "images:T delta:float32 -> T", shape="same")
def _(images: Node, delta: Node) -> Node:
    return _in_hsv(_turned, images, ops.convert(delta, dtype=images.dtype))


@op("AdjustSaturation", "images:T scale:float32 -> T", shape="same")
def _(images: Node, scale: Node) -> Node:
    return _in_hsv(_saturated, images, ops.convert(scale, dtype=images.dtype))


@op("AdjustContrastv2", "images:T contrast_factor:float32 -> T", shape="same")
def _(images: Node, contrast_factor: Node) -> Node:
    rank = len(images.shape)
    mean = ops.mean(images, (rank - 3, rank - 2), keepdims=True)
    factor = ops.convert(contrast_factor, dtype=images.dtype)
    return (images - mean) * factor + mean
