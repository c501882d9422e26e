"""Nodes: immutable, interned values of a graph. Equal nodes are one object, so `==` is identity."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from anode.errors import GraphError, ShapeError
from anode.ir.dims import Dim
from anode.ir.dtypes import DTYPES, DType, bf16, bool_, dtype_of, f32, f32_to_bf16, i32
from anode.ir.op import REQUIRED, Op, registry
from anode.ir.types import Shape, TensorType, TupleType, Type
from anode.ir.variable import Variable

Key = tuple[Any, ...]
_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_SCRIPTS = tuple(_PACKAGE + name + os.sep for name in ("commands", "models"))  # use it as these do
_NO_ATTRS: Mapping[str, Any] = MappingProxyType({})
_interned: dict[Key, _Interned] = {}
_serials = count()
_line: ContextVar[Origin | None] = ContextVar("line", default=None)
_SCALARS = {dtype: TensorType(dtype, ()) for dtype in DTYPES.values()}
_OWN_KEY = frozenset([int, str, bytes, type(None), Dim, DType, TensorType])  # never equal
_PACK = {dtype: Struct(dtype.numpy.char).pack for dtype in DTYPES.values() if dtype is not bf16}
_DEFAULTS = {bool: bool_, int: i32, float: f32}

LARGEST_CONSTANT = 1 << 16  # bytes; anything larger is a weight and belongs in a Variable


class Origin(tuple[str, int]):
    """The user's file and line that made a node."""

    def __repr__(self) -> str:
        return f"{self[0]}:{self[1]}"


class Node:
    """One value: an op applied to nodes. Build nodes by calling ops, never directly.

    `serial` grows with creation; it tells which nodes existed before a nested function was traced.
    `origin` is the line that made the node first; it is not part of identity.
    """

    __slots__ = ("__weakref__", "args", "attrs", "op", "origin", "serial", "type")

    op: Op
    args: tuple[Node, ...]
    attrs: Mapping[str, Any]
    type: Type
    origin: Origin | None
    serial: int

    @property
    def shape(self) -> Shape:
        return self.tensor.shape

    @property
    def dtype(self) -> DType:
        return self.tensor.dtype

    @property
    def tensor(self) -> TensorType:
        """The type, which must be a tensor's."""
        if isinstance(self.type, TensorType):
            return self.type
        raise ShapeError(f"{self.op.name} gives {self.type}, not one tensor; take an item of it")

    def item(self, index: int) -> Node:
        """Result `index` of a node with several results."""
        return make(ITEM, (self,), {"index": index}, self.origin)

    @property
    def items(self) -> tuple[Node, ...]:
        """All the results: of a tuple each one, otherwise the node itself."""
        if isinstance(self.type, TupleType):
            return tuple(self.item(i) for i in range(len(self.type)))
        return (self,)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.type}>"

    # Operators call the op registered under the name, so that ir need not know the ops.
    def __add__(self, other: Any) -> Node:
        return registry["add"](self, other)

    def __radd__(self, other: Any) -> Node:
        return registry["add"](other, self)

    def __sub__(self, other: Any) -> Node:
        return registry["subtract"](self, other)

    def __rsub__(self, other: Any) -> Node:
        return registry["subtract"](other, self)

    def __mul__(self, other: Any) -> Node:
        return registry["multiply"](self, other)

    def __rmul__(self, other: Any) -> Node:
        return registry["multiply"](other, self)

    def __truediv__(self, other: Any) -> Node:
        return registry["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return registry["divide"](other, self)

    def __pow__(self, other: Any) -> Node:
        return registry["power"](self, other)

    def __neg__(self) -> Node:
        return registry["negate"](self)

    def __abs__(self) -> Node:
        return registry["abs"](self)

    def __lt__(self, other: Any) -> Node:
        return registry["less"](self, other)

    def __le__(self, other: Any) -> Node:
        return registry["less_equal"](self, other)

    def __gt__(self, other: Any) -> Node:
        return registry["greater"](self, other)

    def __ge__(self, other: Any) -> Node:
        return registry["greater_equal"](self, other)

    def __and__(self, other: Any) -> Node:
        return registry["and"](self, other)

    def __or__(self, other: Any) -> Node:
        return registry["or"](self, other)

    def __xor__(self, other: Any) -> Node:
        return registry["xor"](self, other)

    def __invert__(self) -> Node:
        return registry["not"](self)

    def __matmul__(self, other: Any) -> Node:
        return registry["matmul"](self, other)

    def __bool__(self) -> bool:
        raise GraphError(
            f"a {self.type} of a graph has no truth value while the graph is built; "
            "use cond, where or while_"
        )

    if TYPE_CHECKING:  # attached by anode.ops, which knows slicing

        def __getitem__(self, key: Any) -> Node: ...


def make(
    op: Op,
    args: tuple[Node, ...],
    attrs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> Node:
    """The node of `op` on `args`: the one that exists already, or a new one, its type inferred."""
    if not attrs:
        return intern(op, args, _NO_ATTRS, (), None, origin)
    return intern(op, args, MappingProxyType(dict(attrs)), attributes_key(attrs), None, origin)


def intern(
    op: Op,
    args: tuple[Node, ...],
    attrs: Mapping[str, Any],
    attrs_key: Key,
    type: Type | None = None,
    origin: Origin | None = None,
) -> Node:
    """The same for read-only attributes whose key is known, and perhaps the result's type."""
    key = (op, args, *attrs_key)
    try:
        found = _interned.get(key)
    except TypeError:
        raise GraphError(f"{op.name}: attributes must be hashable, got {attrs}") from None
    if found is not None and (node := found()) is not None:
        return node
    node = object.__new__(Node)
    node.op, node.args, node.attrs = op, args, attrs
    node.origin = origin or _line.get() or user_line()
    node.type = op.infer(tuple([arg.type for arg in args]), attrs) if type is None else type
    node.serial = next(_serials)
    _interned[key] = reference = _Interned(node, _forget)
    reference.key = key
    return node


class _Interned(ref[Node]):
    """A node in the intern table, which forgets it when nothing else holds it."""

    __slots__ = ("key",)
    key: Key


def _forget(reference: _Interned) -> None:
    if _interned.get(reference.key) is reference:
        del _interned[reference.key]


def attributes_key(attrs: Mapping[str, Any]) -> Key:
    """Attributes as part of a key."""
    return (*attrs, *[_key(value) for value in attrs.values()])


def _key(value: Any) -> Any:
    """An attribute as part of a key, where 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    kind = type(value)
    if kind is tuple:
        for item in value:
            if type(item) not in _OWN_KEY:
                return tuple([_key(item) for item in value])
        return value
    if kind in _OWN_KEY:
        return value
    return kind, value.hex() if kind is float else value


def user_line() -> Origin | None:
    """The innermost line on the stack that is not anode's own."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if _is_users(name):
            return Origin((name, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    return None


@functools.cache
def _is_users(file: str) -> bool:
    """Whether a file is neither ours nor one that runs our properties when they are asked for."""
    own = file.startswith(_PACKAGE) and not file.startswith(_SCRIPTS)
    return not own and not file.startswith("<") and file != functools.__file__


@contextmanager
def at(origin: Origin | None) -> Iterator[None]:
    """Nodes made inside take `origin`: a transform's take the line of what they come from."""
    token = _line.set(origin)
    try:
        yield
    finally:
        _line.reset(token)


class _Leaf(Op):
    """A node without operands, whose type is an attribute."""

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        declared: Type = attrs["type"]
        return declared


class _Read(Op):
    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        declared: TensorType = attrs["variable"].type
        return declared


class _Item(Op):
    operands = ("x",)
    attributes = MappingProxyType({"index": REQUIRED})

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        (operand,), index = types, attrs["index"]
        if not isinstance(operand, TupleType) or not 0 <= index < len(operand):
            raise GraphError(f"item {index} of a value of type {operand}")
        return operand.elements[index]


INPUT = _Leaf("input")
CONSTANT = _Leaf("constant")
READ = _Read("read")
ITEM = _Item("item")


def input_node(index: int, type: Type, trace: object = None) -> Node:
    """Input `index` of a graph. While a function is traced, `trace` makes its inputs unique."""
    attrs = {"index": index, "type": type}
    return make(INPUT, (), attrs if trace is None else {**attrs, "trace": trace})


def read(variable: Variable) -> Node:
    """The value of `variable` when the graph starts."""
    return make(READ, (), {"variable": variable})


def constant(value: Any, dtype: object = None) -> Node:
    """A small literal as a node; `dtype` defaults to f32 for floats, i32 for ints, bool for bools.

    NumPy arrays and scalars keep their type. A Python number that the type cannot hold (1.5 as i32,
    300 as u8) raises ShapeError; more than 64 KiB raises GraphError: use a Variable.
    """
    default = _DEFAULTS.get(type(value))
    if default is not None:
        target = default if dtype is None else dtype_of(dtype)
        return make(CONSTANT, (), {"type": _SCALARS[target], "data": _scalar_data(value, target)})
    array = np.asarray(value)
    if dtype is None and not isinstance(value, (np.ndarray, np.generic)):
        dtype = {"f": f32, "i": i32}.get(array.dtype.kind)
    target = dtype_of(array.dtype if dtype is None else dtype)
    if array.size * target.size > LARGEST_CONSTANT:
        raise GraphError(
            f"a constant of {array.size * target.size} bytes; keep arrays this large in a Variable"
        )
    data = _rounded(array, target).tobytes()
    return make(CONSTANT, (), {"type": TensorType(target, array.shape), "data": data})


def _scalar_data(value: bool | int | float, target: DType) -> bytes:
    if target.is_float:
        if target is bf16 or not -6e4 < value < 6e4:  # beyond it f16 overflows, and NumPy warns
            return _rounded(np.asarray(value, np.float64), target).tobytes()
    elif not target.least <= value <= target.most or value != int(value):
        raise ShapeError(f"the number {value} is no {target}")
    return _PACK[target](value if target.is_float else int(value))


def _rounded(array: np.ndarray, target: DType) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        if target is bf16 and array.dtype != bf16.numpy:
            return f32_to_bf16(array.astype(np.float32))
        return array.astype(target.numpy, copy=False)


def constant_value(node: Node) -> np.ndarray | None:
    """The array of a constant node, read-only; None for any other node."""
    if node.op is not CONSTANT:
        return None
    type = node.tensor
    return np.frombuffer(node.attrs["data"], type.dtype.numpy).reshape(type.static)


def topological(roots: Iterable[Node]) -> list[Node]:
    """Every node the roots depend on, operands before users, in an order fixed by the roots."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in done)
    return order


def substitute(
    roots: Iterable[Node], replacement: Mapping[Node, Node], origin: Origin | None = None
) -> dict[Node, Node]:
    """Rebuild what `roots` depend on with some nodes replaced; gives old node -> new node.

    New nodes keep the lines of the old ones, or take `origin` where it is given.
    """
    new = dict(replacement)
    stack = [root for root in roots if root not in new]
    while stack:
        node = stack[-1]
        if node in new:
            stack.pop()
            continue
        waiting = [arg for arg in node.args if arg not in new]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        args = tuple([new[arg] for arg in node.args])
        same = args == node.args
        new[node] = node if same else make(node.op, args, node.attrs, origin or node.origin)
    return new


def remake(node: Node, args: tuple[Node, ...], attrs: Mapping[str, Any] | None = None) -> Node:
    """`node` on other operands (and attributes), keeping the line that made it."""
    return make(node.op, args, node.attrs if attrs is None else attrs, node.origin)
