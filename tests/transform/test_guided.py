"""Guided gradients against NumPy, and against plain ones where nothing is rectified away."""

import numpy as np
import pytest

from anode import ops
from anode.backends.base import backend_named
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.runtime.executable import compile
from anode.transform.grad import gradients
from anode.transform.guided import guided_gradient

RANDOM = np.random.default_rng(0)


def computed(function, *arrays, rule=guided_gradient):
    inputs = fresh_inputs(*(tensor("f32", *a.shape) for a in arrays))
    (x, *others), (ct,) = inputs[:-1], inputs[-1:]
    found = rule(function(x, *others), x, ct)
    graph = close(inputs, [found])
    assert backend_named("reference")
    return compile(graph, "reference")(*arrays)[0]


def plain(y, x, ct):
    return gradients([y], [x], [ct])[0]


def rectified(ct, operand):
    return np.maximum(ct, 0) * (operand > 0)


def f32(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def test_a_chain_of_two():
    x, a, b, ct = f32(4, 5), f32(5, 6), f32(6, 3), f32(4, 3)
    found = computed(lambda x, a, b: ops.relu(ops.relu(x @ a) @ b), x, a, b, ct)
    u = x @ a
    v = np.maximum(u, 0) @ b
    expected = rectified(rectified(ct, v) @ b.T, u) @ a.T
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_branch_around_a_relu():
    x, a, ct = f32(4, 5), f32(5, 5), f32(4, 5)
    found = computed(lambda x, a: ops.relu(x + ops.relu(x @ a) * 2.0), x, a, ct)
    u = x @ a
    outer = rectified(ct, x + np.maximum(u, 0) * 2)
    expected = outer + rectified(outer * 2, u) @ a.T
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [ops.tanh, lambda x: ops.relu(x), lambda x: x * 3.0])
def test_positive_paths_have_plain_gradients(function):
    x, ct = np.abs(f32(3, 4)) + 0.1, np.abs(f32(3, 4))
    np.testing.assert_array_equal(computed(function, x, ct), computed(function, x, ct, rule=plain))


def test_relus_beside_the_path():
    x, a, ct = f32(3, 4), f32(3, 4), f32(3, 4)
    found = computed(lambda x, a: x * ops.relu(a), x, a, ct)
    np.testing.assert_allclose(found, ct * np.maximum(a, 0))
