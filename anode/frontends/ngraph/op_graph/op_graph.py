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
_OWN = ("are_axes", "as_value", "contiguous_strides", "promoted")  # anode's, not ngraph's


def public() -> dict[str, Any]:
    """The classes, functions and numbers that the modules have for users of ngraph."""
    found = {"AxisLengthError": lowering.AxisLengthError}
    for module in _MODULES:
        found.update({name: v for name, v in vars(module).items() if _is_public(name, v, module)})
    return found


def _is_public(name: str, value: Any, module: ModuleType) -> bool:
    own = isinstance(value, float) or getattr(value, "__module__", "") == module.__name__
    return own and not (name.startswith("_") or name in _OWN)


globals().update(public(), __all__=sorted(public()))


def __getattr__(name: str) -> Any:
    raise AttributeError(f"ngraph.op_graph.op_graph has no {name!r}")
