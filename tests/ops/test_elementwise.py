"""The elementwise ops against NumPy on every sample, and against mpmath over the whole range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.dtypes import dtype_of
from anode.ir.graph import trace
from anode.ir.node import constant
from anode.ir.op import registry
from anode.ir.types import tensor
from anode.ops.declare import Elementwise, widen
from anode.ops.evaluate import evaluate
from anode.transform.grad import gradients
from tests.ops.sample import Sample
from tests.ops.samples import samples

ELEMENTWISE = {name: op for name, op in registry.items() if isinstance(op, Elementwise)}


def run(name: str, *args: Any, **attrs: Any) -> np.ndarray:
    """The reference value of an op."""
    op = registry[name]
    arrays = [np.asarray(a) for a in args]
    types = tuple(tensor(a.dtype, *a.shape) for a in arrays)
    return op.evaluate_op(tuple(arrays), attrs, op.infer(types, attrs))  # type: ignore[attr-defined]


def ulps(got: np.ndarray, points: np.ndarray, oracle: Any) -> tuple[float, float]:
    """The largest error in units of the last place, and the point where it is."""
    worst, where = 0.0, math.nan
    with mpmath.workdps(60):
        for value, x in zip(got.tolist(), points, strict=True):
            exact = oracle(mpmath.mpf(float(x)))
            rounded = points.dtype.type(float(exact))
            if not np.isfinite(rounded):
                assert value == rounded, x
                continue
            assert math.isfinite(value), (x, value)
            error = float(
                abs(mpmath.mpf(value) - exact) / mpmath.mpf(float(np.spacing(abs(rounded))))
            )
            worst, where = max((worst, where), (error, float(x)))
    return worst, where


def spread(dtype: Any, low: float, high: float, count: int = 60) -> np.ndarray:
    """Points from low to high in equal ratios, irregular in their last digits."""
    steps = np.geomspace(low, high, count) * np.random.default_rng(0).uniform(0.9, 1.0, count)
    return np.append(steps, [low, high]).astype(dtype)


def both(points: np.ndarray) -> np.ndarray:
    return np.concatenate([-points[::-1], points])


# name: oracle, points of a dtype, ulps allowed
CASES: dict[str, tuple[Any, Any, float]] = {
    "exp2": (lambda x: mpmath.mpf(2) ** x, lambda d: both(spread(d, 1e-6, 120)), 1),
    "log2": (lambda x: mpmath.log(x, 2), lambda d: spread(d, 1e-30, 1e30), 1.5),
    "cbrt": (
        lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
        lambda d: both(spread(d, 1e-37, 1e37)),
        1,
    ),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), lambda d: spread(d, 1e-37, 1e37), 1.5),
    "tan": (mpmath.tan, lambda d: both(spread(d, 1e-6, 1e3)), 1.5),
    "asin": (mpmath.asin, lambda d: both(spread(d, 1e-10, 1)), 2),
    "acos": (mpmath.acos, lambda d: both(spread(d, 1e-10, 1)), 2),
    "sinh": (mpmath.sinh, lambda d: both(spread(d, 1e-20, 89.3)), 3.5),
    "cosh": (mpmath.cosh, lambda d: both(spread(d, 1e-20, 89.3)), 3.5),
    "asinh": (mpmath.asinh, lambda d: both(spread(d, 1e-20, 1e37)), 2),
    "acosh": (mpmath.acosh, lambda d: 1 + spread(d, 1e-6, 1e37), 2),
    "atanh": (mpmath.atanh, lambda d: both(spread(d, 1e-20, 0.9999)), 2),
    "logistic": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda d: both(spread(d, 1e-6, 80)),
        2.5,
    ),
    "erf": (mpmath.erf, lambda d: both(spread(d, 1e-20, 10)), 1),
    "erfc": (mpmath.erfc, lambda d: both(spread(d, 1e-6, 9)), 5),
    "erf_inv": (mpmath.erfinv, lambda d: both(spread(d, 1e-12, 1 - 2.0**-22)), 3),
    "lgamma": (
        lambda x: mpmath.log(abs(mpmath.gamma(x))) if x < 100 else mpmath.loggamma(x),
        lambda d: np.concatenate(
            [spread(d, 1e-20, 0.7), spread(d, 3.5, 1e35), -1 - spread(d, 0.1, 0.9)]
        ),
        12,
    ),
    "digamma": (
        mpmath.digamma,
        lambda d: np.concatenate([spread(d, 1e-15, 1.3), spread(d, 2.5, 1e30)]),
        8,
    ),
    "polygamma": (lambda x: mpmath.polygamma(1, x), lambda d: spread(d, 1e-10, 1e20), 8),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str, dtype: Any) -> None:
    oracle, points, allowed = CASES[name]
    x = points(dtype)
    worst, where = ulps(run(name, x), x, oracle)
    assert worst <= allowed, f"{name}({where}) is {worst:.2f} ulp off"


# Independent values: functions of f64 arrays for floats, of the operands' own type otherwise.
# Integer division has exact tests in test_scalars.
FLOAT_ORACLE: dict[str, Callable[..., Any]] = {
    **{n: getattr(np, n) for n in ("add", "subtract", "multiply", "divide", "maximum", "minimum")},
    **{
        n: getattr(np, n) for n in ("abs", "sign", "sqrt", "cbrt", "square", "exp", "exp2", "expm1")
    },
    **{n: getattr(np, n) for n in ("log", "log2", "log1p", "sin", "cos", "tan", "sinh", "cosh")},
    **{n: getattr(np, n) for n in ("tanh", "floor", "ceil", "trunc", "floor_divide", "power")},
    **{n: getattr(np, n) for n in ("equal", "not_equal", "less", "less_equal", "greater")},
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "clamp": lambda low, x, high: np.minimum(np.maximum(low, x), high),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "greater_equal": np.greater_equal,
    "is_finite": np.isfinite,
    "is_inf": np.isinf,
    "is_nan": np.isnan,
    "logistic": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
    "modulo": np.mod,
    "multiply_add": lambda x, y, z: x * y + z,
    "negate": np.negative,
    "reciprocal": lambda x: 1 / x,
    "remainder": np.fmod,
    "round": np.rint,
    "round_away": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "select": np.where,
    "stop_gradient": lambda x: x,
}
INTEGER_ORACLE: dict[str, Callable[..., Any]] = {
    **{n: getattr(np, n) for n in ("add", "multiply", "maximum", "minimum", "square", "equal")},
    **{n: getattr(np, n) for n in ("subtract", "sign", "abs", "not_equal", "less", "less_equal")},
    "and": np.bitwise_and,
    "clamp": lambda low, x, high: np.minimum(np.maximum(low, x), high),
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "negate": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "select": np.where,
    "stop_gradient": lambda x: x,
    "xor": np.bitwise_xor,
}
ELSEWHERE = {"erf_inv", "lgamma", "digamma", "polygamma", "convert"}  # above; test_conversions
ORACLE_CALLS = [
    pytest.param(op, sample, id=f"{name}-{i}")
    for name, op in ELEMENTWISE.items()
    for i, sample in enumerate(samples(op))
    if name in (FLOAT_ORACLE if dtype_of(sample.args[-1].dtype).is_float else INTEGER_ORACLE)
]


def test_every_op_on_floats_has_an_oracle() -> None:
    floats = {n for n, op in ELEMENTWISE.items() if op.accepts in ("float", "number", "any")}
    assert floats - ELSEWHERE == set(FLOAT_ORACLE)


@pytest.mark.parametrize(("op", "sample"), ORACLE_CALLS)
def test_oracle(op: Elementwise, sample: Sample) -> None:
    (value,), _ = evaluate(sample.graph(op), sample.args)
    dtype = dtype_of(sample.args[-1].dtype)
    oracle = (FLOAT_ORACLE if dtype.is_float else INTEGER_ORACLE)[op.name]
    with np.errstate(all="ignore"):
        if not dtype.is_float:
            np.testing.assert_array_equal(value, oracle(*sample.args))
            return
        wide = [a if a.dtype == np.bool_ else widen(a).astype(np.float64) for a in sample.args]
        expected = np.asarray(oracle(*wide))
        if expected.dtype == np.bool_:
            np.testing.assert_array_equal(value, expected)
            return
        epsilon = {"f16": 2.0**-10, "bf16": 2.0**-7, "f32": 2.0**-21}.get(dtype.name, 2.0**-50)
        if dtype.name == "f32":
            expected = expected.astype(np.float32)
    np.testing.assert_allclose(
        widen(value).astype(np.float64), expected, rtol=epsilon, atol=1e-37 * (dtype.name != "f64")
    )


def test_signed_zeros_and_infinities() -> None:
    y = np.array([0.0, -0.0, 0.0, -0.0, 1.0, np.inf, np.inf, -np.inf, 1.0, 1.0])
    x = np.array([0.0, 0.0, -0.0, -0.0, -np.inf, np.inf, -np.inf, np.inf, 0.0, -0.0])
    for dtype in (np.float32, np.float64):
        angles = run("atan2", y.astype(dtype), x.astype(dtype))
        np.testing.assert_array_equal(angles, np.arctan2(y, x).astype(dtype))
        assert (np.signbit(angles) == np.signbit(y)).all()
        for name in ("sinh", "asinh", "atanh", "cbrt", "erf_inv", "asin", "tan", "round_away"):
            assert np.signbit(run(name, np.array([0.0, -0.0], dtype))).tolist() == [False, True]


def test_edges() -> None:
    inf, nan = math.inf, math.nan
    edges = {
        "sinh": ([inf, -inf, 89.4, -89.4], [inf, -inf, 3.34886e38, -3.34886e38]),
        "cosh": ([inf, -inf, 89.4], [inf, inf, 3.34886e38]),
        "asinh": ([inf, -3e38], [inf, -89.2833]),
        "acosh": ([inf, 1.0, 0.5, -5.0, -3e38], [inf, 0, nan, nan, nan]),
        "atanh": ([1, -1, 2, -inf], [inf, -inf, nan, nan]),
        "erfc": ([inf, -inf, nan, -30], [0, 2, nan, 2]),
        "erf_inv": ([1, -1, 1.5, nan], [inf, -inf, nan, nan]),
        "logistic": ([inf, -inf, 200, -87, nan], [1, 0, 1, 1.6458e-38, nan]),
        "cbrt": ([inf, -inf, -27, nan], [inf, -inf, -3, nan]),
        "round_away": ([0.49999997, -2.5, inf, 8388609.0], [0, -3, inf, 8388609]),
        "exp2": ([-126, 10, 128, -inf], [2.0**-126, 1024, inf, 0]),
    }
    for name, (x, expected) in edges.items():
        found = run(name, np.array(x, np.float32))
        np.testing.assert_allclose(found, np.array(expected, np.float32), 1e-4, err_msg=name)


def test_floor_division_agrees_with_python() -> None:
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-7, 8), [-3, -2, -1, 1, 2, 3]))
    for dtype in (np.int32, np.int8, np.float32, np.float64):
        pair = x.astype(dtype), y.astype(dtype)
        assert run("floor_divide", *pair).tolist() == [a // b for a, b in zip(x, y, strict=True)]
        assert run("modulo", *pair).tolist() == [a % b for a, b in zip(x, y, strict=True)]
    assert run("floor_divide", np.float64(1), np.float64(0.1)) == 1 // 0.1


def test_popcount() -> None:
    assert run("popcount", np.array([0, 1, -1, 255], np.int32)).tolist() == [0, 1, 32, 8]
    assert run("popcount", np.array([0, 3, 255], np.uint8)).tolist() == [0, 2, 8]


def test_count_leading_zeros() -> None:
    assert run("count_leading_zeros", np.array([0, 1, -1, 255], np.int32)).tolist() == [
        32,
        31,
        0,
        24,
    ]
    assert run("count_leading_zeros", np.array([0, 1, 128], np.uint8)).tolist() == [8, 7, 0]


def test_shifts() -> None:
    x, y = np.array([-8, 5, 5], np.int32), np.array([1, 2, 40], np.int32)
    assert run("shift_left", x, y).tolist() == [-16, 20, 0]
    assert run("shift_right_arithmetic", x, y).tolist() == [-4, 1, 0]
    assert run("shift_right_logical", x, y).tolist() == [0x7FFFFFFC, 1, 0]


@pytest.mark.parametrize(
    ("source", "target", "x", "expected"),
    [
        ("f32", "i32", [1.9, -1.9, 3e9, -3e9, math.nan], [1, -1, 2**31 - 1, -(2**31), 0]),
        ("f32", "u8", [300, -5, 255.9], [255, 0, 255]),
        ("i32", "u8", [-1, 256, 300], [255, 0, 44]),
        ("i32", "f32", [16777217, -3], [16777216, -3]),
        ("f32", "bool", [0, -0.0, 1e-30, math.nan], [False, False, True, True]),
        ("bool", "f64", [True, False], [1, 0]),
        ("f64", "f16", [1 + 2**-11, 1 + 2**-11 + 2**-20, 1e6], [1, 1 + 2**-10, math.inf]),
    ],
)
def test_conversions(source: str, target: str, x: list[float], expected: list[float]) -> None:
    (value,), _ = evaluate(
        trace(lambda x: ops.convert(x, dtype=target), tensor(source, len(x))),
        [np.array(x, source.replace("f", "float").replace("i", "int").replace("u", "uint"))],
    )
    assert dtype_of(value.dtype).name == target
    assert value.tolist() == expected


def gradient(name: str, *args: float) -> list[float]:
    """The gradients of an op of f64 scalars."""
    graph = trace(lambda *xs: gradients([registry[name](*xs)], xs), *[tensor("f64")] * len(args))
    return [float(g) for g in evaluate(graph, [np.float64(a) for a in args])[0]]


def test_gradients_at_kinks() -> None:
    assert gradient("abs", 0) == [0]
    assert gradient("maximum", 2, 2) == [0.5, 0.5]
    assert gradient("minimum", 2, 2) == [0.5, 0.5]
    assert gradient("clamp", 0, 0.5, 1) == [0, 1, 0]
    assert gradient("clamp", 0, -1, 1) == [1, 0, 0]
    assert gradient("clamp", 0, 2, 1) == [0, 0, 1]


def test_stop_gradient_blocks() -> None:
    assert gradient("stop_gradient", 2) == [0]
    assert gradient("floor_divide", 2, 3) == [0, 0]


def test_gradients_of_power_are_finite_where_power_is() -> None:
    assert gradient("power", 0, 2) == [0, 0]
    assert gradient("power", 0, 1) == [1, 0]
    assert gradient("power", 0, 0) == [0, 0]
    assert gradient("power", -3, 2) == [-6, 0]
    second = trace(lambda x: gradients(gradients([ops.power(x, 1.0)], [x]), [x]), tensor("f64"))
    assert evaluate(second, [np.float64(0)])[0][0] == 0


def test_errors() -> None:
    x, i, b = constant(1.0), constant(1), constant(True)
    with pytest.raises(ShapeError, match="float types, not i32"):
        ops.exp(i)
    with pytest.raises(ShapeError, match="unequal types"):
        ops.add(x, i)
    with pytest.raises(ShapeError, match="number types, not bool"):
        ops.subtract(b, b)
    with pytest.raises(ShapeError, match="predicate must be bool"):
        ops.select(x, x, x)
