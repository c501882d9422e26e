"""Power and remainder: functions of two operands over the operations of `Lanes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anode.backends.cpu import vector_math
from anode.backends.cpu.vector_math_tables import FORMATS, LN2_SHORT, POW_TAIL, TWO_THIRDS
from anode.ir.dtypes import f64

if TYPE_CHECKING:
    from anode.backends.cpu.lanes import Lane, Lanes

Pair = tuple["Lane", "Lane"]  # an unevaluated sum, the second far smaller


def pow(k: Lanes, x: Lane, y: Lane) -> Lane:
    """x to the y: |x|^y by logarithm, then C's special cases. f32 is computed in f64."""
    magnitude, dtype = k.abs(x), x.dtype
    zero, one = k.const(0.0, dtype), k.const(1.0, dtype)
    power = _positive_power(k, k.convert(magnitude, f64), k.convert(y, f64), dtype is f64)
    power = k.select(k.eq(magnitude, one), one, k.convert(power, dtype))
    half = k.mul(y, k.const(0.5, dtype))
    whole = k.eq(k.trunc(y), y)
    odd = k.and_(whole, k.ne(k.trunc(half), half))
    power = k.select(odd, k.copysign(power, x), power)
    finite_negative = k.and_(k.lt(x, zero), k.gt(x, k.const(-float("inf"), dtype)))
    invalid = k.and_(finite_negative, k.not_(whole))
    power = k.select(invalid, k.const(float("nan"), dtype), power)
    return k.select(k.or_(k.eq(y, zero), k.eq(x, one)), one, power)


def _positive_power(k: Lanes, x: Lane, y: Lane, precise: bool) -> Lane:
    """x^y in f64 for x >= 0; not precise is to 2^-44, where the result will round to f32."""
    if not precise:
        return vector_math.exp(k, k.mul(y, vector_math.log(k, x)))
    high, low = _log_pair(k, x)
    product, error = _product(k, y, high)
    error = k.fma(y, low, error)
    least, greatest = FORMATS[f64].exp_bounds
    inside = k.lt(k.abs(product), k.const(-least, f64))
    clamped = k.max(k.min(product, k.const(greatest, f64)), k.const(least, f64))
    return vector_math.bounded_exp(k, clamped, k.select(inside, error, k.const(0.0, f64)))


def _log_pair(k: Lanes, x: Lane) -> Pair:
    """log(x) to about 2^-64: 2s + 2s³/3 + s⁵ tail(s²) with s = (m - 1) / (m + 1), x = m 2^e."""
    m, e = vector_math.log_split(k, x)
    s = _quotient(k, m)
    two = k.const(2.0, f64)
    u = _log_series(k, s)
    v, v_low = _product(k, s[0], u[0])
    v_low = k.fma(s[1], u[0], k.fma(s[0], u[1], v_low))
    log_m, log_m_low = _fast_sum(k, k.mul(two, s[0]), v)
    log_m_low = k.add(log_m_low, k.fma(two, s[1], v_low))
    log_2, log_2_low = (k.mul(e, k.const(part, f64)) for part in LN2_SHORT)  # the first is exact
    high, low = _fast_sum(k, log_2, log_m)
    low = k.add(low, k.add(log_m_low, log_2_low))
    return vector_math.log_special(k, high, x, x), low


def _quotient(k: Lanes, m: Lane) -> Pair:
    """(m - 1) / (m + 1)."""
    one = k.const(1.0, f64)
    f, d = k.sub(m, one), k.add(m, one)
    d_low = k.sub(m, k.sub(d, one))
    s = k.div(f, d)
    rest = k.fma(k.neg(s), d_low, k.fma(k.neg(s), d, f))
    return s, k.div(rest, d)


def _log_series(k: Lanes, s: Pair) -> Pair:
    """2 s²/3 + s⁴ tail(s²)."""
    third, third_low = (k.const(part, f64) for part in TWO_THIRDS)
    z, z_low = _product(k, s[0], s[0])
    z_low = k.fma(k.add(s[0], s[0]), s[1], z_low)
    u, u_low = _product(k, z, third)
    u_low = k.fma(z, third_low, k.fma(z_low, third, u_low))
    high, low = _fast_sum(k, u, k.mul(k.mul(z, z), vector_math.horner(k, z, POW_TAIL)))
    return high, k.add(low, u_low)


def _product(k: Lanes, x: Lane, y: Lane) -> Pair:
    product = k.mul(x, y)
    return product, k.fma(x, y, k.neg(product))


def _fast_sum(k: Lanes, x: Lane, y: Lane) -> Pair:
    """The exact sum where |x| >= |y| or x is 0. Source: Dekker, 1971."""
    total = k.add(x, y)
    return total, k.add(k.sub(x, total), y)


def integer_pow(k: Lanes, x: Lane, y: Lane) -> Lane:
    """By squaring, over all bits of y; see `Scalars.pow` for a negative y."""
    zero, one = k.const(0, x.dtype), k.const(1, x.dtype)
    result, square = one, x
    for bit in range(x.dtype.bits):
        used = k.ne(k.and_(y, k.const(1 << bit, x.dtype)), zero)
        result = k.mul(result, k.select(used, square, one))
        square = k.mul(square, square)
    if x.dtype.kind == "unsigned":
        return result
    unit = k.eq(k.abs(x), one)  # for these, 1 / x^-y is x^y, which the bits of y give
    return k.select(k.and_(k.lt(y, zero), k.not_(unit)), zero, result)


def rem(k: Lanes, x: Lane, y: Lane) -> Lane:
    """C's fmod, exactly, by a loop that shortens the quotient by the mantissa's bits each time.

    Each step subtracts q·y with q the rounded quotient, truncated: the difference is a float
    exactly (the theorem of the exact remainder of a division), perhaps of the other sign.
    """
    b = k.builder
    dividend, divisor = k.abs(x), k.abs(y)
    before, test = b.block, b.append_basic_block("rem")
    body, after = b.append_basic_block("rem.step"), b.append_basic_block("rem.end")
    b.branch(test)
    b.position_at_end(test)
    phi = b.phi(x.value.type)
    rest = type(x)(phi, x.dtype)
    larger = k.ge(k.abs(rest), divisor)
    b.cbranch(k.any(larger), body, after)
    b.position_at_end(body)
    step = _step_divisor(k, rest, divisor)
    quotient = k.trunc(k.div(rest, step))
    shorter = k.select(larger, k.fma(k.neg(quotient), step, rest), rest)
    phi.add_incoming(dividend.value, before)
    phi.add_incoming(shorter.value, body)
    b.branch(test)
    b.position_at_end(after)
    negative = k.lt(rest, k.const(0.0, x.dtype))
    return _signed_remainder(k, k.select(negative, k.add(rest, divisor), rest), x, y)


def _step_divisor(k: Lanes, rest: Lane, divisor: Lane) -> Lane:
    """`divisor` times a power of two that keeps the quotient from overflow."""
    bias = FORMATS[rest.dtype].bias
    step = divisor
    for power in (bias, bias // 4):
        larger = k.mul(step, k.const(2.0**power, rest.dtype))
        step = k.select(k.ge(k.abs(rest), larger), larger, step)
    return step


def _signed_remainder(k: Lanes, magnitude: Lane, x: Lane, y: Lane) -> Lane:
    """`magnitude` with the sign of x; NaN if x is infinite, y is 0 or either is NaN."""
    infinity = k.const(float("inf"), x.dtype)
    valid = k.and_(k.lt(k.abs(x), infinity), k.gt(k.abs(y), k.const(0.0, x.dtype)))
    signed = k.copysign(magnitude, x)
    return k.select(valid, signed, k.const(float("nan"), x.dtype))
