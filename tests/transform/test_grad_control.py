"""Gradients of cond, scan and while against finite differences, nested and of second order."""

import numpy as np
import pytest

from anode import ops
from anode.errors import UnsupportedOp
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.transform import grad, gradients
from tests.transform.finite_differences import check

A = np.linspace(-1.0, 1.5, 6).reshape(3, 2)
X = np.array([0.3, -0.7])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("truth", [True, False])
def test_cond(order, truth):
    def f(p, x, y):
        return ops.cond(p, lambda: ops.sin(x) * y, lambda: x * x)

    check(f, np.array(truth), X, X + 1, order=order)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_switch_with_several_results_one_of_them_constant(index):
    def f(i, x):
        branches = [
            lambda v: (v * v, ops.exp(v)),
            lambda v: (ops.zeros_like(v), v * 3.0),
            lambda v: (ops.tanh(v), ops.ones_like(v)),
        ]
        return ops.switch(i, branches, x)

    check(f, np.array(index, np.int32), X)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reverse", [True, False])
def test_scan_with_carry_sequences_and_constants(order, reverse):
    def f(h, xs, w):
        return ops.scan(
            lambda h, x: ((new := ops.tanh(h @ w + x)), new * x), h, xs, reverse=reverse
        )

    check(f, X, A, np.array([[0.5, -1.0], [0.25, 0.8]]), order=order)


def test_scan_carries_an_integer_and_leaves_a_carry_unread():
    def f(h, xs):
        def step(carry, x):
            i, h, unread = carry
            row = ops.reshape(ops.dynamic_slice(xs, i, i * 0, sizes=(1, 2)), shape=(2,))
            return (i + 1, h * row + x, unread * 2.0), ops.convert(i, dtype="f64")

        zero = ops.zeros(shape=(), dtype="i32")
        (_, h, _), y = ops.scan(step, (zero, h, h), xs)
        return h, y

    check(f, X, A, order=2)


def test_scan_over_integers_and_without_a_carry():
    def f(w, rows):
        return ops.map_(lambda i: ops.exp(ops.take(w, i, axis=0)), rows)

    check(f, A, np.array([2, 0, 2], np.int32))


def test_a_scan_of_no_steps_passes_the_cotangent_of_its_carry():
    def f(h, w):
        return ops.scan(lambda h, _: (h * w, None), h, None, length=0)[0]

    check(f, X, X + 1)


@pytest.mark.parametrize("order", [1, 2])
def test_a_while_ends_before_max_trips(order):
    def f(x, w):
        return ops.while_loop(
            lambda i, v: ops.less(ops.sum(v * v), 10.0),
            lambda i, v: (i + 1, v * w + 0.1),
            (ops.zeros(shape=(), dtype="i32"), x),
            max_trips=12,
        )

    check(f, X, np.array([1.5, 1.3]), order=order)


def test_the_steps_after_the_end_of_a_while_give_no_nan():
    def f(x):  # the body's derivative is infinite where the loop ends
        return ops.while_loop(
            lambda v: ops.greater(v, 0.0), lambda v: ops.sqrt(v) * 0.0 + (v - 1.0), x, max_trips=9
        )

    check(f, 2.5)


def test_a_while_of_max_trips_stops_there():
    def f(x):
        return ops.while_loop(lambda v: ops.greater(v, 0.0), ops.sin, x, max_trips=3)

    check(f, 0.7)


def test_an_unbounded_while_has_no_gradient_and_says_how_to_get_one():
    def f(x):
        y = ops.while_loop(lambda v: ops.less(v, 9.0), lambda v: v * 2.0, x)
        return gradients([y], [x])

    with pytest.raises(UnsupportedOp, match=r"max_trips.*test_grad_control\.py"):
        trace(f, tensor("f32"))


@pytest.mark.parametrize("order", [1, 2])
def test_nested_loops_and_branches(order):
    def f(x, w):
        def inner(v, t):
            v = ops.cond(ops.less(ops.sum(v), 0.5), lambda: ops.sin(v * w), lambda: v * v)
            return v + t, ops.sum(v)

        def outer(v, row):
            v, sums = ops.scan(inner, v, ops.stack([row, row * 2.0]))
            v = ops.while_loop(lambda u: ops.greater(ops.sum(u), 1.0), lambda u: u * 0.5, v, 4)
            return v, sums

        return ops.scan(outer, x, A)

    check(f, X, X + 1, order=order)


def scans(graph):
    return [node for node in graph.nodes if node.op is ops.SCAN]


def test_only_what_the_backward_pass_reads_is_stacked():
    """The derivative of tanh reads its result, which the forward scan gives: no second loop."""

    def f(h, xs):
        def step(h, x):
            h = ops.tanh(h + x)
            return h, h

        return ops.sum(ops.scan(step, h, xs)[1])

    graph = grad(trace(f, tensor("f32", 2), tensor("f32", 3, 2)), [0, 1])
    forward, backward = scans(graph)
    assert forward.attrs["body"].nodes[-1].op is ops.tanh
    assert not any(node.op is ops.tanh for node in backward.attrs["body"].nodes)
    assert backward.attrs["reverse"]


def test_gradients_that_nobody_wants_are_not_computed():
    def f(h, xs, w):
        return ops.sum(ops.scan(lambda h, x: (h * w + x, None), h, xs)[0])

    graph = trace(f, tensor("f32", 2), tensor("f32", 3, 2), tensor("f32", 2))
    assert len(scans(grad(graph, [0]))[-1].attrs["body"].outputs) == 1
    assert len(scans(grad(graph, [0, 1, 2]))[-1].attrs["body"].outputs) == 3
