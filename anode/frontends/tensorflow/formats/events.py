"""Event files, which TensorBoard shows: records of `Event` messages."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

from anode.errors import DataError
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.formats.records import RecordWriter, TruncatedRecord, read_records

_FILE_VERSION = "brain.Event:2"


class EventWriter:
    """Writes events to `folder/PREFIX.out.tfevents.SECONDS.HOST`, from any thread.

    The file comes into being with the first event. What was written reaches the file when
    `max_queue` events wait, when `flush_secs` have passed since the last flush and an event comes,
    with `flush` and `close`, and when the program ends.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str | None = None,
        prefix: str = "events",
    ) -> None:
        os.makedirs(folder, exist_ok=True)
        self._prefix = prefix
        self._folder, self._suffix = os.fspath(folder), filename_suffix or ""
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._lock = threading.RLock()
        self._records: RecordWriter | None = None
        self._waiting, self._flushed = 0, time.monotonic()

    @property
    def path(self) -> str | None:
        """The file, once there is one."""
        return None if self._records is None else self._path

    def write(self, event: Any) -> None:
        """Append an event; after `close` a new file begins."""
        data = event.SerializeToString()
        with self._lock:
            self.open().write(data)
            self._waiting += 1
            late = time.monotonic() - self._flushed > self._flush_secs
            if late or self._waiting > self._max_queue:
                self.flush()

    def open(self) -> RecordWriter:
        """The file, a new one if there is none."""
        with self._lock:
            if self._records is None:
                self._records = self._open()
            return self._records

    def _open(self) -> RecordWriter:
        """A new file with its first record."""
        now = time.time()
        name = f"{self._prefix}.out.tfevents.{int(now):010d}.{socket.gethostname()}{self._suffix}"
        self._path = os.path.join(self._folder, name)
        records = RecordWriter(self._path)
        records.write(proto.Event(wall_time=now, file_version=_FILE_VERSION).SerializeToString())
        weakref.finalize(self, records.close)  # at exit too
        return records

    def flush(self) -> None:
        with self._lock:
            if self._records is not None:
                self._records.flush()
            self._waiting, self._flushed = 0, time.monotonic()

    def close(self) -> None:
        with self._lock:
            if self._records is not None:
                self._records.close()
                self._records = None


def read_events(path: str | os.PathLike[str], tolerant: bool = True) -> Iterator[Any]:
    """The events of a file; `tolerant` ends quietly where a killed writer cut the last record."""
    ends = contextlib.suppress(TruncatedRecord) if tolerant else contextlib.nullcontext()
    with ends:
        for record in read_records(path):
            yield proto.Event.FromString(record)


def read_run(folder: str | os.PathLike[str]) -> Iterator[Any]:
    """The events of all files of a folder, in the order of their names."""
    names = sorted(name for name in os.listdir(folder) if "tfevents" in name)
    if not names:
        raise DataError(f"{os.fspath(folder)}: there are no event files")
    for name in names:
        yield from read_events(os.path.join(folder, name))
