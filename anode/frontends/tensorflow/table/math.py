"""Arithmetic of each element: what TensorFlow's unary, binary and choosing ops mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import REQUIRED, host, host_kernel, op
from anode.frontends.tensorflow.table.math_shapes import chosen
from anode.ir.dtypes import DType, f32, f64, i32, u8
from anode.ir.node import Node, constant

Lowering = Callable[..., Any]


def _converted(x: Node, dtype: DType) -> Node:
    return x if x.dtype is dtype else ops.convert(x, dtype=dtype)


def _declare(signature: str, shape: str, table: dict[str, Lowering]) -> None:
    for type, lowering in table.items():
        op(type, signature, shape=shape)(lambda *xs, lowering=lowering: lowering(*xs))


# of one operand


def _whole(round: Lowering) -> Lowering:
    """A rounding that leaves integers as they are."""
    return lambda x: round(x) if x.dtype.is_float else x


def _reciprocal(x: Node) -> Node:
    return ops.reciprocal(x) if x.dtype.is_float else ops.divide(1, x)


UNARY: dict[str, Lowering] = {
    "Abs": ops.abs,
    "Acos": ops.acos,
    "Acosh": ops.acosh,
    "Asin": ops.asin,
    "Asinh": ops.asinh,
    "Atan": ops.atan,
    "Atanh": ops.atanh,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Erf": ops.erf,
    "Erfc": ops.erfc,
    "Erfinv": ops.erf_inv,
    "Exp": ops.exp,
    "Expm1": ops.expm1,
    "Floor": ops.floor,
    "Inv": _reciprocal,
    "Log": ops.log,
    "Log1p": ops.log1p,
    "Neg": ops.negate,
    "Ndtri": lambda x: ops.erf_inv(2 * x - 1) * 2**0.5,
    "Reciprocal": _reciprocal,
    "Rint": ops.round,
    "Round": _whole(ops.round),
    "Rsqrt": ops.rsqrt,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Sqrt": ops.sqrt,
    "Square": ops.square,
    "Tan": ops.tan,
    "Tanh": ops.tanh,
}
_declare("x:T -> T", "same", UNARY)
_declare("x:T -> bool", "same", {"IsFinite": ops.is_finite})
_declare("x:T -> bool", "same", {"IsInf": ops.is_inf, "IsNan": ops.is_nan})
_declare("x:T -> T", "same", {"Invert": ops.not_})
_declare("x:bool -> bool", "same", {"LogicalNot": ops.not_})
_declare("x:T -> uint8", "same", {"PopulationCount": lambda x: _converted(ops.popcount(x), u8)})


# of two operands


def _larger(x: Node, y: Node) -> Node:
    """The larger; a tie is x, so that x takes the whole gradient, as in TensorFlow."""
    return ops.select(ops.less(x, y), y, x)


def _smaller(x: Node, y: Node) -> Node:
    return ops.select(ops.greater(x, y), y, x)


def _zero_where(x: Node, value: Callable[[Node], Node], of: Node) -> Node:
    """`value` of `x`, and 0 where `of` is 0, whatever `value` is there: of it no gradient comes."""
    zero = ops.equal(of, 0)
    return ops.select(zero, 0, value(ops.select(zero, 1, x)))


def _divide_no_nan(x: Node, y: Node) -> Node:
    return _zero_where(y, lambda safe: ops.divide(x, safe), of=y)


def _multiply_no_nan(x: Node, y: Node) -> Node:
    x, y = _together(x, y)
    return _zero_where(x, lambda safe: ops.multiply(safe, y), of=y)


def _together(x: Node, y: Node) -> tuple[Node, Node]:
    """Two operands broadcast to their common shape."""
    shape = np.broadcast_shapes(x.tensor.static, y.tensor.static)
    return ops.broadcast_to(x, shape), ops.broadcast_to(y, shape)


def _xlogy(x: Node, y: Node) -> Node:
    x, y = _together(x, y)
    return _zero_where(y, lambda safe: x * ops.log(safe), of=x)


def _xdivy(x: Node, y: Node) -> Node:
    x, y = _together(x, y)
    return _zero_where(y, lambda safe: x / safe, of=x)


BINARY: dict[str, Lowering] = {
    "Add": ops.add,
    "AddV2": ops.add,
    "BitwiseAnd": ops.and_,
    "BitwiseOr": ops.or_,
    "BitwiseXor": ops.xor,
    "Div": ops.divide,
    "DivNoNan": _divide_no_nan,
    "FloorDiv": ops.floor_divide,
    "FloorMod": ops.modulo,
    "LeftShift": ops.shift_left,
    "Maximum": _larger,
    "Minimum": _smaller,
    "Mod": ops.remainder,
    "Mul": ops.multiply,
    "MulNoNan": _multiply_no_nan,
    "Pow": ops.power,
    "RealDiv": ops.divide,
    "SquaredDifference": lambda x, y: ops.square(x - y),
    "Sub": ops.subtract,
    "TruncateDiv": lambda x, y: ops.trunc(x / y) if x.dtype.is_float else ops.divide(x, y),
    "TruncateMod": ops.remainder,
    "Xdivy": _xdivy,
    "Xlogy": _xlogy,
}
_declare("x:T y:T -> T", "broadcast", BINARY)
_declare("y:T x:T -> T", "broadcast", {"Atan2": ops.atan2})
COMPARISONS: dict[str, Lowering] = {
    "Greater": ops.greater,
    "GreaterEqual": ops.greater_equal,
    "Less": ops.less,
    "LessEqual": ops.less_equal,
}
_declare("x:T y:T -> bool", "broadcast", COMPARISONS)
_declare("x:bool y:bool -> bool", "broadcast", {"LogicalAnd": ops.and_, "LogicalOr": ops.or_})


@op("RightShift", "x:T y:T -> T", shape="broadcast")
def _(x: Node, y: Node) -> Node:
    signed = x.dtype.kind == "signed"
    return (ops.shift_right_arithmetic if signed else ops.shift_right_logical)(x, y)


@op("ApproximateEqual", "x:T y:T -> bool", shape="broadcast", tolerance=1e-5)
def _(x: Node, y: Node, *, tolerance: float) -> Node:
    return ops.less(ops.abs(x - y), tolerance)


def _equality(compare: Lowering) -> Lowering:
    return lambda x, y, *, incompatible_shape_error: compare(x, y)


for _type, _compare in (("Equal", ops.equal), ("NotEqual", ops.not_equal)):
    op(_type, "x:T y:T -> bool", shape="broadcast", incompatible_shape_error=True)(
        _equality(_compare)
    )


@host_kernel("Equal")
def _(x: Any, y: Any, *, incompatible_shape_error: bool) -> Any:
    return np.asarray(np.equal(x, y), np.bool_)


@host_kernel("NotEqual")
def _(x: Any, y: Any, *, incompatible_shape_error: bool) -> Any:
    return np.asarray(np.not_equal(x, y), np.bool_)


@host_kernel("Add")
@host_kernel("AddV2")
def _(x: Any, y: Any) -> Any:
    return np.add(x, y)


@host("NextAfter", "x1:T x2:T -> T", shape="broadcast")
def _(x1: Any, x2: Any) -> Any:
    return np.nextafter(x1, x2)


# sums of several


def _sum(xs: Sequence[Node]) -> Node:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


@op("AddN", "inputs:N*T -> T", shape="same")
def _(inputs: Sequence[Node]) -> Node:
    return _sum(inputs)


@op("AccumulateNV2", "inputs:N*T -> T", shape="same")
def _(inputs: Sequence[Node]) -> Node:
    return _sum(inputs)


# types


@op("Cast", "x:SrcT -> DstT", shape="same", Truncate=False)
def _(x: Node, *, DstT: DType, Truncate: bool) -> Node:
    if Truncate:
        raise UnsupportedOp("Cast: Truncate=True drops bits without rounding; cast without it")
    return _converted(x, DstT)


# choices


@op("Select", "condition:bool t:T e:T -> T", shape=chosen)
def _(condition: Node, t: Node, e: Node) -> Node:
    """A vector of conditions chooses whole rows."""
    if len(condition.shape) == 1 < len(t.shape):
        condition = ops.broadcast_in_dim(condition, shape=t.shape, axes=(0,))
    return ops.select(condition, t, e)


@host_kernel("Select")
def _(condition: Any, t: Any, e: Any) -> Any:
    rows = condition.ndim == 1 < t.ndim
    return np.where(condition.reshape([-1] + [1] * (t.ndim - 1)) if rows else condition, t, e)


@op("SelectV2", "condition:bool t:T e:T -> T", shape="broadcast")
def _(condition: Node, t: Node, e: Node) -> Node:
    return ops.select(condition, t, e)


@host_kernel("SelectV2")
def _(condition: Any, t: Any, e: Any) -> Any:
    return np.where(condition, t, e)


@op("ClipByValue", "t:T clip_value_min:T clip_value_max:T -> T", shape="same")
def _(t: Node, clip_value_min: Node, clip_value_max: Node) -> Node:
    return _larger(_smaller(t, clip_value_max), clip_value_min)


@op("Bucketize", "input:T -> int32", shape="same", boundaries=REQUIRED)
def _(input: Node, *, boundaries: Sequence[float]) -> Node:
    """The number of boundaries, in increasing order, that are not above the element."""
    wide = ops.expand_dims(_converted(input, f64 if input.dtype.bits > 32 else f32), -1)
    edges = constant(np.asarray(boundaries), wide.dtype)
    return ops.sum(_converted(ops.greater_equal(wide, edges), i32), -1)
