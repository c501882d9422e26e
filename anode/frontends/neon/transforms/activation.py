"""Activations, with neon's values and derivatives.

A layer overwrites its input with the value and multiplies the error by `bprop` of that value.
"""

from __future__ import annotations

from typing import Any

from anode.frontends.neon.transforms.transform import Transform, Value


class Identity(Transform):
    """x."""

    def __call__(self, x: Value) -> Value:
        return x

    def bprop(self, x: Value) -> Value:
        return 1


class Rectlin(Transform):
    """max(x, 0) + slope · min(x, 0)."""

    def __init__(self, slope: float = 0, name: str | None = None) -> None:
        super().__init__(name)
        self.slope = slope
        self.is_mklop = True

    def __call__(self, x: Value, nglayer: Any = None) -> Value:
        return self.be.fprop_relu(nglayer, x, self.slope)

    def bprop(
        self, x: Value, nglayer: Any = None, error: Value = None, deltas: Value = None
    ) -> Value:
        return self.be.bprop_relu(nglayer, x, error, deltas, self.slope)


class Rectlinclip(Transform):
    """min(max(x, 0) + slope · min(x, 0), xcut)."""

    def __init__(self, slope: float = 0, name: str | None = None, xcut: float = 20.0) -> None:
        super().__init__(name)
        self.slope, self.xcut = slope, xcut

    def __call__(self, x: Value) -> Value:
        be = self.be
        return be.minimum(be.maximum(x, 0) + self.slope * be.minimum(x, 0), self.xcut)

    def bprop(self, x: Value) -> Value:
        be = self.be
        return (be.greater(x, 0) + self.slope * be.less(x, 0)) * be.less(x, self.xcut)


class Explin(Transform):
    """max(x, 0) + alpha · (exp(min(x, 0)) − 1). Source: Clevert, Unterthiner, Hochreiter 2016."""

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.alpha = alpha

    def __call__(self, x: Value) -> Value:
        be = self.be
        return be.maximum(x, 0) + self.alpha * (be.exp(be.minimum(x, 0)) - 1)

    def bprop(self, x: Value) -> Value:
        be = self.be
        return be.greater(x, 0) + be.minimum(x, 0) + self.alpha * be.less(x, 0)


class Normalizer(Transform):
    """x / divisor."""

    def __init__(self, name: str | None = None, divisor: float = 128.0) -> None:
        super().__init__(name)
        self.divisor = divisor

    def __call__(self, x: Value) -> Value:
        return x / self.divisor

    def bprop(self, x: Value) -> Value:
        return 1.0 / self.divisor


class Softmax(Transform):
    """exp(x) over its sum along `axis`; the matching cost's error is that of x, so bprop is 1."""

    def __init__(self, axis: int = 0, name: str | None = None, epsilon: float = 2**-23) -> None:
        super().__init__(name)
        self.axis, self.epsilon = axis, epsilon

    def __call__(self, x: Value) -> Value:
        return self.be.fprop_softmax(x, self.axis)

    def bprop(self, x: Value) -> Value:
        return 1


class PixelwiseSoftmax(Transform):
    """A softmax over the `c` feature maps of every pixel, written over its argument."""

    def __init__(self, c: int, name: str | None = None, epsilon: float = 2**-23) -> None:
        super().__init__(name)
        self.c, self.epsilon = c, epsilon

    def __call__(self, x: Value) -> Value:
        maps = x.reshape((self.c, -1))
        maps[:] = self.be.fprop_softmax(maps, 0)
        return x

    def bprop(self, x: Value) -> Value:
        return 1


class Tanh(Transform):
    """tanh(x)."""

    def __call__(self, x: Value) -> Value:
        return self.be.tanh(x)

    def bprop(self, x: Value) -> Value:
        return 1.0 - self.be.square(x)


class Logistic(Transform):
    """1 / (1 + exp(−x)); with `shortcut` bprop is 1, as the cross entropy's error is that of x."""

    def __init__(self, name: str | None = None, shortcut: bool = False) -> None:
        super().__init__(name)
        self.set_shortcut(shortcut)

    def set_shortcut(self, shortcut: bool) -> None:
        """Whether `bprop` is 1 from now on."""
        self.shortcut = shortcut

    def __call__(self, x: Value) -> Value:
        return self.be.sig(x)

    def bprop(self, y: Value) -> Value:
        return 1 if self.shortcut else y * (1.0 - y)


class Sign(Transform):
    """The sign, +1 at 0, written over its argument; its derivative is 1 where |x| ≤ 1.

    Source: the straight-through estimator of Courbariaux and Bengio 2016.
    """

    def __call__(self, x: Value) -> Value:
        self.inputs = self.be.empty_like(x)
        self.inputs[:] = x
        return self.be.binarize(x, x, stochastic=False)

    def bprop(self, x: Value) -> Value:
        return self.be.less_equal(self.be.absolute(self.inputs), 1)
