"""The three ways to declare an op; type rule, gradient, reference value and text follow from one.

* `@elementwise`: one scalar line over `Scalars`; every backend runs that line.
* `@composite`: a body in other ops; value, gradient and lowering follow from it.
* `@primitive`: the body is the type rule; `.evaluate` adds the NumPy reference, `.vjp` the gradient.

The decorated function becomes an `Op`; calling it builds a node. Operands are nodes, Python numbers
or small NumPy arrays; Python numbers take the type of the other operands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dtypes import DType, bf16, bf16_to_f32, bool_, dtype_of, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node, constant, make, registry
from anode.ir.op import Op
from anode.ir.types import Shape, TensorType, TupleType, Type
from anode.ops.numpy_scalars import NUMPY
from anode.ops.scalars import Scalars

Vjp = Callable[..., "tuple[Node | None, ...]"]
Evaluate = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])


class DeclaredOp(Op):
    """An op made from a Python function whose keyword-only parameters are its attributes.

    `vjp(ct, y, *xs, **attrs)` gives the cotangent of each operand, None where there is none; for
    several results `ct` and `y` are tuples (an unused result's `ct` is None). An op without a vjp,
    and not `differentiable=False`, cannot be differentiated through.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(name or function.__name__.rstrip("_"))
        self.function = function
        self.__doc__ = function.__doc__
        parameters = inspect.signature(function).parameters.values()
        self.attributes = {
            p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        self.operands = tuple(
            p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY
        )
        self.variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
        self.gradient: Vjp | None = None
        self.differentiable = True
        self.canonicalize: Callable[..., Mapping[str, Any]] | None = None

    def vjp(self, rule: F) -> F:
        """Decorator: declare the gradient."""
        self.gradient = rule
        return rule

    def canonical(self, rule: F) -> F:
        """Decorator: declare how user attributes become canonical ones; called with the types."""
        self.canonicalize = rule
        return rule

    def evaluate_op(self, values: tuple[Any, ...], attrs: Mapping[str, Any], type: Type) -> Any:
        """The NumPy reference: arrays in, an array (or a tuple of arrays) out."""
        raise NotImplementedError

    def __call__(self, *args: Any, **attrs: Any) -> Node:
        nodes = self.operand_nodes(args)
        return make(self, nodes, self.canonical_attrs(nodes, attrs))

    def operand_nodes(self, args: tuple[Any, ...]) -> tuple[Node, ...]:
        if not self.variadic and len(args) != len(self.operands):
            raise ShapeError(
                f"{self.name} takes {', '.join(self.operands)}; got {len(args)} operands"
            )
        return as_nodes(*args)

    def canonical_attrs(self, nodes: tuple[Node, ...], attrs: dict[str, Any]) -> Mapping[str, Any]:
        if not self.attributes and not attrs:
            return {}
        full: dict[str, Any] = {}
        for name, default in self.attributes.items():
            value = attrs.pop(name, default)
            if value is inspect.Parameter.empty:
                raise ShapeError(f"{self.name} needs the attribute {name}")
            full[name] = plain(value)
        if attrs:
            raise UnsupportedOp(
                f"{self.name} has no attribute {', '.join(attrs)}; it has {', '.join(full) or 'none'}"
            )
        if self.canonicalize:
            full.update(self.canonicalize(*[node.type for node in nodes], **full))
        return full


class Primitive(DeclaredOp):
    """An op with a type rule, a NumPy reference and, where it has one, a gradient."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(function, name)
        self.reference: Evaluate | None = None

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        type: Type = self.function(*types, **attrs)
        return type

    def evaluate(self, rule: F) -> F:
        """Decorator: declare the reference, called with arrays and the attributes."""
        self.reference = rule
        return rule

    def evaluate_op(self, values: tuple[Any, ...], attrs: Mapping[str, Any], type: Type) -> Any:
        if self.reference is None:
            raise UnsupportedOp(f"{self.name} has no reference implementation")
        return self.reference(*values, **attrs)


class Elementwise(DeclaredOp):
    """An op applied to each element: one line over `Scalars`.

    `accepts` names the element types it takes: "float", "integer", "number", "bool", "bits" (integers
    and bool) or "any". `result` gives the result's element type from the operands' and the
    attributes; by default it is the last operand's. With `predicate` the first operand is a bool.
    """

    def __init__(
        self,
        line: Callable[..., Any],
        name: str | None,
        accepts: str,
        result: Callable[..., DType] | None,
        predicate: bool,
    ) -> None:
        super().__init__(line, name)
        self.line, self.accepts, self.result = line, accepts, result
        self.predicate = predicate
        self.operands = self.operands[1:]  # the first parameter is the Scalars

    def operand_nodes(self, args: tuple[Any, ...]) -> tuple[Node, ...]:
        return broadcast_together(self.name, super().operand_nodes(args))

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        last = types[-1]
        if not isinstance(last, TensorType):
            raise ShapeError(f"{self.name} takes tensors, not {last}")
        for type in types:
            if type is not last and (not isinstance(type, TensorType) or type.shape != last.shape):
                raise ShapeError(f"{self.name}: operands of unequal shapes, {_list(types)}")
        dtypes: list[DType] = [t.dtype for t in types]  # type: ignore[union-attr]
        self._check_dtypes(dtypes[1:] if self.predicate else dtypes)
        if self.predicate and dtypes[0] is not bool_:
            raise ShapeError(f"{self.name}: the predicate must be bool, not {dtypes[0]}")
        return TensorType(self.result(*dtypes, **attrs) if self.result else last.dtype, last.shape)

    def _check_dtypes(self, dtypes: list[DType]) -> None:
        for dtype in dtypes:
            if dtype is not dtypes[0]:
                raise ShapeError(
                    f"{self.name}: operands of unequal types, {_list(dtypes)}; convert one of them"
                )
        if not _ACCEPTS[self.accepts](dtypes[0]):
            raise ShapeError(f"{self.name} takes {self.accepts} types, not {dtypes[0]}")

    def apply(self, scalars: Scalars, values: tuple[Any, ...], attrs: Mapping[str, Any]) -> Any:
        """Run the line on values of a compute type (see `DType.compute`)."""
        return self.line(scalars, *values, **attrs)

    def evaluate_op(self, values: tuple[Any, ...], attrs: Mapping[str, Any], type: Type) -> Any:
        assert isinstance(type, TensorType)
        value = self.apply(NUMPY, tuple(widen(np.asarray(v)) for v in values), attrs)
        return narrow(value, type.dtype)


class Composite(DeclaredOp):
    """An op whose body is written in other ops; it stays whole until a backend declines it."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(function, name)
        self._bodies: dict[Any, Graph] = {}

    def body(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Graph:
        """The closed graph of the body for operands of these types."""
        key = (types, tuple(attrs.items()), tuple(map(type, attrs.values())))
        found = self._bodies.get(key)
        if found is None:
            found = trace(lambda *xs: self.function(*xs, **attrs), *types)
            self._bodies[key] = found
        return found

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        outputs = self.body(types, attrs).outputs
        return outputs[0].type if len(outputs) == 1 else TupleType(tuple(o.type for o in outputs))

    def expand(self, node: Node) -> tuple[Node, ...]:
        """The results of `node` as the body's nodes over its operands."""
        return self.body(tuple(a.type for a in node.args), node.attrs).inline(*node.args)


def primitive(function: Callable[..., Any]) -> Primitive:
    return Primitive(function)


def composite(function: Callable[..., Any]) -> Composite:
    return Composite(function)


def elementwise(
    accepts: str = "any",
    *,
    result: Callable[..., DType] | None = None,
    name: str | None = None,
    predicate: bool = False,
    grad: Callable[..., tuple[Any, ...]] | None = None,
    differentiable: bool = True,
) -> Callable[[Callable[..., Any]], Elementwise]:
    """Declare an elementwise op. `grad(ct, y, *xs, **attrs)` gives the operands' cotangents."""

    def declare(line: Callable[..., Any]) -> Elementwise:
        op = Elementwise(line, name, accepts, result, predicate)
        op.gradient, op.differentiable = grad, differentiable
        return op

    return declare


_ACCEPTS: dict[str, Callable[[DType], bool]] = {
    "float": lambda d: d.is_float,
    "integer": lambda d: d.is_integer,
    "number": lambda d: d is not bool_,
    "bool": lambda d: d is bool_,
    "bits": lambda d: not d.is_float,
    "any": lambda d: True,
}


def as_nodes(*args: Any) -> tuple[Node, ...]:
    """Operands as nodes; Python numbers take the element type of the first node among `args`."""
    dtype = next(
        (a.dtype for a in args if isinstance(a, Node) and isinstance(a.type, TensorType)), None
    )
    return tuple([a if isinstance(a, Node) else _literal(a, dtype, args) for a in args])


def _literal(value: Any, dtype: DType | None, args: tuple[Any, ...]) -> Node:
    if isinstance(value, (bool, int, float)):
        if dtype is bool_ and not isinstance(value, bool):
            others = [a for a in args if isinstance(a, Node) and a.dtype is not bool_]
            return constant(value, others[0].dtype if others else None)
        if dtype is not None and isinstance(value, float) and not dtype.is_float:
            raise ShapeError(
                f"the number {value} next to a value of type {dtype}; convert it first"
            )
        return constant(value, dtype)
    return constant(value)


def broadcast_together(name: str, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes broadcast to their common shape, by NumPy's rule."""
    shapes = [node.shape for node in nodes]
    if all(shape == shapes[0] for shape in shapes):
        return nodes
    rank = max(map(len, shapes))
    common = []
    for axis in range(-rank, 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis]
        wide = [size for size in sizes if size != 1]
        if any(size != wide[0] for size in wide):
            raise ShapeError(f"{name}: shapes do not broadcast, {_list([n.type for n in nodes])}")
        common.append(wide[0] if wide else 1)
    return tuple([_broadcast(node, tuple(common)) for node in nodes])


def _broadcast(node: Node, shape: Shape) -> Node:
    if node.shape == shape:
        return node
    axes = tuple(range(len(shape) - len(node.shape), len(shape)))
    return registry["broadcast_in_dim"](node, shape=shape, axes=axes)


def widen(array: np.ndarray) -> np.ndarray:
    """Stored elements in the type arithmetic is done in."""
    if array.dtype == bf16.numpy:
        return np.asarray(bf16_to_f32(array))
    return array.astype(np.float32) if array.dtype == np.float16 else array


def narrow(array: Any, dtype: DType) -> np.ndarray:
    """Round computed elements to the stored type."""
    if dtype is bf16:
        return f32_to_bf16(np.asarray(array, np.float32))
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(dtype.numpy, copy=False)


def plain(value: Any) -> Any:
    """An attribute as a hashable plain value: lists become tuples, NumPy integers ints."""
    if isinstance(value, (list, tuple)):
        return tuple([plain(item) for item in value])
    if isinstance(value, np.generic):
        return value.item()
    return dtype_of(value) if isinstance(value, (np.dtype, type)) else value


def _list(types: Any) -> str:
    return ", ".join(map(str, types))
