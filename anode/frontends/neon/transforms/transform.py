"""The base of activations: a function of a tensor, and its derivative from the function's value."""

from __future__ import annotations

from typing import Any

from anode.frontends.neon import NervanaObject

Value = Any  # a Tensor, an op-tree over Tensors, or a number


class Transform(NervanaObject):
    """An elementwise function. A subclass has `__call__` and `bprop`, or attributes func, funcgrad.

    `bprop` gets the value the function gave, not its argument.
    """

    func: Any
    funcgrad: Any

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.is_mklop = False

    def __call__(self, x: Value) -> Value:
        return self.func(x)

    def bprop(self, x: Value) -> Value:
        return self.funcgrad(x)
