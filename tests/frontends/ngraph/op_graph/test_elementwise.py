import numpy as np
import pytest

from anode.errors import ShapeError
from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.axes import IncompatibleAxesError
from anode.frontends.ngraph.testing import RandomTensorGenerator, check_derivative, executor

A, B = ng.make_axis(2, name="A"), ng.make_axis(3, name="B")
rng = RandomTensorGenerator(0)


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


UNARY = {
    "negative": np.negative,
    "absolute": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "reciprocal": np.reciprocal,
    "sign": np.sign,
    "square": np.square,
    "sqrt": np.sqrt,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoidAtomic": lambda x: 1 / (1 + np.exp(-x)),
    "safelog": lambda x: np.maximum(np.log(x + np.exp(-50.0)), -50),
    "stop_gradient": lambda x: x,
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "floordivide": np.floor_divide,
    "mod": np.mod,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "less": np.less,
    "greater_equal": np.greater_equal,
    "less_equal": np.less_equal,
}


def test_unary_functions():
    x, value = ng.placeholder([A, B]), rng.uniform(0.5, 2, [A, B])
    with executor([getattr(ng, name)(x) for name in UNARY], x) as computation:
        for found, reference in zip(computation(value), UNARY.values(), strict=True):
            np.testing.assert_allclose(found, reference(value), rtol=2e-6)


def test_binary_functions_and_their_type():
    x, y = ng.placeholder([A, B]), ng.placeholder([B, A])
    u, v = (rng.discrete_uniform(1, 4, 0.5, axes) for axes in (x.axes, y.axes))
    with executor([getattr(ng, name)(x, y) for name in BINARY], x, y) as computation:
        for found, reference in zip(computation(u, v), BINARY.values(), strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, reference(u, v.T), rtol=2e-6)


def test_operators():
    x = ng.placeholder(())
    made = [x + 2, 2 + x, x - 2, 2 - x, x * 2, x / 2, 2 / x, x // 2, 5 % x, x % 2, x**2, 2**x]
    made += [-x, +x, abs(-x), x < 3, x > 3, x <= 3, x >= 3]
    assert [float(v) for v in ran(made, x, 3)] == [
        *(5, 5, 1, -1, 6, 1.5, np.float32(2 / 3), 1, 2, 1, 9, 8),
        *(-3, 3, 3, 0, 0, 1, 1),
    ]


@pytest.mark.parametrize(
    ("left", "right", "axes"),
    [
        ([A, B], [B, A], [A, B]),
        ([A], [B], [A, B]),
        ([A], [B, A], [B, A]),
        ([A, B], [B], [A, B]),
        ([], [B], [B]),
    ],
)
def test_axes_of_results(left, right, axes):
    x, y = ng.placeholder(left), ng.placeholder(right)
    assert (x + y).axes == ng.make_axes(axes)
    u, v = (rng.uniform(-1, 1, op.axes) for op in (x, y))
    names = {axis.name: chr(97 + i) for i, axis in enumerate(axes)}
    subscripts = ["".join(names[a.name] for a in each) for each in (left, right, axes)]
    expected = np.einsum(f"{subscripts[0]},{subscripts[1]}->{subscripts[2]}", u, v)
    np.testing.assert_allclose(ran(x * y, x, u, y, v), expected, rtol=1e-6)


def test_types_of_elements():
    whole = ng.placeholder([A], dtype=np.int32)
    wide = ng.placeholder([A], dtype=np.float64)
    small = ng.placeholder([A], dtype=np.uint8)
    expected = {
        np.int32: [whole + 1, whole + whole, whole // 2, whole % 2, ng.maximum(whole, 3)],
        np.float32: [whole / 2, whole + 0.5, small + 1, small - small, whole > 1, ng.exp(whole)],
        np.float64: [wide + 1, wide * whole, ng.tanh(wide), ng.sum(wide, out_axes=())],
    }
    for dtype, made in expected.items():
        assert [op.dtype for op in made] == [dtype] * len(made)
    assert ng.add(whole, 1, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(ran(whole + 2**24 + 1, whole, [2, 3]), [2**24 + 3, 2**24 + 4])
    np.testing.assert_array_equal(ran(small - 5, small, [2, 9]), [-3, 4])


def test_equal_names_with_different_lengths_are_an_error_where_they_meet():
    x = ng.placeholder([ng.make_axis(2, name="H")])
    y = ng.placeholder([ng.make_axis(3, name="H")])
    for make in (ng.add, ng.dot, lambda a, b: ng.broadcast(a, b.axes)):
        with pytest.raises(IncompatibleAxesError, match=r"H has length 2 in .*but 3 in") as error:
            make(x, y)
        assert isinstance(error.value, ShapeError)
    with pytest.raises(ValueError) as error:
        x * y
    assert str(error.value).count(__file__) == 2


def test_derivatives():
    x, value = ng.placeholder([A, B]), rng.uniform(0.5, 1.5, [A, B])
    y = ng.log(x) * ng.tanh(x) / ng.sqrt(x) + x**3 - ng.sin(x) * ng.cos(x) + ng.reciprocal(x)
    check_derivative(y, x, 1e-3, value, atol=5e-3, rtol=5e-3)


def test_derivatives_of_extrema():
    x = ng.placeholder([B])
    of_relu = ng.deriv(ng.sum(ng.maximum(x, 0), out_axes=()), x)
    of_least = ng.deriv(ng.sum(ng.minimum(2.0, x), out_axes=()), x)
    np.testing.assert_array_equal(ran(of_relu, x, [-1, 0, 1]), [0, 0, 1])
    np.testing.assert_array_equal(ran(of_least, x, [1, 2, 3]), [1, 0, 0])
    y = ng.placeholder([B])
    shared = ng.deriv(ng.sum(ng.maximum(x, y), out_axes=()), x)
    np.testing.assert_array_equal(ran(shared, x, [1, 2, 3], y, [2, 2, 2]), [0, 0.5, 1])
    stopped = ng.deriv(ng.sum(ng.stop_gradient(x) * x, out_axes=()), x)
    np.testing.assert_array_equal(ran(stopped, x, [1, 2, 3]), [1, 2, 3])
