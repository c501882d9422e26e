"""Sound files as samples: WAV by the standard library, FLAC and others by the soundfile package."""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anode.errors import DataError

MAX_SECONDS = 3600.0
RATES = (1000, 384_000)
MAX_CHANNELS = 32
MAX_FILE = 1 << 31  # bytes
MAX_SAMPLES = 1 << 28  # on all channels: 1 GiB of memory
BLOCK = 1 << 18


class Sound(NamedTuple):
    """Samples f32[n] of one channel, from −1 to 1, and how many of them a second has."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def read_sound(path: str | os.PathLike[str], *, max_seconds: float = MAX_SECONDS) -> Sound:
    """The sound in a file, its channels averaged; WAV of whole numbers needs no other package.

    Raises DataError for a file that cannot be read, is cut short, or claims to be longer than
    `max_seconds` or to have more than 2²⁸ samples; memory is taken for samples, not for claims.
    """
    try:
        content = _bytes(Path(path))
        if content[:4] == b"RIFF" and content[8:12] == b"WAVE" and _is_whole(content):
            return decode_wav(content, max_seconds=max_seconds)
        return _decode(content, max_seconds)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def decode_wav(content: bytes, *, max_seconds: float = MAX_SECONDS) -> Sound:
    """The sound in the bytes of a WAV file of whole numbers, 8 to 32 bits each."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            _check(rate, channels, frames, max_seconds)
            if width not in (1, 2, 3, 4):
                raise DataError(f"samples of {width} bytes; there are 1 to 4")
            if frames * channels * width > len(content):
                raise DataError(f"cut short: it claims {frames} samples, fetch it again")
            raw = file.readframes(frames)
    except (wave.Error, EOFError, RuntimeError) as error:  # of a chunk that ends early, the last
        raise DataError(f"damaged or no WAV file ({error or 'it ends early'})") from error
    if len(raw) != frames * channels * width:
        raise DataError(f"cut short: it claims {frames} samples, fetch it again")
    return Sound(_mono(_samples(raw, width).reshape(-1, channels)), rate)


def write_wav(path: str | os.PathLike[str], sound: Sound) -> None:
    """Write a sound as a WAV file of 16 bits; what is beyond −1 and 1 is cut off."""
    with wave.open(os.fspath(path), "wb") as file:
        file.setparams((1, 2, sound.rate, len(sound.samples), "NONE", "not compressed"))
        scaled = np.rint(np.clip(sound.samples, -1, 1) * 32767)
        file.writeframes(scaled.astype("<i2").tobytes())


def resampled(sound: Sound, rate: int) -> Sound:
    """The sound at another rate, by the Fourier transform of the whole; needs no other package.

    Frequencies that the new rate does not hold are left out.
    """
    if rate == sound.rate or not len(sound.samples):
        return Sound(sound.samples, rate)
    count = max(round(len(sound.samples) * rate / sound.rate), 1)
    spectrum = np.fft.rfft(sound.samples)[: count // 2 + 1]
    samples = np.fft.irfft(spectrum, count) * (count / len(sound.samples))
    return Sound(samples.astype(np.float32), rate)


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_FILE:
        raise DataError(f"{size} bytes, more than {MAX_FILE}")
    return path.read_bytes()


def _is_whole(content: bytes) -> bool:
    """Whether the samples are plain whole numbers, which the standard library reads."""
    place = content.find(b"fmt ")
    return content[place + 8 : place + 10] == b"\x01\x00"


def _samples(raw: bytes, width: int) -> np.ndarray:
    """Little-endian whole numbers as f32 from −1 to 1; those of 8 bits have no sign."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        found = np.zeros((len(raw) // 3, 4), np.uint8)
        found[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return found.view("<i4")[:, 0].astype(np.float32) / 2**31
    return np.frombuffer(raw, f"<i{width}").astype(np.float32) / 2 ** (8 * width - 1)


def _mono(samples: np.ndarray) -> np.ndarray:
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(1, dtype=np.float32)


def _decode(content: bytes, max_seconds: float) -> Sound:
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check(file.samplerate, file.channels, file.frames, max_seconds)
            samples = np.concatenate([*_blocks(file), np.zeros((0, file.channels), np.float32)])
            if len(samples) != file.frames:
                raise DataError(f"cut short: it claims {file.frames} samples, fetch it again")
            return Sound(_mono(samples), file.samplerate)
    except soundfile.LibsndfileError as error:
        raise DataError(f"damaged or no sound file ({error})") from error


def _blocks(file: Any) -> Iterator[np.ndarray]:
    """The samples of an open soundfile in pieces, as long as there are any."""
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def _check(rate: int, channels: int, frames: int, max_seconds: float) -> None:
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MAX_CHANNELS:
        raise DataError(f"{rate} samples a second on {channels} channels is no sound")
    if frames * channels > MAX_SAMPLES:
        raise DataError(f"it claims {frames * channels} samples, more than {MAX_SAMPLES}")
    if frames > max_seconds * rate:
        raise DataError(f"it claims {frames / rate:.0f} s, more than {max_seconds:.0f} s")


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError:
        raise DataError(
            "only WAV files of whole numbers are read without the soundfile package: "
            "pip install 'anode[speech]'"
        ) from None
    return soundfile
