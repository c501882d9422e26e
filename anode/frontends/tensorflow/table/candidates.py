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

_ATTRS = {"num_true": REQUIRED, "num_sampled": REQUIRED, "unique": REQUIRED, "seed": 0, "seed2": 0}
_SIGNATURE = "true_classes:int64 -> int64 float32 float32"

Draw = Callable[[np.random.Generator, int], np.ndarray]


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
    random = run.session.random_generator(run.op)
    count = attrs["num_sampled"]
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


def _distinct(random: np.random.Generator, draw: Draw, count: int) -> tuple[np.ndarray, int]:
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
        lambda random, n: random.integers(0, range_max, n),
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

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        classes = np.floor(np.exp(random.random(n) * scale)).astype(np.int64) - 1
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

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        return np.searchsorted(running, random.random(n), side="right")

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
