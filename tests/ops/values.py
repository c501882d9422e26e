"""Running a function of nodes on arrays, for tests that compare values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops import evaluate


def run(function: Callable[..., Any], *arrays: Any) -> Any:
    """The value of a function of nodes, one array or a tuple of them."""
    values = [np.asarray(a) for a in arrays]
    graph = trace(function, *(tensor(a.dtype, *a.shape) for a in values))
    outputs, _ = evaluate(graph, values)
    return outputs[0] if len(outputs) == 1 else outputs
