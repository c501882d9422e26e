"""Layers whose weights and activations are −1 or 1, and whose factors are powers of two.

Source: Courbariaux et al., "Binarized Neural Networks", 2016, arXiv:1602.02830, as neon has them.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from anode import ops
from anode.frontends.layers.layers import (
    GLOROT,
    BatchNorm,
    Layer,
    Linear,
    Transform,
    check_float,
    composed,
    features,
    flat,
)
from anode.frontends.layers.masks import mean_of
from anode.frontends.layers.optimizers import Optimizer, Slots, Step
from anode.ir.node import Node

LEAST = math.exp(-50)  # whose logarithm stands for that of 0


@dataclass(frozen=True)
class Binary:
    """1 where x is not negative, else −1; its gradient is that of x where |x| ≤ 1, else 0."""

    def __call__(self, x: Node) -> Node:
        one = ops.ones_like(x)
        return signs(ops.clamp(-one, x, one))


class BinaryLinear(Linear):
    """x · weight with the signs of the weight, which gets the gradient of its sign."""

    def build(self, x: Node) -> Node:
        check_float(x)
        x = x if x in self._scope.sequences else flat(x)
        weight = self.variable("weight", (features(x), self.nout), self.init, dtype=x.dtype)
        return x @ signs(weight)


def BinaryAffine(
    nout: int,
    init: Any = GLOROT,
    bias: Any = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
) -> list[Layer]:
    """Affine with a BinaryLinear, and with a ShiftBatchNorm where `batch_norm` asks for one."""
    layers = composed(BinaryLinear(nout, init, name), bias, batch_norm, activation, name)
    found = [
        ShiftBatchNorm(name=layer.name) if isinstance(layer, BatchNorm) else layer
        for layer in layers
    ]
    for layer in found[1:]:
        layer.part_of = found[0]
    return found


class ShiftBatchNorm(BatchNorm):
    """BatchNorm whose products are with powers of two: shifts, where numbers are integers.

    The variance is the mean of (x − mean)·⟨x − mean⟩, and the result ⟨scale⟩·(x − mean)·
    ⟨1 / √(variance + eps)⟩ + offset, with ⟨z⟩ the power of two nearest to z; these are constants
    to gradients. Running statistics are those of BatchNorm.
    """

    def __init__(self, rho: float = 0.99, eps: float = 1e-6, name: str | None = None) -> None:
        super().__init__(rho, eps, name)

    def build(self, x: Node) -> Node:
        shape = (features(x),)
        scale = self.variable("scale", shape, 1.0, dtype=x.dtype)
        offset = self.variable("offset", shape, 0.0, dtype=x.dtype)
        running = [
            self.variable(name, shape, 0.0, dtype=x.dtype, trainable=False)
            for name in ("mean", "variance")
        ]
        mean, variance = running
        if self.training:
            mask = self.counted(x)
            mean = mean_of(x, mask)
            centred = x - mean
            variance = mean_of(centred * power_of_two(centred), mask)
            for old, new in zip(running, (mean, variance), strict=True):
                self.update(old, old * self.rho + new * (1 - self.rho))
        factor = power_of_two(ops.rsqrt(variance + self.eps))
        # The scale's own gradient is that of scale · y: its power of two stands for it.
        straight = power_of_two(scale) + (scale - ops.stop_gradient(scale))
        return (x - mean) * factor * straight + offset


@dataclass(frozen=True)
class ShiftAdaMax(Optimizer):
    """m = β1·m + (1 − β1)·g; v = max(β2·v, |g|); p −= m·⟨1 / (v + ε)⟩·⟨r⟩, then within ±1,

    with r = rate / (1 − β1^(epoch + 1)) and ⟨z⟩ the power of two nearest to z.
    """

    learning_rate: float = 0.002
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    _: KW_ONLY
    param_clip_value: float | None = 1.0

    def rate(self, epoch: int) -> float:
        return float(super().rate(epoch) / (1 - self.beta_1 ** (epoch + 1)))

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        mean = slots.write("mean", slots.read("mean") * self.beta_1 + g * (1.0 - self.beta_1))
        largest = ops.maximum(slots.read("largest") * self.beta_2, ops.abs(g))
        slots.write("largest", largest)
        inverse = slots.write("inverse", 1.0 / (largest + self.epsilon))
        return p - step.scaled(mean) * power_of_two(inverse) * power_of_two(step.rate)


def signs(x: Node) -> Node:
    """1 where `x` is not negative, else −1, with the gradient of `x`."""
    found = ops.select(ops.less(x, 0.0), -ops.ones_like(x), ops.ones_like(x))
    return ops.stop_gradient(found) + (x - ops.stop_gradient(x))


def power_of_two(x: Node) -> Node:
    """The power of two whose logarithm is nearest to that of |x|, with the sign of `x`.

    A constant to gradients.
    """
    x = ops.stop_gradient(x)
    size = ops.maximum(ops.abs(x), LEAST)
    return ops.sign(x) * ops.exp2(ops.round(ops.log(size) * (1 / math.log(2))))
