"""Winograd's method for bf16: forward, by data and by weights, against sums in f64."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu import winograd
from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.choice import Choosing, problem_of
from anode.backends.cpu.costs import GENERATED, WINOGRAD, Costs
from anode.backends.cpu.target import Target, host_target
from anode.ir.dtypes import bf16_to_f32, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.cover import Convolution
from anode.runtime.state import State

TARGET = host_target()
pytestmark = pytest.mark.skipif(
    "+avx512bf16" not in TARGET.features, reason="this processor has no AVX512_BF16"
)
KERNELS = ["winograd_filters"] * 2 + ["winograd_convolution"] * 2 + ["winograd_weights"]
SAME: dict[str, Any] = {"low": (1, 1), "high": (1, 1)}


def three(
    dtype: str, n: int, sizes: tuple[int, int], c: int, o: int, size: int, **attrs: Any
) -> Graph:
    """A convolution and both gradients, of operands of their own."""
    x, w = tensor(dtype, n, *sizes, c), tensor(dtype, size, size, c, o)
    y = trace(lambda x, w: ops.convolution(x, w, **attrs), x, w).outputs[0].type

    def graph(x: Node, w: Node, ct: Node) -> tuple[Node, Node, Node]:
        data = ops.convolution_data(ct, w, sizes=sizes, **attrs)
        weights = ops.convolution_weights(x, ct, kernel=(size, size), **attrs)
        return ops.convolution(x, w, **attrs), data, weights

    return trace(graph, x, w, y)


def arrays(graph: Graph) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [f32_to_bf16(random.normal(0, 1, t.static).astype(np.float32)) for t in graph.types]


def compiled(
    graph: Graph, threads: int = 1, way: str = WINOGRAD, target: Target = TARGET
) -> CpuCompiled:
    return CpuCompiled(graph, target, threads, Choosing(threads, Costs(only=way), way, "none"))


def results(made: CpuCompiled, args: list[np.ndarray]) -> list[np.ndarray]:
    return [bf16_to_f32(np.array(x)) for x in made.run(args, State({}))]


def errors(found: list[np.ndarray], exact: list[np.ndarray]) -> list[float]:
    """The root of the mean square, relative to the results'."""
    return [
        float(np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2)))
        for got, want in zip(found, exact, strict=True)
    ]


def check(*shape: Any, **attrs: Any) -> None:
    """Kernels of all three kinds lose a little, and give the same bits on 1 to 3 threads."""
    graph, exact = (three(dtype, *shape, **attrs) for dtype in ("bf16", "f64"))
    args = arrays(graph)
    wanted, _ = evaluate(exact, [bf16_to_f32(x).astype(np.float64) for x in args])
    made = [compiled(graph, threads) for threads in (1, 2, 3)]
    kinds = [step.kind for step in made[0].program.steps]
    assert all(kinds.count(kind) == KERNELS.count(kind) for kind in KERNELS), kinds
    first, *others = (results(side, args) for side in made)
    assert all([x.tobytes() for x in other] == [x.tobytes() for x in first] for other in others)
    assert max(errors(first, wanted)) < 7e-3
    for got, want in zip(first, wanted, strict=True):
        assert abs(got - want).max() < 1.5e-2 * abs(want).max()


CHANNELS = [(16, 16), (18, 100), (48, 34), (130, 24)]


@pytest.mark.parametrize("sizes", [(3, 9), (4, 4), (7, 13), (12, 5)])
@pytest.mark.parametrize("channels", CHANNELS)
def test_sizes_and_channels(sizes: tuple[int, int], channels: tuple[int, int]) -> None:
    check(3, sizes, *channels, 3, **SAME)


@pytest.mark.parametrize(
    "size, stride", [(2, 1), (3, 1), (4, 1), (5, 1), (3, 2), (4, 2), (5, 2), (6, 2), (9, 2)]
)
@pytest.mark.parametrize("seed", range(2))
def test_sizes_strides_and_paddings(size: int, stride: int, seed: int) -> None:
    random = Random(100 * size + 10 * stride + seed)
    low, high = (tuple([random.randrange(size) for _ in range(2)]) for _ in range(2))
    sizes = random.randrange(size, 22), random.randrange(size, 22)
    attrs = {"strides": (stride, stride), "low": low, "high": high}
    check(random.choice((1, 3, 8)), sizes, *random.choice(CHANNELS), size, **attrs)


@pytest.mark.parametrize("c, size, stride", [(3, 5, 2), (3, 7, 2), (1, 13, 6), (3, 11, 4)])
def test_first_layers_have_few_channels(c: int, size: int, stride: int) -> None:
    """Two channels of a word may be those of different phases."""

    def layer(x: Node, w: Node) -> Node:
        return ops.convolution(x, w, strides=(stride, stride), low=(2, 1), high=(0, 3))

    shapes = (3, 31, 40, c), (size, size, c, 40)
    graph, exact = (trace(layer, *[tensor(t, *s) for s in shapes]) for t in ("bf16", "f64"))
    args, made = arrays(graph), compiled(graph, 2)
    assert "winograd_convolution" in [step.kind for step in made.program.steps]
    wanted, _ = evaluate(exact, [bf16_to_f32(x).astype(np.float64) for x in args])
    assert max(errors(results(made, args), wanted)) < 7e-3


def test_what_follows_is_in_the_kernel() -> None:
    def layer(x: Node, w: Node, bias: Node, other: Node) -> Node:
        return ops.relu(ops.convolution(x, w, **SAME) + bias + other)

    shapes = (2, 7, 6, 16), (3, 3, 16, 20), (20,), (2, 7, 6, 20)
    graph = trace(layer, *[tensor("bf16", *shape) for shape in shapes])
    args = arrays(graph)
    made = compiled(graph, 2)
    kinds = {step.kind for step in made.program.steps}
    assert {"winograd_filters", "winograd_convolution"} <= kinds
    exact = trace(layer, *[tensor("f64", *shape) for shape in shapes])
    wanted, _ = evaluate(exact, [bf16_to_f32(x).astype(np.float64) for x in args])
    assert max(errors(results(made, args), wanted)) < 6e-3


@pytest.mark.parametrize("size, stride", [(3, 1), (5, 1), (4, 2)])
def test_rounding_is_a_small_multiple_of_that_of_the_results(size: int, stride: int) -> None:
    attrs = {**SAME, "strides": (stride, stride)}
    graph, exact = (three(dtype, 2, (16, 16), 64, 32, size, **attrs) for dtype in ("bf16", "f64"))
    args = arrays(graph)
    wanted, _ = evaluate(exact, [bf16_to_f32(x).astype(np.float64) for x in args])
    found, direct = (
        errors(results(compiled(graph, way=way), args), wanted) for way in (WINOGRAD, GENERATED)
    )
    assert all(1e-3 < other < error < 4 * other for error, other in zip(found, direct, strict=True))


@pytest.mark.parametrize("bytes, registers", [(32, 16), (16, 16)])
def test_narrower_vectors(bytes: int, registers: int) -> None:
    graph = three("bf16", 2, (6, 7), 36, 70, 3, **SAME)
    args, target = arrays(graph), replace(TARGET, vector_bytes=bytes, registers=registers)
    narrow, wide = (results(compiled(graph, target=t), args) for t in (target, TARGET))
    assert [x.tobytes() for x in narrow] == [x.tobytes() for x in wide]


def refused(c: int = 16, o: int = 16, kind: int = 0) -> str:
    node = three("bf16", 2, (8, 8), c, o, 3, **SAME).outputs[kind]
    return winograd.refusal(problem_of(Convolution(node))[0])


def test_channels_come_in_pairs() -> None:
    assert (
        not refused() and not refused(o=17) and not refused(c=17, kind=1) and not refused(17, 17, 2)
    )
    assert "of an even number in bf16" in refused(c=17) == refused(o=17, kind=1)


def test_it_takes_a_processor_with_such_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "host_target", lambda: replace(TARGET, features="+avx512f"))
    assert "takes a processor that has AVX512_BF16" in refused()
