"""Random numbers: the very ones that TensorFlow draws for a key, to rounding.

TensorFlow's generator is Philox4x32-10 with the op's two seeds as key and high counter words, and
its distributions take the words in order. A key here is u32[6]: (seed, seed2) low word first, then
2³² times the number of the draw; TensorFlow goes on by 256 blocks for each number of a draw.
Source: tensorflow/core/lib/random/random_distributions.h and philox_random.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.infer import known_sizes
from anode.frontends.tensorflow.opdef import REQUIRED, host, op, static
from anode.frontends.tensorflow.table.array_shapes import sizes_at
from anode.ir.dtypes import DType, f64, i32, i64, u16, u32, u64
from anode.ir.graph import Graph
from anode.ir.node import Node, constant
from anode.ops.evaluate import evaluate

Shape = Sequence[int]

_LEAST = 1e-7  # what Box-Muller's first uniform number is raised to
_RESERVED = 256  # blocks that TensorFlow goes on by for each number drawn


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in static(shape).reshape(-1))


def _words(key: Node, *shape: int, dtype: DType = u32) -> Node:
    return ops.random_bits(key, stream=0, shape=shape, dtype=dtype)


def _drawn(key: Node, numbers: int) -> Node:
    """The key of a draw: TensorFlow's block, where the session counts the draws.

    In a loop a key is folded with the iterations, and has nothing to count.
    """
    if key.shape != (6,):
        return key
    turn = ops.convert(key[5:], dtype=u64) * (numbers * _RESERVED)
    halves = ops.concatenate(turn, ops.shift_right_logical(turn, 32), axis=0)
    return ops.concatenate(key[:4], ops.convert(halves, dtype=u32), axis=0)


def _fraction(bits: Node, dtype: DType) -> Node:
    """Uniform in [0, 1): the low bits become the significand of a number between 1 and 2."""
    if dtype is f64:  # the first word is the upper half
        bits = ops.shift_left(bits & 0xFFFFF, 32) | ops.shift_right_logical(bits, 32)
    digits = {"f64": 52, "f32": 23, "f16": 10, "bf16": 7}[dtype.name]
    one = ops.bitcast(constant(1, dtype), dtype=bits.dtype)
    return ops.bitcast(bits & ((1 << digits) - 1) | one, dtype=dtype) - 1


def _bits_of(dtype: DType) -> DType:
    return {64: u64, 32: u32, 16: u16}[dtype.bits]


def _uniform(key: Node, shape: Shape, dtype: DType) -> Node:
    return _fraction(_words(key, *shape, dtype=_bits_of(dtype)), dtype)


def _box_muller(bits: Node, dtype: DType) -> Node:
    """Two normal numbers of each two uniform ones along the last dim."""
    uniform = _fraction(bits, dtype)
    radius = ops.sqrt(-2 * ops.log(ops.maximum(uniform[..., :1], _LEAST)))
    angle = 2 * math.pi * uniform[..., 1:]
    return ops.concatenate(ops.sin(angle) * radius, ops.cos(angle) * radius, axis=-1)


def _normal(key: Node, shape: Shape, dtype: DType) -> Node:
    wide, count = dtype.compute, math.prod(shape)
    bits = _words(key, -(-count // 2), 2, dtype=_bits_of(wide))
    numbers = ops.reshape(_box_muller(bits, wide), shape=(-1,))[:count]
    return ops.convert(ops.reshape(numbers, shape=tuple(shape)), dtype=dtype)


def _truncated(key: Node, shape: Shape, dtype: DType) -> Node:
    return ops.truncated_normal_by_rejection(key, shape=shape, dtype=dtype)


DRAWS: dict[str, Callable[[Node, Shape, DType], Node]] = {
    "RandomStandardNormal": _normal,
    "RandomUniform": _uniform,
    "TruncatedNormal": _truncated,
}
STATELESS = {
    "StatelessRandomNormal": _normal,
    "StatelessRandomUniform": _uniform,
    "StatelessTruncatedNormal": _truncated,
}


def _drawing(draw: Callable[[Node, Shape, DType], Node]) -> Callable[..., Node]:
    def lower(shape: Any, *, key: Node, dtype: DType, **_: int) -> Node:
        sizes = _shape(shape)
        return draw(_drawn(key, math.prod(sizes)), sizes, dtype)

    return lower


def _drawing_stateless(draw: Callable[[Node, Shape, DType], Node]) -> Callable[..., Node]:
    def lower(shape: Any, seed: Node, *, dtype: DType) -> Node:
        return draw(_mixed(seed), _shape(shape), dtype)

    return lower


def _mixed(seed: Node) -> Node:
    """The key of a stateless draw: one block whose counter is the two seeds, scrambled."""
    pair = ops.convert(seed, dtype=i64)
    low = ops.convert(ops.bitcast(pair, dtype=u64), dtype=u32)
    high = ops.convert(ops.shift_right_logical(ops.bitcast(pair, dtype=u64), 32), dtype=u32)
    halves = ops.stack([low, high], axis=1)
    fixed = constant(np.array([0x3EC8F720, 0x02461E29], np.uint32))
    block = _words(ops.concatenate(fixed, halves[1], halves[0], axis=0), 4)
    return ops.concatenate(block, constant(np.zeros(2, np.uint32)), axis=0)


for _type, _draw in DRAWS.items():
    _attrs: dict[str, Any] = {"seed": 0, "seed2": 0, "dtype": REQUIRED, "stateful": True}
    op(_type, "shape:T -> dtype", shape=sizes_at(0), **_attrs)(_drawing(_draw))
for _type, _draw in STATELESS.items():
    op(_type, "shape:T seed:Tseed -> dtype", shape=sizes_at(0), dtype=tf.float32)(
        _drawing_stateless(_draw)
    )


def _uniform_int(key: Node, shape: Shape, low: Node, high: Node) -> Node:
    """low + bits mod (high − low), as TensorFlow has it: hardly uneven for small ranges."""
    bits = _bits_of(low.dtype)
    span = ops.bitcast(high - low, dtype=bits)
    drawn = ops.remainder(_words(key, *shape, dtype=bits), span)
    return low + ops.bitcast(drawn, dtype=low.dtype)


@op(
    "RandomUniformInt",
    "shape:T minval:Tout maxval:Tout -> Tout",
    shape=sizes_at(0),
    seed=0,
    seed2=0,
    stateful=True,
)
def _(shape: Any, minval: Node, maxval: Node, *, key: Node, **_: int) -> Node:
    sizes = _shape(shape)
    return _uniform_int(_drawn(key, math.prod(sizes)), sizes, minval, maxval)


@op("StatelessRandomUniformInt", "shape:T seed:Tseed minval:dtype maxval:dtype -> dtype")
def _(shape: Any, seed: Node, minval: Node, maxval: Node) -> Node:
    return _uniform_int(_mixed(seed), _shape(shape), minval, maxval)


@op("StatelessRandomUniformFullInt", "shape:T seed:Tseed -> dtype", dtype=tf.uint64)
def _(shape: Any, seed: Node, *, dtype: DType) -> Node:
    return ops.bitcast(_words(_mixed(seed), *_shape(shape), dtype=_bits_of(dtype)), dtype=dtype)


def _categorical(key: Node, logits: Node, count: int, dtype: DType) -> Node:
    """The first class whose running probability exceeds a uniform number, in f64."""
    if len(logits.shape) != 2:
        raise UnsupportedOp(f"Multinomial: logits must be a matrix, not {logits.type}")
    wide = ops.convert(logits, dtype=f64)
    weight = ops.exp(wide - ops.max(wide, 1, keepdims=True))
    running = ops.cumsum(ops.select(ops.is_finite(wide), weight, 0), 1)
    found = _uniform(key, (logits.tensor.static[0], count), f64) * running[:, -1:]
    below = ops.less_equal(ops.expand_dims(running, 1), ops.expand_dims(found, 2))
    return ops.convert(ops.sum(ops.convert(below, dtype=i32), 2), dtype=dtype)


@op(
    "Multinomial",
    "logits:T num_samples:int32 -> output_dtype",
    seed=0,
    seed2=0,
    output_dtype=tf.int64,
    stateful=True,
)
def _(logits: Node, num_samples: Any, *, key: Node, output_dtype: DType, **_: int) -> Node:
    count = int(static(num_samples))
    numbers = 2 * logits.tensor.static[0] * (-(-count // 4) * 4)  # an f64 takes two
    return _categorical(_drawn(key, numbers), logits, count, output_dtype)


@op(
    "StatelessMultinomial",
    "logits:T num_samples:int32 seed:Tseed -> output_dtype",
    output_dtype=tf.int64,
)
def _(logits: Node, num_samples: Any, seed: Node, *, output_dtype: DType) -> Node:
    return _categorical(_mixed(seed), logits, int(static(num_samples)), output_dtype)


# kernels on the host


@host("RandomShuffle", "value:T -> T", shape="same", seed=0, seed2=0, stateful=True)
def _(value: np.ndarray, *, run: Any, **_: int) -> np.ndarray:
    """The rows in an order that is shuffled from the first place on."""
    count = len(value)
    key = run.session.random_key(run.op)
    start = int(key[5]) * (-(-(count - 1) // 4))  # blocks
    words = philox_words(key[:4], start, max(count - 1, 0))
    order = list(range(count))
    for i, word in enumerate(words.tolist()):
        j = i + word % (count - i)
        order[i], order[j] = order[j], order[i]
    return value[order]


def philox_words(key: np.ndarray, start: int, count: int) -> np.ndarray:
    """`count` words of a key from block `start` on."""
    halves = [start & 0xFFFFFFFF, start >> 32 & 0xFFFFFFFF]
    (words,), _ = evaluate(
        Graph.make((), [_words(constant(np.array([*key, *halves], np.uint32)), count)]), []
    )
    return np.asarray(words)


def _shape_before(op: Any) -> list[Any]:
    """The drawn sizes, then the dims of the parameter."""
    sizes, inner = known_sizes(op.inputs[0]), op.inputs[1].shape
    return [None if sizes is None or inner.ndims is None else [*sizes, *inner.as_list()]]


@host("RandomGamma", "shape:S alpha:T -> T", shape=_shape_before, seed=0, seed2=0, stateful=True)
def _(shape: np.ndarray, alpha: np.ndarray, *, run: Any, **_: int) -> np.ndarray:
    """Draws of NumPy's generator, which are not TensorFlow's."""
    random = run.session.random_generator(run.op)
    drawn = random.standard_gamma(alpha.astype(np.float64), (*shape, *alpha.shape))
    return np.asarray(drawn, alpha.dtype)


@host(
    "RandomPoissonV2",
    "shape:S rate:R -> dtype",
    shape=_shape_before,
    seed=0,
    seed2=0,
    dtype=tf.int64,
    stateful=True,
)
def _(shape: np.ndarray, rate: np.ndarray, *, run: Any, dtype: Any, **_: int) -> np.ndarray:
    """Draws of NumPy's generator, which are not TensorFlow's."""
    random = run.session.random_generator(run.op)
    drawn = random.poisson(rate.astype(np.float64), (*shape, *rate.shape))
    return np.asarray(drawn, dtype.as_numpy_dtype)
