"""Protobuf's wire format below the messages: tags, varints, runs of packed numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats.schema import FIXED

MAX_DEPTH = 100  # as protobuf: deeper nesting is refused
_MASK = (1 << 64) - 1


class DecodeError(DataError):
    """Bytes that are not the message they should be."""


def read_varint(data: bytes | bytearray | memoryview, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and the place after it; at most ten bytes, before `end`."""
    value = shift = 0
    while shift < 70:
        if at >= end:
            raise DecodeError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7
    raise DecodeError("a number has more than ten bytes")


def varint(value: int) -> bytes:
    """A number as a varint; negative ones take ten bytes."""
    value &= _MASK
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def length_delimited(number: int, payload: bytes) -> bytes:
    return tag(number, 2) + varint(len(payload)) + payload


# A field on the wire: number, wire type, value (an int, or the bytes), and where it ends.
WireField = tuple[int, int, int | memoryview, int]


def fields(data: memoryview) -> Iterator[WireField]:
    """Each field of a message in turn; sizes are checked before anything is taken."""
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at, end)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise DecodeError(f"field number {number} is out of range")
        value: int | memoryview
        if wire_type == 0:
            value, at = read_varint(data, at, end)
        else:
            size, at = _payload(data, number, wire_type, at, end)
            value, at = data[at : at + size], at + size
        yield number, wire_type, value, at


def _payload(data: memoryview, number: int, wire_type: int, at: int, end: int) -> tuple[int, int]:
    """The size of a payload that is not a varint, and where it begins."""
    if wire_type == 2:
        size, at = read_varint(data, at, end)
    elif wire_type == 3:
        size = _group_size(data, number, at, end)
    elif wire_type in (1, 5):
        size = 8 if wire_type == 1 else 4
    else:
        raise DecodeError(f"wire type {wire_type} does not exist here")
    if size > end - at:
        raise DecodeError(f"field {number} claims {size} bytes, {end - at} are left")
    return size, at


def _group_size(data: memoryview, number: int, at: int, end: int) -> int:
    """The bytes of an old group up to and with its end tag: such fields are only ever kept."""
    start, open_groups = at, [number]
    while open_groups:
        key, at = read_varint(data, at, end)
        if key & 7 == 3:
            open_groups.append(key >> 3)
            if len(open_groups) > MAX_DEPTH:
                raise DecodeError("groups are nested too deeply")
        elif key & 7 == 4:
            if open_groups.pop() != key >> 3:
                raise DecodeError("a group ends that was not open")
        elif key & 7 == 0:
            _, at = read_varint(data, at, end)
        else:
            size, at = _payload(data, key >> 3, key & 7, at, end)
            at += size
    return at - start


def decode_number(kind: str, value: int) -> int | bool:
    """What a varint means for a field of this kind."""
    if kind in ("int64", "sint64", "int32", "enum", "sint32"):
        if kind.startswith("sint"):
            return value >> 1 ^ -(value & 1)
        bits = 64 if kind == "int64" else 32
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    if kind == "bool":
        return value != 0
    return value & 0xFFFFFFFF if kind == "uint32" else value


def encode_number(kind: str, value: int) -> bytes:
    if kind.startswith("sint"):
        return varint(value << 1 ^ value >> 63)
    return varint(int(value))


def decode_fixed(kind: str, data: memoryview) -> int | float:
    return struct.unpack(FIXED[kind], data)[0]


def encode_fixed(kind: str, value: float) -> bytes:
    return struct.pack(FIXED[kind], value)


def decode_packed(kind: str, data: memoryview) -> list[int] | list[float] | list[bool]:
    """The numbers of a packed run."""
    if kind in FIXED:
        dtype = np.dtype(FIXED[kind])
        if len(data) % dtype.itemsize:
            raise DecodeError(f"a run of {kind} has {len(data)} bytes")
        return np.frombuffer(data, dtype).tolist()
    if len(data) > 64:
        return _decode_varints(kind, np.frombuffer(data, np.uint8))
    out, at, end = [], 0, len(data)
    while at < end:
        value, at = read_varint(data, at, end)
        out.append(decode_number(kind, value))
    return out


def _decode_varints(kind: str, data: np.ndarray) -> list[int]:
    """A long run at once: the bytes of each number are added up at their shifts."""
    last = data < 0x80
    if not last[-1]:
        raise DecodeError("a number is cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise DecodeError("a number has more than ten bytes")
    place = np.arange(len(data)) - np.repeat(starts, lengths)
    parts = (data & 0x7F).astype(np.uint64) << (place * 7).astype(np.uint64)
    values = np.bitwise_or.reduceat(parts, starts)
    return _as_kind(kind, values).tolist()


def _as_kind(kind: str, values: np.ndarray) -> np.ndarray:
    if kind == "bool":
        return values != 0
    if kind.startswith("sint"):
        return (values >> np.uint64(1)).view(np.int64) ^ -(values & np.uint64(1)).view(np.int64)
    if kind in ("int32", "enum"):
        return values.astype(np.uint32).view(np.int32)
    if kind == "uint32":
        return values.astype(np.uint32)
    return values.view(np.int64) if kind == "int64" else values


def encode_packed(kind: str, values: list) -> bytes:
    if kind in FIXED:
        return np.asarray(values, FIXED[kind]).tobytes()
    if kind == "bool" or (kind in _PLAIN and len(values) > 64):
        array = np.asarray(values)
        if array.dtype.kind in "biu" and array.min() >= 0 and array.max() < 0x80:
            return array.astype(np.uint8).tobytes()
    return b"".join(encode_number(kind, value) for value in values)


_PLAIN = frozenset(("int32", "int64", "uint32", "uint64", "enum"))
