"""Identities of arithmetic, choice and logic.

Floats keep their values to within the rounding of the op that goes away, with infinities and NaN
where they were; only the sign of a zero may change (`x + 0`), and `power(-inf, 0.5)`, which becomes
the square root's NaN. So x·0 and x - x stay: they are NaN for some x.
"""

from __future__ import annotations

import math

from anode.ir.dtypes import DType, bool_, f16
from anode.ir.node import Node
from anode.ops import elementwise as ew
from anode.ops.shape import full
from anode.rewrite.pattern import P, number, number_of, rule, var

x, y, p = var("x"), var("y"), var("p")
c, d = number("c"), number("d")


# sums and products


@rule(x + 0, x - 0)
def plus_zero(x: Node) -> Node:
    """x + 0 = x − 0 = x"""
    return x


@rule(x * 1, x / 1)
def times_one(x: Node) -> Node:
    """x·1 = x/1 = x"""
    return x


@rule(x * 0)
def times_zero(node: Node) -> Node | None:
    """x·0 = 0 for integers"""
    return None if node.dtype.is_float else full(node.shape, 0, node.dtype)


@rule(x - x)
def minus_itself(node: Node) -> Node | None:
    """x − x = 0 for integers"""
    return None if node.dtype.is_float else full(node.shape, 0, node.dtype)


@rule(P.negate(-x))
def double_negation(x: Node) -> Node:
    """−−x = x"""
    return x


@rule(x * -1, x / -1, 0 - x)
def as_negation(x: Node) -> Node:
    """x·−1 = 0 − x = −x"""
    return ew.negate(x)


@rule(x + -y)
def plus_negated(x: Node, y: Node) -> Node:
    """x + −y = x − y"""
    return ew.subtract(x, y)


@rule(x - -y)
def minus_negated(x: Node, y: Node) -> Node:
    """x − −y = x + y"""
    return ew.add(x, y)


@rule(-x * -y, -x / -y)
def both_negated(node: Node, x: Node, y: Node) -> Node | None:
    """−x·−y = x·y; of quotients only for floats, as integers wrap"""
    exact = node.op is ew.multiply or x.dtype.is_float
    return node.op(x, y) if exact else None


@rule(-(x * c), -x * c)
def negated_factor(x: Node, c: Node) -> Node:
    """−(x·c) = x·−c"""
    return ew.multiply(x, ew.negate(c))


@rule(x / c)
def divided_by_power_of_two(x: Node, c: Node) -> Node | None:
    """x/c = x·(1/c) where 1/c is exact"""
    if not x.dtype.is_float:
        return None
    mantissa, exponent = math.frexp(number_of(c))
    most = 14 if x.dtype is f16 else 126  # the exponents whose negative is one too
    if math.fabs(mantissa) != 0.5 or abs(exponent - 1) > most:
        return None
    return ew.multiply(x, full(x.shape, 1 / number_of(c), x.dtype))


@rule((x * c) * d)
def factors_together(x: Node, c: Node, d: Node) -> Node | None:
    """(x·c)·d = x·(c·d)

    Of floats the result may differ by a rounding, so c·d must neither overflow nor underflow.
    """
    a, b = number_of(c), number_of(d)
    if x.dtype.is_float and a and b and not 1e-4 < math.fabs(a * b) < 1e4:
        return None
    return ew.multiply(x, ew.multiply(c, d))


@rule((x + c) + d, (x - c) - d)
def terms_together(node: Node, x: Node, c: Node, d: Node) -> Node | None:
    """(x + c) + d = x + (c + d) for integers"""
    return None if x.dtype.is_float else node.op(x, ew.add(c, d))


@rule(P.abs(-x), P.abs(P.abs(x)))
def abs_of_sign(x: Node) -> Node | None:
    """|−x| = ||x|| = |x|, but not for unsigned integers, whose −x wraps"""
    return None if x.dtype.kind == "unsigned" else ew.abs(x)


# powers


@rule(x**0)
def power_zero(node: Node) -> Node:
    """x⁰ = 1"""
    return full(node.shape, 1, node.dtype)


@rule(x**1)
def power_one(x: Node) -> Node:
    """x¹ = x"""
    return x


@rule(x**2, P.square(x))
def power_two(x: Node) -> Node:
    """x² = x·x"""
    return ew.multiply(x, x)


@rule(x**3)
def power_three(x: Node) -> Node | None:
    """x³ = x·x·x, but for half types, which would round twice"""
    return None if _is_half(x.dtype) else ew.multiply(ew.multiply(x, x), x)


@rule(x**4)
def power_four(x: Node) -> Node | None:
    """x⁴ = x²·x², but for half types, which would round twice"""
    if _is_half(x.dtype):
        return None
    squared = ew.multiply(x, x)
    return ew.multiply(squared, squared)


@rule(x**0.5)
def power_half(x: Node) -> Node:
    """x^½ = √x"""
    return ew.sqrt(x)


@rule(x**-0.5)
def power_minus_half(x: Node) -> Node:
    """x^−½ = 1/√x"""
    return ew.rsqrt(x)


@rule(x**-1, 1 / x)
def as_reciprocal(x: Node) -> Node | None:
    """x⁻¹ = 1/x of floats"""
    return ew.reciprocal(x) if x.dtype.is_float else None


@rule(P.reciprocal(P.sqrt(x)))
def as_rsqrt(x: Node) -> Node:
    """1/√x in one"""
    return ew.rsqrt(x)


def _is_half(dtype: DType) -> bool:
    return dtype.compute is not dtype


# types


@rule(P.convert(x), P.bitcast(x))
def same_type(node: Node, x: Node) -> Node | None:
    """x in its own type is x"""
    return x if x.dtype is node.dtype else None


@rule(P.convert(P.convert(x, dtype=var("between"))))
def through_wider(node: Node, x: Node, between: DType) -> Node | None:
    """A type on the way that holds every value exactly can be left out

    Floats saturate when they become integers, where integers wrap.
    """
    wraps = between.is_float and not x.dtype.is_float and node.dtype.is_integer
    if not holds(between, x.dtype) or (wraps and not holds(node.dtype, x.dtype)):
        return None
    return ew.convert(x, dtype=node.dtype)


def holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of `narrow` is one of `wide`."""
    if wide is narrow or narrow is bool_:
        return True
    if wide is bool_ or (narrow.is_float and not wide.is_float):
        return False
    if narrow.is_float:
        return wide.bits > narrow.bits
    if wide.is_float:
        return narrow.bits <= _MANTISSA[wide.name]
    return wide.least <= narrow.least and narrow.most <= wide.most


_MANTISSA = {"f64": 53, "f32": 24, "f16": 11, "bf16": 8}


@rule(P.stop_gradient(x))
def gradient_stopped(x: Node) -> Node:
    """stop_gradient(x) = x once gradients are taken"""
    return x


# choice


@rule(P.select(p, x, x))
def select_alike(x: Node) -> Node:
    """select(p, x, x) = x"""
    return x


@rule(P.select(True, x, y))
def select_true(x: Node) -> Node:
    """select(true, x, y) = x"""
    return x


@rule(P.select(False, x, y))
def select_false(y: Node) -> Node:
    """select(false, x, y) = y"""
    return y


@rule(P.select(~p, x, y))
def select_not(p: Node, x: Node, y: Node) -> Node:
    """select(¬p, x, y) = select(p, y, x)"""
    return ew.select(p, y, x)


@rule(P.select(p, True, False))
def select_truth(p: Node) -> Node:
    """select(p, true, false) = p"""
    return p


@rule(P.select(p, False, True))
def select_untruth(p: Node) -> Node:
    """select(p, false, true) = ¬p"""
    return ew.not_(p)


@rule(P.maximum(x, x), P.minimum(x, x), x & x, x | x)
def alike(x: Node) -> Node:
    """max(x, x) = min(x, x) = x ∧ x = x ∨ x = x"""
    return x


@rule(P.maximum(x, c))
def above_least(x: Node, c: Node) -> Node | None:
    """max(x, least) = x"""
    least = -math.inf if x.dtype.is_float else x.dtype.least
    return x if number_of(c) == least else None


@rule(P.minimum(x, c))
def below_most(x: Node, c: Node) -> Node | None:
    """min(x, most) = x"""
    most = math.inf if x.dtype.is_float else x.dtype.most
    return x if number_of(c) == most else None


# logic


@rule(~~x)
def double_not(x: Node) -> Node:
    """¬¬x = x"""
    return x


@rule(x & True, x | 0, x ^ 0)
def logical_neutral(x: Node) -> Node:
    """x ∧ true = x ∨ false = x"""
    return x


@rule(x & 0, x ^ x)
def logical_zero(node: Node) -> Node:
    """x ∧ false = x ⊕ x = false"""
    return full(node.shape, 0, node.dtype)


@rule(x | True)
def or_true(node: Node) -> Node:
    """x ∨ true = true"""
    return full(node.shape, True, bool_)


@rule(P.not_(P.equal(x, y)))
def not_equals(x: Node, y: Node) -> Node:
    """¬(x = y) = (x ≠ y), with NaN too"""
    return ew.not_equal(x, y)


@rule(P.not_(P.not_equal(x, y)))
def not_unequals(x: Node, y: Node) -> Node:
    """¬(x ≠ y) = (x = y), with NaN too"""
    return ew.equal(x, y)


@rule(P.equal(x, True), P.not_equal(x, False))
def truth_itself(x: Node) -> Node:
    """(p = true) = p"""
    return x


RULES = (
    plus_zero,
    times_one,
    times_zero,
    minus_itself,
    double_negation,
    as_negation,
    plus_negated,
    minus_negated,
    both_negated,
    negated_factor,
    divided_by_power_of_two,
    factors_together,
    terms_together,
    abs_of_sign,
    power_zero,
    power_one,
    power_two,
    power_three,
    power_four,
    power_half,
    power_minus_half,
    as_reciprocal,
    as_rsqrt,
    same_type,
    through_wider,
    gradient_stopped,
    select_alike,
    select_true,
    select_false,
    select_not,
    select_truth,
    select_untruth,
    alike,
    above_least,
    below_most,
    double_not,
    logical_neutral,
    logical_zero,
    or_true,
    not_equals,
    not_unequals,
    truth_itself,
)
