"""Philox against its published vectors, and the moments of what is made from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import trace
from anode.ir.node import constant
from anode.ir.op import registry
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.ops.random import philox

KEY = np.array([7, 11, 3, 0], np.uint32)
COUNT = 100_000


def draw(name: str, *args: np.ndarray, **attrs: Any) -> np.ndarray:
    types = [tensor(a.dtype, *a.shape) for a in args]
    graph = trace(lambda *xs: registry[name](*xs, **attrs), *types)
    (value,), _ = evaluate(graph, args)
    return value


# Random123's kat_vectors, philox 4x32 with 10 rounds
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers(counter: list[int], key: list[int], words: list[int]) -> None:
    found = philox([np.array([c], np.uint64) for c in counter], (key[0], key[1]))
    assert [int(w[0]) for w in found] == words


def test_elements_are_words_of_consecutive_blocks() -> None:
    bits = draw("random_bits", KEY, stream=5, shape=(3, 3))
    counters = [np.array([i // 4 for i in range(9)], np.uint64)] + [
        np.full(9, w, np.uint64) for w in (5, 3, 0)
    ]
    words = np.stack(philox(counters, (7, 11)))
    assert bits.dtype == np.uint32
    assert bits.ravel().tolist() == [int(words[i % 4, i]) for i in range(9)]


def test_wide_and_narrow_elements() -> None:
    words = draw("random_bits", KEY, stream=0, shape=(10,))
    wide = draw("random_bits", KEY, stream=0, shape=(5,), dtype="u64")
    assert wide.tolist() == [int(words[2 * i]) | int(words[2 * i + 1]) << 32 for i in range(5)]
    narrow = draw("random_bits", KEY, stream=0, shape=(10,), dtype="u8")
    assert narrow.tolist() == [int(w) & 255 for w in words]


def test_streams_steps_and_folds_differ() -> None:
    draws = [draw("random_bits", KEY, stream=s, shape=(4,)) for s in (0, 1)]
    draws.append(draw("random_bits", KEY + np.array([0, 0, 1, 0], np.uint32), stream=0, shape=(4,)))
    keys = [draw("random_fold", KEY, np.int32(d)) for d in (-1, 0, 1)]
    keys.append(draw("random_fold", KEY, np.int64(1 << 32)))
    assert len({tuple(x) for x in (*draws, *keys)}) == len(draws) + len(keys)
    assert (draw("random_fold", KEY, np.int64(-1)) == keys[0]).all()


def test_a_long_key_begins_at_a_later_block() -> None:
    words = draw("random_bits", KEY, stream=0, shape=(40,))
    later = np.concatenate([KEY, np.array([3, 0], np.uint32)])
    np.testing.assert_array_equal(draw("random_bits", later, stream=0, shape=(28,)), words[12:])


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16"])
def test_uniform(dtype: str) -> None:
    x = draw("uniform", KEY, stream=1, shape=(COUNT,), dtype=dtype).astype(np.float64)
    assert x.min() >= 0
    assert x.max() < 1
    counts = np.histogram(x, 64, (0, 1))[0]
    chi = ((counts - COUNT / 64) ** 2).sum() / (COUNT / 64)
    assert chi < 63 + 5 * np.sqrt(2 * 63)  # five standard deviations
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / np.sqrt(COUNT)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_normal(dtype: str) -> None:
    x = draw("normal", KEY, stream=2, shape=(COUNT,), dtype=dtype).astype(np.float64)
    bound = 5 / np.sqrt(COUNT)
    assert abs(x.mean()) < bound
    assert abs((x**2).mean() - 1) < bound * np.sqrt(2)
    assert abs((x**3).mean()) < bound * np.sqrt(15)
    assert abs((x**4).mean() - 3) < bound * np.sqrt(96)
    assert 3.8 < np.abs(x).max() < 5.5


def test_truncated_normal() -> None:
    x = draw("truncated_normal", KEY, stream=2, shape=(COUNT,)).astype(np.float64)
    assert np.abs(x).max() < 2
    assert np.abs(x).max() > 1.99
    assert abs(x.mean()) < 5 / np.sqrt(COUNT)
    assert abs(x.var() - 0.77374) < 0.01


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bernoulli(p: float) -> None:
    x = draw("random_bernoulli", KEY, np.float32(p), stream=9, shape=(COUNT,))
    assert x.dtype == np.bool_
    assert abs(x.mean() - p) <= 5 * np.sqrt(p * (1 - p) / COUNT)


def test_truncated_normal_by_rejection() -> None:
    x = draw("truncated_normal_by_rejection", KEY, shape=(COUNT,)).astype(np.float64)
    assert np.abs(x).max() < 2
    np.testing.assert_allclose([x.mean(), x.var()], [0, 0.7737], atol=0.02)
    parts = draw("truncated_normal_by_rejection", KEY, shape=(COUNT // 2,))
    np.testing.assert_array_equal(parts, x[: COUNT // 2].astype(np.float32))


def test_errors() -> None:
    key = constant(KEY)
    with pytest.raises(ShapeError, match="a key is"):
        ops.random_bits(constant(KEY[:2]), stream=0, shape=(1,))
    with pytest.raises(ShapeError, match="unsigned"):
        ops.random_bits(key, stream=0, shape=(1,), dtype="f32")
    with pytest.raises(ShapeError, match="stream"):
        ops.random_bits(key, stream=-1, shape=(1,))
    with pytest.raises(ShapeError, match="float type"):
        ops.normal(key, stream=0, shape=(1,), dtype="i32")
    with pytest.raises(ShapeError, match="integer scalar"):
        ops.fold(key, constant(1.0))
    with pytest.raises(ShapeError, match="probabilities of shape"):
        ops.bernoulli(key, constant(np.zeros(3, np.float32)), stream=0, shape=(1,))


def test_stochastic_rounding_goes_to_either_neighbour_and_is_right_in_the_mean():
    value = np.float32(1 + 0.25 * 2**-7)  # a quarter of the way between two numbers of 7 bits
    x = np.full((200, 100), value)
    found = draw("stochastic_round", x, KEY, stream=0, bits=7)
    assert set(np.unique(found)) == {np.float32(1), np.float32(1 + 2**-7)}
    assert abs((found > 1).mean() - 0.25) < 0.01
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, -1.5], np.float32)
    found = draw("stochastic_round", special, KEY, stream=0, bits=7)
    np.testing.assert_array_equal(found, special)


def test_stochastic_rounding_takes_f32_alone():
    with pytest.raises(ShapeError, match="stochastic_round takes f32"):
        draw("stochastic_round", np.ones(3), KEY, stream=0, bits=7)
