"""The gradient of a loop takes the loop's own products, and the results stay what they were."""

import numpy as np

from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.fission import split_scans
from anode.passes.pipeline import run_pass
from anode.passes.scan_reuse import reuse_steps
from anode.rewrite.trace import Trace
from anode.transform.grad import grad
from tests.passes.test_fission import prepared, recurrent, same, scans

STEPS, BATCH, UNITS = 4, 3, 2


PRODUCTS = ("dot_general", "matmul")


def products(graph) -> tuple[int, int]:
    """How many there are inside of loops, and outside."""
    inside = [node for scan in scans(graph) for node in scan.attrs["body"].nodes]
    return tuple(sum(node.op.name in PRODUCTS for node in n) for n in (inside, graph.nodes))


def softplus_layer(xs, h, w):
    """Its gradient needs what goes into the activation, not what comes out."""

    def step(h, x):
        h = ops.softplus(x + h @ w)
        return h, h

    return ops.sum(ops.square(ops.scan(step, h, xs)[1]))


TYPES = [
    tensor("f64", STEPS, BATCH, UNITS),
    tensor("f64", BATCH, UNITS),
    tensor("f64", UNITS, UNITS),
]


def test_the_gradient_takes_what_went_into_an_activation():
    graph = prepared(grad(trace(softplus_layer, *TYPES), (0, 1, 2)))
    found = Trace("reuse_steps")
    reused = run_pass(reuse_steps, graph, found)
    assert [hit.rule for hit in found.hits] == ["reuse_steps"]
    same(graph, reused)
    same(graph, split_scans(reused))
    assert products(split_scans(graph)) == (2, 2)
    assert products(split_scans(reused)) == (2, 1)


def test_what_the_gradient_computes_from_outputs_stays():
    graph = prepared(grad(recurrent(joined=False), (0, 1, 2, 3)))
    assert run_pass(reuse_steps, graph, Trace("reuse_steps")) is graph


def lstm(xs, h, w):
    def step(state, x):
        h, c = state
        i, f, o, g = ((x + h @ w)[:, k * UNITS : (k + 1) * UNITS] for k in range(4))
        c = ops.logistic(f) * c + ops.logistic(i) * ops.tanh(g)
        h = ops.logistic(o) * ops.tanh(c)
        return (h, c), h

    return ops.sum(ops.square(ops.scan(step, (h, h), xs)[1]))


def test_every_gate_of_an_lstm_is_taken_from_the_loop():
    types = [tensor("f64", STEPS, BATCH, 4 * UNITS), tensor("f64", BATCH, UNITS)]
    graph = prepared(grad(trace(lstm, *types, tensor("f64", UNITS, 4 * UNITS)), (0, 1, 2)))
    split = split_scans(reuse_steps(graph))
    same(graph, split)
    assert products(split_scans(graph)) == (2, 2)
    assert products(split) == (2, 1)  # h · w in the loop and its gradient; the weight's gradient


def test_a_second_gradient_takes_products_from_both_loops():
    first = grad(trace(softplus_layer, *TYPES), (1,))
    total = trace(lambda *args: ops.sum(ops.square(first.inline(*args)[0])), *first.types)
    graph = prepared(grad(total, (0, 1, 2)))
    same(graph, split_scans(reuse_steps(graph)))


def test_other_loops_stay():
    def f(xs, w):
        _, ys = ops.scan(lambda c, x: (c + 1.0, ops.tanh(x @ w)), ops.zeros(()), xs)
        _, zs = ops.scan(lambda c, y: (c + 1.0, y @ w), ops.zeros(()), ys)  # another product
        return ops.sum(zs)

    graph = trace(f, tensor("f32", STEPS, BATCH, UNITS), tensor("f32", UNITS, UNITS))
    assert reuse_steps(graph) is graph
    assert len(scans(graph)) == 2


def test_rows_of_a_loop_count_as_what_they_are():
    """The second loop's product is of a row that the first gives, as the first one's is."""

    def f(xs, w):
        def step(c, x):
            y = ops.tanh(x)
            return c + y @ w, y

        c, ys = ops.scan(step, ops.zeros((BATCH, UNITS)), xs)
        d, _ = ops.scan(lambda d, y: (d * 0.5 + y @ w, d), ops.zeros((BATCH, UNITS)), ys)
        return c, d

    graph = trace(f, tensor("f32", STEPS, BATCH, UNITS), tensor("f32", UNITS, UNITS))
    reused = reuse_steps(graph)
    first, second = scans(reused)
    assert len(first.attrs["body"].outputs) == 3
    assert second.attrs["sequences"] == 2
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=type.static).astype(np.float32) for type in graph.types]
    for a, b in zip(evaluate(graph, inputs)[0], evaluate(reused, inputs)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_product_before_an_op_of_several_results_is_taken():
    def normalised(xs, h, w):
        def step(h, x):
            one = ops.full((UNITS,), 1.0, "f64")
            y = ops.batch_norm_training(x + h @ w, one, one, axis=1).items[0]
            return ops.tanh(y), y

        return ops.sum(ops.square(ops.scan(step, h, xs)[1]))

    graph = prepared(grad(trace(normalised, *TYPES), (0, 1, 2)))
    reused = reuse_steps(graph)
    assert reused is not graph
    same(graph, reused)
    same(graph, split_scans(reused))
