"""The gamma function's family, composed of `Scalars` and computed in f64 whatever the type.

In f64 lgamma and digamma are within a few ulp of the larger of 1 and their size: near their zeros
the last digits cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from anode.ir.dtypes import f64
from anode.ops.scalars import Scalars, Value
from anode.ops.special import like

# Lanczos' approximation with g = 607/128, relative error below 1e-15. Source: Godfrey, "A note on
# the computation of the convergent Lanczos complex gamma approximation", 2001.
_G = 607 / 128
_LANCZOS = (
    *(0.99999999999999709182, 57.156235665862923517, -59.597960355475491248),
    *(14.136097974741747174, -0.49191381609762019978, 0.33994649984811888699e-4),
    *(0.46523628927048575665e-4, -0.98374475304879564677e-4, 0.15808870322491248884e-3),
    *(-0.21026444172410488319e-3, 0.21743961811521264320e-3, -0.16431810653676389022e-3),
    *(0.84418223983852743293e-4, -0.26190838401581408670e-4, 0.36899182659531622704e-5),
)
# B(2k) / (2k)! of Bernoulli's numbers, for k from 1 on
_BERNOULLI = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000),
    *(1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000),
)
_SHIFT = 10  # steps that an argument is moved up by, to where asymptotic series hold


def _in_f64(s: Scalars, f: Callable[..., Value], *xs: Value) -> Value:
    return s.convert(f(s, *[s.convert(x, f64) for x in xs]), s.dtype(xs[0]))


def lgamma(s: Scalars, x: Value) -> Value:
    return _in_f64(s, _lgamma, x)


def _lgamma(s: Scalars, x: Value) -> Value:
    """Lanczos' series from 1/2 on; below by log π/|sin πx| − lgamma(1 − x)."""
    low = s.lt(x, like(s, x, 0.5))
    upper = _lgamma_upper(s, s.select(low, s.sub(like(s, x, 1), x), x))
    sine = s.abs(_sin_pi(s, x))
    reflected = s.sub(s.log(s.div(like(s, x, math.pi), sine)), upper)
    infinite = s.eq(s.abs(x), like(s, x, math.inf))
    return s.select(infinite, s.abs(x), s.select(low, reflected, upper))


def _lgamma_upper(s: Scalars, x: Value) -> Value:
    total = like(s, x, _LANCZOS[0])
    for k, coefficient in enumerate(_LANCZOS[1:]):
        total = s.add(total, s.div(like(s, x, coefficient), s.add(x, like(s, x, k))))
    t, half = s.add(x, like(s, x, _G - 0.5)), like(s, x, 0.5)
    power = s.sub(s.mul(s.sub(x, half), s.log(t)), t)
    return s.add(power, s.log(s.mul(total, like(s, x, math.sqrt(2 * math.pi)))))


def _sin_pi(s: Scalars, x: Value) -> Value:
    """The sine of π times what is left of x without whole numbers, of either sign."""
    rest = s.sub(x, s.round_even(x))
    return s.sin(s.mul(rest, like(s, x, math.pi)))


def digamma(s: Scalars, x: Value) -> Value:
    return _in_f64(s, _digamma, x)


def _digamma(s: Scalars, x: Value) -> Value:
    """The asymptotic series, 10 steps up; below 1/2 by ψ(1 − x) − π/tan πx."""
    low, one = s.lt(x, like(s, x, 0.5)), like(s, x, 1)
    z = s.select(low, s.sub(one, x), x)
    total = like(s, x, 0)
    for k in range(_SHIFT):
        total = s.sub(total, s.div(one, s.add(z, like(s, x, k))))
    z = s.add(z, like(s, x, _SHIFT))
    inverse = s.div(one, z)
    square, series = s.mul(inverse, inverse), like(s, x, 0)
    power = square
    for k, coefficient in enumerate(_BERNOULLI, 1):
        scale = coefficient * math.factorial(2 * k - 1)
        series = s.add(series, s.mul(like(s, x, scale), power))
        power = s.mul(power, square)
    upper = s.sub(s.log(z), s.add(s.mul(inverse, like(s, x, 0.5)), series))
    upper = s.add(total, upper)
    rest = s.mul(s.sub(x, s.round_even(x)), like(s, x, math.pi))
    cotangent = s.div(s.cos(rest), s.sin(rest))
    pole = s.and_(low, s.eq(rest, like(s, x, 0)))
    reflected = s.sub(upper, s.mul(like(s, x, math.pi), cotangent))
    return s.select(pole, like(s, x, math.nan), s.select(low, reflected, upper))


def polygamma(s: Scalars, x: Value, order: int) -> Value:
    """(-1)^(n + 1)·n!·Σ (x + k)^-(n + 1) over k ≥ 0, for the order n."""
    scale = math.factorial(order) * (-1.0) ** (order + 1)

    def value(s: Scalars, x: Value) -> Value:
        total = s.mul(_zeta(s, x, order + 1), like(s, x, scale))
        return s.select(s.gt(x, like(s, x, 0)), total, like(s, x, math.nan))

    return _in_f64(s, value, x)


def _zeta(s: Scalars, q: Value, exponent: int) -> Value:
    """Ten terms of Hurwitz's zeta function, then Euler and Maclaurin's formula for the others."""
    total = like(s, q, 0)
    for k in range(_SHIFT):
        total = s.add(total, _reciprocal_power(s, s.add(q, like(s, q, k)), exponent))
    z = s.add(q, like(s, q, _SHIFT))
    last = _reciprocal_power(s, z, exponent)
    total = s.add(total, s.mul(s.mul(last, z), like(s, q, 1 / (exponent - 1))))
    total = s.add(total, s.mul(last, like(s, q, 0.5)))
    inverse, rising = s.div(like(s, q, 1), z), float(exponent)  # exponent·(exponent + 1)·…
    power = s.mul(last, inverse)
    for k, coefficient in enumerate(_BERNOULLI, 1):
        total = s.add(total, s.mul(like(s, q, coefficient * rising), power))
        power = s.mul(s.mul(power, inverse), inverse)
        rising *= (exponent + 2 * k - 1) * (exponent + 2 * k)
    return total


def _reciprocal_power(s: Scalars, x: Value, exponent: int) -> Value:
    return s.pow(x, like(s, x, -exponent))
