"""be's functions of Tensors: each gives an op-tree, or with `out` evaluates into that tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.neon.backends.optree import Arithmetic, OpTreeNode
from anode.frontends.neon.backends.tensor import Tensor

Value = Any  # a Tensor, an op-tree or a number


def _unary(op: str) -> Callable[..., Any]:
    def function(self: Any, a: Value, out: Tensor | None = None) -> Any:
        return OpTreeNode.build(op, a, None, out=out)

    function.__doc__ = f"The op-tree of {op} of each element."
    return function


def _binary(op: str) -> Callable[..., Any]:
    def function(self: Any, a: Value, b: Value, out: Tensor | None = None) -> Any:
        return OpTreeNode.build(op, a, b, out=out)

    function.__doc__ = f"The op-tree of {op} of both, element by element."
    return function


def _reduction(op: str) -> Callable[..., Any]:
    def function(
        self: Any,
        a: Value,
        axis: int | None = None,
        out: Tensor | None = None,
        keepdims: bool = True,
    ) -> Any:
        if axis is None:
            a, axis = OpTreeNode.build(op, a, None, axis=0), 1
        return OpTreeNode.build(op, a, None, axis=axis, out=out)

    function.__doc__ = f"The {op} along an axis, or of all; the axis stays, of size 1."
    return function


def _place(op: str) -> Callable[..., Any]:
    def function(
        self: Any, a: Value, axis: int = 1, out: Tensor | None = None, keepdims: bool = True
    ) -> Any:
        return OpTreeNode.build(op, a, None, axis=axis, out=out)

    function.__doc__ = f"The {op} along an axis, which stays, of size 1; the lowest of ties."
    return function


class Operations:
    """The functions that give op-trees; sizes broadcast as in NumPy."""

    rng: np.random.RandomState
    array: Callable[..., Tensor]

    add, subtract, multiply = map(_binary, ("add", "sub", "mul"))
    divide = true_divide = _binary("div")
    power, maximum, minimum, dot = map(_binary, ("pow", "maximum", "minimum", "dot"))
    equal, not_equal, less, less_equal = map(_binary, ("eq", "ne", "lt", "le"))
    greater, greater_equal = map(_binary, ("gt", "ge"))
    negative, sgn, sqrt, square, exp, exp2 = map(
        _unary, ("neg", "sgn", "sqrt", "sqr", "exp", "exp2")
    )
    absolute = fabs = _unary("abs")
    log, log2, safelog, sig, sig2, tanh, tanh2 = map(
        _unary, ("log", "log2", "safelog", "sig", "sig2", "tanh", "tanh2")
    )
    finite, rint = map(_unary, ("finite", "rint"))
    sum, max, min = map(_reduction, ("sum", "max", "min"))
    argmax, argmin = map(_place, ("argmax", "argmin"))

    def reciprocal(self, a: Value, out: Tensor | None = None) -> Any:
        """1 / a."""
        return OpTreeNode.build("div", 1.0, a, out=out)

    def clip(self, a: Value, a_min: Value, a_max: Value, out: Tensor | None = None) -> Any:
        """a moved into a_min … a_max."""
        return self.minimum(self.maximum(a, a_min), a_max, out=out)

    def mean(
        self,
        a: Value,
        axis: int | None = None,
        partial: Any = None,
        out: Tensor | None = None,
        keepdims: bool = True,
    ) -> Any:
        """The mean along an axis, or of all."""
        count = a.shape[0] * a.shape[1] if axis is None else a.shape[axis]
        return self.multiply(self.sum(a, axis=axis), 1.0 / count, out=out)

    def var(
        self,
        a: Value,
        axis: int | None = None,
        partial: Any = None,
        out: Tensor | None = None,
        keepdims: bool = True,
        binary: bool = False,
    ) -> Any:
        """The biased variance; `binary` squares by shifting."""
        difference = a - self.mean(a, axis=axis)
        squares = self.shift(difference, difference) if binary else self.square(difference)
        return self.mean(squares, axis=axis, out=out)

    def std(
        self,
        a: Value,
        axis: int | None = None,
        partial: Any = None,
        out: Tensor | None = None,
        keepdims: bool = True,
    ) -> Any:
        """The square root of `var`."""
        return self.sqrt(self.var(a, axis=axis), out=out)

    def take(self, a: Tensor, indices: Any, axis: int, out: Tensor | None = None) -> Tensor:
        """The slices of `a` at `indices` along an axis."""
        return a.take(indices, axis, out)

    def onehot(self, indices: Tensor, axis: int, out: Tensor | None = None) -> Any:
        """1 at the index along `axis`, else 0; as deep as what it is assigned to."""
        if axis not in (0, 1):
            raise ValueError("bad axis for onehot")
        if indices.dtype not in (np.int32, np.uint32):
            raise ValueError(f"onehot indices should be int32 or uint32, got {indices.dtype}")
        return OpTreeNode.build("onehot", None, None, idx=indices, axis=axis, out=out)

    def rand(self, out: Tensor | None = None) -> Any:
        """Numbers drawn evenly from 0 to 1, as many as what it is assigned to."""
        return OpTreeNode.build("rand", None, None, rng=self.rng.random_sample, out=out)

    def shift(self, a: Value, b: Value, value: bool = True, out: Tensor | None = None) -> Any:
        """a times the power of two nearest to b; or, unless `value`, times 2 to the power b."""
        if not (isinstance(a, Arithmetic) or isinstance(b, Arithmetic)):
            a = self.array(a)
        return OpTreeNode.build("shift", a, b, value=value, out=out)

    def binarize(self, ary: Tensor, out: Tensor, stochastic: bool = True) -> Tensor:
        """1 where an element is not negative, else −1; `stochastic` draws by (element + 1) / 2."""
        if not stochastic:
            return out.assign(OpTreeNode.build("binarize", ary, None))
        drawn = OpTreeNode.build(
            "rand", None, None, rng=lambda shape: np.random.uniform(0, 1, shape), drawn=ary.shape
        )
        return out.assign(2 * (drawn <= self.clip((ary + 1) / 2.0, 0, 1)) - 1)
