import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.normalization import normalized
from anode.frontends.ngraph.testing import check_derivative, executor

C, H, R, N = (ng.make_axis(n, name=s) for n, s in ((2, "C"), (3, "H"), (4, "REC"), (5, "N")))
VALUE = np.random.RandomState(0).uniform(0.5, 1.5, (2, 3, 4, 5)).astype(np.float32)


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


@pytest.fixture
def x():
    return ng.placeholder([C, H, R, N])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sum", np.sum),
        ("prod", np.prod),
        ("max", np.max),
        ("min", np.min),
        ("mean", np.mean),
        ("variance", np.var),
    ],
)
def test_reductions(name, reference, x):
    make = getattr(ng, name)
    made = [
        make(x),
        make(x, reduction_axes=[H, N]),
        make(x, out_axes=[N, C]),
        make(x, out_axes=()),
    ]
    found = ran(made, x, VALUE)
    expected = [
        reference(VALUE, axis=(0, 1)),
        reference(VALUE, axis=(1, 3)),
        reference(VALUE, axis=(1, 2)).T,
        reference(VALUE),
    ]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
    assert made[0].axes == ng.make_axes([R, N])


def test_norms_and_sizes(x):
    flat = VALUE.reshape(24, 5)
    made = [ng.squared_L2(x), ng.L2_norm(x), ng.L1_norm(x, out_axes=()), ng.tensor_size(x)]
    made += [ng.tensor_size(x, reduction_axes=[C, N]), ng.batch_size(x)]
    expected = [(flat**2).sum(0), np.sqrt((flat**2).sum(0)), VALUE.sum(), 24, 10, 5]
    for value, wanted in zip(ran(made, x, VALUE), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)


def test_places_of_extrema(x):
    made = [
        ng.argmax(x, reduction_axes=[H]),
        ng.argmin(x, out_axes=[R]),
        ng.argmax(x, dtype=np.int64, out_axes=()),
    ]
    found = ran(made, x, VALUE)
    np.testing.assert_array_equal(found[0], VALUE.argmax(1))
    np.testing.assert_array_equal(found[1], VALUE.transpose(2, 0, 1, 3).reshape(4, 30).argmin(1))
    assert found[2] == VALUE.argmax() and [v.dtype for v in found] == ["i4", "i4", "i8"]


def test_axes_must_be_the_tensors(x, caplog):
    for axes in (
        {"reduction_axes": [H], "out_axes": [H]},
        {"reduction_axes": [H], "out_axes": [N]},
        {"out_axes": [ng.make_axis(3, name="other")]},
    ):
        with pytest.raises(ValueError, match="AssignableTensorOp"):
            ng.sum(x, **axes)
    ng.sum(x, out_axis=())
    assert "no argument out_axis" in caplog.text


def test_dot_contracts_what_both_have():
    x, y = ng.placeholder([H, C, N]), ng.placeholder([R, H, C])
    u = np.random.RandomState(1).rand(3, 2, 5).astype(np.float32)
    v = np.random.RandomState(2).rand(4, 3, 2).astype(np.float32)
    product = ng.dot(x, y)
    assert product.axes == ng.make_axes([N, R])
    np.testing.assert_allclose(ran(product, x, u, y, v), np.einsum("hcn,rhc->nr", u, v), rtol=1e-5)
    check_derivative(product, x, 1e-2, u, [y], [v], atol=1e-2, rtol=1e-2)
    outer = ng.dot(ng.placeholder([H]), ng.placeholder([C]))
    assert outer.axes == ng.make_axes([H, C])


def test_one_hot():
    x = ng.placeholder([N])
    hot = ng.one_hot(x, axis=H)
    assert hot.axes == ng.make_axes([H, N])
    np.testing.assert_array_equal(ran(hot, x, [0, 2, 1, 1, 0]), np.eye(3)[[0, 2, 1, 1, 0]].T)


def test_random_numbers_are_numpys():
    x = ng.placeholder([C, H])
    with executor([ng.uniform(x, 1, 3), ng.normal(x, 5, 0.1)], x) as computation:
        np.random.seed(3)
        found = [computation(np.zeros((2, 3))) for _ in range(2)]
    np.random.seed(3)
    for uniform, normal in found:
        np.testing.assert_array_equal(uniform, np.random.uniform(1, 3, (2, 3)).astype("f"))
        np.testing.assert_array_equal(normal, np.random.normal(5, 0.1, (2, 3)).astype("f"))
    with pytest.raises(ValueError, match="poisson"):
        ng.RngOp("poisson", {}, x)


def test_derivatives(x):
    part = ng.placeholder([C, H])
    value = VALUE[:, :, 0, 0]
    for make in (ng.sum, ng.prod, ng.mean, ng.max, ng.variance, ng.L2_norm):
        check_derivative(make(part, out_axes=[C]), part, 1e-3, value, atol=2e-2, rtol=2e-2)


def test_normalisation_by_the_statistics_of_the_batch(x):
    gamma, beta = ng.placeholder([C]), ng.placeholder([C])
    y, average, spread = normalized(x, gamma, beta, ng.make_axes([C]), 1e-3)
    u, v = [2, 3], [0.5, -1]
    operands = (x, VALUE, gamma, u, beta, v)
    found = ran([y, average, spread], *operands)
    m, s = VALUE.mean((1, 2, 3)), VALUE.var((1, 2, 3))
    a, b, c, d = (np.reshape(w, (2, 1, 1, 1)) for w in (u, m, s + 1e-3, v))
    for value, wanted in zip(found, (a * (VALUE - b) / np.sqrt(c) + d, m, s), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)
    part = ng.placeholder([C, N])
    y = normalized(part, gamma, beta, ng.make_axes([C]), 1e-3)[0]
    value = VALUE[:, 0, 0]
    for op, array in ((part, value), (gamma, np.float32(u)), (beta, np.float32(v))):
        others = {part: value, gamma: u, beta: v}
        others.pop(op)
        check_derivative(
            y, op, 1e-3, array, list(others), list(others.values()), atol=2e-2, rtol=2e-2
        )
