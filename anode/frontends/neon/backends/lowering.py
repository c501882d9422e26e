"""Op-trees to nodes: each op in a line of anode's ops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.neon.backends.optree import OpTreeNode
from anode.frontends.neon.tracing import host_input, recording
from anode.ir.dtypes import DType, bool_, dtype_of, f32, f64, i32, i64
from anode.ir.node import Node, constant

Shape = tuple[int, ...]
LOG_2 = math.log(2.0)
SMALLEST = math.exp(-50.0)  # what safelog takes the logarithm of at least

UNARY: dict[str, Callable[[Node], Node]] = {
    "neg": ops.negate,
    "abs": ops.abs,
    "sgn": ops.sign,
    "sqr": ops.square,
}
FLOATING: dict[str, Callable[[Node], Node]] = {  # of whole numbers give others
    "sqrt": ops.sqrt,
    "exp": ops.exp,
    "log": ops.log,
    "exp2": ops.exp2,
    "log2": ops.log2,
    "safelog": lambda x: ops.log(ops.maximum(x, SMALLEST)),
    "sig": ops.logistic,
    "sig2": lambda x: ops.logistic(x * LOG_2),
    "tanh": ops.tanh,
    "tanh2": lambda x: ops.tanh(x * LOG_2),
    "rint": ops.round,
    "finite": ops.is_finite,
    "binarize": lambda x: ops.select(ops.greater_equal(x, 0), ops.ones_like(x), -1.0),
}
BINARY: dict[str, Callable[[Node, Node], Node]] = {
    "add": ops.add,
    "sub": ops.subtract,
    "mul": ops.multiply,
    "div": ops.divide,
    "pow": ops.power,
    "eq": ops.equal,
    "ne": ops.not_equal,
    "lt": ops.less,
    "le": ops.less_equal,
    "gt": ops.greater,
    "ge": ops.greater_equal,
    "minimum": ops.minimum,
    "maximum": ops.maximum,
}
REDUCTIONS: dict[str, Callable[..., Node]] = {"sum": ops.sum, "max": ops.max, "min": ops.min}


def lowered(value: Any, shape: Shape | None = None) -> Node:
    """The node of a tensor, op-tree, number or array, while tracing; `shape` is of its place."""
    if isinstance(value, OpTreeNode):
        return _Lowering(value, shape).result
    return _leaf(value, f32)


class _Lowering:
    """The nodes of one op-tree; a part that occurs twice is lowered once."""

    def __init__(self, tree: OpTreeNode, shape: Shape | None) -> None:
        self._done: dict[int, Node] = {}
        self._shape = shape
        self._float = _float_of(tree)
        self.result = self._of(tree)

    def _of(self, value: Any) -> Node:
        if not isinstance(value, OpTreeNode):
            return _leaf(value, self._float)
        found = self._done.get(id(value))
        if found is None:
            found = self._done[id(value)] = self._op(value)
        return found

    def _op(self, tree: OpTreeNode) -> Node:
        op, what = tree.op, tree[0]
        if op == "made":  # by a function, such as a gradient
            return what["make"]()
        if op == "onehot":
            return self._one_hot(what)
        if op == "rand":
            rng, shape = what["rng"], what.get("drawn") or self._shape or what["shape"]
            return host_input(lambda: rng(shape), shape, self._float.numpy)
        left = self._of(tree[1])
        if op == "transpose":
            return ops.transpose(left, permutation=tuple(reversed(range(len(left.shape)))))
        if op in UNARY:
            return UNARY[op](self._number(left))
        if op in FLOATING:
            return FLOATING[op](self._fraction(left))
        if op in REDUCTIONS:
            return REDUCTIONS[op](self._summand(op, left), what["axis"], keepdims=True)
        if op in ("argmax", "argmin"):
            places = getattr(ops, op)(self._number(left), axis=what["axis"])
            return ops.expand_dims(places, what["axis"])
        return self._binary(op, left, self._of(tree[2]), what)

    def _binary(self, op: str, left: Node, right: Node, what: dict[str, Any]) -> Node:
        left, right = self._same(left, right)
        if op == "div":
            left, right = self._fraction(left), self._fraction(right)
        if op == "dot":
            return ops.matmul(left, right)
        if op == "shift":
            return shift(left, right, what.get("value", True))
        if op not in BINARY:
            raise UnsupportedOp(f"{op} is not a valid operation of op-trees")
        return BINARY[op](left, right)

    def _one_hot(self, what: dict[str, Any]) -> Node:
        indices = _leaf(what["idx"], f32)
        depth = (self._shape or what["shape"])[what["axis"]]
        flat = ops.reshape(indices, shape=(math.prod(indices.tensor.static),))
        return ops.one_hot(flat, depth=depth, dtype=self._float, axis=what["axis"] - 2)

    def _number(self, x: Node) -> Node:
        return ops.convert(x, dtype=self._float) if x.dtype is bool_ else x

    def _fraction(self, x: Node) -> Node:
        return x if x.dtype.is_float else ops.convert(x, dtype=self._float)

    def _summand(self, op: str, x: Node) -> Node:
        """Sums of whole numbers do not wrap round where the numbers' type ends, as in NumPy."""
        x = self._number(x)
        return x if op != "sum" or x.dtype.is_float else ops.convert(x, dtype=i64)

    def _same(self, *xs: Node) -> tuple[Node, ...]:
        """The operands in one type: a float's where one is."""
        kinds = {x.dtype for x in xs} - {bool_}
        if len(kinds) == 1 and all(x.dtype is not bool_ for x in xs):
            return xs
        floats = [kind for kind in kinds if kind.is_float]
        whole = dtype_of(np.result_type(*(k.numpy for k in kinds))) if kinds else self._float
        wide = max(floats, key=lambda kind: kind.bits) if floats else whole
        return tuple(x if x.dtype is wide else ops.convert(x, dtype=wide) for x in xs)


def _leaf(value: Any, dtype: DType) -> Node:
    if hasattr(value, "views"):
        return value.node()
    if isinstance(value, Node):
        return value
    active = recording()
    if isinstance(value, np.ndarray):
        return active.given(value)
    if isinstance(value, float) and active.lifts:
        return active.host(lambda: value, ops.zeros((), dtype).tensor)
    return constant(float(value), dtype)


def _float_of(tree: OpTreeNode) -> DType:
    """The float type of the tree's numbers: that of its tensors."""
    tensors = [part for part in tree.traverse([]) if hasattr(part, "views")]
    found = [t.cell.type.dtype for t in tensors if t.cell.type.dtype.is_float]
    if found:
        return max(found, key=lambda dtype: dtype.bits)
    return dtype_of(np.dtype(tensors[0].backend.default_dtype)) if tensors else f32


def fitted(value: Node, shape: Sequence[int], dtype: DType) -> Node:
    """A node broadcast to a shape and converted to a type, as assignment in NumPy does."""
    shape = tuple(shape)
    if len(value.shape) > len(shape) and value.tensor.size == math.prod(shape):
        value = ops.reshape(value, shape=shape)
    if value.shape != shape:
        value = ops.broadcast_to(value, shape=shape)
    return value if value.dtype is dtype else ops.convert(value, dtype=dtype)


def shift(x: Node, by: Node, value: bool = True) -> Node:
    """x times the power of two nearest to `by`, with its sign; or times 2 to the power `by`."""
    if not value:
        return x * ops.exp2(by)
    size = ops.round(ops.log(ops.maximum(ops.abs(by), SMALLEST)) / LOG_2)
    return x * (ops.sign(by) * power_of_two(size))


def power_of_two(exponent: Node) -> Node:
    """2 to the power of integers, exactly: the number whose bits hold the exponent."""
    dtype = exponent.dtype
    if dtype not in (f32, f64):
        return ops.convert(power_of_two(ops.convert(exponent, dtype=f32)), dtype=dtype)
    bits, kind, bias = (23, i32, 127) if dtype is f32 else (52, i64, 1023)
    held = ops.convert(ops.clamp(float(1 - bias), exponent, float(bias)), dtype=kind)
    return ops.bitcast(ops.shift_left(held + bias, bits), dtype=dtype)
