"""Large reductions in two parts give what one would, and small ones are left alone."""

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.split import split_reductions
from anode.rewrite.trace import Trace


def reductions(graph: Graph) -> int:
    return sum(node.op.name == "reduce" for node in graph.nodes)


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "i32"])
@pytest.mark.parametrize("function", [ops.sum, ops.max])
def test_a_full_reduction_has_two_parts_of_the_same_value(function, dtype):
    graph = trace(lambda x: function(x * x), tensor(dtype, 64, 20, 40))
    hits = Trace("split")
    parts = split_reductions(graph, hits)
    assert reductions(parts) == 2 and len(hits.hits) == 1
    x = np.random.RandomState(0).randint(-3, 4, (64, 20, 40)).astype(graph.types[0].dtype.numpy)
    (one,), _ = evaluate(graph, [x])
    (two,), _ = evaluate(parts, [x])
    np.testing.assert_array_equal(one, two)


def test_the_axis_that_is_left_over_may_be_in_the_middle():
    graph = trace(lambda x: ops.sum(x, axis=(0, 2)), tensor("f32", 2, 4, 40000))
    assert split_reductions(graph) is graph
    graph = trace(lambda x: ops.sum(x, axis=(1, 2)), tensor("f32", 3, 50, 900))
    parts = split_reductions(graph)
    x = np.random.RandomState(0).rand(3, 50, 900).astype(np.float32)
    (one,), _ = evaluate(graph, [x])
    (two,), _ = evaluate(parts, [x])
    assert reductions(parts) == 2
    np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.parametrize("shape", [(16, 16), (70000,), (4, 4, 4)])
def test_small_and_flat_reductions_stay(shape):
    graph = trace(ops.sum, tensor("f32", *shape))
    assert split_reductions(graph) is graph
