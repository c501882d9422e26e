"""CRC-32C (Castagnoli), the checksum of TensorFlow's files.

With the package `crc32c` it runs at memory speed. Without it, long data are folded: rows of words
are added up (a CRC is linear), each row moved past the next by tables, until one row is left. In
shorter data each byte's part of the CRC is looked up by its place, and the parts are added up.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Bytes = bytes | bytearray | memoryview

_POLYNOMIAL = 0x82F63B78  # reflected
_LANES = 4096  # words in a row: 16 KB, so that a row and its tables stay in cache
_BLOCK = 1024  # bytes whose places have a table
_MASK_DELTA = 0xA282EAD8


def crc32c(data: Bytes, crc: int = 0) -> int:
    """The CRC-32C of `data`, which follows data whose CRC-32C is `crc`."""
    return _implementation()(data, crc)


def masked(crc: int) -> int:
    """A CRC as files store it: rotated and offset, as the CRC of data that hold CRCs is weak."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc32c(data: Bytes) -> int:
    return masked(crc32c(data))


@cache
def _implementation() -> Callable[[Bytes, int], int]:
    try:
        package = importlib.import_module("crc32c")
    except ImportError:
        return folded_crc32c
    return package.crc32c


def folded_crc32c(data: Bytes, crc: int = 0) -> int:
    """The CRC-32C by NumPy, without any package."""
    register, view = crc ^ 0xFFFFFFFF, memoryview(data).cast("B")
    row = 4 * _LANES
    if len(view) >= row:
        words = np.frombuffer(view[: len(view) // row * row], "<u4")
        register = _fold(words, register)
        view = view[words.nbytes :]
    if len(view) >= 64:
        return _by_place(np.frombuffer(view, np.uint8), register) ^ 0xFFFFFFFF
    table = _byte_table()
    for byte in view:
        register = register >> 8 ^ table[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def _by_place(data: np.ndarray, register: int) -> int:
    """The register after `data` u8, block by block; only the first block may be shorter."""
    places, starts = _place_table()
    begin = 0
    for end in range(len(data) % _BLOCK or _BLOCK, len(data) + 1, _BLOCK):
        block = data[begin:end].copy()
        entered = min(4, len(block))  # bytes of the register that the block uses up
        block[:entered] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)[:entered]
        parts = places[starts[begin - end :] + block]
        register = register >> 8 * entered ^ int(np.bitwise_xor.reduce(parts))
        begin = end
    return register


@cache
def _place_table() -> tuple[np.ndarray, np.ndarray]:
    """What each value of a byte adds at each place of a block; and where each place begins."""
    last = np.array(_byte_table(), np.uint32)
    rows = [last]
    for _ in range(_BLOCK - 1):
        rows.append(rows[-1] >> np.uint32(8) ^ last[rows[-1] & 0xFF])
    return np.concatenate(rows[::-1]), np.arange(0, 256 * _BLOCK, 256)


@cache
def _byte_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ _POLYNOMIAL * (value & 1)
        table.append(value)
    return tuple(table)


def _fold(words: np.ndarray, register: int) -> int:
    """The register after whole rows of words."""
    row = words[:_LANES].copy()
    row[0] ^= np.uint32(register)
    low, high = _wide_tables(_LANES)
    for start in range(_LANES, len(words), _LANES):
        halves = row.view(np.uint16)
        row = low[halves[0::2]] ^ high[halves[1::2]]
        row ^= words[start : start + _LANES]
    return _halve(row)


def _halve(words: np.ndarray) -> int:
    """The register after a power of two of words that begin with register 0."""
    while len(words) > 1:
        half = len(words) // 2
        words = _moved(words[:half], half) ^ words[half:]
    return int(_moved(words, 1)[0])


def _moved(words: np.ndarray, distance: int) -> np.ndarray:
    """Each word as register, after `distance` further words of zeros."""
    tables = _narrow_tables(distance)
    by_byte = np.ascontiguousarray(words).view(np.uint8).reshape(-1, 4)
    moved = tables[0][by_byte[:, 0]]
    for i in range(1, 4):
        moved ^= tables[i][by_byte[:, i]]
    return moved


@cache
def _basis(distance: int) -> tuple[int, ...]:
    """Where each of the register's 32 bits goes by `distance` (a power of two) words of zeros."""
    if distance > 1:
        half = _basis(distance // 2)
        return tuple(_apply(half, value) for value in half)
    table, moved = _byte_table(), []
    for bit in range(32):
        register = 1 << bit
        for _ in range(4):
            register = register >> 8 ^ table[register & 0xFF]
        moved.append(register)
    return tuple(moved)


def _apply(basis: tuple[int, ...], value: int) -> int:
    out = 0
    for bit, image in enumerate(basis):
        if value >> bit & 1:
            out ^= image
    return out


@cache
def _narrow_tables(distance: int) -> list[np.ndarray]:
    """For each of a register's four bytes, what each of its values becomes."""
    basis = _basis(distance)
    return [_spanned(basis[i : i + 8]) for i in range(0, 32, 8)]


@cache
def _wide_tables(distance: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for a register's halves."""
    basis = _basis(distance)
    return _spanned(basis[:16]), _spanned(basis[16:])


def _spanned(images: tuple[int, ...]) -> np.ndarray:
    """The image of each number, from the images of its bits."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate([table, table ^ np.uint32(image)])
    return table
