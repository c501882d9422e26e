"""tf.image: colours, random changes, and how alike images are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.arithmetic import cast, saturate_cast
from anode.frontends.tensorflow.api.array_ops import (
    concat,
    expand_dims,
    identity,
    reshape,
    shape,
    stack,
    zeros,
)
from anode.frontends.tensorflow.api.image_ops import Batch
from anode.frontends.tensorflow.api.linalg import tensordot
from anode.frontends.tensorflow.api.random_ops import random_uniform
from anode.frontends.tensorflow.api.reductions import reduce_mean, reduce_sum
from anode.frontends.tensorflow.dtypes import as_dtype, float32, int32
from anode.frontends.tensorflow.graph import Tensor, apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

# types


@export("image.convert_image_dtype")
def convert_image_dtype(
    image: Any, dtype: Any, saturate: bool = False, name: str | None = None
) -> Any:
    """Images of another type, scaled: floats are in [0, 1), integers in their whole range."""
    image, dtype = convert_to_tensor(image, name="image"), as_dtype(dtype)
    own = image.dtype.base_dtype
    if dtype == own:
        return identity(image, name=name)
    to = saturate_cast if saturate else cast
    with name_scope(name, "convert_image", [image]) as scope:
        if own.is_integer and dtype.is_integer:
            if own.max > dtype.max:
                fewer = (int(own.max) + 1) // (int(dtype.max) + 1)
                return to(apply("FloorDiv", image, fewer), dtype, name=scope)
            more = (int(dtype.max) + 1) // (int(own.max) + 1)
            return apply("Mul", to(image, dtype), more, name=scope)
        if own.is_floating and dtype.is_floating:
            return cast(image, dtype, name=scope)
        if own.is_integer:
            return apply("Mul", cast(image, dtype), 1.0 / int(own.max), name=scope)
        return to(apply("Mul", image, int(dtype.max) + 0.5), dtype, name=scope)


def _in_float(
    image: Any, scope: str, change: Callable[[Tensor], Any], saturate: bool = True
) -> Any:
    """An image changed as floats, and back in its own type."""
    with name_scope(None, scope, [image]):
        image = convert_to_tensor(image, name="image")
        own = image.dtype.base_dtype
        wide = identity(image) if own.is_floating else convert_image_dtype(image, float32)
        return convert_image_dtype(change(wide), own, saturate)


# colours


@export("image.adjust_brightness")
def adjust_brightness(image: Any, delta: Any) -> Any:
    """`delta`, of the range 0 to 1, added to each pixel."""
    return _in_float(
        image, "adjust_brightness", lambda x: apply("Add", x, cast(delta, x.dtype.base_dtype))
    )


@export("image.adjust_contrast")
def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """The distance of each pixel from its channel's mean, times a factor."""
    return _in_float(
        images, "adjust_contrast", lambda x: apply("AdjustContrastv2", x, contrast_factor)
    )


@export("image.adjust_gamma")
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """gain · image ^ gamma."""
    if not isinstance(gamma, Tensor) and gamma < 0:
        raise ValueError("Gamma should be a non-negative real number.")
    return _in_float(image, "adjust_gamma", lambda x: gain * x**gamma)


@export("image.adjust_hue")
def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Any:
    """The hue turned by `delta`, from -1 to 1."""
    return _in_float(
        image, name or "adjust_hue", lambda x: apply("AdjustHue", x, delta), saturate=False
    )


@export("image.adjust_saturation")
def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    """The saturation times a factor."""
    return _in_float(
        image,
        name or "adjust_saturation",
        lambda x: apply("AdjustSaturation", x, saturation_factor),
        saturate=False,
    )


@export("image.rgb_to_grayscale")
def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """Luma: 0.2989 red, 0.587 green, 0.114 blue."""
    with name_scope(name, "rgb_to_grayscale", [images]) as scope:
        images = convert_to_tensor(images, name="images")
        own = images.dtype.base_dtype
        wide = convert_image_dtype(images, float32)
        grey = tensordot(wide, [0.2989, 0.5870, 0.1140], [-1, -1])
        return convert_image_dtype(expand_dims(grey, -1), own, name=scope)


@export("image.grayscale_to_rgb")
def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """The one channel three times."""
    with name_scope(name, "grayscale_to_rgb", [images]) as scope:
        images = convert_to_tensor(images, name="images")
        rank = images.shape.ndims
        repeats = (
            concat([reshape(apply("Sub", apply("Rank", images), 1), [1]) * 0 + 1, [3]], 0)
            if rank is None
            else [1] * (rank - 1) + [3]
        )
        return apply("Tile", images, repeats, name=scope)


_YIQ = [
    [0.299, 0.59590059, 0.2115],
    [0.587, -0.27455667, -0.52273617],
    [0.114, -0.32134392, 0.31119955],
]
_YUV = [
    [0.299, -0.14714119, 0.61497538],
    [0.587, -0.28886916, -0.51496512],
    [0.114, 0.43601035, -0.10001026],
]


def _linear(name: str, matrix: Any) -> Any:
    def transform(images: Any) -> Any:
        images = convert_to_tensor(images, name="images")
        kernel = convert_to_tensor(matrix, images.dtype.base_dtype, name="kernel")
        return tensordot(images, kernel, axes=[[images.shape.ndims - 1], [0]])

    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = "Another basis of the colours."
    return export(f"image.{name}")(transform)


rgb_to_yiq, rgb_to_yuv = _linear("rgb_to_yiq", _YIQ), _linear("rgb_to_yuv", _YUV)
yiq_to_rgb = _linear("yiq_to_rgb", np.linalg.inv(_YIQ).tolist())
yuv_to_rgb = _linear("yuv_to_rgb", np.linalg.inv(_YUV).tolist())


@export("image.per_image_standardization", "image.per_image_whitening")
def per_image_standardization(image: Any) -> Any:
    """Mean 0 and variance 1 of each image; the deviation counts as at least 1/sqrt(pixels)."""
    with name_scope(None, "per_image_standardization", [image]) as scope:
        image = convert_to_tensor(image, name="image")
        pixels = apply("Prod", shape(image)[-3:], [0])
        image = cast(image, float32)
        axes = [-1, -2, -3]
        mean = reduce_mean(image, axis=axes, keepdims=True)
        variance = reduce_mean(apply("Square", image - mean), axis=axes, keepdims=True)
        least = apply("Rsqrt", cast(pixels, float32))
        scale = apply("Maximum", apply("Sqrt", variance), least)
        return apply("RealDiv", image - mean, scale, name=scope)


# at random


def _range(name: str, lower: float, upper: float) -> None:
    if upper <= lower:
        raise ValueError("upper must be > lower.")
    if lower < 0:
        raise ValueError("lower must be non-negative.")


@export("image.random_brightness")
def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Any:
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, random_uniform([], -max_delta, max_delta, seed=seed))


@export("image.random_contrast")
def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Any:
    _range("random_contrast", lower, upper)
    return adjust_contrast(image, random_uniform([], lower, upper, seed=seed))


@export("image.random_hue")
def random_hue(image: Any, max_delta: float, seed: int | None = None) -> Any:
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be <= 0.5 and non-negative.")
    return adjust_hue(image, random_uniform([], -max_delta, max_delta, seed=seed))


@export("image.random_saturation")
def random_saturation(image: Any, lower: float, upper: float, seed: int | None = None) -> Any:
    _range("random_saturation", lower, upper)
    return adjust_saturation(image, random_uniform([], lower, upper, seed=seed))


def _random_flip(image: Any, axis: int, seed: int | None, scope: str) -> Any:
    """Each image reversed or not, with equal chances."""
    with name_scope(None, scope, [image]) as inner:
        batch = Batch(image)
        count = [] if batch.single else shape(batch.given)[:1]
        chance = random_uniform(count, 0, 1.0, seed=seed)
        turned = apply("ReverseV2", batch.given, [axis if batch.single else axis + 1])
        flip = apply("Less", chance, 0.5)
        result = apply("Select", flip, turned, batch.given, name=inner)
        result.set_shape(batch.given.shape)
        return result


@export("image.random_flip_left_right")
def random_flip_left_right(image: Any, seed: int | None = None) -> Any:
    return _random_flip(image, 1, seed, "random_flip_left_right")


@export("image.random_flip_up_down")
def random_flip_up_down(image: Any, seed: int | None = None) -> Any:
    return _random_flip(image, 0, seed, "random_flip_up_down")


@export("image.random_crop", "random_crop", "random.random_crop")
def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Any:
    """A box of a size at a random place; each place is as likely."""
    with name_scope(name, "random_crop", [value, size]) as scope:
        value = convert_to_tensor(value, name="value")
        size = convert_to_tensor(size, int32, name="size")
        limit = shape(value) - size + 1
        offset = random_uniform(shape(size), dtype=size.dtype, maxval=size.dtype.max, seed=seed)
        return apply("Slice", value, apply("FloorMod", offset, limit), size, name=scope)


# how alike


def _last_mean(x: Any, count: int) -> Any:
    return reduce_mean(x, axis=list(range(-count, 0)))


@export("image.psnr")
def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Any:
    """The peak signal-to-noise ratio in decibels: 20 log10(max) - 10 log10(mean squared error)."""
    with name_scope(name, "PSNR", [a, b]):
        top = convert_image_dtype(cast(max_val, convert_to_tensor(a).dtype.base_dtype), float32)
        a, b = (convert_image_dtype(x, float32) for x in (a, b))
        error = _last_mean(apply("SquaredDifference", a, b), 3)
        ten = float(np.log(10))
        return apply("Log", top) * (20 / ten) - apply("Log", error) * np.float32(10 / ten)


def _gaussian(size: int, sigma: float) -> Any:
    """A window of weights that add up to one."""
    away = np.square(np.arange(size, dtype=np.float32) - (size - 1) / 2) * (-0.5 / sigma**2)
    weights = np.exp((away[:, None] + away).ravel() - (2 * away).max())
    return (weights / weights.sum()).reshape(size, size, 1, 1).astype(np.float32)


def _similarity(
    a: Any, b: Any, top: Any, size: int, sigma: float, k1: float, k2: float
) -> tuple[Any, Any]:
    """Structural similarity and its contrast part, one for each image and channel."""
    channels = a.shape.as_list()[-1]
    kernel = constant(np.tile(_gaussian(size, sigma), (1, 1, channels, 1)))

    def smooth(x: Any) -> Any:
        attrs: dict[str, Any] = {"strides": [1, 1, 1, 1], "padding": "VALID"}
        return apply("DepthwiseConv2dNative", x, kernel, **attrs)

    c1, c2 = (k1 * top) ** 2, (k2 * top) ** 2
    mean_a, mean_b = smooth(a), smooth(b)
    products, squares = mean_a * mean_b * 2.0, apply("Square", mean_a) + apply("Square", mean_b)
    luminance = (products + c1) / (squares + c1)
    both = smooth(a * b) * 2.0
    apart = smooth(apply("Square", a) + apply("Square", b))
    contrast = (both - products + c2) / (apart - squares + c2)
    return tuple(_spatial_mean(x) for x in (luminance * contrast, contrast))


def _spatial_mean(x: Any) -> Any:
    return reduce_mean(x, axis=[-3, -2])


@export("image.ssim")
def ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Any:
    """Structural similarity (Wang et al., 2004), at most 1, of each pair of images."""
    with name_scope(None, "SSIM", [img1, img2]):
        own = convert_to_tensor(img1).dtype.base_dtype
        top = convert_image_dtype(cast(max_val, own), float32)
        a, b = (Batch(convert_image_dtype(x, float32)) for x in (img1, img2))
        found, _ = _similarity(a.images, b.images, top, filter_size, filter_sigma, k1, k2)
        mean = reduce_mean(found, axis=[-1])
        return reshape(mean, []) if a.single else mean


@export("image.total_variation")
def total_variation(images: Any, name: str | None = None) -> Any:
    """The sum of the absolute differences of neighbours in each image."""
    with name_scope(name, "total_variation"):
        images = convert_to_tensor(images)
        rank = images.shape.ndims
        if rank not in (3, 4):
            raise ValueError("'images' must be either 3 or 4-dimensional.")
        axes = None if rank == 3 else [1, 2, 3]
        down = images[..., 1:, :, :] - images[..., :-1, :, :]
        right = images[..., 1:, :] - images[..., :-1, :]
        sums = [reduce_sum(apply("Abs", x), axis=axes) for x in (down, right)]
        return sums[0] + sums[1]


@export("image.image_gradients")
def image_gradients(image: Any) -> tuple[Any, Any]:
    """The differences to the next row and to the next column; 0 in the last ones."""
    image = convert_to_tensor(image)
    if image.shape.ndims != 4:
        raise ValueError(
            "image_gradients expects a 4D tensor [batch_size, h, w, d], not one of shape "
            f"{image.shape}."
        )
    n, h, w, c = (shape(image)[i] for i in range(4))
    down = image[:, 1:, :, :] - image[:, :-1, :, :]
    right = image[:, :, 1:, :] - image[:, :, :-1, :]
    dy = concat([down, zeros(stack([n, 1, w, c]), image.dtype)], 1)
    dx = concat([right, zeros(stack([n, h, 1, c]), image.dtype)], 2)
    return reshape(dy, shape(image)), reshape(dx, shape(image))
