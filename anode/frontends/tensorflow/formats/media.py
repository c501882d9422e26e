"""PNG and WAV files as summaries hold them, encoded by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from anode.errors import DataError

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey + alpha, RGB, RGBA


def png(pixels: np.ndarray) -> bytes:
    """A picture u8 or u16 [height, width, channels] (1 to 4 channels) as a PNG file."""
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOR_TYPES or not pixels.size:
        raise DataError(f"a PNG takes [height, width, 1 to 4 channels], not {list(pixels.shape)}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"a PNG takes uint8 or uint16, not {pixels.dtype}")
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    plain = np.zeros((height, 1), np.uint8)  # each row's filter: none
    data = zlib.compress(np.hstack([plain, rows]).tobytes())
    head = struct.pack(">IIBBBBB", width, height, depth, _COLOR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Samples f32 [frames, channels] from -1 to 1 as a WAV file of 16-bit PCM."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 2 or not 0 < samples.shape[1] < 256 or sample_rate <= 0:
        raise DataError(f"a WAV takes [frames, channels], not {list(samples.shape)}")
    scaled = samples * np.float32(32768)
    rounded = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)  # C's round
    data = np.clip(rounded, -32768, 32767).astype("<i2").tobytes()
    frame_bytes = 2 * samples.shape[1]
    form = struct.pack(
        "<HHIIHH",
        1,
        samples.shape[1],
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        16,
    )
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
