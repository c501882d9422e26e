"""Scalar functions composed of `Scalars`: hyperbolic, inverse and error functions, floor division.

Each is accurate to a few ulp over the whole range of its type and overflows only where its value
does. Odd functions work on |x| and copy the sign, so -0 stays -0.
"""

from __future__ import annotations

import math

from anode.ir.dtypes import f64, i32, i64, u32, u64
from anode.ops.scalars import Scalars, Value

_LN2 = math.log(2.0)

# erfc(x)·exp(x²)·(1 + 2x) for x >= 0 in powers of (x − 3.75)/(x + 3.75): the interpolant at 23
# Chebyshev nodes, within 1.4e-16 of it. Form: Shepherd and Laframboise, "Chebyshev approximation
# of (1 + 2x) exp(x²) erfc x", 1981.
_ERFCX = (
    *(-2.7293941332533855e-09, -1.952790162974837e-09, 3.256499083798513e-08),
    *(1.8778501156468795e-08, -2.4996538037405243e-07, -5.0816911811698186e-08),
    *(1.7438577411359181e-06, -9.79297529099823e-07, -1.143961526007595e-05),
    *(2.238759272534769e-05, 5.164737123871838e-05, -0.0002901553656394713),
    *(0.00029371408777227685, 0.0017556261692276722, -0.00974657962081509),
    *(0.028362277371370044, -0.058693398584491845, 0.09230432116435616),
    *(-0.10880393014193915, 0.08227673848999159, 0.0035854154854663067),
    *(-0.14024059858554522, 1.2375126308378275),
)

# erf_inv(x)/x with w = −log(1 − x²): in powers of w − 2.5 for w < 5, of √w − 3 above; fitted by
# weighted least squares to 6e-9 relative (1e-7 for w > 16.8, which f32 never reaches).
# Form: Giles, "Approximating the erfinv function", 2010.
_ERF_INV_CENTRE = (
    *(-8.79129817e-09, 2.32322967e-08, 4.66173867e-07, -3.46270042e-06, -4.96336128e-06),
    *(2.18344423e-04, -1.25274186e-03, -4.17738676e-03, 2.46640286e-01, 1.50140936),
)
_ERF_INV_TAIL = (
    *(-5.41991835e-07, 8.21995939e-06, -5.153966051e-05, 1.660265284e-04, -2.443132344e-04),
    *(-1.397222734e-04, 1.456924393e-03, -3.555447085e-03, 5.692253215e-03, -7.645069092e-03),
    *(9.444827469e-03, 1.001675351, 2.832976811),
)


def like(s: Scalars, x: Value, value: float | int | bool) -> Value:
    """The constant `value` in the type of `x`."""
    return s.const(value, s.dtype(x))


def polynomial(s: Scalars, x: Value, coefficients: tuple[float, ...]) -> Value:
    """The polynomial with these coefficients, the highest power first, by Horner's rule."""
    total = like(s, x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = s.fma(total, x, like(s, x, coefficient))
    return total


def copy_sign(s: Scalars, magnitude: Value, x: Value) -> Value:
    """`magnitude` (not negative) with the sign of `x`, of -0 too."""
    bits, top = (u64, 1 << 63) if s.dtype(x) is f64 else (u32, 1 << 31)
    sign = s.and_(s.bitcast(x, bits), s.const(top, bits))
    return s.bitcast(s.or_(s.bitcast(magnitude, bits), sign), s.dtype(x))


def is_negative(s: Scalars, x: Value) -> Value:
    """Whether the sign bit of a float is set."""
    bits = i64 if s.dtype(x) is f64 else i32
    return s.lt(s.bitcast(x, bits), s.const(0, bits))


def round_away(s: Scalars, x: Value) -> Value:
    """To the nearest integer, ties away from zero; x − trunc(x) is exact, x + 0.5 would not be."""
    whole = s.trunc(x)
    half = s.ge(s.abs(s.sub(x, whole)), like(s, x, 0.5))
    return s.select(half, s.add(whole, copy_sign(s, like(s, x, 1), x)), whole)


def modulo(s: Scalars, x: Value, y: Value) -> Value:
    """The remainder with the sign of `y`, as Python's %."""
    remainder = s.rem(x, y)
    return s.select(_signs_differ(s, remainder, y), s.add(remainder, y), remainder)


def floor_divide(s: Scalars, x: Value, y: Value) -> Value:
    """The quotient rounded down, as Python's //; exact, which floor(x / y) is not for floats."""
    remainder = s.rem(x, y)
    whole = s.div(s.sub(x, remainder), y)
    whole = s.round_even(whole) if s.dtype(x).is_float else whole
    below = s.select(_signs_differ(s, remainder, y), s.sub(whole, like(s, x, 1)), whole)
    return s.select(s.eq(y, like(s, y, 0)), s.div(x, y), below)


def _signs_differ(s: Scalars, remainder: Value, y: Value) -> Value:
    zero = like(s, y, 0)
    return s.and_(s.ne(remainder, zero), s.xor(s.lt(remainder, zero), s.lt(y, zero)))


def log2(s: Scalars, x: Value) -> Value:
    """log(x)·log2(e) with log2(e) as 1 + a rest, so that no digit of the product is lost."""
    log = s.log(x)
    return s.fma(log, like(s, x, 1 / _LN2 - 1), log)


def cbrt(s: Scalars, x: Value) -> Value:
    """The real cube root: a power, then one Newton step; 0, infinity and NaN stay."""
    a = s.abs(x)
    r = s.pow(a, like(s, x, 1 / 3))
    better = s.sub(r, s.mul(s.sub(r, s.div(a, s.mul(r, r))), like(s, x, 1 / 3)))
    return copy_sign(s, s.select(s.lt(a, s.add(a, a)), better, r), x)


def asin(s: Scalars, x: Value) -> Value:
    one = like(s, x, 1)
    return s.atan(s.div(x, s.sqrt(s.mul(s.sub(one, x), s.add(one, x)))))


def acos(s: Scalars, x: Value) -> Value:
    one = like(s, x, 1)
    half = s.atan(s.sqrt(s.div(s.sub(one, x), s.add(one, x))))
    return s.add(half, half)


def atan2(s: Scalars, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), with C's special cases for zeros and infinities."""
    a, b, zero = s.abs(y), s.abs(x), like(s, x, 0)
    diagonal = s.select(s.eq(a, zero), zero, like(s, x, 1))
    angle = s.atan(s.select(s.eq(a, b), diagonal, s.div(a, b)))
    angle = s.select(is_negative(s, x), s.sub(like(s, x, math.pi), angle), angle)
    return copy_sign(s, angle, y)


def sinh(s: Scalars, x: Value) -> Value:
    """2·sinh(a/2)·cosh(a/2) from h = exp(a/2) − 1."""
    half, one = like(s, x, 0.5), like(s, x, 1)
    h = s.expm1(s.mul(s.abs(x), half))
    u = s.add(h, one)
    v = s.div(one, u)
    return copy_sign(s, s.mul(s.mul(s.mul(half, h), s.add(one, v)), s.add(u, v)), x)


def cosh(s: Scalars, x: Value) -> Value:
    half = like(s, x, 0.5)
    u = s.exp(s.mul(s.abs(x), half))
    v = s.div(like(s, x, 1), u)
    return s.fma(s.mul(half, u), u, s.mul(s.mul(half, v), v))


def asinh(s: Scalars, x: Value) -> Value:
    """log(a + √(a² + 1)) through log1p; log(2a) where a² could overflow."""
    a, one = s.abs(x), like(s, x, 1)
    root = s.sqrt(s.fma(a, a, one))
    small = s.add(a, s.div(s.mul(a, a), s.add(one, root)))
    return copy_sign(s, _log1p_or_log2x(s, a, s.sub(a, one), small), x)


def acosh(s: Scalars, x: Value) -> Value:
    t = s.sub(x, like(s, x, 1))
    small = s.add(t, s.mul(s.sqrt(t), s.sqrt(s.add(x, like(s, x, 1)))))
    return _log1p_or_log2x(s, x, t, small)


def _log1p_or_log2x(s: Scalars, x: Value, below: Value, small: Value) -> Value:
    """log1p(small), or log(2x) above 2^28, where `below` is x − 1."""
    large = s.gt(x, like(s, x, 2.0**28))
    log = s.log1p(s.select(large, below, small))
    return s.add(log, s.select(large, like(s, x, _LN2), like(s, x, 0)))


def atanh(s: Scalars, x: Value) -> Value:
    a = s.abs(x)
    log = s.log1p(s.div(s.add(a, a), s.sub(like(s, x, 1), a)))
    return copy_sign(s, s.mul(like(s, x, 0.5), log), x)


def logistic(s: Scalars, x: Value) -> Value:
    """1 / (1 + exp(−x)) from exp(−|x|), so that neither tail overflows or cancels."""
    one = like(s, x, 1)
    e = s.exp(s.neg(s.abs(x)))
    return s.div(s.select(s.lt(x, like(s, x, 0)), e, one), s.add(one, e))


def erfc(s: Scalars, x: Value) -> Value:
    """1 − erf(x), to full relative precision in the tail; 1 − erf(x) itself where |x| < 1/2."""
    a, one, k = s.min(s.abs(x), like(s, x, 32)), like(s, x, 1), like(s, x, 3.75)
    scaled = polynomial(s, s.div(s.sub(a, k), s.add(a, k)), _ERFCX)
    scaled = s.div(scaled, s.add(one, s.add(a, a)))
    # exp(−a²) as exp(−c²)·exp(−(a − c)(a + c)) with c² exact
    c = s.mul(s.trunc(s.mul(a, like(s, x, 16))), like(s, x, 1 / 16))
    tail = s.exp(s.neg(s.mul(s.sub(a, c), s.add(a, c))))
    tail = s.mul(s.mul(s.exp(s.neg(s.mul(c, c))), tail), scaled)
    tail = s.select(is_negative(s, x), s.sub(like(s, x, 2), tail), tail)
    return s.select(s.lt(a, like(s, x, 0.5)), s.sub(one, s.erf(x)), tail)


def erf_inv(s: Scalars, x: Value) -> Value:
    """The inverse of erf; infinite at ±1, NaN beyond."""
    a, one, five = s.abs(x), like(s, x, 1), like(s, x, 5)
    w = s.neg(s.log(s.mul(s.sub(one, a), s.add(one, a))))
    centre = polynomial(s, s.sub(w, like(s, x, 2.5)), _ERF_INV_CENTRE)
    tail = polynomial(s, s.sub(s.sqrt(w), like(s, x, 3)), _ERF_INV_TAIL)
    z = s.mul(a, s.select(s.lt(w, five), centre, tail))
    if s.dtype(x) is f64:
        z = _halley_step(s, z, a)
    return copy_sign(s, s.select(s.eq(a, one), like(s, x, math.inf), z), x)


def _halley_step(s: Scalars, z: Value, a: Value) -> Value:
    """One step of Halley's method on erf(z) = a, or on erfc(z) = 1 − a, exact for a ≥ 1/2."""
    one = like(s, z, 1)
    upper = s.sub(s.sub(one, a), erfc(s, z))
    residual = s.select(s.lt(a, like(s, z, 0.5)), s.sub(s.erf(z), a), upper)
    slope = s.mul(like(s, z, 2 / math.sqrt(math.pi)), s.exp(s.neg(s.mul(z, z))))
    newton = s.div(residual, slope)
    return s.sub(z, s.div(newton, s.fma(z, newton, one)))
