"""Slots: variables that an optimiser keeps beside another one, named below it."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import variable_scope as scopes
from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.variables import ResourceVariable, SaveSliceInfo, Variable
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import export

PATH = "python.training.slot_creator."


def _create(primary: Any, value: Any, shape: Any, dtype: Any, validate: bool, name: str) -> Any:
    prefix = primary._shared_name if isinstance(primary, Variable) else primary.op.name
    with scopes.variable_scope(None, f"{prefix}/{name}") as scope:
        scope.set_partitioner(None)
        slot = scopes.get_variable(
            "",
            initializer=value,
            trainable=False,
            use_resource=True if isinstance(primary, ResourceVariable) else None,
            shape=shape,
            dtype=dtype,
            validate_shape=validate,
        )
        own = scope.name[len(primary.op.name) + 1 :]
    info = getattr(primary, "_save_slice_info", None)
    if info is not None:
        whole = f"{info.full_name}/{own}"
        slot._set_save_slice_info(
            SaveSliceInfo(whole, info.full_shape, info.var_offset, info.var_shape)
        )
    return slot


@export(PATH + "create_slot")
def create_slot(primary: Any, val: Any, name: str, colocate_with_primary: bool = True) -> Any:
    """A slot that begins with the value of a tensor."""
    return _create(primary, val, None, None, val.get_shape().is_fully_defined(), name)


@export(PATH + "create_slot_with_initializer")
def create_slot_with_initializer(
    primary: Any,
    initializer: Any,
    shape: Any,
    dtype: Any,
    name: str,
    colocate_with_primary: bool = True,
) -> Any:
    """A slot of its own shape and type that an initialiser fills."""
    return _create(primary, initializer, shape, dtype, shape.is_fully_defined(), name)


@export(PATH + "create_zeros_slot")
def create_zeros_slot(
    primary: Any, name: str, dtype: Any = None, colocate_with_primary: bool = True
) -> Any:
    """A slot of zeros, of the shape of the variable it belongs to."""
    dtype = as_dtype(primary.dtype if dtype is None else dtype).base_dtype
    shape = primary.get_shape()
    if shape.is_fully_defined():
        return create_slot_with_initializer(primary, Zeros(), shape, dtype, name)
    start = primary.initialized_value() if isinstance(primary, Variable) else primary
    return create_slot(primary, apply("Cast", apply("ZerosLike", start), DstT=dtype), name)
