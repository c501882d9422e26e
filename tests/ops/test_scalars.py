"""The NumPy oracle against Python's exact integers and its own stated conventions."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from anode.ir.dtypes import DTYPES, DType, bool_, f32, f64, i32, u8
from anode.ops.numpy_scalars import NUMPY

INTEGERS = [d for d in DTYPES.values() if d.is_integer]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def edge_integers(dtype: DType) -> np.ndarray:
    info = np.iinfo(dtype.numpy)
    values = [0, 1, 2, 3, 7, info.max // 2, info.max - 1, info.max, info.min, info.min + 1]
    return np.array(values + [-1, -2, -7] * (dtype.kind == "signed"), dtype.numpy)


def unsigned(a: int, dtype: DType) -> int:
    return a & ((1 << dtype.bits) - 1)


def wrap(a: int, dtype: DType) -> int:
    a = unsigned(a, dtype)
    return a - (1 << dtype.bits) if dtype.kind == "signed" and a >> (dtype.bits - 1) else a


def truncated_quotient(a: int, b: int) -> int:
    if b == 0:
        return -1
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def integer_pow(a: int, b: int, dtype: DType) -> int:
    if b >= 0:
        return pow(a, b, 1 << dtype.bits)
    return a ** (b & 1) if abs(a) == 1 else 0


def shift(a: int, b: int, dtype: DType, kind: str) -> int:
    amount, bits = min(unsigned(b, dtype), dtype.bits), unsigned(a, dtype)
    if kind == "left":
        return bits << amount
    negative = kind == "arithmetic" and bits >> (dtype.bits - 1)
    return (bits - (1 << dtype.bits) if negative else bits) >> amount


BINARY: dict[str, Callable[[int, int, DType], int]] = {
    "add": lambda a, b, d: a + b,
    "sub": lambda a, b, d: a - b,
    "mul": lambda a, b, d: a * b,
    "div": lambda a, b, d: truncated_quotient(a, b),
    "rem": lambda a, b, d: a - b * truncated_quotient(a, b) if b else a,
    "pow": integer_pow,
    "max": lambda a, b, d: max(a, b),
    "min": lambda a, b, d: min(a, b),
    "and_": lambda a, b, d: a & b,
    "or_": lambda a, b, d: a | b,
    "xor": lambda a, b, d: a ^ b,
    "shift_left": lambda a, b, d: shift(a, b, d, "left"),
    "shift_right_logical": lambda a, b, d: shift(a, b, d, "logical"),
    "shift_right_arithmetic": lambda a, b, d: shift(a, b, d, "arithmetic"),
}

UNARY: dict[str, Callable[[int, DType], int]] = {
    "neg": lambda a, d: -a,
    "abs": lambda a, d: abs(a),
    "not_": lambda a, d: ~a,
    "popcount": lambda a, d: unsigned(a, d).bit_count(),
    "clz": lambda a, d: d.bits - unsigned(a, d).bit_length(),
}


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_integer_binary(name: str, dtype: DType):
    x, y = (a.ravel() for a in np.meshgrid(edge_integers(dtype), edge_integers(dtype)))
    expected = [wrap(BINARY[name](int(a), int(b), dtype), dtype) for a, b in zip(x, y, strict=True)]
    result = getattr(NUMPY, name)(x, y)
    assert result.dtype == dtype.numpy
    assert result.tolist() == expected


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_integer_unary(name: str, dtype: DType):
    x = edge_integers(dtype)
    result = getattr(NUMPY, name)(x)
    assert result.dtype == dtype.numpy
    assert result.tolist() == [wrap(UNARY[name](int(a), dtype), dtype) for a in x]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_constants_do_not_promote(dtype: DType):
    if dtype.bits == 16 and dtype.is_float:
        pytest.skip("arithmetic is never in the half types")
    one = NUMPY.const(1, dtype)
    assert NUMPY.add(one, one).dtype == dtype.numpy
    assert NUMPY.mul(np.ones((2, 3), dtype.numpy), one).shape == (2, 3)
    assert NUMPY.dtype(one) is dtype


def test_constants_wrap_and_saturate():
    assert NUMPY.const(-1, u8) == 255
    assert NUMPY.const(2**31, i32) == -(2**31)
    assert NUMPY.const(1e300, f32) == np.inf


@pytest.mark.parametrize("source", [f32, f64], ids=str)
@pytest.mark.parametrize("target", INTEGERS, ids=str)
def test_float_to_integer_saturates(source: DType, target: DType):
    values = [0, -0.5, 0.99, 3.99, -3.99, 127.5, 255.5, -129, 1e30, -1e30]
    values += [sign * 2.0**k for k in (7, 8, 15, 16, 31, 32, 53, 63, 64) for sign in (1, -1)]
    x = np.array([*values, np.inf, -np.inf, np.nan], source.numpy)
    info = np.iinfo(target.numpy)
    expected = [min(max(int(a), info.min), info.max) for a in x[:-3]] + [info.max, info.min, 0]
    assert NUMPY.convert(x, target).tolist() == expected


def test_convert_to_bool_and_back():
    x = np.array([0.0, -0.0, 0.5, np.nan], np.float32)
    assert NUMPY.convert(x, bool_).tolist() == [False, False, True, True]
    assert NUMPY.convert(np.array([True, False]), f32).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_propagate_nan(name: str):
    nan = np.array([np.nan, 1.0], np.float32)
    assert np.isnan(getattr(NUMPY, name)(nan, nan[::-1])).all()


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparison_with_nan(name: str):
    x = np.array([np.nan, 1.0, 2.0])
    expected = [getattr(operator, name)(a, 1.0) for a in x.tolist()]
    assert getattr(NUMPY, name)(x, NUMPY.const(1, f64)).tolist() == expected


def test_fma_rounds_once():
    tiny = np.float32(2.0**-24)
    x, z = np.array([1 + 2.0**-12], np.float32), np.array([2.0**-60], np.float32)
    exact = np.float32((1 + 2.0**-12) ** 2)  # a tie that 2^-60 breaks upward
    assert np.float32((1 + 2.0**-12) ** 2 + 2.0**-60) == exact  # float64 loses it
    assert NUMPY.fma(x, x, z)[0] == exact + 2 * tiny


@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
def test_elementary_functions_keep_the_type(dtype: DType):
    names = "exp expm1 log log1p sin cos tanh erf atan sqrt floor ceil trunc round_even neg abs"
    for name in names.split():
        for x in (np.array([-2.0, 0.0, 2.5, np.inf, np.nan], dtype.numpy), NUMPY.const(2.5, dtype)):
            result = getattr(NUMPY, name)(x)
            assert isinstance(result, np.ndarray) and result.dtype == dtype.numpy, name


def test_erf_and_rounding():
    x = np.array([0.5, 1.5, 2.5, -0.5])
    assert NUMPY.erf(x).tolist() == [math.erf(a) for a in x]
    assert NUMPY.round_even(x).tolist() == [0.0, 2.0, 2.0, 0.0]


def test_bitcast():
    assert NUMPY.bitcast(NUMPY.const(1.0, f32), i32) == 0x3F800000
