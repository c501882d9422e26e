"""What summary ops make of values: histograms, pictures and sounds as `Summary` messages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats import media, proto, tensors
from anode.ir.dtypes import bf16, bf16_to_f32

_LARGEST = float(np.finfo(np.float64).max)


def scalar(tag: str, value: Any) -> Any:
    """A Summary of one number."""
    return proto.Summary(value=[{"tag": tag, "simple_value": float(_plain(value))}])


def histogram(tag: str, values: Any) -> Any:
    """A Summary of the distribution of `values`; NaN or infinity raises DataError."""
    values = _plain(values)
    if not np.isfinite(values).all():
        kind = "Nan" if np.isnan(values).any() else "Infinity"
        raise DataError(f"{kind} in summary histogram for: {tag}")
    return proto.Summary(value=[{"tag": tag, "histo": histogram_proto(values)}])


def tensor(tag: str, value: Any, metadata: Any = None) -> Any:
    """A Summary of a whole tensor."""
    return proto.Summary(
        value=[{"tag": tag, "tensor": tensors.from_array(value), "metadata": metadata}]
    )


def _plain(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return bf16_to_f32(array) if array.dtype == bf16.numpy else array


@cache
def bucket_limits() -> np.ndarray:
    """TensorFlow's limits f64: powers of 1.1 from 1e-12 up to 1e20, both signs, and the largest."""
    positive, value = [], 1e-12
    while value < 1e20:
        positive.append(value)
        value *= 1.1
    positive.append(_LARGEST)
    limits = np.array([-v for v in reversed(positive)] + [0.0, *positive])
    limits.setflags(write=False)
    return limits


def histogram_proto(values: np.ndarray) -> Any:
    """The HistogramProto of finite values; runs of empty buckets are one bucket."""
    ordered = np.sort(np.asarray(values), axis=None).astype(np.float64)
    values = np.asarray(values).astype(np.float64).reshape(-1)
    limits = bucket_limits()
    counts = np.diff(np.searchsorted(ordered, limits), prepend=0)  # values below each limit
    ends, shown = _collapsed(counts)
    return proto.HistogramProto(
        min=float(ordered[0]) if len(values) else _LARGEST,
        max=float(ordered[-1]) if len(values) else -_LARGEST,
        num=float(len(values)),
        sum=_running_sum(values),
        sum_squares=_running_sum(values * values),
        bucket_limit=limits[ends],
        bucket=shown.astype(np.float64),
    )


def _collapsed(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of the buckets that are kept: all full ones and the last of each empty run."""
    full = counts > 0
    kept = full | np.append(full[1:], True)
    return np.flatnonzero(kept), counts[kept]


def _running_sum(values: np.ndarray) -> float:
    """Added one after the other, as TensorFlow does; NumPy's own sum adds in pairs."""
    total = 0.0
    for start in range(0, len(values), 1 << 16):
        part = values[start : start + (1 << 16)].copy()
        part[0] += total
        total = float(np.add.accumulate(part)[-1])
    return total


def image(tag: str, pictures: Any, max_images: int, bad_color: Any = (255, 0, 0, 255)) -> Any:
    """A Summary of up to `max_images` pictures [batch, height, width, 1, 3 or 4 channels].

    Floats are scaled to 255 picture by picture, about 128 where there are negative ones; pixels
    that are not finite get `bad_color`.
    """
    pictures = _plain(pictures)
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3, 4):
        raise DataError(f"Tensor must be 4-D with last dim 1, 3, or 4, not {list(pictures.shape)}")
    out = proto.Summary()
    for i, picture in enumerate(pictures[:max_images]):
        pixels = picture if picture.dtype == np.uint8 else _to_bytes(picture, bad_color)
        value = out.value.add(tag=f"{tag}/image/{i}" if max_images > 1 else f"{tag}/image")
        value.image.height, value.image.width, value.image.colorspace = pixels.shape
        value.image.encoded_image_string = media.png(pixels)
    return out


def _to_bytes(picture: np.ndarray, bad_color: Any) -> np.ndarray:
    """Floats as bytes; in the picture's own type, as TensorFlow scales in it."""
    finite = np.isfinite(picture).all(axis=2)
    good = picture[finite].astype(np.float32)
    low, high = (good.min(), good.max()) if good.size else (np.float32(np.inf), -np.float32(np.inf))
    if low < 0:
        largest = max(abs(low), abs(high))
        scale, offset = (0.0 if largest < 1e-6 else np.float32(127) / largest), 128
    else:
        scale, offset = (0.0 if high < 1e-6 else np.float32(255) / high), 0
    kind = picture.dtype.type
    out = np.empty(picture.shape, np.uint8)
    scaled = picture[finite] * kind(scale) + kind(offset)
    out[finite] = scaled.astype(np.int64).astype(np.uint8)
    out[~finite] = np.asarray(bad_color, np.uint8)[: picture.shape[2]]
    return out


def audio(tag: str, clips: Any, sample_rate: float, max_outputs: int) -> Any:
    """A Summary of up to `max_outputs` sounds f32 [batch, frames, channels] or [batch, frames]."""
    clips = _plain(clips)
    if clips.ndim not in (2, 3):
        raise DataError(f"Tensor must be 3-D or 2-D, not {list(clips.shape)}")
    if clips.ndim == 2:
        clips = clips[:, :, None]
    out = proto.Summary()
    for i, clip in enumerate(clips[:max_outputs]):
        value = out.value.add(tag=f"{tag}/audio/{i}" if max_outputs > 1 else f"{tag}/audio")
        value.audio.sample_rate = sample_rate
        value.audio.length_frames, value.audio.num_channels = clip.shape
        value.audio.encoded_audio_string = media.wav(clip, round(float(sample_rate)))
        value.audio.content_type = "audio/wav"
    return out
