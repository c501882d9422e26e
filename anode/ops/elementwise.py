"""Ops applied to each element: one scalar line each, which every backend runs.

Gradients are written in ops, so they differentiate again. Where a function has a kink the gradient
is a subgradient: abs'(0) = 0, ties of maximum and minimum share it equally, clamp passes it
strictly inside. Piecewise constant functions (floor, sign, comparisons) pass none.
"""

from __future__ import annotations

import math
from typing import Any

from anode.ir.dtypes import DType, bool_, dtype_of
from anode.ops import gamma, special
from anode.ops.declare import elementwise
from anode.ops.scalars import Scalars, Value
from anode.ops.special import like

_LN2 = math.log(2.0)


def _bool(*_: DType, **__: Any) -> DType:
    return bool_


# comparisons


@elementwise("any", result=_bool, differentiable=False)
def equal(s: Scalars, x: Value, y: Value) -> Value:
    """x = y; false with NaN."""
    return s.eq(x, y)


@elementwise("any", result=_bool, differentiable=False)
def not_equal(s: Scalars, x: Value, y: Value) -> Value:
    """x ≠ y; true with NaN."""
    return s.ne(x, y)


@elementwise("any", result=_bool, differentiable=False)
def less(s: Scalars, x: Value, y: Value) -> Value:
    """x < y; false with NaN."""
    return s.lt(x, y)


@elementwise("any", result=_bool, differentiable=False)
def less_equal(s: Scalars, x: Value, y: Value) -> Value:
    """x ≤ y; false with NaN."""
    return s.le(x, y)


@elementwise("any", result=_bool, differentiable=False)
def greater(s: Scalars, x: Value, y: Value) -> Value:
    """x > y; false with NaN."""
    return s.gt(x, y)


@elementwise("any", result=_bool, differentiable=False)
def greater_equal(s: Scalars, x: Value, y: Value) -> Value:
    """x ≥ y; false with NaN."""
    return s.ge(x, y)


# bits


@elementwise("bits", differentiable=False)
def and_(s: Scalars, x: Value, y: Value) -> Value:
    """Bitwise and; of bool, logical."""
    return s.and_(x, y)


@elementwise("bits", differentiable=False)
def or_(s: Scalars, x: Value, y: Value) -> Value:
    """Bitwise or; of bool, logical."""
    return s.or_(x, y)


@elementwise("bits", differentiable=False)
def xor(s: Scalars, x: Value, y: Value) -> Value:
    """Bitwise exclusive or; of bool, logical."""
    return s.xor(x, y)


@elementwise("bits", differentiable=False)
def not_(s: Scalars, x: Value) -> Value:
    """Every bit inverted; of bool, logical."""
    return s.not_(x)


@elementwise("integer", differentiable=False)
def shift_left(s: Scalars, x: Value, y: Value) -> Value:
    """x shifted left by y bits, read as unsigned; 0 from the width on."""
    return s.shift_left(x, y)


@elementwise("integer", differentiable=False)
def shift_right_logical(s: Scalars, x: Value, y: Value) -> Value:
    """x shifted right by y bits, zeros coming in."""
    return s.shift_right_logical(x, y)


@elementwise("integer", differentiable=False)
def shift_right_arithmetic(s: Scalars, x: Value, y: Value) -> Value:
    """x shifted right by y bits, copies of the top bit coming in."""
    return s.shift_right_arithmetic(x, y)


@elementwise("integer", differentiable=False)
def popcount(s: Scalars, x: Value) -> Value:
    """The number of one bits."""
    return s.popcount(x)


@elementwise("integer", differentiable=False)
def count_leading_zeros(s: Scalars, x: Value) -> Value:
    """The number of zero bits above the highest one; the width for 0."""
    return s.clz(x)


# choice and type


def _select_grad(ct: Any, z: Any, pred: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return None, select(pred, ct, 0), select(pred, 0, ct)


@elementwise("any", predicate=True, grad=_select_grad)
def select(s: Scalars, pred: Value, x: Value, y: Value) -> Value:
    """x where pred (a bool tensor), else y."""
    return s.select(pred, x, y)


where = select


def _convert_grad(ct: Any, y: Any, x: Any, *, dtype: DType) -> tuple[Any, ...]:
    return (convert(ct, dtype=x.dtype) if dtype.is_float and x.dtype.is_float else None,)


@elementwise("any", result=lambda _, *, dtype: dtype, grad=_convert_grad)
def convert(s: Scalars, x: Value, *, dtype: DType) -> Value:
    """x in another element type, as `Scalars.convert`; f64 becomes a half type through f32."""
    return s.convert(x, dtype.compute)


@convert.canonical
def _(x: Any, *, dtype: object) -> dict[str, Any]:
    return {"dtype": dtype_of(dtype)}


@elementwise("any", differentiable=False)
def stop_gradient(s: Scalars, x: Value) -> Value:
    """x, through which no gradient passes."""
    return x


# rounding and tests


@elementwise("float", differentiable=False)
def floor(s: Scalars, x: Value) -> Value:
    """Rounded down."""
    return s.floor(x)


@elementwise("float", differentiable=False)
def ceil(s: Scalars, x: Value) -> Value:
    """Rounded up."""
    return s.ceil(x)


@elementwise("float", differentiable=False)
def trunc(s: Scalars, x: Value) -> Value:
    """Rounded toward zero."""
    return s.trunc(x)


@elementwise("float", differentiable=False)
def round(s: Scalars, x: Value) -> Value:
    """Rounded to the nearest integer, ties to even."""
    return s.round_even(x)


@elementwise("float", differentiable=False)
def round_away(s: Scalars, x: Value) -> Value:
    """Rounded to the nearest integer, ties away from zero."""
    return special.round_away(s, x)


@elementwise("float", result=_bool, differentiable=False)
def is_finite(s: Scalars, x: Value) -> Value:
    """Whether x is neither infinite nor NaN."""
    return s.lt(s.abs(x), like(s, x, math.inf))


@elementwise("float", result=_bool, differentiable=False)
def is_nan(s: Scalars, x: Value) -> Value:
    """Whether x is NaN."""
    return s.ne(x, x)


@elementwise("float", result=_bool, differentiable=False)
def is_inf(s: Scalars, x: Value) -> Value:
    """Whether x is infinite, of either sign."""
    return s.eq(s.abs(x), like(s, x, math.inf))


# arithmetic


@elementwise("any", grad=lambda ct, z, x, y: (ct, ct))
def add(s: Scalars, x: Value, y: Value) -> Value:
    """x + y; of bool, or."""
    return s.add(x, y)


@elementwise("number", grad=lambda ct, z, x, y: (ct, -ct))
def subtract(s: Scalars, x: Value, y: Value) -> Value:
    """x − y."""
    return s.sub(x, y)


@elementwise("any", grad=lambda ct, z, x, y: (ct * y, ct * x))
def multiply(s: Scalars, x: Value, y: Value) -> Value:
    """x · y; of bool, and."""
    return s.mul(x, y)


@elementwise("number", grad=lambda ct, z, x, y: (ct / y, -ct * z / y))
def divide(s: Scalars, x: Value, y: Value) -> Value:
    """x / y; integers truncate toward zero, and division by zero gives -1."""
    return s.div(x, y)


@elementwise("number", grad=lambda ct, z, x, y: (ct, -ct * trunc(x / y)))
def remainder(s: Scalars, x: Value, y: Value) -> Value:
    """The remainder of x / y with the sign of x."""
    return s.rem(x, y)


@elementwise("number", differentiable=False)
def floor_divide(s: Scalars, x: Value, y: Value) -> Value:
    """x / y rounded down, as Python's //."""
    return special.floor_divide(s, x, y)


@elementwise("number", grad=lambda ct, z, x, y: (ct, -ct * floor_divide(x, y)))
def modulo(s: Scalars, x: Value, y: Value) -> Value:
    """The remainder of x / y with the sign of y, as Python's %."""
    return special.modulo(s, x, y)


def _power_grad(ct: Any, z: Any, x: Any, y: Any) -> tuple[Any, ...]:
    """Finite where the power is: 0 with respect to x for y = 0, with respect to y for x <= 0."""
    zero = equal(y, 0)
    slope = y * power(x, select(zero, 1, y - 1))
    positive = greater(x, 0)
    return ct * slope, ct * select(positive, z * log(select(positive, x, 1)), 0)


@elementwise("number", grad=_power_grad)
def power(s: Scalars, x: Value, y: Value) -> Value:
    """x to the y, with C's special cases; see `Scalars.pow` for integers."""
    return s.pow(x, y)


@elementwise("number", grad=lambda ct, y, x: (-ct,))
def negate(s: Scalars, x: Value) -> Value:
    """−x."""
    return s.neg(x)


@elementwise("number", differentiable=False)
def sign(s: Scalars, x: Value) -> Value:
    """-1, 0 or 1; zeros keep their sign, NaN stays."""
    zero = like(s, x, 0)
    negative = s.select(s.lt(x, zero), like(s, x, -1), x)
    return s.select(s.gt(x, zero), like(s, x, 1), negative)


@elementwise("number", grad=lambda ct, y, x: (ct * sign(x),))
def abs(s: Scalars, x: Value) -> Value:
    """|x|; the least signed integer stays."""
    return s.abs(x)


def _share(ct: Any, wins: Any, ties: Any) -> Any:
    return select(wins, ct, select(ties, ct * 0.5, 0))


@elementwise(
    "any",
    grad=lambda ct, z, x, y: (
        _share(ct, greater(x, y), equal(x, y)),
        _share(ct, less(x, y), equal(x, y)),
    ),
)
def maximum(s: Scalars, x: Value, y: Value) -> Value:
    """The larger; NaN if either is NaN; of bool, or."""
    return s.max(x, y)


@elementwise(
    "any",
    grad=lambda ct, z, x, y: (
        _share(ct, less(x, y), equal(x, y)),
        _share(ct, greater(x, y), equal(x, y)),
    ),
)
def minimum(s: Scalars, x: Value, y: Value) -> Value:
    """The smaller; NaN if either is NaN; of bool, and."""
    return s.min(x, y)


@elementwise(
    "number",
    grad=lambda ct, z, low, x, high: (
        select(less(x, low), ct, 0),
        select(and_(less(low, x), less(x, high)), ct, 0),
        select(greater(x, high), ct, 0),
    ),
)
def clamp(s: Scalars, low: Value, x: Value, high: Value) -> Value:
    """x moved into low..high; NaN stays."""
    return s.min(s.max(x, low), high)


@elementwise("float", grad=lambda ct, w, x, y, z: (ct * y, ct * x, ct))
def multiply_add(s: Scalars, x: Value, y: Value, z: Value) -> Value:
    """x · y + z, rounded once where the processor can."""
    return s.fma(x, y, z)


# powers, exponentials and logarithms


@elementwise("number", grad=lambda ct, y, x: (2 * ct * x,))
def square(s: Scalars, x: Value) -> Value:
    """x²."""
    return s.mul(x, x)


@elementwise("float", grad=lambda ct, y, x: (-ct * y * y,))
def reciprocal(s: Scalars, x: Value) -> Value:
    """1 / x."""
    return s.div(like(s, x, 1), x)


@elementwise("float", grad=lambda ct, y, x: (0.5 * ct / y,))
def sqrt(s: Scalars, x: Value) -> Value:
    """The square root; NaN below zero."""
    return s.sqrt(x)


@elementwise("float", grad=lambda ct, y, x: (-0.5 * ct * y / x,))
def rsqrt(s: Scalars, x: Value) -> Value:
    """1 / √x."""
    return s.div(like(s, x, 1), s.sqrt(x))


@elementwise("float", grad=lambda ct, y, x: (ct / (3 * y * y),))
def cbrt(s: Scalars, x: Value) -> Value:
    """The real cube root, of negative numbers too."""
    return special.cbrt(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * y,))
def exp(s: Scalars, x: Value) -> Value:
    """e to the x."""
    return s.exp(x)


@elementwise("float", grad=lambda ct, y, x: (ct * y * _LN2,))
def exp2(s: Scalars, x: Value) -> Value:
    """2 to the x."""
    return s.pow(like(s, x, 2), x)


@elementwise("float", grad=lambda ct, y, x: (ct * (y + 1),))
def expm1(s: Scalars, x: Value) -> Value:
    """e to the x, minus 1, accurate near 0."""
    return s.expm1(x)


@elementwise("float", grad=lambda ct, y, x: (ct / x,))
def log(s: Scalars, x: Value) -> Value:
    """The natural logarithm; -inf at 0, NaN below."""
    return s.log(x)


@elementwise("float", grad=lambda ct, y, x: (ct / (x * _LN2),))
def log2(s: Scalars, x: Value) -> Value:
    """The logarithm to base 2."""
    return special.log2(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct / (x + 1),))
def log1p(s: Scalars, x: Value) -> Value:
    """log(1 + x), accurate near 0."""
    return s.log1p(x)


# trigonometric and hyperbolic functions


def _sin_grad(ct: Any, y: Any, x: Any) -> tuple[Any, ...]:
    return (ct * cos(x),)


@elementwise("float", grad=_sin_grad)
def sin(s: Scalars, x: Value) -> Value:
    """The sine of x radians."""
    return s.sin(x)


@elementwise("float", grad=lambda ct, y, x: (-ct * sin(x),))
def cos(s: Scalars, x: Value) -> Value:
    """The cosine of x radians."""
    return s.cos(x)


@elementwise("float", grad=lambda ct, y, x: (ct * (1 + y * y),))
def tan(s: Scalars, x: Value) -> Value:
    """The tangent of x radians."""
    return s.div(s.sin(x), s.cos(x))


@elementwise("float", grad=lambda ct, y, x: (ct * rsqrt((1 - x) * (1 + x)),))
def asin(s: Scalars, x: Value) -> Value:
    """The inverse sine, in radians; NaN beyond ±1."""
    return special.asin(s, x)


@elementwise("float", grad=lambda ct, y, x: (-ct * rsqrt((1 - x) * (1 + x)),))
def acos(s: Scalars, x: Value) -> Value:
    """The inverse cosine, in radians; NaN beyond ±1."""
    return special.acos(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct / (1 + x * x),))
def atan(s: Scalars, x: Value) -> Value:
    """The inverse tangent, in radians."""
    return s.atan(x)


@elementwise(
    "float",
    grad=lambda ct, z, y, x: (ct * x / (x * x + y * y), -ct * y / (x * x + y * y)),
)
def atan2(s: Scalars, y: Value, x: Value) -> Value:
    """The angle of the point (x, y) in radians, between -π and π."""
    return special.atan2(s, y, x)


def _sinh_grad(ct: Any, y: Any, x: Any) -> tuple[Any, ...]:
    return (ct * cosh(x),)


@elementwise("float", grad=_sinh_grad)
def sinh(s: Scalars, x: Value) -> Value:
    """The hyperbolic sine."""
    return special.sinh(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * sinh(x),))
def cosh(s: Scalars, x: Value) -> Value:
    """The hyperbolic cosine."""
    return special.cosh(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * (1 - y * y),))
def tanh(s: Scalars, x: Value) -> Value:
    """The hyperbolic tangent."""
    return s.tanh(x)


@elementwise("float", grad=lambda ct, y, x: (ct * rsqrt(x * x + 1),))
def asinh(s: Scalars, x: Value) -> Value:
    """The inverse hyperbolic sine."""
    return special.asinh(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * rsqrt((x - 1) * (x + 1)),))
def acosh(s: Scalars, x: Value) -> Value:
    """The inverse hyperbolic cosine; NaN below 1."""
    return special.acosh(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct / ((1 - x) * (1 + x)),))
def atanh(s: Scalars, x: Value) -> Value:
    """The inverse hyperbolic tangent; infinite at ±1, NaN beyond."""
    return special.atanh(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * y * (1 - y),))
def logistic(s: Scalars, x: Value) -> Value:
    """1 / (1 + exp(−x)), the sigmoid."""
    return special.logistic(s, x)


@elementwise("float", grad=lambda ct, y, x: (2 / math.sqrt(math.pi) * ct * exp(-x * x),))
def erf(s: Scalars, x: Value) -> Value:
    """The error function."""
    return s.erf(x)


@elementwise("float", grad=lambda ct, y, x: (-2 / math.sqrt(math.pi) * ct * exp(-x * x),))
def erfc(s: Scalars, x: Value) -> Value:
    """1 − erf(x), accurate in the tail."""
    return special.erfc(s, x)


@elementwise("float", grad=lambda ct, y, x: (math.sqrt(math.pi) / 2 * ct * exp(y * y),))
def erf_inv(s: Scalars, x: Value) -> Value:
    """The inverse of erf; infinite at ±1, NaN beyond."""
    return special.erf_inv(s, x)


# the gamma function's family


def _polygamma_grad(ct: Any, y: Any, x: Any, *, order: int) -> tuple[Any, ...]:
    return (ct * polygamma(x, order=order + 1),)


@elementwise("float", grad=_polygamma_grad)
def polygamma(s: Scalars, x: Value, *, order: int = 1) -> Value:
    """The derivative of digamma of an order from 1 on; NaN for x ≤ 0."""
    return gamma.polygamma(s, x, order)


@elementwise("float", grad=lambda ct, y, x: (ct * polygamma(x, order=1),))
def digamma(s: Scalars, x: Value) -> Value:
    """The derivative of lgamma; NaN at 0, -1, -2, …"""
    return gamma.digamma(s, x)


@elementwise("float", grad=lambda ct, y, x: (ct * digamma(x),))
def lgamma(s: Scalars, x: Value) -> Value:
    """log |Γ(x)|; infinite at 0, -1, -2, …"""
    return gamma.lgamma(s, x)
