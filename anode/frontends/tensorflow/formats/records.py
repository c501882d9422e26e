"""TFRecord files: each record between its length and its masked CRCs; plain, zlib or gzip."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from anode.errors import DataError
from anode.frontends.tensorflow.formats.crc32c import masked_crc32c

_CHUNK = 1 << 18
_WINDOWS = {"ZLIB": 15, "GZIP": 31}  # zlib's wbits


class TruncatedRecord(DataError):
    """A file that ends within a record, as a killed writer leaves it."""


@dataclass(frozen=True)
class Compression:
    """How records are compressed: kind "" (not), "ZLIB" or "GZIP", and zlib's settings."""

    kind: str = ""
    level: int = -1
    mem_level: int = 8
    strategy: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("", *_WINDOWS):
            raise DataError(f"compression {self.kind!r} is not known: '', 'ZLIB' or 'GZIP'")


PLAIN = Compression()


def frame(record: bytes) -> bytes:
    """A record as it stands in the file."""
    length = struct.pack("<Q", len(record))
    marks = struct.pack("<I", masked_crc32c(length)), struct.pack("<I", masked_crc32c(record))
    return b"".join((length, marks[0], record, marks[1]))


class RecordWriter:
    """Writes records to a new file at `path`; closed by `close` or at the end of a `with`."""

    def __init__(self, path: str | os.PathLike[str], compression: Compression = PLAIN) -> None:
        self._file: IO[bytes] = open(path, "wb")  # noqa: SIM115
        self._deflate: Any = None
        if compression.kind:
            self._deflate = zlib.compressobj(
                compression.level,
                zlib.DEFLATED,
                _WINDOWS[compression.kind],
                compression.mem_level,
                compression.strategy,
            )

    def write(self, record: bytes) -> None:
        framed = frame(record)
        self._file.write(self._deflate.compress(framed) if self._deflate else framed)

    def flush(self) -> None:
        """All records so far can be read by others."""
        if self._deflate:
            self._file.write(self._deflate.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        if not self.closed:
            if self._deflate:
                self._file.write(self._deflate.flush())
            self._file.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Inflated:
    """The unpacked bytes of a zlib or gzip file; a gzip file may have several members."""

    def __init__(self, file: IO[bytes], kind: str) -> None:
        self._file, self._window = file, _WINDOWS[kind]
        self._inflate = zlib.decompressobj(self._window)
        self._ready, self._packed = bytearray(), b""

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and self._more():
            pass
        out = bytes(self._ready[:size])
        del self._ready[:size]
        return out

    def _more(self) -> bool:
        """Unpack some more; False at the end."""
        if not self._packed:
            self._packed = self._file.read(_CHUNK)
            if not self._packed:
                return False
        if self._inflate.eof:
            self._inflate = zlib.decompressobj(self._window)
        try:
            self._ready += self._inflate.decompress(self._packed, _CHUNK)
        except zlib.error as error:
            raise DataError(f"the compressed records are damaged: {error}") from None
        self._packed = self._inflate.unconsumed_tail or self._inflate.unused_data
        return True


def read_records(path: str | os.PathLike[str], compression: Compression = PLAIN) -> Iterator[bytes]:
    """The records of a file in turn.

    A wrong checksum raises DataError, a file that ends within a record TruncatedRecord, both with
    the place, after the records before it were given.
    """
    with open(path, "rb") as file:
        stream: _Stream = _Inflated(file, compression.kind) if compression.kind else file
        place = 0
        while record := _read_record(stream, path, place):
            yield record[0]
            place += len(record[0]) + 16


def _read_record(stream: _Stream, path: str | os.PathLike[str], place: int) -> tuple[bytes] | None:
    """The next record, None at the end of the file."""
    head = stream.read(12)
    if not head:
        return None
    if len(head) < 12:
        raise TruncatedRecord(f"{path}: truncated record at {place}")
    size, mark = struct.unpack("<QI", head)
    if masked_crc32c(head[:8]) != mark:
        raise DataError(f"{path}: corrupted record at {place}")
    body = _read_exactly(stream, size + 4)
    if body is None:
        raise TruncatedRecord(f"{path}: truncated record at {place}")
    record = body[:-4]
    if masked_crc32c(record) != struct.unpack("<I", body[-4:])[0]:
        raise DataError(f"{path}: corrupted record at {place}")
    return (record,)


def _read_exactly(stream: _Stream, size: int) -> bytes | None:
    """`size` bytes in steps, as a size may be claimed that is not there; None then."""
    if size <= _CHUNK:
        data = stream.read(size)
        return data if len(data) == size else None
    out = bytearray()
    while len(out) < size:
        part = stream.read(min(size - len(out), 1 << 24))
        if not part:
            return None
        out += part
    return bytes(out)
