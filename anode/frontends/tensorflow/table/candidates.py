"""Samplers of candidate classes: which classes stand for all others in a sampled loss."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.ops.random import philox

_ATTRS = {"num_true": REQUIRED, "num_sampled": REQUIRED, "unique": REQUIRED, "seed": 0, "seed2": 0}
_SIGNATURE = "true_classes:int64 -> int64 float32 float32"


class Words:
    """The 32-bit words that TensorFlow's samplers draw from: one run's part of Philox's stream."""

    def __init__(self, run: Any, num_sampled: int) -> None:
        seed, seed2, draw = run.session.random_key(run.op).view(np.uint64).tolist()
        self._key = seed & 0xFFFFFFFF, seed >> 32
        self._counter = seed2 & 0xFFFFFFFF, seed2 >> 32
        # each run has 2048 words for every sample, whether it needs them or not
        self._block = (draw >> 32) * 512 * num_sampled
        self._left = np.empty(0, np.uint64)

    def take(self, count: int) -> np.ndarray:
        """The next `count` words, as u64."""
        missing = count - len(self._left)
        if missing > 0:
            blocks = np.arange(self._block, self._block - (-missing // 4), dtype=np.uint64)
            self._block += len(blocks)
            rest = [np.full(len(blocks), word, np.uint64) for word in self._counter]
            low, high = blocks & np.uint64(0xFFFFFFFF), blocks >> np.uint64(32)
            drawn = np.stack(philox([low, high, *rest], self._key), 1).reshape(-1)
            self._left = np.concatenate([self._left, drawn])
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def integers(self, count: int, below: int) -> np.ndarray:
        """Uniform integers; that a rest of 2^64 / `below` favours the low ones is not seen."""
        low, high = self.take(2 * count).reshape(count, 2).T
        return (low | high << np.uint64(32)) % np.uint64(below)

    def doubles(self, count: int) -> np.ndarray:
        """Uniform numbers in [0, 1) of 52 bits."""
        high, low = self.take(2 * count).reshape(count, 2).T
        mantissa = (high & np.uint64(0xFFFFF)) << np.uint64(32) | low
        return mantissa.astype(np.float64) * 2.0**-52


Draw = Callable[[Words, int], np.ndarray]


def _shapes(op: Any) -> list[Any]:
    sampled = [op.get_attr("num_sampled")]
    rows = op.inputs[0].shape.as_list()[:1] if op.inputs[0].shape.ndims else [None]
    return [sampled, [*rows, op.get_attr("num_true")], sampled]


def _sampled(
    run: Any,
    true_classes: np.ndarray,
    draw: Draw,
    probability: np.ndarray | Callable[[np.ndarray], np.ndarray],
    attrs: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes that `draw` gives, and how often a batch of draws is expected to have each."""
    count = attrs["num_sampled"]
    random = Words(run, count)
    if true_classes.ndim != 2 or true_classes.shape[1] != attrs["num_true"]:
        raise InvalidArgumentError(None, run.op, "true_classes must have num_true columns")
    if attrs["unique"]:
        sampled, tries = _distinct(random, draw, count)
    else:
        sampled, tries = draw(random, count), None

    def expected(classes: np.ndarray) -> np.ndarray:
        p = probability(classes) if callable(probability) else probability[classes]
        if tries is None:
            return np.asarray(p * count, np.float32)
        return np.asarray(-np.expm1(tries * np.log1p(-p)), np.float32)

    return sampled, expected(true_classes), expected(sampled)


def _distinct(random: Words, draw: Draw, count: int) -> tuple[np.ndarray, int]:
    """The first `count` different draws, and how many draws it took."""
    drawn = draw(random, 2 * count)
    while True:
        _, first = np.unique(drawn, return_index=True)
        if len(first) >= count:
            first = np.sort(first)[:count]
            return drawn[first], int(first[-1]) + 1 if count else 0
        drawn = np.concatenate([drawn, draw(random, len(drawn))])


def _check_range(run: Any, attrs: dict[str, Any], available: int) -> None:
    if attrs["unique"] and attrs["num_sampled"] > available:
        raise InvalidArgumentError(
            None,
            run.op,
            f"Sampler's range is too small: {attrs['num_sampled']} unique classes of {available}",
        )


@host(
    "UniformCandidateSampler",
    _SIGNATURE,
    shape=_shapes,
    stateful=True,
    range_max=REQUIRED,
    **_ATTRS,
)
def _(true_classes: np.ndarray, *, run: Any, range_max: int, **attrs: Any) -> Any:
    _check_range(run, attrs, range_max)
    return _sampled(
        run,
        true_classes,
        lambda random, n: random.integers(n, range_max).astype(np.int64),
        lambda classes: np.full(classes.shape, 1 / range_max),
        attrs,
    )


@host(
    "LogUniformCandidateSampler",
    _SIGNATURE,
    shape=_shapes,
    stateful=True,
    range_max=REQUIRED,
    **_ATTRS,
)
def _(true_classes: np.ndarray, *, run: Any, range_max: int, **attrs: Any) -> Any:
    """P(class) = log((class + 2) / (class + 1)) / log(range_max + 1), Zipf's law."""
    _check_range(run, attrs, range_max)
    scale = np.log(range_max + 1)

    def draw(random: Words, n: int) -> np.ndarray:
        classes = np.floor(np.exp(random.doubles(n) * scale)).astype(np.int64) - 1
        return classes % range_max

    return _sampled(run, true_classes, draw, lambda c: np.log((c + 2.0) / (c + 1.0)) / scale, attrs)


@host(
    "FixedUnigramCandidateSampler",
    _SIGNATURE,
    shape=_shapes,
    stateful=True,
    range_max=REQUIRED,
    vocab_file="",
    distortion=1.0,
    num_reserved_ids=0,
    num_shards=1,
    shard=0,
    unigrams=[],
    **_ATTRS,
)
def _(
    true_classes: np.ndarray,
    *,
    run: Any,
    range_max: int,
    vocab_file: Any,
    distortion: float,
    num_reserved_ids: int,
    num_shards: int,
    shard: int,
    unigrams: Any,
    **attrs: Any,
) -> Any:
    if num_shards != 1 or shard:
        raise UnsupportedOp("FixedUnigramCandidateSampler: num_shards and shard are not supported")
    weights = _unigrams(run, vocab_file, unigrams)
    p = np.concatenate([np.zeros(num_reserved_ids), weights**distortion])
    if len(p) != range_max:
        raise InvalidArgumentError(
            None, run.op, f"range_max is {range_max}, but {len(p)} unigrams are given"
        )
    p /= p.sum()
    _check_range(run, attrs, int(np.count_nonzero(p)))
    running = np.cumsum(p)
    running[-1] = 1.0

    def draw(random: Words, n: int) -> np.ndarray:
        return np.searchsorted(running, random.doubles(n), side="right")

    return _sampled(run, true_classes, draw, p, attrs)


def _unigrams(run: Any, vocab_file: Any, unigrams: Any) -> np.ndarray:
    """The weights that are given: a list, or the last column of a CSV file."""
    path = vocab_file.decode() if isinstance(vocab_file, bytes) else vocab_file
    if bool(path) == bool(len(unigrams)):
        raise InvalidArgumentError(
            None, run.op, "Must provide either a file or a list of unigrams, not both"
        )
    if not path:
        return np.asarray(unigrams, np.float64)
    with open(path, newline="") as file:
        return np.array([float(row[-1]) for row in csv.reader(file) if row])


@host("AllCandidateSampler", _SIGNATURE, shape=_shapes, stateful=True, **_ATTRS)
def _(true_classes: np.ndarray, *, num_sampled: int, **_: Any) -> Any:
    ones = np.ones(num_sampled, np.float32)
    return np.arange(num_sampled), np.ones(true_classes.shape, np.float32), ones


def _learned(type: str) -> None:
    @host(type, _SIGNATURE, shape=_shapes, stateful=True, range_max=REQUIRED, **_ATTRS)
    def _(*_: Any, **__: Any) -> Any:
        raise UnsupportedOp(f"{type} is not supported; use log_uniform_candidate_sampler")


for _type in ("LearnedUnigramCandidateSampler", "ThreadUnsafeUnigramCandidateSampler"):
    _learned(_type)


@host(
    "ComputeAccidentalHits",
    "true_classes:int64 sampled_candidates:int64 -> int32 int64 float32",
    shape=lambda op: [[None]] * 3,
    num_true=REQUIRED,
    seed=0,
    seed2=0,
)
def _(true_classes: np.ndarray, sampled: np.ndarray, *, num_true: int, **_: int) -> Any:
    rows, _columns, places = np.nonzero(true_classes[:, :, None] == sampled)
    lowest = np.full(len(rows), float32.min, np.float32)
    return rows.astype(np.int32), places.astype(np.int64), lowest
