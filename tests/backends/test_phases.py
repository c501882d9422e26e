"""Gradients by weights over the phases of images of few channels, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.choice import Choosing, problem_of
from anode.backends.cpu.costs import WINOGRAD, Costs
from anode.backends.cpu.onednn_conv import Problem
from anode.backends.cpu.phases import coarse
from anode.backends.cpu.target import host_target
from anode.ir.dtypes import bf16_to_f32, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.cover import Convolution
from anode.runtime.state import State

TARGET = host_target()
HALVES = pytest.mark.skipif("+avx512bf16" not in TARGET.features, reason="bf16 takes AVX512_BF16")


def gradient(
    sizes: tuple[int, int], c: int, o: int, k: int, dtype: str = "f32", **attrs: Any
) -> Graph:
    x, w = tensor(dtype, 2, *sizes, c), tensor(dtype, k, k, c, o)
    y = trace(lambda x, w: ops.convolution(x, w, **attrs), x, w).outputs[0].type

    def weights(x: Node, ct: Node) -> Node:
        return ops.convolution_weights(x, ct, kernel=(k, k), **attrs)

    return trace(weights, x, y)


def arrays(graph: Graph) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    found = [random.normal(0, 0.3, t.static).astype(np.float32) for t in graph.types]
    halves = graph.types[0].dtype.name == "bf16"
    return [f32_to_bf16(x) for x in found] if halves else found


def values(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.float32 else bf16_to_f32(array)


def agree(graph: Graph, tolerance: float) -> None:
    """The kernel is Winograd's and right, with the same bits on 1 to 3 threads."""
    args = arrays(graph)
    (wanted,), _ = evaluate(graph, args)
    found = []
    for threads in (1, 2, 3):
        choosing = Choosing(threads, Costs(only=WINOGRAD), "always", "there is none")
        made = CpuCompiled(graph, TARGET, threads, choosing)
        assert "winograd_weights" in [step.kind for step in made.program.steps]
        found.append(np.array(made.run(args, State({}))[0]))
    assert len({result.tobytes() for result in found}) == 1
    scale = abs(values(wanted)).max()
    np.testing.assert_allclose(values(found[0]), values(wanted), rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    ("sizes", "c", "k", "stride", "low", "high"),
    [
        ((35, 31), 3, 11, 4, (2, 2), (2, 2)),
        ((24, 27), 4, 7, 3, (0, 1), (2, 0)),
        ((19, 18), 6, 5, 2, (3, 0), (0, 3)),
        ((21, 22), 2, 8, 4, (0, 0), (0, 0)),
        ((12, 13), 7, 4, 2, (1, 1), (1, 1)),
        ((23, 24), 1, 9, 5, (0, 4), (0, 0)),
    ],
)
def test_phases_are_channels(
    sizes: tuple[int, int], c: int, k: int, stride: int, low: tuple[int, int], high: tuple[int, int]
) -> None:
    agree(gradient(sizes, c, 20, k, strides=(stride,) * 2, low=low, high=high), 1e-5)


@HALVES
def test_phases_of_halves() -> None:
    agree(gradient((35, 31), 3, 32, 11, "bf16", strides=(4, 4), low=(2, 2), high=(2, 2)), 0.03)


def problem(c: int, **attrs: Any) -> tuple[Problem, int]:
    (node,) = gradient((224, 224), c, 64, 11, **attrs).outputs
    return problem_of(Convolution(node))


def test_a_first_layer_is_worth_its_phases() -> None:
    """Moving phases of an image costs less than what they save, where filters are large."""
    whole, tasks = problem(3, strides=(4, 4))
    assert Costs().compare(whole, tasks, 2).way == WINOGRAD


def test_other_gradients_stay_as_they_are() -> None:
    for found, _ in (problem(3), problem(16, strides=(4, 4))):
        assert coarse(found) is found
