"""Images on the host: files decoded and encoded, boxes chosen and drawn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import host

Array = np.ndarray
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_JPEG: dict[str, Any] = {
    "channels": 0,
    "ratio": 1,
    "fancy_upscaling": True,
    "try_recover_truncated": False,
    "acceptable_fraction": 1.0,
    "dct_method": "",
}


def _opened(contents: bytes, *formats: str) -> Any:
    from anode.data.decode import open_image
    from anode.errors import DataError

    try:
        image = open_image(contents)
    except DataError as error:
        raise InvalidArgumentError(None, None, f"Invalid image data: {error}") from None
    kind = "JPEG" if image.format == "MPO" else image.format
    if formats and kind not in formats:
        raise InvalidArgumentError(None, None, f"Expected image ({', '.join(formats)}), got {kind}")
    return image


def _channels(image: Any, channels: int) -> Array:
    """The pixels, (height, width, channels), as many channels as asked for, or as the file has."""
    mode = image.mode
    if mode == "P":
        mode = "RGBA" if "transparency" in image.info else "RGB"
    own = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1, "I": 1}.get(mode, 3)
    count = channels or own
    if mode in ("I;16", "I") and count == 1:
        return np.asarray(image)[..., None]
    if count == 1 and mode == "RGB":
        return _grey(np.asarray(image.convert("RGB")))[..., None]
    if image.mode != _MODES[count]:
        image = image.convert(_MODES[count])
    return np.asarray(image).reshape(image.height, image.width, count)


def _grey(rgb: Array) -> Array:
    """0.299 red, 0.587 green and 0.114 blue in units of 1/32768, cut off, as libpng does."""
    weights = np.array([9797, 19235, 3736])
    grey = (rgb.astype(np.int64) @ weights) >> 15
    same = (rgb[..., :1] == rgb).all(-1)
    return np.where(same, rgb[..., 0], grey).astype(np.uint8)


def _jpeg(contents: bytes, channels: int, ratio: int) -> Array:
    if channels not in (0, 1, 3):
        raise InvalidArgumentError(None, None, f"channels must be 0, 1, or 3, got {channels}")
    image = _opened(contents, "JPEG", "PNG", "GIF", "BMP")
    if image.format in ("JPEG", "MPO"):
        size = (image.width // ratio, image.height // ratio)
        mode = "L" if channels == 1 or image.mode == "L" else "RGB"
        if ratio != 1 or mode == "L":
            image.draft(mode, size)
    return _channels(image, channels or (1 if image.mode == "L" else 3))


def _image_shape(op: Any) -> list[Any]:
    return [[None, None, op.get_attr("channels") or None]]


@host("DecodeJpeg", "contents:string -> uint8", shape=_image_shape, **_JPEG)
def _(contents: Array, *, channels: int, ratio: int, **_: Any) -> Array:
    return _jpeg(contents.item(), channels, ratio)


@host(
    "DecodeAndCropJpeg", "contents:string crop_window:int32 -> uint8", shape=_image_shape, **_JPEG
)
def _(contents: Array, crop_window: Array, *, channels: int, ratio: int, **_: Any) -> Array:
    top, left, height, width = crop_window.tolist()
    whole = _jpeg(contents.item(), channels, ratio)
    return whole[top : top + height, left : left + width]


def _as(image: Array, dtype: Any) -> Array:
    """Pixels of 8 or 16 bits as the type asked for: 16 bits lose their lower 8, or gain some."""
    wide = image.dtype.itemsize > 1
    if dtype == tf.uint16:
        return image.astype(np.uint16) if wide else image.astype(np.uint16) * 257
    if dtype.is_floating:
        return (image / (65535 if wide else 255)).astype(dtype.as_numpy_dtype)
    return (image >> 8 if wide else image).astype(np.uint8)


@host("DecodePng", "contents:string -> dtype", shape=_image_shape, channels=0, dtype=tf.uint8)
def _(contents: Array, *, channels: int, dtype: Any) -> Array:
    return _as(_channels(_opened(contents.item(), "PNG", "JPEG", "GIF", "BMP"), channels), dtype)


@host("DecodeBmp", "contents:string -> uint8", shape=_image_shape, channels=0)
def _(contents: Array, *, channels: int) -> Array:
    return _channels(_opened(contents.item(), "BMP"), channels)


def _frames(image: Any) -> Array:
    from PIL import ImageSequence

    return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)])


@host("DecodeGif", "contents:string -> uint8", shape=lambda op: [[None, None, None, 3]])
def _(contents: Array) -> Array:
    return _frames(_opened(contents.item(), "GIF"))


@host(
    "DecodeImage",
    "contents:string -> dtype",
    shape="unknown",
    channels=0,
    dtype=tf.uint8,
    expand_animations=True,
)
def _(contents: Array, *, channels: int, dtype: Any, expand_animations: bool) -> Array:
    image = _opened(contents.item())
    if image.format == "GIF":
        frames = _frames(image)
        return _as(frames if expand_animations else frames[0], dtype)
    if image.format in ("JPEG", "MPO"):
        return _as(_jpeg(contents.item(), channels, 1), dtype)
    return _as(_channels(image, channels), dtype)


@host(
    "ExtractJpegShape",
    "contents:string -> output_type",
    shape=lambda op: [[3]],
    output_type=tf.int32,
)
def _(contents: Array, *, output_type: Any) -> Array:
    image = _opened(contents.item(), "JPEG")
    sizes = [image.height, image.width, len(image.getbands())]
    return np.array(sizes, output_type.as_numpy_dtype)


def _picture(image: Array) -> Any:
    from anode.data.decode import pillow

    return pillow().fromarray(image[..., 0] if image.shape[-1] == 1 else image)


@host(
    "EncodeJpeg",
    "image:uint8 -> string",
    shape="scalar",
    format="",
    quality=95,
    progressive=False,
    optimize_size=False,
    chroma_downsampling=True,
    density_unit="in",
    x_density=300,
    y_density=300,
    xmp_metadata="",
)
def _(
    image: Array,
    *,
    format: str,
    quality: int,
    progressive: bool,
    optimize_size: bool,
    chroma_downsampling: bool,
    density_unit: str,
    x_density: int,
    y_density: int,
    xmp_metadata: str,
) -> bytes:
    if density_unit != "in" or xmp_metadata:
        raise UnsupportedOp("EncodeJpeg: density_unit is 'in', and there is no xmp_metadata")
    if format and len(_picture(image).getbands()) != {"grayscale": 1, "rgb": 3}[format]:
        raise InvalidArgumentError(None, None, f"image has not the channels of format {format!r}")
    file = io.BytesIO()
    _picture(image).save(
        file,
        "JPEG",
        quality=quality,
        progressive=progressive,
        optimize=optimize_size,
        subsampling=2 if chroma_downsampling else 0,
        dpi=(x_density, y_density),
    )
    return file.getvalue()


@host("EncodePng", "image:T -> string", shape="scalar", compression=-1)
def _(image: Array, *, compression: int) -> bytes:
    file = io.BytesIO()
    level = {} if compression == -1 else {"compress_level": compression}
    _picture(image).save(file, "PNG", **level)
    return file.getvalue()


# boxes: each (top, left, bottom, right)


def overlaps(low: Array, high: Array, at: int, others: Array) -> Array:
    """Intersection over union of the box `at`, from low to high corner, and others."""
    sides = np.minimum(high[others], high[at]) - np.maximum(low[others], low[at])
    common = sides.clip(0).prod(-1)
    own, area = (high[at] - low[at]).prod(), (high[others] - low[others]).prod(-1)
    union = area + own - common
    return np.where((area > 0) & (own > 0), common / np.where(union > 0, union, 1), 0)


def suppressed(boxes: Array, scores: Array, most: int, threshold: float, least: float) -> Array:
    """The best boxes, none of which overlaps a better one by more than the threshold."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    left = left[~(scores[left] <= least)]
    while len(left) and len(kept) < most:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[~(overlaps(low, high, best, left) > threshold)]
    return np.array(kept, np.int32)


def _vector(op: Any) -> list[Any]:
    return [[None]]


@host(
    "NonMaxSuppression",
    "boxes:float32 scores:float32 max_output_size:int32 -> int32",
    shape=_vector,
    iou_threshold=0.5,
)
def _(boxes: Array, scores: Array, max_output_size: Array, *, iou_threshold: float) -> Array:
    return suppressed(boxes, scores, int(max_output_size), iou_threshold, -np.inf)


@host(
    "NonMaxSuppressionV2",
    "boxes:T scores:T max_output_size:int32 iou_threshold:float32 -> int32",
    shape=_vector,
)
def _(boxes: Array, scores: Array, max_output_size: Array, iou_threshold: Array) -> Array:
    return suppressed(boxes, scores, int(max_output_size), float(iou_threshold), -np.inf)


@host(
    "NonMaxSuppressionV3",
    "boxes:T scores:T max_output_size:int32 iou_threshold:float32 score_threshold:float32 -> int32",
    shape=_vector,
)
def _(
    boxes: Array,
    scores: Array,
    max_output_size: Array,
    iou_threshold: Array,
    score_threshold: Array,
) -> Array:
    least, threshold = float(score_threshold), float(iou_threshold)
    return suppressed(boxes, scores, int(max_output_size), threshold, least)


@host(
    "NonMaxSuppressionV4",
    "boxes:T scores:T max_output_size:int32 iou_threshold:float32 score_threshold:float32 "
    "-> int32 int32",
    shape=lambda op: [[None], []],
    pad_to_max_output_size=False,
)
def _(
    boxes: Array,
    scores: Array,
    max_output_size: Array,
    iou_threshold: Array,
    score_threshold: Array,
    *,
    pad_to_max_output_size: bool,
) -> tuple[Array, Array]:
    most, least = int(max_output_size), float(score_threshold)
    kept = suppressed(boxes, scores, most, float(iou_threshold), least)
    count = np.array(len(kept), np.int32)
    return (np.pad(kept, (0, most - len(kept))) if pad_to_max_output_size else kept), count


_COLOURS = (
    (1, 1, 0),
    (0, 0, 1),
    (1, 0, 0),
    (0, 1, 0),
    (0.5, 0, 0.5),
    (0.5, 0.5, 0),
    (0.5, 0, 0),
    (0, 0, 0.5),
    (0, 1, 1),
    (1, 0, 1),
)


def _drawn(images: Array, boxes: Array, colours: Array) -> Array:
    """Outlines one pixel wide, the colours in turn."""
    result = images.copy()
    height, width, depth = images.shape[1:]
    for image, of in zip(result, boxes, strict=True):
        for i, box in enumerate(of.astype(np.float32)):
            colour = colours[i % len(colours)]
            if depth == 1:
                colour = np.ones(1)
            scale = np.array([height - 1, width - 1] * 2, np.float32)
            top, left, bottom, right = (box * scale).astype(int).tolist()
            if top > bottom or left > right or top >= height or left >= width:
                continue
            if bottom < 0 or right < 0:
                continue
            _outline(image, (top, left, bottom, right), np.resize(colour, depth))
    return result


def _outline(image: Array, box: tuple[int, ...], colour: Array) -> None:
    top, left, bottom, right = box
    height, width = image.shape[:2]
    columns = slice(max(left, 0), min(right, width - 1) + 1)
    rows = slice(max(top, 0), min(bottom, height - 1) + 1)
    for row in (top, bottom):
        if 0 <= row < height:
            image[row, columns] = colour
    for column in (left, right):
        if 0 <= column < width:
            image[rows, column] = colour


@host("DrawBoundingBoxes", "images:T boxes:float32 -> T", shape="same")
def _(images: Array, boxes: Array) -> Array:
    colours = np.array([[*colour, 1] for colour in _COLOURS], np.float32)
    return _drawn(images, boxes, colours)


@host("DrawBoundingBoxesV2", "images:T boxes:float32 colors:float32 -> T", shape="same")
def _(images: Array, boxes: Array, colors: Array) -> Array:
    return _drawn(images, boxes, colors)


# random crops that keep enough of an object


def _crop(rng: Any, size: tuple[int, int], aspect: float, areas: Any) -> tuple[int, ...] | None:
    """A random crop (top, left, height, width) of an aspect and a range of areas, if one fits."""
    height, width = size
    least, most = (area * height * width for area in areas)
    low, high = (int(np.rint(np.sqrt(area / aspect))) for area in (least, most))
    if int(np.rint(high * aspect)) > width:
        high = int((width + 0.5 - 1e-7) / aspect)
    high = min(high, height)
    low = min(low, high)
    h = low + (int(rng.integers(high - low + 1)) if low < high else 0)
    w = int(np.rint(h * aspect))
    for step, wrong in ((1, h * w < least), (-1, h * w > most)):
        if wrong:
            h += step
            w = int(np.rint(h * aspect))
    if not (least <= h * w <= most and 0 < h <= height and 0 < w <= width):
        return None
    return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w


def _covers(crop: tuple[int, ...], boxes: Array, least: float) -> bool:
    """Whether the crop has enough of any box, in pixels."""
    top, left, h, w = crop
    low = np.maximum(boxes[:, :2], (top, left))
    high = np.minimum(boxes[:, 2:], (top + h, left + w))
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    common = (high - low).clip(0).prod(-1)
    return bool((common[area > 0] / area[area > 0] >= least).any())


_SAMPLED: dict[str, Any] = {
    "shape": lambda op: [[3], [3], [1, 1, 4]],
    "stateful": True,
    "seed": 0,
    "seed2": 0,
    "aspect_ratio_range": (0.75, 1.33),
    "area_range": (0.05, 1.0),
    "max_attempts": 100,
    "use_image_if_no_bounding_boxes": False,
}


def _distorted(
    image_size: Array, bounding_boxes: Array, min_object_covered: float, run: Any, attrs: Any
) -> tuple[Array, Array, Array]:
    height, width = image_size[:2].tolist()
    boxes = bounding_boxes.reshape(-1, 4)
    if not len(boxes):
        if not attrs["use_image_if_no_bounding_boxes"]:
            raise InvalidArgumentError(
                None,
                None,
                "No bounding boxes provided as input. One must enable "
                "use_image_if_no_bounding_boxes if you wish to not provide any bounding boxes.",
            )
        boxes, min_object_covered = np.array([[0, 0, 1, 1]], np.float32), 0.0
    pixels = boxes * [height, width, height, width]
    seeds = (attrs["seed"], attrs["seed2"])
    rng = run.session.resource(
        (run.op, "generator"), lambda: np.random.default_rng(seeds if any(seeds) else None)
    )
    top, left, h, w = 0, 0, height, width
    for _ in range(attrs["max_attempts"]):
        crop = _crop(
            rng, (height, width), rng.uniform(*attrs["aspect_ratio_range"]), attrs["area_range"]
        )
        if crop is not None and _covers(crop, pixels, min_object_covered):
            top, left, h, w = crop
            break
    dtype = image_size.dtype
    box = np.array([top / height, left / width, (top + h) / height, (left + w) / width])
    found = np.array([top, left, 0], dtype), np.array([h, w, -1], dtype)
    return *found, box.astype(np.float32).reshape(1, 1, 4)


@host(
    "SampleDistortedBoundingBox",
    "image_size:T bounding_boxes:float32 -> T T float32",
    min_object_covered=0.1,
    **_SAMPLED,
)
def _(
    image_size: Array, bounding_boxes: Array, *, run: Any, min_object_covered: float, **attrs: Any
) -> tuple[Array, Array, Array]:
    return _distorted(image_size, bounding_boxes, min_object_covered, run, attrs)


@host(
    "SampleDistortedBoundingBoxV2",
    "image_size:T bounding_boxes:float32 min_object_covered:float32 -> T T float32",
    **_SAMPLED,
)
def _(
    image_size: Array,
    bounding_boxes: Array,
    min_object_covered: Array,
    *,
    run: Any,
    **attrs: Any,
) -> tuple[Array, Array, Array]:
    return _distorted(image_size, bounding_boxes, float(min_object_covered), run, attrs)
