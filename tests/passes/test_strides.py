"""A view reads, by its strides, what its movement ops give."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.strides import view_of


def moved(random: Random, x: Node) -> Node:
    shape = x.tensor.static
    kind = random.choice(["transpose", "broadcast", "slice", "split", "merge"])
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
    if kind == "split":
        parts = [(n // 2, 2) if n % 2 == 0 and random.random() < 0.6 else (n,) for n in shape]
        return ops.reshape(x, shape=[n for part in parts for n in part])
    place = random.randrange(len(shape))
    return ops.reshape(x, shape=(*shape[:place], -1, *shape[place + 2 :]))


@pytest.mark.parametrize("seed", range(60))
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
    strides = [4 * stride for stride in view.strides]
    flat = values.ravel()[view.offset :]
    got = np.lib.stride_tricks.as_strided(flat, view.shape, strides)
    np.testing.assert_array_equal(got, want)


def test_reshapes_across_strides_need_a_copy():
    graph = trace(lambda x: ops.reshape(ops.transpose(x), shape=(12,)), tensor("f32", 3, 4))
    assert view_of(graph.outputs[0]) is None
