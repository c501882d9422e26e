"""Gradients by weights by Winograd's method, against the reference; and where they are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu import onednn
from anode.backends.cpu.backend import CpuBackend, CpuCompiled
from anode.backends.cpu.choice import Choosing, problem_of
from anode.backends.cpu.costs import GENERATED, WINOGRAD, Costs, name_of
from anode.backends.cpu.target import host_target
from anode.backends.cpu.winograd import refusal
from anode.backends.cpu.winograd_weights import plan_weights
from anode.ir.graph import Graph, trace
from anode.ir.types import tensor
from anode.passes.cover import Convolution
from anode.runtime.state import State

TARGET = host_target()
ALWAYS = Costs(only=WINOGRAD)

Ints = tuple[int, ...]


def gradient(
    n: int,
    sizes: Ints,
    c: int,
    o: int,
    low: Ints = (1, 1),
    high: Ints = (1, 1),
    dtype: str = "f32",
    size: int = 3,
    stride: int = 1,
) -> Graph:
    out = [(s + a + b - size) // stride + 1 for s, a, b in zip(sizes, low, high, strict=True)]
    types = tensor(dtype, n, *sizes, c), tensor(dtype, n, *out, o)
    return trace(
        lambda x, ct: ops.convolution_weights(
            x,
            ct,
            kernel=(size, size),
            strides=(stride, stride),
            low=low,
            high=high,
            dilations=(1, 1),
        ),
        *types,
    )


def arrays(graph: Graph) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.standard_normal(t.static).astype(np.float32) for t in graph.types]


def choosing(costs: Costs, threads: int) -> Choosing:
    return Choosing(threads, costs, costs.key, "it is switched off")


def always(graph: Graph, threads: int = 1) -> CpuCompiled:
    return CpuCompiled(graph, TARGET, threads, choosing(ALWAYS, threads))


def in_f64(
    args: Sequence[np.ndarray], low: Ints, high: Ints, size: int = 3, stride: int = 1
) -> np.ndarray:
    x, ct = (a.astype(np.float64) for a in args)
    x = np.pad(x, ((0, 0), *zip(low, high, strict=True), (0, 0)))
    height, width = (1 + stride * (n - 1) for n in ct.shape[1:-1])

    def tap(r: int, s: int) -> np.ndarray:
        window = x[:, r : r + height : stride, s : s + width : stride]
        return np.einsum("nhwc,nhwo->co", window, ct)

    return np.array([[tap(r, s) for s in range(size)] for r in range(size)])


def check(
    graph: Graph, low: Ints = (1, 1), high: Ints = (1, 1), size: int = 3, stride: int = 1
) -> CpuCompiled:
    """The kernel is used, is exact to a few roundings, and gives the same bits on 1 to 3."""
    args = arrays(graph)
    sides = [always(graph, threads) for threads in (1, 2, 3)]
    assert "winograd_weights" in [step.kind for step in sides[0].program.steps]
    first, *others = ([np.array(x) for x in side.run(args, State({}))] for side in sides)
    want = in_f64(args, low, high, size, stride)
    scale = in_f64([abs(x) for x in args], low, high, size, stride)
    np.testing.assert_array_less(abs(first[0] - want), 5e-6 * (scale + scale.max()))
    assert all(first[0].tobytes() == other[0].tobytes() for other in others)
    return sides[0]


@pytest.mark.parametrize("seed", range(12))
def test_odd_sizes_paddings_and_channels(seed: int) -> None:
    random = Random(seed)
    low, high = (tuple(random.choice((0, 1, 2)) for _ in range(2)) for _ in range(2))
    sizes = tuple(random.choice((3, 4, 7, 10)) for _ in range(2))
    c, o = (random.choice((16, 17, 20, 32, 40, 70, 100)) for _ in range(2))
    check(gradient(random.choice((1, 2, 5)), sizes, c, o, low, high), low, high)


@pytest.mark.parametrize(
    "size, stride", [(2, 1), (4, 1), (5, 1), (3, 2), (4, 2), (5, 2), (6, 2), (9, 2), (8, 3)]
)
@pytest.mark.parametrize("seed", range(2))
def test_sizes_and_strides(size: int, stride: int, seed: int) -> None:
    random = Random(100 * size + 10 * stride + seed)
    low, high = (tuple([random.randrange(size) for _ in range(2)]) for _ in range(2))
    sizes = tuple([random.randrange(size, 20) for _ in range(2)])
    c, o = (random.choice((16, 20, 40, 70)) for _ in range(2))
    check(gradient(3, sizes, c, o, low, high, "f32", size, stride), low, high, size, stride)


def test_parts_of_the_tiles_and_blocks_of_channels() -> None:
    many = gradient(9, (13, 15), 16, 80)
    (node,) = [n for n in check(many).build.optimized.nodes if n.op.name == "winograd_weights"]
    plan = plan_weights(node, TARGET)
    assert plan.parts == 2 and plan.blocks == (1, 1, 2) and plan.tasks == 4
    assert plan.count == 9 * 4 * 4 and plan.count // plan.parts > plan.depth
    wide = check(gradient(2, (5, 5), 130, 150))
    (node,) = [n for n in wide.build.optimized.nodes if n.op.name == "winograd_weights"]
    assert plan_weights(node, TARGET).tasks == 9 and node.attrs["parts"] == 1


@pytest.mark.parametrize("bytes, registers, l2", [(32, 16, 256 << 10), (16, 16, 512 << 10)])
def test_narrower_vectors_and_smaller_caches(bytes: int, registers: int, l2: int) -> None:
    target = replace(TARGET, vector_bytes=bytes, registers=registers, l2=l2)
    graph = gradient(2, (6, 7), 36, 70)
    made = CpuCompiled(graph, target, 2, choosing(ALWAYS, 2))
    args = arrays(graph)
    assert made.run(args, State({}))[0].tobytes() == always(graph).run(args, State({}))[0].tobytes()


@pytest.mark.parametrize("size, stride", [(3, 1), (5, 1), (4, 2)])
def test_about_as_exact_as_a_direct_sum(size: int, stride: int) -> None:
    graph = gradient(16, (32, 32), 16, 16, size=size, stride=stride)
    args = arrays(graph)
    want = in_f64(args, (1, 1), (1, 1), size, stride)
    (direct,) = CpuCompiled(graph, TARGET, 1, choosing(Costs(only=GENERATED), 1)).run(
        args, State({})
    )
    (found,) = always(graph).run(args, State({}))
    error, other = (np.sqrt(np.mean((y - want) ** 2)) for y in (found, direct))
    assert error < 2 * other
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4 * abs(want).max())


def test_what_it_is_for() -> None:
    def refused(**changes: object) -> str:
        graph = gradient(**{"n": 2, "sizes": (8, 8), "c": 16, "o": 16, **changes})
        return refusal(problem_of(Convolution(graph.outputs[0]))[0])

    assert not refused() and not refused(low=(0, 2), high=(2, 0)) and not refused(c=20, o=50)
    assert "for f32 and bf16, not f64" in refused(dtype="f64") and "nothing" in refused(n=0)
    assert "at least 16 channels" in refused(c=3) and "at least 16 channels" in refused(o=10)
    assert "paddings of 0 to 2" in refused(low=(3, 1))


def notes(made: CpuCompiled) -> list[str]:
    (cover,) = [t for t in made.traces if t.name == "cover"]
    return [*[hit.note for hit in cover.hits], *[miss.reason for miss in cover.misses]]


def test_the_table_chooses_and_the_trace_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANODE_CACHE", "off")
    large = gradient(32, (13, 13), 64, 64)
    (note,) = notes(CpuBackend(onednn=False).compile(large, threads=2))
    assert note.startswith("Winograd's F(3x3, 4x4), of peak") and "(wide, weights)" in note
    small = CpuBackend(onednn=False).compile(gradient(1, (3, 3), 16, 16), threads=2)
    assert notes(small)[0].startswith("generated code is faster")


@pytest.mark.skipif(isinstance(onednn.load(), str), reason="oneDNN is not installed here")
@pytest.mark.parametrize("fastest", range(3))
def test_measured_costs_choose(fastest: int) -> None:
    graph = gradient(4, (8, 8), 16, 16)
    first, second, third = (1e-3 if i == fastest else 2e-3 for i in range(3))
    name = name_of(*problem_of(Convolution(graph.outputs[0])), 2)
    costs = Costs({name: (first, second, third)})
    made = CpuCompiled(graph, TARGET, 2, Choosing(2, costs, f"fastest {fastest}"))
    kinds = {step.kind for step in made.program.steps}
    assert ("onednn_convolution" in kinds) == (fastest == 0)
    assert ("winograd_weights" in kinds) == (fastest == 2)
    (note,) = notes(made)
    assert note.count(" ms ") == 3 and "by Winograd" in note


def test_within_a_loop_over_minibatches() -> None:
    from anode.ir.node import Node

    def body(total: Node, pair: tuple[Node, Node]) -> tuple[Node, Node]:
        x, ct = pair
        dw = ops.convolution_weights(x, ct, kernel=(3, 3), low=(1, 1), high=(1, 1))
        return total + dw, ops.sum(dw)

    def loop(total: Node, x: Node, ct: Node) -> tuple[Node, Node]:
        return ops.scan(body, total, (x, ct))

    types = (
        tensor("f32", 3, 3, 16, 32),
        tensor("f32", 3, 2, 6, 6, 16),
        tensor("f32", 3, 2, 6, 6, 32),
    )
    graph = trace(loop, *types)
    args = arrays(graph)
    total, _ = always(graph, 2).run(args, State({}))
    want = args[0] + sum(in_f64([x, ct], (1, 1), (1, 1)) for x, ct in zip(*args[1:], strict=True))
    np.testing.assert_allclose(total, want, rtol=1e-4, atol=1e-4)
