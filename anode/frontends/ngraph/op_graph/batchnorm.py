"""`neon.op_graph.batchnorm` of neon 3."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.op_graph.elementwise import reciprocal, sqrt
from anode.frontends.ngraph.op_graph.normalization import normalized
from anode.frontends.ngraph.op_graph.views import axes_with_order


def batchnormtrain(
    inputs: Any,
    gamma: Any,
    beta: Any,
    epsilon: float,
    out_axes: Any,
    axes: Any,
    docstring: str | None = None,
) -> tuple[Any, Any, Any]:
    """The normalised tensor with `axes`, and the mean and variance, which have `out_axes`."""
    y, mean, variance = normalized(inputs, gamma, beta, out_axes, epsilon)
    return axes_with_order(y, axes), mean, variance


def batchnorminference(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    epsilon: float,
    axes: Any,
    docstring: str | None = None,
) -> Any:
    """γ·(x − mean) / √(variance + epsilon) + β with given statistics."""
    scaled = (inputs - mean) * reciprocal(sqrt(variance + epsilon))
    return axes_with_order(gamma * scaled + beta, axes)
