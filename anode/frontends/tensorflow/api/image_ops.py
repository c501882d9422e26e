"""tf.image: other sizes, crops, flips, boxes, files."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.arithmetic import cast
from anode.frontends.tensorflow.api.array_ops import (
    expand_dims,
    pad,
    reshape,
    shape,
    squeeze,
    stack,
    transpose,
)
from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.dtypes import float32, int32, uint8
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant_value,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed
from anode.frontends.tensorflow.tensor_shape import Dimension

_JPEG = (
    "channels=0 ratio=1 fancy_upscaling=True try_recover_truncated=False acceptable_fraction=1 "
    "dct_method=''"
)
FUNCTIONS = {
    "ResizeArea": "images size align_corners=False | image.resize_area",
    "RGBToHSV": "images | image.rgb_to_hsv",
    "HSVToRGB": "images | image.hsv_to_rgb",
    "DecodeJpeg": f"contents {_JPEG} | image.decode_jpeg io.decode_jpeg",
    "DecodeAndCropJpeg": f"contents crop_window {_JPEG}"
    " | image.decode_and_crop_jpeg io.decode_and_crop_jpeg",
    "DecodePng": "contents channels=0 dtype=uint8 | image.decode_png io.decode_png",
    "DecodeGif": "contents | image.decode_gif io.decode_gif",
    "DecodeBmp": "contents channels=0 | image.decode_bmp io.decode_bmp",
    "ExtractJpegShape": "contents output_type=int32"
    " | image.extract_jpeg_shape io.extract_jpeg_shape",
    "EncodeJpeg": "image format='' quality=95 progressive=False optimize_size=False"
    " chroma_downsampling=True density_unit='in' x_density=300 y_density=300 xmp_metadata=''"
    " | image.encode_jpeg io.encode_jpeg",
    "EncodePng": "image compression=-1 | image.encode_png",
}
globals().update(define(__name__, FUNCTIONS))


@export("image.ResizeMethod")
class ResizeMethod:
    """How an image is made of another size."""

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


def _sized(type: str, name: str) -> Any:
    def resize(
        images: Any,
        size: Any,
        align_corners: bool = False,
        name: str | None = None,
        half_pixel_centers: bool = False,
    ) -> Any:
        attrs = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
        return apply(type, images, size, name=name, **attrs)

    resize.__name__ = resize.__qualname__ = name
    resize.__doc__ = f"Images of another size: the op {type}."
    return export(f"image.{name}")(resize)


resize_bilinear = _sized("ResizeBilinear", "resize_bilinear")
resize_nearest_neighbor = _sized("ResizeNearestNeighbor", "resize_nearest_neighbor")
resize_bicubic = _sized("ResizeBicubic", "resize_bicubic")
_METHODS = ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea")


class Batch:
    """Images as a batch: one image becomes a batch of one, and what is made of it one again."""

    def __init__(self, image: Any) -> None:
        self.given = convert_to_tensor(image, name="images")
        rank = self.given.shape.ndims
        if rank not in (None, 3, 4):
            raise ValueError("'images' must have either 3 or 4 dimensions.")
        self.single = rank == 3
        self.images = expand_dims(self.given, 0) if self.single else self.given

    def like_given(self, images: Tensor) -> Any:
        return squeeze(images, axis=[0]) if self.single else images

    def sides(self) -> tuple[Any, Any]:
        """Height and width: numbers where they are known."""
        dims = self.images.shape
        known = [None, None] if dims.ndims is None else dims.as_list()[1:3]
        if None not in known:
            return known[0], known[1]
        sizes = shape(self.images)
        return tuple(sizes[i + 1] if n is None else n for i, n in enumerate(known))


def _target(size: Any) -> tuple[Tensor, list[int | None]]:
    """The wanted size as a tensor, and its numbers where they are known."""
    tensor = convert_to_tensor(size, int32, name="size")
    if not tensor.shape.is_compatible_with([2]):
        raise ValueError("'size' must be a 1-D Tensor of 2 elements: new_height, new_width")
    value = constant_value(tensor)
    return tensor, [None, None] if value is None else [int(n) for n in value]


@export("image.resize_images", "image.resize")
def resize_images(
    images: Any,
    size: Any,
    method: int = ResizeMethod.BILINEAR,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    name: str | None = None,
) -> Any:
    """Images of another size; those that have it already are left as they are."""
    if method not in range(4):
        raise ValueError("Resize method is not implemented.")
    with name_scope(name, "resize", [images, size]):
        batch = Batch(images)
        tensor, wanted = _target(size)
        if preserve_aspect_ratio:
            tensor, wanted = _within(batch, tensor, wanted)
        if None not in wanted and tuple(wanted) == batch.sides():
            return batch.given
        attrs: dict[str, Any] = {"align_corners": align_corners}
        return batch.like_given(apply(_METHODS[method], batch.images, tensor, **attrs))


def _within(
    batch: Batch, tensor: Tensor, wanted: list[int | None]
) -> tuple[Tensor, list[int | None]]:
    """The largest size of the image's own aspect that fits."""
    sides = batch.sides()
    if None not in wanted and all(isinstance(n, int) for n in sides):
        scale = min(
            np.float32(int(w or 0)) / np.float32(n) for w, n in zip(wanted, sides, strict=True)
        )
        sizes = [int(np.rint(scale * np.float32(n))) for n in sides]
        return convert_to_tensor(sizes, int32, name="size"), list(sizes)
    own = cast(stack(list(sides)), float32)
    scale = apply("Min", cast(tensor, float32) / own, [0])
    return cast(apply("Round", scale * own), int32), [None, None]


# crops


def _int(n: Any) -> Any:
    """A size as a number if it is one."""
    if isinstance(n, (int, np.integer, Dimension)):
        return int(n)
    value = constant_value(n)
    return convert_to_tensor(n) if value is None else int(value)


def _check(holds: Any, message: str) -> None:
    """ValueError where a condition on known sizes fails; those of run-time sizes are the op's."""
    if isinstance(holds, bool) and not holds:
        raise ValueError(message)


def _least(a: Any, b: Any) -> Any:
    known = isinstance(a, int) and isinstance(b, int)
    return min(a, b) if known else apply("Minimum", a, b)


def _most(a: Any, b: Any) -> Any:
    known = isinstance(a, int) and isinstance(b, int)
    return max(a, b) if known else apply("Maximum", a, b)


@export("image.crop_to_bounding_box")
def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The box of a size at an offset."""
    with name_scope(None, "crop_to_bounding_box", [image]):
        batch = Batch(image)
        height, width = batch.sides()
        top, left, h, w = map(_int, (offset_height, offset_width, target_height, target_width))
        _check(left >= 0, "offset_width must be >= 0.")
        _check(top >= 0, "offset_height must be >= 0.")
        _check(w > 0, "target_width must be > 0.")
        _check(h > 0, "target_height must be > 0.")
        _check(width >= w + left, "width must be >= target + offset.")
        _check(height >= h + top, "height must be >= target + offset.")
        box = apply("Slice", batch.images, stack([0, top, left, 0]), stack([-1, h, w, -1]))
        return batch.like_given(box)


@export("image.pad_to_bounding_box")
def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The image at an offset in zeros of a size."""
    with name_scope(None, "pad_to_bounding_box", [image]):
        batch = Batch(image)
        height, width = batch.sides()
        top, left, h, w = map(_int, (offset_height, offset_width, target_height, target_width))
        below, right = h - top - height, w - left - width
        _check(top >= 0, "offset_height must be >= 0")
        _check(left >= 0, "offset_width must be >= 0")
        _check(right >= 0, "width must be <= target - offset")
        _check(below >= 0, "height must be <= target - offset")
        paddings = reshape(stack([0, 0, top, below, left, right, 0, 0]), [4, 2])
        padded = pad(batch.images, paddings)
        dims = batch.images.shape
        if dims.ndims is not None:
            sizes = [n if isinstance(n, int) else None for n in (h, w)]
            padded.set_shape([dims.as_list()[0], *sizes, dims.as_list()[3]])
        return batch.like_given(padded)


@export("image.resize_image_with_crop_or_pad", "image.resize_with_crop_or_pad")
def resize_image_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """The middle of the image, in zeros where it is too small."""
    with name_scope(None, "resize_image_with_crop_or_pad", [image]):
        batch = Batch(image)
        height, width = batch.sides()
        h, w = _int(target_height), _int(target_width)
        _check(w > 0, "target_width must be > 0.")
        _check(h > 0, "target_height must be > 0.")
        extra = [(wanted - own) // 2 for wanted, own in ((h, height), (w, width))]
        spare = [(own - wanted) // 2 for wanted, own in ((h, height), (w, width))]
        cut = crop_to_bounding_box(
            batch.images,
            _most(spare[0], 0),
            _most(spare[1], 0),
            _least(h, height),
            _least(w, width),
        )
        whole = pad_to_bounding_box(cut, _most(extra[0], 0), _most(extra[1], 0), h, w)
        return batch.like_given(whole)


@export("image.resize_image_with_pad")
def resize_image_with_pad(
    image: Any,
    target_height: Any,
    target_width: Any,
    method: int = ResizeMethod.BILINEAR,
    align_corners: bool = False,
) -> Any:
    """The image as large as fits, of its own aspect, in zeros."""
    with name_scope(None, "resize_image_with_pad", [image]):
        batch = Batch(image)
        h, w = _int(target_height), _int(target_width)
        height, width = batch.sides()
        if not all(isinstance(n, int) for n in (h, w, height, width)):
            raise ValueError("resize_image_with_pad: the sizes must be known when it is called")
        ratio = max(width / w, height / h)
        sizes = [int(np.floor(n / ratio)) for n in (height, width)]
        top, left = (max(0, (wanted - n) // 2) for wanted, n in zip((h, w), sizes, strict=True))
        small = resize_images(batch.images, sizes, method, align_corners)
        return batch.like_given(pad_to_bounding_box(small, top, left, h, w))


@export("image.central_crop")
def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle part of each side."""
    with name_scope(None, "central_crop", [image]):
        if not 0 < central_fraction <= 1:
            raise ValueError("central_fraction must be within (0, 1]")
        batch = Batch(image)
        if central_fraction == 1:
            return batch.given
        starts, sizes = [], []
        for n in batch.sides():
            start = _middle(n, central_fraction)
            starts.append(start)
            sizes.append(n - start * 2)
        box = apply("Slice", batch.images, stack([0, *starts, 0]), stack([-1, *sizes, -1]))
        return batch.like_given(box)


def _middle(n: Any, fraction: float) -> Any:
    if isinstance(n, int):
        return int((n - n * float(fraction)) / 2)
    wide = cast(n, float32)
    return cast((wide - wide * fraction) / 2, int32)


@export("image.crop_and_resize")
@renamed(box_indices="box_ind")
def crop_and_resize(
    image: Any,
    boxes: Any,
    box_ind: Any = None,
    crop_size: Any = None,
    method: str = "bilinear",
    extrapolation_value: float = 0,
    name: str | None = None,
) -> Any:
    """The parts of images in boxes (top, left, bottom, right from 0 to 1), of one size."""
    attrs = {"method": method, "extrapolation_value": float(extrapolation_value)}
    return apply("CropAndResize", image, boxes, box_ind, crop_size, name=name, **attrs)


# flips


def flipped(image: Any, axis: int, scope: str) -> Any:
    """Images reversed along an axis counted within one image."""
    with name_scope(None, scope, [image]):
        batch = Batch(image)
        return apply("ReverseV2", batch.given, [axis if batch.single else axis + 1])


@export("image.flip_left_right")
def flip_left_right(image: Any) -> Any:
    return flipped(image, 1, "flip_left_right")


@export("image.flip_up_down")
def flip_up_down(image: Any) -> Any:
    return flipped(image, 0, "flip_up_down")


@export("image.transpose_image", "image.transpose")
def transpose_image(image: Any, name: str | None = None) -> Any:
    """Rows as columns."""
    with name_scope(name, "transpose", [image]):
        batch = Batch(image)
        return transpose(batch.given, [1, 0, 2] if batch.single else [0, 2, 1, 3])


@export("image.rot90")
def rot90(image: Any, k: Any = 1, name: str | None = None) -> Any:
    """Turned counter-clockwise by k quarters."""
    with name_scope(name, "rot90", [image, k]):
        turns = constant_value(k)
        if turns is None:
            raise ValueError("rot90: k must be known when it is called")
        batch = Batch(image)
        x, h, w = batch.given, *((0, 1) if batch.single else (1, 2))
        rank = 3 if batch.single else 4
        swapped = [*range(h), w, h, *range(w + 1, rank)]
        turn = int(turns) % 4
        if turn == 1:
            return transpose(apply("ReverseV2", x, [w]), swapped)
        if turn == 2:
            return apply("ReverseV2", x, [h, w])
        return apply("ReverseV2", transpose(x, swapped), [w]) if turn == 3 else x


# boxes


@export("image.non_max_suppression")
def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    name: str | None = None,
) -> Any:
    """The indices of the best boxes, none of which overlaps a better one too much."""
    with name_scope(name, "non_max_suppression"):
        overlap = convert_to_tensor(iou_threshold, float32, name="iou_threshold")
        least = convert_to_tensor(score_threshold, float32, name="score_threshold")
        return apply("NonMaxSuppressionV3", boxes, scores, max_output_size, overlap, least)


@export("image.non_max_suppression_padded")
def non_max_suppression_padded(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_to_max_output_size: bool = False,
    name: str | None = None,
) -> Any:
    """`non_max_suppression`, filled up to the size with zeros, and how many are no filling."""
    with name_scope(name, "non_max_suppression_padded"):
        operands = (boxes, scores, max_output_size, iou_threshold, score_threshold)
        attrs: dict[str, Any] = {"pad_to_max_output_size": pad_to_max_output_size}
        return apply("NonMaxSuppressionV4", *operands, **attrs)


@export("image.draw_bounding_boxes")
def draw_bounding_boxes(
    images: Any, boxes: Any, name: str | None = None, colors: Any = None
) -> Any:
    """The outlines of boxes drawn over images."""
    if colors is None:
        return apply("DrawBoundingBoxes", images, boxes, name=name)
    return apply("DrawBoundingBoxesV2", images, boxes, colors, name=name)


@export("image.sample_distorted_bounding_box")
def sample_distorted_bounding_box(
    image_size: Any,
    bounding_boxes: Any,
    seed: int | None = None,
    seed2: int | None = None,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None,
    area_range: Any = None,
    max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: bool | None = None,
    name: str | None = None,
) -> tuple[Any, Any, Any]:
    """A random crop that keeps enough of an object: begin, size, and as a box."""
    given = {
        "seed": seed,
        "seed2": seed2,
        "aspect_ratio_range": aspect_ratio_range,
        "area_range": area_range,
        "max_attempts": max_attempts,
        "use_image_if_no_bounding_boxes": use_image_if_no_bounding_boxes,
    }
    attrs = {key: value for key, value in given.items() if value is not None}
    with name_scope(name, "sample_distorted_bounding_box"):
        covered = convert_to_tensor(min_object_covered, float32, name="min_object_covered")
        found = apply("SampleDistortedBoundingBoxV2", image_size, bounding_boxes, covered, **attrs)
        begin, size, box = found
        return begin, size, box


# files


@export("image.decode_image", "io.decode_image")
def decode_image(
    contents: Any,
    channels: int | None = None,
    dtype: Any = uint8,
    name: str | None = None,
    expand_animations: bool = True,
) -> Any:
    """The pixels of a JPEG, PNG, BMP or GIF file; of GIF the frames."""
    attrs = {"channels": channels or 0, "dtype": dtype, "expand_animations": expand_animations}
    return apply("DecodeImage", contents, name=name or "decode_image", **attrs)


@export("image.is_jpeg", "io.is_jpeg")
def is_jpeg(contents: Any, name: str | None = None) -> Any:
    """Whether a file begins as JPEG files do."""
    with name_scope(name, "is_jpeg"):
        return apply("Equal", apply("Substr", contents, 0, 3), b"\xff\xd8\xff")
