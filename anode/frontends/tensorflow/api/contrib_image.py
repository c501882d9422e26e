"""tf.contrib.image: images turned, moved and seen in perspective."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.array_ops import expand_dims, shape, squeeze, stack
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


def _batch(images: Any) -> tuple[Tensor, list[int]]:
    """Images as (batch, height, width, channels), and the dims to take away again."""
    tensor = convert_to_tensor(images, name="images")
    rank = tensor.shape.ndims
    if rank == 2:
        return expand_dims(expand_dims(tensor, 0), -1), [0, 3]
    if rank == 3:
        return expand_dims(tensor, 0), [0]
    if rank != 4:
        raise TypeError("Images should have rank between 2 and 4.")
    return tensor, []


@export("contrib.image.transform")
def transform(
    images: Any,
    transforms: Any,
    interpolation: str = "NEAREST",
    output_shape: Any = None,
    name: str | None = None,
) -> Any:
    """Pixel (x, y) of the result is that at ((a x + b y + c) / k, (d x + e y + f) / k), where
    k = g x + h y + 1; 0 outside. `transforms` are a to h, one row or one for each image."""
    with name_scope(name, "transform"):
        batch, added = _batch(images)
        rows = convert_to_tensor(transforms, float32, name="transforms")
        if rows.shape.ndims == 1:
            rows = expand_dims(rows, 0)
        size = shape(batch)[1:3] if output_shape is None else output_shape
        attrs: dict[str, Any] = {"interpolation": interpolation.upper()}
        found = apply("ImageProjectiveTransformV2", batch, rows, size, **attrs)
        return squeeze(found, added) if added else found


@export("contrib.image.angles_to_projective_transforms")
def angles_to_projective_transforms(
    angles: Any, image_height: Any, image_width: Any, name: str | None = None
) -> Any:
    """The transforms that turn images around their middle, by radians counter-clockwise."""
    with name_scope(name, "angles_to_projective_transforms"):
        turns = convert_to_tensor(angles, float32, name="angles")
        turns = expand_dims(turns, 0) if turns.shape.ndims == 0 else turns
        cos, sin = apply("Cos", turns), apply("Sin", turns)
        h, w = (_length(n) - 1 for n in (image_height, image_width))
        x = (w - (cos * w - sin * h)) / 2.0
        y = (h - (sin * w + cos * h)) / 2.0
        zero = apply("ZerosLike", turns)
        return stack([cos, -sin, x, sin, cos, y, zero, zero], axis=1)


def _length(n: Any) -> Any:
    return apply("Cast", n, DstT=float32) if isinstance(n, Tensor) else float(n)


@export("contrib.image.rotate")
def rotate(
    images: Any, angles: Any, interpolation: str = "NEAREST", name: str | None = None
) -> Any:
    """Images turned around their middle, by radians counter-clockwise."""
    with name_scope(name, "rotate"):
        batch, _ = _batch(images)
        sizes = shape(batch)
        rows = angles_to_projective_transforms(angles, sizes[1], sizes[2])
        return transform(images, rows, interpolation)


@export("contrib.image.translate")
def translate(
    images: Any, translations: Any, interpolation: str = "NEAREST", name: str | None = None
) -> Any:
    """Images moved by (dx, dy) pixels, one pair or one for each image."""
    with name_scope(name, "translate"):
        moves = convert_to_tensor(translations, float32, name="translations")
        moves = expand_dims(moves, 0) if moves.shape.ndims == 1 else moves
        dx, dy = moves[:, 0], moves[:, 1]
        zero, one = apply("ZerosLike", dx), apply("OnesLike", dx)
        rows = stack([one, zero, -dx, zero, one, -dy, zero, zero], axis=1)
        return transform(images, rows, interpolation)
