"""tf.keras.preprocessing.image: pictures as arrays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.opdef import export

_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}


@export("keras.preprocessing.image.load_img")
def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
) -> Any:
    """A picture of a file, by Pillow, resized to (height, width) where that is given."""
    mode = "grayscale" if grayscale else color_mode
    if mode not in _MODES:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    image = import_module("PIL.Image").open(path)
    image = image if image.mode == _MODES[mode] else image.convert(_MODES[mode])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    methods = import_module("PIL.Image").Resampling
    if not hasattr(methods, interpolation.upper()):
        raise ValueError(f"Invalid interpolation method {interpolation} specified.")
    return image.resize((target_size[1], target_size[0]), methods[interpolation.upper()])


@export("keras.preprocessing.image.img_to_array")
def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Any:
    """A picture as an array [height, width, channels], or channels first."""
    array = np.asarray(img, dtype=dtype or state.floatx())
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ValueError(f"Unsupported image shape: {array.shape}")
    first = (data_format or state.image_data_format()) == "channels_first"
    return array.transpose(2, 0, 1) if first else array
