"""What becomes one kernel, what does not and why; every node is computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.ops.declare import Elementwise
from anode.passes.fuse import MOST_INLINE, fuse, fusing
from anode.passes.kernel import KERNEL
from anode.passes.legalize import legalize
from anode.passes.pipeline import optimize
from anode.rewrite.trace import Trace
from anode.transform.grad import gradients
from tests.backends.random_expressions import random_graph

X, W, V = tensor("f32", 64, 100), tensor("f32", 100, 30), tensor("f32", 30)
IMAGES, CHANNELS = tensor("f32", 8, 16, 14, 14), tensor("f32", 16)


def kernels(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    """The kinds and reduced axes of a fused graph's kernels, and its other ops."""
    steps = [n for n in graph.nodes if n.args and n.op.name != "item"]
    return [
        (n.attrs["kind"], n.attrs["axes"]) if n.op is KERNEL else (n.op.name, ()) for n in steps
    ]


def fused(function: Callable[..., Any], *types: TensorType) -> list[tuple[str, tuple[int, ...]]]:
    return kernels(optimize(trace(function, *types)))


def refusals(function: Callable[..., Any], *types: TensorType) -> set[str]:
    found = Trace("fuse")
    fuse(legalize(trace(function, *types)), found)
    return {miss.reason for miss in found.misses}


@pytest.mark.parametrize(
    ("function", "types", "axes"),
    [
        (lambda x: ops.softmax(x, axis=1), [X], (1,)),
        (lambda x: ops.softmax(x, axis=0), [X], (0,)),
        (lambda x: ops.log_softmax(x, axis=1), [X], (1,)),
        (ops.layer_norm, [X, tensor("f32", 100), tensor("f32", 100)], (1,)),
        (
            lambda x, s, o: ops.batch_norm_training(x, s, o, axis=1).items,
            [IMAGES, CHANNELS, CHANNELS],
            (0, 2, 3),
        ),
        (lambda x, t: ops.softmax_cross_entropy(x, t, axis=1), [X, X], (1,)),
        (lambda x: (ops.tanh(x), ops.sum(x, 1), ops.max(x, 1)), [X], (1,)),
    ],
)
def test_rows_are_normalized_in_one_kernel(function, types, axes):
    assert fused(function, *types) == [("loops", axes)]


def test_bias_and_activation_are_the_epilogue_of_a_product():
    assert fused(lambda x, w, b: ops.relu(x @ w + b), X, W, V) == [("matmul", ())]


def test_an_update_is_the_epilogue_of_the_gradient():
    weight, velocity = Variable("w", W), Variable("v", W)
    (x, ct) = fresh_inputs(X, tensor("f32", 64, 30))
    (slope,) = gradients([x @ read(weight)], [read(weight)], [ct])
    new = read(velocity) * 0.9 - slope * 0.1
    graph = close([x, ct], [], [(velocity, new), (weight, read(weight) + new)])
    assert kernels(optimize(graph)) == [("matmul", ())]


def test_values_read_by_one_loop_are_read_once():
    assert fused(lambda x: (ops.exp(x), ops.sum(x * x, 1)), X) == [("loops", (1,))]


def test_a_whole_reduction_does_not_take_the_threads_from_what_follows():
    large = tensor("f32", 1000, 1000)
    found = fused(lambda x: x / ops.sum(x, (0, 1), keepdims=True), large)
    assert found[-1] == ("loops", ()) and len(found) > 1


@pytest.mark.parametrize(
    ("function", "types", "reason"),
    [
        (lambda x: ops.exp(x) + ops.transpose(ops.tanh(x)), [tensor("f32", 9, 9)], "transposed"),
        (lambda x: x + ops.exp(ops.full((30,), 1.0) * x[0]), [tensor("f32", 9, 30)], "again"),
        (lambda x: ops.sum(ops.sum(x, 1), 0), [X], "other axes"),
        (lambda x, w: ops.sum(x @ w, 1), [X, W], "reduce over its result"),
    ],
)
def test_refusals_say_why(function, types, reason):
    assert any(reason in text for text in refusals(function, *types))


def test_two_users_that_need_each_other_stay_apart():
    def function(x: Node) -> Node:
        y = ops.exp(x)
        return ops.sum(ops.cumsum(y, 0) * y, 0)

    assert len(fused(function, X)) == 3


def test_long_chains_of_movement_are_stored_on_the_way():
    def function(x: Node) -> Node:
        for i in range(MOST_INLINE * 3):
            x = ops.pad(x, constant(float(i)), low=(1, 0), high=(-1, 0))
        return ops.exp(x)

    assert len(fused(function, X)) == 3


IMAGE = tensor("f32", 2, 9, 9, 20)


def pooled(x: Node) -> tuple[Node, Node]:
    attrs = {"sizes": (3, 3), "strides": (2, 2)}
    return ops.max_pool(x, **attrs), ops.max_pool_with_index(x, **attrs).item(1)


def test_what_reads_the_same_windows_is_one_kernel():
    assert fused(pooled, IMAGE) == [("loops", (3, 4))]


def test_what_windows_read_is_stored_but_for_padding():
    def function(x: Node) -> Node:
        wide = ops.pad(ops.exp(x), constant(0.0), low=(0, 1, 1, 0), high=(0, 1, 1, 0))
        return ops.sum(ops.windows(wide, axes=(1, 2), sizes=(3, 3)), (3, 4))

    assert fused(function, IMAGE) == [("loops", ()), ("loops", (3, 4))]
    assert "windows that overlap would repeat it" in refusals(function, IMAGE)


def test_windows_are_read_by_those_that_repeat_an_operation_on_them():
    def function(x: Node, w: Node) -> tuple[Node, Node]:
        products = ops.windows(x, axes=(1, 2), sizes=(5, 5)) * w
        return ops.sum(products, (3, 4)), ops.sum(products, (0, 2, 3, 4))

    graph = optimize(trace(function, tensor("f32", 2, 40, 40, 3), tensor("f32", 5, 5, 3)))
    assert kernels(graph) == [("loops", (3, 4)), ("loops", (0, 2, 3, 4))]
    assert computed(graph.nodes, inside=True)["multiply"] == 2


def test_one_cheap_operation_is_repeated_in_windows():
    assert fused(lambda x: ops.local_response_norm(x, size=5), IMAGE) == [("loops", (3,))]


@pytest.mark.parametrize("padding", [0, 1])
def test_the_gradient_of_pooling_is_one_kernel_with_its_mask(padding):
    def function(ct: Node, index: Node, y: Node) -> Node:
        attrs = {"sizes": (3, 3), "strides": (2, 2), "low": (padding,) * 2, "high": (padding,) * 2}
        ct_y = ops.max_pool_grad(ct, index, lengths=(9, 9), **attrs)
        return ops.select(ops.greater(y, 0.0), ct_y, 0.0)

    count = 4 + padding
    places = tensor("u8", 2, count, count, 20)
    assert fused(function, tensor("f32", 2, count, count, 20), places, IMAGE) == [("loops", ())]


def test_sums_of_windows_and_reductions_of_them_are_apart():
    def function(y: Node) -> Node:
        return ops.sum(ops.overlap_add(y, lengths=(9,), axes=(0,), sizes=(2,)), 1)

    assert len(fused(function, tensor("f32", 8, 2, 64))) == 2
    assert "the users reduce" in refusals(function, tensor("f32", 8, 2, 64))


def test_what_is_cheap_is_computed_again_where_its_operand_is_stored_anyway():
    def function(x: Node, m: Node) -> Node:
        centred = x - m
        return centred * ops.cumsum(ops.sum(ops.exp(centred), (0, 1, 2)), 0)

    graph = optimize(trace(function, tensor("f32", 4, 9, 9, 32), tensor("f32", 32)))
    assert kernels(graph) == [("loops", (0, 1, 2)), ("cumulate", ()), ("loops", ())]
    assert computed(graph.nodes, inside=True)["subtract"] == 2
    assert all(node.tensor.size == 32 for node in graph.nodes[-3].items)


def test_what_is_read_in_rows_is_not_computed_again_for_every_element():
    def function(x: Node, z: Node) -> tuple[Node, Node]:
        row = ops.broadcast_to(x - 1.0, (64, 100))
        return row * z, ops.exp(row * ops.cumsum(z, 0))

    graph = optimize(trace(function, tensor("f32", 100), X))
    assert computed(graph.nodes, inside=True)["subtract"] == 1


def test_what_is_dear_or_reads_much_is_stored_for_all_that_read_it():
    def function(x: Node, z: Node) -> tuple[Node, Node]:
        both = x - z
        return ops.sum(ops.exp(both), 0), ops.sum(ops.exp(both), 1)

    graph = optimize(trace(function, X, X))
    assert sum(computed((node,), inside=True)["subtract"] for node in graph.nodes) == 1


def test_many_parts_are_copied_to_their_places():
    assert fused(lambda *xs: ops.stack(xs), *[X] * 9) == [("concatenate", ())]


def test_constants_of_one_element_are_a_product_s_operands():
    assert fused(lambda x: ops.matmul(x, constant([[2.0]])) + 1.0, tensor("f32", 4, 1))


@pytest.mark.parametrize("seed", range(60))
def test_every_node_is_computed_once(seed):
    legal = legalize(random_graph(seed, size=4 + seed % 30))
    assert computed(fuse(legal).nodes, inside=True) == computed(legal.nodes)


def computed(nodes: tuple[Node, ...], inside: bool = False) -> Counter[str]:
    """How often each op that computes something occurs."""
    if inside:
        bodies = [n.attrs["body"].nodes if n.op is KERNEL else (n,) for n in nodes]
        nodes = tuple(node for body in bodies for node in body)
    others = ("reduce", "dot_general", "cumulate", "random_bits")
    return Counter(
        node.op.name
        for node in nodes
        if node.op.name in others or (isinstance(node.op, Elementwise) and node.tensor.rank)
    )


def test_a_long_way_round_is_seen() -> None:
    """A kernel of late updates and early values is between a kernel and what that one needs."""

    def update(x: Node, y: Node, *weights: Node) -> tuple[Node, ...]:
        there, back = weights[:4], weights[4:]

        def net(z: Node, weights: tuple[Node, ...]) -> Node:
            v, b, w, c = weights
            return ops.logistic(ops.relu(z @ v + b) @ w + c)

        ways = [x - net(net(x, there), back), y - net(net(y, back), there)]
        loss = ops.mean(ops.abs(ways[0])) + ops.mean(ops.abs(ways[1]))
        moved = gradients([loss], weights)
        return tuple(w - 0.1 * step for w, step in zip(weights, moved, strict=True))

    data, layers = tensor("f32", 32, 40), [(40, 16), (16,), (16, 40), (40,)]
    weights = [tensor("f32", *shape) for shape in 2 * layers]
    assert len(fused(update, data, data, *weights)) > 10


WEIGHTS = tensor("f32", 100, 30)
HALVES = tensor("bf16", 64, 100)


def rounding_kernels(function: Callable[..., Any], rounds: bool = True) -> list[list[str]]:
    """The ops of each kernel that converts, for a backend whose products can round, or not."""
    graph = legalize(trace(function, HALVES, WEIGHTS))
    made = fusing(lambda _: rounds)(graph, Trace("fuse"))
    bodies = [node.attrs["body"] for node in made.nodes if node.op is KERNEL]
    ops = [[node.op.name for node in body.nodes if node.args] for body in bodies]
    return [names for names in ops if "convert" in names]


def halved(w: Node) -> Node:
    return ops.convert(w, dtype="bf16")


def test_products_round_stored_weights_if_they_can() -> None:
    def twice(x: Node, w: Node) -> Any:
        y = ops.dot_general(x, halved(w), contract=((1,), (0,)))
        return ops.dot_general(y, halved(w), contract=((1,), (1,)))

    assert rounding_kernels(twice) == [["convert", "dot_general"]] * 2
    assert rounding_kernels(twice, rounds=False) == [["convert"]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: (x @ halved(w), halved(w)),
        lambda x, w: x @ halved(w * w),
        lambda x, w: ops.dot_general(halved(w), x, contract=((0,), (1,))),
        lambda x, w: [x[i : i + 20] @ halved(w) for i in (0, 20, 40)],
    ],
    ids=["result", "computed", "left", "thrice"],
)
def test_a_half_type_is_stored(function: Callable[..., Any]) -> None:
    assert [names for names in rounding_kernels(function) if "dot_general" in names] == []


def test_a_kernel_of_its_own_says_that_it_takes_in_no_loops() -> None:
    def statistics(x: Node) -> Any:
        y = ops.sort(x, axis=1)
        return y, ops.sum(y, 0), ops.sum(y * y, 0)

    log = Trace("fuse")
    fuse(legalize(trace(statistics, tensor("f32", 8, 4))), log)
    (reason,) = [miss.reason for miss in log.misses if miss.node.op.name == "sort"]
    assert "takes in no loops" in reason
