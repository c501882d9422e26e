"""Reductions, running reductions and sorting against NumPy, with NaN, infinities and empty axes."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dtypes import DTYPES, bf16_to_f32, f32, f32_to_bf16, f64
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.transform.grad import gradients
from tests.ops.values import run

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5))
AXES = [None, 0, -1, (0, 2), (), (2, 1, 0)]
FUNCTIONS = {
    "sum": np.sum,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "any": lambda x, **k: np.any(x > 0, **k),
    "all": lambda x, **k: np.all(x > 0, **k),
}


def gradient(function, *arrays):
    """The gradients of the sum of a function's results."""
    xs = fresh_inputs(*(tensor(a.dtype, *a.shape) for a in arrays))
    graph = close(xs, gradients([ops.sum(function(*xs))], xs))
    return ops.evaluate(graph, arrays)[0]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_reductions_are_numpys(name, axis, keepdims):
    def ours(x):
        x = x > 0 if name in ("any", "all") else x
        return getattr(ops, name)(x, axis, keepdims)

    got, want = run(ours, X), np.asarray(FUNCTIONS[name](X, axis=axis, keepdims=keepdims))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_sums_of_bools_count_and_means_of_integers_are_f32():
    flags = np.array([True, True, False])
    assert run(ops.sum, flags) == 2
    assert run(ops.mean, flags).dtype == np.float32
    assert run(ops.mean, np.array([1, 2], np.int64)) == np.float32(1.5)
    assert run(lambda x: ops.any(x), np.array([0, -3])) and not run(ops.all, np.array([0, -3]))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "and", "or"])
def test_the_identity_of_a_monoid_changes_nothing(name, dtype):
    if dtype.is_float and name in ("and", "or"):
        pytest.skip("bits are of integers and bools")
    body = ops.monoid(name, dtype)
    assert body is ops.monoid(name, dtype)
    assert ops.monoid_of(body) == name
    values = np.array([0, 1, 1, 0, 1]) if dtype.name == "bool" else np.array([0, 1, 3, 100, 7])
    values = run(lambda x: ops.convert(x, dtype=dtype), values)
    start = ops.full((5,), ops.identity(name, dtype), dtype)
    stacked = lambda x: ops.stack([start, x])  # noqa: E731
    reduced = lambda x: ops.reduce(  # noqa: E731
        stacked(x), ops.getitem(start, 0), body=body, axes=(0,)
    )
    np.testing.assert_array_equal(run(reduced, values), values)


def test_monoid_of_knows_either_order_and_nothing_else():
    scalars = (f32, f32)
    assert ops.monoid_of(ops.scalar_graph(lambda a, b: b + a, *scalars)) == "add"
    assert ops.monoid_of(ops.scalar_graph(lambda a, b: a - b, *scalars)) is None
    assert ops.monoid_of(ops.scalar_graph(lambda a, b: a + a, *scalars)) is None
    assert ops.monoid_of(ops.scalar_graph(lambda a, b: a + b + b, *scalars)) is None
    with pytest.raises(UnsupportedOp, match="xor"):
        ops.monoid("xor", f32)


def test_half_types_accumulate_in_f32():
    ones = f32_to_bf16(np.ones(1000, np.float32))
    assert bf16_to_f32(run(ops.sum, ones)) == 1000  # in bf16 the sum would stop at 256
    assert run(ops.mean, np.full(100, 60000, np.float16)) == 60000  # the f16 sum would overflow


def test_general_bodies_are_applied_in_order():
    body = ops.scalar_graph(lambda a, b: a * 2.0 + b, f64, f64)
    reduce = lambda x: ops.reduce(x, 1.0, body=body, axes=(0,))  # noqa: E731
    np.testing.assert_array_equal(run(reduce, np.array([[1.0, 0], [2, 0], [3, 1]])), [19, 9])
    running = lambda x: ops.cumulate(x, body=body, axis=0)  # noqa: E731
    np.testing.assert_array_equal(run(running, np.array([1.0, 2, 3])), [1, 4, 11])


def test_bodies_need_not_be_elementwise():
    def total(a, b):
        return ops.sum(ops.stack([a, b]))

    body = ops.scalar_graph(total, f64, f64)
    assert ops.monoid_of(body) is None
    got = run(lambda x: ops.reduce(x, 0.0, body=body, axes=(1,)), X[0])
    np.testing.assert_allclose(got, X[0].sum(1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_max_and_logsumexp_of_special_values(bad):
    x = np.array([[1.0, bad, 2], [bad, bad, bad]])
    np.testing.assert_array_equal(run(lambda x: ops.max(x, 1), x), x.max(1))
    with np.errstate(all="ignore"):
        want = np.logaddexp.reduce(x, axis=1)
    np.testing.assert_array_equal(run(lambda x: ops.logsumexp(x, 1), x), want)


def test_logsumexp_and_var_keep_their_precision_far_from_zero():
    big = np.float32([1000, 1001])
    np.testing.assert_allclose(run(ops.logsumexp, big), 1001.3133, rtol=1e-6)
    np.testing.assert_allclose(run(ops.var, np.float32([10000, 10001, 10002])), 2 / 3, rtol=1e-6)
    assert run(lambda x: ops.var(x, ddof=1), np.array([1.0, 3.0])) == 2


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_reductions_are_numpys(axis, reverse):
    def numpys(ufunc):
        x = np.flip(X, axis) if reverse else X
        y = ufunc.accumulate(x, axis)
        return np.flip(y, axis) if reverse else y

    for ours, ufunc in [
        (ops.cumsum, np.add),
        (ops.cumprod, np.multiply),
        (ops.cummax, np.maximum),
        (ops.cummin, np.minimum),
        (ops.cumlogsumexp, np.logaddexp),
    ]:
        got = run(lambda x, ours=ours: ours(x, axis, reverse=reverse), X)
        np.testing.assert_allclose(got, numpys(ufunc), rtol=1e-12)


def test_arg_reductions():
    x = np.array([[2.0, 7, 7], [np.nan, 9, np.nan], [-np.inf, -np.inf, -np.inf]])
    np.testing.assert_array_equal(run(lambda x: ops.argmax(x, axis=1), x), np.argmax(x, 1))
    np.testing.assert_array_equal(run(lambda x: ops.argmin(x, axis=1), x), np.argmin(x, 1))
    np.testing.assert_array_equal(run(lambda x: ops.argmax(x, axis=0), x), np.argmax(x, 0))
    assert run(lambda x: ops.argmax(x), x) == 3
    assert run(lambda x: ops.argmin(x, axis=0, dtype="i64"), np.int8([4, -128, -128])) == 1
    with pytest.raises(ShapeError, match="no elements"):
        ops.argmax(ops.zeros((2, 0)), axis=1)


def test_sort_is_stable_and_puts_nan_last():
    keys = np.array([2.0, np.nan, -0.0, 0.0, 2, -np.inf, np.nan])
    places = np.arange(7)
    for descending, want in ((False, [5, 2, 3, 0, 4, 1, 6]), (True, [0, 4, 2, 3, 5, 1, 6])):
        sorted_, order = run(
            lambda x, i, d=descending: ops.sort(x, i, axis=0, descending=d).items, keys, places
        )
        np.testing.assert_array_equal(order, want)
        np.testing.assert_array_equal(sorted_, keys[want])


def test_sort_of_unsigned_and_least_integers():
    x = np.array([0, 255, 3], np.uint8)
    np.testing.assert_array_equal(run(lambda x: ops.sort(x, descending=True), x), [255, 3, 0])
    np.testing.assert_array_equal(
        run(lambda x: ops.sort(x, descending=True), np.int8([-128, 1])), [1, -128]
    )


def test_argsort_and_top_k():
    np.testing.assert_array_equal(run(lambda x: ops.argsort(x, axis=1), X), X.argsort(1))
    values, indices = run(lambda x: ops.top_k(x, k=2).items, np.array([[3, 1, 3], [0, 5, 2]]))
    np.testing.assert_array_equal(values, [[3, 3], [5, 2]])
    np.testing.assert_array_equal(indices, [[0, 2], [1, 2]])


def test_ties_of_max_share_the_gradient():
    x = np.array([[3.0, 3, 1], [2, 0, 2]])
    (got,) = gradient(lambda x: ops.max(x, 1), x)
    np.testing.assert_array_equal(got, [[0.5, 0.5, 0], [0.5, 0, 0.5]])


def test_the_starting_value_takes_the_gradient_of_what_nothing_reaches():
    start = np.array(2.5)
    reduced = lambda x, s: ops.reduce(x, s, body=ops.monoid("maximum", f64), axes=(1,))  # noqa: E731
    gx, gs = gradient(reduced, np.array([[3.0, 1], [2, 0]]), start)
    np.testing.assert_array_equal(gx, [[1, 0], [0, 0]])
    assert gs == 1


def test_products_with_zeros_have_exact_gradients():
    x = np.array([[2.0, 0, 3], [0, 0, 4], [1, 5, 6]])
    (got,) = gradient(lambda x: ops.prod(x, 1), x)
    np.testing.assert_array_equal(got, [[0, 6, 0], [0, 0, 0], [30, 6, 5]])
    (running,) = gradient(lambda x: ops.cumprod(x, 0), np.array([2.0, 0, 3]))
    np.testing.assert_array_equal(running, [1, 8, 0])


def test_running_maximum_gives_its_gradient_to_the_latest_of_equals():
    (got,) = gradient(lambda x: ops.cummax(x, 0), np.array([1.0, 3, 3, 2]))
    np.testing.assert_array_equal(got, [1, 1, 2, 0])


def test_sort_sends_gradients_back_to_their_places():
    weights = np.array([1.0, 10, 100])
    x = np.array([5.0, -1, 2])
    got, _ = gradient(lambda x, w: ops.sort(x, axis=0) * w, x, weights)
    np.testing.assert_array_equal(got, [100, 1, 10])


def node(*shape, dtype="f32"):
    return fresh_inputs(tensor(dtype, *shape))[0]


ADD = ops.monoid("add", f32)
ERRORS = [
    (lambda: ops.reduce(node(3), node(2), node(), body=ADD, axes=0), "n tensors of one shape"),
    (lambda: ops.reduce(node(3), node(dtype="i32"), body=ADD, axes=0), "starting values"),
    (lambda: ops.reduce(node(3, dtype="f64"), 0.0, body=ADD, axes=0), "starting values"),
    (
        lambda: ops.reduce(
            node(3), 0.0, body=ops.scalar_graph(lambda a, b: a < b, f32, f32), axes=0
        ),
        "body must give",
    ),
    (lambda: ops.sum(node(3, 4), 2), "axis 2"),
    (lambda: ops.sum(node(3, 4), (0, -2)), "twice"),
    (lambda: ops.cumulate(node(3, dtype="f64"), body=ADD, axis=0), "body must map"),
    (lambda: ops.cumsum(node(3), 1), "axis 1"),
    (lambda: ops.sort(node(3), node(4)), "one shape"),
    (lambda: ops.top_k(node(3), k=4), "4 elements"),
    (lambda: ops.top_k(node(), k=1), "1 elements"),
]


@pytest.mark.parametrize(("build", "message"), ERRORS)
def test_errors_say_what_was_asked(build, message):
    with pytest.raises(ShapeError, match=message):
        build()


def test_bodies_without_a_gradient_say_so():
    other = ops.scalar_graph(lambda a, b: a - b, f32, f32)
    x = node(3)
    for y in (ops.reduce(x, 0.0, body=other, axes=0), ops.sum(ops.cumulate(x, body=other, axis=0))):
        with pytest.raises(UnsupportedOp, match="scan"):
            gradients([y], [x])
