"""Gradients of cond, scan and while against finite differences, nested and of second order."""

import numpy as np
import pytest

from anode import ops
from anode.errors import UnsupportedOp
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.transform import gradients

from finite_differences import check

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
