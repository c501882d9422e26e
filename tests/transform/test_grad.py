"""Reverse mode over straight-line graphs; loops and branches are in test_grad_control."""

import numpy as np
import pytest

from anode import ops
from anode.errors import GraphError, ShapeError, UnsupportedOp
from anode.ir.graph import Graph, fresh_inputs, trace
from anode.ir.node import constant, constant_value, input_node, read, topological
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ir.verify import verify
from anode.ops.declare import composite, primitive
from anode.ops.evaluate import evaluate
from anode.transform import grad, gradients
from tests.transform.finite_differences import check

F = tensor("f32")
A = np.linspace(-1.0, 1.5, 6).reshape(3, 2)
X = np.array([0.3, -0.7])


@composite
def swirl(x, y):
    """A composite without a rule: two results, one of them read again."""
    z = ops.sin(x * y)
    return z * x, z + ops.exp(y)


@composite
def outer_swirl(x):
    """A composite of a composite, with an operand and a constant among its results."""
    first, second = swirl(x, x + 1.0).items
    return first * second, x, ops.ones_like(x)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y + ops.sin(x),
        lambda x, y: swirl(x, y).items,
        lambda x, y: swirl(x, y).item(1),
        lambda x, y: outer_swirl(x).items,
        lambda x, y: ops.softmax(x * y, axis=0) @ y,
        lambda x, y: ops.top_k(x, k=1).item(0) * y,
    ],
    ids=range(6),
)
def test_first_and_second_order(function, order):
    check(function, X, X + 1.25, order=order)


def test_sharing_in_diamonds_counts_every_path():
    def f(x):
        for _ in range(20):  # 2^20 paths
            x = ops.sin(x) + x * 0.5
        return x

    check(f, X)


def test_integer_inputs_have_no_gradient_and_block_none():
    check(lambda w, i: ops.take(w, i, axis=0) * ops.convert(i[0], dtype="f64"), A, np.array([2, 0]))


def test_an_unused_input_has_a_gradient_of_zeros():
    def f(x, y):
        return gradients([ops.sum(x * x)], [x, y])

    _, zeros = evaluate(trace(f, tensor("f64", 2), tensor("f64", 3, 2)), [X, A])[0]
    np.testing.assert_array_equal(zeros, np.zeros((3, 2)))


def test_stop_gradient_and_integers_block():
    def f(x):
        blocked = ops.stop_gradient(x) * ops.convert(ops.convert(x, dtype="i32"), dtype="f64")
        return gradients([ops.sum(x * 3.0 + blocked)], [x])

    np.testing.assert_array_equal(evaluate(trace(f, tensor("f64", 2)), [X])[0][0], [3.0, 3.0])


def test_gradients_by_variables_and_intermediate_values():
    w = Variable("w", tensor("f64", 2))

    def f(x):
        hidden = x * read(w)
        return gradients([ops.sum(ops.exp(hidden))], [read(w), hidden, x])

    (by_w, by_hidden, by_x), _ = evaluate(trace(f, tensor("f64", 2)), [X], {w: X + 1})
    hidden = np.exp(X * (X + 1))
    np.testing.assert_allclose(by_w, X * hidden)
    np.testing.assert_allclose(by_hidden, hidden)
    np.testing.assert_allclose(by_x, (X + 1) * hidden)


def test_an_x_that_another_x_depends_on_and_a_y_that_is_an_x():
    def f(x):
        y = x * 2.0
        return gradients([y * y, x], [x, y])

    dx, dy = evaluate(trace(f, tensor("f64")), [3.0])[0]
    assert (float(dx), float(dy)) == (25.0, 12.0)


def test_cotangents_weigh_the_results():
    def f(x, ct):
        return gradients([ops.sin(x)], [x], [ct])

    np.testing.assert_allclose(
        evaluate(trace(f, *[tensor("f64", 2)] * 2), [X, X])[0][0], np.cos(X) * X
    )


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_types(dtype):
    graph = grad(trace(lambda x: ops.sum(x * x), tensor(dtype, 2)), [0])
    assert graph.outputs[1].type == tensor(dtype, 2)
    ones = np.broadcast_to(constant_value(constant(1.0, dtype)), (2,))
    gradient = evaluate(graph, [ones])[0][1]
    assert gradient.tobytes() == 2 * constant_value(constant(2.0, dtype)).tobytes()


def test_a_chain_of_thousands_is_differentiated_without_recursion():
    (x,) = fresh_inputs(F)
    y = x
    for _ in range(5000):
        y = ops.negate(y)
    (dx,) = gradients([y], [x])
    assert len(topological([dx])) == 5001


def test_third_order():
    def f(x):
        y = x * x * x * x
        for _ in range(3):
            (y,) = gradients([y], [x])
        return y

    assert float(evaluate(trace(f, tensor("f64")), [2.0])[0][0]) == 48.0


def test_the_backward_pass_does_not_visit_what_does_not_depend_on_xs():
    (x, other) = fresh_inputs(F, F)
    assert gradients([x * refuses(other)], [x]) == (constant(1.0) * refuses(other),)


def test_the_results_of_a_composite_are_reused():
    graph = grad(trace(lambda x, y: tanh_of(x * y), F, F), [0])
    assert not any(node.op is ops.tanh for node in graph.nodes)


@composite
def tanh_of(x):
    """Its derivative reads its result only."""
    return ops.tanh(x)


@primitive
def refuses(x):
    """An op without a gradient."""
    return x


def test_backward_nodes_take_the_line_of_the_forward_one():
    (x,) = fresh_inputs(F)
    y = ops.cos(x)
    z = ops.exp(y) * 3.0
    (dx,) = gradients([z], [x])
    assert dx.origin == y.origin != z.origin


def test_grad_adds_gradients_after_the_outputs_and_keeps_the_rest():
    w = Variable("w", F)
    x = input_node(0, F)
    loss = x * read(w)
    graph = Graph.make([F], [loss], [(w, x + 1.0)], names=["x", "loss"])
    result = grad(graph, [0, w])
    verify(result)
    assert result.outputs[0] is loss and len(result.outputs) == 3
    assert result.updates == graph.updates
    assert result.names == ("x", "loss", "d_x", "d_w")
    assert grad(graph, [0, w]) is result


def test_what_cannot_be_differentiated_says_so():
    (v, i, s) = fresh_inputs(tensor("f32", 3), tensor("i32"), F)
    with pytest.raises(ShapeError, match=r"f32\[3\] is not a scalar .*test_grad.py:.*sum it"):
        gradients([v], [v])
    with pytest.raises(ShapeError, match=r"type i32\[\] has no derivative"):
        gradients([s], [i])
    with pytest.raises(ShapeError, match="no derivative"):
        gradients([ops.top_k(v, k=2)], [v])
    with pytest.raises(ShapeError, match="cotangents"):
        gradients([v], [v], [s])
    with pytest.raises(UnsupportedOp, match=r"refuses has no gradient .*test_grad.py:.*stop_grad"):
        gradients([refuses(s)], [s])


@primitive
def wrong_type(x):
    return x


@primitive
def wrong_count(x):
    return x


wrong_type.vjp(lambda ct, y, x: (constant(1, "i32"),))
wrong_count.vjp(lambda ct, y, x: (ct, ct))


def test_rules_that_give_the_wrong_thing_are_caught():
    (x,) = fresh_inputs(F)
    with pytest.raises(GraphError, match=r"cotangent of type i32\[\]"):
        gradients([wrong_type(x)], [x])
    with pytest.raises(GraphError, match="2 cotangents for 1 operands"):
        gradients([wrong_count(x)], [x])
