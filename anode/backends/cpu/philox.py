"""Philox4x32-10 on lanes: counter-based random bits, the same for any width and number of threads.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.position import Position
from anode.ir.dtypes import DType, u32, u64

if TYPE_CHECKING:
    from anode.backends.cpu.pull import Puller

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox_word(
    puller: Puller, flat: Position, key: Sequence[Lane], stream: int, dtype: DType
) -> Lane:
    """Random bits for the element(s) at the row-major position `flat` of a drawing op's result."""
    lanes = puller.scalar if flat.uniform else puller.vector
    position = puller.index.vector(flat) if not flat.uniform else flat.base
    if isinstance(position, int):
        position = ir.Constant(ir.IntType(64), position)
    index = lanes.convert(Lane(position, u64), u32)
    if dtype.bits == 64:
        index = lanes.shift_left(index, lanes.const(1, u32))
    words = _block(lanes, index, [_spread(lanes, k) for k in key], stream)
    low = _pick(lanes, words, index)
    if dtype.bits < 64:
        return lanes.convert(low, dtype)
    high = _pick(lanes, words, lanes.add(index, lanes.const(1, u32)))
    shifted = lanes.shift_left(lanes.convert(high, u64), lanes.const(32, u64))
    return lanes.convert(lanes.or_(shifted, lanes.convert(low, u64)), dtype)


def _spread(lanes: Lanes, lane: Lane) -> Lane:
    return lanes.splat(lane.value, lane.dtype)


def _pick(lanes: Lanes, words: Sequence[Lane], index: Lane) -> Lane:
    """Word `index % 4` of a block."""
    odd = lanes.ne(lanes.and_(index, lanes.const(1, u32)), lanes.const(0, u32))
    upper = lanes.ne(lanes.and_(index, lanes.const(2, u32)), lanes.const(0, u32))
    low = lanes.select(odd, words[1], words[0])
    high = lanes.select(odd, words[3], words[2])
    return lanes.select(upper, high, low)


def _block(lanes: Lanes, index: Lane, key: Sequence[Lane], stream: int) -> list[Lane]:
    """The four words of block `index // 4`: ten rounds of the bijection."""
    counter = [
        lanes.shift_right_logical(index, lanes.const(2, u32)),
        lanes.const(stream, u32),
        key[2],
        key[3],
    ]
    k = list(key[:2])
    for round in range(_ROUNDS):
        if round:
            k = [lanes.add(x, lanes.const(w, u32)) for x, w in zip(k, _WEYL, strict=True)]
        high0, low0 = _multiply(lanes, counter[0], _MULTIPLIERS[0])
        high1, low1 = _multiply(lanes, counter[2], _MULTIPLIERS[1])
        counter = [
            lanes.xor(lanes.xor(high1, counter[1]), k[0]),
            low1,
            lanes.xor(lanes.xor(high0, counter[3]), k[1]),
            low0,
        ]
    return counter


def _multiply(lanes: Lanes, x: Lane, multiplier: int) -> tuple[Lane, Lane]:
    """The high and low halves of a 32 × 32 bit product."""
    product = lanes.mul(lanes.convert(x, u64), lanes.const(multiplier, u64))
    high = lanes.shift_right_logical(product, lanes.const(32, u64))
    return lanes.convert(high, u32), lanes.convert(product, u32)
