"""Gradients: one op that stands for the derivatives of a part of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.control import bodies_of
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import convert_to_tensor, create
from anode.frontends.tensorflow.opdef import find
from anode.frontends.tensorflow.trace import variable_of


def gradient_op(
    ys: Sequence[Any],
    xs: Sequence[Any],
    grad_ys: Sequence[Tensor | None] | None = None,
    stop_gradients: Sequence[Tensor] = (),
    name: str = "gradients",
) -> list[Tensor | None]:
    """The derivatives of the sum of `ys`, weighted by `grad_ys`, by each of `xs`.

    An x may be a variable's reference. None for an x that no y depends on.
    """
    ys = [convert_to_tensor(y) for y in ys]
    xs = [convert_to_tensor(x, as_ref=True) for x in xs]
    weights = list(grad_ys) if grad_ys is not None else [None] * len(ys)
    reached = reaching(ys, xs)
    wanted = [x for x in xs if source(x) in reached]
    if not wanted:
        return [None] * len(xs)
    given = [w for w in weights if w is not None]
    stops = [t for t in stop_gradients if t not in wanted]
    attrs: dict[str, Any] = {
        "ys": len(ys),
        "xs": len(wanted),
        "weighted": tuple(w is not None for w in weights),
        "Tin": [t.dtype for t in (*ys, *wanted, *given, *stops)],
        "Tout": [x.dtype.base_dtype for x in wanted],
        "stops": len(stops),
    }
    op = create(
        find("SymbolicGradient"), [*ys, *wanted, *given, *stops], attrs, name, attrs["Tout"]
    )
    for tensor, x in zip(op.outputs, wanted, strict=True):
        tensor._shape = x.shape
    by_tensor = dict(zip(wanted, op.outputs, strict=True))
    return [by_tensor.get(x) for x in xs]


def source(tensor: Tensor) -> Tensor:
    """The tensor itself, or for a variable and its reads the variable's own."""
    variable = variable_of(tensor)
    return tensor if variable is None else variable.outputs[0]


def reaching(ys: Sequence[Tensor], xs: Sequence[Tensor]) -> set[Tensor]:
    """Those of `xs` (see `source`) that a derivative of one of `ys` can reach."""
    targets = {source(x) for x in xs}
    found: set[Tensor] = set()
    seen: set[Tensor] = set()
    stack = list(ys)
    while stack:
        tensor = stack.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        origin = source(tensor)
        if origin in targets:
            found.add(origin)
        if origin is not tensor or tensor.op.type in BLOCKING or not _flows(tensor):
            continue
        stack += [t for t in tensor.op.inputs if _flows(t)]
        stack += [t for body in bodies_of(tensor.op) for t in body.outputs if _flows(t)]
    return found


BLOCKING = {
    "StopGradient", "ArgMax", "ArgMin", "Equal", "NotEqual", "Less", "LessEqual", "Greater",
    "GreaterEqual", "Floor", "Ceil", "Round", "Rint", "FloorDiv", "ZerosLike", "OnesLike",
    "Shape", "Size", "Rank", "PyFunc", "OneHot", "Assign", "AssignAdd",
}  # fmt: skip


def _flows(tensor: Tensor) -> bool:
    return tensor.dtype.base_dtype.is_floating
