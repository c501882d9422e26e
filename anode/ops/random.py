"""Random numbers that are a function of a key: the same bits on every backend and thread count.

A key is u32[4] = (seed low, seed high, step low, step high). Every drawing op names its `stream`, a
number that keeps it apart from the other draws of one key; streams 0 to 2³² − 2 are the user's.
A key u32[6] has two words more, the number (low, high) of the block that the draws begin with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from anode.errors import ShapeError
from anode.ir.dtypes import DType, dtype_of, f32, f64, u32, u64
from anode.ir.node import Node, constant
from anode.ir.types import Shape, TensorType
from anode.ops.declare import DeclaredOp, composite, narrow, primitive
from anode.ops.elementwise import (
    convert,
    erf_inv,
    is_finite,
    less,
    select,
    shift_right_logical,
)
from anode.ops.shape import bitcast, concatenate, reshape

KEY = TensorType(u32, (4,))
LONG_KEY = TensorType(u32, (6,))
FOLD_STREAM = (1 << 32) - 1  # the stream of `fold`, which no user stream may take

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and √3 − 1, Weyl sequences
_LOW = np.uint64(0xFFFFFFFF)


def philox(counter: list[np.ndarray], key: tuple[int, int]) -> list[np.ndarray]:
    """Philox4x32-10 of four uint64 arrays of 32-bit words: four arrays of 32-bit words.

    Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    a, b, c, d = counter
    for turn in range(10):
        k0, k1 = ((k + turn * step) & 0xFFFFFFFF for k, step in zip(key, _KEY_STEPS, strict=True))
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b = (second >> np.uint64(32)) ^ b ^ np.uint64(k0), second & _LOW
        c, d = (first >> np.uint64(32)) ^ d ^ np.uint64(k1), first & _LOW
    return [a, b, c, d]


@primitive
def random_bits(key: TensorType, *, stream: int, shape: Shape, dtype: DType = u32) -> TensorType:
    """Independent uniform bits of an unsigned type.

    Element i, in row-major order, is word i mod 4 of Philox4x32-10 with key (seed low, seed high)
    on the counter (i div 4, stream, step low, step high); the first block of a long key is added to
    the first two words as one number. Of u64, element i is words 2i (low) and 2i + 1; u8 and u16
    are the low bits of one word.
    """
    if key not in (KEY, LONG_KEY):
        raise ShapeError(f"random_bits: a key is {KEY} or {LONG_KEY}, not {key}")
    if dtype.kind != "unsigned":
        raise ShapeError(f"random_bits gives unsigned types, not {dtype}")
    if not 0 <= stream <= FOLD_STREAM:
        raise ShapeError(f"random_bits: stream {stream} is not in 0 .. 2^32 - 1")
    return TensorType(dtype, shape)


random_bits.differentiable = False


@random_bits.canonical
def _(key: TensorType, *, stream: int, shape: Any, dtype: object) -> Mapping[str, Any]:
    return {"dtype": dtype_of(dtype)}


@random_bits.evaluate
def _(key: np.ndarray, *, stream: int, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    count = math.prod(shape) * (2 if dtype is u64 else 1)
    if count > 1 << 34:
        raise ShapeError(f"random_bits: {shape} needs more than the 2^34 words of one stream")
    flat = _blocks(key, stream, np.arange(-(-count // 4), dtype=np.uint64)).reshape(-1)[:count]
    if dtype is u64:
        return (flat[0::2] | flat[1::2] << np.uint64(32)).reshape(shape)
    return flat.astype(dtype.numpy).reshape(shape)  # keeps the low bits


def _blocks(key: np.ndarray, stream: int, block: np.ndarray) -> np.ndarray:
    """The four words of each block of a stream, along a new last dim."""
    start = int(key[4]) | int(key[5]) << 32 if len(key) > 4 else 0
    block = block + np.uint64((start + (stream << 32)) % (1 << 64))  # wraps
    rest = [np.full_like(block, int(word)) for word in key[2:4]]
    counter = [block & _LOW, block >> np.uint64(32), *rest]
    return np.stack(philox(counter, (int(key[0]), int(key[1]))), axis=-1)


@composite
def random_fold(key: Node, data: Node) -> Node:
    """The key of `data`, an integer scalar, below `key`: distinct data give distinct keys.

    Four words drawn from the key, with the 64 bits of `data` (sign extended) put into the step.
    """
    if not data.dtype.is_integer or data.shape:
        raise ShapeError(f"fold takes an integer scalar, not {data.type}")
    wide = convert(data, dtype=u64)
    low, high = convert(wide, dtype=u32), convert(shift_right_logical(wide, 32), dtype=u32)
    step = concatenate(reshape(low, shape=(1,)), reshape(high, shape=(1,)), axis=0)
    words = random_bits(key, stream=FOLD_STREAM, shape=(4,))
    return words ^ concatenate(constant([0, 0], u32), step, axis=0)


fold = random_fold


@composite
def uniform(key: Node, *, stream: int, shape: Shape, dtype: DType = f32) -> Node:
    """Uniform in [0, 1), a multiple of 2^-p with p the type's significand bits (f32: 24).

    Scale it for other bounds: `low + (high - low) * uniform(...)`.
    """
    digits = {"f64": 53, "f32": 24, "f16": 11, "bf16": 8}[dtype.name]
    words = random_bits(key, stream=stream, shape=shape, dtype=u64 if dtype is f64 else u32)
    whole = shift_right_logical(words, words.dtype.bits - digits)
    return convert(convert(whole, dtype=dtype.compute) * 2.0**-digits, dtype=dtype)


@composite
def normal(key: Node, *, stream: int, shape: Shape, dtype: DType = f32) -> Node:
    """Normal with mean 0 and variance 1, by the inverse of its distribution function.

    One word gives one number, at the middle of one of 2^24 equal shares of the probability (f64:
    2^53), so f32 goes out to ±5.4. Scale and shift it for other moments.
    """
    wide = dtype.compute
    return convert(erf_inv(_centred(key, stream, shape, wide)) * math.sqrt(2), dtype=dtype)


@composite
def truncated_normal(key: Node, *, stream: int, shape: Shape, dtype: DType = f32) -> Node:
    """Normal conditioned on |x| < 2, TensorFlow's truncated normal; its variance is 0.7737."""
    inside = math.erf(math.sqrt(2))  # the probability of |x| < 2
    middle = _centred(key, stream, shape, dtype.compute) * inside
    return convert(erf_inv(middle) * math.sqrt(2), dtype=dtype)


@primitive
def truncated_normal_by_rejection(
    key: TensorType, *, shape: Shape, dtype: DType = f32
) -> TensorType:
    """Normal numbers, drawn again while |x| ≥ 2: TensorFlow's own, to rounding.

    Each 4 of them (f64: 2), in row-major order, are the first to lie inside of a stream of words
    that begins 64 blocks for each number further on, taken in pairs by Box and Muller's method.
    """
    if key not in (KEY, LONG_KEY):
        raise ShapeError(f"truncated_normal_by_rejection: a key is {KEY} or {LONG_KEY}, not {key}")
    return TensorType(dtype, shape)


@truncated_normal_by_rejection.evaluate
def _(key: np.ndarray, *, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    count, kept = math.prod(shape), 2 if dtype is f64 else 4
    groups = np.arange(-(-count // kept), dtype=np.uint64)
    parts = np.split(groups, range(_AT_ONCE, len(groups), _AT_ONCE))
    numbers = np.concatenate([_accepted(key, part, kept, dtype.compute) for part in parts])
    return narrow(numbers.reshape(-1)[:count].reshape(shape), dtype)


_AT_ONCE = 1 << 13  # groups whose numbers stay in the processor's cache


def _accepted(key: np.ndarray, groups: np.ndarray, kept: int, dtype: DType) -> np.ndarray:
    """The first `kept` numbers inside of each group's stream."""
    found, have = np.empty((len(groups), kept), dtype.numpy), np.zeros(len(groups), np.int64)
    rows, turn = np.arange(len(groups)), 0
    while rows.size:
        block = groups[rows] * np.uint64(64 * kept) + np.uint64(turn)
        numbers = _box_muller(_blocks(key, 0, block), dtype)
        inside = np.abs(numbers) < 2
        place = have[rows, None] + np.cumsum(inside, 1) - 1
        row, column = np.nonzero(inside & (place < kept))
        found[rows[row], place[row, column]] = numbers[row, column]
        have[rows] += inside.sum(1)
        rows, turn = rows[have[rows] < kept], turn + 1
    return found


def _box_muller(words: np.ndarray, dtype: DType) -> np.ndarray:
    """Normal numbers of the words of blocks: 4 of each block in f32, 2 in f64."""
    if dtype is f64:
        bits = (words[:, 0::2] & np.uint64(0xFFFFF)) << np.uint64(32) | words[:, 1::2]
        uniform = (bits | np.uint64(0x3FF << 52)).view(np.float64) - 1
    else:
        bits = words.astype(np.uint32) & np.uint32(0x7FFFFF)
        uniform = (bits | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    radius = np.sqrt(-2 * np.log(np.maximum(uniform[:, 0::2], dtype.numpy.type(1e-7))))
    angle = dtype.numpy.type(2 * math.pi) * uniform[:, 1::2]
    pairs = np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=-1)
    return pairs.reshape(len(words), -1)


@composite
def random_bernoulli(key: Node, p: Node, *, stream: int, shape: Shape) -> Node:
    """bool, true with probability `p`, a float tensor that broadcasts to `shape`."""
    p = convert(p, dtype=p.dtype.compute)
    drawn = less(uniform(key, stream=stream, shape=shape, dtype=p.dtype), p)
    if drawn.shape != tuple(shape):
        raise ShapeError(f"bernoulli: probabilities of shape {p.shape} for a draw of shape {shape}")
    return drawn


@composite
def stochastic_round(x: Node, key: Node, *, stream: int, bits: int) -> Node:
    """f32 `x` rounded to `bits` bits after the leading one (0 to 22), up or down at random.

    The chance of either neighbour is as its distance from the other, so that the mean is `x`; what
    has few bits already stays, and so do infinities and NaNs. Source: Gupta et al., 2015.
    """
    if x.dtype is not f32 or not 0 <= bits <= 22:
        raise ShapeError(f"stochastic_round takes f32 and 0 to 22 bits, not {x.type}, {bits} bits")
    dropped = 23 - bits
    words = random_bits(key, stream=stream, shape=x.shape)
    raised = bitcast(x, dtype=u32) + shift_right_logical(words, 32 - dropped)
    rounded = raised & constant(0xFFFFFFFF << dropped & 0xFFFFFFFF, u32)
    return select(is_finite(x), bitcast(rounded, dtype=f32), x)


def bernoulli(key: Node, p: Node | float, *, stream: int, shape: Shape) -> Node:
    """bool, true with probability `p`, a number or a float tensor that broadcasts to `shape`."""
    p = p if isinstance(p, Node) else constant(float(p), f32)
    return random_bernoulli(key, p, stream=stream, shape=shape)


def _centred(key: Node, stream: int, shape: Shape, dtype: DType) -> Node:
    """Uniform in (-1, 1): the odd multiples of 2^-24 (f64: 2^-53), exactly."""
    digits = 53 if dtype is f64 else 24
    return uniform(key, stream=stream, shape=shape, dtype=dtype) * 2.0 - (1 - 2.0**-digits)


def _float_dtype(key: TensorType, *, dtype: object, **_: Any) -> Mapping[str, Any]:
    found = dtype_of(dtype)
    if not found.is_float:
        raise ShapeError(f"random floats have a float type, not {found}")
    return {"dtype": found}


def _declare(*ops: DeclaredOp) -> None:
    for op in ops:
        op.differentiable = False
        if "dtype" in op.attributes:
            op.canonical(_float_dtype)


_declare(random_fold, uniform, normal, truncated_normal, random_bernoulli, stochastic_round)
_declare(truncated_normal_by_rejection)
