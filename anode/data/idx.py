"""Reader of IDX, the array format of MNIST: zero, zero, type, rank, u32 dims, values; big-endian.

Source: "The IDX file format" on the MNIST page of Y. LeCun, C. Cortes and C. J. C. Burges.
"""

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from anode.errors import DataError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_RANK = 8
MAX_BYTES = 1 << 32
GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_MAX_RATIO = 1032  # zlib's manual: one compressed byte stands for at most 1032


@dataclass(frozen=True)
class Header:
    """What the first bytes of an IDX file promise: the element type and the shape."""

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Length of the header itself."""
        return 4 + 4 * len(self.shape)

    @property
    def file_bytes(self) -> int:
        """Length of the whole uncompressed file."""
        return self.bytes + math.prod(self.shape) * self.dtype.itemsize


def read_idx(path: str | PathLike[str], md5: str | None = None) -> np.ndarray:
    """The array held by an IDX file, gzip-compressed or not, in the machine's byte order.

    `md5`, when given, is the digest that the uncompressed file must have. What the header promises
    is compared with the size of the file before anything that large is allocated. The array is
    read-only where its bytes are those of the file. Raises `DataError` for a file that is missing,
    not IDX, damaged, cut short or too long.
    """
    path = Path(path)
    stored = _stored(path)
    header = _header(path, _uncompressed(path, stored, 4 + 4 * MAX_RANK))
    _check_capacity(path, header, stored)
    content = _uncompressed(path, stored, header.file_bytes + 1)
    _check_length(path, header, len(content))
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{path}: not the official file (its md5 is not {md5}); fetch it again")
    array = np.frombuffer(content, header.dtype, offset=header.bytes).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _stored(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES} bytes; split it into smaller files")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _uncompressed(path: Path, stored: bytes, limit: int) -> bytes | memoryview:
    """The first bytes of the uncompressed file, at most `limit`."""
    if not stored.startswith(GZIP_MAGIC):
        return memoryview(stored)[:limit]
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(stored, limit)
    except zlib.error as error:
        raise DataError(f"{path}: damaged gzip data ({error}); fetch it again") from error
    if len(content) < limit and not inflate.eof:
        raise DataError(f"{path}: the gzip data is cut short; fetch it again")
    if inflate.unused_data:
        raise DataError(f"{path}: bytes follow the gzip data; write it as one gzip member")
    return content


def _header(path: Path, start: bytes | memoryview) -> Header:
    code, rank = (start[2], start[3]) if len(start) >= 4 else (0, 0)
    if bytes(start[:2]) != b"\0\0" or code not in DTYPES:
        raise DataError(f"{path}: not an IDX file (it begins {bytes(start[:4])!r}); pass one")
    if not 1 <= rank <= MAX_RANK:
        raise DataError(f"{path}: rank {rank} is not in 1..{MAX_RANK}; reshape before writing it")
    if len(start) < 4 + 4 * rank:
        raise DataError(f"{path}: the header is cut short; fetch it again")
    return Header(np.dtype(DTYPES[code]), struct.unpack_from(f">{rank}I", start, 4))


def _check_capacity(path: Path, header: Header, stored: bytes) -> None:
    ratio = DEFLATE_MAX_RATIO if stored.startswith(GZIP_MAGIC) else 1
    if header.file_bytes > MAX_BYTES or header.file_bytes > ratio * len(stored):
        raise DataError(
            f"{path}: the header promises {header.file_bytes} bytes for shape {header.shape}, "
            f"more than a file of {len(stored)} bytes can hold; fetch it again"
        )


def _check_length(path: Path, header: Header, length: int) -> None:
    if length < header.file_bytes:
        raise DataError(f"{path}: {length} bytes, not {header.file_bytes}; fetch it again")
    if length > header.file_bytes:
        raise DataError(
            f"{path}: bytes follow the {header.file_bytes} of shape {header.shape}; fetch it again"
        )
