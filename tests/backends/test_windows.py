"""Windows and sums of them as native code, at shapes where its parts meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import trace
from anode.ir.node import Node, constant
from anode.ir.types import tensor
from tests.backends.agreement import Case, check, compiled, run

POOLS: list[dict[str, Any]] = [
    {"sizes": (2, 2), "strides": (2, 2)},
    {"sizes": (3, 3), "strides": (2, 2)},
    {"sizes": (3, 3), "strides": (2, 2), "low": (1, 1), "high": (1, 1)},
    {"sizes": (3, 3), "low": (1, 1), "high": (1, 1)},
    {"sizes": (3, 2), "strides": (1, 3), "dilations": (2, 1)},
    {"sizes": (2, 2), "strides": (3, 4)},
    {"sizes": (7, 7)},
    {"sizes": (7, 6), "strides": (6, 5), "low": (3, 3), "high": (3, 3)},
]
SHAPES = [(2, 7, 7, 5), (1, 8, 9, 20), (3, 9, 8, 1), (1, 7, 8, 64)]


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_pooling_and_its_gradient(shape):
    def function(x: Node, attrs: dict[str, Any]) -> list[Node]:
        y, index = ops.max_pool(x, **attrs), ops.max_pool_with_index(x, **attrs).item(1)
        ct = ops.convert(index, dtype="f32") - y
        back = ops.max_pool_grad(ct, index, lengths=x.shape[1:-1], **attrs)
        mean = ops.average_pool(x, **attrs)
        return [y, index, ops.select(ops.greater(x, 0.0), back, 0.0), mean]

    x = values(shape)
    cases = [
        Case(str(attrs), trace(lambda x, a=attrs: function(x, a), tensor("f32", *shape)), [x])
        for attrs in POOLS
    ]
    check(cases, threads=2)


@pytest.mark.parametrize("special", [np.nan, -np.inf, np.inf])
def test_the_first_largest_element_counts(special):
    x = values((1, 5, 5, 20), seed=1)
    x[:, ::2, 1:4] = special
    x[0, 0] = special
    attrs = {"sizes": (3, 3), "strides": (1, 2), "low": (1, 0), "high": (0, 1)}
    graph = trace(lambda x: ops.max_pool_with_index(x, **attrs).items, tensor("f32", *x.shape))
    check([Case(str(special), graph, [x])])


@pytest.mark.parametrize("dtype", ["f64", "bf16", "i8", "u8"])
def test_pooling_of_other_types(dtype):
    type = tensor(dtype, 2, 6, 6, 20)
    x = np.abs(values((2, 6, 6, 20))).astype(type.dtype.numpy)
    graph = trace(lambda x: ops.max_pool_with_index(x, sizes=(3, 3)).items, type)
    check([Case(dtype, graph, [x])])


@pytest.mark.parametrize("channels", [1, 3, 16, 20, 96])
def test_windows_over_the_channels(channels):
    def function(x: Node) -> list[Node]:
        y = ops.local_response_norm(x, size=5, alpha=0.5)
        return [y, ops.local_response_norm_grad(y, x, size=5, alpha=0.5, beta=0.75, k=1.0)]

    x = values((2, 3, 3, channels))
    check([Case("lrn", trace(function, tensor("f32", *x.shape)), [x])], threads=2)


def test_a_large_window_is_not_written_out():
    def function(y: Node) -> Node:
        attrs = {"lengths": (18, 26), "axes": (0, 1), "sizes": (10, 12), "strides": (2, 1)}
        return ops.overlap_add(y + 1.0, **attrs)

    shape = (5, 15, 10, 12, 18)
    made = compiled(graph := trace(function, tensor("f32", *shape)))
    assert len(made.stages["llvm"]) < 30_000
    check([Case("large", graph, [values(shape)])], threads=2)


def test_values_outside_of_the_sums():
    def function(y: Node) -> list[Node]:
        whole = ops.overlap_add(y, lengths=(11,), axes=(0,), sizes=(3,), strides=(2,))
        wide = ops.pad(whole, constant(7.0), low=(2, 0), high=(-3, 0))
        return [wide, whole * 2.0, ops.pad(wide, constant(0.0), low=(-1, 0), high=(0, 0))]

    check([Case("pad", trace(function, tensor("f32", 5, 3, 18)), [values((5, 3, 18))])])


def test_bits_do_not_depend_on_threads():
    def function(x: Node) -> list[Node]:
        one = ops.full((x.shape[3],), 1.0, "f32")
        y, mean, variance = ops.batch_norm_training(x, one, one, axis=3).items
        pooled = ops.average_pool(y, sizes=(3, 3), strides=(2, 2))
        return [pooled, mean, variance]

    x = np.random.default_rng(0).standard_normal((16, 13, 13, 24)).astype(np.float32)
    graph = trace(function, tensor("f32", *x.shape))
    case = Case("norm", graph, [x])
    one, two = (run(compiled(graph, threads), case) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
