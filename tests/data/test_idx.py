"""IDX files: what is written comes back, and every kind of damage is one clear error."""

import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from anode.data import read_idx
from anode.errors import AnodeError, DataError

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "array-idx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 5)])
def test_round_trip(tmp_path, shape, dtype, compress):
    array = (np.arange(np.prod(shape)) * 9 - 7).reshape(shape).astype(dtype)
    result = read_idx(write(tmp_path, compress(idx_bytes(array))))
    np.testing.assert_array_equal(result, array)
    assert result.dtype == array.dtype and result.dtype.isnative


SAMPLE = idx_bytes(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
ZIPPED = gzip.compress(SAMPLE, mtime=0)  # tests are named after it
FLIPPED = ZIPPED[:-6] + bytes([ZIPPED[-6] ^ 1]) + ZIPPED[-5:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (b"\0\0\x0a\x01" + bytes(8), "not an IDX file"),
        (b"\0\0\x08\0", "rank 0"),
        (b"\0\0\x08\x09" + bytes(40), "rank 9"),
        (b"\0\0\x08\x03" + bytes(8), "the header is cut short"),
        (SAMPLE[:-1], "promises 76 bytes"),
        (SAMPLE + b"x", "bytes follow the 76"),
        (gzip.compress(SAMPLE[:-1], mtime=0), "75 bytes, not 76"),
        (gzip.compress(SAMPLE + b"x", mtime=0), "bytes follow the 76"),
        (ZIPPED[:-9], "cut short"),
        (ZIPPED[:-2], "cut short"),
        (ZIPPED + b"x", "bytes follow the gzip data"),
        (FLIPPED, "damaged gzip"),
    ],
)
def test_damage(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize("dims", [(1 << 31,), (1 << 20, 1 << 10), (2**32 - 1,) * 8])
def test_huge_promises_are_refused_before_anything_is_allocated(tmp_path, dims, compress):
    content = struct.pack(f">HBB{len(dims)}I", 0, 8, len(dims), *dims) + bytes(100)
    path = write(tmp_path, compress(content))
    tracemalloc.start()
    with pytest.raises(DataError, match="promises"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_bomb_is_inflated_no_further_than_its_header_promises(tmp_path):
    path = write(tmp_path, gzip.compress(SAMPLE + bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="bytes follow"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_md5_is_that_of_the_uncompressed_file(tmp_path):
    path = write(tmp_path, ZIPPED)
    assert read_idx(path, hashlib.md5(SAMPLE).hexdigest()).shape == (3, 4, 5)
    with pytest.raises(DataError, match="not the official file"):
        read_idx(path, hashlib.md5(ZIPPED).hexdigest())


def test_missing_file_and_its_classes(tmp_path):
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_idx(tmp_path / "nowhere")
    assert issubclass(DataError, AnodeError) and issubclass(DataError, ValueError)
