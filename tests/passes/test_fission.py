"""Products that need no carry leave the loop, and the results stay what they were."""

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.fission import split_scans
from anode.passes.pipeline import run_pass
from anode.passes.scans import merge_scans
from anode.passes.simplify import simplify
from anode.rewrite.trace import Trace
from anode.transform.grad import grad

STEPS, BATCH, WIDTH, UNITS = 5, 3, 4, 6


def scans(graph):
    return [node for node in graph.nodes if node.op.name == "scan"]


def inner_products(graph):
    found = [n for scan in scans(graph) for n in scan.attrs["body"].nodes]
    return sum(node.op.name == "dot_general" for node in found)


def prepared(graph):
    for step in (merge_scans, simplify):
        graph = run_pass(step, graph, Trace(step.__name__))
    return graph


def same(graph, split):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=type.static).astype(type.dtype.numpy) for type in graph.types]
    for a, b in zip(evaluate(graph, inputs)[0], evaluate(split, inputs)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def recurrent(joined, reverse=False):
    """A recurrent layer: one product of [x, h], or one of each."""

    def f(xs, h, w, b):
        def step(h, x):
            apart = x @ w[:WIDTH] + h @ w[WIDTH:]
            h = ops.tanh((ops.concatenate(x, h, axis=1) @ w if joined else apart) + b)
            return h, h

        last, ys = ops.scan(step, h, xs, reverse=reverse)
        return ops.sum(last * last) + ops.sum(ys * ys * ys)

    types = [tensor("f64", STEPS, BATCH, WIDTH), tensor("f64", BATCH, UNITS)]
    types += [tensor("f64", WIDTH + UNITS, UNITS), tensor("f64", UNITS)]
    return trace(f, *types)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_one_product_stays_in_each_direction(joined, reverse):
    graph = prepared(grad(recurrent(joined, reverse), [2, 3]))
    split = split_scans(graph)
    assert inner_products(split) == 2  # the next step's state, and its derivative
    same(graph, split)


def test_derivatives_by_the_sequence_are_taken_after_the_loop():
    graph = prepared(grad(recurrent(False), [0, 1, 2]))
    split = split_scans(graph)
    assert inner_products(split) == 2
    same(graph, split)


def test_a_map_of_products_is_no_loop():
    def f(xs, w):
        return ops.map_(lambda x: x @ w, xs)

    graph = trace(f, tensor("f64", STEPS, BATCH, WIDTH), tensor("f64", WIDTH, UNITS))
    split = split_scans(graph)
    assert not scans(split)
    same(graph, split)


def test_a_sum_of_outer_products_is_one_product():
    def f(xs, ys, start):
        def step(total, pair):
            x, y = pair
            return total + ops.transpose(
                y.__matmul__(ops.transpose(x, permutation=(1, 0))), permutation=(1, 0)
            ), None

        return ops.scan(step, start, (xs, ys))[0]

    graph = trace(
        f,
        tensor("f64", STEPS, WIDTH, BATCH),
        tensor("f64", STEPS, UNITS, BATCH),
        tensor("f64", WIDTH, UNITS),
    )
    split = split_scans(graph)
    assert not scans(split)
    same(graph, split)


def test_a_sum_that_the_loop_reads_stays():
    def f(xs, w):
        def step(total, x):
            return total + ops.tanh(total) @ w, ops.sum(total) * x

        return ops.scan(step, w, xs)

    graph = trace(f, tensor("f64", STEPS), tensor("f64", WIDTH, WIDTH))
    assert split_scans(graph) is graph


def test_loops_without_products_stay():
    graph = trace(lambda xs: ops.scan(lambda c, x: (c + x, c * x), xs[0], xs), tensor("f64", 4, 2))
    assert split_scans(graph) is graph


def test_weights_are_transposed_once_before_the_loop():
    def f(h, xs, w):
        return ops.scan(lambda h, x: (ops.tanh(_by_rows(h, w) + x @ w), None), h, xs)[0]

    types = [tensor("f64", BATCH, UNITS), tensor("f64", STEPS, BATCH, UNITS)]
    graph = prepared(trace(f, *types, tensor("f64", UNITS, UNITS)))
    split = split_scans(graph)
    same(graph, split)
    (scan,) = scans(split)
    (product,) = [n for n in scan.attrs["body"].nodes if n.op.name == "dot_general"]
    assert product.attrs["contract"] == ((1,), (0,))
    assert [node.op.name for node in split.nodes].count("transpose") == 1


def _by_rows(x, weight):
    return ops.dot_general(x, weight, contract=((1,), (1,)))


def test_a_product_with_one_hot_rows_in_the_loop_becomes_a_look_up_before_it():
    def f(ids, h, w):
        rows = ops.one_hot(ids, depth=WIDTH, dtype="f64")

        def step(h, x):
            h = ops.tanh(ops.concatenate(x, h, axis=1) @ w)
            return h, h

        last, ys = ops.scan(step, h, rows)
        return ops.sum(last * last) + ops.sum(ys * ys)

    types = tensor("f64", BATCH, UNITS), tensor("f64", WIDTH + UNITS, UNITS)
    graph = grad(trace(f, tensor("i32", STEPS, BATCH), *types), wrt=(1, 2))
    found = Trace("split_scans")
    split = run_pass(split_scans, prepared(graph), found)
    assert "product_with_one_hot" in found.rules
    same(graph, split)
