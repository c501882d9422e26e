"""Changing variables: tf.assign, tf.scatter_update and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, get_default_graph
from anode.frontends.tensorflow.opdef import EXPORTS, export

STATE = "python.ops.state_ops."


def reference(ref: Any) -> Tensor:
    """The tensor that refers to a variable; ValueError for what is no variable."""
    tensor = ref if isinstance(ref, Tensor) else convert_to_tensor(ref, as_ref=True)
    if not tensor.dtype._is_ref_dtype:
        raise ValueError(f"{ref!r} is no variable and cannot be assigned to")
    return tensor


def _changed(type: str, ref: Any, *inputs: Any, name: str | None, **attrs: Any) -> Any:
    """The op `type` on a variable, or its twin on a handle, followed by what it left there."""
    variable = reference(ref)
    if variable.op.type != "VarHandleOp":
        return apply(type, variable, *inputs, name=name, **attrs)
    attrs.pop("use_locking", None)
    twin = f"{type}VariableOp" if type.startswith("Assign") else f"Resource{type}"
    op = apply(twin, variable, *inputs, name=name, **attrs)
    with get_default_graph().control_dependencies([op]):
        return apply("ReadVariableOp", variable)


@export("assign", STATE + "assign")
def assign(
    ref: Any,
    value: Any,
    validate_shape: bool | None = None,
    use_locking: bool | None = None,
    name: str | None = None,
) -> Any:
    """Set a variable to `value`; the result is its new value."""
    checked = validate_shape is not False
    locking = use_locking is not False
    return _changed("Assign", ref, value, name=name, validate_shape=checked, use_locking=locking)


@export("assign_add", STATE + "assign_add")
def assign_add(
    ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None
) -> Any:
    """Add `value` to a variable; the result is its new value."""
    return _changed("AssignAdd", ref, value, name=name, use_locking=bool(use_locking))


@export("assign_sub", STATE + "assign_sub")
def assign_sub(
    ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None
) -> Any:
    """Subtract `value` from a variable; the result is its new value."""
    return _changed("AssignSub", ref, value, name=name, use_locking=bool(use_locking))


@export("count_up_to", STATE + "count_up_to")
def count_up_to(ref: Any, limit: int, name: str | None = None) -> Any:
    """The value of an integer variable before it grows by one; OutOfRangeError at `limit`."""
    return apply("CountUpTo", reference(ref), limit=limit, name=name)


@export("is_variable_initialized", STATE + "is_variable_initialized")
def is_variable_initialized(variable: Any, name: str | None = None) -> Any:
    """A bool scalar: whether a variable has a value."""
    ref = reference(variable)
    handle = ref.op.type == "VarHandleOp"
    return apply("VarIsInitializedOp" if handle else "IsVariableInitialized", ref, name=name)


def _scatter(name: str, type: str, locking: bool) -> Callable[..., Any]:
    def scatter(
        ref: Any,
        indices: Any,
        updates: Any,
        use_locking: bool = locking,
        name: str | None = None,
    ) -> Any:
        return _changed(type, ref, indices, updates, name=name, use_locking=use_locking)

    scatter.__name__ = scatter.__qualname__ = name
    scatter.__doc__ = f"`{type}`: updates of slices of a variable, one for each index."
    return scatter


def _define() -> None:
    names = ("update", "add", "sub", "mul", "div", "min", "max")
    table = {f"scatter_{n}": (f"Scatter{n.title()}", n == "update") for n in names}
    nd = ("update", "add", "sub")
    table |= {f"scatter_nd_{n}": (f"ScatterNd{n.title()}", n == "update") for n in nd}
    for name, (type, locking) in table.items():
        globals()[name] = _scatter(name, type, locking)
        for path in (name, STATE + name):
            EXPORTS[path] = f"{__name__}:{name}"


_define()
