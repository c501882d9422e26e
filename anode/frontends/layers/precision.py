"""Mixed precision of a training step: products in a half type, and a scale for the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.initializers import Constant, Fans
from anode.frontends.layers.optimizers import slot
from anode.ir.node import Node, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.transform.grad import gradients
from anode.transform.precision import half_of, lowered

FIRST_SCALE, LARGEST_SCALE = 2.0**15, 2.0**24


@dataclass(frozen=True)
class Precision:
    """Products in `dtype`, "bf16" or "f16"; weights and all that is delicate stay f32.

    The cost is multiplied by `loss_scale` before it is differentiated, and the gradients divided by
    it: small ones do not vanish in f16. (bf16 reaches as far as f32 and needs none.) "dynamic"
    starts at 2¹⁵; a step whose gradients are not finite changes no weight and halves the scale,
    `growth` steps without one double it. Source: Micikevicius et al., 2018.
    Raises ShapeError for other types, scales and numbers of steps.
    """

    dtype: str = "bf16"
    loss_scale: float | Literal["dynamic"] = 1.0
    growth: int = 2000

    def __post_init__(self) -> None:
        half_of(self.dtype)
        scale = self.loss_scale
        if scale != "dynamic" and not (isinstance(scale, Real) and 0 < scale < math.inf):
            raise ShapeError(f"loss_scale={scale!r}: a positive number, or 'dynamic'")
        if not (isinstance(self.growth, Integral) and self.growth > 0):
            raise ShapeError(f"growth={self.growth!r}: a number of steps, at least 1")

    @staticmethod
    def of(given: Precision | str | None) -> Precision | None:
        """A precision as given: itself, or by the name of its type."""
        return given if given is None or isinstance(given, Precision) else Precision(given)

    def lowered(self, roots: Sequence[Node]) -> list[Node]:
        """What training computes, with the products in the half type."""
        return lowered(roots, self.dtype)

    def gradients(self, loss: Node, parameters: Sequence[Variable]) -> list[Node]:
        """The gradients of the loss, through the scaled one."""
        scale = self._scale()
        found = gradients([loss * scale], [read(v) for v in parameters])
        return [g / scale for g in found]

    def guarded(
        self, updates: Mapping[Variable, Node], found: Sequence[Node]
    ) -> dict[Variable, Node]:
        """The updates, none of which happens where the scale was too large for some gradient."""
        if self.loss_scale != "dynamic":
            return dict(updates)
        fine = ops.all(ops.stack([ops.all(ops.is_finite(g)) for g in found]))
        kept = {v: ops.where(fine, new, read(v)) for v, new in updates.items()}
        scale, steps = read(loss_scale()), read(good_steps())
        grown = ops.greater_equal(steps + 1.0, float(self.growth))
        larger = ops.where(grown, ops.minimum(scale * 2.0, LARGEST_SCALE), scale)
        kept[loss_scale()] = ops.where(fine, larger, ops.maximum(scale * 0.5, 1.0))
        kept[good_steps()] = ops.where(ops.or_(grown, ops.not_(fine)), 0.0, steps + 1.0)
        return kept

    def _scale(self) -> Node | float:
        return read(loss_scale()) if self.loss_scale == "dynamic" else float(self.loss_scale)


def loss_scale() -> Variable:
    """The variable of a dynamic scale."""
    type = tensor("f32")
    return slot("loss_scale", type, Constant(FIRST_SCALE).graph(type, Fans(1, 1)))


def good_steps() -> Variable:
    """The variable that counts the steps since the scale changed."""
    return slot("loss_scale.steps", tensor("f32"))
