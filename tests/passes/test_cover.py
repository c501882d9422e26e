"""Which convolutions a library is offered, with what of their surroundings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.cover import Convolution, Made, cover
from anode.rewrite.trace import Trace

X, W, B = tensor("f32", 4, 6, 6, 4), tensor("f32", 3, 3, 4, 8), tensor("f32", 8)
Y = tensor("f32", 4, 4, 4, 8)


@dataclass
class Taking:
    """A library that takes every convolution, and remembers each."""

    found: list[Convolution] = field(default_factory=list)

    def convolution(self, wanted: Convolution) -> Made | str:
        self.found.append(wanted)
        shape = wanted.node.tensor.static
        return Made(ops.broadcast_in_dim(len(self.found) * 1.0, shape=shape, axes=()), "taken")


class Whole:
    """A library that takes every convolution and says it in ops again."""

    def convolution(self, wanted: Convolution) -> Made | str:
        y = wanted.node if wanted.bias is None else wanted.node + wanted.bias
        y = y if wanted.added is None else y + wanted.added
        return Made(y if wanted.activation is None else ops.relu(y), "taken")


def offered(graph: Graph) -> list[Convolution]:
    library, log = Taking(), Trace("cover")
    cover(library)(graph, log)
    assert [hit.note for hit in log.hits] == ["taken"] * len(library.found)
    return library.found


def test_bias_sum_and_activation() -> None:
    def layer(x: Node, w: Node, b: Node, y: Node) -> Node:
        return ops.leaky_relu(y + (ops.convolution(x, w) + b), slope=0.1)

    (found,) = offered(trace(layer, X, W, B, Y))
    assert found.node.op is ops.convolution
    assert found.bias is not None and found.bias.shape == (8,)
    assert found.added is not None and found.added.shape == (4, 4, 4, 8)
    assert found.activation == ("leaky_relu", 0.1)


def test_a_maximum_with_zero_is_relu_and_with_one_is_not() -> None:
    (zero,) = offered(trace(lambda x, w: ops.maximum(0, ops.convolution(x, w)), X, W))
    (one,) = offered(trace(lambda x, w: ops.maximum(ops.convolution(x, w), 1), X, W))
    assert zero.activation == ("relu", 0.0) and one.activation is None


def test_two_tensors_are_not_one_sum() -> None:
    def layer(x: Node, w: Node, y: Node, z: Node) -> Node:
        return ops.convolution(x, w) + y + z

    graph, library, log = trace(layer, X, W, Y, Y), Taking(), Trace("cover")
    cover(library)(graph, log)
    assert [found.added is not None for found in library.found] == [True]
    assert log.misses[0].reason == "it adds two tensors of one kind"


def test_a_row_of_another_dim_is_no_bias() -> None:
    row = tensor("f32", 4, 1)

    def layer(x: Node, w: Node, row: Node) -> Node:
        return ops.convolution(x, w) + row

    (found,) = offered(trace(layer, X, W, row))
    assert found.bias is None and found.added is not None


def normalised(x: Node, w: Node, v: Node, *, axis: int = 3) -> Node:
    return ops.batch_norm_inference(ops.convolution(x, w), v, v, v, v, axis=axis)


def test_a_batch_norm_at_inference_is_folded() -> None:
    def block(x: Node, w: Node, v: Node, y: Node) -> Node:
        return ops.relu(normalised(x, w, v) + y)

    for layer, added in ((block, True), (lambda x, w, v, y: normalised(x, w, v) + 0 * y, True)):
        (found,) = offered(trace(layer, X, W, B, Y))
        assert found.bias is not None and (found.added is not None) == added
        assert found.node.args[1].op is ops.multiply  # the weights, times the factors
    (alone,) = offered(trace(normalised, X, W, B))
    assert alone.bias is not None and alone.added is None and alone.activation is None


def test_what_is_folded_has_the_value_of_what_is_not() -> None:
    def block(x: Node, w: Node, scale: Node, offset: Node, mean: Node, variance: Node) -> Node:
        y = ops.convolution(x, w)
        y = ops.batch_norm_inference(y, scale, offset, mean, variance, axis=3, epsilon=1e-3)
        return ops.relu(y + ops.convolution(x, w * 2.0))

    random = np.random.default_rng(0)
    graph = trace(block, X, W, B, B, B, B)
    values = [random.random(type.static, np.float32) + np.float32(0.1) for type in graph.types]
    log = Trace("cover")
    covered = cover(Whole())(graph, log)
    assert [hit.rule for hit in log.hits if "norm" in hit.rule] == ["convolution_norm"]
    (want,), _ = evaluate(graph, values)
    (got,), _ = evaluate(covered, values)
    np.testing.assert_allclose(got, want, rtol=2e-5)


def test_a_batch_norm_that_stays_apart_says_why() -> None:
    half = tensor("bf16", 4, 6, 6, 4), tensor("bf16", 3, 3, 4, 8), tensor("f32", 8)
    small, statistics = tensor("f32", 1, 3, 3, 4), trace(_with_statistics, X, W, B)
    for graph, reason in (
        (trace(normalised, *half), "weights of bf16 would be rounded twice"),
        (trace(normalised, small, W, B), "more weights to scale than results"),
        (trace(lambda x, w, v: normalised(x, w, v, axis=1), X, W, tensor("f32", 4)), "filters'"),
        (statistics, "is used elsewhere too"),
    ):
        log = Trace("cover")
        cover(Whole())(graph, log)
        (miss,) = [miss for miss in log.misses if miss.rule == "convolution_norm"]
        assert reason in miss.reason


def _with_statistics(x: Node, w: Node, v: Node) -> Node:
    y = ops.convolution(x, w)
    return ops.batch_norm_inference(y, v, v, ops.mean(y, axis=(0, 1, 2)), v, axis=3)


def test_gradients_are_offered_alone() -> None:
    def both(x: Node, w: Node, y: Node) -> tuple[Node, Node]:
        data = ops.convolution_data(y, w, sizes=(6, 6))
        return ops.relu(data), ops.convolution_weights(x, y, kernel=(3, 3))

    kinds = {found.node.op.name for found in offered(trace(both, X, W, Y))}
    assert kinds == {"convolution_data", "convolution_weights"}


def test_without_a_library_nothing_changes() -> None:
    graph, log = trace(lambda x, w: ops.convolution(x, w), X, W), Trace("cover")
    assert cover(None)(graph, log) is graph and not log.hits and not log.misses
