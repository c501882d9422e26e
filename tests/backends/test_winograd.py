"""Winograd's method in place of convolutions and gradients by data, against the reference."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu import costs, winograd
from anode.backends.cpu.backend import CpuBackend, CpuCompiled
from anode.backends.cpu.choice import Choosing, problem_of
from anode.backends.cpu.costs import WINOGRAD, Costs
from anode.backends.cpu.target import host_target
from anode.ir.graph import Graph, trace
from anode.ir.node import Node, constant
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.cover import Convolution
from anode.runtime.state import State
from anode.transform.grad import gradients

TARGET = host_target()
SAME: dict[str, Any] = {"low": (1, 1), "high": (1, 1)}


def always(graph: Graph, threads: int = 1, absent: str = "there is none") -> CpuCompiled:
    """Compiled with all that has a kernel of Winograd's given to it, the rest generated."""
    choosing = Choosing(threads, Costs(only=WINOGRAD), f"always {absent}", absent)
    return CpuCompiled(graph, TARGET, threads, choosing)


def arrays(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(0, 0.3, t.static).astype(np.float32) for t in graph.types]


def agree(graph: Graph, count: int) -> CpuCompiled:
    """So many kernels give f64's values within 1e-5 of their scale, the same bits on 1 to 3."""
    args = arrays(graph)
    wanted, _ = evaluate(graph, args)
    found = []
    for threads in (1, 2, 3):
        made = always(graph, threads)
        kinds = [step.kind for step in made.program.steps]
        assert kinds.count("winograd_convolution") == count, kinds
        found.append([np.array(x) for x in made.run(args, State({}))])
    for results in zip(*found, strict=True):
        assert len({result.tobytes() for result in results}) == 1
    for got, want in zip(found[0], wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())
    return made


def both(n: int, sizes: tuple[int, int], c: int, o: int, size: int = 3, **attrs: Any) -> Graph:
    """A convolution and its gradient by data, each of operands of their own."""
    x, w = tensor("f32", n, *sizes, c), tensor("f32", size, size, c, o)
    y = trace(lambda x, w: ops.convolution(x, w, **attrs), x, w).outputs[0].type

    def two(x: Node, w: Node, ct: Node) -> tuple[Node, Node]:
        return ops.convolution(x, w, **attrs), ops.convolution_data(ct, w, sizes=sizes, **attrs)

    return trace(two, x, w, y)


SIZES = [(1, 1), (1, 9), (5, 2), (4, 4), (8, 12), (7, 13), (16, 3)]
CHANNELS = [(8, 8), (16, 16), (9, 100), (20, 17), (48, 33), (70, 24)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_sizes_and_channels(sizes: tuple[int, int], channels: tuple[int, int]) -> None:
    agree(both(3, sizes, *channels, **SAME), 2)


@pytest.mark.parametrize("low, high", list(product([(0, 1), (2, 2), (1, 0)], repeat=2)))
def test_any_padding_of_up_to_two(low: tuple[int, int], high: tuple[int, int]) -> None:
    agree(both(2, (6, 11), 16, 24, low=low, high=high), 2)


STRIDED = [
    (2, 1),
    (4, 1),
    (5, 1),
    (3, 2),
    (4, 2),
    (5, 2),
    (6, 2),
    (7, 2),
    (9, 2),
    (5, 3),
    (7, 3),
    (9, 4),
]  # sizes and strides


@pytest.mark.parametrize("size, stride", STRIDED)
@pytest.mark.parametrize("seed", range(3))
def test_sizes_and_strides(size: int, stride: int, seed: int) -> None:
    random = Random(100 * size + 10 * stride + seed)
    attrs: dict[str, Any] = {"strides": (stride, stride)}
    for name in ("low", "high"):
        attrs[name] = tuple([random.randrange(size) for _ in range(2)])
    sizes = random.randrange(size, 30), random.randrange(size, 30)
    agree(both(3, sizes, *random.choice(CHANNELS), size, **attrs), 2)


@pytest.mark.parametrize("c, size, stride", [(1, 13, 6), (2, 7, 3), (3, 7, 2), (3, 11, 4)])
def test_first_layers_have_few_channels(c: int, size: int, stride: int) -> None:
    attrs = {"strides": (stride, stride), "low": (2, 1), "high": (0, 3)}
    x, w = tensor("f32", 3, 31, 40, c), tensor("f32", size, size, c, 40)
    agree(trace(lambda x, w: ops.convolution(x, w, **attrs), x, w), 1)


@pytest.mark.parametrize("seed", range(6))
def test_many_tasks_and_blocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(winograd, "BLOCK", random.choice((1, 100_000)))
    monkeypatch.setattr(winograd, "LEAST_TILES", random.choice((1, 5)))
    sizes = random.choice((9, 14)), random.choice((9, 14, 26))
    agree(both(random.choice((3, 8)), sizes, 24, 40, **SAME), 2)


@pytest.mark.parametrize(
    "activation",
    [ops.relu, ops.leaky_relu, ops.elu, ops.tanh, ops.logistic, lambda y: ops.maximum(y, 0)],
)
def test_what_follows_is_in_the_kernel(activation: Any) -> None:
    def layer(x: Node, w: Node, bias: Node, other: Node) -> Node:
        return activation(ops.convolution(x, w, **SAME) + bias + other)

    types = (tensor("f32", 2, 7, 6, 16), tensor("f32", 3, 3, 16, 20), tensor("f32", 20))
    made = agree(trace(layer, *types, tensor("f32", 2, 7, 6, 20)), 1)
    kinds = [step.kind for step in made.program.steps]
    assert kinds == ["winograd_filters", "winograd_convolution"]


def test_second_derivatives() -> None:
    def layer(x: Node, w: Node) -> tuple[Node, ...]:
        y = ops.tanh(ops.convolution(x, w, **SAME))
        first = gradients([ops.sum(y * y)], [x, w])
        squares = [ops.sum(g * g) for g in first]
        return (*first, *gradients([squares[0] + squares[1]], [x, w]))

    graph = trace(layer, tensor("f32", 2, 6, 5, 8), tensor("f32", 3, 3, 8, 16))
    args = arrays(graph)
    wanted, _ = evaluate(graph, args)
    made = always(graph, 2)
    assert [step.kind for step in made.program.steps].count("winograd_convolution") > 2
    for got, want in zip(made.run(args, State({})), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())


@pytest.mark.parametrize("channels", [16, 128])
@pytest.mark.parametrize(
    "size, stride, most", [(3, 1, 2e-6), (4, 1, 2e-6), (5, 1, 2e-6), (4, 2, 1.5e-6), (6, 2, 2.5e-6)]
)
def test_rounding_is_a_small_multiple_of_that_of_direct_sums(
    size: int, stride: int, most: float, channels: int
) -> None:
    attrs = {**SAME, "strides": (stride, stride)}
    graph = both(2, (16, 16), channels, 32, size, **attrs)
    args = [np.maximum(arrays(graph)[0], 0), *arrays(graph)[1:]]
    types = [tensor("f64", *t.static) for t in graph.types]  # type: ignore[union-attr]

    def two(x: Node, w: Node, ct: Node) -> tuple[Node, Node]:
        y = ops.convolution(x, w, **attrs)
        return y, ops.convolution_data(ct, w, sizes=(16, 16), **attrs)

    exact, _ = evaluate(trace(two, *types), [x.astype(np.float64) for x in args])
    for got, want in zip(always(graph).run(args, State({})), exact, strict=True):
        error = np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2))
        assert error < most, error
        assert abs(got - want).max() < 1e-5 * abs(want).max()


@pytest.mark.parametrize(
    "dtype, kernel, attrs, reason",
    [
        ("f64", (3, 3), {}, "f32 and bf16, not f64"),
        ("f32", (6, 6), {}, "filters of 2 to 5 strides, not 6x6/1"),
        ("f32", (3, 3), {"strides": (3, 3)}, "filters of 2 to 5 strides, not 3x3/3"),
        ("f32", (3,), {}, "two dims"),
        ("f32", (3, 3), {"groups": 2}, "all channels in one group"),
        ("f32", (3, 2), {}, "square filters"),
        ("f32", (3, 3), {"strides": (2, 1)}, "square filters and strides"),
        ("f32", (3, 3), {"dilations": (2, 2)}, "without dilations"),
        ("f32", (3, 3), {"low": (3, 0)}, "paddings of 0 to 2"),
        ("f32", (3, 3), {"low": (-1, 0)}, "paddings of 0 to 2"),
    ],
)
def test_what_it_is_not_for(dtype: str, kernel: tuple, attrs: dict, reason: str) -> None:
    x = tensor(dtype, 2, *(9,) * len(kernel), 16)
    w = tensor(dtype, *kernel, 16 // attrs.get("groups", 1), 16)
    graph = trace(lambda x, w: ops.convolution(x, w, **attrs), x, w)
    made = always(graph)
    (cover,) = [t for t in made.traces if t.name == "cover"]
    assert reason in cover.misses[-1].reason
    assert "winograd_convolution" not in [step.kind for step in made.program.steps]


def test_the_costs_choose_it_and_the_trace_says_why() -> None:
    graph = trace(
        lambda x, w: ops.convolution(x, w, **SAME),
        tensor("f32", 32, 28, 28, 64),
        tensor("f32", 3, 3, 64, 64),
    )
    made = CpuBackend(onednn=False).compile(graph, threads=2)
    (cover,) = [t for t in made.traces if t.name == "cover"]
    assert "Winograd's F(4x4, 3x3)" in cover.hits[-1].note
    assert "% by Winograd" in cover.hits[-1].note and "switched off" in cover.hits[-1].note
    off = CpuBackend(onednn=False, winograd=False).compile(graph, threads=2)
    (cover,) = [t for t in off.traces if t.name == "cover"]
    assert cover.misses[-1].reason == "oneDNN is switched off; Winograd's method is switched off"


def test_an_empty_batch() -> None:
    graph = both(0, (5, 5), 8, 8, **SAME)
    made = always(graph)
    results = made.run(arrays(graph), State({}))
    assert [result.shape for result in results] == [node.tensor.static for node in graph.outputs]
    assert "winograd_convolution" not in [step.kind for step in made.program.steps]


def test_few_tiles_are_not_worth_transforming_filters() -> None:
    def way(n: int, size: int) -> str:
        x, w = tensor("f32", n, size, size, 128), tensor("f32", 3, 3, 128, 128)
        (node,) = trace(lambda x, w: ops.convolution(x, w, **SAME), x, w).outputs
        problem, tasks = problem_of(Convolution(node))
        return Costs().compare(problem, tasks, 2).way

    assert way(1, 7) != costs.WINOGRAD and way(32, 14) == costs.WINOGRAD


def test_parts_of_a_minibatch() -> None:
    """Inference computes both layers for some images before it begins with others."""

    random = np.random.default_rng(1)

    def layer(x: Node, filters: int) -> Node:
        w = random.normal(0, 0.1, (3, 3, x.shape[-1], filters)).astype(np.float32)
        y = ops.relu(ops.convolution(x, constant(w), **SAME))
        return ops.max_pool(y, sizes=(2, 2), strides=(2, 2))

    graph = trace(lambda x: layer(layer(x, 32), 32), tensor("f32", 16, 32, 32, 16))
    args = arrays(graph)
    (wanted,), _ = evaluate(graph, args)
    found = []
    for threads in (1, 2, 3):
        made = always(graph, threads)
        (step,) = [step for step in made.program.steps if step.kind == "row_parts"]
        assert [s.kind for s in step.programs[0].steps].count("winograd_convolution") == 2
        found.append(np.array(made.run(args, State({}))[0]))
    assert len({result.tobytes() for result in found}) == 1
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-5 * abs(wanted).max())


def test_strided_filters_are_chosen_in_all_three_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANODE_CACHE", "off")
    attrs = {**SAME, "strides": (2, 2)}

    def three(x: Node, w: Node, ct: Node) -> tuple[Node, ...]:
        data = ops.convolution_data(ct, w, sizes=(14, 14), **attrs)
        weights = ops.convolution_weights(x, ct, kernel=(4, 4), **attrs)
        return ops.convolution(x, w, **attrs), data, weights

    x, w, ct = (64, 14, 14, 64), (4, 4, 64, 128), (64, 7, 7, 128)
    graph = trace(three, *[tensor("f32", *shape) for shape in (x, w, ct)])
    made = CpuBackend(onednn=False).compile(graph, threads=2)
    (cover,) = [t for t in made.traces if t.name == "cover"]
    names = sorted([hit.note.split(", of peak")[0] for hit in cover.hits])
    assert names == ["Winograd's F(2x2, 4x4)", *["Winograd's F(4x4, 2x2)"] * 2]
