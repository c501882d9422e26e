"""Initial values of weights, drawn from numpy.random's global generator in the order of calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.axis import is_shadow_axis


class GaussianInit:
    """Normal numbers; `var` is what `std` was called once, a standard deviation."""

    def __init__(self, mean: float = 0.0, std: float = 0.01, var: float | None = None) -> None:
        self.mean, self.std = mean, std if var is None else var

    def __call__(self, w_axes: Any) -> Any:
        return np.random.normal(self.mean, self.std, w_axes.lengths)


class UniformInit:
    """Uniform numbers of [low, high)."""

    def __init__(self, low: float = -0.01, high: float = 0.01) -> None:
        self.low, self.high = low, high

    def __call__(self, w_axes: Any) -> Any:
        return np.random.uniform(self.low, self.high, w_axes.lengths)


class ConstantInit:
    """One number, or an array."""

    def __init__(self, val: Any = 0.0) -> None:
        self.val = val

    def __call__(self, w_axes: Any) -> Any:
        return self.val


class GlorotInit:
    """Uniform in ±√(6 / (fan-in + fan-out)) (Glorot and Bengio, 2010)."""

    def __call__(self, w_axes: Any) -> Any:
        fan_in, fan_out = _fans(w_axes)
        scale = np.sqrt(6.0 / (fan_in + fan_out))
        return np.random.uniform(-scale, scale, w_axes.lengths)


class XavierInit:
    """Uniform in ±√(3 / fan-in)."""

    def __call__(self, w_axes: Any) -> Any:
        scale = np.sqrt(3.0 / _fans(w_axes)[0])
        return np.random.uniform(-scale, scale, w_axes.lengths)


class KaimingInit:
    """Normal with standard deviation √(2 / fan-in) (He et al., 2015)."""

    def __call__(self, w_axes: Any) -> Any:
        scale = np.sqrt(2.0 / _fans(w_axes)[0])
        return np.random.normal(0, scale, w_axes.lengths)


def _fans(w_axes: Any) -> tuple[Any, Any]:
    """The sizes of weights' input and output axes; the output's are shadow axes."""
    sizes = [
        [axis.length for axis in w_axes if is_shadow_axis(axis) is out] for out in (False, True)
    ]
    return np.prod(sizes[0]), np.prod(sizes[1])
