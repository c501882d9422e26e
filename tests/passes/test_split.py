"""Large reductions in two parts give what one would, and small ones are left alone."""

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.legalize import legalize
from anode.passes.simplify import simplify
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


def test_columns_that_few_threads_could_share_are_split_over_their_rows():
    graph = trace(lambda x: ops.sum(x, axis=(0, 1, 2)), tensor("f32", 16, 8, 8, 64))
    parts = split_reductions(graph)
    assert [n.attrs["axes"] for n in parts.nodes if n.op.name == "reduce"] == [(1, 2), (0,)]
    small = trace(lambda x: ops.sum(x, axis=(0, 1, 2)), tensor("f32", 64, 3, 3, 128))
    assert reductions(split_reductions(small)) == 2
    pairs = trace(lambda x: ops.sum(x, axis=(0, 1)), tensor("f32", 4096, 2, 64))
    assert split_reductions(pairs) is pairs
    wide = trace(lambda x: ops.sum(x, axis=(0, 1)), tensor("f32", 16, 8, 4096))
    assert split_reductions(wide) is wide


def batch_norm(x):
    one = ops.full((x.shape[3],), 1.0, "f32")
    return ops.batch_norm_training(x, one, one, axis=3).items


@pytest.mark.parametrize("mean", [0, 1000])
def test_a_variance_is_that_of_parts_about_their_own_means(mean):
    graph = simplify(legalize(trace(batch_norm, tensor("f32", 16, 12, 12, 20))))
    parts = split_reductions(graph)
    assert reductions(parts) == 4
    squares = [n for n in parts.nodes if n.op.name == "square"]
    own, between = [n.args[0].args[1].args[0] for n in squares]
    assert own.shape == (16, 20) and between.shape == (20,)
    rng = np.random.RandomState(0)
    x = (rng.rand(16, 12, 12, 20) + mean + np.arange(16).reshape(16, 1, 1, 1)).astype(np.float32)
    (y, _, variance), _ = evaluate(parts, [x])
    exact = x.astype(np.float64)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-4)
    unit = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(y, unit + 1, atol=1e-3)


def test_squares_of_other_distances_are_split_like_any_sum():
    def moment(x, m):
        return ops.sum(ops.square(x - m), axis=(0, 1, 2))

    graph = trace(moment, tensor("f32", 16, 12, 12, 20), tensor("f32", 20))
    assert reductions(split_reductions(graph)) == 2
