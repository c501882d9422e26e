"""Transforms: functions from graphs to graphs that change what is computed."""

from anode.transform import control as _control  # noqa: F401 (attaches the gradients of loops)
from anode.transform.grad import grad, gradients
from anode.transform.precision import lowered, lowered_graph

__all__ = ["grad", "gradients", "lowered", "lowered_graph"]
