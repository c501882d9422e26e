"""Readers: they take file names from a queue and give records, one key and one value at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import InvalidArgumentError, OutOfRangeError
from anode.frontends.tensorflow.opdef import host
from anode.frontends.tensorflow.table.records import (
    fixed_records,
    opened,
    text_lines,
    tf_records,
)
from anode.frontends.tensorflow.table.resources import object_array, resource

Record = tuple[bytes, bytes]


class Reader:
    """Reads the files whose names a queue gives; counts records and whole files."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # several threads may read
        self.reset()

    def reset(self) -> None:
        """As if nothing had been read."""
        self._records: Iterator[Record] | None = None
        self.produced = 0
        self.completed = 0

    def records(self, name: bytes) -> Iterator[Record]:
        """The records of one file."""
        raise NotImplementedError

    def read(self, queue: Any, op: Any) -> Record:
        """The next record; the queue's OutOfRangeError when there are no more files."""
        with self._lock:
            return self._read(queue, op)

    def _read(self, queue: Any, op: Any) -> Record:
        while True:
            if self._records is None:
                [[name]] = queue.take(1, op)
                self._records = self.records(name[()])
            for record in self._records:
                self.produced += 1
                return record
            self._records = None
            self.completed += 1

    def read_up_to(self, queue: Any, number: int, op: Any) -> list[Record]:
        """The next records, as many as there are up to `number`; at least one."""
        found: list[Record] = []
        while len(found) < number:
            try:
                found.append(self.read(queue, op))
            except OutOfRangeError:
                if not found:
                    raise
                break
            if self._records is None:
                break
        return found


def _keyed(name: bytes, values: Iterator[bytes], first: int = 0) -> Iterator[Record]:
    for number, value in enumerate(values, first):
        yield name + b":%d" % number, value


class TextLines(Reader):
    """The lines of text files; the key is `file:line`, counted from 1."""

    def __init__(self, skip_header_lines: int) -> None:
        self._skipped = skip_header_lines
        super().__init__()

    def records(self, name: bytes) -> Iterator[Record]:
        lines = text_lines(name, "")
        for _ in range(self._skipped):
            next(lines, None)
        return _keyed(name, lines, self._skipped + 1)


class TFRecords(Reader):
    """The records of TFRecord files; the key is `file:offset`."""

    def __init__(self, compression: str) -> None:
        self._compression = compression
        super().__init__()

    def records(self, name: bytes) -> Iterator[Record]:
        offset = 0
        for value in tf_records(name, self._compression):
            yield name + b":%d" % offset, value
            offset += len(value) + 16


class FixedLength(Reader):
    """Records of equal length; the key is `file:number`."""

    def __init__(self, header: int, length: int, footer: int, hop: int) -> None:
        self._sizes = (header, length, footer, hop)
        super().__init__()

    def records(self, name: bytes) -> Iterator[Record]:
        return _keyed(name, fixed_records(name, *self._sizes))


class WholeFiles(Reader):
    """Whole files; the key is the name."""

    def records(self, name: bytes) -> Iterator[Record]:
        with opened(name) as file:
            yield name, file.read()


class Identity(Reader):
    """The strings of the queue themselves, as key and as value."""

    def records(self, name: bytes) -> Iterator[Record]:
        yield name, name


NAMED: dict[str, Any] = {"container": "", "shared_name": ""}


@host(
    "TextLineReaderV2",
    " -> resource",
    shape="scalar",
    stateful=True,
    skip_header_lines=0,
    **NAMED,
)
def _(*, run: Any, skip_header_lines: int, shared_name: str, container: str) -> Any:
    return resource(run, shared_name, lambda: TextLines(skip_header_lines))


@host(
    "TFRecordReaderV2", " -> resource", shape="scalar", stateful=True, compression_type="", **NAMED
)
def _(*, run: Any, compression_type: str, shared_name: str, container: str) -> Any:
    return resource(run, shared_name, lambda: TFRecords(compression_type))


@host(
    "FixedLengthRecordReaderV2",
    " -> resource",
    shape="scalar",
    stateful=True,
    header_bytes=0,
    record_bytes=0,
    footer_bytes=0,
    hop_bytes=0,
    encoding="",
    **NAMED,
)
def _(
    *,
    run: Any,
    header_bytes: int,
    record_bytes: int,
    footer_bytes: int,
    hop_bytes: int,
    encoding: str,
    shared_name: str,
    container: str,
) -> Any:
    if encoding:
        raise InvalidArgumentError(None, run.op, f"encoding {encoding!r} of records is not read")

    def make() -> Reader:
        return FixedLength(header_bytes, record_bytes, footer_bytes, hop_bytes)

    return resource(run, shared_name, make)


@host("WholeFileReaderV2", " -> resource", shape="scalar", stateful=True, **NAMED)
def _(*, run: Any, shared_name: str, container: str) -> Any:
    return resource(run, shared_name, WholeFiles)


@host("IdentityReaderV2", " -> resource", shape="scalar", stateful=True, **NAMED)
def _(*, run: Any, shared_name: str, container: str) -> Any:
    return resource(run, shared_name, Identity)


@host(
    "ReaderReadV2",
    "reader_handle:resource queue_handle:resource -> string string",
    shape="scalar",
    stateful=True,
)
def _(reader_handle: Reader, queue_handle: Any, *, run: Any) -> Record:
    return reader_handle.read(queue_handle, run.op)


def _vectors(op: Any) -> list[Any]:
    return [[None], [None]]


@host(
    "ReaderReadUpToV2",
    "reader_handle:resource queue_handle:resource num_records:int64 -> string string",
    shape=_vectors,
    stateful=True,
)
def _(
    reader_handle: Reader, queue_handle: Any, num_records: np.ndarray, *, run: Any
) -> tuple[np.ndarray, ...]:
    found = reader_handle.read_up_to(queue_handle, int(num_records), run.op)
    return object_array([key for key, _ in found]), object_array([value for _, value in found])


@host(
    "ReaderNumRecordsProducedV2", "reader_handle:resource -> int64", shape="scalar", stateful=True
)
def _(reader_handle: Reader) -> np.ndarray:
    return np.array(reader_handle.produced, np.int64)


@host(
    "ReaderNumWorkUnitsCompletedV2",
    "reader_handle:resource -> int64",
    shape="scalar",
    stateful=True,
)
def _(reader_handle: Reader) -> np.ndarray:
    return np.array(reader_handle.completed, np.int64)


@host("ReaderResetV2", "reader_handle:resource -> ", stateful=True)
def _(reader_handle: Reader) -> tuple[()]:
    reader_handle.reset()
    return ()
