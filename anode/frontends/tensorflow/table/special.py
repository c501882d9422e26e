"""The gamma function's family; the incomplete ones are host kernels, which have no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import host, op, static
from anode.ir.graph import Graph
from anode.ir.node import Node, constant
from anode.ops.evaluate import evaluate

Array = np.ndarray
Kernel = Callable[..., Array]

_MOST = 10000  # terms of a series or a fraction, which end where nothing changes any more
_TINY = 1e-300

op("Lgamma", "x:T -> T", shape="same")(lambda x: ops.lgamma(x))
op("Digamma", "x:T -> T", shape="same")(lambda x: ops.digamma(x))


@op("Polygamma", "a:T x:T -> T", shape="broadcast")
def _(a: Any, x: Node) -> Node:
    orders = np.unique(static(a))
    if len(orders) != 1 or orders[0] < 0 or orders[0] != int(orders[0]):
        raise UnsupportedOp(f"Polygamma: the order a must be one whole number, not {orders}")
    order = int(orders[0])
    wide = ops.broadcast_to(x, np.broadcast_shapes(x.tensor.static, a.tensor.static))
    return ops.polygamma(wide, order=order) if order else ops.digamma(wide)


def _log_gamma(x: Array) -> Array:
    (value,), _ = evaluate(Graph.make((), [ops.lgamma(constant(x))]), [])
    return np.asarray(value)


def _lower_series(a: Array, x: Array) -> Array:
    """The regularised lower incomplete gamma function by its power series, for x ≤ a + 1."""
    term = total = 1 / a
    for n in range(1, _MOST):
        term = term * (x / (a + n))
        total = total + term
        if not (np.abs(term) > np.abs(total) * 1e-17).any():
            break
    return np.asarray(total * np.exp(a * np.log(x) - x - _log_gamma(a)))


def _upper_fraction(a: Array, x: Array) -> Array:
    """The upper one by Legendre's continued fraction in Lentz's way, for x > a + 1."""
    b = x + 1 - a
    c, d = np.full_like(x, 1 / _TINY), 1 / b
    value = d
    for n in range(1, _MOST):
        step, b = -n * (n - a), b + 2
        d = 1 / _not_zero(step * d + b)
        c = _not_zero(b + step / c)
        value = value * (c * d)
        if not (np.abs(c * d - 1) > 1e-16).any():
            break
    return np.asarray(value * np.exp(a * np.log(x) - x - _log_gamma(a)))


def _not_zero(x: Array) -> Array:
    return np.where(x == 0, _TINY, x)


def _in_f64(kernel: Kernel) -> Kernel:
    """A kernel that computes on f64 arrays of one shape, whatever the operands are."""

    def call(*xs: Array) -> Array:
        wide = np.broadcast_arrays(*[x.astype(np.float64) for x in xs])
        with np.errstate(all="ignore"):
            return np.asarray(kernel(*wide)).astype(xs[0].dtype)

    return call


def _lower_gamma(a: Array, x: Array) -> Array:
    series = x <= a + 1
    one = np.ones_like(x)
    low = _lower_series(np.where(series, a, one), np.where(series, x, one))
    high = 1 - _upper_fraction(np.where(series, one, a), np.where(series, 3 * one, x))
    value = np.where(x == 0, 0, np.where(np.isinf(x), 1, np.where(series, low, high)))
    return np.where((a <= 0) | (x < 0), np.nan, value)


def _upper_gamma(a: Array, x: Array) -> Array:
    series = x <= a + 1
    one = np.ones_like(x)
    low = 1 - _lower_series(np.where(series, a, one), np.where(series, x, one))
    high = _upper_fraction(np.where(series, one, a), np.where(series, 3 * one, x))
    value = np.where(x == 0, 1, np.where(np.isinf(x), 0, np.where(series, low, high)))
    return np.where((a <= 0) | (x < 0), np.nan, value)


def _beta(a: Array, b: Array, x: Array) -> Array:
    """The regularised incomplete beta function, from the side where its fraction converges."""
    turned = x > (a + 1) / (a + b + 2)
    p, q, y = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, 1 - x, x)
    front = np.exp(p * np.log(y) + q * np.log1p(-y) + _log_gamma(p + q) - _log_gamma(p))
    part = front * _beta_fraction(p, q, y) / (p * np.exp(_log_gamma(q)))
    part = np.where(y == 0, 0, part)
    value = np.where(turned, 1 - part, part)
    return np.where((a <= 0) | (b <= 0) | (x < 0) | (x > 1), np.nan, value)


def _beta_fraction(a: Array, b: Array, x: Array) -> Array:
    """Its continued fraction in Lentz's way. Source: Press et al., "Numerical Recipes", 6.4."""
    c = np.ones_like(x)
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for step in (even, odd):
            d = 1 / _not_zero(1 + step * d)
            c = _not_zero(1 + step / c)
            value = value * (c * d)
        if not (np.abs(value - before) > np.abs(value) * 1e-16).any():
            break
    return np.asarray(value)


def _hurwitz(p: Array, q: Array) -> Array:
    """Σ (q + k)^-p over k ≥ 0: twenty terms, then Euler and Maclaurin's formula."""
    total = sum((q + k) ** -p for k in range(20))
    z = q + 20
    total = total + z ** (1 - p) / (p - 1) + 0.5 * z**-p
    power = p * z ** (-p - 1)
    for k, coefficient in enumerate((1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160), 1):
        total = total + coefficient * power
        power = power * (p + 2 * k - 1) * (p + 2 * k) / (z * z)
    return np.where(p == 1, np.inf, np.where((p < 1) | (q <= 0), np.nan, total))


HOST: dict[str, tuple[str, Kernel]] = {
    "Betainc": ("a:T b:T x:T -> T", _beta),
    "Igamma": ("a:T x:T -> T", _lower_gamma),
    "Igammac": ("a:T x:T -> T", _upper_gamma),
    "Zeta": ("x:T q:T -> T", _hurwitz),
}
for _type, (_signature, _kernel) in HOST.items():
    host(_type, _signature, shape="broadcast")(_in_f64(_kernel))
