"""Files of records on disk: lines of text, TFRecord, records of fixed length; gzip and zlib."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO

from anode.errors import DataError
from anode.frontends.tensorflow.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from anode.frontends.tensorflow.formats.records import Compression, read_records


def opened(name: bytes, compression: str = "") -> IO[bytes]:
    """The file, opened to be read, its GZIP or ZLIB compression undone."""
    path = name.decode()
    try:
        if compression == "GZIP":
            return gzip.open(path, "rb")  # type: ignore[return-value]
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    except FileNotFoundError:
        raise NotFoundError(None, None, f"{path}; No such file or directory") from None
    except PermissionError:
        raise PermissionDeniedError(None, None, f"{path}; Permission denied") from None
    if compression == "ZLIB":
        with file:
            return io.BytesIO(zlib.decompress(file.read()))
    if compression:
        file.close()
        raise InvalidArgumentError(None, None, f"Unsupported compression_type: {compression}")
    return file


def text_lines(name: bytes, compression: str) -> Iterator[bytes]:
    """The lines of a file without their ends."""
    with opened(name, compression) as file:
        for line in file:
            yield line.rstrip(b"\n").rstrip(b"\r")


def tf_records(name: bytes, compression: str) -> Iterator[bytes]:
    """The records of a TFRecord file; DataLossError where one is damaged or cut short."""
    path = name.decode()
    try:
        yield from read_records(path, Compression(compression))
    except FileNotFoundError:
        raise NotFoundError(None, None, f"{path}; No such file or directory") from None
    except DataError as error:
        raise DataLossError(None, None, str(error)) from None


def fixed_records(
    name: bytes, header: int, length: int, footer: int, hop: int = 0, compression: str = ""
) -> Iterator[bytes]:
    """The records of `length` bytes between header and footer, `hop` bytes apart (0: length)."""
    with opened(name, compression) as file:
        content = file.read()
    step = hop or length
    last = len(content) - footer
    if (last - header) % length and not hop:
        raise InvalidArgumentError(
            None,
            None,
            f"Excluding the header ({header} bytes) and footer ({footer} bytes), input file "
            f'"{name.decode()}" has body length {last - header} bytes, which is not an exact '
            f"multiple of the record length ({length} bytes).",
        )
    for start in range(header, last - length + 1, step):
        yield content[start : start + length]
