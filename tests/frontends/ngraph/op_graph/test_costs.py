"""Values and derivatives against formulas, and numbers of ngraph-python ac032c83.

The recorded ones are from `recorded_costs.py`, run with the original.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.axes import UnmatchedAxesError
from anode.frontends.ngraph.testing import check_derivative, executor

Y, R, N = (ng.make_axis(n, name=s) for n, s in ((6, "Y"), (2, "REC"), (5, "N")))
RECORDED = json.loads(Path(__file__).with_name("recorded_costs.json").read_text())


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


@pytest.fixture
def operands():
    rng = np.random.RandomState(7)
    z, t = rng.randn(6, 2, 5).astype("f"), np.abs(rng.randn(6, 2, 5)).astype("f")
    return ng.placeholder([Y, R, N]), z, ng.placeholder([Y, R, N]), t / t.sum(0)


COSTS = {
    "softmax": lambda z, t: ng.softmax(z) + 0 * t,
    "multi": lambda z, t: ng.cross_entropy_multi(ng.softmax(z), t),
    "multi in bits": lambda z, t: ng.cross_entropy_multi(ng.softmax(z), t, usebits=True),
    "multi of sigmoid": lambda z, t: ng.cross_entropy_multi(ng.sigmoid(z), t),
    "binary": lambda z, t: ng.cross_entropy_binary(ng.sigmoid(z), t),
    "binary of tanh": lambda z, t: ng.cross_entropy_binary_inner(ng.tanh(z) * 0.4 + 0.5, t),
}


@pytest.mark.parametrize("name", COSTS)
def test_values_and_derivatives_of_the_original(name, operands):
    z, u, t, v = operands
    cost = COSTS[name](z, t)
    by_z = ng.deriv(ng.sum(cost, out_axes=()), z)
    found = ran([cost, by_z], z, u, t, v)
    for value, wanted in zip(found, RECORDED[name], strict=True):
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=5e-6)


def test_softmax_over_any_axes_has_the_right_derivative():
    z = ng.placeholder([Y, N])
    value = np.random.RandomState(0).randn(6, 5).astype("f")
    for axes in ([N], [Y, N]):
        check_derivative(ng.softmax(z, axes), z, 1e-2, value, atol=2e-3, rtol=2e-2)
    total = ng.sum(ng.softmax(z, [N]), reduction_axes=[N])
    np.testing.assert_allclose(ran(total, z, value), np.ones(6), rtol=1e-6)


def test_large_values_are_cut_but_still_have_a_derivative():
    z, t = ng.placeholder([Y]), ng.placeholder([Y])
    cost = ng.cross_entropy_multi(ng.softmax(z), t, out_axes=())
    u, v = np.eye(6, dtype="f")[0] * 200, np.eye(6, dtype="f")[1]
    found = ran([cost, ng.deriv(cost, z)], z, u, t, v)
    assert found[0] == 50
    np.testing.assert_allclose(found[1], [1, -1, 0, 0, 0, 0], atol=1e-6)
    binary = ng.cross_entropy_binary(ng.sigmoid(z), t, out_axes=())
    assert np.isfinite(ran(binary, z, u * -1, t, v))


def test_out_axes_sum_over_time(operands):
    z, u, t, v = operands
    whole = ng.cross_entropy_multi(ng.softmax(z), t)
    per_row = ng.cross_entropy_multi(ng.softmax(z), t, out_axes=[N])
    each, rows = ran([whole, per_row], z, u, t, v)
    np.testing.assert_allclose(rows, each.sum(0), rtol=1e-5)


def test_axes_that_do_not_match():
    with pytest.raises(UnmatchedAxesError, match=r"N: 5.*Y: 6"):
        ng.cross_entropy_multi(ng.placeholder([N, R]), ng.placeholder([Y, R]))
