"""Arithmetic of each element: functions, conversions of type, and the operators of Tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.core import OPERATORS
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    convert_to_tensor,
    is_tensor_like,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export

FUNCTIONS = {
    "Abs": "x | abs math.abs",
    "Acos": "x | acos math.acos",
    "Acosh": "x | acosh math.acosh",
    "Add": "x y | add math.add",
    "Asin": "x | asin math.asin",
    "Asinh": "x | asinh math.asinh",
    "Atan": "x | atan math.atan",
    "Atan2": "y x | atan2 math.atan2",
    "Atanh": "x | atanh math.atanh",
    "Betainc": "a b x | betainc math.betainc",
    "Ceil": "x | ceil math.ceil",
    "Cos": "x | cos math.cos",
    "Cosh": "x | cosh math.cosh",
    "Digamma": "x | digamma math.digamma",
    "Equal": "x y | equal math.equal",
    "Erf": "x | erf math.erf",
    "Erfc": "x | erfc math.erfc",
    "Exp": "x | exp math.exp",
    "Expm1": "x | expm1 math.expm1",
    "Floor": "x | floor math.floor",
    "FloorMod": "x y | floormod mod math.floormod math.mod",
    "Greater": "x y | greater math.greater",
    "GreaterEqual": "x y | greater_equal math.greater_equal",
    "Igamma": "a x | igamma math.igamma",
    "Igammac": "a x | igammac math.igammac",
    "IsFinite": "x | is_finite math.is_finite debugging.is_finite",
    "IsInf": "x | is_inf math.is_inf debugging.is_inf",
    "IsNan": "x | is_nan math.is_nan debugging.is_nan",
    "Less": "x y | less math.less",
    "LessEqual": "x y | less_equal math.less_equal",
    "Lgamma": "x | lgamma math.lgamma",
    "Log": "x | log math.log",
    "Log1p": "x | log1p math.log1p",
    "LogicalAnd": "x y | logical_and math.logical_and",
    "LogicalNot": "x | logical_not math.logical_not",
    "LogicalOr": "x y | logical_or math.logical_or",
    "Maximum": "x y | maximum math.maximum",
    "Minimum": "x y | minimum math.minimum",
    "Mul": "x y | multiply math.multiply mul",
    "Neg": "x | negative math.negative neg",
    "NextAfter": "x1 x2 | nextafter math.nextafter",
    "NotEqual": "x y | not_equal math.not_equal",
    "Polygamma": "a x | polygamma math.polygamma",
    "Pow": "x y | pow math.pow",
    "RealDiv": "x y | realdiv",
    "Reciprocal": "x | reciprocal math.reciprocal",
    "Rint": "x | rint math.rint",
    "Rsqrt": "x | rsqrt math.rsqrt",
    "Select": "condition t e | select",
    "Sigmoid": "x | sigmoid math.sigmoid nn.sigmoid",
    "Sign": "x | sign math.sign",
    "Sin": "x | sin math.sin",
    "Sinh": "x | sinh math.sinh",
    "Sqrt": "x | sqrt math.sqrt",
    "Square": "x | square math.square",
    "SquaredDifference": "x y | squared_difference math.squared_difference",
    "Sub": "x y | subtract math.subtract sub",
    "Tan": "x | tan math.tan",
    "Tanh": "x | tanh math.tanh nn.tanh",
    "TruncateDiv": "x y | truncatediv",
    "TruncateMod": "x y | truncatemod",
    "Xdivy": "x y | math.xdivy",
    "Xlogy": "x y | math.xlogy",
    "Zeta": "x q | zeta math.zeta",
}
DEFINED = define(__name__, FUNCTIONS)
globals().update(DEFINED)
if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What the table defines."""


# division


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of one type: numbers take that of the tensor."""
    if is_tensor_like(y) and not is_tensor_like(x):
        y = convert_to_tensor(y, name="y")
        return convert_to_tensor(x, preferred_dtype=y.dtype.base_dtype, name="x"), y
    x = convert_to_tensor(x, name="x")
    return x, convert_to_tensor(y, preferred_dtype=x.dtype.base_dtype, name="y")


def _checked(x: Tensor, y: Tensor) -> dtypes.DType:
    dtype = x.dtype.base_dtype
    if dtype != y.dtype.base_dtype:
        raise TypeError(
            f"x and y must have the same dtype, got {dtype!r} != {y.dtype.base_dtype!r}"
        )
    return dtype


@export("truediv", "math.truediv")
def truediv(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y; integers of up to 16 bits are divided as float32, wider ones as float64."""
    with name_scope(name, "truediv", [x, y]) as scope:
        x, y = _pair(x, y)
        dtype = _checked(x, y)
        if dtype.is_integer:
            wide = dtypes.float32 if dtype.size < 4 else dtypes.float64
            x, y = cast(x, wide), cast(y, wide)
        return apply("RealDiv", x, y, name=scope)


@export("divide", "math.divide")
def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python 3 divides."""
    return truediv(x, y, name)


@export("div")
def div(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python 2 divides: integers are rounded down."""
    with name_scope(name, "div", [x, y]) as scope:
        x, y = _pair(x, y)
        exact = _checked(x, y).is_floating
        return apply("RealDiv" if exact else "FloorDiv", x, y, name=scope)


@export("div_no_nan", "math.divide_no_nan")
def div_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, and 0 where y is 0."""
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        x, y = _pair(x, y)
        return apply("DivNoNan", x, y, name=scope)


@export("math.multiply_no_nan")
def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x · y, and 0 where y is 0, even if x is infinite or NaN."""
    with name_scope(name, "multiply_no_nan", [x, y]) as scope:
        x, y = _pair(x, y)
        return apply("MulNoNan", x, y, name=scope)


@export("math.reciprocal_no_nan")
def reciprocal_no_nan(x: Any, name: str | None = None) -> Any:
    """1 / x, and 0 where x is 0."""
    with name_scope(name, "reciprocal_no_nan", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        one = convert_to_tensor(1, x.dtype.base_dtype, name="one")
        return div_no_nan(one, x, name=scope)


@export("floordiv", "math.floordiv")
def floordiv(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y rounded down."""
    with name_scope(name, "floordiv", [x, y]) as scope:
        return apply("FloorDiv", x, y, name=scope)


@export("floor_div")
def floor_div(x: Any, y: Any, name: str | None = None) -> Any:
    return apply("FloorDiv", x, y, name=name)


@export("logical_xor", "math.logical_xor")
def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Any:
    either, both = apply("LogicalOr", x, y), apply("LogicalAnd", x, y)
    return apply("LogicalAnd", either, apply("LogicalNot", both), name=name)


@export("round", "math.round")
def round(x: Any, name: str | None = None) -> Any:
    """To the nearest integer, ties to even; integers stay."""
    x = convert_to_tensor(x, name="x")
    return x if x.dtype.is_integer else apply("Round", x, name=name)


@export("scalar_mul", "math.scalar_mul")
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A scalar times a Tensor or IndexedSlices."""
    scalar = convert_to_tensor(scalar, dtype=x.dtype.base_dtype, name="scalar")
    if scalar.shape.ndims not in (0, None):
        raise ValueError(f"Only scalar multiply works, got shape {scalar.shape}")
    if hasattr(x, "indices"):
        return type(x)(apply("Mul", scalar, x.values, name=name), x.indices, x.dense_shape)
    return apply("Mul", scalar, x, name=name)


@export("log_sigmoid", "math.log_sigmoid")
def log_sigmoid(x: Any, name: str | None = None) -> Any:
    """log(sigmoid(x)) = -softplus(-x)."""
    with name_scope(name, "LogSigmoid", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        return apply("Neg", apply("Softplus", apply("Neg", x)), name=scope)


@export("math.polyval")
def polyval(coeffs: Sequence[Any], x: Any, name: str | None = None) -> Any:
    """The polynomial of these coefficients, the highest power first, by Horner's rule."""
    with name_scope(name, "polyval", [*coeffs, x]):
        x = convert_to_tensor(x, name="x")
        if not coeffs:
            return apply("ZerosLike", x)
        total, *rest = [
            convert_to_tensor(c, x.dtype.base_dtype, name=f"coeff_{i}")
            for i, c in enumerate(coeffs)
        ]
        for coefficient in rest:
            total = coefficient + total * x
        return total


_ALIKE = "with the same dtype and shape"


@export("add_n", "math.add_n")
def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of all inputs, of one shape."""
    if not inputs or not isinstance(inputs, (list, tuple)):
        raise ValueError(f"inputs must be a list of at least one Tensor/IndexedSlices {_ALIKE}")
    if len(inputs) > 1:
        return apply("AddN", [convert_to_tensor(x) for x in inputs], name=name)
    (only,) = inputs
    if hasattr(only, "indices") and not name:
        return convert_to_tensor(only)
    only = convert_to_tensor(only)
    return apply("Identity", only, name=name) if name else only


@export("accumulate_n", "math.accumulate_n")
def accumulate_n(
    inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None
) -> Any:
    """The sum of all inputs, of one shape and type."""
    if not inputs or not isinstance(inputs, (list, tuple)):
        raise ValueError(f"inputs must be a list of at least one Tensor {_ALIKE}")
    tensors = [convert_to_tensor(x) for x in inputs]
    if tensor_dtype is not None and tensors[0].dtype.base_dtype != tensor_dtype:
        raise TypeError(f"tensor_dtype is {tensor_dtype}, but input is of type {tensors[0].dtype}")
    total = add_n(tensors, name)
    if shape is not None:
        total.set_shape(shape)
    return total


# types


@export("cast", "dtypes.cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """`x` as another type; a tensor that has it already is returned as it is."""
    wanted = dtypes.as_dtype(dtype).base_dtype
    if isinstance(x, Tensor) and x.dtype.base_dtype == wanted and not x.dtype._is_ref_dtype:
        return x
    with name_scope(name, "Cast", [x]) as scope:
        if hasattr(x, "indices") and hasattr(x, "dense_shape"):
            return type(x)(*_with_values(x, cast(x.values, wanted, name=scope)))
        x = convert_to_tensor(x, name="x")
        if x.dtype.base_dtype == wanted:
            return x
        return apply("Cast", x, DstT=wanted, name=scope)


def _with_values(x: Any, values: Tensor) -> list[Any]:
    """The parts of an IndexedSlices or a SparseTensor, with other values."""
    return [values if part is x.values else part for part in x._components]


def _to(path: str, dtype: dtypes.DType, default: str) -> Callable[..., Any]:
    def call(x: Any, name: str = default) -> Any:
        return cast(x, dtype, name=name)

    call.__name__ = call.__qualname__ = path
    call.__doc__ = f"`x` as {dtype.name}."
    return export(path)(call)


to_float = _to("to_float", dtypes.float32, "ToFloat")
to_double = _to("to_double", dtypes.float64, "ToDouble")
to_int32 = _to("to_int32", dtypes.int32, "ToInt32")
to_int64 = _to("to_int64", dtypes.int64, "ToInt64")
to_bfloat16 = _to("to_bfloat16", dtypes.bfloat16, "ToBFloat16")


@export("saturate_cast", "dtypes.saturate_cast")
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """`value` as another type, moved into its range first."""
    with name_scope(name, "saturate_cast", [value]) as scope:
        value, wanted = convert_to_tensor(value, name="value"), dtypes.as_dtype(dtype).base_dtype
        own = value.dtype.base_dtype
        if own.min < wanted.min:
            value = apply("Maximum", value, convert_to_tensor(wanted.min, own, name="min"))
        if own.max > wanted.max:
            value = apply("Minimum", value, convert_to_tensor(wanted.max, own, name="max"))
        return cast(value, wanted, name=scope)


# complex numbers


def _of_real(path: str) -> Callable[..., Any]:
    """A function of complex numbers, which is the identity of real ones."""

    def call(input: Any, name: str | None = None) -> Any:
        tensor = convert_to_tensor(input, name="input")
        if tensor.dtype.is_complex:
            raise UnsupportedOp(f"tf.{path}: anode has no complex numbers")
        return tensor

    call.__name__ = call.__qualname__ = path
    call.__doc__ = "The number itself: numbers are real."
    return export(path, f"math.{path}")(call)


real, conj = _of_real("real"), _of_real("conj")


# operators of Tensor


def _operator(type: str, name: str) -> Callable[[Any, Any], Any]:
    """An operator that is one op; a number or an array takes the type of the tensor."""

    def call(x: Any, y: Any) -> Any:
        with name_scope(None, name, [x, y]) as scope:
            x, y = _pair(x, y)
            return apply(type, x, y, name=scope)

    return call


def _matmul(x: Any, y: Any) -> Any:
    from anode.frontends.tensorflow.api.linalg import matmul

    return matmul(x, y, name="matmul")


def _exclusive_or(x: Any, y: Any) -> Any:
    with name_scope(None, "xor", [x, y]) as scope:
        return logical_xor(*_pair(x, y), name=scope)


SYMBOLS = {
    "add": "AddV2",
    "and": "LogicalAnd",
    "floordiv": "FloorDiv",
    "mod": "FloorMod",
    "mul": "Mul",
    "or": "LogicalOr",
    "pow": "Pow",
    "sub": "Sub",
}
UNARY = {"abs": "Abs", "invert": "LogicalNot", "neg": "Neg"}
COMPARISONS = {"ge": "GreaterEqual", "gt": "Greater", "le": "LessEqual", "lt": "Less"}


def _operators() -> dict[str, Callable[..., Any]]:
    """Tensor's arithmetic, by the names of the methods."""
    binary = {name: _operator(type, name) for name, type in SYMBOLS.items()}
    binary |= {"div": div, "matmul": _matmul, "truediv": truediv, "xor": _exclusive_or}
    found: dict[str, Callable[..., Any]] = {}
    for name, function in binary.items():
        found[f"__{name}__"] = function
        found[f"__r{name}__"] = lambda x, y, function=function: function(y, x)
    for name, type in (UNARY | COMPARISONS).items():
        found[f"__{name}__"] = lambda *xs, type=type: apply(type, *xs)
    return found | {"__pos__": lambda x: x}


OPERATORS.update(_operators())
