"""`tf.TextLineReader` and its relatives: records of the files whose names a queue gives."""

from __future__ import annotations

from typing import Any, NamedTuple

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


class ReaderRead(NamedTuple):
    """A record: where it comes from, and what it is."""

    key: Any
    value: Any


class ReaderReadUpTo(NamedTuple):
    """Several records, two vectors of strings."""

    keys: Any
    values: Any


ReaderRead.__name__ = "ReaderReadV2"
ReaderReadUpTo.__name__ = "ReaderReadUpToV2"


@export("ReaderBase")
class ReaderBase:
    """The operations that read."""

    def __init__(self, reader_ref: Any, supports_serialize: bool = False) -> None:
        self._reader_ref = reader_ref
        self._supports_serialize = supports_serialize

    @property
    def reader_ref(self) -> Any:
        """The tensor of the handle."""
        return self._reader_ref

    @property
    def supports_serialize(self) -> bool:
        """Whether the state can be written down."""
        return self._supports_serialize

    def read(self, queue: Any, name: str | None = None) -> ReaderRead:
        """The next record; it takes a name from the queue when a file is used up."""
        return ReaderRead(*apply("ReaderReadV2", self._reader_ref, _ref(queue), name=name))

    def read_up_to(self, queue: Any, num_records: Any, name: str | None = None) -> ReaderReadUpTo:
        """Up to `num_records` records of one file."""
        read = apply("ReaderReadUpToV2", self._reader_ref, _ref(queue), num_records, name=name)
        return ReaderReadUpTo(*read)

    def num_records_produced(self, name: str | None = None) -> Any:
        """How many records were read, an int64 scalar."""
        return apply("ReaderNumRecordsProducedV2", self._reader_ref, name=name)

    def num_work_units_completed(self, name: str | None = None) -> Any:
        """How many files were used up, an int64 scalar."""
        return apply("ReaderNumWorkUnitsCompletedV2", self._reader_ref, name=name)

    def reset(self, name: str | None = None) -> Any:
        """The operation that starts the reader anew."""
        return apply("ReaderResetV2", self._reader_ref, name=name)


def _ref(queue: Any) -> Any:
    return queue.queue_ref if hasattr(queue, "queue_ref") else convert_to_tensor(queue)


@export("WholeFileReader")
class WholeFileReader(ReaderBase):
    """Gives whole files: name and content."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(apply("WholeFileReaderV2", name=name), supports_serialize=True)


@export("TextLineReader")
class TextLineReader(ReaderBase):
    """Gives lines of text without their ends."""

    def __init__(self, skip_header_lines: int | None = None, name: str | None = None) -> None:
        skipped = skip_header_lines or 0
        super().__init__(apply("TextLineReaderV2", skip_header_lines=skipped, name=name))


@export("FixedLengthRecordReader")
class FixedLengthRecordReader(ReaderBase):
    """Gives records of `record_bytes` between a header and a footer."""

    def __init__(
        self,
        record_bytes: int,
        header_bytes: int | None = None,
        footer_bytes: int | None = None,
        hop_bytes: int | None = None,
        name: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(
            apply(
                "FixedLengthRecordReaderV2",
                record_bytes=record_bytes,
                header_bytes=header_bytes or 0,
                footer_bytes=footer_bytes or 0,
                hop_bytes=hop_bytes or 0,
                encoding=encoding or "",
                name=name,
            )
        )


@export("TFRecordReader")
class TFRecordReader(ReaderBase):
    """Gives the records of TFRecord files."""

    def __init__(self, name: str | None = None, options: Any = None) -> None:
        kind = getattr(options, "compression_type", options)
        names = {None: "", 0: "", 1: "ZLIB", 2: "GZIP"}
        compression = names.get(kind, kind)
        super().__init__(apply("TFRecordReaderV2", compression_type=compression, name=name))


@export("IdentityReader")
class IdentityReader(ReaderBase):
    """Gives the strings of the queue as they are, as key and value."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(apply("IdentityReaderV2", name=name), supports_serialize=True)


@export("io.match_filenames_once", "train.match_filenames_once")
def match_filenames_once(pattern: Any, name: str | None = None) -> Variable:
    """A local variable of the names that match a pattern when it is initialised."""
    with name_scope(name, "matching_filenames", [pattern]) as scope:
        return Variable(
            apply("MatchingFiles", pattern),
            trainable=False,
            collections=[GraphKeys.LOCAL_VARIABLES],
            validate_shape=False,
            name=scope,
        )
