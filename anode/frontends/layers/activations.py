"""Activations: functions of one node, as small values that print and compare."""

from __future__ import annotations

from dataclasses import dataclass

from anode import ops
from anode.ir.node import Node


@dataclass(frozen=True)
class Identity:
    """x."""

    def __call__(self, x: Node) -> Node:
        return x


@dataclass(frozen=True)
class Rectlin:
    """max(x, 0) + slope · min(x, 0)."""

    slope: float = 0.0

    def __call__(self, x: Node) -> Node:
        return ops.leaky_relu(x, slope=float(self.slope)) if self.slope else ops.relu(x)


@dataclass(frozen=True)
class Rectlinclip:
    """Rectlin, but at most `xcut`."""

    slope: float = 0.0
    xcut: float = 20.0

    def __call__(self, x: Node) -> Node:
        return ops.clipped_relu(x, slope=float(self.slope), cutoff=float(self.xcut))


@dataclass(frozen=True)
class Explin:
    """x where positive, else alpha · (e^x − 1). Source: Clevert et al. 2015."""

    alpha: float = 1.0

    def __call__(self, x: Node) -> Node:
        return ops.elu(x, alpha=float(self.alpha))


@dataclass(frozen=True)
class Selu:
    """The self-normalising Explin. Source: Klambauer et al. 2017."""

    def __call__(self, x: Node) -> Node:
        return ops.selu(x)


@dataclass(frozen=True)
class Gelu:
    """x · Φ(x), or its tanh approximation. Source: Hendrycks and Gimpel 2016."""

    approximate: bool = False

    def __call__(self, x: Node) -> Node:
        return ops.gelu(x, approximate=self.approximate)


@dataclass(frozen=True)
class Silu:
    """x · logistic(x)."""

    def __call__(self, x: Node) -> Node:
        return ops.silu(x)


@dataclass(frozen=True)
class Softplus:
    """log(1 + e^x)."""

    def __call__(self, x: Node) -> Node:
        return ops.softplus(x)


@dataclass(frozen=True)
class Tanh:
    """The hyperbolic tangent."""

    def __call__(self, x: Node) -> Node:
        return ops.tanh(x)


@dataclass(frozen=True)
class Logistic:
    """1 / (1 + e^−x); with CrossEntropyBinary the cost takes x itself, so it stays finite."""

    def __call__(self, x: Node) -> Node:
        return ops.logistic(x)


@dataclass(frozen=True)
class Softmax:
    """e^x over its sum along `axis`; with CrossEntropyMulti the cost takes x itself."""

    axis: int = -1

    def __call__(self, x: Node) -> Node:
        return ops.softmax(x, axis=self.axis % len(x.shape))


@dataclass(frozen=True)
class Sign:
    """−1, 0 or 1; its gradient is zero."""

    def __call__(self, x: Node) -> Node:
        return ops.sign(x)


@dataclass(frozen=True)
class Normalizer:
    """x / divisor."""

    divisor: float = 128.0

    def __call__(self, x: Node) -> Node:
        return x / float(self.divisor)
