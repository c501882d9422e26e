"""The scalar operations on NumPy arrays: the oracle every other implementation is tested against.

Elementary functions of f32 are computed in float64 and rounded once, so they are within 0.5001 ulp.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from anode.ir.dtypes import DType, dtype_of
from anode.ops.scalars import Scalars

Array = np.ndarray


class NumpyScalars(Scalars):
    """`Scalars` whose values are NumPy arrays; operands broadcast, the dtype is as stated."""

    def dtype(self, x: Array) -> DType:
        return dtype_of(x.dtype)

    def const(self, value: float | int | bool, dtype: DType) -> Array:
        if dtype.is_integer:
            bits = int(value) & ((1 << dtype.bits) - 1)
            return np.array(bits, f"u{dtype.size}").view(dtype.numpy)
        with np.errstate(over="ignore"):
            return np.array(value).astype(dtype.numpy)

    def add(self, x: Array, y: Array) -> Array:
        return _apply(np.add, x, y)

    def sub(self, x: Array, y: Array) -> Array:
        return _apply(np.subtract, x, y)

    def mul(self, x: Array, y: Array) -> Array:
        return _apply(np.multiply, x, y)

    def div(self, x: Array, y: Array) -> Array:
        if not dtype_of(x.dtype).is_integer:
            return _apply(np.divide, x, y)
        minus_one = _minus_one(x.dtype)
        safe = np.where((y == 0) | (y == minus_one), np.ones_like(y), y)
        quotient = (x - np.fmod(x, safe)) // safe
        if x.dtype.kind == "i":  # np.floor_divide warns and traps on the least integer / -1
            quotient = np.where(y == minus_one, _apply(np.negative, x), quotient)
        else:
            quotient = np.where(y == minus_one, (x == minus_one).astype(x.dtype), quotient)
        return np.where(y == 0, minus_one, quotient)

    def rem(self, x: Array, y: Array) -> Array:
        if not dtype_of(x.dtype).is_integer:
            return _apply(np.fmod, x, y)
        unsafe = (y == 0) | (y == -1) if x.dtype.kind == "i" else y == 0
        remainder = np.fmod(x, np.where(unsafe, np.ones_like(y), y))
        return np.where(y == 0, x, remainder)

    def neg(self, x: Array) -> Array:
        return _apply(np.negative, x)

    def abs(self, x: Array) -> Array:
        return _apply(np.abs, x)

    def max(self, x: Array, y: Array) -> Array:
        return _apply(np.maximum, x, y)

    def min(self, x: Array, y: Array) -> Array:
        return _apply(np.minimum, x, y)

    def fma(self, x: Array, y: Array, z: Array) -> Array:
        if x.dtype != np.float32:
            return _apply(lambda x, y, z: x * y + z, x, y, z)
        return _apply(_fma_f32, x, y, z)

    def sqrt(self, x: Array) -> Array:
        return _apply(np.sqrt, x)

    def floor(self, x: Array) -> Array:
        return _apply(np.floor, x)

    def ceil(self, x: Array) -> Array:
        return _apply(np.ceil, x)

    def trunc(self, x: Array) -> Array:
        return _apply(np.trunc, x)

    def round_even(self, x: Array) -> Array:
        return _apply(np.rint, x)

    def exp(self, x: Array) -> Array:
        return _elementary(np.exp, x)

    def expm1(self, x: Array) -> Array:
        return _elementary(np.expm1, x)

    def log(self, x: Array) -> Array:
        return _elementary(np.log, x)

    def log1p(self, x: Array) -> Array:
        return _elementary(np.log1p, x)

    def sin(self, x: Array) -> Array:
        return _elementary(np.sin, x)

    def cos(self, x: Array) -> Array:
        return _elementary(np.cos, x)

    def tanh(self, x: Array) -> Array:
        return _elementary(np.tanh, x)

    def erf(self, x: Array) -> Array:
        return _elementary(np.frompyfunc(math.erf, 1, 1), x)

    def atan(self, x: Array) -> Array:
        return _elementary(np.arctan, x)

    def pow(self, x: Array, y: Array) -> Array:
        if dtype_of(x.dtype).is_integer:
            return _integer_pow(x, y)
        return _elementary(np.power, x, y)

    def eq(self, x: Array, y: Array) -> Array:
        return np.asarray(x == y)

    def ne(self, x: Array, y: Array) -> Array:
        return np.asarray(x != y)

    def lt(self, x: Array, y: Array) -> Array:
        return np.asarray(x < y)

    def le(self, x: Array, y: Array) -> Array:
        return np.asarray(x <= y)

    def gt(self, x: Array, y: Array) -> Array:
        return np.asarray(x > y)

    def ge(self, x: Array, y: Array) -> Array:
        return np.asarray(x >= y)

    def and_(self, x: Array, y: Array) -> Array:
        return _apply(np.bitwise_and, x, y)

    def or_(self, x: Array, y: Array) -> Array:
        return _apply(np.bitwise_or, x, y)

    def xor(self, x: Array, y: Array) -> Array:
        return _apply(np.bitwise_xor, x, y)

    def not_(self, x: Array) -> Array:
        return _apply(np.invert, x)

    def shift_left(self, x: Array, y: Array) -> Array:
        return _shift(np.left_shift, x, y, "u").view(x.dtype)

    def shift_right_logical(self, x: Array, y: Array) -> Array:
        return _shift(np.right_shift, x, y, "u").view(x.dtype)

    def shift_right_arithmetic(self, x: Array, y: Array) -> Array:
        return _shift(np.right_shift, x, y, "i").view(x.dtype)

    def popcount(self, x: Array) -> Array:
        bits = _as(x, "u")
        count = sum((bits >> np.array(i, bits.dtype)) & bits.dtype.type(1) for i in _bits(x))
        return np.asarray(count).view(x.dtype)

    def clz(self, x: Array) -> Array:
        bits = _as(x, "u")
        for i in (1, 2, 4, 8, 16, 32):  # copy the highest set bit into every lower one
            if i < 8 * x.dtype.itemsize:
                bits = bits | (bits >> bits.dtype.type(i))
        return self.popcount(~np.asarray(bits)).view(x.dtype)

    def select(self, pred: Array, x: Array, y: Array) -> Array:
        return np.where(pred, x, y)

    def convert(self, x: Array, dtype: DType) -> Array:
        if x.dtype.kind == "f" and dtype.is_integer:
            return _saturate(x, dtype)
        with np.errstate(all="ignore"):
            return np.asarray(x != 0) if dtype.kind == "bool" else np.asarray(x).astype(dtype.numpy)

    def bitcast(self, x: Array, dtype: DType) -> Array:
        return np.asarray(x).view(dtype.numpy)


NUMPY = NumpyScalars()


def _apply(function: Callable[..., Array], *operands: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(function(*operands))


def _elementary(function: Callable[..., Array], *operands: Array) -> Array:
    """`function` of float64 copies of the operands, rounded to their type."""
    wide = _apply(function, *(np.asarray(x, np.float64) for x in operands))
    with np.errstate(all="ignore"):
        return wide.astype(operands[0].dtype)


def _fma_f32(x: Array, y: Array, z: Array) -> Array:
    """x·y + z rounded once: the float64 sum is rounded to odd first, which a second rounding keeps.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008.
    """
    product = x.astype(np.float64) * y
    z64 = z.astype(np.float64)
    total = np.asarray(product + z64)
    part = total - product
    error = (product - (total - part)) + (z64 - part)
    even = (total.view(np.int64) & 1) == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    odd = np.nextafter(total, toward)
    inexact = np.isfinite(total) & (error != 0) & even
    return np.where(inexact, odd, total).astype(np.float32)


def _minus_one(dtype: np.dtype) -> Array:
    """The value with all bits set."""
    return np.invert(np.zeros((), dtype))


def _bits(x: Array) -> range:
    return range(8 * x.dtype.itemsize)


def _as(x: Array, kind: str) -> Array:
    """The bits of `x` as the integer type of its width: kind "u" unsigned, "i" signed."""
    return np.asarray(x).view(f"{kind}{x.dtype.itemsize}")


def _shift(function: Callable[..., Array], x: Array, y: Array, kind: str) -> Array:
    """Shift the bits of `x`, read as `kind`; an amount of the width or more empties it."""
    bits, amount = _as(x, kind), _as(y, "u")
    inside = amount < 8 * x.dtype.itemsize
    shifted = function(bits, np.where(inside, amount, 0).astype(bits.dtype))
    emptied = np.where(bits < 0, _minus_one(bits.dtype), np.zeros((), bits.dtype))
    return np.where(inside, shifted, emptied)


def _integer_pow(x: Array, y: Array) -> Array:
    """x to the y by squaring, wrapping; a negative y gives 1 / x^-y truncated, 0 for x = 0."""
    x, y = np.broadcast_arrays(x, y)
    one = np.ones_like(x)
    result, square = one, x
    for i in _bits(x):
        bit = (_as(y.copy(), "u") >> i) & 1
        result = np.where(bit != 0, _apply(np.multiply, result, square), result)
        square = _apply(np.multiply, square, square)
    if x.dtype.kind == "u":
        return result
    unit = np.where((x == -1) & (y & 1 != 0), -one, one)
    inverse = np.where((x == 1) | (x == -1), unit, np.zeros_like(x))
    return np.where(y < 0, inverse, result)


def _saturate(x: Array, dtype: DType) -> Array:
    """Truncate floats to an integer type, clamping to its range; NaN gives 0."""
    info = np.iinfo(dtype.numpy)
    whole = np.trunc(np.asarray(x, np.float64))
    upper = float(info.max // 2 + 1) * 2  # max + 1 as a power of two, exact in float64
    inside = (whole >= float(info.min)) & (whole < upper)
    exact = np.where(inside, whole, 0.0).astype(dtype.numpy)
    least, most, zero = (dtype.numpy.type(limit) for limit in (info.min, info.max, 0))
    clamped = np.where(whole >= upper, most, np.where(whole < float(info.min), least, zero))
    return np.where(inside, exact, clamped)
