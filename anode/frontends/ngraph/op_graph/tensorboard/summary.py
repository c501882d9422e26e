"""Summaries: numbers, histograms, pictures and sounds as TensorBoard reads them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats import summaries

_MOST = np.float32(1 << 15)  # of 16-bit samples


def _clean_tag(name: str) -> str:
    """The name with what TensorBoard does not take replaced by underscores."""
    return re.sub(r"[^-/\w\.]", "_", name).lstrip("/")


def scalar(name: str, scalar: Any) -> Any:
    """A summary of one number."""
    return summaries.scalar(_clean_tag(name), scalar)


def histogram(name: str, values: Any) -> Any:
    """A summary of the distribution of numbers."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    return summaries.histogram(_clean_tag(name), array)


def image(tag: str, tensor: Any) -> Any:
    """A summary of a picture [height, width, 1, 3 or 4 channels] of bytes."""
    picture = np.asarray(tensor)
    if picture.ndim != 3:
        raise DataError(f"a picture is [height, width, channels], not {list(picture.shape)}")
    return summaries.image(_clean_tag(tag), picture.astype(np.uint8)[None], 1)


def audio(tag: str, tensor: Any, sample_rate: float) -> Any:
    """A summary of a sound [frames, channels] of 16-bit samples."""
    sound = np.asarray(tensor)
    if sound.ndim != 2:
        raise DataError(f"a sound is [frames, channels], not {list(sound.shape)}")
    clip = sound.astype(np.int16).astype(np.float32) / _MOST
    return summaries.audio(_clean_tag(tag), clip[None], sample_rate, 1)
