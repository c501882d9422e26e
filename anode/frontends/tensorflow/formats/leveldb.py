"""LevelDB's table format, in which TensorFlow keeps the index of a checkpoint: sorted keys, blocks.

A block holds entries whose keys share prefixes with the key before, and the places of whole keys.
After it come its kind (0 plain, 1 snappy) and masked CRC. An index block gives each block's last
key and place; the footer gives the index block's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from anode.errors import DataError
from anode.frontends.tensorflow.formats.crc32c import crc32c, masked, masked_crc32c
from anode.frontends.tensorflow.formats.wire import read_varint, varint

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5
_RESTART_INTERVAL = 16
_BLOCK_BYTES = 262144
_MOST_UNPACKED = 1 << 30
_MOST_KEYS = 1 << 28  # bytes: shared prefixes could make a small file claim any number


class _Block:
    """A block in the making."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._out, self._restarts, self._count, self._last = bytearray(), [0], 0, b""

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count < self._interval:
            shared = _common(self._last, key)
        else:
            self._restarts.append(len(self._out))
            self._count = 0
        self._out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        self._out += key[shared:] + value
        self._last, self._count = key, self._count + 1

    @property
    def size(self) -> int:
        return len(self._out) + 4 * len(self._restarts) + 4

    def __bool__(self) -> bool:
        return bool(self._out)

    def bytes(self) -> bytes:
        restarts = struct.pack(f"<{len(self._restarts)}I", *self._restarts)
        return bytes(self._out) + restarts + struct.pack("<I", len(self._restarts))


def _common(a: bytes, b: bytes) -> int:
    """The length of the common prefix."""
    size = min(len(a), len(b))
    return next((i for i in range(size) if a[i] != b[i]), size)


def _separator(last: bytes, following: bytes | None) -> bytes:
    """A short key from `last` on and before `following` (None: nothing follows)."""
    if following is None:
        for i, byte in enumerate(last):
            if byte != 0xFF:
                return last[:i] + bytes((byte + 1,))
        return last
    i = _common(last, following)
    if i < min(len(last), len(following)) and last[i] + 1 < following[i]:
        return last[:i] + bytes((last[i] + 1,))
    return last


def table_bytes(entries: Mapping[bytes, bytes]) -> bytes:
    """The table of `entries`, uncompressed, byte for byte as TensorFlow writes it."""
    out, index, block = bytearray(), _Block(1), _Block(_RESTART_INTERVAL)
    keys = sorted(entries)
    for i, key in enumerate(keys):
        block.add(key, entries[key])
        following = keys[i + 1] if i + 1 < len(keys) else None
        if block.size >= _BLOCK_BYTES or following is None:
            index.add(_separator(key, following), _append_block(out, block))
            block = _Block(_RESTART_INTERVAL)
    meta = _append_block(out, _Block(1))
    footer = meta + _append_block(out, index)
    return bytes(out) + footer.ljust(_FOOTER - 8, b"\0") + struct.pack("<Q", _MAGIC)


def _append_block(out: bytearray, block: _Block) -> bytes:
    """The handle of the block: its place and size."""
    content, place = block.bytes(), len(out)
    checksum = masked(crc32c(b"\0", crc32c(content)))
    out += content + b"\0" + struct.pack("<I", checksum)
    return varint(place) + varint(len(content))


def read_table(data: bytes) -> dict[bytes, bytes]:
    """All entries of a table in order; damage raises DataError."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise DataError("no table: its last eight bytes are not the magic number")
    footer = data[-_FOOTER:]
    at = _handle(footer, 0)[1]
    (place, size), _ = _handle(footer, at)
    out: dict[bytes, bytes] = {}
    for _, handle in _entries(_block(data, place, size)):
        out.update(_entries(_block(data, *_handle(handle, 0)[0])))
    return out


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    place, at = read_varint(data, at, len(data))
    size, at = read_varint(data, at, len(data))
    return (place, size), at


def _block(data: bytes, place: int, size: int) -> bytes:
    """A block's bytes, checked and unpacked."""
    end = place + size
    if end + _TRAILER > len(data):
        raise DataError(f"a block claims bytes {place} to {end}, the table has {len(data)}")
    kind, checksum = data[end], struct.unpack("<I", data[end + 1 : end + 5])[0]
    if masked_crc32c(data[place : end + 1]) != checksum:
        raise DataError(f"the checksum of the block at {place} does not match: the file is damaged")
    if kind > 1:
        raise DataError(f"a block is compressed in a way (number {kind}) that is not known")
    return snappy(data[place:end]) if kind else data[place:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    if len(block) < 4:
        raise DataError("a block is too short")
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    if end < 0:
        raise DataError("a block claims more places than it has bytes")
    at, key, total = 0, b"", 0
    while at < end:
        shared, at = read_varint(block, at, end)
        own, at = read_varint(block, at, end)
        size, at = read_varint(block, at, end)
        if shared > len(key) or at + own + size > end:
            raise DataError("an entry reaches beyond its block")
        total += shared + own
        if total > _MOST_KEYS:
            raise DataError("the keys of a block are too long")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + size]
        at += own + size


def snappy(data: bytes) -> bytes:
    """Raw snappy, unpacked: literals, and copies of what came before."""
    size, at = read_varint(data, 0, len(data))
    if size > min(_MOST_UNPACKED, 64 * len(data)):  # three bytes stand for 64 at most
        raise DataError(f"{len(data)} packed bytes claim to be {size}")
    out = bytearray()
    while at < len(data):
        kind, at = data[at], at + 1
        literal = kind & 3 == 0
        at = _literal(data, kind >> 2, at, out) if literal else _copy(data, kind, at, out)
        if len(out) > size:
            break
    if len(out) != size:
        raise DataError(f"packed bytes claim to be {size} and are {len(out)}")
    return bytes(out)


def _literal(data: bytes, size: int, at: int, out: bytearray) -> int:
    if size >= 60:
        extra = size - 59
        size = int.from_bytes(data[at : at + extra], "little")
        at += extra
    if at + size + 1 > len(data):
        raise DataError("packed bytes are cut off")
    out += data[at : at + size + 1]
    return at + size + 1


def _copy(data: bytes, kind: int, at: int, out: bytearray) -> int:
    width = {1: 1, 2: 2, 3: 4}[kind & 3]
    if at + width > len(data):
        raise DataError("packed bytes are cut off")
    offset = int.from_bytes(data[at : at + width], "little")
    size = (kind >> 2) + 1
    if kind & 3 == 1:
        offset, size = offset | kind >> 5 << 8, (kind >> 2 & 7) + 4
    if not 0 < offset <= len(out):
        raise DataError("packed bytes refer to what is not there")
    start = len(out) - offset
    for _ in range(size // offset):
        out += out[start : start + offset]
    out += out[start : start + size % offset]
    return at + width
