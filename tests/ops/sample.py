"""One call of an op with concrete operands: what the registry-driven tests run on every backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anode.ir.graph import Graph, trace
from anode.ir.types import tensor


@dataclass(frozen=True, eq=False)
class Sample:
    """Operands and attributes of one call; an operand is an array in its host type.

    `smooth` says that central finite differences of the float64 operands, each moved by 1e-5,
    measure the gradient: no kink, tie or discontinuity nearby. Samples of other types are not
    differentiated.
    """

    args: list[np.ndarray]
    attrs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True

    def graph(self, op: Any) -> Graph:
        """The closed graph of one call of `op` on operands of these types."""
        types = [tensor(arg.dtype, *arg.shape) for arg in self.args]
        return trace(lambda *xs: op(*xs, **self.attrs).items, *types)
