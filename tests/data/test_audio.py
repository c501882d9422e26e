"""Sound files: what is read, and that no claim of a header is believed."""

import io
import struct
import wave
from contextlib import suppress

import numpy as np
import pytest

from anode.data.audio import Sound, decode_wav, read_sound, resampled, write_wav
from anode.errors import DataError

RATE = 8000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def wav(samples: np.ndarray, width: int = 2, channels: int = 1, rate: int = RATE) -> bytes:
    """The bytes of a file with the samples, from −1 to 1, as whole numbers."""
    scaled = np.rint(samples.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    raw = scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(raw.tobytes())
    return content.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_numbers_of_all_widths(width):
    sound = decode_wav(wav(TONE, width))
    assert sound.rate == RATE and sound.seconds == 1.0
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, TONE, atol=2.0 ** (2 - 8 * width) + 1e-7)


def test_channels_are_averaged():
    both = np.stack([TONE, -TONE / 2], 1).ravel()
    np.testing.assert_allclose(decode_wav(wav(both, channels=2)).samples, TONE / 4, atol=1e-4)


def test_writing_and_reading(tmp_path):
    write_wav(tmp_path / "a.wav", Sound(TONE * 4, RATE))
    found = read_sound(tmp_path / "a.wav").samples
    np.testing.assert_allclose(found, np.clip(TONE * 4, -1, 1), atol=1e-4)


@pytest.mark.parametrize("place", [4, 40])  # the sizes of the file and of its samples
def test_claims_beyond_the_file(place, tmp_path):
    content = bytearray(wav(TONE))
    content[place : place + 4] = struct.pack("<I", 0x7FFFFFF0)
    (tmp_path / "a.wav").write_bytes(content)
    if place == 4:
        assert len(read_sound(tmp_path / "a.wav").samples) == RATE
        return
    with pytest.raises(DataError, match=r"a.wav: (cut short|it claims)"):
        read_sound(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 3, 20, 44, 1000])
def test_files_that_end_early(size, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(TONE)[:size])
    with pytest.raises(DataError, match=r"a\.wav: (cut|damaged)"):
        read_sound(tmp_path / "a.wav")


def test_limits():
    with pytest.raises(DataError, match="claims 1 s, more than 0 s"):
        decode_wav(wav(TONE), max_seconds=0.4)
    with pytest.raises(DataError, match="no sound"):
        decode_wav(wav(TONE, rate=10))
    with pytest.raises(DataError, match="cannot be read"):
        read_sound("nowhere.wav")


def test_damaged_headers_raise_nothing_else():
    content, random = wav(TONE[:50], 3), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, 44, 2):
            damaged[place] = random.integers(256)
        with suppress(DataError):
            decode_wav(bytes(damaged))


def test_flac_and_floats_by_soundfile(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", np.stack([TONE, TONE], 1), RATE)
    found = read_sound(tmp_path / "a.flac")
    assert found.rate == RATE
    np.testing.assert_allclose(found.samples, TONE, atol=1e-4)
    soundfile.write(tmp_path / "b.wav", TONE, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_sound(tmp_path / "b.wav").samples, TONE)
    with pytest.raises(DataError, match="claims 1 s"):
        read_sound(tmp_path / "a.flac", max_seconds=0.5)
    for size in (0, 30, 2000):
        (tmp_path / "c.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:size])
        with pytest.raises(DataError, match=r"c\.flac: (cut|damaged)"):
            read_sound(tmp_path / "c.flac")


def test_claims_of_flac(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", TONE, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    for claim, message in ((24_000_000, "cut short|damaged"), (2**35, "more than 268435456")):
        content[21] = content[21] & 0xF0 | claim >> 32  # 36 bits of STREAMINFO
        content[22:26] = struct.pack(">I", claim & 0xFFFFFFFF)
        (tmp_path / "a.flac").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_sound(tmp_path / "a.flac", max_seconds=1e9)


@pytest.mark.parametrize("rate", [4000, 11025, 16000])
def test_another_rate(rate):
    found = resampled(Sound(TONE, RATE), rate)
    assert found.rate == rate
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    np.testing.assert_allclose(found.samples, expected, atol=1e-4)
    assert resampled(found, rate).samples is found.samples
