import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.loop import Loop
from anode.frontends.ngraph.testing import executor

N, M = ng.make_axis(3, name="deriv_n"), ng.make_axis(2, name="deriv_m")


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


def test_by_variables_placeholders_and_other_ops():
    x, w = ng.placeholder([N]), ng.variable([N], initial_value=[1, 2, 3])
    product = x * w
    cost = ng.sum(ng.square(product), out_axes=())
    found = ran([ng.deriv(cost, op) for op in (x, w, product)], x, [1, 1, 2])
    np.testing.assert_array_equal(found[0], [2, 8, 36])
    np.testing.assert_array_equal(found[1], [2, 4, 24])
    np.testing.assert_array_equal(found[2], [2, 4, 12])


def test_what_does_not_matter_has_derivative_zero():
    x, w = ng.placeholder([N]), ng.variable([M], initial_value=1)
    np.testing.assert_array_equal(ran(ng.deriv(ng.sum(x, out_axes=()), w), x, [1, 1, 1]), [0, 0])


def test_an_error_weights_the_elements_in_any_order_of_axes():
    x, error = ng.placeholder([N, M]), ng.placeholder([M, N])
    u, v = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(2, 3) + 1
    found = ran(ng.deriv(ng.square(x), x, error=error), x, u, error, v)
    np.testing.assert_array_equal(found, 2 * u * v.T)
    with pytest.raises(ValueError, match="needs an error"):
        ng.deriv(x, x)


def test_equal_constants_are_told_apart():
    a, b = ng.constant(3.0), ng.constant(3.0)
    assert ran(ng.deriv(a * b * b, a)) == 9


def test_a_view_with_the_same_elements_is_told_apart():
    x = ng.placeholder([N])
    y = ng.cast_axes(x, [ng.make_axis(3, name="other")])
    cost = ng.sum(x, out_axes=()) * ng.sum(y, out_axes=())
    np.testing.assert_array_equal(ran(ng.deriv(cost, y), x, [1, 2, 3]), [6, 6, 6])
    np.testing.assert_array_equal(ran(ng.deriv(cost, x), x, [1, 2, 3]), [12, 12, 12])


def test_second_derivatives():
    x = ng.placeholder([N])
    first = ng.deriv(ng.sum(x**3, out_axes=()), x)
    second = ng.deriv(ng.sum(first, out_axes=()), x)
    np.testing.assert_allclose(ran(second, x, [1, 2, 3]), [6, 12, 18], rtol=1e-6)


def test_no_derivative_goes_through_storage():
    x, kept = ng.placeholder([N]), ng.persistent_tensor([N])
    value = ng.sequential([ng.assign(kept, x * 2), kept * x])
    found = ran(ng.deriv(ng.sum(value, out_axes=()), x), x, [1, 2, 3])
    np.testing.assert_array_equal(found, [2, 4, 6])


def test_updates_use_the_values_before_them():
    w, v = (ng.variable((), initial_value=i) for i in (2, 3))
    cost = w * v
    step = ng.doall([ng.assign(w, w - ng.deriv(cost, w)), ng.assign(v, v - ng.deriv(cost, v))])
    assert [float(x) for x in ran([w, v, cost, step])[:3]] == [-1, 1, 6]


def test_in_a_step_of_a_loop():
    time = ng.make_axis(4, name="REC")
    x, start = ng.placeholder([time, N]), ng.constant(0.0, [N])

    def step(now, states):
        cost = ng.sum(now**3 + states[0] * now, out_axes=())
        return [ng.deriv(cost, now) + 0 * ng.deriv(cost, states[0])]

    loop = Loop(time)
    loop.run(step, x, [start])
    value = np.arange(12.0).reshape(4, 3) / 10
    expected = np.zeros(3)
    for row in value:  # d/dnow of now³ + state·now
        expected = 3 * row**2 + expected
    np.testing.assert_allclose(ran(loop.last(0), x, value), expected, rtol=1e-5)
