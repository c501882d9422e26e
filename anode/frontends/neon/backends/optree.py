"""Op-trees: what be's functions and the operators of Tensors give, evaluated when assigned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anode.frontends.neon.backends.tensor import Tensor

Shape = tuple[int, ...]
REDUCTIONS = frozenset({"sum", "max", "min", "argmax", "argmin"})
_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def _binary(op: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: OpTreeNode.build(op, self, other)


def _reflected(op: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: OpTreeNode.build(op, other, self)


class Arithmetic:
    """The operators: each gives an op-tree."""

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("sub"), _reflected("sub")
    __mul__, __rmul__ = _binary("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _binary("div"), _reflected("div")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __eq__, __ne__ = _binary("eq"), _binary("ne")
    __lt__, __le__, __gt__, __ge__ = map(_binary, ("lt", "le", "gt", "ge"))

    def __abs__(self) -> OpTreeNode:
        return OpTreeNode.build("abs", self, None)

    def __neg__(self) -> OpTreeNode:
        return OpTreeNode.build("neg", self, None)

    def __hash__(self) -> int:
        return id(self)

    # NumPy's scalars and arrays shall leave the operators to us.
    __array_ufunc__ = None


class OpTreeNode(Arithmetic, tuple):
    """(what, left, right): `what` is a dict with "op" and "shape", and "axis" of reductions."""

    __hash__ = Arithmetic.__hash__

    def __new__(cls, *parts: Any) -> OpTreeNode:
        return tuple.__new__(cls, parts)

    @staticmethod
    def build(op: str, a: Any, b: Any, out: Tensor | None = None, **attrs: Any) -> Any:
        """The op-tree of an op; with `out`, or for "assign", it is evaluated into that tensor."""
        a, b = _operand(a), _operand(b)
        if a is NotImplemented or b is NotImplemented:
            return NotImplemented
        if op == "assign":
            return a.assign(b)
        shape = _shape(op, a, b, attrs)
        tree = OpTreeNode({"op": op, "shape": shape, **attrs}, a, b)
        return tree if out is None else out.assign(tree)

    @property
    def op(self) -> str:
        return self[0]["op"]

    @property
    def shape(self) -> Shape:
        return self[0]["shape"]

    @staticmethod
    def made(make: Callable[[], Any], shape: Shape, like: Tensor) -> OpTreeNode:
        """The op-tree whose node a function makes; its numbers are of the type of `like`."""
        return OpTreeNode({"op": "made", "shape": shape, "make": make}, like, None)

    def get(self) -> np.ndarray:
        """The value as an array."""
        return self.asnumpyarray()

    @property
    def T(self) -> OpTreeNode:
        """The transpose."""
        return OpTreeNode.build("transpose", self, None)

    def transpose(self, out: Tensor | None = None) -> Any:
        """The transpose, put into `out` if that is given."""
        return self.T if out is None else out.assign(self.T)

    def execute(self) -> Any:
        """Do the assignment that this op-tree is."""
        return self[1].assign(self[2])

    def traverse(self, stack: list[Any]) -> list[Any]:
        """The operands and `what`s, operands first, added to `stack`."""
        for part in self[1:]:
            if isinstance(part, OpTreeNode):
                part.traverse(stack)
            elif part is not None:
                stack.append(part)
        stack.append(self[0])
        return stack

    def key(self) -> Shape:
        """A hashable form: `traverse` with names of ops for their dicts."""
        parts = self.traverse([])
        return tuple(_named(part) if type(part) is dict else part for part in parts)

    def astensor(self) -> Tensor:
        """The value in a new tensor."""
        tensors = [part for part in self.traverse([]) if hasattr(part, "backend")]
        if not tensors:
            raise ValueError("No tensor object in op_tree")
        value: Tensor = tensors[0].backend.empty(self.shape)
        value[:] = self
        return value

    def asnumpyarray(self) -> np.ndarray:
        """The value as an array."""
        return self.astensor().get()

    def pp(self) -> str:
        """The expression as text."""
        return _text(self)

    def __str__(self) -> str:
        return f"({', '.join(_text(p) if isinstance(p, OpTreeNode) else str(p) for p in self)})"

    __repr__ = __str__

    @staticmethod
    def optree_to_list(optree: Any) -> Any:
        """The op-tree as nested lists."""
        if isinstance(optree, OpTreeNode):
            return list(map(OpTreeNode.optree_to_list, optree))
        return optree

    @staticmethod
    def list_to_optree(parts: Any) -> Any:
        """The op-tree that `optree_to_list` was given."""
        if isinstance(parts, list):
            return OpTreeNode(*map(OpTreeNode.list_to_optree, parts))
        return parts


def _operand(value: Any) -> Any:
    """A tensor, op-tree or Python number, else NotImplemented."""
    if value is None or isinstance(value, (Arithmetic, bool, int, float)):
        return value
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return value.item()
    return NotImplemented


def _shape(op: str, a: Any, b: Any, attrs: dict[str, Any]) -> Shape:
    shapes = [_shape_of(x) for x in (a, b) if x is not None]
    if op in REDUCTIONS:
        return tuple(1 if d == attrs["axis"] else n for d, n in enumerate(shapes[0]))
    if op == "dot":
        if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][0]:
            raise ValueError(f"dot of the shapes {shapes[0]} and {shapes[1]}")
        return (shapes[0][0], shapes[1][1])
    if op == "transpose":
        return shapes[0][::-1]
    if "drawn" in attrs:
        return attrs["drawn"]
    return np.broadcast_shapes((1, 1), *shapes)


def _shape_of(value: Any) -> Shape:
    return value.shape if isinstance(value, Arithmetic) else ()  # type: ignore[attr-defined]


def _named(what: dict[str, Any]) -> Any:
    return (what["op"], what["axis"]) if "axis" in what else what["op"]


def _text(part: Any) -> str:
    if not isinstance(part, OpTreeNode):
        return getattr(part, "name", None) or str(part)
    if part[2] is None:
        return f"({part.op} {_text(part[1])})"
    return f"({_text(part[1])} {_SYMBOLS.get(part.op, part.op)} {_text(part[2])})"
