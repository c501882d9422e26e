"""The simplify pass: every local identity, applied until none holds any more.

Composites stay whole: no rule looks into them until `legalize` has expanded them.
"""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.passes import (
    simplify_arithmetic,
    simplify_constants,
    simplify_control,
    simplify_index,
    simplify_shape,
    simplify_window,
)
from anode.rewrite import drivers
from anode.rewrite.pattern import Rules
from anode.rewrite.trace import Trace

RULES = Rules(
    *simplify_constants.RULES,
    *simplify_shape.RULES,
    *simplify_window.RULES,
    *simplify_arithmetic.RULES,
    *simplify_control.RULES,
    *simplify_index.RULES,
)


def simplify(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph in normal form under `RULES`; values change at most by a rounding."""
    return drivers.simplify(graph, RULES, trace)
