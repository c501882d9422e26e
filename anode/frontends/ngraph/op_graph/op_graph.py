"""`ngraph.op_graph.op_graph`: the ops, under the name that scripts import them by."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from anode.frontends.ngraph.op_graph import (
    axis,
    costs,
    debug,
    deriv,
    elementwise,
    lowering,
    op,
    reductions,
    state,
    tensor_description,
    views,
)

_MODULES = (
    axis,
    tensor_description,
    op,
    state,
    elementwise,
    views,
    reductions,
    costs,
    deriv,
    debug,
)
_PACKAGE = __name__.rpartition(".")[0]


def names(module: ModuleType) -> dict[str, Any]:
    """What a module of this package makes: its own classes, functions and numbers."""
    own: dict[str, Any] = {}
    for name, value in vars(module).items():
        made_in = getattr(value, "__module__", module.__name__)
        if not name.startswith("_") and made_in.startswith(_PACKAGE):
            own[name] = value
    return {n: v for n, v in own.items() if not isinstance(v, ModuleType)}


for _module in _MODULES:
    globals().update(names(_module))
AxisLengthError = lowering.AxisLengthError


def __getattr__(name: str) -> Any:
    raise AttributeError(f"ngraph.op_graph.op_graph has no {name!r}")
