"""tf.python_io: TFRecord files written and read outside of graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode.errors import DataError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.formats import records
from anode.frontends.tensorflow.formats.records import Compression, RecordWriter
from anode.frontends.tensorflow.opdef import export


@export("python_io.TFRecordCompressionType", "io.TFRecordCompressionType")
class TFRecordCompressionType:
    """How records are compressed."""

    NONE, ZLIB, GZIP = range(3)


_KINDS = {0: "", 1: "ZLIB", 2: "GZIP", "": "", "ZLIB": "ZLIB", "GZIP": "GZIP", None: ""}


@export("python_io.TFRecordOptions", "io.TFRecordOptions")
class TFRecordOptions:
    """How a file of records is compressed, and the settings of zlib."""

    compression_type_map = {0: "", 1: "ZLIB", 2: "GZIP"}  # noqa: RUF012 (TensorFlow's own name)

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: int | None = None,
        input_buffer_size: int | None = None,
        output_buffer_size: int | None = None,
        window_bits: int | None = None,
        compression_level: int | None = None,
        compression_method: int | None = None,
        mem_level: int | None = None,
        compression_strategy: int | None = None,
    ) -> None:
        self.get_compression_type_string(compression_type)
        self.compression_type = compression_type
        self.flush_mode, self.window_bits = flush_mode, window_bits
        self.input_buffer_size, self.output_buffer_size = input_buffer_size, output_buffer_size
        self.compression_level, self.compression_method = compression_level, compression_method
        self.mem_level, self.compression_strategy = mem_level, compression_strategy

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """The kind as text: of options, of a TFRecordCompressionType, of text or None."""
        kind = options.compression_type if isinstance(options, TFRecordOptions) else options
        if kind not in _KINDS:
            raise ValueError(f'Not a valid compression_type: "{kind}"')
        return _KINDS[kind]


def _compression(options: Any) -> Compression:
    kind = TFRecordOptions.get_compression_type_string(options)
    if not isinstance(options, TFRecordOptions):
        return Compression(kind)
    return Compression(
        kind,
        -1 if options.compression_level is None else options.compression_level,
        8 if options.mem_level is None else options.mem_level,
        options.compression_strategy or 0,
    )


@export("python_io.TFRecordWriter", "io.TFRecordWriter")
class TFRecordWriter:
    """Writes records to a file; closed by `close` or at the end of a `with`."""

    def __init__(self, path: Any, options: Any = None) -> None:
        path = path.decode() if isinstance(path, bytes) else path
        try:
            self._writer = RecordWriter(path, _compression(options))
        except FileNotFoundError as error:
            raise errors.NotFoundError(None, None, f"{path}; {error.strerror}") from None
        except PermissionError as error:
            raise errors.PermissionDeniedError(None, None, f"{path}; {error.strerror}") from None

    def write(self, record: bytes) -> None:
        if not isinstance(record, bytes | bytearray | memoryview):
            raise TypeError(f"a record is bytes, not {type(record).__name__}")
        if self._writer.closed:
            raise errors.FailedPreconditionError(None, None, "Writer is closed.")
        self._writer.write(bytes(record))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@export("python_io.tf_record_iterator", "io.tf_record_iterator")
def tf_record_iterator(path: Any, options: Any = None) -> Iterator[bytes]:
    """The records of a file; NotFoundError without it, DataLossError where it is damaged."""
    path = path.decode() if isinstance(path, bytes) else path
    compression = _compression(options)
    try:
        yield from records.read_records(path, compression)
    except FileNotFoundError:
        raise errors.NotFoundError(None, None, f"{path}; No such file or directory") from None
    except DataError as error:
        raise errors.DataLossError(None, None, str(error)) from None
