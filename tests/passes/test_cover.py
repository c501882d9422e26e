"""Which convolutions a library is offered, with what of their surroundings."""

from __future__ import annotations

from dataclasses import dataclass, field

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.passes.cover import Convolution, Made, cover
from anode.rewrite.trace import Trace

X, W, B = tensor("f32", 2, 6, 6, 4), tensor("f32", 3, 3, 4, 8), tensor("f32", 8)
Y = tensor("f32", 2, 4, 4, 8)


@dataclass
class Taking:
    """A library that takes every convolution, and remembers each."""

    found: list[Convolution] = field(default_factory=list)

    def convolution(self, wanted: Convolution) -> Made | str:
        self.found.append(wanted)
        shape = wanted.node.tensor.static
        return Made(ops.broadcast_in_dim(len(self.found) * 1.0, shape=shape, axes=()), "taken")


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
    assert found.added is not None and found.added.shape == (2, 4, 4, 8)
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


def test_gradients_are_offered_alone() -> None:
    def both(x: Node, w: Node, y: Node) -> tuple[Node, Node]:
        data = ops.convolution_data(y, w, sizes=(6, 6))
        return ops.relu(data), ops.convolution_weights(x, y, kernel=(3, 3))

    kinds = {found.node.op.name for found in offered(trace(both, X, W, Y))}
    assert kinds == {"convolution_data", "convolution_weights"}


def test_without_a_library_nothing_changes() -> None:
    graph, log = trace(lambda x, w: ops.convolution(x, w), X, W), Trace("cover")
    assert cover(None)(graph, log) is graph and not log.hits and not log.misses
