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
from anode.ir.dims import product
from anode.ir.dtypes import DType, dtype_of, f32, f64, u32, u64
from anode.ir.node import Node, constant
from anode.ir.types import Shape, TensorType
from anode.ops.declare import Composite, composite, primitive
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
def random_bits(
    key: TensorType, *, stream: int, shape: Shape, dtype: DType = u32, pitch: int | None = None
) -> TensorType:
    """Independent uniform bits of an unsigned type.

    Element i, in row-major order, is word i mod 4 of Philox4x32-10 with key (seed low, seed high)
    on the counter (i div 4, stream, step low, step high); the first block of a long key is added to
    the first two words as one number. Of u64, element i is words 2i (low) and 2i + 1; u8 and u16
    are the low bits of one word. Rows, of the last dim, are `pitch` elements apart: by default its
    size, so that every word is used.
    """
    if key not in (KEY, LONG_KEY):
        raise ShapeError(f"random_bits: a key is {KEY} or {LONG_KEY}, not {key}")
    if pitch is not None:
        _check_pitch(shape, dtype, pitch)
    if dtype.kind != "unsigned":
        raise ShapeError(f"random_bits gives unsigned types, not {dtype}")
    if not 0 <= stream <= FOLD_STREAM:
        raise ShapeError(f"random_bits: stream {stream} is not in 0 .. 2^32 - 1")
    return TensorType(dtype, shape)


random_bits.differentiable = False


def _check_pitch(shape: Shape, dtype: DType, pitch: int) -> None:
    if not shape or not shape[-1] <= pitch:
        raise ShapeError(f"random_bits: rows of {shape} do not fit into a pitch of {pitch}")
    words = product(shape[:-1]) * (pitch * (2 if dtype is u64 else 1))
    if isinstance(words, int) and words > 1 << 34:
        raise ShapeError(f"random_bits: {shape} at a pitch of {pitch} needs more than 2^34 words")


@random_bits.canonical
def _(
    key: TensorType, *, stream: int, shape: Any, dtype: object, pitch: int | None
) -> Mapping[str, Any]:
    whole = isinstance(shape, tuple) and shape[-1:] == (pitch,)
    return {"dtype": dtype_of(dtype), "pitch": None if whole else pitch}


@random_bits.evaluate
def _(
    key: np.ndarray, *, stream: int, shape: tuple[int, ...], dtype: DType, pitch: int | None
) -> np.ndarray:
    each = 2 if dtype is u64 else 1  # words of an element
    if pitch is not None:
        return _rows(key, stream, shape, dtype, pitch * each)
    count = math.prod(shape) * each
    if count > 1 << 34:
        raise ShapeError(f"random_bits: {shape} needs more than the 2^34 words of one stream")
    flat = _blocks(key, stream, np.arange(-(-count // 4), dtype=np.uint64)).reshape(-1)[:count]
    return _elements(flat, dtype).reshape(shape)


def _rows(
    key: np.ndarray, stream: int, shape: tuple[int, ...], dtype: DType, pitch: int
) -> np.ndarray:
    """Rows that begin `pitch` words apart, of which only the blocks they use are computed."""
    used = shape[-1] * (2 if dtype is u64 else 1)
    first = np.arange(math.prod(shape[:-1]), dtype=np.uint64)[:, None] * np.uint64(pitch)
    word = first + np.arange(used, dtype=np.uint64)
    block = (first >> np.uint64(2)) + np.arange(used // 4 + 2, dtype=np.uint64)
    words = _blocks(key, stream, block).reshape(len(first), -1)
    place = word - (first & ~np.uint64(3))
    return _elements(np.take_along_axis(words, place.astype(np.int64), 1), dtype).reshape(shape)


def _blocks(key: np.ndarray, stream: int, block: np.ndarray) -> np.ndarray:
    """The four words of each block of a stream, along a new last dim."""
    start = int(key[4]) | int(key[5]) << 32 if len(key) > 4 else 0
    block = block + np.uint64((start + (stream << 32)) % (1 << 64))  # wraps
    rest = [np.full_like(block, int(word)) for word in key[2:4]]
    counter = [block & _LOW, block >> np.uint64(32), *rest]
    return np.stack(philox(counter, (int(key[0]), int(key[1]))), axis=-1)


def _elements(words: np.ndarray, dtype: DType) -> np.ndarray:
    if dtype is u64:
        return words[..., 0::2] | words[..., 1::2] << np.uint64(32)
    return words.astype(dtype.numpy)  # keeps the low bits


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


def _declare(*ops: Composite) -> None:
    for op in ops:
        op.differentiable = False
        if "dtype" in op.attributes:
            op.canonical(_float_dtype)


_declare(random_fold, uniform, normal, truncated_normal, random_bernoulli, stochastic_round)
