"""neon 3's optimizers: as ngraph's, gradient descent without compensated sums."""

from __future__ import annotations

from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon import optimizer as base
from anode.frontends.ngraph.frontends.neon.optimizer import (
    Adagrad,
    Adam,
    LearningRateOptimizer,
    Optimizer,
    RMSProp,
)

__all__ = [
    "Adagrad",
    "Adam",
    "GradientDescentMomentum",
    "LearningRateOptimizer",
    "Optimizer",
    "RMSProp",
]


class GradientDescentMomentum(base.GradientDescentMomentum):
    """Gradient descent with momentum; the weights are summed plainly."""

    def _sum(self, variable: Any, delta: Any) -> list[Any]:
        return [ng.assign(variable, variable + delta)]
