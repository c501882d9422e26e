"""Accuracy of the elementary functions, and that their bits are the same at every width."""

from __future__ import annotations

import math
from functools import cache

import mpmath
import numpy as np
import pytest

from anode.backends.cpu.vector_math import MAX_ULP
from anode.ir.dtypes import DType, f32, f64
from anode.ops.numpy_scalars import NUMPY

FUNCTIONS = ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "atan")
WIDTHS = {f32: (16, 8, 1), f64: (8, 4, 1)}
SPECIAL = (0.0, 5e-324, 1e-45, 0.35, 0.5, 1.0, 2.0, 22.0, math.pi / 2, math.pi, 2.0**17, 2.0**30)
EDGES = (88.722839, 103.97208, 87.336, 709.7827128933841, 745.1332191019412, 708.396, 3.95, 5.95)


def neighbours(values: tuple[float, ...], dtype: DType) -> np.ndarray:
    """The values of both signs and the three floats on either side of each, infinities and NaN."""
    with np.errstate(over="ignore"):
        x = np.array(values).astype(dtype.numpy)
    bits = x.view(f"i{dtype.size}")[:, None] + np.arange(-3, 4, dtype=f"i{dtype.size}")
    near = np.abs(bits).ravel().view(dtype.numpy)
    return np.concatenate([near, -near, np.array([np.inf, -np.inf, np.nan], dtype.numpy)])


@cache
def f32_points() -> np.ndarray:
    """Every exponent with 1024 mantissas and both signs."""
    random = np.random.default_rng(1)
    mantissa = random.integers(0, 1 << 23, (255, 1024), dtype=np.uint32)
    mantissa[:, :4] = (0, 1, (1 << 23) - 2, (1 << 23) - 1)
    bits = ((np.arange(255, dtype=np.uint32)[:, None] << 23) | mantissa).ravel()
    around_one = random.uniform(-110, 110, 200000).astype(np.float32)
    positive = np.concatenate([bits.view(np.float32), around_one])
    return np.concatenate([positive, -positive, neighbours(SPECIAL + EDGES, f32)])


@cache
def f64_points() -> np.ndarray:
    """A few points of every 16th exponent, more of those around 1, both signs."""
    random = np.random.default_rng(1)
    exponents = np.concatenate([np.arange(0, 2047, 16), np.repeat(np.arange(1013, 1034), 12)])
    mantissa = random.integers(0, 1 << 52, len(exponents), dtype=np.uint64)
    positive = ((exponents.astype(np.uint64) << np.uint64(52)) | mantissa).view(np.float64)
    return np.concatenate([positive, -positive, neighbours(SPECIAL + EDGES, f64)])


def assert_special_cases(result: np.ndarray, expected: np.ndarray) -> None:
    """NaN and infinities are where they should be, and signs are right, of zeros too."""
    assert (np.isnan(result) == np.isnan(expected)).all()
    assert (np.isinf(result) == np.isinf(expected)).all()
    number = ~np.isnan(expected)
    assert (np.signbit(result) == np.signbit(expected))[number].all()


def exact(name: str, *operands: float) -> mpmath.mpf:
    """The function at finite operands, to far more than 53 bits."""
    large = name in ("sin", "cos") and abs(operands[0]) > 1e10
    small = name in ("expm1", "log1p", "tanh") and abs(operands[0]) < 1e-10
    with mpmath.workprec(1300 if large or small else 140):
        function = mpmath.power if name == "pow" else getattr(mpmath, name)
        return function(*(mpmath.mpf(float(x)) for x in operands))


def f64_ulps(name: str, result: float, rounded: float, operands: tuple[float, ...]) -> float:
    """Units in the last place between `result` and the function, where that is finite."""
    if not math.isfinite(rounded) or rounded == 0 or not all(map(math.isfinite, operands)):
        return 0.0
    ulp = math.ulp(max(abs(rounded), 2.0**-1022))
    return abs(float((mpmath.mpf(float(result)) - exact(name, *operands)) / ulp))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_f32_accuracy(compile_loop, name: str):
    x = f32_points()
    (result,) = compile_loop(lambda k, x: [getattr(k, name)(x)], (f32,), (f32,), 16)(x)
    wide = getattr(NUMPY, name)(x.astype(np.float64))
    expected = getattr(NUMPY, name)(x)
    assert_special_cases(result, expected)
    finite = np.isfinite(expected)
    ulp = np.spacing(np.maximum(np.abs(expected[finite]), np.float32(2.0**-126)))
    error = np.abs(result[finite].astype(np.float64) - wide[finite]) / ulp
    assert error.max() <= MAX_ULP[name][0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_f64_accuracy(compile_loop, name: str):
    x = f64_points()
    (result,) = compile_loop(lambda k, x: [getattr(k, name)(x)], (f64,), (f64,), 8)(x)
    expected = getattr(NUMPY, name)(x)
    assert_special_cases(result, expected)
    error = max(f64_ulps(name, r, e, (a,)) for r, e, a in zip(result, expected, x, strict=True))
    assert error <= MAX_ULP[name][1]


@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_do_not_depend_on_the_width(compile_loop, name: str, dtype: DType):
    x = f32_points()[::5].astype(dtype.numpy)
    results = [
        compile_loop(lambda k, x: [getattr(k, name)(x)], (dtype,), (dtype,), width)(x)[0]
        for width in WIDTHS[dtype]
    ]
    for other in results[1:]:
        same = results[0].view(f"u{dtype.size}") == other.view(f"u{dtype.size}")
        assert (same | (np.isnan(other) & np.isnan(results[0]))).all()


POW_VALUES = (0.0, 0.5, 0.99, 1.0, 1.01, 1.5, 2.0, 3.0, 2.0**24 - 1, 2.0**53 - 1, 1e-30, 1e30)


@pytest.mark.parametrize("width", [8, 1])
@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
def test_pow_special_cases(compile_loop, dtype: DType, width: int):
    values = np.array([*POW_VALUES, np.inf], dtype.numpy)
    x, y = (a.ravel() for a in np.meshgrid(*[np.concatenate([values, -values, [np.nan]])] * 2))
    x, y = x.astype(dtype.numpy), y.astype(dtype.numpy)
    (result,) = compile_loop(lambda k, x, y: [k.pow(x, y)], (dtype, dtype), (dtype,), width)(x, y)
    expected = NUMPY.pow(x, y)
    assert_special_cases(result, expected)
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype.numpy).eps)


def pow_points(dtype: DType, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases of every size and near 1, with exponents that reach over- and underflow."""
    random = np.random.default_rng(1)
    reach = 150 if dtype is f32 else 1074
    x = np.exp2(random.uniform(1 - reach / 1.1, reach / 1.1, count))
    x[::2] = random.uniform(0.5, 2, len(x[::2]))
    x[::5] = 1 + random.normal(size=len(x[::5])) * 1e-4
    x = np.clip(x, None, np.finfo(dtype.numpy).max / 2).astype(dtype.numpy)
    x[x == 1] = 1.5
    y = random.uniform(-reach, reach, count) / np.log2(x.astype(np.float64))
    y[::3] = random.uniform(-5, 5, len(y[::3]))
    return x, y.astype(dtype.numpy)


def test_pow_f32_accuracy(compile_loop):
    x, y = pow_points(f32, 100000)
    (result,) = compile_loop(lambda k, x, y: [k.pow(x, y)], (f32, f32), (f32,), 16)(x, y)
    wide, expected = NUMPY.pow(x.astype(np.float64), y.astype(np.float64)), NUMPY.pow(x, y)
    assert_special_cases(result, expected)
    finite = np.isfinite(expected)
    ulp = np.spacing(np.maximum(expected[finite], np.float32(2.0**-126)))
    assert (np.abs(result[finite] - wide[finite]) / ulp).max() <= MAX_ULP["pow"][0]


def test_pow_f64_accuracy(compile_loop):
    x, y = pow_points(f64, 3000)
    (result,) = compile_loop(lambda k, x, y: [k.pow(x, y)], (f64, f64), (f64,), 8)(x, y)
    expected = NUMPY.pow(x, y)
    assert_special_cases(result, expected)
    errors = (
        f64_ulps("pow", r, e, (a, b)) for r, e, a, b in zip(result, expected, x, y, strict=True)
    )
    assert max(errors) <= MAX_ULP["pow"][1]


def test_large_angles_near_multiples_of_pi(compile_loop):
    """The f64 nearest to a multiple of π/2: 61 bits cancel."""
    x = np.array([6381956970095103 * 2.0**797, -6381956970095103 * 2.0**797] * 8)
    sine, cosine = compile_loop(lambda k, x: [k.sin(x), k.cos(x)], (f64,), (f64, f64), 8)(x)
    for name, result in (("sin", sine), ("cos", cosine)):
        rounded = [float(exact(name, a)) for a in x]
        error = max(f64_ulps(name, r, e, (a,)) for r, e, a in zip(result, rounded, x, strict=True))
        assert error <= MAX_ULP[name][1]
