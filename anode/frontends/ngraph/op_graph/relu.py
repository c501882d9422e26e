"""`neon.op_graph.relu` of neon 3."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.op_graph.elementwise import maximum
from anode.frontends.ngraph.op_graph.views import axes_with_order


def relu(inputs: Any, axes: Any, docstring: str | None = None) -> Any:
    """max(inputs, 0), with its axes in the order of `axes`."""
    return axes_with_order(maximum(inputs, 0), axes)
