"""Small kernels that nothing waits for become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import CpuBackend
from anode.ir.graph import Graph, close
from anode.ir.node import Node, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate
from anode.passes.kernel import KERNEL
from anode.passes.pipeline import optimize
from anode.rewrite.trace import Trace
from anode.runtime.state import State


def updates(shapes: list[tuple[int, ...]], change: Callable[[Node, int], Node]) -> Graph:
    """A graph that replaces variables of these shapes."""
    variables = [Variable(f"v{i}", tensor("f32", *shape)) for i, shape in enumerate(shapes)]
    return close([], [], [(v, change(read(v), i)) for i, v in enumerate(variables)])


def kernels(graph: Graph) -> list[Node]:
    return [node for node in optimize(graph).nodes if node.op is KERNEL]


def decayed(x: Node, i: int) -> Node:
    return x * (0.5 + i)


def test_updates_of_many_small_tensors_are_one_kernel() -> None:
    (made,) = kernels(updates([(16,)] * 20, decayed))
    assert len(made.items) == 20
    assert len(kernels(updates([(16,)] * 20 + [(32,)] * 3, decayed))) == 2


def test_large_tensors_are_not_joined() -> None:
    assert len(kernels(updates([(1 << 15,)] * 3, decayed))) == 3


def test_a_kernel_has_an_end() -> None:
    found = kernels(updates([(8,)] * 200, decayed))
    assert 3 < len(found) < 20 and sum(len(node.items) for node in found) == 200


def test_what_is_read_by_others_is_not_joined() -> None:
    v, w = (Variable(name, tensor("f32", 16)) for name in "vw")
    order = ops.sort(ops.exp(read(v)), axis=0)  # a kernel of its own, between two that loop alike
    graph = close([], [], [(v, order * 2.0), (w, read(w) * 3.0)])
    assert sorted(len(node.items) for node in kernels(graph)) == [1, 2]


def test_the_trace_says_what_became_one() -> None:
    traces: list[Trace] = []
    optimize(updates([(16,)] * 3, decayed), traces)
    (trace,) = [t for t in traces if t.name == "join_small"]
    assert [hit.note for hit in trace.hits] == ["with 2 others that loop alike"] * 3
    assert {made.op for made in trace.became.values()} == {KERNEL}


@pytest.mark.parametrize("threads", [1, 2])
def test_values_are_the_same(threads: int) -> None:
    def change(x: Node, i: int) -> Node:
        return x - ops.mean(x * x, 0) * (i + 1.0) if i % 2 else x * ops.exp(x)

    graph = updates([(4, 7)] * 9, change)
    random = np.random.default_rng(0)
    given: dict[Variable, Any] = {v: random.random((4, 7), np.float32) for v in graph.variables}
    _, wanted = evaluate(graph, [], given)
    state = State.initial(graph.variables, values=given)
    CpuBackend().compile(graph, threads=threads).run([], state)
    for variable in graph.variables:
        np.testing.assert_allclose(state[variable], wanted[variable], rtol=1e-6)
