"""Elementwise ops: operands are aligned and repeated by the names of their axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes, default_dtype
from anode.frontends.ngraph.op_graph.lowering import arranged, as_dtype, check_lengths
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op, as_ops
from anode.frontends.ngraph.op_graph.state import assign
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

safelog_cutoff = 50.0
_WHOLE = (np.dtype(np.int32), np.dtype(np.int64))
_WIDE = np.dtype(np.float64)


class ElementWiseOp(TensorOp):
    """An op on corresponding elements."""

    function: ClassVar[Callable[..., Any]]


class UnaryElementWiseOp(ElementWiseOp):
    """A function of one tensor's elements, which stay of type f64 or become f32."""

    def __init__(self, x: Any, **kwargs: Any) -> None:
        x = as_op(x)
        dtype = x.dtype if x.dtype == _WIDE else None
        super().__init__(args=(x,), axes=x.axes, dtype=dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        found: Node = type(self).function(as_dtype(args[0], dtype_of(self.dtype)))
        return found


class BinaryElementWiseOp(ElementWiseOp):
    """A function of two tensors' elements.

    The axes are those of the left operand, then what the right one has more; but those of the right
    operand where it has them all. Elements are f32, f64 if an operand's are, and whole numbers of
    32 bits or more stay whole; `dtype` says otherwise.
    """

    def __init__(self, x: Any, y: Any, dtype: Any = None, **kwargs: Any) -> None:
        x, y = as_ops((x, y))
        if x.axes is not y.axes:
            check_lengths(type(self).__name__.lower(), x, y)
        axes = _joined(x.axes, y.axes)
        super().__init__(args=(x, y), axes=axes, dtype=self.result(dtype, x, y), **kwargs)

    def result(self, dtype: Any, x: Any, y: Any) -> np.dtype:
        return default_dtype(dtype) if dtype is not None else promoted(x, y)

    def computed_in(self) -> np.dtype:
        """The type of the operands' elements."""
        dtype: np.dtype = self.dtype
        return dtype

    def operand_nodes(self, graph: Lowering, x: Node, y: Node) -> tuple[Node, Node]:
        left, right = self.args
        shape, dtype = graph.shape(self.axes), dtype_of(self.computed_in())
        return (
            arranged(as_dtype(x, dtype), left.axes, self.axes, shape),
            arranged(as_dtype(y, dtype), right.axes, self.axes, shape),
        )

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x, y = self.operand_nodes(graph, *args)
        return as_dtype(type(self).function(x, y), dtype_of(self.dtype))

    @property
    def one_dimensional(self) -> bool:
        return all(len(arg.axes) <= 1 for arg in self.args)

    @property
    def zero_dimensional(self) -> bool:
        return all(len(arg.axes) == 0 for arg in self.args)


class CommutativeBinaryElementWiseOp(BinaryElementWiseOp):
    """One whose operands may change places."""

    is_commutative = True


class Fractional(BinaryElementWiseOp):
    """One whose result is no whole number."""

    def result(self, dtype: Any, x: Any, y: Any) -> np.dtype:
        found = super().result(dtype, x, y)
        return default_dtype() if found.kind != "f" and dtype is None else found


class Comparison(BinaryElementWiseOp):
    """A comparison: 1 where it holds, else 0."""

    def result(self, dtype: Any, x: Any, y: Any) -> np.dtype:
        return default_dtype(dtype)

    def computed_in(self) -> np.dtype:
        return promoted(*self.args)


def promoted(x: Any, y: Any) -> np.dtype:
    """The type of elements computed from those of `x` and `y`."""
    dtypes = {op.dtype for op in (x, y)}
    if _WIDE in dtypes:
        return _WIDE
    strong = {op.dtype for op in (x, y) if not _is_number(op)}
    if strong and strong <= set(_WHOLE) and all(_is_whole(op) for op in (x, y)):
        return max(strong, key=lambda dtype: dtype.itemsize)
    return default_dtype()


def _is_number(op: Any) -> bool:
    return bool(op.is_constant and op.is_scalar and op.const is not None)


def _is_whole(op: Any) -> bool:
    if op.dtype in _WHOLE:
        return True
    return _is_number(op) and op.const.dtype.kind in "iub" and abs(int(op.const)) < 1 << 31


def _joined(x: Axes, y: Axes) -> Axes:
    if x == y:
        return x
    more = y - x
    if not more:
        return x
    return y if not x - y else x + more


class Extremum(CommutativeBinaryElementWiseOp):
    """The larger, or smaller, of two elements.

    Where an element equals a constant operand, the derivative is 0; equal elements of two tensors
    share it.
    """

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x, y = self.operand_nodes(graph, *args)
        if self.dtype.kind != "f" or not any(arg.is_constant for arg in self.args):
            return self._rounded(type(self).function(x, y))
        found = type(self).function(x, y)
        return self._rounded(ops.select(ops.equal(x, y), ops.stop_gradient(found), found))

    def _rounded(self, x: Node) -> Node:
        return as_dtype(x, dtype_of(self.dtype))


class Maximum(Extremum):
    """The larger of two elements."""

    function = ops.maximum

    def lower(self, graph: Lowering, *args: Node) -> Node:
        for arg, other in (self.args, self.args[::-1]):
            zero = self.dtype.kind == "f" and _is_number(other) and other.const == 0
            if zero and len(arg.axes) == len(self.axes):
                return ops.relu(as_dtype(args[self.args.index(arg)], dtype_of(self.dtype)))
        return super().lower(graph, *args)


class Minimum(Extremum):
    """The smaller of two elements."""

    function = ops.minimum


def _unary(function: Callable[..., Any], doc: str) -> dict[str, Any]:
    return {"function": staticmethod(function), "__doc__": doc, "__module__": __name__}


def _class(name: str, base: type, function: Callable[..., Any], doc: str) -> Any:
    return type(name, (base,), _unary(function, doc))


NegativeOp = _class("NegativeOp", UnaryElementWiseOp, ops.negate, "The negative.")
AbsoluteOp = _class("AbsoluteOp", UnaryElementWiseOp, ops.abs, "The absolute value.")
SinOp = _class("SinOp", UnaryElementWiseOp, ops.sin, "The sine.")
CosOp = _class("CosOp", UnaryElementWiseOp, ops.cos, "The cosine.")
TanhOp = _class("TanhOp", UnaryElementWiseOp, ops.tanh, "The hyperbolic tangent.")
ExpOp = _class("ExpOp", UnaryElementWiseOp, ops.exp, "e to the power of x.")
LogOp = _class("LogOp", UnaryElementWiseOp, ops.log, "The natural logarithm.")
ReciprocalOp = _class("ReciprocalOp", UnaryElementWiseOp, ops.reciprocal, "1 / x.")
SignOp = _class("SignOp", UnaryElementWiseOp, ops.sign, "-1, 0 or 1.")
SquareOp = _class("SquareOp", UnaryElementWiseOp, ops.square, "x · x.")
SqrtOp = _class("SqrtOp", UnaryElementWiseOp, ops.sqrt, "The square root.")
SigmoidOp = _class("SigmoidOp", UnaryElementWiseOp, ops.logistic, "1 / (1 + e^-x).")
SigmoidAtomicOp = _class("SigmoidAtomicOp", SigmoidOp, ops.logistic, "1 / (1 + e^-x).")
StopGradient = _class(
    "StopGradient", UnaryElementWiseOp, ops.stop_gradient, "x, whose derivative counts as 0."
)
Add = _class("Add", CommutativeBinaryElementWiseOp, ops.add, "x + y.")
Subtract = _class("Subtract", BinaryElementWiseOp, ops.subtract, "x - y.")
Multiply = _class("Multiply", CommutativeBinaryElementWiseOp, ops.multiply, "x · y.")
Divide = _class("Divide", Fractional, ops.divide, "x / y.")
FloorDivide = _class("FloorDivide", BinaryElementWiseOp, ops.floor_divide, "⌊x / y⌋.")
Mod = _class("Mod", BinaryElementWiseOp, ops.modulo, "x - y · ⌊x / y⌋.")
Power = _class("Power", BinaryElementWiseOp, ops.power, "x to the power of y.")
Equal = _class("Equal", Comparison, ops.equal, "x = y.")
NotEqual = _class("NotEqual", Comparison, ops.not_equal, "x ≠ y.")
Greater = _class("Greater", Comparison, ops.greater, "x > y.")
GreaterEqual = _class("GreaterEqual", Comparison, ops.greater_equal, "x ≥ y.")
Less = _class("Less", Comparison, ops.less, "x < y.")
LessEqual = _class("LessEqual", Comparison, ops.less_equal, "x ≤ y.")


def _function(made: Any, name: str) -> Any:
    """The function of the user's that makes a unary op."""

    def make(x: Any) -> Any:
        return made(x)

    make.__name__, make.__doc__ = name, made.__doc__
    return make


def _function_of_two(made: Any, name: str) -> Any:
    """The function of the user's that makes a binary op; `dtype` is the result's element type."""

    def make(x: Any, y: Any, dtype: Any = None) -> Any:
        return made(x, y, dtype=dtype)

    make.__name__, make.__doc__ = name, made.__doc__
    return make


negative = _function(NegativeOp, "negative")
absolute = _function(AbsoluteOp, "absolute")
sin = _function(SinOp, "sin")
cos = _function(CosOp, "cos")
tanh = _function(TanhOp, "tanh")
exp = _function(ExpOp, "exp")
log = _function(LogOp, "log")
reciprocal = _function(ReciprocalOp, "reciprocal")
sign = _function(SignOp, "sign")
square = _function(SquareOp, "square")
sqrt = _function(SqrtOp, "sqrt")
sigmoid = _function(SigmoidOp, "sigmoid")
sigmoidAtomic = _function(SigmoidAtomicOp, "sigmoidAtomic")
stop_gradient = _function(StopGradient, "stop_gradient")
add = _function_of_two(Add, "add")
subtract = _function_of_two(Subtract, "subtract")
multiply = _function_of_two(Multiply, "multiply")
divide = _function_of_two(Divide, "divide")
floordivide = _function_of_two(FloorDivide, "floordivide")
mod = _function_of_two(Mod, "mod")
maximum = _function_of_two(Maximum, "maximum")
minimum = _function_of_two(Minimum, "minimum")
power = _function_of_two(Power, "power")
equal = _function_of_two(Equal, "equal")
not_equal = _function_of_two(NotEqual, "not_equal")
greater = _function_of_two(Greater, "greater")
less = _function_of_two(Less, "less")
greater_equal = _function_of_two(GreaterEqual, "greater_equal")
less_equal = _function_of_two(LessEqual, "less_equal")


def safelog(x: Any, limit: float = -safelog_cutoff) -> Any:
    """log(x + e^limit), at least `limit`."""
    return maximum(log(x + np.exp(limit)), limit)


def _set_item(self: Any, key: Any, value: Any) -> None:
    if key is not Ellipsis and not (isinstance(key, slice) and key == slice(None)):
        raise ValueError(f"{self.name}[{key}] cannot be set; assign to x[...], or use set_item")
    assign(self, value)


def _attach() -> None:
    """Give tensors their operators. `==` stays Python's, so that ops can be keys."""
    both = {
        "add": add,
        "sub": subtract,
        "mul": multiply,
        "truediv": divide,
        "floordiv": floordivide,
        "mod": mod,
        "pow": power,
    }
    for name, make in both.items():
        setattr(TensorOp, f"__{name}__", lambda x, y, make=make: make(x, y))
        setattr(TensorOp, f"__r{name}__", lambda x, y, make=make: make(y, x))
        if name in ("add", "sub", "mul", "truediv"):
            setattr(TensorOp, f"__i{name}__", lambda x, y, make=make: assign(x, make(x, y)))
    compared = {"lt": less, "gt": greater, "le": less_equal, "ge": greater_equal}
    for name, make in compared.items():
        setattr(TensorOp, f"__{name}__", lambda x, y, make=make: make(x, y))
    for name, make in {"neg": negative, "abs": absolute}.items():
        setattr(TensorOp, f"__{name}__", lambda x, make=make: make(x))
    TensorOp.__pos__ = lambda x: x  # type: ignore
    TensorOp.__setitem__ = _set_item  # type: ignore


_attach()
