"""Activation functions: objects that are called with a tensor."""

from __future__ import annotations

from typing import Any

from anode.frontends import ngraph as ng


def _rectified(x: Any, slope: float) -> Any:
    """max(x, 0) + slope·min(x, 0); without a slope only the maximum, which products take in."""
    positive = ng.maximum(x, 0)
    return positive + slope * ng.minimum(x, 0) if slope else positive


class Rectlin:
    """max(x, 0) + slope·min(x, 0)."""

    def __init__(self, slope: float = 0, **kwargs: Any) -> None:
        self.slope = slope

    def __call__(self, x: Any) -> Any:
        return _rectified(x, self.slope)


class Rectlinclip:
    """max(x, 0) + slope·min(x, 0), at most `cutoff`."""

    def __init__(self, slope: float = 0, cutoff: float = 20.0, name: str | None = None) -> None:
        self.cutoff = cutoff
        self.slope = slope

    def __call__(self, x: Any) -> Any:
        return ng.minimum(_rectified(x, self.slope), self.cutoff)


class Identity:
    """x."""

    def __call__(self, x: Any) -> Any:
        return x


class Explin:
    """max(x, 0) + alpha·(e^min(x, 0) − 1) (Clevert et al., 2016)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Any) -> Any:
        return ng.maximum(x, 0) + self.alpha * (ng.exp(ng.minimum(x, 0)) - 1)


class Normalizer:
    """x / divisor."""

    def __init__(self, divisor: float = 128.0) -> None:
        self.divisor = divisor

    def __call__(self, x: Any) -> Any:
        return x / self.divisor


class Softmax:
    """ng.softmax: over the axes of a sample but the recurrent one."""

    def __call__(self, x: Any) -> Any:
        return ng.softmax(x)


class Tanh:
    """tanh(x)."""

    def __call__(self, x: Any) -> Any:
        return ng.tanh(x)


class Logistic:
    """1 / (1 + e^−x)."""

    def __call__(self, x: Any) -> Any:
        return ng.sigmoid(x)
