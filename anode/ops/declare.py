"""The three ways to declare an op; type rule, gradient, reference value and text follow from one.

* `@elementwise`: one scalar line over `Scalars`; every backend runs that line.
* `@composite`: a body in other ops; value, gradient and lowering follow from it.
* `@primitive`: the body is the type rule; `.evaluate` adds the reference, `.vjp` the gradient.

The decorated function becomes an `Op`; calling it builds a node. Operands are nodes, Python numbers
or small NumPy arrays; Python numbers take the type of the other operands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dims import Dim
from anode.ir.dtypes import DTYPES, DType, bf16, bf16_to_f32, bool_, dtype_of, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Key, Node, attributes_key, constant, intern, make, registry
from anode.ir.op import Op
from anode.ir.types import Shape, Size, TensorType, TupleType, Type
from anode.ops.numpy_scalars import NUMPY
from anode.ops.scalars import Scalars

MOST_CALLS = 1024  # of one op that are remembered

Vjp = Callable[..., "tuple[Node | None, ...]"]
Evaluate = Callable[..., Any]
Call = tuple[Mapping[str, Any], Key, Type]  # canonical attributes, their key, result's type
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
        self.calls: dict[Key, Call] = {}  # seen lately, by types and attributes as given

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
        if not self.attributes and not attrs:
            return make(self, nodes)
        types = tuple([node.type for node in nodes])
        try:
            given = (types, *attributes_key(attrs))
            call = self.calls.get(given)
        except TypeError:  # a list among the attributes
            return make(self, nodes, self.complete(types, attrs))
        if call is None:
            full = self.complete(types, attrs)
            call = MappingProxyType(full), attributes_key(full), self.infer(types, full)
            if len(self.calls) >= MOST_CALLS:
                self.calls.clear()
            self.calls[given] = call
        return intern(self, nodes, *call)

    def operand_nodes(self, args: tuple[Any, ...]) -> tuple[Node, ...]:
        if len(args) != len(self.operands):
            self.check_count(len(args))
        return as_nodes(args)

    def complete(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> dict[str, Any]:
        full = super().complete(types, attrs)
        for name, value in attrs.items():
            if type(value) not in _PLAIN:
                full[name] = plain(value)
        if self.canonicalize is not None:
            full.update(self.canonicalize(*types, **full))
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

    `accepts` names the element types it takes: "float", "integer", "number", "bool", "bits"
    (integers and bool) or "any". `result` gives the result's element type from the operands' and
    the attributes; by default it is the last operand's. With `predicate` the first operand is a
    bool.
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
        self.accepted = frozenset(filter(_ACCEPTS[accepts], DTYPES.values()))
        self.operands = self.operands[1:]  # the first parameter is the Scalars

    def operand_nodes(self, args: tuple[Any, ...]) -> tuple[Node, ...]:
        nodes = super().operand_nodes(args)
        return nodes if len(nodes) == 1 else broadcast_together(self.name, nodes)

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
        if self.result is None and last.layout is None:
            return last
        return TensorType(self.result(*dtypes, **attrs) if self.result else last.dtype, last.shape)

    def _check_dtypes(self, dtypes: list[DType]) -> None:
        if dtypes.count(dtypes[0]) != len(dtypes):
            raise ShapeError(
                f"{self.name}: operands of unequal types, {_list(dtypes)}; convert one of them"
            )
        if dtypes[0] not in self.accepted:
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
        key = (types, *attributes_key(attrs))
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
        body = self.body(tuple([arg.type for arg in node.args]), node.attrs)
        return body.inline(*node.args, origin=node.origin)


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


_NODE = frozenset([Node])
_PLAIN = {bool, int, float, str, DType, Dim, type(None)}
_ACCEPTS: dict[str, Callable[[DType], bool]] = {
    "float": lambda d: d.is_float,
    "integer": lambda d: d.is_integer,
    "number": lambda d: d is not bool_,
    "bool": lambda d: d is bool_,
    "bits": lambda d: not d.is_float,
    "any": lambda d: True,
}


def as_nodes(args: tuple[Any, ...]) -> tuple[Node, ...]:
    """Operands as nodes; Python numbers take the element type of the first node among `args`."""
    if _NODE.issuperset(map(type, args)):
        return args
    dtype = None
    for arg in args:
        if isinstance(arg, Node) and isinstance(arg.type, TensorType):
            dtype = arg.type.dtype
            break
    return tuple([a if isinstance(a, Node) else _literal(a, dtype, args) for a in args])


def _literal(value: Any, dtype: DType | None, args: tuple[Any, ...]) -> Node:
    if isinstance(value, (np.ndarray, np.generic)):
        return constant(value)
    if dtype is bool_ and not isinstance(value, bool):
        others = [a for a in args if isinstance(a, Node) and a.dtype is not bool_]
        return constant(value, others[0].dtype if others else None)
    if dtype is not None and not dtype.is_float and np.asarray(value).dtype.kind == "f":
        raise ShapeError(f"the number {value} next to a value of type {dtype}; convert it first")
    return constant(value, dtype)


def broadcast_together(name: str, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes broadcast to their common shape, by NumPy's rule."""
    shapes = {node.tensor.shape for node in nodes}
    if len(shapes) == 1:
        return nodes
    shapes.discard(())  # a scalar takes any shape
    common = shapes.pop() if len(shapes) == 1 else _common_shape(name, nodes, shapes)
    return tuple([n if n.shape == common else _broadcast(n, common) for n in nodes])


def _common_shape(name: str, nodes: tuple[Node, ...], shapes: set[Shape]) -> Shape:
    longest = max(shapes, key=len)
    if all(longest[-len(shape) :] == shape for shape in shapes):
        return longest
    common: list[Size] = []
    for axis in range(-len(longest), 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis]
        wide = [size for size in sizes if size != 1]
        if any(size != wide[0] for size in wide):
            raise ShapeError(f"{name}: shapes do not broadcast, {_list([n.type for n in nodes])}")
        common.append(wide[0] if wide else 1)
    return tuple(common)


def _broadcast(node: Node, shape: Shape) -> Node:
    axes = tuple(range(len(shape) - len(node.shape), len(shape)))
    return make(registry["broadcast_in_dim"], (node,), {"shape": shape, "axes": axes})


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
    """An attribute as a hashable plain value: lists and ranges become tuples, NumPy ints ints."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, (tuple, list, range)):
        for item in value:
            if type(item) not in _PLAIN:
                return tuple([plain(item) for item in value])
        return tuple(value)
    if isinstance(value, np.generic):
        return value.item()
    return dtype_of(value) if isinstance(value, (np.dtype, type)) else value


def _list(types: Any) -> str:
    return ", ".join(map(str, types))
