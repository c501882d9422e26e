"""Elementary functions as branch-free polynomials over the operations of `Lanes`.

They are right for subnormals, signed zeros, infinities and NaN, and sin and cos for every finite
angle. `MAX_ULP` holds the largest errors, asserted by the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anode.backends.cpu.vector_math_angle import sine_angle
from anode.backends.cpu.vector_math_tables import FORMATS, Polynomial
from anode.ir.dtypes import f64

if TYPE_CHECKING:
    from anode.backends.cpu.lanes import Lane, Lanes

# Largest error in units in the last place, (f32, f64), rounded up from the measured one. f32: every
# 61st float, and every float from 1/16 to 104 (erf: every 601st and every 61st; pow: 10^5 pairs of
# operands). f64: some thousands of arguments, most of ordinary size.
MAX_ULP = {
    "exp": (1.7, 1.4),
    "expm1": (1.5, 1.4),
    "log": (1.1, 0.9),
    "log1p": (1.6, 1.5),
    "sin": (1.8, 1.9),
    "cos": (1.8, 1.9),
    "tanh": (2.1, 1.8),
    "erf": (1.1, 1.3),
    "atan": (1.6, 1.7),
    "pow": (0.6, 1.6),
}


def horner(k: Lanes, x: Lane, coefficients: Polynomial) -> Lane:
    """The polynomial with `coefficients`, lowest power first, at `x`."""
    result = k.const(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        result = k.fma(result, x, k.const(coefficient, x.dtype))
    return result


def exp(k: Lanes, x: Lane) -> Lane:
    low, high = FORMATS[x.dtype].exp_bounds
    clamped = k.max(k.min(x, k.const(high, x.dtype)), k.const(low, x.dtype))
    return bounded_exp(k, clamped)


def bounded_exp(k: Lanes, x: Lane, rest: Lane | None = None) -> Lane:
    """e^(x + rest) for x within `Format.exp_bounds` and a `rest` far smaller."""
    r, scale = _exp_reduce(k, x)
    if rest is not None:
        r = k.add(r, rest)
    one = k.const(1.0, x.dtype)
    power = k.fma(r, k.fma(r, horner(k, r, FORMATS[x.dtype].exp), one), one)
    return k.mul(k.mul(power, scale), scale)  # in two steps, so that subnormals round once


def expm1(k: Lanes, x: Lane) -> Lane:
    low, high = FORMATS[x.dtype].exp_bounds
    clamped = k.max(k.min(x, k.const(high, x.dtype)), k.const(low, x.dtype))
    return k.copysign(_bounded_expm1(k, clamped), x)


def _bounded_expm1(k: Lanes, x: Lane) -> Lane:
    """e^x - 1 = (q s + (s - 1/s)) s where q = e^r - 1 and s² = e^(x - r)."""
    form = FORMATS[x.dtype]
    r, scale = _exp_reduce(k, x)
    q = k.fma(k.mul(r, r), horner(k, r, form.expm1), r)
    two = k.const(2 * form.bias << form.mantissa, form.signed)
    inverse = k.bitcast(k.sub(two, k.bitcast(scale, form.signed)), x.dtype)
    return k.mul(k.fma(q, scale, k.sub(scale, inverse)), scale)


def _exp_reduce(k: Lanes, x: Lane) -> tuple[Lane, Lane]:
    """r and 2^h with x = r + 2h ln 2, |r| <= ln 2, h an integer."""
    form = FORMATS[x.dtype]
    magic = k.const(form.magic + form.bias, x.dtype)
    shifted = k.fma(x, k.const(form.half_log2e, x.dtype), magic)
    h = k.sub(shifted, magic)
    r = x
    for part in form.two_ln2:
        r = k.fma(h, k.const(-part, x.dtype), r)
    scale = k.shl(k.bitcast(shifted, form.signed), form.mantissa)
    return r, k.bitcast(scale, x.dtype)


def log(k: Lanes, x: Lane) -> Lane:
    m, e = log_split(k, x)
    return log_special(k, _log_kernel(k, k.sub(m, k.const(1.0, x.dtype)), e), x, x)


def log1p(k: Lanes, x: Lane) -> Lane:
    """log(u) for u = 1 + x rounded, with the error of that sum added to the mantissa."""
    form, one = FORMATS[x.dtype], k.const(1.0, x.dtype)
    u = k.add(x, one)
    added = k.sub(u, one)
    error = k.add(k.sub(one, k.sub(u, added)), k.sub(x, added))
    m, e, exponent = _split(k, u)
    inverse = k.bitcast(k.sub(k.const(form.bias << form.mantissa, form.signed), exponent), x.dtype)
    large = k.gt(u, k.const(2.0 ** (2 * form.mantissa), x.dtype))  # there the error is nothing
    f = k.fma(error, k.select(large, k.const(0.0, x.dtype), inverse), k.sub(m, one))
    return k.copysign(log_special(k, _log_kernel(k, f, e), u, x), x)


def log_split(k: Lanes, x: Lane) -> tuple[Lane, Lane]:
    """m and e with x = m 2^e and m in [√½, √2), for positive finite `x`, subnormal or not."""
    form = FORMATS[x.dtype]
    lift = form.mantissa + 1
    tiny = k.lt(x, k.const(2.0 ** (1 - form.bias), x.dtype))
    m, e, _ = _split(k, k.select(tiny, k.mul(x, k.const(2.0**lift, x.dtype)), x))
    return m, k.select(tiny, k.sub(e, k.const(lift, x.dtype)), e)


def _split(k: Lanes, x: Lane) -> tuple[Lane, Lane, Lane]:
    """m, e with x = m 2^e and m in [√½, √2) for positive normal `x`, and e in the exponent bits."""
    form = FORMATS[x.dtype]
    root_bits = (form.bias << form.mantissa) - (1 << form.mantissa) + _root_fraction(form.mantissa)
    bits = k.bitcast(x, form.signed)
    e = k.ashr(k.sub(bits, k.const(root_bits, form.signed)), form.mantissa)
    exponent = k.shl(e, form.mantissa)
    m = k.bitcast(k.sub(bits, exponent), x.dtype)
    magic = k.const(form.magic, x.dtype)  # adding to its bits converts to float at any width
    shifted = k.bitcast(k.add(e, k.bitcast(magic, form.signed)), x.dtype)
    return m, k.sub(shifted, magic), exponent


def _root_fraction(mantissa: int) -> int:
    """The mantissa bits of √½."""
    return int((2**0.5 - 1) * 2**mantissa)


def _log_kernel(k: Lanes, f: Lane, e: Lane) -> Lane:
    """log(1 + f) + e ln 2. Source of the f64 form: Sun's fdlibm, e_log.c (the formula)."""
    form = FORMATS[f.dtype]
    high, low = (k.const(part, f.dtype) for part in form.ln2)
    square = k.mul(f, f)
    if f.dtype is f64:
        s = k.div(f, k.add(f, k.const(2.0, f64)))
        z = k.mul(s, s)
        half = k.mul(square, k.const(0.5, f64))
        tail = k.fma(s, k.fma(horner(k, z, form.log), z, half), k.mul(e, low))
        return k.fma(e, high, k.sub(f, k.sub(half, tail)))
    cube = k.fma(k.mul(f, square), horner(k, f, form.log), k.mul(e, low))
    return k.fma(e, high, k.add(f, k.fma(square, k.const(-0.5, f.dtype), cube)))


def log_special(k: Lanes, value: Lane, u: Lane, x: Lane) -> Lane:
    """`value` = log(u) for positive finite `u`; else -∞ for 0, `x` for ∞ and NaN below 0."""
    form = FORMATS[x.dtype]
    infinity = (2 * form.bias + 1) << form.mantissa
    bits = k.sub(k.bitcast(u, form.unsigned), k.const(1, form.unsigned))
    regular = k.lt(bits, k.const(infinity - 1, form.unsigned))
    zero = k.const(0.0, x.dtype)
    special = k.select(k.gt(u, zero), x, k.const(float("nan"), x.dtype))
    special = k.select(k.eq(u, zero), k.const(-float("inf"), x.dtype), special)
    return k.select(regular, value, special)


def sin(k: Lanes, x: Lane) -> Lane:
    return _bounded_sin(k, sine_angle(k, x, cosine=False))


def cos(k: Lanes, x: Lane) -> Lane:
    return _bounded_sin(k, sine_angle(k, x, cosine=True))


def _bounded_sin(k: Lanes, r: Lane) -> Lane:
    """sin(r) for |r| <= π/2."""
    square = k.mul(r, r)
    tail = horner(k, square, FORMATS[r.dtype].sin)
    return k.copysign(k.fma(k.mul(r, square), tail, r), r)


def tanh(k: Lanes, x: Lane) -> Lane:
    """|t / (t + 2)| with t = e^±2|x| - 1: minus for small x, where t + 2 is then rounded less."""
    magnitude = k.min(k.abs(x), k.const(FORMATS[x.dtype].tanh_limit, x.dtype))
    small = k.lt(magnitude, k.const(0.2, x.dtype))
    factor = k.select(small, k.const(-2.0, x.dtype), k.const(2.0, x.dtype))
    t = _bounded_expm1(k, k.mul(magnitude, factor))
    return k.copysign(k.div(t, k.add(t, k.const(2.0, x.dtype))), x)


def erf(k: Lanes, x: Lane) -> Lane:
    """A polynomial up to 1, then 1 - erfc(x), whose logarithm is a polynomial too."""
    form, one = FORMATS[x.dtype], k.const(1.0, x.dtype)
    magnitude = k.min(k.abs(x), k.const(form.erf_limit, x.dtype))
    small = k.fma(magnitude, horner(k, k.mul(magnitude, magnitude), form.erf), magnitude)
    large = k.sub(one, bounded_exp(k, k.neg(horner(k, magnitude, form.log_erfc))))
    return k.copysign(k.select(k.lt(magnitude, one), small, large), x)


def atan(k: Lanes, x: Lane) -> Lane:
    """A polynomial up to 1, then π/2 - atan(1/x)."""
    form, one = FORMATS[x.dtype], k.const(1.0, x.dtype)
    magnitude = k.abs(x)
    large = k.gt(magnitude, one)
    t = k.select(large, k.div(one, magnitude), magnitude)
    square = k.mul(t, t)
    angle = k.fma(k.mul(t, square), horner(k, square, form.atan), t)
    high, low = (k.const(part, x.dtype) for part in form.half_pi)
    return k.copysign(k.select(large, k.sub(high, k.sub(angle, low)), angle), x)
