"""tf.sort and tf.argsort, which are TopKV2 of all elements."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.array_ops import transpose
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import apply, constant_value, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

DIRECTIONS = ("ASCENDING", "DESCENDING")


@export("sort", "contrib.framework.sort")
def sort(
    values: Any, axis: Any = -1, direction: str = "ASCENDING", name: str | None = None
) -> Tensor:
    """The elements along an axis in order; ValueError for a direction that is none."""
    with name_scope(name, "sort"):
        found, _ = _ordered(values, axis, direction)
        return found


@export("argsort", "contrib.framework.argsort")
def argsort(
    values: Any,
    axis: Any = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Tensor:
    """The places along an axis of the elements in order; equal ones keep theirs, so all is stable.

    Descending too the first of equal elements comes first.
    """
    del stable  # it always is
    with name_scope(name, "argsort"):
        _, places = _ordered(values, axis, direction)
        return places


def _ordered(values: Any, axis: Any, direction: str) -> tuple[Tensor, Tensor]:
    if direction not in DIRECTIONS:
        raise ValueError(f"{direction} should be one of {', '.join(DIRECTIONS)}")
    values = convert_to_tensor(values, name="values")
    at = constant_value(convert_to_tensor(axis, name="axis"))
    if at is None:
        raise ValueError("axis must be a constant scalar")
    order = _last(values, int(at))
    turned = values if order is None else transpose(values, order)
    ascending = direction == "ASCENDING"
    keys = apply("Neg", turned) if ascending else turned
    size = apply("Shape", keys)[-1] if keys.shape.dims is None else keys.shape.as_list()[-1]
    size = apply("Shape", keys)[-1] if size is None else size
    top, places = apply("TopKV2", keys, size)
    found = apply("Neg", top) if ascending else top
    if order is None:
        return found, places
    return transpose(found, order), transpose(places, order)


def _last(values: Tensor, axis: int) -> list[int] | None:
    """The permutation that exchanges an axis with the last one; None where it is that."""
    rank = values.shape.ndims
    if axis == -1 or axis + 1 == rank:
        return None
    if rank is None:
        raise ValueError("sort along another axis than the last needs a tensor of known rank")
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    return order
