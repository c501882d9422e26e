"""tf.sets: union, intersection, difference and size of the sets along the last dim."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.opdef import export


def _combined(a: Any, b: Any, operation: str, validate_indices: bool) -> SparseTensor:
    """A sparse tensor whose rows are the resulting sets, in increasing order."""
    a, b = (x if isinstance(x, SparseTensor) else convert_to_tensor(x) for x in (a, b))
    if isinstance(a, SparseTensor) and not isinstance(b, SparseTensor):
        swapped = {"a-b": "b-a", "b-a": "a-b"}.get(operation, operation)
        return _combined(b, a, swapped, validate_indices)
    kinds = ["Sparse" if isinstance(x, SparseTensor) else "Dense" for x in (a, b)]
    parts = [part for x in (a, b) for part in getattr(x, "_components", [x])]
    type = f"{kinds[0]}To{kinds[1]}SetOperation"
    attrs = {"set_operation": operation, "validate_indices": validate_indices}
    return SparseTensor(*apply(type, *parts, name=None, **attrs))


@export("sets.intersection", "sets.set_intersection", "contrib.metrics.set_intersection")
def set_intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements in both sets of each row."""
    return _combined(a, b, "intersection", validate_indices)


@export("sets.difference", "sets.set_difference", "contrib.metrics.set_difference")
def set_difference(
    a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True
) -> SparseTensor:
    """The elements of one set that are not in the other, for each row."""
    return _combined(a, b, "a-b" if aminusb else "b-a", validate_indices)


@export("sets.union", "sets.set_union", "contrib.metrics.set_union")
def set_union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements of either set of each row."""
    return _combined(a, b, "union", validate_indices)


@export("sets.size", "sets.set_size", "contrib.metrics.set_size")
def set_size(a: Any, validate_indices: bool = True) -> Any:
    """The number of different elements of each row of a sparse tensor."""
    if not isinstance(a, SparseTensor):
        raise TypeError(f"Expected `SparseTensor`, got {a}.")
    return apply("SetSize", *a._components, validate_indices=validate_indices)
