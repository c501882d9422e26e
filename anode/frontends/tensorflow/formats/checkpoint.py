"""TensorFlow's checkpoints: version 2 (an index and data files) written and read, version 1 read.

An index is a LevelDB table: under the empty key the header, under each tensor's name its type,
shape and place in a data file. A partitioned tensor has an entry of its slices, which have entries
under keys made of its name and the slice's extents.
"""

from __future__ import annotations

import glob
import itertools
import math
import os
import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats import leveldb, proto, tensors
from anode.frontends.tensorflow.formats.crc32c import crc32c, masked
from anode.frontends.tensorflow.formats.wire import read_varint, varint

Extents = tuple[tuple[int, int], ...]  # begin and length in each dimension; length -1: all of it


@dataclass(frozen=True)
class Partitioned:
    """A tensor kept as slices: its whole shape and each slice's extents and values."""

    shape: tuple[int, ...]
    slices: tuple[tuple[Extents, np.ndarray], ...]


@dataclass(frozen=True)
class TensorInfo:
    """What a checkpoint says of a tensor: DataType number and shape."""

    datatype: int
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        return tensors.numpy_dtype(self.datatype)


# --- writing -------------------------------------------------------------------------------------


def write(prefix: str | os.PathLike[str], values: Mapping[str, np.ndarray | Partitioned]) -> None:
    """Write `values` as the checkpoint `prefix`: `prefix.index` and `prefix.data-00000-of-00001`.

    Whenever the process is killed, a reader finds the checkpoint that was there, or the new one:
    the data get a name that no index knows, and the index is moved to its place at once. The
    folder must exist (OSError).
    """
    prefix, suffix = os.fspath(prefix), f".tempstate{os.getpid()}"
    free = next(n for n in itertools.count(1) if not os.path.exists(_data_path(prefix, 0, n)))
    data_path, last_path = _data_path(prefix, 0, free), _data_path(prefix, 0, 1)
    try:
        with open(data_path + suffix, "wb") as data:
            index = _write_data(data, values)
        os.replace(data_path + suffix, data_path)
        _write_index(prefix, index, free, suffix)
        if free > 1:  # nothing refers to the old data any more: take their name
            _link(data_path, last_path + suffix)
            os.replace(last_path + suffix, last_path)
            _write_index(prefix, index, 1, suffix)
    finally:
        for path in (data_path, last_path, f"{prefix}.index"):
            Path(path + suffix).unlink(missing_ok=True)
    for path in glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????"):
        if path != last_path:
            os.unlink(path)


def _write_index(prefix: str, index: dict[bytes, bytes], shards: int, suffix: str) -> None:
    header = proto.BundleHeaderProto(num_shards=shards, version={"producer": 1})
    table = leveldb.table_bytes({b"": header.SerializeToString(), **index})
    Path(f"{prefix}.index{suffix}").write_bytes(table)
    os.replace(f"{prefix}.index{suffix}", f"{prefix}.index")


def _link(path: str, name: str) -> None:
    """Another name for a file; a copy where the file system has no links."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)


def _data_path(prefix: str, shard: int, shards: int) -> str:
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def _write_data(data: Any, values: Mapping[str, np.ndarray | Partitioned]) -> dict[bytes, bytes]:
    """Write all values in their order; returns their entries of the index."""
    index: dict[bytes, bytes] = {}
    for name, value in values.items():
        key = name.encode()
        if isinstance(value, Partitioned):
            index[key] = _slices_entry(value).SerializeToString()
            for extents, part in value.slices:
                index[slice_key(key, extents)] = _write_tensor(data, part)
        else:
            index[key] = _write_tensor(data, np.asarray(value))
    return index


def _slices_entry(value: Partitioned) -> Any:
    dtype = value.slices[0][1].dtype if value.slices else np.dtype(np.float32)
    entry = proto.BundleEntryProto(
        dtype=tensors.datatype(dtype), shape=tensors.shape_proto(value.shape)
    )
    for extents, _ in value.slices:
        entry.slices.append(slice_proto(extents))
    return entry


def _write_tensor(data: Any, array: np.ndarray) -> bytes:
    """Append a tensor to the data; returns its index entry."""
    number = tensors.datatype(array.dtype)
    payload, checksum = (
        _string_payload(array) if number == tensors.STRING else _number_payload(array)
    )
    entry = proto.BundleEntryProto(
        dtype=number,
        shape=tensors.shape_proto(array.shape),
        offset=data.tell(),
        size=sum(map(len, payload)),
        crc32c=masked(checksum),
    )
    data.writelines(payload)
    return entry.SerializeToString()


def _number_payload(array: np.ndarray) -> tuple[list[Any], int]:
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    view = array.view(np.uint8).data if array.size else memoryview(b"")
    return [view], crc32c(view)


def _string_payload(array: np.ndarray) -> tuple[list[Any], int]:
    """Lengths as varints, the masked CRC of the lengths, the bytes; and the CRC over all of it."""
    strings = [tensors.as_bytes(value) for value in array.reshape(-1).tolist()]
    lengths = [len(string) for string in strings]
    checksum = _lengths_crc(lengths)
    mark = struct.pack("<I", masked(checksum))
    head = b"".join(map(varint, lengths)) + mark
    for part in (mark, *strings):
        checksum = crc32c(part, checksum)
    return [head, *strings], checksum


def _lengths_crc(lengths: list[int]) -> int:
    """Over the lengths as numbers of four bytes, of eight where four do not do."""
    packed = (struct.pack("<I" if size < 1 << 32 else "<Q", size) for size in lengths)
    return crc32c(b"".join(packed))


def slice_proto(extents: Extents) -> Any:
    """A TensorSliceProto; a length of -1, all of the dimension, is left out."""
    out = proto.TensorSliceProto()
    for begin, length in extents:
        extent = out.extent.add()
        if length != -1:
            extent.start, extent.length = begin, length
    return out


def slice_key(name: bytes, extents: Extents) -> bytes:
    """The key of a slice: 0, the name, the rank, begins and lengths, in an order-keeping code."""
    escaped = name.replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff") + b"\0\1"
    numbers = (_signed_code(number) for extent in extents for number in extent)
    return b"\0" + escaped + _unsigned_code(len(extents)) + b"".join(numbers)


def _unsigned_code(number: int) -> bytes:
    """The count of bytes, then the bytes, highest first."""
    size = (number.bit_length() + 7) // 8
    return bytes((size,)) + number.to_bytes(size, "big")


def _signed_code(number: int) -> bytes:
    """Two's complement whose leading ones (or zeros, if negative) say how many bytes there are."""
    if -64 <= number < 64:
        return bytes((0x80 ^ (number & 0xFF),))
    size = next(n for n in range(2, 11) if -(1 << (7 * n - 1)) <= number < 1 << (7 * n - 1))
    bits = 8 * size
    header = ((1 << size) - 1) << (bits - size)
    return ((number & ((1 << bits) - 1)) ^ header).to_bytes(size, "big")


# --- reading -------------------------------------------------------------------------------------


def open_checkpoint(prefix: str | os.PathLike[str]) -> Checkpoint | CheckpointV1:
    """The checkpoint `prefix` of either version; FileNotFoundError if there is none."""
    prefix = os.fspath(prefix)
    return Checkpoint(prefix) if os.path.exists(f"{prefix}.index") else CheckpointV1(prefix)


class Checkpoint:
    """A checkpoint of version 2; tensors are read and checked one at a time, when asked for."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        index = leveldb.read_table(Path(f"{prefix}.index").read_bytes())
        header = proto.BundleHeaderProto.FromString(index.pop(b"", b""))
        if header.endianness != 0 or header.version.min_consumer > 1:
            raise DataError(f"{prefix}: a checkpoint of another byte order or a later version")
        self._shards = header.num_shards
        self._index = index
        self._entries: dict[str, Any] = {}
        for key, value in index.items():
            if not key.startswith(b"\0"):
                self._entries[_name(key)] = proto.BundleEntryProto.FromString(value)

    @property
    def names(self) -> list[str]:
        """The tensors, sorted."""
        return sorted(self._entries)

    def info(self, name: str) -> TensorInfo:
        """Type and shape of a tensor; KeyError if the checkpoint lacks it."""
        entry = self._entries[name]
        return TensorInfo(entry.dtype % 100, tensors.shape_of(entry.shape))

    def read(self, name: str) -> np.ndarray:
        """A tensor, put together if it is kept in slices; KeyError, or DataError if damaged."""
        entry = self._entries[name]
        if not entry.slices:
            return self._read_entry(name, entry)
        info = self.info(name)
        parts = ((extents(part), self._slice(name, part)) for part in entry.slices)
        return _assembled(name, info, parts)

    def _slice(self, name: str, part: Any) -> np.ndarray:
        key = slice_key(name.encode(), extents(part))
        if key not in self._index:
            raise DataError(f"{self._prefix}: a slice of {name} is missing")
        return self._read_entry(name, proto.BundleEntryProto.FromString(self._index[key]))

    def _read_entry(self, name: str, entry: Any) -> np.ndarray:
        dtype, shape = tensors.numpy_dtype(entry.dtype), tensors.shape_of(entry.shape)
        strings, count = dtype.kind == "O", math.prod(shape)
        if not strings and entry.size != count * dtype.itemsize:
            raise DataError(f"{self._prefix}: {name} {list(shape)} claims {entry.size} bytes")
        data = self._read_bytes(name, entry)
        if strings:
            out = np.empty(count if count <= entry.size else 0, object)
            out[:] = _read_strings(name, data, count, entry.crc32c)
            return out.reshape(shape)
        if masked(crc32c(data)) != entry.crc32c:
            raise DataError(f"{self._prefix}: the checksum of {name} does not match: it is damaged")
        little = np.frombuffer(data, dtype.newbyteorder("<"))
        return little.astype(dtype, copy=False).reshape(shape)

    def _read_bytes(self, name: str, entry: Any) -> bytearray:
        if not 0 <= entry.shard_id < self._shards:
            raise DataError(f"{self._prefix}: {name} is in file {entry.shard_id} of {self._shards}")
        path = _data_path(self._prefix, entry.shard_id, self._shards)
        with open(path, "rb") as file:
            there = os.fstat(file.fileno()).st_size
            if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > there:
                raise DataError(f"{path}: {name} reaches beyond the file's {there} bytes")
            file.seek(entry.offset)
            data = bytearray(entry.size)
            file.readinto(data)
        return data


def _name(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise DataError(f"a tensor's name {key!r} is not text") from None


def extents(part: Any) -> Extents:
    """The extents of a TensorSliceProto."""
    return tuple((e.start, e.length if e.HasField("length") else -1) for e in part.extent)


def _assembled(
    name: str, info: TensorInfo, parts: Iterable[tuple[Extents, np.ndarray]]
) -> np.ndarray:
    """The whole tensor; its slices must fit and cover it."""
    pieces, size = list(parts), math.prod(info.shape)
    if sum(array.size for _, array in pieces) != size:
        raise DataError(f"the slices of {name} do not add up to its shape {list(info.shape)}")
    out = np.empty(info.shape, info.dtype)
    for places, array in pieces:
        index = tuple(
            slice(begin, begin + length) if length != -1 else slice(None)
            for begin, length in places
        )
        if len(index) != out.ndim or out[index].shape != array.shape:
            raise DataError(f"a slice of {name} does not fit its shape {list(info.shape)}")
        out[index] = array
    return out


def _read_strings(name: str, data: bytearray, count: int, checksum: int) -> list[bytes]:
    """Strings as `_string_payload` writes them."""
    lengths, at = [], 0
    for _ in range(count):
        length, at = read_varint(data, at, len(data))
        lengths.append(length)
    crc = _lengths_crc(lengths)
    if data[at : at + 4] != struct.pack("<I", masked(crc)):
        raise DataError(f"the checksum of the lengths of {name} does not match: it is damaged")
    if at + 4 + sum(lengths) != len(data) or masked(crc32c(data[at:], crc)) != checksum:
        raise DataError(f"the strings of {name} do not match their lengths or checksum")
    at += 4
    return [bytes(data[at : (at := at + length)]) for length in lengths]


class CheckpointV1:
    """A checkpoint of version 1: one table, whose values are slices with TensorProtos."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table = leveldb.read_table(Path(path).read_bytes())
        meta = proto.SavedTensorSlices.FromString(self._table.get(b"", b"")).meta
        self._tensors = {tensor.name: tensor for tensor in meta.tensor}

    @property
    def names(self) -> list[str]:
        """The tensors, sorted."""
        return sorted(self._tensors)

    def info(self, name: str) -> TensorInfo:
        """Type and shape of a tensor; KeyError if the checkpoint lacks it."""
        tensor = self._tensors[name]
        return TensorInfo(tensor.type % 100, tensors.shape_of(tensor.shape))

    def read(self, name: str) -> np.ndarray:
        """A tensor, put together of its slices; KeyError, or DataError if damaged."""
        info = self.info(name)
        parts = [self._slice(name, info, part) for part in self._tensors[name].slice]
        return _assembled(name, info, parts)

    def _slice(self, name: str, info: TensorInfo, part: Any) -> tuple[Extents, np.ndarray]:
        places = extents(part)
        value = self._table.get(slice_key(name.encode(), places))
        if value is None:
            raise DataError(f"{self._path}: a slice of {name} is missing")
        data = proto.SavedTensorSlices.FromString(value).data.data
        shape = [
            size if length == -1 else length
            for size, (_, length) in zip(info.shape, places, strict=False)
        ]
        # the shape is not repeated with the values
        data.tensor_shape.CopyFrom(tensors.shape_proto(shape))
        data.dtype = info.datatype
        return places, tensors.to_array(data)
