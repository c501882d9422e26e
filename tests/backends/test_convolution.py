"""Products that read windows of images: forward, by data and by weights, against the reference."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import CpuBackend
from anode.ir.dtypes import bf16, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor
from anode.ops.evaluate import evaluate
from anode.runtime.state import State
from anode.transform.grad import gradients

CPU = CpuBackend()


def stored(values: np.ndarray, type: TensorType) -> np.ndarray:
    return f32_to_bf16(values) if type.dtype is bf16 else values


def agree(graph: Graph, kernels: int | None = None) -> None:
    """The native code gives the reference's values, and the same bits for 1, 2 and 3 threads."""
    random = np.random.default_rng(0)
    drawn = [random.standard_normal(t.static).astype(np.float32) for t in graph.types]
    arrays = [stored(x, t) for x, t in zip(drawn, graph.types, strict=True)]
    (wanted, _) = evaluate(graph, arrays)
    magnitudes = [stored(abs(x), t) for x, t in zip(drawn, graph.types, strict=True)]
    (magnitude, _) = evaluate(graph, magnitudes)
    found = []
    for threads in (1, 2, 3):
        compiled = CPU.compile(graph, threads=threads)
        found.append([np.array(x) for x in compiled.run(arrays, State({}))])
        if kernels is not None:
            assert len(compiled.program.steps) == kernels
    for results in zip(*found, strict=True):
        assert len({result.tobytes() for result in results}) == 1
    for got, want, most in zip(found[0], wanted, magnitude, strict=True):
        np.testing.assert_array_less(abs(got - want), 1e-5 * abs(most) + 1e-6)


def window_attrs(case: dict[str, tuple[int, ...]], rank: int) -> dict[str, tuple[int, ...]]:
    ones = (1,) * rank
    return {
        "axes": tuple(range(1, rank + 1)),
        "sizes": case["kernel"],
        "strides": case.get("strides", ones),
        "dilations": case.get("dilations", ones),
    }


def forward(case: dict[str, tuple[int, ...]], dtype: str = "f32") -> Graph:
    rank = len(case["kernel"])
    taps = range(rank + 1, 2 * rank + 2)

    def function(x: Node, w: Node, bias: Node) -> Node:
        patches = ops.windows(x, **window_attrs(case, rank))
        y = ops.dot_general(patches, w, contract=(taps, range(rank + 1)), dtype="f32")
        return ops.relu(y + bias)

    channels = case["x"][-1]
    weights = tensor(dtype, *case["kernel"], channels, *case["o"])
    return trace(function, tensor(dtype, *case["x"]), weights, tensor("f32", *case["o"]))


def by_weights(case: dict[str, tuple[int, ...]], dtype: str = "f32") -> Graph:
    rank = len(case["kernel"])

    def function(x: Node, ct: Node) -> Node:
        patches = ops.windows(x, **window_attrs(case, rank))
        pixels = range(rank + 1)
        return ops.dot_general(patches, ct, contract=(pixels, pixels), dtype="f32")

    attrs = window_attrs(case, rank)
    x = tensor(dtype, *case["x"])
    pixels = trace(lambda x: ops.windows(x, **attrs), x).outputs[0].tensor.static[: rank + 1]
    return trace(function, x, tensor(dtype, *pixels, *case["o"]))


def by_data(case: dict[str, tuple[int, ...]], dtype: str = "f32") -> Graph:
    """Windows of the padded cotangent by flipped weights; the weights are read as they lie."""
    rank = len(case["kernel"])
    taps = range(rank + 1, 2 * rank + 2)

    def function(ct: Node, w: Node) -> Node:
        patches = ops.windows(ct, **window_attrs(case, rank))
        flipped = ops.reverse(w, axes=tuple(range(rank)))
        contract = (taps, (*range(rank), rank + 1))
        return ops.dot_general(patches, flipped, contract=contract, dtype="f32")

    weights = tensor(dtype, *case["kernel"], *case["o"], case["x"][-1])
    return trace(function, tensor(dtype, *case["x"]), weights)


CASES = {
    "line": {"x": (3, 20, 5), "kernel": (4,), "o": (6,)},
    "line, dilated": {"x": (3, 20, 1), "kernel": (3,), "o": (17,), "dilations": (3,)},
    "alexnet's first": {"x": (2, 39, 39, 3), "kernel": (11, 11), "o": (64,), "strides": (4, 4)},
    "lenet's first": {"x": (4, 28, 28, 1), "kernel": (5, 5), "o": (20,)},
    "lenet's second": {"x": (4, 12, 12, 20), "kernel": (5, 5), "o": (50,)},
    "resnet": {"x": (2, 10, 10, 16), "kernel": (3, 3), "o": (16,)},
    "resnet, stride 2": {"x": (2, 9, 9, 16), "kernel": (3, 3), "o": (32,), "strides": (2, 2)},
    "deep": {"x": (1, 9, 8, 130), "kernel": (3, 3), "o": (40,)},
    "one by one": {"x": (2, 7, 5, 24), "kernel": (1, 1), "o": (33,)},
    "one by one, stride 2": {"x": (2, 7, 5, 24), "kernel": (1, 1), "o": (33,), "strides": (2, 2)},
    "a column": {"x": (2, 9, 9, 8), "kernel": (3, 3), "o": (1,)},
    "volume": {"x": (2, 5, 6, 7, 3), "kernel": (2, 3, 2), "o": (8,), "strides": (1, 2, 1)},
    "image of a kernel's size": {"x": (3, 3, 3, 4), "kernel": (3, 3), "o": (5,)},
    "dilated": {"x": (2, 11, 10, 4), "kernel": (3, 2), "o": (18,), "dilations": (2, 3)},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("product", [forward, by_weights, by_data])
def test_products_read_windows_in_place(product, name):
    agree(product(CASES[name]), kernels=1)


@pytest.mark.parametrize("name", [*CASES][1::2])  # every second: the windows are the same
@pytest.mark.parametrize("product", [forward, by_weights, by_data])
def test_half_types_add_up_in_f32(product, name):
    agree(product(CASES[name], "bf16"), kernels=1)


def random_case(seed: int) -> dict[str, tuple[int, ...]]:
    random = Random(seed)
    rank = random.choice((1, 2, 2, 3))
    kernel, strides, dilations = (
        tuple(random.choice(values) for _ in range(rank))
        for values in ((1, 2, 3, 5), (1, 1, 2, 3), (1, 1, 2))
    )
    space = tuple(
        (k - 1) * d + 1 + random.randint(0, 12) for k, d in zip(kernel, dilations, strict=True)
    )
    return {
        "x": (random.randint(1, 4), *space, random.choice((1, 2, 3, 7, 16, 20))),
        "kernel": kernel,
        "o": (random.choice((1, 3, 8, 16, 21, 50)),),
        "strides": strides,
        "dilations": dilations,
    }


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("product", [forward, by_weights, by_data])
def test_random_products_of_windows(product, seed):
    agree(product(random_case(seed)), kernels=1)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_sums_over_many_pixels_are_made_of_parts(dtype):
    case = {"x": (16, 34, 34, 3), "kernel": (3, 3), "o": (8,)}
    agree(by_weights(case, dtype), kernels=2)


def test_groups_are_a_batch():
    def function(x: Node, w: Node) -> Node:
        patches = ops.windows(x, axes=(1, 2), sizes=(3, 3))
        grouped = ops.reshape(patches, shape=(2, 6, 6, 3, 3, 4, 5))
        return ops.dot_general(grouped, w, contract=((3, 4, 6), (1, 2, 3)), batch=((5,), (0,)))

    agree(trace(function, tensor("f32", 2, 8, 8, 20), tensor("f32", 4, 3, 3, 5, 6)), kernels=1)


@pytest.mark.parametrize(("channels", "filters"), [(0, 4), (2, 0)])
def test_without_channels_or_filters(channels: int, filters: int) -> None:
    def step(x: Node, w: Node) -> list[Node]:
        y = ops.relu(ops.conv(x, w, padding=1, data_format="NHWC"))
        return [y, *gradients([ops.sum(y)], [x, w])]

    agree(trace(step, tensor("f32", 2, 5, 5, channels), tensor("f32", 3, 3, channels, filters)))
