"""Mixed precision: what is halved, what is not, and how far results move."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.dtypes import bf16, f16, f32
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.op import registry
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.transform.grad import gradients
from anode.transform.precision import FOLLOWING, PRODUCTS, ROUNDED, lowered, lowered_graph

X, W, F = tensor("f32", 4, 8, 8, 3), tensor("f32", 3, 3, 3, 5), tensor("f32", 5 * 36, 7)
LABELS = tensor("i32", 4)
CONV = {"strides": (1, 1), "low": (0, 0), "high": (0, 0), "dilations": (1, 1), "groups": 1}


def loss(x: Node, w: Node, f: Node, labels: Node) -> Node:
    y = ops.relu(ops.convolution(x, w, **CONV))
    scale, offset = ops.ones((5,)), ops.zeros((5,))
    y = ops.batch_norm_training(y, scale, offset, axis=-1, epsilon=1e-5).items[0]
    logits = ops.reshape(y, shape=(4, -1)) @ f
    return ops.mean(ops.sparse_softmax_cross_entropy(logits, labels))


def arrays() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    floats = [random.normal(size=t.static).astype(np.float32) * 0.3 for t in (X, W, F)]
    return [*floats, random.integers(0, 7, 4).astype(np.int32)]


def training(half: object | None) -> Graph:
    def step(x: Node, w: Node, f: Node, labels: Node) -> list[Node]:
        cost = loss(x, w, f, labels)
        if half is not None:
            (cost,) = lowered([cost], half)
        return [cost, *gradients([cost], [w, f])]

    return trace(step, X, W, F, LABELS)


@pytest.mark.parametrize(("half", "near"), [(bf16, 0.1), (f16, 0.01)])
def test_products_are_halved_and_results_stay_near(half: object, near: float) -> None:
    graph = training(half)
    products = [node for node in graph.nodes if node.op.name in PRODUCTS]
    assert len(products) >= 5
    assert all(arg.tensor.dtype is half for node in products for arg in node.args)
    assert [node.tensor.dtype for node in graph.outputs] == [f32] * 3
    exact, _ = evaluate(training(None), arrays())
    found, _ = evaluate(graph, arrays())
    for a, b in zip(found, exact, strict=True):
        assert np.linalg.norm(a - b) <= near * np.linalg.norm(b)
        assert not np.array_equal(a, b)


def test_losses_and_statistics_are_not_halved() -> None:
    graph = training(bf16)
    for node in graph.nodes:
        if node.op.name in ("sparse_softmax_cross_entropy", "batch_norm_training", "log"):
            assert node.args[0].tensor.dtype is f32


def test_what_lies_between_products_is_halved() -> None:
    graph = training(bf16)
    relus = [node for node in graph.nodes if node.op.name == "relu"]
    assert relus and all(node.tensor.dtype is bf16 for node in relus)


def test_a_graph_without_products_is_as_it_was() -> None:
    graph = trace(lambda x: [ops.softmax(ops.relu(x), axis=-1)], X)
    assert lowered_graph(graph) is graph


def test_loops_are_lowered_inside() -> None:
    square = tensor("f32", 6, 6)

    def run(x: Node, w: Node) -> list[Node]:
        return [ops.fori_loop(0, 3, lambda i, x: ops.tanh(x @ w), x)]

    graph = trace(run, square, square)
    found = lowered_graph(graph)
    assert found is not graph and "bf16" in str(found)
    random = np.random.default_rng(0)
    x, w = (random.normal(size=(6, 6)).astype(np.float32) * 0.5 for _ in range(2))
    (a,), _ = evaluate(graph, [x, w])
    (b,), _ = evaluate(found, [x, w])
    np.testing.assert_allclose(a, b, atol=0.03)
    assert found.outputs[0].type == graph.outputs[0].type


def test_products_of_integers_are_left_alone() -> None:
    graph = trace(lambda x: [ops.dot_general(x, x, contract=((1,), (0,)))], tensor("i32", 3, 3))
    assert lowered_graph(graph) is graph


def test_other_types_are_refused() -> None:
    with pytest.raises(ShapeError, match="bf16 or f16, not f32"):
        lowered_graph(training(None), f32)


def test_the_policy_names_ops() -> None:
    assert {*PRODUCTS, *FOLLOWING, *ROUNDED} <= set(registry)
