import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.testing import check_derivative, executor

A, B, C = (ng.make_axis(n, name=name) for n, name in ((2, "A"), (3, "B"), (4, "C")))
VALUE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def x():
    return ng.placeholder([A, B, C])


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


VIEWS = {
    "transpose": (ng.Transpose, VALUE.T),
    "order": (lambda x: ng.axes_with_order(x, [B, A, C]), VALUE.swapaxes(0, 1)),
    "cast": (lambda x: ng.cast_axes(x, ng.make_axes({"p": 2, "q": 3, "r": 4})), VALUE),
    "role": (lambda x: ng.cast_role(x, ng.make_axes({"p": 9, "B": 3, "r": 1})), VALUE),
    "roles": (lambda x: ng.map_roles(x, {"A": "z"}), VALUE),
    "expand": (
        lambda x: ng.expand_dims(x, ng.make_axis(5, name="new"), 1),
        np.broadcast_to(VALUE[:, None], (2, 5, 3, 4)),
    ),
    "broadcast": (
        lambda x: ng.broadcast(x[0, 0], [B, C]),
        np.broadcast_to(VALUE[0, 0], (3, 4)),
    ),
    "slice": (lambda x: x[1, 1:, :-1], VALUE[1, 1:, :-1]),
    "ellipsis": (lambda x: x[..., 2], VALUE[..., 2]),
    "negative index": (lambda x: x[-1], VALUE[-1]),
    "along": (lambda x: ng.slice_along_axis(x, B, 2), VALUE[:, 2]),
    "flatten": (ng.flatten, VALUE.reshape(24)),
    "flatten_at": (lambda x: ng.flatten_at(x, 2), VALUE.reshape(6, 4)),
    "unflatten": (lambda x: ng.unflatten(ng.flatten_at(x, 1)), VALUE),
    "contiguous": (lambda x: ng.ContiguousOp(ng.Transpose(x)), VALUE.T),
    "pad": (
        lambda x: ng.pad(x, [0, 1, (2, 0)]),
        np.pad(VALUE, [(0, 0), (1, 1), (2, 0)]),
    ),
    "stack": (
        lambda x: ng.stack([x, x * 2], ng.make_axis(2, name="s"), pos=1),
        np.stack([VALUE, VALUE * 2], 1),
    ),
    "concat": (lambda x: ng.concat_along_axis([x, x[:, :2]], B), np.hstack([VALUE, VALUE[:, :2]])),
}


@pytest.mark.parametrize("name", VIEWS)
def test_values(name, x):
    make, expected = VIEWS[name]
    np.testing.assert_array_equal(ran(make(x), x, VALUE), expected)


@pytest.mark.parametrize("name", ["order", "expand", "slice", "pad", "stack", "concat"])
def test_derivatives(name, x):
    part, value = x[:, :2, :2], VALUE[:, :2, :2] / 10
    small = ng.placeholder(part.axes)
    make = VIEWS[name][0] if name in ("expand", "pad", "stack") else lambda y: y[1:, 0]
    check_derivative(make(small), small, 1e-2, value, atol=1e-3, rtol=1e-3)


def test_axes_of_views(x):
    assert x[0, 1:].axes.names == ("B", "C") and x[0, 1:].axes.lengths == (2, 4)
    assert ng.pad(x, [0, 1, 0]).axes.lengths == (2, 5, 4)
    assert ng.pad(x, [0, 1, 0]).axes[0] is A
    assert ng.concat_along_axis([x, x], B).axes.lengths == (2, 6, 4)
    assert ng.map_roles(x, {"A": "z"}).axes.names == ("z", "B", "C")
    assert ng.axes_with_order(x, [A, B, C]) is x and ng.broadcast(x, x.axes) is x
    assert ng.expand_dims(x, A, 0) is x and ng.concat_along_axis([], A) == []


def test_descriptions_follow_views(x):
    td = ng.axes_with_order(x, [C, A, B]).tensor_description()
    assert td.shape == (4, 2, 3) and td.strides == (4, 48, 16)
    assert x[1].tensor_description().offset == 48


def test_errors(x):
    for make, sentence in (
        (lambda: ng.cast_axes(x, [B, A, C]), "lengths"),
        (lambda: ng.axes_with_order(x, [A, B]), "same set"),
        (lambda: ng.tensor_slice(x, [0]), "3 axes, not 1"),
        (lambda: x[::-1], "negative step"),
        (lambda: ng.pad(x, [1]), "3 axes, not 1"),
        (lambda: ng.broadcast(x, [A, B]), "no C"),
        (lambda: ng.unflatten(x, [A, B]), "same axes"),
        (lambda: ng.stack([x], ng.make_axis(2)), "fill the axis"),
        (lambda: ng.cast_role(x, [A]), "3 axes, not 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make()
    with pytest.raises(RuntimeError, match="other axes"):
        ng.concat_along_axis([x, x[0]], B)


def test_what_neon_3_has_more(x):
    one = ng.make_axis(1, name="one")
    parts = [ng.expand_dims(x[:, i], one, 0) for i in range(3)]
    joined = ng.stack_by_concat(parts, B, one)
    assert joined.axes.names == ("B", "A", "C")
    replaced = ng.replace_slice(x * 1, [0, slice(1, 3), slice(None)], x[1, 1:], x.axes)
    found = ran([joined, replaced, ng.relu(x - 5, [B, A, C])], x, VALUE)
    np.testing.assert_array_equal(found[0], VALUE.swapaxes(0, 1))
    expected = VALUE.copy()
    expected[0, 1:] = VALUE[1, 1:]
    np.testing.assert_array_equal(found[1], expected)
    np.testing.assert_array_equal(found[2], np.maximum(VALUE - 5, 0).swapaxes(0, 1))
    gamma, beta = ng.constant([2.0, 3.0], [A]), ng.constant([0.0, 1.0], [A])
    y, mean, variance = ng.batchnormtrain(x, gamma, beta, 1e-3, ng.make_axes([A]), x.axes)
    again = ng.batchnorminference(x, gamma, beta, mean, variance, 1e-3, x.axes)
    np.testing.assert_allclose(*ran([y, again], x, VALUE), rtol=1e-4, atol=1e-5)
    assert ran(ng.fill(x.axes, 3)).tolist() == np.full((2, 3, 4), 3).tolist()
    assert ran(ng.uniform(x.axes, 3, 4)).min() >= 3
