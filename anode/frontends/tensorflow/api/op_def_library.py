"""Ops made by the name of their type, as generated wrappers of old do."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.raw_ops import raw_op
from anode.frontends.tensorflow.core import Operation
from anode.frontends.tensorflow.opdef import export, find


@export("python.framework.op_def_library.OpDefLibrary")
class OpDefLibrary:
    """Makes ops by the names of their types: those of anode's table, and no others."""

    def add_op(self, op_def: Any) -> None:
        """Note an op; UnsupportedOp where anode's table does not have it."""
        find(op_def.name)

    def add_op_list(self, op_list: Any) -> None:
        """Note the ops of an OpList; one that anode does not have raises when it is applied."""

    def apply_op(self, op_type_name: str, name: str | None = None, **keywords: Any) -> Any:
        """An op of a type, its inputs and attributes given by their names."""
        return raw_op(op_type_name)(name=name, **keywords)


@export("python.framework.ops.set_shapes_for_outputs")
def set_shapes_for_outputs(op: Operation) -> None:
    """Infer the shapes of an operation's outputs, as `op` had it done when it was made."""
    from anode.frontends.tensorflow.infer import set_shapes

    set_shapes(op)
