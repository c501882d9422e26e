"""A view reads, by its axes, what its movement ops give."""

from __future__ import annotations

from functools import reduce
from random import Random

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.strides import Axis, View, factors, view_of


def moved(random: Random, x: Node) -> Node:
    shape = x.tensor.static
    kinds = ["transpose", "broadcast", "slice", "split", "merge", "reverse", "windows"]
    kind = random.choice(kinds)
    if kind == "transpose":
        return ops.transpose(x, permutation=random.sample(range(len(shape)), len(shape)))
    if kind == "broadcast":
        return ops.broadcast_in_dim(
            x, shape=(random.choice((1, 3)), *shape), axes=range(1, len(shape) + 1)
        )
    if kind == "slice":
        start = [random.randint(0, n // 2) for n in shape]
        return ops.slice(
            x, start=start, limit=shape, strides=[random.choice((1, 2)) for _ in shape]
        )
    if kind == "reverse":
        return ops.reverse(x, axes=random.sample(range(len(shape)), 1))
    if kind == "windows":
        return windowed(random, x)
    if kind == "split":
        parts = [(n // 2, 2) if n % 2 == 0 and random.random() < 0.6 else (n,) for n in shape]
        return ops.reshape(x, shape=[n for part in parts for n in part])
    place = random.randrange(len(shape))
    return ops.reshape(x, shape=(*shape[:place], -1, *shape[place + 2 :]))


def windowed(random: Random, x: Node) -> Node:
    axes = random.sample(range(x.tensor.rank), min(2, x.tensor.rank))
    sizes = [random.randint(1, min(3, x.tensor.static[axis])) for axis in axes]
    dilations = [
        random.choice((1, 2)) if (size - 1) * 2 < x.tensor.static[axis] else 1
        for size, axis in zip(sizes, axes, strict=True)
    ]
    strides = [random.randint(1, 2) for _ in axes]
    return ops.windows(x, axes=axes, sizes=sizes, strides=strides, dilations=dilations)


def places(axis: Axis) -> np.ndarray:
    """The distance from the first element of each one along an axis."""
    digits = [np.arange(size) * stride for size, stride in axis]
    return reduce(np.add.outer, digits, np.zeros((), int)).ravel()


def read(view: View, values: np.ndarray) -> np.ndarray:
    offsets = reduce(np.add.outer, map(places, view.axes), np.array(view.offset))
    return values.ravel()[offsets]


@pytest.mark.parametrize("seed", range(150))
def test_random_views(seed):
    random = Random(seed)

    def function(x: Node) -> Node:
        for _ in range(random.randint(1, 5)):
            x = moved(random, x)
        return x

    graph = trace(function, tensor("f32", 4, 6, 5))
    values = np.arange(120, dtype=np.float32).reshape(4, 6, 5)
    ((want,), _), view = evaluate(graph, [values]), view_of(graph.outputs[0])
    if view is None:
        pytest.skip("needs a copy")
    assert view.base is graph.inputs[0] and view.shape == want.shape
    np.testing.assert_array_equal(read(view, values), want)


def test_axes_are_as_few_dims_as_can_be():
    graph = trace(lambda x: ops.reshape(x, shape=(6, 4, 5)), tensor("f32", 2, 3, 20))
    view = view_of(graph.outputs[0])
    assert view is not None and view.axes == (((6, 20),), ((4, 5),), ((5, 1),))


def test_reshapes_across_digits_need_a_copy():
    def function(x: Node) -> Node:
        return ops.reshape(ops.transpose(x), shape=(6, 2))

    graph = trace(function, tensor("f32", 3, 4))
    assert view_of(graph.outputs[0]) is None


def product(function, *shapes: tuple[int, ...]) -> Graph:
    return trace(function, *[tensor("f32", *shape) for shape in shapes])


def test_windows_are_a_matrix_without_a_copy():
    def function(x: Node, w: Node) -> Node:
        patches = ops.windows(x, axes=(1, 2), sizes=(3, 2), strides=(2, 1))
        return ops.dot_general(patches, w, contract=((3, 4, 5), (0, 1, 2)))

    graph = product(function, (2, 9, 8, 4), (3, 2, 4, 7))
    a, b = factors(graph.outputs[0])
    assert a is not None and a.axes == (((2, 288), (4, 64), (7, 4)), ((3, 32), (8, 1)))
    assert b is not None and b.axes == (((24, 7),), ((7, 1),))


def test_a_batch_is_one_dim_in_memory():
    def function(x: Node, y: Node) -> Node:
        rows = ops.reshape(ops.transpose(x, permutation=(1, 0, 2)), shape=(12, 1, 5))
        return ops.dot_general(rows, y, contract=((2,), (1,)), batch=((0,), (0,)))

    a, b = factors(product(function, (3, 4, 5), (12, 5, 2)).outputs[0])
    assert a is None and b is not None
